"""Low-rank adapters (LoRA, arXiv:2106.09685) on the linears of the model.

An adapted linear computes `W x + b + scaling * B A x` with a rank of a few; only `A` and `B`
train. `B` starts at zero, so that a new adapter changes nothing.
"""

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from florence2.errors import ConfigError, did_you_mean
from florence2.model.florence2 import Florence2Model
from florence2.training.freezing import PARTS, part_of


@dataclass(frozen=True)
class LoraConfig:
    """Size and place of an adapter.

    Attributes:
        rank: rows of `A` and columns of `B`.
        alpha: strength; what the adapter adds is scaled by `alpha / rank`, or by
            `alpha / sqrt(rank)` with `use_rslora` (arXiv:2312.03732).
        dropout: share of the inputs of `A` that is dropped in training.
        targets: which linears; each target is the end of their names (`q_proj`,
            `self_attn.out_proj`), a part of the model (`text_decoder`), or both
            (`text_decoder.fc1`).
    """

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    targets: tuple[str, ...] = ("text_encoder", "text_decoder")
    use_rslora: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.targets, str):
            raise ConfigError(
                f"LoRA targets {self.targets!r} is one text; give a tuple of names, such as"
                f" ({self.targets!r},)"
            )
        if isinstance(self.rank, bool) or not isinstance(self.rank, int) or self.rank < 1:
            raise ConfigError(f"LoRA rank {self.rank!r} must be a whole number of 1 or more")
        if not (math.isfinite(self.alpha) and self.alpha > 0):
            raise ConfigError(f"LoRA alpha {self.alpha!r} must be a number above 0")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"LoRA dropout {self.dropout!r} must be in [0, 1)")
        if not self.targets:
            raise ConfigError("LoRA targets are empty; name at least one, such as 'q_proj'")

    @property
    def scaling(self) -> float:
        """Factor of what the adapter adds."""
        return self.alpha / (math.sqrt(self.rank) if self.use_rslora else self.rank)


class LoraLinear(nn.Module):
    """A frozen linear with an adapter beside it: `W x + b + scaling * B A dropout(x)`.

    Holds the linear's own parameters under their own names, so that a state dict of the model
    only gains `lora_A.weight` and `lora_B.weight`. The adapter stays in float32 when the model is
    in half precision, in which small steps of training are lost.
    """

    def __init__(self, linear: nn.Linear, config: LoraConfig):
        super().__init__()
        self.weight = linear.weight
        self.bias = linear.bias
        self.rank, self.alpha = config.rank, config.alpha
        self.scaling = config.scaling
        self.dropout = config.dropout
        place = {"device": linear.weight.device, "dtype": torch.float32}
        self.lora_A = nn.Linear(linear.in_features, config.rank, bias=False, **place)
        self.lora_B = nn.Linear(config.rank, linear.out_features, bias=False, **place)
        nn.init.zeros_(self.lora_B.weight)

    def forward(self, x: Tensor) -> Tensor:
        out = F.linear(x, self.weight, self.bias)
        x = F.dropout(x.to(self.lora_A.weight.dtype), self.dropout, self.training)
        added: Tensor = self.lora_B(self.lora_A(x))
        return out + self.scaling * added.to(out.dtype)

    @torch.no_grad()
    def merged_weight(self) -> Tensor:
        """`W + scaling * B A`, summed in float32, in the dtype of `W`."""
        added = self.lora_B.weight.float() @ self.lora_A.weight.float()
        return (self.weight.float() + self.scaling * added).to(self.weight.dtype)


