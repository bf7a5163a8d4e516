"""Masks as pictures: what shows each class, or each object, is drawn in a picture beside.

    images/1.jpg
    masks/1.png        a value or colour for each class; `florence2.data.mask_files` finds the pairs
    classes.txt        background, cat, dog: the names of 0, 1, 2

Masks of classes do not tell objects apart. They answer one task: all pixels of a class, asked by
its name (`<REFERRING_EXPRESSION_SEGMENTATION>`). Masks of objects are one file for each
(`1_mask_0.png`, `1_mask_1.png`), or VOC's `SegmentationObject` beside `SegmentationClass`, or
alone where there is one class; they answer all tasks about objects. Void (255, or what is called
so) belongs to no class; where it is wider than a border, something lies there that nobody named,
and the picture is left out of tasks that ask for all.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from florence2.data.files import read_text
from florence2.data.image_files import checked_size, files_in, pictures_in
from florence2.data.mask_files import MaskFile, MaskFiles, name_file, pair_masks
from florence2.data.masks import Mask, mask_outlines
from florence2.data.objects import (
    OBJECT_TASKS,
    LabelledObject,
    LabelledPicture,
    checked_object,
    chosen_tasks,
    object_records,
)
from florence2.data.parts import choose_split, divide, part_named
from florence2.data.recognition import MASKS
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.errors import DataError, Florence2Error
from florence2.geometry import Size
from florence2.processing.images import readable_formats
from florence2.tasks import Task

LISTS = "ImageSets/Segmentation"
WHITE = 255
_UNKNOWN = "\0"  # no name of a class
_VOID_VALUES = (224 << 16 | 224 << 8 | 192,)  # the colour of VOC's borders
BORDER = 16  # pixels; VOC's borders of void are narrower, also where three meet
BACKGROUND_NAMES = frozenset(("background", "bg", "unlabeled", "unlabelled"))
NAMES_OF_0 = BACKGROUND_NAMES | {"other", "others", "nothing", "none"}
VOID_NAMES = frozenset(("void", "ignore", "ignored", "border", "unknown"))
Values = NDArray[np.int64]
_COLOUR = re.compile(r"(?<![\w.])(\d{1,3})[\s,;]+(\d{1,3})[\s,;]+(\d{1,3})(?![\w.])")
_NUMBERED = re.compile(r"(\d+)\s*[:,;\t ]\s*(.*\S)")


class _SizeError(DataError):
    """A mask is of another size than its picture."""


@dataclass(frozen=True)
class _Names:
    """What the values of masks mean; the background is "", void is `None`."""

    of: Mapping[int, str | None] = field(default_factory=dict)
    by_colour: bool = False

    @property
    def classes(self) -> set[str]:
        return {name for name in self.of.values() if name}

    @property
    def only(self) -> str | None:
        """The class, where there is one alone."""
        return next(iter(self.classes)) if len(self.classes) == 1 else None


def read_mask_pictures(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield records of the pictures in a folder that have masks.

    Args:
        path: the folder.
        report: counts what cannot be used.
        tasks: tasks of `OBJECT_TASKS`, detection if none is given; of masks that do not tell
            objects apart only `<REFERRING_EXPRESSION_SEGMENTATION>`.
        split: the folder inside to read, or the list in `ImageSets/Segmentation`.
    """
    files = files_in(path)
    found = pair_masks(pictures_in(path, deep=True), path)
    names = _names(name_file(files, path), found)
    if not found.masks and not found.objects:
        raise DataError(f"folder {str(path)!r} holds no mask beside a picture of its name")
    masks = [mask for each in found.masks.values() for mask in each]
    one_each = any(mask.number is not None for mask in masks)
    are_objects = one_each or bool(found.objects)
    all_tasks = tuple(OBJECT_TASKS) if are_objects else (Task.REFERRING_EXPRESSION_SEGMENTATION,)
    what = f"folder {str(path)!r}, whose masks {'do' if are_objects else 'do not'} tell objects,"
    tasks = chosen_tasks(tasks, all_tasks, all_tasks[0], what)
    parts = _parts(files, found, path)
    report.part = choose_split(parts, split, path)
    report.masks |= found.all_masks | set(found.others)
    for lone in found.lone:
        report.name_picture(lone)
        report.add(Problem.NO_PICTURE, lone.relative_to(path).as_posix(), "a mask of no picture")
    white_is_class = _white_means_class(masks, names)
    reader = _Reader(names, white_is_class, one_each, bool(found.objects), path, report)
    for picture in parts[report.part]:
        if picture in found.masks or picture in found.objects:
            its_masks, objects = found.masks.get(picture, []), found.objects.get(picture)
            yield from reader.records_of(picture, its_masks, objects, tasks)
        else:
            report.name_picture(picture)
            report.add(Problem.UNNAMED, picture.relative_to(path).as_posix(), "it has no mask")


