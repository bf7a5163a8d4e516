"""The log of a run as one picture of small plots.

Losses come first, then held-out numbers, one plot for each kind of them (`detection/SET/f1` of all
sets, `SET_f1` by the last word), then the learning rate and what tells how healthy and fast the
run is.
"""

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from florence2.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 3
WIDTH, HEIGHT = 4.4, 2.9  # of a plot, in inches
MAX_LINES = 8  # of one plot
FEW = 40  # points of which each is marked

# Told apart with any colour vision (Okabe and Ito).
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6e6e6e", "#966e3c"]
# (a name in the log, or what names start or end with; title of the plot), in the order of the
# plots. The label of a line is the rest of its name. Other names are those of held-out numbers.
TITLES = (
    ("loss", "loss"),
    ("loss_", "loss by task"),
    ("dense_", "dense losses"),
    ("_accuracy", "dense heads: share named rightly"),
    ("", "held out"),
    ("memory_spread", "spread of the memory over pictures"),
    ("lr", "learning rate"),
    ("grad_norm", "norm of the gradient"),
    ("images_per_s", "pictures a second"),
    ("seconds_", "seconds a step"),
)


@dataclass(frozen=True)
class Line:
    """Numbers of one name over pictures seen."""

    label: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Plot:
    """Lines that share their axes."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class RunCurves:
    """What a log holds.

    Attributes:
        stages: pictures seen at the start of each stage, and its name.
    """

    plots: tuple[Plot, ...]
    stages: tuple[tuple[float, str], ...]
    pictures: float


def check_matplotlib() -> None:
    """Refuse to begin what would end at its first picture."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ConfigError(
            "curves of a run are drawn by 'matplotlib', which is not installed; "
            "pip install 'florence2[train]'"
        ) from None


def draw_curves(log: Path, target: Path) -> None:
    """Draw the log of a run as PNG; nothing while the log is empty."""
    curves = read_curves(log)
    if curves.plots:
        temporary = target.with_suffix(".tmp")
        figure_of(curves).savefig(temporary, format="png")
        temporary.replace(target)


def read_curves(log: Path) -> RunCurves:
    """Sort the numbers of a log into plots."""
    points: dict[str, list[tuple[float, float]]] = {}
    starts: dict[str, float] = {}
    pictures = 0.0
    if log.exists():
        with log.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                starts.setdefault(row["stage"], pictures)
                pictures = float(row["pictures"])
                points.setdefault(row["name"], []).append((pictures, float(row["value"])))
    groups: dict[tuple[int, str], list[Line]] = {}
    for name, values in points.items():
        rank, title, label = _place(name)
        groups.setdefault((rank, title), []).append(Line(label, tuple(values)))
    plots = [
        Plot(title, tuple(lines[start : start + MAX_LINES]))
        for (_, title), lines in sorted(groups.items())
        for start in range(0, len(lines), MAX_LINES)
    ]
    return RunCurves(tuple(plots), tuple((at, name) for name, at in starts.items()), pictures)


def _place(name: str) -> tuple[int, str, str]:
    """Rank and title of the plot that a name of the log belongs to, and its label there."""
    for rank, (start, title) in enumerate(TITLES):
        if name == start:
            return rank, title, ""
        if start.endswith("_") and name.startswith(start):
            return rank, title, name.removeprefix(start)
        if start.startswith("_") and name.endswith(start):
            return rank, title, name.removesuffix(start)
    rank = [start for start, _ in TITLES].index("")
    if name.count("/") == 2:
        what, where, kind = name.split("/")
        return rank, f"held out: {what}, {kind}", where
    where, _, kind = name.rpartition("_")
    return rank, f"held out: {kind}", where


def figure_of(curves: RunCurves) -> "Figure":
    """All plots on one page."""
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(curves.plots))
    rows = math.ceil(len(curves.plots) / columns)
    figure = Figure((columns * WIDTH, rows * HEIGHT), dpi=100, layout="constrained")
    for index, plot in enumerate(curves.plots, start=1):
        _draw(plot, curves, figure.add_subplot(rows, columns, index))
    return figure


def _draw(plot: Plot, curves: RunCurves, axes: "Axes") -> None:
    """One plot with its axes, stages and last values."""
    alone = "" if plot.lines[0].label else f"  {plot.lines[0].points[-1][1]:.3g}"
    axes.set_title(plot.title + alone, loc="left", fontsize=10)
    axes.set_xlabel("pictures seen", loc="right", fontsize=8)
    axes.set(xlim=(0, curves.pictures or 1), ylim=_limits(plot))
    axes.tick_params(labelsize=8)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.locator_params("x", nbins=5)
    axes.grid(axis="y", color="#e2e2e2")
    axes.spines[["top", "right"]].set_visible(False)
    height = axes.get_ylim()[1]
    for start, name in curves.stages:
        axes.axvline(start, color="#787878", linestyle=":", linewidth=1)
        axes.text(start, height, f" {name}", va="top", color="#787878", fontsize=7)
    for colour, line in zip(COLOURS, plot.lines, strict=False):
        pictures, values = zip(*line.points, strict=True)
        label = f"{line.label}  {values[-1]:.3g}" if line.label else None
        marker = "." if len(values) <= FEW else ""
        axes.plot(pictures, values, color=colour, label=label, marker=marker)
    if not alone:
        axes.legend(fontsize=7, framealpha=0.8, edgecolor="none")


def _limits(plot: Plot) -> tuple[float, float]:
    """Range of the values; the highest of many may be cut off, as one spike hides all else."""
    values = np.array([y for line in plot.lines for _, y in line.points if math.isfinite(y)])
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    if len(values) > FEW:
        high = min(high, 1.5 * float(np.quantile(values, 0.98)))
    if 0.0 <= low < 0.5 * high:
        low = 0.0
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return low - (margin if low else 0.0), high + margin
