"""`florence2-lab COMMAND ...`, like `florence2` but to make things rather than to use them."""

import sys
from collections.abc import Sequence

from florence2.cli.edge import guarded, open_streams
from florence2.cli.main import parser_of, run_command

COMMANDS = {
    "worlds": "make exactly annotated pictures: build, preview or export them",
    "eval": "measure a model on pictures that no training has drawn",
    "screens": "measure the point to click on web pages that no training has seen",
    "photographs": "measure what a model leaves out, of photographs and of scenes",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 is success, 2 what its user can mend, 1 a mistake of ours."""
    if argv is None:
        open_streams()
        argv = sys.argv[1:]

    def work() -> int:
        parser = parser_of(
            "florence2-lab",
            "Make exactly annotated pictures, and measure models on them.",
            "florence2_lab.cli",
            COMMANDS,
        )
        return run_command(parser, argv)

    return guarded("florence2-lab", work)
