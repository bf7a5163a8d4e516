"""Pages in whole pixels, as hOCR and ALTO tell places."""

import math
from dataclasses import dataclass

from florence2.documents.structure import Block, Page
from florence2.documents.writers.content import lines_of, words_of
from florence2.documents.writers.options import WriterOptions
from florence2.geometry import Box, PixelBox, enclosing_box
from florence2.pipelines.reading.lines import Line

UPRIGHT = 45  # degrees of turn below which a line has a slope and no angle
LEVEL = 0.1  # degrees below which it has none of both


@dataclass(frozen=True)
class PixelWord:
    """A word.

    Attributes:
        score: in [0, 1]; 1.0 where nobody scored, as in a text layer: readers of these formats take
            a word without a score for one that is surely wrong.
    """

    text: str
    box: PixelBox
    score: float


@dataclass(frozen=True)
class PixelLine:
    """A line of at least one word; `angle` is in degrees clockwise, in (-180, 180]."""

    box: PixelBox
    words: tuple[PixelWord, ...]
    angle: float


@dataclass(frozen=True)
class PixelBlock:
    """A block; one of a figure has no lines, any other at least one."""

    box: PixelBox
    lines: tuple[PixelLine, ...]


@dataclass(frozen=True)
class PixelPage:
    """A page of at least one pixel; all boxes lie in it and hold at least one pixel."""

    width: int
    height: int
    dpi: int
    blocks: tuple[PixelBlock, ...]


def pixel_page(page: Page, options: WriterOptions) -> PixelPage:
    """A page at the `dpi` of the options; headers and footers belong to it."""
    scale = options.scale(page)
    width, height = (max(round(side * scale), 1) for side in (page.width, page.height))

    def inside(box: Box) -> PixelBox:
        low = [math.floor(min(max(side * scale, 0), 1e9)) for side in box[:2]]
        high = [math.ceil(min(max(side * scale, 0), 1e9)) for side in box[2:]]
        x_min, y_min = min(low[0], width - 1), min(low[1], height - 1)
        return (
            x_min,
            y_min,
            max(min(high[0], width), x_min + 1),
            max(min(high[1], height), y_min + 1),
        )

    def pixel_line(line: Line) -> PixelLine | None:
        words = tuple(
            PixelWord(
                word.text,
                inside(word.box),
                1.0 if word.score is None else min(max(word.score, 0), 1),
            )
            for word in words_of(line)
        )
        return PixelLine(inside(line.box), words, line.angle) if words else None

    def pixel_block(block: Block) -> PixelBlock | None:
        lines = tuple(found for line in lines_of(block) if (found := pixel_line(line)) is not None)
        if not lines and block.kind != "figure":
            return None
        x_min, y_min, x_max, y_max = enclosing_box(
            [line.box for line in lines] or [inside(block.box)]
        )
        return PixelBlock((int(x_min), int(y_min), int(x_max), int(y_max)), lines)

    blocks = tuple(found for each in page.blocks if (found := pixel_block(each)) is not None)
    return PixelPage(width, height, round(options.pixel_dpi(page)), blocks)


def line_slope(line: PixelLine) -> tuple[int, tuple[float, int] | None]:
    """How a line is turned.

    Returns:
        Degrees counter-clockwise, in [0, 360), 0 for a line that is turned by less than 45; for
        such a line that is not level the slope of its foot and the height at which that begins
        over the lower left corner of its box, negative upwards.
    """
    if abs(line.angle) >= UPRIGHT:
        return -round(line.angle) % 360, None
    if abs(line.angle) < LEVEL:
        return 0, None
    slope = math.tan(math.radians(line.angle))
    # y grows downwards: the foot of a line that falls begins above the foot of its box.
    return 0, (slope, -round(max(slope, 0) * (line.box[2] - line.box[0])))
