"""Rows of a column of text with the measures that tell where a paragraph ends."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise
from math import hypot

import numpy as np

from florence2.geometry import Array, Box, bounding_box, box_to_quad
from florence2.pipelines.reading.lines import Line
from florence2.pipelines.reading.order import MIN_GUTTER, is_value, turn_back


@dataclass(slots=True)
class Row:
    """One row of a column, in the frame of the straightened page.

    Attributes:
        line: all of the row; the line as given where the row is that.
        left, top, right, bottom: of the row.
        size: font size, or what the height of the letters says of it.
        box: of the row on the page as it is.
        is_joined: whether it is made of lines with gaps between them that are wider than blanks.
        last_left: where its last piece begins.
        first_word: how long the first word is.
        text_left: where its text begins, behind a bullet or number if it has one.
    """

    line: Line
    left: float
    top: float
    right: float
    bottom: float
    size: float
    box: Box
    is_joined: bool = False
    last_left: float = 0.0
    first_word: float = 0.0
    text_left: float = field(default=0.0)

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2

    @property
    def text(self) -> str:
        return self.line.text


@dataclass(frozen=True)
class Pieces:
    """Lines, cut where a gutter may run through them.

    Attributes:
        lines: the pieces, `N`.
        quads: theirs, `(N, 4, 2)`.
        boxes: around each.
        owners: of each the number of the line that it is cut from, which never falls.
        wholes: the lines as given.
    """

    lines: list[Line]
    quads: Array
    boxes: list[Box]
    owners: list[int]
    wholes: Sequence[Line]


def cut_at_gaps(lines: Sequence[Line], quads: Array) -> Pieces:
    """Cut lines with their quads `(N, 4, 2)` at blanks as wide as a gutter.

    Whoever put the words in one line may not have seen the columns.
    """
    counts = np.array([len(line.words) for line in lines])
    words = [word.quad for line in lines for word in line.words]
    places: dict[int, list[int]] = {}
    if len(words) > 1:
        stacked = np.stack(words)
        owner = np.repeat(np.arange(len(lines)), counts)
        heights = np.hypot(*(quads[:, 3] - quads[:, 0]).T)
        gaps = np.hypot(*(stacked[1:, 0] - stacked[:-1, 1]).T)
        is_wide = (owner[1:] == owner[:-1]) & (gaps > MIN_GUTTER * heights[owner[1:]])
        first = np.cumsum(counts) - counts
        for place in np.flatnonzero(is_wide).tolist():
            number = int(owner[place])
            places.setdefault(number, []).append(place + 1 - int(first[number]))
    if not places:
        return Pieces(list(lines), quads, _boxes(quads), list(range(len(lines))), lines)
    pieces: list[Line] = []
    owners: list[int] = []
    for number, line in enumerate(lines):
        own = _cut(line, places[number]) if number in places else [line]
        pieces += own
        owners += [number] * len(own)
    quads = np.stack([piece.quad for piece in pieces])
    return Pieces(pieces, quads, _boxes(quads), owners, lines)


def _boxes(quads: Array) -> list[Box]:
    return [
        (x_min, y_min, x_max, y_max) for x_min, y_min, x_max, y_max in bounding_box(quads).tolist()
    ]


def _cut(line: Line, places: Sequence[int]) -> list[Line]:
    """Pieces of a line that begin with its first word and with those at some places."""
    corner = line.quad[0]
    along = line.quad[1] - corner
    length = max(float(along @ along), 1e-9)
    pieces = []
    for start, end in pairwise([0, *places, len(line.words)]):
        words = line.words[start:end]
        low = float((words[0].quad[0] - corner) @ along) / length if start else 0.0
        high = float((words[-1].quad[1] - corner) @ along) / length
        high = high if end < len(line.words) else 1.0
        top, bottom = line.quad[1] - line.quad[0], line.quad[2] - line.quad[3]
        quad = np.stack(
            [
                line.quad[0] + low * top,
                line.quad[0] + high * top,
                line.quad[3] + high * bottom,
                line.quad[3] + low * bottom,
            ]
        )
        text = " ".join(word.text for word in words)
        pieces.append(replace(line, text=text, quad=quad, words=words))
    return pieces


def make_row(
    pieces: Pieces, numbers: Sequence[int], boxes: Array, sizes: Array, angle: float
) -> Row:
    """A row of pieces that stand side by side, from left to right."""
    first, last = numbers[0], numbers[-1]
    own = boxes[list(numbers)]
    left, top, right, bottom = around(own.tolist())
    lines = _wholes(pieces, numbers)
    # A number or a bullet beside the text says little of the size of the row.
    longest = max(numbers, key=lambda number: len(pieces.lines[number].text))
    size = float(sizes[longest])
    line = lines[0]
    if len(lines) > 1:
        line = _joined(lines, pieces.lines[longest], (left, top, right, bottom), angle)
    start = pieces.lines[first].text
    share = len(start.split(" ", 1)[0]) / len(start)
    along = share * (boxes[first, 2] - boxes[first, 0])
    if line.words:
        (x, y), (x_end, y_end) = line.words[0].quad[:2].tolist()
        along = hypot(x_end - x, y_end - y)
    return Row(
        line=line,
        left=left,
        top=top,
        right=right,
        bottom=bottom,
        size=size,
        box=around([pieces.boxes[number] for number in numbers]),
        is_joined=len(numbers) > 1 and _has_gaps(line, own, size),
        last_left=float(boxes[last, 0]),
        first_word=float(along),
        text_left=left,
    )


def around(boxes: Sequence[Sequence[float]]) -> Box:
    """The box around a few boxes."""
    x_min, y_min, x_max, y_max = zip(*boxes, strict=True)
    return min(x_min), min(y_min), max(x_max), max(y_max)


def _wholes(pieces: Pieces, numbers: Sequence[int]) -> list[Line]:
    """The lines that pieces side by side are cut from, as far as they are complete."""
    lines: list[Line] = []
    for owner, group in groupby(numbers, key=lambda number: pieces.owners[number]):
        own = list(group)
        low, high = bisect_left(pieces.owners, owner), bisect_right(pieces.owners, owner)
        is_whole = own == list(range(low, high))
        lines += [pieces.wholes[owner]] if is_whole else [pieces.lines[number] for number in own]
    return lines


def _has_gaps(line: Line, boxes: Array, size: float) -> bool:
    """Whether parts of a row are apart, not words of one line that is spaced out to a width."""
    if line.words:
        quads = np.stack([word.quad for word in line.words])
        blanks = sorted(np.hypot(*(quads[1:, 0] - quads[:-1, 1]).T).tolist())
    else:
        blanks = sorted((boxes[1:, 0] - boxes[:-1, 2]).tolist())
    widest = blanks[-1]
    if len(blanks) < 2:
        return is_value(line.text.split()[-1]) or widest > 3 * size
    usual = blanks[len(blanks) // 4]
    return bool(widest > 1.25 * blanks[0] and (usual > 1.5 * size or widest > 2.5 * usual))


def _joined(
    pieces: Sequence[Line], longest: Line, box: tuple[float, float, float, float], angle: float
) -> Line:
    quad = box_to_quad(box)
    words = tuple(word for piece in pieces for word in piece.words)
    return Line(
        text=" ".join(piece.text for piece in pieces),
        quad=quad @ turn_back(-angle).T if angle else quad,
        words=words if all(piece.words for piece in pieces) else (),
        score=mean_score(pieces),
        source=longest.source,
        letter_height=longest.letter_height,
        font_size=longest.font_size,
        is_bold=sum(len(p.text) * (1 if p.is_bold else -1) for p in pieces) > 0,
    )


def mean_score(lines: Sequence[Line]) -> float | None:
    """The mean of the scores over the letters of lines; None if none of them has one."""
    scored = [(line.score, len(line.text)) for line in lines if line.score is not None]
    letters = sum(count for _, count in scored)
    return sum(score * count for score, count in scored) / letters if letters else None


def text_start(row: Row, marker: str) -> float:
    """Where the text of a row begins behind a marker."""
    words = row.line.words
    if words and words[0].text == marker and len(words) > 1:
        across = words[1].quad[0] - words[0].quad[0]
        return row.left + float(np.hypot(*across))
    share = (len(marker) + 1) / max(len(row.text), 1)
    return row.left + share * (row.right - row.left)
