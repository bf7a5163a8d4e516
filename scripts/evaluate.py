"""Measure a model on held-out scenes and lines; prints a table, and JSON as the last line.

    python scripts/evaluate.py KIT.zip [--model nano] [--test-styles KIT2.zip] [--count 500]

KIT2 holds drawing styles that no training uses:
    python -m florence2.worlds.building KIT2.zip --test-styles
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch

from florence2.checkpoints import load_checkpoint
from florence2.evaluation.worlds import GREEDY, Asker, measure_detection, measure_reading
from florence2.worlds.kit import Kit


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kit", type=Path)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--test-styles", type=Path)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--beams", type=int, default=GREEDY.num_beams)
    arguments = parser.parse_args()
    loaded = load_checkpoint(arguments.model, dtype=torch.float32)
    asker = Asker(loaded.model.eval(), loaded.tokenizer, replace(GREEDY, num_beams=arguments.beams))
    kit, count = Kit(arguments.kit), arguments.count
    table = {
        "objects, styles of training": measure_detection(asker, kit, "train", count),
        "objects, held-out drawings": measure_detection(asker, kit, "val", count),
    }
    if arguments.test_styles:
        other = Kit(arguments.test_styles)
        table["objects, OpenMoji and EmojiOne v1"] = measure_detection(asker, other, "val", count)
    table["lines, fonts of training"] = measure_reading(asker, kit, "train", count)
    table["lines, unseen fonts"] = measure_reading(asker, kit, "val", count)
    for name, numbers in table.items():
        print(f"{name:36}", *(f"{key} {value:.3f}" for key, value in numbers.items()), sep="  ")
    print(json.dumps({"model": loaded.name, "count": count, **table}))


if __name__ == "__main__":
    main()
