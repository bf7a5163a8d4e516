"""Cuttings of a PDF that is written here."""

from pathlib import Path
from shutil import which

import numpy as np
import pytest
from small_pdfs import write_pdf

from florence2.errors import DataError
from florence2.results import Quads
from florence2_lab.suites.manual_crops import manual_records

ROWS = ["the quick brown fox jumps over", "a lazy dog and twelve more", "words of a small manual"]
pytestmark = pytest.mark.process
needs_poppler = pytest.mark.skipif(
    which("pdftotext") is None, reason="Poppler is not installed (apt-get install poppler-utils)"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A page full of text."""
    lines = [(72, 720 - 16 * row, ROWS[row % 3]) for row in range(30)]
    return write_pdf(tmp_path / "small.pdf", lines, size=12)


@needs_poppler
def test_a_cutting_shows_the_words_that_its_truth_says(file: Path) -> None:
    records = manual_records([file.parent], 6, seed=1)
    assert len(records) == 6
    for record in records:
        truth, pixels = record.result, np.asarray(record.picture().convert("L"))
        assert isinstance(truth, Quads)
        assert set(truth.labels) <= set(" ".join(ROWS).split())
        outside = np.ones(pixels.shape, bool)
        for x_min, y_min, x_max, y_max in truth.quads[:, [0, 2]].reshape(-1, 4).astype(int):
            assert pixels[y_min:y_max, x_min:x_max].min() < 128  # ink in every box
            outside[max(0, y_min - 1) : y_max + 1, max(0, x_min - 1) : x_max + 1] = False
        assert (pixels[outside] < 128).mean() < 0.001  # and next to none elsewhere


@needs_poppler
def test_the_same_seed_cuts_the_same(file: Path) -> None:
    first, second = (manual_records([file], 3, seed=2) for _ in range(2))
    assert [each.result for each in first] == [each.result for each in second]


def test_a_folder_without_pdfs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no PDF"):
        manual_records([tmp_path], 1, seed=0)


def test_a_missing_path_is_refused() -> None:
    with pytest.raises(DataError, match=r"'no/such\.pdf' does not exist"):
        manual_records([Path("no/such.pdf")], 1, seed=0)
