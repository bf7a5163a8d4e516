"""Our own records as Parquet: the rows of `jsonl`, with the pictures inside if wanted.

The column `image` is a struct of `bytes` and `path`, which the datasets library of Hugging Face
shows as a picture. `result` is the JSON of `result.to_dict`. Files are read and written in batches,
so a dataset need not fit into memory. Needs `pyarrow` (`florence2[parquet]`).

Other Parquet files of the hub, with a column of pictures and others of texts, objects, classes,
questions or talks, are read as `florence2.data.columns` says.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from florence2.data.class_names import names_of_parquet, names_of_readme
from florence2.data.columns import RowReader, answers_something
from florence2.data.files import (
    JSON_ESCAPES,
    files_of_split,
    optional_library,
    whole_characters,
)
from florence2.data.image_files import PictureFolder, named_picture
from florence2.data.parts import choose_split
from florence2.data.records import Picture, Record
from florence2.data.report import Problem, ReadReport
from florence2.data.row_pictures import PicturePlaces
from florence2.data.rows import asked_record, record_row
from florence2.errors import DataError, Florence2Error
from florence2.geometry import Size
from florence2.processing.images import open_image
from florence2.tasks import Task

REQUIRED_COLUMNS = ("image", "task", "text_input", "region", "result")
JSON_COLUMNS = ("result", "ignored", "federated")
COLUMNS = (*REQUIRED_COLUMNS, "source", "prompt", "ignored", "federated")
ROWS_AT_ONCE = 64


def read_parquet(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield the records of a file, or of all files of a folder in the order of their names."""
    parquet = optional_library("pyarrow.parquet", "parquet")
    for file in _files(path, split):
        try:
            table = parquet.ParquetFile(file)
        except (OSError, ValueError) as error:  # pyarrow's ArrowInvalid is a ValueError
            raise DataError(f"file {str(file)!r} cannot be read as Parquet ({error})") from error
        with table:
            columns = table.schema_arrow.names
            if set(REQUIRED_COLUMNS) <= set(columns):
                for where, row in _rows(table, file):
                    if found := _picture(row, file.parent, report, where):
                        yield from asked_record(row, *found, where, tasks, report)
            elif answers_something(columns):
                yield from _hub_records(table, file, path, tasks, report)
            else:
                raise DataError(
                    f"file {str(file)!r} has the columns {', '.join(columns)}; records have"
                    f" {', '.join(COLUMNS)}, other datasets image beside one of text, objects,"
                    " label, question and answers, or messages"
                )


def _rows(table: Any, file: Path, columns: list[str] | None = None) -> Iterator[tuple[str, Any]]:
    number = 0
    for batch in table.iter_batches(batch_size=ROWS_AT_ONCE, columns=columns):
        for row in batch.to_pylist():
            number += 1
            yield f"{file.name}, row {number}", row


def _hub_records(
    table: Any, file: Path, path: Path, tasks: Sequence[Task], report: ReadReport
) -> Iterator[Record]:
    """Yield the records of a file that others made."""
    root = path if path.is_dir() else file.parent
    names = {**names_of_readme(root), **names_of_parquet(table.schema_arrow.metadata)}
    reader = RowReader(PicturePlaces(file, root), report, tasks, names)
    needed = None  # of the columns to look at boxes; pictures only where nothing tells their sizes
    columns = table.schema_arrow.names
    if "objects" in columns:
        if {"width", "height"} <= set(columns):
            needed = ["objects", "width", "height"]
        reader.look_at_boxes(file.name, partial(_rows, table, file, needed))
    for where, row in _rows(table, file):
        yield from reader.records(row, where)


def _files(path: Path, split: str | None) -> list[Path]:
    if path.is_file():
        choose_split((), split, path)
        return [path]
    files = sorted(path.rglob("*.parquet"))
    if not files:
        raise DataError(f"folder {str(path)!r} holds no *.parquet; check the path")
    return files_of_split(files, path, split)


def _picture(
    row: dict[str, Any], folder: Path, report: ReadReport, where: str
) -> tuple[Picture, Size] | None:
    """Return the picture of a row and its size, and read the JSON of its result."""
    image = row["image"] or {}
    try:
        for name in JSON_COLUMNS:
            row[name] = json.loads(row.get(name) or "null")
        if data := image.get("bytes"):
            opened = open_image(data)
            return np.asarray(opened), opened.size
    except Florence2Error as error:
        report.add(Problem.PICTURE, where, error)
        return None
    except (TypeError, ValueError, AttributeError) as error:
        report.add(Problem.ROW, where, f"this is no row of a record ({error})")
        return None
    return named_picture(image.get("path") or "", (folder,), report, where)


def write_parquet(records: Iterable[Record], path: Path, *, embed: bool = True) -> None:
    """Write records in batches.

    Args:
        records: what to write.
        path: the file.
        embed: put the bytes of the pictures into the file. Otherwise it tells their paths, and
            pictures that have no file are saved as PNG in the folder `<name of the file>_images`.
    """
    arrow = optional_library("pyarrow", "parquet")
    parquet = optional_library("pyarrow.parquet", "parquet")
    text = arrow.string()
    image = arrow.struct([("bytes", arrow.binary()), ("path", text)])
    types = (image, text, text, arrow.list_(arrow.float64()), *(text,) * 5)
    schema = arrow.schema(list(zip(COLUMNS, types, strict=True)))
    pictures = PictureFolder.beside(path)
    remaining = iter(records)
    with parquet.ParquetWriter(path, schema) as writer:
        while batch := list(islice(remaining, ROWS_AT_ONCE)):
            rows = [
                {
                    **(row := record_row(record)),
                    "source": record.source.encode(errors=JSON_ESCAPES).decode(),
                    **{
                        name: json.dumps(row[name], allow_nan=False)
                        for name in JSON_COLUMNS
                        if name in row
                    },
                    "image": _embedded(record)
                    if embed
                    else {"path": _unicode(pictures.name_of(record))},
                }
                for record in batch
            ]
            writer.write_table(arrow.Table.from_pylist(rows, schema=schema))


def _unicode(name: str) -> str:
    return whole_characters(name, "a Parquet file")


def _embedded(record: Record) -> dict[str, Any]:
    if isinstance(record.image, Path):
        return {"bytes": record.image.read_bytes(), "path": _unicode(record.image.name)}
    file = BytesIO()
    record.picture().save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}
