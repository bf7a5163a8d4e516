"""A column of rows, parted into blocks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from florence2.documents.joining import SOFT_HYPHEN, join_lines
from florence2.documents.layout.headings import CAPTION, LEADER, heading_levels
from florence2.documents.layout.lists import depth_of, item_starts, parted_item
from florence2.documents.layout.markers import Marker, numbered_level
from florence2.documents.layout.rows import Row, around, mean_score, text_start
from florence2.documents.layout.style import INDENT, Style, fits
from florence2.documents.structure import Block, BlockKind

MAX_FIRST_INDENT = 6.0  # likewise, of the first line of a paragraph
MIN_LINES = 4  # of so many lines one can say whether they are filled
RAGGED = 0.7  # lines that are filled less than so far, in the mean, are no flowing text
NARROW = 0.6  # of the column; lines that take less, none as long as the other, are no text
WIDE = 15  # in the size of the letters


@dataclass(frozen=True)
class Solid:
    """A table or a figure, that stands among rows."""

    block: Block


def column_blocks(column: Sequence[Row | Solid], edge: float, style: Style) -> list[Block]:
    """The blocks of one column, from top to bottom, whose text ends at an edge at the right."""
    blocks: list[Block] = []
    levels: list[float] = []  # where the lists begin that are open
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


def _run_blocks(rows: Sequence[Row], edge: float, style: Style, levels: list[float]) -> list[Block]:
    """The blocks of rows between which stands nothing but blanks."""
    headings = heading_levels(rows, edge, style)
    markers = item_starts(rows, headings, edge, style)
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
            item, rest = parted_item(group, style)
            depth = depth_of(levels, item[0].left, INDENT * item[0].size)
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


def _is_parted(
    rows: Sequence[Row],
    number: int,
    headings: Sequence[int],
    markers: Sequence[Marker | None],
    style: Style,
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
        or CAPTION.match(below.text) is not None
    )


def _paragraphs(rows: Sequence[Row], edge: float, style: Style) -> list[Block]:
    """Part rows that follow each other closely into paragraphs, or keep them as lines."""
    if not rows:
        return []
    low, high = min(row.left for row in rows), max(row.right for row in rows)
    tolerance = (0.5 if style.is_exact else 1.0) * style.body
    num_full = sum(row.right > high - tolerance for row in rows)
    filled = sum(row.right - low for row in rows) / len(rows) / max(high - low, 1e-9)
    is_ragged = len(rows) >= MIN_LINES and filled < RAGGED and num_full <= len(rows) / 3
    # A text narrower than the column has an edge of its own, if that can be seen; not so names,
    # paths and the like, of which each is a line.
    own_edge = edge
    has_edge = num_full > len(rows) / 3 or high - low > NARROW * (edge - low)
    is_text = 2 * sum(" " in row.text for row in rows) >= len(rows)
    if is_text and (
        (len(rows) >= MIN_LINES and has_edge) or (num_full >= 2 and high - low > WIDE * style.body)
    ):
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


def _flowing(rows: Sequence[Row], edge: float, style: Style) -> list[list[Row]]:
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
    return _block("caption" if CAPTION.match(text) else "paragraph", rows, text)


def _is_ended(
    rows: Sequence[Row], number: int, group: Sequence[Row], edge: float, style: Style
) -> bool:
    """Whether a paragraph ends before a row."""
    above, below = rows[number - 1], rows[number]
    indent = (INDENT if style.is_exact else 1.0) * below.size
    if above.is_joined and abs(below.left - above.last_left) < indent:
        return False  # the text beside a term goes on
    if above.is_joined or LEADER.search(above.text):
        return True
    if above.text.endswith(("-", "\u2010", SOFT_HYPHEN)) and below.text[:1].islower():
        return False
    if fits(above, below, edge, style):
        return True
    step = below.left - above.left
    if abs(step) < indent:
        return False
    if step < 0:
        return len(group) > 1 or -step > MAX_FIRST_INDENT * below.size
    after = rows[number + 1] if number + 1 < len(rows) else None
    return len(group) > 1 or (after is not None and abs(after.left - above.left) < indent)
