"""Cuttings of web pages that a browser laid out, from an archive of baked pages.

Pages are baked once, as a browser is slow (`florence2-lab worlds bake`, `building/baking.py`); what
is cut out of them is a function of the archive, a seed and an index.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from florence2.errors import DataError
from florence2.geometry import Array, Box, bounding_box, box_to_quad, enclosing_box
from florence2_lab.worlds.archive import Archive
from florence2_lab.worlds.kit import Split
from florence2_lab.worlds.pages import DEFAULT_OPTIONS, Page, PageLine, PageOptions
from florence2_lab.worlds.pixels import Pixels, as_pixels, paint_over
from florence2_lab.worlds.wear import wear

STREAM = {"train": 8, "val": 9}
TRIES = 20  # to find a place with a text
MAX_GROWTH = 1.3  # of a cutting; more would show that it was enlarged
MAX_CACHED_PAGES = 4  # about 10 MB each
CUTTINGS_OF_PAGE = 4  # one after another come from one page, as it takes long to decode
AROUND = 0.12  # of its height is painted over around a hidden word, for what underlines it


@dataclass(frozen=True)
class BakedPage:
    """A page of an archive; its picture is read when it is asked for."""

    number: int
    kind: str  # name of its template
    split: Split
    source: str  # "web/train/0/17"
    letter: float  # middle height of its capital letters, pixels
    lines: tuple[PageLine, ...]


class BakedPages(Archive):
    """An open archive of baked pages; it pickles as its path."""

    HOLDS = "file of web pages"
    REMEDY = "bake one with 'florence2-lab worlds bake KIT.zip PAGES.zip'"

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self._decoded: dict[int, Page] = {}

    @cached_property
    def pages(self) -> tuple[BakedPage, ...]:
        return tuple(
            BakedPage(
                number,
                row["kind"],
                row["split"],
                row["source"],
                row["letter"],
                tuple(_line(*line) for line in row["lines"]),
            )
            for number, row in enumerate(self.index["pages"])
        )

    @cached_property
    def _by_split(self) -> dict[str, tuple[BakedPage, ...]]:
        return {
            split: tuple(each for each in self.pages if each.split == split) for split in STREAM
        }

    def pages_of(self, split: Split) -> tuple[BakedPage, ...]:
        """Return the pages of a split."""
        return self._by_split[split]

    def page(self, baked: BakedPage) -> Page:
        """Return a whole page; the last few stay decoded."""
        found = self._decoded.get(baked.number)
        if found is None:
            image, letters = map(self._decode, page_files(baked.number))
            rgb = np.ascontiguousarray(image[..., ::-1])
            first = np.ascontiguousarray(letters[..., 0])
            found = Page(rgb, baked.lines, first, baked.kind, baked.source)
            if len(self._decoded) >= MAX_CACHED_PAGES:
                del self._decoded[next(iter(self._decoded))]
            self._decoded[baked.number] = found
        return found

    def _decode(self, name: str) -> Pixels:
        data = np.frombuffer(self.read(name), np.uint8)
        return as_pixels(cv2.imdecode(data, cv2.IMREAD_COLOR))  # type: ignore[arg-type]


def page_files(number: int) -> tuple[str, str]:
    """Names of the picture and the map of letters of a page."""
    return f"pages/{number}.webp", f"letters/{number}.webp"


def line_row(line: PageLine) -> list[Any]:
    """A line as it stands in the index: its text, its block, the boxes of its words."""
    return [line.text, line.block, bounding_box(line.word_quads).round().astype(int).tolist()]


def _line(text: str, block: int, boxes: Sequence[Sequence[float]]) -> PageLine:
    corners = np.array(boxes, np.float64)
    return PageLine(text, box_to_quad(enclosing_box(corners)), box_to_quad(corners), block)


def web_cutting(
    pages: BakedPages,
    seed: int,
    index: int,
    *,
    side: int = 384,
    split: Split = "train",
    options: PageOptions = DEFAULT_OPTIONS,
) -> Page:
    """Cut piece number `index` of the endless sequence `seed` out of the pages.

    Args:
        side: of the square picture, pixels.
        split: "val" uses only pages in font families that "train" never uses.
        options: how many lines, in letters of which height (smaller where pages would have to
            be enlarged too much), and the wear; the rest is about drawn pages.
    """
    turn = np.random.default_rng([seed, index // CUTTINGS_OF_PAGE, STREAM[split]])
    rng = np.random.default_rng([seed, index, STREAM[split], 1])
    choice = pages.pages_of(split)
    if not choice:
        raise DataError(f"{pages.HOLDS} {str(pages.path)!r} has no pages for split {split!r}")
    for _ in range(TRIES):
        baked = choice[int(turn.integers(len(choice)))]
        low, high = np.log(options.min_letter), np.log(options.max_letter)
        growth = min(float(np.exp(rng.uniform(low, high))) / baked.letter, MAX_GROWTH)
        whole = pages.page(baked)
        window = min(round(side / growth), min(whole.image.shape[:2]))
        count = int(rng.integers(options.min_lines, options.max_lines + 1))
        made = _cut(rng, whole, window, count)
        if made is not None:
            made = replace(_resized(made, side), source=f"{baked.source}/{split}/{seed}/{index}")
            letter = baked.letter * side / window
            image = wear(rng, made.image, max_blur=letter / 25, chance=options.wear)
            return replace(made, image=image)
    raise DataError(
        f"no text of {pages.HOLDS} {str(pages.path)!r} fits into {side!r} pixels; give a larger "
        "side or smaller letters"
    )


def _cut(rng: np.random.Generator, page: Page, window: int, count: int) -> Page | None:
    """Cut a square with up to `count` lines; None where the drawn word is larger."""
    anchor = int(rng.integers(len(page.lines)))
    words = bounding_box(page.lines[anchor].word_quads)
    box = words[int(rng.integers(len(words)))]
    box[1], box[3] = words[:, 1].min(), words[:, 3].max()
    place = []
    for low, high, length in zip(box[:2], box[2:], page.image.shape[1::-1], strict=True):
        first, last = max(0, int(high) - window), min(length - window, int(low))
        if first > last:
            return None
        place.append(int(rng.integers(first, last + 1)))
    corner = np.array(place, np.float64)
    inside = [_words_inside(line, corner, window) for line in page.lines]
    readable = [number for number, kept in enumerate(inside) if kept.any()]
    start = readable.index(anchor) - int(rng.integers(count))
    start = min(max(0, start), max(0, len(readable) - count))
    wanted = set(readable[start : start + count])
    shown = [
        kept if number in wanted else np.zeros_like(kept) for number, kept in enumerate(inside)
    ]
    return _window(page, shown, place, window)


def _words_inside(line: PageLine, corner: Array, window: int) -> NDArray[np.bool_]:
    """Which words a window shows whole; none of a line whose head or foot it cuts."""
    boxes = bounding_box(line.word_quads)
    boxes[:, 1], boxes[:, 3] = boxes[:, 1].min(), boxes[:, 3].max()
    inside = np.hstack([boxes[:, :2] >= corner, boxes[:, 2:] <= corner + window])
    return np.asarray(inside.all(axis=1))


def _window(
    page: Page, shown: Sequence[NDArray[np.bool_]], place: Sequence[int], window: int
) -> Page:
    """A square of a page on which only some words are to be seen, the others painted over."""
    left, top = place
    area = slice(top, top + window), slice(left, left + window)
    image = page.image[area].copy()
    letters = np.zeros_like(page.letter_map[area])
    lines = []
    kept: list[Box] = []
    for line, seen in zip(page.lines, shown, strict=True):
        boxes = bounding_box(line.word_quads) - (left, top, left, top)
        for box in boxes[~seen]:
            paint_over(image, _grown(box))
        if seen.any():
            words = zip(line.text.split(" "), seen, strict=True)
            text = " ".join(word for word, is_seen in words if is_seen)
            lines.append(_line(text, line.block, boxes[seen].tolist()))
            kept += boxes[seen].tolist()
    for x_min, y_min, x_max, y_max in kept:
        word = slice(int(y_min), int(y_max)), slice(int(x_min), int(x_max))
        image[word] = page.image[area][word]  # a hidden neighbour may have reached into it
        letters[word] = page.letter_map[area][word]
    return Page(image, tuple(lines), letters, page.kind, page.source)


def _grown(box: Array) -> Box:
    reach = AROUND * (box[3] - box[1])
    x_min, y_min, x_max, y_max = box.tolist()
    return x_min - reach, y_min - reach, x_max + reach, y_max + reach


def _resized(page: Page, side: int) -> Page:
    growth = side / page.image.shape[0]
    by = cv2.INTER_AREA if growth < 1 else cv2.INTER_CUBIC
    lines = tuple(
        replace(line, quad=line.quad * growth, word_quads=line.word_quads * growth)
        for line in page.lines
    )
    return replace(
        page,
        image=as_pixels(cv2.resize(page.image, (side, side), interpolation=by)),
        letter_map=as_pixels(
            cv2.resize(page.letter_map, (side, side), interpolation=cv2.INTER_NEAREST)
        ),
        lines=lines,
    )
