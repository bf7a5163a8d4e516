"""Pages: printed documents, receipts, forms and tables, with every line where its quad says."""

from dataclasses import dataclass

import cv2
import numpy as np

from florence2.errors import ConfigError, DataError
from florence2.geometry import Array, Size, box_to_quad
from florence2_lab.worlds.colours import contrasting_colour
from florence2_lab.worlds.grounds import random_ground, white_page
from florence2_lab.worlds.kit import Font, Kit, Split
from florence2_lab.worlds.layouts import LAYOUTS, Desk
from florence2_lab.worlds.pixels import Pixels, as_pixels
from florence2_lab.worlds.press import Face, Press, capital_height, impress
from florence2_lab.worlds.wear import wear

STREAM = {"train": 4, "val": 5}
CONTRAST_GAP = 115.0  # of lightness between ink and paper, 0-255
WHITE_CHANCE = 0.75
LOW_CHANCE = 0.4  # that what leaves room below starts further down
PALE = 0.25  # what is left of the pattern of a coloured ground
TRIES = 10  # to find a font and a text that go together
MARGIN = 0.045  # of the side, at least
MIN_EM = 6  # pixels; no font can be drawn smaller
DEFAULT_KINDS = (("article", 0.45), ("receipt", 0.2), ("form", 0.15), ("table", 0.2))


@dataclass(frozen=True)
class PageOptions:
    """What a page may hold; one that has no room for as many lines holds fewer."""

    min_lines: int = 4
    max_lines: int = 20
    min_letter: float = 8.0  # height of capital letters of the body, pixels
    max_letter: float = 16.0
    kinds: tuple[tuple[str, float], ...] = DEFAULT_KINDS  # of layouts.LAYOUTS, with weights
    max_rotation: float = 1.0  # degrees; half of the pages are level
    wear: float = 0.2  # chance of each of blur, noise, JPEG artefacts

    def __post_init__(self) -> None:
        if not 1 <= self.min_lines <= self.max_lines:
            raise ConfigError(
                f"lines must be 1 <= min <= max; got min_lines={self.min_lines!r}, "
                f"max_lines={self.max_lines!r}"
            )
        if not 0 < self.min_letter <= self.max_letter:
            raise ConfigError(
                f"letter heights must be 0 < min <= max; got min_letter={self.min_letter!r}, "
                f"max_letter={self.max_letter!r}"
            )
        if not self.kinds or not {kind for kind, _ in self.kinds} <= LAYOUTS.keys():
            raise ConfigError(
                f"kinds of pages must be among {', '.join(LAYOUTS)}; got {self.kinds!r}"
            )


DEFAULT_OPTIONS = PageOptions()
# Cuttings of pages, for pictures of 128 pixels: a few words in letters that can still be read.
CUTTINGS = PageOptions(min_lines=1, max_lines=4, min_letter=10.0, max_letter=22.0)


@dataclass(frozen=True)
class PageLine:
    """One printed line, or one cell of a table."""

    text: str
    quad: Array  # (4, 2) around the ink, clockwise from the top left corner
    word_quads: Array  # (N, 4, 2), one for each of text.split(" ")
    block: int  # the lines of a paragraph, a table, ... share a number


@dataclass(frozen=True)
class Page:
    """A picture of a page and everything that is printed on it."""

    image: Pixels  # (H, W, 3) RGB
    lines: tuple[PageLine, ...]  # in reading order, at least one
    letter_map: Pixels  # (H, W) code point of the letter at a pixel; 0 none, 255 beyond Latin-1
    kind: str
    source: str  # "page/train/0/17"

    @property
    def text(self) -> str:
        """All lines, with line breaks between them."""
        return "\n".join(line.text for line in self.lines)


def page(
    kit: Kit,
    seed: int,
    index: int,
    *,
    side: int = 384,
    split: Split = "train",
    options: PageOptions = DEFAULT_OPTIONS,
) -> Page:
    """Make page number `index` of the endless sequence `seed`.

    Args:
        side: of the square picture, pixels.
        split: "val" uses only font families that "train" never uses.
    """
    rng = np.random.default_rng([seed, index, STREAM[split]])
    kind, press, em = _printed(rng, kit, side, split, options)
    matrix = _turn(rng, side, options.max_rotation)
    image = _coloured(rng, kit, press, matrix)
    image = wear(rng, image, max_blur=em / 36, chance=options.wear)
    lines = tuple(
        PageLine(
            line.text,
            _turned(box_to_quad(line.box), matrix),
            _turned(box_to_quad(line.word_boxes), matrix),
            line.block,
        )
        for line in press.lines
    )
    letters = _turned_layer(press.letters, matrix, cv2.INTER_NEAREST)
    return Page(image, lines, letters, kind, f"page/{split}/{seed}/{index}")


