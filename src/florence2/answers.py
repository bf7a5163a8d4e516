"""Answer text to result and back: `parse_answer` and `format_answer` are inverse functions.

The grammars, with `box` for four location tokens, `quad` for eight, `part` for three pairs or more:

    text                text box*                                   captions, OCR, REGION_TO_*
    class boxes         (label box+)*                               object detection
    phrase boxes        (phrase box+)*                              dense captions, grounding
    boxes               box*                                        region proposal
    quads               (text quad)*                                OCR with regions
    polygons            parts | (<poly> parts </poly>)*             segmentation
    boxes or polygons   (label (box | <poly> parts </poly>)+)*      open-vocabulary detection
    parts               part (<sep> part)*

The model is not the user, so reading never raises. Whatever breaks the grammar is counted in
`malformed`; what can be understood is kept, and all of it stays readable in `answer`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from florence2.errors import AnswerError
from florence2.locations import (
    NUM_BINS,
    check_image_size,
    decode_points,
    encode_boxes,
    encode_points,
    location_tokens,
)
from florence2.results import Array, Boxes, Mixed, Polygons, Quads, Result, Text, check_fits
from florence2.tasks import AnswerKind, Task

SEP, POLY_START, POLY_END = "<sep>", "<poly>", "</poly>"

PADDING = ("<s>", "</s>", "<pad>")

# The last two lines hold the tokens of the vocabulary that no answer has a place for. One of them
# is misspelt in the vocabulary itself.
_TOKEN = re.compile(
    r"<loc_(?P<bin>[0-9]{1,4})>"
    rf"|(?P<mark>{SEP}|{POLY_START}|{POLY_END})"
    r"|</?(?:od|ocr|n?cap|dcap|grounding|seg|region_cap|region_to_desciption|proposal)>"
    r"|<(?:and|unk|mask|image)>"
)


def parse_answer(
    answer: str,
    task: Task | str,
    image_size: tuple[int, int],
    *,
    token_ids: Sequence[int] = (),
    finish_reason: str | None = None,
) -> Result:
    """Read what the model wrote; no text makes it raise.

    Args:
        answer: the decoded text, with or without `<s>`, `</s>` and `<pad>`.
        task: the task that was asked.
        image_size: `(width, height)` of the original image; the result is in its frame.
        token_ids: the generated ids, kept in the result.
        finish_reason: why generation ended, kept in the result.

    >>> found = parse_answer("</s><s>car<loc_52><loc_332><loc_932>", "od", (640, 480))
    >>> found.labels, found.malformed
    ((), 1)
    """
    task = Task.parse(task)
    reader = _Reader(_without_padding(answer), check_image_size(image_size))
    result = reader.read(task.answer_kind)
    return replace(
        result,
        answer=reader.answer,
        token_ids=tuple(token_ids),
        finish_reason=finish_reason,
        malformed=reader.malformed,
    )


def format_answer(result: Result, task: Task | str) -> str:
    """Write the text that `parse_answer` reads as this result: the target to train on.

    Coordinates are quantised. Objects stay in the caller's order, with one exception: object
    detection writes a class once, so boxes move up to the first box of their class. Dense
    captions and grounding write a phrase once for boxes that follow each other directly;
    open-vocabulary detection writes its boxes before its polygons. Scores are not written.

    >>> boxes = Boxes([[0, 0, 9, 9], [5, 5, 9, 9]], ["car", "car"], image_size=(10, 10))
    >>> format_answer(boxes, Task.OD)
    'car<loc_0><loc_0><loc_900><loc_900><loc_500><loc_500><loc_900><loc_900>'
    """
    task = Task.parse(task)
    check_fits(result, task)
    writer = _Writer(task)
    match result:
        case Text():
            return writer.text(result)
        case Quads():
            return writer.quads(result)
        case Polygons():
            return writer.polygons(result)
        case Mixed():
            return writer.mixed(result)
    return writer.boxes(result)


class _Token(NamedTuple):
    """One token of an answer."""

    kind: str  # "words", "bin", "mark" or "foreign"
    text: str
    bin: int = 0


def _tokens(answer: str) -> Iterator[_Token]:
    """Cut an answer into tokens; blank text between tokens means nothing and is skipped."""
    start = 0
    for match in _TOKEN.finditer(answer):
        if words := answer[start : match.start()].strip():
            yield _Token("words", words)
        start = match.end()
        if match["bin"]:
            yield _Token("bin", match[0], int(match["bin"]))
        else:
            yield _Token("mark" if match["mark"] else "foreign", match[0])
    if words := answer[start:].strip():
        yield _Token("words", words)


def _without_padding(answer: str) -> str:
    """Delete `<s>`, `</s>` and `<pad>`, also where deleting one makes another."""
    kept: list[str] = []
    for letter in answer:
        kept.append(letter)
        if letter == ">":
            for token in PADDING:
                if "".join(kept[-len(token) :]) == token:
                    del kept[-len(token) :]
    return "".join(kept)


@dataclass
class _Segment:
    """Bins up to a `<poly>` or `</poly>`, in parts separated by `<sep>`."""

    parts: list[list[int]] = field(default_factory=lambda: [[]])
    opened: bool = False  # by <poly>
    closed: bool = False  # by </poly>

    @property
    def num_marks(self) -> int:
        return len(self.parts) - 1 + self.opened + self.closed

    @property
    def num_bins(self) -> int:
        return sum(len(part) for part in self.parts)


@dataclass
class _Entry:
    """A label, maybe empty, and all locations up to the next label."""

    label: str = ""
    segments: list[_Segment] = field(default_factory=list)

    def take(self, token: _Token) -> None:
        """Add a location token or a mark."""
        if token.text == POLY_START or not self.segments or self.segments[-1].closed:
            self.segments.append(_Segment(opened=token.text == POLY_START))
        if token.kind == "bin":
            self.segments[-1].parts[-1].append(token.bin)
        elif token.text == SEP:
            self.segments[-1].parts.append([])
        elif token.text == POLY_END:
            self.segments[-1].closed = True


class _Reader:
    """One answer being read, and the malformed pieces found so far."""

    def __init__(self, answer: str, image_size: tuple[int, int]) -> None:
        self.answer = answer
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

    def text(self) -> Text:
        words: list[str] = []
        bins: list[int] = []
        for token in _tokens(self.answer):
            if token.kind == "words":
                self.malformed += bool(bins)  # words stand before the locations
                words.append(token.text)
            elif token.kind == "bin":
                bins.append(token.bin)
            else:
                self.malformed += 1
        self.malformed += len(bins) % 4 != 0 or _beyond(bins)
        bins = [min(value, NUM_BINS - 1) for value in bins]
        return Text(" ".join(words), tuple(bins), image_size=self.image_size)

    def boxes(self, labelled: bool) -> Boxes:
        rows: list[list[int]] = []
        labels: list[str] = []
        for entry in self._entries(labelled):
            for segment in entry.segments:
                found = self._boxes_of(segment)
                rows += found
                labels += [entry.label] * len(found)
        return self._make_boxes(rows, labels)

    def quads(self) -> Quads:
        rows: list[list[int]] = []
        labels: list[str] = []
        for entry in self._entries(labelled=True):
            found = [row for segment in entry.segments for row in self._groups_of(segment, 8)]
            self.malformed += sum(_beyond(row) for row in found)
            self.malformed += max(0, len(found) - 1)  # a text has one quad; the others have none
            rows += found
            labels += ([entry.label] + [""] * len(found))[: len(found)]
        quads = self._pixels(rows).reshape(-1, 4, 2)
        return Quads(quads, tuple(labels), image_size=self.image_size)

    def polygons(self) -> Polygons:
        instances: list[tuple[Array, ...]] = []
        labels: list[str] = []
        for entry in self._entries(labelled=False):
            marked = any(segment.opened or segment.closed for segment in entry.segments)
            for segment in entry.segments:
                if instance := self._instance_of(segment, wrapped=marked):
                    instances.append(instance)
                    labels.append(entry.label)
        return Polygons(tuple(instances), tuple(labels), image_size=self.image_size)

    def mixed(self) -> Mixed:
        rows: list[list[int]] = []
        box_labels: list[str] = []
        instances: list[tuple[Array, ...]] = []
        labels: list[str] = []
        for entry in self._entries(labelled=True):
            for segment in entry.segments:
                if not (segment.opened or segment.closed):
                    found = self._boxes_of(segment)
                    rows += found
                    box_labels += [entry.label] * len(found)
                elif instance := self._instance_of(segment, wrapped=True):
                    instances.append(instance)
                    labels.append(entry.label)
        polygons = Polygons(tuple(instances), tuple(labels), image_size=self.image_size)
        boxes = self._make_boxes(rows, box_labels)
        return Mixed(boxes, polygons, image_size=self.image_size)

    def _entries(self, labelled: bool) -> list[_Entry]:
        """Split at the words, counting labels that are missing, surplus or without location."""
        entries: list[_Entry] = []
        for token in _tokens(self.answer):
            if token.kind == "words":
                entries.append(_Entry(token.text))
            elif token.kind == "foreign":
                self.malformed += 1
            else:
                if not entries:
                    entries.append(_Entry())
                entries[-1].take(token)
        for entry in entries:
            located = any(segment.num_bins for segment in entry.segments)
            self.malformed += bool(entry.label) != labelled if located else bool(entry.label)
        return entries

    def _groups_of(self, segment: _Segment, size: int) -> list[list[int]]:
        """Return the whole groups of bins, counting what is left over and marks among them."""
        self.malformed += segment.num_marks
        groups = []
        for part in segment.parts:
            whole = len(part) - len(part) % size
            self.malformed += whole < len(part)
            groups += [part[start : start + size] for start in range(0, whole, size)]
        return groups

    def _boxes_of(self, segment: _Segment) -> list[list[int]]:
        rows = self._groups_of(segment, 4)
        self.malformed += sum(
            row[0] > row[2] or row[1] > row[3] or _beyond(row) for row in rows
        )  # kept as written, and counted
        return rows

    def _instance_of(self, segment: _Segment, wrapped: bool) -> tuple[Array, ...]:
        """Return the parts of one object, an odd last coordinate and parts of one point less."""
        balanced = segment.opened == segment.closed == wrapped
        self.malformed += not balanced or any(
            len(part) < 6 or len(part) % 2 == 1 or _beyond(part) for part in segment.parts
        )
        points = [self._pixels(part[: len(part) // 2 * 2]) for part in segment.parts]
        return tuple(part for part in points if len(part) >= 2)

    def _make_boxes(self, rows: list[list[int]], labels: list[str]) -> Boxes:
        boxes = self._pixels(rows).reshape(-1, 4)
        return Boxes(boxes, tuple(labels), image_size=self.image_size)

    def _pixels(self, bins: Sequence[int] | Sequence[list[int]]) -> Array:
        """Decode x, y, x, y, ... to points; tokens beyond the last bin mean the image's edge."""
        points = decode_points(np.array(bins, dtype=np.int64).reshape(-1, 2), self.image_size)
        return np.minimum(points, self.image_size)


