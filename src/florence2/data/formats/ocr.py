"""Texts in pictures: a text beside each picture of a line, or the regions of all texts in one.

Lines: `a.gt.txt` holds the text of `a.png`, as Tesseract, OCRopus and kraken train on; or a list
tells all (`rec_gt_train.txt` of PaddleOCR: a path, a tab, the text); a record of `<OCR>`. Regions:
corners and text in each line of `a.txt` or `gt_a.txt` (ICDAR 2015, SROIE; with a script before the
text in ICDAR MLT, with a mark of difficulty in RCTW), a box and a text in quotation marks (ICDAR
2013), outlines (CTW1500, Total-Text), or all pictures in a list of PaddleOCR (`Label.txt`,
`train_label.txt`, `det_gt.txt`); a record of
`<OCR_WITH_REGION>`, in the order of the file. An answer has four corners: of an outline with more,
the smallest turned rectangle around it is taken, and told. Texts that nobody could read (`###`,
`*`, `#`, `"difficult": true`) leave their picture out: its record would say that there is none.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from florence2.data.files import find_file, number, read_text
from florence2.data.image_files import (
    checked_size,
    files_in,
    find_picture,
    is_picture,
    named_picture,
    pictures_in,
    twin_folders,
)
from florence2.data.label_texts import OCR_KINDS, LabelTexts
from florence2.data.objects import SLACK, chosen_tasks
from florence2.data.parts import choose_split, divide, divide_named
from florence2.data.recognition import head_of
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.errors import DataError, Florence2Error
from florence2.geometry import Array, Size, clip_points, polygon_area, smallest_quad
from florence2.results import Quads, Text
from florence2.tasks import Task

LINE_SUFFIX = ".gt.txt"
_PADDLE_NAME = re.compile(r"(^|[_\W])(label|labels|det)([_\W]|$)", re.IGNORECASE)
RECOGNITION_NAMES = ("*rec*.txt", "*/*rec*.txt")
_RECOGNITION = re.compile(r"(.*[_\W])?rec([_\W].*)?", re.IGNORECASE)
_PREFIXES = ("", "gt_", "gt-", "poly_gt_")
_UNREADABLE = ("###", "*", "#")
_UNREAD = "###"
_WORDS = re.compile(r"[\s,]+")
_CTW_MARK = ",####"  # between the outline and the text
_TOTAL_TEXT = re.compile(
    r"x:\s*\[\[(.*?)\]\],\s*y:\s*\[\[(.*?)\]\].*transcriptions:\s*\[\s*u?(['\"])(.*)\3\s*\]"
)
# Between the corners and the text of ICDAR MLT.
SCRIPTS = frozenset(
    (
        *("arabic", "latin", "chinese", "japanese", "korean", "bangla", "hindi", "devanagari"),
        *("symbols", "mixed", "none"),
    )
)
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
    lists = divide_named(paddle_files(path), path)
    if not lists or None in lists or set(divide(pictures_in(path, deep=True), path)) != {None}:
        pictures = _of_part(path, split, report)
        told = _paddle_rows([file for files in lists.values() for file in files], path, report)
    else:  # lists of parts, as train_label.txt and test_label.txt
        report.part = choose_split(lists, split, path)
        told = _paddle_rows(lists[report.part], path, report)
        pictures = list(told)
    for picture in pictures:
        where = picture.relative_to(path).as_posix()
        report.name_picture(picture)
        file = None if picture in told else region_file(picture, path)
        if file is None and picture not in told:
            report.add(Problem.NO_TEXT, where, "no file tells its texts")
            continue
        if (size := checked_size(picture, report, where)) is None:
            continue
        try:
            rows = told[picture] if file is None else _without_scripts(_rows(read_text(file)))
            regions = [
                _checked(points, text, size, report, where) for points, text in map(_region, rows)
            ]
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
    """Return the file of the texts in a picture, beside it or in a folder beside its own.

    Files of JSON tell what is in the picture in another way (the key information of SROIE).
    """
    for folder in (picture.parent, *twin_folders(picture.parent, root)):
        for prefix in _PREFIXES:
            file = folder / f"{prefix}{picture.stem}.txt"
            if file.is_file() and not head_of(file).lstrip().startswith("{"):
                return file
    return None


def _rows(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _without_scripts(rows: list[str]) -> list[str]:
    """The rows without the script before the text, if all of them have one."""
    parts = [row.split(",", 9) for row in rows]
    if not all(len(each) == 10 and each[8].strip().lower() in SCRIPTS for each in parts):
        return rows
    return [",".join((*each[:8], each[9])) for each in parts]


def _region(row: Any) -> Region:
    """The corners and the text of a line, or of an object of PaddleOCR."""
    if isinstance(row, dict):
        points, text = row.get("points"), row.get("transcription")
        if not isinstance(points, list) or not isinstance(text, str):
            raise DataError(f"{row!r} has no points and transcription")
        corners = [number(value, "a corner") for point in points for value in _pair(point)]
        return _corners(corners), _UNREAD if row.get("difficult") is True else text
    if found := _TOTAL_TEXT.search(row):
        axes = [[number(value, "a corner") for value in found[at].split()] for at in (1, 2)]
        if len(axes[0]) != len(axes[1]):
            raise DataError(f"an outline has {len(axes[0])} x and {len(axes[1])} y")
        return np.array(axes).T, found[4]
    head, mark, text = row.partition(_CTW_MARK)
    if mark:
        return _corners([number(word, "a corner") for word in head.split(",")]), text.strip()
    if row.endswith('"') and row.count('"') >= 2:
        head, _, text = row[:-1].partition('"')
        sides = [number(value, "a side") for value in _WORDS.split(head) if value]
        if len(sides) == 9 and sides[8] in (0, 1):  # RCTW marks what is difficult
            return _corners(sides[:8]), _UNREAD if sides[8] else text
        return _corners(sides), text
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
    if len(values) < 8 or len(values) % 2:
        raise DataError(f"a text has {len(values)} numbers; give four corners or a box")
    return np.array(values).reshape(-1, 2)


def _checked(points: Array, text: str, size: Size, report: ReadReport, where: str) -> Region:
    if not text.strip():
        raise DataError("a text is empty")
    if len(points) > 4:
        report.add(Problem.RECTANGLES, where, f"{text!r} has {len(points)} corners")
        points = smallest_quad(points)
    clipped = clip_points(points, size)
    if polygon_area(clipped) <= 0:
        raise DataError(f"the text {text!r} at {points.tolist()!r} has no area in {size!r} pixels")
    if np.abs(clipped - points).max() > SLACK and text not in _UNREADABLE:
        what = f"{text!r} at {points.round(1).tolist()!r} cut to {size!r} pixels"
        report.add(Problem.CLIPPED, where, what)
    return clipped, text.strip()


def read_ocr_list(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield a record of `<OCR>` for each picture of a list: a path, a tab and the text a line."""
    chosen_tasks(tasks, (Task.OCR,), Task.OCR, f"dataset {str(path)!r}")
    file = find_file(path, RECOGNITION_NAMES, split, report, accept=is_recognition_list)
    folders = (file.parent, *(folder for folder in (path, file.parent.parent) if folder.is_dir()))
    for at, line in enumerate(read_text(file).splitlines(), start=1):
        where = f"{file.name}, line {at}"
        names, tab, text = line.partition("\t")
        if not line.strip():
            continue
        if not tab:
            report.add(Problem.ROW, where, f"{line!r} has no tab between path and text")
            report.name_picture(find_picture(line.strip(), folders))
            continue
        for name in _names(names.strip()):
            found = named_picture(name, folders, report, where)
            if found and not text.strip():
                report.add(Problem.NO_TEXT, f"{where}, {found[0].name}", "its text is empty")
            elif found:
                result = Text(text.strip(), image_size=found[1])
                record = Record(found[0], Task.OCR, "", None, result, where)
                yield from report.accept(record, where)


