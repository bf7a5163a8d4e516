"""Merging what tiles saw, on hand-made answers of tiles that see everything in them."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from florence2.geometry import Box, bounding_box, box_iou, box_to_quad, polygon_area
from florence2.pipelines.tiling.grid import Tile, Tiles, cut
from florence2.pipelines.tiling.merge import merge
from florence2.pipelines.tiling.polygons import clipped
from florence2.pipelines.tiling.text_lines import join_texts
from florence2.results import Boxes, Mixed, Polygons, Quads, Result

SIDE = 100
SIZE = (250, 175)
TILES = cut(SIZE, SIDE, Tiles())  # 3 x 2
WHOLE = Tile((0, 0, *SIZE))
MIN_SEEN = 6  # pixels of an object's sides that a tile must hold to see it


def seen_in(tile: Tile, boxes: Sequence[Box]) -> tuple[list[int], np.ndarray]:
    """Which objects a tile shows, and their boxes cut at its border, in its own frame."""
    cut_boxes = np.clip(np.array(boxes).reshape(-1, 4), tile.box[:2] * 2, tile.box[2:] * 2)
    sides = cut_boxes[:, 2:] - cut_boxes[:, :2]
    rows = np.flatnonzero((sides >= MIN_SEEN).all(axis=1)).tolist()
    return rows, cut_boxes[rows] - np.tile(tile.box[:2], 2)


def size_of(tile: Tile) -> tuple[int, int]:
    left, top, right, bottom = tile.box
    return right - left, bottom - top


def answers(tiles: Sequence[Tile], boxes: Sequence[Box], labels: Sequence[str]) -> list[Result]:
    """What tiles answer that see every part of every box; scores tell the tiles apart."""
    results: list[Result] = []
    for number, tile in enumerate(tiles):
        rows, found = seen_in(tile, boxes)
        names = tuple(labels[row] for row in rows)
        scores = tuple(0.5 + 0.01 * number for _ in rows)
        results.append(Boxes(found, names, scores, image_size=size_of(tile), finish_reason="stop"))
    return results


def merged_boxes(tiles: Sequence[Tile], boxes: Sequence[Box], labels: Sequence[str]) -> Boxes:
    merged = merge(answers(tiles, boxes, labels), tiles, SIZE)
    assert isinstance(merged, Boxes)
    return merged


def same_boxes(found: Boxes, boxes: Sequence[Box], labels: Sequence[str]) -> bool:
    told = sorted(zip(found.labels, found.xyxy.round(6).tolist(), strict=True))
    return told == sorted((label, list(box)) for label, box in zip(labels, boxes, strict=True))


@pytest.mark.parametrize("tiles", [TILES, [*TILES, WHOLE]], ids=["tiles", "tiles and the whole"])
@pytest.mark.parametrize(
    "box",
    [
        pytest.param((10.0, 10.0, 40.0, 50.0), id="inside one tile"),
        pytest.param((60.0, 10.0, 120.0, 50.0), id="over an upright seam"),
        pytest.param((10.0, 60.0, 50.0, 130.0), id="over a level seam"),
        pytest.param((60.0, 60.0, 120.0, 130.0), id="over a crossing of seams"),
        pytest.param((78.0, 10.0, 96.0, 40.0), id="whole in two tiles"),
        pytest.param((5.0, 20.0, 245.0, 60.0), id="over all columns"),
        pytest.param((5.0, 5.0, 245.0, 170.0), id="over all tiles"),
    ],
)
def test_a_box_comes_back_whole_and_once(tiles: list[Tile], box: Box) -> None:
    assert same_boxes(merged_boxes(tiles, [box], ["cat"]), [box], ["cat"])


def test_neighbours_of_one_name_at_a_seam_stay_two() -> None:
    boxes = [(50.0, 10.0, 90.0, 40.0), (50.0, 45.0, 110.0, 80.0), (92.0, 5.0, 140.0, 42.0)]
    labels = ["cat"] * 3
    assert same_boxes(merged_boxes(TILES, boxes, labels), boxes, labels)


def test_pieces_of_other_names_are_not_joined() -> None:
    left, right = TILES[0], TILES[1]
    results = [Boxes([[60, 10, 100, 50]], [name], image_size=(100, 100)) for name in ("cat", "dog")]
    results[1] = results[1].select([0])
    found = merge(results, [left, right], SIZE)
    assert found.labels == ("cat", "dog")
    described = merge(
        results, [Tile((0, 0, 100, 100)), Tile((0, 0, 100, 100))], (100, 100), any_label=True
    )
    assert described.labels == ("cat",)


coordinates = st.tuples(
    st.integers(0, SIZE[0] - 12),
    st.integers(0, SIZE[1] - 12),
    st.integers(12, 200),
    st.integers(12, 150),
)


def apart(boxes: Sequence[Box]) -> bool:
    return bool((box_iou(boxes, boxes) - np.eye(len(boxes))).max(initial=0) == 0)


@given(st.lists(coordinates, max_size=6))
def test_boxes_apart_are_each_told_once(drawn: list[tuple[int, int, int, int]]) -> None:
    """All names differ, so that only seams can lose or double a box."""
    boxes = [
        (float(x), float(y), float(min(x + w, SIZE[0])), float(min(y + h, SIZE[1])))
        for x, y, w, h in drawn
    ]
    labels = [f"thing {number}" for number in range(len(boxes))]
    found = merged_boxes([*TILES, WHOLE], boxes, labels)
    assert sorted(found.labels) == sorted(labels)


@given(st.lists(coordinates, max_size=6))
def test_one_tile_changes_nothing(drawn: list[tuple[int, int, int, int]]) -> None:
    """Not even boxes of one name on top of each other: one answer told them apart."""
    boxes = [(float(x), float(y), float(x + w), float(y + h)) for x, y, w, h in drawn]
    result = Boxes(boxes, ["cat"] * len(boxes), [0.5] * len(boxes), image_size=SIZE, answer="raw")
    assert merge([result], [WHOLE], SIZE) == result


def test_the_surest_tile_gives_the_scores() -> None:
    found = merged_boxes(TILES, [(60.0, 10.0, 120.0, 50.0)], ["cat"])
    assert found.scores == (0.51,)
    silent = [Boxes([], [], image_size=size_of(tile)) for tile in TILES]
    assert merge(silent, TILES, SIZE).scores is None


def test_a_phrase_is_absent_if_no_tile_found_it() -> None:
    absent = [("cat", 0.1), ("dog", 0.2)], [("dog", 0.3)], [("Cat", 0.4)]
    tiles = TILES[:3]
    told = [
        Boxes(
            [[10, 10, 40, 40]] * (number == 1),
            ["cat"] * (number == 1),
            image_size=size_of(tile),
            absent=absent[number],
        )
        for number, tile in enumerate(tiles)
    ]
    merged = merge(told, tiles, SIZE)
    assert isinstance(merged, Boxes)
    assert (merged.labels, merged.absent) == (("cat",), (("dog", 0.3),))


def test_what_broke_is_told() -> None:
    results = answers(TILES, [(10.0, 10.0, 40.0, 50.0)], ["cat"])
    results[2] = Boxes([], [], image_size=size_of(TILES[2]), malformed=2, finish_reason="length")
    found = merge(results, TILES, SIZE)
    assert (found.malformed, found.finish_reason, found.answer) == (2, "length", "")


def test_one_thing_keeps_the_surest_of_two_names() -> None:
    tiles = [Tile((0, 0, 100, 100)), Tile((50, 0, 150, 100), 1)]
    results = [
        Boxes(
            [[55, 10, 85, 40], [55, 10, 85, 41]], ["cat", "pet"], [0.3, 0.2], image_size=(100, 100)
        ),
        Boxes([[5, 11, 35, 40]], ["dog"], [0.4], image_size=(100, 100)),
    ]
    assert merge(results, tiles, (150, 100)).labels == ("dog",)
    # What one tile told apart stays.
    assert merge(results[:1], tiles[:1], (150, 100)).labels == ("cat", "pet")


def test_less_sure_doubles_are_left_out() -> None:
    """A tile that places an object a little wrong must not make it two."""
    tiles = [Tile((0, 0, 100, 100)), Tile((50, 0, 150, 100), 1)]
    results = [
        Boxes([[55, 10, 85, 40]], ["cat"], [0.8], image_size=(100, 100)),
        Boxes([[9, 16, 39, 46]], ["cat"], [0.4], image_size=(100, 100)),
    ]
    assert merge(results, tiles, (150, 100)).xyxy.tolist() == [[55, 10, 85, 40]]


def polygons_in(tile: Tile, outline: Sequence[tuple[float, float]]) -> Polygons:
    """What a tile outlines of a shape: the part in it."""
    part = clipped(np.array(outline, dtype=float), np.array(tile.box, dtype=float))
    parts = [] if len(part) < 3 else [[part - tile.box[:2]]]
    return Polygons(parts, ["cat"] * len(parts), [0.5] * len(parts), image_size=size_of(tile))


@pytest.mark.parametrize(
    "outline",
    [
        pytest.param([(10, 10), (40, 10), (40, 40)], id="inside one tile"),
        pytest.param([(50, 10), (130, 20), (140, 60), (60, 55)], id="over a seam"),
        pytest.param([(60, 40), (130, 50), (120, 140), (55, 130)], id="over a crossing"),
        pytest.param([(60, 10), (60, 90), (140, 90), (140, 70), (80, 70), (80, 10)], id="bent"),
    ],
)
def test_an_outline_comes_back_whole(outline: list[tuple[float, float]]) -> None:
    found = merge([polygons_in(tile, outline) for tile in TILES], TILES, SIZE)
    assert isinstance(found, Polygons)
    (parts,) = found.polygons
    assert len(parts) == 1
    assert polygon_area(parts[0]) == pytest.approx(polygon_area(np.array(outline, dtype=float)))
    assert np.allclose(bounding_box(parts[0]), bounding_box(outline))


def test_outlines_that_do_not_meet_exactly_still_make_one() -> None:
    tiles = [Tile((0, 0, 100, 100)), Tile((75, 0, 175, 100), 1)]
    left = Polygons([[[[50, 20], [100, 20], [100, 60], [50, 60]]]], [""], image_size=(100, 100))
    right = Polygons([[[[0, 22], [30, 22], [30, 59], [0, 59]]]], [""], image_size=(100, 100))
    (parts,) = merge([left, right], tiles, (175, 100)).polygons
    assert len(parts) == 1
    assert polygon_area(parts[0]) == pytest.approx(37.5 * 40 + 17.5 * 37)


def test_boxes_and_polygons_are_merged_side_by_side() -> None:
    box, outline = (60.0, 10.0, 120.0, 50.0), [(10, 10), (40, 10), (40, 40)]
    mixed = [
        Mixed(boxes, polygons_in(tile, outline), image_size=size_of(tile))
        for boxes, tile in zip(answers(TILES, [box], ["cat"]), TILES, strict=True)
    ]
    found = merge(mixed, TILES, SIZE)
    assert isinstance(found, Mixed)
    assert same_boxes(found.boxes, [box], ["cat"])
    assert found.polygons.labels == ("cat",)


LETTER = 5.0  # pixels that a letter is wide


def line_in(tile: Tile, texts: Sequence[tuple[float, float, str]]) -> Quads:
    """What a tile reads: the letters that lie in it whole, of lines 12 pixels high at (x, y)."""
    left, top, right, bottom = tile.box
    boxes, labels = [], []
    for x, y, text in texts:
        inside = [
            place
            for place in range(len(text))
            if left <= x + LETTER * place and x + LETTER * (place + 1) <= right
        ]
        high = min(bottom, y + 12) - max(top, y)
        if inside and high > 0:
            start, end = x + LETTER * inside[0], x + LETTER * (inside[-1] + 1)
            boxes.append((start - left, max(top, y) - top, end - left, min(bottom, y + 12) - top))
            half = high < 12
            labels.append("~" * len(inside) if half else text[inside[0] : inside[-1] + 1].strip())
    quads = box_to_quad(np.array(boxes).reshape(-1, 4))
    return Quads(quads, labels, [0.5] * len(labels), image_size=size_of(tile))


def test_lines_are_joined_across_all_seams() -> None:
    """Tiles read half lines at level seams as nonsense, which must not be told."""
    texts = [
        (5.0, 8.0, "A line that runs over all three tiles of a row"),
        (10.0, 40.0, "short"),
        (70.0, 70.0, "on the strip of two rows"),
        (20.0, 92.0, "cut by the level seam"),
    ]
    found = merge([line_in(tile, texts) for tile in TILES], TILES, SIZE)
    assert isinstance(found, Quads)
    assert sorted(found.labels) == sorted(text for _, _, text in texts)
    boxes = dict(zip(found.labels, bounding_box(found.quads).tolist(), strict=True))
    for x, y, text in texts:
        assert boxes[text] == [x, y, x + LETTER * len(text), y + 12]


@pytest.mark.parametrize(
    ("left", "right", "num_left", "num_right", "joined"),
    [
        pytest.param("a quick brov", "ick brown fox", 9, 8, "a quick brown fox", id="spoilt end"),
        pytest.param("the quick brown", "rown fox", 4, 4, "the quick brown fox", id="same part"),
        pytest.param("1000 1000", "1000 1000", 4, 4, "1000 1000 1000", id="repeated words"),
        pytest.param("fir", "st", 0, 0, "first", id="nothing in common"),
        pytest.param("abcdef", "uvwxyz", 2, 2, "abcdevwxyz", id="read differently"),
        pytest.param("my brown fo", "owu fox ran", 5, 5, "my brown fox ran", id="cut at a blank"),
        pytest.param("", "two", 0, 0, "two", id="nothing read before"),
    ],
)  # fmt: skip
def test_two_readings_are_joined_where_they_agree(
    left: str, right: str, num_left: int, num_right: int, joined: str
) -> None:
    assert join_texts(left, right, num_left, num_right) == joined
