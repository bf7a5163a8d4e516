"""Emoji of many styles: one picture for each code point."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from PIL import Image

from florence2_lab.worlds.building.categories import Emoji
from florence2_lab.worlds.building.drawing import (
    SPRITE_SIDE,
    BuiltSprite,
    Source,
    draw_icon,
    finish_sprite,
)
from florence2_lab.worlds.building.packages import Package, fetch_npm

# Pictures that came out broken when they were looked at.
BROKEN = {("fxemoji", "1f499")}

# fmt: off
EMOJI_SOURCES = {
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
        self._table = json.loads((package.folder / "icons.json").read_text(encoding="utf-8"))
        chars = json.loads((package.folder / "chars.json").read_text(encoding="utf-8"))
        self._icons: dict[str, dict[str, object]] = self._table["icons"]
        self._aliases = {
            name: row["parent"] for name, row in self._table.get("aliases", {}).items()
        }
        self._by_code = {code.replace("-fe0f", ""): name for code, name in chars.items()}
        self._named_by_hand = FXEMOJI_NAMES if self._table["prefix"] == "fxemoji" else {}

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
        icon = self._icon(emoji)
        return draw_icon(self._table, icon) if icon else None


def build_emoji(
    categories: Mapping[str, tuple[Emoji, ...]], style: str, cache: Path
) -> Iterator[BuiltSprite]:
    """Yield every emoji of the categories that this style has."""
    source = EMOJI_SOURCES[style]
    package = fetch_npm(source.package, source.version, cache)
    pictures = WebpFolder(package) if style == "fluent-3d" else IconifySet(package)
    for category, emoji_of_category in categories.items():
        for emoji in emoji_of_category:
            picture = pictures.picture(emoji)
            finished = picture and finish_sprite(picture)
            if not finished or (style, emoji.code) in BROKEN:
                continue
            yield BuiltSprite(
                category,
                style,
                emoji.code,
                *finished,
                package,
                source.licence,
                source.author,
                source.url,
            )
