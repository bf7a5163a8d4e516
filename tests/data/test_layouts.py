"""Each layout that people have is read right or named, and never taken for another format."""

from pathlib import Path

import pytest
from layouts import LAYOUTS, TOOLS, Layout, coco, pictures, rows_of_table, write_layout

from florence2.data import Problem, open_dataset
from florence2.data.recognition import shows
from florence2.data.report import ReadReport
from florence2.errors import DataError

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- layouts: written by tests/data/test_layouts.py -->\n", "<!-- end of layouts -->"
PICTURES_TOLD = (
    Problem.UNNAMED,
    Problem.OTHER_PART,
    Problem.KIND,
    Problem.PICTURE,
    Problem.NO_TEXT,
    Problem.NOT_ANNOTATED,
)


def told_pictures(report: ReadReport) -> int:
    return sum(report.counts[problem] for problem in PICTURES_TOLD)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_a_layout_is_read_right_or_named(tmp_path: Path, layout: Layout) -> None:
    pictures = write_layout(layout, tmp_path)
    if layout.read_as is None:
        with pytest.raises(DataError) as caught:
            open_dataset(tmp_path)
        assert layout.named in str(caught.value)
        assert "\n" not in str(caught.value)
        return
    dataset = open_dataset(tmp_path, split=layout.split)
    records = list(dataset)
    assert dataset.format == layout.read_as
    assert len(records) == layout.records
    empty = [record for record in records if not getattr(record.result, "labels", ("text",))]
    assert len(empty) == layout.negatives
    assert told_pictures(dataset.report) == layout.told
    asked = {record.image for record in records}
    assert len(pictures) == len(asked) + layout.told


@pytest.mark.parametrize(
    "layout", [each for each in LAYOUTS if each.split], ids=lambda row: row.name
)
def test_a_divided_layout_asks_for_the_part(tmp_path: Path, layout: Layout) -> None:
    write_layout(layout, tmp_path)
    with pytest.raises(
        DataError, match=r"has the parts .*train.*; choose one of them as the split$"
    ):
        list(open_dataset(tmp_path))
    assert "train" in open_dataset(tmp_path).parts()


@pytest.mark.parametrize("layout", TOOLS, ids=lambda layout: layout.name)
def test_a_file_alone_is_read_as_in_its_folder(tmp_path: Path, layout: Layout) -> None:
    write_layout(layout, tmp_path)
    files = [file for file in sorted(tmp_path.rglob("*.*")) if shows(file, layout.read_as)]
    for file in files:
        parts = open_dataset(file).parts()
        dataset = open_dataset(file, split="train" if "train" in parts else None)
        assert dataset.format == layout.read_as
        assert list(dataset), file.name
        assert not dataset.report.counts[Problem.PICTURE]


@pytest.mark.parametrize("name", ["question", "shapes", "box2d", "prefix", "caption"])
def test_a_class_called_like_a_key_of_another_format_is_a_class(tmp_path: Path, name: str) -> None:
    write_layout(
        Layout("", "", {**pictures(), "a.json": coco().replace('"cat"', f'"{name}"')}), tmp_path
    )
    assert {record.result.labels for record in open_dataset(tmp_path)} == {(name,)}


def test_the_table_of_the_page_is_that_of_the_layouts() -> None:
    """Run this file as a program to write it."""
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    assert page.partition(BEGIN)[2].partition(END)[0] == rows_of_table() + "\n"
    assert len(LAYOUTS) >= 40


def write_table() -> None:
    """Write the table into the page."""
    page = ROOT / "docs" / "data.md"
    head, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    page.write_text(head + BEGIN + rows_of_table() + "\n" + END + rest.partition(END)[2])


if __name__ == "__main__":
    write_table()
