"""The one picture type of the makers: uint8 arrays."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Pixels = NDArray[np.uint8]  # (H, W) grey or coverage, (H, W, 3) RGB, (H, W, 4) premultiplied RGBA


def as_pixels(array: ArrayLike) -> Pixels:
    """State that an array is uint8, which OpenCV's annotations leave open."""
    return np.asarray(array, dtype=np.uint8)
