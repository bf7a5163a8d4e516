"""The point to click: a screenshot and words in, the part that they name out.

    words -> lines that the model reads, compared letter by letter    buttons, links, fields
    icons -> compact shapes, each shown to the model closely          "search icon", "trash"

What the words say about the kind of part ("button", "link", "field", "icon") helps to choose among
texts that fit, and a field that is asked by its label is the frame beside or below it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, cast

import numpy as np

from florence2.answers.defaults import ReadingDefaults
from florence2.engine import EncodedImage, Engine, Request
from florence2.errors import ConfigError, TaskError
from florence2.geometry import Array, Box, enclosing_box
from florence2.pipelines.ask import open_picture, results_of
from florence2.pipelines.pointing.icons import SeenIcons
from florence2.pipelines.pointing.shapes import frame_boxes, icon_boxes
from florence2.pipelines.pointing.wording import Wanted, best_span, folded, parse_wanted
from florence2.pipelines.reading.lines import Line, ReadLines
from florence2.pipelines.reading.run import read_lines
from florence2.processing.images import ImageSource
from florence2.results import Boxes, Mixed
from florence2.tasks import Task

Point = tuple[float, float]  # x, y in pixels

MIN_SCORE = 0.6  # what fits less is more likely another part
SURE = 0.9  # words that fit so well are not looked for among icons
PART_COST = 0.08  # for standing in a long line
WORD_OF_ICON = 0.75  # worth of a text where an icon is asked for: it may stand beside it
DOUBT_COST = 0.6  # for not being quite the words, there: running text has words of every kind
KIND_WORTH = 0.04  # for looking like what is asked for
MIN_SHARE = 0.15  # of a name among those of icons; less is more likely another icon or none
MAX_ICONS_WEIGHED = 3  # shapes that are asked for every name
MAX_CANDIDATES = 10
SURE_PRINT = 0.85  # score of a line in which nothing is taken for an icon


class Candidate(NamedTuple):
    """A part that may be meant."""

    score: float
    box: Box
    label: str


@dataclass(frozen=True, eq=False)
class _Print:
    """A line on the screen, ready to compare."""

    line: Line
    words: tuple[str, ...]  # folded, empty where nothing is left


class Screen:
    """A screenshot that is looked at once, for any number of questions.

    Args:
        engine: of any checkpoint.
        image: a picture in the size of the screen.
        settings: how to read; None for the checkpoint's own way.
    """

    def __init__(
        self,
        engine: Engine,
        image: ImageSource | EncodedImage,
        settings: ReadingDefaults | None = None,
    ) -> None:
        self.engine = engine
        self.picture = open_picture(image)
        self.settings = settings or engine.defaults.reading

    @cached_property
    def reading(self) -> ReadLines:
        """All print on the screen."""
        return read_lines(self.engine, self.picture, settings=self.settings)

    @cached_property
    def prints(self) -> tuple[_Print, ...]:
        """Every line that was read, doubtful ones too: the question tells which was meant."""
        lines = (*self.reading.lines, *self.reading.doubtful)
        return tuple(
            _Print(line, tuple(folded(word.text) for word in line.words)) for line in lines
        )

    @cached_property
    def frames(self) -> Array:
        """Boxes of fields, buttons and the like."""
        return frame_boxes(self._gray)

    @cached_property
    def icons(self) -> SeenIcons:
        """What may be icons: compact ink that is not a letter among others."""
        boxes = icon_boxes(self._gray)
        lines = [each.line for each in self.prints]
        kept = [number for number, box in enumerate(boxes) if not _is_letter(box, lines)]
        return SeenIcons(self.engine, self.picture, boxes[kept])

    @cached_property
    def _gray(self) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
        return np.asarray(self.picture.convert("L"))

    def locate(
        self, words: str, *, min_score: float = MIN_SCORE, limit: int = MAX_CANDIDATES
    ) -> Boxes:
        """The parts that words may mean, best first; the point to click is the middle of the first.

        Args:
            words: what the part says or shows: "Sign in", "Save button", "E-mail field", "search
                icon".
            min_score: candidates of a lower score are left out; often that is all of them.
            limit: most candidates.

        Returns:
            Boxes with scores in [0, 1]; labels are what was read there, or the name of an icon.

        Raises:
            TaskError: there are no words.
            ConfigError: a threshold is not from 0 to 1.
        """
        if not isinstance(words, str) or not folded(words):
            raise TaskError(f"a part of a screen is asked for by words; got {words!r}; name one")
        if not 0.0 <= min_score <= 1.0:
            raise ConfigError(f"min_score must be a number from 0 to 1; got {min_score!r}")
        wanted = parse_wanted(words)
        found = self._by_words(wanted)
        best = max((each.score for each in found), default=0.0)
        if wanted.kind == "icon":
            found = [each._replace(score=WORD_OF_ICON * each.score) for each in found]
        if wanted.kind == "icon" or (best < SURE and wanted.kind != "field"):
            found += self._by_icon(wanted)
        found.sort(key=lambda each: -each.score)
        return self._boxes([each for each in found if each.score >= min_score][:limit])

    def _boxes(self, found: Sequence[Candidate]) -> Boxes:
        xyxy = np.array([each.box for each in found], np.float64).reshape(-1, 4)
        scores = tuple(min(1.0, each.score) for each in found)
        labels = tuple(each.label for each in found)
        return Boxes(xyxy, labels, scores=scores, image_size=self.picture.size)

    # -- by words

    def _by_words(self, wanted: Wanted) -> list[Candidate]:
        found = []
        for each in self.prints:
            spans = [best_span(each.words, text) for text in {wanted.text, wanted.core} if text]
            likeness, first, end = max(spans)
            if likeness <= 0.0:
                continue
            part = each.line.words[first:end]
            box = enclosing_box(np.array([word.box for word in part])).tolist()
            share = sum(map(len, each.words[first:end])) / sum(map(len, each.words))
            cost = PART_COST + DOUBT_COST * (1.0 - likeness)
            score = likeness - cost * (1.0 - share) + self._worth(wanted.kind, each, box)
            label = " ".join(word.text for word in part)
            found.append(Candidate(score, tuple(box), label))
        if wanted.kind == "field":
            best = sorted(found, key=lambda each: -each.score)[:MAX_CANDIDATES]
            return [each._replace(box=self._field_of(each.box)) for each in best]
        return found

    def _worth(self, kind: str, each: _Print, box: Box) -> float:
        """More for what looks like the kind of part that is asked for; little, as looks deceive."""
        if kind == "button":
            return KIND_WORTH * (self._frame_around(box) is not None)
        if kind in ("link", "tab", "menu"):
            return KIND_WORTH * (len(each.words) <= 4)
        return 0.0

    def _frame_around(self, box: Box) -> Box | None:
        """The smallest frame that holds a text."""
        frames = self.frames
        middle_x, middle_y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        inside = (frames[:, 0] <= middle_x) & (frames[:, 2] >= middle_x)
        inside &= (frames[:, 1] <= middle_y) & (frames[:, 3] >= middle_y)
        inside &= frames[:, 2] - frames[:, 0] >= box[2] - box[0]
        if not inside.any():
            return None
        held = frames[inside]
        areas = (held[:, 2] - held[:, 0]) * (held[:, 3] - held[:, 1])
        return cast(Box, tuple(held[int(areas.argmin())].tolist()))

    def _field_of(self, label: Box) -> Box:
        """The field that a label belongs to: around it, beside it or below; else the label."""
        around = self._frame_around(label)
        if around is not None:
            return around
        frames = self.frames
        height = label[3] - label[1]
        beside = frames[:, 0] - label[2]
        same_row = (frames[:, 1] < label[3]) & (frames[:, 3] > label[1])
        below = frames[:, 1] - label[3]
        over = (frames[:, 0] < label[2]) & (frames[:, 2] > label[0])
        far = np.full(len(frames), np.inf)
        far = np.where(
            same_row & (beside >= -2) & (beside < 12 * height), beside + 1.5 * height, far
        )
        aligned = np.abs(frames[:, 0] - label[0])
        far = np.where(over & (below >= -2) & (below < 2.5 * height), below + aligned / 8, far)
        if not len(far) or not np.isfinite(far.min()):
            return label
        return cast(Box, tuple(frames[int(far.argmin())].tolist()))

    # -- by icon

    def _by_icon(self, wanted: Wanted) -> list[Candidate]:
        name = wanted.core or wanted.text
        if not self.settings.rows:  # not trained on pieces of lines, so neither on single icons
            return self._icons_asked(name)
        likeliest = np.argsort(-self.icons.scores(name), kind="stable")[:MAX_ICONS_WEIGHED].tolist()
        shares = self.icons.shares(name, likeliest).tolist()
        return [
            Candidate(icon_score(share), tuple(self.icons.boxes[row].tolist()), f"{name} icon")
            for row, share in zip(likeliest, shares, strict=True)
        ]

    def _icons_asked(self, name: str) -> list[Candidate]:
        """Where a model that knows no single icons finds it on the whole screen."""
        request = Request(self.picture, Task.OPEN_VOCABULARY_DETECTION, f"{name} icon")
        (found,) = results_of(self.engine, [request])
        boxes = cast(Mixed, found).boxes
        scores = boxes.scores or (None,) * len(boxes.labels)
        return [
            Candidate(score or 0.0, tuple(box), f"{name} icon")
            for box, score in zip(boxes.xyxy.tolist(), scores, strict=True)
        ]


def icon_score(share: float) -> float:
    """The share of a name among all names of icons, on the scale of likeness of words: `MIN_SHARE`
    and more passes `MIN_SCORE`.

    >>> round(icon_score(MIN_SHARE), 2), icon_score(0.0), icon_score(1.0)
    (0.6, 0.0, 1.0)
    """
    if share <= 0.0:
        return 0.0
    part = np.log(share) / np.log(MIN_SHARE)  # 0 if certain, 1 at the threshold
    return float(max(0.0, 1.0 - (1.0 - MIN_SCORE) * part))


def _is_letter(box: Array, lines: Sequence[Line]) -> bool:
    """Whether a shape is a letter or word in a row of others, as a line that was surely read tells.

    At an end of a line a shape larger than its letters may be an icon, and a sign or two may be one
    that was taken for them.
    """
    x, y = ((box[:2] + box[2:]) / 2).tolist()
    width, height = (box[2:] - box[:2]).tolist()
    for line in lines:
        x_min, y_min, x_max, y_max = line.box
        is_sure = len(folded(line.text)) >= 4 and (line.score is None or line.score >= SURE_PRINT)
        if not (is_sure and x_min <= x <= x_max and y_min <= y <= y_max):
            continue
        letter = line.letter_height or y_max - y_min
        is_outer = box[0] <= x_min + 0.3 * letter or box[2] >= x_max - 0.3 * letter
        if height >= 1.4 * letter or (is_outer and max(width, height) >= 1.1 * letter):
            continue
        ends = [word for word in (line.words[0], line.words[-1]) if len(word.text) <= 2]
        if not any(word.box[0] <= x <= word.box[2] for word in ends):
            return True
    return False


def locate(
    engine: Engine,
    image: ImageSource | EncodedImage,
    words: str,
    *,
    settings: ReadingDefaults | None = None,
    min_score: float = MIN_SCORE,
) -> Boxes:
    """Find the part of a screenshot that words name; see `Screen.locate`."""
    return Screen(engine, image, settings).locate(words, min_score=min_score)


def click_point(found: Boxes) -> Point | None:
    """The middle of the first box, in pixels; None where nothing was found."""
    if not len(found.xyxy):
        return None
    x_min, y_min, x_max, y_max = found.xyxy[0].tolist()
    return (x_min + x_max) / 2, (y_min + y_max) / 2
