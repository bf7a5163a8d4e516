"""Greedy search, sampling and beam search, many requests side by side.

    memory -- decode one token --> logits -- ban, choose --> candidates of each request
       ^                                                              |
       +-- caches follow the survivors, finished requests leave <-- advance

Choosing and banning happen on tensors, for all requests at once; what becomes of the few
candidates of a request is decided in plain Python. The semantics are those of the published
generation code; `naive.py` says the same thing slowly. Where the rules leave fewer continuations
than there are beams, the places are filled with dead hypotheses, of score minus infinity.

Shapes: `B` requests, `R` rows decoded (the hypotheses of one request in consecutive rows), `I`
image tokens, `L` prompt length, `S` source length, `D` width, `V` vocabulary, `C` candidates.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

import torch
from torch import Tensor

from florence2.errors import ConfigError
from florence2.generation.grammar import Grammar
from florence2.generation.options import FinishReason, Generated, GenerationOptions, SpecialIds
from florence2.generation.rules import Masks, Rules, Trace
from florence2.model.florence2 import Florence2Model


@dataclass
class Hypothesis:
    """One answer so far; `score` is the sum of the log-probabilities of its unforced tokens."""

    rules: Rules
    trace: Trace
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    score: float = 0.0

    def fork(self) -> "Hypothesis":
        """An equal hypothesis that grows on its own."""
        copies = self.trace.fork(), self.tokens.copy(), self.logprobs.copy()
        return Hypothesis(self.rules, *copies, self.score)

    def append(self, token: int, logprob: float, score: float) -> None:
        self.tokens.append(token)
        self.logprobs.append(logprob)
        self.score = score
        self.rules.note(self.trace, self.tokens)

    @property
    def is_dead(self) -> bool:
        """Whether the rules forbid this answer; it only fills a place among the beams."""
        return self.score == -inf

    @property
    def finish_reason(self) -> FinishReason:
        return self.rules.reason(self.trace, len(self.tokens))

    def rank(self, length_penalty: float, length: int | None = None) -> float:
        """What hypotheses of different lengths are compared by, as if it had `length` tokens."""
        return float(self.score / (length or len(self.tokens)) ** length_penalty)


@dataclass(frozen=True)
class Candidate:
    """A possible next token of a request."""

    parent: int  # which running hypothesis it continues
    token: int
    logprob: float
    score: float  # of the hypothesis that it would make


class SingleSearch:
    """The state of one request that is answered by one hypothesis: greedy or drawn."""

    def __init__(self, start: Hypothesis, options: GenerationOptions, eos: int, limit: int) -> None:
        self.running = [start]
        self.parents = [0]  # the rows of the step before that `running` continues
        self._eos = eos
        self._limit = limit

    @property
    def done(self) -> bool:
        tokens = self.running[0].tokens
        return len(tokens) == self._limit or tokens[-1] == self._eos

    def advance(self, candidates: Sequence[Candidate]) -> None:
        """Take the one candidate."""
        (chosen,) = candidates
        self.running[0].append(chosen.token, chosen.logprob, chosen.score)

    def best(self) -> Hypothesis:
        """The answer."""
        return self.running[0]


class BeamSearch:
    """The state of one request that is answered by the best of several hypotheses."""

    def __init__(self, start: Hypothesis, options: GenerationOptions, eos: int, limit: int) -> None:
        self.running = [start]  # best first; `num_beams` of them from the second token on
        self.parents = [0]
        self.done = False
        self._finished: list[tuple[float, Hypothesis]] = []  # best first, `num_beams` at most
        self._options = options
        self._eos = eos
        self._limit = limit

    def advance(self, candidates: Sequence[Candidate]) -> None:
        """Sort candidates (best first) into finished and running hypotheses.

        Of the candidates that end, only those among the best `num_beams` count.
        """
        num_beams = self._options.num_beams
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

    def _extended(self, candidate: Candidate) -> Hypothesis:
        hypothesis = self.running[candidate.parent].fork()
        hypothesis.append(candidate.token, candidate.logprob, candidate.score)
        return hypothesis

    def _finish(self, hypothesis: Hypothesis) -> None:
        self._finished.append((hypothesis.rank(self._options.length_penalty), hypothesis))
        self._finished.sort(key=lambda pair: -pair[0])
        del self._finished[self._options.num_beams :]

    def _is_settled(self) -> bool:
        """Whether the finished hypotheses are enough, by the chosen kind of early stopping."""
        if self.running[0].is_dead:
            return True
        if len(self._finished) < self._options.num_beams:
            return False
        if self._options.early_stopping is True:
            return True
        penalty = self._options.length_penalty
        # A positive penalty favours long answers: hope for the longest one.
        hopeful = self._options.early_stopping == "never" and penalty > 0
        hoped = self.running[0].rank(penalty, self._limit if hopeful else None)
        return hoped <= self._finished[-1][0]


Search = SingleSearch | BeamSearch


class Batch:
    """The rows that the decoder works on: memory of the waiting requests, and caches."""

    def __init__(self, model: Florence2Model, memory_BSD: Tensor, mask_BS: Tensor | None) -> None:
        self._model = model
        self._memory_BSD = memory_BSD
        self._mask_BS = mask_BS
        self._cache = model.new_cache()

    def decode(self, tokens: Sequence[int]) -> Tensor:
        """Logits `(R, V)` in float32 after one more token in each row."""
        token_ids_R1 = self._tensor(tokens)[:, None]
        logits_R1V = self._model.decode(token_ids_R1, self._memory_BSD, self._mask_BS, self._cache)
        return logits_R1V[:, -1].float()

    def keep(self, rows: Sequence[int], requests: Sequence[int]) -> None:
        """Continue with these rows, which belong to these requests, and forget the others."""
        if len(requests) == len(self._memory_BSD):
            self._cache.reorder(self._tensor(rows))
            return
        index_B = self._tensor(requests)
        self._cache.reorder(self._tensor(rows), index_B)
        self._memory_BSD = self._memory_BSD[index_B]
        self._mask_BS = None if self._mask_BS is None else self._mask_BS[index_B]

    def _tensor(self, values: Sequence[int]) -> Tensor:
        return torch.tensor(values, device=self._memory_BSD.device)


@torch.inference_mode()
def generate(
    model: Florence2Model,
    image_tokens_BID: Tensor,
    prompt_ids_BL: Tensor,
    prompt_mask_BL: Tensor | None,
    options: GenerationOptions,
    special: SpecialIds,
    grammars: Sequence[Grammar | None] | None = None,
) -> list[Generated]:
    """Write one answer for each request; an answer does not depend on the rest of the batch.

    Args:
        model: in evaluation mode (dropout would make answers random).
        image_tokens_BID: `(B, I, D)`, from `model.encode_image`.
        prompt_ids_BL: int64 `(B, L)`, padded on the right.
        prompt_mask_BL: `(B, L)`, 1 where the prompt is real; None if all of it is.
        options: how to search.
        special: ids of the start, of the forced first token and of the last token.
        grammars: what the answer of each request is made of, None for any tokens.
    """
    limit = answer_limit(model, options)
    rules = Rules(options, special, limit)
    searches = [
        _open(rules, grammar, options, special, limit)
        for grammar in grammars or [None] * len(prompt_ids_BL)
    ]
    if not searches:
        return []
    memory_BSD = model.encode(image_tokens_BID, prompt_ids_BL, prompt_mask_BL)
    batch = Batch(model, memory_BSD, model.memory_mask(image_tokens_BID, prompt_mask_BL))
    masks = Masks(model.config.text.vocab_size, memory_BSD.device)
    waiting = searches
    tokens = [special.decoder_start] * len(waiting)
    for step in range(limit):
        logits_RV = batch.decode(tokens)
        candidates = _candidates(logits_RV, waiting, rules, masks, step, options)
        for search, its_candidates in zip(waiting, candidates, strict=True):
            search.advance(its_candidates)
        width = len(tokens) // len(waiting)
        kept = [place for place, search in enumerate(waiting) if not search.done]
        rows = [place * width + parent for place in kept for parent in waiting[place].parents]
        if not kept:
            break
        if rows != list(range(len(tokens))):
            batch.keep(rows, kept)
        waiting = [waiting[place] for place in kept]
        tokens = [hypothesis.tokens[-1] for search in waiting for hypothesis in search.running]
    return [_generated(search.best(), options) for search in searches]


def answer_limit(model: Florence2Model, options: GenerationOptions) -> int:
    """Tokens an answer may have: each but the last is fed back and needs a position."""
    vocab_size = model.config.text.vocab_size
    if 2 * options.num_beams > vocab_size:
        raise ConfigError(
            f"num_beams {options.num_beams!r} is too many for a vocabulary of {vocab_size:,}"
            f" tokens; give {vocab_size // 2:,} at most"
        )
    return min(options.max_new_tokens, model.config.text.max_position_embeddings)


def _open(
    rules: Rules,
    grammar: Grammar | None,
    options: GenerationOptions,
    special: SpecialIds,
    limit: int,
) -> Search:
    kind = SingleSearch if options.num_beams == 1 else BeamSearch
    return kind(Hypothesis(rules, rules.trace(grammar)), options, special.eos, limit)


def _generated(hypothesis: Hypothesis, options: GenerationOptions) -> Generated:
    return Generated(
        token_ids=tuple(hypothesis.tokens),
        finish_reason=hypothesis.finish_reason,
        token_logprobs=tuple(hypothesis.logprobs),
        sequence_score=hypothesis.rank(options.length_penalty),
    )


def _candidates(
    logits_RV: Tensor,
    waiting: Sequence[Search],
    rules: Rules,
    masks: Masks,
    step: int,
    options: GenerationOptions,
) -> list[list[Candidate]]:
    """What each request may write next, best first."""
    forced = rules.forced(step)
    if forced is not None:
        return _forced_candidates(logits_RV, waiting, forced)
    traces = [hypothesis.trace for search in waiting for hypothesis in search.running]
    rulings = [rules.ruling(trace, step) for trace in traces]
    logprobs_RV = logits_RV.log_softmax(-1)
    # Beams compare sums of log-probabilities. One token alone is chosen by logits, not by
    # log-probabilities, whose rounding can make two logits equal.
    scores_RV = logits_RV if options.num_beams == 1 else logprobs_RV
    masks.apply(scores_RV, rulings, [trace.grammar for trace in traces])
    if options.num_beams > 1:
        return _beam_candidates(logprobs_RV, waiting, options.num_beams)
    return _single_candidates(logits_RV, logprobs_RV, waiting, step, options)


def _forced_candidates(
    logits_RV: Tensor, waiting: Sequence[Search], token: int
) -> list[list[Candidate]]:
    """The forced token after every hypothesis; it leaves the scores as they are."""
    logprobs = iter(logits_RV.log_softmax(-1)[:, token].tolist())
    return [
        [
            Candidate(parent, token, next(logprobs), hypothesis.score)
            for parent, hypothesis in enumerate(search.running)
        ]
        for search in waiting
    ]


def _beam_candidates(
    logprobs_RV: Tensor, waiting: Sequence[Search], num_beams: int
) -> list[list[Candidate]]:
    """The best 2 * num_beams continuations over all hypotheses of a request.

    At most one continuation of each hypothesis ends, so at least `num_beams` of them do not.
    """
    vocab_size = logprobs_RV.shape[-1]
    scores = [hypothesis.score for search in waiting for hypothesis in search.running]
    totals_RV = logprobs_RV + logprobs_RV.new_tensor(scores)[:, None]
    top_BC = totals_RV.view(len(waiting), -1).topk(2 * num_beams)
    logprobs_BC = logprobs_RV.view(len(waiting), -1).gather(1, top_BC.indices)
    lists = (top_BC.indices.tolist(), logprobs_BC.tolist(), top_BC.values.tolist())
    return [
        [
            Candidate(index // vocab_size, index % vocab_size, logprob, score)
            for index, logprob, score in zip(*columns, strict=True)
        ]
        for columns in zip(*lists, strict=True)
    ]


def _single_candidates(
    logits_RV: Tensor,
    logprobs_RV: Tensor,
    waiting: Sequence[Search],
    step: int,
    options: GenerationOptions,
) -> list[list[Candidate]]:
    """The most likely or a drawn token for each request."""
    if options.temperature > 0:
        height = uniform(options.seed, step)
        tokens_R = draw(logits_RV / options.temperature, options.top_p, height)
    else:
        tokens_R = logits_RV.argmax(-1)
    logprobs_R = logprobs_RV.gather(1, tokens_R[:, None])[:, 0]
    return [
        [Candidate(0, token, logprob, search.running[0].score + logprob)]
        for search, token, logprob in zip(
            waiting, tokens_R.tolist(), logprobs_R.tolist(), strict=True
        )
    ]


def uniform(seed: int, step: int) -> float:
    """The number in [0, 1) that every request with this seed draws its next token by.

    It depends on nothing else, so an answer is the same alone and in any batch.
    """
    return random.Random(f"{seed} {step}").random()


def draw(logits_RV: Tensor, top_p: float, height: float) -> Tensor:
    """Draw token ids `(R,)`: the tokens at which the cumulative distribution passes `height`.

    Only the most likely tokens that together reach `top_p` take part, that is those before
    which less than `top_p` of the probability lies.
    """
    probs_RV, order_RV = torch.sort(logits_RV.softmax(-1), dim=-1, descending=True, stable=True)
    cumulative_RV = probs_RV.cumsum(-1)
    taking_part_RV = (cumulative_RV - probs_RV < top_p) & (probs_RV > 0)
    last_R1 = taking_part_RV.sum(-1, keepdim=True) - 1
    heights_R1 = height * cumulative_RV.gather(1, last_R1)
    places_R1 = torch.searchsorted(cumulative_RV, heights_R1, right=True)
    return order_RV.gather(1, places_R1.minimum(last_R1))[:, 0]
