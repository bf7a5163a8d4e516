"""What is a table and what only looks like one, and which of its rows are headers."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from florence2.documents.table_columns import (
    AMOUNT,
    CODE,
    LEADER,
    MARKER,
    Columns,
    Piece,
    Words,
    is_number,
    text_of,
)
from florence2.documents.table_grids import Grid, Place

Bools = NDArray[np.bool_]

ALIGNED = 0.35  # letter heights between starts, ends or middles that are one edge
MIN_ALIGNED = 0.55  # share of a column's cells on the commonest edge
MIN_ROWS = 3
MIN_DENSE = 0.45  # share of cells that hold words
MIN_SEVERAL = 0.6  # share of rows with at least two such cells
MIN_PROSE_WORDS = 4.5  # words in a line of a column of text
MIN_PROSE_ROWS = 5
MIN_PROSE_FILL = 0.78  # width of the middle line in the widest
MAX_CODE = 0.3  # share of rows that look like source code
MAX_LEADERS = 0.2  # share of rows with leaders
MAX_INDEXED = 0.4  # share of a column's cells that end like those of an index
MAX_BULLETED = 0.5  # share of a first column's cells that begin as items of a list
MAX_REPEATED = 0.7  # share of a first column that says the same, as lines of commands do
MAX_MATRIX = 6  # rows of numbers alone that are a matrix
MAX_HEADERS = 3

BULLETED = re.compile(r"[•‣◦▪]\s")
INDEXED = re.compile(r",\s?\d+(\s?[-–,]\s?\d+)*,?$")


def is_table(
    words: Words,
    is_bold: Bools,
    columns: Columns,
    groups: Sequence[Sequence[int]],
    num_rules: int,
) -> bool:
    """Whether rows with blanks in common are a table.

    Args:
        groups: numbers of the visual rows in each row.
        num_rules: level rules along it.
    """
    by_column = _by_column(columns)
    own = [cells for cells in by_column if cells]
    texts = [[text_of(words, piece) for piece in cells] for cells in own]
    if own and np.mean([bool(MARKER.fullmatch(text)) for text in texts[0]]) > 0.7:
        own, texts = own[1:], texts[1:]
    if len(own) < 2 or len(groups) < 2:
        return False
    is_ruled = num_rules >= 2
    has_header = _has_header(words, is_bold, columns, groups)
    if len(groups) < MIN_ROWS and not is_ruled and not (has_header and len(own) > 2):
        return False
    if not _is_dense(columns, groups, len(own)) or not _is_aligned(words, own):
        return False
    rows = [
        " ".join(text_of(words, piece) for _, piece in sorted(cells.items()))
        for cells in columns.cells
    ]
    if np.mean([bool(LEADER.search(row)) for row in rows]) > MAX_LEADERS:
        return False
    if len(own) <= 3 and not has_header and _are_page_numbers(texts[-1]):
        return False
    if is_ruled:
        return True
    if np.mean([bool(CODE.search(row)) for row in rows]) > MAX_CODE:
        return False
    if all(np.mean([bool(INDEXED.search(text)) for text in own]) > MAX_INDEXED for own in texts):
        return False
    if np.mean([bool(BULLETED.match(text)) for text in texts[0]]) > MAX_BULLETED:
        return False
    if not has_header and (_repeats(texts[0]) or _is_matrix(texts)):
        return False
    if len(prose_columns(columns)) > 1:
        return False
    return has_header or len(own) > 2 or not _is_pairs(texts)


def _by_column(columns: Columns) -> list[list[Piece]]:
    """Of each column the pieces in it alone."""
    found: list[list[Piece]] = [[] for _ in range(columns.count)]
    for cells in columns.cells:
        for (first, last), piece in cells.items():
            if first == last:
                found[first].append(piece)
    return found


def _is_dense(columns: Columns, groups: Sequence[Sequence[int]], num_columns: int) -> bool:
    """Whether most cells hold words, and most rows several."""
    counts = []
    for group in groups:
        filled = {first for row in group for first, _ in columns.cells[row]}
        wide = {last for row in group for _, last in columns.cells[row]}
        counts.append(len(filled | wide))
    share = np.minimum(counts, num_columns).sum() / (len(groups) * num_columns)
    return bool(share >= MIN_DENSE and np.mean([n > 1 for n in counts]) >= MIN_SEVERAL)


def _is_aligned(words: Words, by_column: Sequence[Sequence[Piece]]) -> bool:
    """Whether the cells of most columns stand in line."""
    aligned = []
    for cells in by_column:
        edges = np.array([(cell.low, cell.high, (cell.low + cell.high) / 2) for cell in cells])
        boxes = words.boxes[[cell.words[0] for cell in cells]]
        near = ALIGNED * float(np.median(boxes[:, 3] - boxes[:, 1]))
        shares = [
            (np.abs(edges[:, edge, None] - edges[:, edge]) <= near).mean(axis=0).max()
            for edge in range(3)
        ]
        aligned.append(bool(max(shares) >= MIN_ALIGNED))
    return sum(aligned) >= max(2, 0.6 * len(aligned))


def prose_columns(columns: Columns, min_rows: int = MIN_PROSE_ROWS) -> set[int]:
    """Numbers of the columns that are running text."""
    prose = set()
    for number, cells in enumerate(_by_column(columns)):
        counts = [len(cell.words) for cell in cells]
        widths = [cell.high - cell.low for cell in cells]
        if (
            len(cells) >= min_rows
            and np.mean(counts) >= MIN_PROSE_WORDS
            and np.median(widths) >= MIN_PROSE_FILL * max(widths)
        ):
            prose.add(number)
    return prose


def _are_page_numbers(texts: Sequence[str]) -> bool:
    """Whether a column holds whole numbers that never fall, as in a table of contents."""
    if len(texts) < MIN_ROWS or not all(text.isdecimal() and len(text) < 5 for text in texts):
        return False
    numbers = [int(text) for text in texts]
    return numbers == sorted(numbers)


def _repeats(texts: Sequence[str]) -> bool:
    """Whether nearly all of a column says the same."""
    return Counter(texts).most_common(1)[0][1] > MAX_REPEATED * len(texts)


def _is_matrix(texts: Sequence[Sequence[str]]) -> bool:
    """Whether all columns are few numbers, as those of a matrix without names."""
    return max(map(len, texts)) <= MAX_MATRIX and all(
        is_number(text) for column in texts for text in column
    )


def _is_pairs(texts: Sequence[Sequence[str]]) -> bool:
    """Whether two columns are those of a receipt or of a form."""
    names, values = texts
    amounts = np.mean([bool(AMOUNT.fullmatch(value)) for value in values])
    colons = np.mean([name.endswith(":") for name in names])
    return bool(amounts > 0.6 or colons > 0.6)


def _has_header(
    words: Words, is_bold: Bools, columns: Columns, groups: Sequence[Sequence[int]]
) -> bool:
    cells = {
        Place(number, first): columns.cells[row][first, last].words
        for number, group in enumerate(groups)
        for row in group[:1]
        for first, last in columns.cells[row]
    }
    return _num_headers(words, is_bold, len(groups), columns.count, cells) > 0


def header_rows(
    words: Words, is_bold: Bools, grid: Grid, cells: dict[Place, tuple[int, ...]]
) -> int:
    """How many rows at the top name the columns."""
    return _num_headers(words, is_bold, len(grid.ys) - 1, len(grid.xs) - 1, cells)


def _num_headers(
    words: Words,
    is_bold: Bools,
    num_rows: int,
    num_columns: int,
    cells: dict[Place, tuple[int, ...]],
) -> int:
    """Rows that are bold over rows that are not, or words over columns of numbers."""
    bold = np.zeros(num_rows)
    filled = np.zeros(num_rows)
    kinds = np.zeros((num_rows, num_columns), np.int64)  # 1 for a number, 2 for other words
    for place, own in cells.items():
        if own:
            text = " ".join(words.texts[word] for word in own)
            filled[place.row] += len(own)
            bold[place.row] += is_bold[list(own)].sum()
            if place.column_span == 1:
                kinds[place.row, place.column] = 1 if is_number(text) else 2
    bold_rows = bold >= np.maximum(0.9 * filled, 1)
    if bold_rows[0] and not bold_rows[1:].all():
        return min(int(np.argmin(bold_rows)), MAX_HEADERS)
    numeric = (kinds == 1).sum(axis=0) > 0.55 * np.maximum((kinds > 0).sum(axis=0), 1)
    is_names = ((kinds == 2) & numeric).any(axis=1) & ~((kinds == 1) & numeric).any(axis=1)
    # Cells over several columns, and names of columns of words, stand over the names of others.
    count = 0
    for row in range(min(MAX_HEADERS, num_rows - 1)):
        if is_names[row]:
            count = row + 1
        elif ((kinds[row] == 1) & numeric).any():
            break
    return count
