"""Average precision as COCO, LVIS and VOC define it; tests compare it with their programs.

Written once more because pictures can be weighed here: how often a picture was drawn is its
weight, so an interval costs no matching of boxes, and a training machine needs no library.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from florence2.evaluation.box_matching import (
    ANY_AREA,
    COCO,
    Judged,
    MatchedBoxes,
    Pair,
    Picture,
    Protocol,
    Rule,
    match_name,
    rows_of,
)
from florence2.geometry import Array


@dataclass(frozen=True)
class AveragePrecision:
    """The AP of a protocol, and at its lowest IoU, 0.50: means over the names of true boxes.

    Both are None where there is no true box.
    """

    ap: float | None
    ap50: float | None


class BoxRanking:
    """Found and true boxes of many pictures, matched once.

    Boxes are ranked by their scores over all pictures; where a picture has none, by the order
    in which they were written. Equal scores keep the order of the pictures and of the boxes in
    them, and the AP hangs on that order. Names are compared in Unicode's composed form.

    Args:
        pictures: each a `Judged`, or the found and true boxes alone.
        use_labels: else all boxes have one name.
        area_range: true boxes of other areas are to be ignored, and found ones of other areas that
            meet none (`AREA_RANGES`).
    """

    def __init__(
        self,
        pictures: Iterable[Judged | Pair],
        *,
        use_labels: bool = True,
        protocol: Protocol = COCO,
        area_range: tuple[float, float] = ANY_AREA,
    ) -> None:
        self._protocol = protocol
        rows = [Picture.of(Judged(*each), protocol, use_labels) for each in pictures]
        self._count = len(rows)
        found = rows_of(row.found.labels for row in rows)
        truth = rows_of(row.truth.labels for row in rows)
        matches = {
            label: match_name(rows, label, found[label], truth[label], Rule(protocol, area_range))
            for label in sorted(truth)
        }
        self._names = {label: each for label, each in matches.items() if len(each.true_pictures)}

    def measure(self, weights: Array | None = None) -> AveragePrecision:
        """Return the AP where pictures count `weights` times `(N,)`, or once."""
        return _summary(self._precisions(weights))

    def by_name(self) -> dict[str, AveragePrecision]:
        """The AP of each name of which there is a true box."""
        rows = zip(self._names, self._precisions(None), strict=True)
        return {label: _summary(row[None]) for label, row in rows}

    def _precisions(self, weights: Array | None) -> Array:
        """`(names, T)`"""
        given = np.ones(self._count) if weights is None else weights
        recalls = self._protocol.recalls
        rows = [_precision(each, given, recalls) for each in self._names.values()]
        return np.array(rows).reshape(-1, len(self._protocol.iou_thresholds))


def _summary(precisions: Array) -> AveragePrecision:
    kept = precisions[~np.isnan(precisions[:, 0])]
    if not len(kept):
        return AveragePrecision(None, None)
    return AveragePrecision(float(kept.mean()), float(kept[:, 0].mean()))


def _precision(matched: MatchedBoxes, weights: Array, recalls: int | None) -> Array:
    """Return the AP at each threshold `(T,)`, or nan where no true box has any weight."""
    total = float(weights[matched.true_pictures].sum())
    if not total:
        return np.full(len(matched.right), np.nan)
    weight = weights[matched.pictures]
    steps = matched.right * weight
    right = np.cumsum(steps, axis=1)
    precision = right / (np.cumsum(matched.counts * weight, axis=1) + np.spacing(1))
    curve = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]  # only falls
    if recalls is None:
        area: Array = (curve * steps).sum(axis=1) / total
        return area
    places = np.linspace(0.0, 1.0, recalls)
    curve = np.column_stack([curve, np.zeros(len(curve))])  # 0 where recall does not get
    rows = zip(curve, right / total, strict=True)
    read: Array = np.array([line[recall.searchsorted(places)] for line, recall in rows])
    return np.asarray(read.mean(axis=1))
