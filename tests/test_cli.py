"""The command line, through its `main(argv)`."""

import argparse
import json
from pathlib import Path

import pytest
from PIL import Image

from florence2.cli.main import build_parser, main
from florence2.cli.questions import CASCADES

KEYS = {"image", "task", "result", "model", "timings_ms"}
KEYS |= {"answer", "finish_reason", "malformed", "repaired", "first_answer"}


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[dict], str]:
    """Exit code, parsed lines of stdout, stderr."""
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, [json.loads(line) for line in captured.out.splitlines()], captured.err


@pytest.fixture
def short(tiny_folder: Path) -> list[str]:
    return ["--model", str(tiny_folder), "--max-new-tokens", "10", "--device", "cpu"]


def test_flags_are_frozen() -> None:
    parser = build_parser()
    commands = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    flags = {
        name: sorted(flag for action in each._actions for flag in action.option_strings)
        for name, each in commands.choices.items()
    }
    common = ["--help", "-h"]
    assert flags == {
        "run": sorted(
            [
                *common,
                "--adapter",
                "--tokenizer",
                "--beams",
                "--calibration",
                "--cascade",
                "--device",
                "--draw",
                "--end-loops",
                "--grammar",
                "--max-new-tokens",
                "--min-presence",
                "--min-score",
                "--model",
                "--precision",
                "--prompt",
                "--quiet",
                "--region",
                "--regions",
                "--side",
                "--task",
                "--text",
                "--threads",
                "--tiles",
                "--allow-download",
                "--json",
                "--output",
                "--pages",
                "--save-txt",
                "--sheet",
            ]
        ),
        "read": sorted(
            [
                *common,
                "--adapter",
                "--beams",
                "--chunks",
                "--device",
                "--dpi",
                "--draw",
                "--figures",
                "--furniture",
                "--jobs",
                "--min-score",
                "--model",
                "--ocr",
                "--output",
                "--page-breaks",
                "--pages",
                "--password",
                "--precision",
                "--quiet",
                "--side",
                "--threads",
                "--to",
                "--tokenizer",
            ]
        ),
        "train": sorted(
            [
                *common,
                "--adapter",
                "--tokenizer",
                "--alpha",
                "--batch-size",
                "--device",
                "--dry-run",
                "--epochs",
                "--held-out",
                "--learning-rate",
                "--merge",
                "--mode",
                "--model",
                "--no-augment",
                "--no-mirror",
                "--no-mirror-names",
                "--split",
                "--output",
                "--rank",
                "--seed",
                "--side",
                "--steps",
                "--targets",
                "--task",
                "--threads",
                "--workers",
                "--voc-origin",
            ]
        ),
        "eval": sorted(
            [
                *common,
                "--adapter",
                "--tokenizer",
                "--beams",
                "--count",
                "--data",
                "--device",
                "--model",
                "--output",
                "--precision",
                "--protocol",
                "--sheet",
                "--side",
                "--task",
                "--split",
                "--table",
                "--threads",
                "--voc-origin",
            ]
        ),
        "calibrate": sorted(
            [
                *common,
                "--adapter",
                "--tokenizer",
                "--beams",
                "--count",
                "--device",
                "--model",
                "--out",
                "--split",
                "--task",
                "--threads",
                "--voc-origin",
            ]
        ),
        "bench": sorted(
            [
                *common,
                "--adapter",
                "--tokenizer",
                "--beams",
                "--device",
                "--model",
                "--precision",
                "--repeat",
                "--side",
                "--task",
                "--threads",
                "--tokens",
            ]
        ),
        "merge": sorted(
            [*common, "--adapter", "--dtype", "--layout", "--model", "--output", "--threads"]
        ),
        "data": sorted(
            [
                *common,
                "--format",
                "--json",
                "--quick",
                "--sheet",
                "--split",
                "--task",
                "--to",
                "--voc-origin",
            ]
        ),
        "doctor": sorted([*common, "--tokenizer"]),
    }


def test_run_prints_one_object_for_each_picture(
    capsys: pytest.CaptureFixture[str], short: list[str], picture: Path
) -> None:
    code, lines, stderr = run(capsys, "run", picture, picture, "--task", "od", *short)
    assert code == 0
    assert stderr == ""
    assert [set(line) for line in lines] == [KEYS, KEYS]
    assert lines[0]["task"] == "<OD>"
    assert lines[0]["result"]["type"] == "boxes"
    stages = {"read", "resize", "vision", "encode", "first_token", "tokens", "parse"}
    assert stages <= set(lines[0]["timings_ms"]) <= stages | {"repair"}


