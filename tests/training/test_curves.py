"""The log becomes a picture of plots."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from florence2.training.checkpoint_files import RunLog
from florence2.training.curves import COLOURS, HEIGHT, WIDTH, draw_curves, read_curves
from florence2.training.step_metrics import Stopwatch


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


def test_the_line_of_a_loss_falls_on_the_picture(log: RunLog) -> None:
    target = log.path.with_name("curves.png")
    draw_curves(log.path, target)
    picture = np.asarray(Image.open(target).convert("RGB")).astype(int)
    assert picture.shape == (3 * HEIGHT, 3 * WIDTH, 3)
    plot = picture[80:HEIGHT, :WIDTH]  # below the legend of the first plot
    rows, columns = np.nonzero((np.abs(plot - COLOURS[0]) < 12).all(axis=2))
    assert len(rows) > 100
    assert columns.min() > WIDTH / 2 - 10  # it begins with the second stage
    left, right = rows[columns < columns.min() + 20], rows[columns > columns.max() - 20]
    assert right.mean() > left.mean() + 60


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
