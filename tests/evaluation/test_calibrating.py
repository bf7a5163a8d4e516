"""What is right about a found box, and what a calibration says about itself."""

import numpy as np
import pytest

from florence2.errors import DataError
from florence2.evaluation.calibration_fit import MIN_OBJECTS, Pair, fit, judge
from florence2.results import Boxes, Mixed, Polygons, Quads, Text
from florence2.tasks import Task

SIZE = (100, 100)


def boxes(rows: list[tuple[float, ...]], labels: str, **scores: object) -> Boxes:
    return Boxes(rows, tuple(labels), image_size=SIZE, **scores)  # type: ignore[arg-type]


def test_place_label_and_both_are_judged_apart() -> None:
    truth = boxes([(0, 0, 10, 10), (50, 50, 60, 60)], "ab")
    found = boxes(
        [(0, 0, 10, 9), (0, 0, 10, 10), (50, 50, 60, 60), (54, 54, 64, 64), (80, 80, 90, 90)],
        "aaabb",
    )
    assert judge(found, truth) == {
        "scores": [False, True, False, False, False],
        "location_scores": [False, True, True, False, False],
        "label_scores": [True, True, False, True, False],
    }
    nothing = boxes([], "")
    assert judge(nothing, truth) == {key: [] for key in judge(found, truth)}
    assert judge(found, nothing) == {key: [False] * 5 for key in judge(found, truth)}


def pictures(count: int, seed: int = 0) -> list[Pair]:
    """One box each; it is in place in every second picture of score 0.1, and rightly named."""
    rng = np.random.default_rng(seed)
    made: list[Pair] = []
    for _ in range(count):
        left = 0 if rng.random() < 0.5 else 40
        scores = {"scores": [0.1], "location_scores": [0.01], "label_scores": [0.9]}
        made.append((boxes([(left, 0, 30 + left, 9)], "a", **scores), boxes([(0, 0, 41, 9)], "a")))
    return made


def test_the_error_is_told_of_pictures_that_were_not_fitted() -> None:
    calibration = fit(pictures(400), "m", "f", Task.OD)
    assert (calibration.model, calibration.fingerprint, calibration.task) == ("m", "f", Task.OD)
    measured = calibration.measured["scores"]
    assert calibration.measured["pictures"] == {"fitted": 200, "held_out": 200}
    assert measured["location_scores"]["objects"] == {"fitted": 200, "held_out": 200}
    assert measured["location_scores"]["error_before"] == pytest.approx(0.49, abs=0.1)
    assert measured["location_scores"]["error_after"] < 0.15
    assert float(calibration.curves["location_scores"](0.01)) == pytest.approx(0.5, abs=0.1)
    assert float(calibration.curves["label_scores"](0.9)) > 0.9


def test_a_task_without_labels_has_no_curve_for_them() -> None:
    found = [
        (
            boxes(row.xyxy.tolist(), " ", scores=[0.5], location_scores=[0.5], label_scores=[None]),
            row,
        )
        for _, row in pictures(200)
        if isinstance(row, Boxes)
    ]
    assert set(fit(found, "m", "f", Task.REGION_PROPOSAL).curves) == {"scores", "location_scores"}


def test_quads_and_mixed_answers_are_judged_by_boxes() -> None:
    pairs = pictures(200)
    nothing = Polygons([], [], image_size=SIZE)
    mixed = [
        (Mixed(found, nothing, image_size=SIZE), Mixed(truth, nothing, image_size=SIZE))
        for found, truth in pairs
        if isinstance(found, Boxes) and isinstance(truth, Boxes)
    ]
    expected = fit(pairs, "m", "f", Task.OD)
    assert fit(mixed, "m", "f", Task.OD) == expected

    def quads(each: object) -> Quads:
        assert isinstance(each, Boxes)
        corners = each.xyxy[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
        scores = (each.location_scores, each.label_scores)
        return Quads(corners, each.labels, each.scores, image_size=SIZE,
                     location_scores=scores[0], label_scores=scores[1])  # fmt: skip

    assert fit([(quads(a), quads(b)) for a, b in pairs], "m", "f", Task.OD) == expected


def test_too_few_objects_and_other_answers_are_refused() -> None:
    with pytest.raises(DataError, match="give more pictures"):
        fit(pictures(2 * MIN_OBJECTS - 1), "m", "f", Task.OD)
    with pytest.raises(DataError, match="give more pictures"):
        fit([], "m", "f", Task.OD)
    with pytest.raises(DataError, match="a Text result"):
        fit([(Text("a", image_size=SIZE),) * 2] * 200, "m", "f", Task.OCR)


def test_fitting_on_chance_does_not_help_and_is_told() -> None:
    """Scores of no worth: the curve becomes level, and the error held out stays small."""
    rng = np.random.default_rng(3)
    made: list[Pair] = []
    for _ in range(300):
        found = boxes([(0, 0, 9, 9)], "a", scores=[float(rng.random())])
        made.append((found, boxes([(0, 0, 9, 9)], "a" if rng.random() < 0.4 else "b")))
    calibration = fit(made, "m", "f", Task.OD)
    told = calibration.measured["scores"]["scores"]
    assert told["error_after"] < told["error_before"]
    assert told["error_after"] < 0.15
