"""Answer text to results; what breaks the grammar is counted, what can be understood is kept."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from florence2.answers.confidence import Confidence, ScoredText, mean_probability
from florence2.answers.pieces import pieces_of
from florence2.answers.tokens import POLY_END, POLY_START, SEP, AnswerTokenizer, Token
from florence2.geometry import Array, Size
from florence2.locations import NUM_BINS, decode_points
from florence2.results import Boxes, Mixed, Polygons, Quads, Result, Text
from florence2.tasks import AnswerKind


@dataclass
class _Segment:
    """Location tokens up to a `<poly>` or `</poly>`, in parts separated by `<sep>`."""

    parts: list[list[Token]] = field(default_factory=lambda: [[]])
    opened: bool = False  # by <poly>
    closed: bool = False  # by </poly>

    @property
    def num_marks(self) -> int:
        return len(self.parts) - 1 + self.opened + self.closed

    @property
    def locations(self) -> list[Token]:
        return [token for part in self.parts for token in part]


@dataclass
class _LabelGroup:
    """A label, maybe empty, and all locations up to the next label."""

    label: str = ""
    logprobs: tuple[float, ...] = ()  # of the label
    segments: list[_Segment] = field(default_factory=list)

    def object(self, label: str, locations: Sequence[Token]) -> "_Object":
        """One object of this group; its label may differ."""
        logprobs = [logprob for token in locations for logprob in token.logprobs]
        location, of_label = mean_probability(logprobs), mean_probability(self.logprobs)
        return _Object(label, Confidence(location, of_label))

    def add(self, token: Token) -> None:
        """Add a location token or a mark."""
        if token.text == POLY_START or not self.segments or self.segments[-1].closed:
            self.segments.append(_Segment(opened=token.text == POLY_START))
        if token.kind == "bin":
            self.segments[-1].parts[-1].append(token)
        elif token.text == SEP:
            self.segments[-1].parts.append([])
        elif token.text == POLY_END:
            self.segments[-1].closed = True


class _Object(NamedTuple):
    """What an object is called, and how sure the model was of it."""

    label: str
    confidence: Confidence


class AnswerParser:
    """Parses one answer, and counts the malformed pieces found so far."""

    def __init__(self, pieces: Sequence[ScoredText], image_size: Size) -> None:
        self._tokenizer = AnswerTokenizer(pieces)
        self.answer = self._tokenizer.text
        self._scored = any(piece.logprobs for piece in pieces)
        self.image_size = image_size
        self.malformed = 0

    def read(self, kind: AnswerKind) -> Result:
        match kind:
            case AnswerKind.TEXT:
                return self.text()
            case AnswerKind.QUADS:
                return self.quads()
            case AnswerKind.POLYGONS:
                return self.polygons()
            case AnswerKind.BOXES_OR_POLYGONS:
                return self.mixed()
        return self.boxes(labelled=kind is not AnswerKind.BOXES)

    def as_written(self) -> Text:
        """An answer without a grammar."""
        tokens = list(self._tokenizer.written())
        words = [token.logprobs for token in tokens if token.kind == "words" and token.text.strip()]
        score = mean_probability([logprob for logprobs in words for logprob in logprobs])
        pieces = pieces_of(tokens, self.image_size)
        return Text(self.answer, (), score, pieces, image_size=self.image_size)

    def text(self) -> Text:
        words: list[str] = []
        logprobs: list[float] = []
        bins: list[int] = []
        for token in self._tokenizer.tokens():
            if token.kind == "words":
                self.malformed += bool(bins)  # words stand before the locations
                words.append(token.text)
                logprobs += token.logprobs
            elif token.kind == "bin":
                bins.append(token.bin)
            else:
                self.malformed += 1
        self.malformed += len(bins) % 4 != 0 or _beyond(bins)
        bins = [min(value, NUM_BINS - 1) for value in bins]
        score = mean_probability(logprobs)
        # Words with boxes behind them are told whole by these two.
        broken = list(self._tokenizer.written()) if self.malformed else []
        pieces = pieces_of(broken, self.image_size)
        return Text(" ".join(words), tuple(bins), score, pieces, image_size=self.image_size)

    def boxes(self, labelled: bool) -> Boxes:
        rows: list[list[Token]] = []
        objects: list[_Object] = []
        for group in self._label_groups(labelled):
            for segment in group.segments:
                found = self._boxes_of(segment)
                rows += found
                objects += [group.object(group.label, row) for row in found]
        return self._make_boxes(rows, objects)

    def quads(self) -> Quads:
        rows: list[list[Token]] = []
        objects: list[_Object] = []
        for group in self._label_groups(labelled=True):
            found = [row for segment in group.segments for row in self._groups_of(segment, 8)]
            self.malformed += sum(_beyond(_bins(row)) for row in found)
            self.malformed += max(0, len(found) - 1)  # a text has one quad; the others have none
            rows += found
            labels = [group.label] + [""] * len(found)
            objects += map(group.object, labels, found)
        quads = self._pixels([_bins(row) for row in rows]).reshape(-1, 4, 2)
        return Quads(quads, **self._columns(objects), image_size=self.image_size)

    def polygons(self) -> Polygons:
        instances: list[tuple[Array, ...]] = []
        objects: list[_Object] = []
        for group in self._label_groups(labelled=False):
            marked = any(segment.opened or segment.closed for segment in group.segments)
            for segment in group.segments:
                if instance := self._instance_of(segment, wrapped=marked):
                    instances.append(instance)
                    objects.append(group.object(group.label, segment.locations))
        return Polygons(tuple(instances), **self._columns(objects), image_size=self.image_size)

    def mixed(self) -> Mixed:
        rows: list[list[Token]] = []
        box_objects: list[_Object] = []
        instances: list[tuple[Array, ...]] = []
        objects: list[_Object] = []
        for group in self._label_groups(labelled=True):
            for segment in group.segments:
                if not (segment.opened or segment.closed):
                    found = self._boxes_of(segment)
                    rows += found
                    box_objects += [group.object(group.label, row) for row in found]
                elif instance := self._instance_of(segment, wrapped=True):
                    instances.append(instance)
                    objects.append(group.object(group.label, segment.locations))
        polygons = Polygons(tuple(instances), **self._columns(objects), image_size=self.image_size)
        boxes = self._make_boxes(rows, box_objects)
        return Mixed(boxes, polygons, image_size=self.image_size)

    def _label_groups(self, labelled: bool) -> list[_LabelGroup]:
        """Split at the words, counting labels that are missing, surplus or without location."""
        groups: list[_LabelGroup] = []
        for token in self._tokenizer.tokens():
            if token.kind == "words":
                groups.append(_LabelGroup(token.text, token.logprobs))
            elif token.kind == "unexpected":
                self.malformed += 1
            else:
                if not groups:
                    groups.append(_LabelGroup())
                groups[-1].add(token)
        for group in groups:
            located = any(segment.locations for segment in group.segments)
            self.malformed += bool(group.label) != labelled if located else bool(group.label)
        return groups

    def _groups_of(self, segment: _Segment, size: int) -> list[list[Token]]:
        """Return the whole groups of bins, counting what is left over and marks among them."""
        self.malformed += segment.num_marks
        groups = []
        for part in segment.parts:
            whole = len(part) - len(part) % size
            self.malformed += whole < len(part)
            groups += [part[start : start + size] for start in range(0, whole, size)]
        return groups

    def _boxes_of(self, segment: _Segment) -> list[list[Token]]:
        rows = self._groups_of(segment, 4)
        for bins in map(_bins, rows):  # kept as written, and counted
            self.malformed += bins[0] > bins[2] or bins[1] > bins[3] or _beyond(bins)
        return rows

    def _instance_of(self, segment: _Segment, wrapped: bool) -> tuple[Array, ...]:
        """Return the parts of one object, an odd last coordinate and parts of one point less."""
        balanced = segment.opened == segment.closed == wrapped
        self.malformed += not balanced or any(
            len(part) < 6 or len(part) % 2 == 1 or _beyond(_bins(part)) for part in segment.parts
        )
        points = [self._pixels(_bins(part)[: len(part) // 2 * 2]) for part in segment.parts]
        return tuple(part for part in points if len(part) >= 2)

    def _make_boxes(self, rows: Sequence[Sequence[Token]], objects: Sequence[_Object]) -> Boxes:
        boxes = self._pixels([_bins(row) for row in rows]).reshape(-1, 4)
        return Boxes(boxes, **self._columns(objects), image_size=self.image_size)

    def _columns(self, objects: Sequence[_Object]) -> dict[str, Any]:
        """Labels and scores of objects; no scores where the log-probabilities are unknown."""
        columns: dict[str, Any] = {"labels": tuple(each.label for each in objects)}
        if self._scored:
            columns["scores"] = tuple(each.confidence.score for each in objects)
            columns["location_scores"] = tuple(each.confidence.location for each in objects)
            columns["label_scores"] = tuple(each.confidence.label for each in objects)
        return columns

    def _pixels(self, bins: Sequence[int] | Sequence[list[int]]) -> Array:
        """Decode x, y, x, y, ... to points; tokens beyond the last bin mean the image's edge."""
        points = decode_points(np.array(bins, dtype=np.int64).reshape(-1, 2), self.image_size)
        return np.minimum(points, self.image_size)


def _beyond(bins: Sequence[int]) -> bool:
    """Tell whether a token is beyond the vocabulary; trainers that round write `<loc_1000>`."""
    return any(value >= NUM_BINS for value in bins)


def _bins(tokens: Sequence[Token]) -> list[int]:
    return [token.bin for token in tokens]
