"""Average precision beside the programs of the field, on 200 random sets of every awkward case.

  pip install pycocotools faster-coco-eval hotcoco torchmetrics torchvision lvis
  python benchmarks/ap_programs.py

Pictures without anything, crowds, names only in the truth or only in the answers, equal scores,
duplicates, more than 100 boxes of a name and more than 300 in a picture, boxes without area and
larger than the picture, ids from 0, names of which a picture was not or not exhaustively searched.
Tells the largest difference of AP, AP50 and AP of small, medium and large boxes to each program,
and where one of them has a number and the other has none. Programs that are missing are left out.
"""

import argparse
import contextlib
import io
import itertools
import json
import logging
import math
import tempfile
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from florence2.data.records import Federated, Ignored
from florence2.evaluation.average_precision import BoxRanking
from florence2.evaluation.box_matching import AREA_RANGES, COCO, LVIS, Judged, ranks
from florence2.results import Boxes

SIZE = (256, 192)
NAMES = ("person", "cat", "dog", "bee", "only answered")  # a set has some of these
Numbers = list[float | None]  # AP, AP50, AP of small, medium, large boxes


# ---- sets; all numbers are multiples of 1/64, so that no program rounds them


def awkward_set(seed: int) -> list[Judged]:
    """A few pictures with found and true boxes, some of which hold what is awkward."""
    rng = np.random.default_rng(seed)
    names = list(NAMES[: int(rng.integers(1, len(NAMES)))])
    levels = int(rng.choice([1, 3, 64]))  # of scores: all equal, often equal, hardly ever
    return [_picture(rng, names, levels) for _ in range(int(rng.integers(1, 9)))]


def awkward_sets(count: int) -> list[list[Judged]]:
    """The first sets in which something is answered; most programs stop at no results."""
    sets = (awkward_set(seed) for seed in itertools.count())
    answered = (each for each in sets if any(picture.found.labels for picture in each))
    return list(itertools.islice(answered, count))


def _picture(rng: np.random.Generator, names: list[str], levels: int) -> Judged:
    truth = _boxes(rng, names, int(rng.choice([0, 0, 1, 3, 8])))
    found = _near(rng, truth, names, levels)
    if rng.random() < 0.1:  # more than programs count
        found = _scored(rng, _boxes(rng, names[:2], int(rng.choice([110, 330]))), levels)
    crowds = _boxes(rng, names, int(rng.choice([0, 0, 1, 2])))
    ignored = Ignored(crowds, (True,) * len(crowds.labels)) if crowds.labels else None
    federated = Federated(
        frozenset(name for name in (*names, NAMES[-1]) if rng.random() < 0.5),
        frozenset(name for name in names if rng.random() < 0.2),
    )
    return Judged(found, truth, ignored, federated)


def _boxes(rng: np.random.Generator, names: Sequence[str], count: int) -> Boxes:
    """Boxes on a coarse grid, many of them equal; some are tiny, without area, or huge."""
    sides = 2.0 ** rng.integers(-4, 8, (count, 2))
    sides[rng.random(count) < 0.04, 0] = 0.0
    sides[rng.random(count) < 0.04] = 2048.0
    corner = rng.integers(0, 12, (count, 2)) * 16.0
    labels = tuple(rng.choice(names, count)) if count else ()
    xyxy = np.concatenate([corner, corner + sides], axis=1)
    return Boxes(xyxy, tuple(map(str, labels)), image_size=SIZE)


def _near(rng: np.random.Generator, truth: Boxes, names: list[str], levels: int) -> Boxes:
    """Copies of true boxes, moved and renamed by chance, some twice; and invented ones."""
    rows = np.repeat(np.arange(len(truth.labels)), rng.choice([0, 1, 1, 2], len(truth.labels)))
    near = truth.xyxy[rows] + rng.choice([0, 0, 0, 2, 4], (len(rows), 1)) * 1.0
    wrong = _boxes(rng, [*names, NAMES[-1]], int(rng.choice([0, 1, 4])))
    labels = [
        truth.labels[row] if rng.random() < 0.9 else str(rng.choice([*names, NAMES[-1]]))
        for row in rows
    ]
    xyxy = np.concatenate([near, wrong.xyxy])
    order = rng.permutation(len(xyxy)).tolist()
    found = Boxes(xyxy, (*labels, *wrong.labels), image_size=SIZE).select(order)
    return _scored(rng, found, levels)


