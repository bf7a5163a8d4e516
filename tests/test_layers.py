"""Modules may import only modules to their left; the torch-free ones never load torch.

`florence2_lab` may import all of `florence2`, and `florence2` nothing of it.

The order is the map of the package: who reads a module needs to know only what stands before it.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "src" / "florence2"
LAB = PACKAGE.with_name("florence2_lab")

PURE = [
    *(
        "errors",
        "geometry",
        "locations",
        "tasks",
        "scores",
        "official",
        "results",
        "calibration",
        "answers",
    ),
    *("images", "tokenizer"),
]
ORDER = [
    *PURE,
    *(
        "model",
        "processor",
        "generation",
        "grammars",
        "presence",
        "checkpoints",
        "engine",
        "api",
        "tiling",
        "cascades",
    ),
    *("lettering", "tag_places", "drawing", "contact_sheet"),
    *("data", "formats", "evaluation", "training", "labelling"),
    *("server", "cli"),
]
# Beyond the order: `model` can be copied out and works alone, and the search knows no text.
ALSO_FORBIDDEN = {
    "model": {*ORDER} - {"errors", "model"},
    "generation": {"tokenizer", "processor"},
}
TORCH_FREE = {
    *PURE,
    "lettering",
    "tag_places",
    "drawing",
    "contact_sheet",
    "data.ordering",
    "data.records",
    "generation.options",
    *("tiling.grid", "tiling.seams", "tiling.lines", "tiling.outlines", "tiling.merging"),
    "tiling.second_look",
    "tiling.reading_order",
}


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Yield (dotted name, line) for every absolute import in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)


def module_name(path: Path) -> str:
    """`generation.options` for `generation/options.py`, `draw` for `draw.py`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def is_torch_free(module: str) -> bool:
    return any(f"{module}.".startswith(f"{free}.") for free in TORCH_FREE)


def faults(here: str, name: str) -> Iterator[str]:
    """What is wrong with module `here` importing `name`."""
    top, _, there = name.partition(".")
    if is_torch_free(here) and top == "torch":
        yield "torch-free"
    if top == LAB.name:
        yield "the lab"
    if top != PACKAGE.name:
        return
    layer, other = here.split(".")[0], there.split(".")[0]
    if other == layer or other == "__version__":
        return
    if other not in ORDER:
        yield "not in ORDER"
    elif ORDER.index(other) > ORDER.index(layer):
        yield "upwards"
    elif other in ALSO_FORBIDDEN.get(layer, ()):
        yield "forbidden"
    if is_torch_free(here) and not is_torch_free(there):
        yield "torch-free"


def violations() -> Iterator[str]:
    for path in sorted(PACKAGE.rglob("*.py")):
        here = module_name(path)
        if here.split(".")[0] in ("", "__main__"):
            continue
        if here.split(".")[0] not in ORDER:
            yield f"{path.relative_to(PACKAGE)}: give it a place in ORDER"
            continue
        for name, line in imports(path):
            for fault in faults(here, name):
                yield f"{path.relative_to(PACKAGE)}:{line}: may not import {name} ({fault})"


def test_imports_point_downwards() -> None:
    assert list(violations()) == []


def test_the_package_works_without_the_lab_and_its_libraries() -> None:
    """All of its modules are imported where those cannot be."""
    present = [module_name(path) for path in PACKAGE.rglob("*.py")]
    modules = sorted(f"{PACKAGE.name}.{each}" for each in present if each not in ("", "__main__"))
    code = (
        "import importlib, sys\n"
        "for name in ('florence2_lab', 'cv2', 'fontTools', 'resvg_py', 'rapidfuzz'):\n"
        "    sys.modules[name] = None\n"  # an import of it fails
        f"for module in {modules!r}:\n"
        "    importlib.import_module(module)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_the_torch_free_modules_load_no_torch() -> None:
    """Also not by way of other libraries or of a package's `__init__`."""
    present = [
        f"{PACKAGE.name}.{module}"
        for path in PACKAGE.rglob("*.py")
        if is_torch_free(module := module_name(path))
    ]
    present += [
        ".".join(path.relative_to(LAB.parent).with_suffix("").parts)
        for path in (LAB / "worlds").rglob("*.py")
    ]
    code = (
        "import importlib, sys\n"
        f"for module in {sorted(present)!r}:\n"
        "    importlib.import_module(module)\n"
        "sys.exit('torch was loaded' if 'torch' in sys.modules else 0)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
