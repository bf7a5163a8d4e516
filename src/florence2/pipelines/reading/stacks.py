"""Several pieces of lines in one picture: a row each, one below the other.

A piece is wide and low, the picture that a model sees is square: two rows to a square cost as much
as one, and a letter keeps its width. The model answers with a line of text for each row.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Grey = NDArray[np.uint8]


def stacked(pieces: Sequence[Grey], side: int) -> Image.Image:
    """Draw pieces `(h, w)` as rows of equal height in a square RGB picture of `side` pixels.

    Each is stretched to its row, as the model's own resizing stretches a single one.
    """
    edges = [round(number * side / len(pieces)) for number in range(len(pieces) + 1)]
    sheet = np.empty((side, side), np.uint8)
    for piece, top, bottom in zip(pieces, edges, edges[1:], strict=False):
        row = Image.fromarray(piece).resize((side, bottom - top), Image.Resampling.BICUBIC)
        sheet[top:bottom] = np.asarray(row)
    return Image.fromarray(sheet).convert("RGB")


def drawn_in_rows(pieces: Sequence[Grey], side: int) -> Image.Image:
    """Draw pieces as rows of equal height on a white page: each in its own shape, from the left.

    One that would be wider than the page is shrunk.
    """
    height = side / len(pieces)
    page = Image.new("L", (side, side), 255)
    for number, piece in enumerate(pieces):
        scale = min(height / piece.shape[0], side / piece.shape[1])
        size = max(1, round(piece.shape[1] * scale)), max(1, round(piece.shape[0] * scale))
        row = Image.fromarray(piece).resize(size, Image.Resampling.BICUBIC)
        page.paste(row, (0, round(number * height + (height - size[1]) / 2)))
    return page.convert("RGB")
