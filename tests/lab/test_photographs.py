"""What is left out of photographs and of scenes, and the probe that tells them apart."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from florence2 import Task
from florence2.errors import DataError
from florence2_lab.cli import photographs as command
from florence2_lab.cli.main import main
from florence2_lab.suites.familiarity import fit_familiarity
from florence2_lab.suites.photographs import TASKS, Found, Kept, kept, photographs, words_for


def test_the_probe_tells_kinds_apart_that_it_never_saw() -> None:
    rng = np.random.default_rng(0)
    far = np.zeros(12)
    far[3] = 3.0
    known, unknown = rng.normal(size=(400, 12)), rng.normal(size=(100, 12)) + far
    probe = fit_familiarity(known[:200], unknown[:50])
    said = [np.array([probe(each) for each in rows]) for rows in (known[200:], unknown[50:])]
    assert (said[0] > 0.5).mean() > 0.85
    assert (said[1] < 0.5).mean() > 0.85


def test_few_pictures_are_refused() -> None:
    with pytest.raises(DataError, match="there are 3 pictures of one kind"):
        fit_familiarity(np.zeros((30, 4)), np.zeros((3, 4)))


def test_kept_objects_are_counted_a_picture() -> None:
    found = [Found((0.9, 0.2), (True, False), 2), Found((0.5,), (False,), 0)]
    assert kept(found, 0.0) == Kept(1.5, pytest.approx(1 / 3), 0.5)
    assert kept(found, 0.5) == Kept(1.0, 0.5, 0.5)
    assert kept(found, 0.95) == Kept(0.0, None, 0.0)
    assert kept([Found((0.9,), (False,), 0)], 0.0) == Kept(1.0, 0.0, None)


@pytest.mark.parametrize("task", list(TASKS), ids=lambda task: task.name)
def test_the_same_words_are_asked_again(task: Task) -> None:
    names = ["apple", "bee", "cat", "dog"]
    asked = [words_for(task, names, number) for number in range(6)]
    assert asked == [words_for(task, names, number) for number in range(6)]
    assert all(asked) is task.needs_text


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no picture"):
        photographs(tmp_path)


def test_flags_are_frozen() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    command.add_arguments(parser)
    assert sorted(flag for each in parser._actions for flag in each.option_strings) == sorted(
        ["--beams", "--count", "--device", "--kit", "--model", "--test-styles", "--threads"]
    )


def test_a_model_is_measured_on_photographs_and_scenes(
    kit_path: Path,
    tiny_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The prompts of the others are too long for the tiny model.
    tasks = {Task.OD: "scores", Task.REGION_PROPOSAL: "location_scores"}
    monkeypatch.setattr("florence2_lab.suites.photographs.TASKS", tasks)
    for number in range(2):
        Image.new("RGB", (40, 30), (90 * number, 10, 10)).save(tmp_path / f"{number}.png")
    arguments = [tmp_path, "--kit", kit_path, "--count", 2, "--model", tiny_folder]
    arguments += ["--device", "cpu", "--beams", 1]
    assert main(["photographs", *map(str, arguments)]) == 0
    captured = capsys.readouterr()
    rows = json.loads(captured.out)["rows"]
    assert [row["task"] for row in rows] == [task.name.lower() for task in tasks for _ in range(3)]
    assert [row["pictures"] for row in rows] == [2] * len(rows)
    for row in rows:  # other checkpoints have no thresholds
        assert row["min_score"] == 0.0 and row["all"] == row["default"]
    assert captured.err.count("\n") == len(rows)
