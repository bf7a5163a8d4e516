"""What becomes of engines where a process forks: their threads and locks stay with the parent."""

import os
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from threading import Thread
from typing import Any, Protocol
from weakref import WeakSet

from florence2.errors import EngineError


class Forked(Protocol):
    def begin_anew(self) -> None:
        """Make threads, locks and queues for this process."""


_engines: "WeakSet[Any]" = WeakSet()


def survive_fork(engine: Forked) -> None:
    """Let an engine begin anew in every forked child, as long as it lives."""
    _engines.add(engine)


def give_up(futures: "list[Future[Any]]") -> None:
    """End what the parent had asked, in the child.

    By a thread of its own: another thread may have held the lock of a future at the fork.
    """
    if futures:
        Thread(target=_give_up, args=(futures,), daemon=True).start()


def _give_up(futures: "list[Future[Any]]") -> None:
    for future in futures:
        with suppress(InvalidStateError):
            future.set_exception(
                EngineError("this process was forked while the request ran; ask again in it")
            )


def _after_fork_in_child() -> None:
    for engine in list(_engines):
        engine.begin_anew()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)
