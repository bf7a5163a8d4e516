"""`florence2 data A --to FORMAT B` and back: what a format cannot hold is left out and told."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from florence2.cli.main import main
from florence2.data import open_dataset
from florence2.data.formats.coco import write_coco
from florence2.data.formats.jsonl import write_jsonl
from florence2.data.formats.parquet import write_parquet
from florence2.data.formats.prefix_suffix import write_prefix_suffix
from florence2.data.formats.voc import write_voc
from florence2.data.formats.yolo import write_yolo
from florence2.data.records import Federated, Ignored, Record
from florence2.errors import DataError
from florence2.results import Boxes
from florence2.tasks import Task

FORMATS = ("coco", "jsonl", "parquet", "prefix_suffix", "voc", "yolo")
WHERE = {"crowd.png": "crowd", "difficult.png": "difficult", "plain.png": "", "empty.png": ""}
KEPT = {
    "coco": {"crowd", "difficult"},
    "jsonl": {"crowd", "difficult"},
    "parquet": {"crowd", "difficult"},
    "voc": {"difficult"},
    "prefix_suffix": set(),
    "yolo": set(),
}


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A picture with an object and a crowd, one with an ignored one, a plain one, an empty one."""
    rows = []
    for number, (name, mark) in enumerate(WHERE.items(), start=1):
        Image.effect_noise((60, 40), 30 + 20 * number).convert("RGB").save(tmp_path / name)
        row = {"image_id": number, "category_id": 1, "bbox": [1, 2, 20, 10], "score": 0.5}
        rows += [row] if name != "empty.png" else []
        marks = {"crowd": {"iscrowd": 1}, "difficult": {"ignore": 1}}.get(mark)
        rows += [{**row, "bbox": [30, 20, 20, 10], **marks}] if marks else []
    content = {
        "images": [{"id": n, "file_name": name} for n, name in enumerate(WHERE, start=1)],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"id": n, **row} for n, row in enumerate(rows)],
    }
    file = tmp_path / "a.json"
    file.write_text(json.dumps(content))
    return file


def converted(source: Path, format: str, out: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["data", str(source), "--quick", "--json", "--to", format, str(out)]) == 0
    printed = capsys.readouterr()
    return Path(printed.err.split("written", 1)[1].strip()), json.loads(printed.out)["told"]


def answers(path: Path) -> list[tuple]:
    found = []
    for record in open_dataset(path):
        ignored = record.ignored
        found.append(
            (
                record.result.xyxy.round().tolist(),
                record.result.labels,
                ignored and ignored.boxes.xyxy.round().tolist(),
                record.result.scores,
            )
        )
    return sorted(found, key=str)


@pytest.mark.parametrize("second", FORMATS)
@pytest.mark.parametrize("first", FORMATS)
def test_no_crowd_becomes_an_object_or_silence(
    dataset: Path, tmp_path: Path, first: str, second: str, capsys
) -> None:
    (tmp_path / "out").mkdir()
    middle, told = converted(dataset, first, tmp_path / "out" / "one", capsys)
    missing = {"crowd", "difficult"} - KEPT[first]
    numbers = [row["number"] for row in told if "has no place" in row["what"]]
    assert numbers == ([len(missing)] if missing else [])
    last, _ = converted(middle, second, tmp_path / "out" / "two", capsys)
    plain, other = [[1, 2, 21, 12]], [[30, 20, 50, 30]]
    kept = KEPT[first] & (KEPT[second] | (KEPT["voc"] if second == "voc" else set()))
    if first == "coco" and second == "voc":
        kept = set()  # COCO's evaluators know crowds alone, so all were written as such
    want = [(plain, ("cat",), other)] * len(kept) + [(plain, ("cat",), None), ([], (), None)]
    found = answers(last)
    assert sorted((each[:3] for each in found), key=str) == sorted(want, key=str)
    if {first, second} <= {"coco", "jsonl", "parquet"}:
        assert {each[3] for each in found if each[1]} == {(0.5,)}


