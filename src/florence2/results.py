"""Typed answers, in pixels of the image that was asked about.

A result owns read-only float64 arrays, plain strings and scores, which stay `None` where nobody
computed them (`docs/scores.md` says how they are). Fields are checked when a result is made, so a
result that exists can be drawn, stored and compared. `to_dict` and `from_dict` are inverse and
hold nothing but JSON.
"""

from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from importlib import import_module
from io import BytesIO
from numbers import Number
from typing import Any, ClassVar, Literal, NamedTuple, Self, TypedDict, cast

import numpy as np
from numpy.typing import ArrayLike

from florence2.errors import AnswerError, DataError, Florence2Error, warn_moved
from florence2.geometry import Array, Size, bounding_box
from florence2.locations import check_image_size, location_tokens
from florence2.tasks import AnswerKind, Task, asked_words

Scores = tuple[float | None, ...]


class Absent(NamedTuple):
    """A phrase that was asked for and is not there, as far as its score tells.

    The score, in [0, 1], is that of being there; `docs/absence.md` says how it is made.
    """

    phrase: str
    score: float


class Row(TypedDict):
    """An object of a result as plain values.

    Attributes:
        label: name, phrase or text; empty where the task gives none.
        score: in [0, 1], `None` where unknown.
        x_min, y_min, x_max, y_max: pixels, the box around it; `None` of a text without a place.
        outline: corners or outlines, lists of `[x, y]` in pixels; `None` of boxes and texts.
    """

    label: str
    score: float | None
    x_min: float | None
    y_min: float | None
    x_max: float | None
    y_max: float | None
    outline: list[list[list[float]]] | None


