"""Our own records come back equal from JSON lines and from Parquet."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_datasets import SIZE, counts, detected, read, write_lines, write_picture, write_text

from florence2.data import Problem, ReadReport
from florence2.data.files import read_json_lines
from florence2.data.formats.jsonl import write_jsonl
from florence2.data.formats.parquet import write_parquet
from florence2.data.records import Record
from florence2.errors import DataError
from florence2.results import Boxes, Mixed, Polygons, Quads, Text
from florence2.tasks import Task

TRIANGLE = np.array([[1.0, 2.0], [9.5, 2.0], [3.0, 7.25]])
OBJECTS = Boxes([[1, 2, 9.1, 7]], ["chat noir 猫"], (0.5,), image_size=SIZE, answer="raw")
OUTLINES = Polygons(((TRIANGLE,),), ("",), image_size=SIZE)
NO_OBJECTS = Boxes(np.zeros((0, 4)), (), image_size=SIZE)
LABELLED = Polygons(((TRIANGLE,),), ("cat",), image_size=SIZE)
QUADS = Quads([[[0, 0], [9, 0], [9, 5], [0, 5]]], ["a\nb"], image_size=SIZE)


def records_of(picture: Path) -> list[Record]:
    def record(task, result, text_input="", region=None):
        return Record(picture, task, text_input, region, result, "hand")

    mixed = Mixed(OBJECTS, LABELLED, image_size=SIZE)
    return [
        record(Task.OD, OBJECTS),
        record(Task.OD, NO_OBJECTS),
        record(Task.CAPTION, Text("“ça”", (), 0.25, image_size=SIZE, token_ids=(1, 2))),
        record(Task.OCR_WITH_REGION, QUADS),
        record(Task.REGION_TO_SEGMENTATION, OUTLINES, region=(0.1, 0.2, 30, 20)),
        record(Task.OPEN_VOCABULARY_DETECTION, mixed, "cat"),
        replace(record(Task.OD, OBJECTS), prompt="<COUNT>How many?"),
    ]


def told(record: Record) -> list:
    return [
        record.task,
        record.text_input,
        record.region,
        record.result.to_dict(),
        record.source,
        record.prompt,
        np.asarray(record.picture()).tolist(),
    ]


def write_both(records: list[Record], folder: Path) -> list[Path]:
    files = [folder / name for name in ("a.jsonl", "inside.parquet", "beside.parquet")]
    write_jsonl(iter(records), files[0])
    write_parquet(iter(records), files[1])
    write_parquet(iter(records), files[2], embed=False)
    return files


def test_records_of_every_kind_come_back_equal(tmp_path: Path) -> None:
    records = records_of(write_picture(tmp_path / "bilder" / "größe 1.png"))
    (tmp_path / "out").mkdir()
    for file in write_both(records, tmp_path / "out"):
        back, report = read(file, strict=True)
        assert [told(record) for record in back] == [told(record) for record in records]
        assert report.num_records.total() == len(records)
        assert not report.counts


def test_pixels_without_a_file_are_saved_once(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (20, 40, 3), dtype=np.uint8)
    records = [detected(pixels, ("cat", (1, 2, 3, 4))), detected(pixels.copy())]
    for file in write_both(records, tmp_path):
        back, _ = read(file, strict=True)
        assert [np.array_equal(record.picture(), pixels) for record in back] == [True, True]
    assert len(list((tmp_path / "a_images").iterdir())) == 1
    assert not (tmp_path / "inside_images").exists()


coordinates = st.floats(0, 20, width=64)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(coordinates, coordinates, coordinates, coordinates), max_size=3))
def test_boxes_come_back_to_the_last_digit(tmp_path: Path, picture: Path, rows) -> None:
    boxes = Boxes(
        [[min(a, c), min(b, d), max(a, c), max(b, d)] for a, b, c, d in rows],
        ["x"] * len(rows),
        image_size=(120, 80),
    )
    write_jsonl([Record(picture, Task.OD, "", None, boxes, "s")], tmp_path / "a.jsonl")
    (record,), _ = read(tmp_path / "a.jsonl", strict=True)
    assert record.result == boxes


def test_only_the_tasks_asked_for_are_read(tmp_path: Path) -> None:
    records = records_of(write_picture(tmp_path / "1.png"))
    write_jsonl(records, tmp_path / "a.jsonl")
    back, report = read(tmp_path, tasks=["caption"])
    assert [record.task for record in back] == [Task.CAPTION]
    assert counts(report) == {Problem.OTHER_TASK: len(records) - 1}


def test_a_byte_order_mark_and_blank_lines_mean_nothing(tmp_path: Path) -> None:
    write_picture(tmp_path / "1.png")
    write_jsonl([detected(tmp_path / "1.png")], tmp_path / "a.jsonl")
    text = (tmp_path / "a.jsonl").read_text(encoding="utf-8")
    (tmp_path / "a.jsonl").write_text("\ufeff" + text + "\r\n\n", encoding="utf-8")
    back, report = read(tmp_path / "a.jsonl", strict=True)
    assert (len(back), counts(report)) == (1, {})


GOOD = {
    "image": "1.png",
    "task": "<OD>",
    "text_input": "",
    "region": None,
    "result": NO_OBJECTS.to_dict(),
    "source": "s",
}


@pytest.mark.parametrize(
    ("change", "problem", "words"),
    [
        pytest.param({"image": 3}, Problem.ROW, "give a text", id="image"),
        pytest.param({"image": "2.png"}, Problem.PICTURE, "looked in", id="missing picture"),
        pytest.param({"image": "a.jsonl"}, Problem.PICTURE, "no picture", id="no picture"),
        pytest.param({"image": "x" * 999}, Problem.PICTURE, "not there", id="name too long"),
        pytest.param({"image": ""}, Problem.PICTURE, "not there", id="no name"),
        pytest.param({"task": "<ODD>"}, Problem.ROW, "did you mean", id="task"),
        pytest.param({"task": None}, Problem.ROW, "'task' is None", id="no task"),
        pytest.param({"result": None}, Problem.ROW, "to_dict", id="result"),
        pytest.param({"result": {"type": "x"}}, Problem.ROW, "unknown", id="result type"),
        pytest.param({"region": [1, 2]}, Problem.ROW, "x_min", id="region"),
        pytest.param({"region": [1, 2, 3, 4]}, Problem.ROW, "takes no region", id="surplus"),
        pytest.param(
            {"result": {**GOOD["result"], "image_size": [40, 21]}},
            Problem.ROW,
            "the picture has",
            id="size",
        ),
        pytest.param(
            {"result": {**GOOD["result"], "xyxy": [[1, 2, 3, 4]], "labels": ["<loc_1>"]}},
            Problem.ANSWER,
            "special tokens",
            id="a label that reads as a token",
        ),
    ],
)
def test_a_bad_row_is_counted_and_the_others_are_read(
    tmp_path: Path, change, problem, words
) -> None:
    write_picture(tmp_path / "1.png")
    file = write_lines(tmp_path / "a.jsonl", GOOD, {**GOOD, **change}, GOOD)
    back, report = read(file, "jsonl")
    assert len(back) == 2
    assert counts(report) == {problem: 1}
    (case,) = report.cases[problem]
    assert case.startswith("a.jsonl, line 2: ") and words in case
    with pytest.raises(DataError, match=r"a\.jsonl, line 2: .* \(strict reading"):
        read(file, "jsonl", strict=True)


@pytest.mark.parametrize("line", ["{", "[1]", "[" * 100_000, "\udcff"])
def test_a_line_that_is_no_object_is_counted(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.jsonl").write_text(line + "\n", encoding="utf-8", errors="surrogateescape")
    back, report = read(tmp_path / "a.jsonl", "jsonl")
    assert (back, counts(report)) == ([], {Problem.ROW: 1})


def test_a_file_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        list(read_json_lines(tmp_path, ReadReport()))


def test_parquet_without_answers_is_refused(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"image": ["a"], "vector": [[1.0]]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="has the columns image, vector; records have image, task"):
        read(tmp_path)
    write_text(tmp_path / "a.parquet", "PAR1")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read(tmp_path)


def test_bad_rows_of_parquet_are_counted(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    write_picture(tmp_path / "1.png")
    row = {**GOOD, "image": {"bytes": None, "path": "1.png"}, "result": json.dumps(GOOD["result"])}
    rows = [
        row,
        {**row, "image": None},
        {**row, "image": {"bytes": b"no picture", "path": None}},
        {**row, "result": "{"},
        {**row, "result": None},
    ]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    back, report = read(tmp_path / "a.parquet")
    assert len(back) == 1
    assert counts(report) == {Problem.PICTURE: 2, Problem.ROW: 2}
    assert report.cases[Problem.ROW][0].startswith("a.parquet, row 4: ")


def test_parquet_shards_are_read_in_order_and_by_split(tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "1.png")
    for name, label in [("train-1", "b"), ("train-0", "a"), ("val-0", "c")]:
        record = detected(picture, (label, (1, 1, 5, 5)))
        write_parquet([record], tmp_path / f"{name}.parquet")
    back, _ = read(tmp_path, split="train", strict=True)
    assert [record.result.labels for record in back] == [("a",), ("b",)]
    with pytest.raises(DataError, match="has the parts train, val"):
        read(tmp_path)
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="holds no"):
        read(tmp_path / "none", "parquet")


def test_a_missing_library_names_the_extra(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"install 'florence2\[parquet\]'"):
        write_parquet([], tmp_path / "a.parquet")
