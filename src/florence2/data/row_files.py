"""Files of rows: JSON lines, a list of JSON, or a table with commas, tabs, semicolons or bars."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from florence2.data.files import read_json, read_json_lines, read_text
from florence2.data.image_files import files_in, is_picture
from florence2.data.parts import choose_split, divide_named
from florence2.data.recognition import IAM_LINE, format_of_rows, is_iam
from florence2.data.report import Problem, ReadReport
from florence2.errors import DataError, first_few

Row = dict[str, Any]
TABLES = (".csv", ".tsv", ".txt")
SUFFIXES = (".jsonl", ".json", *TABLES)
_LISTS = ("data", "rows", "samples", "examples", "annotations", "questions")
_CHUNK = 1 << 20
_DIVIDERS = (",", "\t", ";", "|")
IAM_WORD = 3  # hyphens in the name of a word; lines have two
_SENTENCE = 4  # words; a class or a word in a picture has fewer
# Lists of lines and words for recognition: gt.txt of ICDAR, rec_gt_train.txt of PaddleOCR.
_GT, _GT_NAME = "transcription", re.compile(r"(^|[\W_])(gt|ocr|transcriptions?)([\W_]|$)")
_WORD = re.compile(r"[^\W\d_]+")
_NUMBERED = re.compile(r"#\d+$")  # a.jpg#0 of Flickr8k


def find_rows(path: Path, format: str, split: str | None, report: ReadReport) -> Path:
    """Return the file of rows of a format: the path, or the one of a folder that lies highest.

    Raises:
        DataError: there is none, or several that are no parts of a dataset.
    """
    if path.is_file():
        choose_split((), split, path)
        return path
    files = files_in(path)
    stems = {file.with_suffix("") for file in files if is_picture(file)}
    found = [
        file
        for file in files
        if file.suffix.lower() in SUFFIXES
        and (file.suffix.lower() != ".txt" or file.with_suffix("") not in stems)
        and format_of_rows(file) == format
    ]
    if not found:
        raise DataError(
            f"folder {str(path)!r} holds no file of the format {format!r} ({', '.join(SUFFIXES)};"
            " docs/data.md shows it); give the path of one"
        )
    depth = min(len(file.parts) for file in found)
    parts = divide_named([file for file in found if len(file.parts) == depth], path)
    report.part = choose_split(parts, split, path)
    if len(parts[report.part]) > 1:
        names = first_few([file.relative_to(path).as_posix() for file in parts[report.part]])
        raise DataError(f"folder {str(path)!r} holds {names}; give the path of one of them")
    return parts[report.part][0]


def read_rows(file: Path, report: ReadReport) -> Iterator[tuple[str, Row]]:
    """Yield `("file.csv, line 3", row)` for each row of a file; bad rows are counted."""
    suffix = file.suffix.lower()
    if suffix == ".jsonl":
        yield from read_json_lines(file, report)
    elif suffix == ".json":
        yield from _json_rows(file, report)
    elif suffix in TABLES:
        yield from _table_rows(file, report)
    else:
        raise DataError(f"file {str(file)!r} holds no rows; give one of {', '.join(SUFFIXES)}")


def mentions(file: Path, word: str) -> bool:
    """Tell whether a file holds a word, in any of the encodings that are read."""
    codes = [word.encode(name) for name in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le")]
    rest = b""
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            if any(code in rest + chunk for code in codes):
                return True
            rest = chunk[-4 * len(word) :]
    return False


def _json_rows(file: Path, report: ReadReport) -> Iterator[tuple[str, Row]]:
    try:
        data = read_json(file)
    except DataError:
        if not _begins_with_an_object(file):
            raise
        yield from read_json_lines(file, report)  # lines under the name of a list
        return
    for place, row in _rows_of(data, file):
        where = f"{file.name}, {place}"
        if isinstance(row, dict):
            yield where, row
        else:
            report.add(Problem.ROW, where, "this is no JSON object")


def _begins_with_an_object(file: Path) -> bool:
    line = next((line for line in read_text(file).splitlines() if line.strip()), "")
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _rows_of(data: Any, file: Path) -> Iterator[tuple[str, Any]]:
    """The rows of a list, of the list in an object, or of an object of objects."""
    if isinstance(data, dict):
        lists = {key: value for key, value in data.items() if isinstance(value, list)}
        held = [key for key in lists if any(isinstance(row, dict) for row in lists[key])]
        name = next((key for key in _LISTS if key in held), held[0] if len(held) == 1 else None)
        if name is not None:
            yield from ((f"{name}[{index}]", row) for index, row in enumerate(lists[name]))
            return
        if data and all(isinstance(row, dict) for row in data.values()):
            yield from ((f"row {key!r}", row) for key, row in data.items())
            return
        data = [data]
    if not isinstance(data, list):
        raise DataError(f"file {str(file)!r} holds no list of rows; write one object for each")
    yield from ((f"row {index}", row) for index, row in enumerate(data))


@dataclass(frozen=True)
class Table:
    """A table as it was written.

    Attributes:
        columns: their names; `None` where the first row is one of a picture already.
        rows: the line each ends with, and its cells, not always as many as columns.
    """

    columns: tuple[str, ...] | None
    rows: list[tuple[int, list[str]]]


def read_table(file: Path) -> Table:
    """Read a table whose divider is the one that most of its rows agree upon.

    Cells in quotation marks may hold dividers and line feeds. Where such marks do not close, or
    would swallow whole rows, they are letters like others. A text without marks that holds the
    divider is put together again, where it is clear which cell it is.
    """
    text = read_text(file)
    first = next((line for line in text.splitlines() if line.strip()), "")
    order = ("\t", *_DIVIDERS) if file.suffix.lower() == ".tsv" else _DIVIDERS
    tables = {each: _parsed(text, each) for each in dict.fromkeys(order) if each in first}
    tables = {each: rows for each, rows in tables.items() if rows and len(rows[0][1]) > 1}
    if not tables:
        tables = {" ": _parsed_by_spaces(text)}
        if first and not tables[" "]:
            raise DataError(
                f"file {str(file)!r} is no table: its first line {first[:80]!r} has no comma, tab,"
                " semicolon or bar between two columns"
            )
    divider = max(tables, key=lambda each: _agreement(tables[each]))
    rows = tables[divider]
    columns = None
    if rows and not any(map(_names_picture, (*rows[0][1], rows[0][1][0].split(" ")[0]))):
        columns = tuple(cell.strip() for cell in rows[0][1])
        rows = rows[1:]
    width = len(columns or ()) or _common_width(rows)
    lines = text.split("\n")
    rows = [(at, _joined(cells, width, lines[at - 1], divider)) for at, cells in rows]
    return Table(columns, rows)


def _common_width(rows: Sequence[tuple[int, list[str]]]) -> int:
    widths = Counter(len(cells) for _, cells in rows)
    return min((width for width in widths if widths[width] == max(widths.values())), default=0)


def _agreement(rows: Sequence[tuple[int, list[str]]]) -> tuple[bool, float]:
    """How well rows fit their first one: whether pictures are named apart, and equal widths."""
    width = len(rows[0][1]) if rows else 0
    apart = any(_names_picture(cell) for _, cells in rows for cell in cells)
    return apart, sum(len(cells) == width for _, cells in rows) / max(1, len(rows))


def _joined(cells: list[str], width: int, line: str, divider: str) -> list[str]:
    """The cells of a row whose text holds the divider; as they are where it may be any of them."""
    if len(cells) <= width or '"' in line:
        return cells
    if _names_picture(cells[-1]) and width == 2:
        head, _, name = line.rpartition(divider)
        return [head.strip(), name.strip()]
    if _names_picture(cells[0]) or width == 2:
        return [cell.strip() for cell in line.split(divider, width - 1)]
    return cells


def _names_picture(cell: str) -> bool:
    return is_picture(Path(_NUMBERED.sub("", cell.strip())))


def _parsed(text: str, divider: str) -> list[tuple[int, list[str]]]:
    mark = re.escape(divider)
    swallowed = re.compile(rf"\n[^\n{mark}]+\.\w{{2,4}}(#\d+)?{mark}")
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
        reader = csv.reader(
            io.StringIO(text, newline=""),
            delimiter=divider,
            quoting=quoting,
            strict=True,
            skipinitialspace=True,
        )
        try:
            rows = [(reader.line_num, cells) for cells in reader if any(map(str.strip, cells))]
        except csv.Error:
            continue
        if quoting == csv.QUOTE_NONE:
            return [(number, [_unquoted(cell) for cell in cells]) for number, cells in rows]
        if not any(swallowed.search(cell) for _, cells in rows for cell in cells):
            return rows
    return []


def _unquoted(cell: str) -> str:
    text = cell.strip()
    is_quoted = len(text) > 1 and text[0] == text[-1] == '"'
    return text[1:-1].replace('""', '"') if is_quoted else cell


def _parsed_by_spaces(text: str) -> list[tuple[int, list[str]]]:
    """Rows of a picture's name, a space and a text."""
    rows = [
        (number, [_unquoted(cell) for cell in line.strip().split(maxsplit=1)])
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    ]
    return rows if rows and all(_names_picture(cells[0]) for _, cells in rows) else []


