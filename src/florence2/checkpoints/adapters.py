"""Adapters in the format of the PEFT library: read, checked against a model, merged into weights.

A folder holds `adapter_config.json` and `adapter_model.safetensors`, whose tensors are called
`base_model.model.<public name of the module>.lora_A.weight` (or `lora_B`). PEFT leaves out in
silence what it does not find in the model; here all has to fit, and what changes the model in a way
that no weights can hold is refused.

Shapes: `R` rank, `K` inputs, `N` outputs.
"""

import json
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from florence2.checkpoints.layouts import (
    HEAD,
    LAYOUTS,
    LOGITS_BIAS,
    NATIVE,
    SHARED,
    SINUSOID,
    InternalState,
    Layout,
    list_faults,
)
from florence2.checkpoints.sources import ADAPTER, ADAPTER_WEIGHTS
from florence2.checkpoints.weight_files import read_weights
from florence2.errors import WeightsError, first_few

PREFIX = "base_model.model."
_PIECE = re.compile(
    r"(?P<module>.+)\.(?P<piece>lora_A|lora_B|lora_embedding_A|lora_embedding_B"
    r"|lora_magnitude_vector)(?:\.default)?(?P<leaf>\.weight|\.bias|)"
)
_KINDS = {
    ("lora_A", ".weight"): "a",
    ("lora_B", ".weight"): "b",
    ("lora_B", ".bias"): "bias",
    ("lora_embedding_A", ""): "embedding_a",
    ("lora_embedding_B", ""): "embedding_b",
    ("lora_magnitude_vector", ""): "magnitude",
    ("lora_magnitude_vector", ".weight"): "magnitude",
}
_TOKENS = ".token_adapter.trainable_tokens_delta"  # rows of words, whole
_WRAPPERS = re.compile(r"\.(?:base_layer|modules_to_save(?:\.default)?)(?=\.)")

# Settings of PEFT that change nothing about an adapter whose tensors are there, or are read here.
_KNOWN_SETTINGS = {
    *("alpha_pattern", "auto_mapping", "base_model_name_or_path", "bias", "corda_config"),
    *("eva_config", "exclude_modules", "fan_in_fan_out", "inference_mode", "init_lora_weights"),
    *("layers_pattern", "layers_to_transform", "loftq_config", "lora_alpha", "lora_bias"),
    *("lora_dropout", "lora_ga_config", "megatron_core", "modules_to_save", "peft_type"),
    *("peft_version", "qalora_group_size", "r", "rank_pattern", "revision", "runtime_config"),
    *("target_modules", "task_type", "trainable_token_indices", "use_dora", "use_rslora"),
}
# Other ways to start change the weights of the base, which are then not those of the checkpoint.
_PLAIN_STARTS = (True, False, None, "gaussian", "eva", "orthogonal")
_CONVERTIBLE_STARTS = ("pissa", "olora", "corda", "lora_ga")
_WORD_MODULES = {"lm_head", "shared", "embed_tokens"}  # all one matrix in a tied model

# Copies of the word embedding that PEFT can adapt apart from each other.
_ENCODER, _DECODER = "text_encoder.embed_tokens.weight", "text_decoder.embed_tokens.weight"
_POSITIONS = "embed_positions.weight"


