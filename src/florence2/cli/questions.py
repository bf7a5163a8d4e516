"""What `florence2 run` asks of each picture: a task or a prompt of its own, or a cascade."""

import argparse
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from florence2.errors import DataError, Florence2Error, TaskError
from florence2.pipelines.pointing.wording import folded
from florence2.pipelines.tiling.grid import Tiles
from florence2.tasks import Task, parse_optional, task_name, without_placeholder

if TYPE_CHECKING:
    from florence2.answers.calibration import Calibration
    from florence2.api import Florence2
    from florence2.data.sources import NamedPicture
    from florence2.engine import Answer, EncodedImage, Request
    from florence2.generation.options import GenerationOptions
    from florence2.pipelines.cascades import CascadeResult
    from florence2.processing.images import ImageSource
    from florence2.results import Result

# What lines tell beside a result, in this order.
COMMON = ("answer", "finish_reason", "malformed", "repaired", "first_answer")

Region = tuple[float, ...]  # x_min, y_min, x_max, y_max in pixels

# Cascades by their names on the command line.
CASCADES = {
    "ground": "caption, then where its phrases are",
    "describe": "objects, then what each looks like",
    "classes": "the classes in --text, any number of them, divided by commas",
    "layout": "lines, blocks and columns of a page in the order of reading",
    "locate": "the point to click on a screenshot for the words in --text",
}


@dataclass(frozen=True)
class OutputLine:
    """What is printed of an answer, and what is drawn of it; or why there is none.

    Attributes:
        content: the JSON object.
        picture: that was asked about.
        found: the result.
        drawn: what is drawn of it.
        error: why there is no answer.
    """

    content: dict[str, Any]
    picture: "NamedPicture"
    found: "Result | CascadeResult | None" = None
    drawn: "Result | None" = None
    error: Florence2Error | None = None


