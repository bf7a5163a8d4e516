"""Label Studio: exports as JSON (tasks with annotations) and JSON-MIN (a row for each annotation).

Places are percents of the picture; rectangles are turned clockwise, in pixels, about their upper
left corner. Several people may have annotated one picture: the annotation marked as ground truth is
taken, else the last one, and the others are told, as joining them would double each object.
Predictions are a model's and nobody's annotation. An annotation without regions says "nothing
here".
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from florence2.data.annotated import (
    Annotated,
    Drawn,
    box_from,
    folders_around,
    json_files,
    labelled_picture,
    size_of,
)
from florence2.data.files import number
from florence2.data.flags import flag_names
from florence2.data.image_files import checked_size, find_picture, is_picture
from florence2.data.masks import Mask
from florence2.data.objects import OBJECT_TASKS, chosen_tasks, object_records
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.data.shapes import ellipse, outlines_at, points_of, turned_box
from florence2.errors import DataError, Florence2Error
from florence2.geometry import Size
from florence2.results import Text
from florence2.tasks import CAPTION_TASKS, Task

Row = dict[str, Any]
_UPLOADED = re.compile(r"^[0-9a-f]{4,36}-")  # what Label Studio puts before the names of uploads
_GEOMETRY = frozenset({"x", "points", "rle", "vertices"})


@dataclass(frozen=True)
class _Annotation:
    """What one person said about a picture: its regions, texts and choices about all of it."""

    where: str
    regions: list[Row]
    texts: list[str]
    choices: list[str]
    size: tuple[Any, Any]
    is_truth: bool = False


def read_label_studio(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield records of an export, or of all in a folder.

    Args:
        path: the JSON file, or the folder that holds it.
        report: counts what cannot be used.
        tasks: tasks of `OBJECT_TASKS`, detection if none is given; or one of captions, for texts
            about whole pictures.
        split: the part to read, where folders or names of files tell parts.
    """
    allowed = (*OBJECT_TASKS, *CAPTION_TASKS)
    tasks = chosen_tasks(tasks, allowed, Task.OD, f"dataset {str(path)!r}")
    said: dict[Path, list[_Annotation]] = {}
    for file, data in json_files(path, "label_studio", split, report):
        folders = folders_around(file, path)
        rows = data if isinstance(data, list) else [data]
        for at, row in enumerate(rows):
            where = f"{file.name}, task {row.get('id', at) if isinstance(row, dict) else at}"
            picture = _picture(row, folders, report, where)
            if picture is None:
                continue
            try:
                found = list(_annotations(row, where, report))
            except Florence2Error as error:
                report.add(Problem.ROW, where, error)
                report.name_picture(picture)
                continue
            said.setdefault(picture, []).extend(found)
            if not found:
                report.add(Problem.NOT_ANNOTATED, where, f"{picture.name}: no annotation")
                report.name_picture(picture)
    for picture, annotations in said.items():
        if annotations:
            yield from _records(picture, annotations, tasks, report)


def _records(
    picture: Path, annotations: Sequence[_Annotation], tasks: Sequence[Task], report: ReadReport
) -> Iterator[Record]:
    chosen = next((each for each in annotations if each.is_truth), annotations[-1])
    for each in annotations:
        if each is not chosen:
            what = f"{picture.name} has {len(annotations)}; {chosen.where} is taken"
            report.add(Problem.OTHER_ANNOTATION, each.where, what)
    captions = [task for task in tasks if task.is_caption]
    if captions and (size := checked_size(picture, report, chosen.where)):
        if not chosen.texts:
            report.add(Problem.NO_TEXT, chosen.where, f"{picture.name}: no text about all of it")
        for task in captions:
            for text in chosen.texts:
                result = Text(text, image_size=size)
                record = Record(picture, task, "", None, result, chosen.where)
                yield from report.accept(record, chosen.where)
    objects = [task for task in tasks if not task.is_caption]
    if not objects:
        return
    for text in chosen.texts + chosen.choices:
        report.add(Problem.OTHER_TASK, chosen.where, f"{text!r} is about the whole picture")
    rows = [(f"{chosen.where}, region {row['region']}", row) for row in chosen.regions]
    try:
        size = size_of(*chosen.size)
    except Florence2Error as error:
        report.add(Problem.ROW, chosen.where, error)
        report.name_picture(picture)
        return
    drawn = Annotated(picture.name, (), chosen.where, rows, _draw, size)
    if labelled := labelled_picture(picture, [drawn], report):
        yield from object_records(labelled, objects, report)


