"""Rows of pictures and texts, in whichever file people keep them: JSON lines, a list, a table.

    {"image": "1.jpg", "question": "What is the total?", "answers": ["12.50"]}
    {"messages": [{"role": "user", "content": "<image>How many?"}, ...], "images": ["1.jpg"]}
    image,caption

`florence2.data.columns` says what becomes of a row, by the names of its columns.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from florence2.data.class_names import names_of_readme
from florence2.data.columns import RowReader
from florence2.data.records import Record
from florence2.data.report import ReadReport
from florence2.data.row_files import TABLES, find_rows, mentions, read_rows
from florence2.data.row_pictures import PicturePlaces
from florence2.tasks import Task


def read_row_file(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield the records of a file, or of the one that a folder holds."""
    file = find_rows(path, "rows", split, report)
    root = path if path.is_dir() else file.parent
    reader = RowReader(
        PicturePlaces(file, root),
        report,
        tasks,
        names_of_readme(root),
        letters=file.suffix.lower() in TABLES,
    )
    if mentions(file, "objects"):
        reader.look_at_boxes(file.name, partial(read_rows, file, ReadReport()))
    for where, row in read_rows(file, report):
        yield from reader.records(row, where)
