"""Datasets that would teach the opposite of what they say: each is left out in part, and told."""

import json
from pathlib import Path

import pytest
from layouts import BOX, SHARES, beside, coco, pictures, voc
from PIL import Image

from florence2.data import open_dataset
from florence2.data.report import Problem
from florence2.errors import DataError


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".png":
            Image.new("RGB", (40, 20), (len(name), 0, 0)).save(path)
        else:
            path.write_text(text)
    return folder


def test_two_versions_of_a_voc_file_say_nothing_for_sure(tmp_path: Path) -> None:
    new = beside("Annotations/{}.xml", voc)
    old = {
        "Annotations_old/a.xml": voc("a").replace("cat", "dog"),
        "Annotations_old/b.xml": voc("b"),
    }
    dataset = open_dataset(write(tmp_path, {**pictures("JPEGImages/{}.png"), **new, **old}))
    assert sorted(record.image.stem for record in dataset) == ["b", "c"]
    assert dataset.report.counts[Problem.DUPLICATE] == 2
    assert dataset.report.counts[Problem.INCOMPLETE] == 1


def test_pictures_whose_labels_have_another_name_are_no_negatives(tmp_path: Path) -> None:
    labels = beside("labels/{}.txt", SHARES, ("a", "b_0001", "c_0001"))
    files = {**pictures("images/{}.png"), **labels, "classes.txt": "cat\n"}
    dataset = open_dataset(write(tmp_path, files))
    assert [record.image.stem for record in dataset] == ["a"]
    assert dataset.report.counts[Problem.INCOMPLETE] == 2
    assert dataset.report.counts[Problem.NO_PICTURE] == 2


def test_labels_of_another_part_take_no_picture_away(tmp_path: Path) -> None:
    files = {
        **pictures("images/train/{}.png"),
        "images/val/d.png": "",
        **beside("labels/{}.txt", SHARES, ("train/a", "val/gone")),
        "data.yaml": "train: images/train\nval: images/val\nnames: [cat]\n",
    }
    dataset = open_dataset(write(tmp_path, files), split="train")
    assert [len(record.result.labels) for record in dataset] == [1, 0, 0]


@pytest.mark.parametrize(
    ("behind", "problem"),
    [("0.9 7", Problem.CONFIDENCE), ("0.9 1", Problem.ROW), ("0.9 1.0", None)],
)
def test_the_number_of_a_track_is_no_corner(tmp_path: Path, behind: str, problem) -> None:
    files = {**pictures(), **beside("{}.txt", f"{SHARES} {behind}"), "classes.txt": "cat\n"}
    dataset = open_dataset(write(tmp_path, files))
    boxes = [record.result.xyxy.tolist() for record in dataset]
    assert (
        boxes
        == {
            Problem.CONFIDENCE: [[list(map(float, BOX))]] * 3,
            Problem.ROW: [],
            None: [[[16.0, 9.0, 36.0, 20.0]]] * 3,
        }[problem]
    )
    assert problem is None or dataset.report.counts[problem] == 3


@pytest.mark.parametrize(("ends", "read"), [("0", [0, 3]), ("1", [0, 1, 2, 3])])
def test_a_track_with_a_gap_leaves_frames_out(tmp_path: Path, ends: str, read) -> None:
    box = '<box frame="{}" xtl="8" ytl="4" xbr="24" ybr="14" outside="{}"/>'
    shapes = box.format(0, 0) + box.format(1, ends) * (ends == "1") + box.format(3, 0)
    track = f'<annotations><track id="0" label="cat">{shapes}</track></annotations>'
    files = {**pictures("frame_00000{}.png", tuple("0123")), "annotations.xml": track}
    dataset = open_dataset(write(tmp_path, files))
    assert [int(record.image.stem[-1]) for record in dataset] == read


