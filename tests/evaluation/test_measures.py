"""The measure of each task, on answers made by hand."""

import re

import numpy as np
import pytest

from florence2.data.records import Record
from florence2.evaluation.box_metrics import (
    measure_detection,
    measure_grounding,
    measure_masks,
    measure_open_detection,
    measure_words,
)
from florence2.evaluation.predict import Prediction
from florence2.evaluation.text_metrics import (
    measure_captions,
    measure_names,
    measure_reading,
    measure_sentences,
)
from florence2.geometry import box_to_quad
from florence2.results import Boxes, Mixed, Polygons, Quads, Result, Text
from florence2.tasks import Task

SIZE = (100, 100)
RANDOM = np.random.default_rng(0)
CAT, DOG = ("cat", (10.0, 10.0, 50.0, 50.0)), ("dog", (60.0, 60.0, 90.0, 90.0))


def text(words: str) -> Text:
    return Text(words, image_size=SIZE)


def boxes(*rows: tuple[str, tuple[float, ...]], scores: tuple[float, ...] | None = None) -> Boxes:
    xyxy = np.array([box for _, box in rows]).reshape(-1, 4)
    return Boxes(xyxy, tuple(name for name, _ in rows), scores, image_size=SIZE)


def mixed(*rows: tuple[str, tuple[float, ...]]) -> Mixed:
    return Mixed(boxes(*rows), Polygons((), (), image_size=SIZE), image_size=SIZE)


def answered(
    task: Task, found: Result, truth: Result, words: str = "", region: tuple | None = None
) -> Prediction:
    pixels = RANDOM.integers(0, 256, (100, 100, 3), np.uint8)  # each a picture of its own
    return found, Record(pixels, task, words, region, truth, "by hand")


def values(measured: object) -> dict[str, float]:
    return {name: each.value for name, each in measured.numbers.items()}  # type: ignore[attr-defined]


def test_reading_counts_characters() -> None:
    pairs = [("abc", "abd"), ("“x”", '"x"'), ("", "ab")]
    rows = [answered(Task.OCR, text(read), text(truth)) for read, truth in pairs]
    measured = measure_reading(rows)
    assert values(measured) == {"cer": 3 / 8, "exact": pytest.approx(1 / 3)}
    assert measured.per_sample_quality == pytest.approx([2 / 3, 1, 0])


def test_words_count_when_spelt_alike_and_in_place() -> None:
    line = Quads(box_to_quad([[0.0, 0, 100, 20]]), ("the Cat sat",), image_size=SIZE)
    truth = Quads(
        box_to_quad([[0.0, 0, 27, 20], [36.0, 0, 64, 20], [0.0, 50, 27, 70]]),
        ("the", "cat", "sat"),
        image_size=SIZE,
    )
    numbers = values(measure_words([answered(Task.OCR_WITH_REGION, line, truth)]))
    assert numbers == {name: pytest.approx(1 / 3) for name in ("precision", "recall", "f1")}


def test_detection_tells_names_from_places() -> None:
    rows = [answered(Task.OD, boxes(CAT, ("cat", DOG[1])), boxes(CAT, DOG))]
    measured = measure_detection(rows)
    numbers = values(measured)
    assert (numbers["f1"], numbers["box_f1"]) == (0.5, 1.0)
    assert (numbers["ap50"], numbers["box_ap50"]) == pytest.approx((0.5, 1.0))
    assert "order" in measured.notes["ranked_by"]


def test_detection_says_that_scores_were_used() -> None:
    rows = [answered(Task.OD, boxes(CAT, scores=(0.5,)), boxes(CAT))]
    assert "scores" in measure_detection(rows).notes["ranked_by"]


def test_an_asked_name_that_is_not_there_should_get_no_box() -> None:
    rows = [
        answered(Task.OPEN_VOCABULARY_DETECTION, mixed(CAT), mixed(CAT), "cat<and>dog"),
        answered(Task.OPEN_VOCABULARY_DETECTION, mixed(CAT, DOG), mixed(CAT), "cat<and>dog"),
        answered(Task.OPEN_VOCABULARY_DETECTION, mixed(("", CAT[1])), mixed(), "bee"),
    ]
    measured = measure_open_detection(rows)
    assert values(measured)["absent_silent"] == pytest.approx(1 / 3)
    assert measured.notes["absent_asked"] == "3"


def test_grounding_knows_the_absent_phrases_of_a_caption() -> None:
    task = Task.CAPTION_TO_PHRASE_GROUNDING
    phrase = ("a cat", CAT[1])
    caption = "a cat, a bee and two keys on a dark ground"
    rows = [
        answered(task, boxes(phrase), boxes(phrase), caption),
        answered(task, boxes(phrase, ("a bee", DOG[1])), boxes(phrase), caption),
        answered(task, boxes(), boxes(), "a blue horse"),
        answered(task, boxes(phrase), boxes(), "a blue horse"),
        answered(task, boxes(("the cat on the left", CAT[1])),
                 boxes(("the cat on the left", CAT[1])), "the cat on the left"),
    ]  # fmt: skip
    parted = measure_grounding(rows[:4], lambda each: re.split(", | and | on ", each)[:3])
    assert values(parted)["absent_silent"] == pytest.approx(4 / 6)
    assert values(measure_grounding(rows))["absent_silent"] == 0.5  # the two questions of a horse


def test_masks_are_averaged_over_pictures_and_over_pixels() -> None:
    def square(*box: float) -> Polygons:
        return Polygons(((box_to_quad(box),),), ("",), image_size=SIZE)

    nothing = Polygons((), (), image_size=SIZE)
    task, words = Task.REFERRING_EXPRESSION_SEGMENTATION, "the cat"
    rows = [
        answered(task, square(0, 0, 10, 10), square(0, 0, 10, 20), words),
        answered(task, nothing, square(0, 0, 10, 10), words),
    ]
    assert values(measure_masks(rows)) == {"mean_iou": 0.25, "all_iou": pytest.approx(1 / 3)}


def test_names_may_differ_in_case_alone() -> None:
    region = (0.0, 0.0, 10.0, 10.0)
    rows = [
        answered(Task.REGION_TO_CATEGORY, text(found), text("cat"), region=region)
        for found in ("Cat ", "dog")
    ]
    assert values(measure_names(rows)) == {"accuracy": 0.5}


def test_sentences_share_words() -> None:
    rows = [answered(Task.CAPTION, text("a cat and a dog"), text("a cat"))]
    assert values(measure_sentences(rows)) == {"word_f1": 4 / 7, "exact": 0.0, "cider": None}


def test_captions_name_things_in_singular_and_plural() -> None:
    names = {"cat": "cats", "fish": "fish", "hat": "hats", "key": "keys"}
    rows = [answered(Task.CAPTION, text("Two cats; that key."), text("a cat and fish"))]
    numbers = values(measure_captions(rows, names))
    assert (numbers["names_precision"], numbers["names_recall"]) == (0.5, 0.5)
