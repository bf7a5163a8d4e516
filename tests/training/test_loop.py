"""The loop learns, resumes where it stood, and its batches say what the records say."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from florence2.model.config import with_vocab_size
from florence2.model.florence2 import IGNORE_INDEX, Florence2Model
from florence2.tasks import Task
from florence2.training.batches import Example, collate
from florence2.training.loop import Recipe, Stage, Trainer
from florence2.training.targets import answer_loss
from tiny_models import CONFIG as TINY

LOC_BEGIN = 20
CONFIG = with_vocab_size(TINY, 1040)


class Patches(Dataset[Example]):
    """A bright square in one of four corners; the answer names the corner and its box."""

    def __getitem__(self, index: int) -> Example:
        generator = np.random.default_rng([7, index])
        corner = int(generator.integers(4))
        row, column = divmod(corner, 2)
        pixels = generator.normal(0, 0.1, (3, 32, 32)).astype(np.float32)
        pixels[:, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16] += 2.0
        cells = np.zeros((16, 16), np.int64)
        cells[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = corner + 1
        boxes = np.full((4, 4, 4), np.nan, np.float32)
        boxes[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = 0.25
        box = [500 * column, 500 * row, 500 * column + 499, 500 * row + 499]
        labels = [0, 4 + corner, *[LOC_BEGIN + each for each in box], 2]
        return Example(pixels, Task.OD, [0, 10, 2], labels, cells, None, boxes)


def new_trainer(folder: Path, stages: tuple[Stage, ...]) -> Trainer:
    model = Florence2Model(CONFIG).initialize(torch.Generator().manual_seed(0))
    recipe = Recipe(
        stages=stages,
        examples=lambda stage: Patches(),
        num_classes=4,
        num_letters=2,
        loc_begin=LOC_BEGIN,
        workers=0,
        log_every=5,
        save_every=5,
    )
    return Trainer(model, recipe, folder)


DENSE = Stage("dense", 40, 8, 32, 4e-3, warmup_steps=5, joint=False)
JOINT = Stage("joint", 60, 8, 32, 4e-3, warmup_steps=5, dense_weight=0.5)


def column(folder: Path, stage: str, name: str) -> list[float]:
    with (folder / "log.csv").open() as file:
        return [float(row[4]) for row in csv.reader(file) if row[0] == stage and row[3] == name]


def test_both_kinds_of_stage_learn(tmp_path: Path) -> None:
    new_trainer(tmp_path, (DENSE, JOINT)).run()
    cells = column(tmp_path, "dense", "dense_cells")
    loss = column(tmp_path, "joint", "loss")
    assert cells[-1] < 0.8 * cells[0]
    assert loss[-1] < 0.8 * loss[0]


def test_a_killed_run_goes_on_like_an_unbroken_one(tmp_path: Path) -> None:
    stages = (replace(DENSE, steps=10), replace(JOINT, steps=10))
    unbroken = new_trainer(tmp_path / "whole", stages)
    unbroken.run()

    class Killed(Exception):
        pass

    broken = new_trainer(tmp_path / "broken", stages)
    train_step, calls = broken._train_step, []

    def dying_step(stage: Stage, batch: object) -> dict[str, float]:
        calls.append(stage)
        if len(calls) == 17:  # in the second stage, after its save at step 5
            raise Killed
        return train_step(stage, batch)  # type: ignore[arg-type]

    broken._train_step = dying_step  # type: ignore[method-assign,assignment]
    with pytest.raises(Killed):
        broken.run()
    resumed = new_trainer(tmp_path / "broken", stages)
    assert (resumed.stage_index, resumed.step) == (1, 5)
    resumed.run()
    for name, tensor in unbroken.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name


def test_padding_takes_no_part_in_the_loss() -> None:
    short = Example(np.zeros((3, 32, 32), np.float32), Task.OCR, [0, 2], [0, 5, 2])
    long = replace(short, prompt_ids=[0, 7, 8, 2], label_ids=[0, 5, 6, LOC_BEGIN + 3, 9, 2])
    batch = collate([short, long], pad_id=1, map_side=4)
    assert batch.labels[0].tolist() == [0, 5, 2, *[IGNORE_INDEX] * 3]
    assert batch.prompt_mask.tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]
    logits = torch.randn(2, 6, 1040, generator=torch.Generator().manual_seed(0))
    _, rows = answer_loss(logits, batch.labels, LOC_BEGIN)
    _, alone = answer_loss(logits[:1, :3], batch.labels[:1, :3], LOC_BEGIN)
    assert torch.allclose(rows[0], alone[0])


def test_a_near_bin_costs_less_than_a_far_one() -> None:
    labels = torch.tensor([[LOC_BEGIN + 500]])
    costs = []
    for guess in (500, 503, 520):
        logits = torch.zeros(1, 1, 1040)
        logits[0, 0, LOC_BEGIN + guess] = 8.0
        costs.append(answer_loss(logits, labels, LOC_BEGIN)[0].item())
    assert costs[0] < costs[1] < costs[2]