MAX_SHOWN = 5
"""So many objects are told in the `repr` of a result."""
MAX_WORDS = 200
"""So many characters of a label or text are told there."""
MAX_HTML_ROWS = 200


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class _Answered(ABC):
    """What every result knows.

    Attributes:
        image_size: `(width, height)` of the image frame that all coordinates refer to.
        answer: what the model wrote, without `<s>`, `</s>` and `<pad>`.
        token_ids: the generated ids, empty where unknown.
        finish_reason: `"stop"`, `"length"`, `"loop"` or `"grammar"`, `None` where unknown.
        malformed: number of pieces of the answer that break its grammar.
        repaired: the answer broke the grammar of its task and was written once more within it; so
            it is not what the model wrote by itself.
        first_answer: what the model wrote by itself, where `repaired`; of results that were merged
            from several answers it is not kept.
        picture: what was asked about, for `draw`: of `Florence2.run` as it was given, of many
            answers only a path. It is not stored by `to_dict`.
    """

    kind: ClassVar[str]

    image_size: Size
    answer: str = ""
    token_ids: tuple[int, ...] = ()
    finish_reason: str | None = None
    malformed: int = 0
    repaired: bool = False
    first_answer: str | None = None
    picture: Any = None

    def __post_init__(self) -> None:
        self._set("image_size", check_image_size(self.image_size))
        self._set("token_ids", tuple(int(token_id) for token_id in self.token_ids))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy, or what was pickled, is made as the first was: arrays are read-only again."""
        self.__dict__.update(state)
        self.__post_init__()

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
            "repaired": self.repaired,
            "first_answer": self.first_answer,
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

    def to_official(self, task: Task | str, dialect: str = "native") -> dict[str, Any]:
        """`answers.compat.to_transformers_dict` by its name in 0.4."""
        warn_moved("Result.to_official(task)", "answers.compat.to_transformers_dict(result, task)")
        if dialect not in ("native", "remote"):
            raise AnswerError(f"dialect {dialect!r} is unknown; choose 'native' or 'remote'")
        compat = import_module("florence2.answers.compat")  # stands above, so only until 0.6
        style = "hf" if dialect == "native" else "microsoft"
        found: dict[str, Any] = compat.to_transformers_dict(self, task, style)
        return found

    @abstractmethod
    def _content(self) -> dict[str, Any]:
        """Return the fields that only this type has, as JSON."""

    # -- for people -----------------------------------------------------------------------

    @abstractmethod
    def to_rows(self) -> list[Row]:
        """One row an object, in the order of the answer, as pandas takes them.

        `pandas.DataFrame(result.to_rows())` has the columns of `Row`.
        """

    def __repr__(self) -> str:
        width, height = self.image_size
        rows = self.to_rows()
        shown = [_row_words(row) for row in rows[:MAX_SHOWN]]
        if len(rows) > MAX_SHOWN:
            shown.append(f"and {len(rows) - MAX_SHOWN:,} more")
        return f"{type(self).__name__}({'; '.join(shown) or 'nothing'}; {width} x {height} pixels)"

    def draw(self, image: Any = None) -> Any:
        """Draw the result on its picture; see `florence2.drawing.draw`.

        Args:
            image: the picture, in any form that can be asked about; `picture` if not given.

        Returns:
            A new Pillow picture.

        Raises:
            DataError: no picture is given, and none is known.
        """
        image = self.picture if image is None else image
        if image is None:
            raise DataError(
                "the picture of this result is not known; give it, as in result.draw('a.jpg')"
            )
        # Drawing stands above: a result only opens its door, when somebody asks.
        return import_module("florence2.drawing").draw(image, self)

    def show(self, image: Any = None) -> None:
        """Draw the result, and show it with the viewer of this machine."""
        self.draw(image).show()

    def to_supervision(self, class_names: Sequence[str]) -> Any:
        """`sv.Detections` of the library supervision; see `answers.peers.to_supervision`."""
        return import_module("florence2.answers.peers").to_supervision(self, class_names)

    def _repr_png_(self) -> bytes | None:
        """The drawn result, where a notebook shows it and the picture is known and still there."""
        if self.picture is None:
            return None
        data = BytesIO()
        try:
            self.draw().save(data, "PNG")
        except Florence2Error:
            return None
        return data.getvalue()

    def _repr_html_(self) -> str:
        """The drawn result, where its picture is known, and a table."""
        drawn = self._repr_png_()
        picture = ""
        if drawn is not None:
            encoded = b64encode(drawn).decode("ascii")
            picture = f'<img style="max-width: 100%" src="data:image/png;base64,{encoded}"/>'
        found = self.to_rows()
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row_cells(row)) + "</tr>"
            for row in found[:MAX_HTML_ROWS]
        )
        if len(found) > MAX_HTML_ROWS:
            rows += f'<tr><td colspan="3">and {len(found) - MAX_HTML_ROWS:,} more</td></tr>'
        head = "<tr><th>what</th><th>where</th><th>how sure</th></tr>"
        return f"{picture}<table>{head}{rows}</table>" if rows else f"{picture}<p>nothing found</p>"


class DoubtfulText(NamedTuple):
    """A line of print that was read too doubtfully to be told.

    Attributes:
        text: what the model read.
        score: in [0, 1], `None` where unknown.
        quad: four corners `(x, y)` in pixels, clockwise from the upper left of the text.
    """

    text: str
    score: float | None
    quad: tuple[tuple[float, float], ...]


PieceKind = Literal["words", "point", "box", "points", "tokens"]


@dataclass(frozen=True)
class Piece:
    """A stretch of an answer: words, a place in the picture, or other tokens.

    Attributes:
        kind: `"words"`; `"point"` for two location tokens; `"box"` for four that are `x_min, y_min,
            x_max, y_max`; `"points"` for any other even number; `"tokens"` for all else.
        text: as written, tokens and spaces included: all texts in a row are the answer.
        start: where it begins in the answer, in characters.
        points: pixels `(x, y)` of a place, one for each pair of location tokens, two for a box.
        label: of a place the words before it, without space and commas and the like around them.
        score: of a place how sure the model was of it, in [0, 1], `None` where unknown.
    """

    kind: PieceKind
    text: str
    start: int
    points: tuple[tuple[float, float], ...] = ()
    label: str = ""
    score: float | None = None

    @property
    def end(self) -> int:
        """Where it ends in the answer."""
        return self.start + len(self.text)


@dataclass(frozen=True, eq=False, repr=False)
class Text(_Answered):
    """A text, with the places that it names.

    An answer to a prompt of a checkpoint's own is a text as it was written, location tokens
    included. In the text of a task they are kept apart.

    Attributes:
        text: the words of a task's answer, without space around them; of an answer to a prompt
            without a task all of it, to the letter.
        location_bins: bins of the location tokens that region tasks append, in their order.
        score: of the words, in [0, 1], `None` where unknown.
        pieces: the answer in order, words and places; of a task's answer only where it breaks its
            grammar, so that the fields above do not tell all of it.
        doubtful: of pages that are read line by line the lines that scored too low.
    """

    kind: ClassVar[str] = "text"

    text: str
    location_bins: tuple[int, ...] = ()
    score: float | None = None
    pieces: tuple[Piece, ...] = ()
    doubtful: tuple[DoubtfulText, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("doubtful", _doubtful(self.doubtful))
        if not isinstance(self.text, str):
            raise DataError(f"text {self.text!r} is no text; give a str")
        self._set("location_bins", tuple(int(value) for value in self.location_bins))
        location_tokens(self.location_bins)  # refuses bins that have no token
        self._set("pieces", tuple(self.pieces))
        _check_scores([self.score, *(piece.score for piece in self.pieces)])

    @property
    def points(self) -> "Points":
        """The pieces that are points, as objects."""
        pieces = [piece for piece in self.pieces if piece.kind == "point"]
        xy = [piece.points[0] for piece in pieces]
        return Points(_array(xy, 2), **_piece_columns(pieces), image_size=self.image_size)

    @property
    def boxes(self) -> "Boxes":
        """The pieces that are boxes, as objects."""
        pieces = [piece for piece in self.pieces if piece.kind == "box"]
        xyxy = [(*piece.points[0], *piece.points[1]) for piece in pieces]
        return Boxes(_array(xyxy, 4), **_piece_columns(pieces), image_size=self.image_size)

    def to_rows(self) -> list[Row]:
        """The words, and the places that they name."""
        rows = [_row(self.text, self.score)] if self.text else []
        return [*rows, *self.boxes.to_rows(), *self.points.to_rows()]

    def _content(self) -> dict[str, Any]:
        return {
            "text": self.text,
            "location_bins": list(self.location_bins),
            "score": self.score,
            "pieces": [_piece_dict(piece) for piece in self.pieces],
            **_doubtful_rows(self.doubtful),
        }

    @classmethod
    def _from_fields(cls, given: dict[str, Any]) -> Self:
        pieces = tuple(_piece_from_dict(each) for each in given.pop("pieces", ()))
        return cls(**given, pieces=pieces)


def _piece_dict(piece: Piece) -> dict[str, Any]:
    """A piece as JSON; what only places have is left out of the others."""
    written = {"kind": piece.kind, "text": piece.text, "start": piece.start, "end": piece.end}
    if not piece.points:
        return written
    points = [list(point) for point in piece.points]
    return written | {"points": points, "label": piece.label, "score": piece.score}


def _piece_from_dict(given: Mapping[str, Any]) -> Piece:
    fields = {name: value for name, value in given.items() if name != "end"}
    points = tuple((float(x), float(y)) for x, y in fields.pop("points", ()))
    return Piece(**fields, points=points)


def _piece_columns(pieces: Sequence[Piece]) -> dict[str, Any]:
    """Labels and scores of pieces."""
    scores = tuple(piece.score for piece in pieces)
    known = any(score is not None for score in scores)
    return {
        "labels": tuple(piece.label for piece in pieces),
        "scores": scores if known else None,
        "location_scores": scores if known else None,
    }


def _array(rows: Sequence[Sequence[float]], width: int) -> Array:
    return np.array(rows, dtype=np.float64).reshape(-1, width)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class _Objects(_Answered):
    """What results made of objects share beside `labels` and `scores`, which each declares.

    Attributes:
        location_scores: how sure the model was of the place of each object, likewise.
        label_scores: how sure it was of the label of each, likewise.
    """

    _shapes: ClassVar[str]  # the field that tells where the objects are

    location_scores: Scores | None = None
    label_scores: Scores | None = None

    def to_rows(self) -> list[Row]:
        """One row an object, in the order of the answer."""
        boxes = as_boxes(cast(Result, self)).xyxy.tolist()
        columns = filled_columns(self)
        shapes = self._outlines()
        return [
            _row(*each)
            for each in zip(columns["labels"], columns["scores"], boxes, shapes, strict=True)
        ]

    def _outlines(self) -> Sequence[Sequence[Array] | None]:
        """For each object its corners or the parts of its outline, where it has such."""
        return (None,) * len(columns_of(self)["labels"])

    def select(self, rows: Sequence[int]) -> Self:
        """The objects of these rows, in this order, with all that belongs to them."""
        columns = {self._shapes: getattr(self, self._shapes), **columns_of(self)}
        return replace(self, **{name: _picked(values, rows) for name, values in columns.items()})

    def with_min_score(self, min_score: float) -> Self:
        """The objects whose score is at least this, and those without a score."""
        scores = enumerate(filled_columns(self)["scores"])
        return self.select([row for row, each in scores if each is None or each >= min_score])

    def above(self, min_score: float) -> Self:
        """`with_min_score` by its name in 0.4."""
        name = type(self).__name__
        warn_moved(f"{name}.above(...)", f"{name}.with_min_score(...)")
        return self.with_min_score(min_score)

    def _check_columns(self, count: int) -> None:
        """Store labels and scores as tuples, refusing columns of another length than `count`."""
        columns = columns_of(self)
        self._set("labels", _checked_labels(columns["labels"]))
        for name in SCORE_COLUMNS:
            if (scores := columns[name]) is not None:
                _check_scores(scores)
                self._set(name, tuple(scores))
        for name, values in columns_of(self).items():
            if values is not None and len(values) != count:
                raise DataError(f"{count} {self.kind} have {len(values)} {name}; give one for each")

    def _column_lists(self) -> dict[str, Any]:
        """Labels and scores as JSON."""
        columns = columns_of(self)
        return {name: None if values is None else list(values) for name, values in columns.items()}


@dataclass(frozen=True, eq=False, repr=False)
class Boxes(_Objects):
    """Labelled boxes; labels are empty where the task gives none.

    Attributes:
        xyxy: `(N, 4)` pixels, `x_min, y_min, x_max, y_max`.
        labels: N labels.
        scores: N scores in [0, 1], any of them `None` where unknown.
        absent: phrases that were asked for and found to be absent; their boxes are left out.
    """

    kind: ClassVar[str] = "boxes"
    _shapes: ClassVar[str] = "xyxy"

    xyxy: Array
    labels: tuple[str, ...]
    scores: Scores | None = None
    absent: tuple[Absent, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("xyxy", _frozen(self.xyxy, (4,), "boxes"))
        self._set("absent", tuple(Absent(*each) for each in self.absent))
        _check_scores(each.score for each in self.absent)
        self._check_columns(len(self.xyxy))

    def without_labels(self, labels: Collection[str]) -> tuple["Boxes", "Boxes"]:
        """`split_by_label` by its name in 0.4."""
        warn_moved("Boxes.without_labels(...)", "Boxes.split_by_label(...)")
        return self.split_by_label(labels)

    def split_by_label(self, labels: Collection[str]) -> tuple["Boxes", "Boxes"]:
        """Split into the boxes to keep and those whose label is one of `labels`.

        `boxes.split_by_label(GENERIC_PHRASES)` does openly what the other implementations do in
        silence to the answers of phrase grounding.
        """
        rows = range(len(self.labels))
        return (
            self.select([row for row in rows if self.labels[row] not in labels]),
            self.select([row for row in rows if self.labels[row] in labels]),
        )

    def drop_absent(self, absent: Sequence[Absent]) -> "Boxes":
        """The boxes of all other labels, with the absent phrases told."""
        kept = self.select(_rows_without(self, absent))
        return replace(kept, absent=(*self.absent, *absent))

    def without(self, absent: Sequence[Absent]) -> "Boxes":
        """`drop_absent` by its name in 0.4."""
        warn_moved("Boxes.without(...)", "Boxes.drop_absent(...)")
        return self.drop_absent(absent)

    def _content(self) -> dict[str, Any]:
        absent = [each._asdict() for each in self.absent]
        return {"xyxy": self.xyxy.tolist(), **self._column_lists(), "absent": absent}

    @classmethod
    def _from_fields(cls, given: dict[str, Any]) -> Self:
        absent = tuple(Absent(**each) for each in given.pop("absent", ()))
        return cls(**given, absent=absent)


@dataclass(frozen=True, eq=False, repr=False)
class Points(_Objects):
    """Labelled points, as an answer to a prompt of a checkpoint's own may name them.

    Attributes:
        xy: `(N, 2)` pixels.
        labels: N labels.
        scores: N scores in [0, 1], any of them `None` where unknown.
    """

    kind: ClassVar[str] = "points"
    _shapes: ClassVar[str] = "xy"

    xy: Array
    labels: tuple[str, ...]
    scores: Scores | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("xy", _frozen(self.xy, (2,), "points"))
        self._check_columns(len(self.xy))

    def _content(self) -> dict[str, Any]:
        return {"xy": self.xy.tolist(), **self._column_lists()}


@dataclass(frozen=True, eq=False, repr=False)
class Quads(_Objects):
    """Texts with the four corners around each, in the order the model wrote them.

    Attributes:
        quads: `(N, 4, 2)` pixels, clockwise from the top left corner in the model's own habit.
        labels: N texts; line breaks inside are kept.
        scores: N scores in [0, 1], any of them `None` where unknown.
        doubtful: of pages that are read line by line the lines that scored too low.
    """

    kind: ClassVar[str] = "quads"
    _shapes: ClassVar[str] = "quads"

    quads: Array
    labels: tuple[str, ...]
    scores: Scores | None = None
    doubtful: tuple[DoubtfulText, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("doubtful", _doubtful(self.doubtful))
        self._set("quads", _frozen(self.quads, (4, 2), "quads"))
        self._check_columns(len(self.quads))

    def _outlines(self) -> Sequence[Sequence[Array]]:
        return [(quad,) for quad in self.quads]

    def _content(self) -> dict[str, Any]:
        told = {"quads": self.quads.tolist(), **self._column_lists()}
        return told | _doubtful_rows(self.doubtful)


@dataclass(frozen=True, eq=False, repr=False)
class Polygons(_Objects):
    """Instances, each made of one or more polygons.

    Attributes:
        polygons: for each instance its parts, `(P, 2)` pixels. A whole part has 3 points or
            more; parts with 2 come from malformed answers only.
        labels: one label an instance, empty where the task gives none.
        scores: one score an instance in [0, 1], any of them `None` where unknown.
    """

    kind: ClassVar[str] = "polygons"
    _shapes: ClassVar[str] = "polygons"

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
        self._check_columns(len(instances))

    def _outlines(self) -> Sequence[Sequence[Array]]:
        return self.polygons

    def _content(self) -> dict[str, Any]:
        polygons = [[part.tolist() for part in instance] for instance in self.polygons]
        return {"polygons": polygons, **self._column_lists()}


@dataclass(frozen=True, eq=False, repr=False)
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

    def with_min_score(self, min_score: float) -> "Mixed":
        """The objects whose score is at least this, and those without a score."""
        boxes = self.boxes.with_min_score(min_score)
        return replace(self, boxes=boxes, polygons=self.polygons.with_min_score(min_score))

    def above(self, min_score: float) -> "Mixed":
        """`with_min_score` by its name in 0.4."""
        warn_moved("Mixed.above(...)", "Mixed.with_min_score(...)")
        return self.with_min_score(min_score)

    def drop_absent(self, absent: Sequence[Absent]) -> "Mixed":
        """The objects of all other labels, with the absent phrases told in `boxes.absent`."""
        polygons = self.polygons.select(_rows_without(self.polygons, absent))
        return replace(self, boxes=self.boxes.drop_absent(absent), polygons=polygons)

    def without(self, absent: Sequence[Absent]) -> "Mixed":
        """`drop_absent` by its name in 0.4."""
        warn_moved("Mixed.without(...)", "Mixed.drop_absent(...)")
        return self.drop_absent(absent)

    def to_rows(self) -> list[Row]:
        """The boxes, then the outlines."""
        return [*self.boxes.to_rows(), *self.polygons.to_rows()]

    def _content(self) -> dict[str, Any]:
        return {"boxes": self.boxes._content(), "polygons": self.polygons._content()}

    @classmethod
    def _from_fields(cls, given: dict[str, Any]) -> Self:
        image_size = given["image_size"]
        boxes = Boxes._from_fields(given.pop("boxes") | {"image_size": image_size})
        polygons = Polygons(**given.pop("polygons"), image_size=image_size)
        return cls(boxes, polygons, **given)


Objects = Boxes | Quads | Polygons | Points
Result = Text | Objects | Mixed

RESULT_TYPES: Mapping[AnswerKind, type[Result]] = {
    AnswerKind.TEXT: Text,
    AnswerKind.CLASS_BOXES: Boxes,
    AnswerKind.PHRASE_BOXES: Boxes,
    AnswerKind.BOXES: Boxes,
    AnswerKind.QUADS: Quads,
    AnswerKind.POLYGONS: Polygons,
    AnswerKind.BOXES_OR_POLYGONS: Mixed,
}

SCORE_COLUMNS = ("scores", "location_scores", "label_scores")


def from_dict(data: Mapping[str, Any]) -> Result:
    """Rebuild a result of any type from its `to_dict`."""
    types = {each.kind: each for each in (*RESULT_TYPES.values(), Points)}
    kind = data.get("type")
    if kind not in types:
        raise DataError(f"result type {kind!r} is unknown; choose one of {', '.join(types)}")
    return types[kind].from_dict(data)


def _row(
    label: str,
    score: float | None,
    box: Sequence[float] | None = None,
    outline: Sequence[Array] | None = None,
) -> Row:
    x_min, y_min, x_max, y_max = box if box is not None else (None,) * 4
    return {
        "label": label,
        "score": score,
        "x_min": x_min,
        "y_min": y_min,
        "x_max": x_max,
        "y_max": y_max,
        "outline": None if outline is None else [part.tolist() for part in outline],
    }


def row_cells(row: Row) -> tuple[str, str, str]:
    """What, where in whole pixels, and how sure, in words."""
    where = ""
    if row["x_min"] is not None:
        sides = (row["x_min"], row["y_min"], row["x_max"], row["y_max"])
        where = "{:.0f},{:.0f} to {:.0f},{:.0f}".format(*sides)
    return row["label"], where, "" if row["score"] is None else f"{row['score']:.2f}"


def _row_words(row: Row) -> str:
    label, where, score = row_cells(row)
    if len(label) > MAX_WORDS:
        told = [f"{label[:MAX_WORDS]!r} and {len(label) - MAX_WORDS:,} more characters"]
    else:
        told = [repr(label)] if label else []
    told += [f"at {where}"] if where else []
    return " ".join([*told, *([f"({score})"] if score else [])])


def _doubtful(lines: Iterable[Any]) -> tuple[DoubtfulText, ...]:
    """Lines in doubt as they were given, or as `to_dict` wrote them."""
    told = (DoubtfulText(**each) if isinstance(each, Mapping) else each for each in lines)
    found = tuple(
        DoubtfulText(text, score, tuple((float(x), float(y)) for x, y in quad))
        for text, score, quad in told
    )
    _check_scores(each.score for each in found)
    return found


def _doubtful_rows(lines: Sequence[DoubtfulText]) -> dict[str, Any]:
    """Told only where there are some: other answers know none."""
    rows = [{**each._asdict(), "quad": [list(corner) for corner in each.quad]} for each in lines]
    return {"doubtful": rows} if rows else {}


def as_boxes(result: Result) -> Boxes:
    """The objects of a result as boxes: those around quads and outlines, those that a text names.

    A mixed result gives its boxes alone. A point is a box without area.
    """
    match result:
        case Boxes():
            return result
        case Mixed():
            return result.boxes
        case Text():
            return result.boxes
        case Points():
            around = np.concatenate([result.xy, result.xy], axis=1)
        case Quads():
            around = bounding_box(result.quads)
        case Polygons():
            instances = [bounding_box(np.concatenate(parts)) for parts in result.polygons]
            around = np.array(instances).reshape(-1, 4)
    return Boxes(around, **columns_of(result), image_size=result.image_size)


def columns_of(result: _Objects) -> dict[str, Any]:
    """Labels and scores of objects by name, `None` where there are none."""
    return {name: getattr(result, name) for name in ("labels", *SCORE_COLUMNS)}


def filled_columns(result: _Objects) -> dict[str, Any]:
    """Labels and scores of objects by name, with a `None` for each object where there are none."""
    columns = columns_of(result)
    none = (None,) * len(columns["labels"])
    return {name: none if values is None else values for name, values in columns.items()}


def check_fits(result: object, task: Task | None) -> None:
    """Refuse a result of a type that the task, or a prompt without one, never answers with."""
    wanted = Text if task is None else RESULT_TYPES[task.answer_kind]
    if not isinstance(result, wanted):
        raise AnswerError(
            f"{asked_words(task)} cannot express a {type(result).__name__} result; give a "
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


def _checked_labels(labels: Any) -> tuple[str, ...]:
    """Labels as texts; numbers are names too, as those of digits."""
    if isinstance(labels, bytes) or not isinstance(labels, Iterable):
        raise DataError(f"labels are {labels!r}; give a list with a text for each object")
    if type(labels) is tuple and {*map(type, labels)} <= {str}:
        return labels
    found = []
    for label in labels:
        if not isinstance(label, str | Number):
            raise DataError(f"label {label!r} is no text; give a text for each object")
        found.append(str(label))
    return tuple(found)


def _check_scores(scores: Iterable[float | None]) -> None:
    """Refuse anything but probabilities and `None`."""
    for score in scores:
        if score is not None and not 0.0 <= score <= 1.0:
            raise DataError(f"score {score!r} is not in [0, 1]; give None where it is unknown")


def _picked(values: Any, rows: Sequence[int]) -> Any:
    """The values of these rows, of a column that may be missing."""
    if isinstance(values, np.ndarray):
        return values[list(rows)]
    return None if values is None else tuple(values[row] for row in rows)


def _rows_without(result: Boxes | Polygons, absent: Sequence[Absent]) -> list[int]:
    names = {each.phrase.casefold() for each in absent}
    return [row for row, label in enumerate(result.labels) if label.casefold() not in names]
