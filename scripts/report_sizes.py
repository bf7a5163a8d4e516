"""Print how large the code is next to the aims in the style: a report, never a gate."""

import ast
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
AIMS = {"file": 400, "function": 45, "package": 20000, "model": 1300}


def count_lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def function_lengths(path: Path) -> list[tuple[int, str]]:
    nodes = ast.walk(ast.parse(path.read_text()))
    functions = [n for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [((n.end_lineno or n.lineno) - n.lineno + 1, f"{path.name}:{n.name}") for n in functions]


def main() -> None:
    files = sorted((ROOT / "src").rglob("*.py"))
    sizes = {path: count_lines(path) for path in files}
    lengths = sorted(length for path in files for length in function_lengths(path))
    model = sum(size for path, size in sizes.items() if path.parent.name == "model")
    tests = sum(count_lines(path) for path in (ROOT / "tests").rglob("*.py"))
    lab = sum(size for path, size in sizes.items() if "florence2_lab" in path.parts)
    core = sum(sizes.values()) - lab
    print(f"florence2 {core} lines (aim {AIMS['package']}), florence2_lab {lab}, tests {tests}")
    print(f"model/ {model} lines (aim {AIMS['model']})")
    functions = [length for length, _ in lengths]
    print(f"functions: median {median(functions):.0f} lines, longest {lengths[-1]}")
    for path, size in sizes.items():
        if size > AIMS["file"]:
            print(f"long file: {path.relative_to(ROOT)} {size} lines (aim {AIMS['file']})")
    for length, name in lengths:
        if length > AIMS["function"]:
            print(f"long function: {name} {length} lines (aim {AIMS['function']})")


if __name__ == "__main__":
    main()
