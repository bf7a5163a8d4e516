"""Captions with spans as MDETR has them: COCO's JSON, where each image row is one caption.

    "images": [{"id": 1, "file_name": "1.jpg", "width": 640, "height": 480,
                "caption": "a dog and its ball", "dataset_name": "flickr"}]
    "annotations": [{"id": 1, "image_id": 1, "bbox": [1, 2, 3, 4], "tokens_positive": [[0, 5]]}]

`tokens_positive` are the places in the caption, in characters, that a box belongs to; places with
nothing but space between them are one phrase. `tokens_positive_eval` of an image row tells which
phrases have boxes: where one has none, its caption is not asked. In the files of RefCOCO the whole
caption is an expression that means the box. `finetune_refcoco_train.json`,
`final_flickr_separateGT_train.json` and `final_mixed_train.json` are of this kind.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from florence2.data.files import find_file
from florence2.data.formats.coco_rows import key_of
from florence2.data.formats.coco_tables import load_coco, name_picture, picture_folders, picture_of
from florence2.data.formats.refcoco import Row, marked_object
from florence2.data.objects import LabelledObject, LabelledPicture, chosen_tasks
from florence2.data.phrases import EXPRESSION_TASKS, expression_records, grounding_records
from florence2.data.recognition import recognize_json
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.errors import DataError, Florence2Error
from florence2.geometry import Size
from florence2.tasks import Task

PATTERNS = ("*.json", "annotations/*.json", "*/*.json", "*/annotations/*.json")
EXPRESSIONS = ("refcoco", "refexp", "refclef", "referit")


def read_mdetr(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield records of a file of captions with spans, or of the one that a folder holds.

    Args:
        path: the JSON file, or a folder with it.
        report: counts what cannot be used.
        tasks: some of `EXPRESSION_TASKS`, both if none is given; masks are asked of expressions
            alone.
        split: which part of a folder with several files.
    """
    file = find_file(path, PATTERNS, split, report, accept=is_mdetr)
    tasks = chosen_tasks(
        tasks or EXPRESSION_TASKS, EXPRESSION_TASKS, Task.OD, f"file {str(file)!r}"
    )
    data = load_coco(file)
    folders = picture_folders(file)
    times: dict[int | str | None, int] = {}
    for image in data["images"]:
        key = key_of(image.get("id")) if isinstance(image, dict) else None
        times[key] = times.get(key, 0) + 1
    groups: dict[int | str | None, list[tuple[str, Row]]] = {}
    unclear = False  # an annotation may be of any picture
    for index, row in enumerate(data["annotations"]):
        where = f"{file.name}, annotations[{index}]"
        key = key_of(row.get("image_id")) if isinstance(row, dict) else None
        if key is None or key not in times:
            report.add(Problem.ROW, where, "this belongs to no image")
            unclear = unclear or key is None
        else:
            groups.setdefault(key, []).append((where, row))
    for index, image in enumerate(data["images"]):
        where = f"{file.name}, images[{index}]"
        key = key_of(image.get("id")) if isinstance(image, dict) else None
        if key is None or times[key] > 1:
            what = "no object with an id" if key is None else f"id {key!r} is given twice"
            report.add(Problem.ROW if key is None else Problem.DUPLICATE, where, what)
            name_picture(image, folders, report)
        elif found := picture_of(image, folders, report, where):
            rows = groups.get(key, [])
            where = f"{where}, {found[0].name}"
            yield from _records_of(image, rows, *found, tasks, unclear, report, where)


def is_mdetr(file: Path) -> bool:
    """Tell by its head whether a file is of this kind."""
    found = recognize_json(file)
    return found is not None and found.format == "mdetr"


def _records_of(
    image: Row,
    rows: Sequence[tuple[str, Row]],
    path: Path,
    size: Size,
    tasks: Sequence[Task],
    unclear: bool,
    report: ReadReport,
    where: str,
) -> Iterator[Record]:
    """Yield the records of one caption."""
    caption = image.get("caption")
    if not isinstance(caption, str) or not caption.strip():
        report.add(Problem.NO_TEXT, where, "it has no caption")
        return
    is_expression = str(image.get("dataset_name")).lower().startswith(EXPRESSIONS)
    objects: list[LabelledObject | None] = [None] if unclear else []
    missing = set() if is_expression else _expected(caption, image.get("tokens_positive_eval"))
    for place, row in rows:
        place = f"{place}, {path.name}"
        try:
            phrases = [caption] if is_expression else _phrases(caption, row.get("tokens_positive"))
        except Florence2Error as error:
            report.add(Problem.LABEL, place, error)
            objects.append(None)
            continue
        item = marked_object(row, phrases[0], size, report, place)
        objects += [item and item._replace(label=phrase) for phrase in phrases]
        missing -= set(phrases)
    for phrase in sorted(missing):
        report.add(Problem.LABEL, where, f"no annotation is of the phrase {phrase!r}")
        objects.append(None)
    picture = LabelledPicture.of(path, size, objects, where)
    if is_expression and not objects:
        report.add(Problem.NOT_ASKED, where, f"no annotation is of {caption!r}")
    elif is_expression:
        text = " ".join(caption.split())
        named = tuple(item._replace(label=text) for item in picture.objects)
        yield from expression_records(replace(picture, objects=named), text, tasks, report)
    elif Task.CAPTION_TO_PHRASE_GROUNDING in tasks:
        yield from grounding_records(picture, caption, report)
    else:
        report.add(Problem.OTHER_TASK, where, Task.CAPTION_TO_PHRASE_GROUNDING.token)


def _expected(caption: str, given: Any) -> set[str]:
    """The phrases that an image row says have boxes."""
    found: set[str] = set()
    for places in given if isinstance(given, list) else ():
        with suppress(DataError):
            found.update(_phrases(caption, places))
    return found


def _phrases(caption: str, given: Any) -> list[str]:
    """The phrases of a caption that places tell; places with but space between are one."""
    places: list[tuple[int, int]] = []
    for place in sorted(given) if _are_places(given) else ():
        start, end = place
        if not 0 <= start < end <= len(caption):
            raise DataError(f"tokens_positive has {place!r}, which is not in {caption!r}")
        if places and not caption[places[-1][1] : start].strip():
            start, end = places[-1][0], max(end, places.pop()[1])
        places.append((start, end))
    phrases = [phrase for start, end in places if (phrase := caption[start:end].strip())]
    if not phrases:
        raise DataError(f"tokens_positive is {given!r}; give places in the caption, [[0, 5]]")
    return list(dict.fromkeys(phrases))


def _are_places(given: Any) -> bool:
    return isinstance(given, list) and all(
        isinstance(place, list)
        and len(place) == 2
        and all(isinstance(side, int) and not isinstance(side, bool) for side in place)
        for place in given
    )
