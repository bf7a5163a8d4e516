"""The few lines a user types: load a model, ask about a picture, get a typed result.

model = Florence2.load()            # the small model inside the package
model.detect("street.jpg")          # -> Boxes
model.run("page.png", Task.OCR)     # -> Text
seen = model.encode_image("a.jpg")  # encode once ...
model.caption(seen)                 # ... ask many times
"""

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, cast

import torch
from torch import Tensor

from florence2.calibration import Calibration
from florence2.checkpoints.loading import load_checkpoint
from florence2.errors import ConfigError, Florence2Error, TaskError
from florence2.generation.decoding import generate
from florence2.generation.options import GenerationOptions, SpecialIds
from florence2.grammars import Grammars
from florence2.images import ImageSource, open_image
from florence2.locations import NUM_BINS
from florence2.model.florence2 import Florence2Model
from florence2.presence import Claim, Witness, check_task, doubtful_phrases
from florence2.processor import Processor
from florence2.results import Absent, Boxes, Mixed, Polygons, Quads, Result, Text
from florence2.tasks import Task

CaptionDetail = Literal["brief", "detailed", "paragraph"]
_CAPTION_TASKS: dict[str, Task] = {
    "brief": Task.CAPTION,
    "detailed": Task.DETAILED_CAPTION,
    "paragraph": Task.MORE_DETAILED_CAPTION,
}


