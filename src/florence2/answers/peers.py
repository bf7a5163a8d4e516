"""Results as objects of other libraries, which are imported when they are asked for."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from florence2.errors import ConfigError
from florence2.geometry import rasterize
from florence2.results import Mixed, Polygons, Quads, Result, Text, as_boxes, filled_columns


def to_supervision(result: Result, class_names: Sequence[str]) -> Any:
    """`sv.Detections` of the library supervision (0.26 or later).

    Its measures compare class ids and confidences and take what is missing for a value, so both
    are set for every object.

    Args:
        class_names: of the dataset, in its order. A label that is none of them gets the class id
            -1, which no class of a dataset has.

    Returns:
        Boxes `(N, 4)` in pixels; `class_id` by `class_names`; `confidence`, 1.0 where no score is
        known; labels in `data["class_name"]`; of quads the corners `(N, 4, 2)` in
        `data["xyxyxyxy"]`; of outlines masks `(N, H, W)`, one an instance. Points are boxes without
        area, and of a text the boxes that it names.

    Raises:
        ConfigError: supervision is not installed.
    """
    try:
        supervision = import_module("supervision")
    except ImportError:
        raise ConfigError(
            "to_supervision needs the library supervision; pip install supervision"
        ) from None
    if isinstance(result, Mixed):
        return _merged(result, class_names)
    objects = result.boxes if isinstance(result, Text) else result
    columns = filled_columns(objects)
    numbers = {name: number for number, name in enumerate(class_names)}
    data: dict[str, Any] = {"class_name": np.array(columns["labels"], dtype=str)}
    if isinstance(objects, Quads):
        data["xyxyxyxy"] = np.array(objects.quads)
    return supervision.Detections(
        xyxy=np.array(as_boxes(objects).xyxy),
        mask=_masks(objects) if isinstance(objects, Polygons) else None,
        confidence=np.array([1.0 if each is None else each for each in columns["scores"]]),
        class_id=np.array([numbers.get(name, -1) for name in columns["labels"]], dtype=int),
        data=data,
    )


def _masks(outlines: Polygons) -> Any:
    width, height = outlines.image_size
    masks = [
        rasterize([part for part in parts if len(part) > 2], outlines.image_size)
        for parts in outlines.polygons
    ]
    return np.array(masks, dtype=bool).reshape(-1, height, width)


def _merged(result: Mixed, class_names: Sequence[str]) -> Any:
    """Boxes as objects whose mask is the whole box, where there are outlines beside them."""
    if not result.polygons.labels:
        return to_supervision(result.boxes, class_names)
    if not result.boxes.labels:
        return to_supervision(result.polygons, class_names)
    corners = [[(x0, y0), (x1, y0), (x1, y1), (x0, y1)] for x0, y0, x1, y1 in result.boxes.xyxy]
    columns = filled_columns(result.boxes)
    labels = (*columns["labels"], *result.polygons.labels)
    scores = (*columns["scores"], *filled_columns(result.polygons)["scores"])
    parts = [(np.array(each),) for each in corners]
    everything = Polygons((*parts, *result.polygons.polygons), labels, scores,
                          image_size=result.image_size)  # fmt: skip
    return to_supervision(everything, class_names)
