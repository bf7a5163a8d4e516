"""COCO files of objects and of captions."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_datasets import (
    SIZE,
    counts,
    detected,
    found,
    read,
    write_picture,
    write_text,
)

from florence2.data import Problem
from florence2.data.formats.coco import write_coco
from florence2.data.objects import COMPLETE_TASKS
from florence2.data.records import Record
from florence2.errors import DataError
from florence2.results import Boxes, Polygons, Text
from florence2.tasks import Task

IMAGE = {"id": 1, "file_name": "1.png", "width": 40, "height": 20}
CLASSES = [{"id": 3, "name": "cat"}, {"id": 5, "name": "ant"}]
CAT = {"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 2, 10, 5], "iscrowd": 0}
TRIANGLE = [1, 2, 11, 2, 1, 7]


def write_coco_file(path: Path, *annotations, images=(IMAGE,), categories=CLASSES) -> Path:
    data = {"images": images, "annotations": annotations, "categories": categories}
    return write_text(path, json.dumps(data))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_picture(tmp_path / "1.png")
    return tmp_path


def test_boxes_are_corner_and_sides(folder: Path) -> None:
    ant = {**CAT, "id": 2, "category_id": 5, "bbox": [0, 0, 40, 20]}
    file = write_coco_file(folder / "a.json", CAT, {**CAT, "id": 7, "bbox": [0, 0, 30, 20]}, ant)
    (record,), report = read(file, strict=True)
    assert found(record) == [
        ("ant", [0, 0, 40, 20]),
        ("cat", [0, 0, 30, 20]),
        ("cat", [1, 2, 11, 7]),
    ]
    assert record.image == folder / "1.png"
    assert (record.task, report.num_records) == (Task.OD, {Task.OD: 1})


def test_a_picture_without_annotations_shows_nothing(folder: Path) -> None:
    (record,), report = read(write_coco_file(folder / "a.json"), strict=True)
    assert found(record) == []
    assert counts(report) == {Problem.EMPTY: 1}


def test_every_task_that_objects_answer_can_be_asked(folder: Path) -> None:
    whole = {**CAT, "segmentation": [TRIANGLE]}
    unlined = {**CAT, "id": 2, "category_id": 5, "bbox": [0, 0, 4, 4], "segmentation": []}
    file = write_coco_file(folder / "a.json", whole, unlined)
    tasks = [
        Task.REGION_PROPOSAL,
        Task.OPEN_VOCABULARY_DETECTION,
        Task.REFERRING_EXPRESSION_SEGMENTATION,
        Task.REGION_TO_SEGMENTATION,
        Task.REGION_TO_CATEGORY,
    ]
    records, _ = read(file, tasks=tasks, strict=True)
    assert [(record.task, record.text_input, record.region) for record in records] == [
        (Task.REGION_PROPOSAL, "", None),
        (Task.OPEN_VOCABULARY_DETECTION, "cat", None),
        (Task.OPEN_VOCABULARY_DETECTION, "ant", None),
        (Task.REFERRING_EXPRESSION_SEGMENTATION, "cat", None),
        (Task.REGION_TO_SEGMENTATION, "", (1, 2, 11, 7)),
        (Task.REGION_TO_CATEGORY, "", (1, 2, 11, 7)),
        (Task.REGION_TO_CATEGORY, "", (0, 0, 4, 4)),
    ]
    assert isinstance(records[3].result, Polygons)
    assert records[3].result.polygons[0][0].tolist() == [[1, 2], [11, 2], [1, 7]]
    assert records[5].result == Text("cat", image_size=SIZE)


def test_a_phrase_that_some_outlines_miss_is_not_asked(folder: Path) -> None:
    rows = [{**CAT, "segmentation": [TRIANGLE]}, {**CAT, "id": 2}]
    file = write_coco_file(folder / "a.json", *rows)
    records, _ = read(file, tasks=["referring_expression_segmentation"])
    assert records == []


@pytest.mark.parametrize("runs", [[20, 20, 760], "d0d0hg0"], ids=["plain", "packed"])
def test_run_lengths_become_polygons(folder: Path, runs) -> None:
    mask = {"size": [20, 40], "counts": runs}
    file = write_coco_file(folder / "a.json", {**CAT, "segmentation": mask})
    (record,), _ = read(file, tasks=[Task.REGION_TO_SEGMENTATION], strict=True)
    assert isinstance(record.result, Polygons)
    assert record.result.polygons[0][0].tolist() == [[1, 0], [2, 0], [2, 20], [1, 20]]


def test_holes_are_filled_and_counted(folder: Path) -> None:
    runs = [0, 105, *[4, 16] * 3, 4, 631]
    row = {**CAT, "segmentation": {"size": [20, 40], "counts": runs}}
    _, report = read(write_coco_file(folder / "a.json", row), strict=True)
    assert counts(report) == {Problem.HOLES: 1}


@pytest.mark.parametrize("flag", ["iscrowd", "isgroup", "ignore"])
def test_crowds_and_groups_are_to_be_ignored(folder: Path, flag) -> None:
    crowd = {**CAT, "id": 2, flag: 1, "bbox": [0, 0, 20, 20]}
    file = write_coco_file(folder / "a.json", CAT, crowd)
    (record,), report = read(file, strict=True)
    assert found(record) == [("cat", [1, 2, 11, 7])]
    assert record.ignored is not None and record.ignored.crowds == (flag == "iscrowd",)
    assert record.ignored.boxes.xyxy.tolist() == [[0, 0, 20, 20]]
    assert counts(report) == {Problem.IGNORED: 1}
    (region,), _ = read(file, tasks=[Task.REGION_TO_CATEGORY])
    assert region.ignored is None


def test_a_picture_that_holds_only_a_crowd_does_not_show_nothing(folder: Path) -> None:
    (record,), report = read(write_coco_file(folder / "a.json", {**CAT, "iscrowd": 1}))
    assert found(record) == [] and record.ignored is not None
    assert Problem.EMPTY not in counts(report)


@pytest.mark.parametrize("field", ["image_id", "category_id", "id"])
def test_ids_may_be_text(folder: Path, field: str) -> None:
    for changed in (str(CAT[field]), float(CAT[field])):
        (record,), report = read(write_coco_file(folder / "a.json", {**CAT, field: changed}))
        assert found(record) == [("cat", [1, 2, 11, 7])]
        assert not report.counts


def test_an_equal_id_with_other_content_is_another_object(folder: Path) -> None:
    rows = [{**CAT, "id": 0}, {**CAT, "id": 0, "category_id": 5}, {**CAT, "id": 0}]
    (record,), report = read(write_coco_file(folder / "a.json", *rows))
    assert sorted(record.result.labels) == ["ant", "cat"]
    assert counts(report) == {Problem.DUPLICATE: 1}


@pytest.mark.parametrize("odd", [{"a": 1}, [1], None, True, ""])
@pytest.mark.parametrize("field", ["image_id", "category_id", "id"])
def test_odd_ids_are_told_not_raised(folder: Path, field: str, odd) -> None:
    records, report = read(write_coco_file(folder / "a.json", CAT, {**CAT, field: odd}))
    assert len(records) == (field == "id")  # else an object of some picture is lost
    assert bool(report.counts) == (field != "id")


def test_an_annotation_of_no_picture_may_be_of_any(folder: Path) -> None:
    """The second picture, without annotations, cannot be said to show nothing."""
    write_picture(folder / "2.png")
    images = [IMAGE, {**IMAGE, "id": 2, "file_name": "2.png"}]
    file = write_coco_file(folder / "a.json", CAT, {**CAT, "image_id": None}, images=images)
    records, report = read(file)
    assert records == []
    assert counts(report) == {Problem.ROW: 1, Problem.INCOMPLETE: 2}


def test_shares_are_told_and_multiplied(folder: Path) -> None:
    rows = [{**CAT, "bbox": [0.25, 0.5, 0.5, 0.5]}, {**CAT, "id": 2, "bbox": [0, 0, 1, 1]}]
    (record,), report = read(write_coco_file(folder / "a.json", *rows))
    assert found(record) == [("cat", [0, 0, 40, 20]), ("cat", [10, 10, 30, 20])]
    assert counts(report) == {Problem.SHARES: 1}


def test_boxes_are_cut_at_the_edge_and_counted(folder: Path) -> None:
    rows = [
        {**CAT, "bbox": [-5, -5, 20, 90]},
        {**CAT, "id": 2, "bbox": [0, 0, 40.001, 20]},
        {**CAT, "id": 3, "bbox": [0, 0, 5, 5], "segmentation": [[0, 0, 9, 0, 9, 29]]},
    ]
    (record,), report = read(write_coco_file(folder / "a.json", *rows), strict=True)
    assert [box for _, box in found(record)] == [[0, 0, 40, 20], [0, 0, 15, 20], [0, 0, 5, 5]]
    assert counts(report) == {Problem.CLIPPED: 2}


def test_a_box_is_taken_from_the_outline_where_it_is_missing(folder: Path) -> None:
    row = {"image_id": 1, "category_id": 3, "segmentation": [TRIANGLE]}
    (record,), _ = read(write_coco_file(folder / "a.json", row), strict=True)
    assert found(record) == [("cat", [1, 2, 11, 7])]


@pytest.mark.parametrize(
    ("row", "problem", "words"),
    [
        pytest.param({"bbox": [1, 2, 0, 5]}, Problem.NO_AREA, "no area", id="flat"),
        pytest.param({"bbox": []}, Problem.NO_AREA, "neither box nor polygon", id="no box"),
        pytest.param({"bbox": [1, 2, -3, 5]}, Problem.NO_AREA, "no area", id="negative"),
        pytest.param({"bbox": [50, 2, 3, 5]}, Problem.OUTSIDE, "outside", id="outside"),
        pytest.param({"bbox": [1, 2, 3]}, Problem.ROW, "x, y, width", id="three numbers"),
        pytest.param({"bbox": [1, 2, 3, "a"]}, Problem.ROW, "plain number", id="words"),
        pytest.param({"bbox": [1, 2, 3, float("nan")]}, Problem.ROW, "plain number", id="nan"),
        pytest.param({"category_id": 4}, Problem.LABEL, "no class", id="class"),
        pytest.param({"category_id": None}, Problem.LABEL, "no class", id="no class"),
        pytest.param({"category_id": 8}, Problem.LABEL, "is empty", id="empty name"),
        pytest.param({"image_id": [1]}, Problem.ROW, "no image", id="image list"),
        pytest.param({"segmentation": 3}, Problem.ROW, "run lengths", id="outline"),
        pytest.param({"segmentation": [[1, 2, 3]]}, Problem.ROW, "no list of x", id="odd"),
        pytest.param({"segmentation": [3]}, Problem.ROW, "no list of x", id="number"),
        pytest.param(
            {"segmentation": {"size": [5, 5], "counts": [25]}}, Problem.ROW, "mask", id="size"
        ),
        pytest.param(
            {"segmentation": {"size": [20, 40], "counts": [1]}}, Problem.ROW, "sum", id="runs"
        ),
    ],
)
def test_a_picture_with_a_lost_object_claims_nothing(folder, row, problem, words) -> None:
    """Its other objects answer what is asked about regions, and nothing about the whole."""
    classes = [*CLASSES, {"id": 8, "name": " "}]
    rows = [CAT, {**CAT, "id": 2, **row}]
    file = write_coco_file(folder / "a.json", *rows, categories=classes)
    records, report = read(file, tasks=[*COMPLETE_TASKS, Task.REGION_TO_CATEGORY])
    assert [record.task for record in records] == [Task.REGION_TO_CATEGORY]
    assert records[0].result == Text("cat", image_size=SIZE)
    assert counts(report) == {problem: 1, Problem.INCOMPLETE: 1}
    assert words in report.cases[problem][0]
    with pytest.raises(DataError, match="strict"):
        read(file, strict=True)


def test_an_annotation_of_a_picture_that_is_not_listed_is_told_alone(folder: Path) -> None:
    file = write_coco_file(folder / "a.json", CAT, {**CAT, "id": 2, "image_id": 9})
    (record,), report = read(file)
    assert found(record) == [("cat", [1, 2, 11, 7])]
    assert counts(report) == {Problem.ROW: 1}


@pytest.mark.parametrize(
    ("outline", "problem"),
    [
        pytest.param([1, 2, 3, 4], Problem.NO_AREA, id="two points"),
        pytest.param([1, 1, 2, 2, 3, 3], Problem.NO_AREA, id="a line"),
        pytest.param([50, 1, 60, 1, 60, 9], Problem.OUTSIDE, id="outside"),
    ],
)
def test_a_bad_part_is_dropped_alone(folder: Path, outline, problem) -> None:
    file = write_coco_file(folder / "a.json", {**CAT, "segmentation": [TRIANGLE, outline]})
    (record,), report = read(file, tasks=[Task.REGION_TO_SEGMENTATION])
    assert isinstance(record.result, Polygons)
    assert len(record.result.polygons[0]) == 1
    assert report.counts[problem] == 1


@pytest.mark.parametrize(
    ("image", "problem", "words"),
    [
        pytest.param({"id": None}, Problem.ROW, "an id", id="no id"),
        pytest.param({"file_name": "none.png"}, Problem.PICTURE, "not there", id="missing"),
        pytest.param({"file_name": None}, Problem.ROW, "give a text", id="no name"),
        pytest.param({"width": 41}, Problem.SIZE, "annotations are for 41 x 20", id="size"),
        pytest.param({"width": "x"}, Problem.ROW, "plain number", id="no size"),
        pytest.param({"file_name": "turned.jpg"}, Problem.SIZE, "save it upright", id="turned"),
    ],
)
def test_a_bad_picture_is_counted_and_the_others_are_read(folder, image, problem, words) -> None:
    exif = {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"}
    if image.get("file_name") == "turned.jpg":
        write_picture(folder / "turned.jpg", **exif)
    other = {**IMAGE, "id": 2, **image}
    if "file_name" not in image:
        other["file_name"] = write_picture(folder / "2.png").name
    file = write_coco_file(folder / "a.json", images=[IMAGE, other])
    records, report = read(file)
    assert len(records) == 1
    assert counts(report) == {problem: 1, Problem.EMPTY: 1}
    assert words in report.cases[problem][0]


def test_an_image_id_given_twice_leaves_both_out(folder: Path) -> None:
    """Whose the annotations are is open; they were all given to the first."""
    write_picture(folder / "2.png")
    images = [IMAGE, {**IMAGE, "file_name": "2.png"}]
    records, report = read(write_coco_file(folder / "a.json", CAT, images=images))
    assert records == []
    assert counts(report) == {Problem.DUPLICATE: 2}


def test_bad_classes_are_counted(folder: Path) -> None:
    classes = [*CLASSES, {"id": 3, "name": "dog"}, {"id": 4}, "x"]
    file = write_coco_file(folder / "a.json", CAT, categories=classes)
    records, report = read(file)
    assert records == []  # whether it is a cat or a dog is open
    assert counts(report) == {Problem.DUPLICATE: 1, Problem.LABEL: 3, Problem.INCOMPLETE: 1}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("{", "is no JSON", id="no JSON"),
        pytest.param("[]", "no list 'images'", id="a list"),
        pytest.param('{"images": []}', "no list 'annotations'", id="no annotations"),
        pytest.param('{"images": [], "annotations": []}', "class names", id="no categories"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, text, words) -> None:
    with pytest.raises(DataError, match=words):
        read(write_text(tmp_path / "a.json", text))


def test_a_file_that_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(DataError, match="cannot be read as UTF-8"):
        read(tmp_path / "a.json")


def caption(text, image_id=1):
    return {"image_id": image_id, "caption": text}


def test_every_caption_is_a_record(folder: Path) -> None:
    file = write_coco_file(folder / "captions_val.json", caption("Un chat\n"), caption("猫"))
    records, _ = read(file, strict=True)
    assert [record.result for record in records] == [
        Text("Un chat", image_size=SIZE),
        Text("猫", image_size=SIZE),
    ]
    (record, _), _ = read(file, tasks=["<MORE_DETAILED_CAPTION>"])
    assert record.task is Task.MORE_DETAILED_CAPTION
    with pytest.raises(DataError, match="no answers for task '<OD>'"):
        read(file, tasks=[Task.OD])
    with pytest.raises(DataError, match="choose one task"):
        read(file, tasks=["caption", "detailed_caption"])


def test_missing_captions_are_counted(folder: Path) -> None:
    images = [IMAGE, {**IMAGE, "id": 2, "file_name": write_picture(folder / "2.png").name}]
    records, report = read(
        write_coco_file(folder / "a.json", caption("a"), caption(None), images=images)
    )
    assert len(records) == 1
    assert counts(report) == {Problem.NO_TEXT: 2}


def test_the_layout_of_coco_itself_is_found(tmp_path: Path) -> None:
    write_picture(tmp_path / "val2017" / "1.png")
    write_coco_file(tmp_path / "annotations" / "instances_val2017.json", CAT)
    write_coco_file(tmp_path / "annotations" / "instances_train2017.json", CAT)
    write_coco_file(tmp_path / "annotations" / "captions_val2017.json", caption("a cat"))
    (record,), _ = read(tmp_path, split="val", strict=True)
    assert (record.task, record.image) == (Task.OD, tmp_path / "val2017" / "1.png")
    (record,), _ = read(tmp_path, split="val", tasks=["caption"], strict=True)
    assert record.task is Task.CAPTION
    with pytest.raises(DataError, match="has the parts train, val; choose one"):
        read(tmp_path)


def test_the_layout_of_roboflow_is_found(tmp_path: Path) -> None:
    for part in ("train", "valid"):
        write_picture(tmp_path / part / "1.png")
        write_coco_file(tmp_path / part / "_annotations.coco.json", CAT)
    (record,), _ = read(tmp_path, split="valid", strict=True)
    assert record.image == tmp_path / "valid" / "1.png"


def test_pictures_named_on_another_machine_are_found(tmp_path: Path) -> None:
    write_picture(tmp_path / "images" / "größe 1.png")
    image = {**IMAGE, "file_name": "C:\\Users\\me\\größe 1.png"}
    (record,), _ = read(write_coco_file(tmp_path / "a.json", images=[image]), strict=True)
    assert record.image == tmp_path / "images" / "größe 1.png"


def test_written_boxes_outlines_and_captions_come_back(tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "pictures" / "1.png")
    boxes = detected(picture, ("ant", (0, 0, 9.5, 20)), ("猫", (1.25, 2, 30, 20)))
    empty = detected(np.zeros((20, 40, 3), np.uint8))
    write_coco([boxes, empty], tmp_path / "boxes.json")
    back, _ = read(tmp_path / "boxes.json", strict=True)
    assert [record.result for record in back] == [boxes.result, empty.result]

    parts = (np.array([[1.0, 2.0], [11.5, 2.0], [1.0, 7.0]]),)
    outline = Polygons((parts,), ("",), image_size=SIZE)
    asked = Record(picture, Task.REFERRING_EXPRESSION_SEGMENTATION, "a cat", None, outline, "s")
    write_coco([asked], tmp_path / "outlines.json")
    (record,), _ = read(tmp_path / "outlines.json", tasks=[asked.task], strict=True)
    assert (record.text_input, record.result) == ("a cat", outline)

    text = Record(picture, Task.CAPTION, "", None, Text("a cat", image_size=SIZE), "s")
    write_coco([text], tmp_path / "captions.json")
    (record,), _ = read(tmp_path / "captions.json", strict=True)
    assert record.result == text.result


def test_answers_that_coco_cannot_hold_are_refused(tmp_path: Path, picture: Path) -> None:
    record = Record(picture, Task.OCR, "", None, Text("a", image_size=(120, 80)), "s")
    with pytest.raises(DataError, match="cannot hold an answer of task '<OCR>'"):
        write_coco([record], tmp_path / "a.json")


sides = st.floats(0.01, 9.99)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.floats(1.01, 9.99), sides, sides, sides), max_size=3))
def test_boxes_come_back(tmp_path: Path, picture: Path, rows) -> None:
    rows = [*rows, (0.0, 0.0, 120.0, 80.0)]  # a box within a pixel is taken for shares
    xyxy = np.array([[x, y, x + w, y + h] for x, y, w, h in rows], float).reshape(-1, 4)
    boxes = Boxes(xyxy, ["abcdefgh"[row] for row in range(len(rows))], image_size=(120, 80))
    write_coco([Record(picture, Task.OD, "", None, boxes, "s")], tmp_path / "a.json")
    (record,), _ = read(tmp_path / "a.json", strict=True)
    assert isinstance(record.result, Boxes)
    assert record.result.labels == boxes.labels
    assert record.result.xyxy == pytest.approx(xyxy)


@pytest.mark.parametrize("flag", ["is_crowd", "IsGroupOf", "isgroupof", "difficult"])
@pytest.mark.parametrize("inside", [False, True], ids=["plain", "attributes"])
def test_flags_are_known_as_people_write_them(folder: Path, flag: str, inside: bool) -> None:
    marked = {"attributes": {flag: "True"}} if inside else {flag: 1}
    (record,), _ = read(write_coco_file(folder / "a.json", CAT, {**CAT, "id": 2, **marked}))
    assert len(record.result.labels) == 1 and record.ignored is not None


def test_a_class_id_of_two_names_is_of_none(folder: Path) -> None:
    classes = [*CLASSES, {"id": 3, "name": "dog"}]
    records, report = read(write_coco_file(folder / "a.json", CAT, categories=classes))
    assert records == []
    assert report.counts[Problem.LABEL] == 1


def test_one_picture_under_two_ids_is_one_picture(folder: Path) -> None:
    """Two records contradicted each other: each showed half of the objects."""
    images = [IMAGE, {**IMAGE, "id": 2}]
    ant = {**CAT, "id": 2, "image_id": 2, "category_id": 5}
    (record,), report = read(write_coco_file(folder / "a.json", CAT, ant, images=images))
    assert sorted(record.result.labels) == ["ant", "cat"]
    assert counts(report) == {Problem.DUPLICATE: 1}


def test_an_outline_may_lack_the_list_around_it(folder: Path) -> None:
    file = write_coco_file(folder / "a.json", {**CAT, "segmentation": TRIANGLE})
    (record,), report = read(file, tasks=[Task.REGION_TO_SEGMENTATION])
    assert record.result.polygons[0][0].tolist() == [[1, 2], [11, 2], [1, 7]]
    assert not report.counts
