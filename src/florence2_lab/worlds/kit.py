"""The kit: one archive of sprites, fonts, texts and textures, decoded lazily.

Files inside: `index.json` (what there is, and the packages it was built from),
`ATTRIBUTION.tsv` (whose each file is, under which licence), `sprites/`, `fonts/`, `icons/`,
`textures/`, `text/`, `licences/`.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar

import cv2
import numpy as np
from PIL import Image

from florence2.geometry import Array
from florence2_lab.worlds.archive import Archive
from florence2_lab.worlds.lettering import Typeface
from florence2_lab.worlds.pixels import Pixels, as_pixels

ATTRIBUTION_FILE = "ATTRIBUTION.tsv"
MAX_CACHED_SPRITES = 6_000  # about 64 KB each
MAX_CACHED_TYPEFACES = 400

Split = Literal["train", "val"]


@dataclass(frozen=True)
class Sprite:
    """One picture of a category in one drawing style."""

    path: str
    category: str
    style: str
    split: Split
    colour: str | None  # dominant colour name, None when there is none


@dataclass(frozen=True)
class Font:
    """One font file."""

    path: str
    family: str
    split: Split
    capitals_only: bool  # draws small letters as capitals
    missing: str  # characters of Latin-1 and typographic punctuation that it lacks


@dataclass(frozen=True)
class Texture:
    """One grey background picture."""

    path: str
    name: str


@dataclass(frozen=True)
class Icon:
    """One icon of user interfaces, a picture of coverage."""

    path: str
    name: str  # what it shows: "shopping cart"
    split: Split


class Kit(Archive):
    """An open kit; `Kit(path)` is cheap, and pickles as its path."""

    HOLDS = "kit"
    REMEDY = "build one with 'florence2-lab worlds build KIT.zip'"

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        index = self.index
        self.sprites = tuple(Sprite(**row) for row in index["sprites"])
        self.fonts = tuple(Font(**row) for row in index["fonts"])
        self.textures = tuple(Texture(**row) for row in index["textures"])
        # Kits of before there were screens have none.
        self.icons = tuple(Icon(**row) for row in index.get("icons", ()))
        self.packages: tuple[dict[str, str], ...] = tuple(index["packages"])
        self.categories = tuple(sorted({sprite.category for sprite in self.sprites}))
        self._by_category: dict[tuple[str, Split], tuple[tuple[Sprite, ...], ...]] = {}
        self._pixels: dict[tuple[str, int], Pixels] = {}
        self._typefaces: dict[str, Typeface] = {}

    @cached_property
    def class_index(self) -> dict[str, int]:
        """Category to its value in class maps: 1, 2, ... in alphabetical order; 0 is background."""
        return {category: number for number, category in enumerate(self.categories, start=1)}

    @cached_property
    def colourful(self) -> frozenset[str]:
        """Categories whose sprites come in several colours, so that naming one informs."""
        colours: dict[str, set[str]] = {category: set() for category in self.categories}
        for sprite in self.sprites:
            if sprite.colour:
                colours[sprite.category].add(sprite.colour)
        return frozenset(category for category, seen in colours.items() if len(seen) > 1)

    def sprites_of(self, category: str, split: Split) -> tuple[tuple[Sprite, ...], ...]:
        """Return the sprites of a category in a split, grouped by style."""
        key = category, split
        if key not in self._by_category:
            styles: dict[str, list[Sprite]] = {}
            for sprite in self.sprites:
                if sprite.category == category and sprite.split == split:
                    styles.setdefault(sprite.style, []).append(sprite)
            self._by_category[key] = tuple(tuple(group) for group in styles.values())
        return self._by_category[key]

    def categories_of(self, split: Split) -> tuple[str, ...]:
        """Return the categories that have a sprite in a split."""
        return self._categories_by_split[split]

    @cached_property
    def _categories_by_split(self) -> dict[Split, tuple[str, ...]]:
        found: dict[Split, set[str]] = {"train": set(), "val": set()}
        for sprite in self.sprites:
            found[sprite.split].add(sprite.category)
        return {split: tuple(sorted(names)) for split, names in found.items()}

    def fonts_of(self, split: Split) -> tuple[Font, ...]:
        """Return the fonts of a split."""
        return self._fonts_by_split[split]

    @cached_property
    def _fonts_by_split(self) -> dict[Split, tuple[Font, ...]]:
        return _by_split(self.fonts)

    def icons_of(self, split: Split) -> tuple[Icon, ...]:
        """Return the icons of a split."""
        return self._icons_by_split[split]

    @cached_property
    def _icons_by_split(self) -> dict[Split, tuple[Icon, ...]]:
        return _by_split(self.icons)

    def coverage(self, icon: Icon) -> Pixels:
        """Return an icon as coverage `(H, W)` uint8."""
        if icon.path not in self._icon_pixels:
            self._icon_pixels[icon.path] = np.asarray(_open(self.read(icon.path)).convert("L"))
        return self._icon_pixels[icon.path]

    @cached_property
    def _icon_pixels(self) -> dict[str, Pixels]:
        return {}

    def pixels(self, sprite: Sprite, halvings: int = 0) -> Pixels:
        """Return premultiplied RGBA uint8 `(H, W, 4)`, halved in size so many times."""
        key = sprite.path, halvings
        found = self._pixels.get(key)
        if found is None:
            if halvings:
                found = _halve(self.pixels(sprite, halvings - 1))
            else:
                found = _premultiply(np.asarray(_open(self.read(sprite.path)).convert("RGBA")))
            if len(self._pixels) >= MAX_CACHED_SPRITES:
                del self._pixels[next(iter(self._pixels))]
            self._pixels[key] = found
        return found

    def texture(self, texture: Texture) -> Pixels:
        """Return a grey uint8 texture `(H, W)`."""
        if texture.path not in self._texture_pixels:
            grey = np.asarray(_open(self.read(texture.path)).convert("L"))
            self._texture_pixels[texture.path] = grey
        return self._texture_pixels[texture.path]

    @cached_property
    def _texture_pixels(self) -> dict[str, Pixels]:
        return {}

    def typeface(self, font: Font) -> Typeface:
        """Return a font ready to set lines; its glyphs are drawn once."""
        if font.path not in self._typefaces:
            if len(self._typefaces) >= MAX_CACHED_TYPEFACES:
                del self._typefaces[next(iter(self._typefaces))]
            self._typefaces[font.path] = Typeface(self.read(font.path), font.capitals_only)
        return self._typefaces[font.path]

    @cached_property
    def words(self) -> tuple[tuple[str, ...], Array]:
        """Words, and the cumulative chance of drawing each (flatter than their frequency)."""
        rows = [line.split("\t") for line in self.read("text/words.tsv").decode().splitlines()]
        weights = np.sqrt([float(count) for _, count in rows])
        return tuple(word for word, _ in rows), np.cumsum(weights / weights.sum())

    @cached_property
    def phrases(self) -> tuple[str, ...]:
        """Short phrases, a few words each."""
        return tuple(self.read("text/phrases.txt").decode().splitlines())


_Divided = TypeVar("_Divided", Font, Icon)


def _by_split(items: Sequence[_Divided]) -> dict[Split, tuple[_Divided, ...]]:
    splits: tuple[Split, ...] = ("train", "val")
    return {split: tuple(item for item in items if item.split == split) for split in splits}


def _open(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def _premultiply(rgba: Pixels) -> Pixels:
    alpha = rgba[..., 3:].astype(np.uint16)
    colour = (rgba[..., :3] * alpha + 127) // 255
    return np.concatenate([colour, alpha], axis=2).astype(np.uint8)


def _halve(rgba: Pixels) -> Pixels:
    height, width = rgba.shape[:2]
    size = max(1, round(width / 2)), max(1, round(height / 2))
    return as_pixels(cv2.resize(rgba, size, interpolation=cv2.INTER_AREA))
