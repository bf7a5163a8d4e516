"""What a run does: its stages, its examples, its loss and its settings."""

from collections.abc import Callable
from dataclasses import InitVar, dataclass

from torch.utils.data import Dataset

from florence2.errors import ConfigError, warn_moved
from florence2.model.florence2 import Florence2Model
from florence2.training.batches import Example
from florence2.training.losses import LossModule
from florence2.training.stage import Stage


@dataclass(frozen=True)
class Recipe:
    """What is trained, on what, for how long.

    Attributes:
        examples: function of a stage giving a dataset whose item `i` is a pure function
            of `i`; it must hold at least as many items as the stages consume.
        loss: function of the model giving a new module that says how wrong the model is.
        evaluate: called with the model (in eval mode) and the picture side at the end of each
            stage that is `evaluated` and every `evaluate_every` steps of it; returns names and
            numbers for the log.
        gradient_accumulation: pieces that a process cuts its share of a batch into, one after
            another, to save memory; the gradients are those of the whole batch.
        gradient_checkpointing: keep only the inputs of each block for the backward pass and compute
            the rest again, which saves most of the memory for a third more time.
        ema_decay: of a running average of the weights, which evaluation and `trained_weights`
            then use; None for none.
        bf16: compute in bfloat16 where the device can; weights and sums stay float32.
        device: None for the GPU if there is one, else the CPU.
        workers: processes that make batches ahead of time.
        checkpoint_part_bytes: write the checkpoint in files of at most so many bytes.
        seed: of the parameters of the loss and of dropout.
        accumulate, recompute: the two of the gradient by their names of 0.4.
    """

    stages: tuple[Stage, ...]
    examples: Callable[[Stage], Dataset[Example]]
    loss: Callable[[Florence2Model], LossModule]
    evaluate: Callable[[Florence2Model, int], dict[str, float]] | None = None
    evaluate_every: int = 1000
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    gradient_accumulation: int = 1
    gradient_checkpointing: bool = False
    ema_decay: float | None = None
    bf16: bool = True
    device: str | None = None
    workers: int = 1
    worker_init: Callable[[int], None] | None = None
    log_every: int = 50
    save_every: int = 250
    checkpoint_part_bytes: int | None = None
    seed: int = 0
    accumulate: InitVar[int | None] = None
    recompute: InitVar[bool | None] = None

    def __post_init__(self, accumulate: int | None, recompute: bool | None) -> None:
        self._take_moved("accumulate", accumulate, "gradient_accumulation")
        self._take_moved("recompute", recompute, "gradient_checkpointing")
        if not self.stages:
            raise ConfigError("the recipe has no stages; give at least one")
        for name in ("gradient_accumulation", "evaluate_every", "log_every", "save_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)!r}; it must be 1 or more")
        if self.ema_decay is not None and not 0.0 < self.ema_decay < 1.0:
            raise ConfigError(
                f"ema_decay is {self.ema_decay!r}; it must lie between 0 and 1, such as 0.999, or"
                " be None for no average"
            )

    def _take_moved(self, old: str, value: int | None, new: str) -> None:
        if value is not None:
            warn_moved(f"Recipe({old}=)", f"Recipe({new}=)", calls_between=3)
            object.__setattr__(self, new, value)
