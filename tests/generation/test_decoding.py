"""Requests that join and leave between steps are answered as if alone."""

import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lively_models import Asked, asked
from test_search import SEARCHES, same

from florence2.generation.decoding import Decoding, Runtime
from florence2.generation.options import Generated, GenerationOptions
from florence2.generation.search import Search, answer, open_search
from florence2.model.florence2 import Florence2Model
from florence2.model.history import Slots
from tiny_models import SMALLEST


class Static(Florence2Model):
    """A model whose steps always have the same shapes."""

    def new_slots(self, width: int) -> Slots:
        return Slots(width, (4, SMALLEST.text.max_position_embeddings, 16), static=True)


def static(model: Florence2Model) -> Florence2Model:
    twin = Static(SMALLEST).double().eval()
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


@pytest.mark.parametrize("is_static", [False, True])
@pytest.mark.parametrize("options", SEARCHES)
@settings(max_examples=12, derandomize=True, deadline=None)
@given(seed=st.integers(0, 20), order=st.integers(0, 1000))
def test_when_a_request_joins_does_not_change_its_answer(
    is_static: bool, options: GenerationOptions, seed: int, order: int
) -> None:
    requests = asked(seed)
    runtime = static(requests.model) if is_static else requests.model
    answers, _ = answered(requests, runtime, options, random.Random(order))
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
