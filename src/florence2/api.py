"""The few lines a user types: load a model, ask about a picture, get a typed result.

model = Florence2.load()            # the small model inside the package
model.detect("street.jpg")          # -> Boxes
model.run("page.png", Task.OCR)     # -> Text
seen = model.encode_image("a.jpg")  # encode once ...
model.caption(seen)                 # ... ask many times
model.detect("big.jpg", tiles="auto")
model.run("form.png", prompt="<DocVQA>What is the total?")  # a checkpoint's own question
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from florence2.answers.calibration import Calibration
from florence2.answers.defaults import AnswerDefaults
from florence2.checkpoints.sources import absolute, absolute_adapter
from florence2.engine import Answer, EncodedImage, Engine, EngineLimits, ImageRequest, Request
from florence2.engine.engine import NO_PICTURE
from florence2.errors import (
    ConfigError,
    EngineError,
    Florence2Error,
    ImageError,
    TaskError,
    error_or,
    warn_moved,
)
from florence2.generation.options import GenerationOptions
from florence2.generation.runtime import Runtime
from florence2.pipelines import cascades
from florence2.pipelines.cascades import CascadeResult
from florence2.pipelines.pointing.locate import MIN_SCORE, locate
from florence2.pipelines.presence import presence
from florence2.pipelines.regions import run_regions
from florence2.pipelines.tiling.grid import Tiles
from florence2.pipelines.tiling.run import answer_tiled
from florence2.processing.images import ImageSource
from florence2.processing.processor import Processor
from florence2.results import Boxes, Polygons, Quads, Result, Text, as_boxes
from florence2.runtimes.select import Precision, load_runtime
from florence2.tasks import Task, join_classes

if TYPE_CHECKING:
    import torch

CaptionDetail = Literal["brief", "detailed", "paragraph"]
_CAPTION_TASKS: dict[str, Task] = {
    "brief": Task.CAPTION,
    "detailed": Task.DETAILED_CAPTION,
    "paragraph": Task.MORE_DETAILED_CAPTION,
}


class Florence2:
    """A loaded model with its tokenizer and engine; any thread may ask.

    `close()`, or leaving a `with` block, ends its threads and gives its memory back. A copy, and
    what another process unpickles, is loaded again from where this one came from; a forked child
    answers with what its parent loaded. docs/processes.md says more.

    Wherever a method takes `tiles`, `"auto"` cuts a large picture into tiles of the model's own
    side, `"4x3"` into columns and rows, and `Tiles(...)` says more: docs/tiling.md.

    Args:
        runtime: computes the model.
        name: of the model; it stands in results, and encoded pictures of other models are refused.
        generation: how answers are searched for where a question does not say.
        calibrations: for scores, of a task each.
        defaults: what the checkpoint leaves out where a question does not say.
        fingerprint: of the weights; needed with calibrations.
        limits: how much the engine takes on at once.
    """

    def __init__(
        self,
        runtime: Runtime,
        processor: Processor,
        *,
        name: str,
        generation: GenerationOptions | None = None,
        calibrations: Sequence[Calibration] = (),
        defaults: AnswerDefaults | None = None,
        fingerprint: str = "",
        limits: EngineLimits | None = None,
    ):
        for each in calibrations:
            each.check_model(name, fingerprint)
        self.fingerprint = fingerprint
        self._loaded_with: dict[str, Any] | None = None
        self.engine = Engine(
            runtime,
            processor,
            name,
            generation=generation,
            calibrations=calibrations,
            defaults=defaults,
            limits=limits,
        )

    @classmethod
    def load(
        cls,
        source: str = "nano",
        device: str | torch.device | None = None,
        precision: Precision | None = None,
        calibration: str | Path | Sequence[str | Path] | None = (),
        limits: EngineLimits | None = None,
        image_side: int | None = None,
        adapter: str | Path | None = None,
        tokenizer: str | Path | None = None,
    ) -> Florence2:
        """Load a model by short name, folder, weights file or hub id (`"owner/name@revision"`).

        Args:
            source: `"nano"` (inside the package), `"base"`, `"large"`, `"base-ft"`, `"large-ft"`,
                a path, or a hub id; an adapter's folder stands for its base model with it.
            device: where to compute; None takes CUDA where there is one, else the CPU.
            precision: `"float32"`, `"bfloat16"`, or `"int8"` (CPU only); None takes float32 on
                the CPU and bfloat16 on CUDA. docs/speed.md tells what each costs and gains.
            calibration: files of `florence2 calibrate`, for a task each. Scores and thresholds of
                these tasks are then calibrated; those of other tasks stay as the checkpoint has
                them. None leaves out its calibrations and thresholds too, as nano has them: scores
                are then the model's own, and all objects are kept.
            limits: how much the engine takes on at once.
            image_side: pixels to which pictures are resized; None takes the checkpoint's. Positions
                are stretched to it; docs/speed.md tells what it costs.
            adapter: folder or hub id of an adapter of `florence2 train --mode lora` or of PEFT; it
                is merged into the weights, so that answers take no longer.
            tokenizer: a `tokenizer.json` or a folder that holds one, for a checkpoint without;
                None takes the checkpoint's.

        Raises:
            WeightsError: the checkpoint cannot be found, is damaged, partial or foreign.
            ConfigError: a calibration was fitted on another model, or this machine cannot compute
                in the precision, or the model does not take pictures of the side.
        """
        paths = [calibration] if isinstance(calibration, str | Path) else calibration or ()
        calibrations = [Calibration.load(path) for path in paths]
        loaded = load_runtime(source, device, precision, image_side, adapter, tokenizer)
        if calibrations and loaded.runtime.config.image_side != loaded.trained_image_side:
            raise ConfigError(
                f"calibrations were fitted on pictures of {loaded.trained_image_side} pixels;"
                f" leave them out, or image_side {image_side!r}"
            )
        model = cls(
            loaded.runtime,
            Processor(loaded.tokenizer, loaded.runtime.config),
            name=str(source) if adapter is None else f"{source} with {adapter}",
            generation=loaded.generation,
            calibrations=calibrations,
            defaults=None if calibration is None else loaded.answers,
            fingerprint=loaded.fingerprint,
            limits=limits,
        )
        model._loaded_with = {
            "source": absolute(source),
            "device": None if device is None else str(device),
            "precision": precision,
            "calibration": calibration and [str(Path(path).resolve()) for path in paths],
            "limits": limits,
            "image_side": image_side,
            "adapter": None if adapter is None else absolute_adapter(adapter),
            "tokenizer": None if tokenizer is None else str(Path(tokenizer).expanduser().resolve()),
        }
        return model

    def __enter__(self) -> Florence2:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the threads, cancel what is on its way, and give the memory back."""
        self.engine.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Copied and pickled as what it was loaded from.

        Raises:
            EngineError: it was not made by `Florence2.load`.
        """
        if self._loaded_with is None:
            raise EngineError(
                f"model {self.name!r} was not made by Florence2.load(...), so it cannot be"
                " copied or sent to another process; load it there"
            )
        return _load_again, (self.name, self._loaded_with)

    @property
    def name(self) -> str:
        return self.engine.name

    @property
    def runtime(self) -> Runtime:
        return self.engine.runtime

    @property
    def processor(self) -> Processor:
        return self.engine.processor

    @property
    def generation(self) -> GenerationOptions:
        return self.engine.generation

    # -- until 0.6 ------------------------------------------------------------------------

    @property
    def model(self) -> Runtime:
        """`runtime` by its name in 0.4."""
        warn_moved("Florence2.model", "Florence2.runtime")
        return self.runtime

    def answer(
        self, requests: Sequence[Request], generation: GenerationOptions | None = None
    ) -> list[Answer]:
        """`engine.answer` by its place in 0.4."""
        warn_moved("Florence2.answer(...)", "Florence2.answer_many(...)")
        return self.engine.answer(_with_generation(request, generation) for request in requests)

    # -- asking ---------------------------------------------------------------------------

    def run(
        self,
        image: ImageSource | EncodedImage,
        task: Task | str | None = None,
        text_input: str = "",
        region: Sequence[float] | None = None,
        generation: GenerationOptions | None = None,
        min_score: float | None = None,
        min_presence: float = 0.0,
        *,
        prompt: str | None = None,
        tiles: Tiles | str | None = None,
    ) -> Result:
        """Ask one question about one picture; `Request` says what the thresholds do.

        Args:
            prompt: a question in a checkpoint's own words; the result is then the answer as it was
                written, with the points and boxes that it names in order: docs/prompts.md.

        Returns:
            The result type of the task: `Text`, `Boxes`, `Quads`, `Polygons` or `Mixed`; for a
            prompt without a task `Text`.

        Raises:
            ImageError: the picture cannot be read or is beyond the limits.
            TaskError: the task is unknown, or its input is missing, surplus or outside.
        """
        request = Request(
            image,
            task,
            text_input,
            region,
            min_score,
            prompt=prompt,
            min_presence=min_presence,
            generation=generation,
        )
        if (cut := parse_tiles(tiles)) is not None:
            found = answer_tiled(self.engine, request, cut).result
        else:
            found = self.engine.submit(request).result().result
        return found if isinstance(image, EncodedImage) else replace(found, picture=image)

    def run_many(
        self,
        requests: Iterable[Request],
        generation: GenerationOptions | None = None,
        batch_size: int = 32,
        *,
        tiles: Tiles | str | None = None,
    ) -> Iterator[Result | Florence2Error]:
        """Ask many questions; yields a result for each, in order, see `answer_many`."""
        paths: deque[str | Path | None] = deque()

        def noted() -> Iterator[Request]:
            for request in requests:
                # A picture in memory is its owner's to keep, not that of a thousand results.
                paths.append(request.image if isinstance(request.image, str | Path) else None)
                yield request

        for answer in self.answer_many(noted(), generation, batch_size, tiles=tiles):
            path = paths.popleft()
            yield replace(answer.result, picture=path) if isinstance(answer, Answer) else answer

    def answer_many(
        self,
        requests: Iterable[Request],
        generation: GenerationOptions | None = None,
        batch_size: int = 32,
        *,
        tiles: Tiles | str | None = None,
    ) -> Iterator[Answer | Florence2Error]:
        """Ask many questions; yields one item for each request, in order.

        A request that cannot be answered yields its error instead of an answer, and the others
        are answered all the same. Requests are taken as answers are given: at most `batch_size`
        are on their way at once, of which the engine's limits let some run. Equal pictures that
        come close together are encoded once.

        Args:
            generation: for the requests that do not say themselves.
        """
        asked = (_with_generation(request, generation) for request in requests)
        if (cut := parse_tiles(tiles)) is None:
            return self.engine.answer_many(asked, batch_size)
        return (error_or(answer_tiled, self.engine, request, cut) for request in asked)

    def run_regions(
        self,
        request: Request,
        regions: Sequence[Sequence[float]],
        *,
        windows: bool = False,
    ) -> list[Result]:
        """Ask one question about many regions of one picture; see `pipelines.regions`."""
        return run_regions(self.engine, request, regions, windows=windows)

    def encode_image(self, image: ImageSource | EncodedImage) -> EncodedImage:
        """Read, resize and encode a picture once; ask about it many times."""
        if image is None:
            raise ImageError(NO_PICTURE)
        return self.engine.submit(ImageRequest(image)).result()

    def presence(
        self,
        image: ImageSource | EncodedImage,
        phrases: str | Sequence[str],
        task: Task | str = Task.OPEN_VOCABULARY_DETECTION,
    ) -> tuple[float, ...]:
        """Score whether phrases are there at all: in [0, 1] for each, 0.5 if in doubt.

        Args:
            image: a picture.
            phrases: one phrase, or several.
            task: how the phrases are asked for: open-vocabulary detection or phrase grounding.
        """
        return presence(self.engine, image, phrases, task)

    # -- one method for each kind of question ----------------------------------------------

    def caption(self, image: ImageSource | EncodedImage, detail: CaptionDetail = "brief") -> Text:
        """Describe the picture in one sentence, in detail, or in a paragraph."""
        if detail not in _CAPTION_TASKS:
            allowed = ", ".join(map(repr, _CAPTION_TASKS))
            raise TaskError(f"caption detail {detail!r} is unknown; choose one of {allowed}")
        return cast(Text, self.run(image, _CAPTION_TASKS[detail]))

    def detect(
        self,
        image: ImageSource | EncodedImage,
        classes: str | Sequence[str] | None = None,
        *,
        min_score: float | None = None,
        min_presence: float = 0.0,
        tiles: Tiles | str | None = None,
    ) -> Boxes:
        """Find objects: all that the model knows, or those of the named classes.

        Named classes are asked through open-vocabulary detection, joined by `<and>`.
        """
        task, words = Task.OD, ""
        if classes is not None:
            task = Task.OPEN_VOCABULARY_DETECTION
            words = classes if isinstance(classes, str) else join_classes(classes)
        found = self.run(
            image, task, words, min_score=min_score, min_presence=min_presence, tiles=tiles
        )
        return replace(as_boxes(found), picture=found.picture)

    def ground(
        self,
        image: ImageSource | EncodedImage,
        caption: str,
        *,
        min_score: float | None = None,
        min_presence: float = 0.0,
        tiles: Tiles | str | None = None,
    ) -> Boxes:
        """Find the phrases of a caption."""
        task = Task.CAPTION_TO_PHRASE_GROUNDING
        found = self.run(
            image, task, caption, min_score=min_score, min_presence=min_presence, tiles=tiles
        )
        return cast(Boxes, found)

    def segment(
        self,
        image: ImageSource | EncodedImage,
        phrase: str = "",
        region: Sequence[float] | None = None,
        *,
        tiles: Tiles | str | None = None,
    ) -> Polygons:
        """Outline what a phrase names, or what a region holds; give one of the two."""
        if bool(phrase) == (region is not None):
            raise TaskError(
                f"segment needs a phrase or a region; got phrase {phrase!r} and region {region!r};"
                " give exactly one"
            )
        task = Task.REFERRING_EXPRESSION_SEGMENTATION if phrase else Task.REGION_TO_SEGMENTATION
        return cast(Polygons, self.run(image, task, phrase, region, tiles=tiles))

    def ocr(
        self,
        image: ImageSource | EncodedImage,
        region: Sequence[float] | None = None,
        *,
        with_regions: bool = False,
        tiles: Tiles | str | None = None,
    ) -> Text | Quads:
        """Read the text of a picture or of a region of it; `with_regions` says where it stands."""
        if with_regions and region is not None:
            raise TaskError("ocr reads either one region or all text with regions; give one")
        if with_regions:
            return cast(Quads, self.run(image, Task.OCR_WITH_REGION, tiles=tiles))
        task = Task.OCR if region is None else Task.REGION_TO_OCR
        return cast(Text, self.run(image, task, region=region, tiles=tiles))

    def describe_region(
        self, image: ImageSource | EncodedImage, region: Sequence[float], *, brief: bool = False
    ) -> Text:
        """Say what a region shows: a description, or with `brief` its category."""
        task = Task.REGION_TO_CATEGORY if brief else Task.REGION_TO_DESCRIPTION
        return cast(Text, self.run(image, task, region=region))

    def propose_regions(self, image: ImageSource | EncodedImage) -> Boxes:
        """Find regions worth looking at, without labels."""
        return cast(Boxes, self.run(image, Task.REGION_PROPOSAL))

    def locate(
        self,
        image: ImageSource | EncodedImage,
        words: str,
        *,
        min_score: float = MIN_SCORE,
    ) -> Boxes:
        """Find what to click on a screenshot: by its words, or by what its icon shows.

        The best comes first; the point to click is the middle of its box (`click_point` of
        `florence2.pipelines.pointing.locate`). docs/screens.md tells how well it works.

        Args:
            words: "Sign in", "Save button", "E-mail field", "search icon", "trash".
            min_score: what fits less is left out; often that is everything.
        """
        found = locate(self.engine, image, words, min_score=min_score)
        return found if isinstance(image, EncodedImage) else replace(found, picture=image)

    # -- chains of questions ----------------------------------------------------------------

    def ground_caption(
        self,
        image: ImageSource | EncodedImage,
        task: Task | str = Task.CAPTION,
        *,
        tiles: Tiles | str | None = None,
        min_score: float | None = None,
    ) -> CascadeResult:
        """Caption a picture, and find the phrases of the caption."""
        return cascades.ground_caption(
            self.engine, image, task, tiles=parse_tiles(tiles), min_score=min_score
        )

    def describe_objects(
        self,
        image: ImageSource | EncodedImage,
        *,
        tiles: Tiles | str | None = None,
        min_score: float | None = None,
    ) -> CascadeResult:
        """Detect objects, and describe the region of each."""
        return cascades.describe_objects(
            self.engine, image, tiles=parse_tiles(tiles), min_score=min_score
        )

    def detect_classes(
        self,
        image: ImageSource | EncodedImage,
        classes: Sequence[str],
        *,
        tiles: Tiles | str | None = None,
        min_score: float | None = None,
    ) -> CascadeResult:
        """Find the classes of a list of any length, and nothing else."""
        return cascades.detect_classes(
            self.engine, image, classes, tiles=parse_tiles(tiles), min_score=min_score
        )

    def ocr_layout(
        self,
        image: ImageSource | EncodedImage,
        *,
        tiles: Tiles | str | None = None,
        min_score: float | None = None,
    ) -> CascadeResult:
        """Read a page line by line, in blocks and columns as people read them."""
        return cascades.ocr_layout(
            self.engine, image, tiles=parse_tiles(tiles), min_score=min_score
        )


def parse_tiles(tiles: Tiles | str | None) -> Tiles | None:
    """Tiles, or how they are spelled: `"auto"`, `"COLSxROWS"`, `"off"`."""
    return Tiles.parse(tiles) if isinstance(tiles, str) else tiles


def _load_again(name: str, arguments: dict[str, Any]) -> Florence2:
    model = Florence2.load(**arguments)
    model.engine.rename(name)  # it may have been a relative path
    return model


def _with_generation(request: Request, generation: GenerationOptions | None) -> Request:
    if generation is None or request.generation is not None:
        return request
    return replace(request, generation=generation)