def test_the_word_of_labelme_for_regions_to_ignore(tmp_path: Path) -> None:
    def shapes(label: str) -> str:
        shape = {"label": label, "shape_type": "rectangle", "points": [[8, 4], [24, 14]]}
        return json.dumps(
            {"imagePath": "a.png", "imageWidth": 40, "imageHeight": 20, "shapes": [shape]}
        )

    (record,) = open_dataset(write(tmp_path, {"a.png": "", "a.json": shapes("__ignore__")}))
    assert record.result.labels == () and record.ignored.boxes.labels == ("",)


@pytest.mark.parametrize("names", [("before", "after"), ("2024-01-01", "2024-01-02"), ("photos",)])
def test_folders_of_such_names_are_no_classes(tmp_path: Path, names) -> None:
    for name in names:
        write(tmp_path, pictures(f"{name}/{{}}.png"))
    with pytest.raises(DataError, match="give the format classes"):
        open_dataset(tmp_path)
    assert len(list(open_dataset(tmp_path, "classes"))) == 3 * len(names)


def test_results_of_coco_are_named(tmp_path: Path) -> None:
    row = {"image_id": 1, "category_id": 1, "bbox": [8, 4, 16, 10], "score": 0.9}
    write(tmp_path, {**pictures(), "found.json": json.dumps([row])})
    with pytest.raises(DataError, match="looks like COCO results"):
        open_dataset(tmp_path)


def test_captions_in_capital_suffixes_are_read(tmp_path: Path) -> None:
    files = {**pictures("{}.PNG"), **beside("{}.TXT", "a cat")}
    assert [each.result.text for each in open_dataset(write(tmp_path, files))] == ["a cat"] * 3


def rectangle(name: str, to_name: str) -> dict:
    value = {"x": 20, "y": 20, "width": 40, "height": 50, "rotation": 0, "rectanglelabels": [name]}
    kind = {"type": "rectanglelabels", "from_name": f"of {to_name}", "to_name": to_name}
    sides = {"original_width": 40, "original_height": 20}
    return {"id": name, **kind, **sides, "value": value}


@pytest.mark.parametrize("keys", [("one", "two"), ("image", "other")])
def test_a_task_of_two_pictures_gives_neither_the_objects_of_both(tmp_path: Path, keys) -> None:
    results = [rectangle("cat", keys[0]), rectangle("dog", keys[1])]
    data = dict(zip(keys, ("a.png", "b.png"), strict=True))
    task = {"id": 1, "data": data, "annotations": [{"id": 1, "result": results}]}
    dataset = open_dataset(write(tmp_path, {**pictures(), "e.json": json.dumps([task])}))
    assert not list(dataset)
    assert dataset.report.counts[Problem.ROW] == 1


@pytest.mark.parametrize("ids", [("a.png", "b.png"), (7, 8)])
def test_annotations_of_other_ids_than_the_images_leave_no_negatives(tmp_path: Path, ids) -> None:
    content = json.loads(coco())
    content["annotations"] = [
        {"id": n, "image_id": each, "category_id": 1, "bbox": [8, 4, 16, 10]}
        for n, each in enumerate(ids)
    ]
    dataset = open_dataset(write(tmp_path, {**pictures(), "a.json": json.dumps(content)}))
    assert not list(dataset)
    assert dataset.report.counts[Problem.INCOMPLETE] == 3


def test_a_file_of_a_part_finds_its_folder_beside(tmp_path: Path) -> None:
    files = {**pictures("train/{}.png"), "val/a.png": "", "val.json": coco(("a",))}
    dataset = open_dataset(write(tmp_path, {**files, "train.json": coco()}), split="train")
    assert [record.image.parent.name for record in dataset] == ["train"] * 3


@pytest.mark.parametrize(
    "files",
    [
        beside("{}.txt", "0.2 0.2 0.6 0.2 0.6 0.7 0.2 0.7 cat 0\n"),
        beside("{}.xml", lambda name: voc(name).replace(">8<", ">0.2<").replace(">4<", ">0.2<")
               .replace(">24<", ">0.6<").replace(">14<", ">0.7<")),
    ],
)  # fmt: skip
def test_shares_are_no_dots(tmp_path: Path, files) -> None:
    dataset = open_dataset(write(tmp_path, {**pictures(), **files}))
    assert not list(dataset)
    assert dataset.report.counts[Problem.ROW] == 3


