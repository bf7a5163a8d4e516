"""What a run does, in numbers: its stages and its settings."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from torch.utils.data import Dataset

from florence2.errors import ConfigError
from florence2.model.florence2 import Florence2Model
from florence2.training.batches import Example

Part = Literal["all", "tower", "text"]


@dataclass(frozen=True)
class Stage:
    """A stretch of training with one picture side and one schedule.

    The learning rate warms up linearly, then falls as a cosine to `final_share` of its peak.

    Attributes:
        batch_size: pictures of one optimizer step, over all processes and pieces.
        dense_weight: of the dense heads as a side task of a joint stage.
        trains: "tower" trains the tower alone, with the dense heads; "text" the text encoder and
            decoder alone, on examples without pictures, as `denoising` makes them.
    """

    name: str
    steps: int
    batch_size: int
    image_side: int
    learning_rate: float
    warmup_steps: int = 200
    final_share: float = 0.0
    dense_weight: float = 0.0
    trains: Part = "all"

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "image_side"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    f"stage {self.name!r} has {name} {getattr(self, name)!r}; it must be 1 or more"
                )
        if self.trains not in get_args(Part):
            raise ConfigError(
                f"stage {self.name!r} trains {self.trains!r}; choose among"
                f" {', '.join(get_args(Part))}"
            )

    @property
    def joint(self) -> bool:
        """Whether the whole model learns to answer."""
        return self.trains == "all"

    @property
    def dense(self) -> bool:
        """Whether the dense heads take part."""
        return self.trains == "tower" or (self.joint and self.dense_weight > 0)

    def learning_rate_at(self, step: int) -> float:
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        progress = (step - self.warmup_steps) / max(self.steps - self.warmup_steps, 1)
        cosine = 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))
        return self.learning_rate * (self.final_share + (1.0 - self.final_share) * cosine)


@dataclass(frozen=True)
class Recipe:
    """What is trained, on what, for how long.

    Attributes:
        examples: function of a stage giving a dataset whose item `i` is a pure function
            of `i`; it must hold at least as many items as the stages consume.
        num_classes, num_letters: what the throw-away dense heads tell apart; `num_classes` 0 for
            no such heads, as in fine-tuning.
        evaluate: called with the model (in eval mode) and the picture side at the end of each
            joint stage and every `evaluate_every` steps of it; returns names and numbers for the
            log.
        accumulate: pieces that a process cuts its share of a batch into, one after another, to
            save memory; the gradients are those of the whole batch.
        recompute: keep only the inputs of each block for the backward pass and compute the rest
            again, which saves most of the memory for a third more time.
        ema_decay: of a running average of the weights, which evaluation and `trained_weights`
            then use; None for none.
        bf16: compute in bfloat16 where the device can; weights and sums stay float32.
        device: None for the GPU if there is one, else the CPU.
        workers: processes that make batches ahead of time.
        checkpoint_part_bytes: write the checkpoint in files of at most so many bytes.
        seed: of the dense heads and of dropout.
    """

    stages: tuple[Stage, ...]
    examples: Callable[[Stage], Dataset[Example]]
    loc_begin: int
    num_classes: int = 0
    num_letters: int = 0
    evaluate: Callable[[Florence2Model, int], dict[str, float]] | None = None
    evaluate_every: int = 1000
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    accumulate: int = 1
    recompute: bool = False
    ema_decay: float | None = None
    bf16: bool = True
    device: str | None = None
    workers: int = 1
    worker_init: Callable[[int], None] | None = None
    log_every: int = 50
    save_every: int = 250
    checkpoint_part_bytes: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.stages:
            raise ConfigError("the recipe has no stages; give at least one")
        for name in ("accumulate", "evaluate_every", "log_every", "save_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)!r}; it must be 1 or more")
        if self.ema_decay is not None and not 0.0 < self.ema_decay < 1.0:
            raise ConfigError(
                f"ema_decay is {self.ema_decay!r}; it must lie between 0 and 1, such as 0.999, or"
                " be None for no average"
            )
        for stage in self.stages:
            if stage.dense and self.num_classes == 0:
                raise ConfigError(
                    f"stage {stage.name!r} trains dense heads, but num_classes is 0, which means"
                    " that there are none; give num_classes, or set dense_weight 0"
                )