def _scored(rng: np.random.Generator, boxes: Boxes, levels: int) -> Boxes:
    scores = (rng.integers(1, levels + 1, len(boxes.labels)) / 64).tolist()
    return Boxes(boxes.xyxy, boxes.labels, scores, image_size=SIZE)


# ---- ours, and theirs


def ours(pictures: Sequence[Judged], *, lvis: bool = False) -> Numbers:
    """By florence2; under COCO every picture was searched for every name."""
    protocol = LVIS if lvis else COCO
    rows = pictures if lvis else [each._replace(federated=None) for each in pictures]
    whole = BoxRanking(rows, protocol=protocol).measure()
    parts = [
        BoxRanking(rows, protocol=protocol, area_range=area_range).measure().ap
        for area_range in AREA_RANGES.values()
    ]
    return [whole.ap, whole.ap50, *parts]


def as_coco(pictures: Sequence[Judged]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A set as COCO and LVIS write it, pictures and categories numbered from 0.

    Annotations count from 1: of one with the id 0 pycocotools and faster-coco-eval take no match.
    """
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    images: list[dict[str, Any]] = []

    def row(number: int, xyxy: list[float], label: str) -> dict[str, Any]:
        x, y, right, low = xyxy
        box = [x, y, right - x, low - y]
        return {"image_id": number, "category_id": NAMES.index(label), "bbox": box}

    for number, (found, truth, ignored, federated, _) in enumerate(pictures):
        marked = [(truth, 0)] + ([(ignored.boxes, 1)] if ignored else [])
        for boxes, crowd in marked:
            for xyxy, label in zip(boxes.xyxy.tolist(), boxes.labels, strict=True):
                content = row(number, xyxy, label)
                area = content["bbox"][2] * content["bbox"][3]
                flags = {"area": area, "iscrowd": crowd, "id": len(annotations) + 1}
                annotations.append(content | flags | {"segmentation": []})
        pairs = zip(found.xyxy.tolist(), found.labels, ranks(found), strict=True)
        results += [row(number, xyxy, label) | {"score": score} for xyxy, label, score in pairs]
        searched = federated or Federated()
        images.append(
            {
                "id": number,
                "width": SIZE[0],
                "height": SIZE[1],
                "neg_category_ids": [NAMES.index(each) for each in searched.negatives],
                "not_exhaustive_category_ids": [
                    NAMES.index(each) for each in searched.not_exhaustive
                ],
            }
        )
    categories = [{"id": at, "name": name, "frequency": "f"} for at, name in enumerate(NAMES)]
    return {"images": images, "categories": categories, "annotations": annotations}, results


def known(numbers: Sequence[float]) -> Numbers:
    """They say -1 where there is no number."""
    return [None if value == -1 else float(value) for value in numbers]


def _by_coco(package: Any, evaluation: Any, pictures: Sequence[Judged]) -> Numbers:
    content, results = as_coco(pictures)
    dataset = package.COCO()
    dataset.dataset = content
    dataset.createIndex()
    done = evaluation(dataset, dataset.loadRes(results), "bbox")
    done.evaluate()
    done.accumulate()
    done.summarize()
    return known([done.stats[at] for at in (0, 1, 3, 4, 5)])


def by_pycocotools(pictures: Sequence[Judged]) -> Numbers:
    from pycocotools import coco, cocoeval

    return _by_coco(coco, cocoeval.COCOeval, pictures)


def by_faster_coco_eval(pictures: Sequence[Judged]) -> Numbers:
    import faster_coco_eval as package

    content, results = as_coco(pictures)
    dataset = package.COCO(content)
    done = package.COCOeval_faster(dataset, dataset.loadRes(results), "bbox")
    done.evaluate()
    done.accumulate()
    done.summarize()
    return known([done.stats[at] for at in (0, 1, 3, 4, 5)])


def by_hotcoco(pictures: Sequence[Judged]) -> Numbers:
    import hotcoco

    content, results = as_coco(pictures)
    dataset = hotcoco.COCO(content)
    done = hotcoco.COCOeval(dataset, dataset.load_res(results), "bbox")
    done.evaluate()
    done.accumulate()
    done.summarize()
    return known([done.stats[at] for at in (0, 1, 3, 4, 5)])


def by_torchmetrics(pictures: Sequence[Judged]) -> Numbers:
    import torch
    from torchmetrics.detection import MeanAveragePrecision

    # Its own are those of torch.linspace: 0.6 in float32 is 0.6000000238.
    metric = MeanAveragePrecision(
        iou_thresholds=np.linspace(0.5, 0.95, 10).tolist(),
        rec_thresholds=np.linspace(0.0, 1.0, 101).tolist(),
        backend="pycocotools",
    )
    for found, truth, ignored, *_ in pictures:
        crowds = ignored.boxes if ignored else truth.select([])
        ids = [torch.tensor([NAMES.index(each) for each in boxes.labels], dtype=torch.long)
               for boxes in (found, truth, crowds)]  # fmt: skip
        true = torch.tensor(np.concatenate([truth.xyxy, crowds.xyxy]))
        flags = torch.tensor([0] * len(truth.labels) + [1] * len(crowds.labels))
        metric.update(
            [{"boxes": torch.tensor(found.xyxy), "scores": torch.tensor(found.scores),
              "labels": ids[0]}],
            [{"boxes": true, "labels": torch.cat(ids[1:]), "iscrowd": flags}],
        )  # fmt: skip
    numbers = metric.compute()
    names = ("map", "map_50", "map_small", "map_medium", "map_large")
    return known([float(numbers[name]) for name in names])


def by_lvis(pictures: Sequence[Judged]) -> Numbers:
    """Crowds are left out: LVIS has none."""
    if not hasattr(np, "float"):  # lvis 0.5.3 stops with any NumPy from 1.24 on
        np.float = float  # type: ignore[attr-defined]
    import lvis

    content, results = as_coco([each._replace(ignored=None) for each in pictures])
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:  # it reads files alone
        json.dump(content, file)
        file.flush()
        dataset = lvis.LVIS(file.name)
    done = lvis.LVISEval(dataset, lvis.LVISResults(dataset, results), "bbox")
    done.run()
    return known([done.results[name] for name in ("AP", "AP50", "APs", "APm", "APl")])


PROGRAMS: dict[str, Callable[[Sequence[Judged]], Numbers]] = {
    "pycocotools": by_pycocotools,
    "faster-coco-eval": by_faster_coco_eval,
    "hotcoco": by_hotcoco,
    "torchmetrics": by_torchmetrics,
    "lvis": by_lvis,
}


# torchmetrics gives its numbers as float32.
TOLERANCES = {"torchmetrics": 2.0**-24}


def difference(first: Numbers, second: Numbers) -> float:
    """The largest of five numbers; infinite where one of them has no number."""
    pairs = zip(first, second, strict=True)
    return max(
        (0.0 if a is b is None else math.inf) if a is None or b is None else abs(a - b)
        for a, b in pairs
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", type=int, default=200)
    arguments = parser.parse_args()
    logging.disable()
    sets = awkward_sets(arguments.sets)
    table = {}
    for name, program in PROGRAMS.items():
        try:
            named = f"{name} {version(name)}"
        except PackageNotFoundError:
            print(f"{name} is not installed: pip install {name}")
            continue
        differences = []
        for pictures in sets:
            if name == "lvis":
                pictures = [each._replace(ignored=None) for each in pictures]
            with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                theirs = program(pictures)
            differences.append(difference(ours(pictures, lvis=name == "lvis"), theirs))
        tolerance = TOLERANCES.get(name, 1e-9)
        equal = sum(each < tolerance for each in differences)
        print(f"{named:24} {equal} of {len(differences)} equal to {tolerance:.1g};"
              f" largest difference {max(differences):.2g}")  # fmt: skip
        table[named] = {"sets": len(differences), "equal": equal, "largest": max(differences)}
    print(json.dumps(table))


if __name__ == "__main__":
    main()
