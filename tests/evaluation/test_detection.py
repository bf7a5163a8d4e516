"""Counting right boxes."""

import numpy as np
import pytest

from florence2.data.records import Federated, Ignored
from florence2.evaluation.detection import DetectionCounts, count_all, count_boxes, drop_ignored
from florence2.results import Boxes

SIZE = (100, 100)


def boxes(*rows: tuple[str, float, float, float, float]) -> Boxes:
    xyxy = np.array([row[1:] for row in rows], dtype=float).reshape(-1, 4)
    return Boxes(image_size=SIZE, xyxy=xyxy, labels=tuple(row[0] for row in rows))


CAT, DOG = ("cat", 10, 10, 50, 50), ("dog", 60, 60, 90, 90)


@pytest.mark.parametrize(
    ("found", "truth", "right"),
    [
        pytest.param([], [], 0, id="nothing"),
        pytest.param([], [CAT], 0, id="missed"),
        pytest.param([CAT], [], 0, id="invented"),
        pytest.param([CAT, DOG], [DOG, CAT], 2, id="any order"),
        pytest.param([("dog", 10, 10, 50, 50)], [CAT], 0, id="wrong label"),
        pytest.param([("cat", 10, 10, 50, 31)], [CAT], 1, id="just enough overlap"),
        pytest.param([("cat", 10, 10, 50, 29)], [CAT], 0, id="just too little overlap"),
        pytest.param([CAT, CAT], [CAT], 1, id="said twice"),
        pytest.param([CAT], [CAT, CAT], 1, id="one for two"),
    ],
)
def test_right_boxes_are_counted_once(found: list, truth: list, right: int) -> None:
    counts = count_boxes(boxes(*found), boxes(*truth))
    assert counts == DetectionCounts(len(truth), len(found), right)


def test_labels_may_be_ignored() -> None:
    assert count_boxes(boxes(DOG), boxes(("cat", *DOG[1:])), use_labels=False).right_boxes == 1


def test_the_better_overlap_wins() -> None:
    close, far = ("cat", 10, 10, 50, 50), ("cat", 10, 10, 50, 70)
    truth = boxes(CAT, ("cat", 10, 10, 50, 80))
    assert count_boxes(boxes(far, close), truth).right_boxes == 2


def test_rates_of_several_pictures() -> None:
    counts = count_all([(boxes(CAT), boxes(CAT, DOG)), (boxes(CAT, DOG), boxes(DOG))])
    assert (counts.precision, counts.recall, counts.f1) == (2 / 3, 2 / 3, 2 / 3)


def test_without_a_true_box_there_is_no_rate() -> None:
    for counts in (DetectionCounts(), DetectionCounts(found_boxes=2)):
        assert (counts.precision, counts.recall, counts.f1) == (None, None, None)
    silent = DetectionCounts(true_boxes=2)
    assert (silent.precision, silent.recall, silent.f1) == (0.0, 0.0, 0.0)


def test_names_are_compared_in_one_form_of_unicode() -> None:
    """A class written with a combining accent, as macOS has it, was never found."""
    composed, apart = [(f"caf{accent}", *CAT[1:]) for accent in ("\u00e9", "e\u0301")]
    assert count_boxes(boxes(apart), boxes(composed)).right_boxes == 1
    found, crowd = boxes(apart), Ignored(boxes(composed), (True,))
    assert drop_ignored(found, boxes(), crowd).labels == ()


def test_what_a_picture_was_not_searched_for_is_neither_right_nor_wrong() -> None:
    truth = boxes(CAT)
    found = boxes(CAT, DOG, ("bee", *DOG[1:]), ("cat", *DOG[1:]))
    kept = drop_ignored(found, truth, None, Federated(frozenset({"bee"})))
    assert kept.labels == ("cat", "bee", "cat")
    some = Federated(frozenset({"bee", "dog"}), not_exhaustive=frozenset({"cat", "bee"}))
    assert drop_ignored(found, truth, None, some).labels == ("cat", "dog")