@dataclass(frozen=True)
class Product:
    """What an adapter does to one weight `W`: `W + scaling * B A`, which DoRA then rescales.

    Attributes:
        a, b: as stored: `(R, K)` and `(N, R)` of a linear, with the kernel of a convolution behind
            them; `(R, rows)` and `(columns, R)` of an embedding.
        magnitude: DoRA's norms of the outputs (arXiv:2402.09353).
        bias: of `b`, which is scaled likewise.
        is_embedding: whether it is transposed.
    """

    a: Tensor
    b: Tensor
    alpha: float
    scaling: float
    magnitude: Tensor | None = None
    bias: Tensor | None = None
    is_embedding: bool = False

    @property
    def rank(self) -> int:
        return len(self.a)

    @property
    def is_plain(self) -> bool:
        """Whether a linear with two small linears beside it computes the same."""
        is_bare = self.magnitude is None and self.bias is None
        return is_bare and not self.is_embedding and self.a.ndim == 2

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the weight that it is for; without sense where the two are of no one weight."""
        if self.is_embedding and self.a.ndim == self.b.ndim == 2:
            return self.a.shape[1], len(self.b)
        if self.a.ndim == self.b.ndim and self.a.ndim in (2, 4):
            return len(self.b), *self.a.shape[1:]
        return *self.b.shape, *self.a.shape

    def merged(self, weight: Tensor) -> Tensor:
        """The adapted weight, in float32."""
        a, b = self.a.float(), self.b.float()
        added = (b.flatten(1) @ a.flatten(1)).reshape(self.shape[:: -1 if self.is_embedding else 1])
        added = added.T if self.is_embedding else added
        changed = weight.float() + self.scaling * added
        if self.magnitude is None:
            return changed
        outputs = 1 if self.is_embedding else 0  # the axis
        others = [axis for axis in range(changed.ndim) if axis != outputs]
        norms = torch.linalg.vector_norm(changed, dim=others, keepdim=True)
        factors: Tensor = self.magnitude.float().reshape(norms.shape) / norms
        return changed * factors


@dataclass(frozen=True)
class Adapter:
    """An adapter as it was stored.

    Attributes:
        folder: it lies here.
        settings: its adapter_config.json.
        products: by the public name of the module.
        copies: whole weights, by their public names: those of `modules_to_save`, biases, and
            weights of the base that PEFT stores beside adapters of words.
        words: rows for some tokens, by the public name of the module.
    """

    folder: Path
    settings: Mapping[str, Any]
    products: Mapping[str, Product]
    copies: Mapping[str, Tensor]
    words: Mapping[str, Tensor]

    @property
    def told(self) -> str:
        """What it is called in errors."""
        return f"adapter {str(self.folder)!r}"

    @property
    def origin(self) -> str:
        """What to do where it does not fit."""
        base = self.settings.get("base_model_name_or_path")
        return f"it was made for {base!r}: load that model" if base else "load its own model"

    @property
    def saved(self) -> Sequence[str]:
        """Ends of the names of modules that were trained whole."""
        return self.settings.get("modules_to_save") or ()

    def may_replace(self, public: str) -> bool:
        """Whether the adapter was trained to replace this weight."""
        if public.endswith(".bias") and self.settings.get("bias", "none") != "none":
            return True
        return any(_places(module, public) for module in self.saved)


@dataclass(frozen=True)
class FittedAdapter:
    """An adapter under the names of a model that it fits.

    Attributes:
        products: by the name of the weight.
        copies: whole weights that differ from the model's.
        words: new rows of the tied word embedding, by token id.
    """

    adapter: Adapter
    products: Mapping[str, Product]
    copies: Mapping[str, Tensor]
    words: Mapping[int, Tensor]


# ---- reading


def read_adapter(folder: str | Path) -> Adapter:
    """Read an adapter, whatever layout it was trained in.

    Raises:
        WeightsError: a file is missing or damaged, or the adapter is of a kind that is not
            computed here.
    """
    folder = Path(folder)
    settings = _read_settings(folder / ADAPTER)
    path = _weights_path(folder)
    name = f"adapter {str(folder)!r}"
    _check_settings(settings, name)
    pieces, copies, words = _split_names(read_weights([path]), path)
    try:
        products = {
            module: _product(module, parts, settings, path) for module, parts in pieces.items()
        }
    except KeyError as error:
        raise WeightsError(
            f"{name} has no {error.args[0]!r} in {ADAPTER}; fetch it again"
        ) from error
    adapter = Adapter(folder, settings, products, copies, words)
    if lacking := [*_lacking(adapter)]:
        raise WeightsError(
            f"{name} should hold {', '.join(lacking)} by its {ADAPTER} and does not; the two files"
            " are not of one adapter: fetch both again"
        )
    return adapter


def _lacking(adapter: Adapter) -> Iterator[str]:
    """What the settings promise and the tensors do not hold, or the other way round."""
    settings, products = adapter.settings, adapter.products.values()
    if any(bool(settings.get("use_dora")) != (each.magnitude is not None) for each in products):
        yield "norms of DoRA for all of its modules or none (use_dora)"
    if any(bool(settings.get("lora_bias")) != (each.bias is not None) for each in products):
        yield "biases for all of its products or none (lora_bias)"
    if settings.get("bias") == "all" and not any(n.endswith(".bias") for n in adapter.copies):
        yield "the biases of the model (bias='all')"
    if bool(settings.get("trainable_token_indices")) != bool(adapter.words):
        yield "rows for tokens (trainable_token_indices)"


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or "it is not JSON"
        raise WeightsError(
            f"adapter file {str(path)!r} cannot be read ({reason}); give a folder with"
            f" {ADAPTER} and {ADAPTER_WEIGHTS[0]}"
        ) from error
    if not isinstance(settings, dict):
        raise WeightsError(f"adapter file {str(path)!r} is no JSON object; fetch it again")
    return settings


def _weights_path(folder: Path) -> Path:
    for name in ADAPTER_WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    raise WeightsError(
        f"adapter folder {str(folder)!r} has {ADAPTER} but no {ADAPTER_WEIGHTS[0]}; fetch it again"
    )


def _check_settings(settings: Mapping[str, Any], name: str) -> None:
    """Refuse kinds of adapters, and options of PEFT, that compute something else."""
    if (kind := settings.get("peft_type")) != "LORA":
        raise WeightsError(
            f"{name} is of type {kind!r}, and only 'LORA' can be used; {_other_way(settings)}"
        )
    used = [option for option in settings if option not in _KNOWN_SETTINGS and settings[option]]
    used += ["init_lora_weights"] if settings.get("init_lora_weights") not in _PLAIN_STARTS else []
    if used:
        values = ", ".join(f"{option}={settings[option]!r}" for option in used)
        raise WeightsError(
            f"{name} was trained with {values}, which changes the model in a way that is not"
            f" computed here; {_other_way(settings)}"
        )
    bad = next(_bad_values(settings), None)
    if bad is not None:
        raise WeightsError(f"{name} has a bad value in {ADAPTER}: {bad}")


def _other_way(settings: Mapping[str, Any]) -> str:
    """What to do with an adapter that is refused."""
    if str(settings.get("init_lora_weights")).startswith(_CONVERTIBLE_STARTS):
        return (
            "save it from PEFT with path_initial_model_for_weight_conversion, which makes it a"
            " plain one"
        )
    if any(word in str(settings.get("target_modules")) for word in _WORD_MODULES):
        return (
            "use it in PEFT, and do not merge it there: what is merged into the output head changes"
            " the word embedding too, with which it is one matrix"
        )
    return "merge it in PEFT (merge_and_unload), and load what that gives"


def _bad_values(settings: Mapping[str, Any]) -> Iterator[str]:
    """What no adapter can have, of the settings that are read here."""
    for option, name in (("r", "rank"), ("lora_alpha", "alpha")):
        pattern = settings.get(f"{name}_pattern") or {}
        if not isinstance(pattern, Mapping):
            yield f"{name}_pattern is {pattern!r}; it must be an object of names and numbers"
            return
        values = [settings[option]] if option in settings else []
        kind = int if name == "rank" else int | float
        need = "a whole number of 1 or more" if name == "rank" else "a number above 0"
        for value in (*values, *pattern.values()):
            is_number = isinstance(value, kind) and not isinstance(value, bool)
            if not is_number or not 0 < value < math.inf:
                yield f"LoRA {name} {value!r} must be {need}"
    saved = settings.get("modules_to_save") or ()
    if isinstance(saved, str) or not all(isinstance(each, str) for each in saved):
        yield f"modules_to_save is {saved!r}; it must be a list of names"
    if settings.get("bias", "none") not in ("none", "all", "lora_only"):
        yield f"bias is {settings['bias']!r}; it must be 'none', 'all' or 'lora_only'"
    dropout = settings.get("lora_dropout", 0.0)
    if not isinstance(dropout, int | float) or not 0 <= dropout < 1:
        yield f"LoRA dropout {dropout!r} must be in [0, 1)"


def _split_names(
    stored: Mapping[str, Tensor], path: Path
) -> tuple[dict[str, dict[str, Tensor]], dict[str, Tensor], dict[str, Tensor]]:
    """Pieces of products by the public name of their module, whole weights by theirs, and words."""
    pieces: dict[str, dict[str, Tensor]] = {}
    copies, words, strangers = {}, {}, []
    for name, tensor in stored.items():
        public = name.removeprefix(PREFIX)
        if not tensor.is_floating_point():
            strangers.append(name)
        elif match := _PIECE.fullmatch(public):
            kind = _KINDS.get((match["piece"], match["leaf"]))
            if kind is None:
                strangers.append(name)
            else:
                pieces.setdefault(match["module"], {})[kind] = tensor
        elif public.endswith(_TOKENS):
            words[public.removesuffix(_TOKENS)] = tensor
        elif ".original_module." in public:
            continue  # what `modules_to_save` replaced; with biases PEFT stores it, too
        elif public == name or "lora_" in public:
            strangers.append(name)
        else:
            copies[_WRAPPERS.sub("", public)] = tensor
    pairs = ({"a", "b"}, {"embedding_a", "embedding_b"})
    lone = [m for m, parts in pieces.items() if parts.keys() - {"bias", "magnitude"} not in pairs]
    if strangers or lone or not (pieces or copies or words):
        faults = {
            "tensors of other names": strangers,
            "modules with only one of lora_A and lora_B": lone,
        }
        raise WeightsError(
            f"adapter file {str(path)!r} holds {list_faults(faults) or 'no tensors'}; a LoRA"
            f" adapter holds pairs such as '{PREFIX}....q_proj.lora_A.weight': fetch it again"
        )
    for name, tensor in stored.items():
        if not torch.isfinite(tensor.float()).all():
            where = name.removeprefix(PREFIX)
            raise WeightsError(
                f"adapter file {str(path)!r} holds values for {where!r} that are no numbers;"
                " its training failed or the file is damaged: use an earlier save"
            )
    return pieces, copies, words


def _product(
    module: str, parts: Mapping[str, Tensor], settings: Mapping[str, Any], path: Path
) -> Product:
    is_embedding = "embedding_a" in parts
    a, b = (parts[f"embedding_{half}" if is_embedding else half] for half in "ab")
    rank = _of_module(settings.get("rank_pattern"), module, settings["r"])
    alpha = float(_of_module(settings.get("alpha_pattern"), module, settings["lora_alpha"]))
    # Of grouped convolutions each group has a part of the rank: refused where the model is known.
    if a.ndim == b.ndim == 2 and (len(a), b.shape[1]) != (rank, rank):
        raise WeightsError(
            f"adapter file {str(path)!r} holds a product of rank {len(a)} x {b.shape[1]} for"
            f" {module!r} but {ADAPTER} says r={rank}; the two files are not of one adapter: fetch"
            " both again"
        )
    return Product(
        *(a, b, alpha, alpha / (math.sqrt(rank) if settings.get("use_rslora") else rank)),
        parts.get("magnitude"),
        parts.get("bias"),
        is_embedding,
    )


def _of_module(pattern: Mapping[str, Any] | None, module: str, default: Any) -> Any:
    """The value for a module, found as PEFT finds it."""
    for key, value in (pattern or {}).items():
        try:
            if re.match(rf"(.*\.)?({key})$", module):
                return value
        except re.error:
            continue
    return default


# ---- fitting


def fit_adapter(adapter: Adapter, tensors: Mapping[str, Tensor]) -> FittedAdapter:
    """Find the weight for everything that the adapter holds.

    Args:
        tensors: of the model, by our names.

    Raises:
        WeightsError: lists what is not in the model or of another size.
    """
    here = _with_copies(tensors)
    names = _internal_names(adapter, here)
    products, missing, misshaped, grouped = {}, [], [], []
    for module, product in adapter.products.items():
        name = names[f"{module}.weight"]
        if name not in here:
            missing.append(module)
        elif product.a.ndim == 4 and product.b.ndim == 4 and product.b.shape[1] != product.rank:
            grouped.append(module)
        elif product.shape != (shape := tuple(here[name].shape)) or not _halves_fit(product):
            misshaped.append(f"{module} is for {_by(product.shape)}, not {_by(shape)}")
        else:
            products[name] = product
    copies, foreign = {}, []
    for public, tensor in adapter.copies.items():
        name = names[public]
        if name == SINUSOID or (public.endswith(LOGITS_BIAS) and not tensor.any()):
            continue
        if name not in here:
            missing.append(public)
        elif tensor.shape != here[name].shape:
            misshaped.append(f"{public} is {_by(tensor.shape)}, not {_by(here[name].shape)}")
        elif _same_but_for_rounding(tensor, here[name]):
            continue
        elif adapter.may_replace(public):
            copies[name] = tensor
        else:
            foreign.append(public)
    faults = {
        f"of its {len(adapter.products) + len(adapter.copies):,} modules are not in this model":
            missing,
        "are of another size": misshaped,
        "are weights of its base model and differ from those here": foreign,
    }  # fmt: skip
    if told := list_faults(faults):
        raise WeightsError(f"{adapter.told} does not fit this model: {told}; {adapter.origin}")
    _refuse_unmergeable(adapter, products, grouped)
    _check_saved_modules(adapter, tensors)
    changed = {*products, *copies}
    return FittedAdapter(adapter, products, copies, _fit_words(adapter, tensors, changed))


def _fit_words(
    adapter: Adapter, tensors: Mapping[str, Tensor], changed: Collection[str]
) -> dict[int, Tensor]:
    """Rows for tokens, which PEFT puts in all places of a tied word embedding."""
    if not adapter.words:
        return {}
    given = adapter.settings["trainable_token_indices"]
    indices = next(iter(given.values())) if isinstance(given, Mapping) else given
    (module, rows), *others = adapter.words.items()
    is_whole = any(f"{module}.weight" == layout.embeddings[0] for layout in LAYOUTS.values())
    meddled = {HEAD in tensors, *(name in changed for name in (SHARED, HEAD, _ENCODER, _DECODER))}
    if others or not is_whole or any(meddled):
        raise WeightsError(
            f"{adapter.told} changes words of {first_few([*adapter.words])} apart from other uses"
            " of the word embedding, which is not computed here; use it in PEFT"
        )
    expected = len(indices), *tensors[SHARED].shape[1:]
    inside = all(isinstance(each, int) and 0 <= each < len(tensors[SHARED]) for each in indices)
    if tuple(rows.shape) != expected or not inside:
        raise WeightsError(
            f"{adapter.told} does not fit this model: its rows for tokens are {_by(rows.shape)} for"
            f" {len(indices):,} tokens, where the word embedding is {_by(tensors[SHARED].shape)};"
            f" {adapter.origin}"
        )
    return dict(zip(indices, rows, strict=True))


def _check_saved_modules(adapter: Adapter, names: Collection[str]) -> None:
    """Whether the modules that were trained whole are stored, as far as the model has them."""
    weights = {HEAD, *names}
    public = [str(layout.public_name(name)) for name in weights for layout in LAYOUTS.values()]
    for module in adapter.saved:
        known, stored = (
            any(_places(module, name) for name in where) for where in (public, adapter.copies)
        )
        if known and not stored:
            raise WeightsError(
                f"{adapter.told} was trained with the whole of {module!r} (modules_to_save) and"
                " does not hold it; fetch it again, or save it again from PEFT"
            )
    for name in adapter.copies:
        if len({end for module in adapter.saved for end in _places(module, name)}) > 1:
            raise WeightsError(
                f"{adapter.told} was trained with whole modules inside of others"
                f" (modules_to_save={[*adapter.saved]!r}), which PEFT writes in a way that it"
                " cannot read again; train it without the inner ones"
            )


def _places(module: str, weight: str) -> list[int]:
    """Where the modules end that a weight is in and whose names, as PEFT asks, end in `module`."""
    return [each.end() for each in re.finditer(rf"{re.escape(module)}\.", weight)]


def _with_copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights with all names of the word embedding."""
    found = dict(tensors)
    if SHARED in tensors:
        found |= dict.fromkeys((_ENCODER, _DECODER), tensors[SHARED])
        found.setdefault(HEAD, tensors[SHARED])
    return found


