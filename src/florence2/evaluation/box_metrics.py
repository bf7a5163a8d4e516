"""Boxes, quads and outlines against true ones."""

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np

from florence2.evaluation.average_precision import BoxRanking
from florence2.evaluation.box_matching import COCO, LVIS, Judged, Protocol, has_equal_scores
from florence2.evaluation.detection import count_boxes, drop_ignored, names_in
from florence2.evaluation.intervals import Interval, bootstrap, mean, ratio
from florence2.evaluation.masks import mask_overlap
from florence2.evaluation.measured import Metrics, with_empty
from florence2.evaluation.predict import Prediction
from florence2.evaluation.questions import pictures_of
from florence2.evaluation.words import words_of
from florence2.results import Boxes, Polygons, Quads, as_boxes
from florence2.tasks import split_classes

AP_RESAMPLES = 200


def measure_words(answered: Sequence[Prediction]) -> Metrics:
    """Text with places: words at IoU 0.5 and spelt alike."""
    pairs = [
        Judged(words_of(cast(Quads, found)), words_of(cast(Quads, record.result)))
        for found, record in answered
    ]
    pictures = _pictures(answered)
    return _with_silence(matching(pairs, pictures), pairs, pictures)


def measure_detection(answered: Sequence[Prediction], protocol: Protocol = COCO) -> Metrics:
    """Boxes with names: F1 and AP, and both for the boxes alone."""
    rows, pictures = _judged(answered), _pictures(answered)
    named = matching(rows, pictures)
    bare = matching(rows, pictures, use_labels=False)
    bare_precision = _average_precision(rows, pictures, protocol, use_labels=False)
    numbers = {
        **named.numbers,
        **_average_precision(rows, pictures, protocol, use_labels=True),
        "box_f1": bare.numbers["f1"],
        **{f"box_{name}": value for name, value in bare_precision.items()},
    }
    told = protocol.name
    if protocol is LVIS and not any(row.federated for row in rows):
        told += " (no picture says for which names it was searched, so all count)"
    notes = {"protocol": told, "ranked_by": _ranked_by([each.found for each in rows])}
    return _with_silence(Metrics(numbers, named.per_sample_quality, notes), rows, pictures)


def measure_dense_captions(answered: Sequence[Prediction]) -> Metrics:
    """Boxes with descriptions: F1 of both exactly, and of the boxes alone."""
    rows, pictures = _judged(answered), _pictures(answered)
    whole = matching(rows, pictures)
    bare = matching(rows, pictures, use_labels=False)
    numbers = {**whole.numbers, "box_f1": bare.numbers["f1"]}
    return _with_silence(Metrics(numbers, whole.per_sample_quality), rows, pictures)


def measure_proposals(answered: Sequence[Prediction]) -> Metrics:
    """Boxes without names."""
    rows, pictures = _judged(answered), _pictures(answered)
    return _with_silence(matching(rows, pictures, use_labels=False), rows, pictures)


def measure_open_detection(answered: Sequence[Prediction]) -> Metrics:
    """Boxes of asked names; a name that is not there should get none."""
    rows, pictures = _judged(answered), _pictures(answered)
    absent = [
        _missing(split_classes(record.text_input), row.truth.labels)
        for (_, record), row in zip(answered, rows, strict=True)
    ]
    return _with_rejection(matching(rows, pictures), rows, absent, pictures)


def measure_grounding(
    answered: Sequence[Prediction], phrases_of: Callable[[str], Sequence[str]] | None = None
) -> Metrics:
    """Boxes of phrases; a phrase for which there is nothing should get none.

    Args:
        phrases_of: finds the phrases of a caption; without it only those questions have an
            absent phrase that have no true box at all.
    """
    rows, pictures = _judged(answered), _pictures(answered)
    absent: list[Sequence[str]] = []
    for (_, record), (_, truth, *_) in zip(answered, rows, strict=True):
        parts = phrases_of(record.text_input) if phrases_of and truth.labels else ()
        absent.append(_missing(parts, truth.labels) if truth.labels else [record.text_input])
    return _with_rejection(matching(rows, pictures), rows, absent, pictures)


def measure_masks(answered: Sequence[Prediction]) -> Metrics:
    """Outlines: the mean of the IoU of questions, and the IoU of all pixels together."""
    pairs = [(cast(Polygons, found), cast(Polygons, record.result)) for found, record in answered]
    pictures = _pictures(answered)
    common, either = zip(*(mask_overlap(*pair) for pair in pairs), strict=True)
    known = [bool(truth.polygons) for _, truth in pairs]
    qualities = [part / whole if whole else 1.0 for part, whole in zip(common, either, strict=True)]
    numbers = {
        "mean_iou": mean(qualities, known, pictures=pictures),
        "all_iou": ratio(common, either, list(map(float, known)), pictures=pictures),
    }
    silent = [not found.polygons for found, _ in pairs]
    return with_empty(Metrics(numbers, qualities), [not each for each in known], silent, pictures)


