"""`florence2 train` on divided data: what is trained on, measured on, left alone."""

import shutil
from pathlib import Path

import pytest
from own_pictures import write_own_pictures

from florence2.cli.main import main


def divided(folder: Path, **counts: int) -> Path:
    for part, count in counts.items():
        file = write_own_pictures(folder / part, count)
        file.rename(file.with_name("_annotations.coco.json"))
    return folder


def plan(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """Exit status and words of a run that only looks."""
    code = main(["train", *map(str, arguments), "--dry-run", "--device", "cpu"])
    return code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("counts", "given", "words"),
    [
        (
            {"train": 8, "test": 4},
            (),
            ["6 to train on, 2 held out (20% of the pictures of its part"],
        ),
        (
            {"train": 8, "test": 4},
            (),
            ["left alone: part 'test'", "4 pictures outside of the part"],
        ),
        ({"train": 8, "valid": 5, "test": 4}, (), ["8 to train on, 5 held out (its part 'val')"]),
        ({"train": 8, "valid": 5, "test": 4}, (), ["left alone: part 'test'"]),
        ({"train": 8, "valid": 5}, ("--split", "valid"), ["4 to train on, 1 held out"]),
        (
            {"train": 8, "test": 5},
            ("--split", "test"),
            ["4 to train on", "left alone: part 'train'"],
        ),
    ],
)
def test_the_part_to_train_on_is_chosen(
    capsys, learner: Path, tmp_path: Path, counts, given, words
):
    data = divided(tmp_path / "data", **counts)
    code, told = plan(capsys, data, "--output", tmp_path / "run", "--model", learner, *given)
    assert code == 0, told
    for each in words:
        assert each in told


def test_trainval_is_trained_on_without_the_pictures_of_val(
    capsys, learner, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    (data / "Annotations").mkdir(parents=True)
    write_own_pictures(data / "JPEGImages", 8)
    for picture in (data / "JPEGImages").glob("*.png"):
        label = ("cat", "dog")[int(picture.stem) % 2]
        (data / "Annotations" / f"{picture.stem}.xml").write_text(
            f"<annotation><filename>{picture.name}</filename><object><name>{label}</name><bndbox>"
            "<xmin>5</xmin><ymin>5</ymin><xmax>20</xmax><ymax>20</ymax></bndbox></object></annotation>"
        )
    lists = data / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "trainval.txt").write_text("0\n1\n2\n3\n4\n5\n")
    (lists / "test.txt").write_text("6\n7\n")
    run = ("--output", tmp_path / "run", "--model", learner)
    code, told = plan(capsys, data, *run)
    assert code == 0, told
    assert "5 to train on, 1 held out" in told and "left alone: part 'test'" in told
    (lists / "val.txt").write_text("4\n5\n")
    code, told = plan(capsys, data, *run)
    assert code == 0, told
    assert "4 to train on, 2 held out (its part 'val')" in told


@pytest.mark.parametrize(
    ("counts", "given", "words"),
    [
        (
            {"valid": 4, "test": 4},
            (),
            "none of them is train; name the part to train on as the split",
        ),
        ({"train": 4, "test": 4}, ("--split", "dog"), "split 'dog' is unknown: dataset"),
    ],
)
def test_what_cannot_be_chosen_is_said_without_a_python_argument(
    capsys, learner: Path, tmp_path: Path, counts, given, words
) -> None:
    data = divided(tmp_path / "data", **counts)
    code, told = plan(capsys, data, "--output", tmp_path / "run", "--model", learner, *given)
    assert code == 2
    assert words in told and "split=" not in told


@pytest.mark.parametrize("command", ["train", "eval", "calibrate"])
def test_no_record_is_an_error_with_what_lies_there(
    capsys, learner: Path, tmp_path: Path, command: str
) -> None:
    data = divided(tmp_path / "data", train=2)
    for picture in data.rglob("*.png"):
        picture.unlink()
    shutil.move(data / "train" / "_annotations.coco.json", data / "a.json")
    options = {"train": "--output", "eval": "--output", "calibrate": "--out"}
    named = ["--data", str(data)] if command == "eval" else [str(data)]
    code = main([command, *named, "--model", str(learner), options[command], str(tmp_path / "x")])
    told = capsys.readouterr().err
    assert code == 2
    assert "1 .json" in told and "2 pictures missing" in told