@pytest.mark.parametrize("mark", ["ignore", "iscrowd", "difficult"])
def test_marks_in_voc_files_count(tmp_path: Path, mark: str) -> None:
    marked = voc("a").replace("<name>", f"<{mark}>1</{mark}><name>")
    (record,) = open_dataset(write(tmp_path, {"a.png": "", "a.xml": marked}))
    assert record.result.labels == ()
    assert record.ignored.crowds == (mark == "iscrowd",)


def test_a_sample_submission_is_no_annotation(tmp_path: Path) -> None:
    head = "filename,class,xmin,ymin,xmax,ymax\n"
    files = {"boxes.csv": f"{head}a.png,cat,8,4,24,14\n", "sample_submission.csv": head}
    files["sample_submission.csv"] += "b.png,cat,0,0,20,20\n"
    dataset = open_dataset(write(tmp_path, {**pictures(), **files}))
    assert [record.image.stem for record in dataset] == ["a"]
    assert dataset.report.counts[Problem.NOT_ANNOTATED] == 1


def test_numbers_before_class_names_are_no_names(tmp_path: Path) -> None:
    files = {**pictures(), **beside("{}.txt", SHARES), "classes.txt": "0: cat\n1: big dog\n"}
    dataset = open_dataset(write(tmp_path, files))
    assert {record.result.labels for record in dataset} == {("cat",)}


@pytest.mark.parametrize("own", [True, False])
def test_a_copied_name_in_voc_and_labelme_is_not_meant(tmp_path: Path, own: bool) -> None:
    shape = {"label": "cat", "shape_type": "rectangle", "points": [[8, 4], [24, 14]]}
    text = json.dumps(
        {"imagePath": "a.png", "shapes": [shape]} | {"imageWidth": 40, "imageHeight": 20}
    )
    for end, content in (("xml", voc("a")), ("json", text)):
        names = ("a", "b") if own else ("b",)
        files = {**pictures(names=("a", "b")), **beside(f"{{}}.{end}", content, names)}
        found = [record.image.stem for record in open_dataset(write(tmp_path / end, files))]
        assert found == (["a", "b"] if own else ["a"])


@pytest.mark.parametrize("answer", ["", " ", None, [""]])
def test_an_empty_answer_to_a_question_is_a_missing_one(tmp_path: Path, answer) -> None:
    rows = [{"image": f"{name}.png", "question": "what?", "answer": "a cat"} for name in "ab"]
    rows[1]["answer"] = answer
    dataset = open_dataset(write(tmp_path, {**pictures(), "rows.json": json.dumps(rows)}))
    assert [record.image.stem for record in dataset] == ["a"]
    assert dataset.report.counts[Problem.NO_TEXT] == 1


def test_an_export_of_negatives_alone_is_of_label_studio(tmp_path: Path) -> None:
    tasks = [{"id": 1, "annotations": [{"id": 2, "result": []}], "data": {"image": "a.png"}}]
    assert open_dataset(write(tmp_path, {**pictures(), "e.json": json.dumps(tasks)})).format == (
        "label_studio"
    )


def test_a_picture_in_which_nothing_was_looked_for_is_told(tmp_path: Path) -> None:
    file = coco(neg_category_ids=[], not_exhaustive_category_ids=[])
    content = json.loads(file)
    del content["annotations"][1:]
    dataset = open_dataset(write(tmp_path, {**pictures(), "a.json": json.dumps(content)}))
    assert len(list(dataset)) == 1
    assert dataset.report.counts[Problem.FEDERATED] == 2


def test_a_coco_file_beside_other_labels_is_told(tmp_path: Path) -> None:
    files = {**pictures(), **beside("{}.txt", SHARES), "classes.txt": "cat\n", "b.json": coco()}
    dataset = open_dataset(write(tmp_path, files))
    assert (dataset.format, len(list(dataset))) == ("yolo", 3)
    assert dataset.report.counts[Problem.OTHER_FORMAT] == 1
