"""Colours: random ones for pictures, and plain English names for what is seen."""

import colorsys

import cv2
import numpy as np
from numpy.typing import NDArray

from florence2.geometry import Colour
from florence2_lab.worlds.pixels import Pixels, as_pixels

# Upper hue bound (OpenCV hue, 0-180) of each name, walking round the circle.
HUE_NAMES = (
    (8, "red"),
    (17, "orange"),
    (34, "yellow"),
    (84, "green"),
    (128, "blue"),
    (152, "purple"),
    (171, "pink"),
    (180, "red"),
)
DOMINANT_SHARE = 0.6
# Neighbours that two people may call by the same name.
_SIMILAR = (
    *("red orange", "orange yellow", "yellow green", "green blue", "blue purple", "purple pink"),
    *("pink red", "red brown", "orange brown", "yellow brown", "white grey", "grey black"),
    *("brown black", "brown grey", "pink white", "yellow white", "purple red"),
)
SIMILAR_COLOURS = frozenset(frozenset(pair.split()) for pair in _SIMILAR)


def name_colour(rgb: NDArray[np.uint8]) -> str | None:
    """Name the colour of most of the pixels `(N, 3)`, or return None when none dominates.

    >>> name_colour(np.array([[200, 20, 20], [180, 30, 10], [0, 0, 255]], np.uint8))
    'red'
    """
    if not len(rgb):
        return None
    hue, saturation, value = np.moveaxis(cv2.cvtColor(rgb[None], cv2.COLOR_RGB2HSV)[0], 1, 0)
    grey = saturation < 48
    bounds = np.array([bound for bound, _ in HUE_NAMES])
    names = np.array([name for _, name in HUE_NAMES], dtype="U8")
    seen = names[np.searchsorted(bounds, np.minimum(hue, 179), side="right")]
    seen[(seen == "orange") & (value < 150)] = "brown"
    reddish = (hue < 14) | (hue > 165)
    seen[reddish & (saturation < 130) & (value > 170)] = "pink"
    seen[grey] = np.where(value[grey] > 190, "white", "grey")
    seen[value < 60] = "black"
    found, counts = np.unique(seen, return_counts=True)
    best = int(counts.argmax())
    return str(found[best]) if counts[best] >= DOMINANT_SHARE * len(rgb) else None


def clearly_differ(first: str | None, second: str | None) -> bool:
    """Tell whether nobody would take one named colour for the other; None is of any colour.

    >>> clearly_differ("red", "blue"), clearly_differ("red", "pink"), clearly_differ("red", None)
    (True, False, False)
    """
    if first is None or second is None or first == second:
        return False
    return frozenset((first, second)) not in SIMILAR_COLOURS


def random_colour(rng: np.random.Generator) -> Colour:
    """Draw a colour: any hue, mostly of middling saturation, dark to light."""
    hue, saturation, value = rng.random(), rng.beta(1.1, 2.0), rng.beta(2.2, 1.3)
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def luminance(colour: tuple[float, float, float] | NDArray[np.floating]) -> float:
    """Return the perceived lightness of an RGB colour, 0 to 255."""
    return float(0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2])


def contrasting_colour(
    rng: np.random.Generator, ground: tuple[float, float, float], gap: float
) -> Colour:
    """Draw a colour whose lightness differs from the ground's by at least `gap` (0 to 120)."""
    level = luminance(ground)
    for _ in range(8):
        colour = random_colour(rng)
        if abs(luminance(colour) - level) >= gap:
            return colour
    shade = int(rng.integers(0, 30))
    return (shade, shade, shade) if level > 127 else (255 - shade, 255 - shade, 255 - shade)


def recoloured(rng: np.random.Generator, image: Pixels) -> Pixels:
    """Turn the hues of an RGB picture and change how strong they are, from grey to vivid."""
    angle = rng.uniform(0.0, 2.0 * np.pi)
    strength = rng.uniform(0.0, 1.2)
    grey = np.full((3, 3), 1.0 / 3.0)
    # A turn about the grey axis: Rodrigues' formula.
    axis = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3.0)
    turn = np.cos(angle) * (np.eye(3) - grey) + np.sin(angle) * axis
    return as_pixels(cv2.transform(image, grey + strength * turn))
