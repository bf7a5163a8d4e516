"""Layouts of printed pages: what stands where on articles, receipts, forms and tables.

A layout prints rows onto a desk from the top down, in reading order, until the desk has no room
or no lines left. It never looks back, so what is on the press is always a whole page.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from florence2_lab.worlds.kit import Kit
from florence2_lab.worlds.press import Face, Item, Press
from florence2_lab.worlds.writing import WRITERS, random_word

TRIES = 8  # to write a text that fits
CELL_GAP = 1.5  # em between texts of a row, so that they are two lines to any reader
ASCENT = 0.82  # of the em lies above the baseline
LABELS = (
    *("Name", "First name", "Address", "City", "Country", "Phone", "E-mail", "Date", "Status"),
    *("Signature", "Account", "Reference", "Amount", "Department", "Title", "Comments", "Room"),
    *("Invoice no.", "Order no.", "Customer", "Due date", "Tax ID", "Nationality", "Quantity"),
    "Date of birth",
)
VALUE_KINDS = ("word", "number", "date", "code", "price", "time")
THANKS = ("Thank you!", "Thank you for shopping", "Please come again", "Have a nice day", "Goodbye")
TOTALS = ("Total", "TOTAL", "Amount due", "Sum", "To pay")


@dataclass
class Desk:
    """A page being laid out: where the next row goes, and how many lines there may still be."""

    kit: Kit
    press: Press
    body: Face
    title: Face
    left: float
    right: float
    top: float  # of the next row; moves down
    bottom: float
    pitch: float  # from line to line of the body, pixels
    lines_left: int
    block: int = 0

    @property
    def width(self) -> float:
        return self.right - self.left

    def next_block(self, gap: float = 0.0) -> None:
        """Start a block, `gap` lines of the body further down."""
        self.block += 1
        self.top += gap * self.pitch

    def row(self, items: Sequence[Item]) -> bool:
        """Print texts side by side; False, and nothing printed, when the page is full."""
        em = max(item.face.em for item in items)
        height = max(self.pitch, self.pitch * em / self.body.em)
        if len(items) > self.lines_left or self.top + height > self.bottom:
            return False
        if not self.press.print_row(items, round(self.top + ASCENT * em), self.block):
            return False
        self.lines_left -= len(items)
        self.top += height
        return True

    def aligned(self, text: str, face: Face, where: str, accent: bool = False) -> Item:
        """Place a text at the left, the centre or the right of the desk."""
        spare = self.width - face.width(text)
        share = {"left": 0.0, "centre": 0.5, "right": 1.0}[where]
        return Item(text, face, self.left + share * spare, accent=accent)


def _fitting(
    rng: np.random.Generator, desk: Desk, face: Face, kind: str, width: float
) -> str | None:
    """Write a text of a kind that the face can print within a width."""
    for _ in range(TRIES):
        text = face.shown(WRITERS[kind](rng, desk.kit))
        if face.can_print(text) and face.width(text) <= width:
            return text
    return None


def _sentence(rng: np.random.Generator, desk: Desk) -> list[str]:
    """Write the words of a sentence, now and then with a number, a price or a date in it."""
    phrases = desk.kit.phrases
    for _ in range(TRIES):
        text = phrases[int(rng.integers(len(phrases)))]
        if rng.random() < 0.15:
            text += " " + WRITERS[("number", "price", "date")[int(rng.integers(3))]](rng, desk.kit)
        text = desk.body.shown(f"{text[:1].upper()}{text[1:]}{'.....!?;'[int(rng.integers(8))]}")
        if desk.body.can_print(text):
            return text.split()
    return []


def _wrapped(face: Face, words: Sequence[str], widths: Sequence[float]) -> list[list[str]]:
    """Break words into lines; the last width goes on. Words wider than a line are left out."""
    space = face.width(" ")
    lines: list[list[str]] = [[]]
    used = 0.0
    for word in words:
        width = face.width(word)
        room = widths[min(len(lines), len(widths)) - 1]
        if lines[-1] and used + space + width > room:
            lines.append([])
            used = 0.0
            room = widths[min(len(lines), len(widths)) - 1]
        if width <= room:
            used += width + (space if lines[-1] else 0.0)
            lines[-1].append(word)
    return [line for line in lines if line]


def _heading(rng: np.random.Generator, desk: Desk, face: Face, where: str, most: int = 2) -> None:
    words = [face.shown(random_word(rng, desk.kit)) for _ in range(int(rng.integers(1, 6)))]
    words = [word[:1].upper() + word[1:] for word in words if face.can_print(word)]
    accent = rng.random() < 0.4
    for line in _wrapped(face, words, [desk.width])[:most]:
        desk.row([desk.aligned(" ".join(line), face, where, accent)])


def _paragraph(rng: np.random.Generator, desk: Desk, indent: float, justified: bool) -> bool:
    """Print a paragraph; False when the desk is full."""
    words: list[str] = []
    for _ in range(int(rng.integers(1, 6))):
        words += _sentence(rng, desk)
    lines = _wrapped(desk.body, words, [desk.width - indent, desk.width])
    for number, line in enumerate(lines):
        text = " ".join(line)
        start = 0.0 if number else indent
        gap = 0.0
        if justified and number + 1 < len(lines) and len(line) > 1:
            gap = (desk.width - start - desk.body.width(text)) / (len(line) - 1)
            gap = gap if gap < 1.5 * desk.body.em else 0.0
        if not desk.row([Item(text, desk.body, desk.left + start, word_gap=gap)]):
            return False
    return bool(lines)


def _article(rng: np.random.Generator, desk: Desk) -> None:
    """Print a title and paragraphs in one or two columns, maybe with headings and a table."""
    if rng.random() < 0.6:
        _heading(rng, desk, desk.title, "centre" if rng.random() < 0.4 else "left")
        desk.next_block(gap=rng.uniform(0.2, 0.8))
    gutter = rng.uniform(1.6, 2.4) * desk.body.em
    if desk.width < 26 * desk.body.em or desk.lines_left < 6 or rng.random() < 0.4:
        _column(rng, desk)
        return
    width = (desk.width - gutter) / 2
    half = desk.lines_left // 2
    first = replace(desk, right=desk.left + width, lines_left=desk.lines_left - half)
    _column(rng, first)
    second = replace(desk, left=desk.right - width, lines_left=half, block=first.block + 1)
    _column(rng, second)


def _column(rng: np.random.Generator, desk: Desk) -> None:
    indent = desk.body.em * rng.uniform(0.8, 2.0) if rng.random() < 0.4 else 0.0
    between = 0.0 if indent else rng.uniform(0.3, 0.8)
    justified = rng.random() < 0.3
    while _paragraph(rng, desk, indent, justified):
        desk.next_block(gap=between)
        draw = rng.random()
        if draw < 0.12:
            _heading(rng, desk, desk.body, "left", most=1)
            desk.next_block()
        elif draw < 0.2:
            _grid(rng, desk, rows=int(rng.integers(2, 5)))
            desk.next_block(gap=0.5)


def _grid(rng: np.random.Generator, desk: Desk, rows: int) -> None:
    """Print a table: a head and some rows, with a frame, rules or neither."""
    face = desk.body
    most = max(2, min(5, int(desk.width / (6.5 * face.em))))
    count = int(rng.integers(2, most + 1))
    kinds = ["word", *(VALUE_KINDS[i] for i in rng.integers(len(VALUE_KINDS), size=count - 1))]
    flush_right = [kind in ("number", "price") for kind in kinds]
    edges = desk.left + np.arange(count + 1) * desk.width / count
    style = int(rng.integers(3))  # frame, rules, nothing
    pad = CELL_GAP * face.em / 2
    top = desk.top
    tops = [top]
    for row in range(rows + 1):
        items = []
        for column, kind in enumerate(kinds):
            low, high = edges[column] + pad, edges[column + 1] - pad
            text = _fitting(rng, desk, face, kind if row else "word", high - low)
            if text is not None:
                x = high - face.width(text) if flush_right[column] else low
                items.append(Item(text, face, float(x)))
        if not items or not desk.row(items):
            break
        desk.top += 0.15 * desk.pitch
        tops.append(desk.top)
    if len(tops) < 2:
        return
    if style == 0:
        for left, right in pairwise(edges.tolist()):
            for above, below in pairwise(tops):
                desk.press.frame((left, above, right, below))
    elif style == 1:
        for y in (tops[0], tops[1], tops[-1]):
            desk.press.rule(desk.left, y, desk.right)


def _table(rng: np.random.Generator, desk: Desk) -> None:
    """Print tables, each below a heading."""
    while desk.lines_left > 0:
        before = desk.lines_left
        _heading(rng, desk, desk.title, "left", most=1)
        desk.next_block(gap=0.3)
        _grid(rng, desk, rows=int(rng.integers(2, 9)))
        desk.next_block(gap=rng.uniform(0.5, 1.0))
        if desk.lines_left == before:
            return


def _receipt(rng: np.random.Generator, desk: Desk) -> None:
    """Print a shop, what was bought there, and sums that are right."""
    face, kit = desk.body, desk.kit
    width = min(desk.width, rng.uniform(14, 22) * face.em)
    start = desk.left + rng.uniform(0, 1) * (desk.width - width)
    slip = replace(desk, left=start, right=start + width)
    _heading(rng, slip, slip.title, "centre", most=1)
    for kind in ("phrase", "code")[: int(rng.integers(3))]:
        text = _fitting(rng, slip, face, kind, width)
        if text is not None:
            slip.row([slip.aligned(text, face, "centre")])
    date, time = (face.shown(WRITERS[kind](rng, kit)) for kind in ("date", "time"))
    slip.next_block(gap=0.3)
    _pair(slip, date, time)
    slip.next_block(gap=0.3)
    sign = ("$", "€", "£", "", "")[int(rng.integers(5))]
    sign = sign if face.can_print(sign) else ""
    total = 0
    # The sum and the farewell need four lines more.
    for _ in range(max(1, (slip.lines_left - 4) // 2)):
        cents = int(10 ** rng.uniform(1.7, 4.0))
        price = f"{sign}{cents / 100:.2f}"
        name = _fitting(rng, slip, face, "word", width - face.width(price) - CELL_GAP * face.em)
        if name is None or not _pair(slip, name, price):
            break
        total += cents
    if not total:
        return
    slip.press.rule(slip.left, slip.top + 0.1 * slip.pitch, slip.right)
    slip.next_block(gap=0.25)
    word = face.shown(TOTALS[int(rng.integers(len(TOTALS)))])
    _pair(slip, word, f"{sign}{total / 100:.2f}")
    slip.next_block(gap=0.5)
    thanks = face.shown(THANKS[int(rng.integers(len(THANKS)))])
    if face.width(thanks) <= width:
        slip.row([slip.aligned(thanks, face, "centre")])


def _pair(desk: Desk, left: str, right: str) -> bool:
    """Print a text at either end of a row, if they stay well apart."""
    face = desk.body
    if face.width(left) + face.width(right) + CELL_GAP * face.em > desk.width:
        return False
    return desk.row([desk.aligned(left, face, "left"), desk.aligned(right, face, "right")])


def _form(rng: np.random.Generator, desk: Desk) -> None:
    """Print labels with fields, most of them filled in."""
    label_face, value_face = desk.body, desk.body
    if rng.random() < 0.5:
        value_face = Face.of(desk.kit, desk.title.font, desk.body.em)
    _heading(rng, desk, desk.title, "left" if rng.random() < 0.6 else "centre", most=1)
    style = int(rng.integers(3))  # line, frame, nothing
    colon = ":" if rng.random() < 0.7 else ""
    labels = [LABELS[i] for i in rng.permutation(len(LABELS))]
    texts = [label_face.shown(label) + colon for label in labels]
    texts = [text for text in texts if label_face.width(text) < 0.5 * desk.width]
    stop = max((label_face.width(text) for text in texts[: desk.lines_left]), default=0.0)
    field_left = desk.left + stop + CELL_GAP * label_face.em
    for text in texts:
        desk.next_block(gap=0.35)
        items = [Item(text, label_face, desk.left)]
        if rng.random() < 0.85:
            kind = ("phrase", *VALUE_KINDS)[int(rng.integers(len(VALUE_KINDS) + 1))]
            value = _fitting(rng, desk, value_face, kind, desk.right - field_left - 4)
            if value is not None:
                items.append(Item(value, value_face, field_left + 4))
        top = desk.top
        if not desk.row(items):
            return
        if style == 0:
            desk.press.rule(field_left, top + (ASCENT + 0.26) * label_face.em, desk.right)
        elif style == 1:
            low = top - 0.12 * desk.pitch, top + 1.05 * desk.pitch
            desk.press.frame((field_left, low[0], desk.right, low[1]))


Layout = Callable[[np.random.Generator, Desk], None]
LAYOUTS: Mapping[str, Layout] = {
    "article": _article,
    "receipt": _receipt,
    "form": _form,
    "table": _table,
}