@dataclass(frozen=True)
class TaskJob:
    """One task, at once or through tiles; with several regions once for each of them.

    A prompt of a checkpoint's own is sent in place of the task's sentence; then `task` is None, or
    tells how the answers are read.
    """

    task: Task | None
    text: str
    regions: Sequence[Region]
    tiles: Tiles | None
    min_score: float | None
    min_presence: float
    prompt: str | None = None

    def __post_init__(self) -> None:
        # Missing or surplus input is refused before a model is loaded.
        if self.prompt is None:
            assert self.task is not None, "one of the two is given"
            self.task.prompt(self.text, (0, 0, 999, 999) if self.regions else None)
            return
        if not without_placeholder(self.prompt).strip():
            raise TaskError(f"--prompt {self.prompt!r} is empty; write a question")
        sent: dict[str, object] = {"--text": self.text, "--region": self.regions}
        read: dict[str, object] = {"--tiles": self.tiles, "--min-presence": self.min_presence}
        if flags := [flag for flag, value in sent.items() if value]:
            raise TaskError(
                f"--prompt is sent as it is, so it takes no {flags[0]}; write that into the prompt"
            )
        if self.task is None and (flags := [flag for flag, value in read.items() if value]):
            raise TaskError(
                f"--prompt without a task takes no {flags[0]}: its answer is printed as it was"
                " written; leave that out, or give --task too"
            )

    @property
    def name(self) -> str:
        return task_name(self.task)

    @property
    def lines_each(self) -> int:
        """Lines that `lines` yields for a picture."""
        return max(1, len(self.regions))

    @property
    def reads_text(self) -> bool:
        return self.task is not None and self.task.reads_text

    @property
    def asked(self) -> dict[str, str]:
        """What is asked of each picture, as lines tell it."""
        asked = {} if self.task is None else {"task": self.task.token}
        if self.text:
            asked["text_input"] = self.text
        return asked if self.prompt is None else asked | {"prompt": self.prompt}

    def check_calibration(self, calibration: "Calibration") -> None:
        if self.task is None:
            raise TaskError("--calibration is of a task; give --task too, or leave it out")
        calibration.check_task(self.task)

    def lines(
        self,
        model: "Florence2",
        pictures: "Iterable[NamedPicture]",
        options: "GenerationOptions",
    ) -> Iterator[OutputLine]:
        """A line for each picture and region, in order."""
        if len(self.regions) < 2:
            yield from self._one_each(model, pictures, options)
            return
        for picture in pictures:
            of_regions = self._ask_regions(model, picture, options)
            for region, answer in zip(self.regions, of_regions, strict=True):
                yield self._line(model, picture, region, answer)

    def _one_each(
        self,
        model: "Florence2",
        pictures: "Iterable[NamedPicture]",
        options: "GenerationOptions",
    ) -> Iterator[OutputLine]:
        """Ask side by side; pictures that could not be had keep their place among the answers."""
        region = self.regions[0] if self.regions else None
        on_their_way: deque[NamedPicture] = deque()

        def requests() -> "Iterator[Request]":
            for picture in pictures:
                on_their_way.append(picture)
                if picture.image is not None:
                    yield self._request(picture.image, region, options)

        def failed() -> Iterator[OutputLine]:
            while on_their_way and (error := on_their_way[0].error) is not None:
                yield self._line(model, on_their_way.popleft(), region, error)

        for answer in model.answer_many(requests(), tiles=self.tiles):
            yield from failed()
            yield self._line(model, on_their_way.popleft(), region, answer)
        yield from failed()

    def _request(
        self,
        image: "ImageSource | EncodedImage",
        region: Region | None,
        options: "GenerationOptions",
    ) -> "Request":
        from florence2.engine import Request

        return Request(
            image,
            self.task,
            self.text,
            region,
            self.min_score,
            prompt=self.prompt,
            min_presence=self.min_presence,
            generation=options,
        )

    def _ask_regions(
        self, model: "Florence2", picture: "NamedPicture", options: "GenerationOptions"
    ) -> "Iterable[Answer | Florence2Error]":
        """Answer for many regions of a picture, which is read and, without tiles, encoded once."""
        from florence2.processing.images import open_image

        look: Callable[[ImageSource], ImageSource | EncodedImage] = (
            model.encode_image if self.tiles is None else open_image
        )
        if picture.image is None:
            assert picture.error is not None, "a picture or an error"
            return [picture.error] * len(self.regions)
        try:
            seen = look(picture.image)
        except Florence2Error as error:
            return [error] * len(self.regions)
        requests = (self._request(seen, region, options) for region in self.regions)
        return model.answer_many(requests, tiles=self.tiles)

    def _line(
        self,
        model: "Florence2",
        picture: "NamedPicture",
        region: Region | None,
        answer: "Answer | Florence2Error",
    ) -> OutputLine:
        asked: dict[str, Any] = {**written_name(picture.name), **self.asked}
        if region is not None:
            asked["region"] = list(region)
        if isinstance(answer, Florence2Error):
            return _failed(asked, picture, answer)
        content = answer.result.to_dict()
        common = {key: content.pop(key) for key in COMMON}
        line = asked | {"result": content} | common | _provenance(model, answer.timings_ms)
        return OutputLine(line, picture, answer.result, answer.result)


@dataclass(frozen=True)
class CascadeJob:
    """A chain of questions."""

    name: str
    classes: Sequence[str]
    tiles: Tiles | None
    min_score: float | None
    lines_each: ClassVar[int] = 1
    regions: ClassVar[Sequence[Region]] = ()

    @property
    def reads_text(self) -> bool:
        return self.name == "layout"

    @property
    def asked(self) -> dict[str, str]:
        """What is asked of each picture, as lines tell it."""
        asked = {"cascade": self.name}
        return asked | {"text_input": ", ".join(self.classes)} if self.classes else asked

    def check_calibration(self, calibration: "Calibration") -> None:
        """Any will do: those of the tasks that are asked are used."""

    def lines(
        self,
        model: "Florence2",
        pictures: "Iterable[NamedPicture]",
        options: "GenerationOptions",
    ) -> Iterator[OutputLine]:
        """A line for each picture, in order."""
        for picture in pictures:
            asked = {**written_name(picture.name), **self.asked}
            try:
                yield self._line(model, picture, asked, options)
            except Florence2Error as error:
                yield _failed(asked, picture, error)

    def _line(
        self,
        model: "Florence2",
        picture: "NamedPicture",
        asked: dict[str, str],
        options: "GenerationOptions",
    ) -> OutputLine:
        from florence2.engine import StageTimer

        if picture.error is not None:
            raise picture.error
        timer = StageTimer()
        found = self._ask(options)(model.engine, picture.image)
        timer.lap("cascade")
        line = asked | {"result": found.to_dict()} | _provenance(model, timer.milliseconds)
        return OutputLine(line, picture, found, _with_descriptions(found))

    def _ask(self, options: "GenerationOptions") -> "Callable[..., CascadeResult]":
        from florence2.pipelines import cascades

        how = {"tiles": self.tiles, "generation": options, "min_score": self.min_score}
        match self.name:
            case "ground":
                return partial(cascades.ground_caption, **how)  # type: ignore[arg-type]
            case "describe":
                return partial(cascades.describe_objects, **how)  # type: ignore[arg-type]
            case "classes":
                return partial(cascades.detect_classes, classes=self.classes, **how)  # type: ignore[arg-type]
            case "locate":
                # A screen is always looked at in full detail, so there is nothing to cut.
                words, least = self.classes[0], self.min_score
                return partial(cascades.locate_part, words=words, min_score=least or None)
        return partial(cascades.ocr_layout, **how)  # type: ignore[arg-type]


