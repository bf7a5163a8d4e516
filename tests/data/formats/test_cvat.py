"""CVAT XML: every shape in pixels, turned about its centre, and what has no area is lost."""

from pathlib import Path

import numpy as np
import pytest
from small_datasets import counts, found, read, write_picture, write_text

from florence2.data import Problem
from florence2.errors import DataError
from florence2.tasks import Task

BOX = '<box label="cat" xtl="8.00" ytl="4.00" xbr="24.00" ybr="14.00" occluded="1"{}/>'


def write(folder: Path, *shapes: str, image: str = "", name: str = "a") -> Path:
    write_picture(folder / "images" / f"{name}.png")
    head = f'<image id="0" name="{name}.png" width="40" height="20"{image}>'
    text = (
        f"<annotations><version>1.1</version><meta/>{head}{''.join(shapes)}</image></annotations>"
    )
    write_text(folder / "annotations.xml", text)
    return folder


@pytest.mark.parametrize(
    ("shape", "box", "corners"),
    [
        pytest.param(BOX.format(""), [8, 4, 24, 14], 0, id="box"),
        pytest.param(BOX.format(' rotation="90"'), [11, 1, 21, 17], 4, id="turned"),
        pytest.param(
            '<polygon label="cat" points="8.0,4.0;24,4;24,14"/>', [8, 4, 24, 14], 3, id="polygon"
        ),
        pytest.param(
            '<ellipse label="cat" cx="20" cy="10" rx="8" ry="4"/>', [12, 6, 28, 14], 64, id="round"
        ),
        pytest.param(
            '<ellipse label="cat" cx="20" cy="10" rx="8" ry="4" rotation="90"/>',
            *([16, 2, 24, 18], 64),
            id="round turned",
        ),
        pytest.param(
            '<mask label="cat" rle="0, 12" left="8" top="4" width="4" height="3"/>',
            *([8, 4, 12, 7], 4),
            id="mask",
        ),
    ],
)
def test_a_shape_is_a_box_and_an_outline(tmp_path, shape, box, corners) -> None:
    records, report = read(
        write(tmp_path, shape), tasks=[Task.OD, Task.REGION_TO_SEGMENTATION], strict=True
    )
    assert found(records[0]) == [("cat", box)]
    assert [len(record.result.polygons[0][0]) for record in records[1:]] == [corners] * bool(
        corners
    )
    assert not report.counts


def test_a_box_turns_clockwise_about_its_centre(tmp_path: Path) -> None:
    folder = write(tmp_path, BOX.format(' rotation="30"'))
    (record,), _ = read(folder, tasks=[Task.REGION_TO_SEGMENTATION])
    (outline,) = record.result.polygons[0]
    assert outline.mean(axis=0) == pytest.approx([16, 9])
    lower_right = outline[np.argmax(outline.sum(axis=1))]
    assert lower_right == pytest.approx([16 + 8 * 0.8660254 - 5 * 0.5, 9 + 8 * 0.5 + 5 * 0.8660254])


@pytest.mark.parametrize(
    ("shape", "problem"),
    [
        ('<polyline label="cat" points="1,1;5,5;9,1"/>', Problem.ROW),
        ('<points label="cat" points="1,1"/>', Problem.ROW),
        ('<cuboid label="cat" xtl1="1"/>', Problem.ROW),
        ('<skeleton label="cat"><points label="1" points="1,1"/></skeleton>', Problem.ROW),
        (BOX.format("").replace("24.00", "x"), Problem.ROW),
        (BOX.format("").replace("24.00", "8"), Problem.NO_AREA),
        (BOX.format("").replace("cat", ""), Problem.LABEL),
        (BOX.format(' rotation="x"'), Problem.ROW),
        ('<polygon label="cat" points="8.0,4.0;24"/>', Problem.ROW),
        ('<polygon label="cat" points=""/>', Problem.ROW),
        ('<mask label="cat" rle="0, 11" left="8" top="4" width="4" height="3"/>', Problem.ROW),
        ('<mask label="cat" rle="12" left="8" top="4" width="4" height="3"/>', Problem.ROW),
        ('<mask label="a" rle="0,810000" left="0" top="0" width="900" height="900"/>', Problem.ROW),
    ],
)  # fmt: skip
def test_a_picture_with_a_lost_shape_claims_nothing(tmp_path: Path, shape, problem) -> None:
    folder = write(tmp_path, BOX.format(""), shape)
    records, report = read(folder, tasks=[Task.OD, Task.REGION_TO_CATEGORY])
    assert [record.task for record in records] == [Task.REGION_TO_CATEGORY]
    assert counts(report) == {problem: 1, Problem.INCOMPLETE: 1}


def test_marks_of_a_shape_and_tags(tmp_path: Path) -> None:
    marked = BOX.format("").replace("/>", '><attribute name="difficult">true</attribute></box>')
    folder = write(tmp_path, BOX.format(""), marked, '<tag label="night"/>')
    (record,), report = read(folder, strict=True)
    assert len(found(record)) == 1 and record.ignored is not None
    assert counts(report) == {Problem.IGNORED: 1, Problem.OTHER_TASK: 1}


def test_an_image_without_shapes_shows_nothing(tmp_path: Path) -> None:
    (record,), report = read(write(tmp_path))
    assert found(record) == [] and counts(report) == {Problem.EMPTY: 1}


def test_frames_of_a_video(tmp_path: Path) -> None:
    box = "<box frame='{}' outside='{}' xtl='8' ytl='4' xbr='24' ybr='14'/>"
    rows = box.format(0, 0) + box.format(1, 1) + box.format(7, 0)
    write_text(
        tmp_path / "a.xml", f"<annotations><track id='3' label='cat'>{rows}</track></annotations>"
    )
    write_picture(tmp_path / "other.png")
    records, report = read(tmp_path)
    assert not records and "save them as frame_000000.png" in report.cases[Problem.ROW][0]
    for frame in range(2):
        write_picture(tmp_path / "images" / f"frame_{frame:06}.PNG")
    records, report = read(tmp_path)
    assert [len(found(record)) for record in records] == [1, 0]
    assert counts(report) == {Problem.PICTURE: 1, Problem.EMPTY: 1, Problem.UNNAMED: 1}


def test_entities_are_not_fetched_and_do_not_grow(tmp_path: Path) -> None:
    write(tmp_path)
    bomb = (
        '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;"><!ENTITY x SYSTEM "file:///etc/passwd">]>'
    )
    file = tmp_path / "annotations.xml"
    file.write_text(bomb + file.read_text().replace('name="a.png"', 'name="a.png" id2="&x;"'))
    with pytest.raises(DataError):
        read(file, "cvat", strict=True)
