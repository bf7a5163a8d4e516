"""What two other implementations return for an answer: their arithmetic, and what they drop.

`"hf"` is the class inside transformers, `"microsoft"` the code published with the weights;
`docs/answers.md` lists the differences.
"""

from typing import Any, Literal, assert_never

import numpy as np

from florence2.answers.tokens import EOS
from florence2.errors import AnswerError
from florence2.geometry import Array, Size
from florence2.locations import NUM_BINS, decode_points, encode_points, location_tokens
from florence2.results import Boxes, Mixed, Points, Polygons, Quads, Result, Text, check_fits
from florence2.tasks import AnswerKind, Task

Style = Literal["hf", "microsoft"]

# Phrases that both other implementations drop from grounding answers without a word.
_GENERIC = """
it, I, me, mine, you, your, yours, he, him, his, she, her, hers, they, them, their, theirs, one,
oneself, we, us, our, ours, its, myself, yourself, himself, herself, itself, ourselves, yourselves,
themselves, this, that, these, those, who, whom, whose, which, what, all, another, any, anybody,
anyone, anything, each, everybody, everyone, everything, few, many, nobody, none, several, some,
somebody, someone, something, each other, one another, the image, image, images, the, a, an,
a group, other objects, lots, a set
"""
GENERIC_PHRASES = frozenset(phrase.strip() for phrase in _GENERIC.split(","))


# The published code computes scores for the tasks with this answer grammar only.
_SCORED_TASKS = (Task.OD, Task.DENSE_REGION_CAPTION)


def to_transformers_dict(result: Result, task: Task | str, style: Style = "hf") -> dict[str, Any]:
    """The dictionary that another implementation returns for an answer.

    Only the fields are read, never the raw answer, so an edited result comes out as edited.

    Args:
        task: the task that was asked; its token is the only key of the dictionary.
        style: `"hf"` for the class inside transformers (whole pixels), `"microsoft"` for the code
            published with the weights (float pixels).

    Raises:
        AnswerError: the task cannot have such a result, or the style is unknown.
    """
    task = Task.parse(task)
    check_fits(result, task)
    if style not in ("hf", "microsoft"):
        raise AnswerError(f"style {style!r} is unknown; choose 'hf' or 'microsoft'")
    return {task.token: _value(result, task, style)}


def _value(result: Result, task: Task, style: Style) -> Any:
    match result:
        case Text():
            return result.text + location_tokens(result.location_bins)
        case Boxes():
            return _boxes(result, task, style)
        case Quads():
            return _quads(result, style)
        case Polygons():
            return _polygons(result, task, style)
        case Mixed():
            boxes = _boxes(result.boxes, task, style)
            polygons = _polygons(result.polygons, task, style)
            return {
                "bboxes": boxes["bboxes"],
                "bboxes_labels": boxes["labels"],
                "polygons": polygons["polygons"],
                "polygons_labels": polygons["labels"],
            }
        case Points():
            raise AssertionError("no task answers with points, as was checked above")
    assert_never(result)


def _boxes(result: Boxes, task: Task, style: Style) -> dict[str, Any]:
    pixels = _pixels(result.xyxy.reshape(-1, 2), result.image_size, style)
    boxes = [pixels[start : start + 4] for start in range(0, len(pixels), 4)]
    phrases = [_phrase(label) for label in result.labels]
    banned = GENERIC_PHRASES if task is Task.CAPTION_TO_PHRASE_GROUNDING else frozenset()
    rows = list(range(len(boxes)))
    if task.answer_kind is not AnswerKind.BOXES:
        rows = [row for row in rows if phrases[row] and phrases[row] not in banned]
    content = {
        "bboxes": [boxes[row] for row in rows],
        "labels": [_ascii_only(phrases[row]) for row in rows],
    }
    scores = result.scores or ()
    if style == "microsoft" and task in _SCORED_TASKS and None not in scores and scores:
        content["scores"] = [scores[row] for row in rows]
    return content


def _quads(result: Quads, style: Style) -> dict[str, Any]:
    # In both, a line break cuts off what stands before it. Every generated sequence starts
    # with </s>, which the published code leaves in front of the first label.
    texts = list(result.labels)
    if style == "microsoft" and texts:
        texts[0] = EOS + texts[0]
    texts = [text.rpartition("\n")[2] for text in texts]
    pixels = _pixels(result.quads.reshape(-1, 2), result.image_size, style)
    return {
        "quad_boxes": [pixels[start : start + 8] for start in range(0, len(pixels), 8)],
        "labels": texts if style == "microsoft" else [text.strip() for text in texts],
    }


def _polygons(result: Polygons, task: Task, style: Style) -> dict[str, Any]:
    phrases = [_phrase(label) for label in result.labels]
    rows = list(range(len(phrases)))
    if task.answer_kind is not AnswerKind.POLYGONS:
        rows = [row for row in rows if phrases[row]]
    return {
        "polygons": [
            [_pixels(part, result.image_size, style) for part in result.polygons[row]]
            for row in rows
        ],
        "labels": [phrases[row] for row in rows],
    }


def _pixels(points: Array, image_size: Size, style: Style) -> list[Any]:
    """Return points `(N, 2)` as a flat list in the arithmetic of the other implementations.

    They decode in float32, which moves 1 whole pixel in 40,000 to the one before; the same is
    done here to every coordinate that is the centre of a bin. Edited coordinates stay.
    """
    bins = encode_points(points, image_size)
    pixels_per_bin = np.array([side / NUM_BINS for side in image_size], dtype=np.float32)
    centres = (bins.astype(np.float32) + np.float32(0.5)) * pixels_per_bin
    untouched = np.isclose(points, decode_points(bins, image_size), rtol=0, atol=1e-6)
    pixels = np.where(untouched, centres, points).ravel()
    values: list[Any] = (pixels.astype(np.int64) if style == "hf" else pixels).tolist()
    return values


def _phrase(label: str) -> str:
    """Return what the patterns of the other implementations see of a label, maybe nothing."""
    phrase = label.rpartition("<")[2].strip()
    return "" if "\n" in phrase else phrase


def _ascii_only(phrase: str) -> str:
    """Delete every character beyond ASCII, as both other implementations do to box labels."""
    return phrase.encode("ascii", "ignore").decode("ascii")


def official_prompt(text: str) -> str:
    """Build a prompt from `"<TASK>text"`, the one string that other implementations take.

    Text without a task token passes through untouched, as a checkpoint that was tuned to a
    prompt of its own needs it.

    >>> official_prompt("<OPEN_VOCABULARY_DETECTION>wheels")
    'Locate wheels in the image.'
    >>> official_prompt("<DocVQA>What is the total?")
    '<DocVQA>What is the total?'
    """
    for task in Task:
        if task.token in text:
            return task.prompt(text.replace(task.token, ""))
    return text