def test_draw_writes_a_picture_for_each_input(
    capsys: pytest.CaptureFixture[str], short: list[str], picture: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "folder"
    code, _, _ = run(capsys, "run", picture, picture, "--task", "od", "--draw", out, *short)
    assert code == 0
    written = sorted(path.name for path in out.iterdir())
    assert written == ["shapes.od-2.png", "shapes.od.png"]
    for path in out.iterdir():
        Image.open(path).load()


def test_tiles_answer_for_the_whole_picture(
    capsys: pytest.CaptureFixture[str], short: list[str], picture: Path, tmp_path: Path
) -> None:
    tiled = ("--task", "od", "--tiles", "3x2", "--draw", tmp_path)
    code, lines, stderr = run(capsys, "run", picture, *tiled, *short)
    assert (code, stderr) == (0, "")
    assert lines[0]["result"]["image_size"] == [120, 80]
    assert set(lines[0]["timings_ms"]) == {"tiles"}


@pytest.mark.parametrize("cascade", sorted(CASCADES))
@pytest.mark.parametrize("tiles", ["off", "2x2"])
def test_cascades_print_and_draw_what_they_found(
    capsys: pytest.CaptureFixture[str],
    short: list[str],
    picture: Path,
    tmp_path: Path,
    cascade: str,
    tiles: str,
) -> None:
    text = ["--text", "car, dog, bus, cat, bee"] if cascade in ("classes", "locate") else []
    flags = ["--cascade", cascade, "--tiles", tiles, "--draw", tmp_path, *text]
    code, lines, stderr = run(capsys, "run", picture, *flags, *short)
    assert (code, stderr) == (0, "")
    assert set(lines[0]) == {"image", "cascade", "result", "model", "timings_ms", "drawn"} | (
        {"text_input"} if text else set()
    )
    assert lines[0]["result"]["objects"]["image_size"] == [120, 80]
    assert [path.name for path in tmp_path.iterdir()] == [f"shapes.{cascade}.png"]


def test_one_bad_picture_is_reported_and_the_others_are_answered(
    capsys: pytest.CaptureFixture[str], short: list[str], picture: Path, tmp_path: Path
) -> None:
    text = tmp_path / "text.png"
    text.write_text("not a picture")
    code, lines, stderr = run(capsys, "run", picture, text, picture, "--task", "ocr", *short)
    assert code == 2
    assert [("error" in line) for line in lines] == [False, True, False]
    assert str(text) in lines[1]["error"]
    assert "2 of 3 questions answered" in stderr


def test_region_and_text_reach_the_task(
    capsys: pytest.CaptureFixture[str], short: list[str], picture: Path
) -> None:
    region = ("--task", "region_to_category", "--region", "10,10,60,50")
    assert run(capsys, "run", picture, *region, *short)[0] == 0
    words = ("--task", "caption_to_phrase_grounding", "--text", "a car")
    assert run(capsys, "run", picture, *words, *short)[0] == 0


@pytest.mark.parametrize("tiles", ["off", "auto"])
def test_many_regions_of_a_picture_get_an_answer_each(
    capsys: pytest.CaptureFixture[str], short: list[str], picture: Path, tmp_path: Path, tiles: str
) -> None:
    boxes = ["10,10,60,50", "0,0,20,20", "50,20,110,80"]
    listed = tmp_path / "boxes.txt"
    listed.write_text("\n".join([*boxes[1:], ""]))
    task = ("--task", "region_to_segmentation", "--tiles", tiles)
    together = (*task, "--region", boxes[0], "--regions", listed, *short)
    code, lines, _ = run(capsys, "run", picture, picture, *together)
    assert code == 0
    assert [line["region"] for line in lines] == [
        [float(number) for number in box.split(",")] for box in boxes * 2
    ]
    alone = [run(capsys, "run", picture, *task, "--region", box, *short)[1][0] for box in boxes]
    assert [line["answer"] for line in lines[:3]] == [line["answer"] for line in alone]
    assert set(lines[0]) == KEYS | {"region"} == set(alone[0])


def test_one_region_outside_leaves_the_others_answered(
    capsys: pytest.CaptureFixture[str], short: list[str], picture: Path, tmp_path: Path
) -> None:
    two = ("--region", "0,0,500,9", "--region", "0,0,9,9", "--task", "region_to_ocr")
    code, lines, stderr = run(capsys, "run", picture, tmp_path / "none.png", *two, *short)
    assert code == 2
    assert ["error" in line for line in lines] == [True, False, True, True]
    assert "120 x 80" in lines[0]["error"] and "none.png" in lines[2]["error"]
    assert "1 of 4 questions answered" in stderr


@pytest.mark.parametrize(
    ("written", "message"),
    [
        pytest.param(b"1,2,3,4\n1,2,3\n", "line 2 of", id="short line"),
        pytest.param(b"\n", "holds none", id="empty"),
        pytest.param(b"\xff\xfe\x00", "it is no text", id="binary"),
        pytest.param(None, "No such file", id="missing"),
    ],
)
def test_bad_files_of_regions_are_one_line(
    capsys: pytest.CaptureFixture[str],
    short: list[str],
    picture: Path,
    tmp_path: Path,
    written: bytes | None,
    message: str,
) -> None:
    listed = tmp_path / "boxes.txt"
    if written is not None:
        listed.write_bytes(written)
    asked = ("--task", "region_to_ocr", "--regions", listed)
    code, lines, stderr = run(capsys, "run", picture, *asked, *short)
    assert (code, lines) == (2, [])
    assert message in stderr and stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--task", "odd"], "did you mean 'od'", id="unknown task"),
        pytest.param(["--task", "od", "--text", "x"], "takes no text", id="surplus text"),
        pytest.param(["--task", "region_to_ocr"], "needs a region", id="missing region"),
        pytest.param(["--task", "od", "--region", "1,2,3,4"], "takes no region", id="surplus region"),
        pytest.param(["--task", "region_to_ocr", "--region", "1,2,3"], "four numbers", id="short region"),
        pytest.param(["--task", "od", "--model", "no/such/folder"], "no/such/folder", id="model"),
        pytest.param(["--task", "od", "--beams", "0"], "num_beams", id="beams"),
        pytest.param(["--task", "od", "--min-score", "1.5"], "min_score", id="min score"),
        pytest.param(["--task", "ocr", "--min-presence", "-1"], "min_presence", id="min presence"),
        pytest.param(["--task", "od", "--device", "toaster"], "toaster", id="device"),
        pytest.param(["--task", "od", "--tiles", "4by3"], "4x3", id="tiles"),
        pytest.param(["--cascade", "classes", "--text", " , "], "needs names", id="no classes"),
        pytest.param(["--cascade", "layout", "--text", "x"], "takes no text", id="words of a chain"),
        pytest.param(["--cascade", "locate"], "needs words of what to click", id="nothing to click"),
        pytest.param(["--cascade", "ground", "--region", "1,2,3,4"], "leave --region and", id="region of a chain"),
    ],
)  # fmt: skip
def test_bad_arguments_are_one_line_and_exit_2(
    capsys: pytest.CaptureFixture[str],
    tiny_folder: Path,
    picture: Path,
    arguments: list[str],
    message: str,
) -> None:
    model = [] if "--model" in arguments else ["--model", str(tiny_folder)]
    code, lines, stderr = run(capsys, "run", picture, *arguments, *model)
    assert (code, lines) == (2, [])
    assert message in stderr
    assert stderr.count("\n") == 1


