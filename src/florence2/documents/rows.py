"""Rows of a column of text with the measures that tell where a paragraph ends."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from florence2.geometry import Array
from florence2.pipelines.reading.lines import Line, quad_of
from florence2.pipelines.reading.order import turn_back, weighted_median

CAPITAL = 0.7  # height of a capital in its font size
FEW_LETTERS = 300  # a page with fewer may be all title
BODY_OF_PAGE = 0.017  # then text is not larger than this share of an upright page's height


@dataclass(slots=True)
class Row:
    """One row of a column, in the frame of the straightened page.

    Attributes:
        line: all of the row; the line as given where the row is one line.
        left, top, right, bottom: of the row.
        size: font size, or what the height of the letters says of it.
        is_joined: whether it is made of lines with gaps between them.
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


def sizes_of(lines: Sequence[Line], boxes: Array) -> tuple[Array, bool]:
    """Font sizes `(N,)` of lines, and whether they are what a file says and not measured."""
    said = np.array([line.font_size for line in lines])
    capitals = np.array([line.letter_height for line in lines]) / CAPITAL
    measured = np.where(capitals > 0, capitals, boxes[:, 3] - boxes[:, 1])
    is_exact = bool((said > 0).all())
    return np.maximum(np.where(said > 0, said, measured), 1e-9), is_exact


def body_size(lines: Sequence[Line], sizes: Array, width: float, height: float) -> float:
    """The size of most letters of a page; on a title page what would be usual."""
    letters = np.array([float(len(line.text)) for line in lines])
    body = weighted_median(sizes, letters)
    if letters.sum() < FEW_LETTERS and height > width:
        body = min(body, BODY_OF_PAGE * height)
    return body


def make_row(
    lines: Sequence[Line], numbers: Sequence[int], boxes: Array, sizes: Array, angle: float
) -> Row:
    """A row of lines that stand side by side, from left to right."""
    first, last = numbers[0], numbers[-1]
    if len(numbers) == 1:
        line = lines[first]
        left, top, right, bottom = boxes[first].tolist()
        size = float(sizes[first])
    else:
        own = boxes[list(numbers)]
        left, top = own[:, :2].min(axis=0).tolist()
        right, bottom = own[:, 2:].max(axis=0).tolist()
        pieces = [lines[number] for number in numbers]
        # A number or a bullet beside the text says little of the size of the row.
        longest = max(numbers, key=lambda number: len(lines[number].text))
        size = float(sizes[longest])
        line = _joined(pieces, lines[longest], (left, top, right, bottom), angle)
    words = lines[first].words
    box = boxes[first].tolist()
    per_letter = (box[2] - box[0]) / max(len(lines[first].text), 1)
    start = lines[first].text.split(" ", 1)[0]
    along = float(np.hypot(*(words[0].quad[1] - words[0].quad[0]))) if words else 0.0
    return Row(
        line=line,
        left=left,
        top=top,
        right=right,
        bottom=bottom,
        size=size,
        is_joined=len(numbers) > 1,
        last_left=float(boxes[last, 0]),
        first_word=along or per_letter * len(start),
        text_left=left,
    )


def _joined(
    pieces: Sequence[Line], longest: Line, box: tuple[float, float, float, float], angle: float
) -> Line:
    quad = quad_of(box)
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


def usual_pitch(columns: Sequence[Sequence[Row]]) -> tuple[float, float]:
    """How far lines of a paragraph are apart, in their size, and how much that varies (from 0)."""
    ratios = [
        (below.middle - above.middle) / below.size
        for rows in columns
        for above, below in pairwise(rows)
        if abs(above.size - below.size) < 0.1 * below.size
    ]
    near = np.array([ratio for ratio in ratios if 0.8 < ratio < 2.5])
    if not len(near):
        return 1.3, 0.05
    usual = float(np.quantile(near, 0.3))
    alike = near[np.abs(near - usual) < 0.3 * usual]
    return usual, float(np.median(np.abs(alike - np.median(alike)))) / usual
