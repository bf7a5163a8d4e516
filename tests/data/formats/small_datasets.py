"""Small datasets and how to read them, shared by the tests of all formats."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from florence2.data import Problem, ReadReport, open_dataset
from florence2.data.records import Record
from florence2.results import Boxes
from florence2.tasks import Task

SIZE = (40, 20)


def write_picture(path: Path, size: tuple[int, int] = SIZE, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "navy").save(path, **options)
    return path


def write_text(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def write_lines(path: Path, *rows: dict[str, Any]) -> Path:
    return write_text(path, "".join(json.dumps(row) + "\n" for row in rows))


def read(path: Path, format: str | None = None, **options: Any) -> tuple[list[Record], ReadReport]:
    dataset = open_dataset(path, format, **options)
    return list(dataset), dataset.report


def counts(report: ReadReport) -> dict[Problem, int]:
    return dict(report.counts)


def detected(image: Path | np.ndarray, *rows: tuple[str, tuple[float, ...]]) -> Record:
    xyxy = np.array([box for _, box in rows], dtype=float).reshape(-1, 4)
    result = Boxes(xyxy, tuple(label for label, _ in rows), image_size=SIZE)
    return Record(image, Task.OD, "", None, result, "test")


def found(record: Record) -> list[tuple[str, list[float]]]:
    assert isinstance(record.result, Boxes)
    return list(zip(record.result.labels, record.result.xyxy.round(6).tolist(), strict=True))