@dataclass
class _Sorted:
    """Values of a mask by what they mean: of classes by name, of void, and those without name."""

    of: dict[str, list[int]] = field(default_factory=dict)
    void: list[int] = field(default_factory=list)
    unknown: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class _Reader:
    """Reads the masks of one picture after the other."""

    names: _Names
    white_is_class: bool
    one_each: bool
    are_numbered: bool
    root: Path
    report: ReadReport

    def records_of(
        self, picture: Path, masks: Sequence[MaskFile], objects: Path | None, tasks: Sequence[Task]
    ) -> Iterator[Record]:
        where = picture.relative_to(self.root).as_posix()
        if (size := checked_size(picture, self.report, where)) is None:
            return
        try:
            if self.one_each:
                found = [self._one(mask, size, where) for mask in masks]
            elif len({mask.group for mask in masks}) < len(masks):
                both = " and ".join(mask.path.name for mask in masks)
                raise DataError(f"it has the masks {both}; leave one, or number those of objects")
            elif objects is not None:
                found = self._objects(masks[0].path if masks else None, objects, size, where)
            elif self.are_numbered:
                raise DataError("it has no mask that numbers its objects, where others have one")
            else:
                found = [item for mask in masks for item in self._classes(mask, size, where)]
        except Florence2Error as error:
            is_size = isinstance(error, _SizeError)
            self.report.add(Problem.SIZE if is_size else Problem.ROW, where, error)
            return
        labelled = LabelledPicture.of(picture, size, found, where)
        yield from object_records(labelled, tasks, self.report)

    def _values(self, file: Path, size: Size) -> Values:
        return mask_values(file, size, by_colour=self.names.by_colour)

    def _sort(self, values: Values) -> "_Sorted":
        """Sort the values that occur by what they mean."""
        found = _Sorted()
        for value in np.unique(values).tolist():
            name = self.names.of.get(value, _UNKNOWN)
            if value == WHITE and not self.names.by_colour:
                name = self.names.only if self.white_is_class else self.names.of.get(value)
            if name is None:
                found.void.append(value)
            elif name == _UNKNOWN:
                found.unknown.append(value)
            elif name:
                found.of.setdefault(name, []).append(value)
        return found

    def _tell_unknown(self, unknown: Sequence[int], where: str) -> None:
        told = [_colour(value) if self.names.by_colour else value for value in unknown[:3]]
        what = "the colours" if self.names.by_colour else "the values"
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        words = f"{what} {', '.join(map(str, told))}{more} have no name"
        self.report.add(Problem.LABEL, where, words)

    def _classes(self, mask: MaskFile, size: Size, where: str) -> list[LabelledObject | None]:
        """A class each, with all its pixels."""
        values = self._values(mask.path, size)
        if mask.group and not self.names.of:
            return [self._object(mask.group, _two_valued(values, mask.path), size, where)]
        meaning = self._sort(values)
        found = [
            self._object(name, np.isin(values, its_values), size, where)
            for name, its_values in meaning.of.items()
        ]
        if meaning.unknown:
            self._tell_unknown(meaning.unknown, where)
            found.append(None)
        return found + self._void(np.isin(values, meaning.void), where)

    def _void(self, void: Mask, where: str) -> list[LabelledObject | None]:
        """Tell of void; one lost object where it is more than a border."""
        if not void.any():
            return []
        if _holds_square(void, BORDER):
            what = f"void is wider than a border ({BORDER} pixels): nobody named what is there"
            self.report.add(Problem.LABEL, where, what)
            return [None]
        self.report.add(Problem.IGNORED, where, f"{int(void.sum()):,} pixels of void")
        return []

    def _one(self, mask: MaskFile, size: Size, where: str) -> LabelledObject | None:
        """The one object of a mask."""
        values = self._values(mask.path, size)
        where = f"{where}, {mask.path.name}"
        if mask.number is None:
            self.report.add(Problem.ROW, where, "it has no number, where others have one an object")
            return None
        if mask.group and not self.names.of:
            return self._object(mask.group, _two_valued(values, mask.path), size, where)
        only = self.names.only if not self.names.by_colour else None
        if only is not None:
            return self._object(only, _two_valued(values, mask.path), size, where)
        return self._named(values, values != 0, size, where)

    def _objects(
        self, classes: Path | None, file: Path, size: Size, where: str
    ) -> list[LabelledObject | None]:
        """The objects that the values of a mask number, with the class that another tells."""
        numbers = mask_values(file, size, by_colour=self.names.by_colour)
        if classes is None:
            if (only := self.names.only) is None:
                raise DataError(f"{file.name} numbers objects, and no mask tells their classes")
            objects = np.unique(numbers[numbers != 0]).tolist()
            return [self._object(only, numbers == value, size, where) for value in objects]
        values = self._values(classes, size)
        void = np.isin(values, self._sort(values).void)
        found: list[LabelledObject | None] = []
        for value in np.unique(numbers[(numbers != 0) & ~void]).tolist():
            mask = (numbers == value) & ~void
            found.append(self._named(values, mask, size, f"{where}, object {value}"))
        left = self._sort(values[numbers == 0])
        if left.of or left.unknown:
            named = next(iter(left.of), "a class without a name")
            self.report.add(Problem.LABEL, where, f"pixels of {named} belong to no object")
            found.append(None)
        return found + self._void(void, where)

    def _named(self, values: Values, mask: Mask, size: Size, where: str) -> LabelledObject | None:
        """The object of a mask, with the class that all its pixels have."""
        meaning = self._sort(values[mask])
        if meaning.unknown:
            self._tell_unknown(meaning.unknown, where)
            return None
        if len(meaning.of) != 1:
            what = f"one object shows {', '.join(meaning.of) or 'no class'}"
            self.report.add(Problem.LABEL, where, what)
            return None
        return self._object(next(iter(meaning.of)), mask, size, where)

    def _object(self, label: str, mask: Mask, size: Size, where: str) -> LabelledObject | None:
        outlines, num_holes = mask_outlines(mask)
        if num_holes:
            self.report.add(Problem.HOLES, where, f"{label}, {num_holes} holes")
        return checked_object(label, None, outlines, size, self.report, where)


