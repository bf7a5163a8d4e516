"""The log becomes a picture of plots."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from florence2.errors import ConfigError
from florence2.training.checkpoint_files import RunLog
from florence2.training.curves import draw_curves, figure_of
from florence2.training.step_metrics import Stopwatch
from florence2.training.trainer import Trainer
from tiny_runs import JOINT, new_model, new_recipe


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    import matplotlib.font_manager  # noqa: F401  # asks other programs for fonts, once a machine

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
    found = {
        axes.get_title(loc="left"): [text.get_text() for text in axes.get_legend().get_texts()]
        for axes in figure_of(log.path).axes
    }
    assert [*found.items()] == [
        ("loss", ["loss  1"]),
        ("loss_*", ["od  2", "ocr  1"]),
        ("dense_*", ["boxes  0.5"]),
        ("*_accuracy", ["cells  1"]),
        ("*_cer", ["unseen_fonts  0.2"]),
        ("detection/*/f1", ["seen_styles  nan"]),
        ("lr", ["lr  0.001"]),
    ]


def test_a_plot_shows_its_numbers_and_where_stages_begin(log: RunLog) -> None:
    loss = figure_of(log.path).axes[0]
    line, *starts = loss.get_lines()
    pictures, losses = line.get_data()
    assert (pictures[0], losses[0]) == (440, 2.8)  # it begins with the second stage
    assert (np.diff(losses) < 0).all()
    assert [start.get_xdata()[0] for start in starts] == [0, 400]
    assert [text.get_text() for text in loss.texts] == ["dense", "joint"]


def test_one_spike_does_not_hide_all_else(log: RunLog) -> None:
    for step in range(100):
        log.write("joint", step, 2.0, 900, {"grad_norm": 1e6 if step == 9 else 1.0})
    (plot,) = [each for each in figure_of(log.path).axes if "grad" in each.get_title(loc="left")]
    assert plot.get_ylim() == pytest.approx((0.975, 1.525))


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
