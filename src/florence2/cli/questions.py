"""What `florence2 run` asks of each picture: one task, or a cascade of several."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from florence2.errors import Florence2Error, ImageError, TaskError
from florence2.tasks import Task
from florence2.tiling.grid import Tiles

if TYPE_CHECKING:
    from florence2.api import Answer, Florence2, Request
    from florence2.calibration import Calibration
    from florence2.cascades import Cascaded
    from florence2.generation.options import GenerationOptions
    from florence2.results import Result

T = TypeVar("T")

# Cascades by their names on the command line.
CASCADES = {
    "ground": "caption, then where its phrases are",
    "describe": "objects, then what each looks like",
    "classes": "the classes in --text, any number of them, divided by commas",
    "layout": "lines, blocks and columns of a page in the order of reading",
}


@dataclass(frozen=True)
class Told:
    """What is printed of an answer, and what is drawn of it."""

    line: dict[str, Any]
    drawn: "Result"


@dataclass(frozen=True)
class TaskQuestion:
    """One task, at once or through tiles."""

    task: Task
    text: str
    region: tuple[float, ...] | None
    tiles: Tiles | None
    min_score: float
    min_presence: float

    def __post_init__(self) -> None:
        # Missing or surplus input is refused before a model is loaded.
        self.task.prompt(self.text, None if self.region is None else (0, 0, 999, 999))

    @property
    def name(self) -> str:
        return self.task.name.lower()

    @property
    def head(self) -> dict[str, str]:
        return {"task": self.task.token}

    def check_calibration(self, calibration: "Calibration") -> None:
        calibration.check_task(self.task)

    def ask_all(
        self, model: "Florence2", images: Sequence[str], options: "GenerationOptions"
    ) -> "Iterator[Told | Florence2Error]":
        """An answer or an error for each picture, in order; those without tiles side by side."""
        from florence2.api import Answer, Request

        request = Request(
            "", self.task, self.text, self.region, self.min_score, min_presence=self.min_presence
        )
        requests = (replace(request, image=image) for image in images)
        if self.tiles is None:
            answers = model.answer_many(requests, options)
        else:
            tiles = self.tiles
            answers = (
                told_error(partial(_tiled, model, each, tiles, options)) for each in requests
            )
        for answer in answers:
            yield self._told(model, answer) if isinstance(answer, Answer) else answer

    def _told(self, model: "Florence2", answered: "Answer") -> Told:
        content = answered.result.to_dict()
        common = {key: content.pop(key) for key in ("answer", "finish_reason", "malformed")}
        line = {"result": content, **common, **_made_by(model, answered.timings_ms)}
        return Told(line, answered.result)


def _tiled(
    model: "Florence2", request: "Request", tiles: Tiles, options: "GenerationOptions"
) -> "Answer":
    from florence2.api import Answer
    from florence2.engine import Clock
    from florence2.tiling.asking import run_tiled

    clock = Clock()
    result = run_tiled(model, request, tiles, options)
    clock.mark("tiles")
    return Answer(result, clock.milliseconds)


def told_error(ask: Callable[[], T]) -> T | Florence2Error:
    """What a question about one picture gives, or why that picture cannot be answered."""
    try:
        return ask()
    except (ImageError, TaskError) as error:
        return error


@dataclass(frozen=True)
class CascadeQuestion:
    """A chain of questions."""

    name: str
    classes: Sequence[str]
    tiles: Tiles | None
    min_score: float

    @property
    def head(self) -> dict[str, str]:
        return {"cascade": self.name}

    def check_calibration(self, calibration: "Calibration") -> None:
        """Any will do: those of the tasks that are asked are used."""

    def ask_all(
        self, model: "Florence2", images: Sequence[str], options: "GenerationOptions"
    ) -> "Iterator[Told | Florence2Error]":
        """An answer or an error for each picture, in order."""
        for image in images:
            yield told_error(partial(self._ask, model, image, options))

    def _ask(self, model: "Florence2", image: str, options: "GenerationOptions") -> Told:
        from florence2.engine import Clock

        clock = Clock()
        cascaded = self._answer(model, image, options)
        clock.mark("cascade")
        line = {"result": cascaded.to_dict(), **_made_by(model, clock.milliseconds)}
        return Told(line, _with_descriptions(cascaded))

    def _answer(self, model: "Florence2", image: str, options: "GenerationOptions") -> "Cascaded":
        from florence2 import cascades

        how: dict[str, Any] = {
            "tiles": self.tiles,
            "generation": options,
            "min_score": self.min_score,
        }
        match self.name:
            case "ground":
                return cascades.ground_caption(model, image, **how)
            case "describe":
                return cascades.describe_objects(model, image, **how)
            case "classes":
                return cascades.detect_classes(model, image, self.classes, **how)
        return cascades.read_layout(model, image, **how)


def _with_descriptions(cascaded: "Cascaded") -> "Result":
    """The objects to draw, named by their descriptions where there are any."""
    if not cascaded.descriptions:
        return cascaded.objects
    labels = tuple(each.text for each in cascaded.descriptions)
    return replace(cascaded.objects, labels=labels)


def _made_by(model: "Florence2", timings_ms: dict[str, float]) -> dict[str, Any]:
    rounded = {key: round(value, 1) for key, value in timings_ms.items()}
    return {"model": model.name, "timings_ms": rounded}


def parse_question(arguments: argparse.Namespace) -> TaskQuestion | CascadeQuestion:
    """The question that the flags ask, checked as far as that needs no picture."""
    tiles = Tiles.parse(arguments.tiles)
    region = _parse_region(arguments.region)
    if not arguments.cascade:
        task = Task.parse(arguments.task)
        if tiles is not None and arguments.min_presence:
            raise TaskError(
                "--min-presence asks about the whole picture and cannot be used with --tiles;"
                " leave one of the two out"
            )
        return TaskQuestion(
            task, arguments.text, region, tiles, arguments.min_score, arguments.min_presence
        )
    if arguments.min_presence:
        raise TaskError(f"cascade {arguments.cascade!r} takes no --min-presence; leave it out")
    if region is not None:
        raise TaskError(f"cascade {arguments.cascade!r} takes no region; leave --region out")
    classes = [name for name in map(str.strip, arguments.text.split(",")) if name]
    if bool(classes) != (arguments.cascade == "classes"):
        needs = "needs names divided by commas" if not classes else "takes no text; leave it out"
        raise TaskError(f"cascade {arguments.cascade!r} {needs}; got --text {arguments.text!r}")
    return CascadeQuestion(arguments.cascade, classes, tiles, arguments.min_score)


def _parse_region(text: str | None) -> tuple[float, ...] | None:
    """Four numbers of `x1,y1,x2,y2`."""
    if text is None:
        return None
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 4:
        raise TaskError(f"region {text!r} is not a box; give four numbers in pixels: x1,y1,x2,y2")
    return numbers
