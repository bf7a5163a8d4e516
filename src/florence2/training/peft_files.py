"""Adapters on disk, in the file format of the PEFT library, for both public layouts.

A folder holds `adapter_config.json` and `adapter_model.safetensors`, whose tensors are called
`base_model.model.<public name of the linear>.lora_A.weight` (or `lora_B`). How they are read, and
merged for use, stands in `checkpoints.adapters`; here they are attached, to train.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from florence2.checkpoints.adapters import PREFIX, fit_adapter, read_adapter
from florence2.checkpoints.layouts import HEAD, LAYOUTS, Layout
from florence2.checkpoints.sources import ADAPTER, ADAPTER_WEIGHTS
from florence2.checkpoints.staging import staged
from florence2.checkpoints.weight_files import write_weights
from florence2.errors import ConfigError, WeightsError, first_few
from florence2.model.florence2 import Florence2Model
from florence2.training.lora import Lora, LoraConfig

# ---- writing


def save_lora(
    lora: Lora, folder: str | Path, *, base: str | None = None, layout: str = "native"
) -> Path:
    """Write an adapter folder that PEFT reads; returns it.

    Args:
        base: hub id or path of the checkpoint that the adapter belongs to.
        layout: `native` for use with transformers, `original` for Microsoft's remote code.
    """
    if layout not in LAYOUTS:
        raise ConfigError(f"layout {layout!r} is unknown; choose 'native' or 'original'")
    public = {name: _public_module(name, LAYOUTS[layout]) for name in lora.layers}
    tensors = {}
    for name, layer in lora.layers.items():
        for half, linear in (("A", layer.lora_A), ("B", layer.lora_B)):
            stored = linear.weight.detach().to("cpu").contiguous()
            tensors[f"{PREFIX}{public[name]}.lora_{half}.weight"] = stored
    settings = _peft_settings(lora.config, sorted(public.values()), base)
    for option, pattern in (("rank", "rank_pattern"), ("alpha", "alpha_pattern")):
        values = {public[name]: getattr(layer, option) for name, layer in lora.layers.items()}
        usual = getattr(lora.config, option)
        settings[pattern] = {name: each for name, each in values.items() if each != usual}

    folder = Path(folder)
    with staged(folder) as staging:
        text = json.dumps(settings, indent=2) + "\n"
        (staging / ADAPTER).write_text(text, encoding="utf-8")
        write_weights(tensors, staging / ADAPTER_WEIGHTS[0])
    return folder


def _public_module(name: str, layout: Layout) -> str:
    weight = str(layout.public_name(f"{name}.weight"))
    if weight in layout.transposed:
        raise ConfigError(
            f"the {layout.name} layout keeps {weight!r} as a bare matrix, which PEFT cannot"
            " adapt; save the adapter in the native layout, or merge it and save the checkpoint"
        )
    return weight.removesuffix(".weight")


def _peft_settings(config: LoraConfig, modules: list[str], base: str | None) -> dict[str, Any]:
    whole = float(config.alpha).is_integer()
    return {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": base,
        "r": config.rank,
        "lora_alpha": int(config.alpha) if whole else config.alpha,
        "lora_dropout": config.dropout,
        "use_rslora": config.use_rslora,
        "use_dora": False,
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "inference_mode": True,
        "modules_to_save": None,
        # Whole names: the short ones of `LoraConfig` would also match linears of other parts.
        "target_modules": modules,
    }


# ---- reading


def load_lora(model: Florence2Model, folder: str | Path) -> Lora:
    """Read an adapter of either layout and attach it, whatever layout the model came from.

    An adapter of the output head gives a tied model a head of its own: the words that are read stay
    as they are. What is more than products on linears can be used, but not trained on: see
    `Florence2.load(adapter=)`.

    Raises:
        WeightsError: a file is missing or damaged, the adapter is of a kind that cannot be attached
            here, or it does not fit the model.
        ConfigError: the model is none that trains.
    """
    if not isinstance(model, Florence2Model):
        raise ConfigError(
            f"an adapter is attached to a Florence2Model, such as load_checkpoint(...).model, not"
            f" to a {type(model).__name__}; to use it, Florence2.load(..., adapter={str(folder)!r})"
        )
    adapter = read_adapter(folder)
    fitted = fit_adapter(adapter, dict(model.named_parameters()))
    products = {_module(name): product for name, product in fitted.products.items()}
    linears = {name for name, each in model.named_modules() if isinstance(each, nn.Linear)}
    linears.add(_module(HEAD))
    plain = {name for name, product in products.items() if product.is_plain} & linears
    others = [*fitted.copies, *adapter.words, *(name for name in products if name not in plain)]
    if others or not products:
        raise WeightsError(
            f"{adapter.told} changes more than linears by their products"
            f" ({first_few(others) or 'nothing is left of it'}), so it cannot be trained on; use it"
            " with Florence2.load(adapter=...), or merge it with florence2 merge"
        )
    if _module(HEAD) in products:
        model.untie_head()
    settings = adapter.settings
    config = LoraConfig(
        rank=settings["r"],
        alpha=float(settings["lora_alpha"]),
        dropout=float(settings.get("lora_dropout", 0.0)),
        targets=tuple(products),
        use_rslora=bool(settings.get("use_rslora", False)),
    )
    own = {n: replace(config, rank=p.rank, alpha=p.alpha) for n, p in products.items()}
    lora = Lora(model, config, own)
    with torch.no_grad():
        for name, product in products.items():
            lora.layers[name].lora_A.weight.copy_(product.a)
            lora.layers[name].lora_B.weight.copy_(product.b)
    return lora


def _module(weight: str) -> str:
    return weight.removesuffix(".weight")
