"""The point to click, words read and parts found, on pages that no training has seen.

A point is right if it lies in the box of the element that was asked for, as ScreenSpot counts it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from florence2.answers.defaults import ReadingDefaults
from florence2.engine import Engine
from florence2.evaluation.text import common_words
from florence2.geometry import Box
from florence2.pipelines.pointing.locate import Screen, click_point
from florence2_lab.suites.screen_pages import LETTERS, ScreenPage, Target

SEED = 900_001
NOT_THERE = ("Unsubscribe quickly", "Quarterly zebra", "Wallpaper", "Kerosene", "Voucher lottery")
KINDS_SAID = {"button": "button", "link": "link", "tab": "tab", "menu item": "menu item"}


@dataclass
class Count:
    """How many were right of how many."""

    right: int = 0
    all: int = 0

    def add(self, is_right: bool) -> None:
        self.right += is_right
        self.all += 1

    @property
    def share(self) -> float | None:
        return self.right / self.all if self.all else None


@dataclass
class Counts:
    """What was counted over pages."""

    points: dict[str, Count] = field(default_factory=dict)
    empty: int = 0
    common: int = 0
    told: int = 0
    true: int = 0

    @property
    def word_f1(self) -> float | None:
        return 2 * self.common / (self.told + self.true) if self.told + self.true else None

    def to_dict(self) -> dict[str, Any]:
        """Return numbers only."""
        points = {
            name: {"right": each.right, "all": each.all}
            for name, each in sorted(self.points.items())
        }
        words = {"common": self.common, "told": self.told, "true": self.true, "f1": self.word_f1}
        return {"points": points, "empty": self.empty, "words": words}


@dataclass(frozen=True)
class Question:
    """What is asked about a page, and where the point may be; nowhere if it is not there."""

    words: str
    by: str
    kind: str
    boxes: tuple[Box, ...]


def questions_of(page: ScreenPage) -> Iterator[Question]:
    """What parts of a page are asked by; a third of the texts with the kind of part, fields always.

    Icons are asked by their names with "icon" behind every second of them, where the name alone
    is no word of the page.
    """
    text = " ".join(word.text for word in page.words).casefold()
    for number, target in enumerate(page.targets):
        same = tuple(each.box_xyxy for each in page.targets if each.name == target.name)
        if target.by == "icon":
            is_bare = number % 2 and target.name not in text
            yield Question(target.name if is_bare else f"{target.name} icon", "icon", "icon", same)
        elif target.kind == "field":
            yield Question(f"{target.name} field", "words", "field", (target.box_xyxy,))
        elif text.count(target.name.casefold()) == 1:
            said = f" {KINDS_SAID[target.kind]}" if _is_said(number, target) else ""
            yield Question(target.name + said, "words", target.kind, same)


def _is_said(number: int, target: Target) -> bool:
    return number % 3 == 0 and target.kind in KINDS_SAID


def measure_screens(
    engine: Engine,
    pages: Iterable[ScreenPage],
    settings: ReadingDefaults | None = None,
    drawings: Path | None = None,
) -> Counts:
    """Ask about every page, and count.

    Args:
        drawings: a folder for pictures of what was asked, right in green and wrong in red.
    """
    counts = Counts()
    for number, page in enumerate(pages):
        screen = Screen(engine, Image.fromarray(page.image), settings)
        asked = list(questions_of(page))
        points = [click_point(screen.locate(each.words)) for each in asked]
        rights = [_inside(*pair) for pair in zip(points, asked, strict=True)]
        for question, right in zip(asked, rights, strict=True):
            for key in (question.by, f"{question.by}: {question.kind}"):
                counts.points.setdefault(key, Count()).add(right)
        counts.empty += sum(point is None for point in points)
        absent = counts.points.setdefault("not there", Count())
        for words in NOT_THERE:
            absent.add(click_point(screen.locate(words)) is None)
        _count_words(counts, screen, page)
        if drawings is not None:
            drawings.mkdir(parents=True, exist_ok=True)
            _drawn(page, asked, points, rights).save(drawings / f"{number:03}.png")
    return counts


def markdown(counts: Counts) -> str:
    """A table of what was counted."""
    rows = [
        f"| point to click, {name} | {each.share:.2f} | {each.all} |"
        for name, each in sorted(counts.points.items())
        if each.share is not None
    ]
    if counts.word_f1 is not None:
        rows.append(f"| words of 12 to 16 px letters, F1 | {counts.word_f1:.2f} | {counts.true} |")
    return "\n".join(("| what | value | of |", "|---|---|---|", *rows))


def _inside(point: tuple[float, float] | None, question: Question) -> bool:
    return point is not None and any(
        x_min <= point[0] <= x_max and y_min <= point[1] <= y_max
        for x_min, y_min, x_max, y_max in question.boxes
    )


def _count_words(counts: Counts, screen: Screen, page: ScreenPage) -> None:
    """Words in letters of 12 to 16 pixels, whatever their order; larger ones do not count."""
    counted = [
        word for word in page.words if word.is_whole and LETTERS[0] <= word.font_px <= LETTERS[1]
    ]
    others = [word.box_xyxy for word in page.words if word not in counted] + list(page.fields)
    outside = np.array(others, np.float64).reshape(-1, 4)
    read = [
        word.text
        for line in screen.reading.lines
        for word in line.words
        if not _is_in(word.box, outside)
    ]
    told = common_words(" ".join(read), " ".join(word.text for word in counted))
    counts.common += told[0]
    counts.told += told[1]
    counts.true += told[2]


def _is_in(box: Box, others: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> bool:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    inside = (others[:, 0] <= x) & (others[:, 2] >= x) & (others[:, 1] <= y) & (others[:, 3] >= y)
    return bool(inside.any())


def _drawn(
    page: ScreenPage,
    asked: Sequence[Question],
    points: Sequence[tuple[float, float] | None],
    rights: Sequence[bool],
) -> Image.Image:
    picture = Image.fromarray(page.image)
    draw = ImageDraw.Draw(picture)
    for question, point, right in zip(asked, points, rights, strict=True):
        colour = "green" if right else "red"
        for box in question.boxes:
            draw.rectangle(box, outline=colour)
        if not right:
            draw.text(question.boxes[0][:2], question.words, fill="magenta")
        if point is not None:
            x, y = point
            draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=colour)
            if not right:
                draw.line((*question.boxes[0][:2], x, y), fill="red")
    return picture
