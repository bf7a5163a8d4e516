"""What an answer may go on with, so that it is one that its task can have.

A state machine over classes of tokens: words, location tokens, `<poly>`, ... States are values, so
the hypotheses of a beam share them; a step costs a few comparisons, however long the answer is.
The grammars are those of `florence2.answers`, less what its reader only forgives: space between
tokens, boxes without area, and `<s>` behind the first word or location.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, IntFlag, auto
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from florence2.generation.phrases import Phrases
from florence2.tasks import AnswerKind

BOX, QUAD, POLYGON = 4, 8, 6  # location tokens of each; a polygon may have more
_LABELLED = (
    AnswerKind.CLASS_BOXES,
    AnswerKind.PHRASE_BOXES,
    AnswerKind.QUADS,
    AnswerKind.BOXES_OR_POLYGONS,
)
_LONGEST_TOKEN = 32  # letters that a token of the vocabulary may have, and some more


class Kinds(IntFlag):
    """Classes of tokens; together a set of them."""

    NONE = 0
    SOLID = auto()  # words with a visible ASCII letter
    OTHER = auto()  # other words: spaces, pieces of characters, other scripts
    LOCATION = auto()
    SEP = auto()
    OPEN = auto()  # <poly>
    CLOSE = auto()  # </poly>
    END = auto()  # </s>
    BEGIN = auto()  # <s>


WORDS = Kinds.SOLID | Kinds.OTHER
_PART = Kinds.LOCATION | Kinds.SEP | Kinds.END
_WRAPPED_PART = Kinds.LOCATION | Kinds.SEP | Kinds.CLOSE


@cache
def _contents(kinds: Kinds) -> tuple[bool, bool, Kinds]:
    """Whether a set of classes has locations, whether it has words, and all of it but words."""
    return bool(kinds & Kinds.LOCATION), bool(kinds & WORDS), kinds & ~WORDS


@dataclass(frozen=True)
class Vocabulary:
    """The tokens that answers are made of; every other token occurs in none.

    Attributes:
        pieces: for each id the bytes that it spells if it is a piece of text, else none.
        spelled_tokens: matches text that would be read as a token, such as `<sep>` in letters.
        locations: ids of the location tokens, in order.
    """

    pieces: tuple[bytes, ...]
    spelled_tokens: re.Pattern[bytes]
    locations: range
    sep: int
    poly_start: int
    poly_end: int
    bos: int
    eos: int

    @cached_property
    def kinds(self) -> tuple[Kinds, ...]:
        """The class of each id."""
        kinds = [self._kind_of_words(piece) for piece in self.pieces]
        for token in self.locations:
            kinds[token] = Kinds.LOCATION
        marks = (self.sep, self.poly_start, self.poly_end, self.eos, self.bos)
        names = (Kinds.SEP, Kinds.OPEN, Kinds.CLOSE, Kinds.END, Kinds.BEGIN)
        for token, kind in zip(marks, names, strict=True):
            kinds[token] = kind
        return tuple(kinds)

    def _kind_of_words(self, piece: bytes) -> Kinds:
        if not piece or self.spelled_tokens.search(piece):
            return Kinds.NONE
        return Kinds.SOLID if any(0x20 < byte < 0x7F for byte in piece) else Kinds.OTHER

    @cached_property
    def closers(self) -> tuple[int, ...]:
        """Pieces that can complete a token spelled in letters."""
        return tuple(
            token
            for token, (piece, kind) in enumerate(zip(self.pieces, self.kinds, strict=True))
            if kind & WORDS and b">" in piece
        )

    @cached_property
    def kind_values(self) -> NDArray[np.uint8]:
        """`kinds` as an array."""
        return np.array(self.kinds, dtype=np.uint8)

    def size(self, kinds: Kinds) -> int:
        """How many tokens are of these classes."""
        if kinds not in self._sizes:
            self._sizes[kinds] = int(np.count_nonzero(self.kind_values & int(kinds)))
        return self._sizes[kinds]

    @cached_property
    def _sizes(self) -> dict[Kinds, int]:
        return {}


class Place(Enum):
    """Where in an answer a state is."""

    START = auto()
    WORDS = auto()  # in a label or text
    GROUP = auto()  # in a box or quad
    PART = auto()  # in a part of a polygon
    DONE = auto()  # behind an object


class State(NamedTuple):
    """Where an answer is; two answers with equal states may go on alike."""

    place: Place = Place.START
    located: int = 0  # location tokens of the box, quad or part so far
    corner: tuple[int, int] = (0, 0)  # first two bins of a box
    wrapped: bool = False  # inside <poly>
    text: bytes = b""  # of the label so far, or its end
    named: bool = False  # the label is not blank


class Choice(NamedTuple):
    """The tokens that may come next."""

    kinds: Kinds  # all tokens of these classes, but ...
    bins: tuple[int, int] | None = None  # ... of the location tokens only those of [low, high), ...
    without: tuple[int, ...] = ()  # ... and not these; ...
    only: tuple[int, ...] = ()  # ... and these as well
    is_tight: bool = False  # there would be more if there was room


class Grammar:
    """The answers that a task can have, for one request.

    Args:
        kind: what the answers of the task are made of.
        phrases: the only labels to write, None for any.
    """

    def __init__(
        self, kind: AnswerKind, vocabulary: Vocabulary, phrases: Phrases | None = None
    ) -> None:
        self.kind = kind
        self.vocabulary = vocabulary
        self._phrases = phrases
        self._size = QUAD if kind is AnswerKind.QUADS else BOX
        self._is_text = kind is AnswerKind.TEXT
        self._is_labelled = kind in _LABELLED
        self._is_ordered = kind not in (AnswerKind.QUADS, AnswerKind.TEXT)

    def advance(self, state: State, token: int) -> State:
        """The state after one more token, which `choice` allowed."""
        kind = self.vocabulary.kinds[token]
        if kind is Kinds.LOCATION:
            return self._located(state, token - self.vocabulary.locations.start)
        if kind is Kinds.SOLID or kind is Kinds.OTHER:
            return self._worded(state, kind, self.vocabulary.pieces[token])
        if kind is Kinds.OPEN or kind is Kinds.SEP:
            return State(Place.PART, wrapped=state.wrapped or kind is Kinds.OPEN)
        return State(Place.DONE) if kind is Kinds.CLOSE else state

    def _located(self, state: State, value: int) -> State:
        polygon = self.kind is AnswerKind.POLYGONS and state.place is Place.START
        if polygon or state.place is Place.PART:
            return State(Place.PART, state.located + 1, wrapped=state.wrapped)
        count = state.located + 1 if state.place is Place.GROUP else 1
        if count == self._size:
            return State(Place.DONE)
        x, y = state.corner
        return State(
            Place.GROUP, count, (value, 0) if count == 1 else (x, value if count == 2 else y)
        )

    def _worded(self, state: State, kind: Kinds, piece: bytes) -> State:
        text = state.text + piece
        named = state.named or kind is Kinds.SOLID or bool(text.decode(errors="replace").strip())
        if named and self._phrases is None:
            text = text[-_LONGEST_TOKEN:]
        return State(Place.WORDS, text=text, named=named)

    def choice(self, state: State, room: int) -> Choice:
        """What may come next, when `room` tokens are left, this one and `</s>` included."""
        wanted = kinds = self._kinds(state)
        if room <= self._most_needed:
            for kind in Kinds:
                if kind & wanted and self._cost_after(state, kind) >= room:
                    kinds &= ~kind
        has_locations, has_words, others = _contents(kinds)
        bins = self._bins(state) if has_locations else None
        is_tight = kinds is not wanted
        if not has_words:
            return Choice(kinds, bins, is_tight=is_tight)
        if self._phrases is not None:
            only = self._phrases.following(state.text, room - 1 - self._size - 1)
            return Choice(others, bins, (), only, is_tight)
        return Choice(kinds, bins, self._spelling(state.text), (), is_tight)

    def permits(self, choice: Choice, token: int) -> bool:
        """Whether a token is one of the choice."""
        if token in choice.only:
            return True
        if token >= len(self.vocabulary.kinds) or token in choice.without:
            return False
        kind = self.vocabulary.kinds[token]
        if kind is Kinds.LOCATION and choice.bins:
            return choice.bins[0] <= token - self.vocabulary.locations.start < choice.bins[1]
        return bool(kind & choice.kinds)

    def leaves(self, choice: Choice, banned: Sequence[int]) -> bool:
        """Whether any token of the choice is left without the banned ones."""
        many = self.vocabulary.size(choice.kinds) + len(choice.only) - len(choice.without)
        if choice.bins and choice.kinds & Kinds.LOCATION:
            many -= len(self.vocabulary.locations) - (choice.bins[1] - choice.bins[0])
        return many > len(banned) or many > sum(self.permits(choice, each) for each in {*banned})

    def cost(self, state: State) -> int:
        """The least number of tokens that end the answer, `</s>` included."""
        match state.place:
            case Place.GROUP:
                return self._size - state.located + 1
            case Place.PART:
                return max(POLYGON - state.located, state.located % 2) + state.wrapped + 1
            case Place.WORDS if self._is_labelled:
                return self._words_needed(state) + self._size + 1
        return 1

    def _words_needed(self, state: State) -> int:
        if self._phrases is not None:
            return self._phrases.cost(state.text)
        return 0 if state.named else 1

    @cached_property
    def _most_needed(self) -> int:
        """No token needs more room than this."""
        longest = self._phrases.longest if self._phrases is not None else 1
        return longest + QUAD + 2

    def _cost_after(self, state: State, kind: Kinds) -> int:
        """What ends the answer after a token of this class; of words, after the best of them."""
        match kind:
            case Kinds.END:
                return 0
            case Kinds.CLOSE | Kinds.BEGIN:
                return 1
            case Kinds.LOCATION:
                return self.cost(self._located(state, 0))
            case Kinds.OPEN | Kinds.SEP:
                return POLYGON + (state.wrapped or kind is Kinds.OPEN) + 1
        if self._is_text:
            return 1
        if self._phrases is not None:
            return max(0, self._phrases.cost_of_more(state.text) - 1) + self._size + 1
        return (kind is Kinds.OTHER and not state.named) + self._size + 1

    def _kinds(self, state: State) -> Kinds:
        """The classes that may come next if there is room."""
        match state.place:
            case Place.GROUP:
                return Kinds.LOCATION
            case Place.PART:
                if state.located < POLYGON or state.located % 2:
                    return Kinds.LOCATION
                return _WRAPPED_PART if state.wrapped else _PART
            case Place.WORDS if self._is_labelled:
                return self._behind_label if self._ends_label(state) else WORDS
            case Place.WORDS:
                return self._behind_text
            case Place.START:
                return self._first
        return self._further

    def _ends_label(self, state: State) -> bool:
        if self._phrases is not None:
            return self._phrases.holds(state.text)
        return state.named

    # Operations on flags are slow, so the sets are made once.

    @cached_property
    def _objects(self) -> Kinds:
        """What an object begins with."""
        mixed = self.kind is AnswerKind.BOXES_OR_POLYGONS
        return Kinds.LOCATION | Kinds.OPEN if mixed else Kinds.LOCATION

    @cached_property
    def _behind_label(self) -> Kinds:
        return WORDS | self._objects

    @cached_property
    def _behind_text(self) -> Kinds:
        return WORDS | self._objects | Kinds.END

    @cached_property
    def _first(self) -> Kinds:
        """What an answer begins with."""
        ends = Kinds.END | Kinds.BEGIN
        if self.kind is AnswerKind.POLYGONS:
            return Kinds.LOCATION | Kinds.OPEN | ends
        if self._is_text:
            return WORDS | Kinds.LOCATION | ends
        return ends | (WORDS if self._is_labelled else Kinds.LOCATION)

    @cached_property
    def _further(self) -> Kinds:
        """What follows an object."""
        if self.kind is AnswerKind.POLYGONS:
            return Kinds.OPEN | Kinds.END
        if self.kind is AnswerKind.QUADS:
            return WORDS | Kinds.END
        return Kinds.END | (self._behind_label if self._is_labelled else Kinds.LOCATION)

    def _bins(self, state: State) -> tuple[int, int] | None:
        """The bins that make a box with an area: all but the last, then those beyond the corner."""
        in_box = self._is_ordered and state.place is not Place.PART
        if not in_box or (self.kind is AnswerKind.POLYGONS):
            return None
        count = state.located if state.place is Place.GROUP else 0
        last = len(self.vocabulary.locations)
        return (0, last - 1) if count < 2 else (state.corner[count - 2] + 1, last)

    def _spelling(self, text: bytes) -> tuple[int, ...]:
        """Pieces that would complete a token spelled in letters."""
        start = text.rfind(b"<", -_LONGEST_TOKEN)
        if start < 0:
            return ()
        vocabulary = self.vocabulary
        return tuple(
            token
            for token in vocabulary.closers
            if vocabulary.spelled_tokens.search(text[-_LONGEST_TOKEN:] + vocabulary.pieces[token])
        )
