"""Scenes: a few named sprites on a background, with the exact pixels that each one owns."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from florence2.errors import ConfigError
from florence2.geometry import Box
from florence2_lab.worlds.clutter import StrayText, add_clutter, still_seen
from florence2_lab.worlds.grounds import random_ground
from florence2_lab.worlds.kit import Kit, Split, Sprite
from florence2_lab.worlds.pixels import Pixels, as_pixels
from florence2_lab.worlds.wear import wear

OPAQUE = 128  # an object owns the pixels where its coverage is at least this
MIN_VISIBLE = 0.25  # of an object's pixels; no object may hide another one further
WELL_VISIBLE = 0.7  # what the first tries to place an object leave of the others
MIN_PIXELS = 24  # an object smaller than this cannot be recognised
PLACEMENT_TRIES = 6
REPEAT_CHANCE = 0.35  # that an object is of a category that the scene already has
STREAM = {"train": 0, "val": 1}  # keeps the pictures of the splits apart for the same seed


@dataclass(frozen=True)
class SceneOptions:
    """What a scene may hold; sizes are longer sides relative to the picture's side."""

    min_objects: int = 1
    max_objects: int = 5
    min_size: float = 0.2
    max_size: float = 0.6
    max_rotation: float = 25.0  # degrees
    clutter: float = 0.35  # chance of distractor shapes or stray text
    wear: float = 0.15  # chance of each of blur, noise, JPEG artefacts

    def __post_init__(self) -> None:
        if not 0 <= self.min_objects <= self.max_objects <= 250:
            raise ConfigError(
                f"objects must be 0 <= min <= max <= 250; got min_objects={self.min_objects!r}, "
                f"max_objects={self.max_objects!r}"
            )
        if not 0 < self.min_size <= self.max_size <= 1:
            raise ConfigError(
                f"sizes must be 0 < min <= max <= 1; got min_size={self.min_size!r}, "
                f"max_size={self.max_size!r}"
            )


DEFAULT_OPTIONS = SceneOptions()


@dataclass(frozen=True)
class SceneObject:
    """One visible object; its pixels are where the scene's instance map holds its number."""

    label: str
    class_index: int  # its value in the class map, from 1
    box_xyxy: Box  # tight around the visible pixels
    visible: float  # share of its pixels that are in the picture and not hidden, 0-1
    style: str
    colour: str | None  # named where it tells sprites of this category apart


@dataclass(frozen=True)
class Scene:
    """A picture and everything that is known about it."""

    image: Pixels  # (H, W, 3) RGB
    objects: tuple[SceneObject, ...]  # from the lowest layer to the highest
    instance_map: Pixels  # (H, W), 0 = background, k = objects[k - 1]
    class_map: NDArray[np.int16]  # (H, W), 0 = background, k = kit.categories[k - 1]
    ground: str  # words for the background
    source: str  # "scene/train/0/17"
    texts: tuple[StrayText, ...] = ()  # legible stray texts that nothing covers

    def mask(self, number: int) -> NDArray[np.bool_]:
        """Return the visible pixels of `objects[number]`, bool `(H, W)`."""
        return np.equal(self.instance_map, number + 1)


@dataclass(frozen=True)
class _Patch:
    """A transformed sprite."""

    sprite: Sprite
    rgba: Pixels  # (h, w, 4), premultiplied
    opaque: NDArray[np.bool_]  # (h, w), the pixels that it owns
    pixels: int  # number of these


@dataclass(frozen=True)
class _Layer:
    """A patch with the place of its top left corner, which may lie outside the picture."""

    patch: _Patch
    x: int
    y: int


class _Canvas:
    """Places layers one on top of the other, and knows which pixels each one still owns."""

    def __init__(self, side: int) -> None:
        self.side = side
        self.instances = np.zeros((side, side), np.uint8)  # 0 = background, k = layers[k - 1]
        self.layers: list[_Layer] = []
        self._owned = np.zeros(0, np.int64)  # pixels of each layer that are in sight

    def try_place(self, rng: np.random.Generator, patch: _Patch, min_visible: float) -> bool:
        """Put a patch at a random place, unless too little of it or of another would be seen."""
        height, width = patch.opaque.shape
        overhang = 0.2 if rng.random() < 0.2 else 0.0  # some objects are cut by the border
        x = self._position(rng, width, overhang)
        y = self._position(rng, height, overhang)
        inside = patch.opaque[max(-y, 0) : self.side - y, max(-x, 0) : self.side - x]
        seen = int(np.count_nonzero(inside))
        if seen < max(MIN_PIXELS, min_visible * patch.pixels):
            return False
        area = self.instances[max(y, 0) : y + height, max(x, 0) : x + width]
        hidden = np.bincount(area[inside], minlength=len(self.layers) + 1)[1:]
        left = self._owned - hidden
        for layer, before, after in zip(self.layers, self._owned, left, strict=True):
            if after < before and after < max(MIN_PIXELS, min_visible * layer.patch.pixels):
                return False
        self.layers.append(_Layer(patch, x, y))
        self._owned = np.append(left, seen)
        area[inside] = len(self.layers)
        return True

    def _position(self, rng: np.random.Generator, length: int, overhang: float) -> int:
        slack = int(overhang * length)
        low, high = sorted((-slack, self.side - length + slack))
        return int(rng.integers(low, high + 1))


