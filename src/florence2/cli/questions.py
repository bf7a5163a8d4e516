"""What `florence2 run` asks of each picture: one task, for a region or many, or a cascade."""

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from florence2.errors import DataError, Florence2Error, ImageError, TaskError
from florence2.tasks import Task
from florence2.tiling.grid import Tiles

if TYPE_CHECKING:
    from florence2.api import Answer, Florence2, Request
    from florence2.calibration import Calibration
    from florence2.cascades import Cascaded
    from florence2.engine import EncodedImage
    from florence2.generation.options import GenerationOptions
    from florence2.images import ImageSource
    from florence2.results import Result

T = TypeVar("T")
Region = tuple[float, ...]  # x_min, y_min, x_max, y_max in pixels

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
    """One task, at once or through tiles; with several regions once for each of them."""

    task: Task
    text: str
    regions: Sequence[Region]
    tiles: Tiles | None
    min_score: float
    min_presence: float

    def __post_init__(self) -> None:
        # Missing or surplus input is refused before a model is loaded.
        self.task.prompt(self.text, (0, 0, 999, 999) if self.regions else None)

    @property
    def name(self) -> str:
        return self.task.name.lower()

    def heads(self, images: Sequence[str]) -> list[dict[str, Any]]:
        """What each answer is about, in the order of `ask_all`."""
        regions = [{"region": list(region)} for region in self.regions] or [{}]
        return [
            {"image": image, "task": self.task.token, **region}
            for image in images
            for region in regions
        ]

    def check_calibration(self, calibration: "Calibration") -> None:
        calibration.check_task(self.task)

    def ask_all(
        self, model: "Florence2", images: Sequence[str], options: "GenerationOptions"
    ) -> "Iterator[Told | Florence2Error]":
        """An answer or an error for each picture and region, in order."""
        from florence2.api import Answer

        if len(self.regions) > 1:
            each_picture = (self._ask_regions(model, image, options) for image in images)
            answers: Iterable[Answer | Florence2Error] = chain.from_iterable(each_picture)
        else:
            region = self.regions[0] if self.regions else None
            requests = (self._request(image, region) for image in images)
            answers = self._ask_each(model, requests, options)
        for answer in answers:
            yield self._told(model, answer) if isinstance(answer, Answer) else answer

    def _request(self, image: "ImageSource | EncodedImage", region: Region | None) -> "Request":
        from florence2.api import Request

        presence = self.min_presence
        return Request(image, self.task, self.text, region, self.min_score, min_presence=presence)

    def _ask_each(
        self, model: "Florence2", requests: "Iterable[Request]", options: "GenerationOptions"
    ) -> "Iterator[Answer | Florence2Error]":
        """Answer requests, without tiles side by side."""
        if self.tiles is None:
            return model.answer_many(requests, options)
        ask = partial(_tiled, model, tiles=self.tiles, options=options)
        return (told_error(partial(ask, request)) for request in requests)

    def _ask_regions(
        self, model: "Florence2", image: str, options: "GenerationOptions"
    ) -> "Iterator[Answer | Florence2Error]":
        """Answer for many regions of a picture, which is read and, without tiles, encoded once."""
        from florence2.images import open_image

        look: Callable[[str], ImageSource | EncodedImage] = (
            model.encode_image if self.tiles is None else open_image
        )
        seen = told_error(partial(look, image))
        if isinstance(seen, Florence2Error):
            return iter([seen] * len(self.regions))
        requests = (self._request(seen, region) for region in self.regions)
        return self._ask_each(model, requests, options)

    def _told(self, model: "Florence2", answered: "Answer") -> Told:
        content = answered.result.to_dict()
        common = {key: content.pop(key) for key in ("answer", "finish_reason", "malformed")}
        line = {"result": content, **common, **_made_by(model, answered.timings_ms)}
        return Told(line, answered.result)


def _tiled(
    model: "Florence2", request: "Request", *, tiles: Tiles, options: "GenerationOptions"
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

    def heads(self, images: Sequence[str]) -> list[dict[str, Any]]:
        return [{"image": image, "cascade": self.name} for image in images]

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
    regions = [_parse_region(each, f"region {each!r}") for each in arguments.region]
    if arguments.regions is not None:
        regions += _read_regions(arguments.regions)
    if not arguments.cascade:
        task = Task.parse(arguments.task)
        return TaskQuestion(
            task, arguments.text, regions, tiles, arguments.min_score, arguments.min_presence
        )
    if arguments.min_presence:
        raise TaskError(f"cascade {arguments.cascade!r} takes no --min-presence; leave it out")
    if regions:
        raise TaskError(
            f"cascade {arguments.cascade!r} takes no region; leave --region and --regions out"
        )
    classes = [name for name in map(str.strip, arguments.text.split(",")) if name]
    if bool(classes) != (arguments.cascade == "classes"):
        needs = "needs names divided by commas" if not classes else "takes no text; leave it out"
        raise TaskError(f"cascade {arguments.cascade!r} {needs}; got --text {arguments.text!r}")
    return CascadeQuestion(arguments.cascade, classes, tiles, arguments.min_score)


def _parse_region(text: str, named: str) -> Region:
    """Four numbers of `x1,y1,x2,y2`."""
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 4:
        raise TaskError(f"{named} is not a box; give four numbers in pixels: x1,y1,x2,y2")
    return numbers


def _read_regions(path: Path) -> list[Region]:
    """The regions in a file, one a line; blank lines do not count."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise DataError(
            f"regions {str(path)!r} cannot be read ({reason}); give a text file with a box"
            " x1,y1,x2,y2 in each line"
        ) from None
    regions = [
        _parse_region(line, f"line {number} of {str(path)!r}, {line!r},")
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    if not regions:
        raise DataError(f"regions {str(path)!r} holds none; put a box x1,y1,x2,y2 in each line")
    return regions
