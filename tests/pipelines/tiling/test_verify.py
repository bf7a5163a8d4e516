"""Looking again for what was found, with hand-made eyes."""

from collections.abc import Callable, Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from florence2.geometry import Box, PixelBox
from florence2.pipelines.tiling.grid import Tile, Tiles, cut, window
from florence2.pipelines.tiling.merge import merge
from florence2.pipelines.tiling.verify import verify_objects
from florence2.results import Boxes, Mixed, Polygons, Result

NATIVE = 100
SIZE = (400, 300)


def boxes(found: Sequence[Box], labels: Sequence[str] = (), score: float = 0.5) -> Boxes:
    names = tuple(labels) or ("cat",) * len(found)
    return Boxes(list(found), names, (score,) * len(found), image_size=SIZE)


def sees(truth: Sequence[Box], labels: Sequence[str] = ()) -> Callable[[PixelBox], Boxes]:
    """Eyes that tell all of a part of the picture, cut at its border."""
    names = tuple(labels) or ("cat",) * len(truth)

    def look(rect: PixelBox) -> Boxes:
        cut_boxes = np.clip(np.reshape(truth, (-1, 4)), rect[:2] * 2, rect[2:] * 2)
        rows = np.flatnonzero((cut_boxes[:, 2:] - cut_boxes[:, :2] >= 6).all(axis=1))
        return Boxes(
            cut_boxes[rows] - np.tile(rect[:2], 2),
            [names[row] for row in rows],
            [0.9] * len(rows),
            image_size=(rect[2] - rect[0], rect[3] - rect[1]),
        )

    return look


def again(found: Result, look: Callable[[PixelBox], Result]) -> Result:
    return verify_objects(found, {}, lambda rects: list(map(look, rects)), native_side=NATIVE)


def told(result: Result) -> list[tuple[str, list[float]]]:
    assert isinstance(result, Boxes)
    return sorted(zip(result.labels, result.xyxy.tolist(), strict=True))


def test_what_is_found_again_stays_as_it_is_found_the_second_time() -> None:
    result = again(boxes([(100, 100, 140, 140)]), sees([(102, 98, 142, 140)], ["dog"]))
    assert told(result) == [("dog", [102, 98, 142, 140])]
    assert isinstance(result, Boxes) and result.scores == (0.9,)
    assert result.image_size == SIZE


def test_what_is_not_found_again_goes() -> None:
    found = boxes([(100, 100, 140, 140), (300, 200, 340, 240)])
    assert told(again(found, sees([(100, 100, 140, 140)]))) == [("cat", [100, 100, 140, 140])]


def test_a_piece_becomes_the_thing_and_two_pieces_one() -> None:
    thing = (100.0, 100.0, 160.0, 140.0)
    pieces = boxes([(100, 100, 132, 140), (125, 100, 160, 140)])
    assert told(again(pieces, sees([thing]))) == [("cat", list(thing))]


def test_what_stands_beside_is_not_told_unless_it_was_found() -> None:
    pair = [(100.0, 100.0, 130.0, 130.0), (140.0, 100.0, 170.0, 130.0)]
    assert told(again(boxes(pair[:1]), sees(pair))) == [("cat", list(pair[0]))]
    assert len(told(again(boxes(pair), sees(pair)))) == 2


def test_things_in_a_corner_share_a_window() -> None:
    asked: list[PixelBox] = []
    pair = [(5.0, 5.0, 30.0, 30.0), (40.0, 10.0, 48.0, 40.0)]

    def ask(rects: Sequence[PixelBox]) -> list[Boxes]:
        asked.extend(rects)
        return list(map(sees(pair), rects))

    result = verify_objects(boxes(pair), {}, ask, native_side=NATIVE)
    assert asked == [(0, 0, 100, 100)]
    assert len(told(result)) == 2


def test_what_was_asked_already_is_not_asked_again() -> None:
    thing = (110.0, 110.0, 140.0, 140.0)
    place = window(thing, SIZE, NATIVE)
    asked: list[PixelBox] = []

    def ask(rects: Sequence[PixelBox]) -> list[Boxes]:
        asked.extend(rects)
        return []

    result = verify_objects(boxes([thing]), {place: sees([thing])(place)}, ask, native_side=NATIVE)
    assert asked == []
    assert told(result) == [("cat", list(thing))]


def test_where_nothing_was_found_nothing_is_asked() -> None:
    nothing = boxes([])
    assert verify_objects(nothing, {}, lambda rects: [][1], native_side=NATIVE) == nothing


def test_outlines_are_looked_at_again_beside_boxes() -> None:
    square = [[100.0, 100.0], [140.0, 100.0], [140.0, 140.0], [100.0, 140.0]]
    outlines = Polygons([[square]], ("cat",), (0.5,), image_size=SIZE)
    other = (300.0, 200.0, 340.0, 240.0)
    found = Mixed(boxes([other, (10, 10, 40, 40)]), outlines, image_size=SIZE)

    def look(rect: PixelBox) -> Mixed:
        size = (rect[2] - rect[0], rect[3] - rect[1])
        part = np.array(square) - rect[:2]
        here = (part >= 0).all() and (part <= size).all()
        shown = Polygons([[part]] if here else [], ("cat",) if here else (), image_size=size)
        return Mixed(sees([other])(rect), shown, image_size=size)

    result = again(found, look)
    assert isinstance(result, Mixed)
    assert told(result.boxes) == [("cat", list(other))]
    assert np.allclose(result.polygons.polygons[0][0], square)
    assert told(again(found.boxes, sees([other]))) == told(result.boxes)


def test_what_both_looks_say_of_their_answers_is_told() -> None:
    first = Boxes([(100, 100, 140, 140)], ["cat"], image_size=SIZE, finish_reason="length")
    result = again(first, sees([(100, 100, 140, 140)]))
    assert result.finish_reason == "length"


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(20, 70), st.integers(20, 70)),
        unique_by=lambda each: each[:2],
        max_size=8,
    )
)
def test_eyes_that_miss_nothing_lose_nothing(cells: list[tuple[int, int, int, int]]) -> None:
    truth = [
        (80.0 * column, 75.0 * row, 80.0 * column + width, 75.0 * row + height)
        for column, row, width, height in cells
    ]
    labels = [f"thing {number}" for number in range(len(truth))]
    look = sees(truth, labels)
    tiles = [*cut(SIZE, NATIVE, Tiles()), Tile((0, 0, *SIZE))]
    found = merge([look(tile.box) for tile in tiles], tiles, SIZE)
    expected = sorted(zip(labels, map(list, truth), strict=True))
    assert told(again(found, look)) == expected
