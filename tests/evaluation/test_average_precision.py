"""Average precision by hand, and against the library of the field."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from florence2.data.records import Ignored
from florence2.evaluation.average_precision import (
    AveragePrecision,
    BoxRanking,
    Pair,
    ranks,
)
from florence2.evaluation.detection import count_boxes, drop_ignored
from florence2.results import Boxes

SIZE = (256, 256)
CAT = (10.0, 10.0, 50.0, 50.0)
FAR = (100.0, 100.0, 150.0, 150.0)


def boxes(*rows: tuple[str, tuple[float, ...]], scores: tuple[float, ...] | None = None) -> Boxes:
    xyxy = np.array([box for _, box in rows]).reshape(-1, 4)
    return Boxes(xyxy, tuple(name for name, _ in rows), scores, image_size=SIZE)


def ap(pairs: list[Pair], **options: bool) -> AveragePrecision:
    return BoxRanking(pairs, **options).measure()


@pytest.mark.parametrize(
    ("found", "truth", "wanted"),
    [
        pytest.param(boxes(), boxes(), 0.0, id="nothing"),
        pytest.param(boxes(), boxes(("cat", CAT)), 0.0, id="missed"),
        pytest.param(boxes(("cat", CAT)), boxes(), 0.0, id="invented"),
        pytest.param(boxes(("cat", CAT)), boxes(("cat", CAT)), 1.0, id="right"),
        pytest.param(boxes(("dog", CAT)), boxes(("cat", CAT)), 0.0, id="wrong name"),
        # Recall 0 to 0.50 at precision 1: 51 of 101 places.
        pytest.param(boxes(("cat", CAT)), boxes(("cat", CAT), ("cat", FAR)), 51 / 101, id="half"),
        # The first is wrong, so precision is 1/2 wherever there is recall.
        pytest.param(boxes(("cat", FAR), ("cat", CAT)), boxes(("cat", CAT)), 0.5, id="late"),
        pytest.param(
            boxes(("cat", FAR), ("cat", CAT), scores=(0.2, 0.9)),
            boxes(("cat", CAT)),
            1.0,
            id="scores",
        ),
    ],
)  # fmt: skip
def test_one_picture_by_hand(found: Boxes, truth: Boxes, wanted: float) -> None:
    measured = ap([(found, truth)])
    assert measured.ap50 == pytest.approx(wanted)
    assert measured.ap == pytest.approx(wanted)


def test_a_loose_box_counts_at_low_thresholds_only() -> None:
    loose = boxes(("cat", (10.0, 10.0, 50.0, 36.0)))  # IoU 0.65
    measured = ap([(loose, boxes(("cat", CAT)))])
    assert (measured.ap50, measured.ap) == (pytest.approx(1.0), pytest.approx(0.4))


def test_without_names_only_places_count() -> None:
    nameless = ap([(boxes(("dog", CAT)), boxes(("cat", CAT)))], use_labels=False)
    assert nameless.ap50 == pytest.approx(1.0)


def test_scores_are_used_only_where_every_box_has_one() -> None:
    assert ranks(boxes(("a", CAT), ("b", CAT), scores=(0.1, 0.7))) == [0.1, 0.7]
    half = replace(boxes(("a", CAT), ("b", CAT)), scores=(0.1, None))
    assert ranks(half) == [1.0, 0.5]


def random_pairs(scored: bool) -> list[Pair]:
    rng = np.random.default_rng(0)

    def some(count: int) -> Boxes:
        corner = rng.uniform(0, 200, (count, 2))
        xyxy = np.concatenate([corner, corner + rng.uniform(15, 56, (count, 2))], axis=1)
        return Boxes(xyxy, tuple(rng.choice(["a", "b", "c"], count)), image_size=SIZE)

    pairs = []
    for _ in range(60):
        truth, invented = some(int(rng.integers(0, 6))), some(int(rng.integers(0, 3)))
        near = truth.xyxy + rng.normal(0, 3, truth.xyxy.shape)
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        xyxy = np.concatenate([near, invented.xyxy])
        labels = truth.labels + invented.labels
        scores = tuple(rng.random(len(labels)).tolist()) if scored else None
        pairs.append((Boxes(xyxy, labels, scores, image_size=SIZE), truth))
    return pairs


def random_crowds(pairs: list[Pair]) -> list[Ignored | None]:
    """Large regions of some pictures, of names that found boxes there have, and of others."""
    rng = np.random.default_rng(1)
    crowds: list[Ignored | None] = []
    for _ in pairs:
        count = int(rng.integers(0, 3))
        corner = rng.uniform(0, 120, (count, 2))
        xyxy = np.concatenate([corner, corner + rng.uniform(40, 130, (count, 2))], axis=1)
        boxes = Boxes(xyxy, tuple(rng.choice(["a", "b", "c"], count)), image_size=SIZE)
        crowds.append(Ignored(boxes, (True,) * count) if count else None)
    return crowds


def by_the_library(
    pairs: list[Pair], use_labels: bool, crowds: Sequence[Ignored | None] = ()
) -> tuple[float, float]:
    coco = pytest.importorskip("faster_coco_eval", reason="the library is not installed")

    def number(label: str) -> int:
        return "abc".index(label) + 1 if use_labels else 1

    def xywh(found: Boxes) -> list[list[float]]:
        return [[x, y, right - x, low - y] for x, y, right, low in found.xyxy.tolist()]

    annotations: list[dict] = []
    results: list[dict] = []
    for picture, (found, truth) in enumerate(pairs, start=1):
        for box, label in zip(xywh(truth), truth.labels, strict=True):
            annotations.append(
                {"id": len(annotations) + 1, "image_id": picture, "category_id": number(label),
                 "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            )  # fmt: skip
        crowd = crowds[picture - 1] if crowds else None
        for box, label in zip(xywh(crowd.boxes), crowd.boxes.labels, strict=True) if crowd else ():
            annotations.append(
                {"id": len(annotations) + 1, "image_id": picture, "category_id": number(label),
                 "bbox": box, "area": box[2] * box[3], "iscrowd": 1}
            )  # fmt: skip
        for box, label, score in zip(xywh(found), found.labels, ranks(found), strict=True):
            results.append(
                {"image_id": picture, "category_id": number(label), "bbox": box, "score": score}
            )
    truth = {
        "images": [{"id": n, "width": 256, "height": 256} for n in range(1, len(pairs) + 1)],
        "categories": [{"id": n, "name": str(n)} for n in range(1, 4 if use_labels else 2)],
        "annotations": annotations,
    }
    dataset = coco.COCO(truth)
    evaluation = coco.COCOeval_faster(dataset, dataset.loadRes(results), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return float(evaluation.stats[0]), float(evaluation.stats[1])


@pytest.mark.parametrize("use_labels", [True, False], ids=["names", "boxes alone"])
@pytest.mark.parametrize("scored", [True, False], ids=["scores", "order"])
def test_it_is_what_the_library_computes(scored: bool, use_labels: bool) -> None:
    pairs = random_pairs(scored)
    measured = ap(pairs, use_labels=use_labels)
    assert 0.2 < measured.ap < 0.9  # neither is trivial
    theirs = by_the_library(pairs, use_labels)
    assert (measured.ap, measured.ap50) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("use_labels", [True, False], ids=["names", "boxes alone"])
def test_crowds_are_neither_right_nor_wrong(use_labels: bool) -> None:
    pairs = random_pairs(scored=True)
    crowds = random_crowds(pairs)
    measured = BoxRanking(pairs, crowds, use_labels=use_labels).measure()
    theirs = by_the_library(pairs, use_labels, crowds)
    assert (measured.ap, measured.ap50) == pytest.approx(theirs, abs=1e-9)
    assert measured.ap != BoxRanking(pairs, use_labels=use_labels).measure().ap


def test_a_perfect_answer_beside_crowds_is_perfect() -> None:
    """It measured 0.25: what was found in a crowd counted as wrong."""
    truth = boxes(("cat", CAT))
    members = [("cat", (100.0 + 9 * at, 100.0, 108.0 + 9 * at, 120.0)) for at in range(4)]
    found = boxes(("cat", CAT), *members, scores=(0.1, 0.9, 0.9, 0.9, 0.9))
    crowd = Ignored(boxes(("cat", (98.0, 98.0, 140.0, 122.0))), (True,))
    assert BoxRanking([(found, truth)], [crowd]).measure().ap == pytest.approx(1.0)
    assert count_boxes(drop_ignored(found, truth, crowd), truth).f1 == 1.0
    difficult = Ignored(boxes(members[0]), (False,))  # takes one of them alone
    kept = drop_ignored(found, truth, difficult)
    assert len(kept.labels) == 4 and kept.scores == (0.1, 0.9, 0.9, 0.9)
    other = Ignored(boxes(("dog", (98.0, 98.0, 140.0, 122.0))), (True,))
    assert drop_ignored(found, truth, other).labels == found.labels
    assert len(drop_ignored(found, truth, other, use_labels=False).labels) == 1


def test_a_region_of_no_name_is_to_be_ignored_for_all() -> None:
    """`DontCare` of KITTI, the ignored regions of VisDrone."""
    truth = boxes(("cat", CAT))
    found = boxes(("cat", CAT), ("cat", (100.0, 100.0, 108.0, 120.0)), scores=(0.1, 0.9))
    anything = Ignored(boxes(("", (98.0, 98.0, 140.0, 122.0))), (True,))
    assert BoxRanking([(found, truth)], [anything]).measure().ap == pytest.approx(1.0)
    assert BoxRanking([(found, truth)]).measure().ap < 0.9
    assert drop_ignored(found, truth, anything).labels == ("cat",)


def test_a_weight_of_two_is_the_picture_given_twice() -> None:
    pairs = random_pairs(scored=True)
    weights = np.ones(len(pairs))
    weights[7] = 2
    twice = ap([*pairs[:8], pairs[7], *pairs[8:]])
    # The curve runs through both copies at once or one after the other; little hangs on it.
    assert BoxRanking(pairs).measure(weights).ap == pytest.approx(twice.ap, abs=0.002)


def test_a_weight_of_zero_is_the_picture_left_out() -> None:
    pairs = random_pairs(scored=True)
    weights = np.ones(len(pairs))
    weights[7] = 0
    assert BoxRanking(pairs).measure(weights).ap == pytest.approx(ap(pairs[:7] + pairs[8:]).ap)
