"""Pictures and what annotation files draw on them: the way to records that many readers share.

A reader finds the rows about each picture, and says how one row is drawn:

    file -- rows of each picture (`Annotated`) -- draw --> `Drawn` --> records of the picture
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from florence2.data.files import number, read_json
from florence2.data.flags import CROWD_FLAGS, IGNORE_FLAGS
from florence2.data.image_files import (
    checked_size,
    files_in,
    is_picture,
    listed_picture,
    picture_of_stem,
)
from florence2.data.objects import (
    ANY_CLASS,
    LabelledObject,
    LabelledPicture,
    checked_object,
    object_records,
)
from florence2.data.parts import SPLIT_NAMES, choose_split, divide_named, part_named, part_of_stem
from florence2.data.recognition import shows
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.errors import DataError, Florence2Error
from florence2.geometry import Array, Size
from florence2.tasks import Task

ONE_CLASS = "object"
"""What objects are called of which no file tells a class."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """An object as a file draws it, in pixels of its picture.

    Attributes:
        label: name of its class; `ANY_CLASS` for a region to ignore, whatever is found there.
        box: `x_min, y_min, x_max, y_max`, or `None` for the box around the parts.
        parts: polygons `(P, 2)` of its outline, none if it is not known.
        flags: marks that the file sets, as `florence2.data.flags.flag_names` writes them.
        num_holes: of its mask, that polygons cannot tell.
        score: a confidence stands beside it.
    """

    label: str
    box: Sequence[float] | None = None
    parts: Sequence[Array] = ()
    flags: frozenset[str] = frozenset()
    num_holes: int = 0
    score: float | None = None


@dataclass(frozen=True, eq=False)
class Annotated:
    """What a file says about one picture.

    Attributes:
        name: of the picture, as the file writes it.
        folders: where it may be.
        where: the row or file, for the report.
        rows: `(where, row)` of each object; a row `None` was lost, and told.
        draw: makes an object of a row, with the size of the picture; raises `Florence2Error`.
        size: that the annotations were made for, if the file tells it.
    """

    name: str
    folders: Sequence[Path]
    where: str
    rows: Sequence[tuple[str, Any]]
    draw: Callable[[Any, Size], Drawn]
    size: Size | None = None


def annotated_records(
    pictures: Iterable[Annotated], tasks: Sequence[Task], report: ReadReport
) -> Iterator[Record]:
    """Yield the records of pictures; one that is listed several times is joined, and told."""
    listed: dict[Path, list[Annotated]] = {}
    for each in pictures:
        path = listed_picture(each.name, each.folders, report, each.where)
        if path is not None:
            listed.setdefault(Path(os.path.normpath(path)), []).append(each)
    for path, group in listed.items():
        if picture := labelled_picture(path, group, report):
            yield from object_records(picture, tasks, report)


def labelled_picture(
    path: Path, group: Sequence[Annotated], report: ReadReport
) -> LabelledPicture | None:
    """Return a picture with all that rows draw on it, or count what is wrong with it."""
    sizes = [checked_size(path, report, each.where, each.size) for each in group]
    size = sizes[0]
    if size is None or None in sizes:
        return None
    where = group[0].where
    if len(group) > 1:
        report.add(Problem.DUPLICATE, where, f"{path.name!r} is listed {len(group)} times: joined")
    found: dict[Any, LabelledObject | None] = {}
    for at, row, draw in ((at, row, each.draw) for each in group for at, row in each.rows):
        item = object_of(row, draw, size, report, at)
        key: Any = len(found)  # each that was lost is one
        if item is not None:
            key = (item.label, item.box, item.is_ignored, *(part.tobytes() for part in item.parts))
            if key in found:
                report.add(Problem.DUPLICATE, at, f"{item.label!r} at {item.box} is given twice")
        found.setdefault(key, item)
    return LabelledPicture.of(path, size, [*found.values()], where)


def object_of(
    row: Any, draw: Callable[[Any, Size], Drawn], size: Size, report: ReadReport, where: str
) -> LabelledObject | None:
    """Return the object of a row; `None` if it was lost, which is told."""
    if row is None:
        return None
    try:
        drawn = draw(row, size)
    except Florence2Error as error:
        report.add(Problem.ROW, where, error)
        return None
    if drawn.num_holes:
        report.add(Problem.HOLES, where, f"{drawn.num_holes} holes")
    if drawn.score is not None:
        report.add(Problem.CONFIDENCE, where, f"{drawn.score:g}")
    label = drawn.label or ("anything" if drawn.flags & IGNORE_FLAGS else "")
    found = checked_object(label, drawn.box, drawn.parts, size, report, where)
    if found is None or not drawn.flags & (CROWD_FLAGS | IGNORE_FLAGS):
        return found
    is_crowd = bool(drawn.flags & CROWD_FLAGS)
    marks = ", ".join(sorted(drawn.flags & (CROWD_FLAGS | IGNORE_FLAGS)))
    report.add(Problem.IGNORED, where, f"it is marked {marks}")
    label = found.label if drawn.label else ANY_CLASS
    return LabelledObject(label, found.box, found.parts, is_ignored=True, is_crowd=is_crowd)


def files_of_format(path: Path, format: str) -> list[Path]:
    """Return the files of a format below a folder, or the one file."""
    files = [path] if path.is_file() else [file for file in files_in(path) if shows(file, format)]
    if not files:
        raise DataError(f"folder {str(path)!r} holds no file of {format}; check the path")
    return files


def files_of_part(
    path: Path, format: str, split: str | None, report: ReadReport, *, rows_tell: bool = False
) -> list[Path]:
    """Return the files of a format below a folder, all or those of the part to read.

    Args:
        path: the folder, or one file.
        format: a key of `FORMATS`.
        split: the part to read.
        report: is told the part.
        rows_tell: where the files are no parts, rows may tell them: all files are returned, and
            the report is told no part.
    """
    files = files_of_format(path, format)
    parts: dict[str | None, list[Path]] = {None: files}
    if path.is_dir():
        parts = divide_named(files, path)
    if rows_tell and set(parts) == {None}:
        return files
    report.part = choose_split(parts, split, path)
    return parts[report.part]


def json_files(
    path: Path, format: str, split: str | None, report: ReadReport
) -> Iterator[tuple[Path, Any]]:
    """Yield the JSON files of a part and what they hold; what is no JSON is told."""
    for file in files_of_part(path, format, split, report):
        try:
            data = read_json(file)
        except Florence2Error as error:
            report.add(Problem.ROW, file.name, error)
            continue
        yield file, data


def folders_around(file: Path, root: Path, part: str | None = None) -> tuple[Path, ...]:
    """Return where pictures that a file names may be.

    That is beside it, in the folders beside it and inside of those, and so on up to `root`. Of
    folders that are parts, only that of `part`, else that of the part in the file's name, is looked
    in; where neither is known all are, "train" first. A `root` that is no folder is the file
    itself: then `images` and `data` beside its folder are looked in, too, and a folder of its part.
    """
    part = part or part_of_stem(file.stem)
    found = [file.parent]
    for above in file.parents:
        found += [above, *_inside(above, part, 2)]
        if above == root or not root.is_dir():
            break
    if not root.is_dir():
        beside = _inside(file.parent.parent, part, 1)
        beside = [
            each
            for each in beside
            if each.name.lower() in ("images", "data") or part_named(each.name)
        ]
        found += [*beside, *(each for place in beside for each in _inside(place, part, 1))]
    return tuple(dict.fromkeys(found))


def _inside(folder: Path, part: str | None, depth: int) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(each.name for each in entries if each.is_dir() and each.name[0] != ".")
    except OSError:  # it may not be looked into
        return []
    order = (part, None) if part else (None, *SPLIT_NAMES)
    names = [name for name in names if part_named(name) in order]
    names.sort(key=lambda name: order.index(part_named(name)))
    inside = [folder / name for name in names]
    deeper = [each for place in inside if depth > 1 for each in _inside(place, part, depth - 1)]
    return inside + deeper


def name_or_stem(name: str, folders: Sequence[Path]) -> str:
    """Return the name of a picture, also of one that is named without its suffix."""
    found = None if is_picture(Path(name)) else picture_of_stem(name, folders)
    return found.name if found else name


def size_of(width: Any, height: Any) -> Size | None:
    """Return the size that a file tells, `None` if it tells none."""
    if width in (None, "", 0, "0") or height in (None, "", 0, "0"):
        return None
    return int(number(width, "the width")), int(number(height, "the height"))


def box_from(x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
    """Corners of a box of which the upper left one and the sides are known."""
    return x, y, x + width, y + height


def box_between(points: Array) -> list[float]:
    """The box between two opposite corners, whichever they are, or around more points."""
    corners: list[float] = np.concatenate([points.min(axis=0), points.max(axis=0)]).tolist()
    return corners
