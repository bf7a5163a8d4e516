"""Tables and figures as blocks, and the lines that are in none."""

from collections.abc import Sequence

import numpy as np

from florence2.documents.layout.paragraphs import Solid
from florence2.documents.layout.rows import mean_score
from florence2.documents.structure import Block, Table
from florence2.geometry import Array, Box
from florence2.pipelines.reading.lines import Line

SCAN = 0.85  # a picture that covers more of a page is what the page was scanned to


def table_blocks(
    tables: Sequence[tuple[Table, Box]], lines: list[Line]
) -> tuple[list[Solid], list[Line]]:
    """Blocks of tables, and the lines that are in none."""
    solids = []
    for table, box in tables:
        own = [line for cell in table.cells for line in cell.lines]
        known = {id(line) for line in own}
        is_inside = _inside(lines, box)
        told = np.array([line.box for line in own]).reshape(-1, 4)
        left = []
        for line, inside in zip(lines, is_inside, strict=True):
            if id(line) in known:
                continue
            if not inside:
                left.append(line)
            elif not _touches(line.box, told):
                own.append(line)
        lines = left
        rows: dict[int, list[str]] = {}
        for cell in sorted(table.cells, key=lambda cell: (cell.row, cell.column)):
            rows.setdefault(cell.row, []).append(cell.text)
        text = "\n".join("\t".join(row) for row in rows.values())
        block = Block("table", box, tuple(own), text=text, table=table, score=mean_score(own))
        solids.append(Solid(block))
    return solids, lines


def _inside(lines: Sequence[Line], box: Box) -> list[bool]:
    """Whether the middle of each line lies in a box."""
    x_min, y_min, x_max, y_max = box
    middles = [line.quad.mean(axis=0).tolist() for line in lines]
    return [x_min <= x <= x_max and y_min <= y <= y_max for x, y in middles]


def _touches(box: Box, others: Array) -> bool:
    x_min, y_min, x_max, y_max = box
    across = np.minimum(others[:, 2], x_max) - np.maximum(others[:, 0], x_min)
    down = np.minimum(others[:, 3], y_max) - np.maximum(others[:, 1], y_min)
    return bool(((across > 0) & (down > 0.3 * (y_max - y_min))).any())


def figure_blocks(
    pictures: Sequence[Box], lines: list[Line], width: float, height: float
) -> tuple[list[Solid], list[Line]]:
    """Blocks of pictures with the lines in them, and the lines that are in none."""
    if not pictures:
        return [], lines
    heights = [line.box[3] - line.box[1] for line in lines]
    smallest = 1.5 * float(np.median(heights)) if heights else 0.0
    kept = [
        box
        for box in _merged(pictures)
        if (box[2] - box[0]) * (box[3] - box[1]) < SCAN * width * height
        and max(box[2] - box[0], box[3] - box[1]) > smallest
    ]
    solids = []
    for box in kept:
        is_inside = _inside(lines, box)
        own = [line for line, inside in zip(lines, is_inside, strict=True) if inside]
        lines = [line for line, inside in zip(lines, is_inside, strict=True) if not inside]
        solids.append(Solid(Block("figure", box, tuple(own), score=mean_score(own))))
    return solids, lines


def _merged(pictures: Sequence[Box]) -> list[Box]:
    """Pictures, those that lie across each other or touch as one: strips of one drawing."""
    merged: list[Box] = []
    for box in pictures:
        x_min, y_min, x_max, y_max = box
        if not (x_max > x_min and y_max > y_min):
            continue
        apart = []
        for other in merged:
            if (
                min(other[2], x_max) - max(other[0], x_min) >= -1e-3
                and min(other[3], y_max) - max(other[1], y_min) >= -1e-3
            ):
                x_min, y_min = min(x_min, other[0]), min(y_min, other[1])
                x_max, y_max = max(x_max, other[2]), max(y_max, other[3])
            else:
                apart.append(other)
        merged = [*apart, (x_min, y_min, x_max, y_max)]
    return merged
