"""Folders without annotation files: captions beside pictures, and one folder for each class.

Captions: `a.jpg` and `a.txt` (or `a.caption`), a record of `<CAPTION>`, or of another caption task
if asked for. Classes: every picture in the folder `cat` shows a cat, a record of
`<REGION_TO_CATEGORY>` about the whole picture. That task answers with a bare class name already;
trained on class names, `<CAPTION>` would forget how to write sentences. Class names are kept to
the letter, so that an answer is the name of a folder.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from florence2.data.files import choose_split, read_text, split_named
from florence2.data.image_files import checked_size, pictures_in
from florence2.data.objects import chosen_tasks
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.errors import DataError, Florence2Error
from florence2.results import Text
from florence2.tasks import CAPTION_TASKS, Task

CAPTION_SUFFIXES = (".txt", ".caption")


def read_captions(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield one record for each picture in a folder, and in folders inside, that has a caption."""
    tasks = chosen_tasks(tasks, CAPTION_TASKS, Task.CAPTION, f"folder {str(path)!r}")
    if len(tasks) > 1:
        raise DataError(f"folder {str(path)!r} holds captions of one kind; choose one task")
    root = part_folder(path, split)
    for picture in pictures_in(root, deep=True):
        where = picture.relative_to(path).as_posix()
        file = caption_file(picture)
        if file is None:
            report.add(Problem.NO_TEXT, where, f"there is no {picture.stem}.txt beside it")
            continue
        try:
            text = read_text(file).strip()
        except Florence2Error as error:
            report.add(Problem.NO_TEXT, where, error)
            continue
        if not text:
            report.add(Problem.NO_TEXT, where, f"{file.name} is empty")
        elif size := checked_size(picture, report, where):
            result = Text(text, image_size=size)
            yield from report.accept(Record(picture, tasks[0], "", None, result, where), where)


def read_classes(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield one record for each picture in the folders of a folder."""
    chosen_tasks(tasks, (Task.REGION_TO_CATEGORY,), Task.REGION_TO_CATEGORY, f"folder {path!s}")
    for folder in class_folders(part_folder(path, split)):
        for picture in pictures_in(folder, deep=True):
            where = picture.relative_to(path).as_posix()
            if size := checked_size(picture, report, where):
                result = Text(folder.name, image_size=size)
                region = (0.0, 0.0, float(size[0]), float(size[1]))
                record = Record(picture, Task.REGION_TO_CATEGORY, "", region, result, where)
                yield from report.accept(record, where)


def part_folder(path: Path, split: str | None) -> Path:
    """Return the folder of a part of a dataset, or the folder itself if it has no parts."""
    parts: dict[str, Path] = {}
    for folder in sorted(path.iterdir()):
        if folder.is_dir() and (part := split_named(folder.name)) and is_part(folder.name):
            parts[part] = folder
    chosen = choose_split(parts, split, path)
    return path if chosen is None else parts[chosen]


def is_part(name: str) -> bool:
    """Tell whether a folder name is that of a part and nothing else.

    >>> is_part("val2017"), is_part("test"), is_part("train station")
    (True, True, False)
    """
    word = name.lower().strip("0123456789_-")
    return split_named(name) is not None and word.isalpha()


def caption_file(picture: Path) -> Path | None:
    """Return the file with the caption of a picture."""
    files = (picture.with_suffix(suffix) for suffix in CAPTION_SUFFIXES)
    return next((file for file in files if file.is_file()), None)


def class_folders(path: Path) -> list[Path]:
    """Return the folders that hold pictures."""
    return [
        folder
        for folder in sorted(path.iterdir())
        if folder.is_dir() and not folder.name.startswith(".") and pictures_in(folder, deep=True)
    ]
