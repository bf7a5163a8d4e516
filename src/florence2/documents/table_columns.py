"""Rows and columns that blanks make, in words that nothing but blanks part.

Words that stand level with each other are a visual row. Neighbouring visual rows with wide blanks
at common places are a block, and the common blanks part its columns. Visual rows that go on with
the cells above, as wrapped text does, are one row of the table with them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from florence2.geometry import Array

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

TYPED_BLANK = 1.8  # letters' widths of a blank between pieces where all letters are as wide
MAX_TYPED_SPREAD = 0.1  # of widths a letter from the narrowest to the widest word, in their mean
TYPED_LIKE = 0.08  # by which a short line's words differ at most from the width that others tell
MIN_TYPED_WORDS = 3  # of a line that tells that its letters are equally wide
MAX_EVEN_SPREAD = 0.16  # of blanks in a line set wide to fill its column, likewise but middle half
MIN_EVEN_WORDS = 5
EVEN_BLANK = 1.5  # the middle blank of such a line, from which on a blank parts it

# In letter heights, where nothing else is said.
SAME_ROW = 0.35  # between the middles of words in one visual row
WIDE_BLANK = 0.6  # between words that are not one piece of text
SPACE = 0.38  # at most, between words that surely are
MIN_SPACES = 5  # blanks from which the usual one is known, a count
MIN_STRIP = 0.42  # of a blank strip between columns
MIN_STRIP_OF_FEW = 0.8  # where there are fewer rows than 4
MAX_LEADING = 2.2  # between visual rows of one block
BINS = 8  # to a letter height, in which strips are measured
MAX_LONE = 4  # visual rows of one piece that may follow each other within a block
MAX_CROSSED = 0.12  # share of rows whose text may cross a strip
MAX_LONE_SHARE = 0.2  # share of rows that a column fills which is only a heading of another
JOINED = 0.85  # of a blank within a heading, whose words are no columns of their own
TIGHT = 0.1  # by how much lines of a cell are closer to each other than rows, at least
MAX_WRAP_GAP = 0.7  # between the lines of a cell
MIN_APART = 0.8  # of a first or last row from its neighbour, to be apart
FAR = 1.5  # by how much it is farther from it than all others from theirs, a factor
OVERLAPPING = 0.35  # of two visual rows, so that they are of one row of the table
MIN_TEXT_WORDS = 1.8  # of a cell, on average, in a column of text
MAX_WRAPPED = 0.7  # share of columns that wrap at once, where most are not of text

NUMBER = re.compile(r"[-+−–~<>≤≥±(]*[$€£¥]?[\d.,:/'’%×x·−–-]*\d[\d.,:/'’%)°*]*(e[-+]?\d+)?%?", re.I)
AMOUNT = re.compile(r"[-−]?[$€£¥]?\s?\d[\d.,' ]*[.,]\d\d(\s?[$€£¥A-Z]{0,3})?")
MARKER = re.compile(
    r"[•‣◦▪–—−*·o+-]|\(?[0-9ivxIVX]{1,4}[.)]|\(?[a-zA-Z][.)]|\[[^\W_][\w+&.:’'*-]{0,15}\]"
)
LEADER = re.compile(r"\.{4,}|(\. ?){4,}|…{2,}|_{4,}")
CODE = re.compile(
    r"[;{}](\s|$)|^(#|//|/\*|\$|>>>|%|--|!)|[)\]]\s*[{:;]$|\w\(.*\)|[=!<>+*|&]=|->|::|&&"
    r"|[\w\])]\s=\s|^\w+\s\(.*\)|\[\w+\]$|[√∫∑∏]"
)


@dataclass(frozen=True, eq=False)
class Words:
    """The words of a page on level rows.

    Attributes:
        boxes: `(N, 4)`; each as high as the line that it stands in.
        texts: `(N,)`.
        pitches: `(N,)`, the width of a letter where all are as wide, as on a typewriter; else 0.
    """

    boxes: Array
    texts: tuple[str, ...]
    pitches: Array


def pitches_of(boxes: Array, texts: Sequence[str], owners: Sequence[int]) -> Array:
    """The width of a letter of each word `(N,)`, 0 where a line's letters are not equally wide.

    Digits are so in most fonts, so words of letters tell it, by lines of three such words.

    Args:
        boxes: of the words, `(N, 4)`.
        owners: the number of the line of each.
    """
    # Between the sides of the first and last letter, which take about an eighth of their place.
    lengths = np.array([len(text) for text in texts]) - 0.25
    widths = (boxes[:, 2] - boxes[:, 0]) / lengths
    telling = np.array([len(text) > 2 and text.isalpha() for text in texts])
    pitches = np.zeros(len(texts))
    if not telling.any():
        return pitches
    lines = np.asarray(owners)
    count = int(lines.max()) + 1
    least, most = np.full(count, np.inf), np.zeros(count)
    np.minimum.at(least, lines[telling], widths[telling])
    np.maximum.at(most, lines[telling], widths[telling])
    num_telling = np.bincount(lines[telling], minlength=count)
    longest, shortest = np.zeros(count), np.full(count, np.inf)
    np.maximum.at(longest, lines[telling], lengths[telling])
    np.minimum.at(shortest, lines[telling], lengths[telling])
    # Equal words are equally wide in any letters.
    is_typed = (num_telling >= MIN_TYPED_WORDS) & (longest > shortest)
    is_typed &= most - least <= MAX_TYPED_SPREAD * (most + least) / 2
    pitch = np.where(is_typed, (most + least) / 2, 0.0)
    if is_typed.any():  # a line of few words is so if all are as wide as those of such a line
        usual = float(np.median(pitch[is_typed]))
        fits = (least >= (1 - TYPED_LIKE) * usual) & (most <= (1 + TYPED_LIKE) * usual)
        pitch[fits & (num_telling > 0) & ~is_typed] = usual
    return np.asarray(pitch[lines])


@dataclass(frozen=True, eq=False)
class Piece:
    """Words of a visual row that stand close together, or all of a cell of it."""

    words: tuple[int, ...]
    low: float
    high: float


# Of a visual row, by the first and the last column that each fills.
Cells = dict[tuple[int, int], Piece]


@dataclass(frozen=True, eq=False)
class VisualRow:
    """Words that stand level with each other, from left to right."""

    words: tuple[int, ...]
    top: float
    bottom: float
    letter: float  # the middle height of the words' lines
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, eq=False)
class Columns:
    """Columns that blanks part.

    Attributes:
        edges: `(C + 1,)`, in the middle of each blank.
        cells: of each visual row a piece for each run of columns `(first, last)` that it fills.
    """

    edges: Array
    cells: tuple[Cells, ...]

    @property
    def count(self) -> int:
        return len(self.edges) - 1

    @classmethod
    def within(cls, words: Words, rows: Sequence[VisualRow], edges: Array) -> Columns:
        """Columns between known edges."""
        crosses = [False] * (len(edges) - 2)
        return cls(edges, tuple(_cells_of(words, row, edges, crosses) for row in rows))


def visual_rows(words: Words, numbers: Ints) -> list[VisualRow]:
    """Put words into visual rows, from top to bottom."""
    if not len(numbers):
        return []
    boxes = words.boxes[numbers]
    middles = (boxes[:, 1] + boxes[:, 3]) / 2
    order = np.argsort(middles, kind="stable")
    breaks = np.zeros(len(order), bool)
    near = (SAME_ROW * (boxes[:, 3] - boxes[:, 1]))[order].tolist()
    start, reach = -np.inf, 0.0
    for place, middle in enumerate(middles[order].tolist()):
        if middle - start > min(near[place], reach):
            breaks[place], start, reach = True, middle, near[place]
    rows = []
    for group in np.split(order, np.flatnonzero(breaks)[1:]):
        across = group[np.argsort(boxes[group, 0], kind="stable")]
        own = boxes[across]
        letter = float(np.sort(own[:, 3] - own[:, 1])[len(own) // 2])
        rows.append(
            VisualRow(
                tuple(numbers[across].tolist()),
                float(own[:, 1].min()),
                float(own[:, 3].max()),
                letter,
                pieces_of(numbers[across], own, _piece_blank(words, numbers[across], own, letter)),
            )
        )
    return rows


def _pitch_of(words: Words, numbers: Ints) -> float:
    """The middle width of a letter of words, 0 where most are not of equal letters."""
    pitches = words.pitches[numbers]
    return float(np.sort(pitches)[(len(pitches) - 1) // 2])


def _piece_blank(words: Words, numbers: Ints, boxes: Array, letter: float) -> float:
    """The least blank that parts a visual row into pieces."""
    wide = max(WIDE_BLANK * letter, TYPED_BLANK * _pitch_of(words, numbers))
    if len(numbers) < MIN_EVEN_WORDS:
        return wide
    blanks = boxes[1:, 0] - np.maximum.accumulate(boxes[:, 2])[:-1]
    low, middle, high = np.sort(blanks)[[len(blanks) // 4, len(blanks) // 2, -1 - len(blanks) // 4]]
    # Text that fills its line has wide but equal blanks between unequal words, as no table has.
    widths = boxes[:, 2] - boxes[:, 0]
    is_even = middle >= wide and high - low <= MAX_EVEN_SPREAD * middle
    if is_even and widths.std() >= 0.3 * widths.mean():
        return EVEN_BLANK * float(middle)
    return wide


def pieces_of(numbers: Ints, boxes: Array, blank: float) -> tuple[Piece, ...]:
    """Cut words of a visual row where a blank is at least so wide."""
    reached = np.maximum.accumulate(boxes[:, 2])
    cuts = np.flatnonzero(boxes[1:, 0] - reached[:-1] >= blank) + 1
    return tuple(
        Piece(tuple(numbers[part].tolist()), float(boxes[part[0], 0]), float(boxes[part, 2].max()))
        for part in np.split(np.arange(len(numbers)), cuts)
    )


def letter_of(rows: Sequence[VisualRow]) -> float:
    """The middle letter height of rows."""
    return sorted(row.letter for row in rows)[len(rows) // 2]


def blocks_of(rows: Sequence[VisualRow]) -> list[list[VisualRow]]:
    """Runs of visual rows with wide blanks at common places, which may be tables."""
    blocks: list[list[VisualRow]] = []
    block: list[VisualRow] = []
    lone: list[VisualRow] = []  # rows of one piece that wait for another of several
    last: VisualRow | None = None  # of several pieces
    for row, own in _bands(rows):
        previous = lone[-1] if lone else last
        letter = row.letter if previous is None else min(row.letter, previous.letter)
        is_near = previous is not None and row.top - previous.bottom <= MAX_LEADING * letter
        if len(row.pieces) > 1:
            if last is not None and is_near and _share_blank(last, row, letter):
                block += [*lone, *own]
            else:
                block = own
                blocks.append(block)
            lone, last = [], row
        elif (
            last is not None
            and is_near
            and len(lone) < MAX_LONE
            and not _crosses(row.pieces[0], last)
        ):
            lone.append(row)
        else:
            lone, last = [], None
    return [block for block in blocks if len(block) > 1]


def extended(rows: Sequence[VisualRow], top: float, bottom: float) -> list[VisualRow]:
    """Rows between two heights, with those above and below that are of one block with them."""
    inside = [row for row in rows if top < (row.top + row.bottom) / 2 < bottom]
    if not inside:
        return []
    first, last = inside[0].top, inside[-1].top
    for block in blocks_of(rows):
        if block[0].top <= inside[0].top <= block[-1].top:
            first = min(first, block[0].top)
        if block[0].top <= inside[-1].top <= block[-1].top:
            last = max(last, block[-1].top)
    return [row for row in rows if first <= row.top <= last]


def _bands(rows: Sequence[VisualRow]) -> Iterator[tuple[VisualRow, list[VisualRow]]]:
    """Yield rows that stand between the lines of others as one with them, and what each is made of.

    A cell of one line in the middle of its row stands so beside one of two lines.
    """
    own: list[VisualRow] = []
    for row in rows:
        if own and row.top > own[-1].bottom - OVERLAPPING * row.letter:
            yield _as_one(own), own
            own = []
        own.append(row)
    if own:
        yield _as_one(own), own


def _as_one(rows: Sequence[VisualRow]) -> VisualRow:
    if len(rows) == 1:
        return rows[0]
    merged: list[Piece] = []
    for piece in sorted((p for row in rows for p in row.pieces), key=lambda piece: piece.low):
        if merged and piece.low < merged[-1].high:
            last = merged.pop()
            piece = Piece(last.words + piece.words, last.low, max(last.high, piece.high))
        merged.append(piece)
    words = tuple(word for row in rows for word in row.words)
    return VisualRow(words, rows[0].top, rows[-1].bottom, letter_of(rows), tuple(merged))


def _crosses(piece: Piece, row: VisualRow) -> bool:
    """Whether a piece runs across a blank of a row, as a line of text below a table does."""
    return any(
        piece.low < left.high and right.low < piece.high for left, right in pairwise(row.pieces)
    )


def _share_blank(upper: VisualRow, lower: VisualRow, letter: float) -> bool:
    """Whether two rows have a blank in common with text on both its sides in both."""
    for left, right in pairwise(upper.pieces):
        for other_left, other_right in pairwise(lower.pieces):
            common = min(right.low, other_right.low) - max(left.high, other_left.high)
            if common >= MIN_STRIP * letter:
                return True
    return False


def columns_of(words: Words, rows: Sequence[VisualRow], letter: float) -> Columns | None:
    """Part rows at the blank strips that they have in common, if there is one."""
    several = [row for row in rows if len(row.pieces) > 1]
    if not several:
        return None
    low = min(row.pieces[0].low for row in rows)
    high = max(piece.high for row in rows for piece in row.pieces)
    bins = letter / BINS
    space = _usual_space(words, rows)
    ink = np.zeros((len(rows), max(int(np.ceil((high - low) / bins)), 1)), bool)
    for number, row in enumerate(rows):
        boxes = words.boxes[list(row.words)]
        own = np.array(row.words)
        typed = TYPED_BLANK * _pitch_of(words, own)
        for piece in pieces_of(own, boxes, max(SPACE * letter, 1.2 * space, typed)):
            ink[number, int((piece.low - low) / bins) : int(np.ceil((piece.high - low) / bins))] = 1
    narrowest = (MIN_STRIP if len(several) >= 4 else MIN_STRIP_OF_FEW) * letter
    narrowest = max(narrowest, 1.6 * space)
    strips = _strips(ink, max(int(narrowest / bins), 2))
    # Headings over several columns cross the strips between them; so do wide remarks.
    crossed = int(max(MAX_CROSSED * len(rows), 1 if len(rows) >= 4 else 0))
    if crossed:
        strips = _crossed_strips(ink, strips, crossed, max(int(narrowest / bins), 2))
    if not strips:
        return None
    strips = _without_lone(ink, strips)
    middles = [low + (start + end) / 2 * bins for start, end in strips]
    edges = np.array([low, *middles, high])
    cells = []
    for number, row in enumerate(rows):
        crosses = [bool(ink[number, start:end].all()) for start, end in strips]
        cells.append(_cells_of(words, row, edges, crosses))
    return Columns(edges, tuple(cells))


def _usual_space(words: Words, rows: Sequence[VisualRow]) -> float:
    """The middle blank between words of a piece, 0 if there are few; wide in typewriter letters."""
    gaps = np.concatenate(
        [
            words.boxes[list(piece.words[1:]), 0] - words.boxes[list(piece.words[:-1]), 2]
            for row in rows
            for piece in row.pieces
        ]
    )
    return float(np.median(gaps)) if len(gaps) >= MIN_SPACES else 0.0


def trimmed(rows: Sequence[VisualRow], rules: Sequence[float]) -> Sequence[VisualRow]:
    """Rows without the first and the last that stand far apart, as a page's head does.

    Args:
        rules: heights of rules along the rows; what one parts from them belongs to them.
    """
    first, last = 0, len(rows)
    for step in (1, -1):
        while last - first > 2:
            gaps = [b.top - a.bottom for a, b in pairwise(rows[first:last])]
            near, others = (gaps[0], gaps[1:]) if step > 0 else (gaps[-1], gaps[:-1])
            low, high = (first, first + 1) if step > 0 else (last - 2, last - 1)
            letter = rows[low].letter
            is_ruled = any(rows[low].top < rule < rows[high].bottom for rule in rules)
            if is_ruled or near < letter * MIN_APART or near < FAR * max(others):
                break
            first, last = (high, last) if step > 0 else (first, high)
    return rows[first:last]


def widened(
    words: Words,
    rows: Sequence[VisualRow],
    block: Sequence[VisualRow],
    columns: Columns,
    letter: float,
) -> tuple[Sequence[VisualRow], Columns]:
    """A block with the rows of one piece right above and below that belong to a cell of it."""
    first = next(number for number, row in enumerate(rows) if row is block[0])
    last = first + len(block) - 1
    for step in (-1, 1):
        while True:
            number = first - 1 if step < 0 else last + 1
            if not 0 <= number < len(rows) or len(rows[number].pieces) > 1:
                break
            upper, lower = (number, number + 1) if step < 0 else (number - 1, number)
            near = rows[lower].top - rows[upper].bottom
            tried = Columns.within(words, [rows[number]], columns.edges).cells[0]
            if near > MAX_WRAP_GAP * letter or len(tried) > 1:
                break
            wider = rows[min(first, number) : max(last, number) + 1]
            parted = columns_of(words, wider, letter)
            edge = columns.cells[0 if step < 0 else -1]
            widths = _widths(columns)
            fits = step < 0 or _may_wrap(words, edge, tried, widths, letter)
            if parted is None or parted.count != columns.count or not fits:
                break
            if any(a != b for a, b in parted.cells[0 if step < 0 else -1]):
                break
            if step < 0 and near > -0.3 * letter:
                break  # above only what is level with the row, as lines of a taller cell are
            block, columns = wider, parted
            first, last = min(first, number), max(last, number)
    return block, columns


def _true_runs(mask: Bools) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _strips(ink: Bools, narrowest: int) -> list[tuple[int, int]]:
    runs = _true_runs(np.asarray(~ink.any(axis=0)))
    return [(a, b) for a, b in runs if b - a >= narrowest and a > 0 and b < ink.shape[1]]


def _crossed_strips(
    ink: Bools, strips: list[tuple[int, int]], crossed: int, narrowest: int
) -> list[tuple[int, int]]:
    """Strips that are blank but for a few rows, whose text runs across all of the strip."""
    found = []
    for start, end in _true_runs(ink.sum(axis=0) <= crossed):
        clear = np.ones(end - start, bool)
        for row in np.flatnonzero(ink[:, start:end].any(axis=1)):
            for a, b in _true_runs(ink[row, start:end]):
                if a > 0 or b < end - start:
                    clear[a:b] = False
        found += [(start + a, start + b) for a, b in _true_runs(clear) if b - a >= narrowest]
    found = [(a, b) for a, b in found if a > 0 and b < ink.shape[1]]
    # Strips that all rows leave blank are certain; they may have been narrowed here.
    sure = [strip for strip in strips if not any(a < strip[1] and strip[0] < b for a, b in found)]
    return sorted(found + sure)


def _without_lone(ink: Bools, strips: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Strips but those between a column and what only heads it, out of line with its cells."""
    strips = list(strips)
    few = max(1, int(MAX_LONE_SHARE * len(ink)))
    while len(strips) > 1:
        edges = [0, *[edge for strip in strips for edge in strip], ink.shape[1]]
        filled = np.stack(
            [ink[:, a:b].any(axis=1) for a, b in zip(edges[::2], edges[1::2], strict=True)]
        )
        sparse = []
        for at, (low, high) in enumerate(strips):
            # Rows that run across the strip are of both columns anyway.
            apart = ~ink[:, low:high].all(axis=1)
            left, right = filled[at : at + 2, apart]
            both = ink[apart][left & right]
            if (
                min(left.sum(), right.sum()) <= few
                and len(both) <= few
                and all(_blank_at(row, low, high) <= JOINED * BINS for row in both)
            ):
                sparse.append((not len(both), high - low, at))
        if not sparse:
            break
        strips.pop(min(sparse)[-1])  # words of one heading first
    return strips


