"""What all pictures of objects have in common: drawn from SVG, cropped to their ink, encoded."""

import hashlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from florence2.errors import DataError
from florence2_lab.worlds.building.packages import Package
from florence2_lab.worlds.colours import name_colour

SPRITE_SIDE = 128
WEBP_QUALITY = 80


@dataclass(frozen=True)
class Source:
    """Where the pictures of one style come from."""

    package: str
    version: str
    licence: str  # SPDX
    author: str
    url: str


@dataclass(frozen=True)
class BuiltSprite:
    """One picture ready for the kit, with its origin."""

    category: str
    style: str
    code: str  # its file name
    colour: str | None
    webp: bytes
    package: Package
    licence: str
    author: str
    url: str
    changes: str = "drawn at 128 px, cropped, stored as WebP"


def draw_svg(svg: str, side: int = SPRITE_SIDE) -> Image.Image | None:
    """Draw an SVG with this width, or return None if it cannot be drawn."""
    import resvg_py

    try:
        png = resvg_py.svg_to_bytes(svg_string=svg, width=side, dpi=96, skip_system_fonts=True)
    except ValueError:
        return None
    return Image.open(io.BytesIO(bytes(png))).convert("RGBA")


def draw_icon(table: dict[str, Any], icon: dict[str, Any], side: int = SPRITE_SIDE) -> Image.Image:
    """Draw one icon of an iconify set."""
    shape = {key: table.get(key, 16) for key in ("width", "height")} | icon
    width, height = shape["width"], shape["height"]
    origin = f"{shape.get('left', 0)} {shape.get('top', 0)}"
    picture = draw_svg(
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        f' width="{width}" height="{height}" viewBox="{origin} {width} {height}">'
        f"{icon['body']}</svg>",
        side,
    )
    if picture is None:
        raise DataError(f"an icon of the set {table.get('prefix')!r} cannot be drawn; report it")
    return picture


def finish_sprite(picture: Image.Image) -> tuple[str | None, bytes] | None:
    """Crop a picture to its ink; return its colour name and its WebP file, None if it is empty."""
    box = picture.getchannel("A").point(lambda alpha: 255 * (alpha > 8)).getbbox()
    if box is None:
        return None
    picture = picture.crop(box)
    picture.thumbnail((SPRITE_SIDE, SPRITE_SIDE), Image.Resampling.LANCZOS)
    rgba = np.asarray(picture)
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=WEBP_QUALITY, method=6)
    return name_colour(rgba[rgba[..., 3] > 127, :3]), file.getvalue()


def turn_hue(picture: Image.Image, name: str) -> Image.Image:
    """Turn the hue of a picture by an angle that its name decides; greys stay as they are."""
    turn = hashlib.sha256(name.encode()).digest()[0]
    hue, saturation, value = picture.convert("RGB").convert("HSV").split()
    turned = Image.merge("HSV", (hue.point(lambda old: (old + turn) % 256), saturation, value))
    coloured = turned.convert("RGB")
    coloured.putalpha(picture.getchannel("A"))
    return coloured
