"""The log of a run as one picture of small plots.

A plot is named by what its numbers are called in the log: `loss_*` holds `loss_od` and `loss_ocr`,
`detection/*/f1` the F1 of all sets, `*_cer` what was read of each. Losses come first, then
held-out numbers, then the learning rate and what tells how healthy and fast the run is.
"""

import csv
import math
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from florence2.errors import ConfigError, writing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOSSES = ("loss", "loss_*", "dense_*", "*_accuracy")
HEALTH = ("memory_spread", "lr", "grad_norm", "images_per_s", "seconds_*")
COLUMNS, WIDTH, HEIGHT = 3, 4.4, 2.9  # of plots, and inches of each
FEW = 40  # points of which each is marked
# Told apart with any colour vision (Okabe and Ito); lines after these are dashed.
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6e6e6e", "#966e3c"]

Points = list[tuple[float, float]]  # pictures seen, and the value


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
    if log.exists() and (figure := figure_of(log)).axes:
        temporary = target.with_suffix(".tmp")
        try:
            with writing(target):
                figure.savefig(temporary, format="png")
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        temporary.replace(target)


def figure_of(log: Path) -> "Figure":
    """All plots of a log on one page."""
    from matplotlib.figure import Figure

    stages: dict[str, float] = {}  # by name: pictures seen at its start
    plots: dict[str, dict[str, Points]] = {}
    pictures = 0.0
    with log.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            stages.setdefault(row["stage"], pictures)
            pictures = float(row["pictures"])
            lines = plots.setdefault(_plot_of(row["name"]), {})
            lines.setdefault(row["name"], []).append((pictures, float(row["value"])))
    held_out = sorted(plots.keys() - {*LOSSES, *HEALTH})
    order = [plot for plot in (*LOSSES, *held_out, *HEALTH) if plot in plots]
    rows = max(math.ceil(len(order) / COLUMNS), 1)
    figure = Figure((COLUMNS * WIDTH, rows * HEIGHT), dpi=100, layout="constrained")
    for number, plot in enumerate(order, start=1):
        axes = figure.add_subplot(rows, COLUMNS, number, xlim=(0, pictures or 1))
        _draw(axes, plot, plots[plot])
        for name, start in stages.items():
            axes.axvline(start, color="grey", linestyle=":", linewidth=1)
            axes.annotate(name, (start, axes.get_ylim()[1]), (2, -7), textcoords="offset points",
                          color="grey", fontsize=7)  # fmt: skip
    return figure


def _plot_of(name: str) -> str:
    """The plot of a name, which has a star where others of the same plot have other words."""
    for plot in (*LOSSES, *HEALTH):
        if fnmatchcase(name, plot):
            return plot
    if name.count("/") == 2:
        what, _, kind = name.split("/")
        return f"{what}/*/{kind}"
    return f"*_{name.rpartition('_')[2]}" if "_" in name else name


def _draw(axes: "Axes", plot: str, lines: dict[str, Points]) -> None:
    """Lines with their last values."""
    before, _, after = plot.partition("*")
    for number, (name, points) in enumerate(lines.items()):
        pictures, values = zip(*points, strict=True)
        label = name if name == plot else name.removeprefix(before).removesuffix(after)
        axes.plot(pictures, values, label=f"{label}  {values[-1]:.3g}",
                  color=COLOURS[number % len(COLOURS)], marker="." if len(values) <= FEW else "",
                  linestyle="-" if number < len(COLOURS) else "--")  # fmt: skip
    axes.set_title(plot, loc="left", fontsize=10)
    axes.set_xlabel("pictures seen", loc="right", fontsize=8)
    axes.legend(fontsize=7, framealpha=0.8, edgecolor="none")
    axes.tick_params(labelsize=8)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.locator_params("x", nbins=5)
    axes.grid(axis="y", color="#e2e2e2")
    axes.spines[["top", "right"]].set_visible(False)
    finite = [value for points in lines.values() for _, value in points if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    if len(finite) > FEW:  # one spike would hide all else
        high = min(high, 1.5 * float(np.quantile(finite, 0.98)))
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    axes.set_ylim(0.0 if 0.0 <= low < 0.5 * high else low - margin, high + margin)
