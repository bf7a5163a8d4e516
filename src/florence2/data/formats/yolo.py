"""YOLO folders: one text file of boxes or outlines beside each picture.

A line is `class x_centre y_centre width height`, or `class x y x y x y ...` for an outline (four
corners for a turned box), as shares of the picture's sides. A sixth value behind a box is the
confidence of a model, which is told and left out. Class names stand in a YAML file (`data.yaml`)
that also tells where the pictures are, in `classes.txt`, or in the lines themselves. The labels of
`images/a.jpg` are in `labels/a.txt`, or beside the picture. A picture without a label file shows no
object, as the trainers of YOLO have it.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import yaml

from florence2.data.files import number, read_text
from florence2.data.image_files import (
    PictureFolder,
    checked_size,
    files_in,
    find_picture,
    is_picture,
    path_ends,
    pictures_in,
)
from florence2.data.label_texts import LabelTexts
from florence2.data.objects import (
    OBJECT_TASKS,
    LabelledObject,
    LabelledPicture,
    checked_object,
    chosen_tasks,
    labelled_boxes,
    object_records,
    refuse_unplaced,
    unplaced_words,
)
from florence2.data.parts import choose_split, divide, part_named
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.errors import DataError, Florence2Error
from florence2.geometry import Array, Size, clip_boxes
from florence2.results import Boxes
from florence2.tasks import Task

YAML_FILES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml", "*.yaml", "*.yml")
NAME_FILES = ("classes.txt", "obj.names", "labels/classes.txt")
SPLITS = ("train", "val", "test")
PICTURE_FOLDERS = ("images", "Images", "JPEGImages", "imgs", "img")
LABEL_FOLDERS = ("labels", "Labels")
MAX_NAMES = 8  # that are told where a class is none of them
_DIVIDERS = re.compile(r"\s*[\s,;]\s*")


class _Words(yaml.SafeLoader):
    """Reads no types but null: the class names yes, no and 1.0 are names."""


_Words.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] == "tag:yaml.org,2002:null"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True)
class _Layout:
    """Where the parts of a dataset are, and what its classes are called."""

    names: dict[int, str]
    pictures: dict[str | None, list[Path]]  # by split; None where there is only one
    keypoints: bool = False  # lines go on with key points behind the box
    by_name: bool = False  # no file tells names: those in the lines are the classes


def read_yolo(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield records of a YAML file or of the folder that holds it.

    Args:
        path: `data.yaml`, or the folder with it or with `classes.txt`.
        report: counts what cannot be used.
        tasks: tasks of `OBJECT_TASKS`, detection if none is given.
        split: "train", "val" or "test" where the dataset has more than one.
    """
    tasks = chosen_tasks(tasks, tuple(OBJECT_TASKS), Task.OD, f"dataset {str(path)!r}")
    layout = _layout(path, report)
    report.part = choose_split(layout.pictures, split, path)
    root = path if path.is_dir() else path.parent
    lone = _lone_labels(root)
    everywhere = Counter(picture.stem for files in layout.pictures.values() for picture in files)
    files = layout.pictures[report.part]
    if len(files) > 1 and not lone and not any(map(_label_file, files)):
        raise DataError(
            f"none of the {len(files):,} pictures of {str(path)!r} has a label file, such as"
            f" {_label_places(files[0])[0]}; put the labels there, or empty files where a picture"
            " shows nothing"
        )
    orphans = [
        file
        for stem, found in lone.items()
        for file in found
        if (everywhere[stem] != 1 or len(found) != 1)
        and {*map(part_named, file.relative_to(root).parts)} <= {None, report.part}
    ]
    for picture in files:
        size = checked_size(picture, report, picture.name)
        if size is None:
            continue
        objects: list[LabelledObject | None] = []
        label_file = _label_file(picture)
        if label_file is None and everywhere[picture.stem] == 1:
            found = lone.get(picture.stem, [])
            label_file = found[0] if len(found) == 1 else None
        if label_file:
            try:
                text = read_text(label_file)
            except Florence2Error as error:
                report.add(Problem.ROW, label_file.name, error)
                continue
            objects = list(_objects(text, label_file.name, layout, size, report))
        elif orphans:
            what = f"it has no label file, and {orphans[0].name}, which has no picture, may be its"
            report.add(Problem.INCOMPLETE, picture.name, what)
            continue
        yield from object_records(
            LabelledPicture.of(picture, size, objects, picture.name), tasks, report
        )
    for stem, found in lone.items():
        if everywhere[stem] != 1 or len(found) != 1:
            for file in found:
                report.add(Problem.NO_PICTURE, file.relative_to(root).as_posix(), "no picture")


