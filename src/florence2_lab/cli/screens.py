"""Measure the point to click, and the words read, on web pages that no training has seen.

Prints one JSON object on stdout and a Markdown table on stderr. Styles and icons are fetched with
npm, once, and the pages are laid out by an installed Chromium:

  florence2-lab screens --kit KIT.zip
  florence2-lab screens --kit KIT.zip --count 6 --model runs/mine --draw looked-at/
"""

import argparse
import sys
from pathlib import Path

from florence2.cli.common import add_flag
from florence2.cli.edge import json_line
from florence2.errors import ConfigError
from florence2_lab.cli.worlds import DEFAULT_CACHE

DEFAULT_PAGES = 24


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kit", type=Path, metavar="ZIP", required=True,
                        help="the kit of the training: its phrases and held-out fonts")  # fmt: skip
    parser.add_argument("--cache", type=Path, metavar="DIR", default=DEFAULT_CACHE,
                        help="fetched packages")  # fmt: skip
    parser.add_argument("--count", type=int, metavar="N", default=DEFAULT_PAGES,
                        help=f"pages (default {DEFAULT_PAGES})")  # fmt: skip
    parser.add_argument("--rows", type=int, metavar="N",
                        help="pieces of lines in a picture (the checkpoint's own)")  # fmt: skip
    parser.add_argument("--draw", type=Path, metavar="DIR",
                        help="draw what was asked: right in green, wrong in red")  # fmt: skip
    for flag in ("--model", "--device", "--precision", "--threads"):
        add_flag(parser, flag)


def main(arguments: argparse.Namespace) -> int:
    if arguments.count < 1:
        raise ConfigError(f"--count must be 1 or more; got {arguments.count!r}")
    from florence2.answers.defaults import ReadingDefaults
    from florence2.api import Florence2
    from florence2.runtimes.pytorch.threads import set_threads
    from florence2_lab.suites.screen_pages import load_materials, screen_pages
    from florence2_lab.suites.screens import SEED, markdown, measure_screens
    from florence2_lab.worlds.kit import Kit

    settings = None if arguments.rows is None else ReadingDefaults(rows=arguments.rows)
    materials = load_materials(Kit(arguments.kit), arguments.cache.resolve())
    set_threads(arguments.threads)
    with Florence2.load(arguments.model, arguments.device, arguments.precision) as model:
        pages = screen_pages(materials, arguments.count, SEED)
        counts = measure_screens(model.engine, pages, settings, arguments.draw)
        print(json_line({"model": model.name, "pages": arguments.count, **counts.to_dict()}))
    print(markdown(counts), file=sys.stderr)
    return 0