def mask_values(file: Path, size: Size, *, by_colour: bool) -> Values:
    """Read the value of each pixel of a mask, `(H, W)`.

    That of a colour is `red << 16 | green << 8 | blue`.

    Raises:
        DataError: if it is no mask of a picture of that size, or its values are not exact.
    """
    try:
        with Image.open(file, formats=readable_formats()) as image:
            if image.format in ("JPEG", "MPO"):
                raise DataError(
                    f"{file.name} is a JPEG, whose values are not exact; save it as PNG, each value"
                    " rounded to the nearest that means something"
                )
            if image.size != size:
                raise _SizeError(f"{file.name} has {image.size} pixels, its picture has {size}")
            if by_colour:
                rgb = np.asarray(image.convert("RGB")).astype(np.int64)
                return np.asarray((rgb << np.array((16, 8, 0))).sum(axis=-1), dtype=np.int64)
            opaque = {"RGBA": "RGB", "LA": "L", "PA": "P"}.get(image.mode, image.mode)
            values = np.asarray(image.convert(opaque)).astype(np.int64)
    except DataError:
        raise
    except Exception as error:  # Pillow's readers raise almost anything on damaged bytes
        raise DataError(f"{file.name} is damaged or no picture ({error})") from error
    if values.ndim == 3:
        if (values != values[..., :1]).any():
            raise DataError(
                f"{file.name} has colours, which need names (labelmap.txt: cat:255,0,0::)"
            )
        values = values[..., 0]
    return values


