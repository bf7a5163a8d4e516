"""LabelMe: every shape in pixels, and what has no area is lost with its picture."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_datasets import counts, found, read, write_picture, write_text

from florence2.data import Problem
from florence2.tasks import Task

BOX = {"label": "cat", "shape_type": "rectangle", "points": [[24, 14], [8, 4]]}


def mask_text(height: int, width: int) -> str:
    file = io.BytesIO()
    Image.fromarray(np.ones((height, width), bool)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def write(folder: Path, *shapes: Any, name: str = "a.png", **fields: Any) -> Path:
    write_picture(folder / "a.png")
    head = {"version": "5.5.0", "flags": {}, "imagePath": name, "imageData": None}
    data = {**head, "shapes": shapes, "imageHeight": 20, "imageWidth": 40, **fields}
    write_text(folder / "a.json", json.dumps(data))
    return folder


@pytest.mark.parametrize(
    ("kind", "points", "box", "corners"),
    [
        pytest.param("rectangle", [[24, 14], [8, 4]], [8, 4, 24, 14], 0, id="any corners"),
        pytest.param("rectangle", [[8, 4], [24, 4], [24, 14], [8, 14]], [8, 4, 24, 14], 0, id="4"),
        pytest.param("polygon", [[8, 4], [24, 4], [24, 14]], [8, 4, 24, 14], 3, id="polygon"),
        pytest.param("circle", [[10, 10], [13, 14]], [5, 5, 15, 15], 64, id="circle"),
        pytest.param(
            *("oriented_rectangle", [[10, 2], [18, 10], [10, 18], [2, 10]], [2, 2, 18, 18], 4),
            id="turned",
        ),
        pytest.param("mask", [[8, 4], [23, 13]], [8, 4, 24, 14], 4, id="mask"),
    ],
)
def test_a_shape_is_a_box_and_an_outline(tmp_path, kind, points, box, corners) -> None:
    shape = {"label": "cat", "shape_type": kind, "points": points, "mask": mask_text(10, 16)}
    records, report = read(
        write(tmp_path, shape), tasks=[Task.OD, Task.REGION_TO_SEGMENTATION], strict=True
    )
    assert found(records[0]) == [("cat", box)]
    outlines = [record.result.polygons[0][0] for record in records[1:]]
    assert [len(outline) for outline in outlines] == [corners][: len(outlines)]
    assert bool(outlines) == bool(corners)
    assert not report.counts


def test_shapes_of_a_group_are_one_object(tmp_path: Path) -> None:
    left, right = ([[x, 4], [x + 6, 4], [x + 6, 10]] for x in (4, 20))
    shapes = [{"label": "cat", "points": points, "group_id": 1} for points in (left, right)]
    other = {"label": "dog", "points": left, "group_id": 1}
    records, _ = read(write(tmp_path, *shapes, other), tasks=[Task.OD, Task.REGION_TO_SEGMENTATION])
    assert found(records[0]) == [("cat", [4, 4, 26, 10]), ("dog", [4, 4, 10, 10])]
    assert [len(record.result.polygons[0]) for record in records[1:]] == [2, 1]


@pytest.mark.parametrize(
    ("shape", "problem", "words"),
    [
        pytest.param(
            {**BOX, "shape_type": kind, "points": [[8, 4], [9, 5]]}, Problem.ROW, words, id=kind
        )
        for kind, words in {
            **dict.fromkeys(("point", "line", "linestrip"), "has no area"),
            "polygon": "give three",
            "star": "not read",
            "mask": "no picture",
        }.items()
    ]
    + [
        pytest.param({**BOX, "points": []}, Problem.ROW, "points are", id="no points"),
        pytest.param({**BOX, "points": [[1, 2], [3]]}, Problem.ROW, "points are", id="half"),
        pytest.param({**BOX, "points": [[1, 2], ["x", 3]]}, Problem.ROW, "plain number", id="word"),
        pytest.param({**BOX, "label": None}, Problem.ROW, "'label' is None", id="no label"),
        pytest.param({**BOX, "label": " "}, Problem.LABEL, "empty", id="blank"),
        pytest.param({**BOX, "points": [[8, 4], [8, 9]]}, Problem.NO_AREA, "no area", id="flat"),
        pytest.param("cat", Problem.ROW, "give an object", id="text"),
    ],
)
def test_a_picture_with_a_lost_shape_claims_nothing(tmp_path, shape, problem, words) -> None:
    records, report = read(write(tmp_path, BOX, shape), tasks=[Task.OD, Task.REGION_TO_CATEGORY])
    assert [record.task for record in records] == [Task.REGION_TO_CATEGORY]
    assert counts(report) == {problem: 1, Problem.INCOMPLETE: 1}
    assert report.cases[problem][0].startswith("a.json, shape 2") and words in str(report)


@pytest.mark.parametrize("flags", [{"flags": {"difficult": True}}, {"difficult": True}])
def test_difficult_shapes_are_ignored(tmp_path: Path, flags) -> None:
    (record,), _ = read(write(tmp_path, BOX, {**BOX, "label": "dog", **flags}), strict=True)
    assert found(record) == [("cat", [8, 4, 24, 14])]
    assert record.ignored.boxes.labels == ("dog",)


def test_a_confidence_is_told_and_left_out(tmp_path: Path) -> None:
    (record,), report = read(write(tmp_path, {**BOX, "score": 0.7}), strict=True)
    assert found(record) == [("cat", [8, 4, 24, 14])]
    assert counts(report) == {Problem.CONFIDENCE: 1}


@pytest.mark.parametrize("name", ["..\\b\\a.png", "C:\\me\\A.PNG", "other.png", "", "a%2Epng"])
def test_the_picture_is_found(tmp_path: Path, name: str) -> None:
    (record,), _ = read(write(tmp_path, BOX, name=name), strict=True)
    assert record.image == tmp_path / "a.png"


def test_no_shapes_are_nothing_and_a_picture_inside_of_the_file_is_told(tmp_path: Path) -> None:
    (record,), report = read(write(tmp_path))
    assert found(record) == [] and counts(report) == {Problem.EMPTY: 1}
    write(tmp_path, BOX, imageData="iVBORw0KGgo=")
    (tmp_path / "a.png").unlink()
    write_picture(tmp_path / "b.png")
    records, report = read(tmp_path)
    assert not records and "save it beside" in report.cases[Problem.PICTURE][0]
