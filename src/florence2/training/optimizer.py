"""AdamW over what trains, and its state by names of parameters.

Names, unlike torch's numbers, survive another number of processes.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from florence2.errors import ConfigError
from florence2.training.distributed import gather_full, placed_like

BETAS = (0.9, 0.98)
# Moments by name of the parameter: whole tensors on the CPU.
Moments = dict[str, dict[str, Tensor]]


def trained_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """Parameters that require gradients, by name."""
    return {name: each for name, each in module.named_parameters() if each.requires_grad}


def new_optimizer(parameters: Mapping[str, nn.Parameter], weight_decay: float) -> torch.optim.AdamW:
    """Weights of linears and convolutions decay; norms, biases and embeddings do not."""
    if not parameters:
        raise ConfigError("no parameter requires gradients, so nothing would train; freeze less")
    free = [each for name, each in parameters.items() if each.ndim < 2 or _is_embedding(name)]
    spared = set(map(id, free))
    decayed = [each for each in parameters.values() if id(each) not in spared]
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, betas=BETAS, fused=True)


def _is_embedding(name: str) -> bool:
    return "embed" in name or "shared." in name


def moments(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter], keep: bool
) -> Moments:
    """The state of the optimizer; all processes must ask together, those that `keep` get it."""
    kept: Moments = {}
    for name, parameter in parameters.items():
        placed = optimizer.state.get(parameter, {})
        state = {key: gather_full(value).cpu() for key, value in placed.items()}
        if keep and state:
            kept[name] = state
    return kept


def restore_moments(
    optimizer: torch.optim.Optimizer,
    parameters: Mapping[str, nn.Parameter],
    saved: Mapping[str, Mapping[str, Tensor]],
) -> None:
    """Put saved moments where the parameters are."""
    for name, state in saved.items():
        parameter = parameters[name]
        optimizer.state[parameter] = {
            key: value.to(parameter.device) if key == "step" else placed_like(value, parameter)
            for key, value in state.items()
        }
