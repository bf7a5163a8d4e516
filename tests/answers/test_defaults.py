"""What a checkpoint leaves out where nobody says, and how familiar a picture is."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from florence2 import Boxes, Florence2, GenerationOptions, Mixed, Polygons, Request, Task, Text
from florence2.answers.calibration import Calibration, Curve
from florence2.answers.defaults import AnswerDefaults, Familiarity, ReadingDefaults, scaled
from florence2.checkpoints.answer_settings import (
    read_answer_settings,
    write_answer_settings,
)
from florence2.errors import ConfigError, WeightsError

SIZE = (100, 80)
WIDTH = 4
HALVES = Curve((0.0, 1.0), (0.25, 0.75))
OPTIONS = GenerationOptions(num_beams=1, max_new_tokens=30, no_repeat_ngram_size=0, grammar=True)


def full(fingerprint: str = "f") -> AnswerDefaults:
    return AnswerDefaults(
        min_scores={Task.OD: 0.5, Task.REFERRING_EXPRESSION_SEGMENTATION: 0.02},
        calibrations=(Calibration("nano", fingerprint, Task.OD, {"scores": HALVES}),),
        familiarity=Familiarity(np.array([1.0, -2.0, 0.0, 0.5]), 0.25),
        reading=ReadingDefaults(0.6, 2),
        fingerprint=fingerprint,
    )


def told(defaults: AnswerDefaults) -> tuple[object, ...]:
    probe = defaults.familiarity
    return (
        *(defaults.min_scores, defaults.calibrations, defaults.reading, defaults.fingerprint),
        None if probe is None else (probe.weights.tolist(), probe.bias),
    )


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "florence2.json"
    for defaults in (full(), AnswerDefaults(fingerprint="f")):
        write_answer_settings(path, defaults, {"scenes": 3})
        assert told(read_answer_settings(path, WIDTH)) == told(defaults)
    assert told(read_answer_settings(None, WIDTH)) == told(AnswerDefaults())
    with pytest.raises(ConfigError, match="cannot be written"):
        write_answer_settings(tmp_path / "none" / "florence2.json", full())


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        pytest.param({"format": "florence2 settings 9"}, "its format is", id="format"),
        pytest.param({"min_scores": {}}, "its key 'min_scores' is unknown", id="key"),
        pytest.param({"fingerprint": 3}, "its fingerprint is 3", id="fingerprint"),
        pytest.param({"fingerprint": "g"}, "fitted on model", id="other weights"),
        pytest.param({"min_score": {"od": 1.5}}, "must be a number from 0 to 1", id="threshold"),
        pytest.param({"min_score": {"od": "0.5"}}, "must be a number from 0 to 1", id="words"),
        pytest.param({"min_score": {"odd": 0.5}}, "odd", id="task"),
        pytest.param({"min_score": [0.5]}, "cannot be used", id="list"),
        pytest.param({"reading": {"rows": 9}}, "rows of reading must be 0 to 8", id="rows"),
        pytest.param({"reading": {"row": 3}}, "row", id="reading key"),
        pytest.param({"familiarity": {"weights": [1.0], "bias": 0}}, "4 finite", id="width"),
        pytest.param({"familiarity": {"bias": 0}}, "it has no 'weights'", id="no weights"),
        pytest.param({"calibrations": [{}]}, "it has no 'format'", id="calibration"),
    ],
)
def test_damaged_settings_are_one_sentence(
    tmp_path: Path, changed: dict[str, Any], reason: str
) -> None:
    path = tmp_path / "florence2.json"
    write_answer_settings(path, full())
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(ConfigError) as raised:
        read_answer_settings(path, WIDTH)
    message = str(raised.value)
    assert reason in message and "florence2.json" in message and "delete it" in message


def test_a_file_that_is_no_json_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "florence2.json"
    path.write_text("{")
    with pytest.raises(WeightsError, match="cannot be read as JSON"):
        read_answer_settings(path, WIDTH)


def test_all_known_scores_are_multiplied_and_texts_are_not() -> None:
    boxes = Boxes(
        [[0, 0, 1, 1]] * 2, "ab", (0.5, None), image_size=SIZE, location_scores=(0.25, 1.0)
    )
    outlines = Polygons([[[[0, 0], [1, 0], [1, 1]]]], "a", (0.5,), image_size=SIZE)
    mixed = scaled(Mixed(boxes, outlines, image_size=SIZE), 0.5)
    assert isinstance(mixed, Mixed)
    assert mixed.boxes.scores == (0.25, None)
    assert mixed.boxes.location_scores == (0.125, 0.5)
    assert mixed.boxes.label_scores is None
    assert mixed.polygons.scores == (0.25,)
    text = Text("a", score=0.5, image_size=SIZE)
    assert scaled(text, 0.5) is text


def test_familiarity_is_a_probability_of_the_mean_token() -> None:
    probe = Familiarity(np.array([2.0, -1.0]), 1.0)
    assert probe([1.0, 3.0]) == pytest.approx(0.5)
    assert probe([1e9, 0.0]) == pytest.approx(1.0) and probe([-1e9, 0.0]) == pytest.approx(0.0)


# -- through the engine --------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain(tiny_folder: Path) -> Florence2:
    return Florence2.load(str(tiny_folder), device="cpu")


@pytest.fixture(scope="module")
def picture() -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)


def settled(plain: Florence2, **changed: Any) -> Florence2:
    """The tiny model with defaults of its own."""
    width = plain.runtime.config.text.d_model
    defaults = AnswerDefaults(
        familiarity=Familiarity(np.zeros(width), float(np.log(3.0))),  # 0.75 for all pictures
        fingerprint=plain.fingerprint,
    )
    return Florence2(
        plain.runtime,
        plain.processor,
        name="tiny",
        defaults=replace(defaults, **changed),
        fingerprint=plain.fingerprint,
    )


def middle(scores: Any) -> float:
    return float(np.median(scores))


def test_the_checkpoints_own_threshold_holds_where_none_is_given(
    plain: Florence2, picture: Any
) -> None:
    every = plain.run(picture, Task.OD, generation=OPTIONS)
    assert isinstance(every, Boxes) and every.scores and len(every.scores) > 1
    least = max(score for score in every.scores if score is not None) * 0.75 * 0.999
    model = settled(plain, min_scores={Task.OD: least})
    found = model.run(picture, Task.OD, generation=OPTIONS)
    assert isinstance(found, Boxes) and 1 <= len(found.labels) < len(every.labels)
    assert found.token_ids == every.token_ids  # what was written is told all the same
    asked_for_all = model.run(picture, Task.OD, generation=OPTIONS, min_score=0)
    assert isinstance(asked_for_all, Boxes)
    assert asked_for_all.labels == every.labels
    assert asked_for_all.scores == pytest.approx([0.75 * (score or 0) for score in every.scores])
    assert plain.run(picture, Task.OD, generation=OPTIONS) == every
    (answer,) = model.engine.answer([Request(picture, "od", min_score=0.0, generation=OPTIONS)])
    assert answer.result == asked_for_all
    assert model.engine.min_score(Request(picture, "od")) == least
    assert model.engine.min_score(Request(picture, "od", min_score=0.0)) == 0.0
    assert model.engine.min_score(Request(picture, prompt="What?")) == 0.0


def test_other_tasks_are_as_they_were(plain: Florence2, picture: Any) -> None:
    model = settled(plain, min_scores={Task.OD: 1.0})
    for task in (Task.OCR_WITH_REGION, Task.REGION_PROPOSAL, Task.CAPTION):
        assert model.run(picture, task, generation=OPTIONS) == plain.run(
            picture, task, generation=OPTIONS
        )
    assert model.detect(picture).labels == ()


def test_tiles_and_chains_keep_to_it_too(plain: Florence2, picture: Any) -> None:
    model = settled(plain, min_scores={Task.OD: 1.0})
    ask: list[Callable[..., Any]] = [
        lambda **how: model.detect(picture, tiles="2x2", **how),
        lambda **how: model.describe_objects(picture, **how).objects,
    ]
    for each in ask:
        assert each().labels == ()
        assert each(min_score=0).labels


def test_a_calibration_of_ones_own_takes_the_place_of_both(plain: Florence2, picture: Any) -> None:
    own = Calibration("tiny", plain.fingerprint, Task.OD, {"scores": HALVES})
    defaults = AnswerDefaults(
        min_scores={Task.OD: 1.0, Task.REGION_PROPOSAL: 1.0},
        calibrations=(replace(own, curves={"scores": Curve((0.0,), (0.5,))}),),
        familiarity=Familiarity(np.zeros(plain.runtime.config.text.d_model), 0.0),
        fingerprint=plain.fingerprint,
    )
    given = {"name": "tiny", "fingerprint": plain.fingerprint, "calibrations": [own]}
    model = Florence2(plain.runtime, plain.processor, defaults=defaults, **given)
    theirs = Florence2(plain.runtime, plain.processor, **given)
    asked = {"task": Task.OD, "generation": OPTIONS}
    assert model.run(picture, **asked) == theirs.run(picture, **asked)
    assert model.propose_regions(picture).labels == ()


# -- from the folder of a checkpoint ---------------------------------------------------------


@pytest.fixture
def settled_folder(tiny_folder: Path, plain: Florence2, tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    for file in tiny_folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    defaults = AnswerDefaults(
        {Task.OD: 1.0}, reading=ReadingDefaults(0.7, 8), fingerprint=plain.fingerprint
    )
    write_answer_settings(folder / "florence2.json", defaults)
    return folder


def test_settings_are_used_with_the_weights_that_they_were_made_for(
    settled_folder: Path, picture: Any, caplog: pytest.LogCaptureFixture
) -> None:
    model = Florence2.load(str(settled_folder), device="cpu")
    assert model.detect(picture).labels == ()
    assert model.detect(picture, min_score=0).labels
    assert model.engine.defaults.reading == ReadingDefaults(0.7, 8)
    without = Florence2.load(str(settled_folder), device="cpu", calibration=None)
    assert without.detect(picture).labels
    side = without.processor.image_side + 8
    assert Florence2.load(str(settled_folder), device="cpu", image_side=side).detect(picture).labels
    path = settled_folder / "florence2.json"
    assert not caplog.records
    write_answer_settings(path, AnswerDefaults({Task.OD: 1.0}, fingerprint="of other weights"))
    other = Florence2.load(str(settled_folder), device="cpu")
    assert other.detect(picture).labels
    assert [each.getMessage() for each in caplog.records] == [
        f"checkpoint {settled_folder}: florence2.json was made for other weights and is not used"
    ]
    path.write_text("[]")
    with pytest.raises(WeightsError, match="not a JSON object"):
        Florence2.load(str(settled_folder), device="cpu")
