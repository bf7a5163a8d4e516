"""Menus and drop-downs of screens: closed ones, and the list of an open one over all else."""

import cv2
import numpy as np

from florence2.geometry import PixelBox
from florence2_lab.worlds.windows import Window
from florence2_lab.worlds.writing import random_word

MAX_ENTRIES = 8
CHOICES = ("Language", "Country", "Size", "Colour", "Sort by", "Month", "Currency", "Font", "Theme")
COMMANDS = (
    *("New", "Open", "Save", "Save as", "Print", "Close", "Undo", "Redo", "Cut", "Copy", "Paste"),
    *("Select all", "Find", "Replace", "Zoom in", "Zoom out", "Full screen", "Settings", "Exit"),
    *("Rename", "Move to", "Share", "Check spelling", "About", "Word count", "Import", "Export"),
)


def drop_down(window: Window, middle: int) -> None:
    """Draw a label and a closed drop-down beside it, with what is chosen."""
    unit, theme = window.unit, window.theme
    label = window.pick(CHOICES)
    if not window.write(label, window.left, middle, window.right, window.dark):
        return
    left = window.left + int(window.face.width(window.face.shown(label))) + unit
    right = left + int(window.rng.uniform(8, 14) * unit)
    value = random_word(window.rng, window.kit)
    written = right <= window.right and window.write(
        value, left + unit // 2, middle, right - 2 * unit, window.dark
    )
    if not written:
        return
    box = left, middle - unit, right, middle + unit
    window.fill(box, theme.field, theme.edge)
    x, low = right - unit, middle + unit // 4
    arrow = [(x - unit // 3, middle - unit // 4), (x, low), (x + unit // 3, middle - unit // 4)]
    cv2.polylines(window.image, [np.array(arrow, np.int32)], False, theme.ink, 1, cv2.LINE_AA)
    window.add("drop-down", box, value)
    window.openers.append(("option", box))


def open_list(window: Window, label: str, opener: PixelBox) -> None:
    """Open a list below a box, over all that is there; not where there is no room for it."""
    unit, theme, face = window.unit, window.theme, window.face
    texts = [text for text in _entries(window, label) if face.can_print(face.shown(text))]
    height = 2 * unit
    top = opener[3]
    texts = texts[: (window.press.side - top - 2) // height]
    if len(texts) < 2:
        return
    widest = max(face.width(face.shown(text)) for text in texts)
    width = max(opener[2] - opener[0] if label == "option" else 0, int(widest) + 2 * unit)
    left = min(opener[0], window.press.side - width)
    if left < 0:
        return
    window.cover((left, top, left + width, top + len(texts) * height + 2), theme.field, theme.edge)
    pointed_at = int(window.rng.integers(len(texts)))
    for number, text in enumerate(texts):
        y = top + 1 + number * height
        box = left + 1, y, left + width - 1, y + height
        if number == pointed_at:
            window.fill(box, theme.accent, None)
        light = number == pointed_at or window.dark
        if window.write(text, left + unit, y + unit, left + width, light):
            window.add(label, box, text)


def _entries(window: Window, label: str) -> list[str]:
    """Texts of a list, none twice."""
    count = int(window.rng.integers(3, MAX_ENTRIES + 1))
    if label == "menu item":
        return [COMMANDS[number] for number in window.rng.permutation(len(COMMANDS))[:count]]
    words = (random_word(window.rng, window.kit) for _ in range(count))
    return list(dict.fromkeys(words))
