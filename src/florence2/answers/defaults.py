"""What a checkpoint leaves out of its answers where nobody says: its own thresholds.

A small model names something on every picture. What it names is worth hearing where two things
hold: it is sure of the object, and the picture is of a kind that it knows. Both are told by one
score: that of the object, calibrated where there is a curve for the task, times the probability
that the picture is of such a kind. docs/scores.md tells how well that works. NumPy only.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from florence2.answers.calibration import Calibration
from florence2.errors import ConfigError
from florence2.geometry import Array
from florence2.results import SCORE_COLUMNS, Mixed, Objects, Result, Text
from florence2.tasks import Task

_Objects = TypeVar("_Objects", bound=Objects)


def check_threshold(what: str, value: object) -> None:
    """Refuse what is no number from 0 to 1."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0.0 <= value <= 1.0:  # type: ignore[operator]
        raise ConfigError(f"{what} must be a number from 0 to 1; got {value!r}")


@dataclass(frozen=True, eq=False)
class Familiarity:
    """How likely a picture is of a kind that the model knows, by its image tokens: a linear probe.

    Attributes:
        weights: `(D,)`, of the mean over the image tokens of a picture.
        bias: added to the sum.
    """

    weights: Array
    bias: float

    def __call__(self, mean_token: ArrayLike) -> float:
        """The probability, in [0, 1].

        Args:
            mean_token: `(D,)`, see `ImageTokens.mean`.
        """
        odds = float(self.weights @ np.asarray(mean_token, np.float64)) + self.bias
        return float(1 / (1 + np.exp(-np.clip(odds, -50.0, 50.0))))


@dataclass(frozen=True)
class ReadingDefaults:
    """How a checkpoint reads pages in two stages where nobody says.

    Attributes:
        min_score: lines of a lower score are doubtful, in [0, 1].
        rows: pieces of lines that it was trained to read in one picture, one below the other; 0
            for a model that was not trained on pieces.
        max_aspect: of a piece, its width in heights of the line, for such a model.
    """

    min_score: float = 0.0
    rows: int = 0
    max_aspect: float = 4.0

    def __post_init__(self) -> None:
        check_threshold("the min_score of reading", self.min_score)
        if not isinstance(self.rows, int) or isinstance(self.rows, bool) or not 0 <= self.rows <= 8:
            raise ConfigError(f"the rows of reading must be 0 to 8; got {self.rows!r}")
        if not 1.0 <= self.max_aspect <= 32.0:
            raise ConfigError(f"the max_aspect of reading must be 1 to 32; got {self.max_aspect!r}")


@dataclass(frozen=True)
class AnswerDefaults:
    """Settings of a checkpoint for its answers; without any, all objects are kept as they come.

    Attributes:
        min_scores: the confidence threshold of each task that has one.
        calibrations: for the scores of some of these tasks.
        familiarity: for the scores of all these tasks; None changes none.
        reading: for pages.
        fingerprint: of the weights that they were made for, as `Florence2.fingerprint` tells it.
    """

    min_scores: Mapping[Task, float] = field(default_factory=dict)
    calibrations: tuple[Calibration, ...] = ()
    familiarity: Familiarity | None = None
    reading: ReadingDefaults = ReadingDefaults()
    fingerprint: str = ""

    def __post_init__(self) -> None:
        for task, least in self.min_scores.items():
            check_threshold(f"the min_score of {task.name.lower()}", least)

    def without(self, tasks: Collection[Task]) -> "AnswerDefaults":
        """The settings of all other tasks: whoever calibrates a task chooses its threshold."""
        kept = {task: least for task, least in self.min_scores.items() if task not in tasks}
        curves = tuple(each for each in self.calibrations if each.task not in tasks)
        return replace(self, min_scores=kept, calibrations=curves)

    def is_scaled(self, task: Task | None) -> bool:
        """Whether scores of a task also tell how familiar the picture is."""
        return self.familiarity is not None and task in self.min_scores


def scaled(result: Result, factor: float) -> Result:
    """A result with all its scores multiplied; those that are not known stay so, and so do texts.

    Args:
        factor: in [0, 1].
    """
    if isinstance(result, Text):
        return result
    if isinstance(result, Mixed):
        boxes, polygons = _scaled(result.boxes, factor), _scaled(result.polygons, factor)
        return replace(result, boxes=boxes, polygons=polygons)
    return _scaled(result, factor)


def _scaled(objects: _Objects, factor: float) -> _Objects:
    columns: dict[str, Any] = {
        name: tuple(None if score is None else score * factor for score in scores)
        for name in SCORE_COLUMNS
        if (scores := getattr(objects, name)) is not None
    }
    return replace(objects, **columns)
