"""Rounds of requests that follow from an answer, without a thread that waits for them."""

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from florence2.engine.jobs import Job
from florence2.engine.presence import Rounds
from florence2.engine.requests import AnyRequest


def follow_rounds(
    job: Job,
    rounds: Rounds,
    submit: "Callable[[AnyRequest], Future[Any]]",
    then: Callable[[Any], None],
    fail: Callable[[BaseException], None],
) -> None:
    """Submit round after round, each when all of the one before is answered.

    Args:
        job: that the rounds are for; when it is given up, they are too.
        rounds: yields requests, is sent their answers.
        then: called with what `rounds` returns at its end.
        fail: called with the first error.
    """

    def advance(replies: Sequence[Any] | None) -> None:
        try:
            requests = rounds.send(replies)  # type: ignore[arg-type]
        except StopIteration as end:
            then(end.value)
            return
        except Exception as error:
            fail(error)
            return
        parts = [submit(request) for request in requests]
        job.parts = parts
        left = itertools.count(len(parts) - 1, -1)

        def on_done(part: "Future[Any]") -> None:
            if part.cancelled() or job.future.done():
                return
            if error := part.exception():
                fail(error)
            elif next(left) == 0:
                advance([each.result() for each in parts])

        for part in parts:
            part.add_done_callback(on_done)

    advance(None)
