"""Ink on a page: what is darker than its surroundings, and the connected components of it.

NumPy and Pillow only. Everything goes by runs, pieces of ink in one row of pixels, because a page
has a hundred times fewer of them than pixels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from florence2.geometry import Array

Bools = NDArray[np.bool_]
Gray = NDArray[np.uint8]
Ints = NDArray[np.intp]

WINDOW = 33  # pixels: the surroundings that a pixel is compared with
WEAK = 0.35  # standard deviations below the mean of the surroundings: ink if it touches sure ink
SURE = 0.9  # likewise, sure ink: what covers less than about half of its surroundings
MIN_CONTRAST = 8.0  # grey levels below the mean of the surroundings
MAX_NOISE = 2.5  # standard deviations of the noise of the picture, likewise
BLOCK = 4  # pixels a side: means and deviations are computed for blocks of that size
MAX_STROKE = 40  # pixels: longer strokes of ink, level or upright, are rules and not letters


@dataclass(frozen=True, eq=False)
class Runs:
    """Pieces of ink within rows of pixels, from top to bottom and from left to right."""

    row: Ints
    start: Ints
    end: Ints  # excluded

    def __len__(self) -> int:
        return len(self.row)

    def select(self, rows: Bools) -> "Runs":
        """Those runs that are marked."""
        return Runs(self.row[rows], self.start[rows], self.end[rows])


@dataclass(frozen=True, eq=False)
class Components:
    """Connected ink: of each component its box, area and number of runs; `label` tells of each run
    the component that it belongs to."""

    runs: Runs
    label: Ints
    boxes: Ints  # (N, 4), pixels, x_max and y_max excluded
    area: Ints
    num_runs: Ints


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Mean and standard deviation of the grey levels around every block of a picture."""

    gray: Gray
    mean: Array
    deviation: Array
    least: float  # grey levels that ink differs from the mean at least

    def ink(self, is_light: bool) -> Bools:
        """Mark what is darker than its surroundings, or lighter, `(H, W)`."""
        limit = np.maximum(self.least, WEAK * self.deviation)
        size = self.gray.shape[1], self.gray.shape[0]
        if is_light:
            return self.gray > _enlarged(self.mean + limit, size)
        return self.gray < _enlarged(self.mean - limit, size)

    def contrast(self, rows: Ints, columns: Ints) -> Array:
        """Grey levels that pixels differ from their surroundings."""
        away: Array = np.abs(self.gray[rows, columns] - self.mean[rows // BLOCK, columns // BLOCK])
        return away

    def is_sure(self, rows: Ints, columns: Ints, is_light: bool) -> Bools:
        """Tell of pixels that are ink whether they differ much from their surroundings."""
        at = rows // BLOCK, columns // BLOCK
        step = self.gray[rows, columns] - self.mean[at]
        limit = np.maximum(self.least, SURE * self.deviation[at])
        sure: Bools = (step if is_light else -step) > limit
        return sure


def surroundings_of(gray: Gray) -> Surroundings:
    """Compare each pixel of a picture with the `WINDOW` pixels around it, by integral images."""
    height, width = gray.shape
    padded = np.pad(gray, ((0, -height % BLOCK), (0, -width % BLOCK)), mode="edge")
    num_rows, num_columns = padded.shape[0] // BLOCK, padded.shape[1] // BLOCK
    blocks = padded.reshape(num_rows, BLOCK, num_columns * BLOCK).astype(np.uint16)

    def block_sums(values: NDArray[np.uint16]) -> Array:
        rows = values[:, 0].astype(np.uint32)
        for row in range(1, BLOCK):
            rows += values[:, row]
        columns = rows[:, ::BLOCK].astype(np.float64)
        for column in range(1, BLOCK):
            columns += rows[:, column::BLOCK]
        return columns

    reach = WINDOW // BLOCK // 2
    count = BLOCK * BLOCK * _box_sums(np.ones((num_rows, num_columns)), reach)
    mean = _box_sums(block_sums(blocks), reach) / count
    squares = _box_sums(block_sums(blocks * blocks), reach) / count
    deviation = np.sqrt(np.maximum(squares - mean * mean, 0.0))
    return Surroundings(gray, mean, deviation, max(MIN_CONTRAST, MAX_NOISE * _noise(gray)))


def _box_sums(values: Array, reach: int) -> Array:
    """Sums of the squares of `2 * reach + 1` cells a side around each cell, cut at the border."""
    for axis in (0, 1):
        length = values.shape[axis]
        zero = np.zeros_like(values.take([0], axis=axis))
        sums = np.concatenate([zero, np.cumsum(values, axis=axis)], axis=axis)
        places = np.arange(length)
        values = sums.take(np.minimum(places + reach + 1, length), axis=axis) - sums.take(
            np.maximum(places - reach, 0), axis=axis
        )
    return values


def _enlarged(values: Array, size: tuple[int, int]) -> Gray:
    """Bring a value for each block to pixels; size is (width, height)."""
    clipped = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    whole = (clipped.shape[1] * BLOCK, clipped.shape[0] * BLOCK)
    image = Image.fromarray(clipped).resize(whole, Image.Resampling.BILINEAR)
    return np.asarray(image)[: size[1], : size[0]]


def _noise(gray: Gray) -> float:
    """Standard deviation of the grain of a picture, in grey levels."""
    rows = gray[:: max(1, len(gray) // 64)].astype(np.int16)
    steps = np.abs(np.diff(rows, axis=1))
    return float(np.median(steps)) / 0.95 if steps.size else 0.0


def without_upright_rules(mask: Bools) -> Bools:
    """Take away upright strokes longer than a letter."""
    length = len(mask)
    if length <= MAX_STROKE:
        return mask
    packed = np.packbits(mask, axis=1)
    strokes, reached = packed.copy(), 1
    while reached < MAX_STROKE:  # `strokes[i]`: the next `reached` pixels are ink
        step = min(reached, MAX_STROKE - reached)
        strokes[: length - step] &= strokes[step:].copy()
        strokes[length - step :] = 0
        reached += step
    reached = 1
    while reached < MAX_STROKE:
        step = min(reached, MAX_STROKE - reached)
        strokes[step:] |= strokes[: length - step].copy()
        reached += step
    return np.unpackbits(packed & ~strokes, axis=1, count=mask.shape[1]).view(np.bool_)


def runs_of(mask: Bools) -> Runs:
    """Pieces of ink within rows of a mask `(H, W)`."""
    height, width = mask.shape
    padded = np.zeros((height, width + 2), np.bool_)
    padded[:, 1:-1] = mask
    flat = padded.ravel()
    borders = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    row, start = np.divmod(borders[::2], width + 2)
    return Runs(row, start - 1, start - 1 + borders[1::2] - borders[::2])


def without_level_rules(runs: Runs) -> Runs:
    """Take away strokes longer than a letter."""
    return runs.select(runs.end - runs.start <= MAX_STROKE)


def components_of(runs: Runs, width: int) -> Components:
    """Join runs of neighbouring rows that touch, at corners too."""
    stride = width + 2
    starts, ends = runs.row * stride + runs.start, runs.row * stride + runs.end
    first = np.searchsorted(ends, starts + stride, side="left")
    behind = np.searchsorted(starts, ends + stride, side="right")
    upper, lower = _ranges(first, behind)
    label, count = joined(len(runs), upper, lower)
    boxes = enclosing_boxes(
        np.stack([runs.start, runs.row, runs.end, runs.row + 1], 1), label, count
    )
    lengths = runs.end - runs.start
    area = np.bincount(label, lengths, count).astype(np.intp)
    return Components(runs, label, boxes, area, np.bincount(label, minlength=count))


def enclosing_boxes(boxes: Ints, group: Ints, count: int) -> Ints:
    """Boxes `(count, 4)` around the boxes of each group."""
    found = np.empty((count, 4), np.intp)
    found[:, :2] = np.iinfo(np.intp).max
    found[:, 2:] = 0
    for side, pick in enumerate((np.minimum, np.minimum, np.maximum, np.maximum)):
        pick.at(found[:, side], group, boxes[:, side])
    return found


def _ranges(first: Ints, behind: Ints) -> tuple[Ints, Ints]:
    """Every pair of a number and one in its range."""
    counts = np.maximum(behind - first, 0)
    owners = np.repeat(np.arange(len(counts)), counts)
    offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return owners, np.repeat(first, counts) + offsets


def joined(count: int, one: Ints, other: Ints) -> tuple[Ints, int]:
    """Number the groups that pairs make of things, in the order of the first of each.

    Returns:
        The group of each of the `count` things, and the number of groups.

    >>> groups, count = joined(5, np.array([0, 3]), np.array([2, 4]))
    >>> groups.tolist(), count
    ([0, 1, 0, 2, 2], 3)
    """
    parent = np.arange(count)
    while len(one):
        low, high = np.minimum(one, other), np.maximum(one, other)
        np.minimum.at(parent, high, low)
        while True:  # pointer jumping: everything points to the first of its group
            jumped = parent[parent]
            if np.array_equal(jumped, parent):
                break
            parent = jumped
        one, other = parent[one], parent[other]
        apart = one != other
        one, other = one[apart], other[apart]
    is_first = parent == np.arange(count)
    return (np.cumsum(is_first) - 1)[parent], int(is_first.sum())