def _printed(
    rng: np.random.Generator, kit: Kit, side: int, split: Split, options: PageOptions
) -> tuple[str, Press, int]:
    """Print a page of some kind; return the kind, the printed press and the size of the body."""
    fonts = kit.fonts_of(split)
    if not fonts:
        raise DataError(f"kit {str(kit.path)!r} has no fonts for split {split!r}")
    bounds = np.cumsum([weight for _, weight in options.kinds])
    for _ in range(TRIES):
        choice = int(np.searchsorted(bounds, rng.random() * bounds[-1], side="right"))
        kind = options.kinds[choice][0]
        font = fonts[int(rng.integers(len(fonts)))]
        other = fonts[int(rng.integers(len(fonts)))] if rng.random() < 0.4 else font
        count = int(rng.integers(options.min_lines, options.max_lines + 1))
        leading = rng.uniform(1.15, 1.6)
        em = _em(rng, kit, font, options, (1 - 2 * MARGIN) * side / (count * leading))
        press = Press(side)
        desk = Desk(
            kit=kit,
            press=press,
            body=Face.of(kit, font, em),
            title=Face.of(kit, other, round(em * rng.uniform(1.1, 1.8))),
            left=rng.uniform(MARGIN, 2 * MARGIN) * side,
            right=(1 - rng.uniform(MARGIN, 2 * MARGIN)) * side,
            top=rng.uniform(MARGIN, 2 * MARGIN) * side,
            bottom=(1 - MARGIN) * side,
            pitch=leading * em,
            lines_left=count,
        )
        LAYOUTS[kind](rng, desk)
        if press.lines:
            free = int(desk.bottom) - press.last_row - 1
            if free > 0 and rng.random() < LOW_CHANCE:
                press.shift(int(rng.integers(free + 1)))
            return kind, press, em
    raise DataError(
        f"no page of {side} pixels could be printed with letters of {options.min_letter:g} pixels; "
        "give a larger side or smaller letters"
    )


def _em(rng: np.random.Generator, kit: Kit, font: Font, options: PageOptions, room: float) -> int:
    """Draw a size whose letters keep to the options, and at most `room` where they can."""
    capital = capital_height(kit, font)
    smallest = max(MIN_EM, int(np.ceil(options.min_letter / capital)))
    largest = min(int(options.max_letter / capital), int(room))
    if largest <= smallest:
        return smallest
    return round(float(np.exp(rng.uniform(np.log(smallest), np.log(largest)))))


def _turn(rng: np.random.Generator, side: int, max_rotation: float) -> Array | None:
    """Return a small turn about the middle of the page, `(2, 3)`, or None for a level page."""
    if rng.random() < 0.5:
        return None
    angle = np.deg2rad(rng.uniform(-max_rotation, max_rotation))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.full(2, side / 2)
    return np.column_stack([turn, middle - turn @ middle])


def _turned(quads: Array, matrix: Array | None) -> Array:
    if matrix is None:
        return quads
    return np.asarray(quads @ matrix[:, :2].T + matrix[:, 2])


def _coloured(rng: np.random.Generator, kit: Kit, press: Press, matrix: Array | None) -> Pixels:
    """Choose a paper and inks, and print the layers."""
    size = press.side, press.side
    image = white_page(rng, size) if rng.random() < WHITE_CHANCE else _paper(rng, kit, size)
    mean = cv2.mean(image)[:3]
    ink = contrasting_colour(rng, mean, CONTRAST_GAP)
    accent = contrasting_colour(rng, mean, CONTRAST_GAP)
    red, green, blue = (np.array(mean) * 0.55 + np.array(ink) * 0.45).astype(int).tolist()
    for layer, colour in (
        (press.rules, (red, green, blue)),
        (press.ink, ink),
        (press.accent, accent),
    ):
        if cv2.countNonZero(layer):
            image = impress(image, _turned_layer(layer, matrix), colour)
    return image


def _turned_layer(layer: Pixels, matrix: Array | None, flags: int = cv2.INTER_LINEAR) -> Pixels:
    if matrix is None:
        return layer
    by_centres = matrix.copy()  # edges of pixels lie half a pixel outside their centres
    by_centres[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    return as_pixels(cv2.warpAffine(layer, by_centres, layer.shape[::-1], flags=flags))


def _paper(rng: np.random.Generator, kit: Kit, size: Size) -> Pixels:
    """Make a coloured ground with little of a pattern."""
    ground = random_ground(rng, kit, size).image
    mean = np.array(cv2.mean(ground)[:3])
    table = mean + (np.arange(256.0)[:, None] - mean) * PALE
    return as_pixels(cv2.LUT(ground, table.astype(np.uint8)[:, None]))
