"""The order in which people read what stands on a page: columns, then blocks, then lines.

A page is cut at blanks from top to bottom that have text on both sides (gutters), the longest one
first; what stands above the gutter is read before, what stands below it after the columns. A blank
between the two halves of a table or a receipt is no gutter: there the rows are read.
"""

import re
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from florence2.geometry import Array, bounding_box
from florence2.results import Quads

Bools = NDArray[np.bool_]
Ints = NDArray[np.intp]

# Lengths are in the typical height of a line of the page.
MAX_LEADING = 1.0  # gap between the lines of a block, in the mean of their heights
MIN_GUTTER = 0.8
GUTTERS = ((MIN_GUTTER, 1.8), (2.0, 1.2))  # least width; least height of the ink on both sides
SAFE_GUTTER = 1.2
PROSE = 12.0  # what is as long as this on both sides of a gutter is text in columns
ENTRY = 4.0  # entries of an index that stands in columns are as long as this
MIN_ENTRIES = 6
ALIKE = 0.7  # and one column of it is at least so long and so high as the other
MIN_IN_ROWS = 0.7  # share of the lines of a side that have one as high on the other
ROW_SLACK = 0.3  # by how much that may differ
MAX_BAND = 1.5  # a blank this much higher than usual parts all columns
MAX_BAND_AT_EDGE = 0.5  # likewise between the page and its first or last row
MAX_EDGE_ROW = 1.6  # such a row is no higher
MAX_LOOKED_AT = 8  # boxes at the end of a row that one more is measured by
MIN_BESIDE = 0.5  # share of the lower of two lines that stand in one row
MAX_COMPARED = 600  # boxes on a side of a gutter, each with each
MAX_CELLS = 1500  # of the grid on which gutters are looked for, on either side
_VALUE = re.compile(r"[\W\d_]*|\W*(\d{1,3}|[ivxIVX]{1,5}|[a-zA-Z])[.)]?\W*")


def is_value(text: str) -> bool:
    """Whether a text is a number, an amount or a bullet: the half of a row and no line of prose.

    >>> [is_value(text) for text in ("12.50 €", "•", "iv.", "2 apples")]
    [True, True, True, False]
    """
    return _VALUE.fullmatch(text) is not None


def read_in_order(lines: Quads) -> tuple[Quads, tuple[int, ...]]:
    """Put lines in the order of reading.

    Lines that follow each other closely, one below or beside the other, are a block. A block comes
    after one above it, and after one wholly to its left unless something as wide as both stands
    between their heights: so a title comes first, then the first column, then the second.

    Returns:
        The lines in order, and the number of the block of each, which never falls.
    """
    boxes = bounding_box(lines.quads).reshape(-1, 4)
    values = np.array([is_value(label) for label in lines.labels], dtype=bool)
    order: list[int] = []
    numbers: list[int] = []
    number = -1
    for part in parts_in_order(boxes, values):
        last: Sequence[int] = ()
        for row in rows_of(boxes, part):
            number += not last or _is_far(boxes[last], boxes[row])
            order += row
            numbers += [number] * len(row)
            last = row
    return lines.select(order), tuple(numbers)


def _is_far(above: Array, below: Array) -> bool:
    """Whether a row is not of the block of the row above it."""
    height = (above[:, 3] - above[:, 1]).mean() + (below[:, 3] - below[:, 1]).mean()
    return bool(below[:, 1].min() - above[:, 3].max() >= MAX_LEADING * height / 2)


def straightened(quads: Array) -> tuple[Array, float]:
    """Turn a page back by the angle of most of its text.

    Args:
        quads: `(N, 4, 2)`, corners clockwise from where the first letter's top is.

    Returns:
        Boxes `(N, 4)` in the frame of the turned page, whose origin is that of the page, and the
        angle in radians, clockwise, by which its text is turned.
    """
    along = (quads[:, 1] - quads[:, 0] + quads[:, 2] - quads[:, 3]) / 2
    lengths = np.hypot(*along.T)
    if not lengths.sum() > 0:
        return bounding_box(quads).reshape(-1, 4), 0.0
    angles = np.arctan2(along[:, 1], along[:, 0])
    # Most of the text runs one way; of that the median, since short lines have uncertain angles.
    ways = np.round(angles / (np.pi / 2)).astype(int) % 4
    way = int(np.bincount(ways, lengths, minlength=4).argmax())
    beside = np.angle(np.exp(1j * (angles - way * np.pi / 2)))
    chosen = ways == way
    angle = way * np.pi / 2 + weighted_quantile(beside[chosen], lengths[chosen])
    if abs(angle) < 1e-4:
        angle = 0.0
    turned = quads @ turn_back(angle).T if angle else quads
    # The mean of two corners, so that what is left of the skew does not make lines higher.
    sides = (turned + turned[:, [3, 2, 1, 0]]) / 2, (turned + turned[:, [1, 0, 3, 2]]) / 2
    boxes = np.stack(
        [sides[0][:, 0, 0], sides[1][:, 0, 1], sides[0][:, 1, 0], sides[1][:, 2, 1]], axis=1
    )
    around = bounding_box(turned).reshape(-1, 4)
    level = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return np.where(level[:, None], boxes, around), float(angle)


