"""Our own records as JSON lines: one record a line, streamed, equal again when read.

    {"image": "pictures/1.jpg", "task": "<OD>", "text_input": "", "region": null,
     "result": {"type": "boxes", "xyxy": [[1, 2, 3, 4]], ...}, "source": "1.jpg"}

`image` is relative to the file, `result` is what `result.to_dict` writes. The order of objects is
kept: what is written is what a model is trained on.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from florence2.data.files import field_of, find_file, read_json_lines, write_json_lines
from florence2.data.image_files import PictureFolder, named_picture
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.data.rows import asked_record, record_row
from florence2.errors import Florence2Error
from florence2.tasks import Task

PATTERNS = ("*.jsonl", "*/*.jsonl")


def read_jsonl(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield the records of a file, or of those `tasks` only."""
    file = find_file(path, PATTERNS, split, report)
    for where, row in read_json_lines(file, report):
        try:
            name = field_of(row, "image")
        except Florence2Error as error:
            report.add(Problem.ROW, where, error)
            continue
        if found := named_picture(name, (file.parent,), report, where):
            yield from asked_record(row, *found, where, tasks, report)


def write_jsonl(records: Iterable[Record], path: Path) -> None:
    """Write records one by one.

    Pictures that have no file are saved as PNG in the folder `<name of the file>_images`.
    """
    pictures = PictureFolder.beside(path)
    rows = ({"image": pictures.name_of(record), **record_row(record)} for record in records)
    write_json_lines(rows, path)