def _beyond(bins: Sequence[int]) -> bool:
    """Tell whether a token is beyond the vocabulary; trainers that round write `<loc_1000>`."""
    return any(value >= NUM_BINS for value in bins)


class _Writer:
    """Writes results for one task."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def text(self, result: Text) -> str:
        words = result.text.strip()
        self._check_words(words)
        if len(result.location_bins) % 4:
            raise self._error(f"{len(result.location_bins)} location bins", "four for each box")
        return words + location_tokens(result.location_bins)

    def boxes(self, result: Boxes) -> str:
        labels = self._labels(result.labels)
        boxes = self._box_tokens(result)
        if self.task.answer_kind is AnswerKind.CLASS_BOXES:
            by_class: dict[str, str] = {}
            for label, box in zip(labels, boxes, strict=True):
                by_class[label] = by_class.get(label, label) + box
            return "".join(by_class.values())
        before = ["", *labels]
        pairs = zip(before, labels, boxes, strict=False)
        return "".join(box if label == last else label + box for last, label, box in pairs)

    def quads(self, result: Quads) -> str:
        bins = encode_points(result.quads, result.image_size)
        pairs = zip(self._labels(result.labels), bins, strict=True)
        return "".join(label + location_tokens(quad) for label, quad in pairs)

    def polygons(self, result: Polygons) -> str:
        self._labels(result.labels)
        objects = self._object_tokens(result)
        if len(objects) == 1:
            return objects[0]
        return "".join(POLY_START + tokens + POLY_END for tokens in objects)

    def mixed(self, result: Mixed) -> str:
        boxes = zip(self._labels(result.boxes.labels), self._box_tokens(result.boxes), strict=True)
        labels = self._labels(result.polygons.labels)
        polygons = zip(labels, self._object_tokens(result.polygons), strict=True)
        return "".join(label + box for label, box in boxes) + "".join(
            label + POLY_START + tokens + POLY_END for label, tokens in polygons
        )

    def _labels(self, labels: Sequence[str]) -> list[str]:
        """Return labels as they are written, refusing those that the task cannot express."""
        stripped = [label.strip() for label in labels]
        wanted = self.task.answer_kind not in (AnswerKind.BOXES, AnswerKind.POLYGONS)
        for label in stripped:
            if bool(label) != wanted:
                allowed = "a label for each object" if wanted else "empty labels"
                raise self._error(f"the label {label!r}", allowed)
            self._check_words(label)
        return stripped

    def _check_words(self, words: str) -> None:
        """Refuse words that would be read as tokens."""
        match = _TOKEN.search(words)
        if tokens := [token for token in PADDING if token in words] + ([match[0]] if match else []):
            raise self._error(f"{tokens[0]!r} inside {words!r}", "words without special tokens")

    def _box_tokens(self, boxes: Boxes) -> list[str]:
        for box in boxes.xyxy:
            if box[0] > box[2] or box[1] > box[3]:
                raise self._error(f"the box {box.tolist()!r}", "x_min, y_min, x_max, y_max")
        return [location_tokens(box) for box in encode_boxes(boxes.xyxy, boxes.image_size)]

    def _object_tokens(self, polygons: Polygons) -> list[str]:
        objects = []
        for instance in polygons.polygons:
            for part in instance:
                if len(part) < 3:
                    raise self._error(f"the polygon {part.tolist()!r}", "three points or more")
            parts = [encode_points(part, polygons.image_size) for part in instance]
            objects.append(SEP.join(location_tokens(part) for part in parts))
        return objects

    def _error(self, given: str, allowed: str) -> AnswerError:
        return AnswerError(f"task {self.task.token!r} cannot express {given}; give {allowed}")
