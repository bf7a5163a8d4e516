"""Labelled objects of one picture, and the records that can be asked about them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from florence2.data.ordering import canonical, order_of_boxes
from florence2.data.records import Federated, Ignored, Picture, Record
from florence2.data.report import Problem, ReadReport
from florence2.errors import DataError
from florence2.geometry import (
    Array,
    Box,
    Size,
    bounding_box,
    box_area,
    clip_boxes,
    clip_points,
    polygon_area,
)
from florence2.results import Boxes, Mixed, Polygons, Result, Text
from florence2.tasks import Task, asked_words

ANY_CLASS = ""
"""The class of a region to ignore in which nobody says what is there."""

SLACK = 0.01
"""Pixels that an object may reach over the edge by rounding, without being counted as clipped."""


class LabelledObject(NamedTuple):
    """One object: its class, its box in pixels, and the parts of its outline if they are known."""

    label: str
    box: Box
    parts: tuple[Array, ...] = ()
    is_ignored: bool = False  # difficult, or a group: neither right nor wrong to find
    is_crowd: bool = False  # ignored, and stands for any number of objects
    score: float | None = None  # how sure a detector was, in [0, 1]


@dataclass(frozen=True, eq=False)
class LabelledPicture:
    """A picture and what its annotations say.

    Attributes:
        path: its file, or its pixels.
        objects: those that could be read, the ignored ones too.
        num_lost: objects of the file that no object here stands for, so that nobody can say what
            else is in the picture.
        searched: `None` where all objects of all classes were looked for.
    """

    path: Picture
    size: Size
    objects: Sequence[LabelledObject]
    source: str
    num_lost: int = 0
    searched: Federated | None = None

    @classmethod
    def of(
        cls,
        path: Picture,
        size: Size,
        objects: Sequence[LabelledObject | None],
        source: str,
        searched: Federated | None = None,
    ) -> "LabelledPicture":
        """A picture with the objects that were read; `None` for each that was lost."""
        kept = [item for item in objects if item is not None]
        return cls(path, size, kept, source, len(objects) - len(kept), searched)


def checked_object(
    label: str,
    box: Sequence[float] | None,
    parts: Sequence[Array],
    size: Size,
    report: ReadReport,
    where: str,
    *,
    dots: bool = False,
) -> LabelledObject | None:
    """Cut an object at the edges of its picture; count one that nothing is left of.

    Args:
        label: name of its class.
        box: `x_min, y_min, x_max, y_max` in pixels, or `None` for the box around the parts.
        parts: polygons `(P, 2)` in pixels, none if the outline is not known.
        size: of the picture.
        report: counts what is cut or dropped.
        where: the row or id, for the report.
        dots: take a box within the first pixel, too: the file writes no pixels.
    """
    label = label.strip()
    if not label:
        report.add(Problem.LABEL, where, "the class name is empty")
        return None
    kept = tuple(part for part in parts if _has_area(part, report, where))
    if box is None:
        if not kept:
            if not parts:
                report.add(Problem.NO_AREA, where, "the object has neither box nor polygon")
            return None
        box = bounding_box(np.concatenate(kept)).tolist()
    corners = np.array(box, dtype=np.float64)
    if not np.isfinite(corners).all():
        report.add(Problem.ROW, where, f"the box {list(box)!r} is beyond all numbers")
        return None
    if not dots and corners.max() <= 1 and (corners % 1).any() and min(size) > NO_DOTS:
        what = f"the box {corners.tolist()!r} lies within one pixel, as shares of the picture do"
        report.add(Problem.ROW, where, f"{what}; give pixels")
        return None
    clipped = clip_boxes(corners, size)
    if box_area(corners) <= 0:
        report.add(Problem.NO_AREA, where, f"the box {corners.tolist()!r} has no area")
        return None
    if box_area(clipped) <= 0:
        report.add(
            Problem.OUTSIDE, where, f"the box {corners.tolist()!r} is outside of {size!r} pixels"
        )
        return None
    clipped_parts = [clip_points(part, size) for part in kept]
    inside = tuple(part for part in clipped_parts if polygon_area(part) > 0)
    if len(inside) < len(kept):
        report.add(Problem.OUTSIDE, where, f"a polygon is outside of {size!r} pixels")
    moved = [np.abs(clipped - corners).max()]
    moved += [np.abs(new - old).max() for new, old in zip(clipped_parts, kept, strict=True)]
    if max(moved) > SLACK:
        report.add(Problem.CLIPPED, where, f"{corners.tolist()!r} cut to {size!r} pixels")
    x_min, y_min, x_max, y_max = clipped.tolist()
    return LabelledObject(label, (x_min, y_min, x_max, y_max), inside)


def _has_area(part: Array, report: ReadReport, where: str) -> bool:
    if np.isfinite(part).all() and len(part) >= 3 and polygon_area(part) > 0:
        return True
    report.add(Problem.NO_AREA, where, f"a polygon of {len(part)} points has no area")
    return False


def object_records(
    picture: LabelledPicture, tasks: Sequence[Task], report: ReadReport
) -> Iterator[Record]:
    """Make the records of each task about one picture, in the model's own order.

    A picture without objects is a record of object detection and of region proposal, with nothing
    to find; no other task can be asked about it. A picture of which an object was lost gives no
    record of a task that asks for all objects, or for all of a name: it would teach that the lost
    one is not there. Where objects are to be ignored, such records say where. Where not all was
    looked for, detection says for what (`federated`), and nothing else asks for all.
    """
    ignored = _ignored(picture)
    asked = picture
    if ignored:
        asked = replace(picture, objects=[item for item in picture.objects if not item.is_ignored])
    if picture.num_lost:
        lost = f"{picture.num_lost:,} of {picture.num_lost + len(picture.objects):,} objects"
        name = f"{picture.path.name}: " if isinstance(picture.path, Path) else ""
        report.add(Problem.INCOMPLETE, picture.source, f"{name}{lost} lost")
    elif not picture.objects and picture.searched is None:
        report.add(Problem.EMPTY, picture.source, "no objects")
    if picture.searched and not picture.objects and not picture.searched.negatives:
        report.add(Problem.FEDERATED, picture.source, "no class was looked for in it")
    for task in tasks:
        asks_all = task in COMPLETE_TASKS
        if asks_all and picture.num_lost:
            continue
        if picture.searched and task is Task.REGION_PROPOSAL:
            report.add(Problem.FEDERATED, picture.source, f"no {task.token}, not all classes")
            continue
        for text_input, region, result in OBJECT_TASKS[task](asked):
            federated = None
            if picture.searched and task is Task.OD:  # it measures, and is not trained on
                there = {item.label for item in asked.objects}
                federated = replace(picture.searched, negatives=picture.searched.negatives - there)
            elif picture.searched and asks_all and text_input in picture.searched.not_exhaustive:
                what = f"no {task.token} of {text_input!r}, of which there are more"
                report.add(Problem.FEDERATED, picture.source, what)
                continue
            if ignored and isinstance(result, Polygons) and ignored.concerns(text_input):
                continue  # no measure of masks knows what to ignore
            record = Record(
                *(picture.path, task, text_input, region, result, picture.source),
                ignored=ignored if asks_all else None,
                federated=federated,
            )
            yield from report.accept(record, picture.source)


def _ignored(picture: LabelledPicture) -> Ignored | None:
    ignored = [item for item in picture.objects if item.is_ignored]
    if not ignored:
        return None
    boxes = _boxes(ignored, picture.size)
    return Ignored(boxes, tuple(item.is_crowd for item in ignored))


Question = tuple[str, Box | None, Result]


def _boxes(objects: Sequence[LabelledObject], size: Size, task: Task | None = None) -> Boxes:
    """The boxes of objects, in the order of a task if one is given."""
    labels = [item.label if task is not Task.REGION_PROPOSAL else "" for item in objects]
    boxes = [item.box for item in objects]
    rows = range(len(labels)) if task is None else order_of_boxes(boxes, labels, task)
    xyxy = np.array([boxes[row] for row in rows], dtype=np.float64).reshape(-1, 4)
    scores = _scores([objects[row] for row in rows])
    return Boxes(xyxy, tuple([labels[row] for row in rows]), scores=scores, image_size=size)


def _polygons(objects: Sequence[LabelledObject], size: Size, task: Task) -> Result:
    outlined = [item for item in objects if item.parts]
    parts, labels = tuple(item.parts for item in outlined), ("",) * len(outlined)
    polygons = Polygons(parts, labels, scores=_scores(outlined), image_size=size)
    return canonical(polygons, task)


def _scores(objects: Sequence[LabelledObject]) -> tuple[float | None, ...] | None:
    scores = [item.score for item in objects]
    return None if scores.count(None) == len(scores) else tuple(scores)


def _by_label(objects: Sequence[LabelledObject]) -> dict[str, list[LabelledObject]]:
    groups: dict[str, list[LabelledObject]] = {}
    for item in objects:
        groups.setdefault(item.label, []).append(item)
    return groups


def _detection(picture: LabelledPicture) -> Iterator[Question]:
    yield "", None, _boxes(picture.objects, picture.size, Task.OD)


def _proposal(picture: LabelledPicture) -> Iterator[Question]:
    yield "", None, _boxes(picture.objects, picture.size, Task.REGION_PROPOSAL)


def _open_detection(picture: LabelledPicture) -> Iterator[Question]:
    task, size = Task.OPEN_VOCABULARY_DETECTION, picture.size
    groups = _by_label(picture.objects)
    if picture.searched:
        groups |= {label: [] for label in sorted(picture.searched.negatives) if label not in groups}
    for label, group in groups.items():
        boxes = _boxes(group, size, task)
        yield label, None, Mixed(boxes, Polygons((), (), image_size=size), image_size=size)


def _referring_segmentation(picture: LabelledPicture) -> Iterator[Question]:
    for label, group in _by_label(picture.objects).items():
        if all(item.parts for item in group):  # or the answer would leave objects out
            yield (
                label,
                None,
                _polygons(group, picture.size, Task.REFERRING_EXPRESSION_SEGMENTATION),
            )


def _region_segmentation(picture: LabelledPicture) -> Iterator[Question]:
    for item in picture.objects:
        if item.parts:
            yield "", item.box, _polygons((item,), picture.size, Task.REGION_TO_SEGMENTATION)


def _category(picture: LabelledPicture) -> Iterator[Question]:
    for item in picture.objects:
        yield "", item.box, Text(item.label, image_size=picture.size)


OBJECT_TASKS: Mapping[Task, Callable[[LabelledPicture], Iterator[Question]]] = {
    Task.OD: _detection,
    Task.REGION_PROPOSAL: _proposal,
    Task.OPEN_VOCABULARY_DETECTION: _open_detection,
    Task.REFERRING_EXPRESSION_SEGMENTATION: _referring_segmentation,
    Task.REGION_TO_SEGMENTATION: _region_segmentation,
    Task.REGION_TO_CATEGORY: _category,
}
"""The tasks that boxes, class names and outlines answer."""

OUTLINE_TASKS = frozenset({Task.REFERRING_EXPRESSION_SEGMENTATION, Task.REGION_TO_SEGMENTATION})
"""Those that are answered with outlines."""

COMPLETE_TASKS = frozenset(
    {
        *(Task.OD, Task.REGION_PROPOSAL, Task.OPEN_VOCABULARY_DETECTION),
        Task.REFERRING_EXPRESSION_SEGMENTATION,
    }
)
"""Those whose answer says that nothing else is there, or nothing else of the name."""


def chosen_tasks(
    tasks: Sequence[Task], allowed: Sequence[Task], default: Task, what: str
) -> tuple[Task, ...]:
    """Return the tasks to make records of, refusing those that a dataset has no answers for."""
    if wrong := [task.token for task in tasks if task not in allowed]:
        raise DataError(
            f"{what} has no answers for task {wrong[0]!r}; choose among "
            f"{', '.join(task.token for task in allowed)}"
        )
    return tuple(dict.fromkeys(tasks)) or (default,)


NO_DOTS = 8
"""In pictures of longer sides nobody draws a box within the first pixel."""
PARTIAL_TASKS = frozenset(
    {Task.CAPTION_TO_PHRASE_GROUNDING, Task.REFERRING_EXPRESSION_SEGMENTATION}
)
"""Those whose objects say nothing of what has another name."""


def labelled_boxes(record: Record, place: str) -> Boxes:
    """The boxes of a record that `place` can hold, such as "a VOC folder"."""
    if not isinstance(record.result, Boxes) or record.task is Task.REGION_PROPOSAL:
        raise DataError(
            f"{place} cannot hold an answer of {asked_words(record.task)}; give boxes with labels"
        )
    if record.task in PARTIAL_TASKS:
        raise DataError(
            f"{place} cannot hold an answer of {asked_words(record.task)}, as it tells of all"
            " classes what a picture shows; write COCO or JSON lines"
        )
    return whole_boxes(record.result, record.source)


def unplaced_words(record: Record, *, crowds: bool = False, difficult: bool = False) -> str:
    """Tell what of a record a format has no place for; written all the same, it would say that
    nothing is there. Empty if it has a place for all.

    Args:
        record: what is to be written.
        crowds: whether the format marks crowds.
        difficult: whether it marks other objects to be ignored.
    """
    if record.federated is not None:
        return "what was looked for in it"
    if record.ignored is None:
        return ""
    if "" in record.ignored.boxes.labels:
        return "a region of no class to be ignored"
    if not crowds and any(record.ignored.crowds):
        return "a crowd"
    if not difficult and not all(record.ignored.crowds):
        return "an object to be ignored"
    return ""


def refuse_unplaced(record: Record, place: str, words: str) -> None:
    """Refuse a record of which `place` has no room for what `unplaced_words` told."""
    if words:
        raise DataError(
            f"record {record.source!r} has {words}, and {place} has no place for it: its picture"
            " would say that nothing is there; leave the record out"
        )


def whole_boxes(boxes: Boxes, source: str) -> Boxes:
    """The boxes, if each has an area inside its picture: others harm whoever reads them."""
    inside = clip_boxes(boxes.xyxy, boxes.image_size)
    bad = (boxes.xyxy[:, :2] >= boxes.xyxy[:, 2:]).any(1) | (box_area(inside) <= 0)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"record {source!r} has the box {boxes.xyxy[row].tolist()} without an area inside its"
            f" picture of {boxes.image_size} pixels; leave such boxes out"
        )
    return boxes
