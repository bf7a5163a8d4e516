"""KITTI, VisDrone and DOTA: boxes as they stand, and what their own measures ignore."""

from pathlib import Path

import numpy as np
import pytest
from small_datasets import counts, found, read, write_picture, write_text

from florence2.data import Problem
from florence2.evaluation.detection import drop_ignored
from florence2.results import Boxes
from florence2.tasks import Task

KITTI = "Car 0.00 0 -1.5 8 4 24 14 1.6 1.6 3.9 1.8 1.5 8.4 0.01"
DONT_CARE = "DontCare -1 -1 -10 30 4 38 14 -1 -1 -1 -1000 -1000 -1000 -10"
CALIBRATION = "P0: 7.215377e+02 0 6.095593e+02 0 0 7.215377e+02 1.728540e+02 0 0 0 1 0"
DOTA = "imagesource:x\ngsd:0.1\n8 4 24 4 24 14 8 14 ship 0"
VISDRONE = "8,4,16,10,1,4,0,0"
GOOD = {"kitti": KITTI, "visdrone": VISDRONE, "dota": DOTA}


def write(folder: Path, text: str, name: str = "a") -> Path:
    write_picture(folder / "images" / f"{name}.png")
    write_text(folder / "labels" / f"{name}.txt", text)
    return folder


@pytest.mark.parametrize(
    ("kind", "text", "objects", "ignored"),
    [
        ("kitti", KITTI, [("Car", [8, 4, 24, 14])], None),
        ("kitti", KITTI.replace("Car", "big dog"), [("big dog", [8, 4, 24, 14])], None),
        ("kitti", f"{KITTI}\n{DONT_CARE}", [("Car", [8, 4, 24, 14])], ("", True)),
        ("visdrone", VISDRONE + ",", [("car", [8, 4, 24, 14])], None),
        ("visdrone", f"{VISDRONE}\n1,1,5,5,0,0,0,0", [("car", [8, 4, 24, 14])], ("", True)),
        ("visdrone", f"{VISDRONE}\n1,1,5,5,0,11,0,0", [("car", [8, 4, 24, 14])], ("others", False)),
        ("visdrone", "8,4,16,10,1,11,0,0", [("others", [8, 4, 24, 14])], None),
        ("dota", DOTA, [("ship", [8, 4, 24, 14])], None),
        (
            "dota",
            DOTA.replace("ship 0", "large vehicle 0"),
            [("large vehicle", [8, 4, 24, 14])],
            None,
        ),
        ("dota", f"{DOTA}\n1 1 6 1 6 6 1 6 plane 1", [("ship", [8, 4, 24, 14])], ("plane", False)),
        ("dota", f"{DOTA}\n1 1 6 1 6 6 1 6 plane 2", [("ship", [8, 4, 24, 14])], ("plane", False)),
    ],
)
def test_a_line_is_an_object(tmp_path: Path, kind, text, objects, ignored) -> None:
    (record,), _ = read(write(tmp_path, text), strict=True)
    assert found(record) == objects
    if ignored:
        assert (record.ignored.boxes.labels[0], record.ignored.crowds[0]) == ignored
    else:
        assert record.ignored is None


def test_corners_of_dota_are_outlines(tmp_path: Path) -> None:
    text = DOTA.replace("8 4 24 4 24 14 8 14", "10 2 18 10 10 18 2 10")
    records, _ = read(write(tmp_path, text), tasks=[Task.REGION_TO_SEGMENTATION])
    assert records[0].result.polygons[0][0].tolist() == [[10, 2], [18, 10], [10, 18], [2, 10]]


def test_what_is_found_where_nobody_cares_is_neither_right_nor_wrong(tmp_path: Path) -> None:
    (record,), _ = read(write(tmp_path, f"{KITTI}\n{DONT_CARE}"))
    answer = Boxes(
        np.array([[8.0, 4, 24, 14], [31, 5, 33, 9], [1, 1, 5, 5]]),
        ("Car", "Van", "Van"),
        image_size=(40, 20),
    )
    assert drop_ignored(answer, record.result, record.ignored).labels == ("Car", "Van")


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        *(("kitti", line) for line in ("Car 0 0 0 1 2 3", KITTI.replace("24", "x"), "?")),
        *(
            ("visdrone", line)
            for line in ("8,4,16,10,1,4", "8,4,16,10,1,12,0,0", "x,4,1,1,1,4,0,0")
        ),
        *(("dota", line) for line in ("8 4 24 4 24 14 8 14", "8 4 24 4 24 14 8 ship 0")),
    ],
)
def test_a_picture_with_a_lost_line_claims_nothing(tmp_path: Path, kind, line) -> None:
    records, report = read(
        write(tmp_path, f"{GOOD[kind]}\n{line}"), kind, tasks=[Task.OD, Task.REGION_TO_CATEGORY]
    )
    assert [record.task for record in records] == [Task.REGION_TO_CATEGORY]
    assert counts(report) == {Problem.ROW: 1, Problem.INCOMPLETE: 1}


def test_an_empty_file_is_nothing_and_no_file_is_not_labelled(tmp_path: Path) -> None:
    write(write(tmp_path, KITTI), "", "b")
    write_picture(tmp_path / "images" / "c.png")
    write_text(tmp_path / "labels" / "d.txt", KITTI)
    records, report = read(tmp_path)
    assert [len(found(record)) for record in records] == [1, 0]
    assert counts(report) == {Problem.EMPTY: 1, Problem.UNNAMED: 1, Problem.NO_PICTURE: 1}


def test_an_empty_file_among_others_than_labels_says_nothing(tmp_path: Path) -> None:
    write_picture(write(tmp_path, KITTI) / "images" / "b.png")
    write_text(tmp_path / "notes" / "b.txt", "")
    records, report = read(tmp_path)
    assert len(records) == 1 and counts(report) == {Problem.UNNAMED: 1}


def test_the_right_camera_of_kitti_has_no_labels(tmp_path: Path) -> None:
    for camera in (2, 3):
        write_picture(tmp_path / f"image_{camera}" / "a.png")
    write_text(tmp_path / "label_2" / "a.txt", KITTI)
    write_text(tmp_path / "calib" / "a.txt", CALIBRATION)
    (record,), report = read(tmp_path)
    assert record.image == tmp_path / "image_2" / "a.png"
    assert counts(report) == {Problem.UNNAMED: 1}


def test_a_file_elsewhere_is_taken_if_one_file_and_one_picture_have_its_name(tmp_path) -> None:
    """As panlabel writes them: labels in a folder inside, pictures on top."""
    write_picture(tmp_path / "a.png")
    write_text(tmp_path / "data" / "label_2" / "a.txt", KITTI)
    (record,), _ = read(tmp_path, strict=True)
    assert found(record) == [("Car", [8, 4, 24, 14])]
    write_picture(tmp_path / "b" / "a.png")
    records, report = read(tmp_path)
    assert not records and counts(report)[Problem.NO_PICTURE] == 1


def test_scores_of_predictions_are_told(tmp_path: Path) -> None:
    (record,), report = read(write(tmp_path, KITTI + " 0.7"))
    assert found(record) and counts(report) == {Problem.CONFIDENCE: 1}


def test_two_versions_of_labels_are_told(tmp_path: Path) -> None:
    write(tmp_path, DOTA)
    write_text(tmp_path / "labels_v2" / "a.txt", DOTA.replace("ship", "boat"))
    (record,), report = read(tmp_path)
    assert found(record)[0][0] == "ship" and counts(report) == {Problem.DUPLICATE: 1}
