"""Lines are cut into pieces for the reader, and what it read is joined again."""

from itertools import pairwise

import numpy as np
import pytest
from printed_pages import Page

from florence2.geometry import Array, box_to_quad
from florence2.pipelines.reading.find_lines import FoundLine, find_lines
from florence2.pipelines.reading.lines import box_around
from florence2.pipelines.reading.pieces import Piece, cut_pieces, line_of
from florence2.pipelines.tiling.text_lines import weighted_mean


def only_line(page: Page) -> FoundLine:
    (line,) = find_lines(page.gray)
    return line


def written(text: str, **style: object) -> Page:
    page = Page(1200, 80)
    page.write(text, 30, 20, 26, **style)  # type: ignore[arg-type]
    return page


TEXT = "Jumps over the lazy dogs while reading pages"


@pytest.mark.parametrize("max_aspect", [2.0, 4.0, 8.0])
def test_pieces_follow_each_other_and_are_not_too_wide(max_aspect: float) -> None:
    page = written(TEXT)
    line = only_line(page)
    pieces = cut_pieces(page.gray, line, max_aspect)
    boxes = [box_around(piece.quad) for piece in pieces]
    height = line.quad[3, 1] - line.quad[0, 1]
    assert all(after[0] >= before[2] for before, after in pairwise(boxes))
    # The quad reaches a little into the blanks around it.
    assert all(box[2] - box[0] <= (max_aspect + 0.3) * height + 2 for box in boxes)
    assert (boxes[0][0], boxes[-1][2]) == pytest.approx((line.quad[0, 0], line.quad[1, 0]), abs=2)


def test_pieces_end_at_blanks_and_blanks_within_are_told() -> None:
    page = written(TEXT)
    pieces = cut_pieces(page.gray, only_line(page), max_aspect=6.0)
    assert len(pieces) > 1
    assert all(piece.after_blank for piece in pieces)
    assert sum(len(piece.blanks) + 1 for piece in pieces) == len(TEXT.split())
    assert all(0 < start < end < 1 for piece in pieces for start, end in piece.blanks)


@pytest.mark.parametrize(
    "text",
    [
        "reading printed pages 7",
        "another one --",
        "Quarterly report see a",
        "over the lazy dog is",
    ],
)
def test_small_words_are_not_read_alone(text: str) -> None:
    page = written(text)
    line = only_line(page)
    height = line.quad[3, 1] - line.quad[0, 1]
    for max_aspect in np.arange(4.0, 8.0, 0.5):
        pieces = cut_pieces(page.gray, line, float(max_aspect))
        widths = [piece.quad[1, 0] - piece.quad[0, 0] for piece in pieces]
        assert min(widths) > height


def test_a_word_that_is_too_long_is_cut_between_letters() -> None:
    page = written("Donaudampfschifffahrtsgesellschaft")
    pieces = cut_pieces(page.gray, only_line(page))
    assert len(pieces) > 2
    assert [piece.after_blank for piece in pieces] == [True] + [False] * (len(pieces) - 1)


@pytest.mark.parametrize("paper", [255, 30], ids=["dark on light", "light on dark"])
def test_pieces_are_dark_on_light_with_full_contrast_and_a_margin(paper: int) -> None:
    page = Page(300, 80, paper=paper)
    page.write("Word", 30, 20, 30, fill=255 - paper)
    line = only_line(page)
    (piece,) = cut_pieces(page.gray, line)
    assert line.is_light == (paper < 128)
    height = line.quad[3, 1] - line.quad[0, 1]
    assert piece.image.shape[0] == pytest.approx(1.4 * height, abs=2)
    margin = int(0.12 * height)
    for edge in (piece.image[:margin], piece.image[:, :margin], piece.image[:, -margin:]):
        assert edge.min() > 200
    assert piece.image.min() < 40


def test_pieces_of_a_turned_line_are_level() -> None:
    page = Page(900, 300)
    for row in range(6):
        page.write(TEXT, 40, 20 + 40 * row, 24)
    page.turned(4)
    for line in find_lines(page.gray):
        for piece in cut_pieces(page.gray, line):
            ink = piece.image < 128
            rows = np.flatnonzero(ink.any(axis=1))
            assert rows[-1] - rows[0] < 1.35 * (line.quad[3, 1] - line.quad[0, 1])


def piece_at(
    x_min: float,
    x_max: float,
    after_blank: bool = True,
    blanks: tuple[tuple[float, float], ...] = (),
) -> Piece:
    image = np.full((20, 40), 255, np.uint8)
    return Piece(image, box_to_quad((x_min, 0, x_max, 10)), after_blank, blanks)


FOUND = FoundLine(box_to_quad((0, 0, 100, 10)), 8.0, False)


def spans(quads: list[Array]) -> list[tuple[float, float]]:
    return [(float(quad[:, 0].min()), float(quad[:, 0].max())) for quad in quads]


def test_words_stand_between_blanks() -> None:
    pieces = [piece_at(0, 50, blanks=((0.4, 0.6),)), piece_at(60, 100)]
    line = line_of(FOUND, pieces, ["ab cd", "ef"], [0.9, 0.9])
    assert line.text == "ab cd ef" == " ".join(word.text for word in line.words)
    assert spans([word.quad for word in line.words]) == [(0, 20), (30, 50), (60, 100)]
    assert line.letter_height == 8.0


def test_words_share_a_piece_by_letters_where_the_blanks_do_not_fit() -> None:
    line = line_of(FOUND, [piece_at(0, 70)], ["abc def"], [0.9])
    assert spans([word.quad for word in line.words]) == [(0, 30), (40, 70)]


def test_parts_of_a_word_are_joined_without_a_blank() -> None:
    pieces = [piece_at(0, 40), piece_at(40, 80, after_blank=False), piece_at(85, 100)]
    line = line_of(FOUND, pieces, ["a recog", "nised", "word"], [0.5, 0.8, None])
    assert line.text == "a recognised word"
    assert spans([line.words[1].quad])[0][1] == 80
    assert line.words[1].score == weighted_mean([0.5, 0.8], ["recog", "nised"])
    assert line.score is None


def test_pieces_that_nothing_was_read_of_are_left_out() -> None:
    pieces = [piece_at(0, 40), piece_at(50, 60), piece_at(61, 80, after_blank=False)]
    line = line_of(FOUND, pieces, ["ab", " ", "cd"], [0.5, 0.01, 0.5])
    assert (line.text, line.score) == ("ab cd", pytest.approx(0.5))
    nothing = line_of(FOUND, pieces, ["", "", ""], [0.1, 0.1, 0.1])
    assert (nothing.text, nothing.words, nothing.score) == ("", (), None)
