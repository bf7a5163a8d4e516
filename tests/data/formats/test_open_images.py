"""Open Images: shares, groups, names, and who looked for what."""

from pathlib import Path

import pytest
from small_datasets import counts, found, read, write_picture, write_text

from florence2.data import Problem
from florence2.errors import DataError
from florence2.tasks import Task

HEAD = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsGroupOf,IsDepiction\n"
CAT = "a,xclick,/m/01yrx,1,0.2,0.6,0.2,0.7,0,0,1\n"
DOG = CAT.replace("/m/01yrx", "/m/0bt9lr").replace("a,", "b,", 1)
NAMES = "/m/01yrx,Cat\n/m/0bt9lr,Dog\n"
ALL = [Task.OD, Task.OPEN_VOCABULARY_DETECTION]


def write(folder: Path, rows: str, names: str = NAMES, looked: str = "") -> Path:
    for name in "ab":
        write_picture(folder / "train" / f"{name}.png")
    write_text(folder / "train-annotations-bbox.csv", HEAD + rows)
    if names:
        write_text(folder / "class-descriptions-boxable.csv", names)
    if looked:
        head = "ImageID,Source,LabelName,Confidence\n"
        write_text(folder / "train-annotations-human-imagelabels.csv", head + looked)
    return folder


def test_a_box_is_shares_and_answers_about_its_class(tmp_path: Path) -> None:
    (record,), report = read(write(tmp_path, CAT))
    assert record.task is Task.OPEN_VOCABULARY_DETECTION and record.text_input == "Cat"
    assert record.result.boxes.xyxy.tolist() == [pytest.approx([8, 4, 24, 14])]
    assert counts(report) == {Problem.OTHER_PART: 1}


def test_all_objects_are_known_only_where_each_class_was_looked_for(tmp_path: Path) -> None:
    records, report = read(write(tmp_path, CAT + DOG), tasks=ALL)
    assert {record.task for record in records} == {Task.OPEN_VOCABULARY_DETECTION}
    assert counts(report) == {Problem.UNVERIFIED: 2}
    assert "1 classes, such as Dog" in report.cases[Problem.UNVERIFIED][0]
    looked = "a,verification,/m/0bt9lr,0\nb,machine-generated,/m/01yrx,0.1\n"
    records, report = read(write(tmp_path, CAT + DOG, looked=looked), tasks=[Task.OD])
    assert [found(record)[0][0] for record in records] == ["Cat"]
    assert counts(report) == {Problem.UNVERIFIED: 1}


def test_groups_are_ignored_like_crowds(tmp_path: Path) -> None:
    group = CAT.replace("0.2,0.6", "0.7,0.9").replace("0,0,1\n", "0,1,1\n")
    (record,), _ = read(write(tmp_path, CAT + group))
    assert len(record.result.boxes.labels) == 1
    assert (record.ignored.boxes.labels, record.ignored.crowds) == (("Cat",), (True,))


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (CAT.replace("0.6", "x"), Problem.ROW),
        (CAT.replace("0.6", "0.2"), Problem.NO_AREA),
        (CAT.replace("/m/01yrx", "/m/none"), Problem.ROW),
        (CAT.replace("/m/01yrx", ""), Problem.LABEL),
        (CAT[1:], Problem.ROW),
        ("a,xclick\n", Problem.ROW),
    ],
)
def test_a_picture_with_a_lost_row_claims_nothing(tmp_path: Path, row: str, problem) -> None:
    records, report = read(write(tmp_path, CAT + row), tasks=[*ALL, Task.REGION_TO_CATEGORY])
    assert {record.task for record in records} == {Task.REGION_TO_CATEGORY}
    assert counts(report)[problem] == 1 and counts(report)[Problem.INCOMPLETE] == 1


def test_names_are_needed_for_ids_alone(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"such as /m/01yrx; put class-descriptions-boxable\.csv"):
        read(write(tmp_path, CAT, names=""))
    write(tmp_path, CAT.replace("/m/01yrx", "Cat"), names="")
    assert read(tmp_path)[0][0].text_input == "Cat"


def test_a_file_of_globox_names_pictures_with_suffix_and_classes_in_words(tmp_path: Path) -> None:
    head = (
        "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf\n"
    )
    for name in "ab":
        write_picture(tmp_path / f"{name}.png")
    write_text(tmp_path / "o.csv", head + "a.png,,big dog,,0.2,0.6,0.2,0.7,,,\n")
    (record,), report = read(tmp_path)
    assert record.text_input == "big dog" and record.image == tmp_path / "a.png"
    assert counts(report) == {Problem.UNNAMED: 1}


def test_pictures_that_are_not_there_are_told(tmp_path: Path) -> None:
    records, report = read(write(tmp_path, CAT + CAT.replace("a,", "zz,", 1)))
    assert len(records) == 1 and counts(report)[Problem.PICTURE] == 1
