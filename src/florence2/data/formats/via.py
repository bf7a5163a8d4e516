"""VGG Image Annotator (VIA 1 and 2): a project or its annotations as JSON.

The class is an attribute of regions, called as its maker pleased: the only one, or the one called
class, label, name, type, category or object. Where regions have no attributes, all are `object`.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from florence2.data.annotated import (
    ONE_CLASS,
    Annotated,
    Drawn,
    annotated_records,
    box_from,
    folders_around,
    json_files,
)
from florence2.data.files import field_of, number
from florence2.data.flags import flag_names
from florence2.data.image_files import find_picture
from florence2.data.objects import OBJECT_TASKS, chosen_tasks
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.data.shapes import ellipse, pairs_of
from florence2.errors import DataError, Florence2Error
from florence2.geometry import Size
from florence2.tasks import Task

CLASS_NAMES = ("class", "label", "name", "type", "category", "object")


def read_via(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield records of a file of VIA, or of all in a folder.

    Args:
        path: the JSON file, or the folder that holds it.
        report: counts what cannot be used.
        tasks: tasks of `OBJECT_TASKS`, detection if none is given.
        split: the part to read, where folders or names of files tell parts.

    Raises:
        DataError: regions have several attributes, and none is called like a class.
    """
    tasks = chosen_tasks(tasks, tuple(OBJECT_TASKS), Task.OD, f"dataset {str(path)!r}")
    yield from annotated_records(_pictures(path, split, report), tasks, report)


def _pictures(path: Path, split: str | None, report: ReadReport) -> Iterator[Annotated]:
    for file, data in json_files(path, "via", split, report):
        folders = folders_around(file, path)
        listed = data.get("_via_img_metadata", data) if isinstance(data, dict) else data
        if not isinstance(listed, dict):
            report.add(Problem.ROW, file.name, "this is no file of VIA")
            continue
        attribute = _class_attribute(listed, file, report)
        for key, picture in listed.items():
            where = f"{file.name}, {key!r}"
            name = ""
            try:
                if not isinstance(picture, dict):
                    raise DataError("this is no picture")
                name = field_of(picture, "filename")
                regions = picture.get("regions")
                if not isinstance(regions, list | dict):
                    raise DataError(f"regions are {regions!r}; give a list")
            except Florence2Error as error:
                report.add(Problem.ROW, where, error)
                report.name_picture(find_picture(name, folders))
                continue
            rows = [(f"{where}, region {at}", each) for at, each in enumerate(_items(regions))]
            yield Annotated(name, folders, where, rows, partial(_draw, attribute))


def _items(regions: Any) -> list[Any]:
    """The regions, a list in VIA 2 and an object in VIA 1."""
    return [*regions.values()] if isinstance(regions, dict) else list(regions)


def _class_attribute(listed: dict[str, Any], file: Path, report: ReadReport) -> str | None:
    """Return the attribute that tells the class; `None` if there are no attributes at all."""
    regions = [
        region
        for picture in listed.values()
        if isinstance(picture, dict) and isinstance(picture.get("regions"), list | dict)
        for region in _items(picture["regions"])
    ]
    told = [_attributes(region) for region in regions]
    names = list(dict.fromkeys(name for each in told for name in each))
    if not names:
        if regions:
            report.add(Problem.ONE_CLASS, file.name, f"all are called {ONE_CLASS!r}")
        return None
    plain = {name.lower().removesuffix("_name").strip(): name for name in reversed(names)}
    found = next((plain[word] for word in CLASS_NAMES if word in plain), None)
    if found is None and len(names) > 1:
        raise DataError(
            f"regions of {str(file)!r} have the attributes {', '.join(names)}; call the one that"
            " tells the class 'class'"
        )
    return found or names[0]


def _attributes(region: Any) -> dict[str, Any]:
    given = region.get("region_attributes") if isinstance(region, dict) else None
    return given if isinstance(given, dict) else {}


def _label(attribute: str | None, attributes: dict[str, Any]) -> str:
    """The class: a text, or the one name that is set of several."""
    if attribute is None:
        return ONE_CLASS
    given = attributes.get(attribute)
    if isinstance(given, dict):
        chosen = [name for name, is_set in given.items() if is_set]
        if len(chosen) != 1:
            raise DataError(f"attribute {attribute!r} has the values {chosen}; choose one")
        return str(chosen[0])
    return given if isinstance(given, str) else ""


def _draw(attribute: str | None, region: Any, size: Size) -> Drawn:
    shape = region.get("shape_attributes") if isinstance(region, dict) else None
    if not isinstance(shape, dict):
        raise DataError(f"a region is {region!r}; give shape_attributes")
    attributes = _attributes(region)
    label, flags, kind = _label(attribute, attributes), flag_names(attributes), shape.get("name")
    if kind == "rect":
        return Drawn(label, box_from(*_numbers(shape, "x", "y", "width", "height")), (), flags)
    if kind == "circle":
        x, y, radius = _numbers(shape, "cx", "cy", "r")
        return Drawn(label, None, [ellipse(x, y, radius, radius)], flags)
    if kind == "ellipse":
        x, y, x_radius, y_radius = _numbers(shape, "cx", "cy", "rx", "ry")
        turn = float(np.degrees(number(shape.get("theta") or 0, "theta")))
        return Drawn(label, None, [ellipse(x, y, x_radius, y_radius, turn)], flags)
    if kind == "polygon":
        xs, ys = shape.get("all_points_x"), shape.get("all_points_y")
        if not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys):
            raise DataError("a polygon has no lists of as many x as y")
        points = pairs_of(value for pair in zip(xs, ys, strict=True) for value in pair)
        return Drawn(label, None, [points], flags)
    raise DataError(f"a region is a {kind!r}, which has no area; draw a box or polygon")


def _numbers(shape: dict[str, Any], *names: str) -> list[float]:
    return [number(shape.get(name), name) for name in names]
