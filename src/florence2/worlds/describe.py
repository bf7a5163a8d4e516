"""From what a maker knows about its picture to records: questions with exact answers."""

import zlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from florence2.data.records import Record
from florence2.errors import DataError
from florence2.results import Boxes, Mixed, Polygons, Quads, Text
from florence2.tasks import Task
from florence2.worlds.english import count_phrase, join_phrases
from florence2.worlds.lines import TextLine
from florence2.worlds.scenes import Scene, SceneObject

Size = tuple[int, int]


def ordered_boxes(objects: Sequence[SceneObject], image_size: Size) -> Boxes:
    """Order boxes as Florence-2 writes them: by label, and from large to small within a label."""
    rows = sorted(objects, key=lambda item: (item.label, -_area(item), item.box_xyxy))
    xyxy = np.array([item.box_xyxy for item in rows], dtype=np.float64).reshape(-1, 4)
    return Boxes(image_size=image_size, xyxy=xyxy, labels=tuple(item.label for item in rows))


def caption_phrases(scene: Scene) -> dict[str, list[SceneObject]]:
    """Return the phrases of a scene's caption, in its order, each with its objects."""
    groups: dict[str, list[SceneObject]] = {}
    for item in scene.objects:
        groups.setdefault(item.label, []).append(item)
    # What takes most of the picture is told first.
    told = sorted(groups.values(), key=lambda group: (-sum(map(_area, group)), group[0].label))
    return {_noun_phrase(group): group for group in told}


def brief_caption(scene: Scene) -> str:
    """Describe a scene in one phrase: "two cats and a red car on a striped background"."""
    phrases = list(caption_phrases(scene))
    return f"{join_phrases(phrases)} on {scene.ground}" if phrases else scene.ground


def _noun_phrase(group: Sequence[SceneObject]) -> str:
    label = group[0].label
    colours = {item.colour for item in group}
    colour = colours.pop() if len(colours) == 1 else None
    return count_phrase(len(group), label, colour)


def _area(item: SceneObject) -> float:
    x_min, y_min, x_max, y_max = item.box_xyxy
    return (x_max - x_min) * (y_max - y_min)


def _size(scene: Scene | TextLine) -> Size:
    height, width = scene.image.shape[:2]
    return width, height


def _chosen(scene: Scene, task: Task) -> SceneObject | None:
    """Choose the object that a task asks about, the same for the same scene."""
    if not scene.objects:
        return None
    return scene.objects[zlib.crc32(f"{scene.source}{task.token}".encode()) % len(scene.objects)]


def _detection(scene: Scene, task: Task) -> Record:
    boxes = ordered_boxes(scene.objects, _size(scene))
    return Record(scene.image, task, "", None, boxes, scene.source)


def _caption(scene: Scene, task: Task) -> Record:
    text = Text(image_size=_size(scene), text=brief_caption(scene))
    return Record(scene.image, task, "", None, text, scene.source)


def _category_of_region(scene: Scene, task: Task) -> Record | None:
    item = _chosen(scene, task)
    if item is None:
        return None
    text = Text(image_size=_size(scene), text=item.label)
    return Record(scene.image, task, "", item.box_xyxy, text, scene.source)


def _grounded_phrases(scene: Scene, task: Task) -> Record | None:
    phrases = caption_phrases(scene)
    if not phrases:
        return None
    rows = [
        (phrase, item)
        for phrase, group in phrases.items()
        for item in sorted(group, key=lambda item: (-_area(item), item.box_xyxy))
    ]
    boxes = Boxes(
        image_size=_size(scene),
        xyxy=np.array([item.box_xyxy for _, item in rows]),
        labels=tuple(phrase for phrase, _ in rows),
    )
    return Record(scene.image, task, brief_caption(scene), None, boxes, scene.source)


def _boxes_of_label(scene: Scene, task: Task) -> Record | None:
    item = _chosen(scene, task)
    if item is None:
        return None
    same = [other for other in scene.objects if other.label == item.label]
    boxes = ordered_boxes(same, _size(scene))
    nothing = Polygons(image_size=_size(scene), polygons=(), labels=())
    result = Mixed(image_size=_size(scene), boxes=boxes, polygons=nothing)
    return Record(scene.image, task, item.label, None, result, scene.source)


def _reading(line: TextLine, task: Task) -> Record:
    text = Text(image_size=_size(line), text=line.text)
    return Record(line.image, task, "", None, text, line.source)


def _placed_reading(line: TextLine, task: Task) -> Record:
    quads = Quads(image_size=_size(line), quads=line.quad[None], labels=(line.text,))
    return Record(line.image, task, "", None, quads, line.source)


SCENE_TASKS: Mapping[Task, Callable[[Scene, Task], Record | None]] = {
    Task.OD: _detection,
    Task.CAPTION: _caption,
    Task.CAPTION_TO_PHRASE_GROUNDING: _grounded_phrases,
    Task.OPEN_VOCABULARY_DETECTION: _boxes_of_label,
    Task.REGION_TO_CATEGORY: _category_of_region,
}
LINE_TASKS: Mapping[Task, Callable[[TextLine, Task], Record]] = {
    Task.OCR: _reading,
    Task.OCR_WITH_REGION: _placed_reading,
}


def scene_records(scene: Scene, tasks: Sequence[Task] = tuple(SCENE_TASKS)) -> tuple[Record, ...]:
    """Make one record per task.

    Tasks about one object choose it by the scene's name, so the same scene always gives the same
    records. A scene without objects has no record of such a task.
    """
    _check(tasks, SCENE_TASKS, "scenes")
    made = (SCENE_TASKS[task](scene, task) for task in tasks)
    return tuple(record for record in made if record is not None)


def line_records(line: TextLine, tasks: Sequence[Task] = tuple(LINE_TASKS)) -> tuple[Record, ...]:
    """Make one record per task."""
    _check(tasks, LINE_TASKS, "lines")
    return tuple(LINE_TASKS[task](line, task) for task in tasks)


def _check(tasks: Sequence[Task], known: Mapping[Task, object], what: str) -> None:
    unknown = [task.token for task in tasks if task not in known]
    if unknown:
        raise DataError(
            f"{what} make no records of task {unknown[0]!r}; choose among "
            f"{', '.join(task.token for task in known)}"
        )
