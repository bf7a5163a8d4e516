"""Lines of print are found by their ink, on pages whose words are known."""

from collections.abc import Callable
from functools import cache
from time import process_time

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter
from printed_pages import PAGES, Gray, Page, shares_in

from florence2.geometry import Array
from florence2.pipelines.reading.find_lines import find_lines, page_skew
from florence2.pipelines.reading.pieces import cut_pieces

MIN_COVERED = 0.9  # share of a word's box that a piece must cover for perfect eyes to read it
MAX_LOST = 0.02
HARD = {
    "six pixels": 0.06,  # letters of capitals 6 pixels high touch, and so do words
}


def readable(page: Page) -> list[Array]:
    """Quads of pieces, those of one word joined, which a reader would see whole."""
    found: list[Array] = []
    for line in find_lines(page.gray):
        for number, piece in enumerate(cut_pieces(page.gray, line)):
            if number and not piece.after_blank:
                before = found.pop()
                found.append(np.array([before[0], piece.quad[1], piece.quad[2], before[3]]))
            else:
                found.append(piece.quad)
    return found


@cache
def lost_words(name: str) -> tuple[int, int]:
    """How many words of a page perfect eyes would not read, and how many there are."""
    page = PAGES[name]()
    quads, lines = np.array(page.word_quads), np.array(page.line_numbers)
    best, mixed = np.zeros(len(quads)), np.zeros(len(quads), np.bool_)
    for piece in readable(page):
        away = np.abs(quads.mean(axis=1) - piece.mean(axis=0)).max(axis=1)
        near = np.flatnonzero(away < np.ptp(piece, axis=0).max())
        shares = shares_in(quads[near], piece)
        best[near] = np.maximum(best[near], shares)
        if len(set(lines[near][shares >= 0.5])) > 1:
            mixed[near[shares >= 0.5]] = True
    return int(((best < MIN_COVERED) | mixed).sum()), len(quads)


@pytest.mark.parametrize("name", PAGES)
def test_words_stand_whole_in_pieces_of_their_own_line(name: str) -> None:
    lost, count = lost_words(name)
    assert lost <= max(3, HARD.get(name, MAX_LOST) * count)


@pytest.mark.slow
def test_perfect_eyes_lose_less_than_two_words_in_a_hundred() -> None:
    lost, count = np.sum([lost_words(name) for name in PAGES], axis=0)
    assert lost < MAX_LOST * count


@pytest.mark.parametrize("face", ["Sans", "SansMono"])
@pytest.mark.parametrize("text", ["name = value", "another -- or", "the sum += b", "- point"])
def test_signs_with_blanks_around_belong_to_their_line(text: str, face: str) -> None:
    page = Page(500, 80)
    page.write(text, 60, 20, 22, face)
    (line,) = find_lines(page.gray)
    assert shares_in(np.array(page.word_quads), line.quad).min() >= 0.7


def test_the_colour_of_letters_is_told() -> None:
    page = PAGES["screen"]()
    light = {line.is_light for line in find_lines(page.gray) if line.quad[0, 1] < 60}
    dark = {line.is_light for line in find_lines(page.gray) if 170 < line.quad[0, 1] < 260}
    assert light == {True}
    assert False in dark


@pytest.mark.parametrize(("size", "capitals"), [(12, 9), (24, 17.5), (72, 52.5), (240, 175)])
def test_letter_heights_are_those_of_the_line(size: int, capitals: float) -> None:
    page = Page(12 * size, 3 * size)
    page.write("MEASURES", size, size / 2, size)
    (line,) = find_lines(page.gray)
    assert line.letter_height == pytest.approx(capitals, rel=0.12)


@pytest.mark.parametrize("degrees", [-4.5, -1.0, 0.0, 0.6, 3.0])
def test_the_skew_of_a_page_is_measured(degrees: float) -> None:
    page = PAGES["plain"]().turned(degrees)
    assert page_skew(page.gray) == pytest.approx(degrees, abs=0.15)


def test_corners_run_from_the_upper_left_of_the_text() -> None:
    for line in find_lines(PAGES["turned by 3 degrees"]().gray):
        along, down = line.quad[1] - line.quad[0], line.quad[3] - line.quad[0]
        assert along[0] > 0 and down[1] > 0
        assert abs(np.degrees(np.arctan2(along[1], along[0])) - 3) < 0.3


def _checkerboard(cell: int) -> Gray:
    board = np.indices((40, 60)).sum(axis=0) % 2
    return np.kron(board * 255, np.ones((cell, cell))).astype(np.uint8)


