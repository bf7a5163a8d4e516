"""`florence2 calibrate`, and `florence2 run` with what it wrote."""

import json
from pathlib import Path

import numpy as np
import pytest

from florence2.cli.main import main
from florence2.data.formats.jsonl import write_jsonl
from florence2.data.records import Record
from florence2.results import Boxes
from florence2.tasks import Task


def dataset(path: Path, *tasks: Task, count: int = 40) -> Path:
    rng = np.random.default_rng(0)
    nothing = Boxes([[2, 2, 30, 30]], ["cat"], image_size=(32, 32))
    bare = Boxes([[2, 2, 30, 30]], [""], image_size=(32, 32))
    write_jsonl(
        (
            Record(
                rng.integers(0, 255, (32, 32, 3), dtype=np.uint8),
                task,
                "",
                None,
                bare if task is Task.REGION_PROPOSAL else nothing,
                f"{task.name} {number}",
            )
            for number in range(count)
            for task in tasks
        ),
        path,
    )
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(each) for each in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_what_is_fitted_is_told_written_and_used(
    capsys: pytest.CaptureFixture[str], tiny_folder: Path, picture: Path, tmp_path: Path
) -> None:
    data, out = dataset(tmp_path / "data.jsonl", Task.REGION_PROPOSAL), tmp_path / "c.json"
    model = ("--model", tiny_folder, "--device", "cpu")
    code, told, table = run(capsys, "calibrate", data, "--out", out, *model, "--beams", 1)
    assert code == 0
    numbers = json.loads(told)
    assert numbers["task"] == "<REGION_PROPOSAL>"
    assert numbers["pictures"] == {"fitted": 20, "held_out": 20}
    each = numbers["scores"]["location_scores"]
    assert each["error_after"] < each["error_before"] or each["error_before"] < 0.05
    assert "calibration error" in table

    asked = ("run", picture, *model, "--task", "region_proposal", "--beams", 1)
    plain = json.loads(run(capsys, *asked)[1])["result"]
    calibrated = json.loads(run(capsys, *asked, "--calibration", out)[1])["result"]
    curve = json.loads(out.read_text())["curves"]["scores"]
    expected = np.interp(plain["scores"], curve["scores"], curve["shares"])
    assert calibrated["scores"] == pytest.approx(expected.tolist())
    assert calibrated["xyxy"] == plain["xyxy"]

    code, lines, error = run(capsys, "run", picture, *model, "--task", "od", "--calibration", out)
    assert (code, lines) == (2, "")
    assert "fitted on task '<REGION_PROPOSAL>', not on '<OD>'" in error
    assert error.count("\n") == 1
    code, lines, error = run(capsys, "run", picture, "--task", "region_proposal",
                             "--calibration", out, "--device", "cpu")  # fmt: skip
    assert (code, lines) == (2, "")
    assert "not on 'nano'" in error


def test_mistakes_are_one_line_and_cost_no_model(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    data = dataset(tmp_path / "data.jsonl", Task.OD, Task.REGION_PROPOSAL, count=1)
    out = tmp_path / "c.json"
    cases = [
        ((data, "--out", out), "choose one with --task: od, region_proposal"),
        ((data, "--out", out, "--task", "caption"), "0 tasks"),
        ((data, "--out", out, "--count", 0), "--count must be 1"),
        ((data, "--out", tmp_path / "no" / "c.json"), "does not exist"),
        ((tmp_path / "none", "--out", out), "does not exist"),
    ]
    for arguments, message in cases:
        code, told, error = run(capsys, "calibrate", *arguments, "--model", "no/such/model")
        assert (code, told) == (2, "")
        assert message in error
    assert not out.exists()


def test_too_few_objects_are_told(
    capsys: pytest.CaptureFixture[str], tiny_folder: Path, tmp_path: Path
) -> None:
    data = dataset(tmp_path / "data.jsonl", Task.OD, count=3)
    code, _, error = run(capsys, "calibrate", data, "--out", tmp_path / "c.json",
                         "--model", tiny_folder, "--device", "cpu", "--beams", 1)  # fmt: skip
    assert code == 2
    assert "give more pictures" in error
