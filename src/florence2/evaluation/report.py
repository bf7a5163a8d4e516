"""Run suites: every answerer answers the same records, and what came out is told as rows."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from florence2.data.records import Record
from florence2.evaluation.intervals import Interval, mean
from florence2.evaluation.predict import Answerer, Prediction, Predictor
from florence2.evaluation.suites import Skipped, Suite
from florence2.evaluation.task_metrics import Metrics
from florence2.results import Result
from florence2.tasks import Task

SHOWN = 6  # answers of a suite that a sheet shows


@dataclass(frozen=True)
class Row:
    """What one answerer did in one suite."""

    group: str
    material: str
    answerer: str
    count: int
    numbers: Mapping[str, Interval]
    notes: Mapping[str, str]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        numbers = {name: number.to_dict() for name, number in self.numbers.items()}
        return {**vars(self), "notes": dict(self.notes), "numbers": numbers,
                "seconds": round(self.seconds, 1)}  # fmt: skip


@dataclass
class Report:
    """Everything that came out of a run.

    Attributes:
        malformed: share of the model's answers that broke the grammar of their task, those included
            that were repaired by writing them once more within it.
        shown: for each suite of the model, answers from the best to the worst.
    """

    rows: list[Row] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    malformed: dict[Task, Interval] = field(default_factory=dict)
    shown: dict[str, list[Prediction]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON without the pictures."""
        return {
            "rows": [row.to_dict() for row in self.rows],
            "malformed": {task.token: share.to_dict() for task, share in self.malformed.items()},
            "skipped": [vars(each) for each in self.skipped],
        }


def run_suites(
    suites: Iterable[Suite | Skipped],
    model: tuple[str, Predictor],
    readers: Mapping[str, Answerer],
    count: int,
    on_row: Callable[[Row], None] = lambda row: None,
) -> Report:
    """Run suites of `count` pictures each.

    Args:
        model: its name, and what asks it.
        readers: others that answer the suites made for readers of text, by name.
        on_row: called with each row as soon as it is there.
    """
    report = Report()

    def add_row(
        suite: Suite, name: str, records: list[Record], results: list[Result], started: float
    ) -> Metrics:
        seconds = time.perf_counter() - started
        measured = suite.measure(list(zip(results, records, strict=True)))
        row = Row(suite.group, suite.material, name, len(records), measured.numbers,
                  measured.notes, seconds)  # fmt: skip
        report.rows.append(row)
        on_row(row)
        return measured

    broken: dict[Task, list[float]] = {}
    for suite in suites:
        if isinstance(suite, Skipped):
            report.skipped.append(suite)
            continue
        records = suite.records(count)
        name, predictor = model
        started = time.perf_counter()
        answers = predictor.predict(records)
        results = [answer.result for answer in answers]
        measured = add_row(suite, name, records, results, started)
        predictions = list(zip(results, records, strict=True))
        report.shown[f"{suite.group}, {suite.material}"] = _spread(
            predictions, measured.per_sample_quality
        )
        for answer, record in zip(answers, records, strict=True):
            is_broken = answer.is_repaired or answer.result.malformed > 0
            broken.setdefault(record.task, []).append(float(is_broken))
        for name, reader in readers.items() if suite.for_readers else ():
            started = time.perf_counter()
            add_row(suite, name, records, reader.answer(records), started)
    report.malformed = {task: mean(broken[task]) for task in Task if task in broken}
    return report


def _spread(answered: list[Prediction], qualities: list[float]) -> list[Prediction]:
    """Choose answers at equal steps from the best to the worst, ends included."""
    order = sorted(range(len(answered)), key=lambda row: -qualities[row])
    steps = min(SHOWN, len(order))
    places = [round(step * (len(order) - 1) / max(steps - 1, 1)) for step in range(steps)]
    return [answered[order[place]] for place in places]
