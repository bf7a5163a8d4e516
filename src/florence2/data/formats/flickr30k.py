"""Flickr30k Entities: captions with marked phrases, and an XML file of boxes for each picture.

    Sentences/1.txt      [/EN#7/people Two men] rest on [/EN#8/scene a beach] .    a caption a line
    Annotations/1.xml    objects with the ids of their phrases (`<name>7</name>`, several for one
                         box), and a box, or `<nobndbox>1` or `<scene>1`

Boxes count pixels from 1 as in VOC. Phrases that the set gives no box stay in the caption and out
of the answer: a scene, what cannot be seen (`nobndbox`), what is no thing (`/EN#0/notvisual`).
A phrase whose id no object has may be in the picture: its caption is not asked.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from florence2.data.files import number, read_text
from florence2.data.formats.voc import SIDES, _annotated_size, xml_text
from florence2.data.image_files import (
    files_in,
    find_picture,
    named_picture,
    picture_of_stem,
    twin_folders,
)
from florence2.data.objects import LabelledObject, LabelledPicture, checked_object, chosen_tasks
from florence2.data.parts import choose_split, part_named
from florence2.data.phrases import EXPRESSION_TASKS, grounding_records
from florence2.data.recognition import head_of
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.errors import DataError, Florence2Error
from florence2.geometry import Size
from florence2.tasks import Task

FOLDER = "sentences"
NOT_VISUAL = "notvisual"
_MARK = "[/EN#"
_PHRASE = re.compile(r"\[/EN#(\d+)/(\S+)\s+([^\[\]]*)\]")


@dataclass
class _Boxes:
    """The boxes of a picture by the ids of their phrases; `None` for each that was lost."""

    of: dict[str, list[LabelledObject | None]] = field(default_factory=dict)
    without: set[str] = field(default_factory=set)  # ids that have no box, as the file says


def read_flickr30k(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield a record of `<CAPTION_TO_PHRASE_GROUNDING>` for each caption.

    Args:
        path: the folder with `Sentences` and `Annotations`, and the pictures in a third.
        report: counts what cannot be used.
        tasks: that one task, if any is given.
        split: the list of ids to follow (`train.txt`, `val.txt`, `test.txt`), if there are any.
    """
    chosen_tasks(tasks, EXPRESSION_TASKS[:1], EXPRESSION_TASKS[0], f"folder {str(path)!r}")
    files = files_in(path)
    texts = {file.stem: file for file in files if is_sentences(file)}
    trees = {file.stem: file for file in files if file.suffix.lower() == ".xml"}
    lists = {part: file for file in files if file.suffix == ".txt" and not is_sentences(file)
             and (part := part_named(file.stem))}  # fmt: skip
    report.part = choose_split(lists, split, path)
    chosen = None if report.part is None else lists[report.part]
    for stem in read_text(chosen).split() if chosen else sorted(texts):
        if file := texts.get(stem):
            yield from _records_of(file, trees.get(stem), path, report)
        else:
            report.add(Problem.ROW, f"{chosen}", f"Sentences/{stem}.txt is not there")
    for stem in sorted(trees.keys() - texts.keys()):
        what = f"its captions, {stem}.txt, are not there"
        report.add(Problem.NO_TEXT, trees[stem].name, what)


def is_sentences(file: Path) -> bool:
    """Tell by its folder and its head whether a file holds captions of this kind."""
    return (
        file.suffix.lower() == ".txt"
        and file.parent.name.lower() == FOLDER
        and _MARK in head_of(file)
    )


def _records_of(
    file: Path, tree_file: Path | None, root: Path, report: ReadReport
) -> Iterator[Record]:
    folders = (*twin_folders(file.parent, root), file.parent.parent)
    name, size = f"{file.stem}.jpg", None
    picture = picture_of_stem(file.stem, folders)
    try:
        if tree_file is None:
            raise DataError(f"there is no {file.stem}.xml with its boxes")
        tree = ElementTree.fromstring(xml_text(tree_file))
        name = (tree.findtext("filename") or name).strip()
        size = _annotated_size(tree)
        lines = [line for line in read_text(file).splitlines() if line.strip()]
    except (OSError, ElementTree.ParseError, ValueError, LookupError) as error:
        report.add(Problem.ROW, file.name, f"its boxes or captions cannot be read ({error})")
        report.name_picture(picture or find_picture(name, folders))
        return
    if find_picture(name, folders) is None and picture:
        name, folders = picture.name, (picture.parent,)
    if (found := named_picture(name, folders, report, file.name, size)) is None:
        return
    boxes = _boxes(tree, found[1], report, f"{file.stem}.xml")
    if not lines:
        report.add(Problem.NO_TEXT, f"{file.name}, {found[0].name}", "it has no caption")
    named: set[str] = set()
    for at, line in enumerate(lines, start=1):
        named |= {entity for entity, _, _ in _PHRASE.findall(line)}
        yield from _caption_records(line, boxes, *found, report, f"{file.name}, line {at}")
    for entity in sorted(boxes.of.keys() - named):
        report.add(Problem.NOT_ASKED, f"{file.stem}.xml", f"no caption names the object {entity}")


def _caption_records(
    line: str, boxes: _Boxes, path: Path, size: Size, report: ReadReport, where: str
) -> Iterator[Record]:
    where = f"{where}, {path.name}"
    caption = " ".join(_PHRASE.sub(r"\3", line).split())
    if _MARK in caption:
        report.add(Problem.ROW, where, f"a mark is not closed in {caption!r}")
        return
    objects: list[LabelledObject | None] = []
    for entity, kind, phrase in _PHRASE.findall(line):
        if entity in boxes.of:
            objects += [item and item._replace(label=phrase) for item in boxes.of[entity]]
        elif entity in boxes.without or entity == "0" or NOT_VISUAL in kind.split("/"):
            report.add(Problem.NO_BOX, where, repr(phrase))
        else:
            report.add(Problem.LABEL, where, f"no object has the id {entity} of {phrase!r}")
            objects.append(None)
    yield from grounding_records(LabelledPicture.of(path, size, objects, where), caption, report)


def _boxes(tree: Element, size: Size, report: ReadReport, file: str) -> _Boxes:
    found = _Boxes()
    for at, item in enumerate(tree.iter("object"), start=1):
        where = f"{file}, object {at}"
        entities = [name for each in item.findall("name") if (name := (each.text or "").strip())]
        if not entities:
            report.add(Problem.LABEL, where, "it has no id")
            continue
        flags = {(item.findtext(flag) or "").strip() for flag in ("nobndbox", "scene")}
        if item.find("bndbox") is None and "1" in flags:
            found.without.update(entities)
            continue
        box = _box(item, size, report, where)
        for entity in entities:
            found.of.setdefault(entity, []).append(box)
    return found


def _box(item: Element, size: Size, report: ReadReport, where: str) -> LabelledObject | None:
    try:
        sides = [number(item.findtext(f"bndbox/{side}"), side) for side in SIDES]
    except Florence2Error as error:
        report.add(Problem.ROW, where, error)
        return None
    x_min, y_min, x_max, y_max = sides
    return checked_object("it", (x_min - 1, y_min - 1, x_max, y_max), (), size, report, where)