def test_what_is_not_there_is_told_with_its_score(
    capsys: pytest.CaptureFixture[str], short: list[str], picture: Path
) -> None:
    words = ("--task", "open_vocabulary_detection", "--text", "car<and>dog", "--min-presence", "1")
    code, lines, _ = run(capsys, "run", picture, *words, *short)
    assert code == 0
    assert [each["phrase"] for each in lines[0]["result"]["boxes"]["absent"]] == ["car", "dog"]
    assert lines[0]["timings_ms"]["presence"] > 0


def test_a_task_that_asks_for_no_phrases_takes_no_presence(
    capsys: pytest.CaptureFixture[str], short: list[str], picture: Path
) -> None:
    code, lines, _ = run(capsys, "run", picture, "--task", "od", "--min-presence", "0.5", *short)
    assert code == 2
    assert "<CAPTION_TO_PHRASE_GROUNDING>" in lines[0]["error"]


def test_a_region_outside_the_picture_is_refused(
    capsys: pytest.CaptureFixture[str], short: list[str], picture: Path
) -> None:
    arguments = ("--task", "region_to_category", "--region", "10,10,600,50")
    code, lines, stderr = run(capsys, "run", picture, *arguments, *short)
    assert code == 2
    assert "120 x 80" in lines[0]["error"]
    assert "Traceback" not in stderr


def test_doctor_explains_and_its_exit_code_says_whether_it_loads(
    capsys: pytest.CaptureFixture[str], tiny_folder: Path, tmp_path: Path
) -> None:
    assert main(["doctor", str(tiny_folder)]) == 0
    assert "It loads" in capsys.readouterr().out
    (tmp_path / "config.json").write_text("{}")
    assert main(["doctor", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.out + captured.err


def test_doctor_of_nothing_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "no/such/folder"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
