"""Fit a calibration on labelled answers, and tell on others what it is worth.

A found object is right in three senses, one for each kind of score:

    place   it overlaps a true object by IoU 0.5 or more, which no better one took before
    label   the true object that it overlaps most has its label; where it meets none it is wrong
    both    it overlaps a true object of its label by so much, likewise
"""

import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from florence2.answers.calibration import COLUMNS, Calibration, Curve
from florence2.errors import DataError
from florence2.evaluation.detection import match_boxes, names_of
from florence2.geometry import Array, box_iou
from florence2.results import Boxes, Mixed, Quads, Result, as_boxes
from florence2.tasks import AnswerKind, Task

BINS = 10  # of equal width, for the calibration error
MIN_GROUP, MAX_POINTS = 20, 20  # objects behind a point of a curve, and points of it
MIN_OBJECTS = 50  # of each part; with fewer, chance is larger than what there is to correct
SEED = 1  # of the division into parts
KINDS = frozenset(AnswerKind) - {AnswerKind.TEXT, AnswerKind.POLYGONS}

Pair = tuple[Result, Result]  # found, truth
Sample = tuple[Array, Array]  # scores, and 1 for each that was right


def fit(
    pairs: Sequence[Pair],
    model: str,
    fingerprint: str,
    task: Task,
    pictures: Sequence[int] | None = None,
) -> Calibration:
    """Fit curves on half of the pictures; the other half says how large the error is.

    Args:
        pictures: of each pair, the number of its picture, from 0; all pairs of a picture are in
            one half. By default each pair is a picture.

    Raises:
        DataError: there are too few objects.
    """
    numbers = range(len(pairs)) if pictures is None else pictures
    order = random.Random(SEED).sample(range(len(set(numbers))), len(set(numbers)))
    half = (len(order) + 1) // 2
    rows: dict[int, list[Pair]] = {}
    for number, pair in zip(numbers, pairs, strict=True):
        rows.setdefault(number, []).append(pair)
    fitted, held = (
        _samples([pair for number in part for pair in rows[number]])
        for part in (order[:half], order[half:])
    )
    fewest = min(len(part["scores"][0]) for part in (fitted, held))
    if fewest < MIN_OBJECTS:
        raise DataError(
            f"the model found {fewest} objects in one half of {len(order)} pictures; a calibration"
            f" needs {MIN_OBJECTS} in each half, so give more pictures"
        )
    curves = {name: fit_curve(*fitted[name]) for name in COLUMNS if len(held[name][0])}
    measured = {
        "pictures": {"fitted": half, "held_out": len(order) - half},
        "scores": {
            name: _measured(curve, fitted[name], held[name]) for name, curve in curves.items()
        },
    }
    return Calibration(model, fingerprint, task, curves, measured)


def _measured(curve: Curve, fitted: Sample, held: Sample) -> Mapping[str, object]:
    scores, right = held
    return {
        "objects": {"fitted": len(fitted[0]), "held_out": len(scores)},
        "error_before": round(calibration_error(scores, right), 5),
        "error_after": round(calibration_error(curve(scores), right), 5),
        "before": _rows(scores, right),
        "after": _rows(curve(scores), right),
    }


def _rows(scores: Array, right: Array) -> list[dict[str, float]]:
    bins = reliability(scores, right)
    return [
        {"objects": each.objects, "score": round(each.score, 4), "right": round(each.share, 4)}
        for each in bins
        if each.objects
    ]


def _samples(pairs: Sequence[Pair]) -> dict[str, Sample]:
    """Scores and rightness of all found objects, by column; those without a score are left out."""
    columns: dict[str, list[tuple[float, bool]]] = {name: [] for name in COLUMNS}
    for found, truth in ((_boxes(found), _boxes(truth)) for found, truth in pairs):
        for name, right in judge(found, truth).items():
            scores = getattr(found, name) or [None] * len(right)
            known = zip(scores, right, strict=True)
            columns[name] += [(score, verdict) for score, verdict in known if score is not None]
    arrays = {name: np.array(rows, np.float64).reshape(-1, 2) for name, rows in columns.items()}
    return {name: (array[:, 0], array[:, 1]) for name, array in arrays.items()}


