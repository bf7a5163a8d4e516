"""What a model leaves out where nobody says: of photographs, and of pictures that it knows.

Every task that finds objects is asked of photographs, where the small model of the package knows
nothing and ought to find nothing, and of held-out scenes, where it ought to find what is there. All
objects are asked for; the model's own threshold is applied to them afterwards, as the engine does.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from florence2.data.records import Record
from florence2.data.sources import open_pictures
from florence2.engine import Answer, Engine, Request
from florence2.errors import DataError
from florence2.evaluation.calibration_fit import judge
from florence2.generation.options import GenerationOptions
from florence2.processing.images import ImageSource
from florence2.results import Result, as_boxes
from florence2.tasks import Task, join_classes
from florence2_lab.worlds.english import with_article

# Each task that finds objects, and in what sense an object that it finds is right, by the column of
# `judge`: names count where there are some to choose among, but not descriptions word for word.
TASKS = {
    Task.OD: "scores",
    Task.DENSE_REGION_CAPTION: "location_scores",
    Task.REGION_PROPOSAL: "location_scores",
    Task.OPEN_VOCABULARY_DETECTION: "scores",
    Task.CAPTION_TO_PHRASE_GROUNDING: "scores",
    Task.REFERRING_EXPRESSION_SEGMENTATION: "location_scores",
}


@dataclass(frozen=True)
class Found:
    """The objects of one answer.

    Attributes:
        scores: 0 for those without one.
        right: likewise; nothing is on a photograph.
        true: how many there are to find.
    """

    scores: tuple[float, ...]
    right: tuple[bool, ...]
    true: int


@dataclass(frozen=True)
class Kept:
    """What is left above a threshold: objects a picture, and how many of them are right.

    Precision is None where nothing is kept, recall where there is nothing to find.
    """

    a_picture: float
    precision: float | None
    recall: float | None


def photographs(folder: Path) -> list[tuple[str, ImageSource]]:
    """The pictures of a folder with their names; those that cannot be read are left out."""
    found = [
        (Path(each.name).name, each.image)
        for each in open_pictures([str(folder)])
        if each.image is not None
    ]
    if not found:
        raise DataError(f"folder {str(folder)!r} holds no picture; give one of photographs")
    return found


def words_for(task: Task, categories: Sequence[str], number: int) -> str:
    """What is asked for in picture `number`, where a task needs words; the same again each time."""
    if not task.needs_text:
        return ""
    names = random.Random(number).sample(list(categories), min(3, len(categories)))
    if task is Task.OPEN_VOCABULARY_DETECTION:
        return join_classes(names)
    if task is Task.CAPTION_TO_PHRASE_GROUNDING and number % 2:
        return " and ".join(map(with_article, names[:2]))
    return f"the {names[0]}"


def find_in_photographs(
    engine: Engine,
    pictures: Iterable[ImageSource],
    task: Task,
    categories: Sequence[str],
    generation: GenerationOptions,
) -> list[Found]:
    """Ask a task of photographs; nothing that is found counts as right."""
    requests = (
        Request(picture, task, words_for(task, categories, at), None, 0.0, generation=generation)
        for at, picture in enumerate(pictures)
    )
    return [nothing_right(answer.result) for answer in _answers(engine, requests)]


def find_in_scenes(
    engine: Engine, records: Sequence[Record], generation: GenerationOptions
) -> list[Found]:
    """Ask records of one task, and judge what is found."""
    requests = (
        Request(each.image, each.task, each.text_input, None, 0.0, generation=generation)
        for each in records
    )
    return [
        judged(answer.result, record)
        for answer, record in zip(_answers(engine, requests), records, strict=True)
    ]


def nothing_right(result: Result) -> Found:
    """What was found on a photograph."""
    scores = _scores(result)
    return Found(scores, (False,) * len(scores), 0)


def judged(result: Result, record: Record) -> Found:
    """What is right of the objects of an answer, by the sense of `TASKS`."""
    assert record.task is not None, "scenes are asked tasks"
    truth = as_boxes(record.result)
    right = judge(as_boxes(result), truth)[TASKS[record.task]]
    return Found(_scores(result), tuple(right), len(truth.labels))


def kept(found: Sequence[Found], least: float) -> Kept:
    """Count what has a score of `least` or more."""
    rows = [
        is_right
        for each in found
        for score, is_right in zip(each.scores, each.right, strict=True)
        if score >= least
    ]
    true = sum(each.true for each in found)
    return Kept(
        a_picture=len(rows) / max(1, len(found)),
        precision=sum(rows) / len(rows) if rows else None,
        recall=sum(rows) / true if true else None,
    )


def _scores(result: Result) -> tuple[float, ...]:
    boxes = as_boxes(result)
    return tuple(score or 0.0 for score in boxes.scores or (0.0,) * len(boxes.labels))


def _answers(engine: Engine, requests: Iterable[Request]) -> Iterator[Answer]:
    for answer in engine.answer_many(requests):
        if not isinstance(answer, Answer):
            raise answer
        yield answer