def _failed(asked: dict[str, Any], picture: "NamedPicture", error: Florence2Error) -> OutputLine:
    return OutputLine(asked | {"error": str(error)}, picture, error=error)


def written_name(name: str) -> dict[str, str]:
    """A file name for JSON, which knows only Unicode: what is no UTF-8 gets its bytes beside it.

    >>> written_name("caf\\udce9.png")
    {'image': 'caf\\\\xe9.png', 'image_bytes': '636166e92e706e67'}
    """
    data = os.fsencode(name)
    text = data.decode("utf-8", "backslashreplace")
    return {"image": text} if text.encode() == data else {"image": text, "image_bytes": data.hex()}


def _with_descriptions(cascade: "CascadeResult") -> "Result":
    """The objects to draw, named by their descriptions where there are any."""
    if not cascade.descriptions:
        return cascade.objects
    labels = tuple(each.text for each in cascade.descriptions)
    return replace(cascade.objects, labels=labels)


def _provenance(model: "Florence2", timings_ms: dict[str, float]) -> dict[str, Any]:
    rounded = {key: round(value, 1) for key, value in timings_ms.items()}
    return {"model": model.name, "timings_ms": rounded}


def parse_question(arguments: argparse.Namespace) -> TaskJob | CascadeJob:
    """The question that the flags ask, checked as far as that needs no picture."""
    tiles = Tiles.parse(arguments.tiles)
    regions = [_parse_region(each, f"region {each!r}") for each in arguments.region]
    if arguments.regions is not None:
        regions += _read_regions(arguments.regions)
    if not arguments.cascade:
        if arguments.task is None and arguments.prompt is None:
            raise TaskError("there is no question; give --task, --prompt or --cascade")
        task, text = parse_optional(arguments.task), arguments.text
        thresholds = arguments.min_score, arguments.min_presence
        return TaskJob(task, text, regions, tiles, *thresholds, prompt=arguments.prompt)
    if arguments.prompt is not None:
        raise TaskError(f"cascade {arguments.cascade!r} takes no --prompt; leave one of them out")
    if arguments.min_presence:
        raise TaskError(f"cascade {arguments.cascade!r} takes no --min-presence; leave it out")
    if regions:
        raise TaskError(
            f"cascade {arguments.cascade!r} takes no region; leave --region and --regions out"
        )
    if arguments.cascade == "locate":
        if not folded(arguments.text):
            raise TaskError(
                "cascade 'locate' needs words of what to click; got --text"
                f" {arguments.text!r}; give for example --text 'Sign in'"
            )
        return CascadeJob(arguments.cascade, [arguments.text], tiles, arguments.min_score)
    classes = [name for name in map(str.strip, arguments.text.split(",")) if name]
    if bool(classes) != (arguments.cascade == "classes"):
        needs = "needs names divided by commas" if not classes else "takes no text; leave it out"
        raise TaskError(f"cascade {arguments.cascade!r} {needs}; got --text {arguments.text!r}")
    return CascadeJob(arguments.cascade, classes, tiles, arguments.min_score)


def _parse_region(text: str, named: str) -> Region:
    """Four numbers of `x1,y1,x2,y2`."""
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 4 or not all(map(isfinite, numbers)):
        raise TaskError(f"{named} is not a box; give four numbers in pixels: x1,y1,x2,y2")
    return numbers


def _read_regions(path: Path) -> list[Region]:
    """The regions in a file, one a line; blank lines do not count."""
    from florence2.data.files import decode_text  # not for --help

    try:
        lines = decode_text(path.read_bytes()).splitlines()
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
