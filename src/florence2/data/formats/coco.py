"""COCO files: objects with boxes and outlines, or captions.

Boxes are `x, y, width, height` in pixels, continuous, so nothing is added or taken off. An outline
is a list of polygons, or a mask as run lengths, whose parts become polygons. Crowds (`iscrowd`)
and groups (`isgroup`) stand for objects that nobody told apart; they are to be ignored. Ids may be
numbers or numbers as text. Boxes of a file whose sides are all at most 1 are shares of the picture.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from florence2.data.files import JSON_ESCAPES, field_of, find_file, number, read_text
from florence2.data.image_files import PictureFolder, find_picture, named_picture
from florence2.data.masks import decode_run_lengths, mask_outlines
from florence2.data.objects import (
    OBJECT_TASKS,
    LabelledObject,
    LabelledPicture,
    checked_object,
    chosen_tasks,
    object_records,
    whole_boxes,
)
from florence2.data.parts import part_named
from florence2.data.recognition import is_coco
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.errors import DataError, Florence2Error, writing
from florence2.geometry import Array, Box, Size, bounding_box, box_area, polygon_area
from florence2.results import Boxes, Polygons, Text
from florence2.tasks import CAPTION_TASKS, Task, asked_words

PLACES = ("annotations/{}", "{}", "*/{}", "*/annotations/{}")
OBJECT_FILES = ("instances_*.json", "_annotations.coco.json", "*.json")
CAPTION_FILES = ("captions_*.json", "*.json")

Row = dict[str, Any]
CROWD_FLAGS = frozenset({"iscrowd", "crowd"})
IGNORE_FLAGS = frozenset({"isgroup", "isgroupof", "groupof", "ignore", "ignored", "difficult"})
_WHOLE = re.compile(r"-?[0-9]{1,18}")


def coco_patterns(tasks: Sequence[Task]) -> list[str]:
    """Return the names to look for in a folder, the surest first."""
    names = CAPTION_FILES if any(task.is_caption for task in tasks) else OBJECT_FILES
    return [place.format(name) for name in names for place in PLACES]


def read_coco(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield records of a COCO file, or of the one that a folder holds.

    Args:
        path: the JSON file, or a folder with it (`annotations/instances_train2017.json`,
            `train/_annotations.coco.json`, or the only JSON file there).
        report: counts what cannot be used.
        tasks: tasks of `OBJECT_TASKS` for a file of objects, detection if none is given; for a file
            of captions the one task they answer, `<CAPTION>` if none is given.
        split: which part of a folder with several files.
    """
    file = find_file(path, coco_patterns(tasks), split, report, accept=is_coco)
    data = _load(file)
    rows = [row for row in data["annotations"] if isinstance(row, dict)]
    by_image, lost = _by_image(data, report, file.name)
    captions = any("caption" in row for row in rows[:1])
    what = f"file {str(file)!r}"
    allowed = CAPTION_TASKS if captions else tuple(OBJECT_TASKS)
    tasks = chosen_tasks(tasks, allowed, allowed[0] if captions else Task.OD, what)
    if captions and len(tasks) > 1:
        raise DataError(f"{what} holds captions of one kind; choose one task, not {tasks!r}")
    names = {} if captions else _class_names(data, report, file.name)
    shares = not captions and _are_shares(rows)
    if shares:
        report.add(Problem.SHARES, file.name, "all sides of boxes are at most 1")
    folders = _picture_folders(file)
    for image in _images(data, folders, report, file.name):
        found_rows = by_image.get(image["id"], [])
        where = f"{file.name}, image {image['id']!r}"
        if (found := _picture(image, folders, report, where)) is None:
            continue
        if captions:
            yield from _caption_records(found_rows, *found, tasks[0], report, where)
            continue
        scale = found[1] if shares else (1, 1)
        objects = [_object(row, names, found[1], scale, report, file.name) for row in found_rows]
        picture = LabelledPicture.of(*found, [*objects, *lost.get(image["id"], ())], where)
        yield from object_records(picture, tasks, report)


