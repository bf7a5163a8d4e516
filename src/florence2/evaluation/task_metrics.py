"""The measure of each task: answers against truth, as numbers with intervals.

Every measure also gives each answer a quality in [0, 1], by which a sheet of good and bad
answers is chosen. What breaks the grammar of a task counts as far as it can be understood.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import cast

import numpy as np

from florence2.data.records import Ignored
from florence2.evaluation.average_precision import BoxRanking, Pair
from florence2.evaluation.detection import count_boxes, drop_ignored
from florence2.evaluation.intervals import Interval, bootstrap, mean, ratio
from florence2.evaluation.masks import mask_overlap
from florence2.evaluation.predict import Prediction
from florence2.evaluation.text import common_words, edit_distance, normalized
from florence2.evaluation.words import words_of
from florence2.evaluation.written import anls, point_distances, words_of_written
from florence2.results import Boxes, Polygons, Quads, Text, as_boxes
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


def measure_reading(answered: Sequence[Prediction]) -> Metrics:
    """Text: character error rate, and the share read without an error."""
    pairs = [(normalized(read), normalized(truth)) for read, truth in _texts(answered)]
    edits = [edit_distance(read, truth) for read, truth in pairs]
    exact = [float(read == truth) for read, truth in pairs]
    lengths = [len(truth) for _, truth in pairs]
    qualities = [
        max(0.0, 1 - wrong / max(length, 1)) for wrong, length in zip(edits, lengths, strict=True)
    ]
    return Metrics({"cer": ratio(edits, lengths), "exact": mean(exact)}, qualities)


def measure_words(answered: Sequence[Prediction]) -> Metrics:
    """Text with places: words at IoU 0.5 and spelt alike."""
    pairs = [
        (words_of(cast(Quads, found)), words_of(cast(Quads, record.result)))
        for found, record in answered
    ]
    return _matching(pairs)


def measure_detection(answered: Sequence[Prediction]) -> Metrics:
    """Boxes with names: F1 and AP, and both for the boxes alone."""
    pairs = _box_pairs(answered)
    ignored = [record.ignored for _, record in answered]
    named = _matching(pairs, ignored)
    bare = _matching(pairs, ignored, use_labels=False)
    own = all(found.scores is not None and None not in found.scores for found, _ in pairs)
    bare_precision = _average_precision(pairs, ignored, use_labels=False)
    numbers = {
        **named.numbers,
        **_average_precision(pairs, ignored, use_labels=True),
        "box_f1": bare.numbers["f1"],
        **{f"box_{name}": value for name, value in bare_precision.items()},
    }
    ranking = "scores of the model" if own else "order in which boxes were written"
    return Metrics(numbers, named.per_sample_quality, {"ranked_by": ranking})


def measure_dense_captions(answered: Sequence[Prediction]) -> Metrics:
    """Boxes with descriptions: F1 of both exactly, and of the boxes alone."""
    pairs = _box_pairs(answered)
    whole, bare = _matching(pairs), _matching(pairs, use_labels=False)
    return Metrics({**whole.numbers, "box_f1": bare.numbers["f1"]}, whole.per_sample_quality)


def measure_proposals(answered: Sequence[Prediction]) -> Metrics:
    """Boxes without names."""
    ignored = [record.ignored for _, record in answered]
    return _matching(_box_pairs(answered), ignored, use_labels=False)


def measure_open_detection(answered: Sequence[Prediction]) -> Metrics:
    """Boxes of asked names; a name that is not there should get none."""
    pairs = _box_pairs(answered)
    absent = [
        [name for name in split_classes(record.text_input) if name not in truth.labels]
        for (_, record), (_, truth) in zip(answered, pairs, strict=True)
    ]
    ignored = [record.ignored for _, record in answered]
    return _with_rejection(_matching(pairs, ignored), pairs, absent)


def measure_grounding(
    answered: Sequence[Prediction], phrases_of: Callable[[str], Sequence[str]] | None = None
) -> Metrics:
    """Boxes of phrases; a phrase for which there is nothing should get none.

    Args:
        phrases_of: finds the phrases of a caption; without it only those questions have an
            absent phrase that have no true box at all.
    """
    pairs = _box_pairs(answered)
    absent = []
    for (_, record), (_, truth) in zip(answered, pairs, strict=True):
        parts = phrases_of(record.text_input) if phrases_of and truth.labels else ()
        missing = [part for part in parts if part not in truth.labels]
        absent.append(missing if truth.labels else [record.text_input])
    return _with_rejection(_matching(pairs), pairs, absent)


def measure_masks(answered: Sequence[Prediction]) -> Metrics:
    """Outlines: the mean of the IoU of pictures, and the IoU of all pixels together."""
    overlaps = [
        mask_overlap(cast(Polygons, found), cast(Polygons, record.result))
        for found, record in answered
    ]
    common, either = zip(*overlaps, strict=True)
    qualities = [part / whole if whole else 1.0 for part, whole in overlaps]
    return Metrics({"mean_iou": mean(qualities), "all_iou": ratio(common, either)}, qualities)


def measure_names(answered: Sequence[Prediction]) -> Metrics:
    """The name of a region: the share that is right."""
    right = [float(_plain(told) == _plain(truth)) for told, truth in _texts(answered)]
    return Metrics({"accuracy": mean(right)}, right)


def measure_captions(answered: Sequence[Prediction], names: Mapping[str, str]) -> Metrics:
    """Captions: their words, and which of the things that the true one names they name.

    Args:
        names: every name that may occur, with its plural.
    """
    named = [(_named(told, names), _named(truth, names)) for told, truth in _texts(answered)]
    common = [len(told & truth) for told, truth in named]
    numbers = {
        "names_precision": ratio(common, [len(told) for told, _ in named]),
        "names_recall": ratio(common, [len(truth) for _, truth in named]),
    }
    sentences = measure_sentences(answered)
    return Metrics(numbers | sentences.numbers, sentences.per_sample_quality)


def measure_sentences(answered: Sequence[Prediction]) -> Metrics:
    """Sentences: F1 of their words, and the share that is word for word the true one."""
    texts = _texts(answered)
    counts = [common_words(told, truth) for told, truth in texts]
    common = [2 * both for both, _, _ in counts]
    total = [first + second for _, first, second in counts]
    exact = [float(_plain(told) == _plain(truth)) for told, truth in texts]
    qualities = [part / whole if whole else 1.0 for part, whole in zip(common, total, strict=True)]
    return Metrics({"word_f1": ratio(common, total), "exact": mean(exact)}, qualities)


def measure_written(answered: Sequence[Prediction]) -> Metrics:
    """Answers to prompts of a checkpoint's own: to the letter, by their words, by their places."""
    pairs = [(cast(Text, found), cast(Text, record.result)) for found, record in answered]
    numbers = {"exact": mean([float(found.text == truth.text) for found, truth in pairs])}
    qualities = [anls(found, truth) for found, truth in pairs]
    if any(words_of_written(truth) for _, truth in pairs):
        numbers["anls"] = mean(qualities)
    if any(truth.boxes.labels for _, truth in pairs):
        boxes = [(found.boxes, truth.boxes) for found, truth in pairs]
        numbers |= _matching(boxes).numbers
    distances = [point_distances(found, truth) for found, truth in pairs]
    if any(distances):
        numbers["point_distance"] = ratio(list(map(sum, distances)), list(map(len, distances)))
    return Metrics(numbers, qualities)


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


