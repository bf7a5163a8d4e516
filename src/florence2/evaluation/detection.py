"""Boxes against true boxes, without scores: precision, recall and F1 at one IoU."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from florence2.data.records import Ignored
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

    @property
    def precision(self) -> float:
        return self.right_boxes / self.found_boxes if self.found_boxes else 0.0

    @property
    def recall(self) -> float:
        return self.right_boxes / self.true_boxes if self.true_boxes else 0.0

    @property
    def f1(self) -> float:
        total = self.true_boxes + self.found_boxes
        return 2 * self.right_boxes / total if total else 0.0


def match_boxes(
    found: Boxes, truth: Boxes, iou_threshold: float = 0.5, use_labels: bool = True
) -> list[bool]:
    """Whether each found box is right; boxes are matched greedily, best overlap first."""
    overlaps = box_iou(found.xyxy, truth.xyxy)
    if use_labels:
        same = np.array(found.labels, dtype=object)[:, None] == np.array(truth.labels, dtype=object)
        overlaps = np.where(same, overlaps, 0.0)
    right = [False] * len(overlaps)
    while overlaps.size and overlaps.max() >= iou_threshold:
        row, column = np.unravel_index(overlaps.argmax(), overlaps.shape)
        overlaps[row, :] = 0.0
        overlaps[:, column] = 0.0
        right[int(row)] = True
    return right


def drop_ignored(
    found: Boxes, truth: Boxes, ignored: Ignored | None, *, use_labels: bool = True
) -> Boxes:
    """Found boxes without those that are neither right nor wrong.

    These meet no true box at IoU 0.5, and lie with at least half of their area in a crowd of their
    name, or meet another region to ignore at IoU 0.5. Regions without a name are of all. The others
    keep their order.
    """
    if ignored is None or not len(found.labels):
        return found
    right = match_boxes(found, truth, use_labels=use_labels)
    overlaps = ignored_overlap(found.xyxy, ignored)
    if use_labels:
        names = np.array(ignored.boxes.labels, dtype=object)
        alike = np.array(found.labels, dtype=object)[:, None] == names
        overlaps = np.where(alike | (names == ""), overlaps, 0.0)
    unclear = overlaps.max(axis=1) >= 0.5
    return found.select([row for row, met in enumerate(right) if met or not unclear[row]])


def ignored_overlap(xyxy: Array, ignored: Ignored) -> Array:
    """How much boxes `(D, 4)` overlap regions `(G, 4)` to ignore: `(D, G)`, in [0, 1].

    The IoU, but for crowds the share of the box that lies in the crowd, as COCO has it.
    """
    overlaps = box_iou(xyxy, ignored.boxes.xyxy)
    crowds = np.array(ignored.crowds, dtype=bool)
    low = np.maximum(xyxy[:, None, :2], ignored.boxes.xyxy[None, crowds, :2])
    high = np.minimum(xyxy[:, None, 2:], ignored.boxes.xyxy[None, crowds, 2:])
    inside = np.clip(high - low, 0, None).prod(axis=-1)
    overlaps[:, crowds] = inside / np.maximum(box_area(xyxy), 1e-12)[:, None]
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
