"""KITTI, VisDrone and DOTA: a text file for each picture, an object in pixels on each line.

Coordinates are taken as they stand, as points between pixels: all three count from 0, and their own
measures take no width of a pixel on or off. What their measures leave out is to be ignored:
`DontCare` of KITTI, score 0 and the ignored regions of VisDrone, difficult objects of DOTA. A
picture without a file is one that nobody labelled; an empty file says "nothing here".
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import takewhile
from pathlib import Path

from florence2.data.annotated import Annotated, Drawn, annotated_records, box_from
from florence2.data.files import number, read_text
from florence2.data.image_files import files_in, pictures_in, twin_folders
from florence2.data.label_texts import DOTA_HEAD, LabelTexts, label_kind
from florence2.data.objects import ANY_CLASS, OBJECT_TASKS, chosen_tasks
from florence2.data.parts import choose_split, divide
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.data.shapes import pairs_of
from florence2.errors import DataError, Florence2Error
from florence2.geometry import Size
from florence2.tasks import Task

VISDRONE_NAMES = (
    *("ignored regions", "pedestrian", "people", "bicycle", "car", "van", "truck"),
    *("tricycle", "awning-tricycle", "bus", "motor", "others"),
)
ANYTHING_HERE = frozenset({"ignore", "crowd"})
_DIVIDERS = re.compile(r"[\s,;]+")
_CAMERA = re.compile(r"_(\d)$")  # of KITTI: label_2 belongs to image_2


def read_kitti(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield records of KITTI: a class, 3 values, a box, and 7 values of the object in space."""
    return _read(path, report, tasks, split, "kitti")


