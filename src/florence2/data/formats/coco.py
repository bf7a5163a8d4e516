"""COCO files: objects with boxes and outlines, or captions.

Boxes are `x, y, width, height` in pixels, continuous, so nothing is added or taken off. An outline
is a list of polygons, or a mask as run lengths, whose parts become polygons. Crowds (`iscrowd`)
and groups (`isgroup`) stand for objects that nobody told apart; they are to be ignored. Ids may be
numbers or numbers as text. Boxes of a file whose sides are all at most 1 are shares of the picture.
In pictures of LVIS only some classes were looked for.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from mmap import ACCESS_READ, mmap
from pathlib import Path

from florence2.data.files import find_files
from florence2.data.flags import CROWD_FLAGS, IGNORE_FLAGS, flag_names
from florence2.data.formats.coco_rows import (
    PlainRows,
    Row,
    are_marked_masks,
    are_shares,
    box_of,
    key_of,
    parts_of,
    score_of,
)
from florence2.data.formats.coco_tables import (
    annotated_sizes,
    class_names,
    is_federated,
    load_coco,
    own_images,
    picture_folders,
    picture_of,
    rows_by_image,
    searched_in,
    without_garbage_collection,
)
from florence2.data.formats.coco_writing import write_coco as write_coco
from florence2.data.formats.coco_writing import write_coco_results as write_coco_results
from florence2.data.image_files import find_picture
from florence2.data.objects import (
    OBJECT_TASKS,
    OUTLINE_TASKS,
    LabelledObject,
    LabelledPicture,
    checked_object,
    chosen_tasks,
    object_records,
)
from florence2.data.recognition import is_coco
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.errors import DataError, Florence2Error
from florence2.geometry import Size
from florence2.results import Text
from florence2.tasks import CAPTION_TASKS, Task

PLACES = ("annotations/{}", "{}", "*/{}", "*/annotations/{}")
OBJECT_FILES = ("instances_*.json", "_annotations.coco.json", "*.json")
CAPTION_FILES = ("captions_*.json", "*.json")


def coco_patterns(tasks: Sequence[Task]) -> list[str]:
    """Return the names to look for in a folder, the surest first."""
    names = CAPTION_FILES if any(task.is_caption for task in tasks) else OBJECT_FILES
    return [place.format(name) for name in names for place in PLACES]


def read_coco(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield records of a COCO file, or of those that a folder holds.

    Args:
        path: the JSON file, or a folder with it (`annotations/instances_train2017.json`,
            `train/_annotations.coco.json`, or any JSON files of COCO's kind there).
        report: counts what cannot be used.
        tasks: tasks of `OBJECT_TASKS` for a file of objects, detection if none is given; for a file
            of captions the one task they answer, `<CAPTION>` if none is given.
        split: which part of a folder with several files.
    """
    files = _files(path, tasks, split, report)
    loaded = [_CocoFile(file, tasks, report) for file in files]
    if len(loaded) > 1:
        _require_other_pictures(loaded, path)
        for file in files:
            report.add(Problem.FILES, file.name, f"one of {len(files)}")
    for each in loaded:
        yield from each.records(report)


def _files(path: Path, tasks: Sequence[Task], split: str | None, report: ReadReport) -> list[Path]:
    """The files to read; of several in a folder those that can answer the tasks."""
    files = find_files(path, coco_patterns(tasks), split, report, accept=is_coco)
    if len(files) == 1:
        return files
    told = {file: _tells_captions(file) for file in files}
    wanted = any(task.is_caption for task in tasks) if tasks else all(told.values())
    chosen = [file for file in files if told[file] is wanted]
    for file in files:
        if chosen and told[file] is not wanted:
            what = "captions" if told[file] else "objects"
            report.add(Problem.OTHER_TASK, file.name, f"it holds {what}")
    return chosen or files


def _tells_captions(file: Path) -> bool:
    with file.open("rb") as opened:
        return (
            bool(file.stat().st_size)
            and mmap(opened.fileno(), 0, access=ACCESS_READ).find(b'"caption"') >= 0
        )


def _require_other_pictures(files: Sequence["_CocoFile"], root: Path) -> None:
    """Refuse files of one picture: of two versions or two halves of its objects, nobody knows."""
    seen: dict[Path, Path] = {}
    for each in files:
        for picture in {*each.pictures()}:
            if seen.setdefault(picture, each.file) != each.file:
                raise DataError(
                    f"folder {str(root)!r} holds {seen[picture].name} and {each.file.name}, which"
                    f" both name picture {picture.name!r}; give the path of one of them, or join"
                    " them into one file"
                )


