"""Masks as pictures: what their values mean, which picture they belong to, what is lost."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layouts import LABELMAP, SIZE
from PIL import Image

from florence2.data import Problem, open_dataset
from florence2.data.mask_files import pair_masks
from florence2.data.records import Record
from florence2.data.report import ReadReport
from florence2.errors import DataError
from florence2.geometry import rasterize
from florence2.tasks import Task

MASKS = Task.REFERRING_EXPRESSION_SEGMENTATION


def values(*areas: tuple[int, tuple[int, int, int, int]]) -> np.ndarray:
    """A mask of the size of the pictures, with boxes of values."""
    mask = np.zeros(SIZE[::-1], dtype=np.uint8)
    for value, (x_min, y_min, x_max, y_max) in areas:
        mask[y_min:y_max, x_min:x_max] = value
    return mask


LEFT, RIGHT, LOW = (2, 2, 10, 8), (10, 2, 20, 8), (30, 12, 40, 20)
TWO = values((1, LEFT), (2, RIGHT), (1, LOW))


def write(folder: Path, files: dict[str, Any]) -> Path:
    """Write texts, masks from arrays, Pillow images, and pictures for `None`."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            Image.new("RGB", SIZE, "navy").save(path)
        elif isinstance(content, np.ndarray):
            Image.fromarray(content).save(path)
        elif isinstance(content, Image.Image):
            content.save(path)
        else:
            path.write_text(content)
    return folder


def read(path: Path, **options: Any) -> tuple[list[Record], ReadReport]:
    dataset = open_dataset(path, **options)
    assert dataset.format == "masks"
    return list(dataset), dataset.report


def masks_of(records: list[Record]) -> dict[str, np.ndarray]:
    """The pixels that the answers about one picture cover, by what was asked."""
    return {
        record.text_input: rasterize(
            [part for parts in record.result.polygons for part in parts], record.result.image_size
        )
        for record in records
    }


def one(mask: Any, names: str | None = "background\ncat\ndog\n") -> dict[str, Any]:
    files = {"images/a.png": None, "masks/a.png": mask}
    return files if names is None else {**files, "classes.txt": names}


def test_a_class_is_asked_for_all_its_pixels(tmp_path: Path) -> None:
    records, report = read(write(tmp_path, one(TWO)))
    assert {record.task for record in records} == {MASKS}
    found = masks_of(records)
    assert set(found) == {"cat", "dog"}
    assert (found["cat"] == (TWO == 1)).all() and (found["dog"] == (TWO == 2)).all()
    assert [len(record.result.polygons) for record in records] == [1, 1]  # no objects of their own
    assert not report.counts


@pytest.mark.parametrize("task", ["od", "region_proposal", "region_to_segmentation"])
def test_masks_of_classes_tell_no_objects(tmp_path: Path, task: str) -> None:
    with pytest.raises(DataError, match=r"whose masks do not tell objects, has no answers for"):
        read(write(tmp_path, one(TWO)), tasks=[task])


PALETTE = Image.fromarray(TWO)
PALETTE.putpalette([0, 0, 0, 250, 50, 83, 0, 0, 200])
COLOURS = PALETTE.convert("RGB")


@pytest.mark.parametrize(
    ("mask", "names"),
    [
        (TWO, "background\ncat\ndog\n"),
        (TWO, "_background_\r\ncat\r\ndog\r\n"),
        (TWO, "other\ncat\ndog"),
        (TWO, "0 background\n1 cat\n2 dog"),
        (TWO, "1: cat\n2: dog\n0: bg"),
        (TWO, "Pixel Value, Class\n0, background\n1, cat\n2, dog\n"),
        (PALETTE, "background\ncat\ndog\n"),
        (Image.fromarray(TWO).convert("RGB"), "background\ncat\ndog\n"),
        (TWO.astype(np.uint16), "background\ncat\ndog\n"),
        (PALETTE, LABELMAP + "dog:0,0,200::\n"),
        (COLOURS, LABELMAP + "dog:0,0,200::\n"),
        (COLOURS.convert("RGBA"), "0 0 0 Background\n250 50 83 cat\n0 0 200 dog"),
        (COLOURS, "name,r,g,b\nbackground,0,0,0\ncat,250,50,83\ndog,0,0,200\n"),
    ],
)
def test_values_have_names(tmp_path: Path, mask: Any, names: str) -> None:
    found = masks_of(read(write(tmp_path, one(mask, names)))[0])
    assert set(found) == {"cat", "dog"}
    assert (found["cat"] == (TWO == 1)).all()


