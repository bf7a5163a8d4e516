"""Cuttings of real manuals: a few words of a page, with what its PDF's text layer says.

Pages are drawn by Poppler (Debian package `poppler-utils`). A cutting is a square about a dozen
characters wide. Words that its border would cut, and lines beyond those wanted, are painted over
with the colour of the paper; cuttings with other ink (rules, figures, letters that the text layer
does not know) are left out. The boxes of the text layer are as high as the font's tallest letters
could be, so boxes here are drawn around the ink.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from florence2.data.records import Record
from florence2.errors import DataError
from florence2.evaluation.text import normalized
from florence2.geometry import Array, Box, box_to_quad
from florence2.results import Quads
from florence2.tasks import Task
from florence2_lab.worlds.manuals import POINTS_PER_INCH, manual_pages, page_count
from florence2_lab.worlds.press import around

DOTS_PER_INCH = 220
MIN_CHARS, MAX_CHARS = 10, 14  # of the widest line
MAX_LINES = 4
FONT_HEIGHTS = 6.0, 24.0  # points, of boxes of the text layer
INK_CONTRAST = 60  # from the paper, 0-255
MAX_STRAY_INK = 0.0005  # share of a cutting
CUTTINGS_PER_PAGE = 4
TRIES_PER_PAGE = 60
MAX_EMPTY_PAGES = 200  # in a row, before giving up

Grey = NDArray[np.uint8]


@dataclass(frozen=True)
class _Word:
    text: str
    box: Box  # pixels of the page
    line: int  # its number on the page


def manual_records(paths: Sequence[Path], count: int, seed: int) -> list[Record]:
    """Cut `count` pieces out of PDFs (files, or folders that hold some), the same for a seed."""
    files = sorted(file for path in paths for file in _pdfs(path))
    if not files:
        given = ", ".join(repr(str(path)) for path in paths)
        raise DataError(f"there is no PDF in {given}; give PDF files, or folders that hold some")
    sizes = [page_count(file) for file in files]
    rng = np.random.default_rng(seed)
    # Otherwise the thickest book would be nearly all of the test.
    weights = np.sqrt(sizes) / np.sqrt(sizes).sum()
    records: list[Record] = []
    empty = 0
    while len(records) < count:
        book = int(rng.choice(len(files), p=weights))
        number = int(rng.integers(1, sizes[book] + 1))
        found = list(_cuttings(rng, files[book], number))
        empty = 0 if found else empty + 1
        if empty == MAX_EMPTY_PAGES:
            raise DataError(
                f"{empty} pages in a row gave no cutting; are these scans, without a text layer?"
            )
        records += found
    return records[:count]


def _pdfs(path: Path) -> list[Path]:
    if not path.exists():
        raise DataError(f"manual {str(path)!r} does not exist; check the path")
    return [path] if path.is_file() else sorted(path.rglob("*.pdf"))


def _cuttings(rng: np.random.Generator, file: Path, number: int) -> Iterator[Record]:
    """Yield a few cuttings of one page, none where it has hardly any text."""
    for page in manual_pages(file, DOTS_PER_INCH, first=number, last=number):
        words = [
            _Word(normalized(word.text), word.box, row)
            for row, line in enumerate(page.lines)
            for word in line.words
        ]
        if len(words) < 2 * CUTTINGS_PER_PAGE:
            return
        grey = np.array(Image.fromarray(page.image).convert("L"))
        made = 0
        for _ in range(TRIES_PER_PAGE):
            window = _window(rng, words)
            record = window and _cut(grey, words, *window, source=f"{file.name}, page {number}")
            if record is not None:
                yield record
                made += 1
            if made == CUTTINGS_PER_PAGE:
                return


def _window(rng: np.random.Generator, words: Sequence[_Word]) -> tuple[Box, int] | None:
    """Draw a square that holds some words of one line, and how many lines it may show."""
    first = int(rng.integers(len(words)))
    longest = int(rng.integers(MIN_CHARS, MAX_CHARS + 1))
    chosen = [words[first]]
    for word in words[first + 1 :]:
        if word.line != chosen[0].line or _length([*chosen, word]) > longest:
            break
        chosen.append(word)
    x_min, y_min, x_max, y_max = around([word.box for word in chosen])
    height = y_max - y_min
    low, high = (points * DOTS_PER_INCH / POINTS_PER_INCH for points in FONT_HEIGHTS)
    if not low <= height <= high or not MIN_CHARS <= _length(chosen) <= MAX_CHARS:
        return None
    margin = height * float(rng.uniform(0.2, 0.6))
    side = x_max - x_min + 2 * margin
    lines = int(rng.integers(1, MAX_LINES + 1))
    free = max(0.0, side - 2 * margin - 1.25 * lines * height)
    top = y_min - margin - float(rng.uniform(0, free))
    left = x_min - margin
    return (left, top, left + side, top + side), lines


def _length(words: Sequence[_Word]) -> int:
    return sum(len(word.text) + 1 for word in words) - 1


def _cut(
    page: Grey, words: Sequence[_Word], window: Box, max_lines: int, source: str
) -> Record | None:
    """Cut a piece out of a page; None where it shows more or less than the text layer says."""
    left, top, right, bottom = (round(value) for value in window)
    if left < 0 or top < 0 or bottom > page.shape[0] or right > page.shape[1]:
        return None
    piece = page[top:bottom, left:right].copy()
    placed = [
        _Word(word.text, _moved(word.box, -left, -top), word.line)
        for word in words
        if _meets(word.box, window)
    ]
    whole = [word for word in placed if _inside(word.box, piece.shape)]
    lines = sorted({word.line for word in whole}, key=lambda line: _top(whole, line))[:max_lines]
    kept = [word for word in whole if word.line in lines]
    if not all(_readable(word.text) for word in kept) or not _wordy([word.text for word in kept]):
        return None
    paper = int(np.median(piece))
    piece = _without(
        piece, [word.box for word in placed if word not in kept], [word.box for word in kept], paper
    )
    ink = np.abs(piece.astype(np.int16) - paper) > INK_CONTRAST
    quads: list[Array] = []
    texts: list[str] = []
    seen = 0
    for line in lines:
        boxes = [_ink_box(ink, word.box) for word in kept if word.line == line]
        found = [box for box in boxes if box is not None]
        if len(found) < len(boxes):
            return None
        _, y_min, _, y_max = around(found)
        quads += [box_to_quad((box[0], y_min, box[2], y_max)) for box in found]
        texts += [word.text for word in kept if word.line == line]
        seen += sum(int(np.count_nonzero(_area(ink, box))) for box in found)
    if not texts or np.count_nonzero(ink) - seen > MAX_STRAY_INK * ink.size:
        return None
    height, width = piece.shape
    result = Quads(np.array(quads), tuple(texts), image_size=(width, height))
    image = np.repeat(piece[..., None], 3, axis=2)
    return Record(image, Task.OCR_WITH_REGION, "", None, result, source)


def _readable(text: str) -> bool:
    """Tell whether a word is of letters and signs that fonts of Western languages have."""
    return bool(text) and all(33 <= ord(char) < 127 or 161 <= ord(char) < 256 for char in text)


def _wordy(texts: Sequence[str]) -> bool:
    """Tell whether most words have a letter or digit: rows of dots are no test of reading."""
    return 2 * sum(any(map(str.isalnum, text)) for text in texts) > len(texts)


def _without(piece: Grey, hidden: Sequence[Box], kept: Sequence[Box], paper: int) -> Grey:
    """Paint words over, with what sticks out of their boxes, but nothing of those kept."""
    painted = piece.copy()
    for box in hidden:
        _area(painted, _grown(box, 0.3))[:] = paper
    for box in kept:
        _area(painted, _grown(box, 0.05))[:] = _area(piece, _grown(box, 0.05))
    return painted


def _grown(box: Box, share: float) -> Box:
    """Return a box that is larger on every side by a share of its height."""
    margin = share * (box[3] - box[1])
    return box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin


def _top(words: Sequence[_Word], line: int) -> float:
    return min(word.box[1] for word in words if word.line == line)


def _ink_box(ink: NDArray[np.bool_], box: Box) -> Box | None:
    """Return the box around the ink of a word, which may stick out of the box a little."""
    grown = _grown(box, 0.05)
    area = _area(ink, grown)
    if not area.any():
        return None
    rows, columns = np.flatnonzero(area.any(axis=1)), np.flatnonzero(area.any(axis=0))
    x, y = max(0, round(grown[0])), max(0, round(grown[1]))
    return (
        float(x + columns[0]),
        float(y + rows[0]),
        float(x + columns[-1] + 1),
        float(y + rows[-1] + 1),
    )


def _area(image: NDArray[np.generic], box: Box) -> NDArray[np.generic]:
    x_min, y_min, x_max, y_max = (max(0, round(value)) for value in box)
    return image[y_min:y_max, x_min:x_max]


def _meets(box: Box, window: Box) -> bool:
    return box[0] < window[2] and box[2] > window[0] and box[1] < window[3] and box[3] > window[1]


def _inside(box: Box, shape: tuple[int, ...]) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= shape[1] and box[3] <= shape[0]


def _moved(box: Box, right: float, down: float) -> Box:
    return box[0] + right, box[1] + down, box[2] + right, box[3] + down
