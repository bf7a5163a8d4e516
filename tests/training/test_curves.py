"""The log becomes a picture of plots."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from florence2.errors import ConfigError
from florence2.training.checkpoint_files import RunLog
from florence2.training.curves import draw_curves, figure_of, read_curves
from florence2.training.step_metrics import Stopwatch
from florence2.training.trainer import Trainer
from tiny_runs import JOINT, new_model, new_recipe


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    log = RunLog(tmp_path / "log.csv")
    for step in range(5, 55, 5):
        log.write("dense", step, 1.0, 8 * step, {"lr": 1e-3, "cells_accuracy": step / 50})
    for step in range(5, 55, 5):
        losses = {"loss": 3 - step / 25, "loss_od": 2.0, "loss_ocr": 1.0, "dense_boxes": 0.5}
        log.write("joint", step, 2.0, 400 + 8 * step, {"lr": 1e-3, **losses})
    log.write(
        "joint", 50, 2.0, 800, {"unseen_fonts_cer": 0.2, "detection/seen_styles/f1": float("nan")}
    )
    return log


def test_numbers_are_sorted_into_plots(log: RunLog) -> None:
    curves = read_curves(log.path)
    found = {plot.title: [line.label for line in plot.lines] for plot in curves.plots}
    assert found == {
        "loss": [""],
        "loss by task": ["od", "ocr"],
        "dense losses": ["boxes"],
        "dense heads: share named rightly": ["cells"],
        "held out: cer": ["unseen_fonts"],
        "held out: detection, f1": ["seen_styles"],
        "learning rate": [""],
    }
    assert curves.stages == ((0.0, "dense"), (400.0, "joint"))
    assert curves.plots[0].lines[0].points[0] == (440.0, 2.8)


def test_every_plot_stands_in_the_picture(log: RunLog) -> None:
    loss, by_task, *_ = (axes := figure_of(read_curves(log.path)).axes)
    assert (len(axes), loss.get_title(loc="left")) == (7, "loss  1")
    (line,) = loss.get_lines()[2:]  # behind the starts of the two stages
    pictures, losses = line.get_data()
    assert pictures[0] == 440  # it begins with the second stage
    assert (np.diff(losses) < 0).all()
    legend = [text.get_text() for text in by_task.get_legend().get_texts()]
    assert legend == ["od  2", "ocr  1"]


def test_the_picture_is_a_png_in_place_of_the_former(log: RunLog) -> None:
    target = log.path.with_name("curves.png")
    target.write_text("the former")
    draw_curves(log.path, target)
    with Image.open(target) as picture:
        assert (picture.format, picture.size) == ("PNG", (1320, 870))
    assert {path.name for path in target.parent.iterdir()} == {"curves.png", log.path.name}


def test_without_matplotlib_a_run_does_not_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"pip install 'florence2\[train\]'"):
        Trainer(new_model(), new_recipe(JOINT), tmp_path)


def test_an_empty_log_draws_nothing(tmp_path: Path) -> None:
    draw_curves(tmp_path / "log.csv", tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()


def test_the_watch_adds_up_laps_and_starts_anew() -> None:
    watch = Stopwatch(torch.device("cpu"))
    for _ in range(3):
        with watch.lap("data"):
            sum(range(1000))
    assert 0 < watch.read()["data"] < 1
    assert watch.read() == {}