def _internal_names(adapter: Adapter, known: Collection[str]) -> dict[str, str]:
    """Our name of each public weight, by the layout that knows most of them."""
    public = [*(f"{module}.weight" for module in adapter.products), *adapter.copies]
    # The last is the native one of a model that was loaded without its head.
    ways = [*((layout, "") for layout in LAYOUTS.values()), (NATIVE, "model.")]
    candidates = [{each: _internal_name(layout, start + each) for each in public}
                  for layout, start in ways]  # fmt: skip
    return max(candidates, key=lambda names: sum(name in known for name in names.values()))


def _internal_name(layout: Layout, public: str) -> str:
    if public == layout.embeddings[1]:
        return _ENCODER
    if public == layout.embeddings[2]:
        return _DECODER
    return layout.internal_name(public) or ""


def _halves_fit(product: Product) -> bool:
    """Whether the smaller pieces have the sizes that the two large ones ask for."""
    outputs = product.shape[1 if product.is_embedding else 0]
    small = [each for each in (product.magnitude, product.bias) if each is not None]
    inner = product.b.shape[2:].numel() == 1 if product.b.ndim == 4 else True
    return inner and all(each.numel() == outputs for each in small)


def _same_but_for_rounding(one: Tensor, other: Tensor) -> bool:
    """Whether two weights are one, perhaps stored in other dtypes."""
    if one.dtype == other.dtype:
        return torch.equal(one, other)
    return torch.equal(one.to(torch.bfloat16), other.to(torch.bfloat16))


