"""The sampler on tensors and its slow twin in NumPy choose the same tokens."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from florence2.generation.grammar import State
from florence2.generation.runtime import Candidate, DecoderInput, Draw, Row, TokenConstraint
from florence2.runtimes import numpy_sampling
from florence2.runtimes.pytorch import sampling
from florence2.tasks import AnswerKind
from lively_models import VOCABULARY, grammar

SIZE = len(VOCABULARY.pieces) + 4  # rows of the word embedding that no token has
EOS = VOCABULARY.eos


@st.composite
def constraints(draw: st.DrawFn) -> TokenConstraint:
    """Those of a grammar a few allowed tokens into an answer, or bans alone."""
    banned = tuple(draw(st.lists(st.integers(0, SIZE - 1), max_size=4)))
    kind = draw(st.sampled_from([None, *AnswerKind]))
    if kind is None:
        return TokenConstraint(banned=banned)
    rules, state = grammar(kind, draw(st.booleans())), State()
    for _ in range(draw(st.integers(0, 6))):
        allowed = rules.allowed(state, 99)
        tokens = [t for t in range(len(VOCABULARY.pieces)) if rules.allows(allowed, t) and t != EOS]
        if not tokens:
            break
        state = rules.advance(state, draw(st.sampled_from(tokens)))
    allowed = rules.allowed(state, draw(st.integers(12, 40)))
    kept = banned if rules.any_left_after(allowed, banned) else ()
    return TokenConstraint(None, kept, allowed, VOCABULARY)


@st.composite
def requests(draw: st.DrawFn) -> tuple[list[DecoderInput], int]:
    num_beams = draw(st.integers(1, 4))
    width = draw(st.sampled_from([1, num_beams]))
    inputs = []
    for _ in range(draw(st.integers(1, 4))):
        forced = draw(st.sampled_from([None, None, None, EOS]))
        rows = [
            Row(0, draw(st.floats(-9, 0, width=32)), draw(constraints()))
            if forced is None
            else Row(0, draw(st.floats(-9, 0, width=32)), TokenConstraint(forced))
            for _ in range(width)
        ]
        height = Draw(
            draw(st.sampled_from([0.5, 1.0, 2.0])),
            draw(st.sampled_from([0.3, 0.9, 1.0])),
            draw(st.floats(0, 0.999)),
        )
        inputs.append(
            DecoderInput(rows, draw(st.sampled_from([None, height])) if num_beams == 1 else None)
        )
    return inputs, num_beams


def same(ours: Candidate, other: Candidate) -> bool:
    return (ours.parent, ours.token) == (other.parent, other.token) and np.allclose(
        [ours.logprob, ours.score], [other.logprob, other.score], rtol=1e-5, atol=1e-5
    )


@settings(max_examples=150, deadline=None, derandomize=True)
@given(asked=requests(), seed=st.integers(0, 10**6))
def test_both_samplers_choose_the_same_candidates(
    asked: tuple[list[DecoderInput], int], seed: int
) -> None:
    inputs, num_beams = asked
    rows = sum(len(each.rows) for each in inputs)
    logits = np.random.default_rng(seed).normal(0, 3, (rows, SIZE)).astype(np.float32)
    masks = sampling.LogitMasks(SIZE, torch.device("cpu"))
    expected = sampling.next_candidates(torch.from_numpy(logits.copy()), inputs, masks, num_beams)
    found = numpy_sampling.next_candidates(logits, inputs, num_beams)
    for ours, others in zip(found, expected, strict=True):
        alive = [each for each in others if each.score > -np.inf]  # the dead are in no order
        assert len(ours) == len(others)
        assert all(same(*pair) for pair in zip(ours, alive, strict=False))
        assert all(each.score == -np.inf for each in ours[len(alive) :])


@given(seed=st.integers(0, 10**6))
def test_log_softmax_is_that_of_torch(seed: int) -> None:
    logits = np.random.default_rng(seed).normal(0, 9, (3, 50)).astype(np.float32)
    logits[0, :7] = -np.inf
    expected = torch.from_numpy(logits).log_softmax(-1).numpy()
    assert numpy_sampling.log_softmax(logits) == pytest.approx(expected, rel=1e-5, abs=1e-5)
