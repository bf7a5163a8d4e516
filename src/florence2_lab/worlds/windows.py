"""A window on a screen: what is drawn and written in it, and what of it can be used."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from florence2.errors import DataError
from florence2.geometry import Box, Colour, PixelBox
from florence2_lab.worlds.colours import luminance, random_colour
from florence2_lab.worlds.kit import Kit, Split
from florence2_lab.worlds.pixels import as_pixels
from florence2_lab.worlds.press import Face, Item, Press, capital_height, impress, meet

MIN_LETTER, MAX_LETTER = 8.0, 14.0  # height of capital letters, pixels
ACCENTS = ((25, 95, 220), (20, 130, 90), (190, 45, 60), (120, 60, 190), (40, 50, 70), (200, 90, 10))
MIN_SEEN = 0.4  # of an element that something covers, or it is not to be found


@dataclass(frozen=True)
class Element:
    """Something to use on a screen."""

    label: str  # "button", "text field", "checkbox", "radio button", "switch", "slider", "icon",
    # "drop-down", and of open ones "menu item" and "option"
    box_xyxy: Box  # pixels
    text: str = ""  # what is written on it or next to it
    shows: str = ""  # what an icon shows: "shopping cart"

    @property
    def description(self) -> str:
        """Say what it is: 'a button "Save"', "a shopping cart icon"."""
        name = f"{self.shows} {self.label}" if self.shows else self.label
        article = "an" if name[0] in "aeiou" else "a"
        return f'{article} {name} "{self.text}"' if self.text else f"{article} {name}"


@dataclass(frozen=True)
class Theme:
    """The colours of a window."""

    desktop: Colour
    window: Colour
    field: Colour
    edge: Colour
    ink: Colour
    accent: Colour


class Window:
    """A window being filled from the top down."""

    def __init__(self, rng: np.random.Generator, kit: Kit, side: int, split: Split) -> None:
        fonts = kit.fonts_of(split)
        if not fonts:
            raise DataError(f"kit {str(kit.path)!r} has no fonts for split {split!r}")
        font = fonts[int(rng.integers(len(fonts)))]
        letter = rng.uniform(MIN_LETTER, MAX_LETTER)
        self.rng, self.kit = rng, kit
        self.icons = kit.icons_of(split)
        self.theme = new_theme(rng)
        self.face = Face.of(kit, font, max(8, round(letter / capital_height(kit, font))))
        self.press = Press(side)
        self.image = np.full((side, side, 3), self.theme.desktop, np.uint8)
        self.elements: list[Element] = []
        self._said_by: list[int | None] = []  # the printed line that is an element's text
        self.openers: list[tuple[str, PixelBox]] = []  # what opens, as what, below which box
        self.unit = round(1.1 * letter)  # spaces and sizes follow the letters
        margin = int(rng.uniform(0.0, 0.08) * side)
        self.outer = margin, margin, side - margin, side - margin
        self.left, self.right = margin + self.unit, side - margin - self.unit
        self.top = margin  # of the next row
        self.bottom = side - margin - self.unit

    @property
    def row_height(self) -> int:
        return int(2.4 * self.unit)

    def fill(self, box: PixelBox, colour: Colour, edge: Colour | None) -> None:
        """Paint a box of whole pixels, maybe with an edge of another colour."""
        corner = box[2] - 1, box[3] - 1
        cv2.rectangle(self.image, box[:2], corner, colour, -1)
        if edge is not None:
            cv2.rectangle(self.image, box[:2], corner, edge, 1)

    def write(self, text: str, x: float, middle: float, right: float, light: bool = False) -> bool:
        """Print a text with its left end and its middle line; False if it does not fit."""
        text = self.face.shown(text)
        if not self.face.can_print(text) or x + self.face.width(text) > right:
            return False
        capital = self.face.glyph("H").mask.shape[0]
        item = Item(text, self.face, x, accent=light)
        return self.press.print_row([item], round(middle + capital / 2), 0)

    def add(self, label: str, box: PixelBox, text: str = "", shows: str = "") -> None:
        """Note an element; its text, if any, must be the one written last."""
        x_min, y_min, x_max, y_max = map(float, box)
        place = x_min, y_min, x_max, y_max
        self.elements.append(Element(label, place, self.face.shown(text), shows))
        self._said_by.append(len(self.press.lines) - 1 if text else None)

    def cover(self, box: PixelBox, colour: Colour, edge: Colour) -> None:
        """Lay a panel over the window; what it hides is no longer in the records.

        Words that it would cut are hidden whole, as nobody could read them. Elements of which
        enough is to be seen stay, with the box around what is to be seen.
        """
        self.fill(box, colour, edge)
        self.press.clear(box)
        said_by, elements = self._said_by, self.elements
        self._said_by, self.elements = [], []
        for item, line in zip(elements, said_by, strict=True):
            seen = _seen(item.box_xyxy, box)
            if seen is not None:
                text = item.text if line is None else self.press.lines[line].text
                self.elements.append(replace(item, box_xyxy=seen, text=text))
                self._said_by.append(line)

    def icon(self, x: int, middle: int, colour: Colour) -> bool:
        """Draw an icon, as tall as a row allows."""
        if not self.icons:
            return False
        icon = self.icons[int(self.rng.integers(len(self.icons)))]
        mask = self.kit.coverage(icon)
        scale = 1.5 * self.unit / max(mask.shape)
        size = max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale))
        small = as_pixels(cv2.resize(mask, size, interpolation=cv2.INTER_AREA))
        y = middle - size[1] // 2
        area = self.image[y : y + size[1], x : x + size[0]]
        if area.shape[:2] != small.shape:
            return False
        area[:] = impress(area, small, colour)
        self.add("icon", (x, y, x + size[0], y + size[1]), shows=icon.name)
        return True

    @property
    def dark(self) -> bool:
        return luminance(self.theme.window) < 128

    def pick(self, words: tuple[str, ...]) -> str:
        return words[int(self.rng.integers(len(words)))]


def _seen(box: Box, cover: PixelBox) -> Box | None:
    """Return the box around what a panel leaves of a box; None where that is too little."""
    if not meet(box, cover):
        return box
    x_min, y_min, x_max, y_max = box
    wide = min(x_max, cover[2]) - max(x_min, cover[0])
    high = min(y_max, cover[3]) - max(y_min, cover[1])
    if wide * high > (1 - MIN_SEEN) * (x_max - x_min) * (y_max - y_min):
        return None
    if wide == x_max - x_min:  # from side to side
        y_min = cover[3] if cover[1] <= y_min else y_min
        y_max = cover[1] if cover[3] >= y_max else y_max
    elif high == y_max - y_min:
        x_min = cover[2] if cover[0] <= x_min else x_min
        x_max = cover[0] if cover[2] >= x_max else x_max
    return x_min, y_min, x_max, y_max


def new_theme(rng: np.random.Generator) -> Theme:
    accent = ACCENTS[int(rng.integers(len(ACCENTS)))]
    if rng.random() < 0.3:  # dark
        base = int(rng.integers(20, 55))
        window, field = (base, base, base + 4), (base + 16, base + 16, base + 22)
        return Theme(random_colour(rng), window, field, (110, 110, 116), (235, 235, 240), accent)
    base = int(rng.integers(232, 256))
    edge = int(rng.integers(140, 200))
    ink = int(rng.integers(0, 60))
    return Theme(
        random_colour(rng),
        (base, base, base),
        (255, 255, 255),
        (edge, edge, edge),
        (ink, ink, ink),
        accent,
    )
