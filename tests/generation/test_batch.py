"""Requests that are added and leave between steps are answered as if alone."""

import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_search import SEARCHES, same
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from florence2.generation.batch import DecodingBatch
from florence2.generation.options import Generated, GenerationOptions
from florence2.generation.search import Search, finished, new_search
from florence2.model.cache import BatchCache
from florence2.runtimes.pytorch.cuda_graphs import CapturedStep, Compute
from lively_models import Asked, asked
from tiny_models import SMALLEST


class Tape(TorchDispatchMode):
    """Records operations as a CUDA graph does: replayed with the same tensors, without Python."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[Callable[[], None]] = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        outcome = operation(*args, **kwargs)

        def again() -> None:
            pairs = zip(_tensors(outcome), _tensors(operation(*args, **kwargs)), strict=True)
            for kept, fresh in pairs:
                if kept.data_ptr() != fresh.data_ptr():  # neither a view nor in place
                    kept.copy_(fresh)

        self.operations.append(again)
        return outcome


def _tensors(outcome: object) -> list[Tensor]:
    parts = outcome if isinstance(outcome, tuple | list) else [outcome]
    return [part for part in parts if isinstance(part, Tensor)]


def on_tape(compute: Compute) -> tuple[Tensor, Callable[[], None]]:
    with Tape() as tape:
        outcome = compute()
    outcome_of_recording = outcome.clone()

    def replay() -> None:
        for operation in tape.operations:
            operation()

    outcome.zero_()  # a CUDA graph computes nothing while it is recorded
    replay()
    assert torch.equal(outcome, outcome_of_recording)
    return outcome, replay


class Captured:
    """Makes caches whose steps are captured on a tape."""

    def __init__(self) -> None:
        self.num_captures = 0

    def __call__(self, width: int) -> BatchCache:
        def capture(compute: Compute) -> tuple[Tensor, Callable[[], None]]:
            self.num_captures += 1
            return on_tape(compute)

        self.cache = BatchCache(width, (2, 4, 8), CapturedStep(capture))
        return self.cache


def add(batch: DecodingBatch, requests: Asked, places: list[int], searches: list[Search]) -> None:
    prompts = [requests.prompts[place] for place in places]
    batch.add(requests.runtime.prefill(requests.images(places), prompts), searches)


def answered(
    requests: Asked, options: GenerationOptions, rng: random.Random
) -> tuple[list[Generated], int]:
    """All answers of requests that come one by one or in groups, and the most at once."""
    limit = min(options.max_new_tokens, SMALLEST.text.max_position_embeddings)
    searches = [new_search(options, requests.special, limit) for _ in requests.prompts]
    places = list(range(len(searches)))
    decoding = DecodingBatch(requests.runtime, options.num_beams, requests.special)
    most = 0
    while places or decoding.searches:
        count = rng.randint(0, 2) if places else 0
        if count:
            group, places = places[:count], places[count:]
            add(decoding, requests, group, [searches[place] for place in group])
        most = max(most, len(decoding.searches))
        for _ in range(rng.randint(1, 4)):
            if decoding.searches:
                decoding.step()
    return [finished(search) for search in searches], most


@pytest.mark.parametrize("is_captured", [False, True])
@pytest.mark.parametrize("options", SEARCHES)
@settings(max_examples=5, derandomize=True, deadline=None)
@given(seed=st.integers(0, 20), order=st.integers(0, 1000))
def test_when_a_request_is_added_does_not_change_its_answer(
    is_captured: bool, options: GenerationOptions, seed: int, order: int
) -> None:
    requests = asked(seed)
    new_cache = Captured() if is_captured else BatchCache
    answers, _ = answered(replace(requests, new_cache=new_cache), options, random.Random(order))
    wanted = [alone(seed, place, options) for place in range(len(answers))]
    assert all(same(one, other) for one, other in zip(answers, wanted, strict=True))


@cache
def alone(seed: int, place: int, options: GenerationOptions) -> Generated:
    return asked(seed).alone(place, options)


def test_a_captured_step_serves_until_a_buffer_moves() -> None:
    """One for each power of two of requests, as long as there is room where the buffers are."""
    requests = asked(3)
    options = GenerationOptions(num_beams=1, min_new_tokens=12, max_new_tokens=16)
    captured = Captured()
    runtime = replace(requests, new_cache=captured).runtime
    decoding = DecodingBatch(runtime, 1, requests.special)
    searches = [new_search(options, requests.special, 16) for _ in requests.prompts]
    add(decoding, requests, [0, 1, 2], searches[:3])
    buffers, counts = set(), []
    while decoding.searches:
        decoding.step()
        assert captured.cache._own is not None
        buffers.add((captured.cache._own.data_ptr(), captured.cache._capacity))
        counts.append(captured.num_captures)
        if len(counts) == 2:
            decoding.cancel(searches[0])  # two remain: a shape of its own
    assert counts[0] == 1
    assert len(buffers) <= captured.num_captures <= len(buffers) + 2 < len(counts) - 3
    assert same(finished(searches[1]), requests.alone(1, options))


def test_transposed_keys_stay_so_where_they_grow() -> None:
    caches = []

    def new_cache(width: int) -> BatchCache:
        caches.append(BatchCache(width, (1, 2, 2), transposed_keys=True))
        return caches[-1]

    requests, options = asked(2), GenerationOptions(num_beams=2, max_new_tokens=12)
    answers, most = answered(replace(requests, new_cache=new_cache), options, random.Random(3))
    assert most > 1
    assert [each.mT.is_contiguous() for each in caches[0]._memory] == [True, False]
    alone = [requests.alone(place, options) for place in range(len(answers))]
    assert all(same(one, other) for one, other in zip(answers, alone, strict=True))


def test_requests_do_meet() -> None:
    options = GenerationOptions(min_new_tokens=30, max_new_tokens=40)
    assert answered(asked(1), options, random.Random(1))[1] >= 3


@pytest.mark.parametrize("num_beams", [1, 3])
def test_a_cancelled_request_frees_its_slot_and_changes_no_other(num_beams: int) -> None:
    requests = asked(3)
    options = replace(GenerationOptions(num_beams), min_new_tokens=12, max_new_tokens=16)
    searches = [new_search(options, requests.special, 16) for _ in requests.prompts]
    decoding = DecodingBatch(requests.runtime, num_beams, requests.special)
    add(decoding, requests, [0, 1, 2, 3], searches)
    decoding.step()
    decoding.cancel(searches[1])
    assert len(decoding.searches) == 3
    while decoding.searches:
        decoding.step()
    for place in (0, 2, 3):
        assert same(finished(searches[place]), requests.alone(place, options))
