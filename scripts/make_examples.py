"""Write the pictures of examples/ with their truth: scenes and lines no training run has drawn.

python scripts/make_examples.py KIT.zip
"""

import argparse
import json
from pathlib import Path

from PIL import Image

from florence2.tasks import Task
from florence2_lab.suites.worlds_suites import LINES, SCENES, SEED
from florence2_lab.worlds.describe import line_records, scene_records
from florence2_lab.worlds.kit import Kit
from florence2_lab.worlds.lines import line
from florence2_lab.worlds.scenes import scene

FOLDER = Path(__file__).parents[1] / "examples"
SCENE_INDICES = range(10_000, 10_006)  # beyond those that the evaluation measures
LINE_INDICES = range(10_000, 10_006)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kit", type=Path)
    kit = Kit(parser.parse_args().kit)
    FOLDER.mkdir(exist_ok=True)
    truth = {}
    for number, index in enumerate(SCENE_INDICES, start=1):
        made = scene(kit, SEED, index, side=256, options=SCENES)
        (record,) = scene_records(made, (Task.OD,))
        name = f"scene-{number}.png"
        Image.fromarray(made.image).save(FOLDER / name, optimize=True)
        truth[name] = record.result.to_dict()
    for number, index in enumerate(LINE_INDICES, start=1):
        made_line = line(kit, SEED, index, split="val", options=LINES)
        (record,) = line_records(made_line, (Task.OCR,))
        name = f"line-{number}.png"
        Image.fromarray(made_line.image).save(FOLDER / name, optimize=True)
        truth[name] = record.result.to_dict()
    (FOLDER / "truth.json").write_text(json.dumps(truth, indent=1) + "\n")


if __name__ == "__main__":
    main()
