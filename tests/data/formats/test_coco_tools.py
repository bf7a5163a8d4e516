"""COCO files as particular tools write them, and what those tools read of ours."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_datasets import SIZE, counts, detected, found, read, write_picture, write_text

from florence2.data import Problem
from florence2.data.formats.coco import write_coco, write_coco_results
from florence2.data.objects import COMPLETE_TASKS, OBJECT_TASKS
from florence2.data.records import Federated, Record
from florence2.errors import DataError
from florence2.results import Boxes, Polygons
from florence2.tasks import Task

CLASSES = [{"id": 0, "name": "ant"}, {"id": 1, "name": "cat"}]
BOX = {"image_id": 0, "category_id": 1, "bbox": [1, 2, 10, 5], "iscrowd": 0, "area": 50}
MASK = {**BOX, "segmentation": {"size": [20, 40], "counts": [20, 20, 760]}, "iscrowd": 1}
CENTRE = {"size": [20, 40], "counts": [205, 10, 585]}


def images(*names: str, **more: Any) -> list[dict[str, Any]]:
    size = {"width": 40, "height": 20}
    return [{"id": n, "file_name": name, **size, **more} for n, name in enumerate(names)]


def write_file(path: Path, *rows: dict[str, Any], pictures: Any = None) -> Path:
    pictures = images("1.png") if pictures is None else pictures
    data = {"images": pictures, "annotations": rows, "categories": CLASSES}
    return write_text(path, json.dumps(data))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_picture(tmp_path / "1.png")
    return tmp_path


@pytest.mark.parametrize("ids", [(0, 1), (1, 2), (7, 7), (None, None), ("0", "1")])
def test_ids_of_annotations_never_matter(folder: Path, ids) -> None:
    """Label Studio and globox count from 0, which two evaluators take for "no match"."""
    first, second = ({"id": each} if each is not None else {} for each in ids)
    ant = {**BOX, "category_id": 0, "bbox": [0, 0, 5, 5]}
    file = write_file(folder / "a.json", {**BOX, **first}, {**ant, **second})
    (record,), report = read(file, strict=True)
    assert found(record) == [("ant", [0, 0, 5, 5]), ("cat", [1, 2, 11, 7])]
    write_coco([record], folder / "out.json")
    written = json.loads((folder / "out.json").read_text())
    assert [row["id"] for row in written["annotations"]] == [1, 2]
    assert all(row["iscrowd"] == 0 and row["area"] > 0 for row in written["annotations"])
    assert not report.counts


def test_masks_of_datumaro_are_objects_and_told(folder: Path) -> None:
    """It writes plain masks with iscrowd 1; a file of nothing else holds no crowds."""
    rows = [{**MASK, "id": 1}, {**MASK, "id": 2, "category_id": 0, "segmentation": CENTRE}]
    (record,), report = read(write_file(folder / "a.json", *rows), strict=True)
    assert len(found(record)) == 2 and record.ignored is None
    assert counts(report) == {Problem.CROWDS: 1}


@pytest.mark.parametrize(
    "others",
    [
        pytest.param([], id="alone"),
        pytest.param([BOX], id="beside a box"),
        pytest.param([MASK | {"iscrowd": 0, "segmentation": CENTRE}], id="beside a mask"),
        pytest.param([BOX | {"iscrowd": 1}, MASK], id="beside a crowd without a mask"),
    ],
)
def test_a_crowd_never_becomes_an_object_in_silence(folder: Path, others) -> None:
    rows = [{**row, "id": number} for number, row in enumerate([MASK, *others])]
    (record,), report = read(write_file(folder / "a.json", *rows))
    assert record.ignored is not None
    assert Problem.CROWDS not in report.counts
    assert "datumaro marks all masks so" in report.cases[Problem.IGNORED][0]


@pytest.mark.parametrize("piece", [[1, 2, 11, 7], [3, 4], [1, 2, 1, 2, 1, 2]])
def test_pieces_without_an_area_are_dropped_and_told(folder: Path, piece) -> None:
    """pycocotools takes four numbers for a box, in an array only."""
    row = {**BOX, "id": 1, "segmentation": [piece, [1, 2, 11, 2, 1, 7]]}
    file = write_file(folder / "a.json", row)
    (record,), report = read(file, tasks=["referring_expression_segmentation"])
    assert [len(part) for part in record.result.polygons[0]] == [3]
    assert counts(report) == {Problem.NO_AREA: 1}


def test_pieces_without_an_area_are_never_written(folder: Path) -> None:
    triangle, line = np.array([[1.0, 2], [11, 2], [1, 7]]), np.array([[1.0, 2], [9, 2]])
    task = Task.REFERRING_EXPRESSION_SEGMENTATION

    def asked(*parts: np.ndarray) -> Record:
        result = Polygons((parts,), ("",), image_size=SIZE)
        return Record(folder / "1.png", task, "cat", None, result, "s")

    write_coco([asked(triangle, line)], folder / "a.json")
    (row,) = json.loads((folder / "a.json").read_text())["annotations"]
    assert (row["segmentation"], row["area"]) == ([[1, 2, 11, 2, 1, 7]], 25)
    with pytest.raises(DataError, match="without an area"):
        write_coco([asked(line)], folder / "a.json")


def test_two_annotators_of_label_studio_are_one_picture(folder: Path) -> None:
    """It lists the picture of a task once for each of them."""
    rows = [{**BOX, "id": 0, "segmentation": [], "ignore": 0}]
    rows += [{**rows[0], "id": 1, "image_id": 1, "category_id": 0}]
    file = write_file(folder / "result.json", *rows, pictures=images("1.png", "1.png"))
    (record,), report = read(file)
    assert [label for label, _ in found(record)] == ["ant", "cat"]
    assert counts(report) == {Problem.DUPLICATE: 1}


def test_a_share_among_pixels_is_lost_and_told(folder: Path) -> None:
    write_picture(folder / "2.png")
    rows = [{**BOX, "id": 1}, {**BOX, "id": 2, "image_id": 1, "bbox": [0.1, 0.2, 0.5, 0.5]}]
    file = write_file(folder / "a.json", *rows, pictures=images("1.png", "2.png"))
    (record,), report = read(file)
    assert record.image == folder / "1.png"
    assert counts(report) == {Problem.ROW: 1, Problem.INCOMPLETE: 1}
    assert "as a share of the picture would" in report.cases[Problem.ROW][0]


def test_scores_are_kept(folder: Path) -> None:
    rows = [{**BOX, "id": 1, "score": 0.75}, {**BOX, "id": 2, "category_id": 0}]
    rows += [{**BOX, "id": 3, "bbox": [0, 0, 2, 2], "score": 97}]
    (record,), report = read(write_file(folder / "a.json", *rows))
    assert record.result.scores == (None, 0.75, None)
    assert counts(report) == {Problem.SCORE: 1}
    write_coco([record], folder / "b.json")
    (again,), _ = read(folder / "b.json", strict=True)
    assert again.result == record.result


def test_detections_become_coco_results(folder: Path) -> None:
    """With the ids of the truth, as pycocotools' loadRes takes them."""
    write_picture(folder / "2.png")
    truth = write_file(folder / "truth.json", BOX, pictures=images("2.png", "1.png"))
    boxes = Boxes([[1, 2, 11, 7]], ["cat"], scores=[0.5], image_size=SIZE)
    record = Record(folder / "1.png", Task.OD, "", None, boxes, "s")
    write_coco_results([record], folder / "results.json", truth)
    assert json.loads((folder / "results.json").read_text()) == [
        {"image_id": 1, "category_id": 1, "bbox": [1, 2, 10, 5], "score": 0.5}
    ]
    box = (1.0, 2.0, 11.0, 7.0)
    for wrong, words in (
        (detected(folder / "1.png", ("cat", box)), "boxes with scores"),
        (detected(folder / "1.png", ("dog", box)), "'dog' is no class"),
        (detected(folder / "3.png", ("cat", box)), "no picture"),
    ):
        with pytest.raises(DataError, match=words):
            write_coco_results([wrong], folder / "results.json", truth)


