"""Every picture on disk is a record or is told, whatever happened to a dataset."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from layouts import LAYOUTS, SIZE, Layout, write_layout
from PIL import Image

from florence2.data import open_dataset

READ = [layout for layout in LAYOUTS if layout.read_as]


def another_picture(folder: Path, picture: Path) -> None:
    Image.new("RGB", SIZE).save(picture.with_name("stray_one.png"))


def another_picture_deep(folder: Path, picture: Path) -> None:
    (picture.parent / "stray_folder").mkdir()
    Image.new("RGB", SIZE).save(picture.parent / "stray_folder" / "stray_two.png")


def a_picture_on_top(folder: Path, picture: Path) -> None:
    Image.new("RGB", SIZE).save(folder / "stray_top.png")


def damaged(folder: Path, picture: Path) -> None:
    picture.write_bytes(b"no picture")


def of_another_size(folder: Path, picture: Path) -> None:
    Image.new("RGB", (44, 20)).save(picture)


def renamed(folder: Path, picture: Path) -> None:
    picture.rename(picture.with_name("renamed_one.png"))


def unread(folder: Path, picture: Path) -> None:
    picture.rename(picture.with_name("phone_one.jxl"))


def without_label(folder: Path, picture: Path) -> None:
    for file in folder.rglob(f"*{picture.stem}.*"):
        if file.suffix in (".txt", ".xml"):
            file.unlink()


def with_a_broken_label(folder: Path, picture: Path) -> None:
    for file in folder.rglob(f"*{picture.stem}.*"):
        if file.suffix in (".txt", ".xml"):
            file.write_bytes(b"\xff\xfe\xfa")


DAMAGES: list[Callable[[Path, Path], None]] = [
    *(another_picture, another_picture_deep, a_picture_on_top, damaged, of_another_size),
    *(renamed, unread, without_label, with_a_broken_label),
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("layout", READ, ids=lambda layout: layout.name)
def test_no_picture_is_lost_in_silence(tmp_path: Path, layout: Layout, damage) -> None:
    damage(tmp_path, write_layout(layout, tmp_path)[0])
    dataset = open_dataset(tmp_path, format=layout.read_as)
    parts = dataset.parts()
    part = "train" if "train" in parts else None
    dataset = open_dataset(tmp_path, format=layout.read_as, split=part)
    asked = {str(record.image) for record in dataset}
    on_disk = [file for file in tmp_path.rglob("*") if file.suffix in (".png", ".jxl")]
    words = "\n".join(case for cases in dataset.report.cases.values() for case in cases)
    told = sum(dataset.report.counts.values())
    silent = [
        file.name
        for file in on_disk
        if str(file) not in asked and not re.search(rf"(?<![^\W_]){re.escape(file.stem)}\.", words)
    ]
    assert silent == []
    assert len(on_disk) <= len(asked) + told
