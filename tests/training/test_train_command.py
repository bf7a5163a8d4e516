"""`florence2 train`, as a user types it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from florence2 import Florence2
from florence2.cli.main import main


def train(
    capsys: pytest.CaptureFixture[str], *arguments: object
) -> tuple[int, list[dict[str, object]], str]:
    """Exit code, parsed lines of stdout, stderr."""
    code = main(["train", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, [json.loads(line) for line in captured.out.splitlines()], captured.err


def test_one_command_from_a_coco_file_to_a_checkpoint_and_again(
    capsys: pytest.CaptureFixture[str], learner: Path, own: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    short = ("--model", learner, "--steps", 6, "--batch-size", 4, "--workers", 0, "--device", "cpu")
    code, (line,), stderr = train(capsys, own, "--output", run, *short)
    assert code == 0
    assert (line["records"], line["held_out"], line["steps"]) == (5, 1, 6)
    assert set(line["before"]) == set(line["after"]) >= {"held_out_loss", "od_f1", "od_box_f1"}  # type: ignore[arg-type]
    assert "preview.png" in stderr and "od_f1" in stderr
    for name in ("preview.png", "run.json", "checkpoint.pt", "log.csv", "results.json"):
        assert (run / name).exists(), name
    model = Florence2.load(line["checkpoint"], device="cpu")  # type: ignore[arg-type]
    assert model.detect(own.parent / "0.png").image_size == (32, 32)

    # The same again has nothing left to do; anything else is refused in words.
    assert train(capsys, own, "--output", run, *short)[:2] == (0, [line])
    code, lines, stderr = train(capsys, own, "--output", run, *short, "--learning-rate", 1e-3)
    assert (code, lines) == (2, [])
    assert "holds a run with learning_rate" in stderr and "--output" in stderr


def test_datasets_are_mixed_by_weight(
    capsys: pytest.CaptureFixture[str], learner: Path, own: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    arguments = (f"{own}:2", own, "--task", "od", "--output", run, "--model", learner)
    code, (line,), stderr = train(capsys, *arguments, "--dry-run", "--device", "cpu")
    assert code == 0
    assert "weight 2: 5 to train on" in stderr and "weight 1: 5 to train on" in stderr
    assert Path(str(line["preview"])).exists()
    assert [path.name for path in run.iterdir()] == ["preview.png"]


def test_a_kit_has_to_be_exported_first(
    capsys: pytest.CaptureFixture[str], learner: Path, tmp_path: Path
) -> None:
    kit = tmp_path / "kit.zip"
    kit.touch()
    code, lines, stderr = train(capsys, kit, "--output", tmp_path, "--model", learner)
    assert (code, lines) == (2, [])
    assert f"'florence2-lab worlds export {kit} FOLDER'" in stderr


def test_a_recipe_runs_like_a_script(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """It may import its neighbours."""
    recipe = tmp_path / "recipe.py"
    recipe.write_text(
        "import json, sys\nfrom shared_pieces import WORD\n"
        "if __name__ == '__main__':\n    print(json.dumps({WORD: sys.argv}))\n"
    )
    (tmp_path / "shared_pieces.py").write_text("WORD = 'given'\n")
    code, (line,), _ = train(capsys, recipe, "kit.zip", "--", "--scale", "0.1")
    assert code == 0
    assert line == {"given": [str(recipe), "kit.zip", "--scale", "0.1"]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["a.json"], "--output runs/mine", id="no output"),
        pytest.param(["a.json", "--output", "o"], "'a.json' does not exist", id="no data"),
        pytest.param(["a.json", "--output", "o", "--mode", "half"], "choose one of", id="mode"),
        pytest.param(["a.json", "--output", "o", "--task", "odd"], "did you mean", id="task"),
        pytest.param(["a.json", "--output", "o", "--device", "toaster"], "toaster", id="device"),
        pytest.param(["a.json:0", "--output", "o"], "above 0", id="weight"),
        pytest.param(["none.py"], "recipe 'none.py' does not exist", id="no recipe"),
        pytest.param(["none.py", "--steps", "3"], "options of its own", id="recipe option"),
    ],
)
def test_mistakes_are_one_line_and_exit_2(
    capsys: pytest.CaptureFixture[str],
    learner: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = arguments[0].endswith(".py")
    code, lines, stderr = train(capsys, *arguments, *([] if recipe else ["--model", learner]))
    assert (code, lines) == (2, [])
    assert message in stderr
    assert stderr.count("\n") == 1


def torchrun(*arguments: object) -> subprocess.CompletedProcess[str]:
    """`florence2 train` in two processes, which must end by themselves."""
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    return subprocess.run(
        [sys.executable, *launch, "-m", "florence2", "train", *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.process
def test_two_processes_train_what_one_does_and_one_speaks(
    capsys: pytest.CaptureFixture[str], learner: Path, own: Path, tmp_path: Path
) -> None:
    short = ("--model", learner, "--steps", 6, "--batch-size", 4, "--workers", 0, "--device", "cpu")
    _, (alone,), _ = train(capsys, own, "--output", tmp_path / "alone", *short)
    run = torchrun(own, "--output", tmp_path / "two", *short)
    assert run.returncode == 0, run.stderr
    two = json.loads(run.stdout)  # one line of one process
    assert run.stderr.count("preview.png") == run.stderr.count("written   ") == 1
    assert (two["records"], two["held_out"], two["trainable"]) == (5, 1, alone["trainable"])
    assert two["before"] == alone["before"]
    after = [line["after"]["held_out_loss"] for line in (alone, two)]  # type: ignore[index]
    assert after[1] == pytest.approx(after[0], rel=1e-2)
    assert after[1] < two["before"]["held_out_loss"]
    model = Florence2.load(two["checkpoint"], device="cpu")
    assert model.detect(own.parent / "0.png").image_size == (32, 32)


@pytest.mark.process
def test_several_processes_refuse_with_one_voice(learner: Path, own: Path, tmp_path: Path) -> None:
    arguments = ("--model", learner, "--batch-size", 1, "--device", "cpu", "--output", tmp_path)
    run = torchrun(own, *arguments)
    assert run.returncode != 0 and run.stdout == ""
    assert run.stderr.count("florence2: stage 'finetune' has batches of 1 pictures, too few") == 1
    assert not list(tmp_path.iterdir())
