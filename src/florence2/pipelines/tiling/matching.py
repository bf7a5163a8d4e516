"""NMS across tiles: what several tiles saw of one object is found by what they see alike, once.

Two tiles that overlap look at one strip of the picture. Where they saw the same object, the parts
of their two boxes inside that strip are the same box, however much of the object each of them
sees beyond it. So objects are compared inside of the strip only, and the same rule joins halves
at a seam, recognises an object that both tiles hold whole, and finds the pieces of one that only
the whole picture shows whole.

Two objects that one tile saw are never joined, nor is one of them dropped for the other: the
model told them apart. With one tile, everything stays as it was.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from florence2.geometry import Array, Size, box_area, box_iou, enclosing_box
from florence2.pipelines.tiling.grid import Tile

MIN_ALIKE = 0.5  # IoU, inside the strip, of what two tiles saw of one object
MIN_DOUBLE = 0.5  # IoU from which a less sure object of the same name is a second answer
MIN_SAME = 0.7  # IoU from which two names are names of one thing
MIN_INSIDE = 0.7  # share of a cut piece that lies in another object of its name
BORDER = 0.03  # of a tile's side; a box that ends within it may go on beyond the tile


@dataclass(frozen=True, eq=False)
class TileObject:
    """One object as one tile saw it.

    Attributes:
        tile: number of the tile.
        row: of the object in the answer of that tile.
        box: `(4,)`, in pixels of the picture.
        label: what only equals join; empty where any may.
        score: None where unknown.
        cut: `(4,)`, the sides at which it may go on beyond the tile.
    """

    tile: int
    row: int
    box: Array
    label: str
    score: float | None
    cut: tuple[bool, bool, bool, bool]

    @property
    def whole(self) -> bool:
        return not any(self.cut)


Group = list[TileObject]  # what was seen of one object, at most once by each tile
Similarity = Callable[
    [Array, Array], Array
]  # boxes (N, 4) and (M, 4) to a likeness (N, M) in [0, 1]


def touching_sides(box: Array, tile: Tile, image_size: Size) -> tuple[bool, bool, bool, bool]:
    """Tell at which sides a box may go on beyond its tile: left, top, right, bottom."""
    left, top, right, bottom = tile.box
    room = BORDER * (right - left), BORDER * (bottom - top)
    return (
        bool(left > 0 and box[0] - left < room[0]),
        bool(top > 0 and box[1] - top < room[1]),
        bool(right < image_size[0] and right - box[2] < room[0]),
        bool(bottom < image_size[1] and bottom - box[3] < room[1]),
    )


def group_objects(
    objects: Sequence[TileObject], tiles: Sequence[Tile], alike: Similarity = box_iou
) -> list[Group]:
    """Put together what tiles saw of the same objects, surest pairs first."""
    by_tile: dict[int, list[int]] = {}
    for number, each in enumerate(objects):
        by_tile.setdefault(each.tile, []).append(number)
    pairs = [
        pair
        for first, second in combinations(sorted(by_tile), 2)
        for pair in _pairs(
            objects, by_tile[first], by_tile[second], _strip(tiles, first, second), alike
        )
    ]
    group_of = list(range(len(objects)))
    groups = {number: [number] for number in group_of}
    for _, a, b in sorted(pairs, reverse=True):
        first, second = group_of[a], group_of[b]
        both = groups[first] + groups[second]
        if first != second and len({objects[number].tile for number in both}) == len(both):
            groups[first] = both
            for number in groups.pop(second):
                group_of[number] = first
    return sorted(
        ([objects[number] for number in sorted(group)] for group in groups.values()),
        key=lambda group: (group[0].tile, group[0].row),
    )


def _strip(tiles: Sequence[Tile], first: int, second: int) -> Array:
    """The part of the picture that two tiles share; without area where there is none."""
    boxes = np.array([tiles[first].box, tiles[second].box], dtype=np.float64)
    return np.concatenate([boxes[:, :2].max(axis=0), boxes[:, 2:].min(axis=0)])


def _pairs(
    objects: Sequence[TileObject],
    first: list[int],
    second: list[int],
    strip: Array,
    alike: Similarity,
) -> list[tuple[float, int, int]]:
    """Objects of two tiles that look alike inside of their strip, with how much."""
    if not box_area(strip):
        return []
    low, high = np.tile(strip[:2], 2), np.tile(strip[2:], 2)
    boxes = [
        np.clip([objects[number].box for number in each], low, high) for each in (first, second)
    ]
    likeness = alike(*boxes)
    return [
        (float(likeness[row, column]), first[row], second[column])
        for row, column in np.argwhere(likeness >= MIN_ALIKE)
        if objects[first[row]].label == objects[second[column]].label
    ]


def best_whole(group: Group, tiles: Sequence[Tile]) -> TileObject | None:
    """Who of a group saw the object uncut: with the smallest tile, then with the best score."""
    whole = [each for each in group if each.whole]
    return min(
        whole, key=lambda each: (box_area(tiles[each.tile].box), -(each.score or 0)), default=None
    )


def most_confident(group: Group) -> TileObject:
    """Who of a group had the best score, which becomes that of the object."""
    return max(group, key=lambda each: each.score or 0.0)


def joined_box(group: Group, tiles: Sequence[Tile]) -> Array:
    """The box of who saw the object uncut, or the one around all its pieces."""
    whole = best_whole(group, tiles)
    if whole is not None:
        return whole.box
    return enclosing_box([each.box for each in group])


def suppress_duplicates(groups: Sequence[Group], boxes: Sequence[Array]) -> list[int]:
    """Choose the objects to keep, in their order.

    Left out is what overlaps a surer object of its name, or of any name if the boxes are nearly
    the same, and a piece that is cut and lies in any other object, unless one tile told the two
    apart.
    """
    places = np.array(boxes).reshape(-1, 4)
    by_tile = [{each.tile for each in group} for group in groups]

    def rank(number: int) -> tuple[bool, float, float]:
        group = groups[number]
        return (
            _is_cut(group),
            -(most_confident(group).score or 0.0),
            -float(box_area(places[number])),
        )

    def is_duplicate(number: int) -> bool:
        overlap = box_iou(places[number], places)[0]
        doubles = overlap >= MIN_DOUBLE
        around = share_inside(places[number], places) >= MIN_INSIDE
        return any(
            (doubles[other] and groups[other][0].label == groups[number][0].label)
            or overlap[other] >= MIN_SAME
            or (around[other] and _is_cut(groups[number]))
            for other in np.flatnonzero((doubles | around) & kept).tolist()
            if not by_tile[other] & by_tile[number]
        )

    kept = np.zeros(len(groups), dtype=bool)
    for number in sorted(range(len(groups)), key=rank):
        kept[number] = not is_duplicate(number)
    rows: list[int] = np.flatnonzero(kept).tolist()
    return rows


def _is_cut(group: Group) -> bool:
    """Whether this is one piece of an object, whose rest no tile told."""
    return len(group) == 1 and not group[0].whole


def share_inside(box: Array, others: Array) -> Array:
    """The share of a box that lies in each of others `(N, 4)`."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    common = box_area(np.concatenate([low, high], axis=-1))
    share: Array = common / max(float(box_area(box)), 1e-9)
    return share
