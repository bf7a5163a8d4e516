"""CreateML: one JSON list of pictures, boxes as centres and sides in pixels."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from florence2.data.annotated import (
    Annotated,
    Drawn,
    annotated_records,
    box_from,
    folders_around,
    json_files,
)
from florence2.data.files import field_of, number
from florence2.data.flags import flag_names
from florence2.data.objects import OBJECT_TASKS, chosen_tasks
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.errors import DataError, Florence2Error
from florence2.geometry import Size
from florence2.tasks import Task

NAME_KEYS = ("image", "imagefilename")


def read_createml(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield records of a CreateML file, or of all in a folder.

    Args:
        path: the JSON file, or the folder that holds it.
        report: counts what cannot be used.
        tasks: tasks of `OBJECT_TASKS`, detection if none is given.
        split: the part to read, where folders or names of files tell parts.
    """
    tasks = chosen_tasks(tasks, tuple(OBJECT_TASKS), Task.OD, f"dataset {str(path)!r}")
    yield from annotated_records(_pictures(path, split, report), tasks, report)


def _pictures(path: Path, split: str | None, report: ReadReport) -> Iterator[Annotated]:
    for file, data in json_files(path, "createml", split, report):
        folders = folders_around(file, path)
        for at, row in enumerate(data if isinstance(data, list) else [data]):
            where = f"{file.name}, picture {at}"
            try:
                if not isinstance(row, dict) or not isinstance(row.get("annotations"), list):
                    raise DataError("this is no picture with a list of annotations")
                name = field_of(row, next((key for key in NAME_KEYS if key in row), "image"))
            except Florence2Error as error:
                report.add(Problem.ROW, where, error)
                continue
            given = enumerate(row["annotations"])
            rows = [(f"{where}, annotation {number_}", each) for number_, each in given]
            yield Annotated(name, folders, where, rows, _draw)


def _draw(row: Any, size: Size) -> Drawn:
    places = row.get("coordinates") if isinstance(row, dict) else None
    if not isinstance(places, dict):
        raise DataError(f"an annotation is {row!r}; give a label and coordinates")
    x, y, width, height = (number(places.get(key), key) for key in ("x", "y", "width", "height"))
    box = box_from(x - width / 2, y - height / 2, width, height)
    return Drawn(field_of(row, "label"), box, flags=flag_names(row))
