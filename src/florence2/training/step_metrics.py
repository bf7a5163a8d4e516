"""Numbers of the steps between two lines of the log, as sums and their weights."""

import time
from collections.abc import Mapping

import torch

from florence2.training.distributed import World
from florence2.training.losses import Sums
from florence2.training.progress import Stopwatch


class Window:
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

    def end_step(self) -> None:
        """Count a step."""
        self._steps += 1

    def start_clock(self) -> None:
        """Leave out the time since the last reading, as that of an evaluation."""
        self._since = time.monotonic()

    def read_clock(self) -> float:
        """Take in the time of the steps since the last reading; returns the seconds."""
        now = time.monotonic()
        elapsed, self._since = now - self._since, now
        laps = {"step": elapsed, **self.watch.read()}
        steps, self._steps = self._steps, 0
        self.add({f"seconds_{name}": torch.tensor((each, steps)) for name, each in laps.items()})
        return elapsed

    def totals(self, world: World) -> dict[str, list[float]]:
        """Sums and weights over all processes; all of them must ask together."""
        totals: dict[str, list[float]] = {}
        for sums in world.gather({name: pair.tolist() for name, pair in self.sums.items()}):
            for name, pair in sums.items():
                former = totals.get(name, [0.0, 0.0])
                totals[name] = [former[0] + pair[0], former[1] + pair[1]]
        return totals

    def restore(self, totals: Mapping[str, list[float]], device: torch.device) -> None:
        """Go on with the sums of an interrupted window."""
        for name, pair in totals.items():
            place = None if name.startswith("seconds_") else device
            self.sums[name] = torch.tensor(pair, device=place)

    def means(self, world: World) -> dict[str, float]:
        """Means over all processes by name, sorted; the window is then empty."""
        totals = self.totals(world)
        self.sums = {}
        return {name: total / max(weight, 1e-9) for name, (total, weight) in sorted(totals.items())}
