"""From lines with places to what a page is made of: headings, paragraphs, lists, captions.

Written from left to right and from top to bottom; text that runs from right to left is joined in
the wrong order.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from florence2.documents.joining import SOFT_HYPHEN, join_lines
from florence2.documents.markers import Marker, markers_of, numbered_level
from florence2.documents.rows import (
    Row,
    around,
    body_size,
    cut_at_gaps,
    make_row,
    mean_score,
    sizes_of,
    text_start,
    usual_pitch,
)
from florence2.documents.structure import Block, BlockKind, Table
from florence2.geometry import Array, Box, bounding_box, box_to_quad
from florence2.pipelines.reading.lines import Line
from florence2.pipelines.reading.order import (
    is_value,
    parts_in_order,
    rows_of,
    straightened,
    turn_back,
)

SCAN = 0.85  # a picture that covers more of a page is what the page was scanned to
MAX_TURN = 20  # degrees; what is turned by more is read by itself, at the end
INDENT = 0.7  # in the size of the letters: what stands further in or out is indented
MAX_FIRST_INDENT = 6.0  # likewise, of the first line of a paragraph
LONGEST_HEADING = 200  # letters
MAX_HEADING_ROWS = 3
LEVELS_BY_RATIO = ((1.8, 1), (1.4, 2), (1.2, 3), (0.0, 4))  # of the size to that of the body
LARGE = {True: 1.12, False: 1.3}  # from what ratio on; where sizes are said, where measured
SAME_SIZE = 0.25  # up to what difference a paragraph may go on
MIN_LINES = 4  # of so many lines one can say whether they are filled
RAGGED = 0.7  # lines that are filled less than so far, in the mean, are no flowing text
WIDE = 15  # in the size of the letters
_CAPTION = re.compile(
    r"(fig(ure|\.)?|abb(ildung|\.)?|table|tab(elle|leau|la|\.)?|figura|listing|algorithm|scheme"
    r"|chart|plate|photo|exhibit)\s*[A-Z]?(\d+|[IVX]+)([.\-–]\d+)*\s*([.:|–—]|$)",
    re.IGNORECASE,
)
_LEADER = re.compile(r"(\.\s?){4,}|…|(_\s?){4,}")
_ENDS_WITH_NUMBER = re.compile(r"[\s.](\d+|[ivxlc]+)$")
_SENTENCE_END = re.compile(r"[.!?:][\"'”’)\]]*$")
_NO_EVIDENCE = "-–—*+·o−"


@dataclass(frozen=True)
class _Style:
    """What is usual on a page.

    Attributes:
        body: font size of most letters.
        is_exact: whether sizes are what a file says.
        pitch: of lines of a paragraph, in their size.
        max_pitch: likewise; more is a blank between paragraphs.
        rules: `(N, 4)`, lying ones, in the frame of the straightened page.
    """

    body: float
    is_exact: bool
    pitch: float
    max_pitch: float
    rules: Array

    def is_same_size(self, a: Row, b: Row) -> bool:
        return abs(a.size - b.size) <= SAME_SIZE * max(a.size, b.size)

    def is_large(self, row: Row) -> bool:
        return row.size >= LARGE[self.is_exact] * self.body

    def has_gap(self, above: Row, below: Row) -> bool:
        size = min(above.size, below.size) if self.is_exact else (above.size + below.size) / 2
        return below.middle - above.middle > self.max_pitch * size * self._more(above, below)

    def _more(self, above: Row, below: Row) -> float:
        """Rows of different sizes stand further apart."""
        return max(1.0, (above.size + below.size) / 2 / min(above.size, below.size))

    def is_ruled_off(self, above: Row, below: Row) -> bool:
        if not len(self.rules):
            return False
        x_min, y_min, x_max, y_max = self.rules.T
        height = (y_min + y_max) / 2
        left, right = min(above.left, below.left), max(above.right, below.right)
        crossing = np.minimum(x_max, right) - np.maximum(x_min, left) > 3 * self.body
        return bool((crossing & (height > above.middle) & (height < below.middle)).any())


@dataclass(frozen=True)
class _Solid:
    """A table or a figure, that stands among rows."""

    block: Block


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
    solids, lines = _tables(tables, lines)
    figures, lines = _figures(pictures, lines, width, height)
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
    every = np.concatenate([boxes, _turned_back([solid.block.box for solid in solids], angle)])
    num_lines = len(pieces.lines)
    is_text = np.arange(len(every)) < num_lines
    values = np.zeros(len(every), dtype=bool)
    values[:num_lines] = [is_value(piece.text) for piece in pieces.lines]

    columns: list[list[Row | _Solid]] = []
    for part in parts_in_order(every, values, is_text):
        column: list[Row | _Solid] = []
        for numbers in rows_of(every, part):
            texts = [number for number in numbers if number < num_lines]
            column += [solids[number - num_lines] for number in numbers if number >= num_lines]
            if texts:
                column.append(make_row(pieces, texts, boxes, sizes, angle))
        columns.append(column)
    pitch, spread = usual_pitch([[row for row in c if isinstance(row, Row)] for c in columns])
    ruling = _turned_back([] if rules is None else rules, angle)
    is_lying = ruling[:, 2] - ruling[:, 0] > ruling[:, 3] - ruling[:, 1]
    style = _Style(
        body=body_size(pieces.lines, sizes, is_exact, width, height),
        is_exact=is_exact,
        pitch=pitch,
        max_pitch=pitch * (min(1.17 + 2 * spread, 1.3) if is_exact else min(1.2 + 3 * spread, 1.5)),
        rules=ruling[is_lying],
    )
    blocks: list[Block] = []
    for column in columns:
        found = _column_blocks(column, style)
        if blocks and found:
            found[0] = _continued(found[0], blocks)
        blocks += found
    if others:
        blocks += blocks_of(others, width=width, height=height)
    return tuple(blocks)


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


def _inside(lines: Sequence[Line], box: Box) -> list[bool]:
    """Whether the middle of each line lies in a box."""
    x_min, y_min, x_max, y_max = box
    middles = [line.quad.mean(axis=0).tolist() for line in lines]
    return [x_min <= x <= x_max and y_min <= y <= y_max for x, y in middles]


def _tables(
    tables: Sequence[tuple[Table, Box]], lines: list[Line]
) -> tuple[list[_Solid], list[Line]]:
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
        solids.append(_Solid(block))
    return solids, lines


def _touches(box: Box, others: Array) -> bool:
    x_min, y_min, x_max, y_max = box
    across = np.minimum(others[:, 2], x_max) - np.maximum(others[:, 0], x_min)
    down = np.minimum(others[:, 3], y_max) - np.maximum(others[:, 1], y_min)
    return bool(((across > 0) & (down > 0.3 * (y_max - y_min))).any())


def _figures(
    pictures: Sequence[Box], lines: list[Line], width: float, height: float
) -> tuple[list[_Solid], list[Line]]:
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
        solids.append(_Solid(Block("figure", box, tuple(own), score=mean_score(own))))
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


def _in_order_alone(solids: Sequence[_Solid]) -> Iterator[Block]:
    boxes = np.array([solid.block.box for solid in solids]).reshape(-1, 4)
    nothing = np.zeros(len(boxes), dtype=bool)
    for part in parts_in_order(boxes, nothing, nothing):
        for row in rows_of(boxes, part):
            yield from (solids[number].block for number in row)


def _column_blocks(column: Sequence[Row | _Solid], style: _Style) -> list[Block]:
    """The blocks of one column, from top to bottom."""
    blocks: list[Block] = []
    levels: list[float] = []  # where the lists begin that are open
    edge = _right_edge([each for each in column if isinstance(each, Row)])
    run: list[Row] = []
    for each in [*column, None]:
        if isinstance(each, Row):
            run.append(each)
            continue
        if run:
            blocks += _run_blocks(run, edge, style, levels)
            run = []
        if each is not None:
            blocks.append(each.block)
    return blocks


def _right_edge(rows: Sequence[Row]) -> float:
    """Where most of the text of a column ends at the right."""
    if not rows:
        return 0.0
    order = sorted(rows, key=lambda row: row.right)
    total = sum(len(row.text) for row in order)
    letters = 0
    for row in order:
        letters += len(row.text)
        if letters >= 0.9 * total:
            break
    return row.right


def _run_blocks(
    rows: Sequence[Row], edge: float, style: _Style, levels: list[float]
) -> list[Block]:
    """The blocks of rows between which stands nothing but blanks."""
    headings = _headings(rows, edge, style)
    markers = _item_starts(rows, headings, edge, style)
    for row, marker in zip(rows, markers, strict=True):
        row.text_left = text_start(row, marker.text) if marker else row.left
    blocks: list[Block] = []
    start = 0
    for end in range(1, len(rows) + 1):
        if end < len(rows) and not _is_parted(rows, end, headings, markers, style):
            continue
        group, marker, level = rows[start:end], markers[start], headings[start]
        start = end
        if level:
            levels.clear()
            blocks.append(_block("heading", group, join_lines(r.text for r in group), level))
        elif marker:
            item, rest = _item(group, style)
            depth = _depth(levels, item[0].left, INDENT * item[0].size)
            texts = [item[0].text[len(marker.text) :].lstrip(), *(row.text for row in item[1:])]
            block = _block("list item", item, join_lines(texts), depth)
            blocks.append(replace(block, marker=marker.text))
            blocks += _paragraphs(rest, edge, style)
        else:
            if levels and group[0].left < levels[0] + INDENT * group[0].size:
                levels.clear()
            blocks += _paragraphs(group, edge, style)
    return blocks


def _block(kind: BlockKind, rows: Sequence[Row], text: str, level: int = 0) -> Block:
    lines = tuple(row.line for row in rows)
    return Block(kind, around([r.box for r in rows]), lines, text, level, score=mean_score(lines))


def _fits(above: Row, below: Row, edge: float, style: _Style) -> bool:
    """Whether a line ended on purpose: the first word of the next one had had room in it."""
    slack = (0.75 if style.is_exact else 1.2) * above.size
    return above.right + below.first_word + slack < edge


def _headings(rows: Sequence[Row], edge: float, style: _Style) -> list[int]:
    """The level of each row that is of a heading, 0 for the others."""
    levels = [0] * len(rows)
    for start, end in _alike(rows, style):
        if end - start > MAX_HEADING_ROWS:
            continue
        text = " ".join(row.text for row in rows[start:end])
        level = _heading_level(rows, start, end, text, edge, style)
        if level and _may_be_heading(text):
            levels[start:end] = [level] * (end - start)
    return levels


def _may_be_heading(text: str) -> bool:
    letters = sum(letter.isalpha() for letter in text)
    return (
        len(text) <= LONGEST_HEADING
        and letters >= 2
        and 2 * letters >= len(text.replace(" ", ""))
        and not _CAPTION.match(text)
        and not _LEADER.search(text)
    )


def _alike(rows: Sequence[Row], style: _Style) -> Iterator[tuple[int, int]]:
    """Stretches of rows of the same size and weight that follow each other closely."""
    start = 0
    for end in range(1, len(rows) + 1):
        if end < len(rows):
            above, below = rows[end - 1], rows[end]
            if (
                style.is_same_size(above, below)
                and above.line.is_bold == below.line.is_bold
                and not style.has_gap(above, below)
                and not style.is_ruled_off(above, below)
                and not numbered_level(below.text)[0]
            ):
                continue
        yield start, end
        start = end


def _heading_level(
    rows: Sequence[Row], start: int, end: int, text: str, edge: float, style: _Style
) -> int:
    """The level of rows alike if they are a heading, else 0."""
    first = rows[start]
    number, may_be_item = numbered_level(text)
    size = float(np.mean([row.size for row in rows[start:end]]))
    if size >= LARGE[style.is_exact] * style.body:
        return number or _level_by_size(size / style.body)
    if (style.is_exact and size < 0.95 * style.body) or end - start > 2:
        return 0
    if any(row.is_joined for row in rows[start:end]) and not number:
        return 0
    if text.endswith((".", ",", ";", ":")) or _ENDS_WITH_NUMBER.search(text):
        return 0
    if not number and markers_of(text):
        return 0
    before = rows[start - 1] if start else None
    after = rows[end] if end < len(rows) else None
    has_gap_before = before is None or style.has_gap(before, first) or style.is_large(before)
    if first.line.is_bold:
        if has_gap_before and not (
            after and after.line.is_bold and not style.has_gap(rows[end - 1], after)
        ):
            return number or 4
        return 0
    if not number or may_be_item or end - start > 1 or len(text) > 80:
        return 0
    words = text.split(maxsplit=2)
    is_title = len(words) > 1 and words[1][:1].isupper()
    has_gap_after = after is not None and style.has_gap(rows[end - 1], after)
    is_short = first.right < edge - 2 * first.size
    return number if is_title and has_gap_before and has_gap_after and is_short else 0


def _level_by_size(ratio: float) -> int:
    return next(level for least, level in LEVELS_BY_RATIO if ratio >= least)


def _item_starts(
    rows: Sequence[Row], headings: Sequence[int], edge: float, style: _Style
) -> list[Marker | None]:
    """The marker of each row that begins a list item."""
    candidates = [
        [] if level else markers_of(row.text) for row, level in zip(rows, headings, strict=True)
    ]
    places: dict[tuple[str, int], list[float]] = {}
    for row, markers in zip(rows, candidates, strict=True):
        for marker in markers:
            places.setdefault((marker.kind, marker.value), []).append(row.left)

    def has_neighbour(row: Row, marker: Marker) -> bool:
        values = (marker.value - 1, marker.value + 1) if marker.value else (0,)
        near = [
            abs(left - row.left) < row.size
            for value in values
            for left in places.get((marker.kind, value), ())
        ]
        return sum(near) > (0 if marker.value else 1)

    found: list[Marker | None] = []
    last: tuple[Marker, Row] | None = None
    for number, (row, markers) in enumerate(zip(rows, candidates, strict=True)):
        above = rows[number - 1] if number else None
        chosen = None
        for marker in markers:
            if marker.is_sure:
                chosen = marker
                break
            needs_neighbour = marker.kind == "o" or marker.kind in (
                "a.",
                "A.",
                "i.",
                "a)",
                "A)",
                "i)",
            )
            if needs_neighbour and not has_neighbour(row, marker):
                continue
            if _may_start(
                row, above, marker, last, bool(number and headings[number - 1]), edge, style
            ):
                chosen = marker
                break
        found.append(chosen)
        if chosen:
            last = chosen, row
    return found


def _may_start(
    row: Row,
    above: Row | None,
    marker: Marker,
    last: tuple[Marker, Row] | None,
    is_below_heading: bool,
    edge: float,
    style: _Style,
) -> bool:
    """Whether a row that looks like a list item does not go on with the line above."""
    if above is None or is_below_heading:
        return True
    indent = INDENT * row.size
    if last and last[0].kind == marker.kind and abs(last[1].left - row.left) < indent:
        return True
    return (
        style.has_gap(above, row)
        or not style.is_same_size(above, row)
        or _fits(above, row, edge, style)
        or abs(above.left - row.left) > indent
    )


def _is_parted(
    rows: Sequence[Row],
    number: int,
    headings: Sequence[int],
    markers: Sequence[Marker | None],
    style: _Style,
) -> bool:
    """Whether something else begins with a row, whatever the ends of the lines say."""
    above, below = rows[number - 1], rows[number]
    if headings[number] or headings[number - 1]:
        return (
            headings[number] != headings[number - 1]
            or style.has_gap(above, below)
            or not style.is_same_size(above, below)
            or above.line.is_bold != below.line.is_bold
            or numbered_level(below.text)[0] > 0
        )
    return (
        markers[number] is not None
        or not style.is_same_size(above, below)
        or style.has_gap(above, below)
        or style.is_ruled_off(above, below)
        or _CAPTION.match(below.text) is not None
    )


def _item(rows: Sequence[Row], style: _Style) -> tuple[Sequence[Row], Sequence[Row]]:
    """Part rows of an item from text that goes back further than its marker."""
    first = rows[0]
    for number, row in enumerate(rows[1:], 1):
        if row.left < first.left - INDENT * row.size:
            return rows[:number], rows[number:]
    return rows, ()


def _depth(levels: list[float], left: float, tolerance: float) -> int:
    """How deep an item that begins there is nested; keeps where the open lists begin."""
    while levels and left < levels[-1] - tolerance:
        levels.pop()
    if not levels or left > levels[-1] + tolerance:
        levels.append(left)
    return len(levels)


def _paragraphs(rows: Sequence[Row], edge: float, style: _Style) -> list[Block]:
    """Part rows that follow each other closely into paragraphs, or keep them as lines."""
    if not rows:
        return []
    low, high = min(row.left for row in rows), max(row.right for row in rows)
    tolerance = (0.5 if style.is_exact else 1.0) * style.body
    num_full = sum(row.right > high - tolerance for row in rows)
    filled = sum(row.right - low for row in rows) / len(rows) / max(high - low, 1e-9)
    is_ragged = len(rows) >= MIN_LINES and filled < RAGGED and num_full <= len(rows) / 3
    own_edge = edge
    if len(rows) >= MIN_LINES or (num_full >= 2 and high - low > WIDE * style.body):
        own_edge = high
    groups = _flowing(rows, own_edge, style)
    is_prose = any(len(group) > 2 for group in groups)
    if is_ragged or (len(groups) > 1 and not is_prose and 2 * len(groups) >= len(rows) + 1):
        # The longest of the lines is no filled one: measured by the column, hardly any is.
        return [_kept_lines(_flowing(rows, edge, style))]
    blocks = []
    kept: list[list[Row]] = []
    for group in [*groups, []]:
        if len(group) == 1:
            kept.append(group)
            continue
        if kept:
            blocks.append(_kept_lines(kept))
            kept = []
        if group:
            blocks.append(_kept_lines([group]))
    return blocks


def _flowing(rows: Sequence[Row], edge: float, style: _Style) -> list[list[Row]]:
    """Group rows whose text goes on from one to the next."""
    groups = [[rows[0]]]
    for number in range(1, len(rows)):
        if _is_ended(rows, number, groups[-1], edge, style):
            groups.append([])
        groups[-1].append(rows[number])
    return groups


def _kept_lines(groups: Sequence[Sequence[Row]]) -> Block:
    """A paragraph in which the text of a group flows and a new group is a new line."""
    text = "\n".join(join_lines(row.text for row in group) for group in groups)
    return _text_block([row for group in groups for row in group], text)


def _text_block(rows: Sequence[Row], text: str) -> Block:
    return _block("caption" if _CAPTION.match(text) else "paragraph", rows, text)


def _is_ended(
    rows: Sequence[Row], number: int, group: Sequence[Row], edge: float, style: _Style
) -> bool:
    """Whether a paragraph ends before a row."""
    above, below = rows[number - 1], rows[number]
    indent = (INDENT if style.is_exact else 1.0) * below.size
    if above.is_joined and abs(below.left - above.last_left) < indent:
        return False  # the text beside a term goes on
    if above.is_joined or _LEADER.search(above.text):
        return True
    if above.text.endswith(("-", "\u2010", SOFT_HYPHEN)) and below.text[:1].islower():
        return False
    if _fits(above, below, edge, style):
        return True
    step = below.left - above.left
    if abs(step) < indent:
        return False
    if step < 0:
        return len(group) > 1 or -step > MAX_FIRST_INDENT * below.size
    after = rows[number + 1] if number + 1 < len(rows) else None
    return len(group) > 1 or (after is not None and abs(after.left - above.left) < indent)


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
