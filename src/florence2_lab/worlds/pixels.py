"""The one picture type of the makers: uint8 arrays."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from florence2.geometry import Box

Pixels = NDArray[np.uint8]  # (H, W) grey or coverage, (H, W, 3) RGB, (H, W, 4) premultiplied RGBA


def as_pixels(array: ArrayLike) -> Pixels:
    """State that an array is uint8, which OpenCV's annotations leave open."""
    return np.asarray(array, dtype=np.uint8)


def paint_over(image: Pixels, box: Box) -> None:
    """Fill a box with the colour that most of its border has."""
    height, width = image.shape[:2]
    x_min, y_min = max(0, int(box[0])), max(0, int(box[1]))
    x_max, y_max = min(width, int(np.ceil(box[2]))), min(height, int(np.ceil(box[3])))
    if x_min < x_max and y_min < y_max:
        area = image[y_min:y_max, x_min:x_max]
        border = np.concatenate([area[0], area[-1], area[:, 0], area[:, -1]])
        area[:] = np.median(border, axis=0)
