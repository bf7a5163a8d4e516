"""Which rows are headings, and of what level."""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from florence2.documents.layout.markers import markers_of, numbered_level
from florence2.documents.layout.rows import Row
from florence2.documents.layout.style import LARGE, Style

LONGEST_HEADING = 200  # letters
MAX_HEADING_ROWS = 3
LEVELS_BY_RATIO = ((1.8, 1), (1.4, 2), (1.2, 3), (0.0, 4))  # of the size to that of the body
CAPTION = re.compile(
    r"(fig(ure|\.)?|abb(ildung|\.)?|table|tab(elle|leau|la|\.)?|figura|listing|algorithm|scheme"
    r"|chart|plate|photo|exhibit)\s*[A-Z]?(\d+|[IVX]+)([.\-–]\d+)*\s*([.:|–—]|$)",
    re.IGNORECASE,
)
LEADER = re.compile(r"(\.\s?){4,}|…|(_\s?){4,}")
_ENDS_WITH_NUMBER = re.compile(r"[\s.](\d+|[ivxlc]+)$")


def heading_levels(rows: Sequence[Row], edge: float, style: Style) -> list[int]:
    """The level of each row that is of a heading, 0 for the others."""
    levels = [0] * len(rows)
    for start, end in _alike(rows, style):
        if end - start > MAX_HEADING_ROWS:
            continue
        text = " ".join(row.text for row in rows[start:end])
        level = _heading_level(rows, start, end, text, edge, style)
        if level and _may_be_heading(text):
            levels[start:end] = [level] * (end - start)
    return levels


def _may_be_heading(text: str) -> bool:
    letters = sum(letter.isalpha() for letter in text)
    return (
        len(text) <= LONGEST_HEADING
        and letters >= 2
        and 2 * letters >= len(text.replace(" ", ""))
        and not CAPTION.match(text)
        and not LEADER.search(text)
    )


def _alike(rows: Sequence[Row], style: Style) -> Iterator[tuple[int, int]]:
    """Stretches of rows of the same size and weight that follow each other closely."""
    start = 0
    for end in range(1, len(rows) + 1):
        if end < len(rows):
            above, below = rows[end - 1], rows[end]
            if (
                style.is_same_size(above, below)
                and above.line.is_bold == below.line.is_bold
                and not style.has_gap(above, below)
                and not style.is_ruled_off(above, below)
                and not numbered_level(below.text)[0]
            ):
                continue
        yield start, end
        start = end


def _heading_level(
    rows: Sequence[Row], start: int, end: int, text: str, edge: float, style: Style
) -> int:
    """The level of rows alike if they are a heading, else 0."""
    first = rows[start]
    number, may_be_item = numbered_level(text)
    size = float(np.mean([row.size for row in rows[start:end]]))
    if size >= LARGE[style.is_exact] * style.body:
        return number or _level_by_size(size / style.body)
    least = 0.85 if first.line.is_bold else 0.95
    if (style.is_exact and size < least * style.body) or end - start > 2:
        return 0
    if any(row.is_joined for row in rows[start:end]) and not number:
        return 0
    if text.endswith((".", ",", ";", ":")) or _ENDS_WITH_NUMBER.search(text):
        return 0
    if not number and markers_of(text):
        return 0
    before = rows[start - 1] if start else None
    after = rows[end] if end < len(rows) else None
    has_gap_before = before is None or style.has_gap(before, first) or style.is_large(before)
    if first.line.is_bold:
        if has_gap_before and not (
            after and after.line.is_bold and not style.has_gap(rows[end - 1], after)
        ):
            return number or 4
        return 0
    if not number or may_be_item or end - start > 1 or len(text) > 80:
        return 0
    words = text.split(maxsplit=2)
    is_title = len(words) > 1 and words[1][:1].isupper()
    has_gap_after = after is not None and style.has_gap(rows[end - 1], after)
    is_short = first.right < edge - 2 * first.size
    return number if is_title and has_gap_before and has_gap_after and is_short else 0


def _level_by_size(ratio: float) -> int:
    return next(level for least, level in LEVELS_BY_RATIO if ratio >= least)
