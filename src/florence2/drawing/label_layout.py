"""Rectangles on a canvas, and where tags go so that they cover neither each other nor too much."""

from collections.abc import Sequence

import numpy as np

from florence2.geometry import Array, PixelBox, Size


def bounds(points: Array) -> PixelBox:
    """Smallest rectangle around points `(N, 2)`."""
    (left, top), (right, bottom) = np.rint([points.min(axis=0), points.max(axis=0)]).astype(int)
    return int(left), int(top), int(right), int(bottom)


def grown(rect: PixelBox, by: int) -> PixelBox:
    """The rectangle with its edges moved outwards."""
    return rect[0] - by, rect[1] - by, rect[2] + by, rect[3] + by


def clipped(rect: PixelBox, size: Size) -> PixelBox:
    """The part of a rectangle inside a canvas."""
    return max(rect[0], 0), max(rect[1], 0), min(rect[2], size[0]), min(rect[3], size[1])


def area(rect: PixelBox) -> int:
    """Pixels inside; 0 for an empty rectangle."""
    return max(rect[2] - rect[0], 0) * max(rect[3] - rect[1], 0)


def place_labels(
    anchors: Sequence[PixelBox],
    sizes: Sequence[Size],
    canvas_size: Size,
    *,
    occupied: Sequence[PixelBox] = (),
    keep_clear: Sequence[PixelBox] = (),
    beside: bool = False,
) -> list[PixelBox | None]:
    """Find a place for each tag, inside the canvas and clear of all other tags.

    Args:
        anchors: what the tags belong to, one a tag.
        sizes: `(width, height)` of the tags.
        canvas_size: `(width, height)`; a tag that is larger has no place.
        occupied: tags that are there already.
        keep_clear: what no tag may cover.
        beside: prefer the left and the right to the top and the bottom.

    Returns:
        One place a tag, `None` where there is none.
    """
    places: list[PixelBox | None] = [None] * len(anchors)
    objects, blockers = _table(anchors), _table([*occupied, *keep_clear])
    # Tags of small objects have the fewest places to go, so they choose first.
    for index in sorted(range(len(anchors)), key=lambda index: area(anchors[index])):
        candidates = _candidates(anchors[index], sizes[index], canvas_size, beside)
        covers = _table(candidates)
        outside = np.any((covers < 0) | (covers > np.tile(canvas_size, 2)), axis=1)
        blocked = outside | np.any(_shares_covered(blockers, covers), axis=1)
        hidden = _shares_covered(objects, covers).sum(axis=1)
        cost = np.where(blocked, np.inf, hidden + 0.03 * np.arange(len(candidates)))
        best = int(cost.argmin())
        if not blocked[best]:
            places[index] = candidates[best]
            blockers = np.vstack([blockers, covers[best]])
    return places


def _candidates(anchor: PixelBox, size: Size, canvas_size: Size, beside: bool) -> list[PixelBox]:
    """Places at the corners and along the edges of an object, best first.

    What would stand out of the canvas is moved along the edge, not away from the object.
    """
    (left, right), (top, bottom) = (
        [max(0, min(end, side)) for end in ends]
        for ends, side in zip((anchor[::2], anchor[1::2]), canvas_size, strict=True)
    )
    width, height = size

    def across(x: int, y: int) -> tuple[int, int]:
        return max(0, min(x, canvas_size[0] - width)), y

    def upright(x: int, y: int) -> tuple[int, int]:
        return x, max(0, min(y, canvas_size[1] - height))

    far_x, far_y, middle = right - width, bottom - height, (top + bottom - height) // 2
    around = [
        *(across(left, top - height), across(left, top), across(left, bottom)),
        *(across(far_x, top - height), across(far_x, bottom)),
        *(across(left, far_y), across(far_x, top), across(far_x, far_y)),
    ]
    sides = [
        *(upright(left - width, middle), upright(right, middle), upright(right, top)),
        *(upright(left - width, top), upright(right, far_y), upright(left - width, far_y)),
    ]
    along = []
    for share in (0.25, 0.5, 0.75):
        x, y = left + round(share * (far_x - left)), top + round(share * (far_y - top))
        along += [across(x, edge) for edge in (top - height, top, far_y, bottom)]
        along += [upright(edge, y) for edge in (left - width, left, far_x, right)]
    corners = [*sides, *around, *along] if beside else [*around, *sides, *along]
    return [(x, y, x + width, y + height) for x, y in corners]


def _table(rects: Sequence[PixelBox]) -> Array:
    return np.array(rects, dtype=np.float64).reshape(-1, 4)


def _shares_covered(rects: Array, covers: Array) -> Array:
    """How much of each rectangle each cover hides, `(covers, rects)`, 0 to 1."""
    width, height = (
        np.clip(
            np.minimum(rects[:, far], covers[:, far, None])
            - np.maximum(rects[:, near], covers[:, near, None]),
            0,
            None,
        )
        for near, far in ((0, 2), (1, 3))
    )
    areas = (rects[:, 2] - rects[:, 0]) * (rects[:, 3] - rects[:, 1])
    return np.asarray(width * height / np.maximum(areas, 1))
