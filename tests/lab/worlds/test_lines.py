"""A line's characters are where their boxes say."""

from dataclasses import replace

import numpy as np
import pytest

from florence2.errors import ConfigError, DataError
from florence2.processing.images import MIN_SIDE
from florence2_lab.worlds.describe import line_records
from florence2_lab.worlds.kit import Kit
from florence2_lab.worlds.lines import LineOptions, TextLine, line

CLEAN = LineOptions(wear=0.0, max_rotation=0.0)
INK = 60  # difference from the ground, summed over channels, that is surely ink


def inked(made: TextLine) -> np.ndarray | None:
    """Return where a line on a flat ground has ink, or None on other grounds."""
    border = np.concatenate([made.image[0], made.image[-1], made.image[:, 0], made.image[:, -1]])
    if np.any(border != border[0]):
        return None
    return np.abs(made.image.astype(int) - border[0]).sum(axis=2) > INK


def on_flat_ground(kit: Kit, count: int, options: LineOptions) -> list[tuple[TextLine, np.ndarray]]:
    made = [line(kit, 5, index, options=options) for index in range(count)]
    found = [(each, ink) for each in made if (ink := inked(each)) is not None]
    assert len(found) > count // 5
    return found


@pytest.mark.parametrize("side", [None, 120], ids=["tight crop", "placed"])
def test_boxes_of_characters_cover_all_ink_and_nothing_else(kit: Kit, side: int | None) -> None:
    options = LineOptions(wear=0.0, max_rotation=0.0, side=side)
    for made, ink in on_flat_ground(kit, 120, options):
        covered = np.zeros(ink.shape, bool)
        for char, (x_min, y_min, x_max, y_max) in zip(made.text, made.char_boxes, strict=True):
            box = np.s_[
                int(y_min) : int(np.ceil(y_max)),
                int(x_min) : int(np.ceil(x_max)),
            ]
            covered[box] |= char != " "
            assert ink[box].any() == (char != " ") or char == " "
        assert not np.any(ink & ~covered)


def test_the_quad_is_tight_around_the_ink(kit: Kit) -> None:
    for made, ink in on_flat_ground(kit, 120, CLEAN):
        rows, columns = np.nonzero(ink)
        (x_min, y_min), (x_max, y_max) = made.quad[0], made.quad[2]
        tight = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        assert np.allclose((x_min, y_min, x_max, y_max), tight, atol=1.6)


def test_a_turned_quad_keeps_its_ink_inside(kit: Kit) -> None:
    options = LineOptions(wear=0.0, max_rotation=20.0, side=160)
    turned = 0
    for made, ink in on_flat_ground(kit, 120, options):
        rows, columns = np.nonzero(ink)
        points = np.column_stack([columns, rows]) + 0.5
        edges = np.roll(made.quad, -1, axis=0) - made.quad
        for corner, edge in zip(made.quad, edges, strict=True):
            # Clockwise on a screen: the inside lies to the right, so the cross product is >= 0.
            away = edge[0] * (points - corner)[:, 1] - edge[1] * (points - corner)[:, 0]
            assert np.all(away / np.linalg.norm(edge) > -1.0)
        turned += abs(edges[0][1]) > 1
    assert turned > 5


def test_a_quad_starts_top_left_and_goes_clockwise(kit: Kit) -> None:
    for index in range(20):
        top_left, top_right, bottom_right, bottom_left = line(kit, 0, index).quad
        assert top_left[0] < top_right[0]
        assert top_left[1] < bottom_left[1]
        assert bottom_left[0] < bottom_right[0]


def test_extents_run_from_left_to_right(kit: Kit) -> None:
    for index in range(30):
        made = line(kit, 0, index)
        assert made.char_extents.shape == (len(made.text), 2)
        assert np.all(made.char_extents[:, 0] < made.char_extents[:, 1])
        assert np.all(np.diff(made.char_extents.mean(axis=1)) > 0)


@pytest.mark.parametrize("limit", [1, 5, 12])
def test_no_text_is_longer_than_the_limit(kit: Kit, limit: int) -> None:
    options = LineOptions(max_chars=limit)
    texts = [line(kit, 0, index, options=options).text for index in range(60)]
    assert max(map(len, texts)) <= limit
    assert all(text and text == text.strip() for text in texts)


def test_a_placed_line_lies_inside_its_picture(kit: Kit) -> None:
    for index in range(60):
        made = line(kit, 0, index, options=LineOptions(side=96, max_rotation=15.0))
        assert made.image.shape == (96, 96, 3)
        assert made.quad.min() >= -1
        assert made.quad.max() <= 97


def test_training_never_uses_a_held_out_family(kit: Kit) -> None:
    assert {line(kit, 0, index).font for index in range(20)} == {"plain"}
    assert {line(kit, 0, index, split="val").font for index in range(20)} == {"loud"}


def test_a_font_of_capitals_prints_capitals(kit: Kit) -> None:
    texts = [line(kit, 0, index, split="val").text for index in range(20)]
    assert all(text == text.upper() for text in texts)


def test_no_font_is_asked_for_a_character_that_it_lacks(kit: Kit) -> None:
    options = LineOptions(kinds=(("price", 1.0),))
    texts = [line(kit, 0, index, options=options).text for index in range(60)]
    assert any("$" in text for text in texts)
    assert not any(lacking in text for text in texts for lacking in "€£")


def test_fonts_that_cannot_print_the_wanted_texts_are_one_clear_error(kit: Kit) -> None:
    lacking = Kit(kit.path)
    lacking.fonts = tuple(replace(font, missing="0123456789") for font in kit.fonts)
    with pytest.raises(DataError, match="no font"):
        line(lacking, 0, 0, options=LineOptions(kinds=(("number", 1.0),)))


def test_a_kit_without_fonts_makes_no_lines(kit: Kit) -> None:
    empty = Kit(kit.path)
    empty.fonts = ()
    with pytest.raises(DataError, match="no fonts for split 'train'"):
        line(empty, 0, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"max_chars": 0}, id="no characters"),
        pytest.param({"min_em": 0.0}, id="no size"),
        pytest.param({"min_em": 30.0, "max_em": 20.0}, id="size order"),
        pytest.param({"kinds": (("poem", 1.0),)}, id="unknown kind"),
        pytest.param({"kinds": ()}, id="no kind"),
    ],
)
def test_impossible_options_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="got"):
        LineOptions(**wrong)


def test_the_shortest_lines_are_large_enough_to_be_opened(kit: Kit) -> None:
    """A run of hours died of one thin letter in a tight crop of 7 x 18 pixels."""
    options = LineOptions(max_chars=1, min_em=4.0, max_em=6.0)
    for index in range(20):
        for record in line_records(line(kit, 1, index, options=options)):
            assert min(record.picture().size) >= MIN_SIDE
