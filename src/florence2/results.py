"""Typed answers, in pixels of the image that was asked about.

A result owns read-only float64 arrays, plain strings and `scores`, which stay `None` where
nobody computed them. Fields are checked when a result is made, so a result that exists can be
drawn, stored and compared. `to_dict` and `from_dict` are inverse and hold nothing but JSON;
`to_official` writes the dictionary of the two other implementations, losses included.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from florence2.errors import AnswerError, DataError, Florence2Error
from florence2.locations import (
    NUM_BINS,
    check_image_size,
    decode_points,
    encode_points,
    location_tokens,
)
from florence2.tasks import AnswerKind, Task

Array = NDArray[np.float64]
Scores = tuple[float | None, ...]
Dialect = Literal["native", "remote"]

# Phrases that both other implementations drop from grounding answers without a word.
_GENERIC = """
it, I, me, mine, you, your, yours, he, him, his, she, her, hers, they, them, their, theirs, one,
oneself, we, us, our, ours, its, myself, yourself, himself, herself, itself, ourselves, yourselves,
themselves, this, that, these, those, who, whom, whose, which, what, all, another, any, anybody,
anyone, anything, each, everybody, everyone, everything, few, many, nobody, none, several, some,
somebody, someone, something, each other, one another, the image, image, images, the, a, an,
a group, other objects, lots, a set
"""
GENERIC_PHRASES = frozenset(phrase.strip() for phrase in _GENERIC.split(","))


@dataclass(frozen=True, eq=False, kw_only=True)
class _Answered(ABC):
    """What every result knows.

    Attributes:
        image_size: `(width, height)` of the image frame that all coordinates refer to.
        answer: what the model wrote, without `<s>`, `</s>` and `<pad>`.
        token_ids: the generated ids, empty where unknown.
        finish_reason: `"stop"`, `"length"`, ..., `None` where unknown.
        malformed: number of pieces of the answer that break its grammar.
    """

    kind: ClassVar[str]

    image_size: tuple[int, int]
    answer: str = ""
    token_ids: tuple[int, ...] = ()
    finish_reason: str | None = None
    malformed: int = 0

    def __post_init__(self) -> None:
        self._set("image_size", check_image_size(self.image_size))
        self._set("token_ids", tuple(int(token_id) for token_id in self.token_ids))

    def _set(self, name: str, value: object) -> None:
        """Store the checked form of a field while the frozen object is being made."""
        object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Answered):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]  # arrays inside

    def to_dict(self) -> dict[str, Any]:
        """Return lists, strings and numbers only; `from_dict` is the inverse."""
        return {
            "type": self.kind,
            **self._content(),
            "image_size": list(self.image_size),
            "answer": self.answer,
            "token_ids": list(self.token_ids),
            "finish_reason": self.finish_reason,
            "malformed": self.malformed,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild a result of this type from its `to_dict`."""
        given = dict(data)
        kind = given.pop("type", None)
        if kind != cls.kind:
            raise DataError(f"result of type {kind!r} is not {cls.kind!r}; use results.from_dict")
        try:
            return cls._from_fields(given)
        except Florence2Error:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"fields {sorted(given)!r} do not make a {cls.kind} result ({error}); give what "
                "to_dict wrote"
            ) from error

    @classmethod
    def _from_fields(cls, given: dict[str, Any]) -> Self:
        return cls(**given)

    def to_official(self, task: Task | str, dialect: Dialect = "native") -> dict[str, Any]:
        """Return the dictionary that another implementation returns for this answer.

        Only the fields are read, never the raw answer, so an edited result is told as edited.
        Where this differs from those implementations stands in `docs/answers.md`.

        Args:
            task: the task that was asked; its token is the only key of the dictionary.
            dialect: `"native"` for the class inside transformers (whole pixels), `"remote"` for
                the code published with the weights (float pixels).
        """
        task = Task.parse(task)
        check_fits(self, task)
        if dialect not in ("native", "remote"):
            raise AnswerError(f"dialect {dialect!r} is unknown; choose 'native' or 'remote'")
        return {task.token: self._official(task, dialect)}

    @abstractmethod
    def _content(self) -> dict[str, Any]:
        """Return the fields that only this type has, as JSON."""

    @abstractmethod
    def _official(self, task: Task, dialect: Dialect) -> Any:
        """Return the value of the official dictionary."""


