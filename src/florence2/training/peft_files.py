"""Adapters on disk, in the file format of the PEFT library, for both public layouts.

A folder holds `adapter_config.json` and `adapter_model.safetensors`, whose tensors are called
`base_model.model.<public name of the linear>.lora_A.weight` (or `lora_B`). PEFT leaves out in
silence what it does not find in the model; here all has to fit.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from florence2.checkpoints.layouts import LAYOUTS, Layout, list_faults
from florence2.checkpoints.staging import staged
from florence2.checkpoints.weight_files import read_weights, write_weights
from florence2.errors import ConfigError, WeightsError
from florence2.model.florence2 import Florence2Model
from florence2.training.lora import Lora, LoraConfig, target_linears

CONFIG = "adapter_config.json"
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
_PREFIX = "base_model.model."
_NAME = re.compile(rf"{re.escape(_PREFIX)}(?P<module>.+)\.lora_(?P<half>[AB])\.weight")

# Kinds of adapters, and options of PEFT, that compute something else than `LoraLinear`.
_OTHER_ARITHMETIC = (
    *("use_dora", "lora_bias", "use_qalora", "use_bdlora", "kasa_config", "arrow_config"),
    *("rank_pattern", "alpha_pattern", "layer_replication", "alora_invocation_tokens"),
    *("modules_to_save", "target_parameters", "trainable_token_indices"),
)
# Other ways to start change the weights of the base, which are then not those of the checkpoint.
_PLAIN_STARTS = (True, False, None, "gaussian", "eva", "orthogonal")


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
            tensors[f"{_PREFIX}{public[name]}.lora_{half}.weight"] = stored
    settings = _peft_settings(lora.config, sorted(public.values()), base)

    folder = Path(folder)
    with staged(folder) as staging:
        text = json.dumps(settings, indent=2) + "\n"
        (staging / CONFIG).write_text(text, encoding="utf-8")
        write_weights(tensors, staging / WEIGHTS[0])
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

    Raises:
        WeightsError: a file is missing or damaged, the adapter is of a kind that is not known
            here, or it does not fit the model.
    """
    folder = Path(folder)
    settings = _read_settings(folder / CONFIG)
    path = _weights_path(folder)
    halves = _split_names(read_weights([path]), path)
    config = _config(settings, folder)
    _check_halves(halves, config.rank, path)
    names = _internal_names(halves)
    base = settings.get("base_model_name_or_path")
    _check_fit(model, halves, names, f"adapter {str(folder)!r}", str(base) if base else None)
    targets = tuple(str(names[module]) for module in halves)
    lora = Lora(model, replace(config, targets=targets))
    with torch.no_grad():
        for module, (half_a, half_b) in halves.items():
            layer = lora.layers[str(names[module])]
            layer.lora_A.weight.copy_(half_a)
            layer.lora_B.weight.copy_(half_b)
    return lora


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise WeightsError(
            f"adapter file {str(path)!r} cannot be read ({reason}); give a folder with"
            f" {CONFIG} and {WEIGHTS[0]}"
        ) from error
    if not isinstance(settings, dict):
        raise WeightsError(f"adapter file {str(path)!r} is no JSON object; fetch it again")
    return settings


def _weights_path(folder: Path) -> Path:
    for name in WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    raise WeightsError(
        f"adapter folder {str(folder)!r} has {CONFIG} but no {WEIGHTS[0]}; fetch it again"
    )


def _config(settings: Mapping[str, Any], folder: Path) -> LoraConfig:
    """The settings that matter once the tensors are there; targets are filled in later."""
    name = f"adapter {str(folder)!r}"
    if (kind := settings.get("peft_type")) != "LORA":
        raise WeightsError(f"{name} is of type {kind!r}; only 'LORA' can be used")
    used = [option for option in _OTHER_ARITHMETIC if settings.get(option)]
    used += ["bias"] if settings.get("bias", "none") != "none" else []
    used += ["init_lora_weights"] if settings.get("init_lora_weights") not in _PLAIN_STARTS else []
    if used:
        values = ", ".join(f"{option}={settings[option]!r}" for option in used)
        raise WeightsError(
            f"{name} was trained with {values}, which changes more than the low-rank products that"
            " are computed here; merge it in PEFT and load the merged checkpoint"
        )
    try:
        return LoraConfig(
            rank=settings["r"],
            alpha=float(settings["lora_alpha"]),
            dropout=float(settings.get("lora_dropout", 0.0)),
            use_rslora=bool(settings.get("use_rslora", False)),
        )
    except KeyError as error:
        raise WeightsError(
            f"{name} has no {error.args[0]!r} in {CONFIG}; fetch it again"
        ) from error
    except (ConfigError, TypeError, ValueError) as error:
        raise WeightsError(f"{name} has a bad value in {CONFIG}: {error}") from error


