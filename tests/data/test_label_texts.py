"""A text of mostly numbers is no caption, and a caption with numbers is one."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts import SHARES, Layout, pictures, write_layout

from florence2.data import Problem, open_dataset
from florence2.data.label_texts import label_kind
from florence2.errors import DataError


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("0 0.5 0.5 0.2 0.2", "yolo"),
        ("0,0.5,0.5,0.2,0.2", "yolo"),
        ("0 0.5 0.5 0.2 0.2 0.93", "yolo"),
        ("17 0.1 0.1 0.9 0.1 0.9 0.9 0.1 0.9", "yolo"),
        ("cat 0.5 0.5 0.2 0.2", "yolo_names"),
        ("traffic light 0.5 0.5 0.2 0.2", "yolo_names"),
        ("cat 8 4 24 14", "numbers"),
        ("8 4 24 14 cat", "boxes_named"),
        ('8, 4, 24, 14, "The"', "icdar13"),
        ("8,4,24,4,24,14,8,14,###", "icdar15"),
        ("8,4,24,4,24,14,8,14,Latin,Hello, you", "icdar15"),
        ("8.0 4.0 24.0 4.0 24.0 14.0 8.0 14.0 plane 0", "dota"),
        ("imagesource:GoogleEarth\ngsd:0.1\n", "dota"),
        ("8,4,16,10,1,4,0,0,", "visdrone"),
        ("1,-1,8,4,16,10,1,-1,-1,-1", "mot"),
        ("120 44 250 180 3", "numbers"),
    ],
)
def test_labels_are_told_by_their_lines(text: str, kind: str) -> None:
    assert label_kind(text) == kind
    assert label_kind(f"\n{text}\n{text}\n") == kind


@pytest.mark.parametrize(
    "text",
    [
        "a cat",
        "1girl, 2 dogs, 3 trees, outdoors",
        "a clock at 10:45, 3 people and 2 dogs",
        "In 1969, 3 men flew to the moon; 2 of them walked on it",
        "42",
        "12 34",
        "a plate that says 1 2 3 4 5 6 7",
        "2 cats on 1 mat\n3 dogs in 2 beds",
        "四只猫 4 只",
    ],
)
def test_captions_may_hold_numbers(text: str) -> None:
    assert label_kind(text) is None


@given(st.text(max_size=60))
def test_any_text_is_taken(text: str) -> None:
    label_kind(text)


@given(st.lists(st.text(st.characters(categories=["L"]), min_size=1), min_size=1, max_size=12))
def test_words_are_a_caption(words: list[str]) -> None:
    assert label_kind(" ".join(words)) is None


def test_a_few_labels_among_captions_are_left_out_and_told(tmp_path: Path) -> None:
    files = {**pictures(), "a.txt": "a cat", "b.txt": SHARES, "c.txt": "a dog"}
    write_layout(Layout("", "", files), tmp_path)
    dataset = open_dataset(tmp_path)
    assert [record.result.text for record in dataset] == ["a cat", "a dog"]
    assert dataset.report.counts == {Problem.NO_TEXT: 1}
    assert "looks like YOLO labels" in dataset.report.cases[Problem.NO_TEXT][0]


@pytest.mark.parametrize("first", [b"", b"\xff\xfe", b"a caption"])
def test_the_first_file_does_not_decide(tmp_path: Path, first: bytes) -> None:
    files = {**pictures(), "b.txt": SHARES, "c.txt": SHARES}
    write_layout(Layout("", "", files), tmp_path)
    (tmp_path / "a.txt").write_bytes(first)
    with pytest.raises(DataError, match="looks like YOLO labels"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("name", ["images", "Masks", "labels", "JPEGImages", "VOC2007", "data"])
def test_a_folder_of_such_a_name_is_no_class(tmp_path: Path, name: str) -> None:
    write_layout(Layout("", "", pictures("{}.png", (f"{name}/a", "cat/b"))), tmp_path)
    with pytest.raises(DataError, match=r"is no class by its name|masks as pictures"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("name", ["a.xml", "cat/a.json", "b.csv", "b.txt", "deep/b.npy"])
def test_a_folder_with_other_files_around_is_no_class(tmp_path: Path, name: str) -> None:
    files = {**pictures("{}.png", ("cat/a", "dog/b")), name: "x, y\n1, 2"}
    write_layout(Layout("", "", files), tmp_path)
    try:
        assert open_dataset(tmp_path).format != "classes"
    except DataError as error:
        assert name in str(error)
