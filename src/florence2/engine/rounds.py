"""Rounds of requests that follow from an answer, without a thread that waits for them."""

import itertools
from collections.abc import Callable, Iterator, Sequence
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

    _Following(job, rounds, submit, then, fail).advance(None)


class _Following:
    """The rounds of one job.

    A class, since functions inside a function that name each other hold each other, and with them
    all that was computed for the job, until Python looks for such garbage.
    """

    def __init__(
        self,
        job: Job,
        rounds: Rounds,
        submit: "Callable[[AnyRequest], Future[Any]]",
        then: Callable[[Any], None],
        fail: Callable[[BaseException], None],
    ) -> None:
        self._job, self._rounds, self._submit = job, rounds, submit
        self._then, self._fail = then, fail
        self._left: Iterator[int] = iter(())
        self._parts: list[Future[Any]] = []

    def advance(self, replies: Sequence[Any] | None) -> None:
        """Ask the next round, or tell what came out."""
        try:
            try:
                requests = self._rounds.send(replies)  # type: ignore[arg-type]
            except StopIteration as end:
                self._then(end.value)
                return
            parts: list[Future[Any]] = []
            self._parts = parts
            self._job.parts = parts
            for request in requests:
                parts.append(self._submit(request))
        except Exception as error:  # a callback's own errors reach nobody
            self._fail(error)
            return
        self._left = itertools.count(len(parts) - 1, -1)
        for part in tuple(parts):
            part.add_done_callback(self._on_done)

    def _on_done(self, part: "Future[Any]") -> None:
        if self._job.future.done():
            return
        if part.cancelled():
            self._fail(EngineError("a question that this request depends on was cancelled"))
        elif error := part.exception():
            self._fail(error)
        elif next(self._left) == 0:
            parts, self._parts = self._parts, []
            replies = [each.result() for each in parts]
            parts.clear()  # that of the job, too: it waits for them no more
            self.advance(replies)
