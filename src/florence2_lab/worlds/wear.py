"""Wear: the blur, noise and compression that real pictures carry. Geometry never changes."""

from functools import lru_cache

import cv2
import numpy as np

from florence2_lab.worlds.pixels import Pixels, as_pixels

NOISE_SIDE = 384
NOISE_DEVIATION = 32.0


def blur(image: Pixels, sigma: float) -> Pixels:
    """Blur with a Gaussian."""
    return as_pixels(cv2.GaussianBlur(image, (0, 0), sigma))


def add_noise(rng: np.random.Generator, image: Pixels, strength: float) -> Pixels:
    """Add noise of about `strength` levels (standard deviation) to every channel."""
    height, width = image.shape[:2]
    y, x = rng.integers(NOISE_SIDE, size=2)
    # Drawing a number per pixel took longer than all the rest of a picture: cut from a fixed field.
    field = _noise_field(-(-(max(height, width) + NOISE_SIDE) // NOISE_SIDE))
    field = field[y : y + height, x : x + width]
    gain = strength / NOISE_DEVIATION
    return as_pixels(cv2.addWeighted(image, 1.0, field, gain, -128.0 * gain))


@lru_cache(maxsize=4)
def _noise_field(tiles: int) -> Pixels:
    noise = np.random.default_rng(0).normal(128, NOISE_DEVIATION, (NOISE_SIDE, NOISE_SIDE, 3))
    return np.tile(as_pixels(np.clip(noise.round(), 0, 255)), (tiles, tiles, 1))


def compress(image: Pixels, quality: int) -> Pixels:
    """Compress as JPEG and back."""
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = as_pixels(cv2.imdecode(data, cv2.IMREAD_COLOR))  # type: ignore[arg-type]
    return np.ascontiguousarray(decoded[..., ::-1])


def wear(rng: np.random.Generator, image: Pixels, max_blur: float, chance: float) -> Pixels:
    """Apply each kind of wear with `chance`; `max_blur` is in pixels."""
    if rng.random() < chance:
        image = blur(image, rng.uniform(0.2, max(0.25, max_blur)))
    if rng.random() < chance:
        image = add_noise(rng, image, rng.uniform(2, 12))
    if rng.random() < chance:
        image = compress(image, int(rng.integers(30, 90)))
    return image
