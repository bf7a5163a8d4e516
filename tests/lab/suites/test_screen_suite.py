"""What the point to click is measured on: pages that know where their parts are."""

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from florence2.answers.defaults import ReadingDefaults
from florence2.geometry import box_to_quad
from florence2.pipelines.pointing import locate as pointing
from florence2.pipelines.pointing.icon_names import ICON_NAMES
from florence2.pipelines.pointing.icons import SeenIcons
from florence2.pipelines.reading.lines import Line, ReadLines, Word
from florence2_lab.suites import screen_pages
from florence2_lab.suites.screen_pages import Materials, ScreenPage, ShownWord, Target
from florence2_lab.suites.screens import Counts, markdown, measure_screens, questions_of
from florence2_lab.worlds.building.chromium import find_chromium
from florence2_lab.worlds.kit import Kit

PAGE = ScreenPage(
    np.full((200, 300, 3), 255, np.uint8),
    (
        ShownWord("Save", (20, 20, 60, 36), 14, True),
        ShownWord("Big", (20, 60, 90, 90), 30, True),
        ShownWord("lost", (120, 20, 160, 36), 14, True),
        ShownWord("cut", (0, 190, 9, 209), 14, False),
    ),
    (
        Target("words", "Save", "button", (10, 10, 70, 46)),
        Target("words", "lost", "link", (120, 20, 160, 36)),
        Target("words", "Street", "field", (100, 100, 200, 130)),
        Target("icon", "key", "icon", (250, 20, 270, 40)),
        Target("icon", "save", "icon", (250, 60, 270, 80)),
    ),
    (("button", (10, 10, 70, 46)),),
    ((100, 100, 200, 130),),
    "drawn here",
)  # fmt: skip


def test_parts_are_asked_by_words_and_icons_by_names_that_are_no_words_of_the_page() -> None:
    asked = [(each.words, each.by) for each in questions_of(PAGE)]
    assert asked == [
        *(("Save button", "words"), ("lost", "words"), ("Street field", "words")),
        *(("key", "icon"), ("save icon", "icon")),
    ]


def test_points_and_words_are_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One text of two is read, and something else inside the field, which does not count."""
    lines = [
        Line(text, box_to_quad(box), (Word(text, box_to_quad(box), 1.0),), 1.0, letter_height=10.0)
        for text, box in (
            ("Save", (20, 20, 60, 36)),
            ("typed", (110, 105, 150, 120)),
            ("Big", (20, 60, 90, 90)),
        )
    ]
    read = ReadLines(tuple(lines), (), (300, 200))
    monkeypatch.setattr(pointing, "read_lines", lambda *_, **__: read)
    monkeypatch.setattr(SeenIcons, "scores", lambda self, words: np.zeros(len(self.boxes)))
    monkeypatch.setattr(SeenIcons, "shares", lambda self, words, rows: np.zeros(len(rows)))
    engine: Any = SimpleNamespace(defaults=SimpleNamespace(reading=ReadingDefaults(rows=1)))
    counts = measure_screens(engine, [PAGE], drawings=tmp_path)
    assert (counts.points["words: button"].share, counts.points["words: link"].share) == (1.0, 0.0)
    assert (counts.points["icon"].share, counts.points["not there"].share) == (0.0, 1.0)
    assert (counts.common, counts.told, counts.true) == (1, 1, 2) and counts.word_f1 == 2 / 3
    assert [path.name for path in tmp_path.iterdir()] == ["000.png"]
    assert "| point to click, words: button | 1.00 | 1 |" in markdown(counts)
    assert markdown(Counts()).count("\n") == 1 and Counts().to_dict()["words"]["f1"] is None


def test_every_icon_is_named_as_nano_names_it() -> None:
    text = screen_pages.ICONS_TABLE.read_text("utf-8")
    rows = list(csv.DictReader(text.splitlines(), delimiter="\t"))
    assert [row["name"] for row in rows] == list(ICON_NAMES)
    for package, _, _ in screen_pages.ICON_SETS:
        assert sum(bool(row[package]) for row in rows) >= 50


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.skipif(find_chromium() is None, reason="no Chromium is installed")
def test_pages_tell_where_their_parts_are(kit_path: Path) -> None:
    """Without the frameworks' packages, which tests do not fetch: the marks and boxes are ours."""
    square = '<svg viewBox="0 0 24 24"><rect x="2" y="2" width="20" height="20"/></svg>'
    drawings = dict.fromkeys(ICON_NAMES, square)
    styles = {each.package: "" for each in screen_pages.FRAMEWORKS}
    materials = Materials(Kit(kit_path), styles, {"squares": drawings})
    pages = list(screen_pages.screen_pages(materials, 2, seed=3))
    again = list(screen_pages.screen_pages(materials, 1, seed=3))
    assert (pages[0].image == again[0].image).all() and pages[0].targets == again[0].targets
    for page in pages:
        height, width = page.image.shape[:2]
        assert (width, height) in screen_pages.VIEWPORTS
        assert {each.by for each in page.targets} == {"words", "icon"}
        names = [target.name for target in page.targets if target.by == "icon"]
        assert len(names) == len(set(names)) and set(names) <= set(ICON_NAMES)
        for target in page.targets:
            x_min, y_min, x_max, y_max = target.box_xyxy
            assert 0 <= x_min < x_max <= width and 0 <= y_min < y_max <= height
            if target.by == "icon":  # something is drawn there
                part = page.image[int(y_min) : int(y_max), int(x_min) : int(x_max)]
                assert part.std() > 10
        assert {label for label, _ in page.parts} >= {"button", "icon"}
        assert len(page.words) > 20
