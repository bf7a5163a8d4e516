"""What an answer may not or must say next, whatever the model thinks.

First token forced to `bos`, last possible one forced to `eos`, no n-gram twice, no `eos` before
the minimum length; the grammar of the task and the end of loops, where they are wanted. Rules look
at token ids only; `Masks` writes them into scores.

Shapes: `R` rows decoded, `V` vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from florence2.generation.grammar import Choice, Grammar, Kinds, State
from florence2.generation.options import FinishReason, GenerationOptions, SpecialIds
from florence2.tasks import AnswerKind

# Equal runs in a row that are a loop, and the least number of tokens they have together.
OBJECT_REPEATS = 3
OBJECT_LOOP = OBJECT_REPEATS, 12
WORDS_LOOP = 8, 64
START = State()
MAX_MASKS = 256  # kept for later steps; each has a byte for every token of the vocabulary


class NgramBan:
    """The tokens that would repeat an n-gram of one sequence.

    Remembers which tokens have followed each run of n - 1 tokens, so that a step costs one
    look-up however long the sequence is.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._recent: tuple[int, ...] = ()  # the last n - 1 tokens
        self._followers: dict[tuple[int, ...], tuple[int, ...]] = {}

    def append(self, token: int) -> None:
        """Take note of the next token of the sequence."""
        if not self._size:
            return
        run = (*self._recent, token)
        if len(run) == self._size:
            self._followers[run[:-1]] = (*self._followers.get(run[:-1], ()), token)
            run = run[1:]
        self._recent = run

    def banned(self) -> tuple[int, ...]:
        """Tokens that may not come next."""
        return self._followers.get(self._recent, ())

    def fork(self) -> "NgramBan":
        """An equal ban that grows on its own."""
        twin = NgramBan(self._size)
        twin._recent = self._recent
        twin._followers = self._followers.copy()
        return twin


