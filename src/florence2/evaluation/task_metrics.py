"""The measure of each task: answers against truth, as numbers with intervals.

Every measure also gives each answer a quality in [0, 1], by which a sheet of good and bad
answers is chosen. What breaks the grammar of a task counts as far as it can be understood.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import cast

import numpy as np

from florence2.evaluation.average_precision import (
    COCO,
    LVIS,
    BoxRanking,
    Judged,
    Protocol,
    has_equal_scores,
)
from florence2.evaluation.cider import cider
from florence2.evaluation.detection import count_boxes, drop_ignored, names_in
from florence2.evaluation.intervals import NO_NUMBER, Interval, bootstrap, mean, ratio
from florence2.evaluation.masks import mask_overlap
from florence2.evaluation.predict import Prediction
from florence2.evaluation.questions import Asked, pictures_of, text_questions
from florence2.evaluation.text import common_words, composed, edit_distance, normalized
from florence2.evaluation.words import words_of
from florence2.evaluation.written import anls, point_distances, words_of_written
from florence2.results import Boxes, Polygons, Quads, as_boxes
from florence2.tasks import Task, split_classes

AP_RESAMPLES = 200


@dataclass(frozen=True)
class Metrics:
    """What came out.

    Attributes:
        numbers: by name.
        per_sample_quality: one for each answer, in [0, 1].
        notes: how a number came about, where there are several ways.
    """

    numbers: dict[str, Interval]
    per_sample_quality: list[float]
    notes: dict[str, str] = field(default_factory=dict)


Measure = Callable[[Sequence[Prediction]], Metrics]


# ---- words


def measure_reading(answered: Sequence[Prediction]) -> Metrics:
    """Text: character error rate, and the share read without an error."""
    asked = text_questions(answered)
    pairs = [_nearest(each) for each in asked]
    edits = [edit_distance(read, truth) for read, truth in pairs]
    lengths = [len(truth) for _, truth in pairs]
    qualities = [
        max(0.0, 1 - wrong / max(length, 1)) for wrong, length in zip(edits, lengths, strict=True)
    ]
    cer = ratio(edits, lengths, pictures=[each.picture for each in asked])
    return _of_questions(asked, {"cer": cer, "exact": _share(asked, _is_equal)}, qualities)


def measure_names(answered: Sequence[Prediction]) -> Metrics:
    """The name of a region: the share that is right."""
    asked = text_questions(answered)
    right = [float(_is_plainly_equal(each)) for each in asked]
    return _of_questions(asked, {"accuracy": _share(asked, _is_plainly_equal)}, right)


def measure_captions(answered: Sequence[Prediction], names: Mapping[str, str]) -> Metrics:
    """Captions: their words, and which of the things that the true one names they name.

    Args:
        names: every name that may occur, with its plural.
    """
    asked = text_questions(answered)
    pictures = [each.picture for each in asked]
    named = [(_named(each.found.text, names), _named(_best(each), names)) for each in asked]
    common = [len(told & truth) for told, truth in named]
    true = [len(truth) for _, truth in named]
    numbers = {
        "names_precision": ratio(common, [len(told) for told, _ in named], true, pictures=pictures),
        "names_recall": ratio(common, true, pictures=pictures),
    }
    sentences = measure_sentences(answered)
    return Metrics(numbers | sentences.numbers, sentences.per_sample_quality, sentences.notes)


def measure_sentences(answered: Sequence[Prediction]) -> Metrics:
    """Sentences: F1 of their words, CIDEr, and the share that is word for word a true one.

    Each is asked once a picture; F1 is that with the best of its references, CIDEr the mean over
    them. There is no CIDEr of one picture, whose n-grams tell it from no other.
    """
    asked = text_questions(answered)
    counts = [common_words(each.found.text, _best(each)) for each in asked]
    common = [2 * both for both, _, _ in counts]
    total = [first + second for _, first, second in counts]
    qualities = [part / whole if whole else 1.0 for part, whole in zip(common, total, strict=True)]
    pictures = [each.picture for each in asked]
    numbers = {
        "word_f1": ratio(common, total, [each for *_, each in counts], pictures=pictures),
        "exact": _share(asked, _is_plainly_equal),
        "cider": _cider(asked),
    }
    return _of_questions(asked, numbers, qualities)


def measure_written(answered: Sequence[Prediction]) -> Metrics:
    """Answers to prompts of a checkpoint's own: to the letter, by their words, by their places."""
    asked = text_questions(answered)
    pictures = [each.picture for each in asked]
    pairs = [(each.found, max(each.references, key=partial(anls, each.found))) for each in asked]
    numbers = {"exact": _share(asked, _is_written_so)}
    qualities = [anls(found, truth) for found, truth in pairs]
    words = [bool(words_of_written(truth)) for _, truth in pairs]
    if any(words):
        numbers["anls"] = mean(qualities, words, pictures=pictures)
    if any(truth.boxes.labels for _, truth in pairs):
        boxes = [Judged(found.boxes, truth.boxes) for found, truth in pairs]
        numbers |= _matching(boxes, pictures).numbers
    distances = [point_distances(found, truth) for found, truth in pairs]
    if any(distances):
        sums, counts = list(map(sum, distances)), list(map(len, distances))
        numbers["point_distance"] = ratio(sums, counts, pictures=pictures)
    return _of_questions(asked, numbers, qualities)


