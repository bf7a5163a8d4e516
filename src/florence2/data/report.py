"""What a reader could not take as it was: counted by kind, with the first few cases in words."""

from collections import Counter
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import numpy as np

from florence2.answers import format_answer
from florence2.answers.tokens import FOREIGN_LOCATION, foreign_location_words
from florence2.data.records import Record
from florence2.errors import DataError, Florence2Error
from florence2.results import Boxes
from florence2.tasks import Task, task_column

MAX_CASES = 3
"""So many cases of each kind are told in words."""


class Severity(Enum):
    """What a problem did to the data."""

    LOSS = "lost"  # something is missing from the records; an error where reading is strict
    REPAIR = "repaired"  # something was changed
    NOTE = "noted"  # a rule of the format was followed


class Problem(Enum):
    """The kinds of problems; the words stand in the report."""

    ROW = ("rows that cannot be read", Severity.LOSS)
    PICTURE = ("pictures missing or unreadable", Severity.LOSS)
    SIZE = ("pictures of another size than their annotations", Severity.LOSS)
    DUPLICATE = ("ids or names given twice", Severity.LOSS)
    LABEL = ("objects without a usable class name", Severity.LOSS)
    NO_AREA = ("boxes or polygons without area", Severity.LOSS)
    OUTSIDE = ("boxes or polygons outside of the picture", Severity.LOSS)
    NO_TEXT = ("pictures without a text", Severity.LOSS)
    NO_PICTURE = ("label or caption files without a picture", Severity.LOSS)
    KIND = ("pictures of a kind that is not read", Severity.LOSS)
    PROMPT = ("prompts that no task understands", Severity.LOSS)
    TURN = ("questions behind others, which may need what was said before", Severity.LOSS)
    ANSWER = ("answers that cannot be trained on", Severity.LOSS)
    CLIPPED = ("boxes or polygons cut at the edge of the picture", Severity.REPAIR)
    RECTANGLES = ("texts of more than four corners: the smallest rectangle around", Severity.REPAIR)
    SHARES = ("files whose boxes were shares of the picture", Severity.REPAIR)
    ORIGIN = ("VOC datasets whose boxes were looked at for the first pixel", Severity.NOTE)
    CROWDS = ("files whose masks were marked as crowds, read as objects", Severity.REPAIR)
    SCORE = ("scores that are none, left out", Severity.REPAIR)
    CORNERS = ("files whose boxes were two corners, not a corner and a size", Severity.REPAIR)
    HOLES = ("masks whose holes were filled", Severity.REPAIR)
    INCOMPLETE = ("pictures left out, since something in them was lost", Severity.LOSS)
    IGNORED = ("crowds, groups and difficult objects: to be ignored", Severity.NOTE)
    CONFIDENCE = ("confidences beside labels, which are left out", Severity.NOTE)
    ONE_CLASS = ("files of boxes without classes", Severity.NOTE)
    NOT_ANNOTATED = ("pictures that nobody annotated", Severity.NOTE)
    OTHER_ANNOTATION = ("annotations of a picture that has another", Severity.NOTE)
    UNVERIFIED = ("pictures in which nobody looked for all classes", Severity.NOTE)
    EMPTY = ("pictures without objects, kept as such", Severity.NOTE)
    OTHER_PART = ("pictures outside of the part that was chosen", Severity.NOTE)
    OTHER_FORMAT = ("files of boxes in another format, which are not read", Severity.NOTE)
    UNNAMED = ("pictures that no row or label names", Severity.NOTE)
    NO_BOX = ("phrases that have no box, as the dataset says", Severity.NOTE)
    NOT_ASKED = ("captions, boxes and masks that are not asked", Severity.NOTE)
    OWN_PROMPT = ("prompts that are no task, kept word for word", Severity.NOTE)
    PLACEHOLDER = (
        "prompts with <image>, which is left out: the picture comes apart",
        Severity.NOTE,
    )
    NUMBER = ("answers given as whole numbers, read as their digits", Severity.NOTE)
    FEDERATED = ("questions not asked, since not everything was looked for", Severity.NOTE)
    FILES = ("files of annotations, read one after another", Severity.NOTE)
    COLUMN = ("columns, and what their texts were read as", Severity.NOTE)
    NO_WORDS = ("regions without a text, in which nothing is to be read", Severity.NOTE)
    SYSTEM = ("messages of a system, which this model has no place for", Severity.NOTE)
    OTHER_TASK = ("records of tasks not asked for", Severity.NOTE)

    def __init__(self, words: str, severity: Severity) -> None:
        self.words = words
        self.severity = severity


