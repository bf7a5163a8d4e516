"""Numbers with how far chance may have moved them: bootstrap intervals over pictures.

Where nothing is true there is no number: an interval of None, never 0 or 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from florence2.geometry import Array

RESAMPLES = 1_000
LEVEL = 0.95
SEED = 20_261  # the same answers always give the same interval


@dataclass(frozen=True)
class Interval:
    """A number measured on some pictures, and the interval that other pictures would give.

    All three are None where nothing is true that could be measured against.
    """

    value: float | None
    low: float | None
    high: float | None

    def to_dict(self) -> dict[str, float | None]:
        """Return the three numbers with what digits they deserve."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        return {name: each if each is None else round(each, 5) for name, each in numbers.items()}

    def __str__(self) -> str:
        """The number with its interval, or a dash.

        >>> print(Interval(0.5, 0.4, 0.625), NO_NUMBER)
        0.500 (0.400-0.625) -
        """
        if self.value is None:
            return "-"
        return f"{self.value:.3f} ({self.low:.3f}-{self.high:.3f})"


NO_NUMBER = Interval(None, None, None)


def ratio(
    parts: Sequence[float],
    wholes: Sequence[float],
    truths: Sequence[float] | None = None,
    *,
    pictures: Sequence[int] | None = None,
) -> Interval:
    """Estimate a sum over a sum, from what each row adds to both.

    Error rates, precision, recall, F1 and means are all of this form.

    Args:
        truths: how much is true in each row, where `wholes` does not tell: no number without any,
            and 0 where something is true and `wholes` is 0. By default the wholes.
        pictures: of each row, the number of its picture, from 0; a picture is drawn with all its
            rows. By default each row is a picture.

    >>> ratio([1, 1, 1], [2, 2, 2])
    Interval(value=0.5, low=0.5, high=0.5)
    >>> ratio([0, 0], [3, 0], truths=[0, 0])
    Interval(value=None, low=None, high=None)
    """
    rows = np.array([parts, wholes, wholes if truths is None else truths], dtype=np.float64)
    numbers = np.arange(rows.shape[1]) if pictures is None else np.asarray(pictures, dtype=np.intp)
    if not rows[2].any():
        return NO_NUMBER
    sums = np.array([np.bincount(numbers, row) for row in rows])
    count = sums.shape[1]
    drawn = np.random.default_rng(SEED).multinomial(count, [1 / count] * count, RESAMPLES)
    return _interval(float(_divide(*rows.sum(axis=1))), _divide(*(sums @ drawn.T)))


def mean(
    values: Sequence[float],
    kept: Sequence[bool] | None = None,
    *,
    pictures: Sequence[int] | None = None,
) -> Interval:
    """Estimate a mean over the rows that are `kept`, all by default; see `ratio`."""
    weights = np.ones(len(values)) if kept is None else np.asarray(kept, dtype=np.float64)
    parts = np.asarray(values, dtype=np.float64) * weights
    return ratio(parts.tolist(), weights.tolist(), pictures=pictures)


def bootstrap(
    statistic: Callable[[NDArray[np.intp]], Sequence[float]], count: int, resamples: int
) -> list[Interval]:
    """Estimate numbers that only the pictures as a whole have.

    Args:
        statistic: the numbers of the pictures `(N,)`, some of which may come several times; nan
            where there is none.
        count: of pictures.
        resamples: of the pictures; each costs one call.
    """
    rng = np.random.default_rng(SEED)
    values = statistic(np.arange(count))
    if not count or np.isnan(values).all():
        return [NO_NUMBER] * len(values)
    drawn = np.array([statistic(rng.integers(count, size=count)) for _ in range(resamples)])
    return [_interval(value, column) for value, column in zip(values, drawn.T, strict=True)]


def _divide(parts: ArrayLike, wholes: ArrayLike, truths: ArrayLike) -> Array:
    """The quotients; 0 where the whole is 0, nan where nothing is true."""
    parts, wholes = np.asarray(parts, np.float64), np.asarray(wholes, np.float64)
    quotients = np.divide(parts, wholes, out=np.zeros_like(parts), where=wholes > 0)
    return np.where(np.asarray(truths) > 0, quotients, np.nan)


def _interval(value: float, drawn: Array) -> Interval:
    """Resamples in which nothing is true are left out."""
    if np.isnan(value):
        return NO_NUMBER
    known = drawn[~np.isnan(drawn)]
    ends = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if len(known) else [value, value]
    return Interval(float(value), float(ends[0]), float(ends[1]))
