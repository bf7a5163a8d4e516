"""Every picture on disk is a record or is told, whatever happened to a dataset."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from layouts import LAYOUTS, SIZE, Layout, write_layout
from PIL import Image

from florence2.data import open_dataset, report

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


def labels_of(folder: Path, picture: Path) -> list[Path]:
    """The files that are named after a picture, masks too."""
    stem = re.escape(picture.stem.removesuffix("_leftImg8bit"))
    labels = re.compile(rf"(gt_)?{stem}(\.gt)?\.(txt|xml|json)")
    masks = re.compile(rf"(.*_)?{stem}(_.*)?\.png")
    return [
        file
        for file in folder.rglob("*")
        if file.is_file()
        and file != picture
        and (labels.fullmatch(file.name) or masks.fullmatch(file.name))
    ]


def without_label(folder: Path, picture: Path) -> None:
    for file in labels_of(folder, picture):
        file.unlink()


def with_a_broken_label(folder: Path, picture: Path) -> None:
    for file in labels_of(folder, picture):
        file.write_bytes(b"\xff\xfe\xfa")


def texts_of(folder: Path) -> list[Path]:
    kinds = (".json", ".jsonl", ".csv", ".tsv", ".txt")
    return [file for file in sorted(folder.rglob("*")) if file.suffix in kinds]


def without_the_first_text(folder: Path, picture: Path) -> None:
    for file in texts_of(folder):
        file.write_text(file.read_text().replace("a cat", "", 1))


def with_a_row_cut_off(folder: Path, picture: Path) -> None:
    for file in texts_of(folder):
        head, *rows = file.read_text().split("\n")
        if file.suffix != ".json" and rows:
            file.write_text("\n".join([head, rows[0][: len(rows[0]) // 2], *rows[1:]]))


def with_null_in_place_of_an_answer(folder: Path, picture: Path) -> None:
    for file in texts_of(folder):
        if file.suffix.startswith(".json"):
            keys = "objects|answers|response|text|caption|suffix|content|value"
            text = re.sub(
                rf'"({keys})": (\[[^]]*\]|"[^"]*"|\{{"bbox[^}}]*\}})',
                r'"\1": null',
                file.read_text(),
                count=1,
            )
            json.loads(text if file.suffix == ".json" else text.split("\n")[0])
            file.write_text(text)


DAMAGES: list[Callable[[Path, Path], None]] = [
    *(another_picture, another_picture_deep, a_picture_on_top, damaged, of_another_size),
    *(renamed, unread, without_label, with_a_broken_label, without_the_first_text),
    *(with_a_row_cut_off, with_null_in_place_of_an_answer),
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("layout", READ, ids=lambda layout: layout.name)
def test_no_picture_is_lost_in_silence(tmp_path: Path, layout: Layout, damage, monkeypatch) -> None:
    monkeypatch.setattr(report, "MAX_CASES", 99)
    pictures = write_layout(layout, tmp_path)
    masks = {tmp_path / name for name, text in layout.files.items() if text.startswith("mask")}
    damage(tmp_path, pictures[0])
    dataset = open_dataset(tmp_path, format=layout.read_as)
    parts = dataset.parts()
    part = "train" if "train" in parts else None
    dataset = open_dataset(tmp_path, format=layout.read_as, split=part)
    asked = {str(record.image) for record in dataset}
    on_disk = [
        file
        for file in tmp_path.rglob("*")
        if file.suffix in (".png", ".jxl") and file not in masks
    ]
    words = "\n".join(case for cases in dataset.report.cases.values() for case in cases)
    told = sum(dataset.report.counts.values())
    silent = [
        file.name
        for file in on_disk
        if str(file) not in asked and not re.search(rf"(?<![^\W_]){re.escape(file.stem)}\.", words)
    ]
    assert silent == []
    assert len(on_disk) <= len(asked) + told
