"""From what a maker knows about its picture to records: questions with exact answers."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np

from florence2.data.ordering import canonical
from florence2.data.records import Record
from florence2.errors import DataError
from florence2.geometry import Box, Size, bounding_box
from florence2.results import Boxes, Mixed, Polygons, Quads, Text
from florence2.tasks import Task
from florence2_lab.worlds.captions import (
    brief_caption,
    caption_phrases,
    detailed_caption,
    paragraph_caption,
)
from florence2_lab.worlds.lines import TextLine
from florence2_lab.worlds.pages import Page, PageLine
from florence2_lab.worlds.phrases import area, attributes, region_description
from florence2_lab.worlds.questions import (
    drawing,
    grounding,
    labelled_boxes,
    large_first,
    open_detection,
    referring_segmentation,
    region_segmentation,
)
from florence2_lab.worlds.scenes import Scene, SceneObject


def ordered_boxes(objects: Sequence[SceneObject], image_size: Size) -> Boxes:
    """Return the boxes of objects in the order in which Florence-2 writes them."""
    xyxy = np.array([item.box_xyxy for item in objects], dtype=np.float64).reshape(-1, 4)
    boxes = Boxes(xyxy, tuple(item.label for item in objects), image_size=image_size)
    return cast(Boxes, canonical(boxes, Task.OD))


def _size(made: Scene | TextLine | Page) -> Size:
    height, width = made.image.shape[:2]
    return width, height


def _chosen(scene: Scene, task: Task) -> SceneObject | None:
    """Choose the object that a task asks about, the same for the same scene."""
    if not scene.objects:
        return None
    return scene.objects[zlib.crc32(f"{scene.source}{task.token}".encode()) % len(scene.objects)]


def _telling(made: Scene | TextLine | Page, task: Task, text: str) -> Record:
    """Answer with a text."""
    result = Text(image_size=_size(made), text=text)
    return Record(made.image, task, "", None, result, made.source)


def _detection(scene: Scene, task: Task) -> Record:
    boxes = ordered_boxes(scene.objects, _size(scene))
    return Record(scene.image, task, "", None, boxes, scene.source)


def _proposals(scene: Scene, task: Task) -> Record:
    rows = [("", item) for item in large_first(scene.objects)]
    return Record(scene.image, task, "", None, labelled_boxes(scene, rows), scene.source)


def _dense_captions(scene: Scene, task: Task) -> Record:
    rows = [(attributes(scene, number), item) for number, item in enumerate(scene.objects)]
    rows.sort(key=lambda row: (row[0], -area(row[1]), row[1].box_xyxy))
    return Record(scene.image, task, "", None, labelled_boxes(scene, rows), scene.source)


def _category_of_region(scene: Scene, task: Task) -> Record | None:
    item = _chosen(scene, task)
    if item is None:
        return None
    text = Text(image_size=_size(scene), text=item.label)
    return Record(scene.image, task, "", item.box_xyxy, text, scene.source)


def _description_of_region(scene: Scene, task: Task) -> Record | None:
    item = _chosen(scene, task)
    if item is None:
        return None
    words = region_description(scene, scene.objects.index(item))
    text = Text(image_size=_size(scene), text=words)
    return Record(scene.image, task, "", item.box_xyxy, text, scene.source)


def _grounded_phrases(scene: Scene, task: Task) -> Record | None:
    phrases = caption_phrases(scene)
    if not phrases:
        return None
    rows = [(phrase, item) for phrase, group in phrases.items() for item in large_first(group)]
    boxes = labelled_boxes(scene, rows)
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


def _placed_reading(line: TextLine, task: Task) -> Record:
    quads = Quads(image_size=_size(line), quads=line.quad[None], labels=(line.text,))
    return Record(line.image, task, "", None, quads, line.source)


def _page_lines(page: Page, task: Task) -> Record:
    quads = np.array([line.quad for line in page.lines])
    result = Quads(quads, tuple(line.text for line in page.lines), image_size=_size(page))
    return Record(page.image, task, "", None, result, page.source)


def _part_of_page(page: Page, task: Task) -> Record:
    """Ask for one line or, half of the time, for one block."""
    rng = drawing(page.source, task)
    chosen = page.lines[int(rng.integers(len(page.lines)))]
    block = [line for line in page.lines if line.block == chosen.block]
    part = block if rng.random() < 0.5 else [chosen]
    text = Text(image_size=_size(page), text=_joined(part))
    region = bounding_box(np.concatenate([line.quad for line in part])).tolist()
    return Record(page.image, task, "", _inside(region, _size(page)), text, page.source)


def _joined(lines: Sequence[PageLine]) -> str:
    return "\n".join(line.text for line in lines)


def _inside(box: Sequence[float], size: Size) -> Box:
    """Cut the rounding of turned quads at the border of the picture."""
    x_min, y_min, x_max, y_max = box
    return max(0.0, x_min), max(0.0, y_min), min(float(size[0]), x_max), min(float(size[1]), y_max)


SCENE_TASKS: Mapping[Task, Callable[[Scene, Task], Record | None]] = {
    Task.OD: _detection,
    Task.CAPTION: lambda scene, task: _telling(scene, task, brief_caption(scene)),
    Task.DETAILED_CAPTION: lambda scene, task: _telling(scene, task, detailed_caption(scene)),
    Task.MORE_DETAILED_CAPTION: lambda scene, task: _telling(scene, task, paragraph_caption(scene)),
    Task.DENSE_REGION_CAPTION: _dense_captions,
    Task.REGION_PROPOSAL: _proposals,
    Task.CAPTION_TO_PHRASE_GROUNDING: _grounded_phrases,
    Task.OPEN_VOCABULARY_DETECTION: _boxes_of_label,
    Task.REFERRING_EXPRESSION_SEGMENTATION: referring_segmentation,
    Task.REGION_TO_SEGMENTATION: region_segmentation,
    Task.REGION_TO_CATEGORY: _category_of_region,
    Task.REGION_TO_DESCRIPTION: _description_of_region,
}
# What replaces the makers above where a vocabulary is given, from which absent things are named.
OPEN_TASKS: Mapping[Task, Callable[[Scene, Task, tuple[str, ...]], Record | None]] = {
    Task.CAPTION_TO_PHRASE_GROUNDING: grounding,
    Task.OPEN_VOCABULARY_DETECTION: open_detection,
}
LINE_TASKS: Mapping[Task, Callable[[TextLine, Task], Record]] = {
    Task.OCR: lambda line, task: _telling(line, task, line.text),
    Task.OCR_WITH_REGION: _placed_reading,
}
PAGE_TASKS: Mapping[Task, Callable[[Page, Task], Record]] = {
    Task.OCR: lambda page, task: _telling(page, task, _joined(page.lines)),
    Task.OCR_WITH_REGION: _page_lines,
    Task.REGION_TO_OCR: _part_of_page,
}


def scene_records(
    scene: Scene,
    tasks: Sequence[Task] = tuple(SCENE_TASKS),
    *,
    vocabulary: Sequence[str] = (),
) -> tuple[Record, ...]:
    """Make one record per task.

    Tasks about one object choose it by the scene's name, so the same scene always gives the same
    records. A scene has no record of a task that it offers nothing to ask about: one without
    objects, or one whose objects no phrase tells apart or no few polygons outline.

    Args:
        vocabulary: category names that grounding and open-vocabulary detection may also ask for
            in vain, `kit.categories` for instance. Left out, all that they ask for is there.
    """
    _check(tasks, SCENE_TASKS, "scenes")
    made = (
        OPEN_TASKS[task](scene, task, tuple(vocabulary))
        if vocabulary and task in OPEN_TASKS
        else SCENE_TASKS[task](scene, task)
        for task in tasks
    )
    return tuple(record for record in made if record is not None)


def line_records(line: TextLine, tasks: Sequence[Task] = tuple(LINE_TASKS)) -> tuple[Record, ...]:
    """Make one record per task."""
    _check(tasks, LINE_TASKS, "lines")
    return tuple(LINE_TASKS[task](line, task) for task in tasks)


def page_records(page: Page, tasks: Sequence[Task] = tuple(PAGE_TASKS)) -> tuple[Record, ...]:
    """Make one record per task; the line or block to read is chosen by the page's name."""
    _check(tasks, PAGE_TASKS, "pages")
    return tuple(PAGE_TASKS[task](page, task) for task in tasks)


def _check(tasks: Sequence[Task], known: Mapping[Task, object], what: str) -> None:
    unknown = [task.token for task in tasks if task not in known]
    if unknown:
        raise DataError(
            f"{what} make no records of task {unknown[0]!r}; choose among "
            f"{', '.join(task.token for task in known)}"
        )
