"""The surface of the package: what it exports and what importing it costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import florence2


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_every_exported_name_exists() -> None:
    for name in florence2.__all__:
        assert getattr(florence2, name) is not None


def test_type_checkers_see_every_name_where_it_is_bound_from() -> None:
    tree = ast.parse(Path(florence2.__file__).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    seen = {alias.asname: node.module for node in imports for alias in node.names if alias.asname}
    assert seen == {name: f"florence2.{home}" for name, home in florence2._HOME_OF.items()}


def test_unknown_names_raise_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Florence3'"):
        _ = florence2.Florence3


@pytest.mark.process
@pytest.mark.parametrize(
    "code",
    [
        "import florence2",
        "from florence2 import Task, parse_answer, GenerationOptions, draw, Boxes",
        "from florence2.cli.main import build_parser; build_parser().format_help()",
        "import florence2.checkpoints",
    ],
)
def test_the_core_and_the_command_line_load_no_torch(code: str) -> None:
    assert run_python(f"import sys; {code}; print('torch' in sys.modules)") == "False"


@pytest.mark.process
def test_importing_the_package_loads_no_library() -> None:
    code = "import sys, florence2; print({'numpy', 'PIL', 'tokenizers'} & set(sys.modules))"
    assert run_python(code) == "set()"
