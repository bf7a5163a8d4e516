"""Measure what a model finds on photographs, and what its own thresholds leave of that.

Asks all tasks that find objects of the photographs in a folder, and of held-out scenes of a kit:
objects a picture, precision and recall, with all that the model finds and with what is above its
own thresholds. Prints one JSON object on stdout and a Markdown table on stderr.

  florence2-lab photographs FOLDER --kit KIT.zip --test-styles STYLES.zip --count 150
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from florence2.cli.common import add_flag
from florence2.cli.edge import json_line
from florence2.errors import ConfigError
from florence2.tasks import Task

if TYPE_CHECKING:
    from florence2_lab.suites.photographs import Found, Kept

PHOTOGRAPHS = "photographs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="photographs")
    parser.add_argument("--kit", type=Path, metavar="ZIP", required=True,
                        help="the kit of the training")  # fmt: skip
    parser.add_argument("--test-styles", type=Path, metavar="ZIP", help="a kit of unseen styles")
    parser.add_argument("--count", type=int, default=150, metavar="N",
                        help="scenes of each material (default 150)")  # fmt: skip
    for flag in ("--model", "--device", "--threads", "--beams"):
        add_flag(parser, flag)


def main(arguments: argparse.Namespace) -> int:
    import sys
    from dataclasses import replace

    from florence2.api import Florence2
    from florence2.engine import Request
    from florence2.runtimes.pytorch.threads import set_threads
    from florence2_lab.suites.photographs import (
        TASKS,
        find_in_photographs,
        find_in_scenes,
        kept,
        photographs,
    )
    from florence2_lab.suites.worlds_suites import scenes_of
    from florence2_lab.worlds.kit import Kit

    if arguments.count < 1:
        raise ConfigError(f"--count must be 1 or more; got {arguments.count!r}")
    kit = Kit(arguments.kit)
    styles = arguments.test_styles and Kit(arguments.test_styles)
    pictures = [image for _, image in photographs(arguments.folder)]
    set_threads(arguments.threads)
    model = Florence2.load(arguments.model, arguments.device)
    options = replace(model.generation, num_beams=arguments.beams or model.generation.num_beams)
    rows = []
    for task in TASKS:
        least = model.engine.min_score(Request(pictures[0], task))
        found: dict[str, list[Found]] = {
            PHOTOGRAPHS: find_in_photographs(model.engine, pictures, task, kit.categories, options)
        }
        for material, records in scenes_of(kit, styles, task, arguments.count):
            found[material] = find_in_scenes(model.engine, records, options)
        for material, each in found.items():
            rows.append(_row(task, material, len(each), least, kept(each, 0.0), kept(each, least)))
            print(_words(rows[-1]), file=sys.stderr)
    print(json_line({"model": model.name, "beams": options.num_beams, "rows": rows}))
    return 0


def _row(
    task: Task, material: str, pictures: int, least: float, every: "Kept", default: "Kept"
) -> dict[str, Any]:
    return {
        "task": task.name.lower(),
        "material": material,
        "pictures": pictures,
        "min_score": least,
        "all": asdict(every),
        "default": asdict(default),
    }


def _words(row: dict[str, Any]) -> str:
    """A row of a Markdown table: all objects, then those above the threshold."""
    cells = [row["task"], f"{row['pictures']} of {row['material']}", f"{row['min_score']:.3f}"]
    for what in ("a_picture", "precision", "recall"):
        values = (row[which][what] for which in ("all", "default"))
        cells.append(" -> ".join("-" if each is None else f"{each:.2f}" for each in values))
    return f"| {' | '.join(cells)} |"