@dataclass(frozen=True, eq=False)
class Text(_Answered):
    """A text; the location tokens that region tasks append to it are kept apart.

    Attributes:
        text: the words, without space around them.
        location_bins: bins of the appended location tokens, in their order.
        score: in [0, 1], `None` where unknown.
    """

    kind: ClassVar[str] = "text"

    text: str
    location_bins: tuple[int, ...] = ()
    score: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("location_bins", tuple(int(value) for value in self.location_bins))
        location_tokens(self.location_bins)  # refuses bins that have no token
        _check_scores([self.score])

    def _content(self) -> dict[str, Any]:
        return {
            "text": self.text,
            "location_bins": list(self.location_bins),
            "score": self.score,
        }

    def _official(self, task: Task, dialect: Dialect) -> str:
        return self.text + location_tokens(self.location_bins)


@dataclass(frozen=True, eq=False)
class Boxes(_Answered):
    """Labelled boxes; labels are empty where the task gives none.

    Attributes:
        xyxy: `(N, 4)` pixels, `x_min, y_min, x_max, y_max`.
        labels: N labels.
        scores: N scores in [0, 1], any of them `None` where unknown.
    """

    kind: ClassVar[str] = "boxes"

    xyxy: Array
    labels: tuple[str, ...]
    scores: Scores | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("xyxy", _frozen(self.xyxy, (4,), "boxes"))
        _check_columns(self, len(self.xyxy))

    def without_labels(self, labels: Collection[str]) -> tuple["Boxes", "Boxes"]:
        """Split into the boxes to keep and those whose label is one of `labels`.

        `boxes.without_labels(GENERIC_PHRASES)` does openly what the other implementations do in
        silence to the answers of phrase grounding.
        """
        rows = range(len(self.labels))
        return (
            self._select([row for row in rows if self.labels[row] not in labels]),
            self._select([row for row in rows if self.labels[row] in labels]),
        )

    def _select(self, rows: Sequence[int]) -> "Boxes":
        scores = None if self.scores is None else tuple(self.scores[row] for row in rows)
        common = {field.name: getattr(self, field.name) for field in fields(_Answered)}
        return Boxes(self.xyxy[rows], tuple(self.labels[row] for row in rows), scores, **common)

    def _content(self) -> dict[str, Any]:
        return {"xyxy": self.xyxy.tolist(), **_columns(self)}

    def _official(self, task: Task, dialect: Dialect) -> dict[str, Any]:
        pixels = _official_pixels(self.xyxy.reshape(-1, 2), self.image_size, dialect)
        boxes = [pixels[start : start + 4] for start in range(0, len(pixels), 4)]
        phrases = [_official_phrase(label) for label in self.labels]
        banned = GENERIC_PHRASES if task is Task.CAPTION_TO_PHRASE_GROUNDING else frozenset()
        rows = list(range(len(boxes)))
        if task.answer_kind is not AnswerKind.BOXES:
            rows = [row for row in rows if phrases[row] and phrases[row] not in banned]
        told = {
            "bboxes": [boxes[row] for row in rows],
            "labels": [_ascii(phrases[row]) for row in rows],
        }
        scores = self.scores or ()
        if dialect == "remote" and task in _SCORED_TASKS and None not in scores and scores:
            told["scores"] = [scores[row] for row in rows]
        return told