# ---- boxes and outlines


def measure_words(answered: Sequence[Prediction]) -> Metrics:
    """Text with places: words at IoU 0.5 and spelt alike."""
    pairs = [
        Judged(words_of(cast(Quads, found)), words_of(cast(Quads, record.result)))
        for found, record in answered
    ]
    pictures = _pictures(answered)
    return _with_silence(_matching(pairs, pictures), pairs, pictures)


def measure_detection(answered: Sequence[Prediction], protocol: Protocol = COCO) -> Metrics:
    """Boxes with names: F1 and AP, and both for the boxes alone."""
    rows, pictures = _judged(answered), _pictures(answered)
    named = _matching(rows, pictures)
    bare = _matching(rows, pictures, use_labels=False)
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
    whole = _matching(rows, pictures)
    bare = _matching(rows, pictures, use_labels=False)
    numbers = {**whole.numbers, "box_f1": bare.numbers["f1"]}
    return _with_silence(Metrics(numbers, whole.per_sample_quality), rows, pictures)


def measure_proposals(answered: Sequence[Prediction]) -> Metrics:
    """Boxes without names."""
    rows, pictures = _judged(answered), _pictures(answered)
    return _with_silence(_matching(rows, pictures, use_labels=False), rows, pictures)


def measure_open_detection(answered: Sequence[Prediction]) -> Metrics:
    """Boxes of asked names; a name that is not there should get none."""
    rows, pictures = _judged(answered), _pictures(answered)
    absent = [
        _missing(split_classes(record.text_input), row.truth.labels)
        for (_, record), row in zip(answered, rows, strict=True)
    ]
    return _with_rejection(_matching(rows, pictures), rows, absent, pictures)


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
    return _with_rejection(_matching(rows, pictures), rows, absent, pictures)


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
    return _with_empty(Metrics(numbers, qualities), [not each for each in known], silent, pictures)


MEASURES: Mapping[Task | None, Measure] = {
    None: measure_written,
    Task.CAPTION: measure_sentences,
    Task.DETAILED_CAPTION: measure_sentences,
    Task.MORE_DETAILED_CAPTION: measure_sentences,
    Task.OD: measure_detection,
    Task.DENSE_REGION_CAPTION: measure_dense_captions,
    Task.REGION_PROPOSAL: measure_proposals,
    Task.OCR: measure_reading,
    Task.OCR_WITH_REGION: measure_words,
    Task.CAPTION_TO_PHRASE_GROUNDING: measure_grounding,
    Task.OPEN_VOCABULARY_DETECTION: measure_open_detection,
    Task.REFERRING_EXPRESSION_SEGMENTATION: measure_masks,
    Task.REGION_TO_SEGMENTATION: measure_masks,
    Task.REGION_TO_CATEGORY: measure_names,
    Task.REGION_TO_DESCRIPTION: measure_sentences,
    Task.REGION_TO_OCR: measure_reading,
}


