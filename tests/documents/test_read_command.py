"""`florence2 read`: text layers without a model, every format, stopped runs, what is wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont
from tests.documents.raw_pdfs import encrypted_pdf, file_of, raw_pdf, text

from florence2.cli import read
from florence2.cli.main import main
from florence2.cli.pages_file import PagesFile
from florence2.documents import reading
from florence2.documents.figures import FigureFolder
from florence2.documents.opening import open_pages
from florence2.documents.reading import ReadOptions, read_document
from florence2.documents.structure import Page
from florence2.documents.writers.registry import WRITERS
from florence2.errors import ConfigError, Florence2Error, WeightsError

HEADING, BODY = "Counting sheep", "One sheep, two sheep and a third one sleep on the hill."


def page(number: int) -> str:
    return (
        text(40, 340, f"{HEADING} {number}", size=24, font="B")
        + text(40, 300, BODY, size=11)
        + text(40, 286, f"Number {number} of them is awake and counts the others.", size=11)
    )


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.pdf"
    path.write_bytes(raw_pdf(*[page(number) for number in range(1, 6)]))
    return path


@pytest.fixture(autouse=True)
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text layer is read without one."""

    def load(*_: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(read._Model, "__call__", load)


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["read", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_text_layer_becomes_markdown(capsys: pytest.CaptureFixture[str], book: Path) -> None:
    code, out, told = run(capsys, book, "--pages", "2-3")
    assert code == 0
    assert out.splitlines()[0] == f"# {HEADING} 2"
    assert f"{BODY} Number 3 of them is awake and counts the others." in out
    assert HEADING + " 1" not in out
    assert "2 pages (2 from the text layer)" in told


@pytest.mark.parametrize("format", read.FORMATS)
def test_every_format_is_written(
    capsys: pytest.CaptureFixture[str], book: Path, tmp_path: Path, format: str
) -> None:
    if format == "docling":
        pytest.importorskip("docling_core")
    target = tmp_path / "out" / "book.any"
    code, out, told = run(capsys, book, "--to", format, "--output", target, "--quiet")
    assert (code, out, told) == (0, "", "")
    written = target.read_text(encoding="utf-8")
    assert "sleep" in written and "awake" in written
    left = {each.name for each in target.parent.iterdir()}
    assert left == {"book.any"} | ({"book.spans.jsonl"} if format == "markdown" else set())


def test_chunks_have_pages_and_boxes(capsys: pytest.CaptureFixture[str], book: Path) -> None:
    code, out, _ = run(capsys, book, "--chunks", 60)
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and len(rows) >= 3
    assert {each["page"] for row in rows for each in row["pages"]} == {1, 2, 3, 4, 5}


def test_documents_of_a_folder_go_to_a_folder_and_are_not_read_twice(
    capsys: pytest.CaptureFixture[str], book: Path, tmp_path: Path
) -> None:
    (tmp_path / "more.pdf").write_bytes(raw_pdf(page(9)))
    code, _, told = run(capsys, tmp_path, "--to", "text", "--output", tmp_path / "read")
    assert code == 0, told
    assert sorted(each.name for each in (tmp_path / "read").iterdir()) == ["book.txt", "more.txt"]
    (tmp_path / "read" / "book.txt").write_text("mine")
    code, _, told = run(capsys, tmp_path, "--to", "text", "--output", tmp_path / "read")
    assert code == 0 and told.count("left out") == 2
    assert (tmp_path / "read" / "book.txt").read_text() == "mine"


def test_a_stopped_run_goes_on(book: Path, tmp_path: Path) -> None:
    path, asked = tmp_path / "x.pages.jsonl", {"file": "a", "options": ["auto"]}
    with open_pages(book) as file:
        pages = list(read_document(file, no_pixels))
    with PagesFile(path, asked) as kept:
        kept.add(pages[0])
        kept.add(pages[2])
        kept.add(Page(4, 1, 1, error="broken"))
    path.write_bytes(path.read_bytes() + b'{"number": 5, "wid')
    with PagesFile(path, asked) as kept:
        assert kept.num_kept == 2
        assert kept.page(2) is None and kept.page(4) is None
        third = kept.page(3)
        assert third is not None and third.blocks[0].text == f"{HEADING} 3"
        read_anew: list[int] = []
        with open_pages(book) as file:
            again = list(
                read_document(
                    file,
                    no_pixels,
                    done=kept.page,
                    on_read=lambda page: (read_anew.append(page.number), kept.add(page)),
                )
            )
    assert read_anew == [2, 4, 5]
    assert [each.number for each in again] == [1, 2, 3, 4, 5]
    assert [[b.text for b in each.blocks] for each in again] == [
        [b.text for b in each.blocks] for each in pages
    ]
    with PagesFile(path, asked | {"options": ["always"]}) as kept:
        assert kept.num_kept == 0


def test_what_is_kept_may_be_damaged_or_of_a_name_that_is_no_utf8(tmp_path: Path) -> None:
    path, asked = tmp_path / "x.pages.jsonl", {"file": "caf\udce9.pdf"}
    for damage in (b"", b"5\n", b'{"n":1}\n', b"\xff\n", b"{"):
        with PagesFile(path, asked) as kept:
            kept.add(Page(1, 10, 10))
        path.write_bytes(path.read_bytes() + damage)
        with PagesFile(path, asked) as kept:
            assert kept.num_kept == 1, damage
            kept.remove()
    with PagesFile(path, asked):
        pass
    assert not path.exists()  # nothing was read


def test_standard_input_goes_on_only_with_the_same_bytes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PagesFile, "remove", lambda _: None)  # as if it was stopped
    target = tmp_path / "standard-input.txt"
    for name, goes_on in (("Counting", False), ("Counting", True), ("Shearing", False)):
        given = BytesIO(raw_pdf(text(40, 340, f"{name} sheep", size=24)))
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(given))
        code, _, told = run(capsys, "-", "--ocr", "never", "--to", "text", "--output", tmp_path)
        assert code == 0 and ("read before: 1" in told) == goes_on
        assert target.read_text().strip() == f"{name} sheep"
        target.unlink()
    monkeypatch.setattr(sys, "stdin", None)
    code, _, told = run(capsys, "-")
    assert code == 2 and "standard input is closed" in told


