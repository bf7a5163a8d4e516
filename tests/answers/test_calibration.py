"""Curves and files of calibration; how a model takes them."""

import doctest
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from florence2 import Boxes, ConfigError, DataError, Florence2, GenerationOptions, Mixed, TaskError
from florence2.answers import calibration as module
from florence2.answers.calibration import Calibration, Curve
from florence2.checkpoints.layouts import weights_fingerprint
from florence2.checkpoints.loading import load_checkpoint
from florence2.evaluation.calibration_fit import (
    MIN_GROUP,
    calibration_error,
    fit_curve,
    reliability,
)
from florence2.results import Polygons, Text
from florence2.tasks import Task

SIZE = (100, 100)
DOUBLE = Curve((0.0, 0.5), (0.001, 0.999))
OBJECTS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=200)


def test_doctests() -> None:
    assert doctest.testmod(module).failed == 0


@given(OBJECTS)
@settings(max_examples=150, deadline=None)
def test_a_fitted_curve_rises_within_0_and_1_and_never_says_either(
    objects: list[tuple[float, bool]],
) -> None:
    curve = fit_curve(*zip(*objects, strict=True))
    values = curve(np.linspace(0, 1, 101))
    assert (np.diff(values) >= 0).all()
    assert values.min() > 0
    assert values.max() < 1
    assert len(curve.scores) <= max(1, len(objects) // MIN_GROUP)


def test_a_curve_finds_the_truth_behind_many_scores() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(20_000)
    right = rng.random(20_000) < scores**3
    curve = fit_curve(scores[:10_000], right[:10_000])
    assert np.abs(curve([0.5, 0.8]) - [0.125, 0.512]).max() < 0.05
    held, is_right = scores[10_000:], right[10_000:]
    assert calibration_error(held, is_right) > 0.2
    assert calibration_error(curve(held), is_right) < 0.03


def test_scores_that_say_nothing_become_the_share_that_is_right() -> None:
    rng = np.random.default_rng(1)
    curve = fit_curve(rng.random(2_000), rng.random(2_000) < 0.3)
    assert curve([0.0, 0.5, 1.0]) == pytest.approx([0.3] * 3, abs=0.1)
    same = fit_curve([0.4] * 200, [1] * 150 + [0] * 50)
    assert same([0.1, 0.4, 0.9]) == pytest.approx([0.75] * 3, abs=0.01)


def test_the_error_is_the_weighted_distance_of_the_bins() -> None:
    assert calibration_error([], []) == 0.0
    assert calibration_error([1.0, 1.0], [1, 1]) == 0.0
    assert calibration_error([0.05] * 3 + [0.95], [0, 0, 0, 0]) == pytest.approx(0.275)
    assert [each.objects for each in reliability([0.0, 0.1, 0.999, 1.0], [1] * 4)] == [
        *(1, 1, 0, 0, 0, 0, 0, 0, 0, 2)
    ]


def test_each_kind_of_score_has_its_own_curve_and_unknown_ones_stay_unknown() -> None:
    calibration = Calibration("m", "f", Task.OD, {"scores": DOUBLE, "label_scores": DOUBLE})
    boxes = Boxes(
        [[0, 0, 1, 1]] * 2, "ab", (0.25, None), image_size=SIZE, location_scores=(0.1, 0.2)
    )
    told = calibration.apply(boxes, Task.OD)
    assert isinstance(told, Boxes)
    assert told.scores == (pytest.approx(0.5), None)
    assert told.location_scores == (0.1, 0.2)
    assert told.label_scores is None
    outlines = Polygons([[[[0, 0], [1, 0], [1, 1]]]], "a", (0.125,), image_size=SIZE)
    open_vocabulary = replace(calibration, task=Task.OPEN_VOCABULARY_DETECTION)
    mixed = open_vocabulary.apply(Mixed(boxes, outlines, image_size=SIZE), open_vocabulary.task)
    assert isinstance(mixed, Mixed)
    assert mixed.boxes.scores == told.scores
    assert mixed.polygons == outlines
    text = Text("a", score=0.5, image_size=SIZE)
    assert replace(calibration, task=Task.OCR).apply(text, Task.OCR) == text


def test_another_task_is_refused() -> None:
    calibration = Calibration("m", "f", Task.OD, {"scores": DOUBLE})
    with pytest.raises(TaskError, match="fitted on task '<OD>', not on '<REGION_PROPOSAL>'"):
        calibration.apply(Boxes([], [], image_size=SIZE), Task.REGION_PROPOSAL)


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    calibration = Calibration("m", "f", Task.OD, {"scores": DOUBLE}, {"scores": {"objects": 9}})
    calibration.save(tmp_path / "c.json")
    assert Calibration.load(tmp_path / "c.json") == calibration


def spoilt(scores: list[float], shares: list[float]) -> dict[str, object]:
    return {"curves": {"scores": {"scores": scores, "shares": shares}}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"format": "other"}, "format", id="format"),
        pytest.param({"task": "<ODD>"}, "did you mean", id="task"),
        pytest.param({"curves": {"heights": vars(DOUBLE)}}, "heights", id="column"),
        pytest.param({"curves": {"scores": {"scores": [1]}}}, "shares", id="no shares"),
        pytest.param(spoilt([0, 1], [0.6, 0.5]), "rise", id="falls"),
        pytest.param(spoilt([0, 1], [0.6]), "rise", id="lengths"),
        pytest.param(spoilt([0, 1], [0.5, 1.1]), "rise", id="above 1"),
        pytest.param(spoilt([], []), "rise", id="empty"),
        pytest.param({"curves": 3}, "cannot be read", id="number"),
    ],
)  # fmt: skip
def test_a_spoilt_file_is_told(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "c.json"
    Calibration("m", "f", Task.OD, {"scores": DOUBLE}).save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=message):
        Calibration.load(path)
    path.write_text("[]")
    with pytest.raises(DataError, match="florence2 calibrate"):
        Calibration.load(path)
    with pytest.raises(DataError, match="No such file"):
        Calibration.load(tmp_path / "none.json")


