"""Outlines that seams cut: every tile answers for its own part, and the parts become one.

Where two tiles outline one object, each answers up to the middle of the strip that they share.
Cut there, their polygons touch along the cut: both have an edge on it, in opposite directions.
Edges that meet their opposite vanish, and what is left closes to the outline of both together.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from florence2.geometry import Array, signed_area
from florence2.pipelines.tiling.grid import Tile

Point = tuple[float, float]
Edge = tuple[Point, Point]


def union(pieces: Sequence[tuple[Tile, Sequence[Array]]]) -> tuple[Array, ...]:
    """Return the polygons of one object from those that each of its tiles outlined.

    A hole that closes only across a seam is filled.
    """
    tiles = [tile for tile, _ in pieces]
    edges: list[Edge] = []
    cuts: set[tuple[int, float]] = set()
    for tile, polygons in pieces:
        own = _own_part(tile, tiles)
        cuts |= {(side % 2, own[side]) for side in range(4) if own[side] != tile.box[side]}
        for polygon in polygons:
            edges += _edges(clipped(_clockwise(polygon), own))
    whole = tuple(loop for loop in _loops(_cancelled(edges, cuts)) if signed_area(loop) > 0)
    # What is too thin to survive the cuts is told as it was seen.
    return whole or tuple(polygon for _, polygons in pieces for polygon in polygons)


def _own_part(tile: Tile, tiles: Sequence[Tile]) -> Array:
    """The box for which a tile answers: up to the middle of what it shares with its neighbours."""
    own = np.array(tile.box, dtype=np.float64)
    for other in tiles:
        across = other.column - tile.column, other.row - tile.row
        if abs(across[0]) + abs(across[1]) == 1:
            axis = 0 if across[0] else 1
            side = axis + (2 if across[axis] > 0 else 0)
            own[side] = (tile.box[side] + other.box[(side + 2) % 4]) / 2
    return own


def _clockwise(polygon: Array) -> Array:
    return polygon if signed_area(polygon) >= 0 else polygon[::-1]


def clipped(polygon: Array, box: Array) -> Array:
    """Cut a polygon at the sides of a box, one after the other (Sutherland and Hodgman)."""
    points: list[Array] = list(polygon)
    for side in range(4):
        axis, sign = side % 2, 1.0 if side < 2 else -1.0
        kept: list[Array] = []
        for before, point in zip(points[-1:] + points[:-1], points, strict=True):
            distances = sign * (before[axis] - box[side]), sign * (point[axis] - box[side])
            if (distances[0] < 0) != (distances[1] < 0):
                share = distances[0] / (distances[0] - distances[1])
                crossing = before + share * (point - before)
                crossing[axis] = box[side]
                kept.append(crossing)
            if distances[1] >= 0:
                kept.append(point)
        points = kept
    return np.array(points).reshape(-1, 2)


def _edges(polygon: Array) -> list[Edge]:
    points = [(float(x), float(y)) for x, y in polygon]
    return [edge for edge in pairwise([*points, *points[:1]]) if edge[0] != edge[1]]


def _cancelled(edges: Sequence[Edge], cuts: set[tuple[int, float]]) -> list[Edge]:
    """Drop edges on the cuts that meet their opposite, wherever parts of them do."""
    rest = list(edges)
    for axis, place in sorted(cuts):
        on = [edge for edge in rest if edge[0][axis] == place == edge[1][axis]]
        rest = [edge for edge in rest if not edge[0][axis] == place == edge[1][axis]]
        stops = sorted({point for edge in on for point in edge}, key=lambda point: point[1 - axis])
        counts: Counter[Edge] = Counter()
        for start, end in on:
            between = [stop for stop in stops if _between(stop, start, end, 1 - axis)]
            steps = list(pairwise(between))
            counts.update(steps if start[1 - axis] < end[1 - axis] else [(b, a) for a, b in steps])
        rest += [
            (start, end)
            for start, end in counts
            for _ in range(counts[start, end] - counts[end, start])
        ]
    return rest


def _between(stop: Point, start: Point, end: Point, axis: int) -> bool:
    low, high = sorted((start[axis], end[axis]))
    return low <= stop[axis] <= high


def _loops(edges: Sequence[Edge]) -> list[Array]:
    """Link edges, each to one that starts where it ends, into closed polygons."""
    starting: dict[Point, list[Point]] = {}
    for start, end in edges:
        starting.setdefault(start, []).append(end)
    loops = []
    while starting:
        first = next(iter(starting))
        loop, point = [first], _taken(starting, first)
        while point != first and point in starting:
            loop.append(point)
            point = _taken(starting, point)
        if len(loop) >= 3:
            loops.append(_straightened(np.array(loop)))
    return [loop for loop in loops if len(loop) >= 3]


def _taken(starting: dict[Point, list[Point]], point: Point) -> Point:
    """Take one of the edges that start at a point away, and return its end."""
    ends = starting[point]
    end = ends.pop()
    if not ends:
        del starting[point]
    return end


def _straightened(loop: Array) -> Array:
    """Leave out points on straight lines, which cuts leave behind."""
    before, after = loop - np.roll(loop, 1, axis=0), np.roll(loop, -1, axis=0) - loop
    turn = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    scale = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    bent: Array = loop[np.abs(turn) > 1e-9 * np.maximum(scale, 1e-12)]
    return bent
