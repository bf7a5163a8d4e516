"""Answers as a table that people read: picture, what, where, how sure, seconds."""

import os
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from florence2.cli.edge import readable

if TYPE_CHECKING:
    from florence2.pipelines.cascades import CascadeResult
    from florence2.results import Result, Row

MIN_WIDTH = 32
MAX_WIDTH = 140
GAP = 2
NOTHING = "nothing found"
MAX_TEXT_LINES = 40  # of one answer; all of it is in the JSON


@dataclass(frozen=True)
class Column:
    """A column of a given width; `title` says what stands in it."""

    title: str
    width: int
    is_number: bool = False


def terminal_width() -> int:
    """Columns of the terminal, within what a table makes sense for."""
    return max(MIN_WIDTH, min(MAX_WIDTH, shutil.get_terminal_size().columns - 1))


def use_colour() -> bool:
    """Whether to write bold letters: on terminals that know them, and never with NO_COLOR."""
    return (
        sys.stdout.isatty()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM", "") != "dumb"
    )


def columns_for(width: int) -> list[Column]:
    """The columns that fit; where and seconds are left out first."""
    where = Column("where", 22) if width >= 64 else None
    seconds = Column("seconds", 7, is_number=True) if width >= 48 else None
    score = Column("how sure", 8, is_number=True)
    fixed = [each for each in (where, score, seconds) if each]
    left = width - sum(each.width + GAP for each in fixed) - GAP
    picture = max(8, min(34, left * 2 // 5))
    what = Column("what", left - picture)
    return [Column("picture", picture), what, *fixed]


class Table:
    """Writes a head once, then the rows of one answer after the other."""

    def __init__(self, width: int | None = None, colour: bool | None = None) -> None:
        self._columns = columns_for(terminal_width() if width is None else width)
        self._colour = use_colour() if colour is None else colour
        self._begun = False

    def lines(
        self, picture: str, result: "Result | CascadeResult", seconds: float
    ) -> Iterator[str]:
        """Yield the lines of an answer."""
        if not self._begun:
            self._begun = True
            head = self._line({column.title: column.title for column in self._columns})
            yield f"\033[1m{head}\033[0m" if self._colour else head
        cells = {"picture": readable(picture), "seconds": f"{seconds:.2f}"}
        for row in rows_of(result):
            for line in self._wrapped(row["what"]):
                yield self._line(row | cells | {"what": line})
                row = {"what": "", "where": "", "how sure": ""}
                cells = {}

    def note(self, words: str) -> str:
        """A line about the answer above, under its name."""
        return f"{'':{self._columns[0].width}}{'':{GAP}}{_printable(readable(words))}"

    def _wrapped(self, text: str) -> list[str]:
        width = next(each.width for each in self._columns if each.title == "what")
        lines = [
            line
            for part in readable(text).splitlines() or [""]
            for line in _wrap(part, width) or [""]
        ]
        if len(lines) > MAX_TEXT_LINES:
            more = f"... {len(lines) - MAX_TEXT_LINES + 1:,} more (--json)"
            lines = [*lines[: MAX_TEXT_LINES - 1], more]
        return lines

    def _line(self, cells: dict[str, str]) -> str:
        parts = []
        for column in self._columns:
            text = cells.get(column.title, "")
            text = _short(text, column.width, keep_end=column.title == "picture")
            blank = " " * (column.width - display_width(text))
            parts.append(blank + text if column.is_number else text + blank)
        return (" " * GAP).join(parts).rstrip()


def rows_of(result: "Result | CascadeResult") -> list[dict[str, str]]:
    """What, where and how sure, for each object or text of an answer."""
    from florence2.pipelines.cascades import CascadeResult

    if isinstance(result, CascadeResult):
        rows = [] if result.text is None else [*map(_cells, result.text.to_rows())]
        of_objects = [_cells(row) for row in result.objects.to_rows()]
        for row, described in zip(of_objects, result.descriptions, strict=False):
            row["what"] = f"{row['what']}: {described.text}"
        if result.blocks:  # a page: its text is that of the lines already
            of_objects = []
        return rows + of_objects or [{"what": NOTHING, "where": "", "how sure": ""}]
    rows = [_cells(row) for row in result.to_rows()]
    boxes = getattr(result, "boxes", result)
    for phrase, score in getattr(boxes, "absent", ()):
        rows.append({"what": phrase, "where": "not there", "how sure": f"{score:.2f}"})
    return rows or [{"what": NOTHING, "where": "", "how sure": ""}]


def _cells(row: "Row") -> dict[str, str]:
    from florence2.results import row_cells

    what, where, score = row_cells(row)
    return {"what": what or ("a region" if where else ""), "where": where, "how sure": score}


def display_width(text: str) -> int:
    """Columns of a terminal that a text takes: two for a wide letter, none for an accent.

    >>> display_width("abc"), display_width("猫"), display_width("e\\u0301")
    (3, 2, 1)
    """
    return sum(_letter_width(letter) for letter in text)


def _letter_width(letter: str) -> int:
    if unicodedata.combining(letter) or unicodedata.category(letter) in ("Cf", "Cc", "Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _printable(text: str) -> str:
    """A text without what moves a cursor or changes a colour."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _short(text: str, width: int, *, keep_end: bool = False) -> str:
    """Cut a text to a width, with three dots where something is left out."""
    text = _printable(text)
    if display_width(text) <= width:
        return text
    letters = text[::-1] if keep_end else text
    kept = ""
    used = 3
    for letter in letters:
        used += _letter_width(letter)
        if used > width:
            break
        kept += letter
    return f"...{kept[::-1]}" if keep_end else f"{kept}..."


def _wrap(text: str, width: int) -> list[str]:
    """Break a text into lines at blanks; wide letters count twice."""
    if display_width(text) == len(text):
        return textwrap.wrap(text, width)
    lines, line, used = [], "", 0
    for letter in text:
        wide = _letter_width(letter)
        if used + wide > width:
            cut = line.rfind(" ")
            lines.append(line if cut <= 0 else line[:cut])
            line = "" if cut <= 0 else line[cut + 1 :]
            used = display_width(line)
        line, used = line + letter, used + wide
    return [*lines, line] if line else lines