def no_pixels() -> None:
    raise AssertionError("a model was loaded")


@pytest.mark.process
def test_pages_are_equal_from_other_processes(book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_pages(book) as file:
        alone = list(read_document(file, no_pixels, ReadOptions(jobs=1)))
        monkeypatch.setattr(reading, "MIN_PAGES_OF_POOL", 2)
        together = list(read_document(file, no_pixels, ReadOptions(jobs=2)))
    assert [each.number for each in together] == [1, 2, 3, 4, 5]
    assert [b.text for page in together for b in page.blocks] == [
        b.text for page in alone for b in page.blocks
    ]


@dataclass(frozen=True)
class Trap(FigureFolder):
    """Fails on page 3, and ends the process that reads page 5 if that is not this one."""

    def cut_out(self, page: Page, picture: object) -> Page:
        if page.number == 3:
            raise ZeroDivisionError("a mistake")
        if page.number == 5 and os.getpid() != int(self.stem):
            os._exit(1)
        return page


@pytest.mark.process
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_page_that_fails_costs_no_other(
    book: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    monkeypatch.setattr(reading, "MIN_PAGES_OF_POOL", 3)
    book.write_bytes(raw_pdf(*[page(number) for number in range(1, 8)]))
    options = ReadOptions(jobs=jobs, figures=Trap(tmp_path, str(os.getpid())))
    with open_pages(book.read_bytes()) as file:
        pages = list(read_document(file, no_pixels, options))
    failed = {each.number: each.error for each in pages if each.error}
    assert [each.number for each in pages] == [1, 2, 3, 4, 5, 6, 7]
    assert list(failed) == ([3] if jobs == 1 else [3, 5])
    assert "page 3 of" in failed[3] and "ZeroDivisionError: a mistake" in failed[3]
    assert jobs == 1 or "the process that read it ended" in failed[5]


def test_a_model_that_cannot_be_loaded_is_told_once(tmp_path: Path) -> None:
    blank = Image.new("RGB", (300, 100), "white")
    blank.save(tmp_path / "blank.tif", save_all=True, append_images=[blank, blank])

    def load() -> None:
        raise WeightsError("no such model")

    with open_pages(tmp_path / "blank.tif") as file, pytest.raises(WeightsError):
        list(read_document(file, load))


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of Unix")
@pytest.mark.parametrize("stop", ["SIGKILL", "SIGINT"])
def test_a_run_that_is_stopped_leaves_no_process_and_goes_on(tmp_path: Path, stop: str) -> None:
    """Other processes end as well, or the pipe that they share would stay open."""
    book, whole, kept = (tmp_path / name for name in ("b.pdf", "whole.txt", "x.txt.pages.jsonl"))
    book.write_bytes(raw_pdf(*[page(number) for number in range(1, 251)]))
    command = [sys.executable, "-m", "florence2", "read", str(book), "--to", "text", "--jobs", "2"]
    command += ["--ocr", "never", "--output"]
    target = tmp_path / "x.txt"
    process = subprocess.Popen(
        [*command, str(target)], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    until = time.monotonic() + 60
    while not (kept.exists() and kept.read_bytes().count(b"\n") > 20) and time.monotonic() < until:
        time.sleep(0.02)
    if stop == "SIGINT":  # Ctrl-C goes to all processes of a terminal
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.kill()
    _, told = process.communicate(timeout=30)
    assert "Traceback" not in told and not target.exists() and kept.exists()
    assert process.returncode == (130 if stop == "SIGINT" else -signal.SIGKILL)
    again = subprocess.run([*command, str(target)], capture_output=True, text=True, check=True)
    assert "pages that were read before: " in again.stderr and not kept.exists()
    assert main(["read", str(book), "--to", "text", "--jobs", "1", "--output", str(whole)]) == 0
    assert target.read_bytes() == whole.read_bytes()


@pytest.mark.process
@pytest.mark.slow
def test_a_script_needs_no_main_guard(tmp_path: Path) -> None:
    (tmp_path / "book.pdf").write_bytes(raw_pdf(*[page(number) for number in range(1, 25)]))
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "from florence2.documents.opening import open_pages\n"
        "from florence2.documents.reading import ReadOptions, read_document\n"
        "options = ReadOptions(jobs=int(sys.argv[1])) if len(sys.argv) > 1 else ReadOptions()\n"
        "with open_pages('book.pdf') as file:\n"
        "    print(len(list(read_document(file, lambda: 0, options))))\n"
    )
    command, words = [sys.executable, str(script)], 'if __name__ == "__main__":'
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert told.stdout == "24\n"
    told = subprocess.run([*command, "2"], cwd=tmp_path, capture_output=True, text=True)
    assert told.stdout == "" and words in told.stderr.splitlines()[-1]


def test_pages_are_drawn(capsys: pytest.CaptureFixture[str], book: Path, tmp_path: Path) -> None:
    code, _, _ = run(capsys, book, "--pages", "2", "--draw", tmp_path / "drawn", "--to", "text")
    assert code == 0
    (drawn,) = (tmp_path / "drawn").iterdir()
    assert drawn.name == "book-p2.png"
    with Image.open(drawn) as image:
        colours = image.convert("RGB").getcolors(1 << 24)
    assert any(len({*colour}) > 1 for _, colour in colours)  # boxes on black and white


def test_what_is_wrong_is_told(
    capsys: pytest.CaptureFixture[str], book: Path, tmp_path: Path
) -> None:
    in_the_way, other = tmp_path / "in-the-way", tmp_path / "other.pdf"
    in_the_way.write_text("mine")
    other.write_bytes(book.read_bytes())
    blank = tmp_path / "blank.pdf"
    blank.touch()
    there = {each.name for each in tmp_path.iterdir()}
    cases: list[tuple[list[object], str]] = [
        ([tmp_path / "none.pdf"], "none.pdf"),
        ([book, book, tmp_path], "give --output with a folder"),
        ([book, "--pages", "7-9"], "has 5 pages, none of those asked for"),
        ([book, "--chunks", "3"], "must be 50 tokens or more"),
        ([book, "--dpi", "9"], "dpi must be 50 to 600"),
        ([book, "--min-score", "2"], "min_score must be a number from 0 to 1"),
        ([book, "--jobs", "0"], "jobs must be 1 or more"),
        ([book, "--chunks", "60", "--to", "json"], "give one of the two"),
        ([book, "--output", book], "is a document that is to be read"),
        ([book, "--output", os.devnull], "is a device or a pipe"),
        ([book, other, "--output", in_the_way], "is a file; name a folder for 2 documents"),
        ([book, "--figures", in_the_way / "x"], "in-the-way"),
        ([book, "--draw", in_the_way / "x"], "in-the-way"),
        ([blank], "is an empty file; give a PDF file"),
        ([book, "--pages", "9", "--output", tmp_path / "out.md"], "none of those asked for"),
    ]
    for arguments, words in cases:
        code, out, told = run(capsys, *arguments)
        assert (code, out) == (2, ""), arguments
        assert words in told and "Traceback" not in told
        assert {each.name for each in tmp_path.iterdir()} == there, arguments
    locked = tmp_path / "locked.pdf"
    locked.write_bytes(encrypted_pdf(text(50, 50, "secret"), "key"))
    code, out, told = run(capsys, locked)
    assert code == 2 and out == "" and "--password" in told
    empty = tmp_path / "empty.pdf"  # PDFium still has the error of the file before
    empty.write_bytes(file_of(["<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[]/Count 0>>"]))
    code, out, told = run(capsys, empty)
    assert code == 2 and "is damaged, or has no pages" in told
    code, out, told = run(capsys, locked, "--password", "k\udce9")
    assert code == 2 and "the password is not UTF-8" in told
    code, out, told = run(capsys, locked, "--password", "key", "--ocr", "never")
    assert code == 0 and "secret" in out


def test_one_target_for_two_documents_is_refused(
    capsys: pytest.CaptureFixture[str], book: Path, tmp_path: Path
) -> None:
    other = tmp_path / "b" / "book.pdf"
    other.parent.mkdir()
    other.write_bytes(book.read_bytes())
    code, _, told = run(capsys, book, other, "--output", tmp_path / "out")
    assert code == 2 and "would both be written to" in told
    assert not (tmp_path / "out").exists()


def test_pixels_are_read_where_there_is_no_text(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The words of a picture, by the model in the package."""
    monkeypatch.undo()
    font = ImageFont.truetype("DejaVuSans.ttf", 32)
    picture = Image.new("RGB", (900, 300), "white")
    drawing = ImageDraw.Draw(picture)
    drawing.text((60, 60), "Invoice number 4711", "black", font)
    drawing.text((60, 150), "Total amount 19.50", "black", font)
    picture.save(tmp_path / "scan.png", dpi=(150, 150))
    code, out, told = run(capsys, tmp_path / "scan.png", "--to", "json", "--min-score", "0")
    assert code == 0 and "1 from pixels" in told
    (read_page,) = json.loads(out)["pages"]
    assert read_page["source"] == "model" and round(read_page["dpi"]) == 150
    words = " ".join(block["text"] for block in read_page["blocks"]).split()
    expected = ["Invoice", "number", "4711", "Total", "amount", "19.50"]
    assert len({*words} & {*expected}) >= 4, words
    picture.paste("white", (0, 0, 900, 300))
    picture.save(tmp_path / "blank.png")
    code, out, told = run(capsys, tmp_path / "blank.png", "--to", "text")
    assert (code, out.strip()) == (0, "") and "1 empty" in told


def test_options_are_checked() -> None:
    with pytest.raises(ConfigError, match="ocr 'maybe' is unknown"):
        ReadOptions(ocr="maybe")  # type: ignore[arg-type]
    with pytest.raises(Florence2Error):
        ReadOptions(dpi=0)


def test_the_formats_of_the_command_are_those_that_are_written() -> None:
    assert tuple(WRITERS) == read.FORMATS  # told twice: --help imports no writer


def test_pages_that_failed_are_tried_again(
    capsys: pytest.CaptureFixture[str],
    book: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target, layer = tmp_path / "book.txt", reading._layer

    def failing(file: object, number: int, options: ReadOptions) -> object:
        if number == 2:
            return reading._Layer(Page(2, 1, 1, error="page 2 is broken"), "")
        return layer(file, number, options)  # type: ignore[arg-type]

    monkeypatch.setattr(reading, "_layer", failing)
    code, _, told = run(capsys, book, "--to", "text", "--output", target)
    assert code == 2 and "page 2 is broken" in told and f"{HEADING} 3" in target.read_text()
    monkeypatch.setattr(reading, "_layer", layer)
    code, _, told = run(capsys, book, "--to", "text", "--output", target)
    assert code == 0 and "left out" not in told and f"{HEADING} 2" in target.read_text()
    assert {each.name for each in tmp_path.iterdir()} == {"book.pdf", "book.txt"}
