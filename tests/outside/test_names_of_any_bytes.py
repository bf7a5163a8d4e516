"""A file's name may be any bytes; JSON holds Unicode alone."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import rows, run, told

from florence2 import Boxes, DataError, Task
from florence2.cli.edge import json_line, readable
from florence2.cli.questions import written_name
from florence2.data import open_dataset
from florence2.data.formats.coco import write_coco
from florence2.data.formats.jsonl import write_jsonl
from florence2.data.formats.parquet import write_parquet
from florence2.data.formats.prefix_suffix import write_prefix_suffix
from florence2.data.formats.voc import write_voc
from florence2.data.records import Record

NAMES = [b"caf\xe9.png", b"\xff\xfe.png", "猫.png".encode(), b"a\\xe9.png", b"line\nbreak.png"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_can_be_turned_back(name: bytes) -> None:
    written = written_name(os.fsdecode(name))
    written["image"].encode("utf-8")
    if "image_bytes" in written:
        assert bytes.fromhex(written["image_bytes"]) == name
    else:
        assert os.fsencode(written["image"]) == name


def test_only_a_name_that_is_no_utf8_has_its_bytes_beside_it() -> None:
    assert [len(written_name(os.fsdecode(name))) for name in NAMES] == [2, 2, 1, 1, 1]
    assert readable("caf\udce9 \ud800") == "caf\\xe9 \\ud800"


@pytest.mark.process
@pytest.mark.parametrize("locale", [{}, {"LC_ALL": "C"}])
def test_a_folder_of_such_names_is_answered(
    locale: dict[str, str], tiny_folder: Path, picture: Path, tmp_path: Path
) -> None:
    paths = [os.path.join(os.fsencode(tmp_path), name) for name in NAMES]
    for path in paths:
        shutil.copy(picture, path)
    missing = os.path.join(os.fsencode(tmp_path), b"none\xe9.png")
    drawn = tmp_path / "drawn"
    model = ("--model", tiny_folder, "--device", "cpu", "--max-new-tokens", 5)
    done = run("run", *paths, missing, "--task", "od", "--draw", drawn, *model, **locale)
    assert done.returncode == 2 and "5 of 6 questions answered" in told(done)
    lines = rows(done.stdout)
    names = [
        bytes.fromhex(line["image_bytes"]) if "image_bytes" in line else os.fsencode(line["image"])
        for line in lines
    ]
    assert names == [*paths, missing]
    assert ["error" in line for line in lines] == [False] * 5 + [True]
    stems = {name.removesuffix(b".png") + b".od.png" for name in NAMES}
    assert {*os.listdir(os.fsencode(drawn))} == stems


@pytest.mark.process
def test_a_cascade_about_such_a_name_is_answered(
    tiny_folder: Path, picture: Path, tmp_path: Path
) -> None:
    path = os.path.join(os.fsencode(tmp_path), NAMES[0])
    shutil.copy(picture, path)
    done = run("run", path, "--cascade", "ground", "--model", tiny_folder, "--device", "cpu")
    (line,) = rows(done.stdout)
    assert done.returncode == 0 and bytes.fromhex(line["image_bytes"]) == path


@pytest.mark.parametrize("write", [write_jsonl, write_prefix_suffix, write_coco])
def test_a_dataset_names_such_a_file_so_that_it_is_found(
    write: Callable[..., None], picture: Path, tmp_path: Path
) -> None:
    path = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), NAMES[0])))
    shutil.copy(picture, path)
    boxes = Boxes(np.array([[1.0, 2.0, 30.0, 40.0]]), ("ball",), image_size=(120, 80))
    written_to = tmp_path / ("a.json" if write is write_coco else "a.jsonl")
    write([Record(path, Task.OD, "", None, boxes, path.name)], written_to)
    written_to.read_bytes().decode("utf-8")
    (record,) = open_dataset(written_to)
    assert record.image == path and record.result.labels == ("ball",)


@pytest.mark.parametrize("write", [write_voc, write_parquet])
def test_what_cannot_hold_such_a_name_says_so(
    write: Callable[..., None], picture: Path, tmp_path: Path
) -> None:
    path = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), NAMES[0])))
    shutil.copy(picture, path)
    boxes = Boxes(np.array([[1.0, 2.0, 30.0, 40.0]]), ("ball",), image_size=(120, 80))
    with pytest.raises(DataError, match=r"no UTF-8.*rename it"):
        write([Record(path, Task.OD, "", None, boxes, path.name)], tmp_path / "out")


def test_json_lines_hold_whole_characters() -> None:
    line = json_line({"output": "d\udce9/x", "猫": "\ud800"})
    assert json.loads(line.encode("utf-8")) == {"output": "d\\xe9/x", "猫": "\\ud800"}


@pytest.mark.process
def test_training_on_such_names_works(tiny_folder: Path, picture: Path, tmp_path: Path) -> None:
    folder = os.path.join(os.fsencode(tmp_path), b"d\xe9")
    os.mkdir(folder)
    for number in range(6):
        stem = os.path.join(folder, b"caf\xe9%d" % number)
        shutil.copy(picture, stem + b".png")
        Path(os.fsdecode(stem + b".txt")).write_text(f"an orange, number {number}")
    short = ("--steps", 1, "--batch-size", 2, "--workers", 0, "--device", "cpu")
    asked = ("train", folder, "--model", tiny_folder, "--output", tmp_path / "run", *short)
    done = run(*asked)
    assert done.returncode == 0, told(done)
    rows(done.stdout)