def find_yaml(folder: Path) -> Path | None:
    """Return the YAML file of a folder that names classes."""
    for pattern in YAML_FILES:
        for file in sorted(folder.glob(pattern)):
            if "names:" in read_text(file):
                return file
    return None


def _layout(path: Path, report: ReadReport) -> _Layout:
    file = path if path.is_file() else find_yaml(path)
    if file is not None:
        return _layout_of_yaml(file, report)
    for name in NAME_FILES:
        if (path / name).is_file():
            lines = read_text(path / name).splitlines()
            names = {index: line.strip() for index, line in enumerate(lines) if line.strip()}
            numbered = [re.fullmatch(rf"{index}[\s:]+(.+)", names[index]) for index in names]
            if len(names) > 1 and all(numbered):  # "0 cat", "1 dog"
                names = {at: str(each[1]) for at, each in zip(names, numbered, strict=True) if each}
            return _Layout(names, _by_split(path))
    if LabelTexts.of(each for each in files_in(path) if each.suffix == ".txt").kinds["yolo_names"]:
        return _Layout({}, _by_split(path), by_name=True)
    raise DataError(
        f"folder {str(path)!r} tells no class names; put data.yaml or classes.txt there"
    )


def _by_split(root: Path) -> dict[str | None, list[Path]]:
    """Divide the pictures of a folder by the names of the folders inside."""
    pictures = pictures_in(root / "images", deep=True) if (root / "images").is_dir() else []
    return divide(pictures or pictures_in(root, deep=True), root)


def _layout_of_yaml(file: Path, report: ReadReport) -> _Layout:
    try:
        data = yaml.load(read_text(file), Loader=_Words)
    except yaml.YAMLError as error:
        raise DataError(f"file {str(file)!r} is no YAML ({error})") from error
    if not isinstance(data, dict):
        raise DataError(f"file {str(file)!r} holds no names and values; a YOLO file does")
    root = PureWindowsPath(str(data.get("path") or ""))
    roots = (file.parent / root.as_posix(), file.parent)
    pictures: dict[str | None, list[Path]] = {}
    given_at: dict[Path, tuple[str, str]] = {}
    for split in SPLITS:
        given = data.get(split) or (data.get("valid") if split == "val" else None)
        if not given:
            continue
        pictures[split] = []
        for place in map(str, given if isinstance(given, list) else [given]):
            found = _place(place, roots)
            if found is None:
                told = f"{place!r} is not there; looked at {roots[0] / place}"
                report.add(Problem.PICTURE, file.name, told)
                continue
            other, other_place = given_at.setdefault(found, (split, place))
            if other != split and other_place != place:
                raise DataError(
                    f"file {str(file)!r} has {other} {other_place!r} and {split} {place!r}, which"
                    f" are not there; both could only be {str(found)!r}; correct the paths"
                )
            pictures[split] += _listed(found, roots, report)
    if not pictures:  # they lie in images/train and so on, or in images
        pictures = _by_split(roots[0] if pictures_in(roots[0], deep=True) else file.parent)
        if not any(pictures.values()):
            raise DataError(
                f"file {str(file)!r} has no train, val or test, and no pictures lie there; give a"
                " folder of pictures"
            )
    return _Layout(_names(data.get("names"), file), pictures, "kpt_shape" in data)


def _names(given: Any, file: Path) -> dict[int, str]:
    if isinstance(given, list):
        given = dict(enumerate(given))
    if not isinstance(given, dict):
        raise DataError(f"file {str(file)!r} has names {given!r}; give a list of class names")
    # YAML reads the class names no and 7 as a truth value and a number.
    # A name that is none of these, such as ~, is no name: what is labelled so counts as lost.
    return {
        int(number(index, "a class number")): str(name)
        for index, name in given.items()
        if isinstance(name, str | int | float)
    }


