"""Questions about a scene that need words or a region, some about what is not there.

Every question is drawn from the scene's name and the task, so the same scene always asks the same.
"""

import zlib
from collections.abc import Sequence

import numpy as np

from florence2.data.records import Record
from florence2.geometry import box_iou, rasterize
from florence2.results import Boxes, Mixed, Polygons
from florence2.tasks import Task, join_classes
from florence2_lab.worlds.captions import caption_phrases
from florence2_lab.worlds.english import join_phrases
from florence2_lab.worlds.outlines import MIN_IOU, Polygon, outline
from florence2_lab.worlds.phrases import (
    Reference,
    absent_labels,
    absent_phrase,
    area,
    group_references,
    picture_size,
    references,
)
from florence2_lab.worlds.scenes import Scene, SceneObject

MAX_POINTS = 200  # of all polygons of a record: 400 location tokens
MAX_BOX_IOU = 0.7  # of a region with the box of another object; beyond, who can tell which is meant
MAX_ASKED = 4  # categories in one question


def drawing(source: str, task: Task) -> np.random.Generator:
    """Return the generator of a question's draws."""
    return np.random.default_rng(zlib.crc32(f"{source}{task.token}".encode()))


def large_first(objects: Sequence[SceneObject]) -> list[SceneObject]:
    """Order objects by area, as Florence-2 writes the boxes of one phrase."""
    return sorted(objects, key=lambda item: (-area(item), item.box_xyxy))


def labelled_boxes(scene: Scene, rows: Sequence[tuple[str, SceneObject]]) -> Boxes:
    """Return the boxes of objects, each with its label."""
    return Boxes(
        image_size=picture_size(scene),
        xyxy=np.array([item.box_xyxy for _, item in rows], dtype=np.float64).reshape(-1, 4),
        labels=tuple(label for label, _ in rows),
    )


def referring_segmentation(scene: Scene, task: Task) -> Record | None:
    """Ask for the outline of one object, or of all of a name; None where no phrase will do."""
    rng = drawing(scene.source, task)
    for number in rng.permutation(len(scene.objects)):
        found = list(references(scene, int(number)))
        # A group counts as one more way to ask, not as several: most questions are about one.
        groups = group_references(scene, scene.objects[number].label)
        if groups:
            found.append(groups[int(rng.integers(len(groups)))])
        if not found:
            continue
        reference = found[int(rng.integers(len(found)))]
        result = _outlines(scene, reference.numbers)
        if result is not None:
            return Record(scene.image, task, reference.phrase, None, result, scene.source)
    return None


def region_segmentation(scene: Scene, task: Task) -> Record | None:
    """Ask for the outline of the object in a box that is not nearly the box of another."""
    boxes = np.array([item.box_xyxy for item in scene.objects]).reshape(-1, 4)
    overlap = box_iou(boxes, boxes) - np.eye(len(boxes))
    for number in drawing(scene.source, task).permutation(len(scene.objects)):
        if overlap[number].max() > MAX_BOX_IOU:
            continue
        result = _outlines(scene, (int(number),))
        if result is not None:
            region = scene.objects[number].box_xyxy
            return Record(scene.image, task, "", region, result, scene.source)
    return None


def _outlines(scene: Scene, numbers: Sequence[int]) -> Polygons | None:
    """Outline objects, large ones first; None where polygons would be too many or too rough."""
    ordered = sorted(numbers, key=lambda number: -area(scene.objects[number]))
    found: list[tuple[Polygon, ...]] = []
    for number in ordered:
        mask = scene.mask(number)
        parts = outline(mask)
        drawn = rasterize(parts, picture_size(scene))
        if np.count_nonzero(drawn & mask) < MIN_IOU * np.count_nonzero(drawn | mask):
            return None
        found.append(parts)
    if sum(len(part) for parts in found for part in parts) > MAX_POINTS:
        return None
    return Polygons(tuple(found), ("",) * len(found), image_size=picture_size(scene))


def grounding(scene: Scene, task: Task, vocabulary: tuple[str, ...]) -> Record | None:
    """Ask for the phrases of a caption or for a single one; some may not be there."""
    rng = drawing(scene.source, task)
    draw = rng.random()
    found: list[tuple[str, list[SceneObject]]] = []
    if scene.objects and draw < 0.55:
        found = list(caption_phrases(scene).items())
        for _ in range(int(rng.integers(3))):
            absent = absent_phrase(rng, scene, vocabulary)
            if absent and absent not in dict(found):
                found.insert(int(rng.integers(len(found) + 1)), (absent, []))
        words = f"{join_phrases([phrase for phrase, _ in found])} on {scene.ground}"
    elif scene.objects and draw < 0.8:
        reference = _any_reference(rng, scene)
        words = reference.phrase
        found = [(words, [scene.objects[number] for number in reference.numbers])]
    else:
        words = absent_phrase(rng, scene, vocabulary)
        if not words:
            return None
    rows = [(phrase, item) for phrase, group in found for item in large_first(group)]
    return Record(scene.image, task, words, None, labelled_boxes(scene, rows), scene.source)


def _any_reference(rng: np.random.Generator, scene: Scene) -> Reference:
    """Draw a phrase for an object or, where it has none of its own, for all of its name."""
    number = int(rng.integers(len(scene.objects)))
    found = references(scene, number) or group_references(scene, scene.objects[number].label)
    return found[int(rng.integers(len(found)))]


def open_detection(scene: Scene, task: Task, vocabulary: tuple[str, ...]) -> Record | None:
    """Ask for one category or several; some may not be there."""
    rng = drawing(scene.source, task)
    present = sorted({item.label for item in scene.objects})
    absent = absent_labels(scene, vocabulary)
    count = 1 if rng.random() < 0.5 else int(rng.integers(2, MAX_ASKED + 1))
    asked: list[str] = []
    for _ in range(count):
        pool = present if rng.random() < 0.6 and present else absent or present
        left = [label for label in pool if label not in asked]
        if left:
            asked.append(left[int(rng.integers(len(left)))])
    if not asked:
        return None
    rows = [
        (label, item)
        for label in asked
        for item in large_first([item for item in scene.objects if item.label == label])
    ]
    size = picture_size(scene)
    nothing = Polygons(image_size=size, polygons=(), labels=())
    result = Mixed(labelled_boxes(scene, rows), nothing, image_size=size)
    return Record(scene.image, task, join_classes(asked), None, result, scene.source)
