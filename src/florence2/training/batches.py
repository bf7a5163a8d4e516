"""Examples and batches: what the training loop consumes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from florence2.model.florence2 import IGNORE_INDEX
from florence2.tasks import Task
from florence2.training.dense import CELLS, COLUMNS, DenseTargets
from florence2.training.targets import pad_ids


@dataclass(frozen=True)
class Example:
    """One picture with one question and its answer.

    Attributes:
        pixels: float32 `(3, side, side)`, normalised.
        task: the task asked.
        prompt_ids, label_ids: token ids, both `<s> ... </s>`.
        cells, columns, boxes: dense targets as in `DenseTargets`, without the batch axis;
            None where the maker knows none.
    """

    pixels: NDArray[np.float32]
    task: Task
    prompt_ids: list[int]
    label_ids: list[int]
    cells: NDArray[np.int64] | None = None
    columns: NDArray[np.int64] | None = None
    boxes: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Batch:
    """Examples as tensors; prompts are padded with `prompt_mask` 0, labels with IGNORE_INDEX."""

    pixels: Tensor
    prompt_ids: Tensor
    prompt_mask: Tensor
    labels: Tensor
    tasks: tuple[Task, ...]
    dense: DenseTargets


def collate(examples: Sequence[Example], pad_id: int, map_side: int) -> Batch:
    """Stack examples of one image side; `map_side` is the side of the tower's feature map."""
    prompts = [example.prompt_ids for example in examples]
    rows = len(examples)
    cells = torch.full((rows, CELLS * map_side, CELLS * map_side), IGNORE_INDEX)
    columns = torch.full((rows, COLUMNS * map_side), IGNORE_INDEX)
    boxes = torch.full((rows, 4, map_side, map_side), torch.nan)
    for row, example in enumerate(examples):
        if example.cells is not None:
            cells[row] = torch.from_numpy(example.cells)
        if example.columns is not None:
            columns[row] = torch.from_numpy(example.columns)
        if example.boxes is not None:
            boxes[row] = torch.from_numpy(example.boxes)
    return Batch(
        pixels=torch.from_numpy(np.stack([example.pixels for example in examples])),
        prompt_ids=pad_ids(prompts, pad_id),
        prompt_mask=pad_ids([[1] * len(prompt) for prompt in prompts], 0),
        labels=pad_ids([example.label_ids for example in examples], IGNORE_INDEX),
        tasks=tuple(example.task for example in examples),
        dense=DenseTargets(cells, columns, boxes),
    )