@pytest.mark.parametrize("value", [1, 255])
@pytest.mark.parametrize("names", ["cat", "background\ncat"])
def test_the_one_class_may_be_white(tmp_path: Path, value: int, names: str) -> None:
    mask = values((value, LEFT))
    files = one(mask, names) | {"images/b.png": None, "masks/b.png": mask}
    records, report = read(write(tmp_path, files))
    assert [record.text_input for record in records] == ["cat", "cat"]
    assert (masks_of(records)["cat"] == (mask > 0)).all()
    assert not report.counts


def test_white_is_void_where_another_mask_has_the_class(tmp_path: Path) -> None:
    files = one(values((1, LEFT), (255, (10, 2, 12, 8))), "cat")
    files |= {"images/b.png": None, "masks/b.png": values((255, LEFT))}
    (record,), report = read(write(tmp_path, files))
    assert record.image.name == "a.png"
    assert report.counts == {Problem.IGNORED: 2, Problem.EMPTY: 1}


def test_void_wider_than_a_border_leaves_no_question(tmp_path: Path) -> None:
    mask = values((1, LEFT), (255, (20, 2, 40, 20)))
    records, report = read(write(tmp_path, one(mask)))
    assert records == []
    assert report.counts == {Problem.LABEL: 1, Problem.INCOMPLETE: 1}
    assert "nobody named what is there" in report.cases[Problem.LABEL][0]


@pytest.mark.parametrize(
    ("mask", "names", "problem"),
    [
        (values((1, LEFT), (7, RIGHT)), "background\ncat", Problem.LABEL),
        (values((255, LEFT), (128, RIGHT)), "cat", Problem.LABEL),
        (COLOURS, LABELMAP, Problem.LABEL),  # a colour without name
        (COLOURS, "background\ncat\ndog", Problem.ROW),  # names of values
        (values((1, LEFT))[:, :30], "background\ncat", Problem.SIZE),
        ("no picture", "background\ncat", Problem.ROW),
    ],
)
def test_a_mask_that_is_not_clear_leaves_no_question(tmp_path, mask, names, problem) -> None:
    good = {"images/b.png": None, "masks/b.png": values((0, LEFT))}
    if names.startswith("background"):
        good["masks/b.png"] = values((1, LEFT))
    records, report = read(write(tmp_path, one(mask, names) | good))
    assert {record.image.name for record in records} <= {"b.png"}
    assert report.counts[problem] == 1
    assert "a.png" in report.cases[problem][0]


def test_a_jpeg_is_no_mask(tmp_path: Path) -> None:
    path = write(
        tmp_path, {"images/a.png": None, "masks/a.jpg": TWO, "classes.txt": "bg\ncat\ndog"}
    )
    records, report = read(path)
    assert records == []
    assert report.cases[Problem.ROW] == [
        "images/a.png: a.jpg is a JPEG, whose values are not exact; save it as PNG, each value"
        " rounded to the nearest that means something"
    ]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (None, r"looks like masks as pictures; write the names of their values into classes\.txt"),
        ("cat\ndog\n", r"does not say what the value 0 is; begin it with 'background'"),
        ("", r"does not say what the value 0 is"),
        (LABELMAP + "dog\n", r"has no colour in 'dog'; write cat:255,0,0::"),
    ],
)
def test_masks_without_clear_names_are_refused(tmp_path: Path, names, words: str) -> None:
    path = write(tmp_path, one(TWO, names))
    with pytest.raises(DataError, match=words):
        read(path)
    with pytest.raises(DataError, match=words.removeprefix("looks like masks as pictures; ")):
        list(open_dataset(path, "masks"))


