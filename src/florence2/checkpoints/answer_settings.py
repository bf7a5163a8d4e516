"""florence2.json of a checkpoint: what it leaves out of its answers where nobody says.

It belongs to the weights that it was made for, which it names by their fingerprint; with others,
as after a fine-tuning, it is not used. Other programs read over it. docs/checkpoints.md shows one.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from florence2.answers.calibration import Calibration
from florence2.answers.defaults import AnswerDefaults, Familiarity, ReadingDefaults
from florence2.checkpoints.sources import read_json
from florence2.errors import ConfigError, Florence2Error
from florence2.tasks import Task

FORMAT = "florence2 settings 1"
_KEYS = (
    *("format", "fingerprint", "min_score", "familiarity", "reading", "calibrations", "measured"),
)


def read_answer_settings(path: Path | None, width: int) -> AnswerDefaults:
    """Read florence2.json; without one, the settings that change nothing.

    Args:
        width: of the model's image tokens.

    Raises:
        WeightsError: it is no JSON object.
        ConfigError: it holds something else than such settings.
    """
    if path is None:
        return AnswerDefaults()
    told = read_json(path)
    try:
        return _defaults(told, width)
    except (Florence2Error, ValueError, TypeError, AttributeError) as error:
        reason: object = error
    except KeyError as error:
        reason = f"it has no {error.args[0]!r}"
    raise ConfigError(
        f"the settings {str(path)!r} cannot be used ({reason}); fetch the file again, or delete it:"
        " answers then keep all objects"
    )


def _defaults(told: Mapping[str, Any], width: int) -> AnswerDefaults:
    if told["format"] != FORMAT:
        raise ValueError(f"its format is {told['format']!r}, not {FORMAT!r}")
    if unknown := [key for key in told if key not in _KEYS]:
        raise ValueError(f"its key {unknown[0]!r} is unknown; known are {', '.join(_KEYS)}")
    fingerprint = told["fingerprint"]
    if not isinstance(fingerprint, str) or not fingerprint:
        raise ValueError(f"its fingerprint is {fingerprint!r}")
    calibrations = tuple(map(Calibration.from_dict, told.get("calibrations", ())))
    for each in calibrations:
        each.check_model("this checkpoint", fingerprint)
    probe = told.get("familiarity")
    return AnswerDefaults(
        min_scores={Task.parse(name): least for name, least in told.get("min_score", {}).items()},
        calibrations=calibrations,
        familiarity=None if probe is None else _familiarity(probe, width),
        reading=ReadingDefaults(**told.get("reading", {})),
        fingerprint=fingerprint,
    )


def _familiarity(probe: Mapping[str, Any], width: int) -> Familiarity:
    weights, bias = np.array(probe["weights"], np.float64), float(probe["bias"])
    if weights.shape != (width,) or not np.isfinite([*weights, bias]).all():
        raise ValueError(f"its familiarity is not of {width} finite weights and a bias")
    return Familiarity(weights, bias)


def write_answer_settings(
    path: Path, defaults: AnswerDefaults, measured: Mapping[str, Any] | None = None
) -> None:
    """Write the file that `read_answer_settings` reads.

    Args:
        measured: what came out, for the reader.
    """
    told: dict[str, Any] = {
        "format": FORMAT,
        "fingerprint": defaults.fingerprint,
        "min_score": {task.name.lower(): least for task, least in defaults.min_scores.items()},
        "reading": asdict(defaults.reading),
    }
    if (probe := defaults.familiarity) is not None:
        told["familiarity"] = {"weights": probe.weights.tolist(), "bias": probe.bias}
    told["calibrations"] = [each.to_dict() for each in defaults.calibrations]
    told["measured"] = dict(measured or {})
    try:
        path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"settings {str(path)!r} cannot be written ({error.strerror}); check the path"
        ) from None
