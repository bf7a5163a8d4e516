"""A kit of drawn shapes and Pillow's own font, small enough to build inside a test."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from florence2_lab.worlds.building.kit import KitWriter
from florence2_lab.worlds.kit import Font, Icon, Split, Sprite, Texture

# One pure channel per category, so that a pixel of a clean scene tells what it shows.
CHANNELS = {"blue disc": 2, "green ring": 1, "red box": 0}
STYLES: dict[str, Split] = {"bright": "train", "middling": "train", "dark": "val"}
SHADES = {"bright": 255, "middling": 225, "dark": 190}
SHAPES = {
    "blue disc": lambda pen, ink: pen.ellipse((0, 0, 99, 99), fill=ink),
    "green ring": lambda pen, ink: pen.ellipse((0, 0, 99, 99), outline=ink, width=25),
    "red box": lambda pen, ink: pen.rectangle((0, 20, 99, 79), fill=ink),
}


def _bytes(picture: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def _sprite(category: str, style: str) -> bytes:
    colour = [0, 0, 0, 255]
    colour[CHANNELS[category]] = SHADES[style]
    picture = Image.new("RGBA", (100, 100))
    SHAPES[category](ImageDraw.Draw(picture), tuple(colour))
    return _bytes(picture.crop(picture.getbbox()), "WEBP", lossless=True, exact=True)


def write_tiny_kit(path: Path) -> None:
    writer = KitWriter()
    sprites = []
    for category in CHANNELS:
        for style, split in STYLES.items():
            name = f"sprites/{style}/{category.replace(' ', '-')}.webp"
            writer.add(name, _sprite(category, style), author="this test")
            # Colours differ within "red box" alone, so captions name only its colour.
            colour = style if category == "red box" else category.split()[0]
            sprites.append(Sprite(name, category, style, split, colour))
    fonts = []
    ttf = ImageFont.load_default(20).font_bytes
    for family, split, capitals_only in (("plain", "train", False), ("loud", "val", True)):
        name = f"fonts/{family}.ttf"
        writer.add(name, ttf, author="Sora Sagano", licence="CC0-1.0")
        fonts.append(Font(name, family, split, capitals_only, missing="€£"))
    grain = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    writer.add("textures/grain.jpg", _bytes(Image.fromarray(grain), "JPEG"), author="this test")
    icons = []
    for name, split, size in (
        ("dot", "train", (20, 20)),
        ("bar", "train", (24, 9)),
        ("box", "val", (9, 9)),
    ):
        path_inside = f"icons/{name}.png"
        writer.add(path_inside, _bytes(Image.new("L", size, 255), "PNG"), author="this test")
        icons.append(Icon(path_inside, name, split))
    words = "the\t100\nflorence\t9\nquay\t4\nincomprehensibilities\t1\n"
    writer.add("text/words.tsv", words.encode(), author="this test")
    writer.add("text/phrases.txt", b"a quick brown fox\nover the lazy dog\n", author="this test")
    writer.write(path, sprites, fonts, [Texture("textures/grain.jpg", "grain")], icons)
