"""Folders without annotation files: captions beside pictures, and one folder for each class.

Captions: `a.jpg` and `a.txt` (or `a.caption`), a record of `<CAPTION>`, or of another caption task
if asked for. Classes: every picture in the folder `cat` shows a cat, a record of
`<REGION_TO_CATEGORY>` about the whole picture. That task answers with a bare class name already;
trained on class names, `<CAPTION>` would forget how to write sentences. Class names are kept to
the letter, so that an answer is the name of a folder.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from florence2.data.files import read_text
from florence2.data.image_files import UNREAD_SUFFIXES, checked_size, files_in, pictures_in
from florence2.data.label_texts import KINDS, LabelTexts, label_kind
from florence2.data.objects import chosen_tasks
from florence2.data.parts import choose_split, divide, part_named, part_of_stem
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.errors import DataError, Florence2Error
from florence2.results import Text
from florence2.tasks import CAPTION_TASKS, Task

CAPTION_SUFFIXES = (".txt", ".caption")
# Texts about the whole folder.
_ABOUT = ("readme", "license", "licence", "classes", "labels", "notes", "requirements", "captions")


def read_captions(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield one record for each picture in a folder, and in folders inside, that has a caption."""
    allowed = (*CAPTION_TASKS, Task.OCR)  # OCR: pictures of lines with their text
    tasks = chosen_tasks(tasks, allowed, Task.CAPTION, f"folder {str(path)!r}")
    if len(tasks) > 1:
        raise DataError(f"folder {str(path)!r} holds captions of one kind; choose one task")
    pictures = _of_part(path, split, report)
    texts = [file for picture in pictures if (file := caption_file(picture))]
    looked_at = LabelTexts.of(texts)
    # Where all texts are numbers, somebody said that they are captions; a line may be of numbers.
    are_captions = len(looked_at.captions) > len(looked_at.labels) and tasks[0] is not Task.OCR
    labels = looked_at.labels if are_captions else {}
    for picture in pictures:
        where = picture.relative_to(path).as_posix()
        report.pictures.add(picture)
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
        elif file in labels and (kind := label_kind(text)):
            what = KINDS[kind].partition(";")[0]
            report.add(Problem.NO_TEXT, where, f"{file.name} looks like {what}, and is no caption")
        elif size := checked_size(picture, report, where):
            result = Text(text, image_size=size)
            yield from report.accept(Record(picture, tasks[0], "", None, result, where), where)
    _tell_of_lone_texts(path, pictures, report)


def _tell_of_lone_texts(path: Path, pictures: Sequence[Path], report: ReadReport) -> None:
    """Count texts in the folders of pictures that belong to none of them."""
    folders = {picture.parent for picture in pictures}
    stems = {picture.with_suffix("") for picture in pictures}
    files = files_in(path)
    unread = {
        file.with_suffix(""): file for file in files if file.suffix.lower() in UNREAD_SUFFIXES
    }
    for file in files:
        if file.suffix.lower() not in CAPTION_SUFFIXES or file.parent not in folders:
            continue
        name = file.with_suffix("")
        if name in stems or file.stem.partition(".")[0].lower() in _ABOUT:
            continue
        there = f"; {unread[name].name} is not read" if name in unread else ""
        report.add(Problem.NO_PICTURE, file.relative_to(path).as_posix(), f"no picture{there}")


def read_classes(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield one record for each picture in the folders of a folder."""
    chosen_tasks(tasks, (Task.REGION_TO_CATEGORY,), Task.REGION_TO_CATEGORY, f"folder {path!s}")
    folders = class_folders(path)
    for picture in _of_part(path, split, report):
        if (folder := folders.get(picture)) is None:
            continue  # it lies beside the folders, and is told with all that no label names
        where = picture.relative_to(path).as_posix()
        if size := checked_size(picture, report, where):
            result = Text(folder.name, image_size=size)
            region = (0.0, 0.0, float(size[0]), float(size[1]))
            record = Record(picture, Task.REGION_TO_CATEGORY, "", region, result, where)
            yield from report.accept(record, where)


def _of_part(path: Path, split: str | None, report: ReadReport) -> list[Path]:
    """Return the pictures of the part to read, or all if there are no parts."""
    parts = divide(pictures_in(path, deep=True), path)
    report.part = choose_split(parts, split, path)
    return parts[report.part]


def class_folders(path: Path) -> dict[Path, Path]:
    """Return the folders that name the classes of pictures, for those that are in one.

    It is the first folder in that of the part; a folder around all others is no class.
    """
    chains: dict[Path, list[Path]] = {}
    for part, files in divide(pictures_in(path, deep=True), path).items():
        for picture in files:
            chain = [folder for folder in picture.parents if path in folder.parents][::-1]
            if part is not None:
                names = [folder.name for folder in chain]
                whole = [part_named(name) for name in names]
                told = whole if part in whole else [part_of_stem(name) for name in names]
                chain = chain[told.index(part) + 1 :]
            chains[picture] = chain
    deepest = min(map(len, chains.values()), default=0)
    depth = 0
    while depth + 1 < deepest and len({chain[depth].name for chain in chains.values()}) == 1:
        depth += 1
    return {picture: chain[depth] for picture, chain in chains.items() if len(chain) > depth}


def caption_file(picture: Path) -> Path | None:
    """Return the file with the caption of a picture."""
    suffixes = (*CAPTION_SUFFIXES, *map(str.upper, CAPTION_SUFFIXES))
    files = (picture.with_suffix(suffix) for suffix in suffixes)
    return next((file for file in files if file.is_file()), None)