def _blank_at(row: Bools, low: int, high: int) -> int:
    """The width in bins of the blank of a row around a strip, with ink on both its sides."""
    before, after = np.flatnonzero(row[:low]), np.flatnonzero(row[high:])
    return int(high + after[0] - before[-1] - 1)


def _cells_of(words: Words, row: VisualRow, edges: Array, crosses: Sequence[bool]) -> Cells:
    """The words of a row by the columns that they fill."""
    boxes = words.boxes[list(row.words)]
    columns = np.searchsorted(edges[1:-1], (boxes[:, 0] + boxes[:, 2]) / 2)
    first = np.arange(len(edges) - 1)
    last = first.copy()
    for strip, is_crossed in enumerate(crosses):
        if is_crossed:
            first[strip + 1] = first[strip]
            last[first == first[strip]] = strip + 1
    found: dict[tuple[int, int], list[int]] = {}
    for place, column in enumerate(columns):
        found.setdefault((int(first[column]), int(last[column])), []).append(place)
    return {
        span: Piece(
            tuple(row.words[place] for place in places),
            float(boxes[places, 0].min()),
            float(boxes[places, 2].max()),
        )
        for span, places in found.items()
    }


def text_of(words: Words, piece: Piece) -> str:
    return " ".join(words.texts[word] for word in piece.words)


