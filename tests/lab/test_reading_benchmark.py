"""benchmarks/reading.py counts words rightly, and its pages keep their words in place."""

import argparse
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest

from florence2.errors import ConfigError, DataError
from florence2.geometry import box_to_quad

SCRIPTS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def scripts() -> Iterator[tuple[ModuleType, ModuleType]]:
    """The script and its makers of pages, as `python benchmarks/reading.py` imports them."""
    sys.path.insert(0, str(SCRIPTS))
    try:
        yield importlib.import_module("reading"), importlib.import_module("reading_pages")
    finally:
        sys.path.remove(str(SCRIPTS))
        for name in ("reading", "reading_pages"):
            del sys.modules[name]


@pytest.fixture
def page(scripts: tuple[ModuleType, ModuleType]) -> Any:
    """Three black bars as words on white paper."""
    picture = np.full((400, 300, 3), 255, np.uint8)
    boxes = ((40, 40, 90, 60), (120, 40, 260, 60), (40, 300, 200, 330))
    for left, top, right, bottom in boxes:
        picture[top:bottom, left:right] = 0
    quads = np.array([box_to_quad(box) for box in boxes])
    return scripts[1].KnownPage(picture, ("one", "two", "three"), quads, "made")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("plain words, twice", ["plain", "words,", "twice"]),
        ("“curly” ‘quotes’ and–dashes", ['"curly"', "'quotes'", "and-dashes"]),
        ("ﬁne ½", ["fine", "1⁄2"]),
        ("• item . . . . . 7", ["item", "7"]),
        ("", []),
    ],
)
def test_words(scripts: tuple[ModuleType, ModuleType], text: str, words: list[str]) -> None:
    assert scripts[0].words_of(text) == words


def test_words_are_multisets(scripts: tuple[ModuleType, ModuleType]) -> None:
    tally = scripts[0].Tally()
    tally.add(["a", "a", "b", "c."], ["a", "b", "b", "c"])
    assert (tally.recall, tally.precision, tally.f1) == (0.5, 0.5, 0.5)
    assert scripts[0].bare(["c.", "(x)", "3.5", "it's"]) == ["c", "x", "3.5", "it's"]


def test_losses_are_told_apart(scripts: tuple[ModuleType, ModuleType], page: Any) -> None:
    """A word misread, a word in a doubtful line; the finder is shown bars that are no letters."""
    lines = [["0ne", 0.9, box_to_quad((30, 35, 100, 65)).tolist()]]
    doubtful = [["two", 0.3, box_to_quad((110, 35, 270, 65)).tolist()]]
    losses = scripts[0].Losses()
    found = [np.array(quad) for _, _, quad in (*lines, *doubtful)]
    told = scripts[0].covered(page, found)
    assert told.tolist() == [True, True, False]
    merged = np.array(box_to_quad((30, 35, 270, 340)))  # three lines as one are none
    assert not scripts[0].covered(page, [merged]).any()
    losses.add(page, {"lines": lines, "doubtful": doubtful})
    assert losses.true == 3
    assert losses.not_found + losses.doubtful + losses.misread == 3
    assert losses.by_threshold[0.0].right == 1
    assert losses.by_threshold[0.5].right == 0


@pytest.mark.parametrize("wear", ["scanned", "photographed"])
def test_words_stay_where_their_ink_is(
    scripts: tuple[ModuleType, ModuleType], page: Any, wear: str
) -> None:
    pages = scripts[1]
    for seed in range(4):
        rng = np.random.default_rng(seed)
        worn = pages.scanned(rng, page, 2.0) if wear == "scanned" else pages.photographed(rng, page)
        again = np.random.default_rng(seed)
        same = pages.scanned(again, page, 2.0) if wear == "scanned" else None
        assert same is None or (same.picture == worn.picture).all()
        mask = np.zeros(worn.picture.shape[:2], np.uint8)
        cv2.fillPoly(mask, [quad.round().astype(np.int32) for quad in worn.quads], 1)
        inside = cv2.erode(mask, np.ones((5, 5), np.uint8)) > 0
        around = (cv2.dilate(mask, np.ones((25, 25), np.uint8)) > 0) & (
            cv2.dilate(mask, np.ones((7, 7), np.uint8)) == 0
        )
        grey = worn.picture.mean(axis=2)
        assert grey[inside].mean() < grey[around].mean() - 40
        assert (grey[inside] < grey[around].mean() - 20).mean() > 0.98


def test_pages_are_made_once(
    scripts: tuple[ModuleType, ModuleType],
    page: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pages, made = scripts[1], []
    material = pages.Material(tmp_path / "kit.zip")

    def maker(material: Any, rngs: Any) -> Iterator[Any]:
        for _ in rngs:
            made.append(1)
            yield page

    monkeypatch.setitem(pages.KINDS, "receipts", maker)
    for _ in range(2):
        (_, first), (file, second) = pages.known_pages("receipts", material, tmp_path, 2, 5)
        assert first.words == second.words == page.words
        assert np.array_equal(second.quads, page.quads)
        assert np.array_equal(second.picture, page.picture)
        assert json.loads(file.with_suffix(".json").read_text())["source"] == "made"
    assert len(made) == 2
    with pytest.raises(ConfigError, match="'bills' of pages is unknown; known are receipts, forms"):
        pages.known_pages("bills", material, tmp_path, 1, 0)
    with pytest.raises(DataError, match=r"--manuals is not given; python scripts/fetch_manuals"):
        pages.known_pages("photographs", material, tmp_path, 1, 0)


@pytest.mark.process
def test_a_reader_that_ends_says_why(scripts: tuple[ModuleType, ModuleType]) -> None:
    arguments = argparse.Namespace(model="nowhere", threads=1, rows=None, min_score=None)
    with pytest.raises(DataError, match="florence2 ended before it answered"):
        scripts[0].Reader(sys.executable, "florence2", arguments)
