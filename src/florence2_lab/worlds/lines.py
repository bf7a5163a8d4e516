"""Printed lines: one line of text in a random font, with the ink box of every character."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from florence2.errors import ConfigError, DataError
from florence2.geometry import Array, Size
from florence2.processing.images import MIN_SIDE
from florence2_lab.worlds.clutter import ink
from florence2_lab.worlds.colours import contrasting_colour
from florence2_lab.worlds.grounds import random_ground, white_page
from florence2_lab.worlds.kit import Kit, Split
from florence2_lab.worlds.lettering import EM, SetLine, Typeface
from florence2_lab.worlds.pixels import Pixels, as_pixels
from florence2_lab.worlds.wear import wear
from florence2_lab.worlds.writing import WRITERS, write

STREAM = {"train": 2, "val": 3}
CONTRAST_GAP = 80.0  # of lightness between ink and ground, 0-255
PAGE_CHANCE = 0.4  # of nearly black ink on nearly white ground, as most print is
PAGE_CONTRAST_GAP = 150.0
TRIES = 20  # to write a text that some font can print
FIT = 0.94  # a placed line takes at most this share of the side
DEFAULT_KINDS = (
    ("word", 0.45),
    ("phrase", 0.2),
    ("number", 0.1),
    ("price", 0.08),
    ("date", 0.07),
    ("time", 0.03),
    ("code", 0.07),
)


@dataclass(frozen=True)
class LineOptions:
    """What a line may look like."""

    max_chars: int = 24
    kinds: tuple[tuple[str, float], ...] = DEFAULT_KINDS  # of writing.WRITERS, with weights
    min_em: float = 14.0  # font size, pixels
    max_em: float = 48.0
    max_rotation: float = 2.0  # degrees; half of the lines are level
    wear: float = 0.2  # chance of each of blur, noise, JPEG artefacts
    side: int | None = None  # place the line in a square picture of this side; None: tight crop

    def __post_init__(self) -> None:
        if not 0 < self.min_em <= self.max_em:
            raise ConfigError(
                f"font sizes must be 0 < min_em <= max_em; got {self.min_em!r}, {self.max_em!r}"
            )
        if self.max_chars < 1:
            raise ConfigError(f"max_chars must be at least 1; got {self.max_chars!r}")
        if not self.kinds or not {kind for kind, _ in self.kinds} <= WRITERS.keys():
            raise ConfigError(
                f"kinds of text must be among {', '.join(WRITERS)}; got {self.kinds!r}"
            )


DEFAULT_OPTIONS = LineOptions()


@dataclass(frozen=True)
class TextLine:
    """A picture of one printed line and everything that is known about it."""

    image: Pixels  # (H, W, 3) RGB
    text: str
    char_boxes: Array  # (N, 4) xyxy, pixels; a blank has its advance
    quad: Array  # (4, 2) around the ink, clockwise from the top left corner
    font: str  # family
    source: str  # "line/train/0/17"

    @property
    def char_extents(self) -> Array:
        """Left and right end of every character, `(N, 2)`, pixels."""
        return self.char_boxes[:, [0, 2]]


def line(
    kit: Kit,
    seed: int,
    index: int,
    *,
    split: Split = "train",
    options: LineOptions = DEFAULT_OPTIONS,
) -> TextLine:
    """Make line number `index` of the endless sequence `seed`.

    Args:
        split: "val" uses only font families that "train" never uses.
    """
    rng = np.random.default_rng([seed, index, STREAM[split]])
    text, family, typeface = _text_and_typeface(rng, kit, split, options)
    spacing = rng.uniform(-0.01, 0.12) * EM if rng.random() < 0.3 else 0.0
    set_line = typeface.set_line(text, spacing)
    em = np.exp(rng.uniform(np.log(options.min_em), np.log(options.max_em)))
    angle = 0.0 if rng.random() < 0.5 else rng.uniform(-1, 1) * options.max_rotation
    scale = em / EM
    if options.side is not None:
        reach = _reach(set_line, angle)
        scale = min(scale, FIT * options.side / max(reach))
    coverage, matrix = _scale_and_turn(set_line, scale, angle)
    on_page = rng.random() < PAGE_CHANCE
    size, shift = _layout(rng, coverage, scale * EM, options.side)
    matrix[:, 2] += shift
    image = white_page(rng, size) if on_page else _quiet_ground(rng, kit, size)
    x, y = shift
    area = image[y : y + coverage.shape[0], x : x + coverage.shape[1]]
    gap = PAGE_CONTRAST_GAP if on_page else CONTRAST_GAP
    ink(area, coverage, contrasting_colour(rng, cv2.mean(area)[:3], gap))
    image = wear(rng, image, max_blur=scale * EM / 36, chance=options.wear)
    height, width = set_line.mask.shape
    quad = _map_corners(matrix, np.array([[0.0, 0.0, width, height]]))[0]
    corners = _map_corners(matrix, set_line.char_boxes)
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    return TextLine(image, text, boxes, quad, family, f"line/{split}/{seed}/{index}")


def _text_and_typeface(
    rng: np.random.Generator, kit: Kit, split: Split, options: LineOptions
) -> tuple[str, str, Typeface]:
    """Write a text and choose a font that has all its characters."""
    fonts = kit.fonts_of(split)
    if not fonts:
        raise DataError(f"kit {str(kit.path)!r} has no fonts for split {split!r}")
    for _ in range(TRIES):
        written = write(rng, kit, options.kinds, options.max_chars)
        start = int(rng.integers(len(fonts)))
        for font in fonts[start:] + fonts[:start]:
            text = written.upper() if font.capitals_only else written
            if not set(font.missing) & set(text):
                return text, font.family, kit.typeface(font)
    raise DataError(
        f"no font of kit {str(kit.path)!r} has all characters of {written!r}; build the kit again "
        "with fonts that have them"
    )


def _turn(scale: float, angle: float) -> Array:
    radians = np.deg2rad(angle)
    cosine, sine = scale * np.cos(radians), scale * np.sin(radians)
    return np.array([[cosine, -sine], [sine, cosine]])


def _reach(set_line: SetLine, angle: float) -> Array:
    """Return the width and height of a turned line at `EM`."""
    height, width = set_line.mask.shape
    return np.asarray(np.abs(_turn(1.0, angle)) @ (width, height))


def _scale_and_turn(set_line: SetLine, scale: float, angle: float) -> tuple[Pixels, Array]:
    """Return the coverage of the scaled line, and the matrix (2, 3) from set to scaled pixels."""
    height, width = set_line.mask.shape
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(set_line.mask, size, interpolation=cv2.INTER_AREA)
    matrix = np.zeros((2, 3))
    matrix[:, :2] = np.diag([size[0] / width, size[1] / height])
    if angle == 0.0:
        return as_pixels(small), matrix
    turn = _turn(1.0, angle)
    reach = np.abs(turn) @ size
    out = int(np.ceil(reach[0])), int(np.ceil(reach[1]))
    # Turn about the centre; edges of pixels lie half a pixel outside their centres.
    shift = np.array(out) / 2 - turn @ (np.array(size) / 2)
    by_centres = np.column_stack([turn, shift + turn @ (0.5, 0.5) - 0.5])
    turned = cv2.warpAffine(small, by_centres, out, flags=cv2.INTER_LINEAR)
    matrix[:, :2] = turn @ matrix[:, :2]
    matrix[:, 2] = shift
    return as_pixels(turned), matrix


def _layout(
    rng: np.random.Generator, coverage: Pixels, em: float, side: int | None
) -> tuple[Size, NDArray[np.int64]]:
    """Return the size of the picture, and where the top left corner of the line goes."""
    height, width = coverage.shape
    if side is not None:
        slack = np.maximum((side - width, side - height), 0)
        return (side, side), rng.integers(0, slack + 1)
    left, right = (int(pad * em) for pad in rng.uniform(0.08, 0.7, 2))
    above, below = (int(pad * em) for pad in rng.uniform(0.06, 0.45, 2))
    size = max(left + width + right, MIN_SIDE), max(above + height + below, MIN_SIDE)
    return size, np.array([left, above])


def _quiet_ground(rng: np.random.Generator, kit: Kit, size: Size) -> Pixels:
    """Make a ground whose pattern is pulled towards its mean, often entirely."""
    ground = random_ground(rng, kit, size).image
    mean = np.array(cv2.mean(ground)[:3])
    table = mean + (np.arange(256.0)[:, None] - mean) * rng.uniform(0.0, 0.45)
    return as_pixels(cv2.LUT(ground, table.astype(np.uint8)[:, None]))


def _map_corners(matrix: Array, boxes: Array) -> Array:
    """Map boxes `(N, 4)` to their corners `(N, 4, 2)`, clockwise from the top left."""
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    return np.asarray(corners @ matrix[:, :2].T + matrix[:, 2])
