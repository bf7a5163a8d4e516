"""Single icons of user interfaces, small as screens show them, with a little of what is around."""

from dataclasses import dataclass

import cv2
import numpy as np

from florence2.errors import DataError
from florence2.geometry import Box
from florence2_lab.worlds.colours import luminance, random_colour
from florence2_lab.worlds.kit import Kit, Split
from florence2_lab.worlds.pixels import Pixels, as_pixels
from florence2_lab.worlds.wear import compress

STREAM = {"train": 81, "val": 82}
MIN_CONTRAST = 60.0  # levels of 256 between an icon and what is behind it


@dataclass(frozen=True)
class IconCrop:
    """An icon, what it shows, and where in the picture it is."""

    image: Pixels  # (H, W, 3) RGB
    box_xyxy: Box  # around its ink, pixels
    shows: str  # "shopping cart"
    source: str  # "icon/train/0/17"


def icon_crop(kit: Kit, seed: int, index: int, *, split: Split = "train") -> IconCrop:
    """Make icon number `index` of the endless sequence `seed`.

    Args:
        split: "val" uses only a set of icons that "train" never uses.
    """
    icons = kit.icons_of(split)
    if not icons:
        raise DataError(f"kit {str(kit.path)!r} has no icons for split {split!r}")
    rng = np.random.default_rng([seed, index, STREAM[split]])
    icon = icons[int(rng.integers(len(icons)))]
    ink = _sized(kit.coverage(icon), float(rng.uniform(11, 36)))
    height, width = ink.shape
    side = max(height, width)
    margins = (rng.uniform(0.15, 0.7, 4) * side).astype(int)
    top, bottom, left, right = (max(1, int(each)) for each in margins)
    behind, colour = _colours(rng)
    image = np.full((height + top + bottom, width + left + right, 3), behind, np.float32)
    if rng.random() < 0.35:
        _button(rng, image, (left, top, left + width, top + height), behind)
    if rng.random() < 0.3:
        _neighbour(rng, image, colour)
    region = image[top : top + height, left : left + width]
    cover = (ink.astype(np.float32) / 255.0)[..., None] * rng.uniform(0.75, 1.0)
    region += (np.array(colour, np.float32) - region) * cover
    pixels = as_pixels(np.clip(image, 0, 255).astype(np.uint8))
    if rng.random() < 0.2:
        pixels = compress(pixels, int(rng.integers(50, 95)))
    box = float(left), float(top), float(left + width), float(top + height)
    return IconCrop(pixels, box, icon.name, f"icon/{split}/{seed}/{index}")


def _sized(coverage: Pixels, side: float) -> Pixels:
    scale = side / max(coverage.shape)
    size = tuple(max(3, round(length * scale)) for length in coverage.shape[::-1])
    return as_pixels(cv2.resize(coverage, size, interpolation=cv2.INTER_AREA))


def _colours(rng: np.random.Generator) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """What is behind, and an icon that can be seen on it: grey more often than not."""
    while True:
        pair = []
        for _ in range(2):
            grey = int(rng.integers(256))
            pair.append((grey, grey, grey) if rng.random() < 0.6 else random_colour(rng))
        if abs(luminance(pair[0]) - luminance(pair[1])) >= MIN_CONTRAST:
            return pair[0], pair[1]


def _button(
    rng: np.random.Generator,
    image: np.ndarray,
    box: tuple[int, int, int, int],
    behind: tuple[int, int, int],
) -> None:
    """The edge of a button around the icon."""
    gap = int(rng.integers(2, 8))
    edge = tuple(float(np.clip(each + rng.choice((-50, 50)), 0, 255)) for each in behind)
    left, top, right, bottom = box[0] - gap, box[1] - gap, box[2] + gap, box[3] + gap
    if rng.random() < 0.3:
        centre = (left + right) // 2, (top + bottom) // 2
        cv2.circle(image, centre, max(right - left, bottom - top) // 2 + 1, edge, 1, cv2.LINE_AA)
    else:
        cv2.rectangle(image, (left, top), (right, bottom), edge, 1)


def _neighbour(rng: np.random.Generator, image: np.ndarray, colour: tuple[int, int, int]) -> None:
    """A part of what stands beside it, cut off by the border: letters, a rule."""
    height, width = image.shape[:2]
    size = int(rng.integers(1, 4))
    paint = tuple(map(float, colour))
    if rng.random() < 0.5:
        cv2.rectangle(image, (width - size, height // 4), (width, 3 * height // 4), paint, -1)
    else:
        row = int(rng.choice((0, height - 1)))
        cv2.line(image, (0, row), (width, row), paint, 1)
