"""The press: prints lines of text at their final size onto a page, and remembers where."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from florence2.geometry import Array, Box, Colour, PixelBox
from florence2_lab.worlds.kit import Font, Kit
from florence2_lab.worlds.lettering import EM, Glyph, Typeface
from florence2_lab.worlds.pixels import Pixels, as_pixels


class Face:
    """A font at one size, ready to be printed with."""

    def __init__(self, typeface: Typeface, font: Font) -> None:
        self.font = font
        self.em = typeface.em
        self._typeface = typeface
        self.x_height = typeface.glyph("x").mask.shape[0]
        self._missing = frozenset(font.missing)

    @classmethod
    def of(cls, kit: Kit, font: Font, em: int) -> "Face":
        return cls(kit.typeface(font).at(em), font)

    def can_print(self, text: str) -> bool:
        """Tell whether the font has all characters."""
        return self._missing.isdisjoint(text)

    def shown(self, text: str) -> str:
        """Return a text as it looks: fonts of capitals draw small letters as capitals."""
        return text.upper() if self.font.capitals_only else text

    def width(self, text: str) -> float:
        """Return the advance of a text, pixels."""
        return sum(self._typeface.glyph(char).advance for char in text)

    def glyph(self, char: str) -> Glyph:
        return self._typeface.glyph(char)


def capital_height(kit: Kit, font: Font) -> float:
    """Return the height of capital letters relative to the em."""
    height: int = kit.typeface(font).glyph("H").mask.shape[0]
    return height / EM


@dataclass(frozen=True)
class Printed:
    """A line of text on a page."""

    text: str
    box: Box  # around its ink, pixels
    word_boxes: tuple[Box, ...]  # around the ink of each word
    block: int  # lines of one paragraph, table, ... share a number

    def moved(self, down: int) -> "Printed":
        return replace(
            self,
            box=_moved(self.box, down),
            word_boxes=tuple(_moved(box, down) for box in self.word_boxes),
        )


def _moved(box: Box, down: int) -> Box:
    return box[0], box[1] + down, box[2], box[3] + down


@dataclass(frozen=True)
class Item:
    """A text to print, with its left end."""

    text: str
    face: Face
    x: float
    word_gap: float = 0.0  # added to every space
    accent: bool = False  # in the second colour


class Press:
    """A square page under print: layers of coverage and letters, and the lines printed so far."""

    def __init__(self, side: int) -> None:
        self.side = side
        self.ink = np.zeros((side, side), np.uint8)
        self.accent = np.zeros((side, side), np.uint8)
        self.rules = np.zeros((side, side), np.uint8)  # lines and frames
        self.letters = np.zeros((side, side), np.uint8)  # as Page.letter_map
        self.lines: list[Printed] = []

    def print_row(self, items: Sequence[Item], baseline: int, block: int) -> bool:
        """Print texts on one baseline, or nothing at all if the ink of one would leave the page."""
        placed = [self._place(item, baseline) for item in items]
        for item, words in zip(items, placed, strict=True):
            for _, box in words:
                if min(box[:2]) < 0 or max(box[2:]) > self.side:
                    return False
            if len(words) != len(item.text.split(" ")):
                return False
        for item, words in zip(items, placed, strict=True):
            layer = self.accent if item.accent else self.ink
            for glyphs, _ in words:
                for char, glyph, x, y in glyphs:
                    height, width = glyph.mask.shape
                    area = layer[y : y + height, x : x + width]
                    np.maximum(area, glyph.mask, out=area)
                    low, high = min(y, baseline - item.face.x_height), max(y + height, baseline)
                    self.letters[max(0, low) : high, x : x + width] = min(ord(char), 255)
            boxes = tuple(box for _, box in words)
            self.lines.append(Printed(item.text, around(boxes), boxes, block))
        return True

    def _place(
        self, item: Item, baseline: int
    ) -> list[tuple[list[tuple[str, Glyph, int, int]], Box]]:
        """Return the glyphs of every word with their top left corners, and the word's box."""
        words = []
        pen = item.x
        space = item.face.glyph(" ").advance + item.word_gap
        for word in item.text.split(" "):
            glyphs = []
            boxes = []
            for char in word:
                glyph = item.face.glyph(char)
                if glyph.mask.size:
                    x, y = round(pen) + glyph.left, baseline + glyph.top
                    height, width = glyph.mask.shape
                    glyphs.append((char, glyph, x, y))
                    boxes.append((float(x), float(y), float(x + width), float(y + height)))
                pen += max(1.0, glyph.advance)
            if boxes:
                words.append((glyphs, around(boxes)))
            pen += space
        return words

    def rule(self, x_min: float, y: float, x_max: float, thickness: int = 1) -> None:
        """Draw a level line."""
        top = round(y)
        self.rules[top : top + thickness, max(0, round(x_min)) : round(x_max)] = 255

    def frame(self, box: Box) -> None:
        """Draw a frame, one pixel wide."""
        x_min, y_min, x_max, y_max = (round(value) for value in box)
        cv2.rectangle(self.rules, (x_min, y_min), (x_max, y_max), (255,), 1)

    @property
    def last_row(self) -> int:
        """Return the lowest row of pixels that has any ink."""
        rows = [cv2.boundingRect(layer) for layer in (self.ink, self.accent, self.rules)]
        return max(y + height for _, y, _, height in rows) - 1

    def clear(self, box: PixelBox) -> None:
        """Clear a box of whole pixels, with all of every word that reaches into it.

        Of a line that falls into two pieces the longer one stays. One of which nothing is left
        stays in its place, with an empty text.
        """
        hidden: list[Box] = [box]
        for number, line in enumerate(self.lines):
            places = line.word_boxes
            covered = [n for n, place in enumerate(places) if meet(place, box)]
            if not covered:
                continue
            before, after = slice(covered[0]), slice(covered[-1] + 1, None)
            longer = max(before, after, key=lambda piece: len(places[piece]))
            kept = places[longer]
            hidden += [place for place in places if place not in kept]
            self.lines[number] = replace(
                line,
                text=" ".join(line.text.split()[longer]),
                box=around(kept) if kept else line.box,
                word_boxes=kept,
            )
        for place in hidden:
            x_min, y_min, x_max, y_max = map(int, place)
            for layer in (self.ink, self.accent, self.letters):
                layer[y_min:y_max, x_min:x_max] = 0

    def shift(self, down: int) -> None:
        """Move everything down, over room that must be empty."""
        for layer in (self.ink, self.accent, self.rules, self.letters):
            layer[down:] = layer[: self.side - down].copy()
            layer[:down] = 0
        self.lines = [line.moved(down) for line in self.lines]


def around(boxes: Sequence[Box]) -> Box:
    """Return the box around boxes."""
    x_min, y_min, x_max, y_max = zip(*boxes, strict=True)
    return min(x_min), min(y_min), max(x_max), max(y_max)


def meet(box: Box, other: Box) -> bool:
    """Tell whether two boxes share any room."""
    wide = min(box[2], other[2]) > max(box[0], other[0])
    return wide and min(box[3], other[3]) > max(box[1], other[1])


def impress(image: Pixels, coverage: Pixels, colour: Colour) -> Pixels:
    """Draw a colour through a coverage `(H, W)` over a whole RGB picture."""
    weight = cv2.cvtColor(coverage, cv2.COLOR_GRAY2RGB)
    tones: Array = np.arange(256)[:, None] * np.array(colour) / 255
    inked = cv2.LUT(weight, tones.round().astype(np.uint8)[:, None])
    return as_pixels(cv2.add(cv2.multiply(image, cv2.bitwise_not(weight), scale=1 / 255), inked))
