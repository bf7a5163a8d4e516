"""Small changes of a picture under which its answer stays right, to the pixel.

Pictures are mirrored, cut and brightened. A record that a change would make wrong is left as it
is: texts cannot be mirrored, "left" would have to become "right", an object cut in half is none.
"""

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from florence2.data.ordering import canonical
from florence2.data.records import Record
from florence2.geometry import Box, PixelBox, box_area, clip_boxes
from florence2.results import Boxes, Mixed, Polygons, Quads, Result, Text
from florence2.tasks import Task
from florence2.training.one_sided import one_sided_names

R = TypeVar("R", bound=Result)

FLIP_SHARE = 0.5
CUT_SHARE = 0.5
MIN_CUT = 0.6  # of a side
MIN_REST = 0.7  # of an object that a cut may leave of it
CUT_TRIES = 8
BRIGHTNESS = (0.8, 1.25)  # also of contrast

CUT_TASKS = frozenset({Task.OD, Task.REGION_PROPOSAL, Task.REGION_TO_CATEGORY})


@dataclass(frozen=True)
class Augmentation:
    """How pictures are changed.

    Attributes:
        mirror: whether pictures are mirrored at all.
        fixed_names: names that are not, beside those that `is_one_sided` knows.
    """

    mirror: bool = True
    fixed_names: tuple[str, ...] = ()


def augmented(
    record: Record,
    picture: Image.Image,
    rng: np.random.Generator,
    how: Augmentation = Augmentation(),
) -> tuple[Record, Image.Image]:
    """Change a picture at random, and the record with it.

    Args:
        record: with the answer about `picture`.
        picture: RGB, of the size that the answer is for.
    """
    if rng.random() < CUT_SHARE and can_cut(record):
        record, picture = _cut_somewhere(record, picture, rng)
    if rng.random() < FLIP_SHARE and can_flip(record, how):
        record, picture = flipped(record), ImageOps.mirror(picture)
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast):
        picture = enhancer(picture).enhance(float(rng.uniform(*BRIGHTNESS)))
    return record, picture


# ---- mirroring


def can_flip(record: Record, how: Augmentation = Augmentation()) -> bool:
    """Tell whether the answer about the mirrored picture is the mirrored answer."""
    own = record.task is None or record.prompt is not None
    if not how.mirror or own or (record.task and record.task.reads_text):
        return False  # the words of an own prompt may ask to read
    if isinstance(record.result, Text) and record.result.location_bins:
        return False
    return not one_sided_names(names_in(record), how.fixed_names)


def names_in(record: Record) -> tuple[str, ...]:
    """The words of a record: what it asks about, and what its answer names."""
    asked = (record.text_input,) if record.text_input else ()
    return asked + _names(record.result)


def flipped(record: Record) -> Record:
    """The record about the mirrored picture."""
    width = record.result.image_size[0]
    region = record.region
    if region is not None:
        region = (width - region[2], region[1], width - region[0], region[3])
    result = _in_order(_flipped(record.result), record)
    return replace(record, region=region, result=result)


def _flipped(result: R) -> R:
    width = result.image_size[0]
    match result:
        case Boxes():
            x_min, y_min, x_max, y_max = result.xyxy.T
            return replace(result, xyxy=np.stack((width - x_max, y_min, width - x_min, y_max), 1))
        case Polygons():  # points also in reverse, so that a clockwise outline stays one
            corner, mirror = np.array([width, 0.0]), np.array([-1.0, 1.0])
            mirrored = (
                tuple((corner + mirror * part)[::-1] for part in parts) for parts in result.polygons
            )
            return replace(result, polygons=tuple(mirrored))
        case Mixed():
            boxes, polygons = _flipped(result.boxes), _flipped(result.polygons)
            return replace(result, boxes=boxes, polygons=polygons)
    return result


def _in_order(result: Result, record: Record) -> Result:
    """Put a changed answer into the model's order if it was in it before."""
    assert record.task is not None, "own prompts are not changed"
    was_canonical = canonical(record.result, record.task) == record.result
    return canonical(result, record.task) if was_canonical else result


def _names(result: Result) -> tuple[str, ...]:
    match result:
        case Text():
            return (result.text,) if result.text else ()
        case Boxes() | Polygons() | Quads():
            return tuple(label for label in result.labels if label)
        case Mixed():
            return _names(result.boxes) + _names(result.polygons)
    return ()


# ---- cutting


def can_cut(record: Record) -> bool:
    """Tell whether a part of the picture can be asked the same: its objects are all it is about."""
    return record.task in CUT_TASKS and record.prompt is None


def _cut_somewhere(
    record: Record, picture: Image.Image, rng: np.random.Generator
) -> tuple[Record, Image.Image]:
    """Cut out a window that spoils no object; keep the picture where none is found."""
    size = np.array(picture.size)
    for _ in range(CUT_TRIES):
        sides = np.ceil(size * rng.uniform(MIN_CUT, 1.0, 2)).astype(int)
        left, top = (int(rng.integers(room + 1)) for room in size - sides)
        window = (left, top, left + int(sides[0]), top + int(sides[1]))
        if (found := cut(record, window)) is not None:
            return found, picture.crop(window)
    return record, picture


def cut(record: Record, window: PixelBox) -> Record | None:
    """The record about a window of the picture; `None` if it would spoil an object.

    Objects outside are left out, those at the edge are cut. An object of which a small part would
    stay, or a window without objects, is not worth asking about.
    """
    size = window[2] - window[0], window[3] - window[1]
    result = record.result
    if record.region is not None:
        xyxy = np.array([record.region], dtype=np.float64)
    elif isinstance(result, Boxes):
        xyxy = result.xyxy
    else:
        return None
    inside = clip_boxes(xyxy - np.tile(window[:2], 2), size)
    rest = box_area(inside) / np.maximum(box_area(xyxy), 1e-9)
    rows = np.flatnonzero(rest > 0)
    if not len(rows) or rest[rows].min() < MIN_REST:
        return None
    if isinstance(result, Boxes) and record.region is None:
        labels = tuple(result.labels[row] for row in rows)
        kept = Boxes(inside[rows], labels, image_size=size)
        return replace(record, result=_in_order(kept, record))
    region: Box = tuple(inside[0].tolist())
    return replace(record, region=region, result=replace(result, image_size=size))
