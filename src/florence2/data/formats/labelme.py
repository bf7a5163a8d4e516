"""LabelMe: a JSON file of shapes beside each picture, as labelme, AnyLabeling and others write it.

Coordinates are continuous pixels of the upright picture. Shapes of one label and one `group_id` are
one object. Points and lines have no area: they are lost, and their picture claims nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from florence2.data.annotated import (
    Annotated,
    Drawn,
    annotated_records,
    box_between,
    json_files,
    size_of,
)
from florence2.data.files import field_of, number
from florence2.data.flags import flag_names
from florence2.data.image_files import find_picture, picture_of_stem, twin_folders
from florence2.data.objects import OBJECT_TASKS, chosen_tasks
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.data.shapes import ellipse, outlines_at, picture_mask, points_of
from florence2.errors import DataError, Florence2Error
from florence2.geometry import Size
from florence2.tasks import Task

IGNORED_LABEL = "__ignore__"  # a word of LabelMe's own tools
Shape = dict[str, Any]


def read_labelme(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield records of the files of LabelMe in a folder and in folders inside.

    Args:
        path: the folder, or one file.
        report: counts what cannot be used.
        tasks: tasks of `OBJECT_TASKS`, detection if none is given.
        split: the folder inside to read, where they are parts.
    """
    tasks = chosen_tasks(tasks, tuple(OBJECT_TASKS), Task.OD, f"dataset {str(path)!r}")
    yield from annotated_records(_pictures(path, split, report), tasks, report)


def _pictures(path: Path, split: str | None, report: ReadReport) -> Iterator[Annotated]:
    for file, data in json_files(path, "labelme", split, report):
        root = path if path.is_dir() else file.parent.parent
        twins = twin_folders(file.parent, root)
        folders = tuple(dict.fromkeys((file.parent, *twins, *(path,) * path.is_dir())))
        beside = picture_of_stem(file.stem, folders)
        try:
            if not isinstance(data, dict) or not isinstance(data.get("shapes"), list):
                raise DataError("it has no list 'shapes'; a file of LabelMe has one")
            name = field_of(data, "imagePath", "") or f"{file.stem}.jpg"
            size = size_of(data.get("imageWidth"), data.get("imageHeight"))
        except Florence2Error as error:
            report.add(Problem.ROW, file.name, error)
            report.name_picture(beside)
            continue
        own = PureWindowsPath(name).stem
        is_copied = own != file.stem and file.with_name(f"{own}{file.suffix}").is_file()
        if beside and (is_copied or not any((folder / name).is_file() for folder in folders)):
            name, folders = beside.name, (beside.parent,)
        elif isinstance(data.get("imageData"), str) and find_picture(name, folders) is None:
            what = (
                f"image {name!r} is not there, but inside of the file (imageData); save it beside"
            )
            report.add(Problem.PICTURE, file.name, what)
            continue
        rows = [(f"{file.name}, {where}", row) for where, row in _objects(data["shapes"])]
        yield Annotated(name, folders, file.name, rows, _draw, size)


def _objects(shapes: Sequence[Any]) -> list[tuple[str, list[Any]]]:
    """Put shapes of one label and group together: `("shape 1", shapes)`."""
    groups: dict[Any, tuple[str, list[Any]]] = {}
    for at, shape in enumerate(shapes, start=1):
        key: Any = at
        if isinstance(shape, dict) and shape.get("group_id") is not None:
            key = repr((shape.get("label"), shape["group_id"]))
        groups.setdefault(key, (f"shape {at}", []))[1].append(shape)
    return [*groups.values()]


def _draw(shapes: Sequence[Any], size: Size) -> Drawn:
    drawn = [_draw_one(shape) for shape in shapes]
    boxes = [each.box for each in drawn if each.box is not None]
    boxes += [box_between(np.concatenate(each.parts)) for each in drawn if each.box is None]
    around = box_between(np.array(boxes, dtype=np.float64).reshape(-1, 2))
    whole = all(each.parts for each in drawn)  # or the outline would leave some of it out
    return replace(
        drawn[0],
        box=None if whole else around,
        parts=[part for each in drawn for part in each.parts] if whole else (),
        flags=frozenset().union(*(each.flags for each in drawn)),
        num_holes=sum(each.num_holes for each in drawn),
        score=next((each.score for each in drawn if each.score is not None), None),
    )


def _draw_one(shape: Any) -> Drawn:
    if not isinstance(shape, dict):
        raise DataError(f"a shape is {shape!r}; give an object")
    score = shape.get("score")  # of AnyLabeling, where a model drew the shape
    drawn = _draw_shape(shape)
    return drawn if score is None else replace(drawn, score=number(score, "the score"))


def _draw_shape(shape: Shape) -> Drawn:
    label = field_of(shape, "label")
    flags = flag_names(shape, shape.get("flags"))
    if label == IGNORED_LABEL:
        label, flags = "", flags | {"ignore"}
    kind = shape.get("shape_type") or "polygon"
    if kind in ("point", "points", "line", "linestrip", "lines"):
        raise DataError(f"a {kind} has no area; draw a box or polygon")
    points = points_of(shape.get("points"), 2)
    if kind == "rectangle":
        if len(points) == 4 and len(np.unique(points[:, 0].round(3))) > 2:
            return Drawn(label, None, [points], flags)  # turned
        return Drawn(label, box_between(points), (), flags)
    if kind == "circle" and len(points) == 2:
        (x, y), (dx, dy) = points[0].tolist(), (points[1] - points[0]).tolist()
        radius = (dx * dx + dy * dy) ** 0.5
        return Drawn(label, None, [ellipse(x, y, radius, radius)], flags)
    if kind == "mask":
        left, top, right, bottom = box_between(points)
        mask = picture_mask(shape.get("mask"))
        if mask.shape != (int(bottom - top) + 1, int(right - left) + 1):
            raise DataError(f"a mask of {mask.shape[::-1]} pixels does not fit its box")
        outlines, num_holes = outlines_at(mask, int(left), int(top))
        return Drawn(label, None, outlines, flags, num_holes)
    if kind in ("polygon", "oriented_rectangle", "rotation", "quadrilateral"):
        if len(points) < 3:
            raise DataError(f"a {kind} has {len(points)} points; give three at least")
        return Drawn(label, None, [points], flags)
    raise DataError(f"a shape is a {kind!r}, which is not read; draw a box or polygon")
