"""Pages made by hand, for tests of what is made of them."""

import numpy as np

from florence2.documents.structure import Block, BlockKind, Cell, Page, Table
from florence2.geometry import Box, box_to_quad
from florence2.pipelines.reading.lines import Line, Source, Word, box_around


def line(
    text: str,
    box: Box = (72.0, 100.0, 300.0, 112.0),
    *,
    score: float | None = 0.926,
    source: Source = "model",
    has_words: bool = True,
    turned: int = 0,
) -> Line:
    """A line whose words have places by length; `turned` clockwise by quarters."""
    quad = np.roll(box_to_quad(box), -turned, axis=0)
    words = []
    start = 0
    for word in text.split(" "):
        share = np.array([start, start + len(word)]) / max(len(text), 1)
        upper = quad[0] + share[:, None] * (quad[1] - quad[0])
        lower = quad[3] + share[:, None] * (quad[2] - quad[3])
        words.append(Word(word, np.array([*upper, *lower[::-1]]), score))
        start += len(word) + 1
    return Line(text, quad, tuple(words) if has_words else (), score, source, letter_height=9.0)


def block(kind: BlockKind, *texts: str, y: float = 100.0, **fields: object) -> Block:
    """A block of lines of 12 units below each other."""
    lines = tuple(
        line(text, (72.0, y + 14 * row, 300.0, y + 12 + 14 * row)) for row, text in enumerate(texts)
    )
    box = box_around(np.concatenate([each.quad for each in lines])) if lines else (0, y, 9, y + 9)
    given: dict[str, object] = {"text": " ".join(texts), "score": 0.926, **fields}
    return Block(kind, box, lines, **given)  # type: ignore[arg-type]


def table(rows: list[list[str]], y: float = 400.0) -> Block:
    """A table of cells of 100 by 12 units; its first row is its head."""
    cells = tuple(
        Cell(row, column, box, (line(text, box),) if text else (), is_header=row == 0)
        for row, texts in enumerate(rows)
        for column, text in enumerate(texts)
        for box in [(100.0 * column, y + 12 * row, 100.0 * column + 90, y + 12 * row + 11)]
    )
    lines = tuple(each for cell in cells for each in cell.lines)
    width = max(len(row) for row in rows)
    box = (0.0, y, 100.0 * width, y + 12 * len(rows))
    return Block("table", box, lines, table=Table(len(rows), width, cells, True), score=0.9)


def spanned_table(y: float = 500.0) -> Block:
    """A head over two columns, a name of two rows."""
    cells = (
        Cell(0, 0, (0, y, 50, y + 10), (line("year", (0, y, 50, y + 10)),), is_header=True),
        Cell(0, 1, (50, y, 150, y + 10), (line("a & b"),), column_span=2, is_header=True),
        Cell(1, 0, (0, y + 10, 50, y + 30), (line("2019"),), row_span=2),
        Cell(1, 1, (50, y + 10, 99, y + 20), (line("p<q"),)),
        Cell(1, 2, (99, y + 10, 150, y + 20), (line("42"),)),
        Cell(2, 2, (99, y + 20, 150, y + 30), (line("7"),)),
    )
    lines = tuple(each for cell in cells for each in cell.lines)
    return Block("table", (0, y, 150, y + 30), lines, table=Table(3, 3, cells, True))


def manual() -> list[Page]:
    """Two pages with all kinds of blocks, and one that could not be read."""
    first = (
        block("header", "Manual of things", y=20),
        block("heading", "1. Things & others", y=60, level=1),
        block("paragraph", "Costs are 3.5 mm (a-b)", "and 50 % of C++, see [1].", y=100),
        block("paragraph", "# looks like a heading", y=140),
        block("list item", "first of them", y=170, level=1, marker="•"),
        block("list item", "below it", y=190, level=2, marker="4."),
        block("list item", "next below", y=210, level=2, marker="5."),
        block("list item", "lettered", y=230, level=1, marker="(a)"),
        table([["name", "price"], ["a|b", "*5*"], ["", "7"]], y=260),
        block("caption", "Table 1: prices", y=330),
        block("figure", y=360, text="a cat [black]"),
        block("paragraph", "A paragraph that goes on in an-", y=400),
        block("footer", "1", y=780),
    )
    second = (
        block("paragraph", "other column\x02 of \ufffethe page.", y=60, continues=True),
        spanned_table(),
        block("figure", y=560),
    )
    doubtful = (line("rn1l", score=0.2),)
    return [
        Page(1, 612.0, 792.0, 72.0, first, "model", doubtful, "no text layer", seconds=1.5),
        Page(2, 612.0, 792.0, 72.0, second, "text layer", reason="text layer is good"),
        Page(3, 612.0, 792.0, error="page 3 is damaged; repair the file"),
    ]
