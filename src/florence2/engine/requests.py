"""What goes into an engine and what comes out."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from florence2.errors import ConfigError, TaskError
from florence2.generation.grammar import START, Grammar, State
from florence2.generation.options import Generated, GenerationOptions
from florence2.generation.runtime import ImageTokens, PromptMemory, ScoredToken
from florence2.geometry import Size
from florence2.processing.images import ImageSource
from florence2.results import Result
from florence2.tasks import Task, parse_optional

OnTokens = Callable[[tuple[int, ...]], None]
"""Called on the engine's thread with the beginning of the answer that is settled, as token ids.

It grows from call to call; where an answer is written once more, because it broke the grammar of
its task, it starts again from its beginning.
"""


@dataclass(frozen=True, eq=False)
class EncodedImage:
    """What depends on a picture alone: pass it wherever a picture is accepted.

    Attributes:
        image_size: `(width, height)` of the picture in pixels.
        image_tokens: output of vision tower and projector; the runtime knows what is in it.
        model_name: the model that made it; other models refuse it.
        timings_ms: how long reading, resizing and the vision tower took.
    """

    image_size: Size
    image_tokens: ImageTokens
    model_name: str
    timings_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """One question about one picture.

    Attributes:
        image: a path, encoded bytes, a Pillow image, an array, or an `EncodedImage`.
        task: `Task.OD`, `"<OD>"` or `"od"`; with a prompt it may be left out.
        text_input: words for tasks that need them.
        region: `x_min, y_min, x_max, y_max` in pixels of the picture, for region tasks.
        min_score: confidence threshold: objects of a lower score are left out; those without a
            score stay, and so do texts. None takes the checkpoint's own, 0 keeps everything.
        prompt: words of a checkpoint's own, sent in place of the task's sentence. The result is
            then the answer as it was written, a `Text`; or with a task, what that task would read.
            No grammar is kept unless `generation` asks for it.
        min_presence: phrases that are there with a lower score are answered with nothing and
            listed in `absent`; for phrase grounding and open-vocabulary detection.
        generation: how the answer is searched for; None for the checkpoint's own way.
    """

    image: ImageSource | EncodedImage
    task: Task | str | None = None
    text_input: str = ""
    region: Sequence[float] | None = None
    min_score: float | None = None
    prompt: str | None = None
    min_presence: float = 0.0
    generation: GenerationOptions | None = None

    def __post_init__(self) -> None:
        for name in ("min_score", "min_presence"):
            given = getattr(self, name)
            if given is not None and not 0.0 <= given <= 1.0:
                raise ConfigError(f"{name} must be a number from 0 to 1; got {given!r}")

    @property
    def parsed_task(self) -> Task | None:
        """The task; None for a prompt without one.

        Raises:
            TaskError: the task is unknown, or does not go with the rest.
        """
        task = parse_optional(self.task)
        if self.prompt is None:
            if task is None:
                raise TaskError("there is no question; give a task, or a prompt of your own")
            return task
        if self.region is not None:
            raise TaskError(
                f"a prompt of your own is sent as it is, so region {self.region!r} would not be"
                " sent; write its four location tokens into the prompt"
            )
        if task is None and self.text_input:
            raise TaskError(
                f"a prompt of your own is sent as it is, so text_input {self.text_input!r} would"
                " not be sent; write it into the prompt"
            )
        if task is None and self.min_presence:
            raise TaskError(
                "min_presence is for tasks that ask for phrases; give such a task beside the"
                " prompt, or leave min_presence out"
            )
        return task

    def options(self, default: GenerationOptions) -> GenerationOptions:
        """How the answer is searched for, its grammar decided.

        Args:
            default: where the request does not say.
        """
        options = self.generation or default
        if self.prompt is None:
            return options if options.grammar is not None else replace(options, grammar="repair")
        if self.task is None and self.generation is not None and options.grammar:
            raise ConfigError(
                f"grammar {options.grammar!r} needs a task that says how the answer is written;"
                " give one beside the prompt, or leave the grammar out"
            )
        grammar = None if self.task is None else options.grammar
        return replace(options, grammar=grammar or False)


@dataclass(frozen=True, eq=False)
class Answer:
    """A result, how long each stage took in milliseconds, and the picture that it is about.

    Stages that requests share (vision, encode, first_token, tokens, repair) count their share.
    `image` is None where parts of the picture were asked, such as tiles.
    """

    result: Result
    timings_ms: dict[str, float]
    image: EncodedImage | None = None

    @property
    def is_repaired(self) -> bool:
        """Whether the answer broke the grammar of its task and was written once more within it."""
        return self.result.repaired


@dataclass(frozen=True)
class ImageRequest:
    """Encode a picture, for many questions; None is a blank one, of the mean colour."""

    image: ImageSource | EncodedImage | None


@dataclass(frozen=True, eq=False)
class CompletionRequest:
    """Write an answer to a prompt of token ids; for pipelines.

    Attributes:
        prefix_ids: tokens that the answer begins with, `<s>` first.
        grammar, state: what stands behind the prefix, from this state on.
        memory: what another request about this picture and prompt has left, to save computing.
    """

    image: EncodedImage
    prompt_ids: Sequence[int]
    options: GenerationOptions
    prefix_ids: Sequence[int] = ()
    grammar: Grammar | None = None
    state: State = START
    memory: PromptMemory | None = None


@dataclass(frozen=True, eq=False)
class LoglikelihoodRequest:
    """Score a given answer to a prompt of token ids: every token, given those before it.

    Attributes:
        answer_ids: `<s>` first, without the decoder's start token.
        memory: what another request about this picture and prompt has left, to save computing.
    """

    image: EncodedImage
    prompt_ids: Sequence[int]
    answer_ids: Sequence[int]
    memory: PromptMemory | None = None


@dataclass(frozen=True, eq=False)
class Completion:
    """A written answer, and the memory of its prompt."""

    generated: Generated
    memory: PromptMemory


@dataclass(frozen=True, eq=False)
class Loglikelihood:
    """The score of each token of an answer, and the memory of its prompt."""

    tokens: tuple[ScoredToken, ...]
    memory: PromptMemory


AnyRequest = Request | ImageRequest | CompletionRequest | LoglikelihoodRequest


class StageTimer:
    """Milliseconds between laps, by stage."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str, shared_by: int = 1) -> None:
        """Count the time since the last lap to a stage, or a share of it."""
        now = time.perf_counter()
        spent = (now - self._last) * 1000.0 / shared_by
        self.milliseconds[stage] = self.milliseconds.get(stage, 0.0) + spent
        self._last = now