def _place(place: str, roots: Sequence[Path]) -> Path | None:
    """Return the file or folder that a YAML file names.

    Exports of Roboflow write ../train/images where train/images is meant, and many files name
    folders of the machine they were made on: the longest end that is there is taken.
    """
    name = PureWindowsPath(place).as_posix()
    names = dict.fromkeys([name, name.lstrip("./"), *path_ends(place)])
    tries = (root / part for part in names if part for root in roots)
    return next((path for path in tries if path.exists()), None)


def _listed(found: Path, roots: Sequence[Path], report: ReadReport) -> list[Path]:
    """Return the pictures of a folder, of a list of pictures, or one picture."""
    if found.is_dir():
        return pictures_in(found, deep=True)
    if is_picture(found):
        return [found]
    pictures = []
    for line in filter(None, map(str.strip, read_text(found).splitlines())):
        picture = find_picture(line, (found.parent, *roots))
        if picture is None:
            report.add(Problem.PICTURE, found.name, f"image {line!r} is not there")
        else:
            pictures.append(picture)
    return pictures


def _twins(path: Path, names: Sequence[str], others: Sequence[str]) -> list[Path]:
    """Return where a file would be if the last folder of one name had another name."""
    parts = list(path.parts)
    at = [index for index, part in enumerate(parts[:-1]) if part in names]
    if not at:
        return []
    return [Path(*parts[: at[-1]], name, *parts[at[-1] + 1 :]) for name in others]


def _label_file(picture: Path) -> Path | None:
    """Return the label file of a picture: in `labels` for the last `images`, or beside it."""
    ends = (".txt", ".TXT", ".Txt")
    places = [place.with_suffix(end) for place in _label_places(picture) for end in ends]
    # What is there and cannot be read is told as lost, not taken for "nothing here".
    return next((place for place in places if os.path.lexists(place)), None)


def _label_places(picture: Path) -> list[Path]:
    places = [*_twins(picture, PICTURE_FOLDERS, LABEL_FOLDERS), picture]
    return [place.with_suffix(".txt") for place in places]


def _lone_labels(root: Path) -> dict[str, list[Path]]:
    """Return the label files below a folder that lie neither beside a picture nor in its `labels`.

    They are of pictures elsewhere, if a picture has their name, or of none.
    """
    files = files_in(root)
    pictures = {file.with_suffix("") for file in files if is_picture(file)}
    lone = [
        file
        for file in files
        if file.suffix.lower() == ".txt"
        and not pictures
        & {place.with_suffix("") for place in (file, *_twins(file, LABEL_FOLDERS, PICTURE_FOLDERS))}
    ]
    by_stem: dict[str, list[Path]] = {}
    for file in LabelTexts.of(lone).labels:
        by_stem.setdefault(file.stem, []).append(file)
    return by_stem


def _objects(
    text: str, name: str, layout: _Layout, size: Size, report: ReadReport
) -> Iterator[LabelledObject | None]:
    """Yield the objects of a label file, and `None` for each that was lost."""
    seen = set()
    for line_number, line in enumerate(text.splitlines(), start=1):
        where = f"{name}, line {line_number}"
        values = _DIVIDERS.split(line.strip()) if line.strip() else []
        if not values:
            continue
        if tuple(values) in seen:
            report.add(Problem.DUPLICATE, where, f"{line.strip()!r} is given twice")
            continue
        seen.add(tuple(values))
        written, label = _class_of(values, layout)
        try:
            shares = [number(value, "a value") for value in values[len(written) :]]
            if not layout.keypoints and _ends_with_track(values[len(written) :], shares):
                shares = shares[:5]
            box, points = _placed(shares, layout.keypoints, size)
        except Florence2Error as error:
            report.add(Problem.ROW, where, error)
            yield None
            continue
        if label is None:
            known = ", ".join(list(layout.names.values())[:MAX_NAMES]) or "none"
            what = f"class {' '.join(written)} has no name; the names are {known}"
            report.add(Problem.LABEL, where, what)
            yield None
            continue
        if len(shares) == 5 and not layout.keypoints:
            report.add(Problem.CONFIDENCE, where, f"{shares[4]:g}")
        yield checked_object(label, box, points, size, report, where, dots=True)


