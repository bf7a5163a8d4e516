"""COCO files: objects with boxes and outlines, or captions.

Boxes are `x, y, width, height` in pixels, continuous, so nothing is added or taken off. An outline
is a list of polygons, or a mask as run lengths, whose parts become polygons. Crowds (`iscrowd`)
and groups (`isgroup`) stand for objects that nobody told apart; they are to be ignored. Ids may be
numbers or numbers as text. Boxes of a file whose sides are all at most 1 are shares of the picture.
"""

import gc
import json
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from florence2.data.files import JSON_ESCAPES, field_of, find_files, number, parse_json, read_text
from florence2.data.foreign import is_coco
from florence2.data.formats.coco_rows import (
    CROWD_FLAGS,
    IGNORE_FLAGS,
    PlainRows,
    Row,
    flags_of,
    key_of,
)
from florence2.data.image_files import PictureFolder, find_picture, named_picture
from florence2.data.masks import decode_run_lengths, mask_outlines
from florence2.data.objects import (
    OBJECT_TASKS,
    OUTLINE_TASKS,
    LabelledObject,
    LabelledPicture,
    Searched,
    checked_object,
    chosen_tasks,
    object_records,
    whole_boxes,
)
from florence2.data.parts import part_named
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.errors import DataError, Florence2Error, writing
from florence2.geometry import Array, Box, Size, bounding_box, box_area, polygon_area
from florence2.results import Boxes, Polygons, Text
from florence2.tasks import CAPTION_TASKS, Task, asked_words

PLACES = ("annotations/{}", "{}", "*/{}", "*/annotations/{}")
OBJECT_FILES = ("instances_*.json", "_annotations.coco.json", "*.json")
CAPTION_FILES = ("captions_*.json", "*.json")


def coco_patterns(tasks: Sequence[Task]) -> list[str]:
    """Return the names to look for in a folder, the surest first."""
    names = CAPTION_FILES if any(task.is_caption for task in tasks) else OBJECT_FILES
    return [place.format(name) for name in names for place in PLACES]


