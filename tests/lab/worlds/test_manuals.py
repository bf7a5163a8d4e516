"""Pages of PDF files: what the text layer says is where the ink is."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from small_pdfs import write_pdf

from florence2.errors import DataError
from florence2.results import Quads
from florence2_lab.worlds.manuals import ManualPage, manual_pages, manual_record

pytestmark = pytest.mark.process
POPPLER = all(map(shutil.which, ("pdftotext", "pdftoppm")))
needs_poppler = pytest.mark.skipif(not POPPLER, reason="poppler-utils is not installed")
LINES = ((72, 700, "The quick brown fox"), (72, 650, "jumps over (two) dogs"))


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> ManualPage:
    path = tmp_path_factory.mktemp("pdf") / "fox.pdf"
    write_pdf(path, LINES)
    (found,) = manual_pages(path, dpi=72)
    return found


@needs_poppler
def test_words_and_lines_are_read_in_order(printed: ManualPage) -> None:
    assert printed.image.shape == (792, 612, 3)
    assert [line.text for line in printed.lines] == [text for _, _, text in LINES]
    assert [word.text for word in printed.words] == " ".join(text for *_, text in LINES).split()
    assert printed.source == "manual/fox.pdf/1"


@needs_poppler
def test_the_boxes_of_words_cover_all_ink_and_none_is_empty(printed: ManualPage) -> None:
    ink = printed.image.min(axis=2) < 128
    covered = np.zeros_like(ink)
    for word in printed.words:
        x_min, y_min, x_max, y_max = word.box
        rows = slice(int(y_min), int(np.ceil(y_max)))
        columns = slice(int(x_min), int(np.ceil(x_max)))
        assert ink[rows, columns].any(), word
        covered[rows, columns] = True
    assert not (ink & ~covered).any()


@needs_poppler
def test_a_crop_moves_whole_words_and_hides_cut_ones(printed: ManualPage) -> None:
    quick = printed.words[1]
    left, top = int(quick.box[0]) - 3, int(quick.box[1]) - 3
    middle_of_brown = int(sum(printed.words[2].box[::2]) / 2)
    part = printed.crop((left, top, middle_of_brown, int(quick.box[3]) + 3))
    assert [word.text for word in part.words] == ["quick"]
    moved = part.words[0].box
    assert moved == pytest.approx(np.subtract(quick.box, (left, top, left, top)))
    ink = part.image.min(axis=2) < 128
    assert ink.any()
    assert not ink[:, int(np.ceil(moved[2])) + 1 :].any()


@needs_poppler
def test_the_record_holds_every_line(printed: ManualPage) -> None:
    record = manual_record(printed)
    assert isinstance(record.result, Quads)
    assert record.result.labels == tuple(text for _, _, text in LINES)
    assert record.result.image_size == (612, 792)


@needs_poppler
def test_some_of_the_pages_can_be_asked_for(tmp_path: Path) -> None:
    write_pdf(tmp_path / "many.pdf", LINES, pages=3)
    assert [page.number for page in manual_pages(tmp_path / "many.pdf", 36, first=2)] == [2, 3]
    assert [page.number for page in manual_pages(tmp_path / "many.pdf", 36, last=1)] == [1]


@needs_poppler
def test_pages_without_words_are_left_out(tmp_path: Path) -> None:
    write_pdf(tmp_path / "blank.pdf", ())
    assert list(manual_pages(tmp_path / "blank.pdf")) == []


@needs_poppler
def test_what_is_no_pdf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fake.pdf").write_text("hello")
    with pytest.raises(DataError, match="is the file a PDF"):
        list(manual_pages(tmp_path / "fake.pdf"))


def test_a_missing_file_and_a_bad_resolution_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        next(manual_pages(tmp_path / "no.pdf"))
    (tmp_path / "some.pdf").touch()
    with pytest.raises(DataError, match="dpi=0"):
        next(manual_pages(tmp_path / "some.pdf", 0))


def test_missing_tools_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "some.pdf").touch()
    with pytest.raises(DataError, match="poppler-utils"):
        next(manual_pages(tmp_path / "some.pdf"))
