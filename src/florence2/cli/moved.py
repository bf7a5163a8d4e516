"""Commands that stood here in 0.4 and are now of `florence2-lab`; the next version drops them."""

import runpy
import sys
from collections.abc import Sequence


def is_moved(argv: Sequence[str]) -> bool:
    """Whether these are the arguments of `florence2 worlds` or `florence2 eval --kit`.

    >>> is_moved(["worlds", "build", "kit.zip"]), is_moved(["eval", "--data", "a.json"])
    (True, False)
    """
    match list(argv):
        case ["worlds", *_]:
            return True
        case ["eval", *others]:
            return any(each.partition("=")[0] == "--kit" for each in others)
    return False


def run_moved(argv: Sequence[str]) -> int:
    """Run `florence2-lab` with these arguments and say that it is called so now."""
    what = "worlds" if argv[0] == "worlds" else "eval --kit"
    print(
        f"florence2: 'florence2 {what}' is now 'florence2-lab {what}'; the old name goes in the"
        " next version",
        file=sys.stderr,
    )
    former = sys.argv
    sys.argv = ["florence2-lab", *argv]
    try:
        runpy.run_module("florence2_lab", run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.argv = former
    return 0
