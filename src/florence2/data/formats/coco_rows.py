"""Rows of COCO files: what they say; and the objects of plain rows, made many at a time.

Most rows of most files need no second look. `PlainRows` takes these over into arrays, a few
thousand at a time, and gives back their objects; it is only speed and memory. Every other row goes
through `coco._CocoFile._object`, and a plain one would give the same object there.
"""

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate, chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from florence2.data.files import number
from florence2.data.flags import CROWD_FLAGS, flag_names, flags_among
from florence2.data.masks import decode_run_lengths, mask_outlines
from florence2.data.objects import LabelledObject
from florence2.data.report import Problem, ReadReport
from florence2.errors import DataError
from florence2.geometry import Array, Box, Size, box_area

Row = dict[str, Any]

_WHOLE = re.compile(r"-?[0-9]{1,18}")
LONG = 10**18
_BATCH = 1_024  # rows
_NO_BOX = (0.0, 0.0, 0.0, 0.0)
_NO_SIZE = (0, 0)
_SURE_AREA = 0.01  # square pixels, far above what rounding does to an area of none


def key_of(given: Any) -> int | str | None:
    """An id as files refer to it: 7, 7.0 and "7" are one; `None` for what is no id."""
    if type(given) is int and -LONG < given < LONG:
        return given
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        return None
    text = str(given).strip().removesuffix(".0")
    return int(text) if _WHOLE.fullmatch(text) else text or None


