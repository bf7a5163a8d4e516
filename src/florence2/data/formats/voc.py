"""Pascal VOC folders: one XML file of boxes for each picture.

VOC counts pixels from 1 and includes the last, so the box of a whole picture of 500 x 375 pixels is
1, 1, 500, 375. In continuous coordinates that is 0, 0, 500, 375: one is taken off x_min and y_min
only, and put back on writing. Many tools write VOC files that count from 0 (Label Studio, datumaro,
globox, panlabel), where nothing is to be taken off; the boxes of all files together tell which it
is. Objects marked difficult are to be ignored, as in VOC's own measure. Outlines (`polygon`, of
Roboflow) and turned boxes (`robndbox`, of roLabelImg) count in continuous pixels.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from florence2.data.files import number, read_text, whole_characters
from florence2.data.flags import CROWD_FLAGS, flag_names
from florence2.data.image_files import (
    PictureFolder,
    files_in,
    named_picture,
    picture_of_stem,
    twin_folders,
)
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
from florence2.data.parts import choose_split, divide
from florence2.data.records import Picture, Record
from florence2.data.report import Problem, ReadReport
from florence2.errors import DataError, Florence2Error
from florence2.geometry import Array, Box, Size
from florence2.results import Boxes
from florence2.tasks import Task

LISTS = "ImageSets/Main"
ORIGINS = (0, 1)
# What our writer says, whose boxes keep their fractions.
_FROM_1 = "florence2, pixels from 1"
_LOW_SIDE = re.compile(r"<[xy]min>\s*([-+.\deE]+)\s*</")
SIDES = ("xmin", "ymin", "xmax", "ymax")


def read_voc(
    path: Path,
    report: ReadReport,
    *,
    tasks: Sequence[Task] = (),
    split: str | None = None,
    origin: int | None = None,
) -> Iterator[Record]:
    """Yield records of the XML files in a folder and in folders inside.

    Pictures lie beside them, or in a folder beside theirs (`Annotations` and `JPEGImages`).

    Args:
        path: the folder.
        report: counts what cannot be used.
        tasks: tasks of `OBJECT_TASKS`, detection if none is given.
        split: the list in `ImageSets/Main` to follow ("train", "val", "trainval", "test"), or the
            folder inside to read ("train" with "valid", as Roboflow writes it).
        origin: the number of the first pixel, 0 or 1; by the boxes of all files if not given.
    """
    tasks = chosen_tasks(tasks, tuple(OBJECT_TASKS), Task.OD, f"dataset {str(path)!r}")
    trees = [file for file in files_in(path) if file.suffix.lower() == ".xml"]
    files = _annotation_files(trees, path, split, report)
    if origin is None:
        origin = _origin(trees, report, path.name)
    told: dict[Picture, list[LabelledPicture]] = {}
    for file in files:
        if picture := _picture_of(file, path, report, origin):
            told.setdefault(picture.path, []).append(picture)
    for versions in told.values():
        yield from object_records(_one_version(versions, report), tasks, report)


def _one_version(versions: Sequence[LabelledPicture], report: ReadReport) -> LabelledPicture:
    """What files say of one picture; where they differ nobody knows what is in it."""
    first, *others = versions
    for other in others:
        what = f"{first.source} tells of the same picture, {first.path}"
        report.add(Problem.DUPLICATE, other.source, what)
        if not _alike(first, other):
            first = replace(first, num_lost=first.num_lost + max(1, len(other.objects)))
    return first


def _alike(one: LabelledPicture, other: LabelledPicture) -> bool:
    rows = [
        sorted((item.label, item.box, item.is_ignored) for item in each.objects)
        for each in (one, other)
    ]
    return rows[0] == rows[1] and not other.num_lost


def _origin(trees: Sequence[Path], report: ReadReport, where: str) -> int:
    """Find out the number of the first pixel: boxes at the upper and left edge begin with it.

    A few boxes that begin at 0 are mistakes where more begin at 1. So are fractions: VOC2012 has
    some, and files that count from 0 in floats have them everywhere.
    """
    from_0 = from_1 = sides = 0
    for file in trees:
        try:
            text = xml_text(file)
        except (OSError, ValueError, LookupError):
            continue  # told when it is read
        if _FROM_1 in text:
            return 1
        for written in _LOW_SIDE.findall(text):
            try:
                side = float(written)
            except ValueError:
                continue
            sides += 1
            from_0 += side == 0 or side % 1 != 0
            from_1 += side == 1
    if not sides:
        return 1
    seen = (
        f"of {sides:,} left and upper sides, {from_0:,} are 0 or a fraction, and {from_1:,} are 1"
    )
    if from_0 and from_0 >= from_1:
        report.add(Problem.ORIGIN, where, f"from 0: {seen}")
        return 0
    if from_0 or not from_1:
        report.add(Problem.ORIGIN, where, f"from 1, as VOC does: {seen}")
    return 1


def _annotation_files(
    trees: Sequence[Path], path: Path, split: str | None, report: ReadReport
) -> list[Path]:
    lists = _lists(path)
    if not lists:
        parts = divide(trees, path)
        report.part = choose_split(parts, split, path)
        return parts[report.part]
    report.part = choose_split((file.stem for file in lists), split, path)
    of_root: dict[tuple[Path, str], Path] = {}
    for tree in trees:
        for folder in tree.parents:
            of_root.setdefault((folder, tree.stem), tree)
    files = []
    for list_file in lists:
        if list_file.stem != report.part:
            continue
        for line in filter(None, map(str.strip, read_text(list_file).splitlines())):
            name = line.split()[0]
            if file := of_root.get((list_file.parents[2], name)):
                files.append(file)
            else:
                report.add(Problem.ROW, list_file.name, f"{name}.xml is not there")
    return files


def _lists(path: Path) -> list[Path]:
    """Return the lists of parts, of all years below a folder.

    Lists such as cat_train.txt tell which pictures show a class.
    """
    places = (f"{LISTS}/*.txt", f"*/{LISTS}/*.txt", f"*/*/{LISTS}/*.txt")
    files = (file for place in places for file in sorted(path.glob(place)))
    return [file for file in files if "_" not in file.stem]


def _picture_of(file: Path, root: Path, report: ReadReport, origin: int) -> LabelledPicture | None:
    folders = [*twin_folders(file.parent, root), file.parent, root]
    folders.sort(key=lambda folder: folder.name not in ("JPEGImages", "images"))
    beside = picture_of_stem(file.stem, folders)
    try:
        tree = ElementTree.fromstring(xml_text(file))
        if tree.tag.lower() != "annotation":
            raise DataError(f"its root is {tree.tag!r}")
        annotated = _annotated_size(tree)
    except (OSError, ElementTree.ParseError, ValueError, LookupError) as error:
        report.add(Problem.ROW, file.name, f"this is no VOC annotation ({error})")
        report.name_picture(beside)
        return None
    name = (tree.findtext("filename") or "").strip()
    exact = any((folder / name).is_file() for folder in folders) if name else False
    if beside and (not exact or _names_another(name, file)):
        name, folders = beside.name, [beside.parent]
    found = named_picture(name or f"{file.stem}.jpg", folders, report, file.name, annotated)
    if found is None:
        return None
    objects = [_object(item, found[1], report, file.name, origin) for item in tree.iter("object")]
    return LabelledPicture.of(*found, objects, file.name)


def _names_another(name: str, file: Path) -> bool:
    """Whether a file tells the name of a picture that has a file of its own: copied, not meant."""
    stem = Path(name).stem
    return stem != file.stem and file.with_name(f"{stem}{file.suffix}").is_file()


def xml_text(file: Path) -> str:
    """Read XML in the encoding that it declares, UTF-8 if it declares none."""
    data = file.read_bytes()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16")
    else:
        declared = re.match(rb"\s*<\?xml[^>]*encoding\s*=\s*[\"']([\w.:-]+)", data[:200])
        text = data.decode(declared[1].decode("ascii") if declared else "utf-8-sig")
    return re.sub(r"^\ufeff?\s*<\?xml[^>]*\?>", "", text)


def _annotated_size(tree: Element) -> Size | None:
    """Return the size that the file tells; some tools write 0 x 0 for "unknown"."""
    sides = [tree.findtext(f"size/{side}") for side in ("width", "height")]
    if not all(sides):
        return None
    width, height = (int(number(side, "the size")) for side in sides)
    return (width, height) if width and height else None


def _object(
    item: Element, size: Size, report: ReadReport, file: str, origin: int
) -> LabelledObject | None:
    label = item.findtext("name") or ""
    where = f"{file}, object {label.strip()!r}"
    try:
        box, parts = _box(item, origin), _outline(item)
        if box is None and not parts:
            raise DataError("it has none of bndbox, polygon and robndbox")
    except Florence2Error as error:
        report.add(Problem.ROW, where, error)
        return None
    found = checked_object(label, box, parts, size, report, where)
    flags = flag_names({each.tag: each.text or "" for each in item})
    if found is not None and flags:
        report.add(Problem.IGNORED, where, f"it is marked {', '.join(sorted(flags))}")
        return found._replace(is_ignored=True, is_crowd=bool(flags & CROWD_FLAGS))
    return found


def _box(item: Element, origin: int) -> Box | None:
    if item.find("bndbox") is None:
        return None
    x_min, y_min, x_max, y_max = (number(item.findtext(f"bndbox/{side}"), side) for side in SIDES)
    return x_min - origin, y_min - origin, x_max, y_max


def _outline(item: Element) -> list[Array]:
    """The corners of a polygon, x1 y1 x2 y2 ..., or of a box that is turned about its centre."""
    polygon, turned = item.find("polygon"), item.find("robndbox")
    if polygon is not None:
        sides = {side.tag: number(side.text, side.tag) for side in polygon}
        count = len(sides) // 2
        if sides.keys() != {f"{axis}{at}" for axis in "xy" for at in range(1, count + 1)}:
            raise DataError(f"a polygon has {', '.join(sides)}; give x1, y1, x2, y2, ...")
        corners = [(sides[f"x{at}"], sides[f"y{at}"]) for at in range(1, count + 1)]
        return [np.array(corners, dtype=np.float64)]
    if turned is not None:
        names = ("cx", "cy", "w", "h", "angle")
        cx, cy, width, height, angle = (number(turned.findtext(name), name) for name in names)
        across = width / 2 * np.array([np.cos(angle), np.sin(angle)])
        down = height / 2 * np.array([-np.sin(angle), np.cos(angle)])
        signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
        return [np.array([(cx, cy) + x * across + y * down for x, y in signs])]
    return []


def write_voc(records: Iterable[Record], folder: Path) -> None:
    """Write records of object detection, one for each picture.

    Pictures are copied to `JPEGImages`, boxes go to `Annotations` with the fractions they have.
    """
    annotations = folder / "Annotations"
    annotations.mkdir(parents=True, exist_ok=True)
    pictures = PictureFolder(folder / "JPEGImages", copy=True)
    for record in records:
        boxes = labelled_boxes(record, "a VOC folder")
        refuse_unplaced(record, "a VOC folder", unplaced_words(record, difficult=True))
        picture = pictures.path_of(record)
        file = annotations / f"{picture.stem}.xml"
        if file.exists():
            raise DataError(
                f"file {str(file)!r} exists; give one record for each picture, and a new folder"
            )
        difficult = record.ignored.boxes if record.ignored else None
        tree = _tree(whole_characters(picture.name, "an XML file"), boxes, difficult)
        ElementTree.indent(tree)
        text = ElementTree.tostring(tree, encoding="unicode")
        file.write_text(text + "\n", encoding="utf-8")


def _tree(name: str, boxes: Boxes, difficult: Boxes | None = None) -> Element:
    tree = Element("annotation")
    SubElement(tree, "filename").text = name
    SubElement(SubElement(tree, "source"), "annotation").text = _FROM_1
    size = SubElement(tree, "size")
    for side, value in zip(("width", "height", "depth"), (*boxes.image_size, 3), strict=True):
        SubElement(size, side).text = str(value)
    rows = [(*row, "0") for row in zip(boxes.labels, boxes.xyxy.tolist(), strict=True)]
    if difficult is not None:
        rows += [(*row, "1") for row in zip(difficult.labels, difficult.xyxy.tolist(), strict=True)]
    for label, (x_min, y_min, x_max, y_max), mark in rows:
        item = SubElement(tree, "object")
        SubElement(item, "name").text = label
        SubElement(item, "difficult").text = mark
        box = SubElement(item, "bndbox")
        values = (x_min + 1, y_min + 1, x_max, y_max)
        for side, value in zip(SIDES, values, strict=True):
            SubElement(box, side).text = f"{value:g}" if value == int(value) else repr(value)
    return tree
