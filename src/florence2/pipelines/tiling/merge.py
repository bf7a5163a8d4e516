"""The answers of all tiles as one, in pixels of the whole picture."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from florence2.geometry import Array, Size, bounding_box
from florence2.locations import decode_points, encode_points
from florence2.pipelines.tiling.grid import Tile
from florence2.pipelines.tiling.matching import (
    Group,
    TileObject,
    best_whole,
    group_objects,
    joined_box,
    most_confident,
    suppress_duplicates,
    touching_sides,
)
from florence2.pipelines.tiling.polygons import union
from florence2.pipelines.tiling.text_lines import alike_lines, extended_to_seam, joined_line
from florence2.results import (
    SCORE_COLUMNS,
    Absent,
    Boxes,
    Mixed,
    Objects,
    Polygons,
    Quads,
    Result,
    Text,
    as_boxes,
    filled_columns,
)


def merge(
    results: Sequence[Result], tiles: Sequence[Tile], image_size: Size, *, any_label: bool = False
) -> Result:
    """Merge what tiles answered.

    Args:
        results: one for each tile, of one type with objects, in the pixels of that tile.
        any_label: labels describe, so those of one object may differ; the surest one is kept.

    Returns:
        A result of the same type. `answer` and `token_ids` are empty, as what each tile wrote is
        about that tile; pieces that were malformed add up, and the first reason to finish that
        is not `"stop"` is told.
    """
    placed = [translated(*pair, image_size) for pair in zip(results, tiles, strict=True)]
    if tiles[0].box == (0, 0, *image_size) and len(tiles) == 1:
        return placed[0]
    match placed[0]:
        case Boxes():
            boxes = cast(list[Boxes], placed)
            merged: Result = with_absent(_boxes(boxes, tiles, any_label), boxes)
        case Quads():
            merged = _quads(cast(list[Quads], placed), tiles)
        case Polygons():
            merged = _polygons(cast(list[Polygons], placed), tiles)
        case Mixed():
            mixed = cast(list[Mixed], placed)
            joined = replace(
                mixed[0],
                boxes=_boxes([each.boxes for each in mixed], tiles, any_label),
                polygons=_polygons([each.polygons for each in mixed], tiles),
            )
            merged = with_absent(joined, mixed)
        case other:
            raise AssertionError(f"a {other.kind} result has no objects to merge")
    return replace(merged, **merged_metadata(results))


def with_absent(merged: Boxes | Mixed, results: Sequence[Boxes | Mixed]) -> Boxes | Mixed:
    """The result with the phrases that some told absent and none found, at their best score."""
    parts = list(map(as_boxes, (merged, *results)))
    named = {label.casefold() for label in parts[0].labels}
    if isinstance(merged, Mixed):
        named |= {label.casefold() for label in merged.polygons.labels}
    best: dict[str, float] = {}
    for phrase, score in (each for part in parts[1:] for each in part.absent):
        best[phrase] = max(score, best.get(phrase, 0.0))
    absent = tuple(Absent(*each) for each in best.items() if each[0].casefold() not in named)
    boxes = replace(parts[0], absent=absent)
    return replace(merged, boxes=boxes) if isinstance(merged, Mixed) else boxes


def merged_metadata(results: Sequence[Result]) -> dict[str, Any]:
    """What a result made of several answers says of them, beside what they found."""
    reasons = [result.finish_reason for result in results]
    return {
        "answer": "",
        "token_ids": (),
        "malformed": sum(result.malformed for result in results),
        "repaired": any(result.repaired for result in results),
        "first_answer": None,
        "finish_reason": next((each for each in reasons if each != "stop"), "stop"),
    }


def translated(result: Result, tile: Tile, image_size: Size) -> Result:
    """An answer about a tile in the frame of the picture."""
    origin = np.array(tile.box[:2], dtype=np.float64)
    changes: dict[str, Any] = {"image_size": image_size}
    match result:
        case Boxes():
            changes["xyxy"] = result.xyxy + np.tile(origin, 2)
        case Quads():
            changes["quads"] = result.quads + origin
        case Polygons():
            changes["polygons"] = tuple(
                tuple(part + origin for part in instance) for instance in result.polygons
            )
        case Text():
            bins = np.reshape(result.location_bins[: len(result.location_bins) // 2 * 2], (-1, 2))
            points = decode_points(bins, result.image_size) + origin
            changes["location_bins"] = encode_points(points, image_size).ravel().tolist()
            left, top = origin.tolist()
            changes["pieces"] = tuple(
                replace(piece, points=tuple((x + left, y + top) for x, y in piece.points))
                for piece in result.pieces
            )
        case Mixed():
            changes["boxes"] = translated(result.boxes, tile, image_size)
            changes["polygons"] = translated(result.polygons, tile, image_size)
    return replace(result, **changes)


def boxes_of(result: Result) -> Array:
    """The boxes around all objects of a result, `(N, 4)`; those of `Mixed` boxes come first."""
    if isinstance(result, Mixed):
        return np.concatenate([boxes_of(result.boxes), boxes_of(result.polygons)])
    return as_boxes(result).xyxy


def _boxes(results: Sequence[Boxes], tiles: Sequence[Tile], any_label: bool) -> Boxes:
    kept = _objects(results, tiles, any_label)
    xyxy = np.array([joined_box(group, tiles) for group in kept]).reshape(-1, 4)
    return replace(results[0], xyxy=xyxy, **_columns(results, kept))


def _polygons(results: Sequence[Polygons], tiles: Sequence[Tile]) -> Polygons:
    kept = _objects(results, tiles)
    polygons = tuple(_outline(group, results, tiles) for group in kept)
    return replace(results[0], polygons=polygons, **_columns(results, kept))


def _objects(
    results: Sequence[Objects], tiles: Sequence[Tile], any_label: bool = False
) -> list[Group]:
    """What tiles saw, each object once."""
    groups = group_objects(_tile_objects(results, tiles, any_label), tiles)
    kept = suppress_duplicates(groups, [joined_box(group, tiles) for group in groups])
    return [groups[number] for number in kept]


def _outline(group: Group, results: Sequence[Polygons], tiles: Sequence[Tile]) -> tuple[Array, ...]:
    whole = best_whole(group, tiles)
    if whole is not None or len(group) == 1:
        one = whole or group[0]
        return results[one.tile].polygons[one.row]
    return union([(tiles[each.tile], results[each.tile].polygons[each.row]) for each in group])


def _quads(results: Sequence[Quads], tiles: Sequence[Tile]) -> Quads:
    pieces = _tile_objects(results, tiles, any_label=True)
    extended = [extended_to_seam(piece, tiles[piece.tile]) for piece in pieces]
    groups = group_objects(extended, tiles, alike_lines)
    lines = [joined_line(group, results, tiles) for group in groups]
    kept = suppress_duplicates(groups, [bounding_box(line.quad) for line in lines])
    read = [lines[number] for number in kept]
    scores: dict[str, Any] = {
        name: tuple(line.scores[place] for line in read) if _any_has(name, results) else None
        for place, name in enumerate(SCORE_COLUMNS)
    }
    return replace(
        results[0],
        quads=np.array([line.quad for line in read]).reshape(-1, 4, 2),
        labels=tuple(line.text for line in read),
        **scores,
    )


def _any_has(name: str, results: Sequence[Objects]) -> bool:
    """Whether any tile has this column of scores; one that is silent has none."""
    return any(getattr(result, name) is not None for result in results)


def _tile_objects(
    results: Sequence[Objects], tiles: Sequence[Tile], any_label: bool = False
) -> list[TileObject]:
    found = []
    for number, (result, tile) in enumerate(zip(results, tiles, strict=True)):
        for row, box in enumerate(boxes_of(result)):
            label = "" if any_label else result.labels[row]
            score = None if result.scores is None else result.scores[row]
            cut = touching_sides(box, tile, result.image_size)
            found.append(TileObject(number, row, box, label, score, cut))
    return found


def _columns(results: Sequence[Objects], groups: Sequence[Group]) -> dict[str, Any]:
    """Labels and scores of objects, as who saw each most surely gave them."""
    chosen = [most_confident(group) for group in groups]
    columns = [filled_columns(result) for result in results]
    return {
        name: [columns[each.tile][name][each.row] for each in chosen]
        if _any_has(name, results)
        else None
        for name in ("labels", *SCORE_COLUMNS)
    }
