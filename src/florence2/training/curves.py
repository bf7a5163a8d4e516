"""The log of a run as one picture of small plots, drawn with Pillow alone.

Losses come first, then held-out numbers, one plot for each kind of them (`detection/SET/f1` of all
sets, `SET_f1` by the last word), then the learning rate and what tells how healthy and fast the
run is.
"""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

COLUMNS = 3
WIDTH, HEIGHT = 440, 290  # of a plot with its labels, in pixels
LEFT, RIGHT, TOP, BOTTOM = 54, 16, 30, 40  # margins of the axes within it
LEGEND_ROW = 15
SMOOTH = 3  # lines are drawn so many times larger, then reduced
MAX_LINES = 8  # of one plot
FEW = 40  # points of which each is marked

INK, PALE, GRID, PAPER = (40, 40, 40), (120, 120, 120), (226, 226, 226), (255, 255, 255)
# Told apart with any colour vision (Okabe and Ito).
COLOURS = (
    *((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167)),
    *((230, 159, 0), (86, 180, 233), (110, 110, 110), (150, 110, 60)),
)
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


def draw_curves(log: Path, target: Path) -> None:
    """Draw the log of a run as PNG; nothing while the log is empty."""
    curves = read_curves(log)
    if not curves.plots:
        return
    rows = math.ceil(len(curves.plots) / COLUMNS)
    columns = min(COLUMNS, len(curves.plots))
    sheet = Image.new("RGB", (columns * WIDTH, rows * HEIGHT), PAPER)
    for index, plot in enumerate(curves.plots):
        row, column = divmod(index, COLUMNS)
        sheet.paste(_draw(plot, curves), (column * WIDTH, row * HEIGHT))
    temporary = target.with_suffix(".tmp")
    sheet.save(temporary, format="PNG")
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


def _draw(plot: Plot, curves: RunCurves) -> Image.Image:
    """One plot with its axes, labels and legend."""
    image = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    canvas = ImageDraw.Draw(image)
    canvas.text((LEFT, 10), plot.title, INK, _font(14))
    top = TOP + _draw_legend(canvas, plot)
    size = (WIDTH - LEFT - RIGHT, HEIGHT - top - BOTTOM)
    low, high = _limits(plot)
    x_ticks, y_ticks = ticks(0.0, curves.pictures), ticks(low, high)
    axes = Axes((LEFT, top), size, curves.pictures, (low, high))
    for tick in y_ticks:
        y = axes.y(tick)
        canvas.line((LEFT, y, LEFT + size[0], y), GRID)
        canvas.text((LEFT - 6, y), tick_label(tick), PALE, _font(11), anchor="rm")
    bottom = top + size[1]
    for tick in x_ticks:
        canvas.line((axes.x(tick), bottom, axes.x(tick), bottom + 4), PALE)
        canvas.text((axes.x(tick), bottom + 6), tick_label(tick), PALE, _font(11), anchor="mt")
    canvas.text((LEFT + size[0], HEIGHT - 4), "pictures seen", PALE, _font(11), anchor="rs")
    for start, name in curves.stages:
        if start:
            _dashes(canvas, axes.x(start), top, bottom)
        canvas.text((axes.x(start) + 3, top + 1), name, PALE, _font(10))
    _draw_lines(image, plot, axes)
    canvas.line((LEFT, bottom, LEFT + size[0], bottom), PALE)
    return image


@dataclass(frozen=True)
class Axes:
    """From numbers to pixels of a plot."""

    corner: tuple[int, int]
    size: tuple[int, int]
    pictures: float
    limits: tuple[float, float]

    def x(self, pictures: float) -> float:
        return self.corner[0] + self.size[0] * pictures / (self.pictures or 1.0)

    def y(self, value: float) -> float:
        low, high = self.limits
        return self.corner[1] + self.size[1] * (high - value) / (high - low)


def _draw_legend(canvas: ImageDraw.ImageDraw, plot: Plot) -> int:
    """Names with the last values, in two columns; returns the height in pixels."""
    column = (WIDTH - LEFT - RIGHT) // 2
    for index, line in enumerate(plot.lines):
        x = LEFT + column * (index % 2)
        y = TOP + LEGEND_ROW * (index // 2) + 4
        text = f"{line.label}  {line.points[-1][1]:.3g}".strip()
        font = _font(11)
        while font.getlength(text) > column - 20 and len(text) > 8:
            text = f"{text[: len(text) // 2 - 2]}…{text[len(text) // 2 + 1 :]}"
        canvas.line((x, y + 5, x + 12, y + 5), COLOURS[index], width=3)
        canvas.text((x + 17, y + 5), text, INK, font, anchor="lm")
    return LEGEND_ROW * math.ceil(len(plot.lines) / 2) + 8


def _draw_lines(image: Image.Image, plot: Plot, axes: Axes) -> None:
    """The lines, drawn large and reduced, so that they are smooth; what is beyond is cut off."""
    corner, (width, height) = axes.corner, axes.size
    box = (*corner, corner[0] + width, corner[1] + height)
    large = image.crop(box).resize((width * SMOOTH, height * SMOOTH), Image.Resampling.NEAREST)
    canvas = ImageDraw.Draw(large)
    for colour, line in zip(COLOURS, plot.lines, strict=False):
        places = [
            ((axes.x(x) - corner[0]) * SMOOTH, (axes.y(y) - corner[1]) * SMOOTH)
            for x, y in line.points
            if math.isfinite(y)
        ]
        if len(places) > 1:
            canvas.line(places, colour, width=5, joint="curve")
        if len(places) <= FEW:
            for x, y in places:
                canvas.ellipse((x - 7, y - 7, x + 7, y + 7), fill=colour)
    image.paste(large.resize((width, height), Image.Resampling.BOX), corner)


def _dashes(canvas: ImageDraw.ImageDraw, x: float, top: int, bottom: int) -> None:
    for y in range(top, bottom, 6):
        canvas.line((x, y, x, min(y + 3, bottom)), PALE)


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


def ticks(low: float, high: float) -> list[float]:
    """Round numbers within a range, four to nine of them.

    >>> ticks(0.0, 1.0)
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    if high <= low:
        return [low]
    rough = (high - low) / 4
    unit = 10.0 ** math.floor(math.log10(rough))
    step = max(factor * unit for factor in (1, 2, 2.5, 5) if factor * unit <= rough * 1.0001)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def tick_label(value: float) -> str:
    """A short form of a round number.

    >>> [tick_label(each) for each in (0.0, 0.25, 1500.0, 2_000_000.0, 0.0004)]
    ['0', '0.25', '1.5k', '2M', '4e-4']
    """
    for size, suffix in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{suffix}"
    if value and abs(value) < 0.01:
        digits, _, exponent = f"{value:.2e}".partition("e")
        return f"{float(digits):g}e{int(exponent)}"
    return f"{value:g}"


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
