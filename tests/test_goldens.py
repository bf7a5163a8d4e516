"""Answers are those of `tests/golden/answers.tsv`: a sample; `scripts/goldens.py` checks all."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from florence2.tasks import Task

goldens = SimpleNamespace(
    **runpy.run_path(str(Path(__file__).parents[1] / "scripts" / "goldens.py"))
)
TASKS = (
    *(Task.CAPTION, Task.OD, Task.OCR_WITH_REGION),
    *(Task.OPEN_VOCABULARY_DETECTION, Task.REGION_TO_SEGMENTATION, Task.REGION_TO_CATEGORY),
)
PICTURES = [goldens.EXAMPLES / name for name in ("line-2.png", "scene-3.png")]
ASKED = "picture", "task", "beams", "precision", "machine"


@pytest.mark.parametrize("precision", goldens.PRECISIONS)
def test_answers_are_the_golden_ones(precision: str) -> None:
    """Ids in float32 are equal with AVX2 and with AVX-512; those in int8 need the same kernels."""
    golden = {row_key(row): row for row in goldens.read_table(goldens.GOLDEN / "answers.tsv")}
    if precision == "int8" and goldens.machine() not in {row["machine"] for row in golden.values()}:
        pytest.skip(f"no int8 answers were written on a machine like this one, {goldens.machine()}")
    rows = list(goldens.answer_rows(TASKS, PICTURES, beams=(1,), precisions=(precision,)))
    assert len(rows) == len(TASKS) * len(PICTURES)
    different = [row for row in rows if not goldens.same(golden[row_key(row)], row)]
    assert not different


def row_key(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(row[name] for name in ASKED)
