"""Pictures chosen one by one, by name: icons, clip art, photographs of models of furniture.

`pictures.tsv` lists them. Every one was looked at: names alone match line drawings, road signs,
several things at once and things of another kind (the apple of a laptop).
"""

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from florence2_lab.worlds.building.drawing import (
    SPRITE_SIDE,
    BuiltSprite,
    Source,
    draw_icon,
    draw_svg,
    finish_sprite,
    turn_hue,
)
from florence2_lab.worlds.building.packages import fetch_debian, fetch_npm

TABLE = Path(__file__).with_name("pictures.tsv")
_STREAMLINE = "https://github.com/webalys-hq/streamline-vectors"
# fmt: off
ICON_SOURCES = {
    "streamline-emojis": Source("@iconify-json/streamline-emojis", "1.2.4", "CC-BY-4.0",
        "Streamline", _STREAMLINE),
    "streamline-ultimate": Source("@iconify-json/streamline-ultimate-color", "1.2.2", "CC-BY-4.0",
        "Streamline", _STREAMLINE),
    "streamline-plump": Source("@iconify-json/streamline-plump-color", "1.2.2", "CC-BY-4.0",
        "Streamline", _STREAMLINE),
    "streamline-plump-flat": Source("@iconify-json/streamline-plump-color", "1.2.2", "CC-BY-4.0",
        "Streamline", _STREAMLINE),
    "streamline-core": Source("@iconify-json/streamline-color", "1.2.2", "CC-BY-4.0",
        "Streamline", _STREAMLINE),
    "streamline-stickies": Source("@iconify-json/streamline-stickies-color", "1.2.2", "CC-BY-4.0",
        "Streamline", _STREAMLINE),
    "icon-park": Source("@iconify-json/icon-park", "1.2.4", "Apache-2.0",
        "ByteDance", "https://github.com/bytedance/IconPark"),
    "fluent-color": Source("@iconify-json/fluent-color", "1.2.21", "MIT",
        "Microsoft Corporation", "https://github.com/microsoft/fluentui-system-icons"),
    "flat-color-icons": Source("@iconify-json/flat-color-icons", "1.2.3", "MIT",
        "Icons8", "https://github.com/icons8/flat-Color-icons"),
    "meteocons": Source("@iconify-json/meteocons", "1.2.4", "MIT",
        "Bas Milius", "https://github.com/basmilius/weather-icons"),
}
FURNITURE_LICENCES = {
    "BlendSwap-CC-0": "CC0-1.0", "BlendSwap-CC-BY": "CC-BY-3.0", "Scopia": "CC-BY-3.0",
}
# fmt: on
CLIP_ART, FURNITURE = "openclipart", "furniture"
PICTURE_SOURCES = (*ICON_SOURCES, CLIP_ART, FURNITURE)
# Sets drawn in one hue; each icon gets another, or the model would learn that icons are blue.
ONE_HUE = ("icon-park", "streamline-plump", "streamline-plump-flat", "streamline-core")


def _chosen(source: str) -> list[tuple[str, str]]:
    """Return the categories and names of the pictures of a source."""
    rows = csv.DictReader(io.StringIO(TABLE.read_text(encoding="utf-8")), delimiter="\t")
    return [(row["category"], row["name"]) for row in rows if row["source"] == source]


def _icons(style: str, cache: Path) -> Iterator[BuiltSprite]:
    source = ICON_SOURCES[style]
    package = fetch_npm(source.package, source.version, cache)
    table = json.loads((package.folder / "icons.json").read_text(encoding="utf-8"))
    changes = "drawn at 128 px, cropped, stored as WebP"
    for category, name in _chosen(style):
        picture = draw_icon(table, table["icons"][name])
        if style in ONE_HUE:
            picture = turn_hue(picture, name)
            changes = "recoloured, drawn at 128 px, cropped, stored as WebP"
        if finished := finish_sprite(picture):
            yield BuiltSprite(
                category,
                style,
                f"{category}-{name}",
                *finished,
                package,
                source.licence,
                source.author,
                source.url,
                changes,
            )


def _clip_art_author(svg: str) -> str:
    """Return the author whom a file names, without an address of mail."""
    found = re.search(r"<dc:creator[^>]*>.*?<dc:title[^>]*>(.*?)</dc:title>", svg, re.S)
    name = re.sub(r"\(?\S+@\S+\)?", "", found[1] if found else "").strip()
    return name or "anonymous"


def _clip_art(cache: Path) -> Iterator[BuiltSprite]:
    package = fetch_debian("openclipart-svg", "public domain", cache)
    folder = package.folder / "usr/share/openclipart/svg"
    for category, name in _chosen(CLIP_ART):
        svg = (folder / name).read_text(encoding="utf-8", errors="replace")
        picture = draw_svg(svg, 4 * SPRITE_SIDE)  # small on a large page, more often than not
        finished = picture and finish_sprite(picture)
        if finished:
            author = _clip_art_author(svg)
            hand = re.sub(r"[^a-z]+", "-", author.lower()).strip("-")
            yield BuiltSprite(
                category,
                f"{CLIP_ART}-{hand}",  # everybody draws in a style of their own
                f"{category}-{Path(name).stem}",
                *finished,
                package,
                "public domain",
                author,
                f"https://openclipart.org (in the package: {name})",
            )


def _furniture(cache: Path) -> Iterator[BuiltSprite]:
    package = fetch_debian("sweethome3d-furniture", "CC0-1.0, CC-BY-3.0", cache)
    folder = package.folder / "usr/share/sweethome3d/furniture"
    for category, path in _chosen(FURNITURE):
        library, _, name = path.partition("/")
        with zipfile.ZipFile(folder / f"{library}.sh3f") as archive:
            lines = archive.read("PluginFurnitureCatalog.properties").decode("latin-1").splitlines()
            facts = dict(line.split("=", 1) for line in lines if "=" in line)
            icon = f"/{library.lower()}/{name}"
            number = next(
                key.partition("#")[2]
                for key, value in facts.items()
                if key.startswith("icon#") and value == icon
            )
            picture = Image.open(io.BytesIO(archive.read(icon[1:]))).convert("RGBA")
        if finished := finish_sprite(picture):
            yield BuiltSprite(
                category,
                FURNITURE,
                f"{category}-{Path(name).stem}",
                *finished,
                package,
                FURNITURE_LICENCES[library],
                f"{facts[f'creator#{number}']}; Emmanuel Puybaret / eTeks",
                f"https://www.sweethome3d.com/importModels.jsp ({library}: {name})",
                "cropped, stored as WebP",
            )


def build_pictures(source: str, cache: Path) -> Iterator[BuiltSprite]:
    """Yield the chosen pictures of one of `PICTURE_SOURCES`."""
    if source == CLIP_ART:
        yield from _clip_art(cache)
    elif source == FURNITURE:
        yield from _furniture(cache)
    else:
        yield from _icons(source, cache)