def _class_of(values: Sequence[str], layout: _Layout) -> tuple[Sequence[str], str | None]:
    """Return the words of a line that tell the class, a number or a name, and its name."""
    written = list(takewhile(lambda value: not _is_number(value), values))
    if written:
        name = " ".join(written)
        return written, name if layout.by_name or name in layout.names.values() else None
    class_number = float(values[0])
    whole = class_number.is_integer()
    return values[:1], layout.names.get(int(class_number)) if whole else None


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _ends_with_track(values: Sequence[str], shares: Sequence[float]) -> bool:
    """Tell whether a box, a confidence and the number of a track stand there (`yolo track`).

    Six values may also be three points, of which the last can lie at the lower edge.
    """
    if len(values) != 6 or not values[5].isdecimal() or values[5] == "0":
        return False
    if values[5] == "1":
        raise DataError(
            "six values that end with 1 may be three points, or a box, a confidence and the number"
            " of a track; leave the number out, or write 1.0"
        )
    return 0 <= shares[4] <= 1


def _placed(
    shares: list[float], keypoints: bool, size: Size
) -> tuple[list[float] | None, list[Array]]:
    """Return box and outline of a line in pixels."""
    if keypoints and len(shares) > 4:
        shares = shares[:4]
    if len(shares) == 5:
        if not 0 <= shares[4] <= 1:
            raise DataError(f"the sixth value is {shares[4]:g}; a confidence is from 0 to 1")
        shares = shares[:4]
    if len(shares) == 4:
        x, y, width, height = np.array(shares) * (size + size)
        return [x - width / 2, y - height / 2, x + width / 2, y + height / 2], []
    if len(shares) >= 6 and len(shares) % 2 == 0:
        return None, [np.array(shares).reshape(-1, 2) * size]
    raise DataError(
        f"a line holds {len(shares)} values behind the class; give x, y, width, height, or three"
        " points or more"
    )


def write_yolo(records: Iterable[Record], folder: Path, *, split: str = "train") -> None:
    """Write records of object detection.

    Pictures are copied to `images/<split>`, boxes go to `labels/<split>`, cut at the edge of their
    picture, and `data.yaml` is written last; splits that were written into the folder before keep
    their class numbers, which are 0 to n - 1.
    """
    file = folder / "data.yaml"
    names: dict[str, int] = {}
    splits = {split: f"images/{split}"}
    if file.is_file():
        data = yaml.safe_load(read_text(file))
        names = {name: index for index, name in _names(data.get("names"), file).items()}
        if sorted(names.values()) != list(range(len(names))):
            raise DataError(
                f"file {str(file)!r} has the class numbers {sorted(names.values())}; new ones can"
                " only follow 0 to n - 1: write to a new folder"
            )
        splits = {part: data[part] for part in SPLITS if part in data} | splits
    for place in ("images", "labels"):
        new = folder / place / split
        new.mkdir(parents=True, exist_ok=True)
        if any(new.iterdir()):
            raise DataError(f"folder {str(new)!r} is not empty; write to a new folder or split")
    pictures = PictureFolder(folder / "images" / split, copy=True)
    for record in records:
        boxes = labelled_boxes(record, "a YOLO folder")
        refuse_unplaced(record, "a YOLO folder", unplaced_words(record))
        picture = pictures.path_of(record)
        lines = [
            " ".join([str(names.setdefault(label, len(names))), *map(repr, shares)])
            for label, shares in zip(boxes.labels, _shares(boxes), strict=True)
        ]
        with (folder / "labels" / split / f"{picture.stem}.txt").open("a") as labels:
            labels.writelines(line + "\n" for line in lines)
    data = {"path": ".", **splits, "names": {index: name for name, index in names.items()}}
    file.write_text(yaml.safe_dump(data, allow_unicode=True, sort_keys=False), encoding="utf-8")


def _shares(boxes: Boxes) -> list[list[float]]:
    inside = clip_boxes(boxes.xyxy, boxes.image_size)
    low, high = inside[:, :2], inside[:, 2:]
    centres_and_sides = np.concatenate([(low + high) / 2, high - low], axis=1)
    shares: list[list[float]] = (centres_and_sides / (boxes.image_size * 2)).tolist()
    return shares
