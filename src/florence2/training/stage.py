"""A stretch of training with one picture side and one schedule of the learning rate."""

import math
from dataclasses import dataclass

from florence2.errors import ConfigError


@dataclass(frozen=True)
class Stage:
    """How long, on which batches and how fast.

    The learning rate warms up linearly, then falls as a cosine to `final_share` of its peak.

    Attributes:
        batch_size: pictures of one optimizer step, over all processes and pieces.
        seconds: ends the stage where the steps take longer; the learning rate falls with steps or
            time, whichever is nearer its end. Not resumable to the same numbers.
    """

    name: str
    steps: int
    batch_size: int
    image_side: int
    learning_rate: float
    warmup_steps: int = 200
    final_share: float = 0.0
    seconds: float | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "image_side"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    f"stage {self.name!r} has {name} {getattr(self, name)!r}; it must be 1 or more"
                )

    @property
    def evaluated(self) -> bool:
        """Whether the model is worth measuring in this stage."""
        return True

    def is_over(self, step: int, elapsed_s: float) -> bool:
        """Whether steps or time have run out."""
        return step >= self.steps or (self.seconds is not None and elapsed_s >= self.seconds)

    def learning_rate_at(self, step: int, elapsed_s: float = 0.0) -> float:
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        progress = (step - self.warmup_steps) / max(self.steps - self.warmup_steps, 1)
        if self.seconds is not None:
            progress = max(progress, elapsed_s / self.seconds)
        cosine = 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))
        return self.learning_rate * (self.final_share + (1.0 - self.final_share) * cosine)
