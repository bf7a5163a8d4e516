"""The metadata of kohya's scripts: captions and tags by the path of the picture.

    {"/train/img/1": {"caption": "a cat", "tags": "cat, mat", "train_resolution": [64, 64]}}

Paths are those of the machine that made the file, with or without suffix. Where a picture has a
caption, its tags are left out; where it has tags alone, they are its caption.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from florence2.data.columns import RowReader
from florence2.data.files import read_json
from florence2.data.objects import chosen_tasks
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.data.row_files import find_rows
from florence2.data.row_pictures import PicturePlaces
from florence2.errors import DataError
from florence2.tasks import CAPTION_TASKS, Task


def read_kohya(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield one record for each caption of a file, or of the one that a folder holds."""
    chosen = chosen_tasks(tasks, CAPTION_TASKS, Task.CAPTION, f"dataset {str(path)!r}")
    file = find_rows(path, "kohya", split, report)
    rows = read_json(file)
    if not isinstance(rows, dict):
        raise DataError(f"file {str(file)!r} is no object of pictures; kohya's scripts write one")
    root = path if path.is_dir() else file.parent
    reader = RowReader(PicturePlaces(file, root), report, chosen)
    for name, row in rows.items():
        where = f"{file.name}, {name!r}"
        if not isinstance(row, dict):
            report.add(Problem.ROW, where, "this is no JSON object")
            continue
        given = row.get("caption") or row.get("tags")
        if row.get("caption") and row.get("tags") and Problem.COLUMN not in report.counts:
            report.add(Problem.COLUMN, where, "'tags' are left out where there is a caption")
        yield from reader.records({"image": name, "caption": given}, where)
