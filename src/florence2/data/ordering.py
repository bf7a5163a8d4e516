"""The order in which Florence-2 writes what it found, so that training data is written alike.

    object detection          classes by alphabet; boxes of a class from large to small
    region proposal           boxes from large to small
    dense region captions     phrases by their largest box; boxes of a phrase from large to small
    grounding, open vocabulary    phrases as given; boxes of a phrase from large to small
    segmentation              objects, and the parts of one, from large to small
    polygons, everywhere      clockwise from the point nearest to the top left corner
    texts with quads          as given: only who made them knows the order of reading

The authors state the clockwise polygons only. The rest is what published answers of the base and
the large model have in common.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from florence2.geometry import Array, bounding_box, polygon_area, signed_area
from florence2.results import Boxes, Mixed, Polygons, Result, check_fits
from florence2.tasks import AnswerKind, Task


def canonical(result: Result, task: Task) -> Result:
    """Return a result with its objects in the order in which the model writes them.

    >>> boxes = Boxes([[0, 0, 1, 1], [0, 0, 9, 9], [0, 0, 5, 5]], ["b", "b", "a"],
    ...               image_size=(9, 9))
    >>> ordered = canonical(boxes, Task.OD)
    >>> ordered.labels, ordered.xyxy[:, 2].tolist()
    (('a', 'b', 'b'), [5.0, 9.0, 1.0])
    """
    check_fits(result, task)
    match result:
        case Boxes():
            return _ordered_boxes(result, task)
        case Polygons():
            return _ordered_polygons(result, task)
        case Mixed():
            boxes = _ordered_boxes(result.boxes, task)
            return replace(result, boxes=boxes, polygons=_ordered_polygons(result.polygons, task))
    return result


def clockwise(points: Array) -> Array:
    """Turn and roll a polygon `(P, 2)`: clockwise on the screen, from its top left point.

    >>> clockwise(np.array([[4.0, 4.0], [4.0, 0.0], [0.0, 0.0]])).tolist()
    [[0.0, 0.0], [4.0, 0.0], [4.0, 4.0]]
    """
    if signed_area(points) < 0:
        points = points[::-1]
    start = np.lexsort((points[:, 0], points[:, 1], points.sum(axis=1)))[0]
    return np.roll(points, -int(start), axis=0)


def order_of_boxes(
    boxes: Sequence[Sequence[float]], labels: Sequence[str], task: Task
) -> list[int]:
    """Return the rows of boxes `(N, 4)` in the order in which the model writes them."""
    areas = [
        (x_max - x_min) * (y_max - y_min) if x_max > x_min and y_max > y_min else 0.0
        for x_min, y_min, x_max, y_max in boxes
    ]
    return _order(labels, areas, boxes, task)


def _ordered_boxes(boxes: Boxes, task: Task) -> Boxes:
    return boxes.select(order_of_boxes(boxes.xyxy.tolist(), boxes.labels, task))


def _ordered_polygons(polygons: Polygons, task: Task) -> Polygons:
    instances = [
        sorted(map(clockwise, parts), key=lambda part: (-float(polygon_area(part)), part.tolist()))
        for parts in polygons.polygons
    ]
    areas = [float(sum(map(polygon_area, parts))) for parts in instances]
    boxes = [bounding_box(np.concatenate(parts)).tolist() for parts in instances]
    rows = _order(polygons.labels, areas, boxes, task)
    return replace(polygons, polygons=tuple(map(tuple, instances))).select(rows)


def _order(
    labels: Sequence[str], areas: Sequence[float], boxes: Sequence[Sequence[float]], task: Task
) -> list[int]:
    """Return the rows sorted by rank of their label, then from large to small."""
    ranks: dict[str, tuple[float | str, ...]] = {}
    if task.answer_kind is AnswerKind.CLASS_BOXES:
        ranks = {label: (label.casefold(), label) for label in set(labels)}
    elif task is Task.DENSE_REGION_CAPTION:
        for row, label in enumerate(labels):
            ranks[label] = min(ranks.get(label, (0.0,)), (-areas[row], label))
    else:
        for row, label in enumerate(labels):
            ranks.setdefault(label, (row,))
    keys = [
        (ranks[label], -area, box) for label, area, box in zip(labels, areas, boxes, strict=True)
    ]
    return sorted(range(len(labels)), key=keys.__getitem__)
