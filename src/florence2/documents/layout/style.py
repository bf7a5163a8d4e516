"""What is usual on a page: the size of its text, how far lines are apart, how wide columns are."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from florence2.documents.layout.rows import Row
from florence2.geometry import Array
from florence2.pipelines.reading.lines import Line
from florence2.pipelines.reading.order import weighted_quantile

CAPITAL = 0.7  # height of a capital in its font size
BODY_SHARE = {True: 0.75, False: 0.6}  # of the letters are no larger than text
FEW_LETTERS = 300  # a page with fewer may be all title
BODY_OF_PAGE = 0.017  # then text is not larger than this share of an upright page's height

LARGE = {True: 1.12, False: 1.3}  # from what ratio on; where sizes are said, where measured
SAME_SIZE = 0.25  # up to what difference a paragraph may go on
INDENT = 0.7  # in the size of the letters: what stands further in or out is indented


@dataclass(frozen=True)
class Style:
    """What is usual on a page.

    Attributes:
        body: font size of most letters.
        is_exact: whether sizes are what a file says.
        max_pitch: how far lines of a paragraph are apart at most, in their size.
        rules: `(N, 4)`, lying ones, in the frame of the straightened page.
    """

    body: float
    is_exact: bool
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


def sizes_of(lines: Sequence[Line], boxes: Array) -> tuple[Array, bool]:
    """Font sizes `(N,)` of lines, and whether they are what a file says and not measured."""
    said = np.array([line.font_size for line in lines])
    capitals = np.array([line.letter_height for line in lines]) / CAPITAL
    measured = np.where(capitals > 0, capitals, boxes[:, 3] - boxes[:, 1])
    is_exact = bool((said > 0).all())
    return np.maximum(np.where(said > 0, said, measured), 1e-9), is_exact


def body_size(
    lines: Sequence[Line], sizes: Array, is_exact: bool, width: float, height: float
) -> float:
    """The size of the text of a page; on a title page what would be usual."""
    letters = np.array([float(len(line.text)) for line in lines])
    # A quarter of the letters is more than headings have: code may be most of a page, in a
    # smaller size. Of measured sizes the upper ones are off by more.
    body = weighted_quantile(sizes, letters, BODY_SHARE[is_exact])
    if letters.sum() < FEW_LETTERS and height > width:
        body = min(body, BODY_OF_PAGE * height)
    return body


def max_pitch(columns: Sequence[Sequence[Row]], is_exact: bool) -> float:
    """How far lines of a paragraph are apart at most, in their size: more is a blank."""
    ratios = [
        (below.middle - above.middle) / below.size
        for rows in columns
        for above, below in pairwise(rows)
        if abs(above.size - below.size) < 0.1 * below.size
    ]
    near = np.array([ratio for ratio in ratios if 0.8 < ratio < 2.5])
    if not len(near):
        return 1.3 * 1.3
    usual = float(np.quantile(near, 0.3))
    alike = near[np.abs(near - usual) < 0.3 * usual]
    spread = float(np.median(np.abs(alike - np.median(alike)))) / usual
    # Boxes that were measured stand higher and lower; but a blank is never much more than that.
    return usual * (min(1.17 + 2 * spread, 1.3) if is_exact else min(1.2 + 3 * spread, 1.5))


def fits(above: Row, below: Row, edge: float, style: Style) -> bool:
    """Whether a line ended on purpose: the first word of the next one had had room in it."""
    slack = (0.75 if style.is_exact else 1.2) * above.size
    return above.right + below.first_word + slack < edge


def right_edges(columns: Sequence[Sequence[Row]]) -> list[float]:
    """Where the text of each column ends at the right.

    Parts of a page that stand one under the other have one edge, be it the footer's: so that lines
    of code are short on a page of nothing but code.
    """
    edges = [_right_edge(rows) for rows in columns]
    told = [rows for rows in columns if rows]
    is_stack = all(above[-1].middle < below[0].middle for above, below in pairwise(told))
    return [max(edges)] * len(edges) if is_stack and edges else edges


def _right_edge(rows: Sequence[Row]) -> float:
    """Where most of the text of a column ends at the right."""
    if not rows:
        return 0.0
    order = sorted(rows, key=lambda row: row.right)
    letters = np.cumsum([len(row.text) for row in order])
    return order[int(np.searchsorted(letters, 0.9 * letters[-1]))].right
