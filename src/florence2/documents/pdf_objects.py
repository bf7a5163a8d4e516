"""Objects of a PDF page: where text, pictures and rules stand in the page that is shown."""

import ctypes
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from florence2.documents.pdfium import each, each_of, function, numbers
from florence2.geometry import Array, Box

TEXT, PATH, IMAGE, FORM = 1, 2, 3, 5  # kinds of objects
MAX_OBJECTS, MAX_SEGMENTS, MAX_DEPTH = 200_000, 400_000, 12
MIN_PICTURE_SIDE = 12.0
"""Units; smaller ones are bullets, dots and pieces of ornaments."""
MAX_RULE_WIDTH, MIN_RULE_LENGTH = 3.0, 5.0
MAX_RULE_SLOPE = 0.01
MIN_SHADE_HEIGHT, MIN_SHADE_WIDTH = 6.0, 12.0  # of a shaded cell
MIN_WHITE = 250  # of 255 in each colour; what is lighter is no shade
MAX_SHADES = 1_000
_LINE_TO, _MOVE_TO = 0, 2


@dataclass(frozen=True, eq=False)
class Frame:
    """From a page's own space to the page that is shown: upright, cropped, y down, 1/72 inch.

    Attributes:
        matrix: float64 `(2, 3)`.
        width, height: of the page that is shown.
        unit: units of 1/72 inch in one of the page's own (UserUnit).
    """

    matrix: Array
    width: float
    height: float
    unit: float = 1.0

    @classmethod
    def of(cls, box: Box, turn: int, unit: float) -> "Frame":
        """The frame of a page that shows a box `left, bottom, right, top` turned clockwise."""
        left, bottom, right, top = box
        rows = {
            0: ((1, 0, -left), (0, -1, top)),
            90: ((0, 1, -bottom), (1, 0, -left)),
            180: ((-1, 0, right), (0, 1, -bottom)),
            270: ((0, -1, top), (-1, 0, right)),
        }[turn]
        sides = (right - left, top - bottom)
        width, height = sides if turn in (0, 180) else sides[::-1]
        return cls(np.array(rows, np.float64) * unit, width * unit, height * unit, unit)

    def points(self, points: Array) -> Array:
        """Points `(..., 2)` of the page's own space on the page that is shown."""
        moved: Array = points @ self.matrix[:, :2].T + self.matrix[:, 2]
        return moved

    def directions(self, vectors: Array) -> Array:
        """Vectors `(..., 2)`, which have a length and no place."""
        turned: Array = vectors @ self.matrix[:, :2].T
        return turned

    def boxes(self, boxes: Array) -> Array:
        """Boxes `(N, 4)` of two opposite corners each, as `x_min, y_min, x_max, y_max`."""
        corners = self.points(boxes.reshape(-1, 2, 2))
        return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)

    def clipped(self, boxes: Array) -> Array:
        """Boxes cut at the edges of the page that is shown."""
        sides = np.array([self.width, self.height] * 2)
        return np.clip(boxes, 0.0, sides)


@dataclass(frozen=True, eq=False, slots=True)
class Placed:
    """An object and what it stands in.

    Attributes:
        handle: PDFium's address.
        kind: `TEXT`, `PATH`, `IMAGE` or another.
        around: float64 `(3, 3)`, from the space of the form that it stands in to the page's own;
            None on the page itself.
        forms: the forms that it stands in, from the outermost.
    """

    handle: int
    kind: int
    around: Array | None
    forms: tuple["Placed", ...] = ()


def placed_objects(page: int) -> list[Placed]:
    """All objects of a page in the order of their drawing, those inside forms as well."""
    count = min(function("FPDFPage_CountObjects")(page), MAX_OBJECTS)
    found: list[Placed] = []
    _place(each("FPDFPage_GetObject", page, range(count)), None, (), found)
    return found


