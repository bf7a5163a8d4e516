"""Image folders of Hugging Face: parts, names of classes, columns for several pictures."""

import json
from pathlib import Path

import pytest
from small_datasets import counts, found, read, write_lines, write_picture, write_text

from florence2.data import Problem
from florence2.data.class_names import names_of_readme
from florence2.errors import DataError

README = """---
dataset_info:
  features:
  - name: image
    dtype: image
  - name: label
    dtype:
      class_label:
        names:
          '0': cat
          '1': dog
  - name: objects
    {kind}:
    - name: bbox
      sequence: float64
      length: 4
    - name: category
      {inner}
---
# Cats
"""
OBJECTS = {"bbox": [[8, 4, 16, 10]], "category": [1]}


def test_metadata_in_each_part(tmp_path: Path) -> None:
    for part, folder in (("train", "train"), ("val", "validation")):
        write_picture(tmp_path / folder / "1.png")
        row = {"file_name": "1.png", "text": part}
        write_lines(tmp_path / folder / "metadata.jsonl", row)
    for part in ("train", "val"):
        (record,), report = read(tmp_path, split=part)
        assert (record.result.text, report.part) == (part, part)
        assert report.counts[Problem.OTHER_PART] == 1


def test_one_file_of_metadata_for_all_parts(tmp_path: Path) -> None:
    """The datasets library leaves such a file out without a word."""
    for name in ("train/1.png", "train/2.png", "test/1.png"):
        write_picture(tmp_path / name)
    rows = [{"file_name": f"{n}.png", "text": n} for n in ("train/1", "train/2", "test/1")]
    write_lines(tmp_path / "metadata.jsonl", *rows)
    with pytest.raises(DataError, match="has the parts test, train"):
        read(tmp_path)
    records, report = read(tmp_path, split="train")
    assert [record.result.text for record in records] == ["train/1", "train/2"]
    assert report.counts[Problem.OTHER_PART] == 1
    assert Problem.PICTURE not in report.counts
    records, _ = read(tmp_path / "metadata.jsonl", split="test")
    assert [record.result.text for record in records] == ["test/1"]


@pytest.mark.parametrize("kind", ["sequence", "list", "struct"])
@pytest.mark.parametrize(
    "inner",
    [
        "sequence:\n        class_label:\n          names:\n            '0': cat\n            '1': "
        "dog",
        "dtype:\n        class_label:\n          names: {'0': cat, '1': dog}",
        "list:\n        class_label:\n          names:\n            '0': cat\n            '1': dog",
    ],
)
def test_readme_names_the_classes(tmp_path: Path, kind: str, inner: str) -> None:
    write_text(tmp_path / "README.md", README.format(kind=kind, inner=inner))
    assert names_of_readme(tmp_path) == {
        ("label",): ("cat", "dog"),
        ("objects", "category"): ("cat", "dog"),
    }
    for name in "12":
        write_picture(tmp_path / f"{name}.png")
    rows = [{"file_name": "1.png", "objects": OBJECTS}, {"file_name": "2.png", "label": 0}]
    write_lines(tmp_path / "metadata.jsonl", *rows)
    (objects, label), _ = read(tmp_path)
    assert found(objects) == [("dog", [8, 4, 24, 14])]
    assert label.result.text == "cat"


def test_readme_as_datasets_5_writes_it(tmp_path: Path) -> None:
    text = """---
dataset_info:
  features:
  - dtype: image
    name: image
  - name: objects
    struct:
    - list:
        list: float32
      name: bbox
    - list:
        class_label:
          names:
            '0': a
            '1': b
      name: category
---
"""
    write_text(tmp_path / "README.md", text)
    assert names_of_readme(tmp_path) == {("objects", "category"): ("a", "b")}


def test_two_configurations_that_differ_name_nothing(tmp_path: Path) -> None:
    features = [
        {"features": [{"name": "label", "dtype": {"class_label": {"names": {"0": name}}}}]}
        for name in ("cat", "dog")
    ]
    write_text(tmp_path / "README.md", f"---\ndataset_info: {json.dumps(features)}\n---\n")
    assert names_of_readme(tmp_path) == {("label",): ()}


@pytest.mark.parametrize("text", ["", "# x", "---\n:\n---\n", "---\n[a\n---\n", "---\nx: 1\n---\n"])
def test_a_readme_that_names_nothing(tmp_path: Path, text: str) -> None:
    write_text(tmp_path / "README.md", text)
    assert names_of_readme(tmp_path) == {}


def test_numbers_without_names_are_lost_with_their_picture(tmp_path: Path) -> None:
    write_picture(tmp_path / "1.png")
    write_lines(tmp_path / "metadata.jsonl", {"file_name": "1.png", "objects": OBJECTS})
    records, report = read(tmp_path)
    assert (records, counts(report)) == ([], {Problem.LABEL: 1, Problem.INCOMPLETE: 1})
    assert "dataset_info with class_label" in report.cases[Problem.LABEL][0]


def test_a_picture_in_a_column_of_another_name(tmp_path: Path) -> None:
    for name in ("1", "2"):
        write_picture(tmp_path / f"{name}.png")
    rows = [
        {"photo_file_name": "1.png", "text": "a cat"},
        {"before_file_name": "1.png", "after_file_name": "2.png", "text": "a cat"},
    ]
    write_lines(tmp_path / "metadata.jsonl", *rows)
    (record,), report = read(tmp_path)
    assert record.image == tmp_path / "1.png"
    assert report.counts[Problem.ROW] == 1
    assert "one at a time" in report.cases[Problem.ROW][0]


def test_objects_in_a_table_are_json(tmp_path: Path) -> None:
    write_picture(tmp_path / "1.png")
    cell = json.dumps({"bbox": [[8, 4, 16, 10]], "categories": ["cat"]}).replace('"', '""')
    write_text(tmp_path / "metadata.csv", f'file_name,objects\n1.png,"{cell}"\n')
    (record,), _ = read(tmp_path)
    assert found(record) == [("cat", [8, 4, 24, 14])]


def test_metadata_may_be_parquet(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    for part in ("train", "test"):
        write_picture(tmp_path / part / "1.png")
        table = arrow.table({"file_name": ["1.png"], "text": [part]})
        parquet.write_table(table, tmp_path / part / "metadata.parquet")
    (record,), report = read(tmp_path, split="test")
    assert (record.image, record.result.text) == (tmp_path / "test" / "1.png", "test")
    assert report.counts[Problem.COLUMN] == report.num_records.total() == 1
