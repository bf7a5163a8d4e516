"""Pascal VOC: pixels from 1, the last included."""

from pathlib import Path

import numpy as np
import pytest
from small_datasets import SIZE, counts, detected, found, read, write_picture, write_text

from florence2.data import Problem
from florence2.data.formats.voc import write_voc
from florence2.data.objects import COMPLETE_TASKS
from florence2.data.records import Record
from florence2.errors import DataError
from florence2.results import Text
from florence2.tasks import Task


def item(name: str, *sides: object, more: str = "") -> str:
    tags = zip(("xmin", "ymin", "xmax", "ymax"), sides, strict=True)
    box = "".join(f"<{tag}>{side}</{tag}>" for tag, side in tags)
    return f"<object><name>{name}</name>{more}<bndbox>{box}</bndbox></object>"


def annotation(*objects: str, name: str = "1.jpg", size: tuple[int, int] | None = SIZE) -> str:
    sides = "" if size is None else f"<width>{size[0]}</width><height>{size[1]}</height>"
    inside = "".join(objects)
    return f"<annotation><filename>{name}</filename><size>{sides}</size>{inside}</annotation>"


def write_dataset(folder: Path, *objects: str, **options) -> Path:
    write_picture(folder / "JPEGImages" / "1.jpg")
    write_text(folder / "Annotations" / "1.xml", annotation(*objects, **options))
    return folder


def test_the_whole_picture_is_the_whole_picture(tmp_path: Path) -> None:
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part><difficult>0</difficult>"
    folder = write_dataset(
        tmp_path, item("猫", 1, 1, 40, 20, more=part), item("ant", "3.5", 2, 3.5, 2)
    )
    (record,), report = read(folder, strict=True)
    assert found(record) == [("ant", [2.5, 1, 3.5, 2]), ("猫", [0, 0, 40, 20])]
    assert counts(report) == {Problem.ORIGIN: 1}


def test_difficult_objects_are_to_be_ignored(tmp_path: Path) -> None:
    hard = item("cat", 1, 1, 9, 9, more="<difficult>1</difficult>")
    (record,), report = read(write_dataset(tmp_path, hard, item("ant", 3, 2, 8, 8)))
    assert found(record) == [("ant", [2, 1, 8, 8])]
    assert record.ignored is not None and record.ignored.crowds == (False,)
    assert record.ignored.boxes.labels == ("cat",)
    assert counts(report) == {Problem.IGNORED: 1}


def test_outlines_and_turned_boxes_are_read(tmp_path: Path) -> None:
    corners = "<x1>1</x1><y1>2</y1><x2>11</x2><y2>2</y2><x3>1</x3><y3>7</y3>"
    polygon = f"<object><name>cat</name><polygon>{corners}</polygon></object>"
    turned = (
        "<object><name>ant</name><robndbox><cx>20</cx><cy>10</cy><w>8</w><h>4</h>"
        f"<angle>{np.pi / 2}</angle></robndbox></object>"
    )
    tasks = [Task.OD, Task.REGION_TO_SEGMENTATION]
    records, report = read(write_dataset(tmp_path, polygon, turned), tasks=tasks, strict=True)
    assert not report.counts
    assert found(records[0]) == [
        ("ant", [18, 6, 22, 14]), ("cat", [1, 2, 11, 7]),
    ]  # fmt: skip
    assert len(records) == 3


# The box 10, 20, 40, 60 as each tool writes it, with a box at the edge.
@pytest.mark.parametrize(
    ("edge", "inner", "origin"),
    [
        pytest.param((1, 1, 9, 9), (11, 21, 40, 60), 1, id="VOC, supervision"),
        pytest.param((0, 0, 9, 9), (10, 20, 40, 60), 0, id="Label Studio, globox, panlabel"),
        pytest.param(
            ("0.0", "0.0", "9.0", "9.0"),
            ("10.0", "20.0", "40.0", "60.0"),
            0,
            id="datumaro, whole",
        ),
        pytest.param((5, 5, 9, 9), ("10.0", "19.999999", "40", "60"), 0, id="datumaro, fractions"),
        pytest.param((0, 1, 9, 9), (10, 20, 40, 60), 0, id="as many zeros as ones"),
    ],
)
def test_the_first_pixel_is_found_out(tmp_path: Path, edge, inner, origin) -> None:
    write_picture(tmp_path / "1.jpg", (64, 64))
    options = {"size": (64, 64)}
    text = annotation(item("ant", *edge), item("cat", *inner), **options)
    write_text(tmp_path / "1.xml", text)
    (record,), report = read(tmp_path, strict=True)
    boxes = dict(found(record))
    assert boxes["cat"] == pytest.approx([10, 20, 40, 60])
    told = report.cases.get(Problem.ORIGIN, [])
    assert [case for case in told if "from 0" in case] == told[: 1 - origin]
    for given, shift in ((0, 0), (1, 1)):
        (record,), report = read(tmp_path, strict=True, voc_origin=given)
        low = [float(side) - shift for side in inner[:2]]
        assert dict(found(record))["cat"] == pytest.approx([*low, 40, 60])
        assert Problem.ORIGIN not in report.counts


