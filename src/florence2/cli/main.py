"""`florence2 COMMAND ...`: choose the command and run it."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

from florence2 import __version__
from florence2.cli.common import check_shared
from florence2.cli.edge import guarded, open_streams
from florence2.cli.moved import is_moved, run_moved

# Each command is a module with `add_arguments(parser)` and `main(arguments) -> exit code`.
COMMANDS = {
    "run": "ask about pictures",
    "train": "fine-tune a model on your own pictures, or run a recipe",
    "data": "explain a dataset: what it would teach, what is lost and why; or convert it",
    "eval": "measure a model on a dataset of your own",
    "merge": "write a checkpoint that holds an adapter",
    "calibrate": "make scores mean what they say, from a dataset with true answers",
    "bench": "measure how fast this machine answers, and what bounds it",
    "doctor": "explain a checkpoint: what it is, what was repaired, what is wrong",
}


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """The command line, of all commands or of one; building it loads no torch."""
    return parser_of(
        "florence2",
        "Caption, detect, segment, ground and read pictures with Florence-2.",
        "florence2.cli",
        COMMANDS,
        only,
    )


def parser_of(
    program: str,
    description: str,
    package: str,
    commands: Mapping[str, str],
    only: str | None = None,
) -> argparse.ArgumentParser:
    """The parser of a program whose commands are the modules of a package.

    Args:
        only: the word typed behind the program: of the others no module is imported, and no flag
            known.
    """
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("--version", action="version", version=f"{program} {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in commands.items():
        if only is not None and name != only:
            subparsers.add_parser(name, help=summary)
            continue
        module = import_module(f"{package}.{name}")
        command = subparsers.add_parser(
            name,
            help=summary,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(main=module.main)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 is success, 2 what its user can mend, 1 a mistake of ours."""
    if argv is None:
        open_streams()
        argv = sys.argv[1:]

    def work() -> int:
        if is_moved(argv):
            return run_moved(argv)
        return run_command(build_parser(only=argv[0] if argv else ""), argv)

    return guarded("florence2", work)


def run_command(parser: argparse.ArgumentParser, argv: Sequence[str]) -> int:
    """Run the command that was typed."""
    arguments = parser.parse_args(argv)
    import logging  # not for --help

    logging.basicConfig(format=f"{parser.prog}: %(message)s", level=logging.WARNING)
    check_shared(arguments)
    return int(arguments.main(arguments))