def read_visdrone(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield records of VisDrone: x, y, width, height, score, class number, 2 marks."""
    return _read(path, report, tasks, split, "visdrone")


def read_dota(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield records of DOTA: four corners, a class and its difficulty; corners are outlines."""
    return _read(path, report, tasks, split, "dota")


@dataclass(frozen=True)
class _Labels:
    """The label files of one kind below a folder: those of each picture, the surest first."""

    kind: str
    root: Path
    found: dict[Path, list[Path]] = field(default_factory=dict)  # by picture, looked for once

    def of(self, picture: Path) -> list[Path]:
        if picture not in self.found:
            self.found[picture] = self._look_for(picture)
        return self.found[picture]

    def _look_for(self, picture: Path) -> list[Path]:
        folders = (picture.parent, *twin_folders(picture.parent, self.root))
        places = [place / f"{picture.stem}.txt" for place in folders if _alike(picture, place)]
        kinds = {file: _kind(file) for file in dict.fromkeys(places) if file.is_file()}
        if found := [file for file, kind in kinds.items() if kind == self.kind]:
            return found
        # An empty file, or one of which no line can be read: of another kind it is none.
        names = {file.parent.name for files in self.elsewhere.values() for file in files}
        unclear = [file for file, kind in kinds.items() if kind is None]
        if found := [file for file in unclear if file.parent.name in names][:1]:
            return found
        alone = [
            file for file in self.elsewhere.get(picture.stem, ()) if _alike(picture, file.parent)
        ]
        return alone if len(alone) == 1 and self.stems[picture.stem] == 1 else []

    @cached_property
    def stems(self) -> Counter[str]:
        """How many pictures have a name without suffix."""
        return Counter(picture.stem for picture in pictures_in(self.root, deep=True))

    @cached_property
    def elsewhere(self) -> dict[str, list[Path]]:
        """All label files of the kind by their name without suffix."""
        found: dict[str, list[Path]] = {}
        texts = (file for file in files_in(self.root) if file.suffix.lower() == ".txt")
        for file, kind in LabelTexts.of(texts).labels.items():
            if kind == self.kind:
                found.setdefault(file.stem, []).append(file)
        return found


def _alike(picture: Path, folder: Path) -> bool:
    cameras = [_CAMERA.search(each.name) for each in (picture.parent, folder)]
    numbers = {found[1] for found in cameras if found}
    return len(numbers) < 2


def _kind(file: Path) -> str | None:
    try:
        return label_kind(read_text(file))
    except Florence2Error:
        return None


def _read(
    path: Path, report: ReadReport, tasks: Sequence[Task], split: str | None, kind: str
) -> Iterator[Record]:
    tasks = chosen_tasks(tasks, tuple(OBJECT_TASKS), Task.OD, f"dataset {str(path)!r}")
    if not path.is_dir():
        raise DataError(f"{str(path)!r} is no folder; give the one of the pictures and labels")
    parts = divide(pictures_in(path, deep=True), path)
    report.part = choose_split(parts, split, path)
    labels = _Labels(kind, path)
    pictures = (_picture(each, labels, report) for each in parts[report.part])
    yield from annotated_records(filter(None, pictures), tasks, report)
    used = {file for picture in pictures_in(path, deep=True) for file in labels.of(picture)}
    texts = (each for each in files_in(path) if each.suffix.lower() == ".txt" and each not in used)
    for file, its_kind in LabelTexts.of(texts).labels.items():
        if its_kind == kind:
            report.add(Problem.NO_PICTURE, file.relative_to(path).as_posix(), "no picture")


def _picture(picture: Path, labels: _Labels, report: ReadReport) -> Annotated | None:
    files = labels.of(picture)
    if not files:
        return None  # told at the end, with all pictures that no label names
    file, *others = files
    where = file.relative_to(labels.root).as_posix()
    for other in others:
        place = other.relative_to(labels.root).as_posix()
        report.add(Problem.DUPLICATE, place, f"{where} tells of the same picture, and is read")
    try:
        text = read_text(file)
    except Florence2Error as error:
        report.add(Problem.ROW, where, error)
        report.name_picture(picture)
        return None
    lines = [(f"{where}, line {at}", line) for at, line in enumerate(text.splitlines(), start=1)]
    rows = [
        (at, [word for word in _DIVIDERS.split(line) if word])
        for at, line in lines
        if line.strip() and not (labels.kind == "dota" and DOTA_HEAD.match(line.strip()))
    ]
    return Annotated(picture.name, (picture.parent,), where, rows, _DRAW[labels.kind])


def _kitti(words: Sequence[str], size: Size) -> Drawn:
    name = " ".join(takewhile(lambda word: not re.match(r"[-+.]?\d", word), words))
    values = [number(word, "a value") for word in words[len(name.split()) :]]
    if len(values) not in (14, 15):
        raise DataError(f"a line of KITTI has 14 values behind the class, this one {len(values)}")
    box = values[3:7]
    if name == "DontCare":
        return Drawn(ANY_CLASS, box, flags=ANYTHING_HERE)
    return Drawn(name, box, score=values[14] if len(values) == 15 else None)


def _visdrone(words: Sequence[str], size: Size) -> Drawn:
    if len(words) != 8:
        raise DataError(f"a line of VisDrone has 8 values, this one {len(words)}")
    x, y, width, height, score, kind, *_ = (number(word, "a value") for word in words)
    if kind not in range(len(VISDRONE_NAMES)):
        raise DataError(f"class {words[5]} is none of VisDrone's, which are 0 to 11")
    box = box_from(x, y, width, height)
    if kind == 0:
        return Drawn(ANY_CLASS, box, flags=ANYTHING_HERE)
    flags = frozenset({"ignore"} if score == 0 else ())
    confidence = None if score in (0, 1) else score
    return Drawn(VISDRONE_NAMES[int(kind)], box, flags=flags, score=confidence)


def _dota(words: Sequence[str], size: Size) -> Drawn:
    name, difficult = list(words[8:]), "0"
    if len(name) > 1 and name[-1].isdecimal():
        difficult = name.pop()
    if not name:
        raise DataError(f"a line of DOTA has 8 numbers and a class, this one {len(words)} words")
    flags = frozenset({"difficult"} if int(difficult) else ())
    return Drawn(" ".join(name), None, [pairs_of(words[:8])], flags)


_DRAW: Mapping[str, Callable[[Sequence[str], Size], Drawn]] = {
    "kitti": _kitti,
    "visdrone": _visdrone,
    "dota": _dota,
}