def _picture(row: Any, folders: Sequence[Path], report: ReadReport, where: str) -> Path | None:
    """Find the picture of a task, whichever way it got into Label Studio."""
    data = row.get("data", row) if isinstance(row, dict) else None
    if not isinstance(data, dict):
        report.add(Problem.ROW, where, "this is no task with data")
        return None
    texts = [value for value in (data.get("image"), *data.values()) if isinstance(value, str)]
    places = [name for text in texts for name in _names(text) if is_picture(Path(name))]
    shown = {place.rpartition("/")[2]: place for place in map(_last_name, texts) if place}
    if len(shown) > 1 and (data.get("image") is None or len(_targets(row)) > 1):
        # Which regions are of which picture, only the settings of the project say.
        report.add(Problem.ROW, where, f"it shows several pictures: {', '.join([*shown][:3])}")
        for name in places:
            report.name_picture(find_picture(name, folders))
        return None
    for name in places:
        if found := find_picture(name, folders):
            return found
    report.add(Problem.PICTURE, where, f"image {(places or texts or [''])[0]!r} is not there")
    return None


def _last_name(text: str) -> str:
    *_, name = _names(text)
    return name if is_picture(Path(name)) else ""


def _targets(row: Row) -> set[Any]:
    """What the regions of a task are drawn on, by the names that its project has."""
    given = row.get("annotations", row.get("completions"))
    annotations = [each for each in given if isinstance(each, dict)] if given else ()
    return {
        str(result.get("to_name"))
        for each in annotations
        for result in (each.get("result") or ())
        if isinstance(result, dict)
    }


def _names(place: str) -> Iterator[str]:
    """The names that a picture may have on this disk, the surest first.

    >>> list(_names("/data/local-files/?d=my%20set/a.png"))
    ['my set/a.png']
    >>> list(_names("/data/upload/1/0a1b2c3d-a.png"))
    ['/data/upload/1/0a1b2c3d-a.png', 'a.png']
    """
    url = re.search(r"[?&]d=([^&]*)", place) or re.match(r"\w{2,}://[^/]*(/[^?#]*)", place)
    whole = unquote(url[1]) if url else place
    yield whole
    last = whole.rpartition("/")[2]
    if _UPLOADED.match(last):
        yield _UPLOADED.sub("", last)


def _annotations(row: Row, where: str, report: ReadReport) -> Iterator[_Annotation]:
    """Yield what people said of a task, or the one annotation that a row of JSON-MIN is."""
    if "data" not in row:
        fields = [value for value in row.values() if isinstance(value, list)]
        values = [each for value in fields for each in value if isinstance(each, dict)]
        if fields:
            results = [{"value": each, **_sides(each), "id": n} for n, each in enumerate(values)]
            yield _annotation(results, where, False)
        return
    given = row.get("annotations", row.get("completions"))
    if given is not None and not isinstance(given, list):
        raise DataError(f"its annotations are {given!r}; give a list")
    for at, each in enumerate(given or ()):
        if not isinstance(each, dict) or not isinstance(each.get("result"), list):
            raise DataError(f"an annotation is {each!r}; export the results, not only their ids")
        name = f"{where}, annotation {each.get('id', at)}"
        if each.get("was_cancelled"):
            report.add(Problem.OTHER_ANNOTATION, name, "it was cancelled")
        else:
            yield _annotation(each["result"], name, bool(each.get("ground_truth")))


def _sides(value: Row) -> Row:
    return {key: value.get(key) for key in ("original_width", "original_height")}


