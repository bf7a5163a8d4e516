"""Numbers of the steps between two lines of the log, as sums and their weights."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

from florence2.training.distributed import ProcessGroup
from florence2.training.losses import Sums


class Stopwatch:
    """Seconds by name of a lap; on a GPU by its own clock, without waiting for it."""

    def __init__(self, device: torch.device):
        self.on_gpu = device.type == "cuda"
        self._seconds: dict[str, float] = {}
        self._events: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def lap(self, name: str, waits: bool = False) -> Iterator[None]:
        """Time what happens within; `waits` for what the processor waits for, not the GPU."""
        if self.on_gpu and not waits:
            start = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            start.record()
            yield
            end.record()
            self._events.append((name, start, end))
            return
        began = time.perf_counter()
        yield
        self._add(name, time.perf_counter() - began)

    def _add(self, name: str, seconds: float) -> None:
        self._seconds[name] = self._seconds.get(name, 0.0) + seconds

    def read(self) -> dict[str, float]:
        """Seconds since the last reading; waits for the GPU."""
        for name, start, end in self._events:
            end.synchronize()
            self._add(name, start.elapsed_time(end) / 1000)
        seconds, self._seconds, self._events = self._seconds, {}, []
        return seconds


class StepMetrics:
    """Sums of many steps by name; they stay on their device until they are read."""

    def __init__(self, watch: Stopwatch):
        self.sums: Sums = {}
        self.watch = watch
        self._steps = 0  # since the watch was read
        self._since = time.monotonic()

    def add(self, sums: Sums) -> None:
        """Take in weighted sums, see `losses.weighted`."""
        for name, pair in sums.items():
            self.sums[name] = self.sums[name] + pair if name in self.sums else pair

    def count_step(self) -> None:
        """Count a step."""
        self._steps += 1

    def start_clock(self) -> None:
        """Leave out the time since the last reading, as that of an evaluation."""
        self._since = time.monotonic()

    def lap_seconds(self) -> float:
        """Take in the time of the steps since the last reading; returns the seconds."""
        now = time.monotonic()
        elapsed, self._since = now - self._since, now
        laps = {"step": elapsed, **self.watch.read()}
        steps, self._steps = self._steps, 0
        self.add({f"seconds_{name}": torch.tensor((each, steps)) for name, each in laps.items()})
        return elapsed

    def totals(self, world: ProcessGroup) -> dict[str, list[float]]:
        """Sums and weights over all processes; all of them must ask together."""
        totals: dict[str, list[float]] = {}
        for sums in world.gather({name: pair.tolist() for name, pair in self.sums.items()}):
            for name, pair in sums.items():
                former = totals.get(name, [0.0, 0.0])
                totals[name] = [former[0] + pair[0], former[1] + pair[1]]
        return totals

    def restore(self, totals: Mapping[str, list[float]], device: torch.device) -> None:
        """Go on with the sums of an interrupted run."""
        for name, pair in totals.items():
            place = None if name.startswith("seconds_") else device
            self.sums[name] = torch.tensor(pair, device=place)

    def means(self, world: ProcessGroup) -> dict[str, float]:
        """Means over all processes by name, sorted; the sums then start anew."""
        totals = self.totals(world)
        self.sums = {}
        return {name: total / max(weight, 1e-9) for name, (total, weight) in sorted(totals.items())}
