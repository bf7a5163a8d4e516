"""Folders of pictures with captions, and of pictures by class."""

from pathlib import Path

import pytest
from small_datasets import SIZE, counts, read, write_picture, write_text

from florence2.data import Problem
from florence2.errors import DataError
from florence2.results import Text
from florence2.tasks import Task


def test_a_text_beside_a_picture_is_its_caption(tmp_path: Path) -> None:
    write_picture(tmp_path / "1.png")
    write_picture(tmp_path / "deep" / "größe.jpg")
    write_text(tmp_path / "1.txt", "\ufeffa cat\n")
    write_text(tmp_path / "deep" / "größe.caption", "猫")
    records, report = read(tmp_path, strict=True)
    assert [(record.task, record.result, record.source) for record in records] == [
        (Task.CAPTION, Text("a cat", image_size=SIZE), "1.png"),
        (Task.CAPTION, Text("猫", image_size=SIZE), "deep/größe.jpg"),
    ]
    assert not report.counts


def test_captions_may_be_of_another_kind(tmp_path: Path) -> None:
    write_picture(tmp_path / "1.png")
    write_text(tmp_path / "1.txt", "a cat")
    (record,), _ = read(tmp_path, tasks=["detailed_caption"])
    assert record.task is Task.DETAILED_CAPTION
    with pytest.raises(DataError, match="choose one task"):
        read(tmp_path, tasks=["caption", "detailed_caption"])
    with pytest.raises(DataError, match="no answers for task '<OD>'"):
        read(tmp_path, tasks=["od"])


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        pytest.param(None, Problem.NO_TEXT, id="no text"),
        pytest.param(b" \n", Problem.NO_TEXT, id="empty text"),
        pytest.param(b"\xff\xfe", Problem.NO_TEXT, id="no UTF-8"),
        pytest.param(b"a <loc_1> cat", Problem.ANSWER, id="special token"),
    ],
)
def test_a_bad_caption_is_counted(tmp_path: Path, data, problem) -> None:
    for name in ("1", "2"):
        write_picture(tmp_path / f"{name}.png")
    write_text(tmp_path / "1.txt", "a cat")
    if data is not None:
        (tmp_path / "2.txt").write_bytes(data)
    records, report = read(tmp_path)
    assert len(records) == 1
    assert counts(report) == {problem: 1}


def test_a_damaged_picture_is_counted(tmp_path: Path) -> None:
    write_text(tmp_path / "1.png", "no picture")
    write_picture(tmp_path / "2.png", size=(900, 8))
    for name in ("1", "2"):
        write_text(tmp_path / f"{name}.txt", "a cat")
    records, report = read(tmp_path)
    assert (records, counts(report)) == ([], {Problem.PICTURE: 2})
    assert "900 x 8 pixels" in report.cases[Problem.PICTURE][1]


def test_a_folder_is_a_class_of_whole_pictures(tmp_path: Path) -> None:
    write_picture(tmp_path / "red_car" / "1.png")
    write_picture(tmp_path / "猫" / "deep" / "1.png")
    (tmp_path / "empty").mkdir()
    write_picture(tmp_path / ".thumbnails" / "1.png")
    records, _ = read(tmp_path, strict=True)
    assert [(record.task, record.region, record.result) for record in records] == [
        (Task.REGION_TO_CATEGORY, (0, 0, *SIZE), Text("red_car", image_size=SIZE)),
        (Task.REGION_TO_CATEGORY, (0, 0, *SIZE), Text("猫", image_size=SIZE)),
    ]


def test_classes_may_be_divided_into_parts(tmp_path: Path) -> None:
    write_picture(tmp_path / "train" / "cat" / "1.png")
    write_picture(tmp_path / "val" / "dog" / "1.png")
    write_text(tmp_path / "val" / "dog" / "1.png", "no picture")
    write_picture(tmp_path / "val" / "ant" / "1.png")
    (record,), report = read(tmp_path, "classes", split="validation")
    assert record.result == Text("ant", image_size=SIZE)
    assert counts(report) == {Problem.PICTURE: 1, Problem.OTHER_PART: 1}
    with pytest.raises(DataError, match="has the parts train, val"):
        read(tmp_path)
    with pytest.raises(DataError, match="is not divided into parts"):
        read(tmp_path / "train", split="train")
