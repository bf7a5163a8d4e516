"""What is measured: questions about pictures, and how answers count.

A suite is one kind of question on one kind of material; its records are made when they are
asked for. Suites of a group share their numbers, so that a table can put them side by side.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from florence2.data.records import Record
from florence2.errors import ConfigError
from florence2.evaluation.task_metrics import MEASURES, Measure
from florence2.tasks import Task, task_name

DATA = "own data"


@dataclass(frozen=True)
class Suite:
    """One kind of question on one kind of material.

    Attributes:
        group: what it measures.
        material: of what its pictures are made.
        records: makes so many of them.
        measure: turns answers into numbers.
        for_readers: other readers of text can be asked the same.
    """

    group: str
    material: str
    records: Callable[[int], list[Record]]
    measure: Measure
    for_readers: bool = False


@dataclass(frozen=True)
class Skipped:
    """A suite that was asked for and cannot be run, with the reason."""

    group: str
    material: str
    reason: str


def dataset_suites(records: Iterable[Record], count: int) -> Iterator[Suite]:
    """Yield a suite for each task of a dataset, of its first `count` records of that task."""
    by_task: dict[Task | None, list[Record]] = {}
    for record in records:
        kept = by_task.setdefault(record.task, [])
        if len(kept) < count:
            kept.append(record)
    if not by_task:
        raise ConfigError("the dataset holds no records to measure; its report says why")
    for task, kept in by_task.items():
        readers = task is not None and task.reads_text and not task.needs_region
        yield Suite(task_name(task), DATA, lambda n, rows=kept: rows[:n], MEASURES[task], readers)  # type: ignore[misc]
