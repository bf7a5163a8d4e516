"""From logits to the candidates of each request, in NumPy: for runtimes without torch.

The slow twin of `florence2.runtimes.pytorch.sampling`, to which a property test compares it. Ties
between equal totals of beams may be broken the other way.

Shapes: `R` rows decoded (the hypotheses of one request in consecutive rows, equally many for each),
`V` vocabulary.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from florence2.generation.runtime import (
    Candidate,
    DecoderInput,
    Draw,
    Penalty,
    TokenConstraint,
)

Logits = NDArray[np.float32]


def next_candidates(
    logits_RV: Logits, inputs: Sequence[DecoderInput], num_beams: int
) -> list[list[Candidate]]:
    """What each request may write next, best first.

    Args:
        logits_RV: float32, a row for each running hypothesis; left as they are.
    """
    logprobs_RV = log_softmax(logits_RV)
    width = len(logits_RV) // len(inputs)
    candidates = []
    for place, each in enumerate(inputs):
        rows = slice(place * width, (place + 1) * width)
        logits, logprobs = logits_RV[rows], logprobs_RV[rows]
        if each.rows[0].constraint.forced is not None:
            candidates.append(_forced_candidates(logprobs, each))
        elif num_beams == 1:
            candidates.append([_single_candidate(logits[0], logprobs[0], each)])
        else:
            candidates.append(_beam_candidates(logprobs, each, num_beams))
    return candidates


def log_softmax(logits_RV: Logits) -> Logits:
    """Natural logarithms of probabilities, over the last axis."""
    shifted = logits_RV - logits_RV.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)), dtype=np.float32)


def _forced_candidates(logprobs: Logits, request: DecoderInput) -> list[Candidate]:
    """One for each hypothesis; a forced token leaves the scores as they are."""
    tokens = [row.constraint.forced or 0 for row in request.rows]
    return [
        Candidate(parent, token, float(logprobs[parent, token]), row.score)
        for parent, (token, row) in enumerate(zip(tokens, request.rows, strict=True))
    ]


def _single_candidate(logits: Logits, logprobs: Logits, request: DecoderInput) -> Candidate:
    row = request.rows[0]
    scores = penalized(logits, row.penalty)
    masked = np.where(allowed_tokens(row.constraint, len(logits)), scores, -np.inf)
    token = int(masked.argmax()) if request.draw is None else draw_token(masked, request.draw)
    logprob = float(logprobs[token])
    return Candidate(0, token, logprob, row.score + logprob)


def _beam_candidates(logprobs: Logits, request: DecoderInput, num_beams: int) -> list[Candidate]:
    """The best 2 * num_beams continuations over all hypotheses."""
    size = logprobs.shape[-1]
    masks = np.stack([allowed_tokens(row.constraint, size) for row in request.rows])
    penalties = (row.penalty for row in request.rows)
    scores = np.stack([penalized(*pair) for pair in zip(logprobs, penalties, strict=True)])
    masked, logprobs = (np.where(masks, each, np.float32(-np.inf)) for each in (scores, logprobs))
    totals = (masked + np.array([row.score for row in request.rows], np.float32)[:, None]).ravel()
    # A partition first: sorting a whole vocabulary costs ten times as much.
    top = np.argpartition(-totals, 2 * num_beams - 1)[: 2 * num_beams]
    top = top[np.argsort(-totals[top], kind="stable")]
    return [
        Candidate(int(at // size), int(at % size), float(logprobs.flat[at]), float(totals[at]))
        for at in top
    ]


def penalized(scores: Logits, penalty: Penalty | None) -> Logits:
    """Scores of one hypothesis, those worse whose tokens were written already."""
    if penalty is None:
        return scores
    changed, tokens, factor = scores.copy(), list(penalty.tokens), np.float32(penalty.factor)
    old = scores[tokens]
    changed[tokens] = np.where(old < 0, old * factor, old / factor)
    return changed


def draw_token(logits: Logits, draw: Draw) -> int:
    """The token at which the cumulative distribution of the nucleus passes a height."""
    probs = np.exp(log_softmax(np.asarray(logits / np.float32(draw.temperature), np.float32)))
    order = np.argsort(-probs, kind="stable")
    probs = probs[order]
    cumulative = probs.cumsum(dtype=np.float32)
    last = int(((cumulative - probs < draw.top_p) & (probs > 0)).sum()) - 1
    place = int(np.searchsorted(cumulative, np.float32(draw.height) * cumulative[last], "right"))
    return int(order[min(place, last)])


def allowed_tokens(constraint: TokenConstraint, vocab_size: int) -> NDArray[np.bool_]:
    """True for each token of the vocabulary that may come next."""
    allowed, vocabulary = constraint.allowed, constraint.vocabulary
    mask = np.full(vocab_size, allowed is None)
    if allowed is not None:
        if vocabulary is not None:
            values = vocabulary.class_values
            mask[: len(values)] = values & int(allowed.classes) != 0
        mask[list(allowed.only)] = True
        if vocabulary is not None and allowed.bins:
            locations, (low, high) = vocabulary.locations, allowed.bins
            mask[locations.start : locations.start + low] = False
            mask[locations.start + high : locations.stop] = False
        mask[list(allowed.without)] = False
    mask[list(constraint.banned)] = False
    return mask
