"""Words and lines of text as they stand on a page, wherever they come from."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from florence2.geometry import Array, Box, bounding_box

Source = Literal["text layer", "hidden text layer", "model"]
"""Where words come from: what a file says and shows, what a file says behind a picture (the OCR of
another program), or pixels that the model read."""


@dataclass(frozen=True, eq=False)
class Word:
    """Letters without a blank between them.

    Attributes:
        text: at least one character, no white space.
        quad: corners `(4, 2)` in units of the page, clockwise for a reader of the word from where
            its first letter's top is.
        score: in [0, 1]; None where nobody scored, as in a text layer.
    """

    text: str
    quad: Array
    score: float | None = None

    @property
    def box(self) -> Box:
        """`x_min, y_min, x_max, y_max` around the quad."""
        return box_around(self.quad)


@dataclass(frozen=True, eq=False)
class Line:
    """Words in a row, as far as they are read together: a line of one column, a cell of a table.

    Attributes:
        text: of the words, with one blank between neighbours.
        quad: corners `(4, 2)` in units of the page, as those of a word.
        words: from first to last; their texts joined by blanks are the text.
        score: in [0, 1]; the mean over the letters, None where nobody scored.
        source: where the words come from.
        letter_height: of capitals, roughly, in units of the page; 0.0 if unknown.
        font_size: in units of the page as the file says; 0.0 if unknown.
        is_bold: whether most letters are, as far as the file says.
    """

    text: str
    quad: Array
    words: tuple[Word, ...] = ()
    score: float | None = None
    source: Source = "model"
    letter_height: float = 0.0
    font_size: float = 0.0
    is_bold: bool = False

    @property
    def box(self) -> Box:
        """`x_min, y_min, x_max, y_max` around the quad."""
        return box_around(self.quad)

    @property
    def angle(self) -> float:
        """Degrees by which the line is turned clockwise from level, in (-180, 180]."""
        along = self.quad[1] - self.quad[0]
        return float(np.degrees(np.arctan2(along[1], along[0])))


@dataclass(frozen=True, eq=False)
class ReadLines:
    """What two-stage reading found on a picture.

    Attributes:
        lines: in reading order.
        doubtful: lines that scored too low to be told, in reading order.
        blocks: of each line the number of the block of lines that it stands in; never falls.
        image_size: `(width, height)` of the picture; quads are in its pixels.
    """

    lines: tuple[Line, ...]
    doubtful: tuple[Line, ...]
    image_size: tuple[int, int]
    blocks: tuple[int, ...] = field(default=())


def box_around(quad: Array) -> Box:
    """`x_min, y_min, x_max, y_max` around corners."""
    x_min, y_min, x_max, y_max = map(float, bounding_box(quad))
    return x_min, y_min, x_max, y_max