def _two_valued(values: Values, file: Path) -> Mask:
    """Where a mask of one class shows it."""
    found = np.unique(values)
    if len(found) > 2 or (len(found) == 2 and found[0] != 0):
        raise DataError(
            f"{file.name} has {len(found)} values, {found[:4].tolist()} ..., where it names one"
            " class; save it with 0 and 255 alone"
        )
    return np.asarray(values != 0)


def _white_means_class(masks: Sequence[MaskFile], names: _Names) -> bool:
    """Whether 255 is the one class there is: so where no mask has the value 1 for it."""
    if names.only is None or names.by_colour or WHITE in names.of:
        return False
    for mask in masks:
        try:
            with Image.open(mask.path, formats=readable_formats()) as image:
                if image.mode != "1" and (np.asarray(image) == 1).any():
                    return False
        except Exception:  # it is told when it is read
            continue
    return True


def _holds_square(mask: Mask, side: int) -> bool:
    """Whether a mask holds a whole square."""
    if min(mask.shape) < side:
        return False
    sums = np.pad(mask.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    inside = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return bool((inside == side * side).any())


def _parts(files: Sequence[Path], found: MaskFiles, root: Path) -> dict[str | None, list[Path]]:
    """The pictures by part: of lists, where there are two or more, or of folders."""
    lists = {
        part_named(file.stem) or file.stem: file
        for file in files
        if file.suffix == ".txt" and file.parent.as_posix().endswith(LISTS)
    }
    if len(lists) < 2:
        return dict(divide(found.pictures, root))
    ids = {part: set(read_text(file).split()) for part, file in lists.items()}
    return {
        part: [picture for picture in found.pictures if picture.stem in ids[part]] for part in ids
    }


def _names(file: Path | None, found: MaskFiles) -> _Names:
    if file is None:
        if found.groups:
            return _Names()  # folders name the classes
        raise DataError(f"{MASKS.name} without the names of what they show; {MASKS.advice}")
    lines = [line.strip() for line in read_text(file).splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    coloured = [_COLOUR.search(line) for line in lines]
    if any(coloured):
        return _names_of_colours(file, lines)
    numbered = [_NUMBERED.fullmatch(line) for line in lines]
    if len(numbered) > 1 and numbered[0] is None and all(numbered[1:]):
        numbered = numbered[1:]  # the head of a table
    if lines and all(numbered):
        return _Names({int(row[1]): _meaning(row[2], int(row[1])) for row in numbered if row})
    if len(lines) == 1 and _meaning(lines[0], 0):
        return _Names({0: "", 1: lines[0]})
    names = {value: _meaning(line, value) for value, line in enumerate(lines)}
    if not lines or names[0]:
        raise DataError(
            f"file {str(file)!r} does not say what the value 0 is; begin it with 'background', or"
            " write a number before each name (1: cat)"
        )
    return _Names(names)


def _names_of_colours(file: Path, lines: Sequence[str]) -> _Names:
    """Lines such as `cat:255,0,0::` of CVAT, `255 0 0 cat` of CamVid, `cat,255,0,0`."""
    names: dict[int, str | None] = {0: "", **dict.fromkeys(_VOID_VALUES)}
    for at, line in enumerate(lines):
        match = _COLOUR.search(line)
        if match is None:
            if at == 0:
                continue  # the head of a table
            raise DataError(f"file {str(file)!r} has no colour in {line!r}; write cat:255,0,0::")
        name = (line[: match.start()] or line[match.end() :]).strip(" \t:,;")
        red, green, blue = (int(part) for part in match.groups())
        value = red << 16 | green << 8 | blue
        names[value] = _meaning(name, value)
    return _Names(names, by_colour=True)


def _meaning(name: str, value: int) -> str | None:
    """What a name says of a value: "" for the background, `None` for void."""
    plain = name.strip().strip("_").lower()
    if plain in VOID_NAMES:
        return None
    return "" if plain in (BACKGROUND_NAMES if value else NAMES_OF_0) else name.strip()


def _colour(value: int) -> tuple[int, int, int]:
    return value >> 16, value >> 8 & 255, value & 255