def _place(
    handles: list[int], around: Array | None, forms: tuple[Placed, ...], found: list[Placed]
) -> None:
    for handle, kind in zip(handles, each_of("FPDFPageObj_GetType", handles), strict=True):
        if len(found) >= MAX_OBJECTS:
            return
        here = Placed(handle, kind, around, forms)
        if kind != FORM:
            found.append(here)
        elif len(forms) < MAX_DEPTH:
            count = min(function("FPDFFormObj_CountObjects")(handle), MAX_OBJECTS)
            inside = each("FPDFFormObj_GetObject", handle, range(count))
            _place(inside, _full_matrix(here), (*forms, here), found)


def _full_matrix(each: Placed) -> Array:
    """From an object's space to the page's own, `(3, 3)`."""
    a, b, c, d, e, f = numbers("FPDFPageObj_GetMatrix", [each.handle], count=6, kind=np.float32)[0]
    own = np.array([(a, c, e), (b, d, f), (0, 0, 1)], np.float64)
    return own if each.around is None else each.around @ own


def _moved(matrix: Array | None, points: Array) -> Array:
    if matrix is None:
        return points
    moved: Array = points @ matrix[:2, :2].T + matrix[:2, 2]
    return moved


# ---- clips and layers


def shown_part(each: Placed, frame: Frame) -> Array | None:
    """The box `(4,)` that clips leave of an object and its forms; None where nothing clips.

    Of a clip that is no rectangle the box around it is taken.
    """
    boxes = [frame.boxes(clip[None])[0] for part in (each, *each.forms) for clip in _clips(part)]
    if not boxes:
        return None
    stacked = np.array(boxes)
    return np.concatenate([stacked[:, :2].max(axis=0), stacked[:, 2:].min(axis=0)])


def _clips(placed: Placed) -> Iterator[Array]:
    """Boxes `(4,)` around the clips of an object, in the page's own space."""
    clip = function("FPDFPageObj_GetClipPath")(placed.handle)
    paths = function("FPDFClipPath_CountPaths")(clip) if clip else 0
    for path in range(max(0, paths)):
        count = function("FPDFClipPath_CountPathSegments")(clip, path)
        if 0 < count <= MAX_SEGMENTS:
            get = function("FPDFClipPath_GetPathSegment")
            points = _points_of([get(clip, path, number) for number in range(count)])
            points = _moved(placed.around, points)
            yield np.concatenate([points.min(axis=0), points.max(axis=0)])


def _points_of(segments: list[int]) -> Array:
    points = numbers("FPDFPathSegment_GetPoint", segments, count=2, kind=np.float32, pointers=2)
    return points.astype(np.float64)


def may_be_off(placed: Placed) -> bool:
    """Whether an object may be on a layer: marked as such, or in a form, which may be."""
    return bool(placed.forms) or "OC" in _marks(placed.handle)


def _marks(handle: int) -> Iterator[str]:
    for number in range(function("FPDFPageObj_CountMarks")(handle)):
        mark = function("FPDFPageObj_GetMark")(handle, number)
        name, size = ctypes.create_string_buffer(64), ctypes.c_ulong()
        function("FPDFPageObjMark_GetName")(
            mark, ctypes.addressof(name), len(name), ctypes.addressof(size)
        )
        yield name.raw[: min(size.value, len(name))].decode("utf-16-le", "replace").rstrip("\0")


# ---- pictures


def picture_boxes(objects: Iterable[Placed], frame: Frame) -> Array:
    """Boxes `(N, 4)` of placed pictures on the page that is shown, small ones as well."""
    unit_square = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float64)
    boxes = []
    for placed in objects:
        if placed.kind == IMAGE:
            corners = frame.points(_moved(_full_matrix(placed), unit_square))
            box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
            boxes.append(_cut(box, shown_part(placed, frame)))
    if not boxes:
        return np.empty((0, 4))
    clipped = frame.clipped(np.array(boxes))
    return clipped[(clipped[:, 2:] > clipped[:, :2]).all(axis=1)]


def _cut(box: Array, by: Array | None) -> Array:
    if by is None:
        return box
    return np.concatenate([np.maximum(box[:2], by[:2]), np.minimum(box[2:], by[2:])])