class _CocoFile:
    """A file that was read, of which most rows of objects are kept as arrays alone."""

    def __init__(self, file: Path, tasks: Sequence[Task], report: ReadReport) -> None:
        self.file = file
        self.folders = picture_folders(file)
        with without_garbage_collection():
            data = load_coco(file)
            rows = [row for row in data["annotations"] if isinstance(row, dict)]
            self.rows, image_ids, self.groups, self.lost = rows_by_image(data, report, file.name)
            self.holds_captions = _hold_captions(rows)
            federated = any(is_federated(image) for image in data["images"])
            self.tasks = self._chosen(tasks, federated)
            self.names = {} if self.holds_captions else class_names(data, report, file.name)
            self.searched = searched_in(data["images"], self.names) if federated else {}
            self.crowds_are_masks = are_marked_masks(rows)
            self.shares = not self.holds_captions and are_shares(rows)
            self.images = data.pop("images")
            del data, rows
            sizes = {} if self.shares else annotated_sizes(self.images)
            outlines = not OUTLINE_TASKS.isdisjoint(self.tasks)
            self.plain = PlainRows(self.rows, image_ids, sizes, self.names, outlines=outlines)
        if self.shares:
            report.add(Problem.SHARES, file.name, "all sides of boxes are at most 1")
        if self.crowds_are_masks:
            what = "every annotation is a mask with iscrowd 1, and a crowd stands beside objects"
            report.add(Problem.CROWDS, file.name, what)

    def _chosen(self, tasks: Sequence[Task], federated: bool) -> tuple[Task, ...]:
        what = f"file {str(self.file)!r}"
        if not self.holds_captions:
            default = Task.OPEN_VOCABULARY_DETECTION if federated else Task.OD
            return chosen_tasks(tasks, tuple(OBJECT_TASKS), default, what)
        tasks = chosen_tasks(tasks, CAPTION_TASKS, CAPTION_TASKS[0], what)
        if len(tasks) > 1:
            raise DataError(f"{what} holds captions of one kind; choose one task, not {tasks!r}")
        return tasks

    def pictures(self) -> Iterator[Path]:
        """The pictures that it names and that are there."""
        for image in self.images:
            name = (
                image.get("file_name", image.get("coco_url")) if isinstance(image, dict) else None
            )
            if isinstance(name, str) and (path := find_picture(name, self.folders)):
                yield path

    def records(self, report: ReadReport) -> Iterator[Record]:
        for image in own_images(self.images, self.folders, report, self.file.name):
            where = f"{self.file.name}, image {image['id']!r}"
            if (found := picture_of(image, self.folders, report, where)) is None:
                continue
            if self.holds_captions:
                rows = [self.rows[number] or {} for number in self.groups[image["id"]]]
                yield from _caption_records(rows, *found, self.tasks[0], report, where)
                continue
            objects = self._objects(image["id"], found[1], report)
            searched = self.searched.get(image["id"])
            picture = LabelledPicture.of(*found, objects, where, searched)
            yield from object_records(picture, self.tasks, report)

    def _objects(
        self, image_id: Hashable, size: Size, report: ReadReport
    ) -> list[LabelledObject | None]:
        """The objects of an image, `None` for each that was lost."""
        numbers = self.groups[image_id]
        rows = [self.rows[number] for number in numbers]
        lost = self.lost.get(image_id, [])
        if not any(rows):  # nearly all pictures
            return [*self.plain.objects(numbers), *lost]
        plain = [number for number, row in zip(numbers, rows, strict=True) if row is None]
        found = iter(self.plain.objects(plain))
        return [
            *(next(found) if row is None else self._object(row, size, report) for row in rows),
            *lost,
        ]

    def _object(self, row: Row, size: Size, report: ReadReport) -> LabelledObject | None:
        """One object, or `None` where it was lost."""
        where = f"{self.file.name}, annotation {row.get('id')!r}"
        outline = row.get("segmentation")
        flags = flag_names(row, row.get("attributes"))
        is_crowd = bool(flags & CROWD_FLAGS) and not self.crowds_are_masks
        is_ignored = is_crowd or bool(flags & IGNORE_FLAGS)
        class_id = key_of(row.get("category_id"))
        if class_id not in self.names:
            given = row.get("category_id")
            report.add(Problem.LABEL, where, f"category_id {given!r} is no class of this file")
            return None
        try:
            box = box_of(row.get("bbox"), size if self.shares else None)
            # The outline of a crowd is asked by nobody; what is around it is enough.
            parts = [] if is_crowd and box else parts_of(outline, size, report, where)
        except Florence2Error as error:
            report.add(Problem.ROW, where, error)
            return None
        item = checked_object(self.names[class_id], box, parts, size, report, where)
        if item is None:
            return None
        if is_ignored:
            what = "a crowd" if is_crowd else "a group, or to be ignored"
            if is_crowd and isinstance(outline, dict):
                what += " (datumaro marks all masks so: write iscrowd 0 if it is one object)"
            report.add(Problem.IGNORED, where, what)
        score = score_of(row, report, where)
        return item._replace(is_ignored=is_ignored, is_crowd=is_crowd, score=score)


def _hold_captions(rows: Sequence[Row]) -> bool:
    """Whether more rows have captions than have boxes or outlines."""
    captions = sum("caption" in row for row in rows)
    return captions > sum("bbox" in row or "segmentation" in row for row in rows)


def _caption_records(
    rows: Iterable[Row], path: Path, size: Size, task: Task, report: ReadReport, where: str
) -> Iterator[Record]:
    texts = [str(row.get("caption") or "").strip() for row in rows]
    if not texts or not all(texts):
        what = "a caption is empty" if texts else "it has no caption"
        report.add(Problem.NO_TEXT, where, f"{what} ({path.name})")
    for text in filter(None, texts):
        yield from report.accept(
            Record(path, task, "", None, Text(text, image_size=size), where), where
        )
