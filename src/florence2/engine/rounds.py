"""Rounds of requests that follow from an answer, without a thread that waits for them."""

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from florence2.engine.jobs import Job
from florence2.engine.presence import Rounds
from florence2.engine.requests import AnyRequest
from florence2.errors import EngineError


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
            try:
                requests = rounds.send(replies)  # type: ignore[arg-type]
            except StopIteration as end:
                then(end.value)
                return
            parts: list[Future[Any]] = []
            job.parts = parts
            for request in requests:
                parts.append(submit(request))
        except Exception as error:  # a callback's own errors reach nobody
            fail(error)
            return
        left = itertools.count(len(parts) - 1, -1)

        def on_done(part: "Future[Any]") -> None:
            if job.future.done():
                return
            if part.cancelled():
                fail(EngineError("a question that this request depends on was cancelled"))
            elif error := part.exception():
                fail(error)
            elif next(left) == 0:
                advance([each.result() for each in parts])

        for part in parts:
            part.add_done_callback(on_done)

    advance(None)
