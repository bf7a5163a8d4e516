"""Screens: windows with bars, fields, buttons, menus, boxes to tick and icons, each in place."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from florence2.errors import DataError
from florence2.geometry import Box
from florence2_lab.worlds.colours import luminance
from florence2_lab.worlds.kit import Kit, Split
from florence2_lab.worlds.menus import drop_down, open_list
from florence2_lab.worlds.pixels import Pixels
from florence2_lab.worlds.press import impress
from florence2_lab.worlds.wear import wear
from florence2_lab.worlds.windows import Element, Window
from florence2_lab.worlds.writing import WRITERS, random_word

STREAM = {"train": 6, "val": 7}
MIN_SIDE = 160  # pixels; nothing fits into a smaller screen
WEAR = 0.08  # screens are mostly clean
OPEN_CHANCE = 0.4  # that a menu or a drop-down is open, where there is one
BUTTONS = (
    *("OK", "Cancel", "Save", "Apply", "Next", "Back", "Sign in", "Search", "Delete", "Send"),
    *("Close", "Submit", "Add", "Edit", "Download", "Open", "Print", "Try again", "Continue"),
)
MENUS = ("File", "Edit", "View", "Insert", "Format", "Tools", "Window", "Help", "Home", "About")
FIELDS = ("Name", "Password", "E-mail", "Address", "City", "Phone", "Search", "Title", "Date")
OPTIONS = ("Remember me", "Show details", "Send a copy", "Use defaults", "Dark mode", "Updates")


@dataclass(frozen=True)
class ScreenLine:
    """One text on a screen."""

    text: str
    box: Box  # around its ink, pixels


@dataclass(frozen=True)
class Screen:
    """A picture of a window and everything in it."""

    image: Pixels  # (H, W, 3) RGB
    elements: tuple[Element, ...]  # from the top down, those of an open list last
    lines: tuple[ScreenLine, ...]  # in reading order, those of an open list last; at least one
    source: str  # "screen/train/0/17"


def _title_bar(window: Window) -> None:
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


def _bar(window: Window, middle: int) -> None:
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
            if not window.write(text, x, middle, window.right, window.dark):
                return
            width = int(window.face.width(window.face.shown(text)))
            half = window.row_height // 2
            window.openers.append(("menu item", (x, middle - half, x + width, middle + half)))
            x += width + 2 * window.unit


def _buttons(window: Window, middle: int) -> None:
    """Draw one to three buttons side by side."""
    x = window.left
    unit, theme = window.unit, window.theme
    for number in range(int(window.rng.integers(1, 4))):
        text = window.pick(BUTTONS)
        width = int(window.face.width(window.face.shown(text))) + 2 * unit
        box = x, middle - unit, x + width, middle + unit
        main = number == 0 and window.rng.random() < 0.7
        light = main or window.dark
        if not window.write(text, x + unit, middle, window.right - unit, light):
            return
        window.fill(box, theme.accent if main else theme.field, None if main else theme.edge)
        window.add("button", box, text)
        x += width + unit


def _text_field(window: Window, middle: int) -> None:
    """Draw a label and a field beside it, mostly filled in."""
    label = window.pick(FIELDS)
    dark = window.dark
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


def _option(window: Window, middle: int) -> None:
    """Draw something to tick, choose or switch, and what it stands for."""
    unit, theme = window.unit, window.theme
    x, chosen = window.left, window.rng.random() < 0.5
    label = ("checkbox", "radio button", "switch")[int(window.rng.integers(3))]
    width = int(2.4 * unit) if label == "switch" else int(1.4 * unit)
    half = int(0.7 * unit)
    box = x, middle - half, x + width, middle - half + int(1.4 * unit)
    text = window.pick(OPTIONS)
    if not window.write(text, x + width + unit, middle, window.right, window.dark):
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


def _slider(window: Window, middle: int) -> None:
    """Draw a line with a knob."""
    unit = window.unit
    right = window.left + int(window.rng.uniform(0.4, 1.0) * (window.right - window.left))
    knob = int(window.rng.integers(window.left + unit, max(window.left + unit + 1, right - unit)))
    window.fill((window.left, middle - 1, right, middle + 2), window.theme.edge, None)
    window.fill((window.left, middle - 1, knob, middle + 2), window.theme.accent, None)
    cv2.circle(window.image, (knob, middle), unit // 2, window.theme.accent, -1)
    window.add("slider", (window.left, middle - unit // 2, right, middle + unit // 2 + 1))


def _entry(window: Window, middle: int) -> None:
    """Print a phrase, mostly after an icon, as lists of files or messages have it."""
    x = window.left
    if window.rng.random() < 0.7 and window.icon(x, middle, window.theme.ink):
        x += int(2.4 * window.unit)
    text = WRITERS["phrase"](window.rng, window.kit)
    window.write(text, x, middle, window.right, window.dark)


ROWS: Mapping[Callable[[Window, int], None], float] = {
    _buttons: 0.2,
    _text_field: 0.2,
    _option: 0.2,
    _slider: 0.07,
    _entry: 0.23,
    drop_down: 0.1,
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
    lines = tuple(ScreenLine(line.text, line.box) for line in window.press.lines if line.text)
    return Screen(image, tuple(window.elements), lines, f"screen/{split}/{seed}/{index}")


def _filled(rng: np.random.Generator, kit: Kit, side: int, split: Split) -> Window:
    """Draw a window with as many rows as it has room for."""
    window = Window(rng, kit, side, split)
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
    if window.openers and window.rng.random() < OPEN_CHANCE:
        open_list(window, *window.openers[int(window.rng.integers(len(window.openers)))])
    return window
