"""Boxes, quads and polygons in one frame: area, overlap, clip, convert, fill. NumPy only.

A box is `x_min, y_min, x_max, y_max`. Coordinates are continuous: the box `0, 0, 2, 1` covers an
area of 2. A box whose corners are in the wrong order has no area and overlaps nothing.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Size = tuple[int, int]  # width, height
Box = tuple[float, float, float, float]  # x_min, y_min, x_max, y_max
PixelBox = tuple[int, int, int, int]  # the same in whole pixels, x_max and y_max excluded
Colour = tuple[int, int, int]  # red, green and blue, 0 to 255


def box_area(boxes_xyxy: ArrayLike) -> Array:
    """Return the areas `(...)` of boxes `(..., 4)`.

    >>> box_area([[0, 0, 2, 1], [3, 3, 1, 5]])
    array([2., 0.])
    """
    boxes = np.asarray(boxes_xyxy, dtype=np.float64)
    sides = np.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)
    area: Array = sides[..., 0] * sides[..., 1]
    return area


def box_iou(boxes_a: ArrayLike, boxes_b: ArrayLike) -> Array:
    """Return intersection over union of every box of A `(N, 4)` with every box of B `(M, 4)`.

    Returns:
        float64 `(N, M)`, in [0, 1]; 0 where neither box has an area.

    >>> box_iou([[0, 0, 2, 2]], [[0, 0, 2, 2], [1, 0, 3, 2], [4, 4, 5, 5]]).round(3)
    array([[1.   , 0.333, 0.   ]])
    """
    a = np.asarray(boxes_a, dtype=np.float64).reshape(-1, 1, 4)
    b = np.asarray(boxes_b, dtype=np.float64).reshape(1, -1, 4)
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., 2:], b[..., 2:])
    common = box_area(np.concatenate([low, high], axis=-1))
    union = box_area(a) + box_area(b) - common
    iou: Array = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return iou


def clip_points(points: ArrayLike, image_size: Size) -> Array:
    """Move points `(..., 2)` that lie outside of the image to its edge.

    >>> clip_points([[-3, 5], [700, 490]], image_size=(640, 480))
    array([[  0.,   5.],
           [640., 480.]])
    """
    return np.clip(np.asarray(points, dtype=np.float64), 0.0, np.asarray(image_size))


def clip_boxes(boxes_xyxy: ArrayLike, image_size: Size) -> Array:
    """Cut boxes `(..., 4)` at the edges of the image.

    >>> clip_boxes([-3, 5, 700, 490], image_size=(640, 480))
    array([  0.,   5., 640., 480.])
    """
    boxes = np.asarray(boxes_xyxy, dtype=np.float64)
    return clip_points(boxes.reshape(*boxes.shape[:-1], 2, 2), image_size).reshape(boxes.shape)


def box_to_quad(boxes_xyxy: ArrayLike) -> Array:
    """Return the corners `(..., 4, 2)` of boxes `(..., 4)`, clockwise from the top left.

    >>> box_to_quad([0, 0, 2, 1]).tolist()
    [[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]]
    """
    boxes = np.asarray(boxes_xyxy, dtype=np.float64)
    return boxes[..., [0, 1, 2, 1, 2, 3, 0, 3]].reshape(*boxes.shape[:-1], 4, 2)


def bounding_box(points: ArrayLike) -> Array:
    """Return the box `(..., 4)` around the points `(..., P, 2)` of quads or of one polygon.

    >>> bounding_box([[4, 1], [6, 3], [5, 0]])
    array([4., 0., 6., 3.])
    """
    array = np.asarray(points, dtype=np.float64)
    return np.concatenate([array.min(axis=-2), array.max(axis=-2)], axis=-1)


def enclosing_box(boxes_xyxy: ArrayLike) -> Array:
    """Return the box `(..., 4)` around boxes `(..., N, 4)`.

    >>> enclosing_box([[0, 0, 2, 1], [1, -1, 5, 0]])
    array([ 0., -1.,  5.,  1.])
    """
    boxes = np.asarray(boxes_xyxy, dtype=np.float64)
    return np.concatenate([boxes[..., :2].min(axis=-2), boxes[..., 2:].max(axis=-2)], axis=-1)


def smallest_quad(points: ArrayLike) -> Array:
    """Return the corners `(4, 2)` of the smallest turned rectangle around points `(P, 2)`.

    The corners run as the points do, from the one nearest to the first point.

    >>> smallest_quad([[0, 0], [2, 0], [4, 0], [4, 1], [2, 1.5], [0, 1]]).round(2).tolist()
    [[0.0, 0.0], [4.0, 0.0], [4.0, 1.5], [0.0, 1.5]]
    """
    array = np.asarray(points, dtype=np.float64)
    # One side lies on a side of the hull, whose ends are two of the points.
    first, second = np.triu_indices(len(array), k=1)
    steps = array[second] - array[first]
    angles = np.unique(np.arctan2(steps[:, 1], steps[:, 0]))
    best: tuple[float, Array] | None = None
    for angle in angles:
        axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        box = bounding_box(array @ axes.T)
        if best is None or float(box_area(box)) < best[0] - 1e-9:
            best = float(box_area(box)), box_to_quad(box) @ axes
    if best is None:
        raise ValueError("points are needed, two at least")
    quad = best[1]
    if signed_area(array) < 0:
        quad = quad[::-1]
    start = int(np.argmin(np.hypot(*(quad - array[0]).T)))
    corners: Array = np.roll(quad, -start, axis=0)
    return corners


def polygon_area(points: ArrayLike) -> Array:
    """Return the area `(...)` inside closed polygons or quads `(..., P, 2)`, in either direction.

    >>> float(polygon_area([[0, 0], [2, 0], [2, 1], [0, 1]]))
    2.0
    """
    area: Array = np.abs(signed_area(points))
    return area


def signed_area(points: ArrayLike) -> Array:
    """Return the area `(...)` of polygons `(..., P, 2)`, positive where they run clockwise.

    Clockwise on the screen, where y points down.

    >>> float(signed_area([[0, 0], [0, 1], [2, 1], [2, 0]]))
    -2.0
    """
    # Measured from the first point: far from the origin the products would lose digits.
    array = np.asarray(points, dtype=np.float64)
    array = array - array[..., :1, :]
    before, after = array[..., :-1, :], array[..., 1:, :]
    cross = np.zeros(array.shape[:-1])  # the edge back to the first point adds nothing
    cross[..., :-1] = before[..., 0] * after[..., 1] - before[..., 1] * after[..., 0]
    area: Array = cross.sum(axis=-1) / 2
    return area


def rasterize(parts: Sequence[Array], size: Size) -> NDArray[np.bool_]:
    """Return the pixels `(H, W)` whose centres lie in one of the polygons; size is (width, height).

    >>> rasterize([np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]])], (3, 2)).astype(int)
    array([[1, 1, 0],
           [0, 0, 0]])
    """
    width, height = size
    filled = np.zeros((height, width), np.bool_)
    for part in parts:
        # Every edge flips all pixels to its right, in the rows that it crosses.
        start, end = part, np.roll(part, -1, axis=0)
        first = max(0, int(part[:, 1].min()))
        last = max(first, min(height, int(part[:, 1].max()) + 1))  # none outside of the picture
        centres = np.arange(first, last) + 0.5
        crossed = (start[:, 1:] <= centres) != (end[:, 1:] <= centres)
        edge, row = np.nonzero(crossed)
        slope = (end[edge, 0] - start[edge, 0]) / (end[edge, 1] - start[edge, 1])
        x = start[edge, 0] + slope * (centres[row] - start[edge, 1])
        flips = np.zeros((last - first, width + 1), np.uint8)
        np.add.at(flips, (row, np.clip(np.ceil(x - 0.5), 0, width).astype(np.intp)), 1)
        inside = np.bitwise_xor.accumulate(flips & 1, axis=1)[:, :width]
        filled[first:last] |= inside.view(np.bool_)
    return filled