def grouped_rows(
    words: Words,
    rows: Sequence[VisualRow],
    columns: Columns,
    breaks: Sequence[float],
    letter: float,
) -> list[list[int]]:
    """Put visual rows together that are one row of the table.

    Args:
        breaks: heights of rules, which part rows wherever they are.

    Returns:
        The numbers of the visual rows in each, from top to bottom.
    """
    middles = [(row.top + row.bottom) / 2 for row in rows]
    ruled = [any(upper < place < lower for place in breaks) for upper, lower in pairwise(middles)]
    if sum(ruled) >= max(2, 0.25 * len(rows)):  # all rows are ruled
        parted = ruled
    else:
        wraps = _wraps(words, rows, columns, ruled, letter)
        parted = [cut or not wrap for cut, wrap in zip(ruled, wraps, strict=True)]
    groups = [[0]]
    for number, cut in enumerate(parted, start=1):
        if cut:
            groups.append([number])
        else:
            groups[-1].append(number)
    return groups


def _wraps(
    words: Words,
    rows: Sequence[VisualRow],
    columns: Columns,
    ruled: Sequence[bool],
    letter: float,
) -> list[bool]:
    """Of each visual row but the first, whether it goes on with cells of the one above."""
    gaps = np.array([lower.top - upper.bottom for upper, lower in pairwise(rows)]) / letter
    widths = _widths(columns)
    numeric = _numeric(words, columns)
    is_text = _mean_words(columns) >= MIN_TEXT_WORDS
    is_text = _mean_words(columns) >= MIN_TEXT_WORDS

    head = ruled.index(True) if True in ruled else 1  # visual rows of the header, perhaps
    head = head if head <= 2 else 1

    def fits(upper: Cells, lower: Cells, number: int) -> bool:
        is_likely = number < head or len(lower) <= MAX_WRAPPED * columns.count
        is_likely = is_likely or np.mean([is_text[first] for first, _ in lower]) >= 0.5
        return is_likely and _may_wrap(words, upper, lower, widths, letter)

    free = np.array([not cut for cut in ruled], bool)
    tight = free & (gaps <= _tight_limit(gaps[free]))
    pairs = list(pairwise(columns.cells))
    believed = (
        tight.any() and np.mean([fits(*pairs[at], int(at)) for at in np.flatnonzero(tight)]) >= 0.8
    )
    wraps = []
    above = dict(columns.cells[0])  # the last line of each cell of the row as far as it is seen
    for number, (upper, lower) in enumerate(pairs):
        below = columns.cells[number + 2] if number + 2 < len(rows) else {}
        key = all(last == 0 for _, last in lower) and not any(f == 0 for f, _ in (*above, *below))
        apart = not {column for span in lower for column in span}.intersection(
            column for span in above for column in span
        )
        goes_on = bool(
            free[number]
            and fits(above, lower, number)
            and (key or gaps[number] <= MAX_WRAP_GAP)
            and (
                (key and bool(below))  # in the middle of rows that it stands for
                or gaps[number] < (0.0 if apart else -OVERLAPPING)
                or (believed and tight[number])
                or (number < head < len(rows) / 2 and True in ruled)
                or _is_partial(upper, lower, numeric, columns.count)
            )
        )
        above = {**above, **lower} if goes_on else dict(lower)
        wraps.append(goes_on)
    return wraps


