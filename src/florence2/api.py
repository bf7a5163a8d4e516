"""The few lines a user types: load a model, ask about a picture, get a typed result.

model = Florence2.load()            # the small model inside the package
model.detect("street.jpg")          # -> Boxes
model.run("page.png", Task.OCR)     # -> Text
seen = model.encode_image("a.jpg")  # encode once ...
model.caption(seen)                 # ... ask many times
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, cast, get_args

import torch

from florence2.calibration import Calibration
from florence2.checkpoints.loading import load_checkpoint
from florence2.engine import Clock, EncodedImage, Engine, Limits, Outcome, Question, Ticket
from florence2.errors import ConfigError, Florence2Error, TaskError
from florence2.generation.decoding import Runtime
from florence2.generation.options import GenerationOptions
from florence2.grammars import Grammars
from florence2.images import ImageSource
from florence2.model.florence2 import Florence2Model
from florence2.model.packed import PackedModel, Precision, can_pack, can_quantize
from florence2.model.side import set_image_side
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

    Stages that requests share (vision, encode, first_token, tokens, repair) count their share.
    """

    result: Result
    timings_ms: dict[str, float]


class Florence2:
    """A loaded model with its tokenizer and engine; any thread may ask.

    Args:
        model: the plain model, or another runtime.
        fingerprint: see `weights_fingerprint`; needed with calibrations.
        limits: how much the engine takes on at once.
    """

    def __init__(
        self,
        model: Runtime,
        processor: Processor,
        *,
        name: str,
        generation: GenerationOptions | None = None,
        calibrations: Sequence[Calibration] = (),
        fingerprint: str = "",
        limits: Limits | None = None,
    ):
        self.model = model
        self.processor = processor
        self.name = name
        self.fingerprint = fingerprint
        self.generation = generation or GenerationOptions()
        self.calibrations = {each.task: each for each in calibrations}
        for each in calibrations:
            each.check_model(name, fingerprint)
        self._grammars = Grammars(processor.tokenizer, model.config.text.vocab_size)
        self.engine = Engine(model, processor, self._grammars, name, limits)

    @classmethod
    def load(
        cls,
        source: str = "nano",
        device: str | torch.device | None = None,
        precision: Precision | None = None,
        calibration: str | Path | Sequence[str | Path] = (),
        limits: Limits | None = None,
        image_side: int | None = None,
    ) -> "Florence2":
        """Load a model by short name, folder, weights file or hub id (`"owner/name@revision"`).

        Args:
            source: `"nano"` (inside the package), `"base"`, `"large"`, `"base-ft"`, `"large-ft"`,
                a path, or a hub id.
            device: where to compute; None takes CUDA where there is one, else the CPU.
            precision: `"float32"`, `"bfloat16"`, or `"int8"` (CPU only); None takes float32 on
                the CPU and bfloat16 on CUDA. docs/speed.md tells what each costs and gains.
            calibration: files of `florence2 calibrate`, for a task each. Scores and thresholds of
                these tasks are then calibrated; those of other tasks stay as they are.
            limits: how much the engine takes on at once.
            image_side: pixels to which pictures are resized; None takes the checkpoint's. Positions
                are stretched to it; docs/speed.md tells what it costs.

        Raises:
            WeightsError: the checkpoint cannot be found, is damaged, partial or foreign.
            ConfigError: a calibration was fitted on another model, or this machine cannot compute
                in the precision, or the model does not take pictures of the side.
        """
        paths = [calibration] if isinstance(calibration, str | Path) else calibration
        calibrations = [Calibration.load(path) for path in paths]
        chosen = choose_device(device)
        precision = checked_precision(precision, chosen)
        # Packed weights are made from the stored ones, layer by layer.
        dtype = None if packs_on(chosen) else plain_dtype(precision)
        loaded = load_checkpoint(source, device=chosen, dtype=dtype)
        if calibrations and image_side not in (None, loaded.model.config.image_side):
            raise ConfigError(
                f"calibrations were fitted on pictures of {loaded.model.config.image_side} pixels;"
                f" leave them out, or image_side {image_side!r}"
            )
        fingerprint = weights_fingerprint(loaded.model)
        if image_side is not None:
            set_image_side(loaded.model, image_side)
        processor = Processor(loaded.tokenizer, loaded.model.config)
        return cls(
            as_runtime(loaded.model, precision, loaded.pages.let_go),
            processor,
            name=str(source),
            generation=loaded.generation,
            calibrations=calibrations,
            fingerprint=fingerprint,
            limits=limits,
        )

    @property
    def device(self) -> torch.device:
        return self.model.device

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
        batch_size: int = 32,
    ) -> Iterator[Result | Florence2Error]:
        """Ask many questions; yields a result for each, in order, see `answer_many`."""
        for answer in self.answer_many(requests, generation, batch_size):
            yield answer.result if isinstance(answer, Answer) else answer

    def answer_many(
        self,
        requests: Iterable[Request],
        generation: GenerationOptions | None = None,
        batch_size: int = 32,
    ) -> Iterator[Answer | Florence2Error]:
        """Ask many questions; yields one item for each request, in order.

        A request that cannot be answered yields its error instead of an answer, and the others
        are answered all the same. Requests are taken as answers are given: at most `batch_size`
        are on their way at once, of which the engine's limits let some run. Equal pictures that
        come close together are encoded once.
        """
        if batch_size < 1:
            raise ConfigError(f"batch_size must be 1 or more; got {batch_size!r}")
        on_their_way: deque[tuple[Request, Ticket | Florence2Error]] = deque()
        try:
            for request in requests:
                on_their_way.append((request, self._submit_or_error(request, generation)))
                if len(on_their_way) == batch_size:
                    yield self._answer_or_error(*on_their_way.popleft())
            while on_their_way:
                yield self._answer_or_error(*on_their_way.popleft())
        finally:  # also where the caller stops listening
            for _, ticket in on_their_way:
                if isinstance(ticket, Ticket):
                    ticket.cancel()

    def encode_image(self, image: "ImageSource | EncodedImage") -> EncodedImage:
        """Read, resize and encode a picture once; ask about it many times."""
        pictures = self.engine.pictures
        return pictures.encode([pictures.read(image)])[0]

    def answer(
        self, requests: Sequence[Request], generation: GenerationOptions | None = None
    ) -> list[Answer]:
        """Answer requests side by side, with timings; the first bad request raises."""
        tickets: list[Ticket] = []
        try:
            tickets += (self._submit(request, generation) for request in requests)
            outcomes = [ticket.outcome() for ticket in tickets]
        finally:
            for ticket in tickets:
                ticket.cancel()
        return self._finished(requests, outcomes)

    def _submit(self, request: Request, generation: GenerationOptions | None) -> Ticket:
        task = Task.parse(request.task)
        if request.min_presence:
            check_task(task)
        options = generation or self.generation
        return self.engine.submit(
            Question(
                request.image, task, options, request.text_input, request.region, request.prompt
            )
        )

    def _submit_or_error(
        self, request: Request, generation: GenerationOptions | None
    ) -> Ticket | Florence2Error:
        try:
            return self._submit(request, generation)
        except Florence2Error as error:
            return error

    def _answer_or_error(
        self, request: Request, ticket: Ticket | Florence2Error
    ) -> Answer | Florence2Error:
        if isinstance(ticket, Florence2Error):
            return ticket
        try:
            return self._finished([request], [ticket.outcome()])[0]
        except Florence2Error as error:
            return error

    def _finished(self, requests: Sequence[Request], outcomes: Sequence[Outcome]) -> list[Answer]:
        """Apply the thresholds of the requests, and calibrations."""
        results = [outcome.result for outcome in outcomes]
        clock = Clock()
        if any(request.min_presence for request in requests):
            seen = [outcome.image for outcome in outcomes]
            results = self._without_absent(requests, seen, results)
            clock.mark("presence", shared_by=len(requests))
        return [
            Answer(self._thresholded(result, request), outcome.timings_ms | clock.milliseconds)
            for result, request, outcome in zip(results, requests, outcomes, strict=True)
        ]

    def _without_absent(
        self,
        requests: Sequence[Request],
        images: Sequence[EncodedImage],
        results: Sequence[Result],
    ) -> list[Result]:
        """Take out of the results what is not in the pictures, where that was asked."""
        claims = [
            [
                Claim(image.image_tokens, Task.parse(request.task), phrase)
                for phrase in doubtful_phrases(result, request.text_input)
                if request.min_presence
            ]
            for request, image, result in zip(requests, images, results, strict=True)
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

    @cached_property
    def _witness(self) -> Witness:
        return Witness(self.model, self.processor, self._grammars)

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


def checked_precision(precision: Precision | None, device: torch.device) -> Precision:
    """The precision to compute in; raises where this device cannot."""
    on_cpu = device.type == "cpu"
    if precision is None:
        return "float32" if on_cpu else "bfloat16"
    allowed = get_args(Precision) if on_cpu else ("float32", "bfloat16")
    if precision not in allowed:
        names = ", ".join(map(repr, allowed))
        raise ConfigError(
            f"precision {precision!r} is unknown on device {str(device)!r}; choose one of {names}"
        )
    if precision == "int8" and not can_quantize():
        raise ConfigError(
            "precision 'int8' needs a processor with VNNI (x86 from 2019 on) and a PyTorch with"
            " oneDNN, which this machine has not; choose 'bfloat16' or 'float32'"
        )
    return precision


def packs_on(device: torch.device) -> bool:
    return device.type == "cpu" and can_pack()


def plain_dtype(precision: Precision) -> torch.dtype:
    """What a model computes in that is not packed."""
    return torch.float32 if precision == "float32" else torch.bfloat16


def as_runtime(
    model: Florence2Model, precision: Precision, done: Callable[[], None] = lambda: None
) -> Runtime:
    """The fastest way to compute a model where it is; the model itself is used up.

    Args:
        model: its weights in any dtype.
        done: see `PackedModel`.
    """
    if packs_on(model.device):
        return PackedModel(model, precision, done)
    return model.eval().to(plain_dtype(precision))


def weights_fingerprint(model: Florence2Model) -> str:
    """A few letters that other weights do not share, whatever the dtype and the folder."""
    digest = hashlib.sha256()
    for name, weights in sorted(model.state_dict().items()):
        start = weights.flatten()[:64].to("cpu", torch.bfloat16).view(torch.int16)
        digest.update(f"{name} {tuple(weights.shape[1:])}".encode() + start.numpy().tobytes())
    return digest.hexdigest()[:16]