def _split_names(stored: Mapping[str, Tensor], path: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """Pairs of `A` and `B` by the public name of their module."""
    found: dict[str, dict[str, Tensor]] = {}
    strangers = []
    for name, tensor in stored.items():
        if match := _NAME.fullmatch(name):
            found.setdefault(match["module"], {})[match["half"]] = tensor
        else:
            strangers.append(name)
    lone = [module for module, halves in found.items() if len(halves) == 1]
    if strangers or lone or not found:
        faults = {
            "tensors of other names": strangers,
            "modules with only one of lora_A and lora_B": lone,
        }
        raise WeightsError(
            f"adapter file {str(path)!r} holds {list_faults(faults) or 'no tensors'}; a LoRA"
            f" adapter holds only pairs such as '{_PREFIX}....q_proj.lora_A.weight': if it was"
            " saved with further trained weights, merge it in PEFT and load the merged checkpoint"
        )
    return {module: (halves["A"], halves["B"]) for module, halves in found.items()}


def _check_halves(halves: Mapping[str, tuple[Tensor, Tensor]], rank: int, path: Path) -> None:
    """Each pair must have the stated rank and hold numbers."""
    for module, (half_a, half_b) in halves.items():
        if half_a.ndim != 2 or half_b.ndim != 2:
            continue  # refused by `_check_fit`, which knows what the module is
        if (len(half_a), half_b.shape[1]) != (rank, rank):
            raise WeightsError(
                f"adapter file {str(path)!r} holds a product of rank {len(half_a)} x"
                f" {half_b.shape[1]} for {module!r} but {CONFIG} says r={rank}; the two files are"
                " not of one adapter: fetch both again"
            )
        if not (torch.isfinite(half_a).all() and torch.isfinite(half_b).all()):
            raise WeightsError(
                f"adapter file {str(path)!r} holds values for {module!r} that are no numbers;"
                " its training failed or the file is damaged: use an earlier save"
            )


def _internal_names(modules: Mapping[str, object]) -> dict[str, str | None]:
    """Our name of each public module, by the layout that knows most of them."""
    candidates = [
        {module: _internal_module(module, layout) for module in modules}
        for layout in LAYOUTS.values()
    ]
    return max(candidates, key=lambda names: sum(name is not None for name in names.values()))


def _internal_module(public: str, layout: Layout) -> str | None:
    name = layout.internal_name(f"{public}.weight")
    return name.removesuffix(".weight") if name else None


def _check_fit(
    model: Florence2Model,
    halves: Mapping[str, tuple[Tensor, Tensor]],
    names: Mapping[str, str | None],
    adapter: str,
    base: str | None,
) -> None:
    """Raise one error that lists modules that are not there, no linears, or of other sizes."""
    linears = target_linears(model, ("vision_tower", "projector", "text_encoder", "text_decoder"))
    others = {name for name, _ in model.named_modules()} - linears.keys()
    missing, unfit, misshaped = [], [], []
    for module, (half_a, half_b) in halves.items():
        name = names[module]
        if name in linears:
            if (given := _size(half_a, half_b)) != (here := tuple(linears[name].weight.shape)):
                misshaped.append(f"{module} is for {_by(given)}, not {_by(here)}")
        elif name in others or module.rpartition(".")[2] in ("lm_head", "embed_tokens"):
            unfit.append(module)
        else:
            missing.append(module)
    faults = {
        f"of its {len(halves):,} modules are not in this model": missing,
        "are no linears that can be adapted here": unfit,
        "are of another size": misshaped,
    }
    if told := list_faults(faults):
        origin = f"it was made for {base!r}: load that model" if base else "load its own model"
        raise WeightsError(f"{adapter} does not fit this model: {told}; {origin}")


def _size(half_a: Tensor, half_b: Tensor) -> tuple[int, ...]:
    """Shape of the weight that a pair is for; without sense unless both are matrices."""
    if half_a.ndim == half_b.ndim == 2:
        return len(half_b), half_a.shape[1]
    return (*half_b.shape, *half_a.shape)


def _by(size: tuple[int, ...]) -> str:
    return " x ".join(map(str, size)) or "a single number"
