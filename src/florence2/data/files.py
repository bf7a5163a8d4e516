"""Files of a dataset: their text and rows, and the libraries that only some need."""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from florence2.data.parts import choose_split, divide_named
from florence2.data.report import Problem, ReadReport
from florence2.errors import DataError


def files_of_split(files: Sequence[Path], root: Path, split: str | None) -> list[Path]:
    """Return those of the files of a dataset that belong to the part to read."""
    parts = divide_named(files, root)
    return parts[choose_split(parts, split, root)]


def find_file(
    path: Path,
    patterns: Sequence[str],
    split: str | None,
    report: ReadReport,
    accept: Callable[[Path], bool] = Path.is_file,
) -> Path:
    """Return the one file meant by a path: itself, or the only match of the first good pattern.

    Args:
        path: a file or folder.
        patterns: names to look for in a folder, the surest first.
        split: the part to read, where several files are parts of a dataset.
        report: is told the part.
        accept: what files of the format are; all are taken if none is one.
    """
    if path.is_file():
        choose_split((), split, path)
        return path
    matches = [
        sorted(file for file in path.glob(pattern) if file.is_file()) for pattern in patterns
    ]
    accepted = [[file for file in found if accept(file)] for found in matches]
    for files in (*accepted, *matches):
        if files:
            parts = divide_named(files, path)
            report.part = choose_split(parts, split, path)
            files = parts[report.part]
            if len(files) > 1:
                names = ", ".join(str(file.relative_to(path)) for file in files)
                raise DataError(f"folder {str(path)!r} holds {names}; give the path of one of them")
            return files[0]
    raise DataError(f"folder {str(path)!r} holds no {' or '.join(patterns)}; check the path")


def read_text(path: Path) -> str:
    """Read UTF-8 text, with or without a byte order mark."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"file {str(path)!r} cannot be read as UTF-8 text ({error})") from error


def read_json_lines(path: Path, report: ReadReport) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield `("file.jsonl, line 3", object)`; blank lines mean nothing, bad ones are counted."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if not line.strip():
                    continue
                where = f"{path.name}, line {number}"
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError) as error:
                    report.add(Problem.ROW, where, f"this is no JSON ({error})")
                    continue
                if isinstance(row, dict):
                    yield where, row
                else:
                    report.add(Problem.ROW, where, "this is no JSON object")
    except OSError as error:
        raise DataError(f"file {str(path)!r} cannot be read ({error})") from error


def write_json_lines(rows: Iterable[dict[str, Any]], path: Path) -> None:
    """Write one JSON object a line."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def field_of(row: dict[str, Any], name: str, default: str | None = None) -> str:
    """Return a text field of a row."""
    value = row.get(name, default)
    if not isinstance(value, str):
        raise DataError(f"field {name!r} is {value!r}; give a text")
    return value


def number(value: Any, what: str) -> float:
    """Return a number that a file gives as number or text."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise DataError(f"{what} is {value!r}; give a plain number")
    return found


def optional_library(name: str, extra: str) -> Any:
    """Import a library that only some formats need."""
    try:
        return import_module(name)
    except ImportError as error:
        raise DataError(
            f"this format needs the library {name!r}, which is not installed; install "
            f"'florence2[{extra}]'"
        ) from error
