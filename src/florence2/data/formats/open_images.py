"""Open Images: a CSV of boxes as shares of the picture, and one of the names of its classes.

People looked for a class in a picture only where somebody had said that it is there, and drew all
of it, or a group in one box (`IsGroupOf`, to be ignored). So a picture answers about each class
that has boxes in it, and not what else is there: the records are those of open vocabulary
detection. A record of all objects is made only where each class of the file was looked for, by its
boxes or by the labels of whole pictures (`*-annotations-human-imagelabels*.csv`).
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from florence2.data.annotated import (
    Annotated,
    Drawn,
    files_of_format,
    files_of_part,
    folders_around,
    labelled_picture,
)
from florence2.data.files import number, read_text
from florence2.data.flags import flag_names
from florence2.data.image_files import files_in, pictures_in
from florence2.data.objects import OBJECT_TASKS, chosen_tasks, object_records
from florence2.data.parts import choose_split, part_of_stem
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.data.tables import first_row, table_rows
from florence2.errors import DataError, Florence2Error
from florence2.geometry import Size
from florence2.tasks import Task

ASKING_ALL = (Task.OD, Task.REGION_PROPOSAL)
_MACHINE_IDS = ("/m/", "/g/", "/t/")
Row = Mapping[str, str]


@dataclass
class _Boxes:
    """What the files of a part say.

    Attributes:
        rows: `(where, row)` by picture; a row `None` is lost.
        verified: the classes that somebody looked for, by picture.
        classes: those of all boxes.
    """

    rows: dict[str, list[tuple[str, Row | None]]] = field(default_factory=dict)
    verified: dict[str, set[str]] = field(default_factory=dict)
    classes: set[str] = field(default_factory=set)


def read_open_images(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield records of Open Images.

    Args:
        path: the folder, or the CSV of boxes.
        report: counts what cannot be used.
        tasks: tasks of `OBJECT_TASKS`, open vocabulary detection if none is given.
        split: the part to read.

    Raises:
        DataError: no file tells the names of the classes.
    """
    what = f"dataset {str(path)!r}"
    tasks = chosen_tasks(tasks, tuple(OBJECT_TASKS), Task.OPEN_VOCABULARY_DETECTION, what)
    files = _files(path, split, report)
    found = _Boxes()
    for file in files:
        _read_boxes(file, found, report)
    others = [each for each in _around(path) if each.suffix.lower() == ".csv"]
    names = _class_names(others)
    if not names and any(each.startswith(_MACHINE_IDS) for each in found.classes):
        raise DataError(
            f"{what} tells no names of its classes, such as {min(found.classes)}; put"
            " class-descriptions-boxable.csv there"
        )
    for file in others:
        if file not in files and part_of_stem(file.stem) in (None, report.part):
            _read_verified(file, found, report)
    places = _pictures(files, path)
    for name, rows in found.rows.items():
        where = rows[0][0] if rows else name
        if (picture := places.get(name)) is None:
            report.add(Problem.PICTURE, where, f"image {name!r} is not there")
            continue
        draw = partial(_draw, names)
        said = Annotated(name, (), where, rows, draw)
        if labelled := labelled_picture(picture, [said], report):
            asked = tasks
            open_ones = found.classes - found.verified[name]
            if open_ones and set(tasks) & set(ASKING_ALL):
                unasked = ", ".join(sorted(names.get(each, each) for each in open_ones)[:3])
                report.add(
                    Problem.UNVERIFIED, where, f"{len(open_ones)} classes, such as {unasked}"
                )
                asked = tuple(task for task in tasks if task not in ASKING_ALL)
            yield from object_records(labelled, asked, report)


def _around(path: Path) -> list[Path]:
    """The files below a folder; of one file, those beside it and in folders beside its own."""
    if path.is_dir():
        return files_in(path)
    return sorted([*path.parent.glob("*"), *path.parent.parent.glob("*/*.csv")])


