"""Outlines: the pixels that an object owns, as the few polygons that Florence-2 would write.

A polygon has no hole. A piece with a hole that matters is therefore cut in two through the middle
of the hole, as often as needed: the parts of an instance are to be united, whatever rule fills
them. Small holes and specks are left out as long as the whole stays close to the mask.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from florence2.geometry import Array, polygon_area, rasterize
from florence2_lab.worlds.pixels import Pixels

MIN_IOU = 0.9  # of the polygons with the mask
MAX_POINTS = 40  # of one part
# Shares of the mask: specks and holes up to the first are left out, and simplifying a part may
# miss or add up to the second. The rows are tried in turn until the whole is close enough.
LIMITS = ((0.02, 0.05), (0.01, 0.03), (0.002, 0.01))
STEPS = np.geomspace(0.08, 0.008, 10)  # of simplification, relative to the root of the area

Polygon = Array  # (P, 2) pixels


def outline(mask: NDArray[np.bool_]) -> tuple[Polygon, ...]:
    """Trace a mask `(H, W)` that has at least one pixel.

    Returns:
        Parts `(P, 2)` in pixels, large ones first, each clockwise on the screen from its topmost
        (among these leftmost) point. Coordinates are those of pixel edges: a mask of the one pixel
        in the top left corner is the square from 0, 0 to 1, 1.

    >>> mask = np.zeros((5, 5), bool)
    >>> mask[1:3, 2:5] = True
    >>> [part.tolist() for part in outline(mask)]
    [[[2.0, 1.0], [5.0, 1.0], [5.0, 3.0], [2.0, 3.0]]]
    """
    pixels = mask.view(np.uint8)
    x, y, width, height = cv2.boundingRect(pixels)
    whole = _Piece(pixels[y : y + height, x : x + width], 0, 0)
    best: tuple[float, list[Polygon]] = -1.0, []
    for left_out, error in LIMITS:
        parts = [_simplified(piece, error) for piece in _pieces(whole, left_out * whole.area)]
        iou = _iou(rasterize(parts, (width, height)), whole.mask.view(np.bool_))
        if iou > best[0]:
            best = iou, parts
        if iou >= MIN_IOU:
            break
    placed = [np.add(_clockwise(part), (x, y)) for part in best[1]]
    return tuple(sorted(placed, key=lambda part: (-float(polygon_area(part)), part.tolist())))


def evenly(polygon: Polygon, count: int) -> Polygon:
    """Place `count` points on a polygon `(P, 2)`, equally far apart along it, from its first one.

    >>> evenly(np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]]), 8)[:3].tolist()
    [[0.0, 0.0], [2.0, 0.0], [4.0, 0.0]]
    """
    closed = np.concatenate((polygon, polygon[:1]))
    travelled = np.cumsum(np.hypot(*np.diff(closed, axis=0, prepend=closed[:1]).T))
    wanted = np.arange(count) / count * travelled[-1]
    return np.stack([np.interp(wanted, travelled, axis) for axis in closed.T], axis=1)


@dataclass(frozen=True)
class _Piece:
    """A part of a mask, cut out, and where its top left corner lies."""

    mask: Pixels  # 0 and 1
    x: int
    y: int

    @property
    def area(self) -> int:
        return cv2.countNonZero(self.mask)

    def cut(self, x: slice, y: slice) -> "_Piece":
        return _Piece(self.mask[y, x], self.x + (x.start or 0), self.y + (y.start or 0))


def _pieces(piece: _Piece, left_out: float) -> Iterator[_Piece]:
    """Yield the connected pieces, those with a hole cut up, and none of at most `left_out`."""
    count, numbers, table, _ = cv2.connectedComponentsWithStats(piece.mask, connectivity=4)
    for number in range(1, count):
        x, y, width, height, area = table[number].tolist()
        if area <= left_out:
            continue
        box = np.s_[y : y + height, x : x + width]
        single = _Piece((numbers[box] == number).view(np.uint8), piece.x + x, piece.y + y)
        hole = _largest_hole(single.mask, left_out)
        if hole is None:
            yield single
            continue
        (x, y), everything = hole, slice(None)
        # Across the shorter way, so that the cut is short.
        if width > height:
            halves = [(slice(x), everything), (slice(x, None), everything)]
        else:
            halves = [(everything, slice(y)), (everything, slice(y, None))]
        for columns, rows in halves:
            yield from _pieces(single.cut(columns, rows), left_out)


def _largest_hole(mask: Pixels, left_out: float) -> tuple[int, int] | None:
    """Return the middle of the largest hole, if it has more than `left_out` pixels."""
    empty = cv2.copyMakeBorder(1 - mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(1,))
    # Tracing runs across pixels that touch at corners, so what is open only there is a hole too.
    count, _, table, _ = cv2.connectedComponentsWithStats(empty, connectivity=4)
    # Component 1 is the outside, which the border made one.
    holes = [row.tolist() for row in table[2:count] if row[cv2.CC_STAT_AREA] > left_out]
    if not holes:
        return None
    x, y, width, height, _ = max(holes, key=lambda row: int(row[cv2.CC_STAT_AREA]))
    return x - 1 + width // 2, y - 1 + height // 2


def _simplified(piece: _Piece, error: float) -> Polygon:
    """Return the coarsest outline that misses or adds at most `error` of the piece, if any."""
    # Traced at twice the size, a contour knows on which side of a pixel it runs.
    double = np.repeat(np.repeat(piece.mask, 2, axis=0), 2, axis=1)
    (traced,), _ = cv2.findContours(double, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    contour = (traced + 1) // 2
    size = piece.mask.shape[1], piece.mask.shape[0]
    area, wanted = piece.area, piece.mask.view(np.bool_)
    kept = cv2.approxPolyDP(contour, 0.0, True)[:, 0].astype(np.float64)
    for step in STEPS * np.sqrt(area):
        simple = cv2.approxPolyDP(contour, step, True)[:, 0].astype(np.float64)
        if len(simple) < 3 or polygon_area(simple) == 0:
            continue
        if len(simple) > MAX_POINTS >= len(kept):
            break
        kept = simple
        if np.count_nonzero(rasterize([simple], size) != wanted) <= error * area:
            break
    return np.add(kept, (piece.x, piece.y))


def _iou(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    return np.count_nonzero(first & second) / np.count_nonzero(first | second)


def _clockwise(points: Polygon) -> Polygon:
    """Order points clockwise on the screen from the topmost, among these the leftmost."""
    x, y = points.T
    if np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) < 0:
        points = points[::-1]
    start = int(np.lexsort((points[:, 0], points[:, 1]))[0])
    return np.roll(points, -start, axis=0)