def test_the_first_pixel_is_found_by_all_files_and_a_mistake_is_none(tmp_path: Path) -> None:
    for name, low in zip("123", (1, 1, 0), strict=True):
        write_picture(tmp_path / f"{name}.jpg")
        text = annotation(item("cat", low, 5, 9, 9), name=f"{name}.jpg")
        write_text(tmp_path / f"{name}.xml", text)
    records, report = read(tmp_path, strict=True)
    assert [found(record) for record in records] == [[("cat", [0, 4, 9, 9])]] * 3
    assert counts(report) == {Problem.CLIPPED: 1, Problem.ORIGIN: 1}
    assert report.cases[Problem.ORIGIN] == [
        f"{tmp_path.name}: from 1, as VOC does: of 6 left and upper sides, 1 are 0 or a fraction,"
        " and 2 are 1"
    ]


def test_a_first_pixel_beyond_both_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="voc_origin must be 0 or 1; got 2"):
        read(write_dataset(tmp_path, item("cat", 1, 5, 9, 9)), voc_origin=2)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"name": ""}, id="no name"),
        pytest.param({"name": "C:\\photos\\1.jpg"}, id="Windows"),
        pytest.param({"name": "of_before_renaming.png"}, id="another name"),
        pytest.param({"size": None}, id="no size"),
        pytest.param({"size": (0, 0)}, id="size unknown"),
    ],
)
def test_the_picture_is_found(tmp_path: Path, options) -> None:
    (record,), _ = read(write_dataset(tmp_path, **options), strict=True)
    assert record.image == tmp_path / "JPEGImages" / "1.jpg"
    assert found(record) == []


def test_annotations_may_lie_beside_pictures(tmp_path: Path) -> None:
    write_picture(tmp_path / "1.jpg")
    write_text(tmp_path / "1.xml", "\ufeff" + annotation(item("cat", 1, 1, 2, 2)))
    (record,), _ = read(tmp_path, strict=True)
    assert found(record) == [("cat", [0, 0, 2, 2])]


@pytest.mark.parametrize(
    ("bad", "problem", "words"),
    [
        pytest.param(item(" ", 1, 1, 2, 2), Problem.LABEL, "is empty", id="no name"),
        pytest.param(item("a", 1, 1, "x", 2), Problem.ROW, "xmax is 'x'", id="words"),
        pytest.param("<object><name>a</name></object>", Problem.ROW, "none of", id="no box"),
        pytest.param(item("a", 9, 1, 8, 2), Problem.NO_AREA, "no area", id="flat"),
        pytest.param(item("a", 50, 1, 60, 2), Problem.OUTSIDE, "outside", id="outside"),
    ],
)
def test_a_picture_with_a_lost_object_claims_nothing(tmp_path, bad, problem, words) -> None:
    folder = write_dataset(tmp_path, bad, item("cat", 1, 1, 2, 2))
    (record,), report = read(folder, tasks=[*COMPLETE_TASKS, Task.REGION_TO_CATEGORY])
    assert record.task is Task.REGION_TO_CATEGORY
    assert counts(report) == {problem: 1, Problem.INCOMPLETE: 1}
    (case,) = report.cases[problem]
    assert case.startswith("1.xml, object ") and words in case


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("<annotation>", Problem.ROW, id="no XML"),
        pytest.param(annotation(size=(41, 20)), Problem.SIZE, id="size"),
        pytest.param(
            "<annotation><size><width>a</width><height>1</height></size></annotation>",
            Problem.ROW,
            id="size in words",
        ),
    ],
)
def test_a_bad_file_is_counted_and_the_others_are_read(tmp_path: Path, text, problem) -> None:
    write_text(write_dataset(tmp_path) / "Annotations" / "2.xml", text)
    records, report = read(tmp_path)
    assert len(records) == 1
    assert counts(report) == {problem: 1, Problem.EMPTY: 1}


def test_a_missing_picture_is_counted(tmp_path: Path) -> None:
    (write_dataset(tmp_path) / "JPEGImages" / "1.jpg").unlink()
    records, report = read(tmp_path)
    assert (records, counts(report)) == ([], {Problem.PICTURE: 1})


def test_a_list_tells_the_part_to_read(tmp_path: Path) -> None:
    write_dataset(tmp_path)
    lists = tmp_path / "ImageSets" / "Main"
    write_text(lists / "train.txt", "1\n")
    write_text(lists / "val.txt", "2\n\n")
    write_text(lists / "cat_train.txt", "1 -1\n")
    records, _ = read(tmp_path, split="train", strict=True)
    assert len(records) == 1
    records, report = read(tmp_path, split="val")
    assert (records, counts(report)) == ([], {Problem.ROW: 1, Problem.OTHER_PART: 1})
    with pytest.raises(DataError, match="has the parts train, val"):
        read(tmp_path)


def test_written_boxes_come_back(tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "1.png")
    records = [
        detected(picture, ("a & b", (0, 0, 40, 20)), ("猫", (0.125, 1, 2, 3.7))),
        detected(np.zeros((20, 40, 3), np.uint8)),
    ]
    write_voc(records, tmp_path / "out")
    back, _ = read(tmp_path / "out", strict=True)
    told = {record.image.read_bytes(): found(record) for record in back}
    assert told[picture.read_bytes()] == found(records[0])
    assert sorted(map(len, told.values())) == [0, 2]
    with pytest.raises(DataError, match="one record for each picture"):
        write_voc(records[:1], tmp_path / "out")


def test_answers_that_voc_cannot_hold_are_refused(tmp_path: Path, picture: Path) -> None:
    record = Record(picture, Task.OCR, "", None, Text("a", image_size=(120, 80)), "s")
    with pytest.raises(DataError, match="cannot hold an answer of task '<OCR>'"):
        write_voc([record], tmp_path)
