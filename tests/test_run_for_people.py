"""`florence2 run` as people use it: tables, folders, stopped runs, texts beside pictures."""

import fcntl
import io
import json
import os
import pty
import struct
import subprocess
import sys
import tarfile
import termios
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from florence2.cli.answers_file import AnswersFile
from florence2.cli.main import BEGIN, main
from florence2.cli.picture_files import SavedTexts, drawn_stem, saved_text
from florence2.cli.table import Table, columns_for, display_width
from florence2.data.sources import NamedPicture
from florence2.errors import ConfigError
from florence2.results import Absent, Boxes, Polygons, Quads, Result, Text

SIZE = (80, 60)
CAT = Boxes([[1, 2, 30.4, 40]], ("cat",), (0.5,), image_size=SIZE)


def table(result: Result, width: int = 80, name: str = "a.png") -> list[str]:
    return list(Table(width, colour=False).lines(name, result, 1.234))


# ---- the table


def test_a_table_tells_what_where_how_sure_and_how_long() -> None:
    assert table(CAT) == [
        "picture         what                   where                   how sure  seconds",
        "a.png           cat                    1,2 to 30,40                0.50     1.23",
    ]


@pytest.mark.parametrize("width", [32, 47, 48, 63, 64, 100, 140])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    long = Text("word " * 50 + "猫が好き" * 30 + " " + "x" * 200, image_size=SIZE)
    lines = table(long, width, "folder/" * 9 + "名前.png")
    assert max(map(display_width, lines)) <= width
    assert sum(each.width + 2 for each in columns_for(width)) - 2 <= width
    titles = [each.title for each in columns_for(width)]
    assert ("where" in titles, "seconds" in titles) == (width >= 64, width >= 48)


def test_all_words_of_a_text_are_told_in_lines() -> None:
    words = [f"word{number}" for number in range(60)]
    told = " ".join(line[16:37].strip() for line in table(Text(" ".join(words), image_size=SIZE)))
    assert told.split()[1:] == words  # behind the head


def test_a_text_without_end_is_cut_and_says_so() -> None:
    lines = table(Text("a\n" * 500, image_size=SIZE))
    assert len(lines) == 41 and "... 461 more (--json)" in lines[-1]


def test_nothing_and_what_is_not_there_are_told() -> None:
    nothing = Boxes(np.zeros((0, 4)), (), absent=(Absent("a red car", 0.1),), image_size=SIZE)
    assert table(nothing)[1].split() == ["a.png", "a", "red", "car", "not", "there", "0.10", "1.23"]
    assert "nothing found" in table(Text("", image_size=SIZE))[1]
    assert "a region" in table(Boxes([[1, 2, 3, 4]], ("",), image_size=SIZE))[1]


def test_characters_that_move_the_cursor_are_left_out() -> None:
    lines = table(Text("a\x1b[2Jb\tc\x07", image_size=SIZE))
    assert all(letter.isprintable() for line in lines for letter in line)
    assert Table(80, colour=False).note("drawn in a\x1b[31m.png").endswith("a [31m.png")


# ---- texts beside pictures


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (Text("a cat", image_size=SIZE), "a cat\n"),
        (Text("", image_size=SIZE), ""),
        (CAT, "cat\t1.0\t2.0\t30.4\t40.0\t0.5000\n"),
        (Quads([[[1, 2], [9, 2], [9, 4], [1, 4]]], ("TOTAL",), image_size=SIZE), "TOTAL\n"),
        (
            Polygons(((np.array([[1, 1], [9, 1], [1, 9]]),),), ("a\tb",), image_size=SIZE),
            "a b\t1.0\t1.0\t9.0\t9.0\n",
        ),
    ],
)
def test_a_saved_text_is_the_words_or_a_row_an_object(result: Result, text: str) -> None:
    assert saved_text(result) == text


# ---- runs


@pytest.fixture
def short(tiny_folder: Path) -> list[str]:
    return ["--model", str(tiny_folder), "--max-new-tokens", "6", "--beams", "1", "--device", "cpu"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    for number, colour in enumerate(("red", "lime", "blue", "white")):
        (folder / "in").mkdir(parents=True, exist_ok=True)
        place = folder / "in" if number == 3 else folder
        Image.new("RGB", (40, 20), colour).save(place / f"{number}.png")
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[dict], str]:
    code = main(["run", *(str(argument) for argument in arguments)])
    captured = capsys.readouterr()
    return code, [json.loads(line) for line in captured.out.splitlines()], captured.err


