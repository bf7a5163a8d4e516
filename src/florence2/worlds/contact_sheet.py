"""Contact sheets: many made pictures with their facts drawn on, for a person to look at."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from florence2.data.records import Record
from florence2.drawing import draw
from florence2.worlds.captions import brief_caption
from florence2.worlds.lines import TextLine
from florence2.worlds.pixels import Pixels
from florence2.worlds.scenes import Scene

ZOOM = 2
CAPTION_HEIGHT = 26
GAP = 6
COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080")


def scene_tile(scene: Scene) -> Image.Image:
    """Draw a scene with its boxes and labels, and its caption below."""
    tile = _enlarged(scene.image)
    pen = ImageDraw.Draw(tile)
    font = ImageFont.load_default(11)
    for number, item in enumerate(scene.objects):
        colour = COLOURS[number % len(COLOURS)]
        x_min, y_min, x_max, y_max = (ZOOM * value for value in item.box_xyxy)
        pen.rectangle((x_min, y_min, x_max - 1, y_max - 1), outline=colour)
        pen.text((x_min + 2, y_min), item.label, "white", font, stroke_width=2, stroke_fill=colour)
    return _captioned(tile, brief_caption(scene))


def line_tile(line: TextLine) -> Image.Image:
    """Draw a line with its quad and the boxes of its characters, and its text below."""
    tile = _enlarged(line.image)
    pen = ImageDraw.Draw(tile)
    for number, box in enumerate(line.char_boxes):
        x_min, y_min, x_max, y_max = (ZOOM * float(value) for value in box)
        colour = COLOURS[number % len(COLOURS)]
        # The dash of a small light font is less than a pixel high.
        pen.rectangle((x_min, y_min, max(x_min, x_max - 1), max(y_min, y_max - 1)), outline=colour)
    pen.polygon([tuple(corner) for corner in (ZOOM * line.quad).tolist()], outline="#e6194b")
    return _captioned(tile, f"{line.text}   [{line.font}]")


def record_tile(record: Record, side: int = 384) -> Image.Image:
    """Draw the answer of a record on its picture, and the question below."""
    picture = record.picture()
    if record.region is not None:
        ImageDraw.Draw(picture).rectangle(record.region, outline=COLOURS[0])
    tile = draw(picture, record.result)
    tile.thumbnail((side, 2 * side))
    return _captioned(tile, f"{record.task.token} {record.text_input}")


def contact_sheet(tiles: Sequence[Image.Image], width: int = 1600) -> Image.Image:
    """Lay tiles out in rows, left to right, on a page of this width."""
    placed: list[tuple[Image.Image, int, int]] = []
    x = y = GAP
    row_height = 0
    for tile in tiles:
        if x + tile.width > width and x > GAP:
            x, y, row_height = GAP, y + row_height + GAP, 0
        placed.append((tile, x, y))
        x += tile.width + GAP
        row_height = max(row_height, tile.height)
    page = Image.new("RGB", (width, y + row_height + GAP), "white")
    for tile, left, top in placed:
        page.paste(tile, (left, top))
    return page


def write_contact_sheet(tiles: Sequence[Image.Image], path: Path) -> None:
    """Write a contact sheet as a picture."""
    contact_sheet(tiles).save(path)


def _enlarged(image: Pixels) -> Image.Image:
    picture = Image.fromarray(image)
    return picture.resize((ZOOM * picture.width, ZOOM * picture.height))


def _captioned(tile: Image.Image, caption: str) -> Image.Image:
    font = ImageFont.load_default(13)
    width = max(tile.width, int(font.getlength(caption)) + 8)
    page = Image.new("RGB", (width, tile.height + CAPTION_HEIGHT), "white")
    page.paste(tile, (0, 0))
    ImageDraw.Draw(page).text((4, tile.height + 4), caption, "black", font)
    return page
