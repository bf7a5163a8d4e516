"""Image folders of Hugging Face: pictures, and `metadata.jsonl` or `metadata.csv` beside them.

    {"file_name": "1.jpg", "text": "a cat"}
    {"file_name": "2.jpg", "objects": {"bbox": [[302, 109, 73, 52]], "categories": ["cat"]}}

The files lie in the folder or in those inside, such as `train`. Where one file tells of pictures in
several parts, the folders of the pictures are the parts. Classes given as numbers are called as
`dataset_info` in README.md says.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from florence2.data.class_names import names_of_readme
from florence2.data.columns import RowReader, picture_cell
from florence2.data.files import files_of_split
from florence2.data.image_files import files_in, pictures_in
from florence2.data.parts import choose_split, divide
from florence2.data.records import Record
from florence2.data.report import ReadReport
from florence2.data.row_files import mentions, read_rows
from florence2.data.row_objects import plain_column
from florence2.data.row_pictures import PicturePlaces, RowPicture
from florence2.errors import DataError
from florence2.tasks import Task

NAMES = ("metadata.jsonl", "metadata.csv")


def read_image_folder(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield the records of all metadata in a folder and in those inside, or of one file."""
    root = path if path.is_dir() else path.parent
    files = [path] if path.is_file() else [file for file in files_in(path) if file.name in NAMES]
    if not files:
        raise DataError(f"folder {str(path)!r} holds no {' or '.join(NAMES)}; check the path")
    pictures = divide(pictures_in(root, deep=True), root)
    own: set[Path] | None = None  # pictures of the part, where rows of all parts stand together
    if set(divide(files, root)) == {None} and set(pictures) != {None}:
        report.part = choose_split(pictures, split, path)
        own = set(pictures[report.part])
    else:
        report.part = choose_split(divide(files, root), split, path)
        files = files_of_split(files, root, split)
    names = names_of_readme(root)
    for file in files:
        places = PicturePlaces(file, file.parent)
        reader = RowReader(places, report, tasks, names)
        if mentions(file, "objects"):
            reader.look_at_boxes(file.name, partial(read_rows, file, ReadReport()))
        for where, row in read_rows(file, report):
            if own is not None:
                cells = {plain_column(key): value for key, value in row.items()}
                picture = RowPicture(picture_cell(cells), places, where).path()
                if picture is not None and picture not in own:
                    continue  # of another part, and told with it
            yield from reader.records(row, where)
