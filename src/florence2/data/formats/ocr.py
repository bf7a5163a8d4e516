"""Texts in pictures: a text beside each picture of a line, or the regions of all texts in one.

Lines: `a.gt.txt` holds the text of `a.png`, as Tesseract, OCRopus and kraken train on; a record of
`<OCR>`. Regions: corners and text in each line of `a.txt` or `gt_a.txt` (ICDAR 2015, SROIE), a box
and a text in quotation marks (ICDAR 2013), or all pictures in the `Label.txt` of PaddleOCR; a
record of `<OCR_WITH_REGION>`, in the order of the file. Texts that nobody could read (`###`, `*`)
leave their picture out: its record would say that they are not there.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from florence2.data.files import number, read_text
from florence2.data.image_files import (
    checked_size,
    files_in,
    find_picture,
    pictures_in,
    twin_folders,
)
from florence2.data.label_texts import OCR_KINDS, LabelTexts
from florence2.data.objects import chosen_tasks
from florence2.data.parts import choose_split, divide
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.errors import DataError, Florence2Error
from florence2.geometry import Array, Size, clip_points, polygon_area
from florence2.results import Quads, Text
from florence2.tasks import Task

LINE_SUFFIX = ".gt.txt"
PADDLE_NAMES = ("Label.txt", "label.txt")
_PREFIXES = ("", "gt_", "gt-")
_UNREADABLE = ("###", "*")
_WORDS = re.compile(r"[\s,]+")
Region = tuple[Array, str]


def read_ocr_lines(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield one record for each picture that has a `.gt.txt`."""
    chosen_tasks(tasks, (Task.OCR,), Task.OCR, f"folder {str(path)!r}")
    for picture in _of_part(path, split, report):
        where = picture.relative_to(path).as_posix()
        report.name_picture(picture)
        try:
            text = read_text(picture.with_suffix(LINE_SUFFIX)).strip("\r\n ")
        except Florence2Error as error:
            report.add(Problem.NO_TEXT, where, error)
            continue
        if not text:
            report.add(Problem.NO_TEXT, where, f"{picture.stem}{LINE_SUFFIX} is empty")
        elif size := checked_size(picture, report, where):
            result = Text(text, image_size=size)
            yield from report.accept(Record(picture, Task.OCR, "", None, result, where), where)
    lines = [file for file in files_in(path) if file.name.endswith(LINE_SUFFIX)]
    used = {file.with_suffix(LINE_SUFFIX) for file in pictures_in(path, deep=True)}
    for file in sorted(set(lines) - used):
        report.add(Problem.NO_PICTURE, file.relative_to(path).as_posix(), "no picture")


def read_ocr_regions(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield one record for each picture whose texts are told."""
    chosen_tasks(tasks, (Task.OCR_WITH_REGION,), Task.OCR_WITH_REGION, f"folder {str(path)!r}")
    told = dict(_paddle_rows(path, report))
    for picture in _of_part(path, split, report):
        where = picture.relative_to(path).as_posix()
        report.name_picture(picture)
        file = None if picture in told else region_file(picture, path)
        if file is None and picture not in told:
            report.add(Problem.NO_TEXT, where, "no file tells its texts")
            continue
        if (size := checked_size(picture, report, where)) is None:
            continue
        try:
            rows = told[picture] if file is None else _rows(read_text(file))
            regions = [_checked(points, text, size) for points, text in map(_region, rows)]
        except Florence2Error as error:
            name = where if file is None else file.relative_to(path).as_posix()
            report.add(Problem.ROW, name, error)
            continue
        if any(text in _UNREADABLE for _, text in regions):
            report.add(Problem.INCOMPLETE, where, "nobody could read all of its texts (###)")
            continue
        if not regions:
            report.add(Problem.EMPTY, where, "no texts")
        quads = np.array([points for points, _ in regions], dtype=np.float64).reshape(-1, 4, 2)
        result = Quads(quads, tuple(text for _, text in regions), image_size=size)
        record = Record(picture, Task.OCR_WITH_REGION, "", None, result, where)
        yield from report.accept(record, where)
    used = {region_file(picture, path) for picture in pictures_in(path, deep=True)}
    others = (file for file in files_in(path) if file.suffix.lower() == ".txt" and file not in used)
    for file, kind in LabelTexts.of(others).labels.items():
        if kind in OCR_KINDS:
            report.add(Problem.NO_PICTURE, file.relative_to(path).as_posix(), "no picture")


def _of_part(path: Path, split: str | None, report: ReadReport) -> list[Path]:
    parts = divide(pictures_in(path, deep=True), path)
    report.part = choose_split(parts, split, path)
    return parts[report.part]


def region_file(picture: Path, root: Path) -> Path | None:
    """Return the file of the texts in a picture, beside it or in a folder beside its own."""
    for folder in (picture.parent, *twin_folders(picture.parent, root)):
        for prefix in _PREFIXES:
            if (file := folder / f"{prefix}{picture.stem}.txt").is_file():
                return file
    return None


def _rows(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _region(row: Any) -> Region:
    """The corners and the text of a line, or of an object of PaddleOCR."""
    if isinstance(row, dict):
        points, text = row.get("points"), row.get("transcription")
        if not isinstance(points, list) or not isinstance(text, str):
            raise DataError(f"{row!r} has no points and transcription")
        corners = [number(value, "a corner") for point in points for value in _pair(point)]
        return _corners(corners), text
    if row.endswith('"') and row.count('"') >= 2:
        head, _, text = row[:-1].partition('"')
        return _corners([number(value, "a side") for value in _WORDS.split(head) if value]), text
    *words, text = row.split(",", 8)
    return _corners([number(word, "a corner") for word in words]), text.strip()


def _pair(point: Any) -> Sequence[Any]:
    if not isinstance(point, list) or len(point) != 2:
        raise DataError(f"a corner is {point!r}; give x, y")
    return point


def _corners(values: Sequence[float]) -> Array:
    if len(values) == 4:
        x_min, y_min, x_max, y_max = values
        return np.array([[x_min, y_min], [x_max, y_min], [x_max, y_max], [x_min, y_max]])
    if len(values) != 8:
        raise DataError(f"a text has {len(values)} numbers; give four corners or a box")
    return np.array(values).reshape(4, 2)


def _checked(points: Array, text: str, size: Size) -> Region:
    if not text.strip():
        raise DataError("a text is empty")
    clipped = clip_points(points, size)
    if polygon_area(clipped) <= 0:
        raise DataError(f"the text {text!r} at {points.tolist()!r} has no area in {size!r} pixels")
    return clipped, text.strip()


def paddle_files(path: Path) -> list[Path]:
    """Return the files of PaddleOCR below a folder."""
    return [file for name in PADDLE_NAMES for file in sorted(path.rglob(name))]


def _paddle_rows(path: Path, report: ReadReport) -> Iterator[tuple[Path, list[Any]]]:
    for file in paddle_files(path):
        for at, line in enumerate(_rows(read_text(file)), start=1):
            where = f"{file.name}, line {at}"
            name, _, row = line.partition("\t")
            picture = find_picture(name.strip(), (file.parent, path, file.parent.parent))
            try:
                texts = json.loads(row)
            except (ValueError, RecursionError) as error:
                report.add(Problem.ROW, where, f"this is no list of texts ({error})")
                continue
            if picture is None:
                report.add(Problem.PICTURE, where, f"image {name!r} is not there")
            elif not isinstance(texts, list):
                report.add(Problem.ROW, where, "this is no list of texts")
            else:
                yield picture, texts
