"""The lines of a page are where their quads say, and in the order in which one reads them."""

from itertools import pairwise

import numpy as np
import pytest

from florence2.errors import ConfigError, DataError
from florence2.geometry import bounding_box
from florence2_lab.worlds.kit import Kit
from florence2_lab.worlds.layouts import LAYOUTS
from florence2_lab.worlds.pages import Page, PageOptions, page
from florence2_lab.worlds.press import Press, capital_height

SIDE = 256
CLEAN = PageOptions(max_rotation=0.0, wear=0.0)
INK = 90  # difference from the paper, summed over channels, that is surely ink


@pytest.fixture
def no_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Print no lines and frames, so that all ink is text."""
    monkeypatch.setattr(Press, "rule", lambda *_: None)
    monkeypatch.setattr(Press, "frame", lambda *_: None)


def clean(kit: Kit, count: int, options: PageOptions) -> list[tuple[Page, np.ndarray]]:
    """Pages on flat paper, each with where it has ink."""
    found = []
    for index in range(count):
        made = page(kit, 5, index, side=SIDE, options=options)
        border = np.concatenate([made.image[0], made.image[-1], made.image[:, 0]])
        if np.all(border == border[0]):
            ink = np.abs(made.image.astype(int) - border[0]).sum(axis=2) > INK
            found.append((made, ink))
    assert len(found) > count // 3
    return found


def pixels(quad: np.ndarray) -> tuple[slice, slice]:
    x_min, y_min, x_max, y_max = bounding_box(quad)
    return (
        slice(int(np.floor(y_min)), int(np.ceil(y_max))),
        slice(int(np.floor(x_min)), int(np.ceil(x_max))),
    )


@pytest.mark.usefixtures("no_rules")
def test_quads_of_lines_cover_all_ink_and_nothing_else(kit: Kit) -> None:
    for made, ink in clean(kit, 40, CLEAN):
        covered = np.zeros(ink.shape, bool)
        for line in made.lines:
            covered[pixels(line.quad)] = True
            assert ink[pixels(line.quad)].any()
        assert not np.any(ink & ~covered)


def test_quads_are_tight_around_their_line(kit: Kit) -> None:
    options = PageOptions(
        min_lines=1, max_lines=1, kinds=(("article", 1.0),), max_rotation=0.0, wear=0.0
    )
    for made, ink in clean(kit, 40, options):
        (line,) = made.lines
        rows, columns = np.nonzero(ink)
        tight = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        assert np.allclose(bounding_box(line.quad), tight, atol=1.0)


@pytest.mark.usefixtures("no_rules")
def test_quads_turn_with_the_page(kit: Kit) -> None:
    options = PageOptions(min_lines=2, max_lines=6, max_rotation=5.0, wear=0.0)
    turned = 0
    for made, ink in clean(kit, 40, options):
        rows, columns = np.nonzero(ink)
        points = np.column_stack([columns, rows]) + 0.5
        inside = np.zeros(len(points), bool)
        for line in made.lines:
            edges = np.roll(line.quad, -1, axis=0) - line.quad
            away = [
                (edge[0] * (points - corner)[:, 1] - edge[1] * (points - corner)[:, 0])
                / np.linalg.norm(edge)
                for corner, edge in zip(line.quad, edges, strict=True)
            ]
            inside |= np.min(away, axis=0) > -1.2
            turned += abs(edges[0][1]) > 1
        assert inside.all()
    assert turned > 10


def test_words_lie_in_their_line_from_left_to_right(kit: Kit) -> None:
    for made, ink in clean(kit, 30, CLEAN):
        for line in made.lines:
            boxes = bounding_box(line.word_quads)
            x_min, y_min, x_max, y_max = bounding_box(line.quad)
            assert len(boxes) == len(line.text.split(" "))
            assert np.all(boxes >= (x_min, y_min, x_min, y_min))
            assert np.all(boxes <= (x_max, y_max, x_max, y_max))
            assert np.all(np.diff(boxes[:, 0]) > 0)
            assert all(ink[pixels(quad)].any() for quad in line.word_quads)


def test_reading_goes_down_and_in_a_row_to_the_right(kit: Kit) -> None:
    """Except once a page, from the foot of the left column to the head of the right one."""
    columns = 0
    for index in range(60):
        made = page(kit, 1, index, options=PageOptions(max_rotation=0.0, max_letter=9.0))
        boxes = bounding_box(np.array([line.quad for line in made.lines]))
        jumps = 0
        for before, after in pairwise(boxes):
            below = after[[1, 3]].mean() > before[[1, 3]].mean() + 2
            beside = after[0] > before[2]
            jumps += beside and after[3] < before[1]
            assert below or beside
        assert jumps <= 1 if made.kind == "article" else jumps == 0
        columns += jumps
    assert columns > 0


def test_cells_of_a_row_stand_well_apart(kit: Kit) -> None:
    for index in range(60):
        made = page(kit, 1, index, options=PageOptions(max_rotation=0.0))
        boxes = bounding_box(np.array([line.quad for line in made.lines]))
        for before, after in pairwise(boxes):
            if after[1] < before[3] and before[1] < after[3] and after[0] > before[2]:
                assert after[0] - before[2] >= 0.5 * min(before[3] - before[1], after[3] - after[1])


@pytest.mark.parametrize("kind", LAYOUTS)
def test_every_kind_of_page_has_lines_within_the_options(kit: Kit, kind: str) -> None:
    options = PageOptions(min_lines=6, max_lines=12, max_letter=9.0, kinds=((kind, 1.0),))
    counts = []
    for index in range(20):
        made = page(kit, 0, index, options=options)
        assert made.kind == kind
        assert all(line.text and line.text == line.text.strip() for line in made.lines)
        quads = np.array([line.quad for line in made.lines])
        assert quads.min() >= -3
        assert quads.max() <= 384 + 3
        counts.append(len(made.lines))
    assert max(counts) <= 12
    assert np.mean(counts) >= 6


def test_letters_keep_to_the_options(kit: Kit) -> None:
    capital = capital_height(kit, kit.fonts_of("train")[0])
    options = PageOptions(
        min_lines=1, max_lines=2, min_letter=20.0, max_letter=24.0, kinds=(("article", 1.0),)
    )
    for index in range(20):
        made = page(kit, 0, index, options=options)
        # Titles are larger; an em is a whole number of pixels.
        heights = [np.ptp(line.quad[:, 1]) for line in made.lines if line.text != "a"]
        assert max(heights) >= 20 - capital * 6
        assert max(heights) < 24 * 2 * 1.8


def test_the_sums_of_receipts_are_right(kit: Kit) -> None:
    options = PageOptions(min_lines=16, max_lines=20, max_letter=8.0, kinds=(("receipt", 1.0),))
    sums = 0
    for index in range(20):
        block: dict[int, list[float]] = {}
        for line in page(kit, 0, index, options=options).lines:
            number = line.text.lstrip("$")
            if number.replace(".", "", 1).isdigit() and number[-3:-2] == ".":
                block.setdefault(line.block, []).append(float(number))
        if len(block) == 2:
            items, (total,) = block.values()
            assert abs(sum(items) - total) < 0.005
            sums += 1
    assert sums > 5


def test_held_out_families_are_printed_only_on_held_out_pages(kit: Kit) -> None:
    for index in range(20):
        texts = page(kit, 0, index, split="val").text
        assert texts == texts.upper()  # the held-out font of the tiny kit has capitals only


def test_no_font_is_asked_for_a_character_that_it_lacks(kit: Kit) -> None:
    texts = "".join(page(kit, 0, index).text for index in range(40))
    assert not set("€£") & set(texts)


def test_a_kit_without_fonts_makes_no_pages(kit: Kit) -> None:
    empty = Kit(kit.path)
    empty.fonts = ()
    with pytest.raises(DataError, match="no fonts for split 'train'"):
        page(empty, 0, 0)


def test_letters_that_do_not_fit_are_one_clear_error(kit: Kit) -> None:
    with pytest.raises(DataError, match="larger side or smaller letters"):
        page(kit, 0, 0, side=32, options=PageOptions(min_letter=40.0, max_letter=50.0))


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"min_lines": 0}, id="no lines"),
        pytest.param({"min_lines": 5, "max_lines": 4}, id="line order"),
        pytest.param({"min_letter": 0.0}, id="no size"),
        pytest.param({"min_letter": 20.0, "max_letter": 10.0}, id="size order"),
        pytest.param({"kinds": (("poem", 1.0),)}, id="unknown kind"),
        pytest.param({"kinds": ()}, id="no kind"),
    ],
)
def test_impossible_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="got"):
        PageOptions(**wrong)  # type: ignore[arg-type]
