"""`florence2-lab`, and the names that its commands had in 0.4."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from florence2.cli.main import main as florence2
from florence2_lab.cli import eval, worlds
from florence2_lab.cli.main import main


def test_flags_of_worlds_are_frozen() -> None:
    parser = argparse.ArgumentParser()
    worlds.add_arguments(parser)
    actions = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    flags = {
        name: sorted(flag for action in each._actions for flag in action.option_strings)
        for name, each in actions.choices.items()
    }
    common = ["--help", "-h"]
    made = ["--count", "--kind", "--seed", "--side", "--split", "--task"]
    assert flags == {
        "build": sorted([*common, "--cache", "--categories", "--test-styles"]),
        "bake": sorted([*common, "--count", "--seed"]),
        "preview": sorted([*common, *made, "--output"]),
        "export": sorted([*common, *made, "--format"]),
    }


def test_flags_of_eval_are_frozen() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    eval.add_arguments(parser)
    assert sorted(flag for each in parser._actions for flag in each.option_strings) == sorted(
        [
            *("--beams", "--count", "--device", "--kit", "--manuals", "--model", "--output"),
            *("--precision", "--sheet", "--side", "--stamps", "--suites", "--table"),
            *("--adapter", "--test-styles", "--threads", "--tokenizer"),
        ]
    )


def test_a_model_is_measured_on_pictures_of_a_kit(
    kit_path: Path, tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "table.md"
    arguments = ["--kit", kit_path, "--suites", "reading,detection", "--count", 2]
    arguments += ["--model", tiny_folder, "--device", "cpu", "--table", table]
    assert main(["eval", *map(str, arguments)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["group"] for row in told["rows"]] == ["reading", "detection", "detection"]
    assert "| reading | 2 of unseen fonts |" in table.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--suites", "odd"], "suite 'odd' is unknown", id="suite"),
        pytest.param(["--count", "0"], "--count must be 1 or more", id="count"),
        pytest.param(["--sheet", "no/folder/a.png"], "make it first", id="folder"),
    ],
)
def test_mistakes_are_one_line(
    kit_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["eval", "--kit", str(kit_path), *arguments]) == 2
    stderr = capsys.readouterr().err
    assert stderr.startswith("florence2-lab: ") and message in stderr and stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(["worlds", "preview"], "florence2-lab worlds", id="worlds"),
        pytest.param(["eval", "--suites", "odd", "--kit"], "florence2-lab eval --kit", id="eval"),
    ],
)
def test_the_names_of_before_still_work_and_say_the_new_ones(
    kit_path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    old: list[str],
    new: str,
) -> None:
    sheet = tmp_path / "sheet.png"
    made = ["--count", "1", "--output", str(sheet)] if old[0] == "worlds" else []
    code = florence2([*old, str(kit_path), *made])
    stderr = capsys.readouterr().err
    assert f"is now '{new}'" in stderr
    if made:
        assert code == 0 and sheet.exists()
    else:
        assert code == 2 and "suite 'odd' is unknown" in stderr


@pytest.mark.process
def test_where_the_extra_is_missing_it_is_named(kit_path: Path, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "sys.modules['cv2'] = None\n"  # an import of it fails
        "from florence2_lab.cli.main import main\n"
        f"sys.exit(main(['worlds', 'preview', {str(kit_path)!r}, '--output', 'sheet.png']))\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 2
    assert run.stderr.splitlines() == [
        "florence2-lab: this needs 'cv2', which is not installed; pip install 'florence2[lab]'"
    ]
