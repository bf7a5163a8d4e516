"""`florence2 COMMAND ...`: choose the command, turn errors into one line and an exit code."""

import argparse
import logging
import sys
from collections.abc import Sequence
from importlib import import_module

from florence2 import __version__
from florence2.errors import Florence2Error

# Each command is a module with `add_arguments(parser)` and `main(arguments) -> exit code`.
COMMANDS = {
    "run": "ask about pictures",
    "train": "fine-tune a model on your own pictures, or run a recipe",
    "eval": "measure a model on held-out pictures, or on a dataset of your own",
    "calibrate": "make scores mean what they say, from a dataset with true answers",
    "bench": "measure how fast this machine answers, and what bounds it",
    "worlds": "make exactly annotated pictures: build, preview or export them",
    "doctor": "explain a checkpoint: what it is, what was repaired, what is wrong",
}

EXIT_OK, EXIT_OURS, EXIT_USER, EXIT_INTERRUPTED = 0, 1, 2, 130


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; building it loads no torch."""
    parser = argparse.ArgumentParser(
        prog="florence2",
        description="Caption, detect, segment, ground and read pictures with Florence-2.",
    )
    parser.add_argument("--version", action="version", version=f"florence2 {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        module = import_module(f"florence2.cli.{name}")
        command = commands.add_parser(
            name,
            help=summary,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(main=module.main)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 is success, 2 a user's mistake, 1 ours."""
    arguments = build_parser().parse_args(argv)
    logging.basicConfig(format="florence2: %(message)s", level=logging.WARNING)
    try:
        return int(arguments.main(arguments))
    except Florence2Error as error:
        print(f"florence2: {error}", file=sys.stderr)
        return EXIT_USER
    except KeyboardInterrupt:
        print("florence2: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output is gone; Python would complain about it
        return EXIT_OK
