"""Pictures that are there under a name that their file writes otherwise, and those of no file."""

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from layouts import SHARES, coco, voc
from PIL import Image

from florence2.data import Problem, ReadReport, image_files, open_dataset
from florence2.data.image_files import find_picture, picture_suffixes
from florence2.data.records import Record
from florence2.errors import DataError

TURNED = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"


def write_picture(path: Path, form: str = "PNG") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 20), "navy").save(path, form)
    return path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def read(path: Path, split: str | None = None) -> tuple[list[Record], ReadReport]:
    dataset = open_dataset(path, split=split)
    return list(dataset), dataset.report


@pytest.mark.parametrize(
    ("there", "written"),
    [
        ("my pic+1.png", "my%20pic%2B1.png"),
        ("größe.png", "gr%C3%B6%C3%9Fe.png"),
        ("a%20b.png", "a%20b.png"),
        ("I0.PNG", "i0.png"),
        ("i0.png", "I0.PNG"),
        (unicodedata.normalize("NFD", "größe é.png"), unicodedata.normalize("NFC", "größe é.png")),
        (unicodedata.normalize("NFC", "ガ.png"), unicodedata.normalize("NFD", "ガ.png")),
        ("a.png", "C:\\Users\\me\\a.png"),
        ("images/a.png", "/content/mine/images/a.png"),
        ("data/a.png", "a.png"),
        ("photos/a.png", "a.png"),
    ],
)
def test_a_picture_is_found_under_another_name(tmp_path: Path, there: str, written: str) -> None:
    write_picture(tmp_path / there)
    write(tmp_path / "a.json", coco(("x",), file_name=written))
    (record,), report = read(tmp_path)
    assert record.image == tmp_path / there
    assert not report.counts


def test_two_names_alike_are_no_answer(tmp_path: Path) -> None:
    write_picture(tmp_path / "A.png")
    write_picture(tmp_path / "a.PNG")
    assert find_picture("a.png", [tmp_path]) is None


def test_the_longest_end_of_a_path_comes_first(tmp_path: Path) -> None:
    for name in ("1.png", "val/1.png"):
        write_picture(tmp_path / name)
    assert find_picture("/content/val/1.png", [tmp_path]) == tmp_path / "val/1.png"


def test_the_end_of_coco_url_names_a_picture(tmp_path: Path) -> None:
    write_picture(tmp_path / "000001.png")
    url = "http://images.cocodataset.org/val2017/000001.png"
    write(tmp_path / "a.json", coco(("x",), file_name="other.png", coco_url=url))
    assert len(read(tmp_path)[0]) == 1


def test_two_parts_of_a_yaml_file_are_not_one_folder(tmp_path: Path) -> None:
    write_picture(tmp_path / "images" / "a.png")
    write(tmp_path / "data.yaml", "train: /x/train/images\nval: /x/val/images\nnames: [cat]\n")
    with pytest.raises(DataError, match="both could only be"):
        read(tmp_path, "train")


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".apng", ".JPG", ".pbm", ".j2k"])
def test_all_suffixes_of_pillow_are_read(tmp_path: Path, suffix: str) -> None:
    assert suffix.lower() in picture_suffixes()
    form = {".apng": "PNG", ".pbm": "PPM", ".j2k": "JPEG2000"}.get(suffix, "JPEG")
    write_picture(tmp_path / f"a{suffix}", form)
    write(tmp_path / "a.txt", "a cat")
    (record,), report = read(tmp_path)
    assert record.image.suffix == suffix
    assert not report.counts