def plain(content: dict) -> dict:
    """An answer without how long it took."""
    return content | {"timings_ms": sorted(content.get("timings_ms", ()))}


def test_bare_florence2_says_how_to_begin(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out == BEGIN + "\n"
    assert len(BEGIN.splitlines()) == 5


def test_a_folder_a_list_and_an_archive_are_answered(capsys, short, folder: Path) -> None:
    names = folder.parent / "names.txt"
    names.write_text(f"{folder / '1.png'}\nmissing.png\n")
    archive = folder.parent / "a.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(folder / "2.png", "x.png")
    code, lines, told = run(capsys, folder, names, archive, "--task", "od", *short)
    names_told = [str(Path(line["image"])) for line in lines]
    inside = [str(folder / each) for each in ("0.png", "1.png", "2.png", "in/3.png")]
    assert names_told == [*inside, inside[1], "missing.png", f"{archive}/x.png"]
    assert ["error" in line for line in lines] == [False] * 5 + [True, False]
    assert code == 2 and "6 of 7 questions answered, 1 not" in told


def test_standard_input_and_pages_are_drawn_under_names_of_their_own(
    capsys, short, tmp_path: Path, monkeypatch
) -> None:
    first, second = (Image.new("RGB", (40, 20), colour) for colour in ("red", "lime"))
    first.save(tmp_path / "scan.tif", save_all=True, append_images=[second])
    data = io.BytesIO()
    first.save(data, "PNG")

    class Input:
        buffer = io.BytesIO(data.getvalue())

    monkeypatch.setattr("sys.stdin", Input)
    out = tmp_path / "out"
    given = (tmp_path / "scan.tif", "-", "--pages", "all", "--draw", out)
    code, lines, told = run(capsys, *given, "--task", "od", *short)
    assert (code, told) == (0, "")
    drawn = ["scan-1.od.png", "scan-2.od.png", "standard-input.od.png"]
    assert [Path(line["drawn"]).name for line in lines] == drawn
    assert sorted(path.name for path in out.iterdir()) == drawn


def test_texts_beside_pictures_are_written_once(capsys, short, folder: Path) -> None:
    (folder / "1.txt").write_text("mine")
    asked = (folder, "--task", "ocr", "--save-txt", *short)
    code, lines, told = run(capsys, *asked)
    assert code == 0 and len(lines) == 3
    assert "1 picture with a text beside them left out" in told
    assert (folder / "1.txt").read_text() == "mine"
    for line in lines:
        text = line["result"]["text"]
        beside = Path(line["image"]).with_suffix(".txt")
        assert beside.read_text() == (text + "\n" if text else "")
    code, lines, told = run(capsys, *asked)
    assert (code, lines) == (0, []) and "4 pictures with a text beside them left out" in told


def test_answers_of_several_regions_stand_in_one_text(capsys, short, folder: Path) -> None:
    regions = ("--region", "0,0,10,10", "--region", "5,5,30,15")
    asked = (folder / "0.png", "--task", "region_to_category", "--save-txt", *regions, *short)
    code, lines, _ = run(capsys, *asked)
    texts = [line["result"]["text"] for line in lines]
    assert code == 0
    assert (folder / "0.txt").read_text() == "".join(text + "\n" for text in texts if text)


def test_a_text_appears_whole_with_the_last_answer(folder: Path, monkeypatch) -> None:
    picture = NamedPicture(str(folder / "0.png"), str(folder / "0.png"))
    texts = SavedTexts(2)
    assert texts.write(picture, Text("one", image_size=SIZE)) is None
    assert sorted(os.listdir(folder)) == ["0.png", "1.png", "2.png", "in"]

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", ".florence2.part")

    with monkeypatch.context() as patched, pytest.raises(OSError, match=r"0\.txt"):
        patched.setattr("os.replace", full)
        texts.write(picture, Text("two", image_size=SIZE))
    assert sorted(os.listdir(folder)) == ["0.png", "1.png", "2.png", "in"]


def test_pictures_of_one_name_do_not_mix_their_texts(capsys, short, folder: Path) -> None:
    Image.new("RGB", (40, 20)).save(folder / "0.jpg")
    asked = ("--task", "ocr", "--save-txt", *short)
    given = (folder / "1.png", folder / "1.png", folder / "0.png", folder / "0.jpg")
    code, lines, told = run(capsys, *given, *asked)
    assert code == 2 and told.count("belongs to another picture of that name") == 1
    for number in (0, 2):
        text = lines[number]["result"]["text"]
        beside = Path(lines[number]["image"]).with_suffix(".txt")
        assert beside.read_text() == (text + "\n" if text else "")


def test_drawings_are_not_asked_about_by_the_next_run(capsys, short, folder: Path) -> None:
    asked = (folder, "--draw", folder / "out", "--sheet", folder / "sheet.png", *short)
    assert len(run(capsys, *asked, "--task", "od")[1]) == 4
    code, lines, told = run(capsys, *asked, "--task", "ocr")
    assert code == 0 and len(lines) == 4 and "5 drawings of ours left out" in told
    drawn = folder / "out" / "0.od.png"
    assert len(run(capsys, drawn, "--task", "ocr", "--draw", folder / "out", *short)[1]) == 1


@pytest.mark.parametrize("name", ["x" * 250 + ".png", "猫" * 84 + ".png"])
def test_a_long_name_is_drawn_under_a_shorter_one(name: str) -> None:
    assert 170 < len(os.fsencode(drawn_stem(name))) <= 180


def test_what_is_wrong_with_bytes_names_their_picture(capsys, short, folder: Path) -> None:
    archive = folder.parent / "a.tar"
    with tarfile.open(archive, "w") as tar:
        entry = tarfile.TarInfo("broken.png")
        entry.size = 3
        tar.addfile(entry, io.BytesIO(b"abc"))
    code, _, told = run(capsys, archive, "--task", "ocr", *short)
    assert code == 2 and "a.tar/broken.png': image of 3 bytes" in told


def test_a_picture_that_is_no_file_has_no_text_beside_it(capsys, short, folder: Path) -> None:
    archive = folder.parent / "a.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(folder / "2.png", "x.png")
    code, _, told = run(capsys, archive, "--task", "ocr", "--save-txt", *short)
    assert code == 2 and "no text can stand beside it" in told


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        pytest.param(("--pages", "0"), "numbers from 1 and ranges", id="no page"),
        pytest.param(("--output", "."), "is a folder; name a file", id="a folder"),
        pytest.param(("--output", "no/a.jsonl"), "does not exist; make it first", id="no folder"),
        pytest.param(("-", "-"), "can be read once", id="standard input twice"),
        pytest.param(("https://localhost/a.png",), "add --allow-download", id="not allowed"),
        pytest.param(
            ("https://localhost/a.png", "--allow-download"), "is not public", id="this machine"
        ),
    ],
)
def test_bad_sources_are_one_sentence(
    capsys, short, folder: Path, monkeypatch, flags: tuple[str, ...], told: str
) -> None:
    monkeypatch.chdir(folder)
    code, _, words = run(capsys, "0.png", *flags, "--task", "od", *short)
    assert code == 2 and told in words