LVIS = {"neg_category_ids": [0], "not_exhaustive_category_ids": []}


def test_lvis_asks_for_what_was_looked_for(folder: Path) -> None:
    """Of most classes nobody knows whether they are there."""
    file = write_file(folder / "lvis.json", BOX, pictures=images("1.png", **LVIS))
    records, report = read(file, strict=True)
    assert [(record.task.token, record.text_input) for record in records] == [
        ("<OPEN_VOCABULARY_DETECTION>", "cat"),
        ("<OPEN_VOCABULARY_DETECTION>", "ant"),
    ]
    assert [len(record.result.boxes.labels) for record in records] == [1, 0]
    assert not report.counts


@pytest.mark.parametrize("partly", [[1], ["1"], "?"])
def test_lvis_does_not_ask_for_all_of_what_was_annotated_in_part(folder: Path, partly) -> None:
    row = {**BOX, "id": 1, "segmentation": [[1, 2, 11, 2, 1, 7]]}
    more = {"neg_category_ids": [], "not_exhaustive_category_ids": partly}
    file = write_file(folder / "lvis.json", row, pictures=images("1.png", **more))
    records, report = read(file, tasks=list(OBJECT_TASKS), strict=True)
    detection, *others = records
    assert detection.task is Task.OD
    assert detection.federated == Federated(
        frozenset(), frozenset({"cat"} if partly != "?" else {"ant", "cat"})
    )
    assert {record.task for record in others} == {*OBJECT_TASKS} - COMPLETE_TASKS
    assert counts(report) == {Problem.FEDERATED: 3}


