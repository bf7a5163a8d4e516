"""What a watcher sees: where the time of a step goes, and a bar with the time left."""

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TextIO

import torch

_BAR_CELLS = 24
_SECONDS_BETWEEN_DRAWINGS = 0.2


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


@dataclass(frozen=True)
class Progress:
    """Where a stage stands.

    Attributes:
        seconds_a_step: None while unknown.
        loss: of the last line of the log.
    """

    stage: str
    step: int
    steps: int
    batch_size: int
    seconds_a_step: float | None
    loss: float | None

    def describe(self) -> str:
        """One line with a bar, pictures a second, the loss and the time left in the stage.

        >>> Progress("joint", 50, 100, 32, 0.5, 2.345).describe()
        'joint ############............  50/100  64.0 pictures/s  loss 2.345  0:00:25 left'
        """
        filled = _BAR_CELLS * self.step // self.steps
        bar = "#" * filled + "." * (_BAR_CELLS - filled)
        parts = [f"{self.stage} {bar}  {self.step}/{self.steps}"]
        if self.seconds_a_step:
            parts.append(f"{self.batch_size / self.seconds_a_step:.1f} pictures/s")
        if self.loss is not None:
            parts.append(f"loss {self.loss:.4g}")
        if self.seconds_a_step:
            left = timedelta(seconds=round((self.steps - self.step) * self.seconds_a_step))
            parts.append(f"{left} left")
        return "  ".join(parts)


class Bar:
    """One line that is drawn over itself, on a terminal only."""

    def __init__(self, stream: TextIO | None = None):
        self.stream = sys.stderr if stream is None else stream
        self.shown = self.stream.isatty()
        self._drawn_at = -math.inf

    def draw(self, progress: Progress) -> None:
        """Show a stage, a few times a second at most."""
        now = time.monotonic()
        if self.shown and now - self._drawn_at >= _SECONDS_BETWEEN_DRAWINGS:
            self._drawn_at = now
            self.stream.write(f"\r{progress.describe()}\x1b[K")
            self.stream.flush()

    def clear(self) -> None:
        """Make room for a line of the log."""
        if self.shown:
            self.stream.write("\r\x1b[K")
            self.stream.flush()