@dataclass(frozen=True, eq=False)
class EncodedImage:
    """What depends on a picture alone: pass it wherever a picture is accepted.

    Attributes:
        image_size: `(width, height)` of the picture in pixels.
        image_tokens: `(1, I, D)`, the output of vision tower and projector, on the device.
        model_name: the model that made it; other models refuse it.
        timings_ms: how long reading, resizing and the vision tower took.
    """

    image_size: tuple[int, int]
    image_tokens: Tensor
    model_name: str
    timings_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """One question about one picture, for `Florence2.run_many`.

    Attributes:
        image: a path, encoded bytes, a Pillow image, an array, or an `EncodedImage`.
        task: `Task.OD`, `"<OD>"` or `"od"`.
        text_input: words for tasks that need them.
        region: `x_min, y_min, x_max, y_max` in pixels of the picture, for region tasks.
        min_score: objects of a lower score are left out; those without a score stay, and so do
            texts.
        min_presence: phrases that are there with a lower score are answered with nothing and
            told in `absent`; for phrase grounding and open-vocabulary detection.
        prompt: words of a checkpoint's own, sent in place of the task's; the task then only says
            how the answer is read.
    """

    image: "ImageSource | EncodedImage"
    task: Task | str
    text_input: str = ""
    region: Sequence[float] | None = None
    min_score: float = 0.0
    prompt: str | None = None
    min_presence: float = 0.0

    def __post_init__(self) -> None:
        for name in ("min_score", "min_presence"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                given = getattr(self, name)
                raise ConfigError(f"{name} must be a number from 0 to 1; got {given!r}")


@dataclass(frozen=True)
class Answer:
    """A result and how long each stage took, in milliseconds.

    Stages that a batch shares (vision, generate, repair) count their share of the batch.
    """

    result: Result
    timings_ms: dict[str, float]


class Florence2:
    """A loaded model with its tokenizer; holds no state between calls."""

    def __init__(
        self,
        model: Florence2Model,
        processor: Processor,
        *,
        name: str,
        generation: GenerationOptions | None = None,
        calibrations: Sequence[Calibration] = (),
    ):
        self.model = model.eval()
        self.processor = processor
        self.name = name
        self.generation = generation or GenerationOptions()
        self.calibrations = {each.task: each for each in calibrations}
        for each in calibrations:
            each.check_model(name, self.fingerprint())
        self._grammars = Grammars(processor.tokenizer, model.config.text.vocab_size)

    @classmethod
    def load(
        cls,
        source: str = "nano",
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
        calibration: str | Path | Sequence[str | Path] = (),
    ) -> "Florence2":
        """Load a model by short name, folder, weights file or hub id (`"owner/name@revision"`).

        Args:
            source: `"nano"` (inside the package), `"base"`, `"large"`, `"base-ft"`, `"large-ft"`,
                a path, or a hub id.
            device: where to compute; None takes CUDA where there is one, else the CPU.
            dtype: None takes float32 on the CPU and bfloat16 on CUDA.
            calibration: files of `florence2 calibrate`, for a task each. Scores and thresholds of
                these tasks are then calibrated; those of other tasks stay as they are.

        Raises:
            WeightsError: the checkpoint cannot be found, is damaged, partial or foreign.
            ConfigError: a calibration was fitted on another model.
        """
        paths = [calibration] if isinstance(calibration, str | Path) else calibration
        calibrations = [Calibration.load(path) for path in paths]
        chosen = choose_device(device)
        if dtype is None:
            dtype = torch.bfloat16 if chosen.type == "cuda" else torch.float32
        loaded = load_checkpoint(source, device=chosen, dtype=dtype)
        processor = Processor(loaded.tokenizer, loaded.model.config)
        return cls(
            loaded.model,
            processor,
            name=str(source),
            generation=loaded.generation,
            calibrations=calibrations,
        )

    @property
    def device(self) -> torch.device:
        return self.model.shared.weight.device

    def fingerprint(self) -> str:
        """A few letters that other weights do not share, whatever the dtype and the folder."""
        digest = hashlib.sha256()
        for name, weights in sorted(self.model.state_dict().items()):
            start = weights.flatten()[:64].to("cpu", torch.bfloat16).view(torch.int16)
            digest.update(f"{name} {tuple(weights.shape[1:])}".encode() + start.numpy().tobytes())
        return digest.hexdigest()[:16]

    # -- asking ---------------------------------------------------------------------------

    def run(
        self,
        image: "ImageSource | EncodedImage",
        task: Task | str,
        text_input: str = "",
        region: Sequence[float] | None = None,
        generation: GenerationOptions | None = None,
        min_score: float = 0.0,
        min_presence: float = 0.0,
    ) -> Result:
        """Ask one question about one picture; `Request` says what the thresholds do.

        Returns:
            The result type of the task: `Text`, `Boxes`, `Quads`, `Polygons` or `Mixed`.

        Raises:
            ImageError: the picture cannot be read or is beyond the limits.
            TaskError: the task is unknown, or its input is missing, surplus or outside.
        """
        request = Request(image, task, text_input, region, min_score, min_presence=min_presence)
        return self.answer([request], generation)[0].result

    def presence(
        self,
        image: "ImageSource | EncodedImage",
        phrases: str | Sequence[str],
        task: Task | str = Task.OPEN_VOCABULARY_DETECTION,
    ) -> tuple[float, ...]:
        """Tell whether phrases are there at all: a score in [0, 1] for each, 0.5 if in doubt.

        Args:
            image: a picture.
            phrases: one phrase, or several.
            task: how the phrases are asked for: open-vocabulary detection or phrase grounding.
        """
        task, seen = Task.parse(task), self.encode_image(image)
        names = [phrases] if isinstance(phrases, str) else phrases
        claims = [Claim(seen.image_tokens, task, name.strip()) for name in names]
        return tuple(each.score for each in self._witness.evidence(claims))

    def run_many(
        self,
        requests: Iterable[Request],
        generation: GenerationOptions | None = None,
        batch_size: int = 8,
    ) -> Iterator[Result | Florence2Error]:
        """Ask many questions in batches; yields one item for each request, in order.

        A request that cannot be answered yields its error instead of a result, and the others
        are answered all the same. Each picture is encoded for each request; to ask one picture
        often, pass the `EncodedImage` that `encode_image` returns.
        """
        if batch_size < 1:
            raise ConfigError(f"batch_size must be 1 or more; got {batch_size!r}")
        batch: list[Request] = []
        for request in requests:
            batch.append(request)
            if len(batch) == batch_size:
                yield from self._run_batch(batch, generation)
                batch = []
        yield from self._run_batch(batch, generation)

    def encode_image(self, image: "ImageSource | EncodedImage") -> EncodedImage:
        """Read, resize and encode a picture once; ask about it many times."""
        if isinstance(image, EncodedImage):
            if image.model_name != self.name:
                raise TaskError(
                    f"this encoded image was made by model {image.model_name!r}, not by"
                    f" {self.name!r}; encode the picture again with this model"
                )
            return image
        clock = Clock()
        picture = open_image(image)
        clock.mark("read")
        pixels = self.processor.pixels([picture])
        clock.mark("resize")
        with torch.inference_mode():
            weights = self.model.shared.weight
            tokens = self.model.encode_image(pixels.to(weights.device, weights.dtype))
        clock.mark("vision")
        return EncodedImage(picture.size, tokens, self.name, clock.milliseconds)

    def answer(
        self, requests: Sequence[Request], generation: GenerationOptions | None = None
    ) -> list[Answer]:
        """Answer requests as one batch, with timings; the first bad request raises."""
        options = generation or self.generation
        prepared = [replace(each, image=self.encode_image(each.image)) for each in requests]
        clock = Clock()
        results = self._results(prepared, options, within_grammar=options.grammar is True)
        clock.mark("generate")
        broken = [place for place, result in enumerate(results) if result.malformed]
        if broken and options.grammar == "repair":
            asked = [prepared[place] for place in broken]
            repaired = self._results(asked, options, within_grammar=True)
            for place, result in zip(broken, repaired, strict=True):
                results[place] = result
            clock.mark("repair")
        if any(each.min_presence for each in prepared):
            results = self._without_absent(prepared, results)
            clock.mark("presence")
        shared = {name: value / len(requests) for name, value in clock.milliseconds.items()}
        return [
            Answer(self._thresholded(result, each), {**_seen(each).timings_ms, **shared})
            for result, each in zip(results, prepared, strict=True)
        ]

    def _results(
        self, requests: Sequence[Request], options: GenerationOptions, *, within_grammar: bool
    ) -> list[Result]:
        """Answer requests, whose pictures are encoded, as one batch."""
        seen = [_seen(request) for request in requests]
        tasks = [Task.parse(request.task) for request in requests]
        prompts = [self._prompt(*pair) for pair in zip(requests, seen, strict=True)]
        prompt_ids, prompt_mask = self.processor.pad_prompts(prompts)
        grammars = None
        if within_grammar:
            grammars = [
                self._grammars.grammar(task, request.text_input, only_asked=options.grammar is True)
                for task, request in zip(tasks, requests, strict=True)
            ]
        written = generate(
            self.model,
            torch.cat([each.image_tokens for each in seen]),
            prompt_ids.to(self.device),
            prompt_mask.to(self.device) if len(requests) > 1 else None,
            options,
            self._special_ids(),
            grammars,
        )
        return [
            self.processor.result(each, task, picture.image_size)
            for each, task, picture in zip(written, tasks, seen, strict=True)
        ]

    def _without_absent(
        self, requests: Sequence[Request], results: Sequence[Result]
    ) -> list[Result]:
        """Take out of the results what is not in the pictures, where that was asked."""
        claims = [
            [
                Claim(_seen(request).image_tokens, Task.parse(request.task), phrase)
                for phrase in doubtful_phrases(result, request.text_input)
                if request.min_presence
            ]
            for request, result in zip(requests, results, strict=True)
        ]
        evidence = iter(self._witness.evidence([claim for each in claims for claim in each]))
        kept: list[Result] = []
        for request, result, its_claims in zip(requests, results, claims, strict=True):
            found = [Absent(claim.phrase, next(evidence).score) for claim in its_claims]
            absent = [each for each in found if each.score < request.min_presence]
            kept.append(result.without(absent) if isinstance(result, Boxes | Mixed) else result)
        return kept

    def _thresholded(self, result: Result, request: Request) -> Result:
        """The result with calibrated scores, without objects whose score is too low."""
        if calibration := self.calibrations.get(task := Task.parse(request.task)):
            result = calibration.apply(result, task)
        if isinstance(result, Text) or not request.min_score:
            return result
        return result.above(request.min_score)

    def _run_batch(
        self, batch: Sequence[Request], generation: GenerationOptions | None
    ) -> list[Result | Florence2Error]:
        prepared = [self._prepared(request) for request in batch]
        good = [each for each in prepared if isinstance(each, Request)]
        answers = iter(self.answer(good, generation) if good else [])
        return [next(answers).result if isinstance(each, Request) else each for each in prepared]

    def _prepared(self, request: Request) -> Request | Florence2Error:
        """The request with its picture encoded, or why it cannot be answered."""
        try:
            seen = self.encode_image(request.image)
            self._prompt(request, seen)
        except Florence2Error as error:
            return error
        return replace(request, image=seen)

    @cached_property
    def _witness(self) -> Witness:
        return Witness(self.model, self.processor, self._grammars)

    def _prompt(self, request: Request, seen: EncodedImage) -> list[int]:
        if request.min_presence:
            check_task(Task.parse(request.task))
        return self.processor.prompt_ids(
            Task.parse(request.task),
            request.text_input,
            request.region,
            seen.image_size,
            request.prompt,
        )

    def _special_ids(self) -> SpecialIds:
        text = self.model.config.text
        first = self.processor.tokenizer.loc_begin
        locations = range(first, first + NUM_BINS)
        return SpecialIds(text.decoder_start_id, text.bos_id, text.eos_id, locations)

    # -- one method for each kind of question ----------------------------------------------

    def caption(self, image: "ImageSource | EncodedImage", detail: CaptionDetail = "brief") -> Text:
        """Describe the picture in one sentence, in detail, or in a paragraph."""
        if detail not in _CAPTION_TASKS:
            allowed = ", ".join(map(repr, _CAPTION_TASKS))
            raise TaskError(f"caption detail {detail!r} is unknown; choose one of {allowed}")
        return cast(Text, self.run(image, _CAPTION_TASKS[detail]))

    def detect(
        self,
        image: "ImageSource | EncodedImage",
        classes: str | Sequence[str] | None = None,
        *,
        min_score: float = 0.0,
        min_presence: float = 0.0,
    ) -> Boxes:
        """Find objects: all that the model knows, or those of the named classes.

        Named classes are asked through open-vocabulary detection, joined by `<and>`.
        """
        task, words = Task.OD, ""
        if classes is not None:
            task = Task.OPEN_VOCABULARY_DETECTION
            words = classes if isinstance(classes, str) else "<and>".join(classes)
        found = self.run(image, task, words, min_score=min_score, min_presence=min_presence)
        return found.boxes if isinstance(found, Mixed) else cast(Boxes, found)

    def ground(
        self,
        image: "ImageSource | EncodedImage",
        caption: str,
        *,
        min_score: float = 0.0,
        min_presence: float = 0.0,
    ) -> Boxes:
        """Find the phrases of a caption."""
        task = Task.CAPTION_TO_PHRASE_GROUNDING
        found = self.run(image, task, caption, min_score=min_score, min_presence=min_presence)
        return cast(Boxes, found)

    def segment(
        self,
        image: "ImageSource | EncodedImage",
        phrase: str = "",
        region: Sequence[float] | None = None,
    ) -> Polygons:
        """Outline what a phrase names, or what a region holds; give one of the two."""
        if bool(phrase) == (region is not None):
            raise TaskError(
                f"segment needs a phrase or a region; got phrase {phrase!r} and region {region!r};"
                " give exactly one"
            )
        task = Task.REFERRING_EXPRESSION_SEGMENTATION if phrase else Task.REGION_TO_SEGMENTATION
        return cast(Polygons, self.run(image, task, phrase, region))

    def ocr(
        self,
        image: "ImageSource | EncodedImage",
        region: Sequence[float] | None = None,
        *,
        with_regions: bool = False,
    ) -> Text | Quads:
        """Read the text of a picture or of a region of it; `with_regions` says where it stands."""
        if with_regions and region is not None:
            raise TaskError("ocr reads either one region or all text with regions; give one")
        if with_regions:
            return cast(Quads, self.run(image, Task.OCR_WITH_REGION))
        task = Task.OCR if region is None else Task.REGION_TO_OCR
        return cast(Text, self.run(image, task, region=region))

    def describe_region(
        self, image: "ImageSource | EncodedImage", region: Sequence[float], *, brief: bool = False
    ) -> Text:
        """Say what a region shows: a description, or with `brief` its category."""
        task = Task.REGION_TO_CATEGORY if brief else Task.REGION_TO_DESCRIPTION
        return cast(Text, self.run(image, task, region=region))

    def propose_regions(self, image: "ImageSource | EncodedImage") -> Boxes:
        """Find regions worth looking at, without labels."""
        return cast(Boxes, self.run(image, Task.REGION_PROPOSAL))


def _seen(request: Request) -> EncodedImage:
    """The picture of a request that has been encoded."""
    assert isinstance(request.image, EncodedImage), "the picture was not encoded"
    return request.image


def choose_device(device: str | torch.device | None) -> torch.device:
    """The named device if it can hold a tensor, or the best one at hand."""
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(1, device=chosen)
        return torch.device(chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"device {str(chosen)!r} cannot be used ({reason}); give 'cpu', or 'cuda' on a"
            " machine with an NVIDIA GPU"
        ) from None


class Clock:
    """Milliseconds between marks."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def mark(self, name: str) -> None:
        now = time.perf_counter()
        self.milliseconds[name] = (now - self._last) * 1000.0
        self._last = now