# ---- what measures of boxes share


def _judged(answered: Sequence[Prediction]) -> list[Judged]:
    return [
        Judged(as_boxes(found), as_boxes(record.result), record.ignored, record.federated)
        for found, record in answered
    ]


def _pictures(answered: Sequence[Prediction]) -> list[int]:
    return pictures_of(record for _, record in answered)


def matching(
    rows: Sequence[Judged], pictures: Sequence[int], *, use_labels: bool = True
) -> Metrics:
    """Precision, recall and F1 at IoU 0.5; what is to be ignored is neither right nor wrong."""
    counts = [
        count_boxes(
            drop_ignored(found, truth, ignored, federated, use_labels=use_labels),
            truth,
            use_labels=use_labels,
        )
        for found, truth, ignored, federated, _ in rows
    ]
    right = [each.right_boxes for each in counts]
    found = [each.found_boxes for each in counts]
    truth = [each.true_boxes for each in counts]
    both = [each.found_boxes + each.true_boxes for each in counts]
    numbers = {
        "precision": ratio(right, found, truth, pictures=pictures),
        "recall": ratio(right, truth, pictures=pictures),
        "f1": ratio([2 * each for each in right], both, truth, pictures=pictures),
    }
    qualities = [
        2 * part / whole if whole else 1.0 for part, whole in zip(right, both, strict=True)
    ]
    return Metrics(numbers, qualities)


def _average_precision(
    rows: Sequence[Judged], pictures: Sequence[int], protocol: Protocol, *, use_labels: bool
) -> dict[str, Interval]:
    """The AP of all thresholds of a protocol, and at IoU 0.50."""
    ranking = BoxRanking(rows, use_labels=use_labels, protocol=protocol)
    of_row = np.array(pictures, dtype=np.intp)
    count = len(set(pictures))

    def of(drawn: np.ndarray[tuple[int], np.dtype[np.intp]]) -> tuple[float, float]:
        found = ranking.measure(np.bincount(drawn, minlength=count)[of_row].astype(float))
        return (
            (np.nan, np.nan) if found.ap is None or found.ap50 is None else (found.ap, found.ap50)
        )

    ap, ap50 = bootstrap(of, count, AP_RESAMPLES)
    return {"ap": ap, "ap50": ap50} if len(protocol.iou_thresholds) > 1 else {"ap50": ap50}


def _ranked_by(found: Sequence[Boxes]) -> str:
    if not all(boxes.scores is not None and None not in boxes.scores for boxes in found):
        return "order in which boxes were written, as not all have scores, and AP hangs on it"
    if has_equal_scores(found):
        return "order in which boxes were written, as all scores are equal, and AP hangs on it"
    return "scores of the model"


def _with_rejection(
    measured: Metrics,
    rows: Sequence[Judged],
    absent: Sequence[Sequence[str]],
    pictures: Sequence[int],
) -> Metrics:
    """Add the share of absent names and phrases that got no box."""
    silent = [
        sum(not _answers(row.found, row.truth, name) for name in names)
        for row, names in zip(rows, absent, strict=True)
    ]
    share = ratio(silent, [len(names) for names in absent], pictures=pictures)
    asked = sum(map(len, absent))
    notes = measured.notes | {"absent_asked": str(asked)}
    numbers = measured.numbers | ({"absent_silent": share} if asked else {})
    return Metrics(numbers, measured.per_sample_quality, notes)


def _with_silence(measured: Metrics, rows: Sequence[Judged], pictures: Sequence[int]) -> Metrics:
    """Add the share of answers without a box, of pictures that hold nothing."""
    empty = [not row.truth.labels and row.ignored is None and row.federated is None for row in rows]
    return with_empty(measured, empty, [not row.found.labels for row in rows], pictures)


def _missing(names: Sequence[str], labels: Sequence[str]) -> list[str]:
    there = names_in(names, labels)
    return [name for name, is_there in zip(names, there, strict=True) if not is_there]


def _answers(found: Boxes, truth: Boxes, name: str) -> bool:
    """Tell whether an absent name got a box; where nothing is there, any box is one too many."""
    return bool(names_in([name], found.labels)[0] if truth.labels else found.labels)
