"""Results to answer text, for training."""

from collections.abc import Sequence

from florence2.answers.tokens import PADDING, POLY_END, POLY_START, SEP, TOKEN
from florence2.errors import AnswerError
from florence2.locations import encode_boxes, encode_points, location_tokens
from florence2.results import Boxes, Mixed, Polygons, Quads, Text
from florence2.tasks import AnswerKind, Task


def written_text(result: Text) -> str:
    """The text of an answer to a prompt without a task, refusing what would not be read back."""
    if found := next((token for token in PADDING if token in result.text), None):
        raise AnswerError(
            f"text {result.text!r} holds {found!r}, which is put around every answer and is no part"
            " of any; leave it out"
        )
    return result.text


class AnswerFormatter:
    """Formats results as answers of one task."""

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
        match = TOKEN.search(words)
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
