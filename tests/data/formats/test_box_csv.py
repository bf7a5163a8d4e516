"""Tables of boxes: what their columns hold, and rows that are lost."""

from pathlib import Path

import pytest
from small_datasets import counts, found, read, write_picture, write_text

from florence2.data import Problem
from florence2.errors import DataError
from florence2.tasks import Task

TF = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
ROW = "a.png,40,20,cat,8,4,24,14\n"
BOX = [8, 4, 24, 14]


def write(folder: Path, text: str, *names: str) -> Path:
    for name in names or ("a",):
        write_picture(folder / f"{name}.png")
    write_text(folder / "boxes.csv", text)
    return folder


@pytest.mark.parametrize(
    "text",
    [
        TF + ROW,
        '\ufeff"filename","width","height","class","xmin","ymin","xmax","ymax"\r\n' + ROW,
        "a.png,8,4,24,14,cat\n",
        "UNASSIGNED,gs://bucket/a.png,cat,0.2,0.2,,,0.6,0.7,,\n",
        "Image Path;Label;X_min;Y_min;X_max;Y_max\n./img/a.png;cat;8;4;24;14\n",
        "image\tclass\tx1\ty1\tx2\ty2\na.png\tcat\t8\t4\t24\t14\n",
        "img,category,x,y,w,h,width,height\na.png,cat,8,4,16,10,40,20\n",
        "file_name,class,x,y,width,height\na.png,cat,8,4,16,10\n",
        "image_id,label,x_center,y_center,width,height\na,cat,0.4,0.45,0.4,0.5\n",
        "image_id,label,xmin,ymin,xmax,ymax\na,cat,0.2,0.2,0.6,0.7\n",
        'image_id,class_name,bbox\na,cat,"[8.0, 4.0, 16.0, 10.0]"\n',
        'image_id,class_name,bbox\na,cat,"8 4 16 10"\n',
        'image_id,class_name,bbox\na,cat,"[8, 4, 24, 14]"\na,cat,"[20, 4, 39, 14]"\n',
        TF.replace("class,", "class_id,class_name,") + "a.png,40,20,7,cat,8,4,24,14\n",
    ],
)
def test_a_row_is_a_box(tmp_path: Path, text: str) -> None:
    (record,), report = read(write(tmp_path, text), strict=True)
    assert ("cat", BOX) in found(record)
    assert set(counts(report)) <= {Problem.SHARES}


def test_boxes_of_no_class_are_objects_and_told(tmp_path: Path) -> None:
    text = 'image_id,width,height,bbox\na,40,20,"[8, 4, 16, 10]"\na,40,20,"[1, 1, 5, 5]"\n'
    (record,), report = read(write(tmp_path, text), strict=True)
    assert found(record) == [("object", BOX), ("object", [1, 1, 6, 6])]
    assert counts(report) == {Problem.ONE_CLASS: 1}


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("a.png,40,20,dog,8,4,24", Problem.ROW),
        ("a.png,40,20,dog,8,4,24,x", Problem.ROW),
        ("a.png,40,20,dog,,,,", Problem.ROW),
        ("a.png,40,20,,8,4,24,14", Problem.LABEL),
        ("a.png,40,20,dog,8,4,8,14", Problem.NO_AREA),
        ("a.png,40,20,dog,80,4,90,14", Problem.OUTSIDE),
        (",40,20,dog,8,4,24,14", Problem.ROW),
    ],
)
def test_a_picture_with_a_lost_row_claims_nothing(tmp_path: Path, row: str, problem) -> None:
    records, report = read(
        write(tmp_path, f"{TF}{ROW}{row}\n"), tasks=[Task.OD, Task.REGION_TO_CATEGORY]
    )
    assert [record.task for record in records] == [Task.REGION_TO_CATEGORY]
    assert counts(report) == {problem: 1, Problem.INCOMPLETE: 1}


def test_a_row_of_no_picture_may_be_of_any(tmp_path: Path) -> None:
    text = TF + ROW + ROW.replace("a.png", "b.png") + ",40,20,dog,8,4,24,14\n"
    records, report = read(write(tmp_path, text, "a", "b"))
    assert not records and counts(report) == {Problem.ROW: 1, Problem.INCOMPLETE: 2}


def test_only_a_row_without_a_box_says_nothing(tmp_path: Path) -> None:
    records, report = read(write(tmp_path, "a.png,8,4,24,14,cat\nb.png,,,,,\n", "a", "b", "c"))
    assert [found(record) for record in records] == [[("cat", BOX)], []]
    assert counts(report) == {Problem.EMPTY: 1, Problem.UNNAMED: 1}


def test_two_sizes_of_one_picture_are_told(tmp_path: Path) -> None:
    records, report = read(write(tmp_path, TF + ROW + ROW.replace("40", "41")))
    assert not records and counts(report) == {Problem.ROW: 1}


def test_marks_and_scores_have_columns(tmp_path: Path) -> None:
    text = (
        "image,class,x1,y1,x2,y2,score,iscrowd\na.png,cat,8,4,24,14,0.5,0\na.png,cat,1,1,5,5,,1\n"
    )
    (record,), report = read(write(tmp_path, text), strict=True)
    assert found(record) == [("cat", BOX)] and record.ignored.crowds == (True,)
    assert counts(report) == {Problem.CONFIDENCE: 1, Problem.IGNORED: 1}


def test_parts_of_a_column(tmp_path: Path) -> None:
    text = "image,class,x1,y1,x2,y2,split\na.png,cat,8,4,24,14,train\nb.png,cat,8,4,24,14,valid\n"
    write(tmp_path, text, "a", "b")
    for path in (tmp_path, tmp_path / "boxes.csv"):
        records, report = read(path, split="val")
        assert [record.image.name for record in records] == ["b.png"]
        assert counts(report) == {Problem.OTHER_PART: 1}
    with pytest.raises(DataError, match="split 'test' is unknown"):
        read(tmp_path, split="test")
    with pytest.raises(DataError, match="has the parts train, val"):
        read(tmp_path)


def test_rows_of_one_picture_in_two_tables_are_joined(tmp_path: Path) -> None:
    write(tmp_path, TF + ROW)
    write_text(tmp_path / "more.csv", TF + ROW + ROW.replace("cat", "dog"))
    (record,), report = read(tmp_path)
    assert found(record) == [("cat", BOX), ("dog", BOX)]
    assert counts(report) == {Problem.DUPLICATE: 2}  # listed twice, and the cat is the same