def _load(file: Path) -> Row:
    try:
        data = json.loads(read_text(file))
    except (ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"file {str(file)!r} is no JSON ({error})") from error
    for key in ("images", "annotations"):
        if not isinstance(data, dict) or not isinstance(data.get(key), list):
            raise DataError(f"file {str(file)!r} has no list {key!r}; a COCO file has one")
    return dict(data)


def _images(data: Row, folders: Sequence[Path], report: ReadReport, file: str) -> Iterator[Row]:
    """Yield the images that have an id of their own, with the id as `_key` writes it."""
    same = _same_pictures(data)
    keys = Counter(_key(image.get("id")) for image in data["images"] if isinstance(image, dict))
    for index, image in enumerate(data["images"]):
        key = _key(image.get("id")) if isinstance(image, dict) else None
        if key is None:
            report.add(Problem.ROW, f"{file}, images[{index}]", "this is no object with an id")
            _name(image, folders, report)
        elif keys[key] > 1:
            what = f"image id {key!r} is given {keys[key]} times: whose its annotations are is open"
            report.add(Problem.DUPLICATE, f"{file}, images[{index}]", what)
            _name(image, folders, report)
        elif key in same:
            what = f"image {image['file_name']!r} has the ids {same[key]!r} and {key!r}: joined"
            report.add(Problem.DUPLICATE, f"{file}, images[{index}]", what)
        else:
            yield {**image, "id": key}


def _same_pictures(data: Row) -> dict[Any, Any]:
    """Ids of images to the first id of the same file, where it has several."""
    first: dict[str, Any] = {}
    same: dict[Any, Any] = {}
    for image in data["images"]:
        if not isinstance(image, dict) or not isinstance(name := image.get("file_name"), str):
            continue
        key = _key(image.get("id"))
        if key is not None and first.setdefault(name, key) != key:
            same[key] = first[name]
    return same


def _key(given: Any) -> int | str | None:
    """An id as files refer to it: 7, 7.0 and "7" are one; `None` for what is no id."""
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        return None
    text = str(given).strip().removesuffix(".0")
    return int(text) if _WHOLE.fullmatch(text) else text or None


def _by_image(
    data: Row, report: ReadReport, file: str
) -> tuple[dict[Any, list[Row]], dict[Any, list[None]]]:
    """Group annotations by image; and for each image one `None` for each that was lost.

    An annotation of an image that the file does not list is of no picture here. One that names no
    image may be of any picture, so all lose one.
    """
    known = {_key(row.get("id")) for row in data["images"] if isinstance(row, dict)} - {None}
    same = _same_pictures(data)
    first: dict[Any, Row] = {}
    groups: dict[Any, list[Row]] = {}
    lost: dict[Any, list[None]] = {}
    for index, row in enumerate(data["annotations"]):
        where = f"{file}, annotations[{index}]"
        image_id = _key(row.get("image_id")) if isinstance(row, dict) else None
        image_id = same.get(image_id, image_id)
        if image_id is None or image_id not in known:
            report.add(Problem.ROW, where, f"this belongs to no image; image_id is {image_id!r}")
            if image_id is None:
                for each in known:
                    lost.setdefault(each, []).append(None)
            continue
        name = _key(row.get("id"))
        # An equal id with other content is another object.
        if name is not None and first.setdefault(name, row) is not row and first[name] == row:
            report.add(Problem.DUPLICATE, where, f"annotation {name!r} is given twice")
            continue
        groups.setdefault(image_id, []).append(row)
    return groups, lost


def _class_names(data: Row, report: ReadReport, file: str) -> dict[Any, str]:
    rows = data.get("categories")
    if not isinstance(rows, list):
        raise DataError(f"file {file!r} has no list 'categories'; boxes need class names")
    names: dict[Any, str] = {}
    unclear: set[Any] = set()  # of two names: objects of these are lost
    for index, row in enumerate(rows):
        where = f"{file}, categories[{index}]"
        if not isinstance(row, dict) or not isinstance(row.get("name"), str):
            report.add(Problem.LABEL, where, f"{row!r} has no name")
        elif (key := _key(row.get("id"))) is None:
            report.add(Problem.LABEL, where, f"{row['id']!r} is no id" if "id" in row else "no id")
        elif key in names:
            report.add(Problem.DUPLICATE, where, f"class id {key!r} is given twice")
            if names[key] != row["name"]:
                unclear.add(key)
        else:
            names[key] = row["name"]
    return {key: name for key, name in names.items() if key not in unclear}


