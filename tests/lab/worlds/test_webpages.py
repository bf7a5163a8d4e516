"""Web pages: what the records say is where the browser put it, whole and in cuttings."""

from pathlib import Path

import numpy as np
import pytest
from PIL import ImageFont

from florence2.cli.main import main
from florence2.errors import DataError
from florence2.geometry import bounding_box
from florence2_lab.worlds.building.baking import bake
from florence2_lab.worlds.building.chromium import Chromium, find_chromium
from florence2_lab.worlds.building.templates import TEMPLATES, data_url, web_page
from florence2_lab.worlds.building.typesetting import SCALE, SIDE, typeset
from florence2_lab.worlds.kinds import records_of
from florence2_lab.worlds.kit import Kit
from florence2_lab.worlds.pages import Page, PageOptions
from florence2_lab.worlds.webpages import BakedPages, web_cutting

pytestmark = pytest.mark.process
needs_chromium = pytest.mark.skipif(find_chromium() is None, reason="chromium is not installed")
CLEAN = PageOptions(wear=0.0)


def document(body: str) -> str:
    font = data_url(ImageFont.load_default(20).font_bytes, "font/ttf")
    style = f"@font-face{{font-family:plain;src:url({font})}} body{{font:20px/1.5 plain}}"
    return f"<!doctype html><style>{style}</style><body>{body}</body>"


def typeset_one(body: str) -> Page | None:
    with Chromium(SIDE, SCALE) as chromium:
        made = typeset(chromium, document(body), "article", "here")
    return None if made is None else made[0]


def ink_of(page: Page) -> np.ndarray:
    return page.image.max(axis=2) < 215


def pixels(box: np.ndarray) -> tuple[slice, slice]:
    x_min, y_min, x_max, y_max = box.round().astype(int)
    return slice(y_min, y_max), slice(x_min, x_max)


@needs_chromium
def test_boxes_of_words_are_tight_around_all_ink() -> None:
    page = typeset_one("<p>A jolly quip, <b>twice</b><p style='width:6em'>over three lines or so")
    assert page is not None
    first, *others = (line.text for line in page.lines)
    assert first == "A jolly quip, twice"
    assert len(others) > 1 and " ".join(others) == "over three lines or so"
    assert len({line.block for line in page.lines}) == 2
    ink = ink_of(page)
    for line in page.lines:
        for word, box in zip(line.text.split(" "), bounding_box(line.word_quads), strict=True):
            area = ink[pixels(box)]
            assert area.any(), word
            edges = (area[:2].any(), area[-2:].any(), area[:, :2].any(), area[:, -2:].any())
            assert all(edges), word
            ink[pixels(box)] = False
    assert not ink.any()


@needs_chromium
def test_the_map_of_letters_shows_each_letter_where_it_stands() -> None:
    page = typeset_one("<p style='letter-spacing:.1em'>HOHO")
    assert page is not None
    ink = ink_of(page)
    assert {*np.unique(page.letter_map[ink])} <= {0, ord("H"), ord("O")}
    assert np.count_nonzero(page.letter_map[ink]) > 0.98 * np.count_nonzero(ink)
    row = page.letter_map[pixels(bounding_box(page.lines[0].quad))][10]
    letters = row[row > 0]
    changes = letters[np.flatnonzero(np.diff(letters, prepend=0))]
    assert bytes(changes.tolist()) == b"HOHO"


@needs_chromium
@pytest.mark.parametrize(
    "body",
    [
        pytest.param("<p></p>", id="no words"),
        pytest.param("<p>one<p style='margin-top:-1.7em'>two", id="words over each other"),
        pytest.param("<q>one</q>", id="ink that is no text of the document"),
    ],
)
def test_what_cannot_be_annotated_exactly_is_left_out(body: str) -> None:
    assert typeset_one(body) is None


@needs_chromium
def test_words_that_the_window_cuts_are_not_shown() -> None:
    page = typeset_one(f"<p style='position:absolute;left:{SIDE - 30}px;white-space:pre'>a xxxxxx")
    assert page is not None
    assert page.text == "a"
    assert not ink_of(page)[:, -20:].any()