def _matching(
    pairs: Sequence[Pair], ignored: Sequence[Ignored | None] = (), *, use_labels: bool = True
) -> Metrics:
    """Precision, recall and F1 at IoU 0.5; what is to be ignored is neither right nor wrong."""
    counts = [
        count_boxes(
            drop_ignored(found, truth, each, use_labels=use_labels), truth, use_labels=use_labels
        )
        for (found, truth), each in zip_longest(pairs, ignored)
    ]
    right = [each.right_boxes for each in counts]
    found = [each.found_boxes for each in counts]
    truth = [each.true_boxes for each in counts]
    both = [each.found_boxes + each.true_boxes for each in counts]
    numbers = {
        "precision": ratio(right, found),
        "recall": ratio(right, truth),
        "f1": ratio([2 * each for each in right], both),
    }
    qualities = [each.f1 if whole else 1.0 for each, whole in zip(counts, both, strict=True)]
    return Metrics(numbers, qualities)


def _average_precision(
    pairs: Sequence[Pair], ignored: Sequence[Ignored | None], *, use_labels: bool
) -> dict[str, Interval]:
    ranking = BoxRanking(pairs, ignored, use_labels=use_labels)

    def of(pictures: np.ndarray[tuple[int], np.dtype[np.intp]]) -> tuple[float, float]:
        found = ranking.measure(np.bincount(pictures, minlength=len(pairs)).astype(float))
        return found.ap, found.ap50

    ap, ap50 = bootstrap(of, len(pairs), AP_RESAMPLES)
    return {"ap": ap, "ap50": ap50}


def _with_rejection(
    measured: Metrics, pairs: Sequence[Pair], absent: Sequence[Sequence[str]]
) -> Metrics:
    """Add the share of absent names and phrases that got no box."""
    silent = [
        sum(not _answers(found, truth, name) for name in names)
        for (found, truth), names in zip(pairs, absent, strict=True)
    ]
    share = ratio(silent, [len(names) for names in absent])
    asked = sum(map(len, absent))
    notes = measured.notes | {"absent_asked": str(asked)}
    numbers = measured.numbers | ({"absent_silent": share} if asked else {})
    return Metrics(numbers, measured.per_sample_quality, notes)


def _answers(found: Boxes, truth: Boxes, name: str) -> bool:
    """Tell whether an absent name got a box; where nothing is there, any box is one too many."""
    return name in found.labels if truth.labels else bool(found.labels)


def _texts(answered: Sequence[Prediction]) -> list[tuple[str, str]]:
    return [(cast(Text, found).text, cast(Text, record.result).text) for found, record in answered]


def _box_pairs(answered: Sequence[Prediction]) -> list[Pair]:
    return [(as_boxes(found), as_boxes(record.result)) for found, record in answered]


def _named(text: str, names: Mapping[str, str]) -> set[str]:
    """Return the names that a text holds as whole words, in the singular or plural."""
    words = f" {' '.join(re.findall(r'[a-z0-9]+', text.lower()))} "
    return {
        name for name, plural in names.items() if f" {name} " in words or f" {plural} " in words
    }


def _plain(text: str) -> str:
    return normalized(text).lower()
