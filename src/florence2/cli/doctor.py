"""Explain a checkpoint in plain words: what it is, what was repaired, what is missing or damaged.

florence2 doctor path/to/folder
florence2 doctor base
"""

import argparse

from florence2.cli.common import add_flag


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="PATH", help="folder, weights file, hub id or short name")
    add_flag(parser, "--tokenizer")


def main(arguments: argparse.Namespace) -> int:
    """Exit code 2 when the checkpoint cannot be loaded as it is."""
    from florence2.checkpoints.inspection import inspect_checkpoint

    inspection = inspect_checkpoint(arguments.source, arguments.tokenizer)
    print(inspection.describe())
    return 2 if inspection.problems else 0