def _refuse_unmergeable(
    adapter: Adapter, products: Mapping[str, Product], grouped: Collection[str]
) -> None:
    if grouped:
        raise WeightsError(
            f"{adapter.told} adapts {len(grouped):,} grouped convolutions"
            f" ({first_few(sorted(grouped))}) with products that mix the groups, which no weights"
            " of this model can hold and PEFT cannot merge either; train it without these targets"
        )
    if positions := [name for name in products if name.endswith(_POSITIONS)]:
        raise WeightsError(
            f"{adapter.told} adapts {first_few(positions)}, whose product PEFT looks up by token id"
            " in place of position, which no weights can hold; train it without these targets"
        )


def _by(size: Collection[int]) -> str:
    return " x ".join(map(str, size)) or "a single number"


# ---- merging


def merge_adapter(state: InternalState, folder: str | Path) -> InternalState:
    """The weights of a checkpoint with an adapter in them; what changed is in float32.

    The word embedding stays one matrix for all words that are read. The output head gets a weight
    of its own where it changed and the words did not, or the other way round.

    Raises:
        WeightsError: see `read_adapter` and `fit_adapter`.
    """
    fitted = fit_adapter(read_adapter(folder), state.tensors)
    here, changed = _with_copies(state.tensors), {}
    for name, tensor in fitted.copies.items():
        changed[name] = tensor.float()
    for name, product in fitted.products.items():
        changed[name] = product.merged(changed.get(name, here[name]))
        if product.bias is not None and product.bias.any():
            _add_bias(fitted.adapter, name, product, here, changed)
    if broken := [name for name, tensor in changed.items() if not torch.isfinite(tensor).all()]:
        raise WeightsError(
            f"{fitted.adapter.told} gives weights that are no numbers ({first_few(broken)}); its"
            " training failed: use an earlier save"
        )
    _settle_words(fitted.adapter, here, changed)
    if fitted.words:
        changed[SHARED] = here[SHARED].to(torch.float32, copy=True)
        for token_id, row in fitted.words.items():
            changed[SHARED][token_id] = row
    tensors = {**state.tensors, **changed}
    if changed.keys() & {SHARED, HEAD} and torch.equal(
        tensors.get(HEAD, here[SHARED]).float(), tensors[SHARED].float()
    ):
        tensors.pop(HEAD, None)
    return replace(state, tensors=tensors, exact=frozenset(changed) & tensors.keys())


