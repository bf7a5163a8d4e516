"""Do the scores of boxes rank them? Average precision with our scores against ranks without them.

    python benchmarks/scores.py KIT.zip [--model nano] [--count 300] [--beams 1]

Object detection on held-out scenes; a box is right when its label is right and its IoU is at least
0.5. The same boxes are ranked in several ways, so all differences are those of the ranking:
"pooled" is the average precision of all boxes in one list, "classes" the mean over classes, as on
COCO. Ranks without scores break ties at random, the mean of 20 draws. Prints a table, and JSON as
the last line.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from common import held_out_scenes, kit_parser

from florence2 import Florence2
from florence2.evaluation.average_precision import BoxRanking
from florence2.evaluation.box_matching import Pair
from florence2.evaluation.predict import GREEDY, Predictor
from florence2.results import Boxes
from florence2_lab.worlds.kit import Kit

DRAWS = 20


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


def ranked(pairs: Sequence[Pair], ranking: Ranking, seed: int) -> list[Pair]:
    """The same boxes, scored by their rank among all alone; ties are broken by lot."""
    random = np.random.default_rng(seed)
    rows = [
        (-score, random.random(), picture, row)
        for picture, (found, _) in enumerate(pairs)
        for row, score in enumerate(ranking.score(found))
    ]
    place = {tuple(row): 1 - rank / len(rows) for rank, (_, _, *row) in enumerate(sorted(rows))}
    return [
        (replace(found, scores=[place[picture, row] for row in range(len(found.labels))]), truth)
        for picture, (found, truth) in enumerate(pairs)
    ]


def apart(boxes: Boxes, labels: Sequence[str]) -> Boxes:
    """Boxes of each label in a place of their own: in one list, they meet none of another label."""
    shifts = [labels.index(label) * boxes.image_size[0] for label in boxes.labels]
    return replace(boxes, xyxy=boxes.xyxy + np.array(shifts).reshape(-1, 1) * (1, 0, 1, 0))


def measure(pairs: Sequence[Pair], ranking: Ranking) -> dict[str, float]:
    """Both kinds of average precision, the mean over draws."""
    labels = sorted({label for pair in pairs for boxes in pair for label in boxes.labels})
    numbers = []
    for seed in range(ranking.draws):
        scored = ranked(pairs, ranking, seed)
        one_list = [(apart(found, labels), apart(truth, labels)) for found, truth in scored]
        pooled = BoxRanking(one_list, use_labels=False).measure().ap50
        numbers.append((pooled, BoxRanking(scored).measure().ap50))
    pooled, classes = np.mean(numbers, axis=0).tolist()
    return {"pooled": pooled, "classes": classes}


def main() -> None:
    parser = kit_parser(__doc__, count=300)
    parser.add_argument("--beams", type=int, default=1)
    arguments = parser.parse_args()
    model = Florence2.load(arguments.model, device="cpu", precision="float32", calibration=None)
    options = replace(GREEDY, num_beams=arguments.beams)
    predictor = Predictor(model.engine, options)
    records = held_out_scenes(Kit(arguments.kit), arguments.count)
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
