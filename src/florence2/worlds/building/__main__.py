"""`python -m florence2.worlds.building KIT.zip`: build the kit from registry packages."""

import argparse
import logging
from pathlib import Path

from florence2.worlds.building.categories import NUM_CATEGORIES
from florence2.worlds.building.kit import build_kit
from florence2.worlds.building.sprites import SHIPPED_STYLES, TEST_STYLES


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m florence2.worlds.building", description=__doc__
    )
    parser.add_argument("out", type=Path, help="the kit to write (zip)")
    parser.add_argument("--cache", type=Path, default=Path(".kit-cache"), help="fetched packages")
    parser.add_argument("--categories", type=int, default=NUM_CATEGORIES)
    parser.add_argument(
        "--test-styles",
        action="store_true",
        help="share-alike styles instead: for measuring only, never to ship or train with",
    )
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    styles = TEST_STYLES if args.test_styles else SHIPPED_STYLES
    build_kit(args.out, styles, args.cache.resolve(), args.categories)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