def test_what_has_no_picture_or_is_not_read_is_told(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    write_picture(tmp_path / "b.jxl", "JPEG")
    for name in "abc":
        write(tmp_path / f"{name}.txt", "a cat")
    write(tmp_path / "README.txt", "captions of cats")
    records, report = read(tmp_path)
    assert len(records) == 1
    assert report.counts == {Problem.KIND: 1, Problem.NO_PICTURE: 2}
    assert report.cases[Problem.KIND] == ["b.jxl: JXL is not read; save it as JPEG or PNG"]
    assert report.cases[Problem.NO_PICTURE][0] == "b.txt: no picture; b.jxl is not read"


def test_labels_of_yolo_without_a_picture_are_told(tmp_path: Path) -> None:
    write_picture(tmp_path / "images" / "a.png")
    for name in "ab":
        write(tmp_path / "labels" / f"{name}.txt", SHARES)
    write(tmp_path / "classes.txt", "cat\n")
    records, report = read(tmp_path)
    assert (len(records), report.counts) == (1, {Problem.NO_PICTURE: 1})
    assert report.cases[Problem.NO_PICTURE] == ["labels/b.txt: no picture"]


@pytest.mark.parametrize("kind", ["coco", "voc"])
def test_pictures_that_no_row_names_are_told(tmp_path: Path, kind: str) -> None:
    for name in "abcde":
        write_picture(tmp_path / f"{name}.png")
    if kind == "coco":
        write(tmp_path / "a.json", coco(("a", "b", "none")))
    else:
        for name in "ab":
            write(tmp_path / f"{name}.xml", voc(name))
    records, report = read(tmp_path)
    assert (len(records), report.counts[Problem.UNNAMED]) == (2, 3)
    assert "noted: 3 pictures that no row or label names" in str(report)


def test_a_file_is_told_of_its_own_folder_alone(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    write_picture(tmp_path / "b.png")
    write_picture(tmp_path / "holiday" / "c.png")
    file = write(tmp_path / "a.json", coco(("a",)))
    assert read(file)[1].counts == {Problem.UNNAMED: 1}


@pytest.mark.parametrize("encoding", ["gb2312", "iso-8859-1", "utf-16", "utf-8"])
def test_xml_is_read_in_the_encoding_it_declares(tmp_path: Path, encoding: str) -> None:
    name = "猫" if encoding == "gb2312" else "größe"
    write_picture(tmp_path / "a.png")
    text = f"<?xml version='1.0' encoding='{encoding}'?>\n" + voc("a").replace("cat", name)
    (tmp_path / "a.xml").write_bytes(text.encode(encoding))
    (record,), _ = read(tmp_path)
    assert record.result.labels == (name,)


def test_a_dataset_without_a_record_is_refused_with_what_lies_there(tmp_path: Path) -> None:
    write(tmp_path / "a.json", json.dumps(json.loads(coco())))
    dataset = open_dataset(tmp_path)
    assert list(dataset) == []
    with pytest.raises(
        DataError, match=r"(?s)read as coco, gives no record \(there: 1 \.json\).*lost: 3"
    ):
        dataset.require_records()


def test_a_row_that_names_a_picture_of_a_phone_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "a.jxl").write_bytes(b"\0\0\0\x18ftypjxl")
    write_picture(tmp_path / "b.png")
    text = coco(("a", "b")).replace("a.png", "a.jxl")
    records, report = read(write(tmp_path / "a.json", text).parent)
    assert (len(records), report.counts) == (1, {Problem.PICTURE: 1})
    assert "JXL is not read; save it as JPEG or PNG" in report.cases[Problem.PICTURE][0]


def test_pictures_that_come_later_are_found(tmp_path: Path) -> None:
    """Whoever is told that pictures are missing puts them there, and reads again."""
    write(tmp_path / "annotations" / "a.xml", voc("a"))
    write(tmp_path / "other.json", "{}")
    assert len(read(tmp_path)[0]) == 0
    write_picture(tmp_path / "images" / "a.png")
    assert len(read(tmp_path)[0]) == 1
    (tmp_path / "images" / "a.png").rename(tmp_path / "images" / "A.PNG")
    assert len(read(tmp_path)[0]) == 1


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sampled_from(["RGB", "L", "CMYK"]),
    st.sampled_from([{}, {"progressive": True}, {"exif": TURNED}, {"comment": b"x" * 5000}]),
    st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), max_size=2),
    st.integers(0, 5000),
)
def test_the_size_of_a_plain_jpeg_is_what_pillow_says(
    tmp_path, mode, options, changes, end
) -> None:
    """Whatever bytes are changed or cut off: it is left to Pillow, or as Pillow reads it."""
    path = tmp_path / "a.jpg"
    Image.new(mode, (40, 20), 9).save(path, **options)
    data = bytearray(path.read_bytes())
    for place, value in changes:
        data[place % len(data)] = value
    path.write_bytes(data[: end or None])
    if (size := image_files._plain_jpeg_size(path)) is not None:
        assert size == image_files._size_by_pillow(path)


def test_most_jpegs_are_plain(tmp_path) -> None:
    Image.new("RGB", (40, 20)).save(tmp_path / "a.jpg")
    assert image_files._plain_jpeg_size(tmp_path / "a.jpg") == (40, 20)