def joined_pictures(boxes: Array) -> Array:
    """Boxes with the strips and tiles that one picture was cut into put together again."""
    for along in (1, 0):
        boxes = _joined(boxes, along)
    return boxes


def _joined(boxes: Array, along: int, tolerance: float = 1.0) -> Array:
    """Join boxes of one extent across that follow each other along an axis (0: x, 1: y)."""
    across = 1 - along
    order = np.lexsort((boxes[:, along], boxes[:, across + 2].round(), boxes[:, across].round()))
    joined: list[Array] = []
    for box in boxes[order]:
        last = joined[-1] if joined else None
        if (
            last is not None
            and abs(box[[across, across + 2]] - last[[across, across + 2]]).max() <= tolerance
            and abs(box[along] - last[along + 2]) <= tolerance
        ):
            joined[-1] = np.concatenate([np.minimum(last, box)[:2], np.maximum(last, box)[2:]])
        else:
            joined.append(box)
    return np.array(joined).reshape(-1, 4)


# ---- rules


def rule_boxes(objects: Iterable[Placed], frame: Frame) -> Array:
    """Boxes `(N, 4)` of level and upright rules on the page that is shown, each once."""
    found: list[Array] = []
    left = MAX_SEGMENTS
    for placed in objects:
        if placed.kind == PATH and left > 0:
            segments = function("FPDFPath_CountSegments")(placed.handle)
            left -= max(segments, 0)
            rules = list(_rules_of(placed, segments, frame)) if 2 <= segments <= left else []
            by = shown_part(placed, frame) if rules else None
            found.extend(_cut(rule, by) for rule in rules)
    if not found:
        return np.empty((0, 4))
    boxes = frame.clipped(np.array(found))
    boxes = boxes[((boxes[:, 2:] - boxes[:, :2]).max(axis=1) >= MIN_RULE_LENGTH)]
    boxes = boxes[(boxes[:, 2:] > boxes[:, :2]).all(axis=1)]
    return np.unique(boxes.round(3), axis=0)


def shade_boxes(objects: Iterable[Placed], frame: Frame) -> Array:
    """Boxes `(N, 4)` of shaded rectangles on the page that is shown, each once, without white ones.

    They lie behind cells, rows and boxes of text; of more than `MAX_SHADES`, as in drawings, none.
    """
    found: list[Array] = []
    for placed in objects:
        if placed.kind != PATH or len(found) > MAX_SHADES:
            continue
        count = function("FPDFPath_CountSegments")(placed.handle)
        if 4 <= count <= 6 and _is_shade(placed):
            segments = each("FPDFPath_GetPathSegment", placed.handle, range(count))
            kinds = np.array(each_of("FPDFPathSegment_GetType", segments))
            points = frame.points(_moved(_full_matrix(placed), _points_of(segments)))
            by = shown_part(placed, frame)
            for low, high in _rectangles(points, kinds, np.flatnonzero(kinds == _MOVE_TO)):
                found.append(_cut(np.concatenate([low, high]), by))
    if not found or len(found) > MAX_SHADES:
        return np.empty((0, 4))
    boxes = frame.clipped(np.array(found))
    large = (boxes[:, 2:] - boxes[:, :2] >= (MIN_SHADE_WIDTH, MIN_SHADE_HEIGHT)).all(axis=1)
    return np.unique(boxes[large].round(3), axis=0)


def _is_shade(placed: Placed) -> bool:
    """Whether a path is filled with what is not white."""
    mode, stroke = ctypes.c_int(), ctypes.c_int()
    function("FPDFPath_GetDrawMode")(
        placed.handle, ctypes.addressof(mode), ctypes.addressof(stroke)
    )
    colour = _colour("FPDFPageObj_GetFillColor", placed)
    return bool(mode.value) and colour is not None and colour[3] > 0 and min(colour[:3]) < MIN_WHITE