def test_templates_say_only_what_the_fonts_can_print(kit: Kit) -> None:
    kinds = set()
    for index in range(40):
        kind, html = web_page(np.random.default_rng(index), kit, "train")
        kinds.add(kind)
        assert not {"€", "£"} & set(html)  # the tiny kit lacks them
        assert html == web_page(np.random.default_rng(index), kit, "train")[1]
    assert kinds == {*TEMPLATES}


def test_baked_pages_hold_both_splits(baked: BakedPages, kit: Kit) -> None:
    assert [page.split for page in baked.pages] == ["train"] * 4 + ["val"]
    texts = "".join(line.text for line in baked.pages_of("val")[0].lines)
    assert texts == texts.upper()  # the held-out font of the tiny kit has capitals only
    assert baked.read("ATTRIBUTION.tsv") == kit.read("ATTRIBUTION.tsv")


def test_the_same_seed_cuts_the_same_and_in_any_order(baked: BakedPages) -> None:
    wanted = [web_cutting(baked, 3, index, side=200) for index in range(6)]
    again = BakedPages(baked.path)
    for index in (5, 0, 3):
        made = web_cutting(again, 3, index, side=200)
        assert made.text == wanted[index].text
        assert np.array_equal(made.image, wanted[index].image)
    assert len({made.text for made in wanted}) > 3


def test_cuttings_show_whole_words_where_their_boxes_are(baked: BakedPages) -> None:
    for index in range(20):
        made = web_cutting(baked, 1, index, side=256, options=CLEAN)
        assert made.image.shape == (256, 256, 3) and made.letter_map.shape == (256, 256)
        assert 1 <= len(made.lines) <= CLEAN.max_lines
        seen = np.zeros((256, 256), bool)
        for line in made.lines:
            boxes = bounding_box(line.word_quads)
            assert len(boxes) == len(line.text.split(" "))
            assert boxes.min() >= 0 and boxes.max() <= 256
            for box in boxes:
                contrast = np.ptp(made.image[pixels(box)].mean(axis=2))
                assert contrast > 25, line.text
                y, x = pixels(box)
                seen[max(y.start - 1, 0) : y.stop + 1, max(x.start - 1, 0) : x.stop + 1] = True
        assert not made.letter_map[~seen].any()
        assert made.letter_map.any()


def test_options_bound_the_lines_and_the_letters(baked: BakedPages) -> None:
    few = PageOptions(min_lines=1, max_lines=2, min_letter=9.0, max_letter=10.0)
    large = PageOptions(min_lines=20, max_lines=20, min_letter=7.0, max_letter=7.0)
    counts = [len(web_cutting(baked, 0, index, options=few).lines) for index in range(12)]
    assert max(counts) == 2
    more = [len(web_cutting(baked, 0, index, options=large).lines) for index in range(12)]
    assert np.mean(more) > np.mean(counts) + 2


def test_a_preview_shows_them(baked: BakedPages, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    arguments = ["--kind", "web", "--count", "3", "--side", "192", "--output", str(sheet)]
    assert main(["worlds", "preview", str(baked.path), *arguments]) == 0
    assert sheet.exists()


def test_all_tasks_of_pages_can_be_asked(baked: BakedPages) -> None:
    for index in range(5):
        records = list(records_of(baked, "web", 0, index, side=256, split="val", tasks=()))
        assert [record.task.name for record in records] == [
            "OCR",
            "OCR_WITH_REGION",
            "REGION_TO_OCR",
        ]


def test_a_file_of_something_else_is_named(
    baked: BakedPages, kit_path: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="is a file of web pages, not a kit"):
        Kit(baked.path)
    sheet = ["--output", str(tmp_path / "sheet.png")]
    assert main(["worlds", "preview", str(kit_path), "--kind", "web", *sheet]) == 2
    assert "is a kit, not a file of web pages" in capsys.readouterr().err


def test_a_missing_browser_is_named(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match="apt install chromium"):
        bake(kit, tmp_path / "pages.zip", 1)
    assert not list(tmp_path.iterdir())