def _add_bias(
    adapter: Adapter,
    name: str,
    product: Product,
    here: Mapping[str, Tensor],
    changed: dict[str, Tensor],
) -> None:
    bias = name.replace(".weight", ".bias")
    if bias not in here:
        raise WeightsError(
            f"{adapter.told} adds a bias (lora_bias) to {name!r}, which has none in this model;"
            " train it without lora_bias or without this target"
        )
    added = product.scaling * product.bias.float()  # type: ignore[union-attr]
    changed[bias] = changed.get(bias, here[bias]).float() + added


def _settle_words(adapter: Adapter, here: Mapping[str, Tensor], changed: dict[str, Tensor]) -> None:
    """Take the copies of the word embedding out of what changed; they must agree."""
    changed.pop(_ENCODER, None)  # it is never read: prompts are embedded before the encoder
    decoder = changed.pop(_DECODER, None)
    if decoder is None and SHARED not in changed:
        return
    read, written = changed.get(SHARED, here[SHARED]), here[SHARED] if decoder is None else decoder
    if not torch.equal(read.float(), written.float()):
        raise WeightsError(
            f"{adapter.told} changes the words of the prompt and those of the answer apart"
            f" ({'shared' if decoder is None else 'decoder.embed_tokens'} alone, or both"
            " differently), and Florence-2 has one matrix for both; train it with the output head"
            " (lm_head) in place of embeddings"
        )
    if HEAD not in changed and here[HEAD] is here[SHARED]:
        changed[HEAD] = here[SHARED]  # PEFT leaves the head as it was
