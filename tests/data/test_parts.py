"""Parts of a dataset: what is one, what is none; nothing outside of one is lost in silence."""

from pathlib import Path

import pytest

from florence2.data import Problem, open_dataset
from florence2.data.parts import choose_split, divide, divide_named, part_named
from florence2.errors import DataError

from layouts import pictures, write_layout, Layout  # isort: skip


@pytest.mark.parametrize(
    ("name", "part"),
    [
        *[(name, "train") for name in ("train", "Train", "TRAIN", "training", "train2017", "trn")],
        *[(name, "train") for name in ("train_images", "train-set", "images_train", "train_01")],
        *[(name, "val") for name in ("val", "valid", "validation", "dev", "val2017", "valid_data")],
        *[(name, "test") for name in ("test", "testing", "test2", "test_images")],
        ("trainval", "trainval"),
        *[(name, None) for name in ("train_station", "dev_board", "bullet-train", "crash test")],
        *[(name, None) for name in ("contest", "devices", "testimony", "trains", "images", "2017")],
        *[(name, None) for name in ("train_val", "poznań test", "тест", "val d'isere", "")],
    ],
)
def test_only_a_whole_name_tells_a_part(name: str, part: str | None) -> None:
    assert part_named(name) == part


@pytest.mark.parametrize(
    ("files", "parts"),
    [
        (["train/a", "val/b"], {"train", "val"}),
        (["images/train/a", "images/val/b"], {"train", "val"}),
        (["x/y/train/k/a", "x/y/valid/k/b"], {"train", "val"}),
        (["train/a", "train/b"], {"train"}),
        (["test/a", "test/b"], {None}),
        (["train/a", "b"], {None}),
        (["train/a", "photos/b"], {None}),
        (["train/a", "bus/b", "test/c"], {None}),
        (["images/a", "images/dev_board/b"], {None}),
        ([], {None}),
    ],
)
def test_parts_hold_all_files_together(files: list[str], parts: set[str | None]) -> None:
    found = divide([Path("root") / file for file in files], Path("root"))
    assert set(found) == parts
    assert sum(map(len, found.values())) == len(files)


@pytest.mark.parametrize(
    ("files", "parts"),
    [
        (["instances_train2017", "instances_val2017"], {"train", "val"}),
        (["cats_train", "cats_test"], {"train", "test"}),
        (
            ["train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"],
            {"train", "test"},
        ),
        (["train_station", "dev_board"], {None}),
        (["train", "val", "pictures"], {None}),
    ],
)
def test_files_are_parts_where_their_names_differ_in_that_alone(files, parts) -> None:
    assert (
        set(divide_named([Path("root") / f"{file}.json" for file in files], Path("root"))) == parts
    )


def test_no_message_names_a_python_argument() -> None:
    for split in (None, "nothing"):
        with pytest.raises(DataError) as caught:
            choose_split(["train", "test"], split, Path("root"))
        assert "split=" not in str(caught.value)


def test_what_is_outside_of_the_chosen_part_is_told_with_its_number(tmp_path: Path) -> None:
    files = {**pictures("train/cat/{}.png"), **pictures("val/cat/{}.png", ("d", "e"))}
    write_layout(Layout("", "", files), tmp_path)
    dataset = open_dataset(tmp_path, split="train")
    assert len(list(dataset)) == 3
    assert "noted: 2 pictures outside of the part that was chosen" in str(dataset.report)
    assert "it is not in the part 'train'" in dataset.report.cases[Problem.OTHER_PART][0]