def judge(found: Boxes, truth: Boxes) -> dict[str, list[bool]]:
    """Whether both, place and label of each found box are right, by the column that tells."""
    overlaps = box_iou(found.xyxy, truth.xyxy)
    nearest = [int(row.argmax()) if row.any() else None for row in overlaps]
    names, true_names = names_of(found.labels), names_of(truth.labels)
    named = zip(names, nearest, strict=True)
    labels = [at is not None and bool(true_names[at] == label) for label, at in named]
    both, place = match_boxes(found, truth), match_boxes(found, truth, use_labels=False)
    return dict(zip(COLUMNS, (both, place, labels), strict=True))


def _boxes(result: Result) -> Boxes:
    """The objects of an answer as boxes, where they are quads those around them."""
    if isinstance(result, Boxes | Mixed | Quads):
        return as_boxes(result)
    raise DataError(
        f"a calibration needs boxes or quads; got a {type(result).__name__} result; choose another"
        " task"
    )


def fit_curve(scores: ArrayLike, right: ArrayLike) -> Curve:
    """Fit the rising curve that is nearest to what was right (isotonic regression).

    Few points keep it from following chance: each stands for `MIN_GROUP` objects or more, and
    counts one more, half right, so that no share is 0 or 1.

    Args:
        scores: `(N,)`, at least one.
        right: `(N,)`, 1 where the object was right, else 0.
    """
    given, is_right = np.asarray(scores, np.float64), np.asarray(right, np.float64)
    order = np.argsort(given, kind="stable")
    blocks: list[_Block] = []
    for part in np.array_split(order, max(1, min(MAX_POINTS, len(order) // MIN_GROUP))):
        block = _Block(float(given[part].sum()), float(is_right[part].sum()), len(part))
        while blocks and not block.is_above(blocks[-1]):
            block = blocks.pop().with_(block)
        blocks.append(block)
    return Curve(tuple(each.score for each in blocks), tuple(each.share for each in blocks))


class _Block(NamedTuple):
    """Objects of neighbouring scores, told by sums."""

    scores: float
    right: float
    objects: int

    @property
    def score(self) -> float:
        return self.scores / self.objects

    @property
    def share(self) -> float:
        return (self.right + 0.5) / (self.objects + 1)

    def is_above(self, other: "_Block") -> bool:
        return self.share > other.share and self.score > other.score

    def with_(self, other: "_Block") -> "_Block":
        return _Block(
            self.scores + other.scores, self.right + other.right, self.objects + other.objects
        )


class Bin(NamedTuple):
    """Objects whose scores are in one tenth of [0, 1]: how sure, and how many of them right."""

    objects: int
    score: float
    share: float


def reliability(scores: ArrayLike, right: ArrayLike) -> list[Bin]:
    """Compare what scores say with what was right, in `BINS` bins of equal width.

    >>> reliability([0.11, 0.13, 0.9], [0, 1, 1])[1:3]
    [Bin(objects=2, score=0.12, share=0.5), Bin(objects=0, score=0.0, share=0.0)]
    """
    given, is_right = np.asarray(scores, np.float64), np.asarray(right, np.float64)
    places = np.minimum((given * BINS).astype(int), BINS - 1)
    bins = []
    for place in range(BINS):
        inside = places == place
        count = int(inside.sum())
        means = (float(each[inside].mean()) if count else 0.0 for each in (given, is_right))
        bins.append(Bin(count, *means))
    return bins


def calibration_error(scores: ArrayLike, right: ArrayLike) -> float:
    """The expected calibration error: how far a score is from the share that is right, on average.

    The mean over the `reliability` bins, weighted by their objects; 0 for no objects.

    >>> round(calibration_error([0.2, 0.2, 0.9], [0, 1, 1]), 4)
    0.2333
    """
    bins = reliability(scores, right)
    total = sum(each.objects for each in bins)
    return sum(each.objects * abs(each.score - each.share) for each in bins) / max(total, 1)
