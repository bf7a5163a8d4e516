"""Run the cells of examples/quickstart.ipynb and write what they show into it, and the first
picture of the README.

python scripts/make_quickstart.py

The pictures that a notebook shows are stored as WebP, small enough for a repository.
"""

import ast
import base64
import io
import json
import os
import re
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from PIL import Image

from florence2.drawing.contact_sheet import contact_sheet, sheet_tile

NOTEBOOK = Path(__file__).parents[1] / "examples" / "quickstart.ipynb"
PICTURE = NOTEBOOK.parents[1] / "docs" / "first-answers.jpg"
_PNG = re.compile("data:image/png;base64,([A-Za-z0-9+/=]+)")


def run_cell(source: str, names: dict[str, Any]) -> tuple[str, Any]:
    """Run a cell as a notebook does: what it printed, and the value of its last line."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(compile(tree, "cell", "exec"), names)
        value = None
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    return printed.getvalue(), value


def outputs_of(printed: str, value: Any, number: int) -> list[dict[str, Any]]:
    """What a notebook stores of a cell."""
    outputs: list[dict[str, Any]] = []
    if printed:
        text = printed.splitlines(keepends=True)
        outputs.append({"output_type": "stream", "name": "stdout", "text": text})
    if value is not None:
        shown = {"text/plain": [repr(value)]}
        if hasattr(value, "_repr_html_"):
            shown["text/html"] = [_PNG.sub(_as_webp, value._repr_html_())]
        kind = {"output_type": "execute_result", "execution_count": number, "metadata": {}}
        outputs.append({**kind, "data": shown})
    return outputs


def _as_webp(found: re.Match[str]) -> str:
    data = io.BytesIO()
    Image.open(io.BytesIO(base64.b64decode(found[1]))).save(data, "WEBP", quality=80)
    return "data:image/webp;base64," + base64.b64encode(data.getvalue()).decode()


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def main() -> None:
    os.chdir(NOTEBOOK.parent)
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    names: dict[str, Any] = {}
    for number, cell in enumerate(code_cells(notebook), start=1):
        printed, value = run_cell("".join(cell["source"]), names)
        cell["execution_count"] = number
        cell["outputs"] = outputs_of(printed, value, number)
    drawn = [
        names["model"].ocr("line-4.png").draw(),
        names["found"].draw(),
        names["model"].segment("scene-1.png", "balloon").draw(),
        names["model"].run("scene-6.png", "dense_region_caption", min_score=0.08).draw(),
    ]
    page = contact_sheet([sheet_tile(each, 230) for each in drawn], 1425)
    page.save(PICTURE, quality=85)
    text = json.dumps(notebook, indent=1, ensure_ascii=False)
    NOTEBOOK.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