def turn_back(angle: float) -> Array:
    """The matrix `(2, 2)` that turns points counter-clockwise on the screen by an angle."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([(cos, sin), (-sin, cos)])


def weighted_quantile(values: Array, weights: Array, share: float = 0.5) -> float:
    """The value up to which a share of the weight lies, one of the values.

    >>> weighted_quantile(np.array([3.0, 1.0, 2.0]), np.array([5.0, 1.0, 1.0]))
    3.0
    """
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(total, total[-1] * share)]])


def parts_in_order(
    boxes: Array,
    is_value: Bools,
    is_text: Bools | None = None,
) -> list[Ints]:
    """Part a page into columns and what stands across them.

    Args:
        boxes: `(N, 4)` of lines, tables and pictures, of a page that stands straight.
        is_value: `(N,)`, whether a line is a number or the like.
        is_text: `(N,)`, whether a box is one of a line; all are if left out.

    Returns:
        Numbers of boxes that are one under the other or in rows, part by part, as they are read.
    """
    if not len(boxes):
        return []
    if is_text is None:
        is_text = np.ones(len(boxes), dtype=bool)
    heights = boxes[:, 3] - boxes[:, 1]
    measured = is_text & (heights > 0)
    widths = np.maximum(boxes[:, 2] - boxes[:, 0], 1e-9)
    em = weighted_quantile(heights[measured], widths[measured]) if measured.any() else 1.0
    page = _Boxes(boxes, is_value, is_text, em)
    waiting = [np.arange(len(boxes))]
    parts = []
    at_edges = True  # the first cut looks for the header and the footer of the page
    while waiting:
        part = waiting.pop()
        cut = _cut(page, part, at_edges)
        if cut is None:
            parts.append(part)
        else:
            waiting += [each for each in reversed(cut) if len(each)]
        at_edges = False
    return parts


class _Boxes(NamedTuple):
    boxes: Array
    is_value: Bools
    is_text: Bools
    em: float


class _Grid(NamedTuple):
    """Where on a part of a page something stands.

    Attributes:
        counts: `(Y, X + 1)`, in how many cells of a row something does, up to each.
        low: x and y of the first cell.
        step: width and height of a cell.
    """

    counts: NDArray[np.int16]
    low: Array
    step: Array


def _grid(boxes: Array, em: float) -> _Grid:
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    step = np.maximum(np.array([em / 6, em / 4]), (high - low) / MAX_CELLS)
    num_x, num_y = np.ceil((high - low) / step).astype(int) + 1
    cells = np.zeros((num_y, num_x), dtype=bool)
    # Boxes of neighbouring lines may touch or lie across each other a little.
    slack = 0.15 * np.minimum(boxes[:, 3] - boxes[:, 1], em)
    inner = boxes.copy()
    inner[:, 1] += slack
    inner[:, 3] -= slack
    first = np.round((inner[:, :2] - low) / step).astype(int)
    last = np.maximum(np.round((inner[:, 2:] - low) / step).astype(int), first + 1)
    for (x, y), (x_end, y_end) in zip(first.tolist(), last.tolist(), strict=True):
        cells[y:y_end, x:x_end] = True
    counts = np.zeros((num_y, num_x + 1), dtype=np.int16)
    np.cumsum(cells, axis=1, dtype=np.int16, out=counts[:, 1:])
    return _Grid(counts, low, step)


def _cut(page: _Boxes, part: Ints, at_edges: bool) -> list[Ints] | None:
    """Part what is not one column: above, left, right, below; or upper and lower."""
    if len(part) < 3:
        return None
    boxes = page.boxes[part]
    middles = (boxes[:, 1] + boxes[:, 3]) / 2
    if at_edges and (edges := _edges(page, part)):
        return _between(part, middles, edges)
    grid = _grid(boxes, page.em)
    for top, bottom, x in chain.from_iterable(_gutters(grid, page.em, *least) for least in GUTTERS):
        y_min, y_max = grid.low[1] + np.array([top, bottom]) * grid.step[1]
        within = (middles > y_min) & (middles < y_max)
        at_left = within & (boxes[:, 2] <= x + page.em / 2) & (boxes[:, :3:2].mean(axis=1) < x)
        at_right = within & ~at_left
        if not at_left.any() or not at_right.any():
            continue
        if not _are_columns(page, part[at_left], part[at_right]):
            continue
        band = _band(page, part[at_left], part[at_right])
        if band is not None:
            return _between(part, middles, [band])
        above, below = middles <= y_min, middles >= y_max
        return [part[each] for each in (above, at_left, at_right, below)]
    return None


def _are_beside(boxes: Array, middles: Array) -> bool:
    """Whether more than one box has another about as high, which needs no grid to be known."""
    order = np.argsort(middles, kind="stable")
    near = 0.75 * (boxes[order[1:], 3] - boxes[order[1:], 1])
    return int((np.diff(middles[order]) < near).sum()) > 1


def _between(part: Ints, middles: Array, heights: Sequence[float]) -> list[Ints]:
    """Cut a part at heights, from top to bottom."""
    place = np.searchsorted(np.array(heights), middles)
    return [part[place == number] for number in range(len(heights) + 1)]


def _gutters(
    grid: _Grid, em: float, min_width: float, min_height: float
) -> list[tuple[int, int, float]]:
    """Blanks with text on both sides: first row of cells, row behind the last, x of the middle.

    Those with most text beside them first.
    """
    counts, (step_x, step_y) = grid.counts, grid.step
    num_y, num_x = len(counts), counts.shape[1] - 1
    width = max(1, round(min_width * em / step_x))
    if num_x <= width + 1:
        return []
    free = counts[:, width:] == counts[:, :-width]
    before = counts[:, :-width]
    beside = free & (before > 0) & (before < counts[:, -1:])
    if not beside.any():
        return []
    rows = np.arange(num_y, dtype=np.int16)[:, None]
    blocked = np.maximum.accumulate(np.where(free, np.int16(-1), rows), axis=0)
    support = np.zeros((num_y + 1, free.shape[1]), dtype=np.int16)
    np.cumsum(beside, axis=0, dtype=np.int16, out=support[1:])
    is_end = free.copy()
    is_end[:-1] &= ~free[1:]
    ends, xs = np.nonzero(is_end)
    begins = blocked[ends, xs] + 1
    scores = support[ends + 1, xs] - support[begins, xs]
    enough = scores * step_y >= min_height * em
    ends, xs, begins, scores = ends[enough] + 1, xs[enough], begins[enough], scores[enough]
    found: list[tuple[int, int, float]] = []
    while len(scores) and len(found) < 12:
        best = int(scores.argmax())
        top, bottom, score = begins[best], ends[best], scores[best]
        alike = (begins == top) & (ends == bottom) & (scores == score)
        # Of the neighbours that serve as well the one in the middle.
        same = np.sort(xs[alike])
        reach = same[np.cumsum(np.r_[0, np.diff(same) > 1]) == 0]
        found.append(
            (int(top), int(bottom), float(grid.low[0] + step_x * (reach.mean() + width / 2)))
        )
        low, high = reach[0] - width, reach[-1] + width
        left = (xs < low) | (xs > high) | (ends <= top) | (begins >= bottom)
        ends, xs, begins, scores = ends[left], xs[left], begins[left], scores[left]
    return found


def _are_columns(page: _Boxes, left: Ints, right: Ints) -> bool:
    """Whether what is on two sides of a blank is read one after the other, not row by row."""
    if not page.is_text[left].any() or not page.is_text[right].any():
        return True
    left, right = left[page.is_text[left]], right[page.is_text[right]]
    left = left[_are_nearest(page.boxes[left], at_right=True)]
    right = right[_are_nearest(page.boxes[right], at_right=False)]
    if page.is_value[left].mean() > 0.5 or page.is_value[right].mean() > 0.5:
        return False
    lengths = [_length(page.boxes[side]) / page.em for side in (left, right)]
    few, many = sorted((left, right), key=len)
    in_rows = _share_in_rows(page.boxes[few], page.boxes[many], page.em) >= MIN_IN_ROWS
    if min(lengths) >= PROSE:
        # Blanks in a few lines of code stand one under the other, too.
        gap = page.boxes[right, 0].min() - page.boxes[left, 2].max()
        return bool(gap >= SAFE_GUTTER * page.em or len(few) >= MIN_ENTRIES or not in_rows)
    if not in_rows:
        return True
    return (
        min(lengths) >= ENTRY
        and min(lengths) >= ALIKE * max(lengths)
        and len(few) >= MIN_ENTRIES
        and _height(page.boxes[few]) >= ALIKE * _height(page.boxes[many])
    )


def _are_nearest(boxes: Array, at_right: bool) -> Bools:
    """Which boxes have no other of their side between them and the gutter."""
    if len(boxes) > MAX_COMPARED:
        return np.ones(len(boxes), dtype=bool)
    near = (boxes[:, 1] < boxes[:, 3, None]) & (boxes[:, 3] > boxes[:, 1, None])
    low, high = boxes[:, 0], boxes[:, 2]
    between = low >= high[:, None] if at_right else high <= low[:, None]
    nearest: Bools = np.logical_not((near & between).any(axis=1))
    return nearest


def _length(boxes: Array) -> float:
    """How long most of the text runs on: the mean of the widths, each as often as it is wide."""
    widths = boxes[:, 2] - boxes[:, 0]
    return float((widths**2).sum() / max(widths.sum(), 1e-9))


def _height(boxes: Array) -> float:
    return float(boxes[:, 3].max() - boxes[:, 1].min())


def _share_in_rows(few: Array, many: Array, em: float) -> float:
    """How many of a few lines stand as high as one of the others, of those beside them."""
    beside = (few[:, 3] > many[:, 1].min()) & (few[:, 1] < many[:, 3].max())
    few = few[beside]
    if not len(few):
        return 0.0
    middles = np.sort((many[:, 1] + many[:, 3]) / 2)
    wanted = (few[:, 1] + few[:, 3]) / 2
    place = np.searchsorted(middles, wanted)
    below = np.abs(middles[np.minimum(place, len(middles) - 1)] - wanted)
    above = np.abs(middles[np.maximum(place - 1, 0)] - wanted)
    # Boxes may be tight around letters of which some reach lower than others, or around a dash.
    slack = ROW_SLACK * np.maximum(few[:, 3] - few[:, 1], em)
    return float((np.minimum(below, above) < slack).mean())


def _bands(boxes: Array) -> Array:
    """Blanks from side to side between boxes, `(K, 2)`: from where, down to where."""
    order = np.argsort(boxes[:, 1], kind="stable")
    reached = np.maximum.accumulate(boxes[order, 3])[:-1]
    bands: Array = np.stack([reached, boxes[order[1:], 1]], axis=1)
    return bands[bands[:, 1] > bands[:, 0]]


def _leading(boxes: Array, em: float) -> float:
    """The usual blank between lines one under the other."""
    order = np.argsort(boxes[:, 1], kind="stable")
    gaps = boxes[order[1:], 1] - boxes[order[:-1], 3]
    gaps = gaps[gaps > -em / 2]
    return max(float(np.median(gaps)), 0.0) if len(gaps) else 0.0


def _band(page: _Boxes, left: Ints, right: Ints) -> float | None:
    """The middle of the highest blank that parts two columns alike, if it is high enough."""
    bands = _bands(page.boxes[np.concatenate([left, right])])
    if not len(bands):
        return None
    start, end = bands[np.argmax(bands[:, 1] - bands[:, 0])]
    usual = max(_leading(page.boxes[side], page.em) for side in (left, right))
    return float(start + end) / 2 if end - start > usual + MAX_BAND * page.em else None


def _edges(page: _Boxes, part: Ints) -> list[float]:
    """Where the first and the last row of a page are cut off from what stands between."""
    boxes = page.boxes[part]
    bands = _bands(boxes)
    if len(bands) < 2:
        return []
    usual = _leading(boxes, page.em) + MAX_BAND_AT_EDGE * page.em
    row = MAX_EDGE_ROW * page.em
    heights = []
    for (start, end), edge in ((bands[0], boxes[:, 1].min()), (bands[-1], boxes[:, 3].max())):
        if min(abs(start - edge), abs(end - edge)) <= row and end - start >= usual:
            heights.append(float(start + end) / 2)
    return heights


def rows_of(boxes: Array, part: Sequence[int] | Ints) -> list[list[int]]:
    """The boxes of a column from top to bottom, those in one row from left to right."""
    numbers = [int(number) for number in part]
    numbers.sort(key=lambda number: (boxes[number, 1] + boxes[number, 3], boxes[number, 0]))
    x_min, y_min, x_max, y_max = boxes.T.tolist()
    rows: list[list[int]] = []
    for number in numbers:
        if rows and all(
            min(y_max[number], y_max[other]) - max(y_min[number], y_min[other])
            > MIN_BESIDE * min(y_max[number] - y_min[number], y_max[other] - y_min[other])
            and min(x_max[number], x_max[other]) - max(x_min[number], x_min[other])
            <= 0.5 * min(x_max[number] - x_min[number], x_max[other] - x_min[other])
            for other in rows[-1][-MAX_LOOKED_AT:]
        ):
            rows[-1].append(number)
        else:
            rows.append([number])
    return [sorted(row, key=lambda number: x_min[number]) for row in rows]