# ---- stopped runs


def stopped_after(capsys, short, folder: Path, output: Path, whole: bytes, size: int) -> None:
    """Go on with a file that holds only so many bytes, and look at what it becomes."""
    output.write_bytes(whole[:size])
    code, lines, _ = run(capsys, folder, "--task", "od", "--output", output, *short)
    assert (code, lines) == (0, [])
    answers = [json.loads(line) for line in output.read_bytes().splitlines()]
    wanted = [json.loads(line) for line in whole.splitlines()]
    assert sorted(map(str, map(plain, answers))) == sorted(map(str, map(plain, wanted)))


def test_a_run_that_was_stopped_at_any_byte_answers_each_picture_once(
    capsys, short, folder: Path
) -> None:
    output = folder.parent / "answers.jsonl"
    code, lines, _ = run(capsys, folder, "--task", "od", "--output", output, *short)
    assert (code, lines) == (0, [])
    whole = output.read_bytes()
    ends = [index + 1 for index, byte in enumerate(whole) if byte == ord("\n")]
    assert len(ends) == 4
    for size in (0, 1, ends[0] - 1, ends[0], ends[0] + 1, ends[2] - 1, ends[2], ends[3] - 1):
        stopped_after(capsys, short, folder, output, whole, size)


def test_a_picture_given_twice_stands_in_the_file_once(capsys, short, folder: Path) -> None:
    output = folder.parent / "answers.jsonl"
    asked = (folder / "1.png", folder, "--task", "od", "--output", output, *short)
    code, _, told = run(capsys, *asked)
    assert code == 0 and "1 answer not written again" in told
    names = [json.loads(line)["image"] for line in output.read_text().splitlines()]
    assert len(names) == len(set(names)) == 4


