"""Streams that are full, closed or of another encoding; disks and memory that are too small."""

import os
import shutil
import tomllib
from pathlib import Path

import pytest
from command_line import coco, rows, run, told
from PIL import Image

from florence2.cli.edge import ADVICE, EXTRAS, explain, guarded
from florence2.errors import DataError, writing

pytestmark = pytest.mark.process

SHORT = ("--device", "cpu", "--quiet", "--max-new-tokens", "8")
ENCODINGS = {
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin-1": {"PYTHONIOENCODING": "latin-1:strict"},
    "C": {"LC_ALL": "C"},
    "C without Python's help": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, picture: Path) -> Path:
    """Ten pictures with an object each."""
    folder = tmp_path_factory.mktemp("dataset")
    pictures = [folder / f"{number}.png" for number in range(10)]
    for number, path in enumerate(pictures):
        image = Image.open(picture)
        image.putpixel((0, 0), (number, 0, 0))
        image.save(path)
    return coco(folder, pictures)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_streams_are_utf8_whatever_the_locale(
    encoding: str, tiny_folder: Path, picture: Path, tmp_path: Path
) -> None:
    named = tmp_path / "猫é.png"
    shutil.copy(picture, named)
    asked = ("run", named, tmp_path / "犬.png", "--task", "caption", "--model", tiny_folder)
    done = run(*asked, *SHORT, **ENCODINGS[encoding])
    assert done.returncode == 2
    answered, missing = rows(done.stdout)
    assert answered["image"] == str(named) and "result" in answered
    assert Path(missing["image"]).name == "犬.png"
    if "PYTHONUTF8" not in ENCODINGS[encoding]:  # else names in messages are spelled by bytes
        assert "犬.png" in missing["error"] and "犬.png" in done.stderr.decode("utf-8")
    assert "1 of 2 questions answered" in told(done)


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("--version",), ("doctor", "nano")],
    ids=["help", "version", "doctor"],
)
def test_a_full_disk_behind_stdout_is_one_sentence(arguments: tuple[str, ...]) -> None:
    with open("/dev/full", "wb") as full:
        done = run(*arguments, stdout=full)
    assert done.returncode == 2
    assert "standard output cannot be written (No space left on device)" in told(done)
    assert done.stderr.count(b"\n") == 1


def test_a_full_disk_ends_a_run_at_its_first_answer(tiny_folder: Path, picture: Path) -> None:
    with open("/dev/full", "wb") as full:
        asked = ("run", picture, picture, "--task", "od", "--model", tiny_folder)
        done = run(*asked, *SHORT, stdout=full)
    assert done.returncode == 2
    assert "standard output cannot be written" in told(done) and done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("stream", ["2>/dev/full", "2>&-"])
def test_words_that_cannot_be_told_cost_no_answer(
    stream: str, tiny_folder: Path, picture: Path, tmp_path: Path
) -> None:
    asked = ("run", tmp_path / "none.png", picture, "--task", "od", "--model", tiny_folder)
    done = run(*asked, "--device", "cpu", "--max-new-tokens", 8, behind=stream)
    missing, answered = rows(done.stdout)
    assert done.returncode == 2 and "error" in missing and "result" in answered


def test_output_that_was_closed_is_no_fault(tiny_folder: Path, picture: Path) -> None:
    asked = ("run", picture, "--task", "od", "--model", tiny_folder)
    done = run(*asked, *SHORT, behind=">&-")
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_reader_that_has_enough_is_no_fault(tiny_folder: Path, picture: Path) -> None:
    asked = ("run", *[picture] * 3, "--task", "od", "--model", tiny_folder)
    done = run(*asked, *SHORT, behind="| head -1; echo ${PIPESTATUS[0]}")
    line, status = done.stdout.splitlines()
    assert len(rows(line)) == 1 and int(status) == 0 and done.stderr == b""


def test_a_limit_of_file_sizes_is_one_sentence(
    tiny_folder: Path, picture: Path, tmp_path: Path
) -> None:
    asked = ("run", picture, "--task", "od", "--model", tiny_folder)
    with open(tmp_path / "answers.jsonl", "wb") as file:
        done = run(*asked, *SHORT, before="ulimit -f 0;", stdout=file)
    assert done.returncode == 2
    assert "File too large" in told(done) and "ulimit -f" in told(done)


@pytest.mark.parametrize("limit_kib", [60_000, 300_000, 700_000, 1_000_000])
def test_a_limit_of_memory_is_one_sentence(limit_kib: int, picture: Path) -> None:
    done = run("run", picture, "--task", "caption", before=f"ulimit -v {limit_kib};")
    assert done.returncode == 2
    assert "memory" in told(done) and "ulimit -v" in told(done)


