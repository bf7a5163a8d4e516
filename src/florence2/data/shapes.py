"""Shapes that tools draw, as polygons `(P, 2)` in pixels of the picture."""

import base64
import binascii
import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from florence2.data.files import number
from florence2.data.masks import Mask, mask_outlines
from florence2.errors import DataError
from florence2.geometry import Array

ROUND_POINTS = 64
"""Corners of the polygon that stands for an ellipse: its area is 0.2 % less."""


def points_of(given: Any, least: int = 3) -> Array:
    """Read a list of points `[[x, y], ...]`, or `[{"x": x, "y": y}, ...]`.

    >>> points_of([[0, 0], [4, 0], ["4", 3]]).tolist()
    [[0.0, 0.0], [4.0, 0.0], [4.0, 3.0]]
    """
    if not isinstance(given, list) or len(given) < least:
        raise DataError(f"points are {given!r}; give {least} at least")
    points = [list(each.values()) if isinstance(each, dict) else each for each in given]
    if not all(isinstance(each, list | tuple) and len(each) == 2 for each in points):
        raise DataError(f"points are {given!r}; give each as x, y")
    return pairs_of([value for each in points for value in each])


def pairs_of(values: Iterable[Any]) -> Array:
    """Read x, y, x, y, ...

    >>> pairs_of("0 0 4 0 4 3".split()).tolist()
    [[0.0, 0.0], [4.0, 0.0], [4.0, 3.0]]
    """
    numbers = [number(value, "a coordinate") for value in values]
    if len(numbers) % 2:
        raise DataError(f"{len(numbers)} numbers are no pairs of x, y")
    return np.array(numbers, dtype=np.float64).reshape(-1, 2)


def turned_box(box: Sequence[float], degrees: float, pivot: Sequence[float] | None = None) -> Array:
    """Return the corners `(4, 2)` of a box that is turned clockwise on the screen.

    Args:
        box: `x_min, y_min, x_max, y_max`.
        degrees: of the turn.
        pivot: the point that it is turned about, its centre if none is given.

    >>> turned_box((0, 0, 4, 2), 90, (0, 0)).round(6).tolist()
    [[0.0, 0.0], [0.0, 4.0], [-2.0, 4.0], [-2.0, 0.0]]
    """
    x_min, y_min, x_max, y_max = box
    corners = np.array([[x_min, y_min], [x_max, y_min], [x_max, y_max], [x_min, y_max]], float)
    about = corners.mean(axis=0) if pivot is None else np.asarray(pivot, dtype=np.float64)
    found: Array = turned(corners - about, degrees) + about
    return found


def turned(points: Array, degrees: float) -> Array:
    """Turn points `(P, 2)` about 0, 0, clockwise on the screen."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    found: Array = points @ np.array([[cos, sin], [-sin, cos]])
    return found


def ellipse(x: float, y: float, x_radius: float, y_radius: float, degrees: float = 0.0) -> Array:
    """Return an ellipse about x, y, turned clockwise, as a polygon of `ROUND_POINTS` corners.

    >>> ellipse(5, 5, 4, 2)[[0, 16]].round(6).tolist()
    [[9.0, 5.0], [5.0, 7.0]]
    """
    if min(x_radius, y_radius) < 0:
        raise DataError(f"the radii are {x_radius:g} and {y_radius:g}; they start at 0")
    angles = np.linspace(0, 2 * np.pi, ROUND_POINTS, endpoint=False)
    points = np.stack([x_radius * np.cos(angles), y_radius * np.sin(angles)], axis=1)
    found: Array = turned(points, degrees) + np.array([x, y])
    return found


def outlines_at(mask: Mask, left: float = 0, top: float = 0) -> tuple[list[Array], int]:
    """Return the outlines of a mask whose upper left corner is at left, top; and its holes."""
    if not mask.any():
        raise DataError("a mask is empty")
    outlines, num_holes = mask_outlines(mask)
    return [outline + np.array([left, top]) for outline in outlines], num_holes


def picture_mask(encoded: Any) -> Mask:
    """Read a mask that is a picture as text (base64): all that is not 0 belongs to it."""
    try:
        data = base64.b64decode(encoded, validate=False)
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            values = np.asarray(image.convert("L"))
    except (TypeError, ValueError, binascii.Error, OSError, SyntaxError) as error:
        raise DataError(f"a mask is no picture ({error})") from error
    mask: Mask = values > 0
    return mask
