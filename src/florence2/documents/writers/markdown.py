"""CommonMark with GitHub's tables, and where every block stands in it."""

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TextIO
from urllib.parse import quote

import orjson

from florence2.documents.structure import Block, Page, Table
from florence2.documents.writers.content import (
    one_line,
    printable,
    rows_of,
    shown_blocks,
    text_of,
)
from florence2.documents.writers.markdown_text import (
    comment,
    escape_alternative,
    escape_cell,
    escape_heading,
    escape_text,
)
from florence2.documents.writers.options import WriterOptions
from florence2.documents.writers.spans import span_of
from florence2.documents.writers.text import joint

_NUMBER = re.compile(r"(0|[1-9][0-9]{0,8})([.)])", re.ASCII)
_BULLETS = frozenset("-–—*+•·◦‣▪▫●○■□◆◇►▶➢✓✔∙⁃o\uf0b7\uf0a7")


@dataclass(frozen=True, eq=False)
class Piece:
    """A block as Markdown.

    Attributes:
        block: None for a comment on a page.
        before: what parts it from the piece before it, with its indent in a list.
        text: its Markdown.
    """

    page: Page
    block: Block | None
    before: str
    text: str


def write_markdown(pages: Iterable[Page], file: TextIO, options: WriterOptions) -> None:
    """Write pages as Markdown, and the places of blocks in it as JSON lines to `options.spans`.

    Headings by level, nested lists with their numbers, tables (as HTML if cells span others),
    figures that were cut out as pictures. What only looks like Markdown is escaped.
    Follows `keep_furniture`, `page_breaks`, `figure_path` and `spans`.
    """
    place = 0
    for piece in markdown_pieces(pages, options):
        file.write(piece.before + piece.text)
        start = place + len(piece.before)
        place = start + len(piece.text)
        if options.spans is not None and piece.block is not None:
            span = span_of(piece.page, piece.block, start, place)
            options.spans.write(orjson.dumps(span.to_row()).decode() + "\n")
    if place:
        file.write("\n")


def markdown_pieces(pages: Iterable[Page], options: WriterOptions) -> Iterator[Piece]:
    """Yield blocks as Markdown; joined they are the file without its last line end."""
    layout = _Layout()
    for page in pages:
        if options.page_breaks:
            yield Piece(page, None, layout.apart(), comment(f"page {page.number}"))
        if page.error:
            told = comment(f"page {page.number} could not be read: {one_line(page.error)}")
            yield Piece(page, None, layout.apart(), told)
        for block in shown_blocks(page, options):
            if found := layout.place(block, options.figure_path(page, block)):
                yield Piece(page, block, *found)


def block_markdown(block: Block, figure_path: str | None = None, goes_on: bool = False) -> str:
    """The Markdown of a block that is no item of a list; nothing if it says nothing.

    Args:
        figure_path: of a figure's picture.
        goes_on: whether a paragraph stands behind another's text.
    """
    text = text_of(block)
    if block.kind == "figure":
        return _figure(text, figure_path)
    if block.table is not None and block.table.cells:
        return table_markdown(block.table)
    if not text:
        return ""
    if block.kind == "heading":
        return "#" * min(max(block.level, 1), 6) + " " + escape_heading(text)
    return escape_text(text, goes_on=goes_on)


def item_text(block: Block) -> tuple[str, str]:
    """A marker that Markdown has, and the text behind it, of which any other marker is a part."""
    marker, text = one_line(block.marker), text_of(block)
    if _NUMBER.fullmatch(marker):
        return (marker, text) if text else ("-", marker)
    if not marker or marker in _BULLETS:
        return "-", text
    return "-", " ".join(part for part in (marker, text) if part)


def table_markdown(table: Table) -> str:
    """GitHub's table, whose first row is its head; HTML's if cells span rows or columns."""
    if any(cell.row_span > 1 or cell.column_span > 1 for cell in table.cells):
        return _html_table(table)
    rows = [
        [escape_cell(printable(cell.text)) if cell else "" for cell in row]
        for row in rows_of(table)
    ]
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|" + " --- |" * len(rows[0]), *body])


