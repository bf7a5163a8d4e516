"""One door to all formats: `open_dataset` finds out which one a path holds."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from florence2.data.files import read_text, text_lines
from florence2.data.formats.coco import read_coco
from florence2.data.formats.folders import caption_file, class_folders, read_captions, read_classes
from florence2.data.formats.jsonl import read_jsonl
from florence2.data.formats.parquet import read_parquet
from florence2.data.formats.prefix_suffix import read_prefix_suffix
from florence2.data.formats.voc import read_voc
from florence2.data.formats.yolo import NAME_FILES, find_yaml, read_yolo
from florence2.data.image_files import pictures_in
from florence2.data.records import Record
from florence2.data.report import ReadReport
from florence2.errors import DataError
from florence2.tasks import Task


class Reader(Protocol):
    """What every format has: a pass over a dataset."""

    def __call__(
        self, path: Path, report: ReadReport, *, tasks: Sequence[Task], split: str | None
    ) -> Iterator[Record]: ...


@dataclass(frozen=True)
class Format:
    """How a format is read, and what shows that a path holds it."""

    read: Reader
    looked_for: str


FORMATS: Mapping[str, Format] = {
    "jsonl": Format(read_jsonl, "a .jsonl file with 'task' and 'result' in its lines"),
    "prefix_suffix": Format(read_prefix_suffix, "a .jsonl file with 'prefix' and 'suffix'"),
    "parquet": Format(read_parquet, "a .parquet file"),
    "yolo": Format(read_yolo, "a .yaml file with names, or classes.txt"),
    "coco": Format(read_coco, "a .json file with 'images' and 'annotations'"),
    "voc": Format(read_voc, "a folder Annotations with .xml files, or .xml beside pictures"),
    "captions": Format(read_captions, "pictures with .txt files of the same name"),
    "classes": Format(read_classes, "one folder of pictures for each class"),
}

_FORMAT_OF_SUFFIX = {".json": "coco", ".parquet": "parquet", ".yaml": "yolo", ".yml": "yolo"}


class Dataset:
    """Records on disk, read anew on every pass.

    Attributes:
        path: where it is.
        format: a key of `FORMATS`.
        report: of the last pass begun; complete when the pass is.
    """

    def __init__(
        self, path: Path, format: str, tasks: Sequence[Task], split: str | None, strict: bool
    ) -> None:
        self.path, self.format = path, format
        self.tasks, self.split, self.strict = tuple(tasks), split, strict
        self.report = ReadReport(strict)

    def __iter__(self) -> Iterator[Record]:
        self.report = ReadReport(self.strict)
        return FORMATS[self.format].read(self.path, self.report, tasks=self.tasks, split=self.split)


def open_dataset(
    path: str | Path,
    format: str | None = None,
    *,
    tasks: Sequence[Task | str] = (),
    split: str | None = None,
    strict: bool = False,
) -> Dataset:
    """Open a dataset; nothing but its format is read before the first pass.

    Args:
        path: a file or folder.
        format: a key of `FORMATS`; found out by looking at the files if it is not given.
        tasks: what to ask about each picture, or which records to take; what the format is made
            for if none is given.
        split: "train", "val" or "test", for a dataset that is divided into parts.
        strict: raise `DataError` where a row or object would be lost, rather than count it.

    Raises:
        DataError: if the path holds no dataset of a known format.
    """
    path = Path(path)
    if format is None:
        format = detect_format(path)
    elif format not in FORMATS:
        raise DataError(f"format {format!r} is unknown; choose one of {', '.join(FORMATS)}")
    elif not path.exists():
        raise DataError(f"dataset {str(path)!r} does not exist; check the path")
    return Dataset(path, format, [Task.parse(task) for task in tasks], split, strict)


def detect_format(path: Path) -> str:
    """Return the format of a dataset, from the names of its files and the first row of one."""
    if not path.exists():
        raise DataError(f"dataset {str(path)!r} does not exist; check the path")
    found = _format_of_file(path) if path.is_file() else _format_of_folder(path)
    if found is None:
        looked = "; ".join(f"{name}: {row.looked_for}" for name, row in FORMATS.items())
        raise DataError(
            f"dataset {str(path)!r} is of no known format; looked for {looked}; check the path or "
            "give the format"
        )
    return found


def _format_of_file(path: Path) -> str | None:
    suffix = path.suffix.lower()
    if suffix == ".zip":
        raise DataError(
            f"file {str(path)!r} is an archive, which holds no dataset as it stands; unpack it,"
            " or if it is a kit, write pictures and records with"
            f" 'florence2-lab worlds export {path} FOLDER' and give FOLDER"
        )
    return _format_of_lines(path) if suffix == ".jsonl" else _FORMAT_OF_SUFFIX.get(suffix)


def _format_of_lines(path: Path) -> str | None:
    """Tell the two formats of JSON lines apart by the first line that is an object."""
    for line in text_lines(path):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            if {"prefix", "suffix"} <= row.keys():
                return "prefix_suffix"
            return "jsonl" if {"task", "result"} <= row.keys() else None
    return None


def _format_of_folder(path: Path) -> str | None:
    if find_yaml(path) or any((path / name).is_file() for name in NAME_FILES):
        return "yolo"
    if any(path.rglob("*.parquet")):
        return "parquet"
    for lines in (*sorted(path.glob("*.jsonl")), *sorted(path.glob("*/*.jsonl"))):
        if found := _format_of_lines(lines):
            return found
    if any(path.glob("Annotations/*.xml")) or any(path.glob("*.xml")):
        return "voc"
    if any(any(path.glob(pattern)) for pattern in ("annotations/*.json", "*.json", "*/*.json")):
        return "coco"
    pictures = pictures_in(path, deep=True)
    captioned = [file for picture in pictures if (file := caption_file(picture))]
    if captioned:
        if _is_yolo(read_text(captioned[0])):
            raise DataError(
                f"folder {str(path)!r} looks like YOLO labels without class names; put data.yaml "
                "or classes.txt there, or give the format"
            )
        return "captions"
    return "classes" if class_folders(path) else None


def _is_yolo(text: str) -> bool:
    """Tell whether a text is lines of five numbers or more."""
    try:
        rows = [list(map(float, line.split())) for line in text.splitlines() if line.strip()]
    except ValueError:
        return False
    return bool(rows) and all(len(row) >= 5 for row in rows)
