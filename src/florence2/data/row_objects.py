"""Objects in a column of a row: boxes and class names, side by side or one after the other.

    {"bbox": [[302, 109, 73, 52]], "category": [0]}
    [{"bbox": [302, 109, 73, 52], "category": "cat"}]

Boxes are `x, y, width, height` in pixels, as in COCO and in the documents of Hugging Face. A few
datasets of the hub hold corners, which only a look at all of their boxes shows.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from florence2.data.class_names import ClassNames, class_name
from florence2.data.files import number
from florence2.data.flags import CROWD_FLAGS, flag_names
from florence2.data.objects import LabelledObject, LabelledPicture, checked_object
from florence2.data.records import Picture
from florence2.data.report import Problem, ReadReport
from florence2.data.row_pictures import RowPicture
from florence2.errors import DataError, Florence2Error
from florence2.geometry import Array, Size

BOX_COLUMNS = ("bbox", "bboxes", "box", "boxes")
NAME_COLUMNS = (
    *("category", "categories", "label", "labels", "class", "classes", "name", "names"),
    *("category_name", "class_name"),
)


@lru_cache(maxsize=1024)
def plain_column(name: str) -> str:
    """The name of a column as it is compared.

    >>> plain_column(" Image Name"), plain_column("file-name")
    ('image_name', 'file_name')
    """
    return re.sub(r"[\s-]+", "_", name.strip().lower())


@dataclass(frozen=True)
class RowObjects:
    """How the objects of one column are read.

    Attributes:
        column: its name.
        names: of classes that are given as numbers.
        corners: whether boxes are `x_min, y_min, x_max, y_max`.
        letters: whether a class given as digits is called so.
        report: counts what cannot be used.
    """

    column: str
    names: ClassNames
    corners: bool
    letters: bool
    report: ReadReport

    def of_picture(self, cell: Any, image: Picture, size: Size, where: str) -> LabelledPicture:
        """Return the objects of a cell.

        Raises:
            DataError: it holds no objects, and no empty list of them either.
        """
        rows = object_rows(cell)
        scale = size if _are_shares(rows, self.report, where) else (1, 1)
        objects = [self._object(row, size, scale, where) for row in rows]
        return LabelledPicture.of(image, size, objects, where)

    def _object(
        self, row: Mapping[str, Any], size: Size, scale: Size, where: str
    ) -> LabelledObject | None:
        keys = (*NAME_COLUMNS, "id") if (self.column, "id") in self.names else NAME_COLUMNS
        key = next((name for name in keys if row.get(name) is not None), "category")
        try:
            name = class_name(row.get(key), (self.column, key), self.names, self.letters)
            if not isinstance(name, str):
                raise DataError(f"an object has the class {name!r}; give a name")
        except Florence2Error as error:
            self.report.add(Problem.LABEL, where, error)
            return None
        try:
            x, y, right, bottom = (number(side, "a side of bbox") for side in row["box"])
        except Florence2Error as error:
            self.report.add(Problem.ROW, where, error)
            return None
        if not self.corners:
            right, bottom = x + right, y + bottom
        box = x * scale[0], y * scale[1], right * scale[0], bottom * scale[1]
        item = checked_object(name, box, (), size, self.report, where)
        flags = flag_names(row)
        if item is None or not flags:
            return item
        is_crowd = bool(flags & CROWD_FLAGS)
        self.report.add(Problem.IGNORED, where, "a crowd" if is_crowd else "a group, or difficult")
        return item._replace(is_ignored=True, is_crowd=is_crowd)


def object_rows(cell: Any) -> list[dict[str, Any]]:
    """One row for each object, its box as `box`, from a list of objects or lists side by side."""
    if isinstance(cell, str):
        try:
            cell = json.loads(cell or "null")
        except (ValueError, RecursionError) as error:
            raise DataError(f"objects are {cell[:80]!r}, which is no JSON ({error})") from error
    if isinstance(cell, Mapping):
        columns = {plain_column(key): value for key, value in cell.items()}
        boxes = next((columns[name] for name in BOX_COLUMNS if columns.get(name) is not None), None)
        if not isinstance(boxes, list):
            raise DataError(f"the boxes of objects are {boxes!r}; give a list, empty for none")
        sides = {key: value for key, value in columns.items() if isinstance(value, list)}
        wrong = [
            key
            for key in (*NAME_COLUMNS, "iscrowd", "is_crowd")
            if len(sides.get(key, boxes)) != len(boxes)
        ]
        if wrong:
            what = f"{len(sides[wrong[0]])} of {wrong[0]!r}"
            raise DataError(f"objects have {len(boxes)} boxes and {what}; give one for each")
        cell = [
            {key: value[index] for key, value in sides.items() if len(value) == len(boxes)}
            for index in range(len(boxes))
        ]
    if not isinstance(cell, list) or not all(isinstance(row, Mapping) for row in cell):
        raise DataError(f"objects are {cell!r}; give bbox and category, empty lists for none")
    rows = [{plain_column(key): value for key, value in row.items()} for row in cell]
    for row in rows:
        row["box"] = next((row[name] for name in BOX_COLUMNS if row.get(name) is not None), None)
        if not isinstance(row["box"], list) or len(row["box"]) != 4:
            raise DataError(f"bbox is {row['box']!r}; give x, y, width, height")
    return rows


def boxes_are_corners(cells: Callable[[], Iterable[tuple[Any, RowPicture]]]) -> bool:
    """Tell whether the boxes of a file are `x_min, y_min, x_max, y_max`, by all of them.

    They are where all can be inside of their pictures as corners, and one leaves its picture as
    `x, y, width, height`. Pictures are looked at only where no box alone says that it is no corner.

    Args:
        cells: begins a pass over the objects and pictures of all rows.
    """
    if any(np.any(boxes[:, 2:] <= boxes[:, :2]) for boxes, _ in _all_boxes(cells())):
        return False
    leaves = False
    quiet = ReadReport()
    for boxes, picture in _all_boxes(cells()):
        # Where rows are read without their pictures, only they tell a size.
        found = None if picture.given is None else picture.find(quiet)
        size = found[1] if found else picture.annotated if picture.given is None else None
        if size is None:
            continue
        edge = np.add(size, 1)
        if np.any(boxes[:, 2:] > edge):
            return False
        leaves |= bool(np.any(boxes[:, :2] + boxes[:, 2:] > edge))
    return leaves


def _all_boxes(cells: Iterable[tuple[Any, RowPicture]]) -> Iterator[tuple[Array, RowPicture]]:
    """The boxes `(N, 4)` of each cell that has some and can be read."""
    for cell, picture in cells:
        try:
            boxes = np.array([row["box"] for row in object_rows(cell)], dtype=np.float64)
        except (Florence2Error, TypeError, ValueError, OverflowError):
            continue
        if boxes.ndim == 2:
            yield boxes, picture


def _are_shares(rows: Sequence[Mapping[str, Any]], report: ReadReport, where: str) -> bool:
    """Whether boxes are shares of the picture: no side is beyond 1, and some are fractions."""
    sides = [number(side, "a side of bbox") for row in rows for side in row["box"]]
    found = bool(sides) and max(sides) <= 1 and any(side % 1 for side in sides)
    if found:
        report.add(Problem.SHARES, where, "all sides of boxes are at most 1")
    return found
