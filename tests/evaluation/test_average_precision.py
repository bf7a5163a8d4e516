"""Average precision by hand, and against the programs of the field."""

import contextlib
import importlib.util
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from florence2.data.records import Federated, Ignored
from florence2.evaluation.average_precision import AveragePrecision, BoxRanking
from florence2.evaluation.box_matching import (
    AREA_RANGES,
    COCO,
    LVIS,
    PROTOCOLS,
    VOC,
    VOC2007,
    Judged,
    Pair,
    Protocol,
    has_equal_scores,
    ranks,
)
from florence2.evaluation.detection import count_boxes, drop_ignored
from florence2.geometry import box_iou
from florence2.results import Boxes

SIZE = (256, 256)
CAT = (10.0, 10.0, 50.0, 50.0)
FAR = (100.0, 100.0, 150.0, 150.0)
# AP, AP50, AP of small, medium and large objects.
LVIS_NUMBERS = [0.6287128712871286, 0.6287128712871286, 0.5, 2 / 3, 0.5049504950495048]


def boxes(*rows: tuple[str, tuple[float, ...]], scores: tuple[float, ...] | None = None) -> Boxes:
    xyxy = np.array([box for _, box in rows]).reshape(-1, 4)
    return Boxes(xyxy, tuple(name for name, _ in rows), scores, image_size=SIZE)


def ap(pairs: list[Pair], **options: bool) -> AveragePrecision:
    return BoxRanking(pairs, **options).measure()


