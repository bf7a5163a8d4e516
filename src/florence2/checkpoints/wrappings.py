"""What training and packing tools make of the names of weights; torch-free.

DistributedDataParallel puts `module.` before every name, `torch.compile` `_orig_mod.`, Lightning
`model.`, a dictionary around the weights its key; PEFT and the quantisers leave names of their own
behind. Prefixes are taken off, a second copy of the model is left out; the others are named.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from florence2.errors import WeightsError, first_few

# Parts of names that wrappers put anywhere; no weight of the model has one.
_WRAPPERS = frozenset(
    {
        "module",  # DistributedDataParallel, DataParallel, averaged models
        "_orig_mod",  # torch.compile
        "_fsdp_wrapped_module",
        "_checkpoint_wrapped_module",  # gradient checkpointing
        "_forward_module",  # Lightning Fabric
    }
)
_ANCHOR = "vision_tower."  # before it stands the prefix of a whole model, in both layouts
_CORE = "model."  # the native layout's own prefix, which weights of its inner class lack
_COUNTERS = ("n_averaged",)  # of torch.optim.swa_utils
_COPY = re.compile(r"ema|average|shadow|teacher", re.IGNORECASE)

_PEFT = re.compile(
    r"\.(lora_[AB]|lora_embedding_[AB]|lora_magnitude_vector|base_layer|modules_to_save"
    r"|original_module|ia3_l|hada_w\d_[ab]|lokr_w\d(_[ab])?|oft_\w+|vera_lambda_[bd]|boft_\w+)(\.|$)"
)
# What each tool that packs weights calls what it adds to them.
_PACKED = {
    "bitsandbytes in 4 bits": re.compile(r"\.quant_state\.bitsandbytes__|\.nested_absmax$"),
    "bitsandbytes in 8 bits": re.compile(r"\.(SCB|weight_format)$"),
    "GPTQ or AWQ": re.compile(r"\.(qweight|qzeros|g_idx)$"),
    "compressed-tensors": re.compile(r"\.weight_(packed|zero_point|shape)$"),
    "FP8 with factors beside it": re.compile(
        r"\.(weight_scale(_inv)?|scale_weight|input_scale|activation_scale)$|(^|\.)scaled_fp8$"
    ),
    "HQQ": re.compile(r"\.(W_q|meta\.(scale|zero))$"),
    "optimum-quanto": re.compile(r"\.weight\._(data|scale|shift)$"),
    "PyTorch's quantisation": re.compile(r"\._packed_params|\.(zero_point|scale)$"),
    "MLX": re.compile(r"\.scales$"),
}


@dataclass(frozen=True)
class Unwrapped:
    """Plain names of weights.

    Attributes:
        names: the plain name of each weight that counts, by the stored one.
        repairs: sentences on what was taken off and left out.
    """

    names: dict[str, str]
    repairs: tuple[str, ...] = ()


def unwrap(names: Collection[str], count_known: Callable[[Iterable[str]], int]) -> Unwrapped:
    """Find the plain names of weights.

    Args:
        count_known: how many of some names the layout that fits them best has.
    """
    plain = {name: _without_wrappers(name) for name in names}
    if [*plain.values()] == [*plain] and count_known(names) == len(names):
        return Unwrapped(plain)
    heads = Counter(
        name.partition(_ANCHOR)[0] for name in plain.values() if f".{_ANCHOR}" in f".{name}"
    )
    best = max(heads, key=lambda head: (not _COPY.search(head), heads[head]), default="")
    copies = _copies(plain.values(), best, heads)
    chosen = {stored: name for stored, name in plain.items() if not name.startswith(copies)}
    # The plainest first: it is kept where others know no more names.
    candidates = [("", ""), (best, ""), (best.removesuffix(_CORE), ""), (best, _CORE)]
    (prefix, added), _ = max(
        (
            (candidate, count_known(_moved(name, *candidate) for name in chosen.values()))
            for candidate in candidates
        ),
        key=lambda pair: pair[1],
    )
    chosen = {stored: _moved(name, prefix, added) for stored, name in chosen.items()}
    chosen = {stored: name for stored, name in chosen.items() if name not in _COUNTERS}
    if len({*chosen.values()}) < len(chosen):
        return Unwrapped({name: name for name in names})
    return Unwrapped(chosen, _repairs(chosen, prefix, added, copies))


def _without_wrappers(name: str) -> str:
    parts = name.split(".")
    return ".".join(part for part in parts if part not in _WRAPPERS)


def _moved(name: str, prefix: str, added: str) -> str:
    return added + name.removeprefix(prefix) if name.startswith(prefix) else name


def _copies(names: Iterable[str], best: str, heads: Iterable[str]) -> tuple[str, ...]:
    """Prefixes of further copies of the model: before them, all that does not belong to `best`."""
    outer = best.removesuffix(_CORE)
    others = {head.removesuffix(_CORE) or head for head in heads if head != best}
    found = tuple(sorted(head for head in others if head and not outer.startswith(head)))
    return found if any(name.startswith(found) for name in names) else ()


def _repairs(
    chosen: dict[str, str], prefix: str, added: str, copies: tuple[str, ...]
) -> tuple[str, ...]:
    sentences = []
    wrapped = {old: new for old, new in chosen.items() if old != new}
    if wrapped:
        old, new = next(iter(wrapped.items()))
        if old.endswith(new):
            what = f"begin with {old.removesuffix(new)!r}, which was left out"
        elif new == added + old:
            what = f"lack {added!r} in front, which was added"
        else:
            what = f"are wrapped; {old!r} was read as {new!r}"
        sentences.append(f"the names of {len(wrapped):,} weights {what}")
    if copies:
        sentences.append(
            f"the file holds further copies of the model under {first_few(copies)}; the one under"
            f" {prefix or 'no prefix'!r} was read"
        )
    return tuple(sentences)


def refuse_foreign_parts(names: Collection[str]) -> None:
    """Raise for an adapter that was not merged, and for weights that a quantiser packed."""
    if adapters := [name for name in names if _PEFT.search(f".{name}")]:
        over = len(adapters) < len(names) and any(_is_own(name) for name in names)
        what = "a base model with an adapter of PEFT that is not merged" if over else "an adapter"
        raise WeightsError(
            f"the weights are {what} ({first_few(adapters)}); save what"
            " `model.merge_and_unload()` of PEFT returns, or give the base model"
            + (" and the adapter apart" if over else "")
        )
    for tool, pattern in _PACKED.items():
        if packed := [name for name in names if pattern.search(name)]:
            raise WeightsError(
                f"the weights are packed by {tool} ({first_few(packed)}), which cannot be read;"
                " use the float16, bfloat16 or float32 checkpoint that they were made from"
            )


def _is_own(name: str) -> bool:
    return _ANCHOR in name and not _PEFT.search(name)
