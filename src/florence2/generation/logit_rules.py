"""Logit rules: what an answer may or must say next, whatever the model thinks.

First token forced to `bos`, last possible one forced to `eos`, no n-gram twice, no `eos` before
the minimum length; the grammar of the task and the end of loops, where they are wanted. Rules look
at token ids only; the sampler of a runtime writes them into logits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from florence2.generation.grammar import START, AllowedTokens, Grammar, State, TokenClass
from florence2.generation.options import FinishReason, GenerationOptions, SpecialIds
from florence2.generation.runtime import Penalty, TokenConstraint
from florence2.tasks import AnswerKind

# Equal runs in a row that are a loop, and the least number of tokens they have together.
OBJECT_REPEATS = 3
OBJECT_LOOP = OBJECT_REPEATS, 12
WORDS_LOOP = 8, 64


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
class RuleState:
    """What the rules remember of one hypothesis."""

    ngrams: NgramBan
    grammar: Grammar | None = None
    state: State = START
    out_of_room: bool = False  # it ended with less to choose from, for want of room
    is_looping: bool = False

    def fork(self) -> "RuleState":
        """An equal state that grows on its own."""
        ngrams = self.ngrams.fork()
        return RuleState(ngrams, self.grammar, self.state, self.out_of_room, self.is_looping)


class LogitRules:
    """The rules of one request; `step` counts the tokens that an answer has already."""

    def __init__(self, options: GenerationOptions, special: SpecialIds, limit: int) -> None:
        self.limit = limit  # tokens an answer may have at most
        self._special = special
        self._min_new_tokens = options.min_new_tokens
        self._repetition_penalty = options.repetition_penalty
        self._suppressed = options.suppress_tokens
        self._ngram_size = options.no_repeat_ngram_size
        self._end_loops = options.end_loops

    def new_state(
        self, prefix: Sequence[int], grammar: Grammar | None = None, state: State = START
    ) -> RuleState:
        """The state behind the given beginning of an answer, of which the grammar knows nothing."""
        ngrams = NgramBan(self._ngram_size)
        ngrams.append(self._special.decoder_start)  # the published ban counts the start token too
        for token in prefix:
            ngrams.append(token)
        return RuleState(ngrams, grammar, state)

    def update(self, state: RuleState, tokens: Sequence[int]) -> None:
        """Take note of the last of the tokens."""
        token = tokens[-1]
        state.ngrams.append(token)
        if state.grammar is not None:
            if token == self._special.eos:
                choice = self._allowed(state.grammar, state, len(tokens) - 1)
                state.out_of_room = choice.out_of_room
            state.state = state.grammar.advance(state.state, token)
        if self._end_loops and not state.is_looping:
            state.is_looping = in_loop(tokens, self._special.locations)

    def forced_token(self, step: int) -> int | None:
        """The only token allowed next, if there is but one; the end outranks the beginning."""
        if step == self.limit - 1:
            return self._special.eos
        return self._special.bos if step == 0 else None

    def constraint(self, state: RuleState, step: int) -> TokenConstraint:
        """What may come next.

        The grammar outranks the bans: where they leave nothing of it, they are off.
        """
        if (forced := self.forced_token(step)) is not None:
            return TokenConstraint(forced)
        banned = state.ngrams.banned() + self._suppressed
        if step < self._min_new_tokens:
            banned += (self._special.eos,)
        if self._end_loops:
            banned += (self._special.bos,)
        grammar = state.grammar
        if grammar is None:
            end = AllowedTokens(TokenClass.NONE, only=(self._special.eos,))
            return (
                TokenConstraint(None, (), end)
                if state.is_looping
                else TokenConstraint(None, banned)
            )
        allowed = self._allowed(grammar, state, step)
        if banned:  # mostly tokens that the grammar forbids anyway
            banned = tuple(token for token in banned if grammar.allows(allowed, token))
            banned = banned if grammar.any_left_after(allowed, banned) else ()
        return TokenConstraint(None, banned, allowed, grammar.vocabulary)

    def penalty(self, tokens: Sequence[int]) -> Penalty | None:
        """What becomes of the tokens of an answer, and of the start token, if they are repeated."""
        if self._repetition_penalty == 1:
            return None
        written = (*{self._special.decoder_start, *tokens},)
        return Penalty(written, self._repetition_penalty)

    def _allowed(self, grammar: Grammar, state: RuleState, step: int) -> AllowedTokens:
        """The tokens of the grammar; in a loop those of the shortest way to the end."""
        least = grammar.min_tokens_left(state.state) if state.is_looping else self.limit - step
        return grammar.allowed(state.state, least)

    def finish_reason(self, state: RuleState, num_tokens: int) -> FinishReason:
        """Why an answer of so many tokens ended."""
        if state.is_looping:
            return "loop"
        at_limit = num_tokens == self.limit
        if state.grammar is not None and state.grammar.kind is not AnswerKind.TEXT:
            return "grammar" if at_limit or state.out_of_room else "stop"
        return "length" if at_limit else "stop"
