"""Rules against the plainest way to say them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from florence2.generation.logit_rules import LogitRules, NgramBan, in_loop
from florence2.generation.options import GenerationOptions, SpecialIds
from florence2.runtimes.pytorch.sampling import ban

SEQUENCES = st.lists(st.integers(0, 3), max_size=30)


def banned_by_rescanning(tokens: list[int], size: int) -> set[int]:
    ngrams = [tuple(tokens[at : at + size]) for at in range(len(tokens) - size + 1)]
    beginning = tuple(tokens[len(tokens) - size + 1 :])
    return {ngram[-1] for ngram in ngrams if len(tokens) >= size > 0 and ngram[:-1] == beginning}


def ban_after(tokens: list[int], size: int) -> NgramBan:
    ngrams = NgramBan(size)
    for token in tokens:
        ngrams.append(token)
    return ngrams


@given(SEQUENCES, st.integers(0, 5))
def test_the_ban_equals_a_rescan_of_the_sequence(tokens: list[int], size: int) -> None:
    assert {*ban_after(tokens, size).banned()} == banned_by_rescanning(tokens, size)


@given(SEQUENCES, SEQUENCES, SEQUENCES, st.integers(0, 4))
def test_a_fork_grows_on_its_own(
    before: list[int], left: list[int], right: list[int], size: int
) -> None:
    ngrams = ban_after(before, size)
    twin = ngrams.fork()
    for token in left:
        ngrams.append(token)
    for token in right:
        twin.append(token)
    assert {*ngrams.banned()} == banned_by_rescanning(before + left, size)
    assert {*twin.banned()} == banned_by_rescanning(before + right, size)


def test_the_first_token_is_bos_and_the_last_possible_one_eos() -> None:
    special = SpecialIds(decoder_start=2, bos=0, eos=2)
    rules = LogitRules(GenerationOptions(), special, limit=4)
    assert [rules.forced_token(step) for step in range(4)] == [0, None, None, 2]


def test_an_answer_of_one_token_is_eos() -> None:
    rules = LogitRules(GenerationOptions(), SpecialIds(2, 0, 2), limit=1)
    assert rules.forced_token(0) == 2


def test_eos_is_banned_before_the_minimum_only() -> None:
    rules = LogitRules(GenerationOptions(min_new_tokens=3), SpecialIds(2, 0, 2), limit=9)
    state = rules.new_state([0])
    assert [rules.constraint(state, step).banned for step in (1, 2, 3, 4)] == [(2,), (2,), (), ()]


# ---- loops

LOCATIONS = range(100, 200)
LINE = [7, 8, 9, 10, 11, 12, 13, 14]
BOX = [110, 120, 130, 140]


@pytest.mark.parametrize(
    ("tokens", "looping"),
    [
        pytest.param([0, 5], False, id="beginning"),
        pytest.param([0, *LINE * 7], False, id="seven equal lines"),
        pytest.param([0, *LINE * 8], True, id="eight equal lines"),
        pytest.param([0, *[5] * 63], False, id="63 equal numbers"),
        pytest.param([0, *[5] * 64], True, id="64 equal numbers"),
        pytest.param([0, 9, *BOX * 2], False, id="a box twice"),
        pytest.param([0, 9, *BOX * 3], True, id="a box three times"),
        pytest.param([0, *[9, *BOX] * 3], True, id="a named box three times"),
        pytest.param([0, *[110] * 11], False, id="11 equal locations"),
        pytest.param([0, *[110] * 12], True, id="12 equal locations"),
        pytest.param(
            [0, *(t for y in range(9) for t in (110, 120, 130, 140 + y))], False, id="a column"
        ),
    ],
)
def test_loops_are_told_from_repetition(tokens: list[int], looping: bool) -> None:
    assert in_loop(tokens, LOCATIONS) is looping


@given(st.lists(st.integers(0, 2), min_size=1, max_size=12), st.integers(2, 70), st.booleans())
def test_a_run_is_a_loop_as_soon_as_it_is_long_enough(
    run: list[int], repeats: int, with_location: bool
) -> None:
    locations = range(2) if with_location else range(0)
    tokens = [9, *run * repeats]
    has_location = any(token in locations for token in run)
    wanted, least = (3, 12) if has_location else (8, 64)
    if repeats >= wanted and len(run) * repeats >= least:
        assert in_loop(tokens, locations)
    if len(tokens) <= 12:
        assert not in_loop(tokens, range(0))


def test_banning_changes_the_named_scores_and_no_others() -> None:
    scores = torch.zeros(3, 5)
    ban(scores, [(1, 4), (), (0, 0)])
    assert (scores == -torch.inf).nonzero().tolist() == [[0, 1], [0, 4], [2, 0]]
    assert int((scores == 0).sum()) == 12


def test_banning_nothing_changes_nothing() -> None:
    scores = torch.zeros(2, 5)
    ban(scores, [(), ()])
    assert not scores.any()
