"""From logits to the candidates of each request, on tensors, for all requests at once.

`florence2.runtimes.numpy_sampling` says the same in NumPy; a property test compares the two.

Shapes: `R` rows decoded (the hypotheses of one request in consecutive rows, equally many for each),
`V` vocabulary, `B` requests, `C` candidates of a request.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from florence2.generation.grammar import AllowedTokens, TokenClass, Vocabulary
from florence2.generation.runtime import (
    Candidate,
    DecoderInput,
    Draw,
    Penalty,
    TokenConstraint,
)

MAX_MASKS = 256  # kept for later steps; each has a byte for every token of the vocabulary


def next_candidates(
    logits_RV: Tensor, inputs: Sequence[DecoderInput], masks: "LogitMasks", num_beams: int
) -> list[list[Candidate]]:
    """What each request may write next, best first.

    Args:
        logits_RV: float32, a row for each running hypothesis; written over.
    """
    # Taken before tokens are masked out: scores are those of the model alone.
    logprobs_RV = logits_RV.log_softmax(-1)
    rows = [row for each in inputs for row in each.rows]
    forced = [row.constraint.forced for row in rows]
    fixed = {
        row: logprobs_RV[row, token].item() for row, token in enumerate(forced) if token is not None
    }
    # Beams compare sums of log-probabilities. One token alone is chosen by logits, not by
    # log-probabilities, whose rounding can make two logits equal.
    constraints = [row.constraint for row in rows]
    scores_RV = logits_RV if num_beams == 1 else logprobs_RV
    if any(row.penalty for row in rows):
        logprobs_RV = logprobs_RV.clone()
        penalize(scores_RV, [row.penalty for row in rows])
        masks.apply(logprobs_RV, constraints)
    masks.apply(scores_RV, constraints)
    if len(fixed) == len(rows):
        candidates: list[list[Candidate]] = [[] for _ in inputs]
    elif num_beams == 1:
        candidates = _single_candidates(logits_RV, logprobs_RV, inputs)
    else:
        candidates = _beam_candidates(scores_RV, logprobs_RV, inputs, num_beams)
    width = len(rows) // len(inputs)
    for place, each in enumerate(inputs):
        token = forced[place * width]
        if token is not None:  # it leaves the scores as they are
            candidates[place] = [
                Candidate(parent, token, fixed[place * width + parent], row.score)
                for parent, row in enumerate(each.rows)
            ]
    return candidates


def _beam_candidates(
    scores_RV: Tensor, logprobs_RV: Tensor, inputs: Sequence[DecoderInput], num_beams: int
) -> list[list[Candidate]]:
    """The best 2 * num_beams continuations over all hypotheses of a request.

    At most one continuation of each hypothesis ends, so at least `num_beams` of them do not.
    """
    vocab_size = logprobs_RV.shape[-1]
    scores = [row.score for each in inputs for row in each.rows]
    totals_RV = scores_RV + scores_RV.new_tensor(scores)[:, None]
    top_BC = totals_RV.view(len(inputs), -1).topk(2 * num_beams)
    logprobs_BC = logprobs_RV.view(len(inputs), -1).gather(1, top_BC.indices)
    lists = (top_BC.indices.tolist(), logprobs_BC.tolist(), top_BC.values.tolist())
    return [
        [
            Candidate(index // vocab_size, index % vocab_size, logprob, score)
            for index, logprob, score in zip(*columns, strict=True)
        ]
        for columns in zip(*lists, strict=True)
    ]


def _single_candidates(
    logits_RV: Tensor, logprobs_RV: Tensor, inputs: Sequence[DecoderInput]
) -> list[list[Candidate]]:
    """The most likely or a drawn token for each request."""
    tokens_R = logits_RV.argmax(-1)
    for row, each in enumerate(inputs):
        if each.draw is not None:
            tokens_R[row] = draw_tokens(logits_RV[row : row + 1], each.draw)[0]
    logprobs_R = logprobs_RV.gather(1, tokens_R[:, None])[:, 0]
    return [
        [Candidate(0, token, logprob, each.rows[0].score + logprob)]
        for each, token, logprob in zip(inputs, tokens_R.tolist(), logprobs_R.tolist(), strict=True)
    ]


def penalize(scores_RV: Tensor, penalties: Sequence[Penalty | None]) -> None:
    """Make tokens worse that were written already, in place."""
    for row, penalty in enumerate(penalties):
        if penalty is not None:
            tokens = torch.tensor(penalty.tokens, device=scores_RV.device)
            scores = scores_RV[row, tokens]
            scores_RV[row, tokens] = torch.where(
                scores < 0, scores * penalty.factor, scores / penalty.factor
            )


def draw_tokens(logits_RV: Tensor, draw: Draw) -> Tensor:
    """Draw token ids `(R,)`: the tokens at which the cumulative distribution passes a height.

    Only the most likely tokens that together reach `top_p` take part, that is those before
    which less than `top_p` of the probability lies.
    """
    probs_RV = (logits_RV / draw.temperature).softmax(-1)
    probs_RV, order_RV = torch.sort(probs_RV, dim=-1, descending=True, stable=True)
    cumulative_RV = probs_RV.cumsum(-1)
    taking_part_RV = (cumulative_RV - probs_RV < draw.top_p) & (probs_RV > 0)
    last_R1 = taking_part_RV.sum(-1, keepdim=True) - 1
    heights_R1 = draw.height * cumulative_RV.gather(1, last_R1)
    places_R1 = torch.searchsorted(cumulative_RV, heights_R1, right=True)
    return order_RV.gather(1, places_R1.minimum(last_R1))[:, 0]


class LogitMasks:
    """Writes constraints into logits; keeps a mask for each set of tokens."""

    def __init__(self, vocab_size: int, device: torch.device) -> None:
        self._device = device
        self._masks: dict[tuple[int, TokenClass, tuple[int, ...]], Tensor] = {}
        self._nothing = torch.zeros(vocab_size, dtype=torch.bool, device=device)

    def apply(self, logits_RV: Tensor, constraints: Sequence[TokenConstraint]) -> None:
        """Set the logits of all that may not come next to minus infinity, in place.

        Rows with a forced token stay as they are.
        """
        masks = [self._mask(each.allowed, each.vocabulary) for each in constraints]
        if any(mask is not masks[0] for mask in masks):
            logits_RV.masked_fill_(torch.stack(masks), -torch.inf)
        elif masks[0] is not self._nothing:
            logits_RV.masked_fill_(masks[0], -torch.inf)
        for row, each in enumerate(constraints):
            if each.vocabulary is not None and each.allowed is not None and each.allowed.bins:
                locations, (low, high) = each.vocabulary.locations, each.allowed.bins
                if low:
                    logits_RV[row, locations.start : locations.start + low] = -torch.inf
                if high < len(locations):
                    logits_RV[row, locations.start + high : locations.stop] = -torch.inf
        ban(
            logits_RV,
            [
                each.banned + each.allowed.without if each.allowed else each.banned
                for each in constraints
            ],
        )

    def _mask(self, allowed: AllowedTokens | None, vocabulary: Vocabulary | None) -> Tensor:
        """True for every token that is neither of the allowed classes nor allowed by itself."""
        if allowed is None:
            return self._nothing
        key = (id(vocabulary), allowed.classes, allowed.only)
        if key not in self._masks:
            mask = ~self._nothing
            if vocabulary is not None:
                outside = vocabulary.class_values & int(allowed.classes) == 0
                mask[: len(outside)] = torch.from_numpy(outside).to(self._device)
            mask[list(allowed.only)] = False
            if len(self._masks) == MAX_MASKS:
                self._masks.clear()
            self._masks[key] = mask
        return self._masks[key]


def ban(logits_RV: Tensor, banned: Sequence[Sequence[int]]) -> None:
    """Set the logits of the banned tokens of each row to minus infinity, in place."""
    rows = [row for row, tokens in enumerate(banned) for _ in tokens]
    if rows:
        tokens = [token for tokens in banned for token in tokens]
        index_2X = torch.tensor((rows, tokens), device=logits_RV.device)
        logits_RV[index_2X[0], index_2X[1]] = -torch.inf
