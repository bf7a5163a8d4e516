"""From logits to the candidates of each request, on tensors, for all requests at once.

Shapes: `R` rows decoded (the hypotheses of one request in consecutive rows), `V` vocabulary, `C`
candidates of a request.
"""

import random
from collections.abc import Sequence

import torch
from torch import Tensor

from florence2.generation.rules import Masks, Ruling
from florence2.generation.search import Candidate, Search


def choose(
    logits_RV: Tensor, searches: Sequence[Search], masks: Masks, num_beams: int
) -> list[list[Candidate]]:
    """What each request may write next, best first.

    Args:
        logits_RV: float32, a row for each running hypothesis, as many for each request.
    """
    logprobs_RV = logits_RV.log_softmax(-1)
    running = [(search, each) for search in searches for each in search.running]
    forced = [each.rules.forced(len(each.tokens)) for _, each in running]
    # Beams compare sums of log-probabilities. One token alone is chosen by logits, not by
    # log-probabilities, whose rounding can make two logits equal.
    scores_RV = logits_RV if num_beams == 1 else logprobs_RV
    rulings = [
        Ruling() if token is not None else each.rules.ruling(each.trace, len(each.tokens))
        for token, (_, each) in zip(forced, running, strict=True)
    ]
    fixed = {
        row: logprobs_RV[row, token].item() for row, token in enumerate(forced) if token is not None
    }
    masks.apply(scores_RV, rulings, [each.trace.grammar for _, each in running])
    if len(fixed) == len(running):
        candidates: list[list[Candidate]] = [[] for _ in searches]
    elif num_beams == 1:
        candidates = _single_candidates(logits_RV, logprobs_RV, searches)
    else:
        candidates = _beam_candidates(logprobs_RV, searches, num_beams)
    width = len(running) // len(searches)
    for place, search in enumerate(searches):
        token = forced[place * width]
        if token is not None:  # it leaves the scores as they are
            candidates[place] = [
                Candidate(parent, token, fixed[place * width + parent], hypothesis.score)
                for parent, hypothesis in enumerate(search.running)
            ]
    return candidates


def _beam_candidates(
    logprobs_RV: Tensor, searches: Sequence[Search], num_beams: int
) -> list[list[Candidate]]:
    """The best 2 * num_beams continuations over all hypotheses of a request.

    At most one continuation of each hypothesis ends, so at least `num_beams` of them do not.
    """
    vocab_size = logprobs_RV.shape[-1]
    scores = [hypothesis.score for search in searches for hypothesis in search.running]
    totals_RV = logprobs_RV + logprobs_RV.new_tensor(scores)[:, None]
    top_BC = totals_RV.view(len(searches), -1).topk(2 * num_beams)
    logprobs_BC = logprobs_RV.view(len(searches), -1).gather(1, top_BC.indices)
    lists = (top_BC.indices.tolist(), logprobs_BC.tolist(), top_BC.values.tolist())
    return [
        [
            Candidate(index // vocab_size, index % vocab_size, logprob, score)
            for index, logprob, score in zip(*columns, strict=True)
        ]
        for columns in zip(*lists, strict=True)
    ]


def _single_candidates(
    logits_RV: Tensor, logprobs_RV: Tensor, searches: Sequence[Search]
) -> list[list[Candidate]]:
    """The most likely or a drawn token for each request."""
    tokens_R = logits_RV.argmax(-1)
    for row, search in enumerate(searches):
        options = search.options
        if options.temperature > 0:
            height = uniform(options.seed, len(search.running[0].tokens))
            tempered = logits_RV[row : row + 1] / options.temperature
            tokens_R[row] = draw(tempered, options.top_p, height)[0]
    logprobs_R = logprobs_RV.gather(1, tokens_R[:, None])[:, 0]
    return [
        [Candidate(0, token, logprob, search.running[0].score + logprob)]
        for search, token, logprob in zip(
            searches, tokens_R.tolist(), logprobs_R.tolist(), strict=True
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
