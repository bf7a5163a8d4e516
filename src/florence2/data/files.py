"""Files of a dataset: their text and rows, and the libraries that only some need."""

import codecs
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import orjson

from florence2.data.parts import choose_split, divide_named
from florence2.data.report import Problem, ReadReport
from florence2.errors import DataError, writing


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
    """Return the one file meant by a path, as `find_files` finds it.

    Raises:
        DataError: if there are several.
    """
    files = find_files(path, patterns, split, report, accept)
    if len(files) > 1:
        names = ", ".join(str(file.relative_to(path)) for file in files)
        raise DataError(f"folder {str(path)!r} holds {names}; give the path of one of them")
    return files[0]


def find_files(
    path: Path,
    patterns: Sequence[str],
    split: str | None,
    report: ReadReport,
    accept: Callable[[Path], bool] = Path.is_file,
) -> list[Path]:
    """Return the files meant by a path: itself, or all that match the first good pattern.

    Args:
        path: a file or folder.
        patterns: names to look for in a folder, the surest first.
        split: the part to read, where several files are parts of a dataset.
        report: is told the part.
        accept: what files of the format are; all are taken if none is one.
    """
    if path.is_file():
        choose_split((), split, path)
        return [path]
    matches = [
        sorted(file for file in path.glob(pattern) if file.is_file()) for pattern in patterns
    ]
    accepted = [[file for file in found if accept(file)] for found in matches]
    for files in (*accepted, *matches):
        if files:
            parts = divide_named(files, path)
            report.part = choose_split(parts, split, path)
            return parts[report.part]
    raise DataError(f"folder {str(path)!r} holds no {' or '.join(patterns)}; check the path")


def read_text(path: Path) -> str:
    """Read UTF-8 text, or text of the kind that its byte order mark tells."""
    try:
        return decode_text(path.read_bytes())
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"file {str(path)!r} cannot be read as UTF-8 text ({error})") from error


def read_json(path: Path) -> Any:
    """Read a file of JSON, of a text as `read_text` takes it."""
    try:
        return parse_json(read_text(path))
    except (ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"file {str(path)!r} is no JSON ({error})") from error


# What Notepad, Excel and PowerShell begin their files with; UTF-32's begins with UTF-16's.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


MOST_AT_ONCE = 2**28  # characters of JSON

JSON_ESCAPES = "backslashreplace"
"""How a name that is no UTF-8 gets into JSON: as `\\udce9`, which Python's json reads back."""


def encoding_of(start: bytes) -> str:
    """The encoding that a text's byte order mark tells, UTF-8 without one.

    >>> encoding_of("1,2".encode("utf-16")), encoding_of(b"1,2")
    ('utf-16', 'utf-8')
    """
    return next((name for mark, name in _MARKS.items() if start.startswith(mark)), "utf-8")


def decode_text(data: bytes) -> str:
    """Decode a text file, whose lines may end as those of Windows do.

    Raises:
        UnicodeDecodeError: it is neither UTF-8 nor what its byte order mark tells.
    """
    text = data.decode(encoding_of(data))
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def text_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file in UTF-8, without its byte order mark."""
    with path.open("rb") as file:
        encoding = encoding_of(file.read(4))
    if encoding == "utf-8":
        with path.open("rb") as file:
            yield from file
        return
    with path.open(encoding=encoding, errors="replace") as text:
        for line in text:
            yield line.encode()


def parse_json(text: str) -> Any:
    """Parse JSON, in half the time of Python's own parser.

    That takes what `orjson` refuses (NaN, halves of characters), and long texts, for which
    `orjson` needs half as much memory again.

    Raises:
        ValueError: it is no JSON.
    """
    if len(text) > MOST_AT_ONCE:
        return json.loads(text)
    try:
        return orjson.loads(text)
    except ValueError:
        return json.loads(text)


def read_json_lines(path: Path, report: ReadReport) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield `("file.jsonl, line 3", object)`; blank lines mean nothing, bad ones are counted."""
    try:
        for number, line in enumerate(text_lines(path), start=1):
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
    with (
        writing(path),
        path.open("w", encoding="utf-8", errors=JSON_ESCAPES, newline="\n") as file,
    ):
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
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise DataError(f"{what} is {value!r}; give a plain number")
    return found


def whole_characters(name: str, file: str) -> str:
    """A name that a file can hold whose text is Unicode alone."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(
            f"picture {name!r} has a name that is no UTF-8, which {file} cannot hold; rename it"
        ) from None
    return name


def optional_library(name: str, extra: str) -> Any:
    """Import a library that only some formats need."""
    try:
        return import_module(name)
    except ImportError as error:
        raise DataError(
            f"this format needs the library {name!r}, which is not installed; install "
            f"'florence2[{extra}]'"
        ) from error
