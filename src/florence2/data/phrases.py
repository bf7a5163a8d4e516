"""Phrases with their boxes, and the records that can be asked about them.

The answer of phrase grounding tells every phrase of a caption that can be pointed at, and that of a
referring expression all that it means. So a text of which a box was lost is not asked: its record
would say that the rest is all. Phrases of which a dataset says that they have no box (a whole
scene, an idea) stand in the caption and not in the answer. A caption without any box is not asked,
as its record would say that nothing of it is there.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from florence2.data.objects import LabelledObject, LabelledPicture
from florence2.data.ordering import canonical
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.results import Boxes, Polygons
from florence2.tasks import Task

EXPRESSION_TASKS = (Task.CAPTION_TO_PHRASE_GROUNDING, Task.REFERRING_EXPRESSION_SEGMENTATION)
"""The tasks that an expression answers whose objects have boxes and outlines."""


def grounding_records(
    picture: LabelledPicture, caption: str, report: ReadReport
) -> Iterator[Record]:
    """Yield the record of a caption, or count why there is none.

    Args:
        picture: whose objects have phrases of the caption as labels, an object for each box.
        caption: as it is asked.
        report: counts boxes of phrases that do not stand in the caption, and captions left out.
    """
    caption = " ".join(caption.split())
    if not caption:
        report.add(Problem.NO_TEXT, picture.source, "the caption is empty")
        return
    placed: list[tuple[int, LabelledObject]] = []
    num_lost = picture.num_lost
    for item in picture.objects:
        if place := _place(item.label, caption):
            placed.append((place[0], item._replace(label=caption[slice(*place)])))
        else:
            what = f"the phrase {item.label!r} does not stand in the caption {caption!r}"
            report.add(Problem.LABEL, picture.source, what)
            num_lost += 1
    if not placed and not num_lost:
        report.add(Problem.NOT_ASKED, picture.source, f"no phrase of {caption!r} has a box")
        return
    placed.sort(key=lambda pair: pair[0])  # phrases are answered in the order of the caption
    objects = tuple({(item.label, item.box): item for _, item in placed}.values())
    picture = replace(picture, objects=objects, num_lost=num_lost)
    yield from expression_records(picture, caption, EXPRESSION_TASKS[:1], report)


def expression_records(
    picture: LabelledPicture, text: str, tasks: Sequence[Task], report: ReadReport
) -> Iterator[Record]:
    """Yield the records of some `EXPRESSION_TASKS` about one text, which all objects answer.

    A text without objects means nothing in the picture. One of which an object was lost, or is to
    be ignored, is not asked; one whose objects have no outlines is not asked for masks.
    """
    objects, source = picture.objects, picture.source
    if picture.num_lost or any(item.is_ignored for item in objects):
        why = "an object of it was lost or is to be ignored"
        report.add(Problem.INCOMPLETE, source, f"{text!r} is not asked: {why}")
        return
    if not objects:
        report.add(Problem.EMPTY, source, f"nothing is {text!r}")
    for task in tasks:
        result: Boxes | Polygons
        if task is Task.CAPTION_TO_PHRASE_GROUNDING:
            xyxy = np.array([item.box for item in objects], dtype=np.float64).reshape(-1, 4)
            labels = tuple(item.label for item in objects)
            result = Boxes(xyxy, labels, image_size=picture.size)
        elif all(item.parts for item in objects):
            parts = tuple(item.parts for item in objects)
            result = Polygons(parts, ("",) * len(parts), image_size=picture.size)
        else:
            report.add(Problem.NOT_ASKED, source, f"{text!r}: no mask, as an outline is missing")
            continue
        record = Record(picture.path, task, text, None, canonical(result, task), source)
        yield from report.accept(record, source)


def _place(phrase: str, caption: str) -> tuple[int, int] | None:
    """Where a phrase stands in a caption, whatever its case and spaces are."""
    words = r"\s+".join(map(re.escape, phrase.split()))
    for pattern in (rf"(?<!\w){words}(?!\w)", words):
        if words and (found := re.search(pattern, caption, re.IGNORECASE)):
            return found.span()
    return None
