"""`florence2-lab worlds`: look at pictures and write them."""

import json
from pathlib import Path

import pytest
from PIL import Image

from florence2.data import open_dataset
from florence2_lab.cli.main import main
from florence2_lab.worlds.kinds import KINDS


@pytest.mark.parametrize("kind", [name for name in KINDS if name != "web"])
def test_a_preview_shows_every_kind(kit_path: Path, tmp_path: Path, kind: str) -> None:
    sheet = tmp_path / "sheet.png"
    arguments = ["--kind", kind, "--count", "3", "--side", "192", "--output", str(sheet)]
    assert main(["worlds", "preview", str(kit_path), *arguments]) == 0
    with Image.open(sheet) as picture:
        assert min(picture.size) > 100


def test_an_export_is_read_back(
    kit_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "folder"
    arguments = ["--kind", "screens", "--count", "2", "--side", "192", "--task", "ocr"]
    assert main(["worlds", "export", str(kit_path), str(folder), *arguments]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["pictures"], told["records"]) == (2, 2)
    records = list(open_dataset(folder / "records.jsonl"))
    assert len(records) == 2
    assert all(record.result.text and record.image.is_file() for record in records)


def test_an_export_for_other_trainers_is_a_coco_file(kit_path: Path, tmp_path: Path) -> None:
    arguments = ["--task", "od", "--count", "3", "--side", "96", "--format", "coco"]
    assert main(["worlds", "export", str(kit_path), str(tmp_path), *arguments]) == 0
    table = json.loads((tmp_path / "annotations.json").read_text())
    assert len(table["images"]) == 3
    assert {row["name"] for row in table["categories"]} <= {"blue disc", "green ring", "red box"}


def test_the_same_seed_exports_the_same(kit_path: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        arguments = ["--count", "2", "--seed", "7", "--side", "96", "--task", "caption"]
        assert main(["worlds", "export", str(kit_path), str(tmp_path / name), *arguments]) == 0
    first, second = ((tmp_path / name / "records.jsonl").read_text() for name in ("a", "b"))
    assert first == second


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--kind", "films"], "choose one of scenes", id="unknown kind"),
        pytest.param(["--kind", "lines", "--task", "od"], "choose among ocr", id="wrong task"),
        pytest.param(["--count", "0"], "at least 1", id="no pictures"),
    ],
)
def test_bad_arguments_are_one_line(
    kit_path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    sheet = ["--output", str(tmp_path / "sheet.png")]
    assert main(["worlds", "preview", str(kit_path), *sheet, *arguments]) == 2
    stderr = capsys.readouterr().err
    assert message in stderr
    assert stderr.count("\n") == 1
