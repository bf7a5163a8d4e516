"""Contact sheets: many made pictures with their facts drawn on, for a person to look at."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from florence2.data.records import Record
from florence2.drawing import draw

CAPTION_HEIGHT = 26
GAP = 6
REGION_COLOUR = "#e6194b"


def record_tile(record: Record, side: int = 384) -> Image.Image:
    """Draw the answer of a record on its picture, and the question below."""
    picture = record.picture()
    if record.region is not None:
        ImageDraw.Draw(picture).rectangle(record.region, outline=REGION_COLOUR)
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


def _captioned(tile: Image.Image, caption: str) -> Image.Image:
    font = ImageFont.load_default(13)
    width = max(tile.width, int(font.getlength(caption)) + 8)
    page = Image.new("RGB", (width, tile.height + CAPTION_HEIGHT), "white")
    page.paste(tile, (0, 0))
    ImageDraw.Draw(page).text((4, tile.height + 4), caption, "black", font)
    return page