@dataclass(frozen=True, eq=False)
class Quads(_Answered):
    """Texts with the four corners around each, in the order the model wrote them.

    Attributes:
        quads: `(N, 4, 2)` pixels, clockwise from the top left corner in the model's own habit.
        labels: N texts; line breaks inside are kept.
        scores: N scores in [0, 1], any of them `None` where unknown.
    """

    kind: ClassVar[str] = "quads"

    quads: Array
    labels: tuple[str, ...]
    scores: Scores | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("quads", _frozen(self.quads, (4, 2), "quads"))
        _check_columns(self, len(self.quads))

    def _content(self) -> dict[str, Any]:
        return {"quads": self.quads.tolist(), **_columns(self)}

    def _official(self, task: Task, dialect: Dialect) -> dict[str, Any]:
        # In both, a line break cuts off what stands before it. Every generated sequence starts
        # with </s>, which the remote code leaves in front of the first label.
        texts = list(self.labels)
        if dialect == "remote" and texts:
            texts[0] = "</s>" + texts[0]
        texts = [text.rpartition("\n")[2] for text in texts]
        pixels = _official_pixels(self.quads.reshape(-1, 2), self.image_size, dialect)
        return {
            "quad_boxes": [pixels[start : start + 8] for start in range(0, len(pixels), 8)],
            "labels": texts if dialect == "remote" else [text.strip() for text in texts],
        }


@dataclass(frozen=True, eq=False)
class Polygons(_Answered):
    """Instances, each made of one or more polygons.

    Attributes:
        polygons: for each instance its parts, `(P, 2)` pixels. A whole part has 3 points or
            more; parts with 2 come from malformed answers only.
        labels: one label an instance, empty where the task gives none.
        scores: one score an instance in [0, 1], any of them `None` where unknown.
    """

    kind: ClassVar[str] = "polygons"

    polygons: tuple[tuple[Array, ...], ...]
    labels: tuple[str, ...]
    scores: Scores | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        instances = tuple(
            tuple(_frozen(part, (2,), "polygon points") for part in instance)
            for instance in self.polygons
        )
        if not all(instance and all(len(part) for part in instance) for instance in instances):
            raise DataError(
                "a polygon instance is empty; give each instance one part or more, and each part "
                "points of shape (P, 2)"
            )
        self._set("polygons", instances)
        _check_columns(self, len(instances))

    def _content(self) -> dict[str, Any]:
        polygons = [[part.tolist() for part in instance] for instance in self.polygons]
        return {"polygons": polygons, **_columns(self)}

    def _official(self, task: Task, dialect: Dialect) -> dict[str, Any]:
        phrases = [_official_phrase(label) for label in self.labels]
        rows = list(range(len(phrases)))
        if task.answer_kind is not AnswerKind.POLYGONS:
            rows = [row for row in rows if phrases[row]]
        return {
            "polygons": [
                [_official_pixels(part, self.image_size, dialect) for part in self.polygons[row]]
                for row in rows
            ],
            "labels": [phrases[row] for row in rows],
        }


@dataclass(frozen=True, eq=False)
class Mixed(_Answered):
    """Boxes and polygons side by side, as open-vocabulary detection may answer.

    Attributes:
        boxes: the objects answered as boxes.
        polygons: the objects answered as polygons.
    """

    kind: ClassVar[str] = "mixed"

    boxes: Boxes
    polygons: Polygons

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.image_size == self.boxes.image_size == self.polygons.image_size:
            raise DataError(
                f"image sizes {self.image_size!r}, {self.boxes.image_size!r} and "
                f"{self.polygons.image_size!r} differ; give boxes and polygons of one image"
            )

    def _content(self) -> dict[str, Any]:
        return {"boxes": self.boxes._content(), "polygons": self.polygons._content()}

    @classmethod
    def _from_fields(cls, given: dict[str, Any]) -> Self:
        image_size = given["image_size"]
        boxes = Boxes(**given.pop("boxes"), image_size=image_size)
        polygons = Polygons(**given.pop("polygons"), image_size=image_size)
        return cls(boxes, polygons, **given)

    def _official(self, task: Task, dialect: Dialect) -> dict[str, Any]:
        boxes = self.boxes._official(task, dialect)
        polygons = self.polygons._official(task, dialect)
        return {
            "bboxes": boxes["bboxes"],
            "bboxes_labels": boxes["labels"],
            "polygons": polygons["polygons"],
            "polygons_labels": polygons["labels"],
        }


Result = Text | Boxes | Quads | Polygons | Mixed

RESULT_TYPES: Mapping[AnswerKind, type[Result]] = {
    AnswerKind.TEXT: Text,
    AnswerKind.CLASS_BOXES: Boxes,
    AnswerKind.PHRASE_BOXES: Boxes,
    AnswerKind.BOXES: Boxes,
    AnswerKind.QUADS: Quads,
    AnswerKind.POLYGONS: Polygons,
    AnswerKind.BOXES_OR_POLYGONS: Mixed,
}

