"""Set a line of text from cached glyphs: Pillow draws each glyph once per font, NumPy the rest."""

import io
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from florence2.geometry import Array
from florence2_lab.worlds.pixels import Pixels

EM = 48  # pixels; lines are set at this size and scaled to the wanted one
MAX_CACHED_SIZES = 12  # of one font
MIN_INK = 24  # coverage below this is anti-aliasing haze, not ink


@dataclass(frozen=True)
class Glyph:
    """A drawn character; offsets are from the pen position on the baseline."""

    mask: Pixels  # (H, W) coverage, cropped to the ink; empty for blanks
    left: int
    top: int  # negative above the baseline
    advance: float


@dataclass(frozen=True)
class SetLine:
    """A line of text as coverage, with the ink box of every character."""

    text: str
    mask: Pixels  # (H, W), cropped to the ink of the whole line
    char_boxes: Array  # (N, 4) xyxy in pixels of the mask; blanks get their advance


class Typeface:
    """One font at `em` pixels, with its glyphs cached."""

    def __init__(self, data: bytes, capitals_only: bool = False, em: int = EM) -> None:
        self._font = ImageFont.truetype(io.BytesIO(data), em, layout_engine=ImageFont.Layout.BASIC)
        self._data = data
        self.em = em
        self.capitals_only = capitals_only
        self._glyphs: dict[str, Glyph] = {}
        self._sizes: dict[int, Typeface] = {}

    def at(self, em: int) -> "Typeface":
        """Return this font at another size; a few sizes are kept."""
        found = self._sizes.get(em)
        if found is None:
            found = Typeface(self._data, self.capitals_only, em)
            if len(self._sizes) >= MAX_CACHED_SIZES:
                del self._sizes[next(iter(self._sizes))]
            self._sizes[em] = found
        return found

    def glyph(self, char: str) -> Glyph:
        """Return a character's glyph."""
        found = self._glyphs.get(char)
        if found is None:
            found = self._glyphs[char] = self._draw(char)
        return found

    def _draw(self, char: str) -> Glyph:
        advance = self._font.getlength(char)
        # An em of room for strokes outside the advance, before and after.
        width = int(advance) + 2 * self.em
        canvas = Image.new("L", (width, 4 * self.em))
        pen = self.em, 2 * self.em
        ImageDraw.Draw(canvas).text(pen, char, 255, self._font, anchor="ls")
        coverage = np.asarray(canvas)
        x, y, width, height = cv2.boundingRect((coverage >= MIN_INK).view(np.uint8))
        mask = coverage[y : y + height, x : x + width].copy()  # empty for blanks
        return Glyph(mask, x - pen[0], y - pen[1], advance)

    def set_line(self, text: str, spacing: float = 0.0) -> SetLine:
        """Set a line, with `spacing` extra pixels (at `EM`) between characters.

        `text` must hold at least one character that leaves ink.
        """
        placed: list[tuple[Glyph, int]] = []
        pen = 0.0
        for char in text:
            glyph = self.glyph(char)
            placed.append((glyph, round(pen)))
            pen += max(1.0, glyph.advance + spacing)
        inked = [(glyph, x) for glyph, x in placed if glyph.mask.size]
        left = min(x + glyph.left for glyph, x in inked)
        right = max(x + glyph.left + glyph.mask.shape[1] for glyph, x in inked)
        top = min(glyph.top for glyph, _ in inked)
        bottom = max(glyph.top + glyph.mask.shape[0] for glyph, _ in inked)
        mask = np.zeros((bottom - top, right - left), np.uint8)
        boxes = np.empty((len(text), 4))
        for row, (glyph, x) in zip(boxes, placed, strict=True):
            if not glyph.mask.size:
                row[:] = x - left, 0, x - left + glyph.advance, bottom - top
                continue
            height, width = glyph.mask.shape
            x_min, y_min = x + glyph.left - left, glyph.top - top
            area = mask[y_min : y_min + height, x_min : x_min + width]
            np.maximum(area, glyph.mask, out=area)
            row[:] = x_min, y_min, x_min + width, y_min + height
        return SetLine(text, mask, boxes)
