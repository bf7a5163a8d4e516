"""Modules may import only modules of floors below; torch is imported in five places and no other.

`florence2_lab` may import all of `florence2`, and `florence2` nothing of it.

The order is the map of the package: who reads a module needs to know only what stands before it.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "florence2"
LAB = PACKAGE.with_name("florence2_lab")

# From the ground up. A dotted name is a floor of its own, apart from the rest of its folder.
FLOORS = [
    # words and shapes
    *("errors", "geometry", "locations", "tasks", "results", "model.config", "generation"),
    *("answers", "processing", "jobs", "data", "drawing", "engine", "pipelines"),
    # computing
    *("model", "checkpoints", "runtimes"),
    # people's doors
    *("api", "deprecated", "documents", "labelling", "evaluation", "training", "server", "cli"),
]
# Beyond the order: `model` can be copied out and works alone, and the search knows no text.
ALSO_FORBIDDEN = {
    "model": {*FLOORS} - {"errors", "model.config"},
    "generation": {"answers"},
    "answers": {"generation"},
    "engine": {"model"},
    "pipelines": {"model"},
}
# The five places of torch; whoever imports one of these when it is imported itself belongs to them.
TORCH = (
    "model",  # but its config
    "runtimes.pytorch",
    *("checkpoints.adapters", "checkpoints.layouts"),
    *("checkpoints.saving", "checkpoints.weight_files"),
    "training",
    "evaluation.roofline",
)
TORCH_FREE_WITHIN = ("model.config", "training.options", "model.__init__", "training.__init__")


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Yield (dotted name, line) for every absolute import in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)


def module_name(path: Path) -> str:
    """`generation.options` for `generation/options.py`, `generation` for its `__init__.py`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def is_below(module: str, names: tuple[str, ...]) -> bool:
    return any(f"{module}.".startswith(f"{name}.") for name in names)


def may_load_torch(module: str) -> bool:
    return is_below(module, TORCH) and not is_below(module, TORCH_FREE_WITHIN)


def floor_of(module: str) -> str:
    """The floor of a module: the longest name of one that it stands on."""
    return max((floor for floor in FLOORS if is_below(module, (floor,))), key=len, default="")


def faults(here: str, name: str) -> Iterator[str]:
    """What is wrong with module `here` importing `name`."""
    top, _, there = name.partition(".")
    if top == LAB.name:
        yield "the lab is built on the package, never the other way"
    if top != PACKAGE.name or there.split(".")[0] == "__version__":
        return
    mine, other = floor_of(here), floor_of(there)
    if other == mine:
        return
    if not other:
        yield "not in FLOORS"
    elif FLOORS.index(other) > FLOORS.index(mine):
        yield "upwards"
    elif other in ALSO_FORBIDDEN.get(mine, ()):
        yield "forbidden"


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if (name := module_name(path)) not in ("", "__main__"):
            yield name, path


def violations() -> Iterator[str]:
    for here, path in modules():
        if not floor_of(here):
            yield f"{path.relative_to(PACKAGE)}: give it a place in FLOORS"
            continue
        for name, line in imports(path):
            for fault in faults(here, name):
                yield f"{path.relative_to(PACKAGE)}:{line}: may not import {name} ({fault})"


def test_imports_point_downwards() -> None:
    assert list(violations()) == []


@pytest.mark.process
def test_torch_is_imported_in_five_places() -> None:
    """All others load none, also not by way of other libraries or of a package's `__init__`."""
    free = [name for name, _ in modules() if not may_load_torch(name)]
    code = (
        "import importlib, sys, warnings\n"
        "warnings.simplefilter('ignore')\n"
        f"for module in {free!r}:\n"
        f"    importlib.import_module(f'{PACKAGE.name}.{{module}}')\n"
        "    if 'torch' in sys.modules:\n"
        "        sys.exit(f'{module} loads torch')\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.process
def test_the_package_works_without_the_lab_and_its_libraries() -> None:
    """All of its modules are imported where those cannot be."""
    present = [name for name, _ in modules()]
    code = (
        "import importlib, sys, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "for name in ('florence2_lab', 'cv2', 'fontTools', 'resvg_py', 'rapidfuzz'):\n"
        "    sys.modules[name] = None\n"  # an import of it fails
        f"for module in {present!r}:\n"
        f"    importlib.import_module(f'{PACKAGE.name}.{{module}}')\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
