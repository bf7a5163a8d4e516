"""Where things are, in words: in the picture, and beside or over one another.

Every word has a margin. What lies near the limit between two words gets neither, so that a caption
is never wrong by a hair, and `may_be` tells what a careless reader could still take for true.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from florence2.geometry import Box, Size
from florence2_lab.worlds.pixels import Pixels

LEFT, RIGHT = "to the left of", "to the right of"
ABOVE, BELOW = "above", "below"
DIRECTIONS = (LEFT, RIGHT, ABOVE, BELOW)
SMALL, LARGE = 0.22, 0.5  # longer sides, relative to that of the picture
ON_TOP = 0.5  # of the border of what lies on top runs over what lies below
IN_FRONT = 0.12

_COLUMNS, _ROWS = ("left", "", "right"), ("top", "", "bottom")


def centre(box: Box) -> tuple[float, float]:
    """Return the centre of a box."""
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def place(box: Box, size: Size) -> str | None:
    """Say in which ninth of the picture the centre of a box lies, or None near a limit.

    >>> place((0, 0, 10, 10), (100, 100)), place((40, 80, 60, 98), (100, 100))
    ('in the top left corner', 'at the bottom')
    """
    x, y = centre(box)
    column, row = _third(x / size[0]), _third(y / size[1])
    if column is None or row is None:
        return None
    across, down = _COLUMNS[column], _ROWS[row]
    if across and down:
        return f"in the {down} {across} corner"
    if down:
        return f"at the {down}"
    return f"on the {across}" if across else "in the middle"


def _third(share: float) -> int | None:
    for third, (low, high) in enumerate(((0.0, 0.3), (0.37, 0.63), (0.7, 1.0))):
        if low <= share <= high:
            return third
    return None


def size_word(box: Box, size: Size) -> str:
    """Call an object small, large, or neither (empty)."""
    longer = max((box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1])
    return "small" if longer <= SMALL else "large" if longer >= LARGE else ""


def direction(box: Box, other: Box, size: Size) -> str | None:
    """Say where a box is from another, or None unless one word says it.

    >>> direction((0, 40, 20, 60), (70, 40, 90, 60), (100, 100))
    'to the left of'
    """
    (x, y), (other_x, other_y) = centre(box), centre(other)
    across, down = (x - other_x) / size[0], (y - other_y) / size[1]
    if max(abs(across), abs(down)) < 0.12:
        return None
    if abs(across) >= 1.6 * abs(down) and _overlap(box, other, 0) < 0.3:
        return LEFT if across < 0 else RIGHT
    if abs(down) >= 1.6 * abs(across) and _overlap(box, other, 1) < 0.3:
        return ABOVE if down < 0 else BELOW
    return None


def may_be(word: str, box: Box, other: Box, size: Size) -> bool:
    """Tell whether somebody could say that a box is `word` (of `DIRECTIONS`) another."""
    (x, y), (other_x, other_y) = centre(box), centre(other)
    away = {
        LEFT: (other_x - x) / size[0],
        RIGHT: (x - other_x) / size[0],
        ABOVE: (other_y - y) / size[1],
        BELOW: (y - other_y) / size[1],
    }[word]
    return away > -0.03


def _overlap(box: Box, other: Box, axis: int) -> float:
    """Return the common part of two boxes along an axis, relative to the shorter one."""
    common = min(box[axis + 2], other[axis + 2]) - max(box[axis], other[axis])
    return max(0.0, common) / min(box[axis + 2] - box[axis], other[axis + 2] - other[axis])


@dataclass(frozen=True)
class Overlap:
    """One object drawn over another, by their numbers in the scene."""

    upper: int
    lower: int
    share: float  # of the border of the upper one that runs over the lower one


def overlaps(instance_map: Pixels, count: int) -> tuple[Overlap, ...]:
    """Find which of `count` objects lie over which, from the largest share of border down.

    Objects are numbered from the lowest layer to the highest, so where two touch, the one with the
    larger number covers something of the other.
    """
    touching = np.zeros((count + 1) ** 2, np.int64)
    for first, second in (
        (instance_map[:, :-1], instance_map[:, 1:]),
        (instance_map[:-1], instance_map[1:]),
    ):
        differ = first != second
        low = np.minimum(first[differ], second[differ]).astype(np.int64)
        high = np.maximum(first[differ], second[differ]).astype(np.int64)
        touching += np.bincount(high * (count + 1) + low, minlength=len(touching))
    table: NDArray[np.int64] = touching.reshape(count + 1, count + 1)
    borders = table.sum(axis=0) + table.sum(axis=1)
    found = [
        Overlap(int(upper) - 1, int(lower) - 1, float(table[upper, lower] / borders[upper]))
        for upper, lower in np.argwhere(table)
        if lower > 0
    ]
    return tuple(sorted(found, key=lambda each: (-each.share, each.upper, each.lower)))
