"""Answers in words against true ones: each question once, with all its references."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from florence2.evaluation.box_matching import Judged
from florence2.evaluation.box_metrics import matching
from florence2.evaluation.cider import cider
from florence2.evaluation.intervals import NO_NUMBER, Interval, mean, ratio
from florence2.evaluation.measured import Metrics, with_empty
from florence2.evaluation.predict import Prediction
from florence2.evaluation.questions import Asked, text_questions
from florence2.evaluation.text import common_words, composed, edit_distance, normalized
from florence2.evaluation.written import anls, point_distances, words_of_written


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
        numbers |= matching(boxes, pictures).numbers
    distances = [point_distances(found, truth) for found, truth in pairs]
    if any(distances):
        sums, counts = list(map(sum, distances)), list(map(len, distances))
        numbers["point_distance"] = ratio(sums, counts, pictures=pictures)
    return _of_questions(asked, numbers, qualities)


# ---- what measures of words share


def _of_questions(
    asked: Sequence[Asked], numbers: dict[str, Interval], qualities: Sequence[float]
) -> Metrics:
    """Give each answer the quality of its question; count apart where nothing is true."""
    by_row = {
        row: quality for each, quality in zip(asked, qualities, strict=True) for row in each.rows
    }
    measured = Metrics(numbers, [by_row[row] for row in range(len(by_row))])
    return with_empty(
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


def _named(text: str, names: Mapping[str, str]) -> set[str]:
    """Return the names that a text holds as whole words, in the singular or plural."""
    words = f" {' '.join(re.findall(r'[a-z0-9]+', text.lower()))} "
    return {
        name for name, plural in names.items() if f" {name} " in words or f" {plural} " in words
    }


def _plain(text: str) -> str:
    return normalized(text).lower()
