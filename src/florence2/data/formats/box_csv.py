"""Tables of boxes, a row each: TensorFlow's, RetinaNet's without a head, and others that are clear.

    filename,width,height,class,xmin,ymin,xmax,ymax      TensorFlow, Roboflow
    path/1.jpg,8,4,24,14,cat                             RetinaNet; "path/1.jpg,,,,," is nothing
    TRAIN,gs://a/1.jpg,cat,0.1,0.2,,,0.5,0.7,,           AutoML
    image_id,width,height,bbox                           Kaggle; bbox is "[x, y, width, height]"

Coordinates are taken as they stand, as points between pixels, or as shares of the picture where no
side in a file is more than 1. Only a row without a box says "nothing here": a picture without a row
is one that nobody labelled.
"""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from florence2.data.annotated import (
    ONE_CLASS,
    Annotated,
    Drawn,
    annotated_records,
    box_from,
    files_of_part,
    folders_around,
    name_or_stem,
    size_of,
)
from florence2.data.files import number
from florence2.data.flags import flag_names
from florence2.data.image_files import find_picture, picture_size
from florence2.data.objects import OBJECT_TASKS, chosen_tasks
from florence2.data.parts import choose_split, part_named
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.data.tables import RETINANET, BoxColumns, box_columns, table_rows
from florence2.errors import DataError, Florence2Error
from florence2.geometry import Size
from florence2.tasks import Task

SCORES = ("score", "confidence", "conf")
Row = list[str]


