"""Examples, batches of them, and who makes them: what the training loop consumes."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from florence2.errors import ConfigError
from florence2.model.florence2 import IGNORE_INDEX
from florence2.tasks import Task
from florence2.training.stage import Stage
from florence2.training.targets import pad_ids

PREFETCHED = 4  # items that each worker makes ahead
SHARED_MEMORY = "/dev/shm"


@dataclass(frozen=True)
class Example:
    """One picture with one question and its answer.

    Attributes:
        pixels: float32 `(3, side, side)`, normalised; side 0 where there is no picture.
        task: the task asked; None for a prompt of a checkpoint's own.
        prompt_ids, label_ids: token ids, both `<s> ... </s>`.
        extras: what else the loss module of the recipe wants to know, the same names and shapes
            in all examples of a batch.
    """

    pixels: NDArray[np.float32]
    task: Task | None
    prompt_ids: list[int]
    label_ids: list[int]
    extras: Mapping[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """Examples as tensors; prompts are padded with `prompt_mask` 0, labels with IGNORE_INDEX."""

    pixels: Tensor
    prompt_ids: Tensor
    prompt_mask: Tensor
    labels: Tensor
    tasks: tuple[Task | None, ...]
    extras: Mapping[str, Tensor] = field(default_factory=dict)

    def to(self, device: torch.device) -> "Batch":
        """All tensors on a device; from pinned memory without waiting for the copy."""
        return _mapped(self, lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "Batch":
        """All tensors in pinned memory; the data loader calls this."""
        return _mapped(self, Tensor.pin_memory)


class PipedBatch(Batch):
    """A batch that a worker process sends as bytes through its pipe, not through shared memory."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _batch_of_arrays, (dict(vars(_mapped(self, Tensor.numpy))),)


def _batch_of_arrays(given: dict[str, Any]) -> Batch:
    def restored(value: Any) -> Any:
        return torch.from_numpy(value) if isinstance(value, np.ndarray) else value

    extras = {name: restored(value) for name, value in given.pop("extras").items()}
    return Batch(**{name: restored(value) for name, value in given.items()}, extras=extras)


def _mapped(batch: Batch, change: Callable[[Tensor], Any]) -> Batch:
    """A copy of a batch, each tensor in it changed."""
    changed: dict[str, Any] = {
        each.name: change(value)
        for each in fields(batch)
        if isinstance(value := getattr(batch, each.name), Tensor)
    }
    extras = {name: change(value) for name, value in batch.extras.items()}
    return replace(batch, **changed, extras=extras)


def collate(examples: Sequence[Example], pad_id: int) -> Batch:
    """Stack examples of one image side."""
    prompts = [example.prompt_ids for example in examples]
    return Batch(
        pixels=_stack([example.pixels for example in examples]),
        prompt_ids=pad_ids(prompts, pad_id),
        prompt_mask=pad_ids([[1] * len(prompt) for prompt in prompts], 0),
        labels=pad_ids([example.label_ids for example in examples], IGNORE_INDEX),
        tasks=tuple(example.task for example in examples),
        extras={
            name: _stack([example.extras[name] for example in examples])
            for name in examples[0].extras
        },
    )


def _stack(arrays: Sequence[NDArray[Any]]) -> Tensor:
    return torch.from_numpy(np.stack(arrays))


@dataclass(frozen=True)
class Batches(Dataset[Batch]):
    """Batches of a stage from step `start` on, made in worker processes.

    Batch `n` consists of the examples `n * batch_size` and following, for any number of processes.
    Process `rank` of `size` has its consecutive share of it, cut into `pieces`, one item each.
    """

    examples: Dataset[Example]
    stage: Stage
    pad_id: int
    start: int = 0
    pieces: int = 1
    rank: int = 0
    size: int = 1
    piped: bool = False  # whether workers send them through their pipes

    def __post_init__(self) -> None:
        if self.stage.batch_size < self.pieces * self.size:
            raise ConfigError(
                f"stage {self.stage.name!r} has batches of {self.stage.batch_size!r} pictures, too"
                f" few for {self.size!r} processes with {self.pieces!r} pieces each; raise"
                " batch_size"
            )

    def __len__(self) -> int:
        return (self.stage.steps - self.start) * self.pieces

    def __getitem__(self, index: int) -> Batch:
        step, piece = divmod(index, self.pieces)
        first = (self.start + step) * self.stage.batch_size
        part, parts = self.rank * self.pieces + piece, self.size * self.pieces
        rows = range(
            first + part * self.stage.batch_size // parts,
            first + (part + 1) * self.stage.batch_size // parts,
        )
        batch = collate([self.examples[row] for row in rows], self.pad_id)
        return PipedBatch(**vars(batch)) if self.piped else batch

    @property
    def nbytes(self) -> int:
        """About how much memory an item takes."""
        pictures = -(-self.stage.batch_size // (self.pieces * self.size))
        return pictures * 4 * 3 * self.stage.image_side**2


def batch_loader(
    batches: Batches,
    workers: int,
    worker_init: Callable[[int], None] | None = None,
    pin_memory: bool = False,
) -> Iterator[Batch]:
    """The pieces of this process, one after another, made ahead of time.

    Workers hand them over in shared memory where there is room for twice as many as are made ahead,
    with 64 MB to spare; containers often have as little as that in all.
    """
    needed = 2 * workers * PREFETCHED * batches.nbytes + 64_000_000
    if workers and os.path.isdir(SHARED_MEMORY):
        batches = replace(batches, piped=shutil.disk_usage(SHARED_MEMORY).free < needed)
    return iter(
        DataLoader(
            batches,
            batch_size=None,
            num_workers=workers,
            prefetch_factor=PREFETCHED if workers else None,
            # A forked worker hangs in the thread pools of its parent.
            multiprocessing_context="spawn" if workers else None,
            worker_init_fn=worker_init,
            pin_memory=pin_memory,
        )
    )
