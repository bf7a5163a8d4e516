"""CVAT XML: one file about all images of a task ("CVAT for images 1.1") or all frames of a video.

Coordinates are continuous pixels; boxes and ellipses may be turned, clockwise about their centres.
Points, polylines, cuboids and skeletons are no areas that can be detected: they are lost, and their
picture claims nothing. Tags are about whole pictures. Shapes of one group stay apart.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np

from florence2.data.annotated import (
    Annotated,
    Drawn,
    annotated_records,
    files_of_part,
    folders_around,
    size_of,
)
from florence2.data.files import number
from florence2.data.flags import flag_names
from florence2.data.formats.voc import xml_text
from florence2.data.image_files import find_picture, pictures_in
from florence2.data.objects import OBJECT_TASKS, chosen_tasks
from florence2.data.parts import choose_split, part_named
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.data.shapes import ellipse, outlines_at, pairs_of, turned_box
from florence2.errors import DataError, Florence2Error
from florence2.geometry import Size
from florence2.tasks import Task

SHAPES = ("box", "polygon", "ellipse", "mask")
NO_SHAPES = ("tag", "attribute")
MAX_FRAMES = 10**7  # a day at 100 a second; beyond it a number is a mistake
_FRAME = re.compile(r"frame_0*(\d{1,9})")
Part = tuple[str | None, Annotated]


def read_cvat(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield records of a CVAT file, or of all in a folder.

    Args:
        path: the XML file, or the folder that holds it.
        report: counts what cannot be used.
        tasks: tasks of `OBJECT_TASKS`, detection if none is given.
        split: the part to read, where files or the `subset` of images tell parts.
    """
    tasks = chosen_tasks(tasks, tuple(OBJECT_TASKS), Task.OD, f"dataset {str(path)!r}")
    files = files_of_part(path, "cvat", split, report, rows_tell=True)
    pictures = [each for file in files for each in _pictures(file, path, report)]
    if report.part is None:
        parts = {part for part, _ in pictures}
        report.part = choose_split(parts if None not in parts else (), split, path)
    chosen = (each for part, each in pictures if report.part is None or part in (None, report.part))
    yield from annotated_records(chosen, tasks, report)


def _pictures(file: Path, root: Path, report: ReadReport) -> Iterator[Part]:
    """Yield `(subset, picture)` of the images and frames of a file."""
    folders = folders_around(file, root)
    folders_of: dict[str | None, tuple[Path, ...]] = {None: folders}
    try:
        tree = ElementTree.fromstring(xml_text(file))
        if tree.tag != "annotations":
            raise DataError(f"its root is {tree.tag!r}")
    except (OSError, ElementTree.ParseError, ValueError, LookupError) as error:
        report.add(Problem.ROW, file.name, f"this is no CVAT XML ({error})")
        return
    for image in tree.iter("image"):
        name = image.get("name") or ""
        where = f"{file.name}, image {name!r}"
        try:
            size = size_of(image.get("width"), image.get("height"))
        except Florence2Error as error:
            report.add(Problem.ROW, where, error)
            report.name_picture(find_picture(name, folders))
            continue
        rows = [(f"{where}, {item.tag} {at}", item) for at, item in enumerate(image, start=1)]
        for at, item in rows:
            if item.tag == "tag":
                report.add(Problem.OTHER_TASK, at, "it is about the whole picture")
        rows = [(at, item) for at, item in rows if item.tag not in NO_SHAPES]
        part = part_named(image.get("subset") or "")
        if part not in folders_of:
            folders_of[part] = folders_around(file, root, part)
        yield part, Annotated(name, folders_of[part], where, rows, _draw, size)
    for each in _frames(tree, file, folders, report):
        yield None, each


