"""Emoji of many styles, rasterised, cropped to their ink and stored as WebP with alpha."""

import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from florence2.worlds.building.categories import Emoji
from florence2.worlds.building.packages import Package, fetch_npm
from florence2.worlds.colours import name_colour

SPRITE_SIDE = 128
WEBP_QUALITY = 80
SHIPPED_STYLES = ("fluent-3d", "fluent-flat", "noto", "noto-v1", "twemoji", "emojione", "fxemoji")
# Share-alike licences: pictures of these styles test a model, and never train or ship with one.
TEST_STYLES = ("openmoji", "emojione-v1")

# Two styles drawn after the same outlines are one drawing: holding out one of them proves little.
DRAWINGS = {"fluent-3d": "fluent", "fluent-flat": "fluent"}
# Pictures that came out broken when they were looked at.
BROKEN = {("fxemoji", "1f499")}

# fmt: off
# Names of the set that follows neither code points nor Unicode's labels; without hyphens.
FXEMOJI_NAMES = {
    "1f408": "catside", "1f431": "cat", "1f415": "dogside", "1f436": "dog", "1f40e": "horse",
    "1f434": "horseface", "1f404": "cow", "1f42e": "cowface", "1f416": "pigside", "1f437": "pig",
    "1f420": "tropicalfish", "1f34e": "redapple", "1f34f": "greenapple", "1f33d": "earofmaize",
    "1f355": "sliceofpizza", "1f382": "birthdaycake", "1f699": "recreationalvehicle",
    "1f682": "steamlocomotive", "1f3e1": "housewithgarden", "1f333": "deciduoustree",
    "2614": "umbrellawithraindrops", "23f0": "alarmclock", "1f4d5": "closedbook",
    "1f4d7": "greenbook", "1f4d8": "bluebook", "1f4d9": "orangebook", "2764": "redheart",
    "1f49a": "heartgreen", "1f49b": "heartyellow", "1f49c": "heartpurple",
    "1f381": "present", "1f3a9": "tophat", "2702": "blackscissors", "26bd": "soccerball",
}
# fmt: on


@dataclass(frozen=True)
class Source:
    """Where the pictures of one style come from."""

    package: str
    version: str
    licence: str  # SPDX
    author: str
    url: str


# fmt: off
SOURCES = {
    "fluent-3d": Source("@lobehub/fluent-emoji-3d", "1.1.0", "MIT",
        "Microsoft Corporation; LobeHub", "https://github.com/microsoft/fluentui-emoji"),
    "fluent-flat": Source("@iconify-json/fluent-emoji-flat", "1.2.6", "MIT",
        "Microsoft Corporation", "https://github.com/microsoft/fluentui-emoji"),
    "noto": Source("@iconify-json/noto", "1.2.9", "Apache-2.0",
        "Google Inc", "https://github.com/googlefonts/noto-emoji"),
    "noto-v1": Source("@iconify-json/noto-v1", "1.2.5", "Apache-2.0",
        "Google Inc", "https://github.com/googlefonts/noto-emoji"),
    "twemoji": Source("@iconify-json/twemoji", "1.2.5", "CC-BY-4.0",
        "Twitter, Inc and other contributors", "https://github.com/jdecked/twemoji"),
    "emojione": Source("@iconify-json/emojione", "1.2.3", "CC-BY-4.0",
        "Emoji One (EmojiTwo)", "https://github.com/EmojiTwo/emojitwo"),
    "fxemoji": Source("@iconify-json/fxemoji", "1.2.2", "Apache-2.0",
        "Mozilla", "https://github.com/mozilla/fxemoji"),
    "openmoji": Source("@iconify-json/openmoji", "1.2.29", "CC-BY-SA-4.0",
        "OpenMoji", "https://github.com/hfg-gmuend/openmoji"),
    "emojione-v1": Source("@iconify-json/emojione-v1", "1.2.3", "CC-BY-SA-4.0",
        "Emoji One", "https://github.com/joypixels/emojione-legacy"),
}
# fmt: on


@dataclass(frozen=True)
class BuiltSprite:
    """One picture ready for the kit."""

    category: str
    style: str
    code: str
    colour: str | None
    webp: bytes


