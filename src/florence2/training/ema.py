"""A running average of the weights, which is often better than the last weights themselves."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from florence2.training.distributed import placed_like


class EMA:
    """Exponential average of trained parameters, `average += (1 - decay) (weight - average)`.

    The decay grows from 0.1 to its final value as `(1 + n) / (10 + n)`, so that the random
    weights of the start are forgotten in a few steps.

    Attributes:
        values: the averages by name of the parameter, placed (and sharded) as it is.
    """

    def __init__(self, parameters: Mapping[str, Tensor], decay: float):
        self.parameters, self.decay = parameters, decay
        self.values = {name: each.detach().clone() for name, each in parameters.items()}
        self.updates = 0

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after a step."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, value in self.values.items():
            value.lerp_(self.parameters[name].detach(), 1.0 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The averages in the model while the context lasts, then the weights again."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    @torch.no_grad()
    def swap(self) -> None:
        """Swap the averages and the weights."""
        for name, value in self.values.items():
            parameter = self.parameters[name]
            weights = parameter.detach().clone()
            parameter.copy_(value)
            value.copy_(weights)

    def restore(self, values: Mapping[str, Tensor], updates: int) -> None:
        """Take up a saved average, given as whole tensors."""
        for name, value in self.values.items():
            self.values[name] = placed_like(values[name], value)
        self.updates = updates