def _names(given: str) -> list[str]:
    """The pictures of a line: one path, or a list of several with the same text as JSON."""
    try:
        names = json.loads(given) if given.startswith("[") else [given]
    except (ValueError, RecursionError):
        return [given]
    return [str(name) for name in names]


def is_recognition_list(file: Path) -> bool:
    """Tell by its name and its head whether a file is PaddleOCR's list of lines and texts."""
    if not _RECOGNITION.fullmatch(file.stem) or file.suffix.lower() != ".txt":
        return False
    lines = [line for line in head_of(file).splitlines() if line.strip()]
    named = [name for name, tab, _ in (line.partition("\t") for line in lines) if tab]
    pictures = [name for name in named if is_picture(Path(name.rstrip('" ]')))]
    return 2 * len(pictures) > len(lines)


def paddle_files(path: Path) -> list[Path]:
    """Return the files of PaddleOCR below a folder that tell the texts of many pictures."""
    files = (file for file in files_in(path) if file.suffix.lower() == ".txt")
    return [
        file
        for file in files
        if _PADDLE_NAME.search(file.stem) and '"transcription"' in head_of(file)
    ]


def _paddle_rows(files: Sequence[Path], root: Path, report: ReadReport) -> dict[Path, list[Any]]:
    """The texts of each picture; those of one with two rows that differ are open."""
    told: dict[Path, list[Any]] = {}
    unclear = set()
    for file in files:
        for at, line in enumerate(_rows(read_text(file)), start=1):
            name, _, row = line.partition("\t")
            where = f"{file.name}, line {at}, {name.strip()}"
            picture = find_picture(name.strip(), (file.parent, root, file.parent.parent))
            try:
                texts = json.loads(row)
            except (ValueError, RecursionError) as error:
                report.add(Problem.ROW, where, f"this is no list of texts ({error})")
                report.name_picture(picture)
                continue
            if picture is None:
                report.add(Problem.PICTURE, where, f"image {name!r} is not there")
            elif not isinstance(texts, list):
                report.add(Problem.ROW, where, "this is no list of texts")
            elif told.setdefault(picture, texts) != texts:
                report.add(Problem.DUPLICATE, where, f"image {name!r} has two rows that differ")
                report.name_picture(picture)
                unclear.add(picture)
    return {picture: texts for picture, texts in told.items() if picture not in unclear}
