"""Average precision as COCO defines it, on NumPy alone; the tests compare it with the library.

Written once more because pictures can be weighed here: how often a picture was drawn is its
weight, so an interval costs no matching of boxes, and a training machine needs no library.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from florence2.geometry import Array, box_iou
from florence2.results import Boxes

Pair = tuple[Boxes, Boxes]  # found, truth

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
        true_boxes: `(N,)`, how many each picture has.
    """

    pictures: NDArray[np.intp]
    right: NDArray[np.bool_]
    true_boxes: NDArray[np.intp]

    def precision(self, weights: Array) -> Array:
        """Return the AP at each threshold `(T,)`, or NaN where no true box has any weight."""
        total = float(weights @ self.true_boxes)
        if not total:
            return np.full(len(IOU_THRESHOLDS), np.nan)
        weight = weights[self.pictures]
        right = np.cumsum(self.right * weight, axis=1)
        precision = right / (np.cumsum(weight) + np.spacing(1))
        # A curve that only falls, read at fixed recalls; 0 where recall does not get.
        curve = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        curve = np.column_stack([curve, np.zeros(len(curve))])
        rows = zip(curve, right / total, strict=True)
        return np.array([line[np.searchsorted(recall, RECALLS)].mean() for line, recall in rows])


class BoxRanking:
    """Found and true boxes of many pictures, matched once.

    Boxes are ranked by their scores over all pictures; where a picture has none, by the order
    in which they were written.
    """

    def __init__(self, pairs: Sequence[Pair], *, use_labels: bool = True) -> None:
        if not use_labels:
            pairs = [(_nameless(found), _nameless(truth)) for found, truth in pairs]
        self._count = len(pairs)
        self._names = [
            _matched(pairs, label)
            for label in sorted({label for _, truth in pairs for label in truth.labels})
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


def _matched(pairs: Sequence[Pair], label: str) -> _Name:
    """Match the boxes of one name, picture by picture."""
    pictures: list[int] = []
    scores: list[float] = []
    right = [np.zeros((len(IOU_THRESHOLDS), 0), np.bool_)]
    for number, (found, truth) in enumerate(pairs):
        mine = [row for row, name in enumerate(found.labels) if name == label]
        theirs = [row for row, name in enumerate(truth.labels) if name == label]
        if not mine:
            continue
        ranked = ranks(found)
        mine = sorted(mine, key=lambda row: -ranked[row])[:MAX_BOXES]
        pictures += [number] * len(mine)
        scores += [ranked[row] for row in mine]
        right.append(_right(box_iou(found.xyxy[mine], truth.xyxy[theirs])))
    order = np.argsort(-np.array(scores), kind="stable")
    return _Name(
        pictures=np.array(pictures, np.intp)[order],
        right=np.concatenate(right, axis=1)[:, order],
        true_boxes=np.array([truth.labels.count(label) for _, truth in pairs]),
    )


def _right(overlaps: Array) -> NDArray[np.bool_]:
    """Give each found box, best first, the free true box that it overlaps most: `(T, D)`."""
    right = np.zeros((len(IOU_THRESHOLDS), len(overlaps)), np.bool_)
    if not overlaps.shape[1]:
        return right
    thresholds = np.arange(len(IOU_THRESHOLDS))
    free = np.ones((len(IOU_THRESHOLDS), overlaps.shape[1]), np.bool_)
    for row, overlap in enumerate(overlaps):
        left = np.where(free, overlap, -1.0)
        best = left.argmax(axis=1)
        right[:, row] = left[thresholds, best] >= IOU_THRESHOLDS
        free[thresholds[right[:, row]], best[right[:, row]]] = False
    return right