def _html_table(table: Table) -> str:
    lines = ["<table>"]
    covered = {
        (row, column)
        for cell in table.cells
        for row in range(cell.row, cell.row + cell.row_span)
        for column in range(cell.column, cell.column + cell.column_span)
    }
    for number, row in enumerate(rows_of(table)):
        lines.append("<tr>")
        for column, cell in enumerate(row):
            if cell is None:
                lines += [] if (number, column) in covered else ["<td></td>"]
                continue
            name = "th" if cell.is_header else "td"
            spans = [
                f' {side}span="{places}"'
                for side, places in (("row", cell.row_span), ("col", cell.column_span))
                if places > 1
            ]
            text = html.escape(printable(cell.text), quote=False).replace("\n", "<br>")
            lines.append(f"<{name}{''.join(spans)}>{text}</{name}>")
        lines.append("</tr>")
    return "\n".join([*lines, "</table>"])


def _figure(description: str, path: str | None) -> str:
    if path is not None:
        place = quote(path, safe="/!$&'+,;=@-._~")
        return f"![{escape_alternative(description)}]({place})"
    return comment(" ".join(["figure:", one_line(description)]) if description else "figure")


@dataclass(frozen=True)
class _List:
    """A list that is open.

    Attributes:
        level: as its items say.
        indent: blanks before its markers.
        content: blanks before its texts.
        kind: "-", ".", or ")".
        number: of its last item.
    """

    level: int
    indent: int
    content: int
    kind: str
    number: int


class _Layout:
    """What stands between blocks: blank lines, indents and markers of lists."""

    def __init__(self) -> None:
        self._before: str | None = None  # the text of the paragraph before
        self._is_empty = True
        self._lists: list[_List] = []

    def apart(self) -> str:
        """What parts something that is no part of a list from what was before."""
        self._lists.clear()
        self._before = None
        between = "" if self._is_empty else "\n\n"
        self._is_empty = False
        return between

    def place(self, block: Block, figure_path: str | None) -> tuple[str, str] | None:
        """What parts a block from the one before it, and its Markdown; None if it says nothing."""
        if block.kind == "list item":
            return self._place_item(block)
        before = self._before if block.continues and block.kind == "paragraph" else None
        text = block_markdown(block, figure_path, goes_on=before is not None)
        if not text:
            return None
        between = self.apart() if before is None else joint(before)
        if block.kind == "paragraph":
            self._before = text_of(block)
        return between, text

    def _place_item(self, block: Block) -> tuple[str, str] | None:
        marker, plain = item_text(block)
        if not plain:
            return None
        text = escape_text(plain, is_item=True)
        level = max(block.level, 1)
        kind, number = marker[-1], int(marker[:-1] or 0)
        same = None  # the list that stands open where this item's belongs
        while self._lists and self._lists[-1].level >= level:
            same = self._lists.pop()
        indent = self._lists[-1].content if self._lists else 0
        is_next = same is not None and (kind == "-" or number == same.number + 1)
        goes_on = same is not None and same.kind == kind and is_next
        margin = " " * indent
        if goes_on:
            between = f"\n{margin}"
        elif same is not None and same.kind == kind:
            # Two lists of a kind are one, and its numbers run on, unless something parts them.
            between = f"\n\n{margin}{comment('another list')}\n\n{margin}"
        elif same is None and self._lists and (kind == "-" or number == 1):
            between = f"\n{margin}"  # no other number may begin a list below text
        elif self._lists or same is not None:
            between = f"\n\n{margin}"
        else:
            between = self.apart()
        self._before = None
        content = indent + len(marker) + 1
        self._lists.append(_List(level, indent, content, kind, number))
        return between, f"{marker} " + text.replace("\n", "\n" + " " * content)