@pytest.mark.parametrize(
    ("where", "asked"),
    [
        pytest.param("/proc/x", ("run", "{picture}", "--task", "od", "--draw"), id="run"),
        pytest.param("/proc/x", ("train", "{dataset}", "--output"), id="train"),
        pytest.param("{picture}/x", ("train", "{dataset}", "--output"), id="train below a file"),
        pytest.param("/dev/full/x", ("calibrate", "{dataset}", "--out"), id="calibrate"),
        pytest.param("{picture}/x", ("eval", "--data", "{dataset}", "--output"), id="eval"),
    ],
)
def test_a_folder_that_cannot_be_made_is_one_sentence(
    where: str, asked: tuple[str, ...], dataset: Path, tiny_folder: Path, picture: Path
) -> None:
    here = [each.format(dataset=dataset, picture=picture) for each in (*asked, where)]
    done = run(*here, "--model", tiny_folder, "--device", "cpu")
    assert done.returncode == 2
    assert here[-1] in told(done) or str(Path(here[-1]).parent) in told(done), told(done)


def test_a_folder_that_is_gone_is_one_sentence() -> None:
    done = run("doctor", "nano", before='cd "$(mktemp -d)"; rmdir "$PWD";')
    assert done.returncode == 2 and "started in is gone" in told(done)


def test_training_goes_on_after_the_disk_was_full(
    dataset: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    """A size that no file may have stands for a disk that fills while the run is saved."""
    output = tmp_path / "run"
    short = ("--steps", 2, "--batch-size", 4, "--workers", 0, "--device", "cpu")
    asked = ("train", dataset, "--model", tiny_folder, "--output", output, *short)
    done = run(*asked, before="ulimit -f 600;")
    assert done.returncode == 2
    assert "File too large" in told(done) and str(output / "checkpoint.pt") in told(done)
    assert "start the same command again" in told(done)
    assert not list(output.glob("*.tmp"))
    assert run(*asked).returncode == 0


MISTAKES = [
    pytest.param(DataError("the file is bad"), "the file is bad", id="ours on purpose"),
    pytest.param(MemoryError(), "memory that this process may use is too small", id="memory"),
    pytest.param(RuntimeError("can't start new thread"), "too small", id="thread"),
    pytest.param(OSError(28, os.strerror(28), "a/b"), "'a/b' cannot be read or written", id="disk"),
    pytest.param(OSError(28, os.strerror(28)), "make room on that disk", id="disk without a name"),
    pytest.param(OSError("broken data stream"), "broken data stream", id="Pillow's"),
    pytest.param(ImportError("libx.so: failed to map segment"), "memory", id="mapping"),
    pytest.param(ImportError("libx.so: bad header"), "cannot be loaded", id="library"),
    pytest.param(
        ModuleNotFoundError("No module named 'cv2'", name="cv2"), "florence2[lab]", id="extra"
    ),
]


@pytest.mark.parametrize(("error", "words"), MISTAKES)
def test_what_a_user_can_mend_is_one_sentence_and_exit_2(
    error: Exception, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> int:
        raise error

    assert guarded("florence2", fail) == 2
    told = capsys.readouterr().err
    assert words in told and told.startswith("florence2: ") and told.count("\n") == 1


def test_our_mistakes_are_one_sentence_and_exit_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded("florence2-lab", lambda: {}["x"]) == 1
    told = capsys.readouterr().err
    assert "our mistake" in told and "KeyError" in told and "-X dev -m florence2_lab" in told
    assert told.count("\n") == 1 and "Traceback" not in told


def test_a_mistake_in_a_recipe_shows_its_author_where(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.py"
    recipe.write_text("print(undefined_name)\n")
    done = run("train", recipe)
    assert done.returncode == 1 and b"undefined_name" in done.stderr
    recipe.write_text("open('/dev/full', 'w').write('x' * 100_000)\n")
    done = run("train", recipe)
    assert done.returncode == 2 and "No space left on device" in told(done)


def test_every_extra_that_is_named_exists() -> None:
    root = Path(__file__).parents[2]
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert {*EXTRAS.values()} <= extras.keys()
    assert all(explain(OSError(number, "x", "y")) for number in ADVICE)


def test_failed_writing_names_the_file(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    full = Path("/dev/full")
    big = torch.zeros(100_000)

    def by_torch() -> None:
        with full.open("wb") as file:
            torch.save({"x": big}, file)

    def by_rust() -> None:
        raise RuntimeError("Error while serializing: I/O error: x (os error 28)")

    for write in (by_torch, by_rust, lambda: full.write_bytes(b"x")):
        with pytest.raises(OSError, match="No space left on device") as caught, writing("a/b"):
            write()
        assert caught.value.filename == "a/b"
    with pytest.raises(KeyError), writing("a/b"):
        raise KeyError("none of these")
