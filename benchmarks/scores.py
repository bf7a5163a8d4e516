"""Do the scores of boxes rank them? Average precision with our scores against ranks without them.

    python benchmarks/scores.py KIT.zip [--model nano] [--count 300] [--beams 1]

Object detection on held-out scenes; a box is right when its label is right and its IoU is at least
0.5. The same boxes are ranked in several ways, so all differences are those of the ranking:
"pooled" is the average precision of all boxes in one list, "classes" the mean over classes, as on
COCO. Ranks without scores break ties at random, the mean of 20 draws. Prints a table, and JSON as
the last line.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np

from florence2 import Florence2
from florence2.evaluation.predict import GREEDY, Predictor
from florence2.geometry import Array, box_iou
from florence2.results import Boxes
from florence2.tasks import Task
from florence2_lab.suites.worlds_suites import SCENE_SIDE, SCENES, SEED
from florence2_lab.worlds.describe import scene_records
from florence2_lab.worlds.kit import Kit
from florence2_lab.worlds.scenes import scene

DRAWS = 20
IOU = 0.5


@dataclass(frozen=True)
class Ranking:
    """A way to order boxes: one number for each box of a result, larger is better."""

    name: str
    score: Callable[[Boxes], Sequence[float]]
    draws: int = 1


def _mean(power: float) -> Callable[[Boxes], Sequence[float]]:
    """Geometric mean of label and location, the label weighted by `power`."""

    def score(boxes: Boxes) -> list[float]:
        pairs = zip(boxes.label_scores or (), boxes.location_scores or (), strict=True)
        return [
            float(label or 0) ** power * float(place or 0) ** (1 - power) for label, place in pairs
        ]

    return score


def _emission(boxes: Boxes) -> list[float]:
    return [-float(place) for place in range(len(boxes.labels))]


RANKINGS = (
    Ranking("constant", lambda boxes: [0.0] * len(boxes.labels), DRAWS),
    Ranking("order of emission", _emission, DRAWS),
    Ranking("label only", _mean(1.0)),
    Ranking("location only", _mean(0.0)),
    Ranking("label and location (Boxes.scores)", _mean(1 / 2)),
    Ranking("label weighted 2/3", _mean(2 / 3)),
    Ranking("label weighted 1/3", _mean(1 / 3)),
)  # fmt: skip


def average_precision(right: Array, num_true: int) -> float:
    """Area under the precision envelope at 101 recalls, of boxes in order of rank."""
    if num_true == 0 or right.size == 0:
        return 0.0
    hits = right.cumsum()
    precision = np.maximum.accumulate((hits / np.arange(1, len(right) + 1))[::-1])[::-1]
    places = np.searchsorted(hits / num_true, np.linspace(0, 1, 101))
    return float(np.append(precision, 0.0)[np.minimum(places, len(precision))].mean())


def ranked_right(
    pairs: Sequence[tuple[Boxes, Boxes]], ranking: Ranking, seed: int
) -> list[tuple[str, bool]]:
    """Label and rightness of every found box, best rank first; a true box is found once."""
    random = np.random.default_rng(seed)
    rows = [
        (-score, random.random(), picture, row)
        for picture, (found, _) in enumerate(pairs)
        for row, score in enumerate(ranking.score(found))
    ]
    free = [box_iou(found.xyxy, truth.xyxy) for found, truth in pairs]
    ranked = []
    for _, _, picture, row in sorted(rows):
        found, truth = pairs[picture]
        same = np.array([label == found.labels[row] for label in truth.labels], dtype=bool)
        overlaps = np.where(same, free[picture][row], 0.0)
        right = bool(overlaps.size and overlaps.max() >= IOU)
        if right:
            free[picture][:, overlaps.argmax()] = 0.0
        ranked.append((found.labels[row], right))
    return ranked


def measure(pairs: Sequence[tuple[Boxes, Boxes]], ranking: Ranking) -> dict[str, float]:
    """Both kinds of average precision, the mean over draws."""
    true_labels = [label for _, truth in pairs for label in truth.labels]
    numbers = []
    for seed in range(ranking.draws):
        ranked = ranked_right(pairs, ranking, seed)
        classes = [
            average_precision(
                np.array([right for name, right in ranked if name == label], dtype=float),
                true_labels.count(label),
            )
            for label in sorted({*true_labels})
        ]
        pooled = average_precision(
            np.array([right for _, right in ranked], dtype=float), len(true_labels)
        )
        numbers.append((pooled, float(np.mean(classes))))
    pooled, classes_mean = np.mean(numbers, axis=0).tolist()
    return {"pooled": pooled, "classes": classes_mean}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kit", type=Path)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--beams", type=int, default=1)
    arguments = parser.parse_args()
    model = Florence2.load(arguments.model, device="cpu", precision="float32")
    options = replace(GREEDY, num_beams=arguments.beams)
    predictor = Predictor(model.engine, options)
    kit = Kit(arguments.kit)
    scenes = (
        scene(kit, SEED, index, side=SCENE_SIDE, split="val", options=SCENES)
        for index in range(arguments.count)
    )
    records = [scene_records(each, (Task.OD,))[0] for each in scenes]
    pairs = [
        (cast(Boxes, found), cast(Boxes, record.result))
        for found, record in zip(predictor.answer(records), records, strict=True)
    ]
    table = {ranking.name: measure(pairs, ranking) for ranking in RANKINGS}
    boxes = sum(len(found.labels) for found, _ in pairs)
    print(f"{boxes} boxes in {len(pairs)} pictures")
    for name, numbers in table.items():
        print(f"{name:36}", *(f"{key} {value:.3f}" for key, value in numbers.items()), sep="  ")
    settings = {"model": arguments.model, "beams": arguments.beams, "count": len(pairs)}
    print(json.dumps({**settings, "boxes": boxes, **table}))


if __name__ == "__main__":
    main()