def ignoring(tmp_path: Path, label: str, *, is_crowd: bool) -> Record:
    picture = tmp_path / "a.png"
    Image.new("RGB", (60, 40)).save(picture)
    boxes = Boxes(np.array([[30.0, 20, 50, 30]]), (label,), image_size=(60, 40))
    nothing = Boxes(np.zeros((0, 4)), (), image_size=(60, 40))
    return Record(picture, Task.OD, "", None, nothing, "a", ignored=Ignored(boxes, (is_crowd,)))


@pytest.mark.parametrize("write", [write_yolo, write_voc, write_prefix_suffix])
def test_a_writer_refuses_a_crowd_that_would_become_silence(tmp_path: Path, write) -> None:
    record = ignoring(tmp_path, "cat", is_crowd=True)
    with pytest.raises(DataError, match=r"has a crowd, and .* has no place for it"):
        write([record], tmp_path / "out")


@pytest.mark.parametrize("write", [write_yolo, write_voc, write_coco, write_prefix_suffix])
def test_a_region_of_any_class_is_no_object(tmp_path: Path, write) -> None:
    record = ignoring(tmp_path, "", is_crowd=False)
    with pytest.raises(DataError, match="a region of no class to be ignored"):
        write([record], tmp_path / "out")


@pytest.mark.parametrize("end", [".jsonl", ".parquet"])
def test_own_formats_keep_what_was_looked_for(tmp_path: Path, end: str) -> None:
    record = ignoring(tmp_path, "", is_crowd=False)
    searched = Federated(frozenset({"dog"}), frozenset({"cat", "cow"}))
    record = Record(
        *(record.image, record.task, "", None, record.result, "a"),
        ignored=record.ignored,
        federated=searched,
    )
    write = write_jsonl if end == ".jsonl" else write_parquet
    write([record], tmp_path / f"out{end}")
    (again,) = open_dataset(tmp_path / f"out{end}")
    assert again.federated == searched
    assert again.ignored.boxes.labels == ("",)


def test_phrases_are_not_all_that_is_there(tmp_path: Path) -> None:
    record = ignoring(tmp_path, "cat", is_crowd=False)
    found = Boxes(np.array([[1.0, 2, 21, 12]]), ("a cat",), image_size=(60, 40))
    task = Task.CAPTION_TO_PHRASE_GROUNDING
    record = Record(record.image, task, "a cat by a dog", None, found, "a")
    for write in (write_yolo, write_voc):
        with pytest.raises(DataError, match="tells of all classes"):
            write([record], tmp_path / "out")
    write_coco([record], tmp_path / "coco.json")
    (again,) = open_dataset(tmp_path / "coco.json")
    assert (again.task, again.text_input) == (Task.OPEN_VOCABULARY_DETECTION, "a cat")
    (detection,) = open_dataset(tmp_path / "coco.json", tasks=["od"])
    assert detection.federated is not None  # it measures, and is not trained on


@pytest.mark.parametrize("format", FORMATS)
def test_a_flat_box_is_not_written(tmp_path: Path, format: str, capsys) -> None:
    record = ignoring(tmp_path, "cat", is_crowd=True)
    flat, whole = (
        Record(
            *(record.image.with_name(name), Task.OD, "", None),
            *(Boxes(np.array([box]), ("cat",), image_size=(60, 40)), name),
        )
        for name, box in (("a.png", [8.0, 4, 8, 14]), ("b.png", [8.0, 4, 24, 14]))
    )
    Image.new("RGB", (60, 40), "red").save(tmp_path / "b.png")
    write_jsonl([flat, whole], tmp_path / "rows.jsonl")
    (tmp_path / "out").mkdir()
    written, told = converted(tmp_path / "rows.jsonl", format, tmp_path / "out" / "set", capsys)
    assert [row["number"] for row in told if "not written" in row["what"]] == [1]
    assert [each[1] for each in answers(written)] == [("cat",)]
