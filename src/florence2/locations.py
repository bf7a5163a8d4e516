"""Location tokens, the box quantizer: where pixels become bins and bins become pixels.

Florence-2 writes a coordinate as one of 1,000 tokens, `<loc_0>` to `<loc_999>`, on each axis.
Encoding floors to the bin, decoding returns the centre of the bin (arXiv:2311.06242, and the
reference processor), so `encode(decode(bin)) == bin` for every bin and every image size.
"""

from operator import index

import numpy as np
from numpy.typing import ArrayLike, NDArray

from florence2.errors import DataError
from florence2.geometry import Array, Size

NUM_BINS = 1000


def check_image_size(image_size: Size) -> tuple[int, int]:
    """Return `(width, height)` as plain integers, refusing anything else.

    >>> check_image_size((640, 480))
    (640, 480)
    """
    try:
        width, height = (index(side) for side in image_size)
    except (TypeError, ValueError):
        width = height = 0
    if min(width, height) < 1:
        raise DataError(
            f"image size {image_size!r} is not (width, height) in whole pixels; give two integers "
            "of at least 1"
        )
    return width, height


def encode_points(points: ArrayLike, image_size: Size) -> NDArray[np.int64]:
    """Quantise pixel points to bins.

    Args:
        points: float `(..., 2)`, pixels, `(x, y)`, origin at the top left corner.
        image_size: `(width, height)` in pixels, of the image the points lie on.

    Returns:
        int64 `(..., 2)`, bins in `[0, 999]`. Points outside of the image are clamped.

    >>> encode_points([[0.0, 479.9], [640.0, 240.0]], image_size=(640, 480))
    array([[  0, 999],
           [999, 500]])
    """
    # Multiplying first is exact for whole pixels. Dividing by width / 1000 puts 1 of 6,700 of them
    # into the bin below (all pixels of all widths up to 4,000, measured).
    bins = np.floor(_pairs(points, "points") * NUM_BINS / check_image_size(image_size))
    return np.clip(bins, 0, NUM_BINS - 1).astype(np.int64)


def decode_points(bins: ArrayLike, image_size: Size) -> Array:
    """Return the pixel centres of bins.

    Args:
        bins: int `(..., 2)`, bins of x and y.
        image_size: `(width, height)` in pixels, of the image the points are wanted for.

    Returns:
        float64 `(..., 2)`, pixels, never rounded: whole pixels would change the bin of most
        coordinates when they are encoded again.

    >>> decode_points([[52, 332], [932, 774]], image_size=(640, 480))
    array([[ 33.6 , 159.6 ],
           [596.8 , 371.76]])
    """
    return (_pairs(bins, "bins") + 0.5) * check_image_size(image_size) / NUM_BINS


def encode_boxes(boxes_xyxy: ArrayLike, image_size: Size) -> NDArray[np.int64]:
    """Quantise pixel boxes `(..., 4)` to bins `(..., 4)`; see `encode_points`.

    >>> encode_boxes([0, 0, 640, 480], image_size=(640, 480))
    array([  0,   0, 999, 999])
    """
    corners = _corners(boxes_xyxy, "boxes")
    return encode_points(corners, image_size).reshape(*corners.shape[:-2], 4)


def decode_boxes(boxes_bins: ArrayLike, image_size: Size) -> Array:
    """Return the pixel boxes `(..., 4)` of boxes in bins `(..., 4)`; see `decode_points`.

    >>> decode_boxes([52, 332, 932, 774], image_size=(640, 480))
    array([ 33.6 , 159.6 , 596.8 , 371.76])
    """
    corners = _corners(boxes_bins, "boxes")
    return decode_points(corners, image_size).reshape(*corners.shape[:-2], 4)


def location_tokens(bins: ArrayLike) -> str:
    """Write bins as location tokens, in C order.

    >>> location_tokens([[52, 332], [932, 774]])
    '<loc_52><loc_332><loc_932><loc_774>'
    """
    flat = np.asarray(bins).ravel().tolist()
    if wrong := [x for x in flat if not isinstance(x, int) or not 0 <= x < NUM_BINS]:
        raise DataError(
            f"bin {wrong[0]!r} has no location token; bins run from 0 to {NUM_BINS - 1}, as "
            "encode_points and encode_boxes return them"
        )
    return "".join(f"<loc_{value}>" for value in flat)


def _pairs(values: ArrayLike, what: str) -> Array:
    """Check for finite numbers, two in the last dimension."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 0 or array.shape[-1] != 2:
        raise DataError(f"{what} of shape {array.shape!r} are not pairs; give shape (..., 2)")
    if not np.isfinite(array).all():
        raise DataError(f"{what} hold a value that is not finite; give plain numbers only")
    return array


def _corners(boxes: ArrayLike, what: str) -> Array:
    """View boxes `(..., 4)` as corners `(..., 2, 2)`."""
    array = np.asarray(boxes, dtype=np.float64)
    if array.ndim == 0 or array.shape[-1] != 4:
        raise DataError(f"{what} of shape {array.shape!r} are not x, y, x, y; give shape (..., 4)")
    return array.reshape(*array.shape[:-1], 2, 2)