def read_coco(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield records of a COCO file, or of those that a folder holds.

    Args:
        path: the JSON file, or a folder with it (`annotations/instances_train2017.json`,
            `train/_annotations.coco.json`, or any JSON files of COCO's kind there).
        report: counts what cannot be used.
        tasks: tasks of `OBJECT_TASKS` for a file of objects, detection if none is given; for a file
            of captions the one task they answer, `<CAPTION>` if none is given.
        split: which part of a folder with several files.
    """
    files = _files(path, tasks, split, report)
    loaded = [_CocoFile(file, tasks, report) for file in files]
    if len(loaded) > 1:
        _require_other_pictures(loaded, path)
        for file in files:
            report.add(Problem.FILES, file.name, f"one of {len(files)}")
    for each in loaded:
        yield from each.records(report)


def _files(path: Path, tasks: Sequence[Task], split: str | None, report: ReadReport) -> list[Path]:
    """The files to read; of several in a folder those that can answer the tasks."""
    files = find_files(path, coco_patterns(tasks), split, report, accept=is_coco)
    if len(files) == 1:
        return files
    told = {file: _tells_captions(file) for file in files}
    wanted = any(task.is_caption for task in tasks) if tasks else all(told.values())
    chosen = [file for file in files if told[file] is wanted]
    for file in files:
        if chosen and told[file] is not wanted:
            what = "captions" if told[file] else "objects"
            report.add(Problem.OTHER_TASK, file.name, f"it holds {what}")
    return chosen or files


def _tells_captions(file: Path) -> bool:
    with file.open("rb") as opened:
        return (
            bool(file.stat().st_size)
            and mmap(opened.fileno(), 0, access=ACCESS_READ).find(b'"caption"') >= 0
        )


def _require_other_pictures(files: Sequence["_CocoFile"], root: Path) -> None:
    """Refuse files of one picture: of two versions or two halves of its objects, nobody knows."""
    seen: dict[Path, Path] = {}
    for each in files:
        for picture in {*each.pictures()}:
            if seen.setdefault(picture, each.file) != each.file:
                raise DataError(
                    f"folder {str(root)!r} holds {seen[picture].name} and {each.file.name}, which"
                    f" both name picture {picture.name!r}; give the path of one of them, or join"
                    " them into one file"
                )


class _CocoFile:
    """A file that was read, of which most rows of objects are kept as arrays alone."""

    def __init__(self, file: Path, tasks: Sequence[Task], report: ReadReport) -> None:
        self.file = file
        self.folders = _picture_folders(file)
        with _without_garbage_collection():
            data = _load(file)
            rows = [row for row in data["annotations"] if isinstance(row, dict)]
            self.rows, image_ids, self.groups, self.lost = _by_image(data, report, file.name)
            self.holds_captions = _hold_captions(rows)
            federated = any(_is_federated(image) for image in data["images"])
            self.tasks = self._chosen(tasks, federated)
            self.names = {} if self.holds_captions else _class_names(data, report, file.name)
            self.searched = _searched(data["images"], self.names) if federated else {}
            self.crowds_are_masks = _are_marked_masks(rows)
            self.shares = not self.holds_captions and _are_shares(rows)
            self.images = data.pop("images")
            del data, rows
            sizes = {} if self.shares else _annotated_sizes(self.images)
            outlines = not OUTLINE_TASKS.isdisjoint(self.tasks)
            self.plain = PlainRows(self.rows, image_ids, sizes, self.names, outlines=outlines)
        if self.shares:
            report.add(Problem.SHARES, file.name, "all sides of boxes are at most 1")
        if self.crowds_are_masks:
            what = "every annotation is a mask with iscrowd 1, and a crowd stands beside objects"
            report.add(Problem.CROWDS, file.name, what)

    def _chosen(self, tasks: Sequence[Task], federated: bool) -> tuple[Task, ...]:
        what = f"file {str(self.file)!r}"
        if not self.holds_captions:
            default = Task.OPEN_VOCABULARY_DETECTION if federated else Task.OD
            return chosen_tasks(tasks, tuple(OBJECT_TASKS), default, what)
        tasks = chosen_tasks(tasks, CAPTION_TASKS, CAPTION_TASKS[0], what)
        if len(tasks) > 1:
            raise DataError(f"{what} holds captions of one kind; choose one task, not {tasks!r}")
        return tasks

    def pictures(self) -> Iterator[Path]:
        """The pictures that it names and that are there."""
        for image in self.images:
            name = image.get("file_name") if isinstance(image, dict) else None
            if isinstance(name, str) and (path := find_picture(name, self.folders)):
                yield path

    def records(self, report: ReadReport) -> Iterator[Record]:
        for image in _images(self.images, self.folders, report, self.file.name):
            where = f"{self.file.name}, image {image['id']!r}"
            if (found := _picture(image, self.folders, report, where)) is None:
                continue
            if self.holds_captions:
                rows = [self.rows[number] or {} for number in self.groups[image["id"]]]
                yield from _caption_records(rows, *found, self.tasks[0], report, where)
                continue
            objects = [*self._objects(image["id"], found[1], report)]
            searched = self.searched.get(image["id"])
            picture = LabelledPicture.of(*found, objects, where, searched)
            yield from object_records(picture, self.tasks, report)

    def _objects(
        self, image_id: Hashable, size: Size, report: ReadReport
    ) -> Iterator[LabelledObject | None]:
        """The objects of an image, `None` for each that was lost."""
        numbers = self.groups[image_id]
        rows = [self.rows[number] for number in numbers]
        plain = [number for number, row in zip(numbers, rows, strict=True) if row is None]
        found = iter(self.plain.objects(plain))
        for row in rows:
            if row is None:
                yield next(found)
            else:
                yield self._object(row, size, report)
        yield from self.lost.get(image_id, ())

    def _object(self, row: Row, size: Size, report: ReadReport) -> LabelledObject | None:
        """One object, or `None` where it was lost."""
        where = f"{self.file.name}, annotation {row.get('id')!r}"
        outline = row.get("segmentation")
        flags = flags_of(row)
        is_crowd = bool(flags & CROWD_FLAGS) and not self.crowds_are_masks
        is_ignored = is_crowd or bool(flags & IGNORE_FLAGS)
        class_id = key_of(row.get("category_id"))
        if class_id not in self.names:
            given = row.get("category_id")
            report.add(Problem.LABEL, where, f"category_id {given!r} is no class of this file")
            return None
        try:
            box = _box(row.get("bbox"), size if self.shares else None)
            # The outline of a crowd is asked by nobody; what is around it is enough.
            parts = [] if is_crowd and box else _parts(outline, size, report, where)
        except Florence2Error as error:
            report.add(Problem.ROW, where, error)
            return None
        item = checked_object(self.names[class_id], box, parts, size, report, where)
        if item is None:
            return None
        if is_ignored:
            what = "a crowd" if is_crowd else "a group, or to be ignored"
            if is_crowd and isinstance(outline, dict):
                what += " (datumaro marks all masks so: write iscrowd 0 if it is one object)"
            report.add(Problem.IGNORED, where, what)
        score = _score(row, report, where)
        return item._replace(is_ignored=is_ignored, is_crowd=is_crowd, score=score)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """A third of the time that JSON takes goes into looking for cycles, which it cannot have."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _load(file: Path) -> Row:
    try:
        data = parse_json(read_text(file))
    except (ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"file {str(file)!r} is no JSON ({error})") from error
    for key in ("images", "annotations"):
        if not isinstance(data, dict) or not isinstance(data.get(key), list):
            raise DataError(f"file {str(file)!r} has no list {key!r}; a COCO file has one")
    return dict(data)


def _hold_captions(rows: Sequence[Row]) -> bool:
    """Whether more rows have captions than have boxes or outlines."""
    captions = sum("caption" in row for row in rows)
    return captions > sum("bbox" in row or "segmentation" in row for row in rows)


def _images(
    images: Sequence[Any], folders: Sequence[Path], report: ReadReport, file: str
) -> Iterator[Row]:
    """Yield the images that have an id of their own, with the id as `key_of` writes it."""
    same = _same_pictures(images)
    keys = Counter(key_of(image.get("id")) for image in images if isinstance(image, dict))
    for index, image in enumerate(images):
        key = key_of(image.get("id")) if isinstance(image, dict) else None
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


def _same_pictures(images: Sequence[Any]) -> dict[Any, Any]:
    """Ids of images to the first id of the same file, where it has several."""
    first: dict[str, Any] = {}
    same: dict[Any, Any] = {}
    for image in images:
        if not isinstance(image, dict) or not isinstance(name := image.get("file_name"), str):
            continue
        key = key_of(image.get("id"))
        if key is not None and first.setdefault(name, key) != key:
            same[key] = first[name]
    return same


def _by_image(
    data: Row, report: ReadReport, file: str
) -> tuple[list[Row | None], list[Hashable], dict[Hashable, list[int]], dict[Hashable, list[None]]]:
    """The annotations of pictures of the file, and what belongs to which.

    Returns:
        the annotations; of each the id of its image; by image the places of its annotations, and
        one `None` for each that was lost. An annotation of an image that the file does not list is
        of no picture here. One that names no image may be of any picture, so all lose one.
    """
    rows: list[Row | None] = []
    image_ids: list[Hashable] = []
    keys = (key_of(row.get("id")) for row in data["images"] if isinstance(row, dict))
    groups: dict[Hashable, list[int]] = {key: [] for key in keys if key is not None}
    same = _same_pictures(data["images"])
    first: dict[Any, Row] = {}
    lost: dict[Hashable, list[None]] = {}
    for index, row in enumerate(data["annotations"]):
        image_id = key_of(row.get("image_id")) if isinstance(row, dict) else None
        if image_id in same:
            image_id = same[image_id]
        if image_id not in groups:
            where = f"{file}, annotations[{index}]"
            report.add(Problem.ROW, where, f"this belongs to no image; image_id is {image_id!r}")
            if image_id is None:
                for each in groups:
                    lost.setdefault(each, []).append(None)
            continue
        name = key_of(row.get("id"))
        # An equal id with other content is another object.
        if name is not None and first.setdefault(name, row) is not row and first[name] == row:
            where = f"{file}, annotations[{index}]"
            report.add(Problem.DUPLICATE, where, f"annotation {name!r} is given twice")
            continue
        groups[image_id].append(len(rows))
        image_ids.append(image_id)
        rows.append(row)
    return rows, image_ids, groups, lost


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
        elif (key := key_of(row.get("id"))) is None:
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
        annotated = _annotated_size(image)
    except Florence2Error as error:
        report.add(Problem.ROW, where, error)
        _name(image, folders, report)
        return None
    if isinstance(url, str) and find_picture(name, folders) is None:
        name = urlsplit(url).path.rpartition("/")[2] or name
    return named_picture(name, folders, report, where, annotated)


def _annotated_size(image: Row) -> Size | None:
    """The size that an image row tells.

    Raises:
        DataError: if it is none.
    """
    if not image.get("width") or not image.get("height"):
        return None
    return int(number(image["width"], "width")), int(number(image["height"], "height"))


def _annotated_sizes(images: Sequence[Any]) -> dict[Hashable, Size]:
    sizes: dict[Hashable, Size] = {}
    for image in images:
        if isinstance(image, dict):
            with suppress(DataError):
                if size := _annotated_size(image):
                    sizes[key_of(image.get("id"))] = size
    return sizes


def _name(image: Any, folders: Sequence[Path], report: ReadReport) -> None:
    """Note the picture of a row that cannot be used."""
    name = image.get("file_name") if isinstance(image, dict) else None
    if isinstance(name, str):
        report.name_picture(find_picture(name, folders))


def _caption_records(
    rows: Iterable[Row], path: Path, size: Size, task: Task, report: ReadReport, where: str
) -> Iterator[Record]:
    texts = [str(row.get("caption") or "").strip() for row in rows]
    if not texts or not all(texts):
        report.add(Problem.NO_TEXT, where, "a caption is empty" if texts else "it has no caption")
    for text in filter(None, texts):
        yield from report.accept(
            Record(path, task, "", None, Text(text, image_size=size), where), where
        )


def _score(row: Row, report: ReadReport, where: str) -> float | None:
    """How sure a detector was; `None` where nobody says."""
    if (given := row.get("score")) is None:
        return None
    with suppress(DataError):
        if 0 <= (score := number(given, "score")) <= 1:
            return score
    report.add(Problem.SCORE, where, f"score {given!r} is not in [0, 1]")
    return None


def _is_federated(image: Any) -> bool:
    """Whether an image tells that not all classes were looked for in it, as those of LVIS do."""
    names = ("neg_category_ids", "not_exhaustive_category_ids")
    return isinstance(image, dict) and any(name in image for name in names)


def _searched(images: Sequence[Any], names: dict[Any, str]) -> dict[Hashable, Searched]:
    """What was looked for in each image of a federated file; joined images say it together."""
    same = _same_pictures(images)
    found: dict[Hashable, Searched] = {}
    for image in images:
        if isinstance(image, dict) and (key := key_of(image.get("id"))) is not None:
            partly, absent = (
                # Of all, where nobody can read of which.
                [name for each, name in names.items() if not isinstance(ids, list) or each in ids]
                for ids in (
                    _plain_ids(image.get("not_exhaustive_category_ids", [])),
                    _plain_ids(image.get("neg_category_ids", [])) or [],
                )
            )
            before = found.get(same.get(key, key), Searched(frozenset(), ()))
            found[same.get(key, key)] = Searched(
                before.partly | {name.strip() for name in partly},
                (*before.absent, *(name.strip() for name in absent if name.strip())),
            )
    return found


def _plain_ids(given: Any) -> list[Any] | None:
    return [key_of(each) for each in given] if isinstance(given, list) else None


def _are_marked_masks(rows: Sequence[Row]) -> bool:
    """Whether all annotations, two or more, are masks as run lengths that are marked as crowds.

    Datumaro marks every mask so. A crowd is what is left beside objects that were told apart, so a
    file of nothing else holds none.
    """
    return len(rows) > 1 and all(
        isinstance(row.get("segmentation"), dict) and flags_of(row) & CROWD_FLAGS for row in rows
    )


def _are_shares(rows: Sequence[Row]) -> bool:
    """Whether the boxes of a file are shares of the pictures: none reaches beyond 1."""
    boxes = [row["bbox"] for row in rows if isinstance(row.get("bbox"), list) and row["bbox"]]
    if any(type(side) in (int, float) and side > 1 for box in boxes for side in box):
        return False  # found at once in most files
    try:
        sides = np.array(boxes, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return False
    return sides.ndim == 2 and bool((sides <= 1.0).all() and (sides % 1 != 0).any())


def _box(given: Any, shares_of: Size | None) -> Box | None:
    """The corners of a box in pixels, given as shares of a picture of this size or in pixels."""
    if not given:
        return None
    if not isinstance(given, list) or len(given) != 4:
        raise DataError(f"bbox is {given!r}; give x, y, width, height")
    x, y, width, height = sides = [number(value, "a side of bbox") for value in given]
    if shares_of is not None:
        across, down = shares_of
        return x * across, y * down, (x + width) * across, (y + height) * down
    if max(x + width, y + height) <= 1 and any(side % 1 for side in sides):
        raise DataError(
            f"bbox {given!r} lies within one pixel, as a share of the picture would, and other"
            " boxes of the file are in pixels; write all in pixels"
        )
    return x, y, x + width, y + height


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


def write_coco_results(records: Iterable[Record], path: Path, truth: Path) -> None:
    """Write detections as COCO results, the list that evaluators take beside the file of the truth.

    Args:
        records: boxes with labels and scores; only those of pictures and classes of the truth.
        path: the file to write.
        truth: the COCO file whose ids of images and classes are used.
    """
    data = _load(truth)
    classes = {name: key for key, name in _class_names(data, ReadReport(), truth.name).items()}
    folders = _picture_folders(truth)
    images = {
        found.resolve(): image["id"]
        for image in _images(data["images"], folders, ReadReport(), truth.name)
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


def _row(label: str, box: Array, parts: Sequence[Array], score: float | None) -> Row:
    x_min, y_min, x_max, y_max = box.tolist()
    xywh = [x_min, y_min, x_max - x_min, y_max - y_min]
    area = float(sum(map(polygon_area, parts)) if parts else box_area(box))
    outline = {"area": area, "segmentation": [part.ravel().tolist() for part in parts]}
    row = {"label": label, "bbox": xywh, **outline, "iscrowd": 0}
    return row if score is None else {**row, "score": score}
