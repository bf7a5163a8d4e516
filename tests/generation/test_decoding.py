"""Requests that join and leave between steps are answered as if alone."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lively_models import Asked, asked
from test_search import SEARCHES, same
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from florence2.generation.decoding import Decoding, Runtime
from florence2.generation.options import Generated, GenerationOptions
from florence2.generation.search import Search, answer, open_search
from florence2.model.florence2 import Florence2Model
from florence2.model.history import Slots
from florence2.model.recorded import Compute, RecordedStep
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


class Recorded(Florence2Model):
    """A model whose steps are recorded on a tape."""

    num_recordings = 0

    def new_slots(self, width: int) -> Slots:
        def record(compute: Compute) -> tuple[Tensor, Callable[[], None]]:
            self.num_recordings += 1
            return on_tape(compute)

        self.slots = Slots(width, (2, 4, 8), RecordedStep(record))
        return self.slots


def recorded(model: Florence2Model) -> Recorded:
    twin = Recorded(SMALLEST).double().eval()
    twin.load_state_dict(model.state_dict())
    return twin


def join(decoding: Decoding, requests: Asked, places: list[int], searches: list[Search]) -> None:
    longest = max(len(requests.prompts[place]) for place in places)
    ids = torch.ones(len(places), longest, dtype=torch.long)
    mask = torch.zeros(len(places), longest)
    for row, place in enumerate(places):
        prompt = requests.prompts[place]
        ids[row, : len(prompt)] = torch.tensor(prompt)
        mask[row, : len(prompt)] = 1
    model, images = requests.model, requests.image_tokens[places]
    memory = model.encode(images, ids, mask)
    decoding.join(memory, model.memory_mask(images, mask), searches)


def answered(
    requests: Asked, runtime: Runtime, options: GenerationOptions, rng: random.Random
) -> tuple[list[Generated], int]:
    """All answers of requests that come one by one or in groups, and the most at once."""
    limit = min(options.max_new_tokens, SMALLEST.text.max_position_embeddings)
    searches = [open_search(options, requests.special, limit) for _ in requests.prompts]
    places = list(range(len(searches)))
    decoding = Decoding(runtime, options.num_beams, requests.special)
    most = 0
    while places or decoding.searches:
        count = rng.randint(0, 2) if places else 0
        if count:
            group, places = places[:count], places[count:]
            join(decoding, requests, group, [searches[place] for place in group])
        most = max(most, len(decoding.searches))
        for _ in range(rng.randint(1, 4)):
            if decoding.searches:
                decoding.step()
    return [answer(search) for search in searches], most


@pytest.mark.parametrize("is_recorded", [False, True])
@pytest.mark.parametrize("options", SEARCHES)
@settings(max_examples=12, derandomize=True, deadline=None)
@given(seed=st.integers(0, 20), order=st.integers(0, 1000))
def test_when_a_request_joins_does_not_change_its_answer(
    is_recorded: bool, options: GenerationOptions, seed: int, order: int
) -> None:
    requests = asked(seed)
    runtime = recorded(requests.model) if is_recorded else requests.model
    answers, _ = answered(requests, runtime, options, random.Random(order))
    alone = [requests.alone(place, options) for place in range(len(answers))]
    assert all(same(one, other) for one, other in zip(answers, alone, strict=True))


def test_a_recording_serves_until_a_buffer_moves() -> None:
    """One for each power of two of requests, as long as there is room where the buffers are."""
    requests = asked(3)
    options = GenerationOptions(num_beams=1, min_new_tokens=12, max_new_tokens=16)
    runtime = recorded(requests.model)
    decoding = Decoding(runtime, 1, requests.special)
    searches = [open_search(options, requests.special, 16) for _ in requests.prompts]
    join(decoding, requests, [0, 1, 2], searches[:3])
    buffers, counts = set(), []
    while decoding.searches:
        decoding.step()
        assert runtime.slots._own is not None
        buffers.add((runtime.slots._own.data_ptr(), runtime.slots._capacity))
        counts.append(runtime.num_recordings)
        if len(counts) == 2:
            decoding.cancel(searches[0])  # two remain: a shape of its own
    assert counts[0] == 1
    assert len(buffers) <= runtime.num_recordings <= len(buffers) + 2 < len(counts) - 3
    assert same(answer(searches[1]), requests.alone(1, options))


def test_turned_keys_stay_turned_where_they_grow() -> None:
    class Turned(Florence2Model):
        def new_slots(self, width: int) -> Slots:
            self.slots = Slots(width, (1, 2, 2), turned=True)
            return self.slots

    requests, options = asked(2), GenerationOptions(num_beams=2, max_new_tokens=12)
    runtime = Turned(SMALLEST).double().eval()
    runtime.load_state_dict(requests.model.state_dict())
    answers, most = answered(requests, runtime, options, random.Random(3))
    assert most > 1
    assert [each.mT.is_contiguous() for each in runtime.slots._memory] == [True, False]
    alone = [requests.alone(place, options) for place in range(len(answers))]
    assert all(same(one, other) for one, other in zip(answers, alone, strict=True))


def test_requests_do_meet() -> None:
    options = GenerationOptions(min_new_tokens=30, max_new_tokens=40)
    assert answered(asked(1), asked(1).model, options, random.Random(1))[1] >= 3


@pytest.mark.parametrize("num_beams", [1, 3])
def test_a_cancelled_request_frees_its_slot_and_changes_no_other(num_beams: int) -> None:
    requests = asked(3)
    options = replace(GenerationOptions(num_beams), min_new_tokens=12, max_new_tokens=16)
    searches = [open_search(options, requests.special, 16) for _ in requests.prompts]
    decoding = Decoding(requests.model, num_beams, requests.special)
    join(decoding, requests, [0, 1, 2, 3], searches)
    decoding.step()
    decoding.cancel(searches[1])
    assert len(decoding.searches) == 3
    while decoding.searches:
        decoding.step()
    for place in (0, 2, 3):
        assert same(answer(searches[place]), requests.alone(place, options))