def _tight_limit(gaps: Array) -> float:
    """The widest gap between lines of a cell, if gaps are of two kinds; else minus infinity."""
    if len(gaps) < 2:
        return -np.inf
    ordered = np.sort(gaps)
    jumps = np.diff(ordered)
    for place in range(len(jumps)):
        spread = ordered[place] - ordered[0]
        if jumps[place] >= max(TIGHT, 1.5 * spread):
            return float(ordered[place])
    return -np.inf


def _widths(columns: Columns) -> Array:
    """Of each column the widest text in it alone, `(C,)`."""
    widths = np.zeros(columns.count)
    for row in columns.cells:
        for (first, last), piece in row.items():
            if first == last:
                widths[first] = max(widths[first], piece.high - piece.low)
    return widths


def _mean_words(columns: Columns) -> Array:
    """Of each column how many words stand in it in a visual row, on average, `(C,)`."""
    counts = np.zeros((2, columns.count))
    for row in columns.cells:
        for (first, last), piece in row.items():
            if first == last:
                counts[:, first] += len(piece.words), 1
    mean: Array = counts[0] / np.maximum(counts[1], 1)
    return mean


def _numeric(words: Words, columns: Columns) -> Bools:
    """Whether most of what stands in each column are numbers, `(C,)`."""
    counts = np.zeros((2, columns.count))
    for row in columns.cells:
        for (first, last), piece in row.items():
            if first == last:
                counts[int(is_number(text_of(words, piece))), first] += 1
    numeric: Bools = counts[1] > counts[0]
    return numeric


