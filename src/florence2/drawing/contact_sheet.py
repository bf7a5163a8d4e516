"""Contact sheets: many pictures on one page, for a person to look at."""

from collections.abc import Sequence

from PIL import Image

GAP = 6  # pixels


def sheet_tile(drawn: Image.Image, height: int = 260, max_width: int = 1200) -> Image.Image:
    """A drawn picture as high as the others of its sheet."""
    width = max(1, min(max_width, round(drawn.width * height / drawn.height)))
    return drawn.resize((width, height), Image.Resampling.LANCZOS)


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