def in_loop(tokens: Sequence[int], locations: range) -> bool:
    """Whether an answer has ended up in a loop: the same run of tokens again and again.

    Runs with a location are objects, which come once: three equal ones, 12 tokens or more, are a
    loop. Runs of words may be lines of a table: 8 equal ones, 64 tokens or more, are a loop.
    """
    last = tokens[-1]
    if tokens.count(last) < OBJECT_REPEATS:
        return False
    for size in range(1, len(tokens) // OBJECT_REPEATS + 1):
        if tokens[-1 - size] == last:
            run = tokens[-size:]
            is_object = any(token in locations for token in run)
            repeats, least = OBJECT_LOOP if is_object else WORDS_LOOP
            total = size * max(repeats, -(-least // size))
            # Equal to itself one run later.
            if total <= len(tokens) and tokens[-total:-size] == tokens[size - total :]:
                return True
    return False


@dataclass
class Trace:
    """What the rules remember of one hypothesis."""

    ngrams: NgramBan
    grammar: Grammar | None = None
    state: State = START
    is_tight: bool = False  # the last step had less to choose from, for want of room
    is_looping: bool = False

    def fork(self) -> "Trace":
        """An equal trace that grows on its own."""
        ngrams = self.ngrams.fork()
        return Trace(ngrams, self.grammar, self.state, self.is_tight, self.is_looping)


class Ruling(NamedTuple):
    """What a hypothesis may write next: one of `choice`, but nothing `banned`."""

    banned: tuple[int, ...] = ()
    choice: Choice | None = None


class Rules:
    """The rules of one call; `step` counts the tokens that an answer has already."""

    def __init__(self, options: GenerationOptions, special: SpecialIds, limit: int) -> None:
        self.limit = limit  # tokens an answer may have at most
        self._special = special
        self._min_new_tokens = options.min_new_tokens
        self._ngram_size = options.no_repeat_ngram_size
        self._end_loops = options.end_loops

    def trace(self, grammar: Grammar | None = None) -> Trace:
        """The memory of an answer that has not begun."""
        ngrams = NgramBan(self._ngram_size)
        ngrams.append(self._special.decoder_start)  # the published ban counts the start token too
        return Trace(ngrams, grammar)

    def note(self, trace: Trace, tokens: Sequence[int]) -> None:
        """Take note of the last of the tokens."""
        trace.ngrams.append(tokens[-1])
        if trace.grammar is not None:
            trace.state = trace.grammar.advance(trace.state, tokens[-1])
        if self._end_loops and not trace.is_looping:
            trace.is_looping = in_loop(tokens, self._special.locations)

    def forced(self, step: int) -> int | None:
        """The only token allowed next, if there is but one; the end outranks the beginning."""
        if step == self.limit - 1:
            return self._special.eos
        return self._special.bos if step == 0 else None

    def ruling(self, trace: Trace, step: int) -> Ruling:
        """What may come next, where no token is forced.

        The grammar outranks the bans: where they leave nothing of it, they are off.
        """
        banned = trace.ngrams.banned()
        if step < self._min_new_tokens:
            banned += (self._special.eos,)
        if self._end_loops:
            banned += (self._special.bos,)
        if trace.grammar is None:
            end = Choice(Kinds.NONE, only=(self._special.eos,))
            return Ruling((), end) if trace.is_looping else Ruling(banned)
        grammar, state = trace.grammar, trace.state
        choice = grammar.choice(
            state, grammar.cost(state) if trace.is_looping else self.limit - step
        )
        trace.is_tight = choice.is_tight
        if banned:  # mostly tokens that the grammar forbids anyway
            banned = tuple(token for token in banned if grammar.permits(choice, token))
        return Ruling(banned if not banned or grammar.leaves(choice, banned) else (), choice)

    def reason(self, trace: Trace, num_tokens: int) -> FinishReason:
        """Why an answer of so many tokens ended."""
        if trace.is_looping:
            return "loop"
        at_limit = num_tokens == self.limit
        if trace.grammar is not None and trace.grammar.kind is not AnswerKind.TEXT:
            return "grammar" if at_limit or trace.is_tight else "stop"
        return "length" if at_limit else "stop"


class Masks:
    """Writes rulings into scores; keeps a mask for each set of tokens."""

    def __init__(self, width: int, device: torch.device) -> None:
        self.device = device
        self._masks: dict[tuple[int, Kinds, tuple[int, ...]], Tensor] = {}
        self._nothing = torch.zeros(width, dtype=torch.bool, device=device)

    def apply(
        self,
        scores_RV: Tensor,
        rulings: Sequence[Ruling],
        grammars: Sequence[Grammar | None],
    ) -> None:
        """Set the scores of all that may not come next to minus infinity, in place."""
        pairs = list(zip(rulings, grammars, strict=True))
        masks = [self._mask(ruling.choice, grammar) for ruling, grammar in pairs]
        if any(mask is not masks[0] for mask in masks):
            scores_RV.masked_fill_(torch.stack(masks), -torch.inf)
        elif masks[0] is not self._nothing:
            scores_RV.masked_fill_(masks[0], -torch.inf)
        for row, (ruling, grammar) in enumerate(pairs):
            if grammar is not None and ruling.choice is not None and ruling.choice.bins:
                locations, (low, high) = grammar.vocabulary.locations, ruling.choice.bins
                if low:
                    scores_RV[row, locations.start : locations.start + low] = -torch.inf
                if high < len(locations):
                    scores_RV[row, locations.start + high : locations.stop] = -torch.inf
        ban(
            scores_RV,
            [
                ruling.banned + ruling.choice.without if ruling.choice else ruling.banned
                for ruling in rulings
            ],
        )

    def _mask(self, choice: Choice | None, grammar: Grammar | None) -> Tensor:
        """True for every token that is neither of the classes of a choice nor one of its own."""
        if choice is None:
            return self._nothing
        key = (0 if grammar is None else id(grammar.vocabulary), choice.kinds, choice.only)
        if key not in self._masks:
            mask = ~self._nothing
            if grammar is not None:
                outside = grammar.vocabulary.kind_values & int(choice.kinds) == 0
                mask[: len(outside)] = torch.from_numpy(outside).to(self.device)
            mask[list(choice.only)] = False
            if len(self._masks) == MAX_MASKS:
                self._masks.clear()
            self._masks[key] = mask
        return self._masks[key]


def ban(scores_RV: Tensor, banned: Sequence[Sequence[int]]) -> None:
    """Set the scores of the banned tokens of each row to minus infinity, in place."""
    rows = [row for row, tokens in enumerate(banned) for _ in tokens]
    if rows:
        tokens = [token for tokens in banned for token in tokens]
        index_2X = torch.tensor((rows, tokens), device=scores_RV.device)
        scores_RV[index_2X[0], index_2X[1]] = -torch.inf
