"""Laws of the queues, over random histories of requests."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from florence2.engine.scheduler import EngineLimits, Scheduler
from florence2.errors import ConfigError, EngineError


@dataclass
class History:
    """What became of each request."""

    added: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    ready: list[int] = field(default_factory=list)  # in order of their coming
    admitted: list[int] = field(default_factory=list)
    finished: list[int] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)


@st.composite
def histories(draw: st.DrawFn) -> tuple[EngineLimits, list[tuple[int, int, int]], int]:
    limits = EngineLimits(*(draw(st.integers(1, 5)) for _ in range(3)))
    # For each request: its batch key, turns of reading, turns of answering.
    sizes = st.tuples(st.integers(1, 3), st.integers(0, 3), st.integers(1, 9))
    return limits, draw(st.lists(sizes, max_size=25)), draw(st.integers(0, 10**6))


def play(limits: EngineLimits, requests: list[tuple[int, int, int]], seed: int) -> History:
    """Run a whole history, one or two new requests a turn; some are cancelled on the way."""
    scheduler, seen = Scheduler(limits), History()
    reading: dict[int, int] = {}
    answering: dict[int, int] = {}
    pending = list(enumerate(requests))
    for turn in range(10_000):
        if not (pending or reading or answering or scheduler.has_work):
            return seen
        for number, (batch_key, reads, _) in pending[: 1 + turn % 2]:
            try:
                scheduler.add(number, batch_key)
            except EngineError:
                seen.refused.append(number)
                continue
            seen.added.append(number)
            reading[number] = reads
        del pending[: 1 + turn % 2]
        if seed and (seed + turn) % 7 == 0 and (alive := [*reading, *seen.ready, *answering]):
            victim = alive[seed % len(alive)]
            if victim in scheduler:
                scheduler.remove(victim)
                seen.cancelled.append(victim)
                answering.pop(victim, None)
        for number in [number for number, left in reading.items() if left <= 0]:
            del reading[number]
            scheduler.mark_ready(number)
            if number in scheduler:
                seen.ready.append(number)
        reading = {number: left - 1 for number, left in reading.items()}
        admitted = scheduler.admit()
        assert len(admitted) <= limits.max_prefill
        assert len({requests[number][0] for number in admitted}) <= 1
        seen.admitted += admitted
        answering |= {number: requests[number][2] for number in admitted}
        assert scheduler.num_running == len(answering) <= limits.max_running
        assert scheduler.num_waiting <= limits.max_waiting
        answering = {number: left - 1 for number, left in answering.items()}
        for number in [number for number, left in answering.items() if left <= 0]:
            del answering[number]
            scheduler.remove(number)
            seen.finished.append(number)
    raise AssertionError("the history never ended")


@given(histories())
def test_no_request_is_lost_or_doubled_and_all_end(
    history: tuple[EngineLimits, list[tuple[int, int, int]], int],
) -> None:
    seen = play(*history)
    assert sorted(seen.added + seen.refused) == list(range(len(history[1])))
    assert sorted(seen.finished + seen.cancelled) == sorted(seen.added)
    assert len(set(seen.admitted)) == len(seen.admitted)


@given(histories())
def test_first_come_first_served_within_a_batch_key(
    history: tuple[EngineLimits, list[tuple[int, int, int]], int],
) -> None:
    seen = play(*history)
    batch_keys = {number: batch_key for number, (batch_key, _, _) in enumerate(history[1])}
    for batch_key in set(batch_keys.values()):
        came = [
            number
            for number in seen.ready
            if batch_keys[number] == batch_key and number in seen.admitted
        ]
        assert [number for number in seen.admitted if batch_keys[number] == batch_key] == came


@given(histories())
def test_the_one_that_came_first_is_never_passed_by_another_batch_key(
    history: tuple[EngineLimits, list[tuple[int, int, int]], int],
) -> None:
    """A turn serves the batch_key of the request that is first to be ready, so nobody starves."""
    limits, requests, _ = history
    scheduler = Scheduler(EngineLimits(limits.max_running, limits.max_prefill, 100))
    for number, (batch_key, _, _) in enumerate(requests):
        scheduler.add(number, batch_key)
        scheduler.mark_ready(number)
    left = list(range(len(requests)))
    while left:
        admitted = scheduler.admit()
        assert admitted[0] == left[0]
        for number in admitted:
            left.remove(number)
            scheduler.remove(number)


def test_one_too_many_is_refused_in_words() -> None:
    scheduler = Scheduler(EngineLimits(max_waiting=1))
    scheduler.add(0, 1)
    with pytest.raises(EngineError, match="1 requests wait already"):
        scheduler.add(1, 1)


@pytest.mark.parametrize("value", [0, -1, 1.5])
def test_impossible_limits_are_refused(value: int) -> None:
    with pytest.raises(ConfigError, match="max_prefill must be a whole number"):
        EngineLimits(max_prefill=value)
