"""The order in which people read what stands on a page: columns, then blocks, then lines."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from florence2.geometry import Array, bounding_box, enclosing_box
from florence2.results import Quads

Bools = NDArray[np.bool_]

MAX_LEADING = 1.0  # gap between the lines of a block, in the mean of their heights
MAX_SPACE = 1.0  # gap between pieces of one row of a block, likewise
MIN_BESIDE = 0.5  # share of the lower of two lines that stand in one row


def read_in_order(lines: Quads) -> tuple[Quads, tuple[int, ...]]:
    """Put lines in the order of reading.

    Lines that follow each other closely, one below or beside the other, are a block. A block comes
    after one above it, and after one wholly to its left unless something as wide as both stands
    between their heights: so a title comes first, then the first column, then the second.

    Returns:
        The lines in order, and the number of the block of each, which never falls.
    """
    boxes = bounding_box(lines.quads).reshape(-1, 4)
    blocks = _blocks(boxes)
    around = [enclosing_box(boxes[rows]) for rows in blocks]
    ordered = [blocks[place] for place in _order(np.array(around).reshape(-1, 4))]
    rows = [row for block in ordered for row in _rows_in_order(boxes, block)]
    numbers = tuple(number for number, block in enumerate(ordered) for _ in block)
    return lines.select(rows), numbers


def _common(boxes: Array, axis: int) -> Array:
    """How long a piece of an axis every two boxes share, negative for a gap, `(N, N)`."""
    low, high = boxes[:, axis], boxes[:, axis + 2]
    common: Array = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    return common


def _blocks(boxes: Array) -> list[list[int]]:
    """Rows of boxes that hang together."""
    heights = boxes[:, 3] - boxes[:, 1]
    lower = np.minimum(heights[:, None], heights)
    across, down = _common(boxes, 0), _common(boxes, 1)
    below = (across > 0) & (down > -MAX_LEADING * (heights[:, None] + heights) / 2)
    beside = (down > MIN_BESIDE * lower) & (across > -MAX_SPACE * lower)
    near = below | beside
    left = set(range(len(boxes)))
    blocks = []
    while left:
        block, edge = set[int](), {min(left)}
        while edge:
            block |= edge
            edge = {int(row) for each in edge for row in np.flatnonzero(near[each])} - block
        blocks.append(sorted(block))
        left -= block
    return blocks


def _order(boxes: Array) -> list[int]:
    """Sort blocks so that each comes behind all that are to be read before it."""
    before = _read_before(boxes)
    num_before = before.sum(axis=0)
    downwards = np.lexsort((boxes[:, 0], boxes[:, 1]))
    waiting = np.ones(len(boxes), dtype=bool)
    order: list[int] = []
    while waiting.any():
        # Blocks that lie across each other may wait for each other: then the topmost goes first.
        free = waiting & (num_before == 0)
        candidates = free if free.any() else waiting
        order.append(int(downwards[candidates[downwards].argmax()]))
        waiting[order[-1]] = False
        num_before = num_before - before[order[-1]]
    return order


def _read_before(boxes: Array) -> Bools:
    """Tell of every two blocks whether the first is to be read before the second, `(N, N)`."""
    x_min, y_min, x_max, y_max = boxes.T
    overlap = _common(boxes, 0) > 0
    middle = (y_min + y_max) / 2
    above: Bools = overlap & (middle[:, None] < middle)
    left: Bools = x_max[:, None] <= x_min
    for bridge, reached in enumerate(overlap):
        higher = np.flatnonzero(reached & (y_max <= y_min[bridge]))
        lower = np.flatnonzero(reached & (y_min >= y_max[bridge]))
        left[np.ix_(higher, lower)] = False
        left[np.ix_(lower, higher)] = False
    return above | left


def _rows_in_order(boxes: Array, block: Sequence[int]) -> list[int]:
    """The lines of a block from top to bottom, those in one row from left to right."""
    ordered: list[list[int]] = []
    for number in sorted(block, key=lambda number: (boxes[number, 1] + boxes[number, 3]) / 2):
        middle = (boxes[number, 1] + boxes[number, 3]) / 2
        if ordered and boxes[ordered[-1][0], 1] < middle < boxes[ordered[-1][0], 3]:
            ordered[-1].append(number)
        else:
            ordered.append([number])
    return [number for row in ordered for number in sorted(row, key=lambda each: boxes[each, 0])]
