"""From lines with places to what a page is made of: headings, paragraphs, lists, captions.

Written from left to right and from top to bottom; text that runs from right to left is joined in
the wrong order.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from florence2.documents.layout.paragraphs import Solid, column_blocks
from florence2.documents.layout.rows import Pieces, Row, cut_at_gaps, make_row
from florence2.documents.layout.solids import figure_blocks, table_blocks
from florence2.documents.layout.style import Style, body_size, max_pitch, right_edges, sizes_of
from florence2.documents.structure import Block, Table
from florence2.geometry import Array, Box, bounding_box, box_to_quad
from florence2.pipelines.reading.lines import Line
from florence2.pipelines.reading.order import (
    is_value,
    parts_in_order,
    rows_of,
    straightened,
    turn_back,
)

MAX_TURN = 20  # degrees; what is turned by more is read by itself, at the end
_SENTENCE_END = re.compile(r"[.!?:][\"'”’)\]]*$")


def blocks_of(
    lines: Sequence[Line],
    *,
    width: float,
    height: float,
    tables: Sequence[tuple[Table, Box]] = (),
    pictures: Sequence[Box] = (),
    rules: Array | None = None,
) -> tuple[Block, ...]:
    """Part a page into headings, paragraphs, list items, captions, tables and figures.

    The page may be turned, and by some degrees askew. Columns are read one after the other; what
    stands side by side on a page of one column (a name and a price) is one row and becomes one
    line. Headings are told by their size beside that of most letters of the page, by bold print,
    and by their numbers, which say the level; the others' level comes from the ratio of the sizes,
    so that it is the same on all pages with the same body. Paragraphs end at blanks, rules, changes
    of size, indented first lines, and where the first word of the next line had fitted. Where most
    line ends are such (addresses, receipts, verse, code), the lines stay lines: the text has line
    feeds between them, without the indents. Over the end of other lines the text flows, joined as
    `joining.joined` says.

    A paragraph `continues` the last one of the column before if that stops within a sentence.

    Args:
        lines: of the page in any order, without those that are to be ignored.
        width: of the page, in its units.
        height: likewise.
        tables: found tables and their boxes; what stands in one is not told again elsewhere.
        pictures: boxes; lines in one belong to the figure, unless it is a scan of the page.
        rules: `(N, 4)` boxes of ruling lines, which part paragraphs.

    Returns:
        Blocks in reading order. No header or footer is among them: `furniture` tells those.
    """
    lines = [line for line in lines if line.text.strip()]
    solids, lines = table_blocks(tables, lines)
    figures, lines = figure_blocks(pictures, lines, width, height)
    solids += figures
    if not lines:
        return tuple(_in_order_alone(solids))
    quads = np.stack([line.quad for line in lines])
    _, angle = straightened(quads)
    is_turned = _are_turned(quads, angle)
    others = [lines[number] for number in np.flatnonzero(is_turned)]
    level = np.flatnonzero(~is_turned)
    pieces = cut_at_gaps([lines[number] for number in level], quads[level])
    boxes, angle = straightened(pieces.quads)
    sizes, is_exact = sizes_of(pieces.lines, boxes)

    columns = list(_columns(pieces, boxes, sizes, angle, solids))
    rows = [[each for each in column if isinstance(each, Row)] for column in columns]
    ruling = _turned_back([] if rules is None else rules, angle)
    style = Style(
        body=body_size(pieces.lines, sizes, is_exact, width, height),
        is_exact=is_exact,
        max_pitch=max_pitch(rows, is_exact),
        rules=ruling[ruling[:, 2] - ruling[:, 0] > ruling[:, 3] - ruling[:, 1]],
    )
    blocks: list[Block] = []
    for column, edge in zip(columns, right_edges(rows), strict=True):
        found = column_blocks(column, edge, style)
        if blocks and found:
            found[0] = _continued(found[0], blocks)
        blocks += found
    if others:
        blocks += blocks_of(others, width=width, height=height)
    return tuple(blocks)


def _columns(
    pieces: Pieces, boxes: Array, sizes: Array, angle: float, solids: Sequence[Solid]
) -> Iterator[list[Row | Solid]]:
    """The columns of a page and what stands across them, in the order of reading."""
    every = np.concatenate([boxes, _turned_back([solid.block.box for solid in solids], angle)])
    num_lines = len(pieces.lines)
    values = np.zeros(len(every), dtype=bool)
    values[:num_lines] = [is_value(piece.text) for piece in pieces.lines]
    for part in parts_in_order(every, values, np.arange(len(every)) < num_lines):
        column: list[Row | Solid] = []
        for numbers in rows_of(every, part):
            texts = [number for number in numbers if number < num_lines]
            column += [solids[number - num_lines] for number in numbers if number >= num_lines]
            if texts:
                column.append(make_row(pieces, texts, boxes, sizes, angle))
        yield column


def _turned_back(boxes: ArrayLike, angle: float) -> Array:
    """Boxes `(N, 4)` around boxes of a page that is turned back by an angle."""
    quads = box_to_quad(np.asarray(boxes, dtype=np.float64).reshape(-1, 4))
    return bounding_box(quads @ turn_back(angle).T).reshape(-1, 4)


def _are_turned(quads: Array, angle: float) -> NDArray[np.bool_]:
    """Whether lines `(N, 4, 2)` run another way than the page."""
    along = quads[:, 1] - quads[:, 0]
    beside = np.arctan2(along[:, 1], along[:, 0]) - angle
    turned: NDArray[np.bool_] = np.cos(beside) < np.cos(np.radians(MAX_TURN))
    return turned


def _in_order_alone(solids: Sequence[Solid]) -> Iterator[Block]:
    boxes = np.array([solid.block.box for solid in solids]).reshape(-1, 4)
    nothing = np.zeros(len(boxes), dtype=bool)
    for part in parts_in_order(boxes, nothing, nothing):
        for row in rows_of(boxes, part):
            yield from (solids[number].block for number in row)


def _continued(block: Block, before: Sequence[Block]) -> Block:
    """Say of the first block of a column whether it goes on with the last text before it."""
    if block.kind != "paragraph":
        return block
    size = max(line.font_size or line.letter_height for line in block.lines)
    for last in reversed(before):
        if last.kind == "heading":
            break
        if last.kind not in ("paragraph", "list item"):
            continue
        if last.box[3] <= block.box[1]:
            break  # above it, not beside it
        other = max(line.font_size or line.letter_height for line in last.lines)
        if abs(other - size) > 0.2 * max(size, other):
            continue  # a footnote
        if "\n" in last.text and not last.text.endswith("-"):
            break
        starts_small = block.text[:1].islower()
        is_open = not _SENTENCE_END.search(last.text) or last.text.endswith("-")
        if starts_small or (is_open and not block.text[:1].isupper()):
            return replace(block, continues=True)
        if is_open and len(last.lines) > 1 and len(block.lines) > 1:
            return replace(block, continues=True)
        break
    return block
