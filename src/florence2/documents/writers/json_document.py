"""Our JSON: everything that was read, with its places, scores and sources.

Its schema is docs/read.schema.json.
"""

from collections.abc import Iterable
from typing import Any, TextIO

import numpy as np
import orjson

from florence2 import __version__
from florence2.documents.structure import Block, Cell, Page, Table
from florence2.documents.writers.content import printable
from florence2.documents.writers.options import WriterOptions
from florence2.documents.writers.rows import box_row, quad_row, score_row
from florence2.pipelines.reading.lines import Line, Word

FORMAT = 1
"""That of the JSON; it grows when a reader of it must change."""


def write_json(pages: Iterable[Page], file: TextIO, options: WriterOptions) -> None:
    """Write pages as one JSON object, a page a line.

    Follows `name`, `unit` and `num_pages`; all blocks are written.
    """
    head = {
        "format": FORMAT,
        "software": f"florence2 {__version__}",
        "file": printable(options.name),
        "unit": options.unit,
        "num_pages": options.num_pages,
    }
    file.write(_json(head)[:-1] + ',"pages":[')
    for count, page in enumerate(pages):
        file.write(",\n" if count else "\n")
        file.write(_json(page_row(page)))
    file.write("\n]}\n")


def _json(row: dict[str, Any]) -> str:
    return orjson.dumps(row).decode()


def page_row(page: Page) -> dict[str, Any]:
    """A page as JSON holds it; numbers have two decimals."""
    return {
        "number": page.number,
        "width": round(page.width, 2),
        "height": round(page.height, 2),
        "dpi": round(page.dpi, 2),
        "source": page.source,
        "reason": printable(page.reason),
        "error": printable(page.error),
        "seconds": round(page.seconds, 3),
        "blocks": [_block_row(block) for block in page.blocks],
        "doubtful": [_line_row(line) for line in page.doubtful],
    }


def page_of(row: dict[str, Any]) -> Page:
    """The page of a row that `page_row` made, as it was but for the rounding."""
    return Page(
        **{name: row[name] for name in ("number", "width", "height", "dpi", "source", "reason")},
        error=row["error"],
        seconds=row["seconds"],
        blocks=tuple(_block_of(block) for block in row["blocks"]),
        doubtful=tuple(_line_of(line) for line in row["doubtful"]),
    )


def _block_row(block: Block) -> dict[str, Any]:
    row = {
        "kind": block.kind,
        "box": box_row(block.box),
        "text": printable(block.text),
        "level": block.level,
        "marker": printable(block.marker),
        "score": score_row(block.score),
        "continues": block.continues,
        "lines": [_line_row(line) for line in block.lines],
    }
    return row if block.table is None else {**row, "table": _table_row(block.table)}


def _block_of(row: dict[str, Any]) -> Block:
    return Block(
        row["kind"],
        tuple(row["box"]),
        tuple(_line_of(line) for line in row["lines"]),
        **{name: row[name] for name in ("text", "level", "marker", "score", "continues")},
        table=_table_of(row["table"]) if "table" in row else None,
    )


def _table_row(table: Table) -> dict[str, Any]:
    return {
        "num_rows": table.num_rows,
        "num_columns": table.num_columns,
        "is_ruled": table.is_ruled,
        "cells": [_cell_row(cell) for cell in table.cells],
    }


def _table_of(row: dict[str, Any]) -> Table:
    cells = tuple(
        Cell(
            cell["row"],
            cell["column"],
            tuple(cell["box"]),
            tuple(_line_of(line) for line in cell["lines"]),
            cell["row_span"],
            cell["column_span"],
            cell["is_header"],
        )
        for cell in row["cells"]
    )
    return Table(row["num_rows"], row["num_columns"], cells, row["is_ruled"])


def _cell_row(cell: Cell) -> dict[str, Any]:
    return {
        "row": cell.row,
        "column": cell.column,
        "row_span": cell.row_span,
        "column_span": cell.column_span,
        "is_header": cell.is_header,
        "box": box_row(cell.box),
        "text": printable(cell.text),
        "lines": [_line_row(line) for line in cell.lines],
    }


def _line_row(line: Line) -> dict[str, Any]:
    return {
        "text": printable(line.text),
        "quad": quad_row(line.quad),
        "score": score_row(line.score),
        "source": line.source,
        "letter_height": round(float(line.letter_height), 2),
        "font_size": round(float(line.font_size), 2),
        "is_bold": bool(line.is_bold),
        "words": [
            {
                "text": printable(word.text),
                "quad": quad_row(word.quad),
                "score": score_row(word.score),
            }
            for word in line.words
        ],
    }


def _line_of(row: dict[str, Any]) -> Line:
    words = tuple(
        Word(word["text"], np.array(word["quad"], np.float64), word["score"])
        for word in row["words"]
    )
    quad = np.array(row["quad"], np.float64)
    names = ("score", "source", "letter_height", "font_size", "is_bold")
    return Line(row["text"], quad, words, **{name: row[name] for name in names})