def _frames(
    tree: Element, file: Path, folders: Sequence[Path], report: ReadReport
) -> Iterator[Annotated]:
    """Yield the frames of a video that lie there as pictures, `frame_000007.png`."""
    tracks = list(tree.iter("track"))
    if not tracks:
        return
    frames: dict[int, Path] = {}
    for folder in folders:
        for picture in pictures_in(folder) if folder.is_dir() else ():
            if found := _FRAME.fullmatch(picture.stem):
                frames.setdefault(int(found[1]), picture)
    rows: dict[int, list[tuple[str, Any]]] = defaultdict(list)
    for at, track in enumerate(tracks):
        where = f"{file.name}, track {track.get('id') or at}"
        if not frames:
            what = "no frames of the video lie there; save them as frame_000000.png and so on"
            report.add(Problem.ROW, where, what)
            continue
        for number_ in _gaps(track):
            if number_ in frames:
                at_frame = f"{where}, frame {number_}"
                what = "the track has no shape here, and does not end before (outside)"
                report.add(Problem.ROW, at_frame, what)
                rows[number_].append((at_frame, None))
        for item in track:
            frame = item.get("frame") or ""
            if item.tag in NO_SHAPES or item.get("outside") == "1":
                continue
            item.set("label", item.get("label") or track.get("label") or "")
            if not frame.isdecimal():
                report.add(Problem.ROW, where, f"frame {frame!r} is no number: it may be any")
                for each in frames:
                    rows[each].append((where, None))
            elif int(frame) in frames:
                rows[int(frame)].append((f"{where}, frame {frame}", item))
            else:
                report.add(Problem.PICTURE, where, f"frame_{int(frame):06}.png is not there")
    for number_, picture in frames.items():
        yield Annotated(
            *(picture.name, (picture.parent,), f"{file.name}, frame {number_}"),
            *(rows[number_], _draw, None),
        )


def _gaps(track: Element) -> Iterator[int]:
    """Frames between two shapes of a track of which the file tells nothing.

    CVAT writes a shape for each frame, also where nobody drew it, and `outside` where the object
    is gone.
    """
    shapes = [
        (int(item.get("frame") or ""), item.get("outside") == "1")
        for item in track
        if item.tag not in NO_SHAPES and (item.get("frame") or "").isdecimal()
    ]
    shapes = [(frame, gone) for frame, gone in sorted(shapes) if frame < MAX_FRAMES]
    for (frame, gone), (after, _) in pairwise(shapes):
        if not gone:
            yield from range(frame + 1, after)


def _draw(item: Element, size: Size) -> Drawn:
    if item.tag not in SHAPES:
        raise DataError(f"a {item.tag} has no area that can be detected; draw a box or polygon")
    label = item.get("label") or ""
    marks = {each.get("name") or "": (each.text or "") for each in item.iter("attribute")}
    flags = flag_names(marks)
    turn = number(item.get("rotation") or 0, "rotation")
    if item.tag == "box":
        box = _numbers(item, "xtl", "ytl", "xbr", "ybr")
        if not turn % 360:
            return Drawn(label, box, (), flags)
        return Drawn(label, None, [turned_box(box, turn)], flags)
    if item.tag == "ellipse":
        x, y, x_radius, y_radius = _numbers(item, "cx", "cy", "rx", "ry")
        return Drawn(label, None, [ellipse(x, y, x_radius, y_radius, turn)], flags)
    if item.tag == "polygon":
        return Drawn(label, None, [pairs_of(re.split("[,;]", item.get("points") or ""))], flags)
    left, top, width, height = map(int, _numbers(item, "left", "top", "width", "height"))
    runs = [int(number(run, "a run")) for run in (item.get("rle") or "").split(",")]
    inside = 0 < width <= size[0] and 0 < height <= size[1]
    if not inside or min(runs) < 0 or sum(runs) != width * height:
        raise DataError(f"run lengths sum up to {sum(runs):,}, not to {width} x {height} pixels")
    mask = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    outlines, num_holes = outlines_at(mask, left, top)
    return Drawn(label, None, outlines, flags, num_holes)


def _numbers(item: Element, *names: str) -> list[float]:
    return [number(item.get(name), name) for name in names]