def _table_rows(file: Path, report: ReadReport) -> Iterator[tuple[str, Row]]:
    text = read_text(file)
    if is_iam(text):
        yield from ((f"{file.name}, line {number}", row) for number, row in _iam_rows(text))
        return
    table = read_table(file)
    columns = table.columns or _guessed_columns(table.rows, file, report)
    flags = _flag_columns(table)
    for number, cells in table.rows:
        where = f"{file.name}, line {number}"
        if len(cells) == len(columns):
            row: Row = dict(zip(columns, cells, strict=True))
            if flags:
                row["label"] = [name for name in flags if row.pop(name).strip() == "1"]
            yield where, row
            continue
        what = f"{len(cells)} cells for the {len(columns)} columns {', '.join(columns)}"
        report.add(Problem.ROW, where, f"{what}: {cells!r}")


def _flag_columns(table: Table) -> list[str]:
    """The columns that are classes: all but the first, of 0 and 1 alone (Roboflow)."""
    if table.columns is None or len(table.columns) < 3:
        return []
    cells = {cell.strip() for _, row in table.rows for cell in row[1:]}
    return list(table.columns[1:]) if cells == {"0", "1"} else []


def _iam_rows(text: str) -> Iterator[tuple[int, Row]]:
    """The rows of a list of the IAM database, whose texts have bars for spaces.

    A word marked `err` was cut from its page in the wrong place: its text is no answer.
    """
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        row = IAM_LINE.fullmatch(line)
        if row is None:
            yield number, {"line": line}
            continue
        name, state, words = row.groups()
        lost = state == "err" and name.count("-") == IAM_WORD
        yield number, {"image": name, "transcription": None if lost else words.replace("|", " ")}


