"""Answer text to result and back: `parse_answer` and `format_answer` are inverse functions.

The grammars, with `box` for four location tokens, `quad` for eight, `part` for three pairs or more:

    text                text box*                                   captions, OCR, REGION_TO_*
    class boxes         (label box+)*                               object detection
    phrase boxes        (phrase box+)*                              dense captions, grounding
    boxes               box*                                        region proposal
    quads               (text quad)*                                OCR with regions
    polygons            parts | (<poly> parts </poly>)*             segmentation
    boxes or polygons   (label (box | <poly> parts </poly>)+)*      open-vocabulary detection
    parts               part (<sep> part)*

An answer to a prompt of a checkpoint's own, without a task, has no grammar: its result is a `Text`
that is the answer to the letter, with its words and places in order (`Text.pieces`).

The model is not the user, so reading never raises. Whatever breaks the grammar is counted in
`malformed`; what can be understood is kept, and all of it stays readable in `answer`.
"""

from collections.abc import Sequence
from dataclasses import replace

from florence2.answers.confidence import ScoredText
from florence2.answers.formatting import AnswerFormatter, written_text
from florence2.answers.parsing import AnswerParser
from florence2.answers.tokens import PADDING, POLY_END, POLY_START, SEP
from florence2.geometry import Size
from florence2.locations import check_image_size
from florence2.results import Boxes, Mixed, Polygons, Quads, Result, Text, check_fits
from florence2.tasks import Task, parse_optional

__all__ = ["PADDING", "POLY_END", "POLY_START", "SEP", "format_answer", "parse_answer"]


def parse_answer(
    answer: str | Sequence[ScoredText],
    task: Task | str | None,
    image_size: Size,
    *,
    token_ids: Sequence[int] = (),
    finish_reason: str | None = None,
) -> Result:
    """Read what the model wrote; no text makes it raise.

    Args:
        answer: the decoded text, with or without `<s>`, `</s>` and `<pad>`; or its pieces with
            their log-probabilities, which give the result scores.
        task: the task that was asked; None for a prompt without one.
        image_size: `(width, height)` of the original image; the result is in its frame.
        token_ids: the generated ids, kept in the result.
        finish_reason: why generation ended, kept in the result.

    >>> found = parse_answer("</s><s>car<loc_52><loc_332><loc_932>", "od", (640, 480))
    >>> found.labels, found.malformed
    ((), 1)
    """
    task = parse_optional(task)
    pieces = [ScoredText(answer)] if isinstance(answer, str) else answer
    parser = AnswerParser(pieces, check_image_size(image_size))
    result = parser.as_written() if task is None else parser.read(task.answer_kind)
    return replace(
        result,
        answer=parser.answer,
        token_ids=tuple(token_ids),
        finish_reason=finish_reason,
        malformed=parser.malformed,
    )


def format_answer(result: Result, task: Task | str | None) -> str:
    """Write the text that `parse_answer` reads as this result: the target to train on.

    Coordinates are quantised. Objects stay in the caller's order, with one exception: object
    detection writes a class once, so boxes move up to the first box of their class. Dense
    captions and grounding write a phrase once for boxes that follow each other directly;
    open-vocabulary detection writes its boxes before its polygons. Scores are not written. Without
    a task the text is written to the letter.

    >>> from florence2.results import Boxes
    >>> boxes = Boxes([[0, 0, 9, 9], [5, 5, 9, 9]], ["car", "car"], image_size=(10, 10))
    >>> format_answer(boxes, Task.OD)
    'car<loc_0><loc_0><loc_900><loc_900><loc_500><loc_500><loc_900><loc_900>'
    """
    task = parse_optional(task)
    check_fits(result, task)
    if task is None:
        assert isinstance(result, Text), "checked above"
        return written_text(result)
    formatter = AnswerFormatter(task)
    match result:
        case Text():
            return formatter.text(result)
        case Quads():
            return formatter.quads(result)
        case Polygons():
            return formatter.polygons(result)
        case Mixed():
            return formatter.mixed(result)
        case Boxes():
            return formatter.boxes(result)
    raise AssertionError(f"no task answers with {type(result).__name__}, as was checked above")
