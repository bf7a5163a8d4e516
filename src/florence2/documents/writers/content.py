"""What all writers take from a block: its text without what no file can hold, words, source."""

import re
from collections import Counter
from collections.abc import Iterator

from florence2.documents.structure import Block, Cell, Page, Table
from florence2.documents.writers.options import WriterOptions
from florence2.geometry import Array
from florence2.pipelines.reading.lines import Line, Word

FURNITURE = ("header", "footer")

# XML 1.0 forbids most of these, UTF-8 halves of characters; pypdfium2 gives U+FFFE and U+0002 for
# hyphens that it took out, and a mark of byte order within a text is no letter.
_NO_TEXT = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufeff\ufffe\uffff]"
)
_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x1c-\x1f\x85\u2028\u2029]")


def printable(text: str) -> str:
    r"""A text without controls, halves of characters and marks; its lines end in `\n`.

    >>> printable("a\x02b\r\nc\x0cd")
    'ab\nc\nd'
    """
    return _NO_TEXT.sub("", _LINE_ENDS.sub("\n", text))


def one_line(text: str) -> str:
    """A printable text, its white space as single blanks."""
    return " ".join(printable(text).split())


def text_of(block: Block) -> str:
    """The text of a block without the marker of a list item; that of its lines if it has none."""
    text = printable(block.text)
    if not text and block.kind != "figure":
        text = printable(" ".join(line.text for line in block.lines))
    marker = printable(block.marker)
    if marker and text.split(maxsplit=1)[:1] == [marker]:
        text = text.lstrip()[len(marker) :].lstrip()
    return text


def shown_blocks(page: Page, options: WriterOptions) -> Iterator[Block]:
    """The blocks of a page, without headers and footers unless those are asked for."""
    for block in page.blocks:
        if options.keep_furniture or block.kind not in FURNITURE:
            yield block


def lines_of(block: Block) -> tuple[Line, ...]:
    """The lines of a block; those of the cells of a table that has none itself."""
    if block.lines or block.table is None:
        return block.lines
    return tuple(line for cell in block.table.cells for line in cell.lines)


def words_of(line: Line) -> list[Word]:
    """The words of a line without white space and empty ones.

    A line that has none is cut into words by their length, each letter and blank being as long as
    any other.
    """
    words = [
        Word(text, word.quad, word.score)
        for word in line.words
        if (text := "".join(printable(word.text).split()))
    ]
    return words or _cut(printable(line.text), line.quad, line.score)


def _cut(text: str, quad: Array, score: float | None) -> list[Word]:
    """Words of a text at their share of the way from the left of a quad to its right."""
    upper_left, upper_right, lower_right, lower_left = quad
    words = []
    for found in re.finditer(r"\S+", text):
        piece = quad.copy()
        for share, upper, lower in ((found.start(), 0, 3), (found.end(), 1, 2)):
            along = share / len(text)
            piece[upper] = upper_left + along * (upper_right - upper_left)
            piece[lower] = lower_left + along * (lower_right - lower_left)
        words.append(Word(found[0], piece, score))
    return words


def rows_of(table: Table) -> list[list[Cell | None]]:
    """Rows of cells at their upper left places; what stands in a place twice moves to the right.

    A table whose cells do not fit its size grows.
    """
    grid: list[list[Cell | None]] = [[None] * table.num_columns for _ in range(table.num_rows)]
    for cell in table.cells:
        row, column = max(cell.row, 0), max(cell.column, 0)
        while len(grid) <= row:
            grid.append([])
        while column < len(grid[row]) and grid[row][column] is not None:
            column += 1
        grid[row] += [None] * (column + 1 - len(grid[row]))
        grid[row][column] = cell
    width = max((len(row) for row in grid), default=0)
    return [row + [None] * (width - len(row)) for row in grid]


def source_of(block: Block, page: Page) -> str:
    """Where most lines of a block come from; the page's source for a block without lines."""
    counted = Counter(line.source for line in lines_of(block))
    return counted.most_common(1)[0][0] if counted else page.source
