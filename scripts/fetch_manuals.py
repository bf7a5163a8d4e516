"""Fetch the manuals that docs/evaluation.md measures reading on: Debian packages with PDFs.

    python scripts/fetch_manuals.py MANUALS/

They are test material: nothing is trained on them.
"""

import argparse
import shutil
from pathlib import Path

from florence2_lab.worlds.building.packages import fetch_debian

# Package, its licence, and the books among its PDFs.
MANUALS = (
    ("gnuplot-doc", "gnuplot", ("gnuplot.pdf",)),
    ("octave-doc", "GPL-3+", ("octave.pdf", "liboctave.pdf")),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, default=Path(".kit-cache"), help="fetched packages")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name, licence, books in MANUALS:
        package = fetch_debian(name, licence, arguments.cache.resolve())
        for book in books:
            (file,) = package.folder.rglob(book)
            shutil.copy(file, arguments.folder)


if __name__ == "__main__":
    main()
