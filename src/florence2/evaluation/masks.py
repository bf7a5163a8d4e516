"""Outlines against true outlines, pixel by pixel."""

import numpy as np
from numpy.typing import NDArray

from florence2.geometry import rasterize
from florence2.results import Polygons


def mask_of(outlines: Polygons) -> NDArray[np.bool_]:
    """Return the pixels `(H, W)` inside any part of any instance."""
    parts = [part for instance in outlines.polygons for part in instance if len(part) > 2]
    return rasterize(parts, outlines.image_size)


def mask_overlap(found: Polygons, truth: Polygons) -> tuple[int, int]:
    """Count the pixels in both and in either."""
    first, second = mask_of(found), mask_of(truth)
    return int(np.count_nonzero(first & second)), int(np.count_nonzero(first | second))