def read_box_csv(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield records of a table of boxes, or of all in a folder.

    Args:
        path: the table, or the folder that holds it.
        report: counts what cannot be used.
        tasks: tasks of `OBJECT_TASKS`, detection if none is given.
        split: the part to read, where folders, names of files or a column `split` tell parts.
    """
    tasks = chosen_tasks(tasks, tuple(OBJECT_TASKS), Task.OD, f"dataset {str(path)!r}")
    files = []
    for file in files_of_part(path, "box_csv", split, report, rows_tell=True):
        if re.fullmatch(r"sample_?submission.*", file.stem.lower()) and file != path:
            what = "a sample of answers (Kaggle), whose boxes nobody drew"
            report.add(Problem.NOT_ANNOTATED, file.name, what)
        else:
            files.append(file)
    tables = [_Table.of(file, report) for file in files]
    if report.part is None:
        parts = {part for table in tables for part in table.parts}
        report.part = choose_split(parts if None not in parts else (), split, path)
    pictures = (each for table in tables for each in table.pictures(path, report))
    yield from annotated_records(pictures, tasks, report)


@dataclass
class _Table:
    """A table of boxes: the rows of each picture, those that are lost as `None`."""

    file: Path
    columns: BoxColumns = RETINANET
    head: Row = field(default_factory=list)
    rows: dict[str, list[tuple[str, Row | None]]] = field(default_factory=dict)
    of_part: dict[str, str | None] = field(default_factory=dict)  # by picture

    @property
    def parts(self) -> set[str | None]:
        return set(self.of_part.values())

    @classmethod
    def of(cls, file: Path, report: ReadReport) -> "_Table":
        table = cls(file)
        nameless: list[str] = []
        try:
            for at, cells in table_rows(file):
                if not table.rows and not table.head:
                    found = box_columns(cells)
                    if found is None:
                        raise DataError("its columns do not say which hold the boxes")
                    table.columns = found
                    if found.has_head:
                        table.head = cells
                        continue
                name = cells[table.columns.name] if len(cells) > table.columns.name else ""
                if name:
                    table._add(name, at, cells)
                else:
                    report.add(Problem.ROW, at, "no picture is named: it may be any")
                    nameless.append(at)
        except (csv.Error, Florence2Error) as error:
            report.add(Problem.ROW, file.name, error)
            nameless.append(file.name)
        for rows in table.rows.values():
            rows += [(at, None) for at in nameless]
        return table

    def _add(self, name: str, at: str, cells: Row) -> None:
        self.rows.setdefault(name, []).append((at, cells))
        part = self.columns.part
        told = cells[part] if part is not None and len(cells) > part else ""
        self.of_part.setdefault(name, part_named(told))

    def pictures(self, root: Path, report: ReadReport) -> Iterator[Annotated]:
        """Yield the pictures of the part to read."""
        folders = folders_around(self.file, root)
        if self.columns.label is None and self.rows:
            report.add(Problem.ONE_CLASS, self.file.name, f"all are called {ONE_CLASS!r}")
        scale = self._are_shares()
        if scale:
            report.add(Problem.SHARES, self.file.name, "all sides of boxes are at most 1")
        kind = self.columns.kind
        if kind == "cell":
            kind = "corners" if self._cells_are_corners(folders) else "sides"
        draw = partial(self._draw, kind, scale)
        for name, rows in self.rows.items():
            if report.part is not None and self.of_part[name] not in (None, report.part):
                continue
            where = rows[0][0]
            kept = [(at, row) for at, row in rows if row is None or not self._is_empty(row)]
            try:
                size = self._size(rows)
            except Florence2Error as error:
                report.add(Problem.ROW, where, error)
                report.name_picture(find_picture(name, folders))
                continue
            yield Annotated(name_or_stem(name, folders), folders, where, kept, draw, size)

    def _size(self, rows: Sequence[tuple[str, Row | None]]) -> Size | None:
        if self.columns.size is None:
            return None
        told = {tuple(self._cell(row, at) for at in self.columns.size) for _, row in rows if row}
        if len(told) > 1:
            raise DataError(f"the picture has the sizes {sorted(told)}")
        return size_of(*told.pop()) if told else None

    def _cell(self, row: Row, at: int) -> str:
        return row[at] if at < len(row) else ""

    def _is_empty(self, row: Row) -> bool:
        """Tell a row that says "nothing here": it has neither box nor class."""
        columns = self.columns
        given = [self._cell(row, at) for at in columns.sides]
        label = "" if columns.label is None else self._cell(row, columns.label)
        return not label and all(cell.lower() in ("", "nan", "[]") for cell in given)

    def _numbers(self, row: Row) -> list[float]:
        cells = [self._cell(row, at) for at in self.columns.sides]
        if self.columns.kind == "cell":
            cells = [word for word in re.split(r"[\s,;\[\]()]+", cells[0]) if word]
        if len(cells) != 4:
            raise DataError(f"a box has {len(cells)} numbers; give four")
        return [number(cell, "a side of a box") for cell in cells]

    def _boxes(self) -> Iterator[tuple[str, list[float]]]:
        """Yield the numbers of all boxes that can be read."""
        for name, rows in self.rows.items():
            for _, row in rows:
                try:
                    if row is not None and not self._is_empty(row):
                        yield name, self._numbers(row)
                except Florence2Error:
                    continue

    def _are_shares(self) -> bool:
        boxes = [box for _, box in self._boxes()]
        return any(side % 1 for box in boxes for side in box) and all(
            max(box) <= 1 for box in boxes
        )

    def _cells_are_corners(self, folders: Sequence[Path]) -> bool:
        """Tell corners in one cell from x, y, width, height: these reach out of a picture.

        Where both fit every picture, they are x, y, width, height, as COCO has them.
        """
        boxes = list(self._boxes())
        if not all(x < right and y < bottom for _, (x, y, right, bottom) in boxes):
            return False
        sizes: dict[str, Size | None] = {}
        for name, (x, y, width, height) in boxes:
            if name not in sizes:
                sizes[name] = _size_of_picture(name, folders)
            if (size := sizes[name]) and (x + width > size[0] + 1 or y + height > size[1] + 1):
                return True
        return False

    def _draw(self, kind: str, shares: bool, row: Row, size: Size) -> Drawn:
        x, y, a, b = self._numbers(row)
        if shares:
            x, y, a, b = x * size[0], y * size[1], a * size[0], b * size[1]
        boxes: dict[str, Callable[[], Any]] = {
            "corners": lambda: (x, y, a, b),
            "sides": lambda: box_from(x, y, a, b),
            "centre": lambda: box_from(x - a / 2, y - b / 2, a, b),
        }
        label = self.columns.label
        named = {cell.lower(): value for cell, value in zip(self.head, row, strict=False)}
        scores = [named[word] for word in SCORES if named.get(word)]
        return Drawn(
            ONE_CLASS if label is None else self._cell(row, label),
            boxes[kind](),
            flags=flag_names(named),
            score=number(scores[0], "the score") if scores else None,
        )


def _size_of_picture(name: str, folders: Sequence[Path]) -> Size | None:
    path = find_picture(name_or_stem(name, folders), folders)
    try:
        return None if path is None else picture_size(path)
    except Florence2Error:
        return None