def test_a_file_for_each_object_tells_objects(tmp_path: Path) -> None:
    files = {
        "a.png": None,
        "a_mask_0.png": values((255, LEFT)),
        "a_mask_1.png": values((255, RIGHT)),
        "b.png": None,
        "b_mask_0.png": values(),
        "b_mask_1.png": values((255, LEFT)),
        "c.png": None,
        "c_mask.png": values((255, LEFT)),
        "classes.txt": "cat",
    }
    path = write(tmp_path, files)
    (record,), report = read(path)
    assert sorted(record.result.xyxy.tolist()) == [list(LEFT), list(RIGHT)]
    assert record.result.labels == ("cat", "cat")
    assert report.counts == {Problem.NO_AREA: 1, Problem.ROW: 1, Problem.INCOMPLETE: 2}
    tasks = ["region_to_segmentation", "referring_expression_segmentation"]
    records, _ = read(path, tasks=tasks)
    asked = [record.task.name.lower() for record in records]
    assert sorted(asked) == sorted([tasks[0], tasks[0], tasks[1], tasks[0]])  # one of b is known


def voc(classes: np.ndarray, numbers: np.ndarray) -> dict[str, Any]:
    return {
        "JPEGImages/a.png": None,
        "SegmentationClass/a.png": classes,
        "SegmentationObject/a.png": numbers,
        "classes.txt": "background\ncat\ndog",
    }


def test_objects_of_voc_have_the_class_of_their_pixels(tmp_path: Path) -> None:
    classes = values((1, LEFT), (1, RIGHT), (2, LOW), (255, (9, 2, 11, 8)))
    numbers = values((1, LEFT), (2, RIGHT), (3, LOW), (255, (9, 2, 11, 8)))
    (record,), report = read(write(tmp_path, voc(classes, numbers)))
    assert record.task is Task.OD
    assert record.result.labels == ("cat", "cat", "dog")
    assert sorted(record.result.xyxy.tolist()) == [[2, 2, 9, 8], [11, 2, 20, 8], list(LOW)]
    assert report.counts == {Problem.IGNORED: 1}  # the border between them


@pytest.mark.parametrize(
    ("classes", "numbers"),
    [
        (values((1, LEFT), (2, RIGHT)), values((1, LEFT))),  # a dog of no object
        (values((1, LEFT), (2, RIGHT)), values((1, (2, 2, 20, 8)))),  # of two classes
        (values((1, LEFT)), values((1, LEFT), (2, RIGHT))),  # of no class
        (values((1, LEFT), (9, RIGHT)), values((1, LEFT), (2, RIGHT))),  # without a name
    ],
)
def test_an_unclear_object_of_voc_leaves_no_question(tmp_path, classes, numbers) -> None:
    records, report = read(write(tmp_path, voc(classes, numbers)))
    assert records == []
    assert report.counts == {Problem.LABEL: 1, Problem.INCOMPLETE: 1}


def test_a_picture_without_numbered_objects_leaves_no_question(tmp_path: Path) -> None:
    files = voc(values((1, LEFT)), values((1, LEFT)))
    files |= {"JPEGImages/b.png": None, "SegmentationClass/b.png": values((1, LEFT), (1, LOW))}
    (record,), report = read(write(tmp_path, files))
    assert record.image.name == "a.png"
    assert report.counts == {Problem.ROW: 1}  # two cats would be taken for one


def test_values_number_the_objects_of_one_class(tmp_path: Path) -> None:
    files = {
        "PNGImages/a.png": None,
        "SegmentationObject/a_mask.png": values((1, LEFT), (2, RIGHT), (255, LOW)),
        "classes.txt": "pedestrian",
    }
    (record,), report = read(write(tmp_path, files))
    assert len(record.result.xyxy) == 3 and not report.counts
    write(tmp_path, {"classes.txt": "background\npedestrian\ncar"})
    records, report = read(tmp_path)
    assert (records, report.counts) == ([], {Problem.ROW: 1})


