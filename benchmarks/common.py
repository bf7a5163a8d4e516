"""What benchmarks on held-out scenes of a kit share."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from florence2.data.records import Record
from florence2.evaluation.intervals import Interval
from florence2.tasks import Task
from florence2_lab.suites.worlds_suites import SCENE_SIDE, SCENES, SEED
from florence2_lab.worlds.describe import scene_records
from florence2_lab.worlds.kit import Kit
from florence2_lab.worlds.scenes import scene


def kit_parser(description: str | None, count: int) -> argparse.ArgumentParser:
    """Arguments KIT.zip, --model and --count."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kit", type=Path)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--count", type=int, default=count)
    return parser


def held_out_scenes(kit: Kit, count: int) -> list[Record]:
    """Scenes of drawings that no training knows, with all their objects."""
    made = (
        scene(kit, SEED, index, side=SCENE_SIDE, split="val", options=SCENES)
        for index in range(count)
    )
    return [scene_records(each, (Task.OD,))[0] for each in made]


def told(numbers: Mapping[str, Interval]) -> str:
    """Numbers with their intervals, in a line."""
    return "  ".join(f"{name} {each}" for name, each in numbers.items())
