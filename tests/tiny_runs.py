"""Runs of seconds: bright squares in corners, a tiny model.

As a program, one run of `resumable_recipe` in a process of its own or, under torchrun, in several:

    python tests/tiny_runs.py FOLDER [shard]
"""

import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from florence2.model.config import with_vocab_size
from florence2.model.florence2 import Florence2Model
from florence2.processing.tokenizer import Tokenizer
from florence2.tasks import Task
from florence2.training.batches import Example
from florence2.training.distributed import join
from florence2.training.losses import AnswerLoss
from florence2.training.recipe import Recipe
from florence2.training.stage import Stage
from florence2.training.trainer import Trainer
from florence2_lab.pretraining.denoising import Denoising
from florence2_lab.pretraining.dense_heads import dense_targets
from florence2_lab.pretraining.loss import PretrainingLoss, PretrainingStage
from tiny_models import CONFIG as TINY

LOC_BEGIN = 20
CONFIG = with_vocab_size(TINY, 1040)
DENSE = PretrainingStage("dense", 40, 8, 32, 4e-3, warmup_steps=5, trains="tower")
TEXT = PretrainingStage("text", 40, 8, 32, 4e-3, warmup_steps=5, trains="text")
JOINT = PretrainingStage("joint", 60, 8, 32, 4e-3, warmup_steps=5, dense_weight=0.5)


class Patches(Dataset[Example]):
    """A bright square in one of four corners; the answer names the corner and its box.

    Every third example asks where the square is and has no boxes, every fourth has none but columns
    of letters.
    """

    def __getitem__(self, index: int) -> Example:
        generator = np.random.default_rng([7, index])
        corner = int(generator.integers(4))
        row, column = divmod(corner, 2)
        pixels = generator.normal(0, 0.1, (3, 32, 32)).astype(np.float32)
        pixels[:, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16] += 2.0
        box = [500 * column, 500 * row, 500 * column + 499, 500 * row + 499]
        labels = [0, 4 + corner, *[LOC_BEGIN + each for each in box], 2]
        if index % 4 == 3:
            columns = np.repeat([0, 1 + corner % 2], 4)
            return Example(
                pixels, Task.OCR, [0, 11, 12, 2], [0, 4 + corner, 2], extras(columns=columns)
            )
        cells = np.zeros((16, 16), np.int64)
        cells[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = corner + 1
        boxes = np.full((4, 4, 4), np.nan, np.float32)
        boxes[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = 0.25
        if index % 3 == 0:
            where = (cells > 0).astype(np.float32)
            return Example(
                pixels, Task.OD, [0, 10, 2], labels, extras(cells=cells, referents=where)
            )
        return Example(pixels, Task.OD, [0, 10, 2], labels, extras(cells=cells, boxes=boxes))


extras = partial(dense_targets, CONFIG.vision.map_side(32))
pretraining_loss = partial(PretrainingLoss, loc_begin=LOC_BEGIN, num_classes=4, num_letters=2)


def answer_loss(model: Florence2Model) -> AnswerLoss:
    """The loss of fine-tuning."""
    return AnswerLoss(LOC_BEGIN)


def new_model(dropout: float = 0.0) -> Florence2Model:
    config = replace(CONFIG, text=replace(CONFIG.text, dropout=dropout))
    return Florence2Model(config).initialize(torch.Generator().manual_seed(0))


def examples_of(stage: Stage) -> Dataset[Example]:
    if isinstance(stage, PretrainingStage) and stage.trains == "text":
        return Denoising(Patches(), Tokenizer.train([], 300), seed=1)
    return Patches()


def new_recipe(*stages: Stage) -> Recipe:
    return Recipe(
        stages=stages,
        examples=examples_of,
        loss=pretraining_loss,
        workers=0,
        log_every=5,
        save_every=5,
        device="cpu",
    )


def resumable_recipe() -> Recipe:
    """All kinds of stages, averaged weights, log lines that do not fall on saves, an evaluation."""
    stages = replace(DENSE, steps=8), replace(TEXT, steps=6), replace(JOINT, steps=14)
    return replace(
        new_recipe(*stages),
        log_every=3,
        save_every=4,
        ema_decay=0.9,
        bf16=False,
        evaluate=size_of_weights,
        evaluate_every=7,
    )


def size_of_weights(model: Florence2Model, side: int) -> dict[str, float]:
    """Stands for an evaluation."""
    return {"held_out_size": sum(float(each.detach().abs().sum()) for each in model.parameters())}


class Slow(Dataset[Example]):
    """Leaves a watcher the time to kill the run."""

    def __init__(self, rows: Dataset[Example]):
        self.rows = rows

    def __getitem__(self, index: int) -> Example:
        time.sleep(0.002)
        return self.rows[index]


def main() -> None:
    torch.set_num_threads(1)
    folder, *words = sys.argv[1:]
    recipe = resumable_recipe()
    dropout = 0.1
    if "slow" in words:
        recipe = replace(recipe, examples=lambda stage: Slow(examples_of(stage)))
    if "together" in words:
        dropout = 0.0
    with join(shard="shard" in words, device="cpu") as world:
        Trainer(new_model(dropout), recipe, Path(folder), world=world).run()


if __name__ == "__main__":
    main()