def _files(path: Path, split: str | None, report: ReadReport) -> list[Path]:
    """Return the files of boxes of the part to read; their names tell it, oidv6-train-... too."""
    files = files_of_format(path, "open_images")
    parts: dict[str | None, list[Path]] = {}
    for file in files:
        parts.setdefault(part_of_stem(file.stem), []).append(file)
    if None in parts or path.is_file():
        return files_of_part(path, "open_images", split, report)
    report.part = choose_split(parts, split, path)
    return parts[report.part]


def _rows(file: Path, report: ReadReport) -> Iterator[tuple[str, Row | None]]:
    """Yield the rows of a file, and `None` where it cannot be read on."""
    head: list[str] = []
    try:
        for at, cells in table_rows(file):
            if head:
                yield at, dict(zip(head, cells, strict=False))
            head = head or [cell.lower() for cell in cells]
    except (csv.Error, Florence2Error) as error:
        report.add(Problem.ROW, file.name, error)
        yield file.name, None


def _read_boxes(file: Path, found: _Boxes, report: ReadReport) -> None:
    nameless: list[str] = []
    for at, row in _rows(file, report):
        name = row.get("imageid", "") if row else ""
        if not row or not name:
            if row:
                report.add(Problem.ROW, at, "no picture is named: it may be any")
            nameless.append(at)
            continue
        label = row.get("labelname", "")
        found.rows.setdefault(name, []).append((at, row))
        found.verified.setdefault(name, set()).add(label)
        found.classes.add(label)
    for rows in found.rows.values():
        rows += [(at, None) for at in nameless]


def _read_verified(file: Path, found: _Boxes, report: ReadReport) -> None:
    """Add the classes that somebody looked for in a whole picture, and found or not."""
    head = {cell.lower().strip() for cell in _first_row(file)}
    if not {"imageid", "labelname", "confidence"} <= head or "xmin" in head:
        return
    for _, row in _rows(file, report):
        name = row.get("imageid", "") if row else ""
        if row and name in found.rows and "verification" in row.get("source", "verification"):
            found.verified[name].add(row.get("labelname", ""))


def _first_row(file: Path) -> list[str]:
    try:
        return first_row(read_text(file))
    except (csv.Error, Florence2Error):
        return []


def _class_names(files: Sequence[Path]) -> dict[str, str]:
    names: dict[str, str] = {}
    for file in files:
        first = [cell.strip() for cell in _first_row(file)]
        is_head = [cell.lower() for cell in first] == ["labelname", "displayname"]
        if len(first) == 2 and (is_head or first[0].startswith(_MACHINE_IDS)):
            names |= {cells[0]: cells[1] for _, cells in table_rows(file) if len(cells) == 2}
    return names


def _pictures(files: Sequence[Path], root: Path) -> dict[str, Path]:
    """Return the pictures around files by their names, with suffix (globox) and without."""
    found: dict[str, Path] = {}
    for file in files:
        for folder in folders_around(file, root):
            for picture in pictures_in(folder) if folder.is_dir() else ():
                found.setdefault(picture.stem, picture)
                found.setdefault(picture.name, picture)
    return found


def _draw(names: Mapping[str, str], row: Row, size: Size) -> Drawn:
    sides = ("xmin", "ymin", "xmax", "ymax")
    shares = [number(row.get(side), side) for side in sides]
    box = [share * length for share, length in zip(shares, size + size, strict=True)]
    label = row.get("labelname", "")
    if label.startswith(_MACHINE_IDS) and label not in names:
        raise DataError(f"class {label!r} has no name")
    is_group = "isgroupof" in flag_names(row)
    confidence = row.get("confidence") or "1"
    score = number(confidence, "the confidence")
    return Drawn(
        names.get(label, label),
        box,
        flags=frozenset({"isgroupof", "crowd"} if is_group else ()),
        score=None if score == 1 else score,
    )
