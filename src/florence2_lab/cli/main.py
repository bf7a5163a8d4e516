"""`florence2-lab COMMAND ...`, like `florence2` but to make things rather than to use them."""

import sys
from collections.abc import Sequence

from florence2.cli.main import EXIT_USER, parser_of, run_command

COMMANDS = {
    "worlds": "make exactly annotated pictures: build, preview or export them",
    "eval": "measure a model on pictures that no training has drawn",
}
LIBRARIES = frozenset({"cv2", "fontTools", "rapidfuzz", "resvg_py"})  # of the extra "lab"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 is success, 2 a user's mistake, 1 ours."""
    parser = parser_of(
        "florence2-lab",
        "Make exactly annotated pictures, and measure models on them.",
        "florence2_lab.cli",
        COMMANDS,
    )
    try:
        return run_command(parser, argv)
    except ModuleNotFoundError as error:
        if error.name not in LIBRARIES:
            raise
        print(
            f"florence2-lab: this needs {error.name!r}, which is not installed; pip install"
            " 'florence2[lab]'",
            file=sys.stderr,
        )
        return EXIT_USER
