"""`florence2 COMMAND ...`: choose the command and run it."""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from florence2 import __version__
from florence2.cli.common import check_shared
from florence2.cli.edge import guarded, open_streams
from florence2.cli.moved import is_moved, run_moved
from florence2.errors import ConfigError

BEGIN = """\
florence2 run photo.jpg --task caption           # a sentence about a picture
florence2 run photos/ --task od --draw out/      # the objects in a folder, drawn
florence2 run page.png --task ocr                # the text of a line or a page
florence2 data path/to/dataset                   # what your data would teach
florence2 --help                                 # all commands; florence2 run --help: all of one"""

EXIT_CODES = """\
exit codes: 0 done; 1 a mistake of ours; 2 what you can mend, said in one sentence; 130 interrupted
"""

# Each command is a module with `add_arguments(parser)` and `main(arguments) -> exit code`.
COMMANDS = {
    "run": "ask about pictures",
    "read": "read documents: PDFs, scans, screens, to Markdown, JSON and more",
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
        computes_with,
    )


def computes_with() -> str:
    """What stands behind `--version`."""
    from florence2.runtimes.machine import computes_with

    return computes_with()


class _Version(argparse.Action):
    """Prints the version on a line of its own, then what computes; imports that only now."""

    def __init__(self, more: Callable[[], str] | None = None, **settings: Any) -> None:
        super().__init__(nargs=0, **settings)
        self._more = more

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"{parser.prog} {__version__}", flush=True)
        if self._more is not None:
            print(self._more())
        parser.exit()


class _Completion(argparse.Action):
    """Prints what a shell needs to complete commands and flags."""

    def __call__(self, parser: argparse.ArgumentParser, _: object, shell: Any, *__: object) -> None:
        try:
            shtab = import_module("shtab")
        except ImportError:
            raise ConfigError(
                "completion needs the library shtab; pip install 'florence2[completion]'"
            ) from None
        whole = build_parser()
        for command in _commands(whole):
            for action in command._actions:
                if action.metavar == "DIR":
                    action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
                elif action.type is Path or action.metavar in ("IMAGE", "DATA", "MODEL", "PATH"):
                    action.complete = shtab.FILE  # type: ignore[attr-defined]
        print(shtab.complete(whole, shell))
        parser.exit()


def _commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.values()


def parser_of(
    program: str,
    description: str,
    package: str,
    commands: Mapping[str, str],
    only: str | None = None,
    computes_with: Callable[[], str] | None = None,
) -> argparse.ArgumentParser:
    """The parser of a program whose commands are the modules of a package.

    Args:
        only: the word typed behind the program: of the others no module is imported, and no flag
            known.
        computes_with: told behind the version.
    """
    parser = argparse.ArgumentParser(prog=program, description=description, epilog=EXIT_CODES)
    parser.add_argument("--version", action=_Version, more=computes_with, default=argparse.SUPPRESS,
                        help="show the version, and what computes")  # fmt: skip
    if computes_with is not None:
        parser.add_argument("--print-completion", action=_Completion, metavar="SHELL",
                            default=argparse.SUPPRESS,
                            choices=("bash", "zsh", "tcsh"),
                            help="print completion for bash, zsh or tcsh")  # fmt: skip
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
            epilog=EXIT_CODES,
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
        if not argv:
            print(BEGIN)
            return 0
        if is_moved(argv):
            return run_moved(argv)
        return run_command(build_parser(only=argv[0]), argv)

    return guarded("florence2", work)


def run_command(parser: argparse.ArgumentParser, argv: Sequence[str]) -> int:
    """Run the command that was typed."""
    arguments = parser.parse_args(argv)
    import logging  # not for --help
    import warnings

    # What Pillow warns of is no news for people: what it cannot read is told by an error of ours.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

    logging.basicConfig(format=f"{parser.prog}: %(message)s", level=logging.WARNING)
    check_shared(arguments)
    return int(arguments.main(arguments))
