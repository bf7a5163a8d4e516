"""The slow twin of `florence2.generation.batch`: one request, no KV cache, every step from
the first token on.

Written to be read and believed; the tests compare `generate` with it. It shares nothing
with its twin but the options, the grammars and the numbers that tokens are drawn by, so it states
the rules again, in their plainest form.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from florence2.generation.grammar import AllowedTokens, Grammar, State
from florence2.generation.options import FinishReason, Generated, GenerationOptions, SpecialIds
from florence2.generation.search import uniform
from florence2.model.florence2 import Florence2Model
from florence2.tasks import AnswerKind


@torch.inference_mode()
def generate_naive(
    model: Florence2Model,
    image_tokens_1ID: Tensor,
    prompt_ids_1L: Tensor,
    options: GenerationOptions,
    special: SpecialIds,
    grammar: Grammar | None = None,
) -> Generated:
    """Answer one request, whose prompt has no padding; otherwise as `generate`."""
    writer = _Writer(model, image_tokens_1ID, prompt_ids_1L, options, special, grammar)
    answer = writer.single() if options.num_beams == 1 else writer.beams()
    return Generated(
        token_ids=answer.tokens,
        finish_reason=writer.reason(answer.tokens),
        token_logprobs=tuple(
            writer.logprobs(answer.tokens[:step])[token] for step, token in enumerate(answer.tokens)
        ),
        sequence_score=writer.rank(answer),
    )


@dataclass(frozen=True)
class _Answer:
    tokens: tuple[int, ...] = ()
    score: float = 0.0


class _Writer:
    def __init__(
        self,
        model: Florence2Model,
        image_tokens_1ID: Tensor,
        prompt_ids_1L: Tensor,
        options: GenerationOptions,
        special: SpecialIds,
        grammar: Grammar | None,
    ) -> None:
        self.model = model
        self.memory_1SD = model.encode(image_tokens_1ID, prompt_ids_1L)
        self.options = options
        self.special = special
        self.grammar = grammar
        self.limit = min(options.max_new_tokens, model.config.text.max_position_embeddings)
        self.known: dict[tuple[int, ...], list[float]] = {}

    def logprobs(self, tokens: tuple[int, ...]) -> list[float]:
        """The log-probability of every token of the vocabulary after these."""
        if tokens not in self.known:
            self.known[tokens] = self.computed(tokens)
        return self.known[tokens]

    def computed(self, tokens: tuple[int, ...]) -> list[float]:
        written = [[self.special.decoder_start, *tokens]]
        token_ids_1T = torch.tensor(written, device=self.memory_1SD.device)
        logits_V = self.model.decode(token_ids_1T, self.memory_1SD)[0, -1]
        return list(logits_V.float().log_softmax(-1).tolist())

    def continuations(self, answer: _Answer) -> list[_Answer]:
        """The answers that are one token longer, without those that the rules forbid."""
        if len(answer.tokens) == self.limit - 1:
            return [_Answer((*answer.tokens, self.special.eos), answer.score)]
        if not answer.tokens:
            return [_Answer((self.special.bos,), answer.score)]
        return [
            _Answer((*answer.tokens, token), answer.score + logprobs[token])
            for logprobs in [self.logprobs(answer.tokens)]
            for token in self.allowed(answer.tokens, len(logprobs))
        ]

    def allowed(self, tokens: tuple[int, ...], vocab_size: int) -> list[int]:
        """The tokens that the rules allow after these; the grammar outranks the bans."""
        everything = range(vocab_size)
        if self.grammar is not None:
            choice = self.choice(tokens)
            grammatical = [token for token in everything if self.grammar.allows(choice, token)]
            return [token for token in grammatical if self.may(tokens, token)] or grammatical
        if self.loops(tokens):
            return [self.special.eos]
        return [token for token in everything if self.may(tokens, token)]

    def choice(self, tokens: tuple[int, ...]) -> AllowedTokens:
        """What the grammar allows after these."""
        assert self.grammar is not None, "asked for without a grammar"
        state = State()
        for token in tokens:
            state = self.grammar.advance(state, token)
        room = self.limit - len(tokens)
        return self.grammar.allowed(
            state, self.grammar.min_tokens_left(state) if self.loops(tokens) else room
        )

    def may(self, tokens: tuple[int, ...], token: int) -> bool:
        """Whether the bans allow a token after these."""
        if token == self.special.eos and len(tokens) < self.options.min_new_tokens:
            return False
        if token == self.special.bos and self.options.end_loops:
            return False
        size = self.options.no_repeat_ngram_size
        written = (self.special.decoder_start, *tokens)
        ngram = (*written, token)[-size:]
        return size == 0 or all(
            written[start : start + size] != ngram for start in range(len(written))
        )

    def loops(self, tokens: tuple[int, ...]) -> bool:
        """Whether these tokens, or fewer of them, ended in equal runs."""
        return self.options.end_loops and any(
            self.ends_in_runs(tokens[:length]) for length in range(1, len(tokens) + 1)
        )

    def ends_in_runs(self, tokens: tuple[int, ...]) -> bool:
        for size in range(1, len(tokens) + 1):
            run, repeats = tokens[-size:], 1
            while tokens[: -size * repeats][-size:] == run:
                repeats += 1
            has_location = any(token in self.special.locations for token in run)
            wanted, least = (3, 12) if has_location else (8, 64)
            if repeats >= wanted and size * repeats >= least:
                return True
        return False

    def reason(self, tokens: tuple[int, ...]) -> FinishReason:
        """Why an answer ended."""
        before = tokens[:-1]
        if self.loops(tokens):
            return "loop"
        if self.grammar is not None and self.grammar.kind is not AnswerKind.TEXT:
            at_limit = len(tokens) == self.limit
            return "grammar" if at_limit or self.choice(before).out_of_room else "stop"
        return "length" if len(tokens) == self.limit else "stop"

    def ends(self, answer: _Answer) -> bool:
        return answer.tokens[-1] == self.special.eos

    def rank(self, answer: _Answer, length: int | None = None) -> float:
        return float(answer.score / (length or len(answer.tokens)) ** self.options.length_penalty)

    def single(self) -> _Answer:
        """Greedy search, or one draw after another."""
        answer = _Answer()
        while not answer.tokens or not self.ends(answer):
            likely = sorted(self.continuations(answer), key=lambda each: -each.score)
            if self.options.temperature > 0:
                answer = self.drawn(likely, uniform(self.options.seed, len(answer.tokens)))
            else:
                answer = likely[0]
        return answer

    def drawn(self, likely: list[_Answer], height: float) -> _Answer:
        """The answer at which the cumulative distribution of the nucleus passes `height`."""
        logits = [(each.score - likely[0].score) / self.options.temperature for each in likely]
        total = math.fsum(math.exp(logit) for logit in logits)
        shares = [math.exp(logit) / total for logit in logits]
        size = 1
        while size < len(likely) and math.fsum(shares[:size]) < self.options.top_p:
            size += 1
        goal = height * math.fsum(shares[:size])
        return next(likely[at] for at in range(size) if math.fsum(shares[: at + 1]) > goal)

    def beams(self) -> _Answer:
        """Beam search."""
        num_beams = self.options.num_beams
        running, finished = [_Answer()], list[_Answer]()
        while running and not self.settled(running, finished):
            longer = [each for answer in running for each in self.continuations(answer)]
            best = sorted(longer, key=lambda each: -each.score)[: 2 * num_beams]
            finished += [each for each in best[:num_beams] if self.ends(each)]
            finished = sorted(finished, key=lambda each: -self.rank(each))[:num_beams]
            running = [each for each in best if not self.ends(each)][:num_beams]
        return finished[0]

    def settled(self, running: list[_Answer], finished: list[_Answer]) -> bool:
        """Whether following the running answers any further cannot pay, or is not wanted."""
        if len(finished) < self.options.num_beams:
            return False
        if self.options.early_stopping is True:
            return True
        length = len(running[0].tokens)
        if self.options.early_stopping == "never" and self.options.length_penalty > 0:
            length = self.limit
        return self.rank(running[0], length) <= self.rank(finished[-1])
