"""Gradient checkpointing (arXiv:1604.06174): compute blocks twice instead of remembering them."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from florence2.model.bart import DecoderLayer, EncoderLayer
from florence2.model.davit import BlockPair
from florence2.model.florence2 import Florence2Model


def blocks(model: Florence2Model) -> list[nn.Module]:
    """The repeated parts, which hold nearly all weights and intermediate values."""
    kinds = (BlockPair, EncoderLayer, DecoderLayer)
    return [module for module in model.modules() if isinstance(module, kinds)]


def recompute_blocks(model: Florence2Model) -> None:
    """Keep only the inputs of each block while training; gradients stay the same to the bit."""
    for block in blocks(model):
        block.forward = _recomputed(block.forward)


def _recomputed(forward: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(forward)
    def wrapped(*inputs: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*inputs)
        return checkpoint(forward, *inputs, use_reentrant=False)

    return wrapped