def _rules_of(placed: Placed, count: int, frame: Frame) -> Iterator[Array]:
    mode, stroke = ctypes.c_int(), ctypes.c_int()
    function("FPDFPath_GetDrawMode")(
        placed.handle, ctypes.addressof(mode), ctypes.addressof(stroke)
    )
    is_filled = mode.value and not _is_clear("FPDFPageObj_GetFillColor", placed)
    is_stroked = stroke.value and not _is_clear("FPDFPageObj_GetStrokeColor", placed)
    if not is_filled and not is_stroked:
        return
    segments = each("FPDFPath_GetPathSegment", placed.handle, range(count))
    kinds = np.array(each_of("FPDFPathSegment_GetType", segments))
    closes = np.array(each_of("FPDFPathSegment_GetClose", segments), np.bool_)
    matrix = _full_matrix(placed)
    points = frame.points(_moved(matrix, _points_of(segments)))
    starts = np.flatnonzero(kinds == _MOVE_TO)
    if is_stroked:
        width = numbers("FPDFPageObj_GetStrokeWidth", [placed.handle], count=1, kind=np.float32)
        scale = float(np.sqrt(abs(np.linalg.det(matrix[:2, :2])))) * frame.unit
        # A width of 0 is the thinnest line that a device can draw.
        yield from _stroked(points, kinds, closes, starts, max(float(width[0, 0]) * scale, 0.1))
    if is_filled:
        yield from _filled(points, kinds, starts)


def _is_clear(name: str, placed: Placed) -> bool:
    colour = _colour(name, placed)
    return colour is not None and colour[3] == 0


def _colour(name: str, placed: Placed) -> tuple[int, ...] | None:
    """Red, green, blue and how opaque, 0 to 255; None if unknown."""
    colour = (ctypes.c_uint * 4)()
    first = ctypes.addressof(colour)
    known = function(name)(placed.handle, *range(first, first + 16, 4))
    return tuple(colour) if known else None


def _stroked(
    points: Array,
    kinds: NDArray[np.intp],
    closes: NDArray[np.bool_],
    starts: NDArray[np.intp],
    width: float,
) -> Iterator[Array]:
    """Level and upright sides of what is drawn with a pen."""
    lines = np.flatnonzero(kinds == _LINE_TO)
    lines = lines[lines > 0]
    closing = np.flatnonzero(closes)
    firsts = starts[np.maximum(np.searchsorted(starts, closing, side="right") - 1, 0)]
    begin = np.concatenate([points[lines - 1], points[closing]])
    end = np.concatenate([points[lines], points[firsts]]) if len(starts) else points[lines]
    steps = abs(end - begin)
    is_straight = steps.min(axis=1) <= np.maximum(MAX_RULE_SLOPE * steps.max(axis=1), 0.05)
    is_long = steps.max(axis=1) >= MIN_RULE_LENGTH
    for first, last in zip(begin[is_straight & is_long], end[is_straight & is_long], strict=True):
        low, high = np.minimum(first, last), np.maximum(first, last)
        across = int(high[1] - low[1] < high[0] - low[0])
        if width > MAX_RULE_WIDTH and width > (high - low).max() / 3:
            continue  # a bar, not a rule
        low[across] -= width / 2
        high[across] += width / 2
        yield np.concatenate([low, high])


def _rectangles(
    points: Array, kinds: NDArray[np.intp], starts: NDArray[np.intp]
) -> Iterator[tuple[Array, Array]]:
    """Lower and upper corner of what is drawn as a level rectangle."""
    for first, last in zip(starts, chain(starts[1:], [len(points)]), strict=True):
        corners = points[first:last]
        if not 4 <= len(corners) <= 6 or (kinds[first + 1 : last] != _LINE_TO).any():
            continue
        low, high = corners.min(axis=0), corners.max(axis=0)
        if np.minimum(abs(corners - low), abs(corners - high)).max() <= 0.1:
            yield low, high


def _filled(points: Array, kinds: NDArray[np.intp], starts: NDArray[np.intp]) -> Iterator[Array]:
    """Thin rectangles."""
    for low, high in _rectangles(points, kinds, starts):
        thin, long = sorted(high - low)
        if thin <= MAX_RULE_WIDTH and long >= max(MIN_RULE_LENGTH, 3 * thin):
            yield np.concatenate([low, np.maximum(high, low + 0.1)])