class Lora:
    """An adapter on a model: attached when made, then merged, un-merged or removed.

    While it is attached, only the adapter trains and the adapted linears are `LoraLinear`s. Merged
    or removed, the model consists of plain linears again, so that it can be saved as a checkpoint.
    The weights under a merged adapter are kept, so that un-merging restores every bit.

    Attributes:
        config: with `targets` as they were given.
        layers: the adapted linears by their name in the model.

    Args:
        others: settings of linears that have their own, by their name in the model.
    """

    def __init__(
        self,
        model: Florence2Model,
        config: LoraConfig,
        others: Mapping[str, LoraConfig] | None = None,
    ):
        if any(isinstance(module, LoraLinear) for module in model.modules()):
            raise ConfigError("a LoRA adapter is attached already; merge or remove it first")
        self.model, self.config = model, config
        self._plain = target_linears(model, config.targets)
        others = others or {}
        self.layers = {
            name: LoraLinear(each, others.get(name, config)) for name, each in self._plain.items()
        }
        self._placed: dict[str, nn.Module] = dict(self._plain)
        self._trained = [each for each in model.parameters() if each.requires_grad]
        self._attach()

    def merge(self) -> None:
        """Put the sums into the model, for use and for saving; answers get no slower."""
        merged: dict[str, nn.Module] = {}
        for name, layer in self.layers.items():
            linear = copy.deepcopy(self._plain[name])
            linear.weight = nn.Parameter(layer.merged_weight(), requires_grad=False)
            merged[name] = linear
        self._place(merged)

    def unmerge(self) -> None:
        """Attach again after `merge` or `remove`; training can go on."""
        self._attach()

    def remove(self) -> None:
        """Take the adapter out; what trained before it was attached trains again."""
        for name, linear in self._plain.items():
            linear.weight, linear.bias = self.layers[name].weight, self.layers[name].bias
        self._place(self._plain)
        for parameter in self._trained:
            parameter.requires_grad_(True)

    def _attach(self) -> None:
        self._place(self.layers)
        self.model.requires_grad_(False)
        for layer in self.layers.values():
            layer.lora_A.requires_grad_(True)
            layer.lora_B.requires_grad_(True)

    def _place(self, modules: Mapping[str, nn.Module]) -> None:
        """Put modules where the adapted linears are; the model may have moved meanwhile."""
        for name, expected in self._placed.items():
            if self.model.get_submodule(name) is not expected:
                raise ConfigError(
                    f"the model's {name!r} was replaced since this adapter was placed, perhaps by"
                    " a second adapter; merge or remove the later one first"
                )
        for name, module in modules.items():
            parent, _, child = name.rpartition(".")
            device = self.model.get_parameter(f"{name}.weight").device
            module.to(device).train(self.model.training)
            setattr(self.model.get_submodule(parent), child, module)
        self._placed = dict(modules)


def target_linears(model: Florence2Model, targets: Iterable[str]) -> dict[str, nn.Linear]:
    """The linears that some target names, in the order of the model.

    Raises:
        ConfigError: a target names none of them. Other kits pass such a target over in silence
            and train less than was asked for.
    """
    linears = {name: each for name, each in model.named_modules() if isinstance(each, nn.Linear)}
    chosen: set[str] = set()
    for target in targets:
        found = {name for name in linears if _matches(target, name)}
        if not found:
            raise _unknown_target(target, linears)
        chosen |= found
    return {name: linear for name, linear in linears.items() if name in chosen}


def _matches(target: str, name: str) -> bool:
    part, _, ending = target.partition(".")
    if name == "lm_head" and not ending:
        return target == name  # an output head is adapted where it is asked for by its name
    if part not in PARTS:
        return f".{name}".endswith(f".{target}")
    return part_of(name) == part and f".{name}".endswith(f".{ending}" if ending else "")


def _unknown_target(target: str, names: Iterable[str]) -> ConfigError:
    kinds = sorted({name.rpartition(".")[2] for name in names})
    parts = [part for part in PARTS if part != "embedding"]
    hint = did_you_mean(target.rpartition(".")[2], [*kinds, *parts])
    return ConfigError(
        f"LoRA target {target!r} matches no linear of this model{hint}; choose from"
        f" {', '.join(kinds)}, from the parts {', '.join(parts)}, or both, such as"
        " 'text_decoder.fc1'"
    )
