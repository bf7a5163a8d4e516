"""Rules on a page: the straight level and upright strokes that part columns, rows and sections.

A rule is darker than what lies on both its sides, or lighter, thin across and long. On a page that
is turned by a degree it is a staircase of runs, which are chained. Dots and dashes are chained
likewise, where nothing stands close above and below them as it does in letters. Edges of shaded
cells are rules as well, as they part cells just so.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from florence2.geometry import Array

Grey = NDArray[np.uint8]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

MIN_CONTRAST = 14  # of a rule with both its sides, 0 to 255
MAX_DEVIATION = 24  # of those sides from their mean along a run, likewise
MAX_UNEVEN = 0.2  # share of a run that deviates more, as where other rules cross
MIN_STEP = 6  # at the edge of a shaded cell, 0 to 255
MAX_ROUGHNESS = 2  # from pixel to pixel on both sides of such an edge, likewise
MIN_DASH_CONTRAST = 40  # of dots and dashes with the paper, likewise
MIN_RUN = 20  # pixels; a stroke of 1 pixel turned by 2 degrees is made of runs of 28
MIN_LENGTH = 48  # pixels of a rule that does not reach from one rule to another
MIN_EDGE = 60  # likewise of the edge of a shaded cell
MAX_BREAK = 3  # pixels that noise may take out of a run
MIN_BROKEN = 8  # pixels of a run that a break is believed beside
MAX_DASH_GAP = 7  # pixels between dots or dashes
MAX_DASH = 14  # pixels of a dash
# Of dots and dashes: paper above and below and least length in the thickness of a rule, how many
# there are at least, and by how much lengths and gaps differ at most (standard deviation in means).
CLOSE = 0.5, 20.0, 24, 0.3
CLEAR = 2.5, 8.0, 6, 0.5
ROUNDED = 0.5  # pixels by which equal lengths differ as they are whole pixels
MAX_CLIMB = 0.045  # of a rule over its length
MIN_SLENDER = 6.0  # length of a rule in its thicknesses


def find_rules(gray: Grey) -> Array:
    """Find the rules of a page.

    Args:
        gray: uint8 `(H, W)`; ink may be dark or light.

    Returns:
        Boxes `x_min, y_min, x_max, y_max` in pixels, float64 `(N, 4)`: level rules from top to
        bottom, then upright ones from left to right. The box of a rule that is not quite level
        is as high as the rule climbs.
    """
    if min(gray.shape) < MIN_RUN:
        return np.zeros((0, 4))
    # A millimetre and a bit at any resolution of a whole page; letters' stems are thinner still.
    thickness = int(np.clip(round(max(gray.shape) / 300), 4, 9))
    paper = float(np.median(gray[::4, ::4]))
    level = _strokes(gray, thickness, paper)
    upright = _strokes(np.ascontiguousarray(gray.T), thickness, paper)[:, [1, 0, 3, 2]]
    longs = [boxes[_lengths(boxes) >= MIN_LENGTH] for boxes in (level, upright)]
    kept = [
        boxes[(_lengths(boxes) >= MIN_LENGTH) | _reach_across(boxes, others, axis, thickness)]
        for axis, (boxes, others) in enumerate(((level, longs[1]), (upright, longs[0])))
    ]
    return np.concatenate(kept)


def _lengths(boxes: Array) -> Array:
    lengths: Array = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    return lengths


def _reach_across(boxes: Array, others: Array, axis: int, slack: float) -> Bools:
    """Whether each of level (`axis` 0) or upright boxes ends at others, at both ends, `(N,)`."""
    across = 1 - axis
    middle = (boxes[:, across] + boxes[:, across + 2]) / 2
    beside = np.asarray(
        (others[:, across] - slack <= middle[:, None])
        & (middle[:, None] <= others[:, across + 2] + slack)
    )
    ends = [
        (others[:, axis] - slack <= boxes[:, [end]])
        & (boxes[:, [end]] <= others[:, axis + 2] + slack)
        for end in (axis, axis + 2)
    ]
    low, high = (beside & end for end in ends)
    return np.asarray(low.any(axis=1) & high.any(axis=1))


def _strokes(gray: Grey, thickness: int, paper: float) -> Array:
    """Boxes of level strokes `(N, 4)` at least `MIN_RUN` long, from top to bottom."""
    size = thickness + 1
    closed = _slide(_slide(gray, size, np.maximum), size, np.minimum, back=True)
    opened = _slide(_slide(gray, size, np.minimum), size, np.maximum, back=True)
    found = [
        _solid(closed - gray >= MIN_CONTRAST, closed, thickness),
        _solid(gray - opened >= MIN_CONTRAST, opened, thickness),
        _dashed(gray, thickness, paper),
        _edges(gray, thickness),
    ]
    boxes = _without_doubles(found, thickness)
    return boxes[np.lexsort((boxes[:, 0], boxes[:, 1]))]


def _slide(values: NDArray[Any], size: int, pick: np.ufunc, *, back: bool = False) -> NDArray[Any]:
    """The extreme of each pixel and the `size` - 1 below it, or with `back` above it."""
    result, spare = values, np.empty_like(values)
    reach = 1
    while reach < min(size, len(values)):
        step = min(reach, size - reach)
        if back:
            pick(result[step:], result[:-step], out=spare[step:])
            spare[:step] = result[:step]
        else:
            pick(result[:-step], result[step:], out=spare[:-step])
            spare[-step:] = result[-step:]
        result, spare = spare, np.empty_like(values) if result is values else result
        reach += step
    return result


def _runs(mask: Bools) -> Ints:
    """Row, start and end (excluded) of each run of true pixels, `(N, 3)`, in reading order."""
    height, width = mask.shape
    padded = np.zeros((height, width + 1), bool)
    padded[:, :width] = mask
    flat = padded.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    if flat[0]:
        changes = np.concatenate([[0], changes])
    starts, ends = changes[::2], changes[1::2]
    return np.stack([starts // (width + 1), starts % (width + 1), ends % (width + 1)], axis=1)


def _joined(runs: Ints) -> Ints:
    """Runs with breaks of a few pixels healed where one of the neighbours is long."""
    if not len(runs):
        return runs
    lengths = runs[:, 2] - runs[:, 1]
    breaks = (
        (runs[1:, 0] != runs[:-1, 0])
        | (runs[1:, 1] - runs[:-1, 2] > MAX_BREAK)
        | (np.maximum(lengths[1:], lengths[:-1]) < MIN_BROKEN)
    )
    first = np.flatnonzero(np.concatenate([[True], breaks])[: len(runs)])
    last = np.concatenate([first[1:], [len(runs)]]).astype(np.int64) - 1
    return np.stack([runs[first, 0], runs[first, 1], runs[last, 2]], axis=1)


def _solid(mask: Bools, sides: Grey, thickness: int) -> Array:
    """Boxes of chains of long runs whose sides are even."""
    runs = _joined(_runs(mask))
    runs = runs[runs[:, 2] - runs[:, 1] >= MIN_RUN]
    runs = runs[_uneven_share(sides, runs) <= MAX_UNEVEN]
    boxes = _chains(runs, gap=thickness + 3).boxes
    return boxes[_is_straight(boxes, thickness)]


def _uneven_share(values: Grey, runs: Ints) -> Array:
    """Share of each run `(N,)` whose values are far from the run's mean."""
    if not len(runs):
        return np.zeros(0)
    lengths = runs[:, 2] - runs[:, 1]
    offsets = np.cumsum(lengths) - lengths
    within = np.arange(lengths.sum()) - np.repeat(offsets, lengths)
    along = values[np.repeat(runs[:, 0], lengths), np.repeat(runs[:, 1], lengths) + within]
    mean = np.add.reduceat(along.astype(np.int64), offsets) / lengths
    is_far = np.abs(along - np.repeat(mean, lengths)) > MAX_DEVIATION
    share: Array = np.add.reduceat(is_far.astype(np.int64), offsets) / lengths
    return share


