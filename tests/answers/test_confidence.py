"""Scores from log-probabilities: which tokens count, and what is unknown."""

import doctest
from math import log

import pytest

from florence2.answers import confidence, parse_answer
from florence2.answers.confidence import Confidence, ScoredText, mean_probability
from florence2.results import Boxes, Mixed, Polygons, Quads, Text
from florence2.tasks import Task

SIZE = (100, 100)


def pieces(*written: tuple[str, float]) -> list[ScoredText]:
    return [ScoredText(text, (log(probability),)) for text, probability in written]


def places(count: int, probability: float) -> list[tuple[str, float]]:
    return [(f"<loc_{100 + at}>", probability) for at in range(count)]


def test_doctests() -> None:
    assert doctest.testmod(confidence).failed == 0


def test_nothing_is_known_of_a_text_alone() -> None:
    box = "cat<loc_1><loc_2><loc_3><loc_4>"
    boxes = parse_answer(box, Task.OD, SIZE)
    assert isinstance(boxes, Boxes)
    assert (boxes.scores, boxes.location_scores, boxes.label_scores) == (None, None, None)
    text = parse_answer("words", Task.OCR, SIZE)
    assert isinstance(text, Text)
    assert text.score is None


def test_the_mean_probability_is_geometric_and_within_one() -> None:
    assert mean_probability([]) is None
    assert mean_probability([log(0.5), log(0.125)]) == pytest.approx(0.25)
    assert mean_probability([1e-9]) == 1.0


@pytest.mark.parametrize(
    ("location", "label", "score"),
    [(0.5, 0.125, 0.25), (0.5, None, 0.5), (None, 0.3, 0.3), (None, None, None)],
)
def test_parts_are_combined(
    location: float | None, label: float | None, score: float | None
) -> None:
    combined = Confidence(location, label).score
    assert combined == (None if score is None else pytest.approx(score))


def test_every_box_of_a_label_has_the_labels_confidence_and_its_own() -> None:
    written = [("a", 0.9), (" cat", 0.4), *places(4, 0.5), *places(4, 0.2), ("dog", 0.7)]
    boxes = parse_answer(pieces(*written, *places(4, 0.1)), Task.OD, SIZE)
    assert isinstance(boxes, Boxes)
    assert boxes.label_scores == pytest.approx((0.6, 0.6, 0.7))
    assert boxes.location_scores == pytest.approx((0.5, 0.2, 0.1))
    assert boxes.scores == pytest.approx((0.3**0.5, 0.12**0.5, 0.07**0.5))


def test_the_score_of_a_text_is_that_of_its_words_alone() -> None:
    """Not of padding, of the end, of space around it, nor of locations behind it."""
    written = pieces(("<s>", 1e-9), (" ", 1e-9), ("two", 0.2), (" words", 0.8), *places(4, 1e-9))
    text = parse_answer([*written, *pieces(("</s>", 1e-9))], Task.REGION_TO_OCR, SIZE)
    assert isinstance(text, Text)
    assert text.score == pytest.approx(0.4)


def test_padding_inside_words_does_not_count() -> None:
    text = parse_answer(pieces(("one", 0.5), ("<s>", 1e-9), ("two", 0.5)), Task.OCR, SIZE)
    assert isinstance(text, Text)
    assert (text.text, text.score) == ("onetwo", pytest.approx(0.5))


def test_a_location_spelled_in_letters_counts_all_its_pieces() -> None:
    written = [("cat", 0.5), ("<loc", 0.25), ("_1000>", 1.0), *places(3, 0.25)]
    boxes = parse_answer(pieces(*written), Task.OD, SIZE)
    assert isinstance(boxes, Boxes)
    assert boxes.malformed == 1
    assert boxes.location_scores == pytest.approx((0.25 ** (4 / 5),))


def test_quads_polygons_and_mixed_answers_have_scores_too() -> None:
    quads = parse_answer(pieces(("word", 0.5), *places(8, 0.125)), Task.OCR_WITH_REGION, SIZE)
    assert isinstance(quads, Quads)
    assert quads.scores == pytest.approx((0.25,))
    outline = [("<poly>", 1e-9), *places(6, 0.25), ("<sep>", 1e-9), *places(6, 1.0)]
    region = parse_answer(pieces(*outline, ("</poly>", 1e-9)), Task.REGION_TO_SEGMENTATION, SIZE)
    assert isinstance(region, Polygons)
    assert (region.scores, region.label_scores) == ((pytest.approx(0.5),), (None,))
    both = parse_answer(
        pieces(("cat", 0.4), *places(4, 0.1), *outline, ("</poly>", 1e-9)),
        Task.OPEN_VOCABULARY_DETECTION,
        SIZE,
    )
    assert isinstance(both, Mixed)
    assert both.boxes.scores == pytest.approx((0.2,))
    assert both.polygons.scores == pytest.approx((0.2**0.5,))


def test_no_objects_have_no_scores_but_they_are_known() -> None:
    boxes = parse_answer(pieces(("</s>", 0.9)), Task.OD, SIZE)
    assert isinstance(boxes, Boxes)
    assert boxes.scores == ()


def test_a_threshold_keeps_what_is_unknown() -> None:
    boxes = Boxes(
        [[0, 0, 1, 1]] * 3, "abc", (0.5, None, 0.2), image_size=SIZE, label_scores=(0.1, 0.2, 0.3)
    )
    kept = boxes.with_min_score(0.5)
    assert (kept.labels, kept.scores, kept.label_scores) == (("a", "b"), (0.5, None), (0.1, 0.2))
    assert Boxes([[0, 0, 1, 1]], "a", image_size=SIZE).with_min_score(1.0).labels == ("a",)
    polygons = Polygons([[[[0, 0], [1, 0], [1, 1]]]] * 2, "ab", (0.9, 0.1), image_size=SIZE)
    mixed = Mixed(boxes, polygons, image_size=SIZE).with_min_score(0.6)
    assert (mixed.boxes.labels, mixed.polygons.labels) == (("b",), ("a",))
    quads = Quads([[[0, 0]] * 4] * 2, "ab", (0.9, 0.1), image_size=SIZE)
    assert quads.with_min_score(0.5).select([0, 0]).scores == (0.9, 0.9)
