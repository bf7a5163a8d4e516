"""Examples and batches: what the training loop consumes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from florence2.model.florence2 import IGNORE_INDEX
from florence2.tasks import Task
from florence2.training.dense import CELLS, COLUMNS, GLYPHS, DenseTargets
from florence2.training.targets import pad_ids


@dataclass(frozen=True)
class Example:
    """One picture with one question and its answer.

    Attributes:
        pixels: float32 `(3, side, side)`, normalised; side 0 where there is no picture.
        task: the task asked.
        prompt_ids, label_ids: token ids, both `<s> ... </s>`.
        cells, columns, glyphs, boxes, referents: dense targets as in `DenseTargets`, without the
            batch axis; None where the maker knows none.
    """

    pixels: NDArray[np.float32]
    task: Task
    prompt_ids: list[int]
    label_ids: list[int]
    cells: NDArray[np.int64] | None = None
    columns: NDArray[np.int64] | None = None
    glyphs: NDArray[np.int64] | None = None
    boxes: NDArray[np.float32] | None = None
    referents: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Batch:
    """Examples as tensors; prompts are padded with `prompt_mask` 0, labels with IGNORE_INDEX."""

    pixels: Tensor
    prompt_ids: Tensor
    prompt_mask: Tensor
    labels: Tensor
    tasks: tuple[Task, ...]
    dense: DenseTargets

    def to(self, device: torch.device) -> "Batch":
        """All tensors on a device; from pinned memory without waiting for the copy."""
        return _mapped(self, lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "Batch":
        """All tensors in pinned memory; the data loader calls this."""
        return _mapped(self, Tensor.pin_memory)


_Tensors = TypeVar("_Tensors", Batch, DenseTargets)


def _mapped(tensors: _Tensors, change: Callable[[Tensor], Tensor]) -> _Tensors:
    """A copy of a dataclass, each tensor in it changed."""
    changed: dict[str, Any] = {}
    for field in fields(tensors):
        value = getattr(tensors, field.name)
        if isinstance(value, Tensor):
            changed[field.name] = change(value)
        elif isinstance(value, DenseTargets):
            changed[field.name] = _mapped(value, change)
    return replace(tensors, **changed)


def collate(examples: Sequence[Example], pad_id: int, map_side: int) -> Batch:
    """Stack examples of one image side; `map_side` is the side of the tower's feature map."""
    prompts = [example.prompt_ids for example in examples]
    rows = len(examples)
    square = rows, CELLS * map_side, CELLS * map_side
    dense = {
        "cells": torch.full(square, IGNORE_INDEX),
        "columns": torch.full((rows, COLUMNS * map_side), IGNORE_INDEX),
        "glyphs": torch.full((rows, GLYPHS[0] * map_side, GLYPHS[1] * map_side), IGNORE_INDEX),
        "boxes": torch.full((rows, 4, map_side, map_side), torch.nan),
        "referents": torch.full(square, torch.nan),
    }
    for row, example in enumerate(examples):
        for name, targets in dense.items():
            if (known := getattr(example, name)) is not None:
                targets[row] = torch.from_numpy(known)
    return Batch(
        pixels=torch.from_numpy(np.stack([example.pixels for example in examples])),
        prompt_ids=pad_ids(prompts, pad_id),
        prompt_mask=pad_ids([[1] * len(prompt) for prompt in prompts], 0),
        labels=pad_ids([example.label_ids for example in examples], IGNORE_INDEX),
        tasks=tuple(example.task for example in examples),
        dense=DenseTargets(**dense),
    )
