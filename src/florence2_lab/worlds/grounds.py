"""Backgrounds: procedural ones, and tinted textures of the kit, each with a few words for it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from florence2.geometry import Array, Colour, Size
from florence2_lab.worlds.colours import name_colour, random_colour
from florence2_lab.worlds.kit import Kit
from florence2_lab.worlds.pixels import Pixels, as_pixels

NOISE_CELLS = 96


@dataclass(frozen=True)
class Ground:
    """A background picture and how a caption calls it."""

    image: Pixels  # (H, W, 3) RGB
    phrase: str  # "a striped background"


@lru_cache(maxsize=32)
def _coordinates(size: Size) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    x, y = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
    return x, y


def _slanted(rng: np.random.Generator, size: Size) -> tuple[NDArray[np.float32], ...]:
    """Return two perpendicular coordinates at a random angle, upright half of the time."""
    x, y = _coordinates(size)
    angle = rng.choice((0.0, np.pi / 2)) if rng.random() < 0.5 else rng.uniform(0, np.pi)
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return x * cosine + y * sine, y * cosine - x * sine


def _related_colour(rng: np.random.Generator, colour: Colour, spread: float) -> Colour:
    red, green, blue = np.clip(np.add(colour, rng.normal(0, spread, 3)), 0, 255).astype(int)
    return int(red), int(green), int(blue)


def _colour_word(colour: Colour) -> str:
    return name_colour(np.array([colour], np.uint8)) or "plain"


def _coloured(levels: Pixels, palette: Pixels) -> Pixels:
    """Look every level `(H, W)` up in a palette `(256, 3)`."""
    return as_pixels(cv2.LUT(cv2.cvtColor(levels, cv2.COLOR_GRAY2RGB), palette[:, None]))


def _two_tone(pattern: NDArray[np.bool_], first: Colour, second: Colour) -> Pixels:
    palette = np.zeros((256, 3), np.uint8)
    palette[:2] = first, second
    return _coloured(pattern.view(np.uint8), palette)


def _phase(coordinate: NDArray[np.float32], period: float) -> Pixels:
    """Return where in its period each coordinate lies, 0 to 255."""
    return (coordinate * np.float32(256 / period)).astype(np.int32).astype(np.uint8)


def _flat(rng: np.random.Generator, kit: Kit, size: Size) -> Ground:
    colour = random_colour(rng)
    image = np.empty((size[1], size[0], 3), np.uint8)
    image[:] = colour
    return Ground(image, f"a {_colour_word(colour)} background")


def _enlarged(grid: Array, size: Size) -> Pixels:
    small = grid.clip(0, 255).astype(np.uint8)
    return as_pixels(cv2.resize(small, size, interpolation=cv2.INTER_CUBIC))


def _gradient(rng: np.random.Generator, kit: Kit, size: Size) -> Ground:
    start = random_colour(rng)
    corners = [_related_colour(rng, start, 45) for _ in range(4)]
    return Ground(_enlarged(np.reshape(corners, (2, 2, 3)), size), "a smooth background")


def _blobs(rng: np.random.Generator, kit: Kit, size: Size) -> Ground:
    cells = int(rng.integers(3, 9))
    grid = rng.normal(random_colour(rng), rng.uniform(15, 45), (cells, cells, 3))
    return Ground(_enlarged(grid, size), "a blurry background")


def _noise(rng: np.random.Generator, kit: Kit, size: Size) -> Ground:
    field = np.zeros((NOISE_CELLS, NOISE_CELLS), np.float32)
    for cells in (6, 16, 40, NOISE_CELLS):
        octave = rng.standard_normal((cells, cells), np.float32)
        field += cv2.resize(octave, field.shape, interpolation=cv2.INTER_LINEAR)
    grid = random_colour(rng) + rng.uniform(10, 28) * field[..., None].astype(np.float64)
    return Ground(_enlarged(grid, size), "a rough background")


def _stripes(rng: np.random.Generator, kit: Kit, size: Size) -> Ground:
    across, _ = _slanted(rng, size)
    period = rng.uniform(0.05, 0.25) * max(size)
    first = random_colour(rng)
    pattern = _phase(across, period) < rng.uniform(77, 179)
    second = _related_colour(rng, first, 55)
    return Ground(_two_tone(pattern, first, second), "a striped background")


def _checker(rng: np.random.Generator, kit: Kit, size: Size) -> Ground:
    across, along = _slanted(rng, size)
    cell = rng.uniform(0.06, 0.2) * max(size)
    first = random_colour(rng)
    pattern = (_phase(across, 2 * cell) < 128) ^ (_phase(along, 2 * cell) < 128)
    second = _related_colour(rng, first, 55)
    return Ground(_two_tone(pattern, first, second), "a checkered background")


def _dots(rng: np.random.Generator, kit: Kit, size: Size) -> Ground:
    across, along = _slanted(rng, size)
    cell = rng.uniform(0.08, 0.2) * max(size)
    from_centre = _phase(across, cell).astype(np.int32) - 128, _phase(along, cell) - np.int32(128)
    pattern = from_centre[0] ** 2 + from_centre[1] ** 2 < rng.uniform(38, 90) ** 2
    first = random_colour(rng)
    second = _related_colour(rng, first, 55)
    return Ground(_two_tone(pattern, first, second), "a dotted background")


def white_page(rng: np.random.Generator, size: Size) -> Pixels:
    """Make a flat, nearly white page."""
    image = np.empty((size[1], size[0], 3), np.uint8)
    image[:] = rng.integers(222, 256) - rng.integers(0, 10, 3)
    return image


def _paper(rng: np.random.Generator, kit: Kit, size: Size) -> Ground:
    level, warmth = rng.uniform(205, 252), rng.uniform(0, 18)
    shade = rng.normal(0, 8, (3, 3, 1)) + np.array([level, level - warmth / 3, level - warmth])
    image = _enlarged(shade, size)
    grain = np.frombuffer(rng.bytes(size[0] * size[1]), np.uint8).reshape(size[1], size[0], 1)
    grainy = cv2.subtract(image, np.repeat(grain >> 4, 3, axis=2))
    return Ground(as_pixels(grainy), "a sheet of paper")


def _texture(rng: np.random.Generator, kit: Kit, size: Size) -> Ground:
    texture = kit.textures[int(rng.integers(len(kit.textures)))]
    grey = kit.texture(texture)
    side = min(grey.shape)
    width, height = size
    # The widest crop of the wanted shape, or a part of it.
    scale = rng.uniform(0.5, 1.0) * side / max(width, height)
    crop_w, crop_h = max(1, int(width * scale)), max(1, int(height * scale))
    x = int(rng.integers(grey.shape[1] - crop_w + 1))
    y = int(rng.integers(grey.shape[0] - crop_h + 1))
    crop = grey[y : y + crop_h, x : x + crop_w]
    levels = as_pixels(cv2.resize(crop, size, interpolation=cv2.INTER_AREA))
    dark, light = np.array(random_colour(rng)) * 0.4, np.array(random_colour(rng)) * 0.4 + 150
    ramp = np.linspace(dark, light, 256).clip(0, 255).astype(np.uint8)
    return Ground(_coloured(levels, ramp), f"a background of {texture.name}")


Maker = Callable[[np.random.Generator, Kit, Size], Ground]
MAKERS: tuple[tuple[Maker, float], ...] = (
    (_flat, 0.22),
    (_gradient, 0.18),
    (_blobs, 0.12),
    (_noise, 0.1),
    (_stripes, 0.08),
    (_checker, 0.05),
    (_dots, 0.05),
    (_paper, 0.1),
    (_texture, 0.1),
)


def random_ground(rng: np.random.Generator, kit: Kit, size: Size) -> Ground:
    """Draw a background of a random kind; `size` is (width, height)."""
    makers = [(maker, weight) for maker, weight in MAKERS if kit.textures or maker is not _texture]
    bounds = np.cumsum([weight for _, weight in makers])
    choice = int(np.searchsorted(bounds, rng.random() * bounds[-1], side="right"))
    return makers[choice][0](rng, kit, size)
