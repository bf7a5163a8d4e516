"""A kit of photographs, to test on.

    python -m florence2_lab.worlds.building.stamps STAMPS.zip --kit KIT.zip

The photographs are stamps of Tux Paint (Debian package `tuxpaint-stamps-default`, GPL-2): cut out,
each with an English sentence. Those whose sentence ends with the name of a category of the given
kit are taken; fonts, texts and textures are those of that kit. The result measures a model only:
it must not be shipped, and nothing may be trained on it.
"""

import argparse
import io
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from florence2.errors import DataError
from florence2_lab.worlds.building.kit import KitWriter
from florence2_lab.worlds.building.packages import Package, fetch_debian
from florence2_lab.worlds.colours import name_colour
from florence2_lab.worlds.english import plural
from florence2_lab.worlds.kit import Kit, Sprite

logger = logging.getLogger(__name__)

PACKAGE, LICENCE = "tuxpaint-stamps-default", "GPL-2"
FOLDER = Path("usr/share/tuxpaint/stamps")
STYLE = "photograph"
SIDE = 192  # pixels
WEBP_QUALITY = 90
# Photographs have many colours; drawings have few, whatever their size. Chosen by looking.
MIN_VARIETY = 1.7
# Parts of names of files that are no photographs of the thing after all.
DRAWN = ("cartoon", "symbols", "hat", "food/pizza", "rambutan", "stripedfish")


@dataclass(frozen=True)
class Stamp:
    """One cut-out photograph."""

    path: Path
    category: str
    picture: Image.Image  # RGBA


def category_of(sentence: str, categories: Sequence[str]) -> str | None:
    """Return the category that a sentence ends with, if any.

    >>> category_of("A camera.  Say Cheese!", ["camera", "apple"])
    'camera'
    >>> category_of("An apple core.", ["camera", "apple"]) is None
    True
    """
    first = re.split(r"[.!?]", sentence)[0].strip().lower()
    for category in sorted(categories, key=len, reverse=True):
        if re.search(rf"(?:^|\s)(?:{re.escape(category)}|{re.escape(plural(category))})$", first):
            return category
    return None


def find_stamps(folder: Path, categories: Sequence[str]) -> Iterator[Stamp]:
    """Yield the photographs of known things in a folder of stamps."""
    for told in sorted(folder.rglob("*.txt")):
        file = told.with_suffix(".png")
        name = file.relative_to(folder).as_posix()
        if not file.exists() or any(part in name for part in DRAWN):
            continue
        lines = told.read_text(encoding="utf-8", errors="replace").splitlines()
        category = category_of(lines[0], categories) if lines else None
        if category is None:
            continue
        picture = Image.open(file).convert("RGBA")
        picture = picture.crop(picture.getchannel("A").getbbox())
        picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        if _variety(picture) >= MIN_VARIETY:
            yield Stamp(file, category, picture)


def _variety(picture: Image.Image) -> float:
    """Return the number of clearly different colours, relative to the size."""
    rgba = np.asarray(picture)
    seen = rgba[rgba[..., 3] > 200, :3]
    return float(len(np.unique(seen // 8, axis=0)) / max(1.0, len(seen) ** 0.5))


def build_stamps_kit(path: Path, stamps: Sequence[Stamp], package: Package, base: Kit) -> None:
    """Write a kit of photographs, with everything else from another kit."""
    if not stamps:
        raise DataError(f"no stamp shows a thing of kit {str(base.path)!r}; give another kit")
    writer = KitWriter()
    sprites = []
    for number, stamp in enumerate(stamps):
        file = io.BytesIO()
        stamp.picture.save(file, "WEBP", quality=WEBP_QUALITY)
        name = f"sprites/{STYLE}/{number}.webp"
        author = "the Tux Paint contributors"
        writer.add(name, file.getvalue(), (package,), author=author, licence=LICENCE)
        rgba = np.asarray(stamp.picture)
        colour = name_colour(rgba[rgba[..., 3] > 127, :3])
        sprites.append(Sprite(name, stamp.category, STYLE, "val", colour))
    writer.add_rest(base)
    writer.write(path, sprites, base.fonts, base.textures)
    logger.info("wrote %s: %d photographs", path, len(sprites))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m florence2_lab.worlds.building.stamps",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", type=Path, help="the kit to write (zip)")
    parser.add_argument("--kit", type=Path, required=True, help="whose categories and fonts")
    parser.add_argument("--cache", type=Path, default=Path(".kit-cache"), help="fetched packages")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    base = Kit(arguments.kit)
    package = fetch_debian(PACKAGE, LICENCE, arguments.cache.resolve())
    stamps = list(find_stamps(package.folder / FOLDER, base.categories))
    build_stamps_kit(arguments.out, stamps, package, base)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
