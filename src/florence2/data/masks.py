"""Masks to polygons: run lengths as COCO writes them, and outlines along the edges of pixels."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from florence2.data.ordering import clockwise
from florence2.errors import DataError
from florence2.geometry import Array, signed_area

Mask = NDArray[np.bool_]
Point = tuple[int, int]

TOLERANCE = 1.0
"""Pixels that a simplified outline may be away from the edge of the mask, at most."""

SHARE = 0.2
"""The same of the width of a thin part, which would lose much of its area."""

MOST_CHANGED = 0.05
"""Of the area of a part, what simplifying its outline may add or take."""


def decode_run_lengths(encoded: Mapping[str, Any]) -> Mask:
    """Read COCO's `{"size": [height, width], "counts": [...] or "..."}`.

    The counts are the lengths of the runs of 0, 1, 0, ... down the columns, as a list or packed
    into a string.

    >>> decode_run_lengths({"size": [2, 3], "counts": [1, 2, 3]}).astype(int)
    array([[0, 1, 0],
           [1, 0, 0]])
    """
    try:
        height, width = (int(side) for side in encoded["size"])
        counts = encoded["counts"]
        lengths = _unpacked(counts) if isinstance(counts, str) else [int(x) for x in counts]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"run lengths cannot be read ({error!r}); give size and counts") from error
    if min(height, width) < 1 or min(lengths, default=0) < 0 or sum(lengths) != height * width:
        raise DataError(
            f"run lengths sum up to {sum(lengths):,}, not to {height} x {width} pixels; the file "
            "is damaged"
        )
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths).reshape(width, height).T


def _unpacked(text: str) -> list[int]:
    """Read the packed form: five bits a character, lowest first, the sixth tells "more".

    From the third on, a number is the difference to the one two before.
    """
    lengths: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"character {letter!r} is no part of packed run lengths")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:  # negative
                value -= 1 << shift
            lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("packed run lengths end within a number")
    return lengths


def mask_outlines(mask: Mask) -> tuple[list[Array], int]:
    """Return the outlines of a mask's parts, clockwise and simplified, and the number of holes.

    Outlines run along the edges of pixels, so they enclose the whole area of the mask. Simplifying
    changes the area of a part by `MOST_CHANGED` at most. Pixels that only touch at a corner are
    parts of their own. Polygons cannot tell holes, which are filled.

    >>> outlines, num_holes = mask_outlines(np.array([[False, True], [False, True]]))
    >>> outlines[0].tolist(), num_holes
    ([[1.0, 0.0], [2.0, 0.0], [2.0, 2.0], [1.0, 2.0]], 0)
    """
    outlines: list[Array] = []
    num_holes = 0
    steps = _edges(mask)
    while steps:
        loop = _take_loop(steps)
        points = np.array(loop, dtype=np.float64)
        if signed_area(points) > 0:
            outlines.append(clockwise(_outline(points)))
        else:
            num_holes += 1
    return outlines, num_holes


def _edges(mask: Mask) -> dict[Point, list[Point]]:
    """Return for every corner the next ones along the edge, with the mask to the right."""
    framed = np.pad(mask, 1).astype(np.int8)
    down = np.diff(framed, axis=0)[:, 1:-1]  # (H + 1, W), 1 where the mask begins below
    right = np.diff(framed, axis=1)[1:-1]  # (H, W + 1), 1 where it begins to the right
    steps: dict[Point, list[Point]] = {}
    edges = [((x, y), (x + 1, y), down[y, x]) for y, x in np.argwhere(down).tolist()]
    edges += [((x, y + 1), (x, y), right[y, x]) for y, x in np.argwhere(right).tolist()]
    for a, b, begins in edges:
        start, end = (a, b) if begins > 0 else (b, a)
        steps.setdefault(start, []).append(end)
    return steps


def _take_loop(steps: dict[Point, list[Point]]) -> list[Point]:
    """Follow the edge from any corner back to it, taking the steps away; return the turns."""
    start = here = next(iter(steps))
    before: Point | None = None
    corners: list[Point] = []
    while True:
        ways = steps.get(here, [])
        ahead = ways[0] if ways else None
        if before is not None and (here == start or len(ways) == 2):
            # Where two pixels touch, a turn to the right stays at the same pixel.
            dx, dy = here[0] - before[0], here[1] - before[1]
            ahead = (here[0] - dy, here[1] + dx)
        if ahead not in ways:
            return corners
        ways.remove(ahead)
        if not ways:
            del steps[here]
        if before is None or not _straight(before, here, ahead):
            corners.append(here)
        before, here = here, ahead


def _straight(a: Point, b: Point, c: Point) -> bool:
    return (b[0] - a[0], b[1] - a[1]) == (c[0] - b[0], c[1] - b[1])


def _outline(points: Array) -> Array:
    area = signed_area(points)
    tolerance = min(TOLERANCE, SHARE * _width(points))
    simple = _simplified(points, tolerance)
    while abs(signed_area(simple) - area) > MOST_CHANGED * area:  # never with all points
        tolerance /= 2
        simple = _simplified(points, tolerance)
    return simple


def _width(points: Array) -> float:
    """How wide a part is, as if it were a ribbon; the stairs of a slant count as its slope."""
    # Two steps at a time go straight where the edge goes down stairs.
    length = np.hypot(*(np.roll(points, -2, axis=0) - points).T).sum() / 2
    return 2 * float(signed_area(points)) / float(length)


def _simplified(points: Array, tolerance: float) -> Array:
    """Drop points that lie within a tolerance of the outline without them (Douglas-Peucker)."""
    far = int(np.argmax(np.hypot(*(points - points[0]).T)))
    closed = np.concatenate([points, points[:1]])
    keep = np.zeros(len(closed), dtype=bool)
    keep[[0, far]] = True
    stretches = [(0, far), (far, len(points))]
    while stretches:
        first, last = stretches.pop()
        if last - first < 2:
            continue
        along = closed[last] - closed[first]
        offsets = closed[first + 1 : last] - closed[first]
        # Never 0: a point where the outline meets its beginning is 0 away from it, never the worst.
        length = float(np.hypot(*along))
        distances = np.abs(along[0] * offsets[:, 1] - along[1] * offsets[:, 0]) / length
        worst = int(np.argmax(distances))
        if distances[worst] > tolerance:
            middle = first + 1 + worst
            keep[middle] = True
            stretches += [(first, middle), (middle, last)]
    simple = points[keep[:-1]]
    return simple if len(simple) >= 4 else points
