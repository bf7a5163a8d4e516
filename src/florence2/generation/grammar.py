"""Constrained decoding: what an answer may go on with, so that it is one that its task can have.

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

from florence2.generation.phrase_trie import PhraseTrie
from florence2.tasks import AnswerKind

BOX, QUAD, POLYGON = 4, 8, 6  # location tokens of each; a polygon may have more
_LABELLED = (
    AnswerKind.CLASS_BOXES,
    AnswerKind.PHRASE_BOXES,
    AnswerKind.QUADS,
    AnswerKind.BOXES_OR_POLYGONS,
)
_LONGEST_TOKEN = 32  # letters that a token of the vocabulary may have, and some more


class TokenClass(IntFlag):
    """Classes of tokens; together a set of them."""

    NONE = 0
    VISIBLE = auto()  # words with a visible ASCII letter
    OTHER = auto()  # other words: spaces, pieces of characters, other scripts
    LOCATION = auto()
    SEP = auto()
    OPEN = auto()  # <poly>
    CLOSE = auto()  # </poly>
    END = auto()  # </s>
    BEGIN = auto()  # <s>


WORDS = TokenClass.VISIBLE | TokenClass.OTHER
_PART = TokenClass.LOCATION | TokenClass.SEP | TokenClass.END
_WRAPPED_PART = TokenClass.LOCATION | TokenClass.SEP | TokenClass.CLOSE


@cache
def _contents(classes: TokenClass) -> tuple[bool, bool, TokenClass]:
    """Whether a set of classes has locations, whether it has words, and all of it but words."""
    return bool(classes & TokenClass.LOCATION), bool(classes & WORDS), classes & ~WORDS


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
    def classes(self) -> tuple[TokenClass, ...]:
        """The class of each id."""
        classes = [self._class_of_word(piece) for piece in self.pieces]
        for token in self.locations:
            classes[token] = TokenClass.LOCATION
        marks = (self.sep, self.poly_start, self.poly_end, self.eos, self.bos)
        names = (
            TokenClass.SEP,
            TokenClass.OPEN,
            TokenClass.CLOSE,
            TokenClass.END,
            TokenClass.BEGIN,
        )
        for token, kind in zip(marks, names, strict=True):
            classes[token] = kind
        return tuple(classes)

    def _class_of_word(self, piece: bytes) -> TokenClass:
        if not piece or self.spelled_tokens.search(piece):
            return TokenClass.NONE
        return TokenClass.VISIBLE if any(0x20 < byte < 0x7F for byte in piece) else TokenClass.OTHER

    @cached_property
    def closers(self) -> tuple[int, ...]:
        """Pieces that can complete a token spelled in letters."""
        return tuple(
            token
            for token, (piece, kind) in enumerate(zip(self.pieces, self.classes, strict=True))
            if kind & WORDS and b">" in piece
        )

    @cached_property
    def class_values(self) -> NDArray[np.uint8]:
        """`classes` as an array."""
        return np.array(self.classes, dtype=np.uint8)

    def size(self, classes: TokenClass) -> int:
        """How many tokens are of these classes."""
        if classes not in self._sizes:
            self._sizes[classes] = int(np.count_nonzero(self.class_values & int(classes)))
        return self._sizes[classes]

    @cached_property
    def _sizes(self) -> dict[TokenClass, int]:
        return {}


class Phase(Enum):
    """Where in an answer a state is."""

    START = auto()
    WORDS = auto()  # in a label or text
    GROUP = auto()  # in a box or quad
    PART = auto()  # in a part of a polygon
    DONE = auto()  # behind an object


class State(NamedTuple):
    """Where an answer is; two answers with equal states may go on alike."""

    phase: Phase = Phase.START
    located: int = 0  # location tokens of the box, quad or part so far
    corner: tuple[int, int] = (0, 0)  # first two bins of a box
    wrapped: bool = False  # inside <poly>
    text: bytes = b""  # of the label so far, or its end
    named: bool = False  # the label is not blank


START = State()
IN_BOX = State(Phase.GROUP)  # a box must follow


class AllowedTokens(NamedTuple):
    """The tokens that may come next."""

    classes: TokenClass  # all tokens of these classes, but ...
    bins: tuple[int, int] | None = None  # ... of the location tokens only those of [low, high), ...
    without: tuple[int, ...] = ()  # ... and not these; ...
    only: tuple[int, ...] = ()  # ... and these as well
    out_of_room: bool = False  # there would be more if there was room


class Grammar:
    """The answers that a task can have, for one request.

    Args:
        kind: what the answers of the task are made of.
        phrases: the only labels to write, None for any.
    """

    def __init__(
        self, kind: AnswerKind, vocabulary: Vocabulary, phrases: PhraseTrie | None = None
    ) -> None:
        self.kind = kind
        self.vocabulary = vocabulary
        self._phrases = phrases
        self._size = QUAD if kind is AnswerKind.QUADS else BOX
        self._is_text = kind is AnswerKind.TEXT
        self._is_labelled = kind in _LABELLED
        self._is_ordered = kind not in (AnswerKind.QUADS, AnswerKind.TEXT)

    def advance(self, state: State, token: int) -> State:
        """The state after one more token, which `allowed` allowed."""
        kind = self.vocabulary.classes[token]
        if kind is TokenClass.LOCATION:
            return self._located(state, token - self.vocabulary.locations.start)
        if kind is TokenClass.VISIBLE or kind is TokenClass.OTHER:
            return self._worded(state, kind, self.vocabulary.pieces[token])
        if kind is TokenClass.OPEN or kind is TokenClass.SEP:
            return State(Phase.PART, wrapped=state.wrapped or kind is TokenClass.OPEN)
        return State(Phase.DONE) if kind is TokenClass.CLOSE else state

    def _located(self, state: State, value: int) -> State:
        polygon = self.kind is AnswerKind.POLYGONS and state.phase is Phase.START
        if polygon or state.phase is Phase.PART:
            return State(Phase.PART, state.located + 1, wrapped=state.wrapped)
        count = state.located + 1 if state.phase is Phase.GROUP else 1
        if count == self._size:
            return State(Phase.DONE)
        x, y = state.corner
        return State(
            Phase.GROUP, count, (value, 0) if count == 1 else (x, value if count == 2 else y)
        )

    def _worded(self, state: State, kind: TokenClass, piece: bytes) -> State:
        text = state.text + piece
        named = (
            state.named or kind is TokenClass.VISIBLE or bool(text.decode(errors="replace").strip())
        )
        if named and self._phrases is None:
            text = text[-_LONGEST_TOKEN:]
        return State(Phase.WORDS, text=text, named=named)

    def allowed(self, state: State, room: int) -> AllowedTokens:
        """What may come next, when `room` tokens are left, this one and `</s>` included."""
        wanted = classes = self._next_classes(state)
        if room <= self._most_needed:
            for kind in TokenClass:
                if kind & wanted and self._min_tokens_after(state, kind) >= room:
                    classes &= ~kind
        has_locations, has_words, others = _contents(classes)
        bins = self._bins(state) if has_locations else None
        out_of_room = classes is not wanted
        if not has_words:
            return AllowedTokens(classes, bins, out_of_room=out_of_room)
        if self._phrases is not None:
            only = self._phrases.next_tokens(state.text, room - 1 - self._size - 1)
            return AllowedTokens(others, bins, (), only, out_of_room)
        return AllowedTokens(classes, bins, self._spelling(state.text), (), out_of_room)

    def allows(self, choice: AllowedTokens, token: int) -> bool:
        """Whether a token is one of the choice."""
        if token in choice.only:
            return True
        if token >= len(self.vocabulary.classes) or token in choice.without:
            return False
        kind = self.vocabulary.classes[token]
        if kind is TokenClass.LOCATION and choice.bins:
            return choice.bins[0] <= token - self.vocabulary.locations.start < choice.bins[1]
        return bool(kind & choice.classes)

    def any_left_after(self, choice: AllowedTokens, banned: Sequence[int]) -> bool:
        """Whether any token of the choice is left without the banned ones."""
        many = self.vocabulary.size(choice.classes) + len(choice.only) - len(choice.without)
        if choice.bins and choice.classes & TokenClass.LOCATION:
            many -= len(self.vocabulary.locations) - (choice.bins[1] - choice.bins[0])
        return many > len(banned) or many > sum(self.allows(choice, each) for each in {*banned})

    def min_tokens_left(self, state: State) -> int:
        """The least number of tokens that end the answer, `</s>` included."""
        match state.phase:
            case Phase.GROUP:
                return self._size - state.located + 1
            case Phase.PART:
                return max(POLYGON - state.located, state.located % 2) + state.wrapped + 1
            case Phase.WORDS if self._is_labelled:
                return self._words_needed(state) + self._size + 1
        return 1

    def _words_needed(self, state: State) -> int:
        if self._phrases is not None:
            return self._phrases.min_tokens_left(state.text)
        return 0 if state.named else 1

    @cached_property
    def _most_needed(self) -> int:
        """No token needs more room than this."""
        longest = self._phrases.longest if self._phrases is not None else 1
        return longest + QUAD + 2

    def _min_tokens_after(self, state: State, kind: TokenClass) -> int:
        """What ends the answer after a token of this class; of words, after the best of them."""
        match kind:
            case TokenClass.END:
                return 0
            case TokenClass.CLOSE | TokenClass.BEGIN:
                return 1
            case TokenClass.LOCATION:
                return self.min_tokens_left(self._located(state, 0))
            case TokenClass.OPEN | TokenClass.SEP:
                return POLYGON + (state.wrapped or kind is TokenClass.OPEN) + 1
        if self._is_text:
            return 1
        if self._phrases is not None:
            return max(0, self._phrases.min_tokens_after_next(state.text) - 1) + self._size + 1
        return (kind is TokenClass.OTHER and not state.named) + self._size + 1

    def _next_classes(self, state: State) -> TokenClass:
        """The classes that may come next if there is room."""
        match state.phase:
            case Phase.GROUP:
                return TokenClass.LOCATION
            case Phase.PART:
                if state.located < POLYGON or state.located % 2:
                    return TokenClass.LOCATION
                return _WRAPPED_PART if state.wrapped else _PART
            case Phase.WORDS if self._is_labelled:
                return self._behind_label if self._ends_label(state) else WORDS
            case Phase.WORDS:
                return self._behind_text
            case Phase.START:
                return self._first
        return self._further

    def _ends_label(self, state: State) -> bool:
        if self._phrases is not None:
            return self._phrases.accepts(state.text)
        return state.named

    # Operations on flags are slow, so the sets are made once.

    @cached_property
    def _objects(self) -> TokenClass:
        """What an object begins with."""
        mixed = self.kind is AnswerKind.BOXES_OR_POLYGONS
        return TokenClass.LOCATION | TokenClass.OPEN if mixed else TokenClass.LOCATION

    @cached_property
    def _behind_label(self) -> TokenClass:
        return WORDS | self._objects

    @cached_property
    def _behind_text(self) -> TokenClass:
        return WORDS | self._objects | TokenClass.END

    @cached_property
    def _first(self) -> TokenClass:
        """What an answer begins with."""
        ends = TokenClass.END | TokenClass.BEGIN
        if self.kind is AnswerKind.POLYGONS:
            return TokenClass.LOCATION | TokenClass.OPEN | ends
        if self._is_text:
            return WORDS | TokenClass.LOCATION | ends
        return ends | (WORDS if self._is_labelled else TokenClass.LOCATION)

    @cached_property
    def _further(self) -> TokenClass:
        """What follows an object."""
        if self.kind is AnswerKind.POLYGONS:
            return TokenClass.OPEN | TokenClass.END
        if self.kind is AnswerKind.QUADS:
            return WORDS | TokenClass.END
        return TokenClass.END | (self._behind_label if self._is_labelled else TokenClass.LOCATION)

    def _bins(self, state: State) -> tuple[int, int] | None:
        """The bins that make a box with an area: all but the last, then those beyond the corner."""
        in_box = self._is_ordered and state.phase is not Phase.PART
        if not in_box or (self.kind is AnswerKind.POLYGONS):
            return None
        count = state.located if state.phase is Phase.GROUP else 0
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
