"""Made pictures with their facts drawn on, for a person to look at."""

from PIL import Image, ImageDraw, ImageFont

from florence2.data.records import Record
from florence2.drawing import draw
from florence2.tasks import task_column

CAPTION_HEIGHT = 26
REGION_COLOUR = "#e6194b"


def record_tile(record: Record, side: int = 384) -> Image.Image:
    """Draw the answer of a record on its picture, and the question below."""
    picture = record.picture()
    if record.region is not None:
        ImageDraw.Draw(picture).rectangle(record.region, outline=REGION_COLOUR)
    tile = draw(picture, record.result)
    tile.thumbnail((side, 2 * side))
    return _captioned(tile, f"{task_column(record.task)} {record.text_input}")


def _captioned(tile: Image.Image, caption: str) -> Image.Image:
    font = ImageFont.load_default(13)
    width = max(tile.width, int(font.getlength(caption)) + 8)
    page = Image.new("RGB", (width, tile.height + CAPTION_HEIGHT), "white")
    page.paste(tile, (0, 0))
    ImageDraw.Draw(page).text((4, tile.height + 4), caption, "black", font)
    return page
