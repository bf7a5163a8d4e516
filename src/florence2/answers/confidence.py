"""How sure the model was: from the log-probabilities of tokens to scores in [0, 1].

A confidence is the geometric mean of the probabilities that the model gave to some tokens when it
wrote them: to the locations of an object, or to the words of its label. `docs/scores.md` tells how
well the scores made of them rank boxes.
"""

from collections.abc import Sequence
from math import exp, fsum, sqrt
from typing import NamedTuple


class ScoredText(NamedTuple):
    """A stretch of an answer with the log-probabilities of the tokens that spell it.

    Mostly one token; more where several tokens spell one character.
    """

    text: str
    logprobs: tuple[float, ...] = ()


class Confidence(NamedTuple):
    """How sure the model was of one object; parts are `None` where nothing is known."""

    location: float | None
    label: float | None

    @property
    def score(self) -> float | None:
        """Label and location together: their geometric mean, or the only one that is known."""
        if self.location is None or self.label is None:
            return self.label if self.location is None else self.location
        return sqrt(self.location * self.label)


def mean_probability(logprobs: Sequence[float]) -> float | None:
    """The geometric mean of probabilities, given as natural logarithms; `None` of none.

    >>> round(mean_probability([-0.1, -0.3]), 4)
    0.8187
    """
    return min(1.0, exp(fsum(logprobs) / len(logprobs))) if logprobs else None
