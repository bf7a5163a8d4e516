"""`florence2 COMMAND ...`: choose the command, turn errors into one line and an exit code."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

from florence2 import __version__
from florence2.cli.moved import is_moved, run_moved
from florence2.errors import Florence2Error

# Each command is a module with `add_arguments(parser)` and `main(arguments) -> exit code`.
COMMANDS = {
    "run": "ask about pictures",
    "train": "fine-tune a model on your own pictures, or run a recipe",
    "eval": "measure a model on a dataset of your own",
    "merge": "write a checkpoint that holds an adapter",
    "calibrate": "make scores mean what they say, from a dataset with true answers",
    "bench": "measure how fast this machine answers, and what bounds it",
    "doctor": "explain a checkpoint: what it is, what was repaired, what is wrong",
}

EXIT_OK, EXIT_OURS, EXIT_USER, EXIT_INTERRUPTED = 0, 1, 2, 130


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
    """Run one command; 0 is success, 2 a user's mistake, 1 ours."""
    argv = sys.argv[1:] if argv is None else argv
    if is_moved(argv):
        return run_moved(argv)
    return run_command(build_parser(only=argv[0] if argv else ""), argv)


def run_command(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    """Run the command that was typed, and turn errors into one line and an exit code."""
    arguments = parser.parse_args(argv)
    import logging  # not for --help

    program = parser.prog
    logging.basicConfig(format=f"{program}: %(message)s", level=logging.WARNING)
    try:
        return int(arguments.main(arguments))
    except Florence2Error as error:
        print(f"{program}: {error}", file=sys.stderr)
        return EXIT_USER
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output is gone; Python would complain about it
        return EXIT_OK
