"""Which request goes next: queues and limits in plain numbers, without tensors or threads.

    add --> waiting --mark_ready--> ready --admit--> running --remove-->

Requests with equal batch keys are decoded together, so only those are admitted together. First
come, first served: the request that has been ready longest is next, and others of its batch key
with it.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass, fields

from florence2.errors import ConfigError, EngineError


@dataclass(frozen=True)
class EngineLimits:
    """How much an engine takes on at once.

    Attributes:
        max_running: requests decoded side by side.
        max_prefill: requests prefilled between two steps of those that run; more of them make
            better batches, fewer keep the others from waiting.
        max_waiting: requests that wait, beside those that run; more are refused.
    """

    max_running: int = 16
    max_prefill: int = 4
    max_waiting: int = 4096

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not isinstance(value, int) or value < 1:
                raise ConfigError(f"{each.name} must be a whole number from 1 up; got {value!r}")


class Scheduler:
    """The requests of one engine, by number; numbers are never used again."""

    def __init__(self, limits: EngineLimits | None = None) -> None:
        self.limits = limits or EngineLimits()
        self._waiting: dict[int, int] = {}  # to their batch keys
        self._ready: OrderedDict[int, int] = OrderedDict()
        self._running: dict[int, int] = {}

    @property
    def num_waiting(self) -> int:
        """Requests that are accepted and do not run yet."""
        return len(self._waiting) + len(self._ready)

    @property
    def num_running(self) -> int:
        return len(self._running)

    @property
    def running(self) -> list[int]:
        """Requests that run."""
        return list(self._running)

    @property
    def has_work(self) -> bool:
        """Whether something can be done now; a request that is being read is no work."""
        return bool(self._ready or self._running)

    def __contains__(self, number: int) -> bool:
        return any(number in queue for queue in (self._waiting, self._ready, self._running))

    def add(self, number: int, batch_key: int, *, must: bool = False) -> None:
        """Accept a request whose picture is to be read.

        Args:
            must: it belongs to one that was accepted already, so it may exceed the limit.

        Raises:
            EngineError: too many wait already.
        """
        assert number not in self, f"request {number} was added twice"
        if not must and self.num_waiting >= self.limits.max_waiting:
            raise EngineError(
                f"{self.num_waiting:,} requests wait already, which is the limit; wait for answers,"
                " or give the engine a larger max_waiting"
            )
        self._waiting[number] = batch_key

    def mark_ready(self, number: int) -> None:
        """Queue a request for prefill, its picture being read; one that has left stays out."""
        if number in self._waiting:
            self._ready[number] = self._waiting.pop(number)

    def admit(self, max_running: float = math.inf) -> list[int]:
        """Let requests run, all of one batch key: as many as there are places.

        Args:
            max_running: a limit of the moment, beside that of `limits`.
        """
        places = min(self.limits.max_running, max_running) - self.num_running
        free = int(min(places, self.limits.max_prefill))
        if free <= 0 or not self._ready:
            return []
        first = next(iter(self._ready.values()))
        chosen = [number for number, key in self._ready.items() if key == first][:free]
        for number in chosen:
            self._running[number] = self._ready.pop(number)
        return chosen

    def remove(self, number: int) -> None:
        """Forget a request wherever it is: answered, failed or cancelled."""
        for queue in (self._waiting, self._ready, self._running):
            queue.pop(number, None)
