"""PDF files that are whole, encrypted, damaged, huge or none."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from raw_pdfs import (
    HELVETICA,
    RawPage,
    encrypted_pdf,
    packed_file,
    raw_pdf,
    stream,
    text,
)

from florence2.documents.pdf import MAX_RENDERED_PIXELS, PdfFile
from florence2.errors import ImageError

GOOD = raw_pdf(text(50, 300, "one"), text(50, 300, "two"))


def refused(source: bytes | Path | str, password: str | None = None) -> str:
    with pytest.raises(ImageError) as caught:
        PdfFile(source, password)
    told = str(caught.value)
    assert "\n" not in told and ("; " in told or ": " in told)
    return told


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "is empty"),
        (b"hello", "is no PDF"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "is no PDF"),
        (b"%PDF-1.7\n", "is damaged, or has no pages"),
        (GOOD[: len(GOOD) // 4], "is damaged, or has no pages"),
        (raw_pdf(), "is damaged, or has no pages"),
    ],
)
def test_what_is_no_pdf_is_told(data: bytes, told: str, tmp_path: Path) -> None:
    assert told in refused(data)
    path = tmp_path / "a.pdf"
    path.write_bytes(data)
    assert told.replace("is empty", "is an empty file") in refused(path)
    assert "document '" in refused(str(path))


def test_paths_that_are_no_file(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "none.pdf")
    assert "is a folder; give the path of a PDF file" in refused(tmp_path)


def test_encrypted_files_ask_for_the_password() -> None:
    data = encrypted_pdf(text(50, 300, "secret words"), "open me")
    assert "is encrypted; give its --password" in refused(data)
    assert "the password does not open it; give the right --password" in refused(data, "wrong")
    with PdfFile(data, "open me") as file, file.page(0) as page:
        assert [line.text for line in page.lines()] == ["secret words"]
    with PdfFile(encrypted_pdf(text(50, 300, "no secret"), "")) as file, file.page(0) as page:
        assert [line.text for line in page.lines()] == ["no secret"]
    with PdfFile(GOOD, "not needed") as file:
        assert file.num_pages == 2


def test_a_damaged_page_costs_no_other() -> None:
    data = raw_pdf(*[text(50, 300, f"page {number}") for number in (1, 2, 3)])
    kids = re.search(rb"/Kids\[(\d+ 0 R) (\d+ 0 R)", data)
    assert kids
    number = kids[2].split()[0]
    broken = re.sub(
        rb"\n%b 0 obj\n<</Type/Page" % number, b"\n%b 0 obj\n((/Type/Page" % number, data
    )
    assert broken != data
    with PdfFile(broken) as file:
        assert file.num_pages == 3
        with pytest.raises(ImageError, match=r"^page 2 of document of .* is damaged and left out$"):
            file.page(1)
        for index in (0, 2):
            with file.page(index) as page:
                assert [line.text for line in page.lines()] == [f"page {index + 1}"]


def test_a_drawing_that_breaks_off_gives_what_is_before_it() -> None:
    with PdfFile(raw_pdf(text(50, 300, "whole") + "BT /F 20 Tf 50 200 Td (bro")) as file:
        assert [line.text for line in file.page(0).lines()][:1] == ["whole"]


@pytest.mark.parametrize("index", [-1, 2])
def test_pages_that_are_not_there(index: int) -> None:
    with PdfFile(GOOD) as file, pytest.raises(ImageError, match="has 2 pages; there is no page"):
        file.page(index)


def test_pages_stay_readable_when_they_are_closed() -> None:
    with PdfFile(GOOD) as file:
        with file.page(1) as page:
            lines = page.lines()
        assert page.lines() is lines


# ---- UserUnit


def test_the_unit_of_a_page_is_its_own() -> None:
    """Of several pages, as number or by reference; one that cannot be is none."""
    box = "/MediaBox[0 0 600 400]"
    units = ("", "/UserUnit 2", "/UserUnit 10 0 R", "/UserUnit 0")
    pages = [RawPage("", box + unit) for unit in units]
    with PdfFile(raw_pdf(*pages, more=["1.5"])) as file:
        assert [file.page(index).width for index in range(4)] == [600, 1200, 900, 600]


def test_the_unit_is_found_in_packed_files() -> None:
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 400]/UserUnit 3/Contents 5 0 R"
        "/Resources<</Font<</F 4 0 R>>>>>>",
        HELVETICA,
    ]
    data = packed_file(objects, [stream(text(50, 300, "packed"))])
    assert b"UserUnit" not in data
    # With the word in it, as an encrypted file has it, PDFium is asked to unpack.
    for each in (data, data + b"% /Encrypt"):
        with PdfFile(each) as file, file.page(0) as page:
            assert (page.width, page.height) == (1800, 1200)
            assert [line.text for line in page.lines()] == ["packed"]
            assert page.render(dpi=24).size == (600, 400)


# ---- rendering


@pytest.mark.parametrize(
    ("entries", "dpi", "size"),
    [
        ("/MediaBox[0 0 600 400]", 72, (600, 400)),
        ("/MediaBox[0 0 595.2 841.9]", 200, (1654, 2339)),
        ("/MediaBox[0 0 600 400]/UserUnit 2", 36, (600, 400)),
        ("/MediaBox[0 0 14400 10]", 200, (30000, 21)),
        ("/MediaBox[0 0 3 3]", 72, (3, 3)),
    ],
)
def test_sizes_of_pictures(entries: str, dpi: float, size: tuple[int, int]) -> None:
    with PdfFile(raw_pdf(RawPage(text(1, 1, "x"), entries))) as file, file.page(0) as page:
        assert page.render(dpi=dpi).size == pytest.approx(size, abs=1)
        small = page.render(dpi=dpi, max_pixels=1000)
    assert small.mode == "RGB"
    assert small.width * small.height <= 1000 + small.width + small.height


@pytest.mark.parametrize("unit", [1, 100])
def test_pages_of_five_metres_are_drawn_within_the_limit(unit: int) -> None:
    entries = f"/MediaBox[0 0 14400 14400]/UserUnit {unit}"
    with PdfFile(raw_pdf(RawPage(text(1, 1, "x"), entries))) as file, file.page(0) as page:
        assert page.width == 14400 * unit
        assert page.render(dpi=200, max_pixels=1_000_000).size == (1000, 1000)
    assert MAX_RENDERED_PIXELS == 50_000_000


def test_the_picture_is_in_the_order_of_red_green_blue() -> None:
    with PdfFile(raw_pdf("1 0 0 rg 0 0 600 400 re f")) as file, file.page(0) as page:
        assert page.render(dpi=20).getpixel((5, 5)) == (255, 0, 0)


def test_a_file_is_opened_anew_only_between_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("florence2.documents.pdf.PAGES_BEFORE_ANEW", 2)
    data = encrypted_pdf(text(50, 300, "secret words"), "open me")
    with PdfFile(data, "open me") as file, file.page(0) as first:
        for _ in range(5):
            with file.page(0) as page:
                assert page.lines()[0].text == "secret words"
        assert first.lines()[0].text == "secret words"
        first.close()
        with file.page(0) as page:
            assert page.lines()[0].text == "secret words"


@pytest.mark.process
@pytest.mark.slow
def test_a_thousand_pages_in_flat_memory(tmp_path: Path) -> None:
    """Read, ruled and drawn; the peak after the first hundred grows by little."""
    words = "".join(
        text(50, 380 - 12 * row, f"some words of line {row}", size=9) for row in range(12)
    )
    pages = [words + f"{number} 0 m 500 10 l S" for number in range(1000)]
    path = tmp_path / "long.pdf"
    path.write_bytes(raw_pdf(*pages))
    code = (
        "import resource, sys\n"
        "from florence2.documents.pdf import PdfFile\n"
        "from florence2.documents.text_layer import text_layer_verdict\n"
        "peaks = []\n"
        "with PdfFile(sys.argv[1]) as file:\n"
        "    for index in range(file.num_pages):\n"
        "        with file.page(index) as page:\n"
        "            assert len(page.lines()) == 12 and text_layer_verdict(page).is_good\n"
        "            page.rules(), page.pictures(), page.render(dpi=30)\n"
        "        if index % 900 == 99:\n"
        "            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
        "print(peaks[1] - peaks[0])\n"
    )
    run = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) < 8_000  # KiB


def test_files_say_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from florence2.documents import pdfium
    from florence2.errors import DataError

    pdfium.bindings.cache_clear()
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    with pytest.raises(DataError, match=r"florence2\[documents\]"):
        PdfFile(GOOD)
    pdfium.bindings.cache_clear()
