"""Tables of a page: rows, columns and cells, from where words stand and from rules.

Rules that cross make a grid, in which a missing piece joins two cells. Where rules part only rows,
or only columns, or only frame the whole, blanks part the rest. Without rules, blanks part all, and
only what is plainly a table is taken for one: three rows or more whose cells stand in line. Tables
of contents, receipts of two columns, forms, source code and columns of text remain lines.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from florence2.documents.structure import Cell, Table
from florence2.documents.table_checks import header_rows, is_table, prose_columns
from florence2.documents.table_columns import (
    Columns,
    VisualRow,
    Words,
    blocks_of,
    columns_of,
    extended,
    grouped_rows,
    is_number,
    letter_of,
    pitches_of,
    text_of,
    trimmed,
    visual_rows,
    widened,
)
from florence2.documents.table_grids import Grid, Place, find_grids, strokes_of
from florence2.geometry import Array, Box, box_to_quad
from florence2.pipelines.reading.lines import Line, Word, box_around

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

MIN_ANGLE, MAX_ANGLE = 0.1, 5.0  # degrees that a page is turned by, to be set level
MIN_LINE = 4.0  # letter heights of a line that tells the angle
MIN_FILLED = 0.25  # share of a grid's cells that hold words
MAX_CELL_WORDS = 40  # in the middle cell of a grid of few; more are boxes of text
FEW_CELLS = 4
MAX_UNPARTED = 3  # rows of a grid that rules may have left unparted
MIN_PROSE_ROWS = 10  # lines of a column of text that stands beside a table
MAX_ACROSS = 7  # words of a line over all columns; more are text between two tables
INSET = 0.15  # of a word's height, in which a rule above or below it may lie
LOW = 0.6  # of a word's height, below which leaders and blanks to fill in stand
MAX_LOOSE = 200  # level rules outside grids; more are a drawing, and part no rows
MAX_TYPED = 0.85  # share of a page's words in letters as on a typewriter, which then are code
MIN_TYPED = 0.8  # share of a block's words that are such letters
NEAR = 1.6  # letter heights from a table's words to its upper and lower rule
MIN_ALONG = 0.5  # share of a table's width that a rule of it takes


@dataclass(frozen=True, eq=False)
class _Found:
    """A table on the level page: its grid and the words in each place."""

    grid: Grid
    words: dict[Place, tuple[int, ...]]
    is_ruled: bool
    num_headers: int


def find_tables(
    lines: Sequence[Line], rules: Array, *, width: float, height: float
) -> tuple[tuple[Table, Box], ...]:
    """Find the tables of a page.

    Lines that run over several cells are cut between their words; the words in cells are those of
    the lines. A line without words is cut at its blanks, as far as its letters were equally wide.

    Args:
        lines: of the page, in any order.
        rules: boxes `x_min, y_min, x_max, y_max` of level and upright rules, and of shaded cells,
            in the units of the lines, float64 `(N, 4)`.
        width: of the page.
        height: of the page.

    Returns:
        Each table and the box around it within the page, from top to bottom.
    """
    words, owners = _words_of(lines)
    if not words:
        return ()
    page = _Page(lines, words, owners, np.asarray(rules, np.float64).reshape(-1, 4))
    found = [page.told(each, width, height) for each in page.tables()]
    return tuple(sorted(found, key=lambda each: (each[1][1], each[1][0])))


def lines_outside(lines: Sequence[Line], tables: Sequence[tuple[Table, Box]]) -> tuple[Line, ...]:
    """What of the lines is in no cell: whole lines, or those of their words that are left."""
    inside = {id(each) for table, _ in tables for cell in table.cells for each in cell.lines}
    words = {
        id(word)
        for table, _ in tables
        for cell in table.cells
        for line in cell.lines
        for word in line.words
    }
    texts = []
    for line in lines:
        left = [word for word in line.words if id(word) not in words]
        if id(line) in inside or (line.words and not left):
            continue
        texts.append(line if len(left) == len(line.words) else part_of(line, left))
    return tuple(texts)


def part_of(line: Line, words: Sequence[Word]) -> Line:
    """The line of some of its words, one or more in their order."""
    if len(words) == len(line.words):
        return line
    first, last = words[0].quad, words[-1].quad
    scores = [(word.score, len(word.text)) for word in words if word.score is not None]
    letters = sum(count for _, count in scores)
    return replace(
        line,
        text=" ".join(word.text for word in words),
        quad=np.stack([first[0], last[1], last[2], first[3]]),
        words=tuple(words),
        score=sum(score * count for score, count in scores) / letters if letters else line.score,
    )


def _words_of(lines: Sequence[Line]) -> tuple[list[Word], list[int]]:
    """All words, and the number of the line of each."""
    words: list[Word] = []
    owners: list[int] = []
    for number, line in enumerate(lines):
        own = line.words or tuple(_guessed_words(line))
        words += own
        owners += [number] * len(own)
    return words, owners


def _guessed_words(line: Line) -> Iterator[Word]:
    """Words of a line that knows only its text."""
    start = 0
    across = line.quad[[1, 2]] - line.quad[[0, 3]]
    for text in line.text.split():
        start = line.text.index(text, start)
        low, high = start / len(line.text), (start + len(text)) / len(line.text)
        upper, lower = line.quad[0], line.quad[3]
        yield Word(
            text,
            np.stack(
                [
                    upper + low * across[0],
                    upper + high * across[0],
                    lower + high * across[1],
                    lower + low * across[1],
                ]
            ),
            line.score,
        )
        start += len(text)


class _Page:
    """The words and rules of a page, set level."""

    def __init__(
        self, lines: Sequence[Line], words: Sequence[Word], owners: Sequence[int], rules: Array
    ) -> None:
        self._lines, self._parts, self._owners = lines, words, owners
        line_quads = np.stack([line.quad for line in lines]).astype(np.float64)
        self._turn, slope = _levelling(line_quads)
        boxes = _around(np.stack([word.quad for word in words]).astype(np.float64) @ self._turn)
        line_boxes = _around(line_quads @ self._turn)
        # As high as their lines: words of small letters stand level with those of tall ones.
        boxes[:, [1, 3]] = line_boxes[owners][:, [1, 3]]
        texts = tuple(word.text for word in words)
        self.words = Words(boxes, texts, pitches_of(boxes, texts, owners))
        typed = float((self.words.pitches > 0).mean())
        self._has_code = 0 < typed <= MAX_TYPED
        self.is_bold = np.array([lines[owner].is_bold for owner in owners])
        # Of small letters, as rules in a table of small print stand closer to each other.
        self.letter = max(float(np.percentile(boxes[:, 3] - boxes[:, 1], 20)), 1e-6)
        levels, self.uprights = strokes_of(_turned_rules(rules, self._turn), self.letter, slope)
        # Strokes of letters, and lines struck through words.
        self.levels = levels[~self._touch_words(levels, 0.0)]

    def _touch_words(self, levels: Array, beside: float) -> Bools:
        """Whether level strokes `(N, 3)` run through words, or up to so far beside them, `(N,)`."""
        order = np.argsort(self.words.boxes[:, 3])
        low, top, high, bottom = self.words.boxes[order].T
        inset = INSET * (bottom - top)
        # Leaders stand low; a rule in the middle may part rows beside a cell that spans them.
        above = (LOW if beside else INSET) * (bottom - top)
        tallest = float((bottom - top).max())
        touch = np.zeros(len(levels), bool)
        for number, (y, start, end) in enumerate(levels):
            near = slice(np.searchsorted(bottom, y), np.searchsorted(bottom, y + tallest))
            through = (top[near] + above[near] < y) & (y < bottom[near] - inset[near])
            touch[number] = (
                through & (low[near] < end + beside) & (start - beside < high[near])
            ).any()
        return touch

    def tables(self) -> Iterator[_Found]:
        """Yield the tables of the page."""
        left = np.ones(len(self.words.texts), bool)
        free = np.ones(len(self.levels), bool)
        framed = []
        for grid, rows in find_grids(self.levels, self.uprights, self.letter):
            inside = self._inside(grid.box)
            if not inside.any():
                continue
            if len(grid.xs) == 2:
                framed.append((grid, inside))
                continue
            found = self._gridded(grid, np.flatnonzero(inside & left))
            if found is not None:
                yield found
                left &= ~inside
                free[rows] = False
        # Shaded rows of a table without rules are frames as well, of a row each, below each other.
        framed = [
            (grid, inside)
            for grid, inside in framed
            if len(grid.ys) > 2
            or (
                sum(bool(np.abs(grid.xs - each.xs).max() < self.letter) for each, _ in framed) < 2
                and len(visual_rows(self.words, np.flatnonzero(inside))) > MAX_UNPARTED
            )
        ]
        for grid, inside in sorted(framed, key=lambda each: int(each[1].sum())):
            numbers = np.flatnonzero(inside & left)
            levels = np.stack([grid.ys, *[np.full(len(grid.ys), x) for x in grid.xs]], axis=1)
            for found in self._blank_tables(numbers, levels):
                yield found
                left[[word for own in found.words.values() for word in own]] = False
        # Beside words are leaders and blanks to fill in.
        levels = self.levels[free]
        levels = levels[~self._touch_words(levels, self.letter)]
        yield from self._blank_tables(np.flatnonzero(left), levels)

    def _inside(self, box: Box) -> Bools:
        boxes = self.words.boxes
        x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
        inside: Bools = (box[0] < x) & (x < box[2]) & (box[1] < y) & (y < box[3])
        return inside

    def _gridded(self, grid: Grid, numbers: Ints) -> _Found | None:
        """The table that a grid of rules makes with the words in it, if it is one."""
        grid = self._with_all_rows(grid, numbers)
        num_rows, num_columns = len(grid.ys) - 1, len(grid.xs) - 1
        words = self._by_place(grid, numbers)
        filled = [len(own) for own in words.values() if own]
        if min(num_rows, num_columns) < 2 or len(filled) < max(2, MIN_FILLED * len(words)):
            return None
        if len(words) <= FEW_CELLS and np.median(filled) > MAX_CELL_WORDS:
            return None
        places = [place for place, own in words.items() if own]
        if len({place.column for place in places}) < 2 or len({p.row for p in places}) < 2:
            return None
        if num_rows <= 2 and self._goes_on_below(grid, numbers):
            return None
        return _Found(grid, words, True, header_rows(self.words, self.is_bold, grid, words))

    def _goes_on_below(self, grid: Grid, numbers: Ints) -> bool:
        """Whether a grid is only the shaded head of a table whose other rows blanks part."""
        low, _, high, bottom = grid.box
        boxes = self.words.boxes
        letter = float(np.median(boxes[numbers, 3] - boxes[numbers, 1]))
        middles = (boxes[:, 0] + boxes[:, 2]) / 2
        near = (low < middles) & (middles < high) & (boxes[:, 1] > bottom - letter / 2)
        near &= boxes[:, 3] < bottom + (NEAR + 1) * letter
        rows = visual_rows(self.words, np.flatnonzero(near))
        return bool(rows) and any(len(row.pieces) > 1 for row in rows)

    def _by_place(self, grid: Grid, numbers: Ints) -> dict[Place, tuple[int, ...]]:
        owner = np.zeros((len(grid.ys) - 1, len(grid.xs) - 1), np.int64)
        for number, (row, column, down, right) in enumerate(grid.places):
            owner[row : row + down, column : column + right] = number
        boxes = self.words.boxes[numbers]
        rows = np.searchsorted(grid.ys[1:-1], (boxes[:, 1] + boxes[:, 3]) / 2)
        columns = np.searchsorted(grid.xs[1:-1], (boxes[:, 0] + boxes[:, 2]) / 2)
        own: list[list[int]] = [[] for _ in grid.places]
        for word, number in zip(numbers.tolist(), owner[rows, columns].tolist(), strict=True):
            own[number].append(word)
        return {place: tuple(each) for place, each in zip(grid.places, own, strict=True)}

    def _with_all_rows(self, grid: Grid, numbers: Ints) -> Grid:
        """The grid with rows parted by blanks where rules part only columns."""
        boxes = self.words.boxes[numbers]
        middles = (boxes[:, 1] + boxes[:, 3]) / 2
        cuts: dict[int, list[float]] = {}
        for row, (top, bottom) in enumerate(pairwise(grid.ys)):
            whole = all(
                place.row_span == 1
                for place in grid.places
                if place.row <= row < place.row + place.row_span
            )
            band = numbers[(top < middles) & (middles < bottom)]
            if whole and len(band):
                cuts[row] = self._row_cuts(grid, band)
        unparted = [row for row, places in cuts.items() if places]
        num_rows = len(grid.ys) - 1
        if not unparted or (num_rows > MAX_UNPARTED and len(unparted) < num_rows / 2):
            return grid
        return _cut_rows(grid, {row: cuts[row] for row in unparted})

    def _row_cuts(self, grid: Grid, band: Ints) -> list[float]:
        """Heights that part a row of the grid whose cells each hold a column of cells."""
        rows = visual_rows(self.words, band)
        columns = Columns.within(self.words, rows, grid.xs)
        groups = grouped_rows(self.words, rows, columns, (), letter_of(rows))
        cells = [sum(len(columns.cells[row]) for row in group) for group in groups]
        several = sum(count > 1 for count in cells)
        if len(groups) < 2 or several < max(2, 0.6 * len(groups)):
            return []
        if len(groups) == 2 and not any(
            is_number(text_of(self.words, piece)) for piece in columns.cells[groups[1][0]].values()
        ):
            return []
        return [
            (rows[upper[-1]].bottom + rows[lower[0]].top) / 2 for upper, lower in pairwise(groups)
        ]

    def _blank_tables(self, numbers: Ints, levels: Array) -> Iterator[_Found]:
        """Yield tables whose columns blanks part, and whose rows blanks or rules part."""
        left = set(numbers.tolist())
        for group in _parallel(levels, self.letter) if len(levels) <= MAX_LOOSE else []:
            for found in self._between_rules(np.array(sorted(left), np.int64), group, levels):
                yield found
                left.difference_update(word for own in found.words.values() for word in own)
        rows = visual_rows(self.words, np.array(sorted(left), np.int64))
        for block in blocks_of(rows):
            yield from self._block_tables(rows, block, levels)

    def _between_rules(self, numbers: Ints, rules: Array, levels: Array) -> Iterator[_Found]:
        """Yield the tables between parallel rules `(N, 3)`, from top to bottom."""
        if len(rules) < 2:
            return
        boxes = self.words.boxes[numbers]
        middles = (boxes[:, 1] + boxes[:, 3]) / 2
        across = (boxes[:, 0] + boxes[:, 2]) / 2
        beside = (rules[:, 1].min() < across) & (across < rules[:, 2].max())
        within = beside & (rules[0, 0] < middles) & (middles < rules[-1, 0])
        found = None
        if within.any():
            # Shades of rows may leave out what stands for several rows, so all is tried first.
            for near in (numbers, numbers[beside]):
                rows = extended(visual_rows(self.words, near), rules[0, 0], rules[-1, 0])
                found = self._ruled_table(rows, levels)
                if found is not None:
                    break
        if found is not None:
            yield found
        elif len(rules) > 2:
            cut = int(np.diff(rules[:, 0]).argmax()) + 1
            yield from self._between_rules(numbers, rules[:cut], levels)
            yield from self._between_rules(numbers, rules[cut:], levels)

    def _ruled_table(self, rows: Sequence[VisualRow], levels: Array) -> _Found | None:
        columns = columns_of(self.words, rows, letter_of(rows))
        if columns is None or len(prose_columns(columns)) > 1:
            return None
        own = self._rules_of(rows, columns, levels)
        if len(own) < 2:
            return None
        across = [cells.get((0, columns.count - 1)) for cells in columns.cells]
        if any(piece is not None and len(piece.words) > MAX_ACROSS for piece in across):
            return None
        groups = grouped_rows(self.words, rows, columns, own, letter_of(rows))
        if not is_table(self.words, self.is_bold, columns, groups, len(own)):
            return None
        return self._blank_table(rows, columns, groups, own)

    def _block_tables(
        self, rows: Sequence[VisualRow], block: Sequence[VisualRow], levels: Array
    ) -> Iterator[_Found]:
        letter = letter_of(block)
        columns = columns_of(self.words, block, letter)
        if columns is None:
            return
        own = self._rules_of(block, columns, levels)
        kept = trimmed(block, own)
        if len(kept) < len(block):
            for part in blocks_of(kept):
                yield from self._block_tables(rows, part, levels)
            return
        prose = prose_columns(columns, MIN_PROSE_ROWS)
        if prose and len(own) < 2 and columns.count > len(prose) + 1:
            # A table beside columns of text: without them it is seen as what it is.
            text = [
                word
                for cells in columns.cells
                for (first, _), piece in cells.items()
                if first in prose
                for word in piece.words
            ]
            others = {word for row in block for word in row.words} - set(text)
            yield from self._blank_tables(np.array(sorted(others), np.int64), levels)
            return
        block, columns = widened(self.words, rows, block, columns, letter)
        own = self._rules_of(block, columns, levels)
        if len(own) < 2 and self._is_code(block):
            return
        groups = grouped_rows(self.words, block, columns, own, letter)
        if not is_table(self.words, self.is_bold, columns, groups, len(own)):
            return
        yield self._blank_table(block, columns, groups, own)

    def _is_code(self, block: Sequence[VisualRow]) -> bool:
        """Whether a block is in typewriter letters, on a page of text in others."""
        numbers = [word for row in block for word in row.words]
        return self._has_code and bool((self.words.pitches[numbers] > 0).mean() >= MIN_TYPED)

    def _rules_of(self, block: Sequence[VisualRow], columns: Columns, levels: Array) -> list[float]:
        """Heights of level rules that belong to a block."""
        low, high = float(columns.edges[0]), float(columns.edges[-1])
        near = NEAR * letter_of(block)
        y, x_min, x_max = levels.T
        common = np.minimum(x_max, high) - np.maximum(x_min, low)
        along = common >= MIN_ALONG * (high - low)
        within = (block[0].top - near <= y) & (y <= block[-1].bottom + near)
        heights: list[float] = np.sort(y[along & within]).tolist()
        return heights

    def _blank_table(
        self,
        block: Sequence[VisualRow],
        columns: Columns,
        groups: Sequence[Sequence[int]],
        rules: Sequence[float],
    ) -> _Found:
        tops = [block[group[0]].top for group in groups]
        bottoms = [block[group[-1]].bottom for group in groups]
        ys = np.array(
            [
                tops[0],
                *[(up + low) / 2 for up, low in zip(bottoms[:-1], tops[1:], strict=True)],
                bottoms[-1],
            ]
        )
        words: dict[Place, tuple[int, ...]] = {}
        for number, group in enumerate(groups):
            spans: dict[tuple[int, int], tuple[int, ...]] = {}
            for row in group:
                for (first, last), piece in columns.cells[row].items():
                    # A line of a cell that runs over several columns takes them for all its lines.
                    own = piece.words
                    for span in [s for s in spans if s[0] <= last and first <= s[1]]:
                        own = spans.pop(span) + own
                        first, last = min(first, span[0]), max(last, span[1])
                    spans[first, last] = own
            taken = {column for first, last in spans for column in range(first, last + 1)}
            for column in range(columns.count):
                if column not in taken:
                    spans[column, column] = ()
            for (first, last), held in sorted(spans.items()):
                words[Place(number, first, 1, last - first + 1)] = held
        grid = Grid(columns.edges, ys, tuple(words))
        inner = [y for y in rules if ys[0] < y < ys[-1]]
        below = next((y for y in inner), None)
        is_parted = below is not None and len(inner) < len(groups) - 1
        ruled_headers = (
            int(sum(top < below for top in tops)) if is_parted and below is not None else 0
        )
        headers = header_rows(self.words, self.is_bold, grid, words)
        if 0 < ruled_headers <= max(1, len(groups) // 3):
            headers = max(headers, ruled_headers)
        return _Found(grid, words, len(rules) >= 2, headers)

    def told(self, found: _Found, width: float, height: float) -> tuple[Table, Box]:
        """The table in the frame of the page as it is."""
        cells = tuple(
            Cell(
                row=place.row,
                column=place.column,
                box=self._box_back(found.grid.box_of(place), width, height),
                lines=self._lines_of(own),
                row_span=place.row_span,
                column_span=place.column_span,
                is_header=place.row < found.num_headers,
            )
            for place, own in found.words.items()
        )
        table = Table(len(found.grid.ys) - 1, len(found.grid.xs) - 1, cells, found.is_ruled)
        return table, self._box_back(found.grid.box, width, height)

    def _box_back(self, box: Box, width: float, height: float) -> Box:
        x_min, y_min, x_max, y_max = box_around(box_to_quad(box) @ self._turn.T)
        return max(x_min, 0.0), max(y_min, 0.0), min(x_max, width), min(y_max, height)

    def _lines_of(self, numbers: Sequence[int]) -> tuple[Line, ...]:
        """Lines of the words of a cell, from top to bottom."""
        lines = []
        for row in visual_rows(self.words, np.array(numbers, np.int64)):
            by_line: dict[int, list[int]] = {}
            for word in row.words:
                by_line.setdefault(self._owners[word], []).append(word)
            for owner, own in by_line.items():
                line = self._lines[owner]
                if not line.words:
                    whole = len(own) == self._owners.count(owner)
                    line = line if whole else replace(line, words=())
                    parts = [self._parts[word] for word in sorted(own)]
                    lines.append(line if whole else part_of(line, parts))
                else:
                    lines.append(part_of(line, [self._parts[word] for word in sorted(own)]))
        return tuple(lines)


def _parallel(levels: Array, letter: float) -> list[Array]:
    """Groups of level strokes `(N, 3)` that begin and end below each other, each downwards."""
    groups: dict[tuple[int, int], list[Array]] = {}
    for stroke in levels:
        reach = (round(stroke[1] / letter), round(stroke[2] / letter))
        # A neighbour's key may be the next number, where rounding has parted what is the same.
        near = [
            key for key in groups if abs(key[0] - reach[0]) <= 1 and abs(key[1] - reach[1]) <= 1
        ]
        groups.setdefault(near[0] if near else reach, []).append(stroke)
    return [np.array(sorted(group, key=lambda each: each[0])) for group in groups.values()]


def _around(quads: Array) -> Array:
    """Boxes `(N, 4)` around quads `(N, 4, 2)`."""
    return np.concatenate([quads.min(axis=1), quads.max(axis=1)], axis=1)


def _levelling(quads: Array) -> tuple[Array, float]:
    """The matrix `(2, 2)` that sets points level by `points @ matrix`, and the slope it takes."""
    along = quads[:, 1] - quads[:, 0]
    tall = np.linalg.norm(quads[:, 3] - quads[:, 0], axis=1)
    angles = np.degrees(np.arctan2(along[:, 1], along[:, 0]))
    long = (np.linalg.norm(along, axis=1) >= MIN_LINE * tall) & (np.abs(angles) <= MAX_ANGLE)
    angle = float(np.median(angles[long])) if long.any() else 0.0
    if abs(angle) < MIN_ANGLE:
        return np.eye(2), 0.0
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return np.array([[cos, -sin], [sin, cos]]), float(abs(np.tan(np.radians(angle))))


def _turned_rules(rules: Array, turn: Array) -> Array:
    """Boxes turned about the origin with their middle; their sides remain."""
    middles = (rules[:, :2] + rules[:, 2:]) / 2
    halves = (rules[:, 2:] - rules[:, :2]) / 2
    middles = middles @ turn
    return np.concatenate([middles - halves, middles + halves], axis=1)


def _cut_rows(grid: Grid, cuts: dict[int, list[float]]) -> Grid:
    """The grid with some of its rows cut at heights."""
    begins = [0]
    for row in range(len(grid.ys) - 1):
        begins.append(begins[-1] + 1 + len(cuts.get(row, ())))
    places = []
    for place in grid.places:
        first, end = begins[place.row], begins[place.row + place.row_span]
        if place.row_span == 1:
            places += [place._replace(row=row) for row in range(first, end)]
        else:
            places.append(place._replace(row=first, row_span=end - first))
    inner = [height for own in cuts.values() for height in own]
    return Grid(grid.xs, np.sort(np.concatenate([grid.ys, inner])), tuple(sorted(places)))