def _picture_folders(file: Path) -> tuple[Path, ...]:
    """Return where pictures of an annotation file may be."""
    here, root = file.parent, file.parent.parent
    part = file.stem.rpartition("_")[2]  # instances_train2017
    named = (here / "images", here / "data", root / part, root / "images" / part, root / "images")
    beside = (folder for folder in sorted(here.iterdir()) if part_named(folder.name) is None)
    return (here, *named, root, *(folder for folder in beside if folder.is_dir()))


def _picture(
    image: Row, folders: Sequence[Path], report: ReadReport, where: str
) -> tuple[Path, Size] | None:
    try:
        # LVIS tells only where a picture was on the web.
        url = image.get("coco_url")
        name = field_of(image, "file_name", url if isinstance(url, str) else None)
        annotated = None
        if image.get("width") and image.get("height"):
            annotated = int(number(image["width"], "width")), int(number(image["height"], "height"))
    except Florence2Error as error:
        report.add(Problem.ROW, where, error)
        _name(image, folders, report)
        return None
    if isinstance(url, str) and find_picture(name, folders) is None:
        name = urlsplit(url).path.rpartition("/")[2] or name
    return named_picture(name, folders, report, where, annotated)


def _name(image: Any, folders: Sequence[Path], report: ReadReport) -> None:
    """Note the picture of a row that cannot be used."""
    name = image.get("file_name") if isinstance(image, dict) else None
    if isinstance(name, str):
        report.name_picture(find_picture(name, folders))


def _caption_records(
    rows: Sequence[Row], path: Path, size: Size, task: Task, report: ReadReport, where: str
) -> Iterator[Record]:
    texts = [str(row.get("caption") or "").strip() for row in rows]
    if not texts or not all(texts):
        what = "a caption is empty" if texts else "it has no caption"
        report.add(Problem.NO_TEXT, where, f"{what} ({path.name})")
    for text in filter(None, texts):
        yield from report.accept(
            Record(path, task, "", None, Text(text, image_size=size), where), where
        )


def _object(
    row: Row, names: dict[Any, str], size: Size, scale: Size, report: ReadReport, file: str
) -> LabelledObject | None:
    """One object, or `None` where it was lost; `scale` multiplies boxes."""
    where = f"{file}, annotation {row.get('id')!r}"
    flags = _flags(row)
    is_crowd = bool(flags & CROWD_FLAGS)
    is_ignored = is_crowd or bool(flags & IGNORE_FLAGS)
    class_id = _key(row.get("category_id"))
    if class_id not in names:
        given = row.get("category_id")
        report.add(Problem.LABEL, where, f"category_id {given!r} is no class of this file")
        return None
    try:
        box = _box(row.get("bbox"), scale)
        # The outline of a crowd is asked by nobody; what is around it is enough.
        parts = [] if is_crowd and box else _parts(row.get("segmentation"), size, report, where)
    except Florence2Error as error:
        report.add(Problem.ROW, where, error)
        return None
    item = checked_object(names[class_id], box, parts, size, report, where)
    if item is not None and is_ignored:
        report.add(Problem.IGNORED, where, "a crowd" if is_crowd else "a group, or to be ignored")
        return replace(item, is_ignored=True, is_crowd=is_crowd)
    return item


