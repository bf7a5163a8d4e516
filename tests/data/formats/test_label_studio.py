"""Label Studio: percents, turned rectangles, brushes, names of pictures, several annotators."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_datasets import counts, found, read, write_picture, write_text

from florence2.data import Problem
from florence2.errors import DataError
from florence2.tasks import Task

SIDES = {"original_width": 40, "original_height": 20, "image_rotation": 0}
RECTANGLE = {"x": 20, "y": 20, "width": 40, "height": 50, "rotation": 0}
BOX = [8, 4, 24, 14]
# The box above, as mask2rle of label-studio-sdk 2.1.2 writes it.
BRUSH = [
    *(0, 0, 12, 128, 57, 27, 255, 2, 159, 0, 199, 255, 249, 124, 3, 31, 255, 229, 240, 12, 127),
    *(255, 151, 192, 49, 255, 254, 95, 0, 199, 255, 249, 124, 3, 31, 255, 229, 240, 12, 127, 255),
    *(151, 192, 49, 255, 254, 95, 0, 199, 255, 249, 124, 3, 31, 255, 240, 63, 240, 0),
]


def result(kind: str = "rectanglelabels", value: Any = RECTANGLE, **more: Any) -> dict[str, Any]:
    named = {**value, kind: ["cat"]}
    return {**SIDES, "type": kind, "from_name": "a", "to_name": "b", "value": named, **more}


def write(folder: Path, *results: Any, image: str = "a.png", **task: Any) -> Path:
    write_picture(folder / "a.png")
    annotations = [{"id": 5, "was_cancelled": False, "result": results}]
    rows = [{"id": 1, "data": {"image": image}, "annotations": annotations, **task}]
    write_text(folder / "export.json", json.dumps(rows))
    return folder


@pytest.mark.parametrize(
    ("kind", "value", "box", "corners"),
    [
        pytest.param("rectanglelabels", RECTANGLE, BOX, 0, id="rectangle"),
        pytest.param("labels", RECTANGLE, BOX, 0, id="rectangle and labels"),
        pytest.param(
            *("polygonlabels", {"points": [[20, 20], [60, 20], [60, 70]]}, BOX, 3), id="polygon"
        ),
        pytest.param(
            *("ellipselabels", {"x": 50, "y": 50, "radiusX": 20, "radiusY": 20}),
            *([12, 6, 28, 14], 64),
            id="ellipse",
        ),
        pytest.param("brushlabels", {"format": "rle", "rle": BRUSH}, BOX, 4, id="brush"),
    ],
)
def test_a_region_is_a_box_and_an_outline(tmp_path, kind, value, box, corners) -> None:
    folder = write(tmp_path, result(kind, value))
    records, report = read(folder, tasks=[Task.OD, Task.REGION_TO_SEGMENTATION], strict=True)
    assert found(records[0]) == [("cat", box)]
    assert [len(record.result.polygons[0][0]) for record in records[1:]] == [corners] * bool(
        corners
    )
    assert not report.counts


def test_a_rectangle_turns_about_its_upper_left_corner_in_pixels(tmp_path: Path) -> None:
    """The shares are those of the YOLO_OBB export of label-studio-sdk 2.1.2 of this region.

    Its COCO export turns in percents, which skews what is not square.
    """
    value = {"x": 50, "y": 10, "width": 20, "height": 20, "rotation": 30}
    shares = [0.5, 0.1, 0.6732050807568878, 0.3, 0.6232050807568877, 0.4732050807568877, 0.45]
    shares += [0.27320508075688776]
    (record,), _ = read(write(tmp_path, result(value=value)), tasks=[Task.REGION_TO_SEGMENTATION])
    (outline,) = record.result.polygons[0]
    theirs = np.array(shares).reshape(4, 2) * (40, 20)
    assert sorted(outline.round(6).tolist()) == sorted(theirs.round(6).tolist())


def test_results_of_one_id_are_one_region(tmp_path: Path) -> None:
    base = {**SIDES, "id": "r", "from_name": "a", "to_name": "b"}
    parts = [
        base | {"type": "rectangle", "value": RECTANGLE},
        base | {"type": "labels", "value": {**RECTANGLE, "labels": ["Text"]}},
        base | {"type": "textarea", "value": {**RECTANGLE, "text": ["TOTAL"]}},
    ]
    (record,), _ = read(write(tmp_path, *parts), strict=True)
    assert found(record) == [("Text", BOX)]


def test_two_labels_of_a_region_are_two_objects(tmp_path: Path) -> None:
    both = result()
    both["value"] = {**RECTANGLE, "rectanglelabels": ["cat", "dog"]}
    (record,), _ = read(write(tmp_path, both), strict=True)
    assert found(record) == [("cat", BOX), ("dog", BOX)]


@pytest.mark.parametrize(
    ("lost", "problem"),
    [
        pytest.param(
            result("keypointlabels", {"x": 5, "y": 5, "width": 1}), Problem.ROW, id="point"
        ),
        pytest.param(result("vectorlabels", {"vertices": []}), Problem.ROW, id="unknown"),
        pytest.param(result(value=RECTANGLE | {"x": "?"}), Problem.ROW, id="word"),
        pytest.param(result(value=RECTANGLE | {"width": 0}), Problem.NO_AREA, id="flat"),
        pytest.param(result(value=RECTANGLE | {"x": 120}), Problem.OUTSIDE, id="outside"),
        pytest.param(result("rectangle"), Problem.LABEL, id="no label"),
        pytest.param(result(image_rotation=90), Problem.ROW, id="turned picture"),
        pytest.param(result("polygonlabels", {"points": [[1, 1]]}), Problem.ROW, id="short"),
        pytest.param(result("brushlabels", {"rle": BRUSH[:40]}), Problem.ROW, id="cut brush"),
        pytest.param(result("brushlabels", {"rle": [0] * 9}), Problem.ROW, id="no brush"),
        pytest.param(result("brushlabels", {"rle": "x"}), Problem.ROW, id="text brush"),
        pytest.param("cat", Problem.ROW, id="text"),
        pytest.param({"value": 7}, Problem.ROW, id="number"),
    ],
)
def test_a_picture_with_a_lost_region_claims_nothing(tmp_path: Path, lost, problem) -> None:
    folder = write(tmp_path, {**result(), "id": "x"}, lost)
    records, report = read(folder, tasks=[Task.OD, Task.REGION_TO_CATEGORY])
    assert [record.task for record in records] == [Task.REGION_TO_CATEGORY]
    assert counts(report) == {problem: 1, Problem.INCOMPLETE: 1}


@pytest.mark.parametrize(
    ("place", "file"),
    [
        ("/data/upload/1/0a1b2c3d-a.png", "a.png"),
        ("/data/upload/1/0a1b2c3d-a.png", "0a1b2c3d-a.png"),
        ("upload/1/ab12cd-a-b.png", "a-b.png"),
        ("/data/local-files/?d=my%20set/a%2B1.png", "images/a+1.png"),
        ("/data/local-files/?d=C%3A%5Cset%5Ca.png", "a.png"),
        ("s3://bucket/set/a%20b.png", "a b.png"),
        ("https://x.org/set/a.png?X-Amz=1&y=2", "a.png"),
        ("C:\\set\\a.png", "a.png"),
        ("a#1.png", "a#1.png"),
    ],
)
def test_the_picture_is_found(tmp_path: Path, place: str, file: str) -> None:
    folder = write(tmp_path, result(), image=place)
    (folder / "a.png").unlink()
    write_picture(folder / file)
    (record,), _ = read(folder, strict=True)
    assert record.image == folder / file


def annotated(number: int, name: str, **more: Any) -> dict[str, Any]:
    one = result()
    one["value"] = {**RECTANGLE, "rectanglelabels": [name]}
    return {"id": number, "result": [one], **more}


@pytest.mark.parametrize(
    ("annotations", "name", "told"),
    [
        ([annotated(1, "cat"), annotated(2, "dog")], "dog", 1),
        ([annotated(1, "cat", ground_truth=True), annotated(2, "dog")], "cat", 1),
        ([annotated(1, "cat"), annotated(2, "dog", was_cancelled=True)], "cat", 1),
    ],
)
def test_of_several_annotators_one_is_taken_and_the_others_told(
    tmp_path: Path, annotations, name, told
) -> None:
    (record,), report = read(write(tmp_path, annotations=annotations), strict=True)
    assert found(record) == [(name, BOX)]
    assert counts(report) == {Problem.OTHER_ANNOTATION: told}


@pytest.mark.parametrize(
    "task",
    [{"annotations": []}, {"annotations": [{"result": [], "was_cancelled": True}]}],
    ids=["predictions alone", "cancelled"],
)
def test_predictions_and_cancelled_annotations_are_none(tmp_path: Path, task) -> None:
    folder = write(tmp_path, predictions=[{"result": [result()]}], **task)
    records, report = read(folder)
    assert not records and counts(report)[Problem.NOT_ANNOTATED] == 1


def test_an_annotation_without_regions_says_nothing_is_there(tmp_path: Path) -> None:
    (record,), report = read(write(tmp_path))
    assert found(record) == [] and counts(report) == {Problem.EMPTY: 1}


def test_texts_are_captions_where_they_are_asked_for(tmp_path: Path) -> None:
    texts = [
        {"type": "textarea", "value": {"text": ["a cat"]}},
        {"type": "choices", "value": {"choices": ["indoors"]}},
    ]
    folder = write(tmp_path, result(), *texts)
    (record,), report = read(folder, tasks=[Task.CAPTION], strict=True)
    assert record.result.text == "a cat" and not report.counts
    (record,), report = read(folder, strict=True)
    assert found(record) == [("cat", BOX)] and counts(report) == {Problem.OTHER_TASK: 2}


@pytest.mark.parametrize("row", [{"data": 7}, "x", {"data": {}}, {"data": {"image": "a.png"},
                                 "annotations": [4]}])  # fmt: skip
def test_what_is_no_task_is_told(tmp_path: Path, row: Any) -> None:
    write(tmp_path, result())
    file = tmp_path / "export.json"
    file.write_text(json.dumps([row]))
    records, report = read(file, "label_studio")
    assert not records and report.counts.total() >= 1
    with pytest.raises(DataError):
        read(file, "label_studio", strict=True)
