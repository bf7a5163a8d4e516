"""Texts in pictures: lines, and regions of ICDAR, SROIE and PaddleOCR."""

import json
from pathlib import Path

import pytest
from small_datasets import SIZE, counts, read, write_picture, write_text

from florence2.data import Problem
from florence2.errors import DataError
from florence2.results import Quads, Text
from florence2.tasks import Task

CORNERS = [[8.0, 4.0], [24.0, 4.0], [24.0, 14.0], [8.0, 14.0]]
ICDAR = "8,4,24,4,24,14,8,14"


def texts(record) -> tuple[list[list[list[float]]], tuple[str, ...]]:
    assert isinstance(record.result, Quads)
    assert record.task is Task.OCR_WITH_REGION
    return record.result.quads.tolist(), record.result.labels


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f"{ICDAR},TOTAL 2.50", "TOTAL 2.50"),
        (f"\ufeff{ICDAR},7\r\n", "7"),
        (f"{ICDAR},1,000 £, or so", "1,000 £, or so"),
        ('8, 4, 24, 14, "Hello"', "Hello"),
        ('8 4 24 14 "He said "no""', 'He said "no"'),
    ],
)
@pytest.mark.parametrize(
    ("picture", "file"),
    [("1.png", "1.txt"), ("1.png", "gt_1.txt"), ("a_images/1.png", "a_gt/gt_1.txt")],
)
def test_a_line_is_a_region_and_its_text(tmp_path: Path, text, wanted, picture, file) -> None:
    write_picture(tmp_path / picture)
    write_text(tmp_path / file, text)
    (record,), report = read(tmp_path, strict=True)
    assert texts(record) == ([CORNERS], (wanted,))
    assert not report.counts


def test_the_label_file_of_paddle_tells_all_pictures(tmp_path: Path) -> None:
    rows = []
    for name in ("1", "2", "3"):
        write_picture(tmp_path / "pictures" / f"{name}.png")
        found = [{"transcription": name, "points": CORNERS, "difficult": False}]
        rows.append(f"pictures/{name}.png\t{json.dumps(found)}\n")
    write_text(tmp_path / "pictures" / "Label.txt", "".join(rows[:2]) + "none.png\t[]\n")
    records, report = read(tmp_path)
    assert [texts(record) for record in records] == [([CORNERS], ("1",)), ([CORNERS], ("2",))]
    assert counts(report) == {Problem.PICTURE: 1, Problem.NO_TEXT: 1}


def test_a_line_of_text_is_read(tmp_path: Path) -> None:
    for name in ("1", "2"):
        write_picture(tmp_path / f"{name}.png")
    write_text(tmp_path / "1.gt.txt", "Ein Satz.\n")
    write_text(tmp_path / "3.gt.txt", "no picture")
    (record,), report = read(tmp_path)
    assert (record.task, record.result) == (Task.OCR, Text("Ein Satz.", image_size=SIZE))
    assert counts(report) == {Problem.NO_TEXT: 1, Problem.NO_PICTURE: 1}


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (f"{ICDAR},###", Problem.INCOMPLETE),
        (f"{ICDAR},", Problem.ROW),
        ("8,4,24,4,24,x,8,14,word", Problem.ROW),
        ("8,4,24", Problem.ROW),
        ("90,90,99,90,99,99,90,99,outside", Problem.ROW),
        ("8,4,8,4,8,4,8,4,flat", Problem.ROW),
    ],
)
def test_a_picture_with_a_lost_text_gives_no_record(tmp_path: Path, row, problem) -> None:
    for name in ("1", "2", "3"):
        write_picture(tmp_path / f"{name}.png")
        write_text(tmp_path / f"{name}.txt", f"{ICDAR},word\n" + (row if name == "2" else ""))
    records, report = read(tmp_path)
    assert [record.image.name for record in records] == ["1.png", "3.png"]
    assert counts(report) == {problem: 1}


def test_a_text_beside_a_line_may_be_asked_as_ocr(tmp_path: Path) -> None:
    write_picture(tmp_path / "1.png")
    write_text(tmp_path / "1.txt", "Ein Satz.")
    (record,), _ = read(tmp_path, tasks=["ocr"])
    assert record.task is Task.OCR
    with pytest.raises(DataError, match="no answers for task '<OD>'"):
        read(tmp_path, tasks=["od"])
