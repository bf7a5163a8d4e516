"""Average precision as COCO defines it, on NumPy alone; the tests compare it with the library.

Written once more because pictures can be weighed here: how often a picture was drawn is its
weight, so an interval costs no matching of boxes, and a training machine needs no library.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from florence2.data.records import Ignored
from florence2.evaluation.detection import ignored_overlap
from florence2.geometry import Array, box_iou
from florence2.results import Boxes

Pair = tuple[Boxes, Boxes]  # found, truth
Judged = tuple[Boxes, Boxes, Ignored | None]  # found, truth, what is neither

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
MAX_BOXES = 100  # of one name in one picture; the best are kept
ANYTHING = "object"  # the one name of boxes whose names do not count


@dataclass(frozen=True)
class AveragePrecision:
    """The AP over IoU 0.50 to 0.95, and at IoU 0.50: means over the names of true boxes."""

    ap: float
    ap50: float


@dataclass(frozen=True)
class _Name:
    """All found boxes of one name, from the highest score to the lowest.

    Attributes:
        pictures: `(D,)`, the number of the picture of each.
        right: `(T, D)`, whether it meets a true box at each threshold.
        counts: `(T, D)`, whether it is right or wrong; what meets a region to ignore is neither.
        true_boxes: `(N,)`, how many each picture has.
    """

    pictures: NDArray[np.intp]
    right: NDArray[np.bool_]
    counts: NDArray[np.bool_]
    true_boxes: NDArray[np.intp]

    def precision(self, weights: Array) -> Array:
        """Return the AP at each threshold `(T,)`, or NaN where no true box has any weight."""
        total = float(weights @ self.true_boxes)
        if not total:
            return np.full(len(IOU_THRESHOLDS), np.nan)
        weight = weights[self.pictures]
        right = np.cumsum(self.right * weight, axis=1)
        precision = right / (np.cumsum(self.counts * weight, axis=1) + np.spacing(1))
        # A curve that only falls, read at fixed recalls; 0 where recall does not get.
        curve = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        curve = np.column_stack([curve, np.zeros(len(curve))])
        rows = zip(curve, right / total, strict=True)
        return np.array([line[np.searchsorted(recall, RECALLS)].mean() for line, recall in rows])


class BoxRanking:
    """Found and true boxes of many pictures, matched once.

    Boxes are ranked by their scores over all pictures; where a picture has none, by the order
    in which they were written.

    Args:
        ignored: of each picture, regions that are neither right nor wrong to find.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        ignored: Sequence[Ignored | None] = (),
        *,
        use_labels: bool = True,
    ) -> None:
        rows = [(*pair, each) for pair, each in zip_longest(pairs, ignored)]
        if not use_labels:
            rows = [
                (_nameless(found), _nameless(truth), each and _nameless_ignored(each))
                for found, truth, each in rows
            ]
        self._count = len(rows)
        self._names = [
            _matched(rows, label)
            for label in sorted({label for _, truth, _ in rows for label in truth.labels})
        ]

    def measure(self, weights: Array | None = None) -> AveragePrecision:
        """Return the AP where pictures count `weights` times `(N,)`, or once."""
        given = np.ones(self._count) if weights is None else weights
        by_name = np.array([name.precision(given) for name in self._names])
        by_name = by_name.reshape(-1, len(IOU_THRESHOLDS))
        kept = by_name[~np.isnan(by_name[:, 0])]
        if not len(kept):
            return AveragePrecision(0.0, 0.0)
        return AveragePrecision(float(kept.mean()), float(kept[:, 0].mean()))


def ranks(found: Boxes) -> list[float]:
    """Return a score of each box: its own if all have one, else one that falls with its place."""
    scores = [score for score in found.scores or () if score is not None]
    if len(scores) == len(found.labels):
        return scores
    return [1 / place for place in range(1, len(found.labels) + 1)]


def _nameless(boxes: Boxes) -> Boxes:
    return replace(boxes, labels=(ANYTHING,) * len(boxes.labels))


def _nameless_ignored(ignored: Ignored) -> Ignored:
    return replace(ignored, boxes=_nameless(ignored.boxes))


def _matched(rows: Sequence[Judged], label: str) -> _Name:
    """Match the boxes of one name, picture by picture."""
    pictures: list[int] = []
    scores: list[float] = []
    right = [np.zeros((len(IOU_THRESHOLDS), 0), np.bool_)]
    counts = [np.zeros((len(IOU_THRESHOLDS), 0), np.bool_)]
    for number, (found, truth, ignored) in enumerate(rows):
        mine = [row for row, name in enumerate(found.labels) if name == label]
        theirs = [row for row, name in enumerate(truth.labels) if name == label]
        if not mine:
            continue
        ranked = ranks(found)
        mine = sorted(mine, key=lambda row: -ranked[row])[:MAX_BOXES]
        pictures += [number] * len(mine)
        scores += [ranked[row] for row in mine]
        overlaps = box_iou(found.xyxy[mine], truth.xyxy[theirs])
        its_right, its_counts = _judged(overlaps, *_regions(found.xyxy[mine], ignored, label))
        right.append(its_right)
        counts.append(its_counts)
    order = np.argsort(-np.array(scores), kind="stable")
    return _Name(
        pictures=np.array(pictures, np.intp)[order],
        right=np.concatenate(right, axis=1)[:, order],
        counts=np.concatenate(counts, axis=1)[:, order],
        true_boxes=np.array([truth.labels.count(label) for _, truth, _ in rows]),
    )


def _regions(xyxy: Array, ignored: Ignored | None, label: str) -> tuple[Array, NDArray[np.bool_]]:
    """Overlaps `(D, G)` with the regions to ignore of a name, and which are crowds `(G,)`."""
    if ignored is None:
        return np.zeros((len(xyxy), 0)), np.zeros(0, np.bool_)
    of_name = np.array([name in (label, "") for name in ignored.boxes.labels], dtype=bool)
    overlaps = ignored_overlap(xyxy, ignored)[:, of_name]
    return overlaps, np.array(ignored.crowds, dtype=bool)[of_name]


def _judged(
    overlaps: Array, regions: Array, crowds: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Give each found box, best first, the free true box that it overlaps most.

    One that gets none may meet a region to ignore: a crowd takes any number, others one each.

    Returns:
        `right` and `counts`, `(T, D)`.
    """
    num_found = len(overlaps)
    right = np.zeros((len(IOU_THRESHOLDS), num_found), np.bool_)
    counts = np.ones_like(right)
    for step, threshold in enumerate(IOU_THRESHOLDS):
        free, open_regions = np.ones(overlaps.shape[1], bool), np.ones(regions.shape[1], bool)
        for row in range(num_found):
            if (best := _best(overlaps[row], free, threshold)) is not None:
                right[step, row], free[best] = True, False
            elif (best := _best(regions[row], open_regions, threshold)) is not None:
                counts[step, row], open_regions[best] = False, crowds[best]
    return right, counts


def _best(overlaps: Array, free: NDArray[np.bool_], threshold: float) -> int | None:
    """The free one that is overlapped most, if it is overlapped enough."""
    if not free.any():
        return None
    left = np.where(free, overlaps, -1.0)
    best = int(left.argmax())
    return best if left[best] >= threshold else None
