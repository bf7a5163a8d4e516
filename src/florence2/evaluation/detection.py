"""Boxes against true boxes, without scores: precision, recall and F1 at one IoU."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from florence2.data.records import Federated, Ignored
from florence2.evaluation.text import composed
from florence2.geometry import Array, box_area, box_iou
from florence2.results import Boxes


@dataclass(frozen=True)
class DetectionCounts:
    """How many boxes were right; add up the counts of pictures, then ask for rates.

    A found box is right when it has the label of a true box, overlaps it by at least the
    IoU asked for, and no better found box took that true box before.
    """

    true_boxes: int = 0
    found_boxes: int = 0
    right_boxes: int = 0

    def __add__(self, other: "DetectionCounts") -> "DetectionCounts":
        return DetectionCounts(
            self.true_boxes + other.true_boxes,
            self.found_boxes + other.found_boxes,
            self.right_boxes + other.right_boxes,
        )

    # Without a true box there is no number; where none is found, nothing is right.

    @property
    def precision(self) -> float | None:
        return self.right_boxes / max(self.found_boxes, 1) if self.true_boxes else None

    @property
    def recall(self) -> float | None:
        return self.right_boxes / self.true_boxes if self.true_boxes else None

    @property
    def f1(self) -> float | None:
        total = self.true_boxes + self.found_boxes
        return 2 * self.right_boxes / total if self.true_boxes else None


def names_of(labels: Iterable[str]) -> NDArray[np.object_]:
    """Names `(N,)` as they are compared: in Unicode's composed form."""
    return np.array(list(map(composed, labels)), dtype=object)


def match_boxes(
    found: Boxes, truth: Boxes, iou_threshold: float = 0.5, use_labels: bool = True
) -> list[bool]:
    """Whether each found box is right; boxes are matched greedily, best overlap first."""
    overlaps = box_iou(found.xyxy, truth.xyxy)
    if use_labels:
        overlaps = np.where(_same_names(found.labels, truth.labels), overlaps, 0.0)
    right = [False] * len(overlaps)
    while overlaps.size and overlaps.max() >= iou_threshold:
        row, column = np.unravel_index(overlaps.argmax(), overlaps.shape)
        overlaps[row, :] = 0.0
        overlaps[:, column] = 0.0
        right[int(row)] = True
    return right


def drop_ignored(
    found: Boxes,
    truth: Boxes,
    ignored: Ignored | None,
    federated: Federated | None = None,
    *,
    use_labels: bool = True,
) -> Boxes:
    """Found boxes without those that are neither right nor wrong.

    These meet no true box at IoU 0.5, and lie with at least half of their area in a crowd of their
    name, or meet another region to ignore at IoU 0.5 (one without a name is of all); or have a name
    for which the picture was not, or not exhaustively, searched. The others keep their order.
    """
    found = found.select(judged_rows(found.labels, truth, ignored, federated).tolist())
    if (ignored is None and federated is None) or not len(found.labels):
        return found
    right = np.array(match_boxes(found, truth, use_labels=use_labels))
    unclear = names_in(found.labels, federated.not_exhaustive if federated else ())
    if ignored is not None:
        overlaps = ignored_overlap(found.xyxy, ignored)
        if use_labels:
            names = ignored.boxes.labels
            concerned = _same_names(found.labels, names) | (names_of(names) == "")
            overlaps = np.where(concerned, overlaps, 0.0)
        unclear |= overlaps.max(axis=1, initial=0.0) >= 0.5
    return found.select(np.flatnonzero(right | ~unclear).tolist())


def judged_rows(
    labels: Sequence[str], truth: Boxes, ignored: Ignored | None, federated: Federated | None
) -> NDArray[np.intp]:
    """Rows of the labels that are in the picture, or known not to be there."""
    if federated is None:
        return np.arange(len(labels))
    regions = ignored.boxes.labels if ignored else ()
    return np.flatnonzero(names_in(labels, (*truth.labels, *regions, *federated.negatives)))


def names_in(labels: Sequence[str], names: Iterable[str]) -> NDArray[np.bool_]:
    """Whether each label `(N,)` is one of the names."""
    known = set(names_of(names))
    return np.array([label in known for label in names_of(labels)], dtype=bool)


def _same_names(first: Sequence[str], second: Sequence[str]) -> NDArray[np.bool_]:
    same: NDArray[np.bool_] = names_of(first)[:, None] == names_of(second)
    return same


def ignored_overlap(xyxy: Array, ignored: Ignored) -> Array:
    """How much boxes `(D, 4)` overlap regions `(G, 4)` to ignore: `(D, G)`, in [0, 1].

    The IoU, but for crowds the share of the box that lies in the crowd, as COCO has it.
    """
    overlaps = box_iou(xyxy, ignored.boxes.xyxy)
    crowds = np.array(ignored.crowds, dtype=bool)
    low = np.maximum(xyxy[:, None, :2], ignored.boxes.xyxy[None, crowds, :2])
    high = np.minimum(xyxy[:, None, 2:], ignored.boxes.xyxy[None, crowds, 2:])
    inside = np.clip(high - low, 0, None).prod(axis=-1)
    areas = np.broadcast_to(box_area(xyxy)[:, None], inside.shape)
    overlaps[:, crowds] = np.divide(inside, areas, out=np.zeros_like(inside), where=areas > 0)
    return overlaps


def count_boxes(
    found: Boxes, truth: Boxes, iou_threshold: float = 0.5, use_labels: bool = True
) -> DetectionCounts:
    """Count the found, true and right boxes of one picture."""
    right = match_boxes(found, truth, iou_threshold, use_labels)
    return DetectionCounts(len(truth.labels), len(found.labels), sum(right))


def count_all(pairs: Iterable[tuple[Boxes, Boxes]], use_labels: bool = True) -> DetectionCounts:
    """Add up `(found, truth)` pairs of many pictures at IoU 0.5."""
    counts = (count_boxes(found, truth, use_labels=use_labels) for found, truth in pairs)
    return sum(counts, DetectionCounts())
