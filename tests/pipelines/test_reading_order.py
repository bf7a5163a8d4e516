"""The order of reading, on pages of boxes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from florence2.geometry import Box, box_to_quad
from florence2.pipelines.reading.order import read_in_order
from florence2.results import Quads


def page(**lines: Box) -> Quads:
    """Lines whose names are their texts, each `x, y, width, height`."""
    boxes = [(x, y, x + width, y + height) for x, y, width, height in lines.values()]
    quads = box_to_quad(np.array(boxes, dtype=float).reshape(-1, 4))
    return Quads(quads, list(lines), [0.5] * len(lines), image_size=(1000, 1000))


def two_columns(gap: int) -> dict[str, Box]:
    """Lines of two columns, level with each other."""
    return {
        **{f"right{row}": (520, 100 + (20 + gap) * row, 400, 20) for row in range(3)},
        **{f"left{row}": (60, 100 + (20 + gap) * row, 400, 20) for row in range(3)},
    }


COLUMNS = ["left0", "left1", "left2", "right0", "right1", "right2"]


@pytest.mark.parametrize("gap", [5, 15, 60], ids=["tight", "loose", "lines far apart"])
def test_the_left_column_is_read_before_the_right_one(gap: int) -> None:
    ordered, _ = read_in_order(page(**two_columns(gap)))
    assert list(ordered.labels) == COLUMNS


def test_a_title_comes_first_and_a_footer_last() -> None:
    columns = page(foot=(60, 300, 860, 20), **two_columns(5), title=(60, 30, 860, 40))
    ordered, blocks = read_in_order(columns)
    assert list(ordered.labels) == ["title", *COLUMNS, "foot"]
    assert blocks == (0, 1, 1, 1, 2, 2, 2, 3)


def test_a_title_close_above_two_columns_does_not_mix_their_lines() -> None:
    ordered, _ = read_in_order(page(title=(60, 60, 860, 35), **two_columns(5)))
    assert list(ordered.labels) == ["title", *COLUMNS]


def test_names_and_prices_side_by_side_are_read_row_by_row() -> None:
    rows = [(f"name {row}", f"{row}.50") for row in range(4)]
    sides = [
        {name: (60, 100 + 30 * row, 200, 20), price: (700, 100 + 30 * row, 60, 20)}
        for row, (name, price) in enumerate(rows)
    ]
    ordered, _ = read_in_order(page(**{k: v for side in reversed(sides) for k, v in side.items()}))
    assert list(ordered.labels) == [text for row in rows for text in row]


def test_what_a_wide_line_parts_is_read_above_it_first() -> None:
    above = two_columns(5)
    below = {f"low {name}": (x, y + 300, w, h) for name, (x, y, w, h) in above.items()}
    ordered, _ = read_in_order(page(**below, wide=(60, 260, 860, 20), **above))
    assert list(ordered.labels) == [*COLUMNS, "wide", *(f"low {name}" for name in COLUMNS)]


def test_pieces_of_one_row_are_read_from_left_to_right() -> None:
    row = page(c=(150, 12, 40, 20), a=(10, 10, 60, 20), b=(80, 9, 60, 20), next=(10, 40, 60, 20))
    ordered, blocks = read_in_order(row)
    assert list(ordered.labels) == ["a", "b", "c", "next"]
    assert set(blocks) == {0}


def test_scores_stay_with_their_lines() -> None:
    lines = page(below=(10, 50, 60, 20), above=(10, 10, 60, 20))
    scored = Quads(lines.quads, lines.labels, [0.1, 0.9], image_size=lines.image_size)
    assert read_in_order(scored)[0].scores == (0.9, 0.1)


sides = st.integers(0, 60)
boxes = st.lists(st.tuples(sides, sides, st.integers(1, 30), st.integers(1, 30)), max_size=12)


@given(boxes)
def test_no_line_is_lost_or_doubled(drawn: list[tuple[int, int, int, int]]) -> None:
    lines = page(**{f"line {number}": box for number, box in enumerate(drawn)})
    ordered, blocks = read_in_order(lines)
    assert sorted(ordered.labels) == sorted(lines.labels)
    assert list(blocks) == sorted(blocks)


def test_an_empty_page_has_no_blocks() -> None:
    ordered, blocks = read_in_order(page())
    assert (ordered.labels, blocks) == ((), ())