def test_a_picture_of_lvis_without_objects_does_not_show_nothing(folder: Path) -> None:
    file = write_file(folder / "lvis.json", pictures=images("1.png", **LVIS))
    records, report = read(file, tasks=["od", "region_proposal"])
    (detection,) = records
    assert detection.federated == Federated(frozenset({"ant"}), frozenset())
    assert counts(report) == {Problem.FEDERATED: 1}


def test_an_object_outweighs_the_word_that_its_class_is_absent(folder: Path) -> None:
    more = {"neg_category_ids": [1], "not_exhaustive_category_ids": []}
    file = write_file(folder / "lvis.json", BOX, pictures=images("1.png", **more))
    (record,), _ = read(file)
    assert record.result.boxes.labels == ("cat",)


def test_files_of_other_pictures_are_read_one_after_another(folder: Path) -> None:
    """One a picture, or one a part of the work; each counts its ids anew."""
    write_picture(folder / "2.png")
    for name, label in (("1", 0), ("2", 1)):
        row = {**BOX, "category_id": label}
        write_file(folder / f"part_{name}x.json", row, pictures=images(f"{name}.png"))
    records, report = read(folder, strict=True)
    assert [(record.image.name, record.result.labels) for record in records] == [
        ("1.png", ("ant",)),
        ("2.png", ("cat",)),
    ]
    assert counts(report) == {Problem.FILES: 2}


def test_two_files_of_one_picture_are_refused(folder: Path) -> None:
    """Two versions, or two halves of its objects: either reading may lie."""
    write_file(folder / "a.json", BOX)
    write_file(folder / "b.json", {**BOX, "category_id": 0})
    with pytest.raises(DataError, match=r"a\.json and b\.json, which both name picture '1\.png'"):
        read(folder)


def test_of_captions_and_objects_the_task_chooses(folder: Path) -> None:
    write_file(folder / "a.json", BOX)
    text = {"id": 1, "image_id": 0, "caption": "a cat"}
    write_file(folder / "b.json", text)
    (record,), report = read(folder, strict=True)
    assert record.task is Task.OD and counts(report) == {Problem.OTHER_TASK: 1}
    (record,), _ = read(folder, tasks=["caption"], strict=True)
    assert record.result.text == "a cat"


def test_one_row_with_a_caption_makes_no_file_of_captions(folder: Path) -> None:
    rows = [{**BOX, "caption": "a cat"}, {**BOX, "id": 2, "category_id": 0}]
    (record,), _ = read(write_file(folder / "a.json", *rows), strict=True)
    assert record.task is Task.OD