def is_number(text: str) -> bool:
    """Whether a text is a number, perhaps with a unit of a few letters."""
    parts = text.split()
    return bool(NUMBER.fullmatch(parts[0])) and (
        len(parts) == 1 or (len(parts) == 2 and len(parts[1]) <= 3)
    )


def _may_wrap(
    words: Words,
    upper: Cells,
    lower: Cells,
    widths: Array,
    letter: float,
) -> bool:
    """Whether each cell of the lower row could go on with what the upper row has there."""
    for span, piece in lower.items():
        above = upper.get(span)
        if above is None:
            if any(first <= span[1] and span[0] <= last for first, last in upper):
                return False
            continue
        if is_number(text_of(words, piece)) and is_number(text_of(words, above)):
            return False
        box = words.boxes[piece.words[0]]
        room = widths[span[0] : span[1] + 1].sum() - (above.high - above.low)
        if box[2] - box[0] + 0.15 * letter < room:
            return False  # the word had found room on the line above
    return True


def _is_partial(
    upper: Cells,
    lower: Cells,
    numeric: Bools,
    num_columns: int,
) -> bool:
    """Whether a row lacks what begins a row: its first column, or all of its numbers."""
    filled = [first for first, _ in lower]
    if len(lower) >= len(upper) or len(lower) > num_columns / 2:
        return False
    has_key = any((0, last) in upper for last in range(num_columns))
    if has_key and 0 not in filled:
        return True
    above = [first for first, _ in upper if numeric[first]]
    return bool(above) and not any(numeric[first] for first in filled)