# The remote code computes scores for the tasks with this answer grammar only.
_SCORED_TASKS = (Task.OD, Task.DENSE_REGION_CAPTION)


def from_dict(data: Mapping[str, Any]) -> Result:
    """Rebuild a result of any type from its `to_dict`."""
    types = {result_type.kind: result_type for result_type in RESULT_TYPES.values()}
    kind = data.get("type")
    if kind not in types:
        raise DataError(f"result type {kind!r} is unknown; choose one of {', '.join(types)}")
    return types[kind].from_dict(data)


def check_fits(result: object, task: Task) -> None:
    """Refuse a result of a type that the task never answers with."""
    wanted = RESULT_TYPES[task.answer_kind]
    if not isinstance(result, wanted):
        raise AnswerError(
            f"task {task.token!r} cannot express a {type(result).__name__} result; give a "
            f"{wanted.__name__} result"
        )


def _frozen(values: ArrayLike, row_shape: tuple[int, ...], what: str) -> Array:
    """Copy values to a read-only `(N, *row_shape)` array of finite numbers."""
    array = np.array(values, dtype=np.float64)
    if array.shape == (0,):
        array = array.reshape(0, *row_shape)
    if array.ndim != 1 + len(row_shape) or array.shape[1:] != row_shape:
        wanted = ", ".join(str(size) for size in row_shape)
        raise DataError(f"{what} have shape {array.shape!r}; give shape (N, {wanted})")
    if not np.isfinite(array).all():
        raise DataError(f"{what} hold a value that is not finite; give plain numbers only")
    array.setflags(write=False)
    return array


def _check_columns(result: Boxes | Quads | Polygons, count: int) -> None:
    """Store labels and scores as tuples, refusing columns of another length than `count`."""
    labels = tuple(str(label) for label in result.labels)
    scores = None if result.scores is None else tuple(result.scores)
    for name, column in (("labels", labels), ("scores", scores)):
        if column is not None and len(column) != count:
            raise DataError(f"{count} {result.kind} have {len(column)} {name}; give one for each")
    _check_scores(scores or ())
    result._set("labels", labels)
    result._set("scores", scores)


def _check_scores(scores: Iterable[float | None]) -> None:
    """Refuse anything but probabilities and `None`."""
    for score in scores:
        if score is not None and not 0.0 <= score <= 1.0:
            raise DataError(f"score {score!r} is not in [0, 1]; give None where it is unknown")


def _columns(result: Boxes | Quads | Polygons) -> dict[str, Any]:
    """Return labels and scores as JSON."""
    scores = None if result.scores is None else list(result.scores)
    return {"labels": list(result.labels), "scores": scores}


def _official_pixels(points: Array, image_size: tuple[int, int], dialect: Dialect) -> list[Any]:
    """Return points `(N, 2)` as a flat list in the arithmetic of the other implementations.

    They decode in float32, which moves 1 whole pixel in 40,000 to the one before; the same is
    done here to every coordinate that is the centre of a bin. Edited coordinates stay.
    """
    bins = encode_points(points, image_size)
    pixels_per_bin = np.array([side / NUM_BINS for side in image_size], dtype=np.float32)
    centres = (bins.astype(np.float32) + np.float32(0.5)) * pixels_per_bin
    untouched = np.isclose(points, decode_points(bins, image_size), rtol=0, atol=1e-6)
    pixels = np.where(untouched, centres, points).ravel()
    told: list[Any] = (pixels.astype(np.int64) if dialect == "native" else pixels).tolist()
    return told


def _official_phrase(label: str) -> str:
    """Return what the patterns of the other implementations see of a label, maybe nothing."""
    phrase = label.rpartition("<")[2].strip()
    return "" if "\n" in phrase else phrase


def _ascii(phrase: str) -> str:
    """Delete every character beyond ASCII, as both other implementations do to box labels."""
    return phrase.encode("ascii", "ignore").decode("ascii")
