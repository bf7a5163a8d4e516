"""RefCOCO, RefCOCO+, RefCOCOg and gRefCOCO as JSON: expressions that mean objects of a COCO file.

    refs.json        [{"ref_id": 1, "ann_id": 7, "image_id": 3, "split": "train",
                       "sentences": [{"sent": "the cat on the left"}]}]
    instances.json   COCO, with the pictures, boxes and outlines

`file_name` of a ref is no name of a picture (it ends with the id of the object); `image_id` counts.
An expression of gRefCOCO means several objects (`ann_id` is a list), or nothing (`[-1]`, or
`no_target`). The sets are published as pickles, which can run programs and are never loaded.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from florence2.data.files import read_json
from florence2.data.flags import CROWD_FLAGS, IGNORE_FLAGS, flag_names
from florence2.data.formats.coco_rows import box_of, key_of, parts_of
from florence2.data.formats.coco_tables import load_coco, picture_folders, picture_of
from florence2.data.objects import LabelledObject, LabelledPicture, checked_object, chosen_tasks
from florence2.data.parts import choose_split
from florence2.data.phrases import EXPRESSION_TASKS, expression_records
from florence2.data.recognition import is_coco, recognize_json
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.errors import DataError, Florence2Error
from florence2.geometry import Size
from florence2.tasks import Task

PATTERNS = ("*.json", "*/*.json", "*/annotations/*.json")
Row = dict[str, Any]


def read_refcoco(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield records of a file of expressions, or of the one that a folder holds.

    Args:
        path: the JSON file of the expressions, with the COCO file beside it or one folder up.
        report: counts what cannot be used.
        tasks: some of `EXPRESSION_TASKS`, both if none is given.
        split: which `split` of the expressions ("train", "val", "testA", "testB").
    """
    file = path if path.is_file() else _refs_file(path)
    tasks = chosen_tasks(
        tasks or EXPRESSION_TASKS, EXPRESSION_TASKS, Task.OD, f"file {str(file)!r}"
    )
    coco_file = _instances_file(file)
    data = load_coco(coco_file)
    folders = picture_folders(coco_file)
    folders = tuple(dict.fromkeys((*folders, *picture_folders(file))))
    images = _by_id(data["images"], report, f"{coco_file.name}, images")
    annotations = _by_id(data["annotations"], report, f"{coco_file.name}, annotations")
    refs = _refs(file, report)
    report.part = choose_split((_part(ref) for _, ref in refs), split, path)
    meant: set[int | str | None] = set()
    by_image: dict[int | str | None, list[tuple[str, Row]]] = {}
    for where, ref in refs:
        meant.update(map(key_of, _ids(ref)))
        if _part(ref) == report.part:
            by_image.setdefault(key_of(ref.get("image_id")), []).append((where, ref))
    for key, group in by_image.items():
        if (image := images.get(key)) is None:
            for where, ref in group:
                what = f"image_id {ref.get('image_id')!r} is no image of {coco_file.name}"
                report.add(Problem.ROW, where, what)
        elif found := picture_of(image, folders, report, group[0][0]):
            for where, ref in group:
                yield from _records_of(ref, annotations, *found, tasks, report, where)
    for key in annotations.keys() - meant:
        report.add(Problem.NOT_ASKED, f"{coco_file.name}, annotation {key}", "nothing means it")


def _refs_file(folder: Path) -> Path:
    found = dict.fromkeys(
        file
        for pattern in PATTERNS
        for file in sorted(folder.glob(pattern))
        if file.is_file() and is_refs(file)
    )
    if len(found) != 1:
        names = ", ".join(str(file.relative_to(folder)) for file in found) or "no refs.json"
        raise DataError(f"folder {str(folder)!r} holds {names}; give the path of one file")
    return next(iter(found))


def is_refs(file: Path) -> bool:
    """Tell by its head whether a file is of this kind."""
    found = recognize_json(file)
    return found is not None and found.format == "refcoco"


