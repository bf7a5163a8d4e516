"""Clutter: shapes and stray text that belong to no category, so that models learn to pass over."""

from dataclasses import dataclass

import cv2
import numpy as np

from florence2.geometry import Colour, PixelBox
from florence2_lab.worlds.colours import contrasting_colour, random_colour
from florence2_lab.worlds.kit import Kit, Split
from florence2_lab.worlds.pixels import Pixels, as_pixels
from florence2_lab.worlds.writing import stray_text

MIN_TEXT_HEIGHT = 8  # pixels; smaller stray text is not legible


@dataclass(frozen=True)
class StrayText:
    """A text in the background, and the box around its ink, pixels."""

    text: str  # as printed
    box_xyxy: PixelBox


def add_clutter(
    rng: np.random.Generator, kit: Kit, image: Pixels, split: Split
) -> list[tuple[StrayText, Pixels]]:
    """Draw a few shapes or a line of text onto an RGB picture, in place.

    Returns:
        The legible texts, each with a copy of its pixels, for `still_seen`.
    """
    drawn: list[tuple[StrayText, Pixels]] = []
    for _ in range(int(rng.integers(1, 5))):
        if rng.random() < 0.3 and kit.fonts_of(split):
            text = _add_text(rng, kit, image, split)
            if text is not None:
                drawn.append((text, _crop(image, text.box_xyxy).copy()))
        else:
            _add_shape(rng, image)
    return drawn


def still_seen(image: Pixels, drawn: list[tuple[StrayText, Pixels]]) -> tuple[StrayText, ...]:
    """Return the texts on which nothing has been drawn since."""
    return tuple(
        text for text, pixels in drawn if np.array_equal(_crop(image, text.box_xyxy), pixels)
    )


def _crop(image: Pixels, box: PixelBox) -> Pixels:
    return image[box[1] : box[3], box[0] : box[2]]


def _add_shape(rng: np.random.Generator, image: Pixels) -> None:
    height, width = image.shape[:2]
    centre = rng.uniform(0, (width, height))
    reach = rng.uniform(0.03, 0.25) * min(width, height)
    colour = random_colour(rng)
    thickness = -1 if rng.random() < 0.5 else int(rng.integers(1, 4))
    kind = int(rng.integers(4))
    if kind == 0:
        axes = rng.uniform(0.3, 1.0, 2) * reach
        angle = float(rng.uniform(0, 180))
        whole = centre.astype(int).tolist(), axes.astype(int).tolist()
        cv2.ellipse(image, *whole, angle, 0, 360, colour, thickness, cv2.LINE_AA)
        return
    corners = (4, 3, 2)[kind - 1]
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    if corners == 4:
        tilt = rng.uniform(0.3, 1.2)
        angles = rng.uniform(0, np.pi) + np.array([-tilt, tilt, np.pi - tilt, np.pi + tilt])
    points = centre + reach * np.column_stack([np.cos(angles), np.sin(angles)])
    outline = points.astype(np.int32).reshape(1, -1, 2)
    if corners == 2 or thickness > 0:
        cv2.polylines(image, outline, True, colour, abs(thickness), cv2.LINE_AA)
    else:
        cv2.fillPoly(image, outline, colour, cv2.LINE_AA)


def _add_text(rng: np.random.Generator, kit: Kit, image: Pixels, split: Split) -> StrayText | None:
    """Draw a text and return it, or None when it is too small to read or lacks a letter."""
    height, width = image.shape[:2]
    fonts = kit.fonts_of(split)
    font = fonts[int(rng.integers(len(fonts)))]
    typeface = kit.typeface(font)
    text = stray_text(rng, kit)
    mask = typeface.set_line(text).mask
    scale = min(rng.uniform(0.05, 0.14) * height / mask.shape[0], 0.9 * width / mask.shape[1])
    size = max(1, int(mask.shape[1] * scale)), max(1, int(mask.shape[0] * scale))
    small = as_pixels(cv2.resize(mask, size, interpolation=cv2.INTER_AREA))
    x, y = int(rng.integers(width - size[0] + 1)), int(rng.integers(height - size[1] + 1))
    area = image[y : y + size[1], x : x + size[0]]
    colour = contrasting_colour(rng, tuple(area.mean(axis=(0, 1))), gap=50)
    ink(area, small, colour)
    if size[1] < MIN_TEXT_HEIGHT or set(font.missing) & set(text):
        return None
    shown = text.upper() if font.capitals_only else text
    return StrayText(shown, (x, y, x + size[0], y + size[1]))


def ink(area: Pixels, coverage: Pixels, colour: Colour) -> None:
    """Draw a colour through a coverage mask `(H, W)` onto RGB pixels of the same size, in place."""
    weight = coverage[..., None].astype(np.int32)
    area[:] = area + (np.array(colour, np.int32) - area) * weight // 255