def _is_straight(boxes: Array, thickness: int) -> Bools:
    """Whether boxes are no higher than a stroke that climbs a little."""
    length, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    straight: Bools = (height <= 1.5 * thickness + MAX_CLIMB * length) & (
        length >= MIN_SLENDER * np.minimum(height, height - MAX_CLIMB * length)
    )
    return straight


class _Chains(NamedTuple):
    boxes: Array  # (N, 4), around the runs of each
    counts: Ints  # (N,), of runs
    unlike: Array  # (N,), standard deviation of the runs' lengths or gaps in their mean


def _chains(runs: Ints, gap: int) -> _Chains:
    """Chain runs that touch or nearly do."""
    if not len(runs):
        return _Chains(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0))
    stride = int(runs[:, 2].max()) + 4 * gap + 4  # rows apart, so that no gap reaches the next
    starts = runs[:, 0] * stride + runs[:, 1]
    ends = runs[:, 0] * stride + runs[:, 2]
    pairs = []
    for below in (0, 1, 2):
        first = np.searchsorted(ends, starts + below * stride - gap)
        last = np.searchsorted(starts, ends + below * stride + gap, side="right")
        counts = np.maximum(last - first, 0)
        ones = np.repeat(np.arange(len(runs)), counts)
        offsets = np.arange(len(ones)) - np.repeat(np.cumsum(counts) - counts, counts)
        pairs.append(np.stack([ones, np.repeat(first, counts) + offsets]))
    group = _components(len(runs), np.concatenate(pairs, axis=1))
    order = np.lexsort((runs[:, 1], runs[:, 0], group))
    begins = np.flatnonzero(np.diff(group[order], prepend=-1))
    rows, lows, highs = runs[order].T
    boxes = np.stack(
        [
            np.minimum.reduceat(lows, begins),
            np.minimum.reduceat(rows, begins),
            np.maximum.reduceat(highs, begins),
            np.maximum.reduceat(rows, begins) + 1,
        ],
        axis=1,
    ).astype(np.float64)
    counts = np.diff(np.append(begins, len(runs)))
    gaps = np.append(lows[1:] - highs[:-1], 0)
    follows = np.append((rows[1:] == rows[:-1]) & (np.diff(group[order]) == 0), False)
    # Of the fullest row alone: the next holds pieces of the dots where they are not on pixels.
    row_begins = np.flatnonzero(np.diff(group[order] * (rows.max() + 1) + rows, prepend=-1))
    in_row = np.diff(np.append(row_begins, len(runs)))
    in_row = np.repeat(in_row, in_row)
    is_fullest = in_row == np.repeat(np.maximum.reduceat(in_row, begins), counts)
    unlike = np.maximum(
        _spread(highs - lows, is_fullest, begins), _spread(gaps, follows & is_fullest, begins)
    )
    return _Chains(boxes, counts, unlike)