def marked_object(
    row: Any, label: str, size: Size, report: ReadReport, where: str
) -> LabelledObject | None:
    """An object of a COCO file under another label than its class; `None` where it was lost."""
    try:
        if not isinstance(row, dict):
            raise DataError(f"{row!r} is no annotation")
        box = box_of(row.get("bbox"), None)
        flags = flag_names(row, row.get("attributes"))
        is_ignored = bool(flags & (CROWD_FLAGS | IGNORE_FLAGS))
        # The outline of a crowd is asked by nobody.
        parts = [] if is_ignored and box else parts_of(row.get("segmentation"), size, report, where)
    except Florence2Error as error:
        report.add(Problem.ROW, where, error)
        return None
    item = checked_object(label, box, parts, size, report, where)
    return item and item._replace(is_ignored=is_ignored)


def _records_of(
    ref: Row,
    annotations: Mapping[int | str | None, Row],
    path: Path,
    size: Size,
    tasks: Sequence[Task],
    report: ReadReport,
    where: str,
) -> Iterator[Record]:
    """Yield the records of all sentences of an expression."""
    where = f"{where}, {path.name}"
    texts = [_sentence(given) for given in ref["sentences"]]
    if not texts or not all(texts):
        report.add(Problem.NO_TEXT, where, "a sentence is empty" if texts else "no sentence")
    objects: list[LabelledObject | None] = []
    for given in _ids(ref):
        row = annotations.get(key_of(given))
        if row is None or key_of(row.get("image_id")) != key_of(ref.get("image_id")):
            report.add(Problem.ROW, where, f"ann_id {given!r} is no annotation of its picture")
            objects.append(None)
        else:
            objects.append(marked_object(row, "it", size, report, f"{where}, annotation {given}"))
    picture = LabelledPicture.of(path, size, objects, where)
    for text in dict.fromkeys(filter(None, texts)):
        named = tuple(item._replace(label=text) for item in picture.objects)
        yield from expression_records(replace(picture, objects=named), text, tasks, report)


def _refs(file: Path, report: ReadReport) -> list[tuple[str, Row]]:
    given = read_json(file)
    rows = given.get("refs") if isinstance(given, dict) else given
    if not isinstance(rows, list):
        raise DataError(f"file {str(file)!r} has no list of expressions; RefCOCO's has one")
    refs = []
    for index, row in enumerate(rows):
        where = f"{file.name}, refs[{index}]"
        if not isinstance(row, dict) or not isinstance(row.get("sentences"), list):
            report.add(Problem.ROW, where, "this is no object with a list 'sentences'")
        elif row.get("ann_id") in (None, []) and not row.get("no_target"):
            report.add(Problem.ROW, where, "it names no annotation; give 'ann_id'")
        else:
            refs.append((where, row))
    return refs


def _instances_file(file: Path) -> Path:
    """The COCO file of the objects: beside the expressions, or one folder up."""
    for place in (file.parent, file.parent.parent, file.parent / "annotations"):
        found = [each for each in sorted(place.glob("*.json")) if each.is_file() and is_coco(each)]
        named = [each for each in found if each.name.startswith("instances")]
        if each := next(iter(named or found), None):
            return each
    raise DataError(
        f"file {str(file)!r} names objects of a COCO file that is not there; put instances.json"
        " beside it"
    )


def _by_id(rows: Iterable[Any], report: ReadReport, where: str) -> dict[int | str | None, Row]:
    """Rows by id. One that is given twice with other content stands for none."""
    found: dict[int | str | None, Row] = {}
    unclear = set()
    for index, row in enumerate(rows):
        key = key_of(row.get("id")) if isinstance(row, dict) else None
        if key is None:
            report.add(Problem.ROW, f"{where}[{index}]", "this is no object with an id")
        elif found.setdefault(key, row) != row:
            report.add(Problem.DUPLICATE, f"{where}[{index}]", f"id {key!r} is given twice")
            unclear.add(key)
    return {key: row for key, row in found.items() if key not in unclear}


def _part(ref: Row) -> str | None:
    part = ref.get("split")
    return part if isinstance(part, str) else None


def _ids(ref: Row) -> list[Any]:
    """The annotations that an expression means; gRefCOCO writes -1 for none."""
    given = ref.get("ann_id")
    ids = given if isinstance(given, list) else [given]
    return [] if ref.get("no_target") else [each for each in ids if each != -1]


def _sentence(given: Any) -> str:
    text = given.get("sent") or given.get("raw") if isinstance(given, dict) else given
    return " ".join(text.split()) if isinstance(text, str) else ""
