"""Phrases and expressions: what is asked and answered, and that no lost box leaves a lie."""

import json
import pickle
import random
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from layouts import ENTITIES, entities, mdetr, outlined_coco, pictures, refs_row
from PIL import Image

from florence2.answers import format_answer
from florence2.data import Problem, open_dataset
from florence2.data.records import Record
from florence2.data.report import ReadReport, Severity
from florence2.errors import DataError, Florence2Error
from florence2.tasks import Task

GROUNDING, MASKS = Task.CAPTION_TO_PHRASE_GROUNDING, Task.REFERRING_EXPRESSION_SEGMENTATION
XYXY = [8.0, 4.0, 24.0, 14.0]


def write(folder: Path, files: dict[str, Any]) -> Path:
    """Write texts, values as JSON, lists of a `.jsonl` as lines, and pictures for `""`."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content == "":
            Image.new("RGB", (40, 20), "navy").save(path)
        elif name.endswith(".jsonl"):
            path.write_text("".join(json.dumps(row) + "\n" for row in content))
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def read(path: Path, **options: Any) -> tuple[list[Record], ReadReport]:
    dataset = open_dataset(path, **options)
    return list(dataset), dataset.report


def odvg_files(box: Any) -> dict[str, Any]:
    """Two captions of a picture; the first has the box."""
    rows = [
        {
            "filename": "a.png",
            "grounding": {"caption": "a cat", "regions": [{"phrase": "a cat", "bbox": box}]},
        },
        {
            "filename": "a.png",
            "grounding": {"caption": "a dog", "regions": [{"phrase": "a dog", "bbox": XYXY}]},
        },
    ]
    return {"a.png": "", "a.jsonl": rows}


def xywh(box: Any) -> Any:
    """A box as COCO writes it, where it is one."""
    if not isinstance(box, list) or len(box) != 4 or isinstance(box[0], str):
        return box
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]


def coco_rows(box: Any) -> dict[str, Any]:
    data = json.loads(outlined_coco(("a", "b")))
    data["images"] = data["images"][:1]
    data["annotations"][1]["image_id"] = 0
    data["annotations"][0]["bbox"] = xywh(box)
    if box != XYXY:
        del data["annotations"][0]["segmentation"]
    return data


def refcoco_files(box: Any) -> dict[str, Any]:
    refs = [
        refs_row(n, image_id=0, sentences=[{"sent": text}])
        for n, text in enumerate(("a cat", "a dog"))
    ]
    return {"a.png": "", "refs.json": refs, "instances.json": coco_rows(box)}


def mdetr_files(box: Any) -> dict[str, Any]:
    data = coco_rows(box)
    images = [
        {**data["images"][0], "id": n, "caption": text, "tokens_negative": []}
        for n, text in enumerate(("a cat", "a dog"))
    ]
    for n, row in enumerate(data["annotations"]):
        row |= {"image_id": n, "tokens_positive": [[0, 5]]}
    return {"a.png": "", "a.json": {**data, "images": images}}


def flickr30k_files(box: Any) -> dict[str, Any]:
    sides = box if isinstance(box, list) else [""]
    sides = [side + 1 if at < 2 and not isinstance(side, str) else side
             for at, side in enumerate(sides)]  # fmt: skip
    named = zip(("xmin", "ymin", "xmax", "ymax"), sides, strict=False)
    given = "".join(f"<{name}>{side}</{name}>" for name, side in named)
    tree = f"<annotation><object><name>1</name><bndbox>{given}</bndbox></object>"
    good = "<xmin>9</xmin><ymin>5</ymin><xmax>24</xmax><ymax>14</ymax>"
    tree += f"<object><name>2</name><bndbox>{good}</bndbox></object></annotation>"
    text = "[/EN#1/animals a cat]\n[/EN#2/animals a dog]\n"
    return {"images/a.png": "", "Annotations/a.xml": tree, "Sentences/a.txt": text}


FORMATS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "odvg": odvg_files,
    "refcoco": refcoco_files,
    "mdetr": mdetr_files,
    "flickr30k": flickr30k_files,
}
BROKEN: dict[str, Any] = {
    "flat": [8, 4, 8, 14],
    "outside": [50, 4, 60, 14],
    "of words": ["x", 4, 24, 14],
    "of three": [8, 4, 24],
    "missing": None,
    "infinite": [8, 4, 1e999, 14],
    "turned over": [24, 14, 8, 4],
}


@pytest.mark.parametrize("format", FORMATS)
def test_a_text_is_asked_with_its_box(tmp_path: Path, format: str) -> None:
    records, report = read(write(tmp_path, FORMATS[format](XYXY)))
    asked = [record for record in records if record.task is GROUNDING]
    assert [record.text_input for record in asked] == ["a cat", "a dog"]
    assert [record.result.labels for record in asked] == [("a cat",), ("a dog",)]
    assert all(record.result.xyxy.tolist() == [XYXY] for record in asked)
    assert not report.counts


@pytest.mark.parametrize("box", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("format", FORMATS)
def test_a_lost_box_leaves_no_question(tmp_path: Path, format: str, box: Any) -> None:
    records, report = read(write(tmp_path, FORMATS[format](box)))
    assert {record.text_input for record in records} == {"a dog"}
    assert report.counts[Problem.INCOMPLETE] == 1
    assert report.count(Severity.LOSS) >= 2  # the box, and the text
    with pytest.raises(DataError, match="strict"):
        read(tmp_path, strict=True)


NO_VALUES = (None, {}, "", 0, 1e999, "x", [1], True, {"a": 1}, [[None]], "\0", "<loc_5>", 3.5)


def places_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to all values of a JSON file."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, inner in pairs:
        found.append((*path, key))
        if isinstance(inner, dict | list):
            found += places_in(inner, (*path, key))
    return found


def answers(records: list[Record]) -> dict[tuple[Any, ...], int]:
    """The number of objects in each answer."""
    return {(r.image, r.task, r.text_input): len(r.result.labels) for r in records}


@pytest.mark.parametrize("format", [name for name in FORMATS if name != "flickr30k"])
def test_no_damaged_value_leaves_a_lesser_answer(tmp_path: Path, format: str) -> None:
    rng = random.Random(format)
    path = write(tmp_path, FORMATS[format](XYXY))
    clean = answers(read(path)[0])
    file = next(file for file in path.glob("*.json*") if file.name != "refs.json")
    for _ in range(60):
        files = deepcopy(FORMATS[format](XYXY))
        *place, last = rng.choice(places_in(files[file.name]))
        holder = files[file.name]
        for key in place:
            holder = holder[key]
        holder[last] = deepcopy(rng.choice(NO_VALUES))
        write(tmp_path, files)
        try:
            records, report = read(path, format=format)
        except Florence2Error as error:
            assert "\n" not in str(error)
            continue
        found = answers(records)
        assert all(clean.get(key, number) <= number for key, number in found.items())
        assert len(found) >= len(clean) or report.counts


def test_phrases_stand_as_in_the_caption_and_in_its_order(tmp_path: Path) -> None:
    regions = [
        {"phrase": "red  ball", "bbox": [XYXY, [0, 0, 5, 5], XYXY]},
        {"phrase": "A Cat", "bbox": XYXY},
    ]
    row = {
        "filename": "a.png",
        "grounding": {
            "caption": "A concatenated caption: a cat\nand a red ball",
            "regions": regions,
        },
    }
    (record,), _ = read(write(tmp_path, {"a.png": "", "a.jsonl": [row]}))
    assert record.text_input == "A concatenated caption: a cat and a red ball"
    assert record.result.labels == ("a cat", "red ball", "red ball")  # a box given twice is one
    assert format_answer(record.result, record.task).startswith("a cat<loc_")


def test_a_phrase_of_another_caption_leaves_no_question(tmp_path: Path) -> None:
    files = odvg_files(XYXY)
    files["a.jsonl"][0]["grounding"]["caption"] = "a horse"
    records, report = read(write(tmp_path, files))
    assert [record.text_input for record in records] == ["a dog"]
    assert report.cases[Problem.LABEL] == [
        "a.jsonl, line 1, a.png: the phrase 'a cat' does not stand in the caption 'a horse'"
    ]


def test_a_caption_without_boxes_is_not_asked(tmp_path: Path) -> None:
    files = odvg_files(XYXY)
    files["a.jsonl"][0]["grounding"]["regions"] = []
    records, report = read(write(tmp_path, files))
    assert [record.text_input for record in records] == ["a dog"]
    assert report.counts == {Problem.NOT_ASKED: 1}


@pytest.mark.parametrize(
    ("instance", "problem"),
    [
        ({"bbox": XYXY, "label": 5}, Problem.LABEL),
        ({"bbox": [8, 4, 8, 14], "category": "cat"}, Problem.NO_AREA),
        ({"category": "cat"}, Problem.ROW),
    ],
)
def test_a_lost_object_of_odvg_leaves_no_negative(tmp_path, instance, problem: Problem) -> None:
    good = {"bbox": XYXY, "label": 0}
    rows = [
        {"filename": "a.png", "detection": {"instances": [instance, good]}},
        {"filename": "b.png", "detection": {"instances": []}},
    ]
    files = {"a.png": "", "b.png": "", "a.jsonl": rows, "my_label_map.json": {"0": "dog"}}
    records, report = read(write(tmp_path, files))
    assert [(record.image.name, record.result.labels) for record in records] == [("b.png", ())]
    assert report.counts == {problem: 1, Problem.INCOMPLETE: 1, Problem.EMPTY: 1}


def test_a_picture_in_two_rows_of_objects_is_left_out(tmp_path: Path) -> None:
    row = {"filename": "a.png", "detection": {"instances": [{"bbox": XYXY, "category": "cat"}]}}
    records, report = read(write(tmp_path, {"a.png": "", "a.jsonl": [row, row]}))
    assert (records, report.counts) == ([], {Problem.DUPLICATE: 2})


def test_shares_of_odvg_are_told(tmp_path: Path) -> None:
    (_,), report = read(write(tmp_path, odvg_files([0.2, 0.2, 0.6, 0.7])))
    assert report.counts[Problem.SHARES] == 0  # the other box is in pixels: this is no dot
    files = odvg_files([0.2, 0.2, 0.6, 0.7])
    files["a.jsonl"].pop()
    (record,), report = read(write(tmp_path, files))
    assert record.result.xyxy.round(3).tolist() == [XYXY]
    assert report.counts == {Problem.SHARES: 1}


def test_tasks_choose_rows_of_odvg(tmp_path: Path) -> None:
    row = {
        "filename": "a.png",
        "detection": {"instances": [{"bbox": XYXY, "category": "cat"}]},
        **{"grounding": {"caption": "a cat", "regions": [{"phrase": "cat", "bbox": XYXY}]}},
    }
    path = write(tmp_path, {"a.png": "", "a.jsonl": [row]})
    assert [record.task for record in read(path)[0]] == [Task.OD, GROUNDING]
    (record,), report = read(path, tasks=["region_to_category"])
    assert (record.task, report.counts) == (Task.REGION_TO_CATEGORY, {Problem.OTHER_TASK: 1})
    with pytest.raises(DataError, match="no answers for task '<OCR>'"):
        read(path, tasks=["ocr"])


def test_expressions_have_masks_and_parts(tmp_path: Path) -> None:
    files = {
        **pictures(),
        "refs.json": [refs_row(n, split=("train", "val", "testB")[n]) for n in range(3)],
        "instances.json": json.loads(outlined_coco()),
    }
    path = write(tmp_path, files)
    assert open_dataset(path).parts() == ("testB", "train", "val")
    records, report = read(path, split="testB")
    assert [(record.task, record.text_input) for record in records] == [
        (GROUNDING, "the left cat"),
        (MASKS, "the left cat"),
    ]
    assert {record.image.name for record in records} == {"c.png"}
    assert report.counts == {Problem.OTHER_PART: 2}
    assert [r.task for r in read(path, split="val", tasks=[MASKS])[0]] == [MASKS]


def test_an_expression_of_several_objects_and_of_none(tmp_path: Path) -> None:
    coco = coco_rows(XYXY)
    coco["annotations"][1] |= {"bbox": [0, 0, 4, 4], "segmentation": [[0, 0, 4, 0, 4, 4, 0, 4]]}
    refs = [
        refs_row(0, image_id=0, ann_id=[0, 1], sentences=["both"]),
        refs_row(1, image_id=0, ann_id=[-1], sentences=["a horse"]),
        refs_row(2, image_id=0, ann_id=[0, 9], sentences=["a cat and one more"]),
    ]
    path = write(tmp_path, {"a.png": "", "refs.json": refs, "instances.json": coco})
    records, report = read(path)
    found = {(record.text_input, record.task): len(record.result.labels) for record in records}
    assert found == {
        ("both", GROUNDING): 2,
        ("both", MASKS): 2,
        ("a horse", GROUNDING): 0,
        ("a horse", MASKS): 0,
    }
    assert report.counts == {Problem.EMPTY: 1, Problem.ROW: 1, Problem.INCOMPLETE: 1}


def test_objects_that_no_expression_means_and_crowds_are_told(tmp_path: Path) -> None:
    coco = coco_rows(XYXY)
    coco["annotations"][0]["iscrowd"] = 1
    files = {"a.png": "", "refs.json": [refs_row(0, image_id=0)], "instances.json": coco}
    records, report = read(write(tmp_path, files))
    assert records == []
    assert report.counts == {Problem.INCOMPLETE: 1, Problem.NOT_ASKED: 1}


def test_expressions_without_their_coco_file_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, {"a.png": "", "refs.json": [refs_row(0)]})
    with pytest.raises(DataError, match=r"put instances.json beside it"):
        read(path)


def test_the_line_for_a_pickle_is_right_and_nothing_is_loaded(tmp_path: Path, monkeypatch) -> None:
    refs = [refs_row(0)]
    path = write(tmp_path, {"a.png": "", "instances.json": json.loads(outlined_coco(("a",)))})
    (path / "refs(unc).p").write_bytes(pickle.dumps(refs, protocol=0))
    with pytest.raises(DataError, match="is never loaded") as caught:
        open_dataset(path)
    with pytest.raises(DataError, match="is never loaded"):
        open_dataset(path / "refs(unc).p")
    line = str(caught.value).partition('python -c "')[2].partition('"')[0]
    monkeypatch.chdir(path)
    exec(line)
    assert json.loads((path / "refs(unc).json").read_text()) == refs
    assert len(read(path)[0]) == 2


@pytest.mark.parametrize(
    ("places", "labels"),
    [
        ([[0, 3], [4, 7]], ("Two men",)),
        ([[4, 7], [0, 3]], ("Two men",)),
        ([[0, 7], [13, 17]], ("Two men", "they")),
    ],
)
def test_places_beside_each_other_are_one_phrase(tmp_path: Path, places, labels) -> None:
    data = json.loads(mdetr("flickr", ("a",)))
    data["images"][0]["caption"] = "Two men rest they sit"
    data["annotations"][0]["tokens_positive"] = places
    (record,), report = read(write(tmp_path, {"a.png": "", "a.json": data}))
    assert record.result.labels == labels and not report.counts


@pytest.mark.parametrize("places", [None, [], [[3, 2]], [[0, 99]], [["a", 1]], "ab", [[0, True]]])
def test_a_box_without_place_leaves_no_question(tmp_path: Path, places: Any) -> None:
    data = json.loads(mdetr("mixed", ("a",)))
    data["annotations"][0]["tokens_positive"] = places
    records, report = read(write(tmp_path, {"a.png": "", "a.json": data}))
    assert records == []
    assert report.counts == {Problem.LABEL: 1, Problem.INCOMPLETE: 1}


@pytest.mark.parametrize(
    ("places", "number"), [([[[0, 5]]], 1), ([[[0, 5]], [[6, 12]]], 0), ("x", 1), ([["x"]], 1)]
)
def test_a_phrase_whose_box_is_missing_leaves_no_question(tmp_path, places, number: int) -> None:
    data = json.loads(mdetr("flickr", ("a",)))
    data["images"][0]["tokens_positive_eval"] = places
    records, report = read(write(tmp_path, {"a.png": "", "a.json": data}))
    assert len(records) == number
    assert report.counts[Problem.LABEL] == 1 - number


def test_an_expression_of_no_annotation_is_not_asked(tmp_path: Path) -> None:
    data = json.loads(mdetr("refcoco+", ("a", "b")))
    del data["annotations"][0]
    records, report = read(write(tmp_path, {"a.png": "", "b.png": "", "a.json": data}))
    assert {record.image.name for record in records} == {"b.png"}
    assert report.counts == {Problem.NOT_ASKED: 1}


@pytest.mark.parametrize("row", [{}, {"image_id": None}, 7, "x"])
def test_an_annotation_of_any_picture_leaves_no_question(tmp_path: Path, row: Any) -> None:
    data = json.loads(mdetr("flickr", ("a",)))
    data["annotations"].append(row)
    records, report = read(write(tmp_path, {"a.png": "", "a.json": data}))
    assert records == []
    assert report.counts[Problem.ROW] == 1


def flickr30k(folder: Path, text: str) -> tuple[list[Record], ReadReport]:
    files = {"i/a.png": "", "Annotations/a.xml": entities("a"), "Sentences/a.txt": text}
    return read(write(folder, files))


def test_captions_of_flickr30k_have_all_boxes_of_their_phrases(tmp_path: Path) -> None:
    (first, second), report = flickr30k(tmp_path, ENTITIES)
    assert first.text_input == "A cat sits with two men on a beach ."
    assert first.result.labels == ("A cat", "two men", "two men")
    assert first.result.xyxy.tolist()[1:] == [[7, 3, 24, 14], [0, 0, 4, 9]]  # counted from 1
    assert second.result.labels == ("They", "They", "it")
    assert report.counts == {Problem.NO_BOX: 2}  # the scene, and what is not visual


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[/EN#7/people A man] and [/EN#1/animals a cat]", Problem.LABEL),
        ("[/EN#1/animals a cat and [/EN#1/animals a cat]", Problem.ROW),
        ("[/EN#1/animals a cat", Problem.ROW),
    ],
)
def test_a_phrase_that_nobody_placed_leaves_no_question(tmp_path, text, problem: Problem) -> None:
    records, report = flickr30k(tmp_path, text)
    assert records == []
    assert report.counts[problem] == 1


def test_a_scene_alone_is_not_asked_and_lone_files_are_told(tmp_path: Path) -> None:
    write(tmp_path, {"Annotations/b.xml": entities("b")})
    records, report = flickr30k(tmp_path, "[/EN#3/scene A beach] in summer")
    assert records == []
    told = {Problem.NO_BOX: 1, Problem.NOT_ASKED: 3, Problem.NO_TEXT: 1}
    assert report.counts == told  # the caption and two objects
