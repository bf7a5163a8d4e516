"""Sprites of many styles, and which of them training never sees."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from florence2_lab.worlds.building.categories import Emoji
from florence2_lab.worlds.building.drawing import BuiltSprite
from florence2_lab.worlds.building.emoji import EMOJI_SOURCES, build_emoji
from florence2_lab.worlds.building.pictures import PICTURE_SOURCES, build_pictures

EMOJI_STYLES = ("fluent-3d", "fluent-flat", "noto", "noto-v1", "twemoji", "emojione", "fxemoji")
SHIPPED_STYLES = (*EMOJI_STYLES, *PICTURE_SOURCES)
# Share-alike licences: pictures of these styles test a model, and never train or ship with one.
TEST_STYLES = ("openmoji", "emojione-v1")
# Styles that training never sees in any category.
HELD_OUT_STYLES = ("streamline-ultimate", *TEST_STYLES)

# Two styles drawn after the same outlines are one drawing: holding out one of them proves little.
DRAWINGS = {"fluent-3d": "fluent", "fluent-flat": "fluent"}


def held_out_styles(category: str, styles: Iterable[str]) -> frozenset[str]:
    """Return the styles in which training never sees a category.

    These are the styles held out altogether, and those of one emoji drawing, which a hash of the
    category's name chooses.
    """
    emoji_styles = set(styles) & set(EMOJI_STYLES)
    drawings = sorted({DRAWINGS.get(style, style) for style in emoji_styles})
    digest = int.from_bytes(hashlib.sha256(category.encode()).digest()[:4], "big")
    chosen = drawings[digest % len(drawings)] if drawings else None
    held = {style for style in emoji_styles if DRAWINGS.get(style, style) == chosen}
    return frozenset(held | set(HELD_OUT_STYLES))


def build_sprites(
    categories: Mapping[str, tuple[Emoji, ...]], styles: tuple[str, ...], cache: Path
) -> Iterator[BuiltSprite]:
    """Yield every sprite of the categories in every style that has it."""
    for style in styles:
        if style in EMOJI_SOURCES:
            yield from build_emoji(categories, style, cache)
        else:
            for sprite in build_pictures(style, cache):
                if sprite.category in categories:
                    yield sprite