class WebpFolder:
    """A style whose package holds one WebP file per code point."""

    def __init__(self, package: Package) -> None:
        self._files = {
            path.stem.replace("-fe0f", ""): path
            for path in (package.folder / "assets").glob("*.webp")
        }

    def picture(self, emoji: Emoji) -> Image.Image | None:
        path = self._files.get(emoji.code)
        if path is None:
            return None
        picture = Image.open(path).convert("RGBA")
        return picture.resize((SPRITE_SIDE, SPRITE_SIDE), Image.Resampling.LANCZOS)


class IconifySet:
    """A style whose package is one JSON file of SVG bodies."""

    def __init__(self, package: Package) -> None:
        table = json.loads((package.folder / "icons.json").read_text(encoding="utf-8"))
        chars = json.loads((package.folder / "chars.json").read_text(encoding="utf-8"))
        self._icons: dict[str, dict[str, object]] = table["icons"]
        self._aliases = {name: row["parent"] for name, row in table.get("aliases", {}).items()}
        self._by_code = {code.replace("-fe0f", ""): name for code, name in chars.items()}
        self._defaults = {key: table.get(key, 16) for key in ("width", "height")}
        self._named_by_hand = FXEMOJI_NAMES if table["prefix"] == "fxemoji" else {}

    def _icon(self, emoji: Emoji) -> dict[str, object] | None:
        kebab = re.sub(r"[^a-z0-9]+", "-", emoji.label.lower()).strip("-")
        names = [
            self._named_by_hand.get(emoji.code),
            self._by_code.get(emoji.code),
            kebab,
            self._aliases.get(kebab),
        ]
        if self._named_by_hand:  # this set writes its names without hyphens
            names.append(kebab.replace("-", ""))
        return next((self._icons[name] for name in names if name in self._icons), None)

    def picture(self, emoji: Emoji) -> Image.Image | None:
        import resvg_py

        icon = self._icon(emoji)
        if icon is None:
            return None
        shape = self._defaults | icon
        width, height = shape["width"], shape["height"]
        origin = f"{shape.get('left', 0)} {shape.get('top', 0)}"
        svg = (
            f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
            f' width="{width}" height="{height}" viewBox="{origin} {width} {height}">'
            f"{icon['body']}</svg>"
        )
        png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=SPRITE_SIDE, height=SPRITE_SIDE))
        return Image.open(io.BytesIO(png)).convert("RGBA")


def held_out_styles(category: str, styles: Iterable[str]) -> frozenset[str]:
    """Choose the drawing of a category that training never sees, by a hash of the name.

    Returns the styles of that drawing; share-alike styles are always among them.
    """
    shareable = {style for style in styles if style not in TEST_STYLES}
    drawings = sorted({DRAWINGS.get(style, style) for style in shareable})
    digest = int.from_bytes(hashlib.sha256(category.encode()).digest()[:4], "big")
    chosen = drawings[digest % len(drawings)] if drawings else None
    held = {style for style in shareable if DRAWINGS.get(style, style) == chosen}
    return frozenset(held | set(TEST_STYLES))


def _crop_to_ink(picture: Image.Image) -> Image.Image | None:
    box = picture.getchannel("A").point(lambda alpha: 255 * (alpha > 8)).getbbox()
    return picture.crop(box) if box else None


def _encode(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=WEBP_QUALITY, method=6)
    return file.getvalue()


def build_sprites(
    categories: Mapping[str, tuple[Emoji, ...]], styles: tuple[str, ...], cache: Path
) -> Iterator[BuiltSprite]:
    """Yield every sprite of the categories in every style that has it."""
    for style in styles:
        source = SOURCES[style]
        package = fetch_npm(source.package, source.version, cache)
        pictures = WebpFolder(package) if style == "fluent-3d" else IconifySet(package)
        for category, emoji_of_category in categories.items():
            for emoji in emoji_of_category:
                picture = pictures.picture(emoji)
                picture = picture and _crop_to_ink(picture)
                if picture is None or (style, emoji.code) in BROKEN:
                    continue
                rgba = np.asarray(picture)
                colour = name_colour(rgba[rgba[..., 3] > 127, :3])
                yield BuiltSprite(category, style, emoji.code, colour, _encode(picture))
