"""YOLO folders in the layouts that are met in the wild."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_datasets import SIZE, counts, detected, found, read, write_picture, write_text

from florence2.data import Problem
from florence2.data.formats.coco import write_coco
from florence2.data.formats.yolo import write_yolo
from florence2.data.objects import COMPLETE_TASKS
from florence2.data.records import Record
from florence2.errors import DataError
from florence2.results import Boxes, Polygons, Text
from florence2.tasks import Task

CENTRE = "0.5 0.5 0.5 0.5"
CENTRE_BOX = [10, 5, 30, 15]


def write_dataset(folder: Path, labels: str, names: str = "names: [cat, 'größe']\n") -> Path:
    write_picture(folder / "images" / "1.png")
    write_text(folder / "labels" / "1.txt", labels)
    write_text(folder / "data.yaml", "train: images\n" + names)
    return folder


def test_boxes_are_centres_and_sides_as_shares(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path, f"1 {CENTRE}\r\n\n0.0 0.25 0.25 0.5 0.5\n")
    (record,), report = read(folder, strict=True)
    assert found(record) == [("cat", [0, 0, 20, 10]), ("größe", CENTRE_BOX)]
    assert not report.counts


def test_outlines_are_shares_too(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path, "0 0.25 0.5 0.75 0.5 0.75 1.0\n")
    (record, asked), _ = read(
        folder, tasks=[Task.OD, Task.REFERRING_EXPRESSION_SEGMENTATION], strict=True
    )
    assert found(record) == [("cat", [10, 10, 30, 20])]
    assert isinstance(asked.result, Polygons)
    assert asked.result.polygons[0][0].tolist() == [[10, 10], [30, 10], [30, 20]]


def test_key_points_behind_a_box_are_no_outline(tmp_path: Path) -> None:
    names = "kpt_shape: [2, 2]\nnames: {0: cat}\n"
    (record,), _ = read(write_dataset(tmp_path, f"0 {CENTRE} 0 0 1 1\n", names), strict=True)
    assert found(record) == [("cat", CENTRE_BOX)]


@pytest.mark.parametrize("labels", ["", None], ids=["empty file", "no file"])
def test_a_picture_without_labels_shows_nothing(tmp_path: Path, labels) -> None:
    folder = write_dataset(tmp_path, "")
    if labels is None:
        (folder / "labels" / "1.txt").unlink()
    (record,), report = read(folder, strict=True)
    assert found(record) == []
    assert counts(report) == {Problem.EMPTY: 1}


@pytest.mark.parametrize(
    ("line", "problem", "words"),
    [
        pytest.param("0 0.5 0.5 0.5", Problem.ROW, "3 values", id="short"),
        pytest.param(f"0 {CENTRE} 9", Problem.ROW, "the sixth value is 9", id="no confidence"),
        pytest.param(f"0 {CENTRE} 0.1 0.1 0.9", Problem.ROW, "7 values", id="half a point"),
        pytest.param("0 cat 0.5 0.5 0.5", Problem.ROW, "plain number", id="word"),
        pytest.param(
            f"cow {CENTRE}", Problem.LABEL, "cow has no name; the names are cat", id="cow"
        ),
        pytest.param("0 nan 0.5 0.5 0.5", Problem.ROW, "plain number", id="nan"),
        pytest.param("0 0.5 0.5 1e308 1e308", Problem.ROW, "all numbers", id="huge"),
        pytest.param(f"7 {CENTRE}", Problem.LABEL, "class 7", id="class"),
        pytest.param(f"-1 {CENTRE}", Problem.LABEL, "class -1", id="negative class"),
        pytest.param(f"0.5 {CENTRE}", Problem.LABEL, "class 0.5", id="half a class"),
        pytest.param("0 0.5 0.5 0 0.5", Problem.NO_AREA, "no area", id="flat"),
        pytest.param("0 20 10 20 10", Problem.OUTSIDE, "outside", id="pixels"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_a_picture_with_a_lost_line_claims_nothing(tmp_path, line, problem, words) -> None:
    write_dataset(tmp_path, f"1 {CENTRE}\n{line}\n")
    records, report = read(tmp_path, tasks=[*COMPLETE_TASKS, Task.REGION_TO_CATEGORY])
    assert [(each.task, each.result.text) for each in records] == [
        (Task.REGION_TO_CATEGORY, "größe")
    ]
    assert counts(report) == {problem: 1, Problem.INCOMPLETE: 1}
    (case,) = report.cases[problem]
    assert case.startswith("1.txt, line 2: ") and words in case
    with pytest.raises(DataError, match=r"1\.txt, line 2"):
        read(tmp_path, strict=True)


def test_a_confidence_behind_a_box_is_told_and_left_out(tmp_path: Path) -> None:
    (record,), report = read(write_dataset(tmp_path, f"0 {CENTRE} 0.9\n"), strict=True)
    assert found(record) == [("cat", CENTRE_BOX)]
    assert counts(report) == {Problem.CONFIDENCE: 1}


def test_boxes_outlines_and_turned_boxes_may_stand_in_one_file(tmp_path: Path) -> None:
    outline = "0.25 0.5 0.75 0.5 0.75 1.0"
    corners = "0.1 0.1 0.3 0.1 0.3 0.3 0.1 0.3"
    text = f"0 {CENTRE}\n0 {outline}\n1 {corners}\n"
    records, _ = read(
        write_dataset(tmp_path, text), tasks=[Task.OD, Task.REGION_TO_SEGMENTATION], strict=True
    )
    assert [len(found(record)) for record in records[:1]] == [3]
    assert sorted(len(record.result.polygons[0][0]) for record in records[1:]) == [3, 4]


def test_names_in_place_of_numbers_are_classes(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path, f"größe {CENTRE}\n")
    assert found(read(folder, strict=True)[0][0]) == [("größe", CENTRE_BOX)]
    (folder / "data.yaml").unlink()
    write_text(folder / "labels" / "1.txt", f"big dog {CENTRE}\n")
    assert found(read(folder, strict=True)[0][0]) == [("big dog", CENTRE_BOX)]


def test_a_yaml_file_without_parts_is_read_by_the_folders(tmp_path: Path) -> None:
    for part in ("train", "val"):
        write_picture(tmp_path / "images" / part / f"{part}.png")
        write_text(tmp_path / "labels" / part / f"{part}.txt", f"0 {CENTRE}\n")
    write_text(tmp_path / "data.yaml", "nc: 1\nnames: [cat]\n")
    (record,), _ = read(tmp_path, split="val", strict=True)
    assert (record.image.name, found(record)) == ("val.png", [("cat", CENTRE_BOX)])
    write_text(tmp_path / "other" / "data.yaml", "nc: 1\nnames: [cat]\n")
    with pytest.raises(DataError, match="no pictures lie there"):
        read(tmp_path / "other")


def test_an_equal_line_is_the_same_object(tmp_path: Path) -> None:
    (record,), report = read(write_dataset(tmp_path, f"1 {CENTRE}\n1 {CENTRE}\n"))
    assert found(record) == [("größe", CENTRE_BOX)]
    assert counts(report) == {Problem.DUPLICATE: 1}


@pytest.mark.parametrize("divider", [",", ", ", ";", "\t", " , "])
def test_values_are_divided_as_people_do(tmp_path: Path, divider: str) -> None:
    line = divider.join(["0", *CENTRE.split()])
    (record,), report = read(write_dataset(tmp_path, line), strict=True)
    assert found(record) == [("cat", CENTRE_BOX)]
    assert not report.counts


def test_boxes_beyond_the_edge_are_cut_and_counted(tmp_path: Path) -> None:
    (record,), report = read(write_dataset(tmp_path, "0 0.5 0.5 1.5 0.5\n"), strict=True)
    assert found(record) == [("cat", [0, 5, 40, 15])]
    assert counts(report) == {Problem.CLIPPED: 1}


@pytest.mark.parametrize(
    ("file", "problem"), [("images/1.png", Problem.PICTURE), ("labels/1.txt", Problem.ROW)]
)
def test_a_damaged_file_is_counted(tmp_path: Path, file: str, problem: Problem) -> None:
    write_dataset(tmp_path, "")
    (tmp_path / file).write_bytes(b"\xff\xfe\xfa")
    records, report = read(tmp_path)
    assert (records, counts(report)) == ([], {problem: 1})


def test_the_layout_of_roboflow_is_found(tmp_path: Path) -> None:
    """Its YAML writes ../train/images where train/images is meant."""
    for part in ("train", "valid"):
        write_picture(tmp_path / part / "images" / f"{part}.png")
        write_text(tmp_path / part / "labels" / f"{part}.txt", f"0 {CENTRE}\n")
    text = "train: ../train/images\nval: ../valid/images\nnc: 1\nnames: ['cat']\n"
    write_text(tmp_path / "data.yaml", text)
    (record,), _ = read(tmp_path, split="valid", strict=True)
    assert record.image == tmp_path / "valid" / "images" / "valid.png"
    assert found(record) == [("cat", CENTRE_BOX)]
    with pytest.raises(DataError, match="has the parts train, val; choose one"):
        read(tmp_path)
    with pytest.raises(DataError, match="split 'test' is unknown"):
        read(tmp_path, split="test")


def test_a_root_and_lists_of_pictures_are_followed(tmp_path: Path) -> None:
    write_picture(tmp_path / "data" / "images" / "a" / "1.png")
    write_picture(tmp_path / "data" / "2.png")
    write_text(tmp_path / "data" / "labels" / "a" / "1.txt", f"0 {CENTRE}\n")
    write_text(tmp_path / "data" / "2.txt", f"1 {CENTRE}\n")
    write_text(tmp_path / "data" / "list.txt", "./images/a/1.png\n\n.\\none.png\n")
    text = "path: data\nval: [list.txt, 2.png, none]\nnames:\n  0: cat\n  1: no\n"
    file = write_text(tmp_path / "my.yaml", text)
    records, report = read(file)
    assert [record.result.labels for record in records] == [("cat",), ("no",)]
    assert counts(report) == {Problem.PICTURE: 2}


def test_a_folder_with_class_names_needs_no_yaml(tmp_path: Path) -> None:
    write_text(tmp_path / "classes.txt", "\ufeffcat\n\ndog\n")
    for part in ("train", "val"):
        write_picture(tmp_path / "images" / part / f"{part}.png")
        write_text(tmp_path / "labels" / part / f"{part}.txt", f"2 {CENTRE}\n")
    (record,), _ = read(tmp_path, split="train", strict=True)
    assert (record.image.name, found(record)) == ("train.png", [("dog", CENTRE_BOX)])


def test_labels_may_lie_beside_pictures(tmp_path: Path) -> None:
    write_text(tmp_path / "classes.txt", "cat\n")
    write_picture(tmp_path / "1.png")
    write_text(tmp_path / "1.txt", f"0 {CENTRE}\n")
    (record,), _ = read(tmp_path, strict=True)
    assert found(record) == [("cat", CENTRE_BOX)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("names: [", "is no YAML", id="no YAML"),
        pytest.param("names:", "has names None", id="no names"),
        pytest.param("- names:", "no names and values", id="a list"),
        pytest.param("train: images\nnames: cat", "list of class names", id="names"),
        pytest.param("train: images\nnames: {a: cat}", "plain number", id="class number"),
    ],
)
def test_a_yaml_file_of_another_kind_is_refused(tmp_path: Path, text, words) -> None:
    write_dataset(tmp_path, "")
    write_text(tmp_path / "data.yaml", text)
    with pytest.raises(DataError, match=words):
        read(tmp_path)


def test_a_folder_without_class_names_is_refused(tmp_path: Path) -> None:
    write_picture(tmp_path / "images" / "1.png")
    with pytest.raises(DataError, match="tells no class names"):
        read(tmp_path, "yolo")


def test_written_splits_share_their_classes(tmp_path: Path) -> None:
    one = write_picture(tmp_path / "a" / "1.png")
    other = write_picture(tmp_path / "b" / "1.png")
    train = [detected(one, ("cat", (0, 0, 9.5, 20))), detected(other)]
    val = [detected(np.zeros((20, 40, 3), np.uint8), ("ant", (1, 1, 2, 2)), ("cat", (0, 0, 1, 1)))]
    write_yolo(train, tmp_path / "out")
    write_yolo(val, tmp_path / "out", split="val")
    back, _ = read(tmp_path / "out", split="train", strict=True)
    assert [found(record) for record in back] == [found(record) for record in train]
    back, _ = read(tmp_path / "out", split="val", strict=True)
    assert [found(record) for record in back] == [found(record) for record in val]
    with pytest.raises(DataError, match="is not empty"):
        write_yolo(train, tmp_path / "out")


def test_what_is_written_lies_in_the_picture_and_has_numbers_without_gaps(tmp_path: Path) -> None:
    image = np.zeros((20, 40, 3), np.uint8)
    out = tmp_path / "out"
    write_yolo([detected(image, ("cat", (-3, 5, 20, 25)))], out)
    (file,) = (out / "labels" / "train").iterdir()
    assert file.read_text() == "0 0.25 0.625 0.5 0.75\n"
    write_text(out / "data.yaml", "train: images/train\nnames: {1: cat, 3: dog}\n")
    with pytest.raises(DataError, match=r"class numbers \[1, 3\]"):
        write_yolo([detected(image, ("ant", (1, 1, 5, 5)))], out, split="val")


def test_answers_that_yolo_cannot_hold_are_refused(tmp_path: Path, picture: Path) -> None:
    record = Record(picture, Task.OCR, "", None, Text("a", image_size=(120, 80)), "s")
    with pytest.raises(DataError, match="cannot hold an answer of task '<OCR>'"):
        write_yolo([record], tmp_path)


sides = st.floats(0.01, 9.99)


@settings(max_examples=15)
@given(st.lists(st.tuples(sides, sides, sides, sides), max_size=3))
def test_boxes_come_back(tmp_path_factory: pytest.TempPathFactory, rows) -> None:
    folder = tmp_path_factory.mktemp("yolo")
    xyxy = np.array([[x, y, x + w, y + h] for x, y, w, h in rows], float).reshape(-1, 4)
    boxes = Boxes(xyxy, ["abc"[row] for row in range(len(rows))], image_size=SIZE)
    image = np.zeros((20, 40, 3), np.uint8)
    write_yolo([Record(image, Task.OD, "", None, boxes, "s")], folder)
    (record,), _ = read(folder, strict=True)
    assert isinstance(record.result, Boxes)
    assert record.result.labels == boxes.labels
    assert record.result.xyxy == pytest.approx(xyxy)


def test_labels_that_cannot_be_read_are_no_negatives(tmp_path: Path) -> None:
    """A capital suffix is read; a dangling link and a folder are told as lost."""
    write_dataset(tmp_path, f"1 {CENTRE}\n")
    (tmp_path / "labels" / "1.txt").rename(tmp_path / "labels" / "1.TXT")
    for name in ("2", "3"):
        write_picture(tmp_path / "images" / f"{name}.png")
    (tmp_path / "labels" / "2.txt").symlink_to(tmp_path / "nowhere.txt")
    (tmp_path / "labels" / "3.txt").mkdir()
    records, report = read(tmp_path)
    assert [found(record) for record in records] == [[("größe", CENTRE_BOX)]]
    assert report.counts[Problem.ROW] == 2


def test_class_names_that_yaml_takes_for_values_are_names(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path, f"0 {CENTRE}\n1 {CENTRE}\n", "names: [yes, 1.0]\n")
    (record,), _ = read(folder, strict=True)
    assert sorted(label for label, _ in found(record)) == ["1.0", "yes"]


@pytest.mark.parametrize("box", [[5, 5, 5, 9], [50, 5, 60, 9]], ids=["flat", "outside"])
def test_boxes_without_area_are_not_written(tmp_path: Path, box: list[float]) -> None:
    record = detected(write_picture(tmp_path / "a.png"), ("cat", tuple(box)))
    for write in (write_yolo, write_coco):
        with pytest.raises(DataError, match="without an area inside its picture"):
            write([record], tmp_path / f"out_{write.__name__}")
