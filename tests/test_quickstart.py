"""The notebook of examples/ runs, and what is stored in it is what it shows."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
from make_quickstart import NOTEBOOK, code_cells, run_cell  # noqa: E402


@pytest.mark.slow
def test_the_notebook_runs_and_shows_what_it_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(NOTEBOOK.parent)
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    names: dict[str, Any] = {}
    shown = 0
    for cell in code_cells(notebook):
        printed, value = run_cell("".join(cell["source"]), names)
        stored = {each["output_type"]: each for each in cell["outputs"]}
        assert bool(printed) == ("stream" in stored)
        assert (value is not None) == ("execute_result" in stored)
        if hasattr(value, "_repr_html_"):
            html = value._repr_html_()
            assert "<img" in html and type(value).__name__ in str(stored["execute_result"])
            shown += 1
    assert shown >= 3
