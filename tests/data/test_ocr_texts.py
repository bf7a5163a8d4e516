"""Texts in pictures as other sets have them; formats/test_ocr.py has the plain cases."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layouts import CORNERS, KEYS, OUTLINE
from PIL import Image

from florence2.data import Problem, open_dataset
from florence2.data.records import Record
from florence2.data.report import ReadReport
from florence2.errors import DataError
from florence2.geometry import polygon_area, smallest_quad
from florence2.tasks import Task

QUAD = [[8, 4], [24, 4], [24, 14], [8, 14]]


def read(folder: Path, files: dict[str, str], **options: Any) -> tuple[list[Record], ReadReport]:
    """Write texts and pictures, and read the folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".png"):
            Image.new("RGB", (40, 20), "navy").save(folder / name)
        else:
            (folder / name).write_text(text, encoding="utf-8")
    dataset = open_dataset(folder, **options)
    return list(dataset), dataset.report


def paddle(**texts: Any) -> str:
    return f"a.png\t{json.dumps([{'transcription': 'A', 'points': QUAD, **texts}])}\n"


@pytest.mark.parametrize(
    ("rows", "texts"),
    [
        (CORNERS + ",Latin,Hello\n" + CORNERS + ",Symbols,:)", ("Hello", ":)")),
        (CORNERS + ",Latin,one, two", ("one, two",)),
        (CORNERS + ",Latin,Hello\n" + CORNERS + ",plain", ("Latin,Hello", "plain")),
        (CORNERS + ",Greek,Hello", ("Greek,Hello",)),
        (CORNERS + ",RM 1,234", ("RM 1,234",)),
        (CORNERS + ',0,"say ""A"""', ('say ""A""',)),
        (CORNERS + ',"7"', ("7",)),
    ],
)
def test_a_script_is_no_text_where_all_rows_have_one(tmp_path, rows: str, texts) -> None:
    (record,), report = read(tmp_path, {"a.png": "", "a.txt": rows})
    assert record.result.labels == texts
    assert record.result.quads[0].tolist() == QUAD
    assert not report.counts


@pytest.mark.parametrize(
    "files",
    [
        {"Label.txt": paddle(difficult=True)},
        {"Label.txt": paddle(transcription="###")},
        {"Label.txt": paddle(transcription="*")},
        {"a.txt": CORNERS + ",###"},
        {"a.txt": CORNERS + ",Latin,###\n" + CORNERS + ",Latin,Hello"},
        {"a.txt": CORNERS + ',1,"dim"'},
        {"a.txt": OUTLINE + ",#######"},
    ],
)
def test_a_text_that_nobody_could_read_leaves_the_picture_out(tmp_path, files) -> None:
    records, report = read(tmp_path, {"a.png": "", **files}, format="ocr_regions")
    assert records == []
    assert report.counts[Problem.INCOMPLETE] == 1


def test_what_is_not_difficult_is_read(tmp_path: Path) -> None:
    (record,), _ = read(tmp_path, {"a.png": "", "Label.txt": paddle(difficult=False)})
    assert record.result.labels == ("A",)


def test_a_picture_with_two_rows_that_differ_is_left_out(tmp_path: Path) -> None:
    rows = paddle() + paddle(transcription="B") + paddle().replace("a.png", "b.png") * 2
    records, report = read(tmp_path, {"a.png": "", "b.png": "", "det_gt.txt": rows})
    assert [record.image.name for record in records] == ["b.png"]
    assert report.counts[Problem.DUPLICATE] == 1


def test_corners_cut_at_the_edge_are_told(tmp_path: Path) -> None:
    corners = "-3,4,24,4,24,14,-3,14"
    (record,), report = read(tmp_path, {"a.png": "", "a.txt": corners + ",Hello"})
    assert record.result.quads[0].tolist() == [[0, 4], [24, 4], [24, 14], [0, 14]]
    assert report.counts == {Problem.CLIPPED: 1}
    assert "'Hello' at" in report.cases[Problem.CLIPPED][0]


@pytest.mark.parametrize(
    "files",
    [
        {"a.txt": OUTLINE + ",####Hello"},
        {"Label.txt": paddle(transcription="Hello", points=[[8, 4], [16, 3], [24, 4], [24, 14],
                                                            [16, 13], [8, 14]])},
        {"a.txt": "x: [[8 16 24 24 16 8]], y: [[4 3 4 14 13 14]], ornt: [u'c'], "
                  "transcriptions: [u'Hello']"},
    ],
)  # fmt: skip
def test_an_outline_becomes_the_smallest_rectangle_and_is_told(tmp_path, files) -> None:
    (record,), report = read(tmp_path, {"a.png": "", **files})
    assert record.result.labels == ("Hello",)
    assert record.result.quads[0].round(6).tolist() == [[8, 3], [24, 3], [24, 14], [8, 14]]
    assert report.counts == {Problem.RECTANGLES: 1}


def test_the_smallest_rectangle_is_no_larger_than_any_other() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        points = rng.normal(size=(rng.integers(5, 15), 2)) * (5, 1)
        quad = smallest_quad(points)
        angle = np.arctan2(*(quad[1] - quad[0])[::-1])
        turned = [_box_area(points, angle + step) for step in np.linspace(0, np.pi / 2, 200)]
        assert turned[0] == pytest.approx(float(polygon_area(quad)))  # it holds all points
        assert polygon_area(quad) <= min(turned) + 1e-9
    assert np.sign(np.linalg.det(smallest_quad(QUAD[::-1])[1:3] - (8, 14))) < 0  # runs as they do


def _box_area(points: np.ndarray, angle: float) -> float:
    axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return float(np.prod(np.ptp(points @ axes.T, axis=0)))


def test_texts_beside_lines_are_read_when_asked(tmp_path: Path) -> None:
    files = {"a.png": "", "a.txt": "Total 5", "b.png": "", "b.txt": "120 44 250 180 3"}
    files |= {"c.png": "", "c.txt": "Thank you"}
    records, _ = read(tmp_path, files, tasks=["ocr"])
    assert [record.task for record in records] == [Task.OCR] * 3
    assert [record.result.text for record in records] == [
        "Total 5",
        "120 44 250 180 3",
        "Thank you",
    ]
    assert len(read(tmp_path, {})[0]) == 2  # as a caption, five numbers are a label


def test_lists_of_lines_are_read(tmp_path: Path) -> None:
    rows = 'train/a.png\tHello  you \n["train/b.png", "train/c.png"]\t42\nno tab\ntrain/d.png\t\n'
    files = {f"train/{name}.png": "" for name in "abcd"} | {"rec_gt.txt": rows}
    records, report = read(tmp_path, files)
    texts = {record.image.name: record.result.text for record in records}
    assert texts == {"a.png": "Hello  you", "b.png": "42", "c.png": "42"}
    assert report.counts == {Problem.ROW: 1, Problem.NO_TEXT: 1}
    assert len(list(open_dataset(tmp_path / "rec_gt.txt"))) == 3


def test_key_information_is_no_text_of_a_picture(tmp_path: Path) -> None:
    files = {"a.png": "", "a.txt": KEYS, "b.png": "", "b.txt": "a cat", "c.png": "", "c.txt": "b"}
    records, report = read(tmp_path, files)
    assert [record.image.name for record in records] == ["b.png", "c.png"]
    assert "looks like JSON" in report.cases[Problem.NO_TEXT][0]
    with pytest.raises(DataError, match="key information"):
        open_dataset(_file(tmp_path / "keys.json", KEYS))


def _file(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
