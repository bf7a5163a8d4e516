"""What a document says and where: pages, blocks in reading order, lines, words, tables.

Units of a page: 1/72 inch for a page of a PDF, upright and cut to what is shown; pixels for a
picture. The origin is the upper left corner.
"""

from dataclasses import dataclass
from typing import Literal

from florence2.geometry import Box
from florence2.pipelines.reading.lines import Line

BlockKind = Literal[
    "heading", "paragraph", "list item", "table", "figure", "caption", "header", "footer"
]


@dataclass(frozen=True, eq=False)
class Cell:
    """A cell of a table.

    Attributes:
        row, column: of its upper left place, from 0.
        row_span, column_span: places that it takes, 1 or more.
        box: `x_min, y_min, x_max, y_max` in units of the page.
        lines: what stands in it, from top to bottom.
        is_header: whether it names a column or a row.
    """

    row: int
    column: int
    box: Box
    lines: tuple[Line, ...] = ()
    row_span: int = 1
    column_span: int = 1
    is_header: bool = False

    @property
    def text(self) -> str:
        return " ".join(line.text for line in self.lines)


@dataclass(frozen=True, eq=False)
class Table:
    """Cells in rows and columns, row by row.

    Attributes:
        is_ruled: whether rules part the cells; else blanks do.
    """

    num_rows: int
    num_columns: int
    cells: tuple[Cell, ...]
    is_ruled: bool


@dataclass(frozen=True, eq=False)
class Block:
    """A part of a page that is read as a whole.

    Attributes:
        kind: what it is; headers and footers are those of the page, repeated on others.
        box: `x_min, y_min, x_max, y_max` in units of the page.
        lines: in reading order; those of a table are in its cells as well.
        text: of the lines, joined over line ends and hyphens as the kind asks for; for a figure
            its description, or nothing.
        level: of a heading 1 to 6, of a list item its depth from 1; else 0.
        marker: of a list item as printed, such as "•" or "2."; else nothing.
        table: of a table.
        score: in [0, 1], the mean over the letters; None where nobody scored.
        continues: whether a paragraph goes on from the one before it, in another column.
    """

    kind: BlockKind
    box: Box
    lines: tuple[Line, ...] = ()
    text: str = ""
    level: int = 0
    marker: str = ""
    table: Table | None = None
    score: float | None = None
    continues: bool = False


@dataclass(frozen=True, eq=False)
class Page:
    """A page, or why there is none.

    Attributes:
        number: from 1, in the file.
        width, height: in units of the page.
        dpi: units an inch: 72.0 for a PDF, of a picture what it says, or 72.0.
        blocks: in reading order, headers and footers where they stand.
        source: "text layer", "model", or "none" for a page without words.
        doubtful: lines of the model that scored too low to be told.
        reason: why this source was taken, in a few words.
        error: one sentence where the page could not be read; then there are no blocks.
        seconds: that it took.
    """

    number: int
    width: float
    height: float
    dpi: float = 72.0
    blocks: tuple[Block, ...] = ()
    source: Literal["text layer", "model", "none"] = "none"
    doubtful: tuple[Line, ...] = ()
    reason: str = ""
    error: str = ""
    seconds: float = 0.0

    @property
    def lines(self) -> tuple[Line, ...]:
        """All lines, in reading order."""
        return tuple(line for block in self.blocks for line in block.lines)