# ---- what measures of words share


def _of_questions(
    asked: Sequence[Asked], numbers: dict[str, Interval], qualities: Sequence[float]
) -> Metrics:
    """Give each answer the quality of its question; count apart where nothing is true."""
    by_row = {
        row: quality for each, quality in zip(asked, qualities, strict=True) for row in each.rows
    }
    measured = Metrics(numbers, [by_row[row] for row in range(len(by_row))])
    return _with_empty(
        measured,
        [each.is_empty for each in asked],
        [not each.found.text.strip() for each in asked],
        [each.picture for each in asked],
    )


def _share(asked: Sequence[Asked], is_right: Callable[[Asked], bool]) -> Interval:
    """The share of right answers, of those questions in which something is true."""
    return mean(
        [float(is_right(each)) for each in asked],
        [not each.is_empty for each in asked],
        pictures=[each.picture for each in asked],
    )


def _is_equal(asked: Asked) -> bool:
    return any(normalized(asked.found.text) == normalized(each.text) for each in asked.references)


def _is_plainly_equal(asked: Asked) -> bool:
    return any(_plain(asked.found.text) == _plain(each.text) for each in asked.references)


def _is_written_so(asked: Asked) -> bool:
    return any(composed(asked.found.text) == composed(each.text) for each in asked.references)


def _nearest(asked: Asked) -> tuple[str, str]:
    """The answer, and the reference from which the smallest share of it is wrong."""
    read = normalized(asked.found.text)
    truths = [normalized(each.text) for each in asked.references]
    if len(truths) == 1:
        return read, truths[0]
    return read, min(truths, key=lambda truth: edit_distance(read, truth) / max(len(truth), 1))


def _best(asked: Asked) -> str:
    """The reference with which an answer shares most of its words."""

    def shared(truth: str) -> float:
        common, told, true = common_words(asked.found.text, truth)
        return common / max(told + true, 1)

    return max((each.text for each in asked.references), key=shared)


def _cider(asked: Sequence[Asked]) -> Interval:
    known = [each for each in asked if not each.is_empty]
    pictures = [each.picture for each in known]
    if len(known) < 2:
        return NO_NUMBER
    references = [[reference.text for reference in each.references] for each in known]
    scores = cider([each.found.text for each in known], references)
    return mean(scores.tolist(), pictures=pictures)


# ---- what measures of boxes share


def _judged(answered: Sequence[Prediction]) -> list[Judged]:
    return [
        Judged(as_boxes(found), as_boxes(record.result), record.ignored, record.federated)
        for found, record in answered
    ]


def _pictures(answered: Sequence[Prediction]) -> list[int]:
    return pictures_of(record for _, record in answered)


def _matching(
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
    return _with_empty(measured, empty, [not row.found.labels for row in rows], pictures)


def _with_empty(
    measured: Metrics, empty: Sequence[bool], silent: Sequence[bool], pictures: Sequence[int]
) -> Metrics:
    """Add the share of questions in which nothing is true that were answered with nothing."""
    if not any(empty):
        return measured
    share = mean(list(map(float, silent)), empty, pictures=pictures)
    notes = measured.notes | {"empty_asked": str(sum(empty))}
    return Metrics(measured.numbers | {"empty_silent": share}, measured.per_sample_quality, notes)


def _missing(names: Sequence[str], labels: Sequence[str]) -> list[str]:
    there = names_in(names, labels)
    return [name for name, is_there in zip(names, there, strict=True) if not is_there]


def _answers(found: Boxes, truth: Boxes, name: str) -> bool:
    """Tell whether an absent name got a box; where nothing is there, any box is one too many."""
    return bool(names_in([name], found.labels)[0] if truth.labels else found.labels)


def _named(text: str, names: Mapping[str, str]) -> set[str]:
    """Return the names that a text holds as whole words, in the singular or plural."""
    words = f" {' '.join(re.findall(r'[a-z0-9]+', text.lower()))} "
    return {
        name for name, plural in names.items() if f" {name} " in words or f" {plural} " in words
    }


def _plain(text: str) -> str:
    return normalized(text).lower()
