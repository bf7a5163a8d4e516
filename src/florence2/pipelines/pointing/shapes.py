"""Shapes of screens found by their pixels: what may be icons, and the frames of fields and buttons.

NumPy and Pillow only; boxes are `(N, 4)` arrays `x_min, y_min, x_max, y_max` in pixels.
"""

import numpy as np
from numpy.typing import NDArray

from florence2.geometry import Array, box_iou
from florence2.pipelines.reading.ink import (
    Bools,
    Gray,
    components_of,
    runs_of,
    without_upright_rules,
)

ICON_SIDES = 8, 72  # pixels
MAX_ICON_ASPECT = 2.4
JOINED = (0, 1, 2)  # pixels that parts of one icon are grown by, to hang together
MIN_STEP = 14  # grey levels from a pixel to the next
SAME_BOX = 0.75  # IoU
MAX_ICONS = 400
MAX_COMPARED = 1500  # boxes, each with all others: 18 MB

FRAME_WIDTHS = 24, 1200  # pixels; narrower edges are strokes of letters
FRAME_HEIGHTS = 14, 80
MIN_EDGE = 4  # grey levels from one row of pixels to the next
MAX_EDGES = 1500  # the longest; a photograph has any number
MIN_SIDES = 0.8  # share of the rows of pixels in which both sides have an edge
CORNER = 4  # pixels at each end of a side that may be round
SLACK = 4  # pixels that the ends of upper and lower edge may be apart


def icon_boxes(gray: Gray) -> Array:
    """Boxes of compact shapes on even ground: icons, and letters where there is print.

    Edges are followed, not ink: it does not matter which of two colours is the ground.
    """
    edges = _edges(gray.astype(np.int16))
    # What underlines a text may touch the icon beside it.
    apart = without_upright_rules(_without_level_rules(edges))
    found = [_compact(mask, reach) for mask in (edges, apart) for reach in JOINED]
    boxes = np.unique(np.concatenate(found), axis=0)
    large_first = np.argsort(-(boxes[:, 2:] - boxes[:, :2]).max(axis=1), kind="stable")
    return distinct(boxes[large_first[:MAX_COMPARED]], SAME_BOX)[:MAX_ICONS]


def _edges(gray: NDArray[np.int16]) -> Bools:
    """Pixels on both sides of a step from one grey to another."""
    edges = np.zeros(gray.shape, np.bool_)
    for axis in (0, 1):
        steps = np.moveaxis(np.abs(np.diff(gray, axis=axis)) >= MIN_STEP, axis, 0)
        both = np.moveaxis(edges, axis, 0)  # a view
        both[:-1] |= steps
        both[1:] |= steps
    return edges


def _without_level_rules(mask: Bools) -> Bools:
    """Take away level strokes longer than those of icons."""
    without: Bools = without_upright_rules(np.ascontiguousarray(mask.T)).T
    return without


def _compact(edges: Bools, reach: int) -> Array:
    """Boxes around the shapes themselves, not the pixels beside them."""
    grown = components_of(runs_of(_grown(edges, reach)), edges.shape[1])
    inwards = reach + 1
    boxes = grown.boxes + np.array([inwards, inwards, -inwards, -inwards])
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    longer, shorter = np.maximum(width, height), np.minimum(width, height)
    fits = (longer >= ICON_SIDES[0]) & (longer <= ICON_SIDES[1]) & (shorter >= 2)
    compact = boxes[fits & (longer <= MAX_ICON_ASPECT * shorter)]
    return np.asarray(compact, np.float64)


def _grown(ink: Bools, reach: int) -> Bools:
    """Ink, and all within so many pixels of it."""
    for axis in (0, 1):
        length = ink.shape[axis]
        grown = ink.copy()
        for step in range(1, min(reach, length - 1) + 1):
            before, after = [slice(None)] * 2, [slice(None)] * 2
            before[axis], after[axis] = slice(0, length - step), slice(step, length)
            grown[tuple(after)] |= ink[tuple(before)]
            grown[tuple(before)] |= ink[tuple(after)]
        ink = grown
    return ink


def frame_boxes(gray: Gray) -> Array:
    """Boxes of edges on all four sides, the smallest first: fields, buttons."""
    if len(gray) < 2:
        return np.zeros((0, 4))
    edges = runs_of(np.abs(np.diff(gray.astype(np.int16), axis=0)) >= MIN_EDGE)
    lengths = edges.end - edges.start
    is_long = (lengths >= FRAME_WIDTHS[0]) & (lengths <= FRAME_WIDTHS[1])
    if is_long.sum() > MAX_EDGES:
        is_long &= lengths >= np.sort(lengths)[-MAX_EDGES]
    edges = edges.select(is_long)
    row, start, end = edges.row, edges.start, edges.end
    height = row[None, :] - row[:, None]
    pairs = (height >= FRAME_HEIGHTS[0]) & (height <= FRAME_HEIGHTS[1])
    pairs &= np.abs(start[None, :] - start[:, None]) <= SLACK
    pairs &= np.abs(end[None, :] - end[:, None]) <= SLACK
    upper, lower = np.nonzero(pairs)
    order = np.argsort(height[upper, lower], kind="stable")[:MAX_COMPARED]
    upper, lower = upper[order], lower[order]
    left, right = np.minimum(start[upper], start[lower]), np.maximum(end[upper], end[lower])
    boxes = np.stack([left, row[upper] + 1, right, row[lower] + 1], axis=1).astype(np.float64)
    levels = gray.astype(np.int16)
    framed = [number for number, box in enumerate(boxes) if _has_sides(levels, box)]
    return distinct(boxes[framed], 0.85)


def _has_sides(gray: NDArray[np.int16], box: Array) -> bool:
    """Whether edges go down both sides: a gap between two frames has none, nor has a row of a
    table."""
    left, top, right, bottom = box.astype(int).tolist()
    rows = gray[top + CORNER : max(top + CORNER + 1, bottom - CORNER)]
    for side in (left, right):
        steps = np.abs(np.diff(rows[:, max(0, side - SLACK) : side + SLACK], axis=1))
        if not steps.size or (steps >= MIN_EDGE).any(axis=1).mean() < MIN_SIDES:
            return False
    return True


def distinct(boxes: Array, same: float) -> Array:
    """Boxes without those that are nearly one before them."""
    kept: list[int] = []
    if len(boxes):
        overlaps = box_iou(boxes, boxes) >= same
        for number in range(len(boxes)):
            if not overlaps[number, kept].any():
                kept.append(number)
    return boxes[kept].reshape(-1, 4)
