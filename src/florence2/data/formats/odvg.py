"""ODVG, the JSON lines of Grounding DINO and its kin: objects of classes, and phrases of captions.

    {"filename": "1.jpg", "height": 480, "width": 640,
     "detection": {"instances": [{"bbox": [1, 2, 3, 4], "label": 0, "category": "dog"}]},
     "grounding": {"caption": "a dog barks", "regions": [{"bbox": [1, 2, 3, 4], "phrase": "dog"}]}}

A row has one of the two, or both. A box is `x_min, y_min, x_max, y_max`; a region may have a list
of them. Where objects have a number alone, a JSON file beside the lines tells the names
(`label_map.json`: `{"0": "dog"}`).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from florence2.data.files import field_of, find_file, number, read_json, read_json_lines
from florence2.data.formats.coco_tables import picture_folders
from florence2.data.image_files import find_picture, named_picture
from florence2.data.objects import (
    OBJECT_TASKS,
    LabelledObject,
    LabelledPicture,
    checked_object,
    chosen_tasks,
    object_records,
)
from florence2.data.phrases import grounding_records
from florence2.data.recognition import recognize_json
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.errors import DataError, Florence2Error
from florence2.geometry import Box, Size
from florence2.tasks import Task

PATTERNS = ("*.jsonl", "*/*.jsonl", "*.json", "*/*.json")
GROUNDING = Task.CAPTION_TO_PHRASE_GROUNDING
LISTS = {"detection": "instances", "grounding": "regions"}
Row = dict[str, Any]


def read_odvg(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield records of a file of JSON lines, or of the one that a folder holds.

    Args:
        path: the file, or a folder with it.
        report: counts what cannot be used.
        tasks: tasks of `OBJECT_TASKS` for rows of objects, `<CAPTION_TO_PHRASE_GROUNDING>` for
            those of captions; detection and grounding if none is given.
        split: which part of a folder with several files.
    """
    file = find_file(path, PATTERNS, split, report, accept=is_odvg)
    tasks = tasks or (Task.OD, GROUNDING)
    tasks = chosen_tasks(tasks, (*OBJECT_TASKS, GROUNDING), Task.OD, f"file {str(file)!r}")
    of_objects = tuple(task for task in tasks if task in OBJECT_TASKS)
    num_rows, are_shares = _first_look(file)
    if are_shares:
        report.add(Problem.SHARES, file.name, "all sides of boxes are at most 1")
    names = _names_beside(file)
    folders = picture_folders(file)
    for where, row in read_json_lines(file, report):
        try:
            name = field_of(row, "filename", row.get("file_name"))
            groups = {key: _regions(row, key) for key in LISTS if key in row}
            if not groups:
                raise DataError("it has neither 'detection' nor 'grounding'")
            found = named_picture(name, folders, report, where, _annotated(row))
        except Florence2Error as error:
            report.add(Problem.ROW, where, error)
            report.name_picture(find_picture(str(row.get("filename")), folders))
            continue
        if found is None:
            continue
        path, size = found
        where = f"{where}, {path.name}"
        scale = size if are_shares else (1, 1)
        for key, regions in groups.items():
            named = [(each, _label(each, key, names)) for each in regions]
            objects = [
                item
                for each, label in named
                for item in _objects(each, label, size, scale, report, where)
            ]
            picture = LabelledPicture.of(path, size, objects, where)
            if not (of_objects if key == "detection" else GROUNDING in tasks):
                report.add(Problem.OTHER_TASK, where, key)
            elif key == "grounding":
                caption = row[key].get("caption")
                yield from grounding_records(picture, str(caption or ""), report)
            elif num_rows[name] > 1:
                what = "its objects stand in several rows; write them into one"
                report.add(Problem.DUPLICATE, where, what)
            else:
                yield from object_records(picture, of_objects, report)


def is_odvg(file: Path) -> bool:
    """Tell by its head whether a file is of this kind."""
    found = recognize_json(file)
    return found is not None and found.format == "odvg"


def _first_look(file: Path) -> tuple[Counter[str], bool]:
    """How many rows tell the objects of each picture, and whether no box reaches beyond 1."""
    num_rows: Counter[str] = Counter()
    whole = fractions = 0
    for _, row in read_json_lines(file, ReadReport()):
        try:
            groups = {key: _regions(row, key) for key in LISTS if key in row}
            boxes = [box for each in groups.values() for region in each for box in _boxes(region)]
        except Florence2Error:
            continue
        if "detection" in groups:
            num_rows[str(row.get("filename", row.get("file_name")))] += 1
        whole += sum(max(box) > 1 for box in boxes)
        fractions += sum(any(side % 1 for side in box) for box in boxes)
    return num_rows, bool(fractions and not whole)


def _names_beside(file: Path) -> dict[str, str]:
    """The names of numbered classes, from the JSON files beside the lines or one folder up."""
    names: dict[str, str] = {}
    for place in ("../*label*map*.json", "*label*map*.json"):
        for found in sorted(file.parent.glob(place)):
            try:
                given = read_json(found)
            except Florence2Error:
                continue
            if isinstance(given, dict) and all(isinstance(name, str) for name in given.values()):
                names |= given
    return names


def _regions(row: Row, key: str) -> list[Row]:
    group = row[key]
    regions = group.get(LISTS[key]) if isinstance(group, dict) else None
    if not isinstance(regions, list) or not all(isinstance(each, dict) for each in regions):
        raise DataError(f"field {key!r} has no list {LISTS[key]!r} of objects")
    return regions


def _annotated(row: Row) -> Size | None:
    if not row.get("width") or not row.get("height"):
        return None
    return int(number(row["width"], "width")), int(number(row["height"], "height"))


def _label(region: Row, key: str, names: dict[str, str]) -> str:
    """The phrase of a region, or the class of an object by its name or its number."""
    given = region.get("phrase" if key == "grounding" else "category")
    if key == "detection" and not isinstance(given, str):
        given = names.get(str(region.get("label")))
    return given if isinstance(given, str) else ""


def _objects(
    region: Row, label: str, size: Size, scale: Size, report: ReadReport, where: str
) -> list[LabelledObject | None]:
    """The objects of a region, `None` for each that was lost."""
    try:
        boxes = _boxes(region)
    except Florence2Error as error:
        report.add(Problem.ROW, where, error)
        return [None]
    if not label.strip():
        what = f"{region!r} has no name; write its class or phrase, or a label_map.json"
        report.add(Problem.LABEL, where, what)
        return [None] * len(boxes)
    sides = (*scale, *scale)
    scaled = ([side * by for side, by in zip(box, sides, strict=True)] for box in boxes)
    return [checked_object(label, box, (), size, report, where) for box in scaled]


def _boxes(region: Row) -> list[Box]:
    given = region.get("bbox")
    boxes = given if isinstance(given, list) and given and isinstance(given[0], list) else [given]
    found: list[Box] = []
    for box in boxes:
        if not isinstance(box, list) or len(box) != 4:
            raise DataError(f"bbox is {box!r}; give x_min, y_min, x_max, y_max")
        x_min, y_min, x_max, y_max = (number(side, "a side of bbox") for side in box)
        found.append((x_min, y_min, x_max, y_max))
    return found
