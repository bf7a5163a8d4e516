"""Recomputed blocks give the same gradients; averages follow the weights."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from florence2.model.florence2 import Florence2Model
from florence2.training.checkpoint_files import trained_weights
from florence2.training.ema import EMA
from florence2.training.gradient_checkpointing import blocks, recompute_blocks
from florence2.training.trainer import Trainer
from tiny_models import tiny_batch
from tiny_runs import JOINT, new_model, new_recipe


def gradients(model: Florence2Model) -> tuple[dict[str, torch.Tensor], int]:
    """Of one batch with dropout, and the bytes kept for the backward pass."""
    torch.manual_seed(0)
    kept = 0

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += tensor.nbytes
        return tensor

    pixels, prompt_ids, labels = tiny_batch()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model.train()(pixels, prompt_ids, labels).square().mean()
    loss.backward()
    return {
        n: each.grad.clone() for n, each in model.named_parameters() if each.grad is not None
    }, kept


def test_recomputed_blocks_give_equal_gradients_and_keep_less() -> None:
    plain, whole = gradients(new_model(dropout=0.2))
    model = new_model(dropout=0.2)
    assert len(blocks(model)) == 5
    recompute_blocks(model)
    recomputed, less = gradients(model)
    assert less < 0.5 * whole
    assert plain.keys() == recomputed.keys()
    for name, gradient in plain.items():
        assert torch.equal(gradient, recomputed[name]), name


def test_a_run_with_recomputing_makes_the_same_weights(tmp_path: Path) -> None:
    recipe = replace(new_recipe(replace(JOINT, steps=3)), bf16=False)
    Trainer(new_model(dropout=0.1), recipe, tmp_path / "plain").run()
    recipe = replace(recipe, gradient_checkpointing=True)
    Trainer(new_model(dropout=0.1), recipe, tmp_path / "again").run()
    weights = trained_weights(tmp_path / "again")
    for name, tensor in trained_weights(tmp_path / "plain").items():
        assert torch.equal(tensor, weights[name]), name


def test_the_average_follows_with_a_decay_that_grows() -> None:
    weight = torch.zeros(3)
    average = EMA({"weight": weight}, decay=0.5)
    expected = 0.0
    for number in range(1, 20):
        weight.fill_(float(number))
        average.update()
        decay = min(0.5, (1 + number) / (10 + number))
        expected = decay * expected + (1 - decay) * number
    assert average.values["weight"].tolist() == pytest.approx([expected] * 3)
    with average.in_place():
        assert weight.tolist() == pytest.approx([expected] * 3)
    assert weight.tolist() == [19.0] * 3
