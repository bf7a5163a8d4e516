"""Plain text: a blank line between blocks, a form feed between pages."""

from collections.abc import Iterable
from typing import TextIO

from florence2.documents.structure import Block, Page
from florence2.documents.writers.content import one_line, rows_of, shown_blocks, text_of
from florence2.documents.writers.options import WriterOptions


def write_text(pages: Iterable[Page], file: TextIO, options: WriterOptions) -> None:
    """Write the text of pages.

    Items of a list stand below each other behind their markers, rows of a table likewise, tabs
    between their cells. A paragraph that goes on in another column goes on here. Follows
    `keep_furniture` and `page_break`.
    """
    for number, page in enumerate(pages):
        if number:
            file.write(options.page_break)
        file.write(page_text(page, options))


def page_text(page: Page, options: WriterOptions) -> str:
    """The text of a page, with a line end at its end if there is any."""
    parts: list[str] = []
    before: Block | None = None
    for block in shown_blocks(page, options):
        if not (text := block_text(block)):
            continue
        if before is not None:
            parts.append(_between(before, block))
        parts.append(text)
        before = block
    return "".join([*parts, "\n"]) if parts else ""


def block_text(block: Block) -> str:
    """The text of a block; nothing for a figure that nobody described."""
    text = text_of(block)
    if block.table is not None and block.table.cells:
        rows = (
            [one_line(cell.text) if cell else "" for cell in row] for row in rows_of(block.table)
        )
        return "\n".join("\t".join(row).rstrip("\t") for row in rows)
    if block.kind == "list item":
        indent = "  " * max(block.level - 1, 0)
        return indent + " ".join(part for part in (one_line(block.marker), text) if part)
    return text


def joint(before: str) -> str:
    """What joins a paragraph and its second part: nothing behind a hyphen, else a blank."""
    return "" if before[-2:-1].isalpha() and before.endswith(("-", "\u2010")) else " "


def _between(before: Block, block: Block) -> str:
    if block.continues and before.kind == block.kind == "paragraph":
        return joint(text_of(before))
    return "\n" if before.kind == block.kind == "list item" else "\n\n"
