"""What becomes of the candidates of one request: greedy search, sampling and beam search.

The semantics are those of the published generation code; the tests hold a slow twin of it.
Where the rules leave fewer continuations than there are beams, the places are filled with dead
hypotheses, of score minus infinity.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from math import inf

from florence2.generation.grammar import START, Grammar, State
from florence2.generation.logit_rules import LogitRules, RuleState
from florence2.generation.options import FinishReason, Generated, GenerationOptions, SpecialIds
from florence2.generation.runtime import Candidate, DecoderInput, Draw, Row


@dataclass
class Hypothesis:
    """One answer so far; `score` is the sum of the log-probabilities of its unforced tokens."""

    rules: LogitRules
    state: RuleState
    tokens: list[int]
    logprobs: list[float] = field(default_factory=list)
    score: float = 0.0

    def fork(self) -> "Hypothesis":
        """An equal hypothesis that grows on its own."""
        copies = self.state.fork(), self.tokens.copy(), self.logprobs.copy()
        return Hypothesis(self.rules, *copies, self.score)

    def append(self, token: int, logprob: float, score: float) -> None:
        self.tokens.append(token)
        self.logprobs.append(logprob)
        self.score = score
        self.rules.update(self.state, self.tokens)

    @property
    def row(self) -> Row:
        """What the decoder needs for the next token."""
        constraint = self.rules.constraint(self.state, len(self.tokens))
        penalty = self.rules.penalty(self.tokens)
        return Row(self.tokens[-1], self.score, constraint, penalty)

    @property
    def is_dead(self) -> bool:
        """Whether the rules forbid this answer; it only fills a place among the beams."""
        return self.score == -inf

    @property
    def finish_reason(self) -> FinishReason:
        return self.rules.finish_reason(self.state, len(self.tokens))

    def rank(self, length_penalty: float, length: int | None = None) -> float:
        """What hypotheses of different lengths are compared by, as if it had `length` tokens."""
        return float(self.score / (length or len(self.tokens)) ** length_penalty)


class SingleSearch:
    """The state of one request that is answered by one hypothesis: greedy or drawn."""

    def __init__(self, start: Hypothesis, options: GenerationOptions, eos: int) -> None:
        self.running = [start]
        self.parents = [0]  # the rows of the step before that `running` continues
        self.options = options
        self._eos = eos

    @property
    def done(self) -> bool:
        tokens = self.running[0].tokens
        return len(tokens) == self.running[0].rules.limit or tokens[-1] == self._eos

    def advance(self, candidates: Sequence[Candidate]) -> None:
        """Take the one candidate."""
        (chosen,) = candidates
        self.running[0].append(chosen.token, chosen.logprob, chosen.score)

    def best(self) -> Hypothesis:
        """The answer."""
        return self.running[0]

    def settled_tokens(self) -> list[int]:
        """The beginning of the answer that cannot change any more."""
        return self.running[0].tokens


class BeamSearch:
    """The state of one request that is answered by the best of several hypotheses."""

    def __init__(self, start: Hypothesis, options: GenerationOptions, eos: int) -> None:
        self.running = [start]  # best first; `num_beams` of them from the second token on
        self.parents = [0]
        self.done = False
        self._finished: list[tuple[float, Hypothesis]] = []  # best first, `num_beams` at most
        self.options = options
        self._eos = eos
        if start.tokens[-1] == eos:
            self._finish(start)
            self.done = True

    def advance(self, candidates: Sequence[Candidate]) -> None:
        """Sort candidates (best first) into finished and running hypotheses.

        Of the candidates that end, only those among the best `num_beams` count.
        """
        num_beams = self.options.num_beams
        survivors: list[Candidate] = []
        for place, candidate in enumerate(candidates):
            if candidate.token != self._eos:
                survivors.append(candidate)
            elif place < num_beams and candidate.score > -inf:
                self._finish(self._extended(candidate))
        self.parents = [candidate.parent for candidate in survivors[:num_beams]]
        self.running = [self._extended(candidate) for candidate in survivors[:num_beams]]
        self.done = not self.running or self._is_settled()

    def best(self) -> Hypothesis:
        """The answer, once done."""
        return self._finished[0][1]

    def settled_tokens(self) -> list[int]:
        """The beginning of the answer that cannot change any more: what all hypotheses share."""
        if self.done:
            return self.best().tokens
        finished = [hypothesis for _, hypothesis in self._finished]
        tokens = (each.tokens for each in self.running + finished if not each.is_dead)
        shared = takewhile(lambda row: len({*row}) == 1, zip(*tokens, strict=False))
        return [row[0] for row in shared]

    def _extended(self, candidate: Candidate) -> Hypothesis:
        hypothesis = self.running[candidate.parent].fork()
        hypothesis.append(candidate.token, candidate.logprob, candidate.score)
        return hypothesis

    def _finish(self, hypothesis: Hypothesis) -> None:
        self._finished.append((hypothesis.rank(self.options.length_penalty), hypothesis))
        self._finished.sort(key=lambda pair: -pair[0])
        del self._finished[self.options.num_beams :]

    def _is_settled(self) -> bool:
        """Whether the finished hypotheses are enough, by the chosen kind of early stopping."""
        if self.running[0].is_dead:
            return True
        if len(self._finished) < self.options.num_beams:
            return False
        if self.options.early_stopping is True:
            return True
        penalty = self.options.length_penalty
        # A positive penalty favours long answers: hope for the longest one.
        hopeful = self.options.early_stopping == "never" and penalty > 0
        hoped = self.running[0].rank(penalty, self.running[0].rules.limit if hopeful else None)
        return hoped <= self._finished[-1][0]


Search = SingleSearch | BeamSearch


def new_search(
    options: GenerationOptions,
    special: SpecialIds,
    limit: int,
    grammar: Grammar | None = None,
    prefix: Sequence[int] = (),
    state: State = START,
) -> Search:
    """Begin to answer a request.

    Args:
        limit: tokens that the answer may have at most.
        grammar: what it is made of, None for any tokens.
        prefix: tokens that it begins with, `bos` first. Empty for `bos` alone, or `eos` where there
            is room for one token only.
        state: of the grammar behind the prefix.
    """
    rules = LogitRules(options, special, limit)
    forced = rules.forced_token(0)
    assert forced is not None, "the first token is always forced"
    tokens = [*prefix] or [forced]
    kind = SingleSearch if options.num_beams == 1 else BeamSearch
    start = Hypothesis(rules, rules.new_state(tokens, grammar, state), tokens)
    return kind(start, options, special.eos)


def decoder_input(search: Search) -> DecoderInput:
    """What a runtime needs for the next token of a request."""
    options, running = search.options, search.running
    draw = None
    if options.temperature > 0:
        height = uniform(options.seed, len(running[0].tokens))
        draw = Draw(options.temperature, options.top_p, height)
    return DecoderInput([each.row for each in running], draw)


def uniform(seed: int, step: int) -> float:
    """The number in [0, 1) that every request with this seed draws its next token by.

    It depends on nothing else, so an answer is the same alone and in any batch.
    """
    return random.Random(f"{seed} {step}").random()


def finished(search: Search) -> Generated:
    """The answer of a search that is done."""
    best = search.best()
    return Generated(
        token_ids=tuple(best.tokens),
        finish_reason=best.finish_reason,
        token_logprobs=tuple(best.logprobs),
        sequence_score=best.rank(search.options.length_penalty),
    )