def _guessed_columns(
    rows: Sequence[tuple[int, list[str]]], file: Path, report: ReadReport
) -> tuple[str, ...]:
    """Names for the columns of a table without any: the picture, its caption, and unknown ones."""
    width = _common_width(rows)
    same = [cells for _, cells in rows if len(cells) == width]
    if not same:
        return ()
    names = [f"column {number}" for number in range(1, width + 1)]
    pictures = [sum(_names_picture(cells[at]) for cells in same) for at in range(width)]
    names[pictures.index(max(pictures))] = "image"
    others = [at for at, name in enumerate(names) if name != "image"]
    if len(others) > 1:  # beside the number of a caption
        others = [at for at in others if not all(cells[at].strip().isdecimal() for cells in same)]
    if len(others) == 1:
        kind = _GT if _GT_NAME.search(file.stem) else None
        long = sum(len(_WORD.findall(cells[others[0]])) >= _SENTENCE for cells in same)
        if kind is None and 2 * long > len(same):
            kind = "caption"
        if kind is not None:
            names[others[0]] = kind
            what = "by the name of the file" if kind == _GT else "as most have four words or more"
            what = f"no line names its columns; column {others[0] + 1} is taken for {kind}, {what}"
            report.add(Problem.COLUMN, file.name, what)
    return tuple(names)
