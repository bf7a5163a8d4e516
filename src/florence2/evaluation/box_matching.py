"""Found boxes against true ones, with scores: the rules of COCO, LVIS and VOC.

A protocol is a rule of matching and a way to read the curve of precision over recall:

    COCO      a found box takes the free true box that it overlaps most; IoU 0.50 to 0.95, read at
              101 recalls
    LVIS      the same; 300 boxes of a picture in place of 100 of a name
    VOC 2007  a found box takes the true box that it overlaps most, or is wrong where a better one
              took that; IoU 0.5, read at 11 recalls
    VOC       from 2010 on: the same, but the whole area below the curve

Open Images is VOC with its group-of boxes as crowds. What is to be ignored (crowds, groups,
difficult objects) and for what a picture was searched belongs to the data, under each protocol.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from florence2.data.records import Federated, Ignored
from florence2.evaluation.detection import ignored_overlap, judged_rows, names_in, names_of
from florence2.geometry import Array, box_area, box_iou
from florence2.results import Boxes

Bools = NDArray[np.bool_]

COCO_THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())
ALMOST_ONE = 1 - 1e-10  # COCO's limit of a threshold
ANYTHING = "object"  # the one name of boxes whose names do not count

# Areas in square pixels, both ends included.
ANY_AREA = (0.0, float("inf"))
AREA_RANGES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e5**2)}


@dataclass(frozen=True)
class Protocol:
    """How a program of the field computes AP.

    Attributes:
        name: as it is told.
        iou_thresholds: the AP is the mean over these.
        recalls: at how many recalls from 0 to 1 the curve is read; None for the area below it.
        tries_next: a found box may take a free true box where a better one took that which it
            overlaps most.
        max_of_name: boxes of one name in one picture; the best are kept.
        max_of_picture: boxes of one picture, whatever their names.
        needs_area: boxes without an area, true or found, do not count.
    """

    name: str
    iou_thresholds: tuple[float, ...]
    recalls: int | None
    tries_next: bool
    max_of_name: int | None = None
    max_of_picture: int | None = None
    needs_area: bool = False


COCO = Protocol("COCO", COCO_THRESHOLDS, recalls=101, tries_next=True, max_of_name=100)
LVIS = Protocol(
    "LVIS", COCO_THRESHOLDS, recalls=101, tries_next=True, max_of_picture=300, needs_area=True
)
VOC2007 = Protocol("VOC 2007", (0.5,), recalls=11, tries_next=False)
VOC = Protocol("VOC", (0.5,), recalls=None, tries_next=False)
PROTOCOLS = {"coco": COCO, "lvis": LVIS, "voc2007": VOC2007, "voc": VOC}


class Judged(NamedTuple):
    """Found and true boxes of a picture.

    Attributes:
        ignored: regions that are neither right nor wrong to find; without a name, of any.
        federated: for what the picture was searched, if not for every name.
        true_areas: `(N,)` in pixels, of the true objects, where those are not the areas of their
            boxes (COCO and LVIS take those of masks). Only ranges of areas need them.
    """

    found: Boxes
    truth: Boxes
    ignored: Ignored | None = None
    federated: Federated | None = None
    true_areas: Array | None = None


Pair = tuple[Boxes, Boxes]  # found, truth


def ranks(found: Boxes) -> list[float]:
    """Return a score of each box: its own if all have one, else one that falls with its place."""
    scores = [score for score in found.scores or () if score is not None]
    if len(scores) == len(found.labels):
        return scores
    return [1 / place for place in range(1, len(found.labels) + 1)]


def has_equal_scores(found: Iterable[Boxes]) -> bool:
    """Whether all of several boxes have one score, so that AP hangs on their order."""
    scores = [score for boxes in found for score in ranks(boxes)]
    return len(scores) > 1 and len(set(scores)) == 1


# ---- pictures, ready to be matched


class _Side(NamedTuple):
    """Boxes of a picture, with names as they are compared."""

    labels: NDArray[np.object_]
    xyxy: Array
    areas: Array


class Picture(NamedTuple):
    """One picture; found boxes from the highest score to the lowest.

    Attributes:
        scores: `(D,)`.
        is_open: `(D,)`, whether the picture was not exhaustively searched for what was found.
        region_labels: `(G,)`, of the regions to ignore.
    """

    found: _Side
    scores: Array
    is_open: Bools
    truth: _Side
    ignored: Ignored
    region_labels: NDArray[np.object_]

    @classmethod
    def of(cls, judged: Judged, protocol: Protocol, use_labels: bool) -> "Picture":
        found, truth, ignored, federated, true_areas = judged
        areas = box_area(truth.xyxy) if true_areas is None else np.asarray(true_areas)
        if protocol.needs_area:
            truth, areas = truth.select(np.flatnonzero(areas > 0).tolist()), areas[areas > 0]
        scores = np.array(ranks(found), np.float64)
        order = np.argsort(-scores, kind="stable")[: protocol.max_of_picture]
        labels = [found.labels[row] for row in order]
        rows = judged_rows(labels, truth, ignored, federated)
        if protocol.needs_area:
            rows = rows[box_area(found.xyxy[order])[rows] > 0]
        labels, order = [labels[row] for row in rows], order[rows]
        is_open = names_in(labels, federated.not_exhaustive if federated else ())
        if ignored is None:
            ignored = Ignored(truth.select([]), ())

        def named(given: Sequence[str]) -> NDArray[np.object_]:
            return names_of(given if use_labels else [ANYTHING] * len(given))

        xyxy = found.xyxy[order]
        return cls(
            _Side(named(labels), xyxy, box_area(xyxy)),
            scores[order],
            is_open,
            _Side(named(truth.labels), truth.xyxy, areas),
            ignored,
            named(ignored.boxes.labels),
        )


Rows = dict[str, dict[int, list[int]]]  # of boxes, by name and number of the picture


def rows_of(labels: Iterable[NDArray[np.object_]]) -> Rows:
    rows: Rows = defaultdict(lambda: defaultdict(list))
    for number, each in enumerate(labels):
        for row, label in enumerate(each):
            rows[label][number].append(row)
    return rows


# ---- matching


@dataclass(frozen=True)
class MatchedBoxes:
    """All found boxes of one name, from the highest score to the lowest.

    Attributes:
        pictures: `(D,)`, the number of the picture of each.
        right: `(T, D)`, whether it meets a true box at each threshold.
        counts: `(T, D)`, whether it is right or wrong; what meets a region to ignore is neither.
        true_pictures: `(N,)`, the number of the picture of each true box.
    """

    pictures: NDArray[np.intp]
    right: Bools
    counts: Bools
    true_pictures: NDArray[np.intp]


class Rule(NamedTuple):
    """How boxes are matched, and of which areas."""

    protocol: Protocol
    area_range: tuple[float, float]


def match_name(
    pictures: Sequence[Picture],
    label: str,
    found_rows: Mapping[int, list[int]],
    true_rows: Mapping[int, list[int]],
    rule: Rule,
) -> MatchedBoxes:
    """Match the boxes of one name, picture by picture."""
    steps = len(rule.protocol.iou_thresholds)
    right, counts = [np.zeros((steps, 0), np.bool_)], [np.zeros((steps, 0), np.bool_)]
    scores, numbers, true_numbers = [np.zeros(0)], [np.zeros(0, np.intp)], [np.zeros(0, np.intp)]
    for number in sorted({*found_rows, *true_rows}):
        picture = pictures[number]
        mine = found_rows.get(number, [])[: rule.protocol.max_of_name]
        theirs = true_rows.get(number, [])
        num_true, is_right, is_counted = _judged(picture, label, mine, theirs, rule)
        right.append(is_right)
        counts.append(is_counted)
        scores.append(picture.scores[mine])
        numbers.append(np.full(len(mine), number))
        true_numbers.append(np.full(num_true, number))
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return MatchedBoxes(
        pictures=np.concatenate(numbers)[order],
        right=np.concatenate(right, axis=1)[:, order],
        counts=np.concatenate(counts, axis=1)[:, order],
        true_pictures=np.concatenate(true_numbers),
    )


def _judged(
    picture: Picture, label: str, mine: list[int], theirs: list[int], rule: Rule
) -> tuple[int, Bools, Bools]:
    """Judge the found boxes of one name in one picture.

    Returns:
        How many true boxes there are, and which found ones are right, and which count, `(T, D)`.
    """
    found, truth = picture.found, picture.truth
    is_meant = _within(truth.areas[theirs], rule.area_range)
    overlaps = box_iou(found.xyxy[mine], truth.xyxy[theirs])
    of_name = (picture.region_labels == label) | (picture.region_labels == "")
    regions = np.zeros((len(mine), 0))
    if of_name.any():
        regions = ignored_overlap(found.xyxy[mine], picture.ignored)[:, of_name]
    beside = overlaps[:, ~is_meant], regions
    crowds = np.zeros(beside[0].shape[1], bool), np.array(picture.ignored.crowds, bool)[of_name]
    right, is_ignored = (_with_second_choice if rule.protocol.tries_next else _best_only)(
        overlaps[:, is_meant],
        np.concatenate(beside, axis=1),
        np.concatenate(crowds),
        np.minimum(rule.protocol.iou_thresholds, ALMOST_ONE),
    )
    is_out = picture.is_open[mine] | ~_within(found.areas[mine], rule.area_range)
    return int(is_meant.sum()), right, right | ~(is_ignored | is_out)


def _within(areas: Array, area_range: tuple[float, float]) -> Bools:
    inside: Bools = (areas >= area_range[0]) & (areas <= area_range[1])
    return inside


# Both get overlaps of found boxes, best first, with true ones `(D, N)` and with regions to ignore
# `(D, G)`, and which of these are crowds `(G,)`; they return which found boxes are right, and which
# are to be ignored, `(T, D)`.


def _with_second_choice(
    overlaps: Array, regions: Array, crowds: Bools, thresholds: Array
) -> tuple[Bools, Bools]:
    """Give each found box the free true box that it overlaps most; of equal ones the last.

    One that gets none may meet a region to ignore: a crowd takes any number, others one each.
    """
    num_steps, num_found = len(thresholds), len(overlaps)
    right = np.zeros((num_steps, num_found), np.bool_)
    is_ignored = np.zeros_like(right)
    free = np.ones((num_steps, overlaps.shape[1]), np.bool_)
    is_open = np.ones((num_steps, regions.shape[1]), np.bool_)
    for row in range(num_found):
        best, met = _last_best(overlaps[row], free, thresholds)
        right[met, row], free[met, best[met]] = True, False
        best, met = _last_best(regions[row], is_open & ~met[:, None], thresholds)
        is_ignored[met, row], is_open[met, best[met]] = True, crowds[best[met]]
    return right, is_ignored


def _last_best(overlaps: Array, free: Bools, thresholds: Array) -> tuple[NDArray[np.intp], Bools]:
    """At each threshold, the free one that is overlapped most, and whether that is enough."""
    if not free.any():
        return np.zeros(len(free), np.intp), np.zeros(len(free), np.bool_)
    left = np.where(free, overlaps, -1.0)
    best = left.shape[1] - 1 - left[:, ::-1].argmax(axis=1)
    return best, left[np.arange(len(left)), best] >= thresholds


def _best_only(
    overlaps: Array, regions: Array, crowds: Bools, thresholds: Array
) -> tuple[Bools, Bools]:
    """Each found box meets the one box that it overlaps most, be it free, taken or to be ignored.

    One that is not right is ignored in a crowd.
    """
    boxes = np.concatenate([overlaps, regions[:, ~crowds], np.zeros((len(overlaps), 1))], axis=1)
    best = boxes.argmax(axis=1)
    met = boxes.max(axis=1) >= thresholds[:, None]
    right = np.zeros_like(met)
    for row, column in enumerate(best):
        if column < overlaps.shape[1]:
            taken = (right[:, :row] & (best[:row] == column)).any(axis=1)
            right[:, row] = met[:, row] & ~taken
    is_true = best < overlaps.shape[1]
    in_crowd = regions[:, crowds].max(axis=1, initial=0.0) >= thresholds[:, None]
    return right, ~right & ((met & ~is_true) | in_crowd)
