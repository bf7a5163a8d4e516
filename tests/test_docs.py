"""The pages say what is there: the API is that of the code, and links lead to files."""

import re
import runpy
from pathlib import Path

import pytest

import florence2

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
ANCHOR = re.compile(r"\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)")
# What an engineer searches for, and the file that must say it.
WORDS = {
    "KV cache": "model/cache.py",
    "beam reorder": "generation/batch.py",
    "box quantizer": "locations.py",
    "NMS across tiles": "pipelines/tiling/matching.py",
    "learning rate": "training/stage.py",
    "constrained decoding": "generation/grammar.py",
}


def test_the_api_page_is_that_of_the_docstrings() -> None:
    made = runpy.run_path(str(ROOT / "scripts" / "make_api.py"))["page"]()
    assert (ROOT / "docs" / "api.md").read_text(encoding="utf-8") == made, "run make_api.py"


@pytest.mark.parametrize("name", sorted(set(florence2.__all__) - {"__version__"}))
def test_the_api_page_shows_the_signature(name: str) -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert re.search(rf"^## `{name}`\n\n```python\n(class )?{name}(\(| = )", text, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [link for link in LINK.findall(text) if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_headings(page: Path) -> None:
    found = ANCHOR.findall(page.read_text(encoding="utf-8"))
    assert [f"{file}#{to}" for file, to in found if to not in anchors(page, file)] == []


def anchors(page: Path, file: str) -> set[str]:
    """The anchors that GitHub makes of the headings of a page."""
    text = (page.parent / file if file else page).read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("word", WORDS)
def test_a_search_for_the_fields_word_finds_the_file(word: str) -> None:
    path = ROOT / "src" / "florence2" / WORDS[word]
    assert word.casefold() in path.read_text(encoding="utf-8").casefold()
