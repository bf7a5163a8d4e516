"""Forms of FUNSD: a JSON file for each page, with entities, their words and boxes.

    {"form": [{"box": [84, 109, 136, 119], "text": "COMPOUND", "label": "question",
               "words": [{"box": [84, 109, 136, 119], "text": "COMPOUND"}], "linking": []}]}

A record of `<OCR_WITH_REGION>` for each page: the lines of each entity, made of its words, which
lie on one line where the middle of the next is beside the last and to its right. Entities without
words are whole. Regions without a text (ticks, signatures) are noted: nothing is to be read there.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from florence2.data.files import number, read_json
from florence2.data.image_files import checked_size, files_in, picture_of_stem, twin_folders
from florence2.data.objects import SLACK, chosen_tasks
from florence2.data.parts import choose_split, divide
from florence2.data.recognition import format_of_rows
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.errors import DataError, Florence2Error
from florence2.geometry import Box, Size, clip_boxes
from florence2.results import Quads
from florence2.tasks import Task

Word = tuple[Box, str]


def read_funsd(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield one record for each page."""
    chosen_tasks(tasks, (Task.OCR_WITH_REGION,), Task.OCR_WITH_REGION, f"dataset {str(path)!r}")
    root = path if path.is_dir() else path.parent.parent
    files = [path]
    if path.is_dir():
        forms = [file for file in files_in(path) if file.suffix.lower() == ".json"]
        parts = divide([file for file in forms if format_of_rows(file) == "funsd"], path)
        report.part = choose_split(parts, split, path)
        files = parts[report.part]
    for file in files:
        where = file.relative_to(root).as_posix()
        picture = picture_of_stem(file.stem, (file.parent, *twin_folders(file.parent, root)))
        if picture is None:
            report.add(Problem.NO_PICTURE, where, "no picture")
            continue
        if (size := checked_size(picture, report, where)) is None:
            continue
        try:
            lines = _lines(read_json(file), size, report, where)
        except Florence2Error as error:
            report.add(Problem.ROW, where, error)
            continue
        if not lines:
            report.add(Problem.EMPTY, where, "no texts")
        quads = [[(x, y), (right, y), (right, low), (x, low)] for (x, y, right, low), _ in lines]
        points = np.array(quads, dtype=np.float64).reshape(-1, 4, 2)
        result = Quads(points, tuple(text for _, text in lines), image_size=size)
        record = Record(picture, Task.OCR_WITH_REGION, "", None, result, where)
        yield from report.accept(record, where)


def _lines(data: Any, size: Size, report: ReadReport, where: str) -> list[Word]:
    form = data.get("form") if isinstance(data, Mapping) else None
    if not isinstance(form, list):
        raise DataError("this is no form; FUNSD has a list 'form'")
    found: list[Word] = []
    for entity in form:
        if not isinstance(entity, Mapping):
            raise DataError(f"{entity!r} is no entity of a form")
        words = entity.get("words") or [entity]
        if not isinstance(words, list):
            raise DataError(f"words are {words!r}; give a list")
        line: list[Word] = []
        for word in (_word(each, size, report, where) for each in words):
            if not word[1]:
                report.add(Problem.NO_WORDS, where, f"at {list(word[0])!r}")
            elif line and _goes_on(line[-1][0], word[0]):
                line.append(word)
            else:
                found += _joined(line)
                line = [word]
        found += _joined(line)
    return found


def _word(given: Any, size: Size, report: ReadReport, where: str) -> Word:
    box, text = (
        (given.get("box"), given.get("text")) if isinstance(given, Mapping) else (None, None)
    )
    if not isinstance(box, list) or len(box) != 4 or not isinstance(text, str):
        raise DataError(f"{given!r} has no box of four numbers and text")
    sides = np.array([number(side, "a side of box") for side in box])
    x_min, y_min, x_max, y_max = clip_boxes(sides, size).tolist()
    if text.strip() and (x_min >= x_max or y_min >= y_max):
        raise DataError(f"the text {text!r} at {box!r} has no area in {size!r} pixels")
    if np.abs(sides - (x_min, y_min, x_max, y_max)).max() > SLACK:
        report.add(Problem.CLIPPED, where, f"{box!r} cut to {size!r} pixels")
    return (x_min, y_min, x_max, y_max), text.strip()


def _goes_on(last: Box, box: Box) -> bool:
    middle = (box[1] + box[3]) / 2
    return last[1] <= middle <= last[3] and box[0] + box[2] > last[0] + last[2]


def _joined(line: Sequence[Word]) -> list[Word]:
    if not line:
        return []
    boxes = np.array([box for box, _ in line])
    low, high = boxes[:, :2].min(0).tolist(), boxes[:, 2:].max(0).tolist()
    return [((*low, *high), " ".join(text for _, text in line))]
