"""Stages that the loss of pretraining refuses."""

import pytest

from florence2.errors import ConfigError
from florence2.training.stage import Stage
from tiny_runs import new_model, pretraining_loss


def test_a_stage_has_to_say_what_it_trains() -> None:
    loss = pretraining_loss(new_model())
    with pytest.raises(ConfigError, match="'plain' does not say what it trains"):
        loss.trains_all(Stage("plain", 1, 1, 32, 1e-3))
