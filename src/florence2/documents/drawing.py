"""Pages with what was read drawn on them, to look at."""

import numpy as np
from PIL import Image

from florence2.documents.structure import Page
from florence2.drawing import draw
from florence2.geometry import Box
from florence2.results import Boxes


def drawn_page(page: Page, picture: Image.Image) -> Image.Image:
    """Draw the blocks of a page, in reading order, and the lines that are in doubt.

    Args:
        picture: of the page, of any size.
    """
    scale = picture.width / page.width, picture.height / page.height

    def placed(box: Box) -> tuple[float, ...]:
        return tuple(side * scale[axis % 2] for axis, side in enumerate(box))

    rows = [
        (f"{number} {block.kind}{f' {block.level}' if block.level else ''}", placed(block.box))
        for number, block in enumerate(page.blocks, start=1)
    ]
    rows += [(f"? {line.text}", placed(line.box)) for line in page.doubtful]
    boxes = Boxes(
        np.array([box for _, box in rows]).reshape(-1, 4),
        tuple(label for label, _ in rows),
        image_size=picture.size,
    )
    return draw(picture, boxes)
