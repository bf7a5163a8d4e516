"""Records of screens: texts, and the parts that can be used."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from florence2.data.ordering import canonical
from florence2.data.records import Record
from florence2.geometry import Size, box_to_quad
from florence2.results import Boxes, Mixed, Polygons, Quads, Text
from florence2.tasks import Task
from florence2_lab.worlds.questions import drawing
from florence2_lab.worlds.screens import Screen
from florence2_lab.worlds.windows import Element

# Elements with their text on them, not beside.
WRITTEN_ON = ("button", "text field", "drop-down", "menu item", "option")


def _size(screen: Screen) -> Size:
    height, width = screen.image.shape[:2]
    return width, height


def _read(screen: Screen, task: Task) -> Record:
    text = "\n".join(line.text for line in screen.lines)
    result = Text(image_size=_size(screen), text=text)
    return Record(screen.image, task, "", None, result, screen.source)


def _read_in_place(screen: Screen, task: Task) -> Record:
    quads = box_to_quad(np.array([line.box for line in screen.lines]))
    texts = tuple(line.text for line in screen.lines)
    result = Quads(quads, texts, image_size=_size(screen))
    return Record(screen.image, task, "", None, result, screen.source)


def _boxes(screen: Screen, rows: Sequence[tuple[str, Element]]) -> Boxes:
    xyxy = np.array([item.box_xyxy for _, item in rows], dtype=np.float64).reshape(-1, 4)
    return Boxes(xyxy, tuple(label for label, _ in rows), image_size=_size(screen))


def _found(screen: Screen, task: Task) -> Record:
    """Find all parts, by what they are, by what they say, or without a name."""
    told: Callable[[Element], str] = {
        Task.OD: lambda item: item.label,
        Task.DENSE_REGION_CAPTION: lambda item: item.description,
        Task.REGION_PROPOSAL: lambda item: "",
    }[task]
    boxes = _boxes(screen, [(told(item), item) for item in screen.elements])
    return Record(screen.image, task, "", None, canonical(boxes, task), screen.source)


def _chosen(screen: Screen, task: Task) -> Element | None:
    """Choose the part that a task asks about, the same for the same screen."""
    able = [item for item in screen.elements if item.text or task is not Task.REGION_TO_OCR]
    if task is Task.REGION_TO_OCR:  # what stands beside a box to tick is not on it
        able = [item for item in able if item.label in WRITTEN_ON]
    return able[int(drawing(screen.source, task).integers(len(able)))] if able else None


def _about_region(screen: Screen, task: Task) -> Record | None:
    item = _chosen(screen, task)
    if item is None:
        return None
    told = {
        Task.REGION_TO_CATEGORY: f"{item.shows} {item.label}".strip(),
        Task.REGION_TO_DESCRIPTION: item.description,
        Task.REGION_TO_OCR: item.text,
    }[task]
    result = Text(image_size=_size(screen), text=told)
    return Record(screen.image, task, "", item.box_xyxy, result, screen.source)


def _asked_for(screen: Screen, task: Task) -> Record | None:
    item = _chosen(screen, task)
    if item is None:
        return None
    name = f"{item.shows} {item.label}".strip()
    same = [
        (name, other)
        for other in screen.elements
        if (other.label, other.shows) == (item.label, item.shows)
    ]
    size = _size(screen)
    nothing = Polygons(image_size=size, polygons=(), labels=())
    result = canonical(Mixed(_boxes(screen, same), nothing, image_size=size), task)
    return Record(screen.image, task, name, None, result, screen.source)


SCREEN_TASKS: Mapping[Task, Callable[[Screen, Task], Record | None]] = {
    Task.OCR: _read,
    Task.OCR_WITH_REGION: _read_in_place,
    Task.OD: _found,
    Task.DENSE_REGION_CAPTION: _found,
    Task.REGION_PROPOSAL: _found,
    Task.OPEN_VOCABULARY_DETECTION: _asked_for,
    Task.REGION_TO_CATEGORY: _about_region,
    Task.REGION_TO_DESCRIPTION: _about_region,
    Task.REGION_TO_OCR: _about_region,
}