EMPTY = {
    "white": np.full((500, 700), 255, np.uint8),
    "black": np.zeros((500, 700), np.uint8),
    "grey with grain": np.random.default_rng(0).normal(128, 6, (600, 800)).astype(np.uint8),
    "white noise": np.random.default_rng(0).integers(0, 256, (600, 800)).astype(np.uint8),
    "fading": np.tile(np.linspace(0, 255, 900).astype(np.uint8), (600, 1)),
    "one pixel": np.zeros((1, 1), np.uint8),
}


@pytest.mark.parametrize("name", EMPTY)
def test_a_page_without_print_gives_nothing(name: str) -> None:
    assert find_lines(EMPTY[name]) == ()


def _foliage() -> Gray:
    rng = np.random.default_rng(0)
    image = Image.new("L", (1024, 768), 90)
    draw = ImageDraw.Draw(image)
    around = np.linspace(0, 2 * np.pi, 9)
    for _ in range(4000):
        turn, long, wide = rng.uniform(0, np.pi), rng.uniform(3, 25), rng.uniform(2, 10)
        leaf = np.stack([long * np.cos(around), wide * np.sin(around)], axis=1)
        cos, sin = np.cos(turn), np.sin(turn)
        leaf = leaf @ np.array([[cos, sin], [-sin, cos]]) + rng.uniform(0, (1024, 768))
        draw.polygon([tuple(point) for point in leaf], fill=int(rng.integers(20, 230)))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(0.8)))


def _halftone() -> Gray:
    """A photograph in black and white, as fax machines and old scans have them."""
    rng = np.random.default_rng(3)
    tones = Image.fromarray(rng.integers(0, 256, (40, 50)).astype(np.uint8))
    tones = tones.resize((1000, 800), Image.Resampling.BICUBIC)
    grain = np.kron(rng.normal(0, 40, (400, 500)), np.ones((2, 2)))
    return np.where(np.asarray(tones) + grain < 128, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("picture", [_foliage, _halftone])
def test_pictures_are_hardly_ever_taken_for_lines(picture: Callable[[], Gray]) -> None:
    assert len(find_lines(picture())) <= 10


def test_specks_in_the_black_border_of_a_scan_are_no_letters() -> None:
    page = PAGES["plain"]()
    page.draw.rectangle((0, 560, 900, 700), fill=0)
    for number in range(8):
        x = 60 + 100 * number
        page.draw.polygon([(x, 620), (x + 9, 618), (x + 14, 634), (x + 3, 638)], fill=255)
    assert not any(line.is_light for line in find_lines(page.gray))


def _lone() -> Page:
    page = Page(900, 1000)
    page.write("Closed", 60, 20, 110, "Sans-Bold")  # a headline of one word
    page.write("Soup of the day", 60, 200, 24)
    page.write("7", 700, 200, 24)  # a price at the right margin
    page.write("Bread", 60, 250, 24)
    page.write("12", 700, 250, 24)
    for column in range(3):
        for row in range(3):
            x, y = 100 + 150 * column, 400 + 50 * row
            page.draw.rectangle((x, y, x + 150, y + 50), outline=0, width=2)
            page.write(str(3 * row + column), x + 60, y + 10, 24)  # a digit in a cell
    page.write("93", 820, 930, 26)  # the number of the page
    return page


def test_single_words_and_digits_on_paper_are_kept() -> None:
    page = _lone()
    quads = [line.quad for line in find_lines(page.gray)]
    shares = [
        max(float(shares_in(np.array([word]), quad)[0]) for quad in quads)
        for word in page.word_quads
    ]
    assert min(shares) >= 0.6  # the box of a "1" starts where the pen does, before the ink


@pytest.mark.parametrize(
    "gray",
    [
        np.rot90(PAGES["plain"]().gray),
        np.rot90(PAGES["plain"]().gray, 2),
        PAGES["plain"]().gray[:, ::-1],
        PAGES["plain"]().gray[:, :1],
        PAGES["plain"]().gray[:1],
        PAGES["plain"]().gray[100:104],
        np.tile(PAGES["receipt"]().gray[:200, :150], (100, 1)),
        np.tile(PAGES["plain"]().gray[40:80], (1, 22)),
        *map(_checkerboard, (1, 2, 7, 20)),
    ],
    ids=lambda gray: "x".join(map(str, gray.shape)),
)
def test_odd_pages_give_an_answer_within_the_page_in_bounded_time(gray: Gray) -> None:
    start = process_time()
    lines = find_lines(gray)
    assert process_time() - start < 20
    for line in lines:
        assert np.isfinite(line.quad).all()
        assert (line.quad >= -0.15 * max(gray.shape)).all()
        for piece in cut_pieces(gray, line):
            assert min(piece.image.shape) > 0
