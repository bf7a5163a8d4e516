"""What every measure of a task returns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from florence2.evaluation.intervals import Interval, mean
from florence2.evaluation.predict import Prediction


@dataclass(frozen=True)
class Metrics:
    """What came out.

    Attributes:
        numbers: by name.
        per_sample_quality: one for each answer, in [0, 1].
        notes: how a number came about, where there are several ways.
    """

    numbers: dict[str, Interval]
    per_sample_quality: list[float]
    notes: dict[str, str] = field(default_factory=dict)


Measure = Callable[[Sequence[Prediction]], Metrics]


def with_empty(
    measured: Metrics, empty: Sequence[bool], silent: Sequence[bool], pictures: Sequence[int]
) -> Metrics:
    """Add the share of questions in which nothing is true that were answered with nothing."""
    if not any(empty):
        return measured
    share = mean(list(map(float, silent)), empty, pictures=pictures)
    notes = measured.notes | {"empty_asked": str(sum(empty))}
    return Metrics(measured.numbers | {"empty_silent": share}, measured.per_sample_quality, notes)