def _annotation(results: Sequence[Any], where: str, is_truth: bool) -> _Annotation:
    """Put the results of one region together: its place, its labels, its text."""
    groups: dict[Any, Row] = {}
    texts: list[str] = []
    choices: list[str] = []
    sizes: set[tuple[Any, Any]] = set()
    for at, result in enumerate(results):
        value = result.get("value") if isinstance(result, dict) else None
        if not isinstance(value, dict):
            if isinstance(result, dict) and result.get("type") == "relation":
                continue
            groups[at] = {"region": at, "labels": [""], "fault": f"a result is {result!r}"}
            continue
        if not _is_region(value, str(result.get("type"))):
            texts += _words(value.get("text"))
            choices += _words(value.get("choices"))
            continue
        region = result.get("id", at)
        merged = groups.setdefault(repr(region), {"region": region, "labels": []})
        merged |= {key: each for key, each in value.items() if key not in ("labels", "text")}
        merged["image_rotation"] = result.get("image_rotation")
        names = [each for key, each in value.items() if key.endswith("labels")]
        merged["labels"] += [name for each in names if isinstance(each, list) for name in each]
        if any(_sides(result).values()):
            sizes.add((result.get("original_width"), result.get("original_height")))
    if len(sizes) > 1:
        raise DataError(f"its regions are for pictures of {sorted(map(str, sizes))}")
    regions = [
        {**region, "label": label}
        for region in groups.values()
        for label in dict.fromkeys(map(str, region["labels"] or [""]))
    ]
    return _Annotation(where, regions, texts, choices, next(iter(sizes), (None, None)), is_truth)


def _is_region(value: Row, kind: str) -> bool:
    """Tell a region, damaged ones too, from what is said of a whole picture."""
    labelled = kind.endswith("labels") or any(key.endswith("labels") for key in value)
    return labelled or bool(_GEOMETRY & value.keys()) or kind in ("rectangle", "ellipse", "polygon")


def _words(given: Any) -> list[str]:
    texts = given if isinstance(given, list) else [given]
    return [each.strip() for each in texts if isinstance(each, str) and each.strip()]


def _draw(row: Row, size: Size) -> Drawn:
    if "fault" in row:
        raise DataError(row["fault"])
    if row.get("image_rotation"):
        raise DataError("the picture was turned in Label Studio; turn it before it is annotated")
    label, flags = row["label"], flag_names(row.get("meta"))
    if "rle" in row:
        outlines, num_holes = outlines_at(decode_brush(row["rle"], size))
        return Drawn(label, None, outlines, flags, num_holes)
    scale = np.array(size) / 100
    if "points" in row:
        return Drawn(label, None, [points_of(row["points"]) * scale], flags)
    turn = number(row.get("rotation") or 0, "rotation")
    x, y = (number(row.get(key), key) for key in "xy")
    if "radiusX" in row:
        x_radius, y_radius = (number(row.get(key), key) for key in ("radiusX", "radiusY"))
        across, down = scale.tolist()
        outline = ellipse(x * across, y * down, x_radius * across, y_radius * down, turn)
        return Drawn(label, None, [outline], flags)
    if "width" not in row or "height" not in row or "keypointlabels" in row:
        raise DataError("a key point or the like has no area; draw a box or polygon")
    width, height = (number(row.get(key), key) for key in ("width", "height"))
    box = np.array(box_from(x, y, width, height)) * np.tile(scale, 2)
    if not turn % 360:
        return Drawn(label, box.tolist(), (), flags)
    return Drawn(label, None, [turned_box(box.tolist(), turn, box[:2].tolist())], flags)


def decode_brush(encoded: Any, size: Size) -> Mask:
    """Read the run lengths of a brush: of all bytes of an RGBA picture, of which alpha counts.

    A head of 32 bits tells their number, 5 bits the length of a value, and four of 4 bits the
    lengths of counts. Then come runs (1, which length, count, value) and values as they are (0,
    which length, count, values), as rle-pack writes them.
    """
    try:
        bits = "".join(f"{byte:08b}" for byte in bytes(encoded))
    except (TypeError, ValueError) as error:
        raise DataError(f"a brush is no list of bytes ({error})") from error
    at = 0

    def read(count: int) -> int:
        nonlocal at
        at += count
        if at > len(bits):
            raise DataError("the run lengths of a brush end too early")
        return int(bits[at - count : at], 2)

    total = read(32)
    word = read(5) + 1
    lengths = [read(4) + 1 for _ in range(4)]
    if total != size[0] * size[1] * 4:
        raise DataError(f"a brush has {total:,} values, not 4 for each of {size} pixels")
    values = np.zeros(total, dtype=np.uint8)
    here = 0
    while here < total:
        is_run = read(1)
        end = here + 1 + read(lengths[read(2)])
        if is_run:
            values[here:end] = read(word) & 255
        else:
            for place in range(here, min(end, total)):
                values[place] = read(word) & 255
        here = end
    mask: Mask = values.reshape(size[1], size[0], 4)[:, :, 3] > 0
    return mask