class ReadReport:
    """Counts of one pass over a dataset.

    Attributes:
        strict: raise `DataError` at the first loss.
        num_records: records made, by task; `None` for prompts without one.
        counts: how often each problem was met.
        cases: the first cases of each problem in words, with file and line or id.
        pictures: the files that were looked at; what else lies there is told at the end.
        masks: pictures that are labels of others.
        part: of the dataset, if it is divided.
    """

    def __init__(self, strict: bool = False) -> None:
        self.strict = strict
        self.num_records: Counter[Task | None] = Counter()
        self.counts: Counter[Problem] = Counter()
        self.cases: dict[Problem, list[str]] = {}
        self.pictures: set[Path] = set()
        self.masks: set[Path] = set()
        self.part: str | None = None
        self._plain_labels: dict[Task, set[str]] = {}

    def add(self, problem: Problem, where: str, what: object) -> None:
        """Count a problem; raise it if it is a loss and reading is strict."""
        case = f"{where}: {what}"
        if self.strict and problem.severity is Severity.LOSS:
            raise DataError(f"{case} (strict reading stops at the first loss)")
        self.counts[problem] += 1
        cases = self.cases.setdefault(problem, [])
        if len(cases) < MAX_CASES:
            cases.append(case)

    def name_picture(self, picture: Path | None) -> None:
        """Note a picture that something was told of already, so that it is not told again."""
        if picture is not None:
            self.pictures.add(picture)

    def accept(self, record: Record, where: str) -> Iterator[Record]:
        """Yield a record that can be trained on; count one that cannot."""
        if self._has_plain_boxes(record):
            self.num_records[record.task] += 1
            yield record
            return
        try:
            target = format_answer(record.result, record.task)
        except Florence2Error as error:
            self.add(Problem.ANSWER, where, error)
            return
        asked = record.prompt or record.text_input
        for problem, what, words in (
            (Problem.PROMPT, "prompt", asked),
            (Problem.ANSWER, "answer", target),
        ):
            if match := FOREIGN_LOCATION.search(words):
                fault = foreign_location_words(match[0])
                self.add(problem, where, f"{what} {words!r} holds {fault}")
                return
        self.num_records[record.task] += 1
        yield record

    def _has_plain_boxes(self, record: Record) -> bool:
        """Whether an answer is boxes that can be written, known without writing them.

        Boxes are finite, so their labels and corners alone can be at fault.
        """
        result, task = record.result, record.task
        if not isinstance(result, Boxes) or task is None or record.prompt or record.text_input:
            return False
        known = self._plain_labels.setdefault(task, set())
        for label in set(result.labels) - known:
            if not _is_writable(label, task):
                return False
            known.add(label)
        return bool((result.xyxy[:, :2] <= result.xyxy[:, 2:]).all())

    def count(self, severity: Severity) -> int:
        """Return the number of problems of a severity."""
        return sum(
            number for problem, number in self.counts.items() if problem.severity is severity
        )

    def __str__(self) -> str:
        counts = self.num_records.items()
        tasks = ", ".join(f"{number:,} {task_column(task)}" for task, number in counts)
        lines = [f"{self.num_records.total():,} records" + (f": {tasks}" if tasks else "")]
        for problem in Problem:
            if number := self.counts[problem]:
                lines.append(f"{problem.severity.value}: {number:,} {problem.words}")
                lines += [f"  {case}" for case in self.cases[problem]]
                if number > MAX_CASES:
                    lines.append(f"  and {number - MAX_CASES:,} more")
        return "\n".join(lines)


def _is_writable(label: str, task: Task) -> bool:
    """Whether answers of boxes can hold a label, found out with one box."""
    try:
        target = format_answer(Boxes(np.array([[0.0, 0, 1, 1]]), (label,), image_size=(1, 1)), task)
    except Florence2Error:
        return False
    return not FOREIGN_LOCATION.search(target)
