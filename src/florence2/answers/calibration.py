"""From scores that rank to scores that mean what they say: curves fitted on labelled answers.

A calibrated score of 0.7 means that seven of ten such objects are right, on pictures like those
that the curve was fitted on. Place, label and both together have a curve each; what "right" is and
how well it works stands in `docs/scores.md`. NumPy only.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from florence2.errors import ConfigError, DataError, TaskError
from florence2.geometry import Array
from florence2.results import Boxes, Mixed, Quads, Result
from florence2.tasks import Task

FORMAT = "florence2 calibration 1"
COLUMNS = ("scores", "location_scores", "label_scores")

_Objects = TypeVar("_Objects", Boxes, Quads)


@dataclass(frozen=True)
class Curve:
    """A rising line through points; level beyond its ends.

    Attributes:
        scores: of the points, rising.
        shares: that is right at each of them, in (0, 1), rising.
    """

    scores: tuple[float, ...]
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        rising = all(
            len(values) and np.isfinite(values).all() and (np.diff(values) > 0).all()
            for values in (self.scores, self.shares)
        )
        within = rising and self.shares[0] > 0 and self.shares[-1] < 1
        if not within or len(self.scores) != len(self.shares):
            raise DataError(
                "a curve of a calibration does not rise from point to point within 0 and 1; give"
                " a file that florence2 calibrate wrote, unchanged"
            )

    def __call__(self, scores: ArrayLike) -> Array:
        return np.interp(np.asarray(scores, np.float64), self.scores, self.shares)


@dataclass(frozen=True)
class Calibration:
    """Curves for the answers of one model to one task.

    Attributes:
        model: the name of the model.
        fingerprint: of its weights, as `Florence2.fingerprint` tells it.
        task: what was asked.
        curves: for some or all of `COLUMNS`.
        measured: how it was fitted and what came out, for the reader.
    """

    model: str
    fingerprint: str
    task: Task
    curves: Mapping[str, Curve]
    measured: Mapping[str, Any] = field(default_factory=dict)

    def check_model(self, name: str, fingerprint: str) -> None:
        """Refuse a model that the curves were not fitted on."""
        if fingerprint != self.fingerprint:
            raise ConfigError(
                f"the calibration was fitted on model {self.model!r} with weights"
                f" {self.fingerprint}, not on {name!r} with {fingerprint}; fit one with"
                " florence2 calibrate"
            )

    def check_task(self, task: Task) -> None:
        """Refuse a task that the curves were not fitted on."""
        if task is not self.task:
            raise TaskError(
                f"the calibration was fitted on task {self.task.token!r}, not on"
                f" {task.token!r}; fit one with florence2 calibrate --task {task.name.lower()}"
            )

    def apply(self, result: Result, task: Task) -> Result:
        """The result with calibrated scores; what is unknown stays unknown.

        Outlines beside the boxes of a mixed answer keep their scores: no curve was fitted on them.
        """
        self.check_task(task)
        match result:
            case Mixed():
                return replace(result, boxes=self._applied(result.boxes))
            case Boxes():
                return self._applied(result)
            case Quads():
                return self._applied(result)
        return result

    def _applied(self, objects: _Objects) -> _Objects:
        columns: dict[str, Any] = {}
        for name, curve in self.curves.items():
            if (scores := getattr(objects, name)) is not None:
                columns[name] = tuple(
                    None if score is None else float(curve(score)) for score in scores
                )
        return replace(objects, **columns)

    def to_dict(self) -> dict[str, Any]:
        """What a file of it holds: strings, numbers and lists only."""
        return {
            "format": FORMAT,
            "model": self.model,
            "fingerprint": self.fingerprint,
            "task": self.task.token,
            "curves": {name: asdict(curve) for name, curve in self.curves.items()},
            "measured": dict(self.measured),
        }

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Self:
        """Rebuild it from its `to_dict`.

        Raises:
            ValueError: it is something else; likewise KeyError, TypeError and AttributeError.
            DataError: a curve does not rise.
        """
        if told["format"] != FORMAT:
            raise ValueError(f"its format is {told['format']!r}")
        curves = {
            name: Curve(*(tuple(map(float, curve[key])) for key in ("scores", "shares")))
            for name, curve in told["curves"].items()
        }
        if not curves.keys() <= {*COLUMNS}:
            raise ValueError(f"its curves are {', '.join(curves)}")
        task = Task.parse(told["task"])
        return cls(told["model"], told["fingerprint"], task, curves, told["measured"])

    def save(self, path: str | Path) -> None:
        """Write the file that `load` reads."""
        text = json.dumps(self.to_dict(), indent=1) + "\n"
        try:
            Path(path).write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigError(
                f"calibration {str(path)!r} cannot be written ({error.strerror}); check the path"
            ) from None

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file that florence2 calibrate wrote.

        Raises:
            DataError: there is no such file, or it holds something else.
        """
        try:
            return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8-sig")))
        except OSError as error:
            reason: object = error.strerror
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = error
        raise DataError(
            f"calibration {str(path)!r} cannot be read ({reason}); give a file that florence2"
            " calibrate wrote"
        )