def _spread(values: Ints, counted: Bools, begins: Ints) -> Array:
    """Standard deviation in means of the counted values of each group, 0 where none are."""
    counts = np.maximum(np.add.reduceat(counted.astype(np.int64), begins), 1)
    mean = np.add.reduceat(values * counted, begins) / counts
    square = np.add.reduceat(values * values * counted, begins) / counts
    deviation = np.sqrt(np.maximum(square - mean * mean, 0.0))
    spread: Array = np.maximum(deviation - ROUNDED, 0.0) / np.maximum(mean, 1e-9)
    return spread


def _components(count: int, pairs: Ints) -> Ints:
    """For each of `count` things the lowest number among those that pairs `(2, P)` join it to."""
    lowest = np.arange(count)
    while True:
        before = lowest.copy()
        least = np.minimum(lowest[pairs[0]], lowest[pairs[1]])
        np.minimum.at(lowest, pairs[0], least)
        np.minimum.at(lowest, pairs[1], least)
        lowest = lowest[lowest]  # a jump along the chain: few rounds even for long ones
        if np.array_equal(lowest, before):
            return lowest


def _dashed(gray: Grey, thickness: int, paper: float) -> Array:
    """Boxes of rows of dots or dashes.

    Those with letters close by have to be as regular as letters are not.
    """
    ink = (gray < paper - MIN_DASH_CONTRAST) | (gray > paper + MIN_DASH_CONTRAST)
    found = []
    for clear, length, least, unlike in (CLOSE, CLEAR):
        chains = _chains(_runs_in_clear(ink, thickness, round(clear * thickness)), MAX_DASH_GAP)
        boxes = chains.boxes
        good = (chains.counts >= least) & (chains.unlike <= unlike)
        good &= boxes[:, 2] - boxes[:, 0] >= length * thickness
        found.append(boxes[good & _is_straight(boxes, thickness)])
    return _without_doubles(found, thickness)


def _runs_in_clear(ink: Bools, thickness: int, clear: int) -> Ints:
    """Runs of thin and short ink with so many clear pixels above and below."""
    filled = _slide(_slide(ink, clear, np.logical_or), clear, np.logical_and, back=True)
    size = thickness + 1
    tall = _slide(_slide(filled, size, np.logical_and), size, np.logical_or, back=True)
    runs = _runs(ink & ~tall)
    return runs[runs[:, 2] - runs[:, 1] <= MAX_DASH]


def _edges(gray: Grey, thickness: int) -> Array:
    """Boxes along the edges of evenly shaded areas."""
    near = np.maximum(gray[1:], gray[:-1]) - np.minimum(gray[1:], gray[:-1]) <= MAX_ROUGHNESS
    step = np.maximum(gray[2:], gray[:-2]) - np.minimum(gray[2:], gray[:-2]) >= MIN_STEP
    runs = _joined(_runs(near[:-3] & step[1:-1] & near[3:]))
    runs = runs[runs[:, 2] - runs[:, 1] >= MIN_RUN] + np.array([2, 0, 0])
    boxes = _chains(runs, gap=thickness + 3).boxes
    return boxes[(boxes[:, 2] - boxes[:, 0] >= MIN_EDGE) & _is_straight(boxes, thickness)]


def _without_doubles(found: list[Array], thickness: int) -> Array:
    """All boxes, but those that lie along a box of an earlier list."""
    kept = found[0]
    for boxes in found[1:]:
        middle = (boxes[:, 1] + boxes[:, 3])[:, None] / 2
        near = (kept[:, 1] - thickness <= middle) & (middle <= kept[:, 3] + thickness)
        common = np.minimum(boxes[:, [2]], kept[:, 2]) - np.maximum(boxes[:, [0]], kept[:, 0])
        share = np.where(near, common, 0.0).sum(axis=1) / np.maximum(boxes[:, 2] - boxes[:, 0], 1)
        kept = np.concatenate([kept, boxes[share < 0.5]])
    return kept
