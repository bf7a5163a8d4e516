"""How many classes of a long list to ask in one question of open-vocabulary detection?

    python benchmarks/class_lists.py KIT.zip [--model nano] [--count 30] [--sizes 1,2,4,8,48]

Every held-out scene is asked for all names of the kit, of which it holds one to five, by
`detect_classes` with so many names in a question. Object detection, which asks for none, stands
beside it: a question for a few names invites answers that are not there. Greedy; a box is right
with the right name at IoU 0.5. Prints a table, and JSON as the last line.
"""

import json
import time
from collections.abc import Callable
from typing import cast

from common import held_out_scenes, kit_parser, told
from PIL import Image

from florence2 import Boxes, Florence2, Task
from florence2.data.records import Record
from florence2.evaluation.predict import GREEDY
from florence2.evaluation.task_metrics import MEASURES
from florence2.pipelines.cascades import detect_classes
from florence2_lab.worlds.kit import Kit


def main() -> None:
    parser = kit_parser(__doc__, count=30)
    parser.add_argument("--sizes", default="1,2,4,8,48")
    arguments = parser.parse_args()
    model = Florence2.load(arguments.model, calibration=None)
    kit = Kit(arguments.kit)
    records = held_out_scenes(kit, arguments.count)

    def by_names(size: int) -> Callable[[Image.Image], Boxes]:
        return lambda image: cast(
            Boxes,
            detect_classes(
                model.engine, image, kit.categories, per_question=size, generation=GREEDY
            ).objects,
        )

    ways: dict[str, Callable[[Image.Image], Boxes]] = {
        "object detection": lambda image: cast(Boxes, model.run(image, "od", generation=GREEDY)),
        **{f"{size} in a question": by_names(int(size)) for size in arguments.sizes.split(",")},
    }
    table = {name: measured(name, way, records) for name, way in ways.items()}
    print(json.dumps({"model": model.name, "count": len(records), **table}))


def measured(
    name: str, way: Callable[[Image.Image], Boxes], records: list[Record]
) -> dict[str, dict[str, float]]:
    """Answer all records in one way, and print what came out."""
    started = time.perf_counter()
    answers = [way(record.picture()) for record in records]
    seconds = (time.perf_counter() - started) / len(records)
    numbers = MEASURES[Task.OD](list(zip(answers, records, strict=True))).numbers
    shown = {key: numbers[key] for key in ("recall", "precision", "f1", "ap50")}
    print(f"{name:20} {told(shown)}  {seconds:.2f} s a picture", flush=True)
    return {key: each.to_dict() for key, each in shown.items()}


if __name__ == "__main__":
    main()
