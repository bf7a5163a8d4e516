"""CreateML and VIA: boxes and outlines in pixels, classes, and rows that are lost."""

import json
from pathlib import Path
from typing import Any

import pytest
from small_datasets import counts, found, read, write_picture, write_text

from florence2.data import Problem
from florence2.errors import DataError
from florence2.tasks import Task

BOX = [8, 4, 24, 14]
RECT = {"name": "rect", "x": 8, "y": 4, "width": 16, "height": 10}
CENTRE = {"label": "cat", "coordinates": {"x": 16, "y": 9, "width": 16, "height": 10}}


def createml(folder: Path, *annotations: Any) -> Path:
    write_picture(folder / "a.png")
    write_text(folder / "a.json", json.dumps([{"image": "a.png", "annotations": annotations}]))
    return folder


def region(shape: Any, **attributes: Any) -> dict[str, Any]:
    return {"shape_attributes": shape, "region_attributes": attributes or {"animal": "cat"}}


def via(folder: Path, *regions: Any) -> Path:
    write_picture(folder / "a.png")
    row = {"filename": "a.png", "size": 9, "regions": regions, "file_attributes": {}}
    write_text(folder / "via.json", json.dumps({"a.png9": row}))
    return folder


def test_a_box_of_createml_is_a_centre_and_sides(tmp_path: Path) -> None:
    (record,), report = read(createml(tmp_path, CENTRE), strict=True)
    assert found(record) == [("cat", BOX)] and not report.counts


@pytest.mark.parametrize(
    ("shape", "box", "corners"),
    [
        (RECT, BOX, 0),
        ({"name": "circle", "cx": 10, "cy": 10, "r": 5}, [5, 5, 15, 15], 64),
        ({"name": "ellipse", "cx": 20, "cy": 10, "rx": 8, "ry": 4}, [12, 6, 28, 14], 64),
        (
            {"name": "ellipse", "cx": 20, "cy": 10, "rx": 8, "ry": 4, "theta": 1.5707963},
            *([16, 2, 24, 18], 64),
        ),
        ({"name": "polygon", "all_points_x": [8, 24, 24], "all_points_y": [4, 4, 14]}, BOX, 3),
    ],
)
def test_a_region_of_via_is_a_box_and_an_outline(tmp_path, shape, box, corners) -> None:
    folder = via(tmp_path, region(shape))
    records, _ = read(folder, tasks=[Task.OD, Task.REGION_TO_SEGMENTATION], strict=True)
    ((label, around),) = found(records[0])
    assert label == "cat" and around == pytest.approx(box, abs=1e-4)
    assert [len(record.result.polygons[0][0]) for record in records[1:]] == [corners] * bool(
        corners
    )


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ({"what": "cat"}, "cat"),
        ({"colour": "red", "Class": "cat"}, "cat"),
        ({"type": {"cat": True, "dog": False}}, "cat"),
    ],
)
def test_the_class_of_via_is_an_attribute(tmp_path: Path, attributes, name) -> None:
    (record,), _ = read(via(tmp_path, region(RECT, **attributes)), strict=True)
    assert found(record) == [(name, BOX)]


def test_unclear_classes_of_via_are_refused_and_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="attributes colour, form; call the one that tells"):
        read(via(tmp_path, region(RECT, colour="red", form="round")))
    (record,), report = read(via(tmp_path, {"shape_attributes": RECT, "region_attributes": {}}))
    assert found(record) == [("object", BOX)] and counts(report) == {Problem.ONE_CLASS: 1}


def test_regions_of_via_1_are_an_object(tmp_path: Path) -> None:
    via(tmp_path)
    row = {"filename": "a.png", "regions": {"0": region(RECT), "1": region(RECT, animal="dog")}}
    write_text(tmp_path / "via.json", json.dumps({"a.png9": row}))
    assert found(read(tmp_path, strict=True)[0][0]) == [("cat", BOX), ("dog", BOX)]


@pytest.mark.parametrize(
    ("write", "good", "bad", "problem"),
    [
        *(
            (createml, CENTRE, bad, problem)
            for bad, problem in (
                ({**CENTRE, "label": None}, Problem.ROW),
                ({**CENTRE, "label": ""}, Problem.LABEL),
                ({"label": "cat"}, Problem.ROW),
                ({**CENTRE, "coordinates": {"x": 1}}, Problem.ROW),
                (7, Problem.ROW),
            )
        ),
        *(
            (via, region(RECT), bad, problem)
            for bad, problem in (
                (region({"name": "point", "cx": 1, "cy": 2}), Problem.ROW),
                (region({"name": "polyline", "all_points_x": [1]}), Problem.ROW),
                (region({"name": "polygon", "all_points_x": [1], "all_points_y": []}), Problem.ROW),
                (region(RECT | {"x": "?"}), Problem.ROW),
                (region(RECT | {"width": 0}), Problem.NO_AREA),
                (region(RECT, animal={"cat": True, "dog": True}), Problem.ROW),
                (region(RECT, animal=None), Problem.LABEL),
                ("cat", Problem.ROW),
            )
        ),
    ],
)
def test_a_picture_with_a_lost_row_claims_nothing(tmp_path, write, good, bad, problem) -> None:
    records, report = read(write(tmp_path, good, bad), tasks=[Task.OD, Task.REGION_TO_CATEGORY])
    assert [record.task for record in records] == [Task.REGION_TO_CATEGORY]
    assert counts(report) == {problem: 1, Problem.INCOMPLETE: 1}
