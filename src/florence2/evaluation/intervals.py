"""Numbers with how far chance may have moved them: bootstrap intervals over pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from florence2.geometry import Array

RESAMPLES = 1_000
LEVEL = 0.95
SEED = 20_261  # the same answers always give the same interval


@dataclass(frozen=True)
class Interval:
    """A number measured on some pictures, and the interval that other pictures would give."""

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """Return the three numbers with what digits they deserve."""
        return {name: round(getattr(self, name), 5) for name in ("value", "low", "high")}


def ratio(parts: Sequence[float], wholes: Sequence[float]) -> Interval:
    """Estimate a sum over a sum, from what each picture adds to both; 0 where there is nothing.

    Error rates, precision, recall, F1 and means are all of this form.

    >>> ratio([1, 1, 1], [2, 2, 2])
    Interval(value=0.5, low=0.5, high=0.5)
    """
    both = np.array([parts, wholes], dtype=np.float64)
    count = both.shape[1]
    if not count:
        return Interval(0.0, 0.0, 0.0)
    drawn = np.random.default_rng(SEED).multinomial(count, [1 / count] * count, RESAMPLES)
    return _interval(_divide(*both.sum(axis=1)), _divide(*(both @ drawn.T)))


def mean(values: Sequence[float]) -> Interval:
    """Estimate a mean over pictures."""
    return ratio(values, np.ones(len(values)).tolist())


def bootstrap(
    statistic: Callable[[NDArray[np.intp]], Sequence[float]], count: int, resamples: int
) -> list[Interval]:
    """Estimate numbers that only the pictures as a whole have.

    Args:
        statistic: the numbers of the pictures `(N,)`, some of which may come several times.
        count: of pictures.
        resamples: of the pictures; each costs one call.
    """
    rng = np.random.default_rng(SEED)
    values = statistic(np.arange(count))
    drawn = np.array([statistic(rng.integers(count, size=count)) for _ in range(resamples)])
    return [_interval(value, column) for value, column in zip(values, drawn.T, strict=True)]


def _divide(parts: Array, wholes: Array) -> Array:
    return np.divide(parts, wholes, out=np.zeros_like(parts), where=wholes > 0)


def _interval(value: float | Array, drawn: Array) -> Interval:
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(value), float(low), float(high))
