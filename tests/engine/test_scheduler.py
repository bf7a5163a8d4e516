"""Laws of the queues, over random histories of requests."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from florence2.engine.scheduler import Limits, Scheduler
from florence2.errors import ConfigError, EngineError


@dataclass
class History:
    """What became of each request."""

    added: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    in_line: list[int] = field(default_factory=list)  # in order of their coming
    begun: list[int] = field(default_factory=list)
    finished: list[int] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)


@st.composite
def histories(draw: st.DrawFn) -> tuple[Limits, list[tuple[int, int, int]], int]:
    limits = Limits(*(draw(st.integers(1, 5)) for _ in range(3)))
    # For each request: its lane, turns of reading, turns of answering.
    sizes = st.tuples(st.integers(1, 3), st.integers(0, 3), st.integers(1, 9))
    return limits, draw(st.lists(sizes, max_size=25)), draw(st.integers(0, 10**6))


def play(limits: Limits, requests: list[tuple[int, int, int]], seed: int) -> History:
    """Run a whole history, one or two new requests a turn; some are cancelled on the way."""
    scheduler, seen = Scheduler(limits), History()
    reading: dict[int, int] = {}
    answering: dict[int, int] = {}
    pending = list(enumerate(requests))
    for turn in range(10_000):
        if not (pending or reading or answering or scheduler.has_work):
            return seen
        for number, (lane, reads, _) in pending[: 1 + turn % 2]:
            try:
                scheduler.add(number, lane)
            except EngineError:
                seen.refused.append(number)
                continue
            seen.added.append(number)
            reading[number] = reads
        del pending[: 1 + turn % 2]
        if seed and (seed + turn) % 7 == 0 and (alive := [*reading, *seen.in_line, *answering]):
            victim = alive[seed % len(alive)]
            if victim in scheduler:
                scheduler.remove(victim)
                seen.cancelled.append(victim)
                answering.pop(victim, None)
        for number in [number for number, left in reading.items() if left <= 0]:
            del reading[number]
            scheduler.ready(number)
            if number in scheduler:
                seen.in_line.append(number)
        reading = {number: left - 1 for number, left in reading.items()}
        begun = scheduler.begin()
        assert len(begun) <= limits.max_begin
        assert len({requests[number][0] for number in begun}) <= 1
        seen.begun += begun
        answering |= {number: requests[number][2] for number in begun}
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
    history: tuple[Limits, list[tuple[int, int, int]], int],
) -> None:
    seen = play(*history)
    assert sorted(seen.added + seen.refused) == list(range(len(history[1])))
    assert sorted(seen.finished + seen.cancelled) == sorted(seen.added)
    assert len(set(seen.begun)) == len(seen.begun)


@given(histories())
def test_first_come_first_served_within_a_lane(
    history: tuple[Limits, list[tuple[int, int, int]], int],
) -> None:
    seen = play(*history)
    lanes = {number: lane for number, (lane, _, _) in enumerate(history[1])}
    for lane in set(lanes.values()):
        came = [number for number in seen.in_line if lanes[number] == lane and number in seen.begun]
        assert [number for number in seen.begun if lanes[number] == lane] == came


@given(histories())
def test_the_one_that_came_first_is_never_passed_by_another_lane(
    history: tuple[Limits, list[tuple[int, int, int]], int],
) -> None:
    """A turn serves the lane of the request that is first in line, so nobody starves."""
    limits, requests, _ = history
    scheduler = Scheduler(Limits(limits.max_running, limits.max_begin, 100))
    for number, (lane, _, _) in enumerate(requests):
        scheduler.add(number, lane)
        scheduler.ready(number)
    left = list(range(len(requests)))
    while left:
        begun = scheduler.begin()
        assert begun[0] == left[0]
        for number in begun:
            left.remove(number)
            scheduler.remove(number)


def test_one_too_many_is_refused_in_words() -> None:
    scheduler = Scheduler(Limits(max_waiting=1))
    scheduler.add(0, 1)
    with pytest.raises(EngineError, match="1 requests wait already"):
        scheduler.add(1, 1)


@pytest.mark.parametrize("value", [0, -1, 1.5])
def test_impossible_limits_are_refused(value: int) -> None:
    with pytest.raises(ConfigError, match="max_begin must be a whole number"):
        Limits(max_begin=value)
