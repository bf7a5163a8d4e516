"""Which request goes next: queues and limits in plain numbers, without tensors or threads.

    add --> waiting --ready--> in line --begin--> running --remove-->

Requests of one lane are decoded together, so only those begin together. First come, first served:
the request that has been in line longest begins next, and others of its lane with it.
"""

from collections import OrderedDict
from dataclasses import dataclass, fields

from florence2.errors import ConfigError, EngineError


@dataclass(frozen=True)
class Limits:
    """How much an engine takes on at once.

    Attributes:
        max_running: requests decoded side by side.
        max_begin: requests encoded between two steps of those that run; more of them make better
            batches, fewer keep the others from waiting.
        max_waiting: requests that wait, beside those that run; more are refused.
    """

    max_running: int = 16
    max_begin: int = 4
    max_waiting: int = 4096

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not isinstance(value, int) or value < 1:
                raise ConfigError(f"{each.name} must be a whole number from 1 up; got {value!r}")


class Scheduler:
    """The requests of one engine, by number; numbers are never used again."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._waiting: dict[int, int] = {}  # to their lanes
        self._in_line: OrderedDict[int, int] = OrderedDict()
        self._running: dict[int, int] = {}

    @property
    def num_waiting(self) -> int:
        """Requests that are accepted and do not run yet."""
        return len(self._waiting) + len(self._in_line)

    @property
    def num_running(self) -> int:
        return len(self._running)

    @property
    def has_work(self) -> bool:
        """Whether something can be done now; a request that is being read is no work."""
        return bool(self._in_line or self._running)

    def __contains__(self, number: int) -> bool:
        return any(number in queue for queue in (self._waiting, self._in_line, self._running))

    def add(self, number: int, lane: int) -> None:
        """Accept a request whose picture is to be read.

        Raises:
            EngineError: too many wait already.
        """
        assert number not in self, f"request {number} was added twice"
        if self.num_waiting >= self.limits.max_waiting:
            raise EngineError(
                f"{self.num_waiting:,} requests wait already, which is the limit; wait for answers,"
                " or give the engine a larger max_waiting"
            )
        self._waiting[number] = lane

    def ready(self, number: int) -> None:
        """Put a request in line, now that its picture is read; one that has left stays out."""
        if number in self._waiting:
            self._in_line[number] = self._waiting.pop(number)

    def begin(self) -> list[int]:
        """Let requests begin, all of one lane: as many as there are places."""
        free = min(self.limits.max_running - self.num_running, self.limits.max_begin)
        if free <= 0 or not self._in_line:
            return []
        lane = next(iter(self._in_line.values()))
        chosen = [number for number, its_lane in self._in_line.items() if its_lane == lane][:free]
        for number in chosen:
            self._running[number] = self._in_line.pop(number)
        return chosen

    def remove(self, number: int) -> None:
        """Forget a request wherever it is: answered, failed or cancelled."""
        for queue in (self._waiting, self._in_line, self._running):
            queue.pop(number, None)
