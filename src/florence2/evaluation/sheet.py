"""A sheet of good and bad answers: for each suite a row, from the best answer to the worst."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageOps

from florence2.drawing import draw
from florence2.drawing.fonts import TextRenderer
from florence2.evaluation.predict import Prediction
from florence2.evaluation.report import Report
from florence2.results import Text

TILE_WIDTH = 300  # pixels; two pictures or one with its texts
PICTURE_HEIGHT = 150
FONT_SIZE = 12
LINE = 16
MAX_LINES = 6  # of one text
GAP = 8
BLACK, GREY, RED = (0, 0, 0), (110, 110, 110), (190, 20, 30)


def draw_sheet(report: Report) -> Image.Image:
    """Draw the chosen answers of all suites: truth on the left, answer on the right."""
    rows = [(title, [_tile(each) for each in shown]) for title, shown in report.shown.items()]
    columns = max((len(tiles) for _, tiles in rows), default=1)
    heights = [max(tile.height for tile in tiles) + 2 * LINE for _, tiles in rows]
    page = Image.new("RGB", (columns * (TILE_WIDTH + GAP) + GAP, sum(heights) + GAP), "white")
    top = 0
    for (title, tiles), height in zip(rows, heights, strict=True):
        words = f"{title}: from the best answer to the worst, in equal steps"
        TextRenderer([words], FONT_SIZE + 2).paint(page, words, (GAP, top + LINE), BLACK)
        for column, tile in enumerate(tiles):
            page.paste(tile, (GAP + column * (TILE_WIDTH + GAP), top + 2 * LINE))
        top += height
    return page


def _tile(answered: Prediction) -> Image.Image:
    answer, record = answered
    picture = record.picture()
    if record.region is not None:
        ImageDraw.Draw(picture).rectangle(record.region, outline=RED, width=2)
    notes = [(record.text_input, GREY)] if record.text_input else []
    if isinstance(record.result, Text) and isinstance(answer, Text):
        notes += [(f"truth: {record.result.text}", GREY), (f"answer: {answer.text}", BLACK)]
        return _with_notes([picture], notes)
    return _with_notes([draw(picture, record.result), draw(picture, answer)], notes)


def _with_notes(
    pictures: Sequence[Image.Image], notes: Sequence[tuple[str, tuple[int, int, int]]]
) -> Image.Image:
    """Put pictures side by side, and texts below."""
    renderer = TextRenderer([note for note, _ in notes], FONT_SIZE)
    lines = [
        (line, colour)
        for note, colour in notes
        for line in renderer.wrapped(note, TILE_WIDTH)[:MAX_LINES]
    ]
    tile = Image.new("RGB", (TILE_WIDTH, PICTURE_HEIGHT + LINE * (len(lines) + 1)), "white")
    width = (TILE_WIDTH - GAP * (len(pictures) - 1)) // len(pictures)
    for column, picture in enumerate(pictures):
        small = ImageOps.contain(picture, (width, PICTURE_HEIGHT))
        tile.paste(small, (column * (width + GAP), 0))
    for row, (line, colour) in enumerate(lines):
        renderer.paint(tile, line, (0, PICTURE_HEIGHT + LINE * row + LINE // 2), colour)
    return tile