def test_one_run_at_a_time_writes_a_file(folder: Path) -> None:
    output = folder / "answers.jsonl"
    output.write_text('{"image": "a.png", "error": "x"}\n')
    for _ in range(2):  # the first of them takes a line out, and holds the new file
        with AnswersFile(output, {}), pytest.raises(ConfigError, match="by another run"):
            AnswersFile(output, {})


def test_an_output_that_cannot_be_read_again_is_refused(capsys, short, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    asked = (folder, "--task", "od", "--output", folder / "pipe", *short)
    code, lines, told = run(capsys, *asked)
    assert (code, lines) == (2, []) and "is a device or pipe" in told


def test_pictures_that_failed_are_asked_again(capsys, short, folder: Path) -> None:
    output = folder.parent / "answers.jsonl"
    asked = (folder, "--task", "od", "--output", output, *short)
    good = (folder / "1.png").read_bytes()
    (folder / "1.png").write_bytes(b"")
    code, _, told = run(capsys, *asked)
    assert code == 2 and "is an empty file" in told
    assert ["error" in json.loads(line) for line in output.read_text().splitlines()].count(
        True
    ) == 1
    (folder / "1.png").write_bytes(good)
    code, _, told = run(capsys, *asked)
    assert code == 0 and "3 pictures answered before left out" in told
    answers = [json.loads(line) for line in output.read_text().splitlines()]
    assert len(answers) == 4 and not any("error" in each for each in answers)


def test_regions_are_gone_on_with_one_by_one(capsys, short, folder: Path) -> None:
    output = folder.parent / "answers.jsonl"
    regions = ("--region", "0,0,10,10", "--region", "5,5,30,15")
    asked = (folder, "--task", "region_to_category", "--output", output, *regions, *short)
    assert run(capsys, *asked)[0] == 0
    lines = output.read_text().splitlines(keepends=True)
    assert len(lines) == 8
    output.write_text("".join(lines[:3]))
    assert run(capsys, *asked)[0] == 0
    told = [
        (row["image"], row["region"]) for row in map(json.loads, output.read_text().splitlines())
    ]
    assert len(told) == 8 and len({str(each) for each in told}) == 8


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param("a letter to mother\n", "holds something else", id="no answers"),
        pytest.param('{"image": "a.png", "task": "<OCR>"}\n', "another question", id="task"),
        pytest.param('{"image": "a.png", "task": "<OD>", "model": "x"}\n', "model", id="model"),
    ],
)
def test_a_file_of_something_else_is_left_alone(
    capsys, short, folder: Path, content: str, told: str
) -> None:
    output = folder.parent / "letter.txt"
    output.write_text(content)
    code, _, words = run(capsys, folder, "--task", "od", "--output", output, *short)
    assert code == 2 and told in words and output.read_text() == content


# ---- on a terminal


def on_terminal(columns: int, *arguments: object, **environment: str) -> str:
    """What a terminal of so many columns is sent by standard output."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-m", "florence2", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm", "OMP_NUM_THREADS": "1", **environment},
    ) as process:
        os.close(theirs)
        data = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # Linux says so at the end
                break
            if not piece:
                break
            data += piece
        assert process.wait() == 0, process.stderr and process.stderr.read()
    os.close(ours)
    return data.decode().replace("\r\n", "\n")


def without_scores(line: str) -> dict:
    """An answer without its scores: which pictures meet in a batch moves their last bits."""
    content = plain(json.loads(line))
    result = {key: value for key, value in content["result"].items() if "scores" not in key}
    return content | {"result": result}


@pytest.mark.process
def test_a_terminal_gets_a_table_and_a_pipe_json(short, folder: Path) -> None:
    asked = ("run", folder, "--task", "od", *short)
    shown = on_terminal(70, *asked)
    assert shown.startswith("\x1b[1mpicture") and "how sure" in shown
    assert all(display_width(line) <= 70 for line in shown.splitlines()[1:])
    assert "\x1b" not in on_terminal(70, *asked, NO_COLOR="1")
    as_json = on_terminal(70, *asked, "--json").splitlines()
    piped = subprocess.run(
        [sys.executable, "-m", "florence2", *map(str, asked)],
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ).stdout.decode()
    assert list(map(without_scores, as_json)) == list(map(without_scores, piped.splitlines()))
    assert [json.dumps(json.loads(line), ensure_ascii=False) for line in as_json] == as_json
