"""Write a kit: one zip of sprites, fonts, texts, textures, licences and an index."""

import io
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from PIL import Image

from florence2_lab.worlds.archive import FORMAT_VERSION, INDEX_FILE, write_archive
from florence2_lab.worlds.building.categories import NUM_CATEGORIES, read_categories
from florence2_lab.worlds.building.drawing import BuiltSprite
from florence2_lab.worlds.building.fonts import build_fonts, held_out_family
from florence2_lab.worlds.building.packages import Package, fetch_npm, fetch_pypi
from florence2_lab.worlds.building.sprites import build_sprites, held_out_styles
from florence2_lab.worlds.building.text import build_text
from florence2_lab.worlds.building.ui_icons import HELD_OUT_SETS, UI_SOURCES, build_icons
from florence2_lab.worlds.kit import ATTRIBUTION_FILE, Font, Icon, Kit, Split, Sprite, Texture

logger = logging.getLogger(__name__)

# Pictures of scikit-image that its documentation states to be CC0, with their origin.
TEXTURES = {
    "brick": "https://cc0textures.com/view.php?tex=Bricks25",
    "grass": "https://www.deviantart.com/linolafett/art/Grass-01-434853879",
    "gravel": "https://cc0textures.com/view.php?tex=Gravel04",
}
TEXTURE_SIDE = 320
MIT_LICENCE = """MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or
substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT
OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
ATTRIBUTION_HEADER = ("path", "package", "version", "licence", "author", "url", "changes")


@dataclass
class KitWriter:
    """Collects files with their origin, and writes them at the end."""

    files: dict[str, bytes] = field(default_factory=dict)
    attributions: list[tuple[str, ...]] = field(default_factory=list)
    packages: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)

    def note(self, package: Package) -> None:
        """List a package among those the kit was built from."""
        self.packages[package.registry, package.name] = {
            "registry": package.registry,
            "name": package.name,
            "version": package.version,
            "licence": package.licence,
        }

    def add(
        self,
        path: str,
        data: bytes,
        packages: tuple[Package, ...] = (),
        *,
        author: str,
        licence: str = "MIT",
        url: str = "",
        changes: str = "",
    ) -> None:
        """Add a file with the row that says whose it is."""
        for package in packages:
            self.note(package)
        names = "; ".join(f"{package.registry}:{package.name}" for package in packages)
        versions = "; ".join(package.version for package in packages)
        row = (path, names, versions, licence, author, url, changes)
        self.files[path] = data
        self.attributions.append(tuple(" ".join(cell.split()) for cell in row))

    def add_sprite(self, sprite: BuiltSprite, split: Split) -> Sprite:
        """Add a drawing; return its row of the index."""
        path = f"sprites/{sprite.style}/{sprite.code}.webp"
        self.add(
            path,
            sprite.webp,
            (sprite.package,),
            licence=sprite.licence,
            author=sprite.author,
            url=sprite.url,
            changes=sprite.changes,
        )
        return Sprite(path, sprite.category, sprite.style, split, sprite.colour)

    def add_rest(self, base: Kit) -> None:
        """Add what another kit holds beside sprites: fonts, textures, texts, licences."""
        for name in base.names:
            if name.startswith(("fonts/", "textures/", "text/", "licences/")):
                self.add(name, base.read(name), author="see the kit it was taken from")

    def add_licence(self, name: str, text: bytes, *packages: Package, url: str = "") -> None:
        """Add the text of a licence."""
        path = f"licences/{name}.txt"
        self.add(path, text, packages, licence="licence text", author="", url=url)

    def write(
        self,
        path: Path,
        sprites: Sequence[Sprite],
        fonts: Sequence[Font],
        textures: Sequence[Texture],
        icons: Sequence[Icon] = (),
    ) -> None:
        """Write the zip, with the index and the table of origins."""
        author = "the florence2 project"
        index = {
            "format": FORMAT_VERSION,
            "holds": Kit.HOLDS,
            "packages": list(self.packages.values()),
            "sprites": list(map(asdict, sprites)),
            "fonts": list(map(asdict, fonts)),
            "textures": list(map(asdict, textures)),
            "icons": list(map(asdict, icons)),
        }
        self.add(INDEX_FILE, json.dumps(index, ensure_ascii=False).encode(), author=author)
        self.add(ATTRIBUTION_FILE, b"", author=author)
        table = [ATTRIBUTION_HEADER, *sorted(self.attributions)]
        self.files[ATTRIBUTION_FILE] = "".join("\t".join(row) + "\n" for row in table).encode()
        write_archive(path, self.files)


def _add_sprites(
    writer: KitWriter, styles: tuple[str, ...], num_categories: int, cache: Path
) -> list[Sprite]:
    emojibase = fetch_npm("emojibase-data", "17.0.0", cache)
    writer.note(emojibase)
    categories = read_categories(emojibase.folder, num_categories)
    sprites = list(build_sprites(categories, styles, cache))
    styles_of: dict[str, set[str]] = {}
    for sprite in sprites:
        styles_of.setdefault(sprite.category, set()).add(sprite.style)
    rows: list[Sprite] = []
    for sprite in sprites:
        held_out = sprite.style in held_out_styles(sprite.category, styles_of[sprite.category])
        rows.append(writer.add_sprite(sprite, "val" if held_out else "train"))
    return rows


def _add_licences(writer: KitWriter, cache: Path) -> None:
    """Add the two licence texts that sprite packages name but do not carry."""
    apache = fetch_npm("@expo-google-fonts/permanent-marker", "0.4.0", cache)
    texts = {
        "Apache-2.0": (apache.folder / "LICENSE_FONT").read_text(encoding="utf-8"),
        "MIT": MIT_LICENCE,
    }
    for name, text in texts.items():
        writer.add_licence(name, text.encode(), url=f"https://spdx.org/licenses/{name}.html")


def _add_fonts(writer: KitWriter, cache: Path) -> list[Font]:
    rows: list[Font] = []
    licences: dict[str, Package] = {}
    for font in build_fonts(cache):
        path = f"fonts/{font.family}-{font.weight}.ttf"
        writer.add(
            path,
            font.data,
            (font.package,),
            licence=font.licence,
            author=font.copyright,
            url=f"https://www.npmjs.com/package/{font.package.name}",
            changes="cut down to Latin-1; hinting, layout tables and names removed",
        )
        licences[font.family] = font.package
        split: Split = "val" if held_out_family(font.family) else "train"
        rows.append(Font(path, font.family, split, font.capitals_only, font.missing))
    for family, package in licences.items():
        writer.add_licence(family, (package.folder / "LICENSE_FONT").read_bytes(), package)
    return rows


def _add_textures(writer: KitWriter, cache: Path) -> list[Texture]:
    package = fetch_pypi("scikit-image", "0.26.0", "CC0-1.0", cache)
    rows: list[Texture] = []
    for name, origin in TEXTURES.items():
        picture = Image.open(package.folder / "skimage" / "data" / f"{name}.png").convert("L")
        small = picture.resize((TEXTURE_SIDE, TEXTURE_SIDE), Image.Resampling.LANCZOS)
        file = io.BytesIO()
        small.save(file, "JPEG", quality=85)
        path = f"textures/{name}.jpg"
        writer.add(
            path,
            file.getvalue(),
            (package,),
            licence="CC0-1.0",
            author="see the address; through scikit-image",
            url=origin,
            changes="made smaller",
        )
        rows.append(Texture(path, name))
    return rows


def _add_icons(writer: KitWriter, cache: Path) -> list[Icon]:
    rows: list[Icon] = []
    for icon in build_icons(cache):
        source = UI_SOURCES[icon.style]
        path = f"icons/{icon.style}/{icon.code}.png"
        writer.add(
            path,
            icon.png,
            (icon.package,),
            licence=source.licence,
            author=source.author,
            url=source.url,
            changes="drawn at 48 px as coverage, cropped",
        )
        split: Split = "val" if icon.style in HELD_OUT_SETS else "train"
        rows.append(Icon(path, icon.name, split))
    return rows


def _add_text(writer: KitWriter, cache: Path) -> None:
    text = build_text(cache)
    writer.add(
        "text/words.tsv",
        text.words.encode(),
        text.word_packages,
        licence="public domain (SCOWL); WordNet-3.0; PSF-2.0",
        author="Kevin Atkinson; Princeton University; Python Software Foundation",
        url="http://wordlist.aspell.net https://wordnet.princeton.edu https://docs.python.org",
        changes="words of the list, counted in the other two",
    )
    writer.add(
        "text/phrases.txt",
        text.phrases.encode(),
        text.phrase_packages,
        licence="WordNet-3.0",
        author="Princeton University",
        url="https://wordnet.princeton.edu",
        changes="short definitions and examples",
    )
    for package in text.word_packages:
        path = package.folder / "usr" / "share" / "doc" / package.name / "copyright"
        writer.add_licence(package.name, path.read_bytes(), package)


def build_kit(
    path: Path, styles: tuple[str, ...], cache: Path, num_categories: int = NUM_CATEGORIES
) -> None:
    """Build a kit with these sprite styles; packages are fetched into `cache` when missing."""
    writer = KitWriter()
    sprites = _add_sprites(writer, styles, num_categories, cache)
    fonts = _add_fonts(writer, cache)
    textures = _add_textures(writer, cache)
    icons = _add_icons(writer, cache)
    _add_licences(writer, cache)
    _add_text(writer, cache)
    writer.write(path, sprites, fonts, textures, icons)
    logger.info("wrote %s: %d files, %d bytes", path, len(writer.files), path.stat().st_size)
