"""Make exactly annotated pictures: build the kit, look at what it makes, write it as a dataset.

  florence2-lab worlds build kit.zip
  florence2-lab worlds preview kit.zip --kind scenes --task od --output sheet.png
  florence2-lab worlds export kit.zip folder --kind pages --count 500
  florence2-lab worlds export kit.zip folder --kind scenes --task od --format coco
  florence2-lab worlds bake kit.zip pages.zip     # web pages, laid out by an installed Chromium
  florence2-lab worlds preview pages.zip --kind web --output sheet.png

`build` fetches public packages with npm, pip and apt-get, once, and needs the extra "lab".
"""

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from florence2.cli.edge import json_line
from florence2.errors import ConfigError, DataError, writing
from florence2.tasks import Task

if TYPE_CHECKING:
    from florence2.data.records import Record

DEFAULT_CACHE = Path(".kit-cache")
MIN_SIDE = 16  # of pictures; some kinds need more
MAX_SEED = 2**63 - 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    build = actions.add_parser("build", help="build a kit from public packages")
    build.add_argument("kit", metavar="KIT.zip", type=Path, help="the file to write")
    build.add_argument(
        "--cache", metavar="DIR", type=Path, default=DEFAULT_CACHE, help="fetched packages"
    )
    build.add_argument("--categories", type=int, metavar="N", help="how many (default 48)")
    build.add_argument(
        "--test-styles",
        action="store_true",
        help="share-alike styles instead: for measuring only, never to ship or train with",
    )
    bake = actions.add_parser("bake", help="lay web pages out in a browser, once")
    bake.add_argument("kit", metavar="KIT.zip", type=Path, help="a kit")
    bake.add_argument("pages", metavar="PAGES.zip", type=Path, help="the file to write")
    bake.add_argument("--count", type=int, default=300, metavar="N", help="pages (default 300)")
    bake.add_argument("--seed", type=int, default=0, metavar="N", help="of the sequence")
    preview = actions.add_parser("preview", help="draw pictures with their records on one sheet")
    export = actions.add_parser("export", help="write pictures and records as a dataset")
    made_from = "a kit; with --kind web, baked pages"
    preview.add_argument("kit", metavar="KIT.zip", type=Path, help=made_from)
    preview.add_argument("--output", metavar="FILE", type=Path, required=True, help="a PNG file")
    export.add_argument("kit", metavar="KIT.zip", type=Path, help=made_from)
    export.add_argument("folder", metavar="FOLDER", type=Path, help="the folder to write")
    export.add_argument(
        "--format",
        choices=("jsonl", "coco"),
        default="jsonl",
        help="jsonl holds every task (default); coco one of od, caption and the like",
    )
    for each, count in ((preview, 12), (export, 100)):
        each.add_argument("--kind", default="scenes", help="scenes, lines, pages, screens or web")
        each.add_argument(
            "--task", action="append", default=[], help="a task, may be repeated (default: all)"
        )
        each.add_argument("--count", type=int, default=count, metavar="N", help="pictures")
        each.add_argument("--seed", type=int, default=0, metavar="N", help="of the sequence")
        each.add_argument("--side", type=int, default=384, metavar="N", help="pixels")
        each.add_argument(
            "--split", choices=("train", "val"), default="train", help="styles and fonts to use"
        )


def main(arguments: argparse.Namespace) -> int:
    if not 0 <= getattr(arguments, "seed", 0) <= MAX_SEED:
        raise ConfigError(f"--seed must be from 0 to {MAX_SEED}; got {arguments.seed!r}")
    if getattr(arguments, "side", MIN_SIDE) < MIN_SIDE:
        raise ConfigError(f"--side must be {MIN_SIDE} or more; got {arguments.side!r}")
    actions = {"build": _build, "bake": _bake, "preview": _preview, "export": _export}
    actions[arguments.action](arguments)
    return 0


def _build(arguments: argparse.Namespace) -> None:
    import logging

    from florence2_lab.worlds.building.categories import NUM_CATEGORIES
    from florence2_lab.worlds.building.kit import build_kit
    from florence2_lab.worlds.building.sprites import SHIPPED_STYLES, TEST_STYLES

    logging.getLogger("florence2").setLevel(logging.INFO)
    count = NUM_CATEGORIES if arguments.categories is None else arguments.categories
    if count < 1:
        raise ConfigError(f"a kit needs at least one category; got {count!r}")
    styles = TEST_STYLES if arguments.test_styles else SHIPPED_STYLES
    build_kit(arguments.kit, styles, arguments.cache.resolve(), count)
    _report(kit=str(arguments.kit), bytes=arguments.kit.stat().st_size)


def _bake(arguments: argparse.Namespace) -> None:
    import logging

    from florence2_lab.worlds.building.baking import bake
    from florence2_lab.worlds.kit import Kit

    logging.getLogger("florence2").setLevel(logging.INFO)
    left_out = bake(Kit(arguments.kit), arguments.pages, arguments.count, arguments.seed)
    size = arguments.pages.stat().st_size
    _report(pages=str(arguments.pages), count=arguments.count, left_out=left_out, bytes=size)


def _records(arguments: argparse.Namespace, *, turns: bool) -> Iterator["Record"]:
    """Yield the records of the pictures asked for; with `turns`, one a picture, task by task."""
    from florence2_lab.worlds.kinds import chosen_kind, records_of

    if arguments.count < 1:
        raise ConfigError(f"the count of pictures must be at least 1; got {arguments.count!r}")
    tasks = tuple(Task.parse(name) for name in arguments.task)
    kind = chosen_kind(arguments.kind, tasks)
    every: tuple[Task, ...] = tasks or tuple(kind.tasks)
    source = kind.source(arguments.kit)
    for index in range(arguments.count):
        start = index % len(every) if turns else 0
        made = records_of(
            source,
            arguments.kind,
            arguments.seed,
            index,
            side=arguments.side,
            split=arguments.split,
            tasks=every[start:] + every[:start],
        )
        yield from islice(made, 1 if turns else None)


def _preview(arguments: argparse.Namespace) -> None:
    from florence2.drawing.contact_sheet import contact_sheet
    from florence2_lab.worlds.contact_sheet import record_tile

    tiles = [record_tile(record) for record in _records(arguments, turns=True)]
    if not tiles:
        raise DataError(
            f"the first {arguments.count} {arguments.kind} give no record of these tasks; ask for "
            "more pictures"
        )
    try:
        with writing(arguments.output):
            contact_sheet(tiles).save(arguments.output)
    except ValueError as error:  # Pillow's, of a suffix
        raise ConfigError(
            f"--output {str(arguments.output)!r} cannot be written ({error}); name a .png file"
        ) from None
    _report(output=str(arguments.output), records=len(tiles))


def _export(arguments: argparse.Namespace) -> None:
    from florence2.data.formats.coco import write_coco
    from florence2.data.formats.jsonl import write_jsonl

    arguments.folder.mkdir(parents=True, exist_ok=True)
    coco = arguments.format == "coco"
    path = arguments.folder / ("annotations.json" if coco else "records.jsonl")
    count = 0

    def counted() -> Iterator["Record"]:
        nonlocal count
        for record in _records(arguments, turns=False):
            count += 1
            yield record

    (write_coco if coco else write_jsonl)(counted(), path)
    _report(output=str(path), pictures=arguments.count, records=count)


def _report(**facts: object) -> None:
    print(json_line(facts))
