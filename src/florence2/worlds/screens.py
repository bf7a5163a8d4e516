"""Screens: windows with bars, fields, buttons, boxes to tick and icons, each with its place."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from florence2.data.records import Box
from florence2.errors import DataError
from florence2.worlds.colours import Colour, luminance, random_colour
from florence2.worlds.kit import Kit, Split
from florence2.worlds.pixels import Pixels, as_pixels
from florence2.worlds.press import Face, Item, Press, capital_height, impress
from florence2.worlds.wear import wear
from florence2.worlds.writing import WRITERS, random_word

STREAM = {"train": 6, "val": 7}
MIN_LETTER, MAX_LETTER = 8.0, 14.0  # height of capital letters, pixels
MIN_SIDE = 160  # pixels; nothing fits into a smaller screen
WEAR = 0.08  # screens are mostly clean
ACCENTS = ((25, 95, 220), (20, 130, 90), (190, 45, 60), (120, 60, 190), (40, 50, 70), (200, 90, 10))
BUTTONS = (
    *("OK", "Cancel", "Save", "Apply", "Next", "Back", "Sign in", "Search", "Delete", "Send"),
    *("Close", "Submit", "Add", "Edit", "Download", "Open", "Print", "Try again", "Continue"),
)
MENUS = ("File", "Edit", "View", "Insert", "Format", "Tools", "Window", "Help", "Home", "About")
FIELDS = ("Name", "Password", "E-mail", "Address", "City", "Phone", "Search", "Title", "Date")
OPTIONS = ("Remember me", "Show details", "Send a copy", "Use defaults", "Dark mode", "Updates")


@dataclass(frozen=True)
class Element:
    """Something to use on a screen."""

    label: str  # "button", "text field", "checkbox", "radio button", "switch", "slider", "icon"
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
class ScreenLine:
    """One text on a screen."""

    text: str
    box: Box  # around its ink, pixels


@dataclass(frozen=True)
class Screen:
    """A picture of a window and everything in it."""

    image: Pixels  # (H, W, 3) RGB
    elements: tuple[Element, ...]  # from the top down
    lines: tuple[ScreenLine, ...]  # in reading order, at least one
    source: str  # "screen/train/0/17"


@dataclass(frozen=True)
class _Theme:
    """The colours of a window."""

    desktop: Colour
    window: Colour
    field: Colour
    edge: Colour
    ink: Colour
    accent: Colour


class _Window:
    """A window being filled from the top down."""

    def __init__(self, rng: np.random.Generator, kit: Kit, side: int, split: Split) -> None:
        fonts = kit.fonts_of(split)
        if not fonts:
            raise DataError(f"kit {str(kit.path)!r} has no fonts for split {split!r}")
        font = fonts[int(rng.integers(len(fonts)))]
        letter = rng.uniform(MIN_LETTER, MAX_LETTER)
        self.rng, self.kit = rng, kit
        self.icons = kit.icons_of(split)
        self.theme = _theme(rng)
        self.face = Face.of(kit, font, max(8, round(letter / capital_height(kit, font))))
        self.press = Press(side)
        self.image = np.full((side, side, 3), self.theme.desktop, np.uint8)
        self.elements: list[Element] = []
        self.unit = round(1.1 * letter)  # spaces and sizes follow the letters
        margin = int(rng.uniform(0.0, 0.08) * side)
        self.outer = margin, margin, side - margin, side - margin
        self.left, self.right = margin + self.unit, side - margin - self.unit
        self.top = margin  # of the next row
        self.bottom = side - margin - self.unit

    @property
    def row_height(self) -> int:
        return int(2.4 * self.unit)

    def fill(self, box: tuple[int, int, int, int], colour: Colour, edge: Colour | None) -> None:
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

    def add(self, label: str, box: tuple[int, int, int, int], text: str = "") -> None:
        x_min, y_min, x_max, y_max = map(float, box)
        shown = self.face.shown(text)
        self.elements.append(Element(label, (x_min, y_min, x_max, y_max), shown))

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
        box = float(x), float(y), float(x + size[0]), float(y + size[1])
        self.elements.append(Element("icon", box, shows=icon.name))
        return True

    def pick(self, words: tuple[str, ...]) -> str:
        return words[int(self.rng.integers(len(words)))]


def _theme(rng: np.random.Generator) -> _Theme:
    accent = ACCENTS[int(rng.integers(len(ACCENTS)))]
    if rng.random() < 0.3:  # dark
        base = int(rng.integers(20, 55))
        window, field = (base, base, base + 4), (base + 16, base + 16, base + 22)
        return _Theme(random_colour(rng), window, field, (110, 110, 116), (235, 235, 240), accent)
    base = int(rng.integers(232, 256))
    edge = int(rng.integers(140, 200))
    ink = int(rng.integers(0, 60))
    return _Theme(
        random_colour(rng),
        (base, base, base),
        (255, 255, 255),
        (edge, edge, edge),
        (ink, ink, ink),
        accent,
    )


def _title_bar(window: _Window) -> None:
    """Draw the frame of the window, and a bar with a title and icons."""
    theme, unit = window.theme, window.unit
    window.fill(window.outer, theme.window, theme.edge)
    left, top, right, _ = window.outer
    height = window.row_height
    dark_bar = window.rng.random() < 0.6
    window.fill((left, top, right, top + height), theme.accent if dark_bar else theme.field, None)
    light = dark_bar or luminance(theme.window) < 128
    colour = (255, 255, 255) if light else theme.ink
    middle = top + height // 2
    window.icon(right - 2 * unit - unit // 2, middle, colour)
    words = " ".join(
        random_word(window.rng, window.kit) for _ in range(int(window.rng.integers(1, 4)))
    )
    title = words[:1].upper() + words[1:]
    window.write(title, left + unit, middle, right - 4 * unit, light)
    window.top = top + height + unit // 2


def _bar(window: _Window, middle: int) -> None:
    """Print menus, or draw a row of icons."""
    x = window.left
    icons = bool(window.icons) and window.rng.random() < 0.6
    for _ in range(int(window.rng.integers(2, 7))):
        if icons:
            if x + 2 * window.unit > window.right or not window.icon(x, middle, window.theme.ink):
                return
            x += int(2.6 * window.unit)
        else:
            text = window.pick(MENUS)
            if not window.write(text, x, middle, window.right, _is_dark(window)):
                return
            x += int(window.face.width(window.face.shown(text))) + 2 * window.unit


def _is_dark(window: _Window) -> bool:
    return luminance(window.theme.window) < 128


def _buttons(window: _Window, middle: int) -> None:
    """Draw one to three buttons side by side."""
    x = window.left
    unit, theme = window.unit, window.theme
    for number in range(int(window.rng.integers(1, 4))):
        text = window.pick(BUTTONS)
        width = int(window.face.width(window.face.shown(text))) + 2 * unit
        box = x, middle - unit, x + width, middle + unit
        main = number == 0 and window.rng.random() < 0.7
        light = main or _is_dark(window)
        if not window.write(text, x + unit, middle, window.right - unit, light):
            return
        window.fill(box, theme.accent if main else theme.field, None if main else theme.edge)
        window.add("button", box, text)
        x += width + unit


def _text_field(window: _Window, middle: int) -> None:
    """Draw a label and a field beside it, mostly filled in."""
    label = window.pick(FIELDS)
    dark = _is_dark(window)
    if not window.write(label, window.left, middle, window.right, dark):
        return
    unit = window.unit
    left = window.left + int(window.face.width(window.face.shown(label))) + unit
    if window.right - left < 5 * unit:
        return
    box = left, middle - unit, window.right, middle + unit
    window.fill(box, window.theme.field, window.theme.edge)
    kind = ("word", "number", "date", "code")[int(window.rng.integers(4))]
    value = WRITERS[kind](window.rng, window.kit) if window.rng.random() < 0.75 else ""
    if value and not window.write(value, left + unit // 2, middle, window.right - 2, dark):
        value = ""
    window.add("text field", box, value)


def _option(window: _Window, middle: int) -> None:
    """Draw something to tick, choose or switch, and what it stands for."""
    unit, theme = window.unit, window.theme
    x, chosen = window.left, window.rng.random() < 0.5
    label = ("checkbox", "radio button", "switch")[int(window.rng.integers(3))]
    width = int(2.4 * unit) if label == "switch" else int(1.4 * unit)
    half = int(0.7 * unit)
    box = x, middle - half, x + width, middle - half + int(1.4 * unit)
    text = window.pick(OPTIONS)
    if not window.write(text, x + width + unit, middle, window.right, _is_dark(window)):
        return
    centre = (box[0] + box[2]) // 2, (box[1] + box[3]) // 2
    radius = (box[3] - box[1]) // 2 - 1
    back = theme.accent if chosen else theme.field
    if label == "checkbox":
        window.fill(box, back, theme.edge)
        if chosen:
            tick = [(x + 3, centre[1]), (centre[0] - 1, box[3] - 4), (box[2] - 3, box[1] + 3)]
            lines = [np.array(tick, np.int32)]
            cv2.polylines(window.image, lines, False, (255, 255, 255), 2, cv2.LINE_AA)
    elif label == "radio button":
        cv2.circle(window.image, centre, radius, theme.field, -1)
        cv2.circle(window.image, centre, radius, theme.edge, 1)
        if chosen:
            cv2.circle(window.image, centre, max(2, radius // 2), theme.accent, -1)
    else:
        back = theme.accent if chosen else theme.edge
        ends = (box[0] + radius + 1, box[2] - radius - 2)
        for end in ends:
            cv2.circle(window.image, (end, centre[1]), radius, back, -1)
        window.fill((ends[0], centre[1] - radius, ends[1], centre[1] + radius + 1), back, None)
        cv2.circle(window.image, (ends[chosen], centre[1]), radius - 2, (255, 255, 255), -1)
    window.add(label, box, text)


def _slider(window: _Window, middle: int) -> None:
    """Draw a line with a knob."""
    unit = window.unit
    right = window.left + int(window.rng.uniform(0.4, 1.0) * (window.right - window.left))
    knob = int(window.rng.integers(window.left + unit, max(window.left + unit + 1, right - unit)))
    window.fill((window.left, middle - 1, right, middle + 2), window.theme.edge, None)
    window.fill((window.left, middle - 1, knob, middle + 2), window.theme.accent, None)
    cv2.circle(window.image, (knob, middle), unit // 2, window.theme.accent, -1)
    window.add("slider", (window.left, middle - unit // 2, right, middle + unit // 2 + 1))


def _entry(window: _Window, middle: int) -> None:
    """Print a phrase, mostly after an icon, as lists of files or messages have it."""
    x = window.left
    if window.rng.random() < 0.7 and window.icon(x, middle, window.theme.ink):
        x += int(2.4 * window.unit)
    text = WRITERS["phrase"](window.rng, window.kit)
    window.write(text, x, middle, window.right, _is_dark(window))


ROWS: Mapping[Callable[[_Window, int], None], float] = {
    _buttons: 0.22,
    _text_field: 0.22,
    _option: 0.22,
    _slider: 0.07,
    _entry: 0.27,
}


def screen(kit: Kit, seed: int, index: int, *, side: int = 384, split: Split = "train") -> Screen:
    """Make screen number `index` of the endless sequence `seed`.

    Args:
        side: of the square picture, pixels.
        split: "val" uses only fonts and icons that "train" never uses.
    """
    if side < MIN_SIDE:
        raise DataError(f"screens need a side of at least {MIN_SIDE} pixels; got {side!r}")
    rng = np.random.default_rng([seed, index, STREAM[split]])
    window = _filled(rng, kit, side, split)
    while not window.press.lines:  # its font lacked a letter of every text, or there was no room
        window = _filled(rng, kit, side, split)
    theme = window.theme
    image = impress(window.image, window.press.ink, theme.ink)
    image = impress(image, window.press.accent, (250, 250, 250))
    image = wear(rng, image, max_blur=0.6, chance=WEAR)
    lines = tuple(ScreenLine(line.text, line.box) for line in window.press.lines)
    return Screen(image, tuple(window.elements), lines, f"screen/{split}/{seed}/{index}")


def _filled(rng: np.random.Generator, kit: Kit, side: int, split: Split) -> _Window:
    """Draw a window with as many rows as it has room for."""
    window = _Window(rng, kit, side, split)
    _title_bar(window)
    if window.rng.random() < 0.6:
        _bar(window, window.top + window.row_height // 2)
        window.top += window.row_height
    bounds = np.cumsum(list(ROWS.values()))
    makers = list(ROWS)
    while window.top + window.row_height < window.bottom:
        choice = int(np.searchsorted(bounds, window.rng.random() * bounds[-1], side="right"))
        makers[choice](window, window.top + window.row_height // 2)
        window.top += window.row_height + int(window.rng.uniform(0.0, 1.2) * window.unit)
    return window