@pytest.mark.parametrize(
    ("found", "truth", "wanted"),
    [
        pytest.param(boxes(), boxes(), None, id="nothing"),
        pytest.param(boxes(), boxes(("cat", CAT)), 0.0, id="missed"),
        pytest.param(boxes(("cat", CAT)), boxes(), None, id="invented"),
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
def test_one_picture_by_hand(found: Boxes, truth: Boxes, wanted: float | None) -> None:
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


@pytest.fixture(scope="module")
def programs() -> ModuleType:
    """The script that compares with all programs; its sets are the awkward ones."""
    path = Path(__file__).parents[2] / "benchmarks" / "ap_programs.py"
    spec = importlib.util.spec_from_file_location("ap_programs", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---- COCO


def nameless(picture: Judged) -> Judged:
    """All boxes are persons, as a program is asked that tells no names apart."""
    found, truth = (replace(each, labels=("person",) * len(each.labels)) for each in picture[:2])
    ignored = picture.ignored
    if ignored:
        persons = ("person",) * len(ignored.crowds)
        ignored = replace(ignored, boxes=replace(ignored.boxes, labels=persons))
    return Judged(found, truth, ignored)


@pytest.mark.parametrize("count", [30, pytest.param(200, marks=pytest.mark.slow)])
def test_awkward_sets_measure_what_the_library_computes(programs: ModuleType, count: int) -> None:
    """AP, AP50 and AP of small, medium and large boxes."""
    pytest.importorskip("faster_coco_eval", reason="the library is not installed")
    sets = programs.awkward_sets(count)
    measured = []
    for pictures in sets:
        with contextlib.redirect_stdout(io.StringIO()):
            theirs = programs.by_faster_coco_eval(pictures)
        measured.append(programs.ours(pictures))
        assert measured[-1] == pytest.approx(theirs, abs=1e-9)
    every = [each for numbers in measured for each in numbers]
    assert any(each is None for each in every) and any(0 < (each or 0) < 0.9 for each in every)


@pytest.mark.parametrize("scored", [True, False], ids=["scores", "order"])
def test_boxes_alone_measure_what_the_library_computes(programs: ModuleType, scored: bool) -> None:
    pytest.importorskip("faster_coco_eval", reason="the library is not installed")
    for pictures in programs.awkward_sets(12):
        if not scored:
            pictures = [each._replace(found=replace(each.found, scores=None)) for each in pictures]
        with contextlib.redirect_stdout(io.StringIO()):
            theirs = programs.by_faster_coco_eval(list(map(nameless, pictures)))
        pictures = [each._replace(federated=None) for each in pictures]
        measured = BoxRanking(pictures, use_labels=False).measure()
        assert [measured.ap, measured.ap50] == pytest.approx(theirs[:2], abs=1e-9)


def test_a_perfect_answer_beside_crowds_is_perfect() -> None:
    """It measured 0.25: what was found in a crowd counted as wrong."""
    truth = boxes(("cat", CAT))
    members = [("cat", (100.0 + 9 * at, 100.0, 108.0 + 9 * at, 120.0)) for at in range(4)]
    found = boxes(("cat", CAT), *members, scores=(0.1, 0.9, 0.9, 0.9, 0.9))
    crowd = Ignored(boxes(("cat", (98.0, 98.0, 140.0, 122.0))), (True,))
    assert BoxRanking([Judged(found, truth, crowd)]).measure().ap == pytest.approx(1.0)
    assert count_boxes(drop_ignored(found, truth, crowd), truth).f1 == 1.0
    difficult = Ignored(boxes(members[0]), (False,))  # takes one of them alone
    kept = drop_ignored(found, truth, difficult)
    assert len(kept.labels) == 4 and kept.scores == (0.1, 0.9, 0.9, 0.9)
    other = Ignored(boxes(("dog", (98.0, 98.0, 140.0, 122.0))), (True,))
    assert drop_ignored(found, truth, other).labels == found.labels
    assert len(drop_ignored(found, truth, other, use_labels=False).labels) == 1
    # A region of no name, as VisDrone has them, is one of any.
    anything = Ignored(boxes(("", (98.0, 98.0, 140.0, 122.0))), (True,))
    assert len(drop_ignored(found, truth, anything).labels) == 1
    assert BoxRanking([Judged(found, truth, anything)]).measure().ap == pytest.approx(1.0)


@pytest.fixture(scope="module")
def pictures(programs: ModuleType) -> list[Judged]:
    """Of several sets together, whose numbers are neither 0 nor 1."""
    return [picture for each in programs.awkward_sets(12) for picture in each]


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=list(PROTOCOLS))
def test_a_weight_of_two_is_the_picture_given_twice(
    pictures: list[Judged], protocol: Protocol
) -> None:
    weights = np.ones(len(pictures))
    weights[7] = 2
    twice = BoxRanking([*pictures[:8], pictures[7], *pictures[8:]], protocol=protocol).measure()
    # The curve runs through both copies at once or one after the other; little hangs on it.
    once = BoxRanking(pictures, protocol=protocol)
    assert once.measure(weights).ap == pytest.approx(twice.ap, abs=0.005)


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=list(PROTOCOLS))
def test_a_weight_of_zero_is_the_picture_left_out(
    pictures: list[Judged], protocol: Protocol
) -> None:
    weights = np.ones(len(pictures))
    weights[7] = 0
    without = BoxRanking(pictures[:7] + pictures[8:], protocol=protocol).measure()
    once = BoxRanking(pictures, protocol=protocol)
    assert once.measure(weights).ap == pytest.approx(without.ap)
    nothing = once.measure(np.zeros(len(pictures)))
    assert nothing == AveragePrecision(None, None)


def test_names_of_both_forms_of_unicode_are_one_class() -> None:
    composed, apart = (boxes((f"caf{accent}", CAT)) for accent in ("\u00e9", "e\u0301"))
    pairs = [(apart, composed), (composed, apart)]
    assert ap(pairs).ap == pytest.approx(1.0)
    assert list(BoxRanking(pairs).by_name()) == ["caf\u00e9"]


def test_the_mean_is_that_of_the_names_of_true_boxes() -> None:
    found = boxes(("cat", CAT), ("bee", FAR), ("dog", CAT))
    ranking = BoxRanking([(found, boxes(("cat", CAT), ("dog", FAR)))])
    by_name = {label: each.ap50 for label, each in ranking.by_name().items()}
    assert by_name == pytest.approx({"cat": 1.0, "dog": 0.0})
    assert ranking.measure().ap50 == pytest.approx(0.5)


def test_equal_scores_are_noticed() -> None:
    one = boxes(("a", CAT), scores=(0.5,))
    assert has_equal_scores([one, one]) and not has_equal_scores([one])
    assert not has_equal_scores([one, boxes(("a", CAT), scores=(0.25,))])
    assert not has_equal_scores([boxes(("a", CAT), ("b", CAT))])  # ranked by their places


# ---- LVIS; the numbers are those of lvis 0.5.3


def lvis_pictures() -> list[Judged]:
    """Names searched for and not, found ones of them, ignored ones, and 310 found in a picture."""
    small, large = (4.0, 4.0, 20.0, 20.0), (0.0, 0.0, 120.0, 110.0)
    first = Judged(
        boxes(("cat", CAT), ("dog", FAR), ("bee", FAR), ("cat", FAR),
              scores=(0.9, 0.8, 0.7, 0.6)),
        boxes(("cat", CAT), ("cat", small)),
        federated=Federated(frozenset({"bee"})),  # nobody looked for dogs
    )  # fmt: skip
    second = Judged(
        boxes(("dog", CAT), ("dog", FAR), ("cat", small), ("person", small),
              scores=(0.5, 0.95, 0.85, 0.3)),
        boxes(("dog", CAT), ("person", small)),
        federated=Federated(frozenset({"cat"}), not_exhaustive=frozenset({"dog"})),
    )  # fmt: skip
    # 300 of 310 count, whatever their names: the last ten, all persons in place, do not.
    many = [("bee", FAR)] * 300 + [("person", (1.0 * at, 0.0, 40.0 + at, 90.0)) for at in range(10)]
    scores = tuple(0.99 - at / 1000 for at in range(310))
    third = Judged(
        boxes(*many, scores=scores),
        boxes(("person", many[305][1]), ("bee", large)),
        federated=Federated(),
    )
    fourth = Judged(
        boxes(("bee", large), scores=(0.999,)), boxes(("bee", large)), None, Federated()
    )
    return [first, second, third, fourth]


def numbers(pictures: Sequence[Judged], protocol: Protocol) -> list[float | None]:
    whole = BoxRanking(pictures, protocol=protocol).measure()
    parts = [
        BoxRanking(pictures, protocol=protocol, area_range=each).measure().ap
        for each in AREA_RANGES.values()
    ]
    return [whole.ap, whole.ap50, *parts]


def test_lvis_is_what_its_program_computes() -> None:
    assert numbers(lvis_pictures(), LVIS) == pytest.approx(LVIS_NUMBERS, abs=1e-9)
    searched = [each._replace(federated=None) for each in lvis_pictures()]
    assert numbers(searched, LVIS) != pytest.approx(LVIS_NUMBERS, abs=0.01)
    assert numbers(lvis_pictures(), COCO) != pytest.approx(LVIS_NUMBERS, abs=0.01)


def test_areas_may_be_those_of_masks() -> None:
    """LVIS and COCO take the area of the mask, not of the box around it."""
    found, truth = boxes(("cat", CAT), scores=(0.5,)), boxes(("cat", CAT))  # 1,600 pixels
    thin = Judged(found, truth, true_areas=np.array([300.0]))
    small, medium = (
        BoxRanking([thin], protocol=LVIS, area_range=AREA_RANGES[name]).measure().ap
        for name in ("small", "medium")
    )
    assert (small, medium) == (pytest.approx(1.0), None)


# ---- VOC, whose program is MATLAB


def by_the_devkit(pictures: Sequence[Judged], label: str, *, year_2007: bool) -> float | None:
    """VOCevaldet.m and VOCap.m, line by line; what is ignored is difficult."""
    rows = [
        (score, number, box)
        for number, (found, *_) in enumerate(pictures)
        for score, box, name in zip(ranks(found), found.xyxy, found.labels, strict=True)
        if name == label
    ]
    true, difficult, taken = [], [], []
    for _, truth, ignored, *_ in pictures:
        kept = [row for row, name in enumerate(truth.labels) if name == label]
        extra = (
            ignored.boxes.xyxy[[name == label for name in ignored.boxes.labels]] if ignored else []
        )
        true.append([*truth.xyxy[kept], *extra])
        difficult.append([False] * len(kept) + [True] * len(extra))
        taken.append([False] * len(true[-1]))
    count = sum(not each for flags in difficult for each in flags)
    if not count:
        return None
    rows.sort(key=lambda row: -row[0])
    right, wrong = np.zeros(len(rows)), np.zeros(len(rows))
    for at, (_, number, box) in enumerate(rows):
        overlap_max, best = -np.inf, -1
        for row, other in enumerate(true[number]):
            overlap = float(box_iou([box], [other])[0, 0])
            if overlap > overlap_max:
                overlap_max, best = overlap, row
        if overlap_max >= 0.5:
            if not difficult[number][best]:
                right[at], wrong[at] = (0, 1) if taken[number][best] else (1, 0)
                taken[number][best] = True
        else:
            wrong[at] = 1
    right, wrong = right.cumsum(), wrong.cumsum()
    recall, precision = right / count, right / np.maximum(right + wrong, 1e-9)
    if year_2007:
        places = np.arange(0.0, 1.1, 0.1)
        return float(np.mean([max(precision[recall >= each], default=0.0) for each in places]))
    recall, precision = np.array([0, *recall, 1]), np.array([0, *precision, 0])
    for at in range(len(precision) - 2, -1, -1):
        precision[at] = max(precision[at], precision[at + 1])
    rises = np.flatnonzero(recall[1:] != recall[:-1]) + 1
    return float(((recall[rises] - recall[rises - 1]) * precision[rises]).sum())


@pytest.mark.parametrize("protocol", [VOC2007, VOC], ids=["2007", "all points"])
def test_voc_is_what_its_devkit_computes(programs: ModuleType, protocol: Protocol) -> None:
    found = set()
    for pictures in programs.awkward_sets(40):
        pictures = [
            Judged(each.found, each.truth, each.ignored and replace(
                each.ignored, crowds=(False,) * len(each.ignored.crowds)))
            for each in pictures
        ]  # fmt: skip
        measured = BoxRanking(pictures, protocol=protocol).by_name()
        wanted = {
            label: by_the_devkit(pictures, label, year_2007=protocol is VOC2007)
            for label in {label for each in pictures for label in each.truth.labels}
        }
        assert {label: each.ap for label, each in measured.items()} == pytest.approx(wanted)
        found |= set(wanted.values())
    assert len(found) > 20


@pytest.mark.parametrize(
    ("protocol", "wanted"),
    [
        # The better box takes the cat, the second meets the same cat: wrong in VOC, while COCO
        # lets it take the neighbour, which it overlaps by more than half as well.
        pytest.param(VOC2007, 6 / 11, id="2007"),  # recalls 0 to 0.5 at precision 1
        pytest.param(VOC, 0.5, id="all points"),
        pytest.param(COCO, 1.0, id="coco"),
    ],
)
def test_voc_gives_no_second_choice(protocol: Protocol, wanted: float) -> None:
    truth = boxes(("cat", (0.0, 0.0, 40.0, 40.0)), ("cat", (10.0, 0.0, 50.0, 40.0)))
    found = boxes(*[("cat", (3.0, 0.0, 43.0, 40.0))] * 2, scores=(0.9, 0.8))
    assert BoxRanking([(found, truth)], protocol=protocol).measure().ap50 == pytest.approx(wanted)


def test_a_group_of_open_images_takes_any_number() -> None:
    group = Ignored(boxes(("cat", (98.0, 98.0, 152.0, 152.0))), (True,))
    members = [("cat", (100.0 + 9 * at, 100.0, 108.0 + 9 * at, 120.0)) for at in range(4)]
    found = boxes(("cat", CAT), *members, scores=(0.1, 0.9, 0.9, 0.9, 0.9))
    picture = Judged(found, boxes(("cat", CAT)), group)
    assert BoxRanking([picture], protocol=VOC).measure().ap == pytest.approx(1.0)