class PlainRows:
    """The rows of a file that are certain to be whole objects, as arrays.

    Args:
        rows: of the file; the place of each plain one is `None` afterwards.
        image_ids: of each row.
        sizes: of the images, as annotated; of an image without one no row is plain.
        names: class names by id.
        outlines: whether their objects get outlines, which take most of the memory.
    """

    def __init__(
        self,
        rows: list[Row | None],
        image_ids: Sequence[Hashable],
        sizes: Mapping[Hashable, Size],
        names: Mapping[Hashable, str],
        *,
        outlines: bool,
    ) -> None:
        labels = {key: label for key, name in names.items() if (label := name.strip())}
        self._names: list[str] = []
        self._batches: list[_Batch] = []
        corners = [np.zeros((0, 4))]
        # In the order of the file, in which its numbers lie in memory, and a few at a time.
        for first in range(0, len(rows), _BATCH):
            limits = [sizes.get(each, _NO_SIZE) for each in image_ids[first : first + _BATCH]]
            batch = _Batch([*filter(None, rows[first : first + _BATCH])], limits, labels)
            for index, plain in enumerate(batch.plain, start=first):
                if plain:
                    rows[index] = None
            self._names += batch.labels
            corners.append(batch.corners)
            if outlines:
                self._batches.append(batch)
        self._corners = np.concatenate(corners)

    def objects(self, numbers: Sequence[int]) -> list[LabelledObject]:
        """The objects of plain rows, by their place in the file."""
        names, boxes = self._names, self._corners[numbers].tolist()
        found = [
            LabelledObject(names[number], tuple(box))
            for number, box in zip(numbers, boxes, strict=True)
        ]
        if not self._batches:
            return found
        parts = (self._batches[number // _BATCH].parts(number % _BATCH) for number in numbers)
        return [item._replace(parts=its) for item, its in zip(found, parts, strict=True)]


class _Batch:
    """Some rows as arrays.

    Attributes:
        labels: of each row the class name.
        corners: of each row the box `(N, 4)`, pixels, of no area where it is not plain.
        plain: of each row, whether it is.
    """

    def __init__(
        self, rows: Sequence[Row], limits: Sequence[Size], labels: Mapping[Hashable, str]
    ) -> None:
        # By columns, which takes half the time of going by rows.
        keys: list[Any] = [row.get("category_id") for row in rows]
        self.labels = [labels.get(key if type(key) is int else key_of(key), "") for key in keys]
        boxes: list[Any] = [row.get("bbox") for row in rows]
        outlines: list[Any] = [row.get("segmentation") or () for row in rows]
        columns = zip(self.labels, boxes, outlines, _odd(rows), strict=True)
        whole = [
            not odd and label and type(box) is list and len(box) == 4 and _is_polygons(outline)
            for label, box, outline, odd in columns
        ]
        sides = [box if good else _NO_BOX for good, box in zip(whole, boxes, strict=True)]
        outlines = [each if good else () for good, each in zip(whole, outlines, strict=True)]
        self._first_part = [0, *accumulate(map(len, outlines))]
        parts = [*chain.from_iterable(outlines)]
        lengths = [*map(len, parts)]
        try:
            corners = np.fromiter(chain.from_iterable(sides), np.float64).reshape(-1, 4)
            flat = np.fromiter(chain.from_iterable(parts), np.float64, sum(lengths))
        except (TypeError, ValueError, OverflowError):  # something else than numbers
            corners, flat, lengths = np.zeros((len(limits), 4)), np.zeros(0), []
        corners[:, 2:] += corners[:, :2]
        self.corners, self._points = corners, flat.reshape(-1, 2)
        self._starts = [0, *accumulate(length // 2 for length in lengths)]
        with np.errstate(all="ignore"):
            self.plain = self._are_plain(np.array(limits, np.float64).reshape(-1, 2)).tolist()

    def _are_plain(self, limits: Array) -> NDArray[np.bool_]:
        """Whether the numbers of rows are those of an object with an area, inside of its picture.

        What is no number compares with nothing, so it is not plain.
        """
        low, high = self.corners[:, :2], self.corners[:, 2:]
        plain = (low >= 0).all(1) & (high <= limits).all(1) & (box_area(self.corners) > 0)
        plain &= (high > 1).any(1)  # else it may be a share of the picture
        if len(self._points):
            starts = np.array(self._starts[:-1])
            owners = np.repeat(np.arange(len(limits)), np.diff(self._first_part))
            x, y = np.ascontiguousarray(self._points.T)
            good = _areas(x, y, starts) > _SURE_AREA
            for values, limit in zip((x, y), limits.T, strict=True):
                if not values.min() >= 0:
                    good &= np.minimum.reduceat(values, starts) >= 0
                if not values.max() <= limit.min():
                    good &= np.maximum.reduceat(values, starts) <= limit[owners]
            plain[owners[~good]] = False
        return plain

    def parts(self, row: int) -> tuple[Array, ...]:
        """The polygons of a plain row."""
        starts = self._starts
        parts = range(self._first_part[row], self._first_part[row + 1])
        return tuple([self._points[starts[part] : starts[part + 1]] for part in parts])


def _areas(x: Array, y: Array, starts: NDArray[np.intp]) -> Array:
    """The areas of polygons whose points lie one after another, but for rounding."""
    cross = np.empty_like(x)
    cross[:-1] = x[:-1] * y[1:] - x[1:] * y[:-1]
    ends = np.append(starts[1:], len(x)) - 1
    cross[ends] = x[ends] * y[starts] - x[starts] * y[ends]  # back to the first point
    areas: Array = np.abs(np.add.reduceat(cross, starts)) / 2
    return areas


def _odd(rows: Sequence[Row]) -> Iterable[bool]:
    """Of each row, whether it has a flag or a score."""
    names = tuple(set().union(*rows))
    if "attributes" in names or "score" in names:
        return ["score" in row or bool(flag_names(row, row.get("attributes"))) for row in rows]
    flags = [[row.get(name) for row in rows] for name in flags_among(names)]
    return map(any, zip(*flags, strict=True)) if flags else [False] * len(rows)


def _is_polygons(outline: Any) -> bool:
    """Whether an outline is none, or lists of three pairs or more."""
    if type(outline) is not list:
        return isinstance(outline, tuple)  # none given
    return not [1 for part in outline if type(part) is not list or len(part) < 6 or len(part) % 2]


def are_marked_masks(rows: Sequence[Row]) -> bool:
    """Whether all annotations, two or more, are masks as run lengths that are marked as crowds.

    Datumaro marks every mask so. A crowd is what is left beside objects that were told apart, so a
    file of nothing else holds none.
    """
    return len(rows) > 1 and all(
        isinstance(row.get("segmentation"), dict)
        and flag_names(row, row.get("attributes")) & CROWD_FLAGS
        for row in rows
    )


def are_shares(rows: Sequence[Row]) -> bool:
    """Whether the boxes of a file are shares of the pictures: none reaches beyond 1."""
    boxes = [row["bbox"] for row in rows if isinstance(row.get("bbox"), list) and row["bbox"]]
    if any(type(side) in (int, float) and side > 1 for box in boxes for side in box):
        return False  # found at once in most files
    try:
        sides = np.array(boxes, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return False
    return sides.ndim == 2 and bool((sides <= 1.0).all() and (sides % 1 != 0).any())


def score_of(row: Row, report: ReadReport, where: str) -> float | None:
    """How sure a detector was; `None` where nobody says."""
    if (given := row.get("score")) is None:
        return None
    with suppress(DataError):
        if 0 <= (score := number(given, "score")) <= 1:
            return score
    report.add(Problem.SCORE, where, f"score {given!r} is not in [0, 1]")
    return None


def box_of(given: Any, shares_of: Size | None) -> Box | None:
    """The corners of a box in pixels, given as shares of a picture of this size or in pixels."""
    if not given:
        return None
    if not isinstance(given, list) or len(given) != 4:
        raise DataError(f"bbox is {given!r}; give x, y, width, height")
    x, y, width, height = sides = [number(value, "a side of bbox") for value in given]
    if shares_of is not None:
        across, down = shares_of
        return x * across, y * down, (x + width) * across, (y + height) * down
    if max(x + width, y + height) <= 1 and any(side % 1 for side in sides):
        raise DataError(
            f"bbox {given!r} lies within one pixel, as a share of the picture would, and other"
            " boxes of the file are in pixels; write all in pixels"
        )
    return x, y, x + width, y + height


def parts_of(given: Any, size: Size, report: ReadReport, where: str) -> list[Array]:
    """Return the polygons of an outline, whichever way it is written."""
    if not given:
        return []
    if isinstance(given, dict):
        mask = decode_run_lengths(given)
        if mask.shape[::-1] != size:
            raise DataError(f"the mask is for {mask.shape[::-1]!r} pixels, the picture has {size}")
        outlines, num_holes = mask_outlines(mask)
        if num_holes:
            report.add(Problem.HOLES, where, f"{num_holes} holes")
        return outlines
    if not isinstance(given, list):
        raise DataError(f"segmentation is {given!r}; give polygons or run lengths")
    parts = []
    if given and not any(isinstance(each, list) for each in given) and len(given) >= 6:
        given = [given]  # one polygon, without the list around it
    for polygon in given:
        if not isinstance(polygon, list) or len(polygon) % 2:
            raise DataError(f"polygon {polygon!r} is no list of x, y, x, y, ...")
        numbers = [number(value, "a coordinate of a polygon") for value in polygon]
        parts.append(np.array(numbers, dtype=np.float64).reshape(-1, 2))
    return parts
