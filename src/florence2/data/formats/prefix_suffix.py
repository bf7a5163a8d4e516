"""The JSON lines that other kits fine-tune Florence-2 with.

    {"image": "1.jpg", "prefix": "<OD>", "suffix": "cat<loc_1><loc_2><loc_3><loc_4>"}

`prefix` is a task token with the text or the four location tokens that the task needs behind it,
or the sentence that the token stands for. Suffixes that break the grammar of their task are counted
as lost, above all those with `<loc_1000>`, which kits write that round where the model floors.
Objects are put into the model's own order.

Any other prompt (`<DocVQA>What is the total?`) is one of the checkpoint's own: it is sent as it is,
and its suffix is trained to the letter: words, locations anywhere, or nothing at all. A whole
number as suffix (`7`) stands for its digits. `<image>`, where other programs put the picture, is
left out of all prompts.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from florence2.answers import format_answer, parse_answer
from florence2.answers.tokens import FOREIGN_LOCATION, PADDING, foreign_location_words
from florence2.data.files import field_of, find_file, read_json_lines, write_json_lines
from florence2.data.image_files import PictureFolder, find_picture, named_picture
from florence2.data.ordering import canonical
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.errors import DataError, Florence2Error, TaskError
from florence2.geometry import Box, Size
from florence2.locations import decode_boxes, encode_boxes, location_tokens
from florence2.results import Result, Text
from florence2.tasks import CAPTION_TASKS, Task, without_placeholder

PATTERNS = ("*.jsonl", "*/*.jsonl")

_BIN = re.compile(r"<loc_([0-9]+)>")
_SENTENCES = [
    (task, re.compile(re.escape(task.template).replace(r"\{input\}", "(.+)"), re.DOTALL))
    for task in sorted(Task, key=lambda task: task.needs_input)  # whole sentences before patterns
]
# Tasks whose answer always has words; a text in a picture may be missing.
_WORDED = (*CAPTION_TASKS, Task.REGION_TO_CATEGORY, Task.REGION_TO_DESCRIPTION)


def read_prefix_suffix(
    path: Path, report: ReadReport, *, tasks: Sequence[Task] = (), split: str | None = None
) -> Iterator[Record]:
    """Yield the records of a file, or of those `tasks` only."""
    file = find_file(path, PATTERNS, split, report)
    folders = (file.parent, file.parent / "images", file.parent.parent / "images")
    for where, row in read_json_lines(file, report):
        try:
            name, prefix = field_of(row, "image"), field_of(row, "prefix")
            suffix = _suffix(row, report, where)
        except Florence2Error as error:
            report.add(Problem.ROW, where, error)
            continue
        prompt = without_placeholder(prefix)
        if prompt != prefix:
            report.add(Problem.PLACEHOLDER, where, repr(prefix))
        try:
            asked = split_prompt(prompt)
        except TaskError as error:
            report.add(Problem.PROMPT, where, error)
            report.name_picture(find_picture(name, folders))
            continue
        if asked is None:
            report.add(Problem.OWN_PROMPT, where, repr(prompt))
        elif tasks and asked[0] not in tasks:
            report.add(Problem.OTHER_TASK, where, asked[0].token)
            report.name_picture(find_picture(name, folders))
            continue
        found = named_picture(name, folders, report, where)
        if found is None:
            continue
        image, size = found
        try:
            if asked is None:
                written = _as_written(suffix, size)
                record = Record(image, None, "", None, written, where, prompt)
            else:
                task, words = asked
                region = _region(words, size) if task.needs_region else None
                text_input = words if task.needs_text else ""
                result = _result(suffix, task, size)
                record = Record(image, task, text_input, region, result, where)
        except Florence2Error as error:
            report.add(Problem.ANSWER, where, error)
            continue
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
            f"prefix {prompt!r} is empty; write one of {', '.join(task.token for task in Task)}, "
            "with the text for it behind, or a prompt of your own"
        )
    if found is not None:
        found[0].prompt(found[1])  # refuses missing and surplus input
    return found


def _suffix(row: dict[str, Any], report: ReadReport, where: str) -> str:
    """The answer of a row; a whole number stands for its digits."""
    suffix = row.get("suffix")
    if isinstance(suffix, int) and not isinstance(suffix, bool):
        report.add(Problem.NUMBER, where, suffix)
        return str(suffix)
    return field_of(row, "suffix")


def _as_written(suffix: str, size: Size) -> Result:
    """The answer to a prompt that is no task, to the letter."""
    _check_locations(suffix)
    if found := next((token for token in PADDING if token in suffix), None):
        raise DataError(
            f"suffix {suffix!r} holds {found!r}, which is put around every answer anyway; leave it"
            " out"
        )
    return parse_answer(suffix, None, size)


def _check_locations(suffix: str) -> None:
    """Refuse what is meant as a location and would be spelled in letters."""
    if match := FOREIGN_LOCATION.search(suffix):
        raise DataError(f"suffix {suffix!r} holds {foreign_location_words(match[0])}")


def _result(suffix: str, task: Task, size: Size) -> Result:
    """Read a suffix, refusing whatever a model must not learn to write."""
    _check_locations(suffix)
    result = parse_answer(suffix, task, size)
    if result.malformed:
        raise DataError(
            f"suffix {suffix!r} breaks the grammar of {task.token!r} in {result.malformed} places"
        )
    if isinstance(result, Text) and task in _WORDED and not result.text:
        raise DataError(f"suffix {suffix!r} has no words; task {task.token!r} needs some")
    return canonical(result, task)


def _region(words: str, size: Size) -> Box:
    bins = [int(value) for value in _BIN.findall(words)]
    x_min, y_min, x_max, y_max = decode_boxes(bins, size).tolist()
    return x_min, y_min, x_max, y_max


def write_prefix_suffix(records: Iterable[Record], path: Path) -> None:
    """Write records one by one; coordinates become bins.

    Pictures that have no file are saved as PNG in the folder `<name of the file>_images`.
    """
    pictures = PictureFolder.beside(path)
    rows = (
        {
            "image": pictures.name_of(record),
            "prefix": _prefix(record),
            "suffix": format_answer(record.result, record.task),
        }
        for record in records
    )
    write_json_lines(rows, path)


def _prefix(record: Record) -> str:
    if record.prompt is not None:
        return record.prompt
    assert record.task is not None, "a record has one of the two"
    if record.task.needs_region:
        bins = encode_boxes(record.region or (), record.result.image_size)
        return record.task.token + location_tokens(bins)
    return record.task.token + record.text_input
