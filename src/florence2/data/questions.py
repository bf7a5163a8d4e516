"""A question in words and its answer as a record, for every format that writes them so.

The question is a task token with the text or the four location tokens that the task needs behind
it, or the sentence that the token stands for. Answers that break the grammar of their task are
counted as lost, above all those with `<loc_1000>`, which kits write that round where the model
floors. Objects are put into the model's own order.

Any other question (`<DocVQA>What is the total?`) is a prompt of the checkpoint's own: it is sent as
it is, and its answer is trained to the letter: words, locations anywhere, or nothing at all. A
whole number as answer (`7`) stands for its digits. `<image>`, where other programs put the picture,
is left out of all questions.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from florence2.answers import parse_answer
from florence2.answers.tokens import FOREIGN_LOCATION, PADDING, foreign_location_words
from florence2.data.ordering import canonical
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.data.row_pictures import RowPicture
from florence2.errors import DataError, Florence2Error, TaskError
from florence2.geometry import Box, Size
from florence2.locations import decode_boxes
from florence2.results import Result, Text
from florence2.tasks import CAPTION_TASKS, Task, without_placeholder

_BIN = re.compile(r"<loc_([0-9]+)>")
_SENTENCES = [
    (task, re.compile(re.escape(task.template).replace(r"\{input\}", "(.+)"), re.DOTALL))
    for task in sorted(Task, key=lambda task: task.needs_input)  # whole sentences before patterns
]
# Tasks whose answer always has words; a text in a picture may be missing.
_WORDED = (*CAPTION_TASKS, Task.REGION_TO_CATEGORY, Task.REGION_TO_DESCRIPTION)


def question_records(
    picture: RowPicture, question: str, answer: str, tasks: Sequence[Task], report: ReadReport
) -> Iterator[Record]:
    """Yield the record of a question if it can be trained on and is of `tasks`; count it if not.

    Prompts of a checkpoint's own are taken whatever the tasks are.
    """
    where = picture.where
    prompt = without_placeholder(question)
    if prompt != question:
        report.add(Problem.PLACEHOLDER, where, repr(question))
    try:
        asked = split_prompt(prompt)
    except TaskError as error:
        picture.tell(Problem.PROMPT, error, report)
        return
    if asked is None:
        report.add(Problem.OWN_PROMPT, where, repr(prompt))
    elif tasks and asked[0] not in tasks:
        report.add(Problem.OTHER_TASK, where, asked[0].token)
        picture.note(report)
        return
    found = picture.find(report)
    if found is None:
        return
    image, size = found
    try:
        if asked is None:
            record = Record(image, None, "", None, _as_written(answer, size), where, prompt)
        else:
            task, words = asked
            region = _region(words, size) if task.needs_region else None
            text_input = words if task.needs_text else ""
            record = Record(image, task, text_input, region, _result(answer, task, size), where)
    except Florence2Error as error:
        picture.tell(Problem.ANSWER, error, report)
        return
    yield from report.accept(record, where)


def split_prompt(prompt: str) -> tuple[Task, str] | None:
    """Return the task of a prompt and the words or location tokens that go with it.

    `None` is returned for a prompt that is none of a task.

    >>> split_prompt("<OPEN_VOCABULARY_DETECTION>wheels")
    (Task.OPEN_VOCABULARY_DETECTION, 'wheels')
    >>> split_prompt("Locate wheels in the image.")
    (Task.OPEN_VOCABULARY_DETECTION, 'wheels')
    """
    found = None
    if task := next((task for task in Task if task.token in prompt), None):
        found = task, prompt.replace(task.token, "").strip()
    for task, sentence in _SENTENCES:
        if found is None and (match := sentence.fullmatch(prompt.strip())):
            found = task, "".join(match.groups())
    if not prompt.strip():
        raise TaskError(
            f"prompt {prompt!r} is empty; write one of {', '.join(task.token for task in Task)}, "
            "with the text for it behind, or a prompt of your own"
        )
    if found is not None:
        found[0].prompt(found[1])  # refuses missing and surplus input
    return found


def answer_text(answer: Any, name: str, report: ReadReport, where: str) -> str:
    """The text of an answer that a file gives; a whole number stands for its digits.

    Raises:
        DataError: it is neither; the words call it by the name of its field.
    """
    if isinstance(answer, int) and not isinstance(answer, bool):
        report.add(Problem.NUMBER, where, answer)
        return str(answer)
    if not isinstance(answer, str):
        raise DataError(f"field {name!r} is {answer!r}; give a text")
    return answer


def _as_written(answer: str, size: Size) -> Result:
    """The answer to a prompt that is no task, to the letter."""
    _check_locations(answer)
    if found := next((token for token in PADDING if token in answer), None):
        raise DataError(
            f"answer {answer!r} holds {found!r}, which is put around every answer anyway; leave it"
            " out"
        )
    return parse_answer(answer, None, size)


def _check_locations(answer: str) -> None:
    """Refuse what is meant as a location and would be spelled in letters."""
    if match := FOREIGN_LOCATION.search(answer):
        raise DataError(f"answer {answer!r} holds {foreign_location_words(match[0])}")


def _result(answer: str, task: Task, size: Size) -> Result:
    """Read an answer, refusing whatever a model must not learn to write."""
    _check_locations(answer)
    result = parse_answer(answer, task, size)
    if result.malformed:
        raise DataError(
            f"answer {answer!r} breaks the grammar of {task.token!r} in {result.malformed} places"
        )
    if isinstance(result, Text) and task in _WORDED and not result.text:
        raise DataError(f"answer {answer!r} has no words; task {task.token!r} needs some")
    return canonical(result, task)


def _region(words: str, size: Size) -> Box:
    bins = [int(value) for value in _BIN.findall(words)]
    x_min, y_min, x_max, y_max = decode_boxes(bins, size).tolist()
    return x_min, y_min, x_max, y_max