def _are_shares(rows: Sequence[Row]) -> bool:
    """Whether the boxes of a file are shares of the pictures: none reaches beyond 1."""
    boxes = [row["bbox"] for row in rows if isinstance(row.get("bbox"), list) and row["bbox"]]
    try:
        sides = np.array(boxes, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return False
    return sides.ndim == 2 and bool((sides <= 1.0).all() and (sides % 1 != 0).any())


def _flags(row: Row) -> set[str]:
    """The names of what is set of an annotation and its attributes, in small letters alone."""
    attributes = row.get("attributes")
    given = [*row.items(), *(attributes.items() if isinstance(attributes, dict) else ())]
    return {re.sub(r"[\W_]", "", name.lower()) for name, value in given if _is_set(value)}


def _is_set(value: Any) -> bool:
    return value.strip().lower() in ("1", "true", "yes") if isinstance(value, str) else bool(value)


def _box(given: Any, scale: Size) -> Box | None:
    if not given:
        return None
    if not isinstance(given, list) or len(given) != 4:
        raise DataError(f"bbox is {given!r}; give x, y, width, height")
    x, y, width, height = (number(value, "a side of bbox") for value in given)
    return x * scale[0], y * scale[1], (x + width) * scale[0], (y + height) * scale[1]


def _parts(given: Any, size: Size, report: ReadReport, where: str) -> list[Array]:
    """Return the polygons of an outline, whichever way it is written."""
    if not given:
        return []
    if isinstance(given, dict):
        mask = decode_run_lengths(given)
        if mask.shape[::-1] != size:
            raise DataError(f"the mask is for {mask.shape[::-1]!r} pixels, the picture has {size}")
        outlines, num_holes = mask_outlines(mask)
        if num_holes:
            report.add(Problem.HOLES, where, f"{num_holes} holes")
        return outlines
    if not isinstance(given, list):
        raise DataError(f"segmentation is {given!r}; give polygons or run lengths")
    parts = []
    if given and not any(isinstance(each, list) for each in given) and len(given) >= 6:
        given = [given]  # one polygon, without the list around it
    for polygon in given:
        if not isinstance(polygon, list) or len(polygon) % 2:
            raise DataError(f"polygon {polygon!r} is no list of x, y, x, y, ...")
        numbers = [number(value, "a coordinate of a polygon") for value in polygon]
        parts.append(np.array(numbers, dtype=np.float64).reshape(-1, 2))
    return parts


def write_coco(records: Iterable[Record], path: Path) -> None:
    """Write records of boxes with labels, of polygons or of captions.

    Polygons get the text they were asked with as class name. Records of one picture are joined.
    Pictures that have no file are saved as PNG in the folder `<name of the file>_images`.
    """
    pictures = PictureFolder.beside(path)
    images: dict[str, Row] = {}
    classes: dict[str, int] = {}
    annotations: list[Row] = []
    for record in records:
        name = pictures.name_of(record)
        width, height = record.result.image_size
        image = {"id": len(images) + 1, "file_name": name, "width": width, "height": height}
        image_id = images.setdefault(name, image)["id"]
        for row in _annotations(record):
            if (label := row.pop("label", None)) is not None:
                row["category_id"] = classes.setdefault(label, len(classes) + 1)
            annotations.append({"id": len(annotations) + 1, "image_id": image_id, **row})
    categories = [{"id": class_id, "name": name} for name, class_id in classes.items()]
    data = {"images": [*images.values()], "annotations": annotations, "categories": categories}
    with writing(path):
        text = json.dumps(data, ensure_ascii=False)
        path.write_text(text, encoding="utf-8", errors=JSON_ESCAPES)


def _annotations(record: Record) -> Iterator[Row]:
    result = record.result
    if isinstance(result, Boxes) and record.task is not Task.REGION_PROPOSAL:
        whole_boxes(result, record.source)
        for box, label in zip(result.xyxy, result.labels, strict=True):
            yield _row(label, box, [], float(box_area(box)))
    elif isinstance(result, Polygons) and record.text_input:
        for parts in result.polygons:
            area = float(sum(map(polygon_area, parts)))
            outline = [part.ravel().tolist() for part in parts]
            yield _row(record.text_input, bounding_box(np.concatenate(parts)), outline, area)
    elif isinstance(result, Text) and record.task is not None and record.task.is_caption:
        yield {"caption": result.text}
    else:
        raise DataError(
            f"a COCO file cannot hold an answer of {asked_words(record.task)}; give boxes with "
            "labels, segmented phrases or captions"
        )


def _row(label: str, box: Array, outline: list[list[float]], area: float) -> Row:
    x_min, y_min, x_max, y_max = box.tolist()
    xywh = [x_min, y_min, x_max - x_min, y_max - y_min]
    outlined = {"area": area, "segmentation": outline, "iscrowd": 0}
    return {"label": label, "bbox": xywh, **outlined}
