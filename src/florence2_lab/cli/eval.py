"""Measure a model on pictures that the worlds make from a kit, and on cuttings of manuals.

Prints one JSON object on stdout and a Markdown table on stderr, every number with its 95 %
interval. What stands in docs/results.md is made by the first of these:

  florence2-lab eval --kit KIT.zip --test-styles STYLES.zip --stamps STAMPS.zip --manuals PDFS/
  florence2-lab eval --kit KIT.zip --suites reading,detection --count 100 --model runs/mine
"""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from florence2.cli.eval import add_measuring_arguments, check, measure

if TYPE_CHECKING:
    from florence2.evaluation.suites import Skipped, Suite


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kit", type=Path, metavar="ZIP", required=True,
                        help="the kit of the training")  # fmt: skip
    parser.add_argument("--test-styles", type=Path, metavar="ZIP", help="a kit of unseen styles")
    parser.add_argument("--stamps", type=Path, metavar="ZIP", help="a kit of photographs")
    parser.add_argument("--manuals", type=Path, nargs="+", default=[], metavar="PDF",
                        help="PDF files, or folders of them, to cut pieces out of")  # fmt: skip
    parser.add_argument("--suites", metavar="A,B", help="only these (default: all)")
    add_measuring_arguments(parser)


def main(arguments: argparse.Namespace) -> int:
    from florence2.evaluation.predict import MAX_ANSWER_TOKENS

    return measure(arguments, choose_suites(arguments), max_answer_tokens=MAX_ANSWER_TOKENS)


def choose_suites(arguments: argparse.Namespace) -> "list[Skipped | Suite]":
    """The suites asked for; mistakes in arguments come before the model is loaded."""
    check(arguments)
    from florence2_lab.suites.worlds_suites import GROUPS, Materials, build_suites
    from florence2_lab.worlds.kit import Kit

    materials = Materials(
        kit=Kit(arguments.kit),
        test_styles=arguments.test_styles and Kit(arguments.test_styles),
        stamps=arguments.stamps and Kit(arguments.stamps),
        manuals=tuple(arguments.manuals),
    )
    groups: Iterable[str] = arguments.suites.split(",") if arguments.suites else GROUPS
    return list(build_suites(materials, groups))