def scene(
    kit: Kit,
    seed: int,
    index: int,
    *,
    side: int = 192,
    split: Split = "train",
    options: SceneOptions = DEFAULT_OPTIONS,
) -> Scene:
    """Make scene number `index` of the endless sequence `seed`.

    Args:
        side: of the square picture, pixels.
        split: "val" draws only the one style of each category that "train" never draws.
    """
    rng = np.random.default_rng([seed, index, STREAM[split]])
    ground = random_ground(rng, kit, (side, side))
    image = ground.image
    stray = add_clutter(rng, kit, image, split) if rng.random() < options.clutter else []
    canvas = _Canvas(side)
    _place_all(rng, kit, canvas, split, options)
    for layer in canvas.layers:
        _blend(image, layer)
    texts = still_seen(image, stray)
    image = wear(rng, image, max_blur=side / 160, chance=options.wear)
    objects = tuple(
        _describe(kit, layer, canvas.instances == number)
        for number, layer in enumerate(canvas.layers, start=1)
    )
    class_of_instance = np.zeros(256, np.int16)
    class_of_instance[1 : len(objects) + 1] = [item.class_index for item in objects]
    return Scene(
        image=image,
        objects=objects,
        instance_map=canvas.instances,
        class_map=np.asarray(cv2.LUT(canvas.instances, class_of_instance), np.int16),
        ground=ground.phrase,
        source=f"scene/{split}/{seed}/{index}",
        texts=texts,
    )


def _place_all(
    rng: np.random.Generator, kit: Kit, canvas: _Canvas, split: Split, options: SceneOptions
) -> None:
    """Choose and place objects, each on top of those before."""
    categories = kit.categories_of(split)
    count = int(rng.integers(options.min_objects, options.max_objects + 1)) if categories else 0
    # Many objects are drawn smaller, or they would only hide each other.
    largest = max(options.min_size, options.max_size * min(1.0, 1.6 / max(count, 1) ** 0.5))
    for _ in range(count):
        if canvas.layers and rng.random() < REPEAT_CHANCE:
            category = canvas.layers[int(rng.integers(len(canvas.layers)))].patch.sprite.category
        else:
            category = categories[int(rng.integers(len(categories)))]
        styles = kit.sprites_of(category, split)
        style = styles[int(rng.integers(len(styles)))]
        sprite = style[int(rng.integers(len(style)))]
        size = canvas.side * rng.uniform(options.min_size, largest)
        patch = _transform(rng, kit, sprite, size, options.max_rotation)
        for attempt in range(PLACEMENT_TRIES):
            min_visible = WELL_VISIBLE if attempt < PLACEMENT_TRIES // 2 else MIN_VISIBLE
            if canvas.try_place(rng, patch, min_visible):
                break


def _transform(
    rng: np.random.Generator, kit: Kit, sprite: Sprite, size: float, max_rotation: float
) -> _Patch:
    """Scale, flip, rotate and tint a sprite; its longer side becomes `size` pixels."""
    full = kit.pixels(sprite)
    halvings = max(0, int(np.log2(max(1.0, max(full.shape[:2]) / size))))
    rgba = kit.pixels(sprite, halvings)
    height, width = rgba.shape[:2]
    scale = size / max(height, width)
    stretch = rng.uniform(0.9, 1.1)
    scale_x = scale * min(1.0, stretch) * (-1 if rng.random() < 0.5 else 1)
    scale_y = scale * min(1.0, 1 / stretch)
    angle = np.deg2rad(rng.uniform(-max_rotation, max_rotation))
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix = np.array(
        [[cosine * scale_x, -sine * scale_y, 0.0], [sine * scale_x, cosine * scale_y, 0.0]]
    )
    reach = np.abs(matrix[:, :2]) @ (width, height)
    out_w, out_h = int(np.ceil(reach[0])) + 1, int(np.ceil(reach[1])) + 1
    # Map the centre of the sprite to the centre of the patch, in pixel-centre coordinates.
    matrix[:, 2] = ((out_w - 1) / 2, (out_h - 1) / 2) - matrix[:, :2] @ (
        (width - 1) / 2,
        (height - 1) / 2,
    )
    patch = cv2.warpAffine(rgba, matrix, (out_w, out_h), flags=cv2.INTER_LINEAR)
    # Dim each channel a little and add a little white; colours stay below alpha.
    gain, lift = rng.uniform(0.88, 1.0, 3) * rng.uniform(0.75, 1.0), rng.uniform(0, 0.12)
    tint = np.diag([*(gain * (1 - lift)), 1.0])
    tint[:3, 3] = lift
    tinted = as_pixels(cv2.transform(patch, tint))
    opaque = tinted[..., 3] >= OPAQUE
    return _Patch(sprite, tinted, opaque, int(np.count_nonzero(opaque)))


def _blend(image: Pixels, layer: _Layer) -> None:
    """Draw a layer over the picture."""
    x, y, rgba = layer.x, layer.y, layer.patch.rgba
    height, width = rgba.shape[:2]
    side = image.shape[0]
    area = image[max(y, 0) : y + height, max(x, 0) : x + width]
    seen = rgba[max(-y, 0) : side - y, max(-x, 0) : side - x]
    below = cv2.cvtColor(255 - seen[..., 3], cv2.COLOR_GRAY2RGB)
    area[:] = cv2.add(seen[..., :3], cv2.multiply(area, below, scale=1 / 255))


def _describe(kit: Kit, layer: _Layer, mask: NDArray[np.bool_]) -> SceneObject:
    pixels = mask.view(np.uint8)
    x, y, width, height = cv2.boundingRect(pixels)
    box = float(x), float(y), float(x + width), float(y + height)
    visible = cv2.countNonZero(pixels) / layer.patch.pixels
    sprite = layer.patch.sprite
    return SceneObject(
        label=sprite.category,
        class_index=kit.class_index[sprite.category],
        box_xyxy=box,
        visible=visible,
        style=sprite.style,
        colour=sprite.colour if sprite.category in kit.colourful else None,
    )
