"""What is measured: questions about pictures, and how answers count.

A suite is one kind of question on one kind of material; its records are made when they are
asked for. Suites of a group share their numbers, so that a table can put them side by side.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from florence2.data.records import Record
from florence2.errors import ConfigError
from florence2.evaluation.box_matching import PROTOCOLS
from florence2.evaluation.box_metrics import measure_detection
from florence2.evaluation.measured import Measure
from florence2.evaluation.questions import picture_of
from florence2.evaluation.task_metrics import MEASURES
from florence2.tasks import Task, task_name

DATA = "own data"
SEED = 0  # of the pictures that are measured


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


def dataset_suites(
    records: Iterable[Record], count: int, protocol: str | None = None
) -> Iterator[Suite]:
    """Yield a suite for each task of a dataset, about `count` of the pictures of that task.

    Args:
        protocol: one of `PROTOCOLS` for the AP of boxes with names; COCO by default.

    Raises:
        ConfigError: there is no record, or no box that the protocol could measure.
    """
    by_task: dict[Task | None, list[Record]] = {}
    for record in records:
        by_task.setdefault(record.task, []).append(record)
    if not by_task:
        raise ConfigError("the dataset holds no records to measure; its report says why")
    if protocol is not None and Task.OD not in by_task:
        asked = ", ".join(map(task_name, by_task))
        raise ConfigError(
            f"the protocol {protocol!r} is one of detection ('od'), which the dataset does not ask"
            f" for; it asks for {asked}, so leave --protocol out"
        )
    detection = partial(measure_detection, protocol=PROTOCOLS[protocol or "coco"])
    for task, rows in by_task.items():
        measure = detection if task is Task.OD else MEASURES[task]
        drawn, total = draw_pictures(rows, count)
        material = DATA if total <= count else f"{DATA}, {count:,} of {total:,} pictures"
        readers = task is not None and task.reads_text and not task.needs_region
        yield Suite(task_name(task), material, lambda _, kept=drawn: kept, measure, readers)  # type: ignore[misc]


def draw_pictures(records: Sequence[Record], count: int) -> tuple[list[Record], int]:
    """All records of so many pictures, drawn at random but always the same ones, in their order.

    The first ones of a dataset are often of one class, place or day.

    Returns:
        The records, and how many pictures there are in all.
    """
    names = list(map(picture_of, records))
    pictures = list(dict.fromkeys(names))
    if len(pictures) <= count:
        return list(records), len(pictures)
    chosen = set(random.Random(SEED).sample(pictures, count))
    kept = [record for record, name in zip(records, names, strict=True) if name in chosen]
    return kept, len(pictures)
