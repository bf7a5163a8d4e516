"""Weights of a loss module come from runs alone; a model to start from has none."""

from pathlib import Path

import pytest

import florence2
from florence2.training.warm_start import loss_weights_of

NANO = Path(florence2.__file__).parent / "nano"


@pytest.mark.parametrize("weights", [None, "nano", NANO, NANO / "model.safetensors", {}])
def test_a_model_brings_no_weights_of_a_loss(weights: object) -> None:
    assert loss_weights_of(weights) == {}  # type: ignore[arg-type]
