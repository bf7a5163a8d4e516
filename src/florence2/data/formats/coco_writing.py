"""COCO files written: objects and captions, and detections as the results that evaluators take."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from florence2.data.files import JSON_ESCAPES
from florence2.data.formats.coco_rows import Row
from florence2.data.formats.coco_tables import (
    class_names,
    load_coco,
    own_images,
    picture_folders,
)
from florence2.data.image_files import PictureFolder, find_picture
from florence2.data.objects import (
    PARTIAL_TASKS,
    refuse_unplaced,
    unplaced_words,
    whole_boxes,
)
from florence2.data.records import Record
from florence2.data.report import ReadReport
from florence2.errors import DataError, writing
from florence2.geometry import Array, bounding_box, box_area, polygon_area
from florence2.results import Boxes, Polygons, Text
from florence2.tasks import Task, asked_words


def write_coco(records: Iterable[Record], path: Path) -> None:
    """Write records of boxes with labels, of polygons or of captions.

    Polygons get the text they were asked with as class name. Records of one picture are joined.
    Pictures that have no file are saved as PNG in the folder `<name of the file>_images`.
    Objects to be ignored are written as crowds, which every tool leaves out. Pictures that
    were asked about some names alone have `neg_category_ids`, as those of LVIS.
    """
    pictures = PictureFolder.beside(path)
    images: dict[str, Row] = {}
    complete: set[str] = set()  # pictures of which all objects were asked
    classes: dict[str, int] = {}
    annotations: list[Row] = []
    for record in records:
        words = unplaced_words(record, crowds=True, difficult=True)
        refuse_unplaced(record, "a COCO file", words)
        name = pictures.name_of(record)
        if record.task not in PARTIAL_TASKS:
            complete.add(name)
        width, height = record.result.image_size
        image = {"id": len(images) + 1, "file_name": name, "width": width, "height": height}
        image_id = images.setdefault(name, image)["id"]
        for row in (*_annotations(record), *_crowds(record)):
            if (label := row.pop("label", None)) is not None:
                row["category_id"] = classes.setdefault(label, len(classes) + 1)
            annotations.append({"id": len(annotations) + 1, "image_id": image_id, **row})
    for name in images.keys() - complete:
        images[name] |= {"neg_category_ids": [], "not_exhaustive_category_ids": []}
    categories = [{"id": class_id, "name": name} for name, class_id in classes.items()]
    data = {"images": [*images.values()], "annotations": annotations, "categories": categories}
    with writing(path):
        text = json.dumps(data, ensure_ascii=False)
        path.write_text(text, encoding="utf-8", errors=JSON_ESCAPES)


def write_coco_results(records: Iterable[Record], path: Path, truth: Path) -> None:
    """Write detections as COCO results, the list that evaluators take beside the file of the truth.

    Args:
        records: boxes with labels and scores; only those of pictures and classes of the truth.
        path: the file to write.
        truth: the COCO file whose ids of images and classes are used.
    """
    data = load_coco(truth)
    classes = {name: key for key, name in class_names(data, ReadReport(), truth.name).items()}
    folders = picture_folders(truth)
    images = {
        found.resolve(): image["id"]
        for image in own_images(data["images"], folders, ReadReport(), truth.name)
        if (found := find_picture(str(image.get("file_name")), folders))
    }
    rows = []
    for record in records:
        picture = record.image.resolve() if isinstance(record.image, Path) else None
        if picture not in images:
            raise DataError(f"record {record.source!r} is of no picture of {str(truth)!r}")
        for row in _annotations(record):
            if row.get("label") not in classes:
                raise DataError(f"label {row.get('label')!r} is no class of {str(truth)!r}")
            if "score" not in row or row["segmentation"]:
                raise DataError(
                    f"COCO results are boxes with scores; record {record.source!r} has others"
                )
            ids = {"image_id": images[picture], "category_id": classes[row["label"]]}
            rows.append({**ids, "bbox": row["bbox"], "score": row["score"]})
    with writing(path):
        path.write_text(json.dumps(rows), encoding="utf-8")


def _annotations(record: Record) -> Iterator[Row]:
    result = record.result
    if isinstance(result, Boxes) and record.task is not Task.REGION_PROPOSAL:
        whole_boxes(result, record.source)
        scores = result.scores or [None] * len(result.labels)
        for box, label, score in zip(result.xyxy, result.labels, scores, strict=True):
            yield _row(label, box, [], score)
    elif isinstance(result, Polygons) and record.text_input:
        scores = result.scores or [None] * len(result.labels)
        for parts, score in zip(result.polygons, scores, strict=True):
            whole = [part for part in parts if len(part) >= 3 and polygon_area(part) > 0]
            points = np.concatenate([*whole, *([] if whole else parts)])
            boxes = Boxes(bounding_box(points)[None], ("",), image_size=result.image_size)
            yield _row(record.text_input, whole_boxes(boxes, record.source).xyxy[0], whole, score)
    elif isinstance(result, Text) and record.task is not None and record.task.is_caption:
        yield {"caption": result.text}
    else:
        raise DataError(
            f"a COCO file cannot hold an answer of {asked_words(record.task)}; give boxes with "
            "labels, segmented phrases or captions"
        )


def _crowds(record: Record) -> Iterator[Row]:
    """Rows of what is to be ignored: evaluators know `iscrowd`, few know `ignore`."""
    if record.ignored is not None:
        boxes = record.ignored.boxes
        for box, label, is_crowd in zip(
            whole_boxes(boxes, record.source).xyxy, boxes.labels, record.ignored.crowds, strict=True
        ):
            row = _row(label, box, [], None) | {"iscrowd": 1}
            yield row if is_crowd else row | {"ignore": 1}


def _row(label: str, box: Array, parts: Sequence[Array], score: float | None) -> Row:
    x_min, y_min, x_max, y_max = box.tolist()
    xywh = [x_min, y_min, x_max - x_min, y_max - y_min]
    area = float(sum(map(polygon_area, parts)) if parts else box_area(box))
    outline = {"area": area, "segmentation": [part.ravel().tolist() for part in parts]}
    row = {"label": label, "bbox": xywh, **outline, "iscrowd": 0}
    return row if score is None else {**row, "score": score}