def test_many_values_without_a_name_are_told_once(tmp_path: Path) -> None:
    mask = np.tile(np.arange(40, dtype=np.uint8), (20, 1))
    records, report = read(write(tmp_path, one(mask, "cat")))
    assert records == []
    assert report.cases[Problem.LABEL] == [
        "images/a.png: the values 2, 3, 4 and 35 more have no name"
    ]


def test_folders_name_classes(tmp_path: Path) -> None:
    files = {
        "images/a.png": None,
        "masks/cat/a.png": values((255, LEFT)),
        "masks/dog/a.png": values((255, RIGHT)),
        "images/b.png": None,
        "masks/dog/b.png": values((255, LEFT), (1, RIGHT)),
    }
    records, report = read(write(tmp_path, files))
    assert [record.text_input for record in records] == ["cat", "dog"]
    assert (masks_of(records)["dog"] == (values((1, RIGHT)) > 0)).all()
    assert report.counts == {Problem.ROW: 1}
    assert "b.png has 3 values" in report.cases[Problem.ROW][0]


def test_two_masks_of_a_picture_and_masks_of_none_are_told(tmp_path: Path) -> None:
    files = one(TWO) | {"a_mask.png": TWO, "masks/z.png": TWO, "images/b.png": None}
    records, report = read(write(tmp_path, files))
    assert records == []
    assert report.counts == {Problem.ROW: 1, Problem.NO_PICTURE: 1, Problem.UNNAMED: 1}


def test_an_empty_mask_shows_nothing(tmp_path: Path) -> None:
    records, report = read(write(tmp_path, one(values())))
    assert (records, report.counts) == ([], {Problem.EMPTY: 1})
    records, report = read(write(tmp_path / "voc", voc(values(), values())))
    assert [record.result.labels for record in records] == [()]


@pytest.mark.parametrize(
    ("picture", "mask", "number"),
    [
        ("images/a.jpg", "masks/a.png", None),
        ("images/a.jpg", "masks/a_mask.png", None),
        ("images/image_1.jpg", "masks/mask_1.png", None),
        ("images/train/a.jpg", "masks/train/a.png", None),
        ("train/images/a.jpg", "train/masks/a.png", None),
        ("train/a.png", "train_labels/a_L.png", None),
        ("DUTS-TR-Image/a.jpg", "DUTS-TR-Mask/a.png", None),
        ("1_sat.jpg", "1_mask.png", None),
        ("photos of me/a.jpg", "ground_truth/a.png", None),
        ("a.jpg", "a-mask.png", None),
        ("a.jpg", "a_mask_12.png", 12),
        ("images/a.jpg", "masks/a_3.png", 3),
        ("images/a.jpg", "masks/a/x.png", 0),
        ("x/a.png", "y/x/labels/a.png", None),
    ],
)
def test_a_mask_finds_its_picture(tmp_path: Path, picture: str, mask: str, number) -> None:
    write(tmp_path, {picture: None, mask: None, "images/other.png": None})
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    found = pair_masks(sorted(files), tmp_path)
    ((path, (only,)),) = found.masks.items()
    assert (path, only.path) == (tmp_path / picture, tmp_path / mask)
    assert only.number == number and not found.lone


@pytest.mark.parametrize(
    "files",
    [
        ("gas mask/1.png", "helmet/1.png", "helmet/2.png"),
        ("with_mask/1.png", "without_mask/1.png", "mask_weared_wrong/1.png"),
        ("cat/label_1.png", "dog/image_1.png"),
    ],
)
def test_classes_with_masks_are_classes(tmp_path: Path, files: tuple[str, ...]) -> None:
    assert open_dataset(write(tmp_path, dict.fromkeys(files))).format == "classes"
