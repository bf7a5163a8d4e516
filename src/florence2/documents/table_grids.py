"""Grids that rules make: their rows and columns, and the cells that a missing rule joins."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from florence2.geometry import Array, Box

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

# All in letter heights.
SAME_PLACE = 0.35  # between rules that are one, as the two strokes of a double rule
SAME_LINE = 0.7  # between the ends of rules that go on in each other
TOUCHING = 0.5  # between a rule's end and the rule that it meets
OPEN_SIDE = 1.0  # that rules stand out over the last rule across them where a side is open
MAX_STROKE = 0.6  # thickness of a rule; what is thicker is an area, and its edges are the rules
MIN_STROKE = 0.9  # length of one

MIN_COVERED = 0.6  # share of a cell's side that a rule takes
MAX_CELLS = 10_000  # of a table; more are hatching, or paper for plots


class Place(NamedTuple):
    """Where a cell stands in a grid."""

    row: int
    column: int
    row_span: int = 1
    column_span: int = 1


@dataclass(frozen=True, eq=False)
class Grid:
    """Rows and columns, and the cells in them.

    Attributes:
        xs: edges of the columns `(C + 1,)`, from left to right.
        ys: edges of the rows `(R + 1,)`, from top to bottom.
        places: of the cells, row by row; together they cover the grid once.
    """

    xs: Array
    ys: Array
    places: tuple[Place, ...]

    @property
    def box(self) -> Box:
        return float(self.xs[0]), float(self.ys[0]), float(self.xs[-1]), float(self.ys[-1])

    def box_of(self, place: Place) -> Box:
        """The box of a cell."""
        right, bottom = place.column + place.column_span, place.row + place.row_span
        return (
            float(self.xs[place.column]),
            float(self.ys[place.row]),
            float(self.xs[right]),
            float(self.ys[bottom]),
        )


def strokes_of(rules: Array, letter: float, slope: float) -> tuple[Array, Array]:
    """Level strokes `(N, 3)` as `y, x_min, x_max` and upright ones `(M, 3)` as `x, y_min, y_max`.

    Areas give their four edges. Strokes that lie in one line and nearly touch are one.

    Args:
        rules: boxes `(N, 4)`.
        slope: that level rules have climbed by over their length, which made their boxes higher.
    """
    if not len(rules):
        return np.zeros((0, 3)), np.zeros((0, 3))
    x_min, y_min, x_max, y_max = rules.T
    wide, high = x_max - x_min, y_max - y_min
    stroke = np.minimum(wide, high) <= MAX_STROKE * letter + 1.5 * slope * np.maximum(wide, high)
    level = stroke & (wide >= high)
    upright = stroke & ~level
    area = ~stroke
    levels = [
        np.stack([(y_min + y_max)[level] / 2, x_min[level], x_max[level]], axis=1),
        np.stack([y_min[area], x_min[area], x_max[area]], axis=1),
        np.stack([y_max[area], x_min[area], x_max[area]], axis=1),
    ]
    uprights = [
        np.stack([(x_min + x_max)[upright] / 2, y_min[upright], y_max[upright]], axis=1),
        np.stack([x_min[area], y_min[area], y_max[area]], axis=1),
        np.stack([x_max[area], y_min[area], y_max[area]], axis=1),
    ]
    return _merged(np.concatenate(levels), letter), _merged(np.concatenate(uprights), letter)


def _merged(strokes: Array, letter: float) -> Array:
    """Strokes of which those that go on in each other are one."""
    if not len(strokes):
        return strokes
    strokes = strokes[np.argsort(strokes[:, 0], kind="stable")]
    place = clustered(strokes[:, 0], SAME_PLACE * letter)
    order = np.lexsort((strokes[:, 1], place))
    strokes, place = strokes[order], place[order]
    # Running ends: a long stroke may reach beyond several that begin later.
    stride = strokes[:, 2].max() - strokes[:, 1].min() + 4 * letter
    ends = np.maximum.accumulate(strokes[:, 2] + place * stride) - place * stride
    new = np.ones(len(strokes), bool)
    new[1:] = (np.diff(place) > 0) | (strokes[1:, 1] > ends[:-1] + SAME_LINE * letter)
    begins = np.flatnonzero(new)
    lengths = strokes[:, 2] - strokes[:, 1] + 1e-9
    where = np.add.reduceat(strokes[:, 0] * lengths, begins) / np.add.reduceat(lengths, begins)
    merged = np.stack(
        [
            where,
            np.minimum.reduceat(strokes[:, 1], begins),
            np.maximum.reduceat(strokes[:, 2], begins),
        ],
        axis=1,
    )
    long: Array = merged[merged[:, 2] - merged[:, 1] >= MIN_STROKE * letter]
    return long


def clustered(values: Array, gap: float) -> Ints:
    """Number of the cluster of each of sorted values `(N,)`; no cluster is wider than 2 `gap`."""
    numbers = np.zeros(len(values), np.int64)
    start = values[0] if len(values) else 0.0
    for row in range(1, len(values)):
        is_new = values[row] - values[row - 1] > gap or values[row] - start > 2 * gap
        numbers[row] = numbers[row - 1] + is_new
        if is_new:
            start = values[row]
    return numbers


def find_grids(levels: Array, uprights: Array, letter: float) -> list[tuple[Grid, Ints]]:
    """Grids of strokes that cross or meet, with the numbers of their level strokes.

    A frame with nothing in it is a grid of one cell.
    """
    slack = TOUCHING * letter
    y, x_min, x_max = levels.T
    x, y_min, y_max = uprights.T
    meet: Bools = (
        (x_min[:, None] - slack <= x)
        & (x <= x_max[:, None] + slack)
        & (y_min - slack <= y[:, None])
        & (y[:, None] <= y_max + slack)
    )
    grids = []
    for rows, columns in _hanging_together(meet):
        grid = _grid(levels[rows], uprights[columns], letter)
        if grid is not None:
            grids.append((grid, rows))
    return grids


def _hanging_together(meet: Bools) -> list[tuple[Ints, Ints]]:
    """Rows and columns of a matrix that true places join, as sets that share none."""
    left = np.asarray(meet.any(axis=1))
    found = []
    while left.any():
        rows = np.zeros(len(left), np.bool_)
        rows[left.argmax()] = True
        columns = np.zeros(meet.shape[1], np.bool_)
        edge = np.flatnonzero(rows)
        while len(edge):
            new: Bools = meet[edge].any(axis=0) & ~columns
            columns |= new
            reached: Bools = meet[:, new].any(axis=1) & ~rows
            rows |= reached
            edge = np.flatnonzero(reached)
        left &= ~rows
        found.append((np.flatnonzero(rows), np.flatnonzero(columns)))
    return found


def _grid(levels: Array, uprights: Array, letter: float) -> Grid | None:
    xs = _edges(uprights[:, 0], levels[:, 1:], letter)
    ys = _edges(levels[:, 0], uprights[:, 1:], letter)
    if len(xs) < 2 or len(ys) < 2 or len(xs) * len(ys) > MAX_CELLS:
        return None
    level_sides = _sides(levels, ys, xs, letter)  # (R + 1, C)
    upright_sides = _sides(uprights, xs, ys, letter).T  # (R, C + 1)
    return Grid(xs, ys, _places(level_sides[1:-1], upright_sides[:, 1:-1]))


def _edges(places: Array, reaches: Array, letter: float) -> Array:
    """Where columns or rows begin and end, from strokes along and across."""
    places = np.sort(places)
    numbers = clustered(places, SAME_PLACE * letter)
    edges = np.bincount(numbers, places) / np.bincount(numbers)
    low, high = reaches[:, 0].min(), reaches[:, 1].max()
    before = [low] if edges[0] - low > OPEN_SIDE * letter else []
    after = [high] if high - edges[-1] > OPEN_SIDE * letter else []
    return np.concatenate([before, edges, after])


def _sides(strokes: Array, places: Array, cuts: Array, letter: float) -> Bools:
    """Whether a stroke runs along each edge between each two cuts, `(edges, cuts - 1)`."""
    covered = np.zeros((len(places), len(cuts) - 1))
    lengths = np.maximum(np.diff(cuts), 1e-9)
    for place, low, high in strokes:
        edge = np.abs(places - place).argmin()
        common = np.minimum(cuts[1:], high) - np.maximum(cuts[:-1], low)
        covered[edge] += np.maximum(common, 0.0) / lengths
    is_side: Bools = covered >= MIN_COVERED
    return is_side


def _places(level_sides: Bools, upright_sides: Bools) -> tuple[Place, ...]:
    """Cells, from whether a rule parts neighbours below `(R - 1, C)` and beside `(R, C - 1)`."""
    num_rows, num_columns = len(upright_sides), level_sides.shape[1]
    owner = np.arange(num_rows * num_columns).reshape(num_rows, num_columns)
    while True:
        before = owner.copy()
        for row, column in np.argwhere(~level_sides):
            owner[row : row + 2, column] = owner[row : row + 2, column].min()
        for row, column in np.argwhere(~upright_sides):
            owner[row, column : column + 2] = owner[row, column : column + 2].min()
        for number in np.flatnonzero(np.bincount(owner.ravel()) > 1):
            rows, columns = np.nonzero(owner == number)
            if len(rows):  # cells are rectangles, even where a rule was not seen
                within = owner[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
                within[:] = within.min()
        if np.array_equal(owner, before):
            break
    places = []
    for number in np.unique(owner):
        rows, columns = np.nonzero(owner == number)
        row, column = int(rows.min()), int(columns.min())
        places.append(
            Place(row, column, int(rows.max()) - row + 1, int(columns.max()) - column + 1)
        )
    return tuple(sorted(places))