def test_a_model_takes_the_calibration_of_its_own_weights_alone(
    tiny_folder: Path, picture: Path, tmp_path: Path
) -> None:
    plain = Florence2.load(str(tiny_folder), device="cpu")
    options = GenerationOptions(num_beams=1, max_new_tokens=24, min_new_tokens=20)
    path, other = tmp_path / "own.json", tmp_path / "other.json"
    curve = Curve((0.0, 1.0), (0.25, 0.75))
    own = Calibration("anything", plain.fingerprint, Task.REGION_PROPOSAL, {"scores": curve})
    own.save(path)
    model = Florence2.load(str(tiny_folder), device="cpu", calibration=path)
    before = plain.run(picture, Task.REGION_PROPOSAL, generation=options)
    after = model.run(picture, Task.REGION_PROPOSAL, generation=options)
    assert isinstance(before, Boxes) and isinstance(after, Boxes)
    assert before.scores
    assert after.scores == pytest.approx(curve(before.scores).tolist())
    assert after.location_scores == before.location_scores
    kept = model.run(picture, Task.REGION_PROPOSAL, generation=options, min_score=0.25)
    assert kept == after, "thresholds work on calibrated scores"
    assert model.run(picture, Task.OD) == plain.run(picture, Task.OD)
    replace(own, fingerprint="0" * 16).save(other)
    with pytest.raises(ConfigError, match="fitted on model 'anything'"):
        Florence2.load(str(tiny_folder), device="cpu", calibration=[path, other])


def test_a_fingerprint_is_of_the_weights_not_of_their_dtype(tiny_folder: Path) -> None:
    import torch

    model = load_checkpoint(tiny_folder, dtype=torch.float32).model
    before = weights_fingerprint(model)
    assert Florence2.load(str(tiny_folder), "cpu", "bfloat16").fingerprint == before
    with torch.no_grad():
        model.text_decoder.layers[0].fc1.weight[0, 0] += 1.0
    assert weights_fingerprint(model) != before
