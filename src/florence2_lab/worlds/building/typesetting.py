"""From a document to a `Page`: Chromium lays it out, and says where every letter came to stand.

Two pictures are taken of a layout: one as it looks, one of its letters alone, black on white. The
second one tells where in the room of a letter its ink is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from florence2.geometry import Array, Box, box_to_quad, enclosing_box
from florence2_lab.worlds.building.chromium import Chromium
from florence2_lab.worlds.pages import Page, PageLine
from florence2_lab.worlds.pixels import Pixels

SIDE = 800  # of the window, pixels of CSS
SCALE = 2.0  # pixels of the picture to one of CSS
MIN_INK = 40  # of 255; less is the haze of anti-aliasing
REACH = 0.12  # of the height of a line: ink may stick so far out of a word's room
MAX_OVERLAP = 0.1  # of two words, as a share of the smaller one

# Words get elements of their own, which never break; those that the window cuts are hidden.
_MEASURE = r"""
(async () => {
  await Promise.all([...document.fonts].map(font => font.load()));
  await Promise.all([...document.images].map(image => image.decode()));
  const texts = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) texts.push(walker.currentNode);
  for (const text of texts) {
    const pieces = text.data.split(/([^\s\u00a0]+)/).map((piece, number) => {
      if (number % 2 == 0) return piece;
      const word = document.createElement("span");
      word.className = "a-word";
      word.style.whiteSpace = "nowrap";
      word.textContent = piece;
      return word;
    });
    text.replaceWith(...pieces);
  }
  const pen = document.createElement("canvas").getContext("2d"), metrics = new Map();
  const measured = style => {
    if (!metrics.has(style)) {
      pen.font = style;
      const x = pen.measureText("x"), capital = pen.measureText("H");
      metrics.set(style, [x.fontBoundingBoxAscent, x.actualBoundingBoxAscent,
                          capital.actualBoundingBoxAscent]);
    }
    return metrics.get(style);
  };
  const numbers = new Map();
  const number = element => {
    if (!numbers.has(element)) numbers.set(element, numbers.size);
    return numbers.get(element);
  };
  const found = [], range = document.createRange();
  for (const word of document.querySelectorAll(".a-word")) {
    const text = word.firstChild, letters = [];
    for (let place = 0; place < text.length; place++) {
      range.setStart(text, place);
      range.setEnd(text, place + 1);
      const {left, top, right, bottom} = range.getClientRects()[0];
      letters.push([left, top, right, bottom]);
    }
    range.selectNodeContents(text);
    const {left, top, right, bottom} = range.getBoundingClientRect();
    if (left < 0 || top < 0 || right > innerWidth || bottom > innerHeight) {
      word.style.visibility = "hidden";
      continue;
    }
    let row = word.parentElement;
    while (getComputedStyle(row).display == "inline") row = row.parentElement;
    const block = row.closest("table, ul, pre, .pair, .stack, .row") ?? row;
    const [ascent, x_height, capital] = measured(getComputedStyle(word).font);
    found.push({text: text.data, letters, row: number(row), block: number(block),
                baseline: top + ascent, x_height, capital});
  }
  return found;
})()
"""
_LETTERS_ALONE = """
{
  const style = document.createElement("style");
  style.textContent = `
    * { color: black !important; background: none !important; border-color: transparent !important;
        box-shadow: none !important; text-decoration: none !important }
    html { background: white !important }
    img, .icon { visibility: hidden !important }
    ::marker { color: transparent !important }`;
  document.head.append(style);
}
"""


@dataclass(frozen=True)
class _Word:
    """A word of a document, in pixels of the picture."""

    text: str
    room: Box  # from ascent to descent, of all letters
    letters: Array  # (N, 4) the room of each
    row: int  # number of the element that breaks the lines
    block: int
    baseline: float
    x_height: float
    capital: float


def typeset(chromium: Chromium, html: str, kind: str, source: str) -> tuple[Page, float] | None:
    """Return a page and the middle height of its capital letters, pixels.

    None where it cannot be annotated exactly: without a word, with words over each other, or with
    ink outside of its words.
    """
    chromium.show(html)
    words = [_read(found) for found in chromium.run(_MEASURE)]
    image = chromium.picture()
    chromium.run(_LETTERS_ALONE)
    ink = 255 - chromium.picture().max(axis=2)
    boxes = [_ink_box(ink, _grown(word.room)) for word in words]
    inked = [box for box in boxes if box is not None]
    if not words or len(inked) < len(boxes) or _overlap(inked) or not _cover(inked, ink):
        return None
    letters = np.zeros(ink.shape, np.uint8)
    for word in words:
        _stamp(letters, ink, word)
    page = Page(image, tuple(_lines(words, inked)), letters, kind, source)
    return page, float(np.median([word.capital for word in words]))


def _read(found: dict[str, Any]) -> _Word:
    letters = SCALE * np.array(found["letters"], np.float64)
    x_min, y_min = letters[:, :2].min(axis=0).tolist()
    x_max, y_max = letters[:, 2:].max(axis=0).tolist()
    return _Word(
        found["text"],
        (x_min, y_min, x_max, y_max),
        letters,
        found["row"],
        found["block"],
        SCALE * found["baseline"],
        SCALE * found["x_height"],
        SCALE * found["capital"],
    )


def _grown(room: Box) -> Box:
    reach = REACH * (room[3] - room[1])
    return room[0] - reach, room[1] - reach, room[2] + reach, room[3] + reach


def _ink_box(ink: Pixels, room: Box) -> Box | None:
    """Return the box around the ink in a room, if there is any."""
    left, top = (max(0, int(np.floor(value))) for value in room[:2])
    right, bottom = (int(np.ceil(value)) for value in room[2:])
    area = ink[top:bottom, left:right] >= MIN_INK
    rows, columns = np.flatnonzero(area.any(axis=1)), np.flatnonzero(area.any(axis=0))
    if not len(rows):
        return None
    x_min, y_min = left + columns[0], top + rows[0]
    return float(x_min), float(y_min), float(left + columns[-1] + 1), float(top + rows[-1] + 1)


def _overlap(boxes: Sequence[Box]) -> bool:
    """Tell whether two words lie on each other."""
    if not boxes:
        return False
    corners = np.array(boxes)
    low = np.maximum(corners[:, None, :2], corners[None, :, :2])
    high = np.minimum(corners[:, None, 2:], corners[None, :, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = np.prod(corners[:, 2:] - corners[:, :2], axis=1)
    np.fill_diagonal(common, 0.0)
    return bool((common > MAX_OVERLAP * np.minimum(areas[:, None], areas[None])).any())


def _cover(boxes: Sequence[Box], ink: Pixels) -> bool:
    left = ink >= MIN_INK
    for x_min, y_min, x_max, y_max in boxes:
        left[int(y_min) : int(y_max), int(x_min) : int(x_max)] = False
    return not left.any()


def _stamp(letters: Pixels, ink: Pixels, word: _Word) -> None:
    """Write the letters of a word into a map as `Press` does: down to the baseline at least."""
    for char, room in zip(word.text, word.letters.tolist(), strict=True):
        box = _ink_box(ink, room)
        if box is not None:
            low, high = min(box[1], word.baseline - word.x_height), max(box[3], word.baseline)
            area = letters[max(0, round(low)) : round(high), int(box[0]) : int(box[2])]
            area[:] = min(ord(char), 255)


def _lines(words: Sequence[_Word], boxes: Sequence[Box]) -> list[PageLine]:
    """Join words to lines; a block that goes on in the next column becomes two."""
    groups: list[list[int]] = []
    blocks: list[int] = []
    for number, word in enumerate(words):
        before = words[groups[-1][-1]] if groups else None
        if before is not None and _beside(before, word):
            groups[-1].append(number)
            continue
        goes_on = before is not None and before.block == word.block and not _above(word, before)
        blocks.append(blocks[-1] if goes_on else len(blocks))
        groups.append([number])
    made = []
    for group, block in zip(groups, blocks, strict=True):
        corners = np.array([boxes[number] for number in group])
        around = enclosing_box(corners)
        text = " ".join(words[number].text for number in group)
        made.append(PageLine(text, box_to_quad(around), box_to_quad(corners), block))
    return made


def _beside(word: _Word, other: _Word) -> bool:
    """Tell whether a word goes on in the line of the one before it."""
    common = min(word.room[3], other.room[3]) - max(word.room[1], other.room[1])
    height = min(word.room[3] - word.room[1], other.room[3] - other.room[1])
    return word.row == other.row and common > height / 2 and other.room[0] >= word.room[2] - 1


def _above(word: _Word, other: _Word) -> bool:
    return word.room[3] <= other.room[1]
