"""Public weight files and our state dict: one table for each of the two layouts, read both ways.

`original` is what Microsoft published (`pytorch_model.bin`), `native` what `transformers` reads
and writes (safetensors). A row of a table pairs our name with the public one; fields in braces
stand for the parts that both names share. Loading is strict: tensors whose dtype is kept stay
views of the mapped file, the others are converted one by one.
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import init
from torch.overrides import TorchFunctionMode

from florence2.checkpoints.weight_files import MappedPages, read_weights
from florence2.errors import WeightsError, first_few
from florence2.model.bart import POSITION_OFFSET
from florence2.model.config import Florence2Config
from florence2.model.florence2 import Florence2Model
from florence2.model.projector import sinusoid_table

SHARED, HEAD = "shared.weight", "lm_head.weight"
SINUSOID = "projector.visual_temporal_embed.pos_idx_to_embed"
LOGITS_BIAS = "final_logits_bias"  # last part of its public names
_POSITION_TABLES = ("text_encoder.embed_positions.weight", "text_decoder.embed_positions.weight")

_FIELDS = {
    "stage": r"\d+",
    "n": r"\d",
    "block": r"blocks\.\d+\.\d+\.(?:spatial|channel)_block",
    "spatial": r"blocks\.\d+\.\d+\.spatial_block",
    "channel": r"blocks\.\d+\.\d+\.channel_block",
    "attn": r"window_attn|channel_attn",
    "linear": r"qkv|proj|fc1|fc2",
    "table": r"row_embeddings|column_embeddings",
    "leaf": r"weight|bias",
    "rest": r".+",
}


@dataclass(frozen=True)
class Layout:
    """One public way to name the weights.

    Attributes:
        rows: pairs of templates, ours and the public one.
        embeddings: public names of the word embedding; the first is its own, the others are
            copies that some files hold and others leave out. The last is the output head, which
            may also be another matrix.
        transposed: public names stored as the transpose of ours.
    """

    name: str
    rows: tuple[tuple[str, str], ...]
    embeddings: tuple[str, ...]
    transposed: tuple[str, ...] = ()

    def internal_name(self, public: str) -> str | None:
        """Our name of a public one, None if this layout has no such name."""
        return _rename(public, ((stored_name, ours) for ours, stored_name in self.rows))

    def public_name(self, internal: str) -> str | None:
        """The public name of one of ours, None if there is none."""
        return _rename(internal, self.rows)

    def knows(self, public: str) -> bool:
        """Whether a public name can occur in a file of this layout."""
        known = public in self.embeddings or self.internal_name(public) is not None
        return known or public.endswith(LOGITS_BIAS)


NATIVE = Layout(
    name="native",
    rows=(
        ("vision_tower.{rest}", "model.vision_tower.{rest}"),
        ("projector.{rest}", "model.multi_modal_projector.{rest}"),
        ("shared.weight", "model.language_model.shared.weight"),
        ("text_encoder.{rest}", "model.language_model.encoder.{rest}"),
        ("text_decoder.{rest}", "model.language_model.decoder.{rest}"),
        (HEAD, "lm_head.weight"),
    ),
    embeddings=(
        "model.language_model.shared.weight",
        "model.language_model.encoder.embed_tokens.weight",
        "model.language_model.decoder.embed_tokens.weight",
        "lm_head.weight",
    ),
)

ORIGINAL = Layout(
    name="original",
    rows=(
        ("vision_tower.convs.{stage}.conv.{leaf}", "vision_tower.convs.{stage}.proj.{leaf}"),
        ("vision_tower.convs.{stage}.norm.{leaf}", "vision_tower.convs.{stage}.norm.{leaf}"),
        ("vision_tower.{block}.conv{n}.{leaf}", "vision_tower.{block}.conv{n}.fn.dw.{leaf}"),
        ("vision_tower.{spatial}.norm1.{leaf}", "vision_tower.{spatial}.window_attn.norm.{leaf}"),
        ("vision_tower.{channel}.norm1.{leaf}", "vision_tower.{channel}.channel_attn.norm.{leaf}"),
        ("vision_tower.{block}.norm2.{leaf}", "vision_tower.{block}.ffn.norm.{leaf}"),
        (
            "vision_tower.{block}.{attn}.{linear}.{leaf}",
            "vision_tower.{block}.{attn}.fn.{linear}.{leaf}",
        ),
        (
            "vision_tower.{block}.ffn.{linear}.{leaf}",
            "vision_tower.{block}.ffn.fn.net.{linear}.{leaf}",
        ),
        ("projector.image_projection.weight", "image_projection"),
        ("projector.image_proj_norm.{leaf}", "image_proj_norm.{leaf}"),
        ("projector.image_position_embed.{table}.weight", "image_pos_embed.{table}.weight"),
        (SINUSOID, "visual_temporal_embed.pos_idx_to_embed"),
        ("shared.weight", "language_model.model.shared.weight"),
        ("text_encoder.{rest}", "language_model.model.encoder.{rest}"),
        ("text_decoder.{rest}", "language_model.model.decoder.{rest}"),
        (HEAD, "language_model.lm_head.weight"),
    ),
    embeddings=(
        "language_model.model.shared.weight",
        "language_model.model.encoder.embed_tokens.weight",
        "language_model.model.decoder.embed_tokens.weight",
        "language_model.lm_head.weight",
    ),
    transposed=("image_projection",),  # a bare matrix, applied from the right
)

LAYOUTS = {layout.name: layout for layout in (NATIVE, ORIGINAL)}


@cache
def _pattern(template: str) -> re.Pattern[str]:
    pieces = re.split(r"\{(\w+)\}", template)  # text, field, text, field, ..., text
    for index, piece in enumerate(pieces):
        pieces[index] = f"(?P<{piece}>{_FIELDS[piece]})" if index % 2 else re.escape(piece)
    return re.compile("".join(pieces))


def _rename(name: str, rows: Iterable[tuple[str, str]]) -> str | None:
    for source, target in rows:
        if match := _pattern(source).fullmatch(name):
            return target.format(**match.groupdict())
    return None


# ---- reading


def detect_layout(names: Collection[str]) -> Layout:
    """The layout that knows most of the names; an error for weights of another model."""
    counts = {layout.name: sum(map(layout.knows, names)) for layout in LAYOUTS.values()}
    best = max(counts, key=counts.__getitem__)
    if 2 * counts[best] <= len(names):
        raise WeightsError(
            f"only {counts[best]:,} of {len(names):,} weights have names of Florence-2, the others"
            f" are such as {first_few([n for n in names if not LAYOUTS[best].knows(n)])}; give a"
            " Florence-2 checkpoint in the original or the native (transformers) layout"
        )
    return LAYOUTS[best]


def read_state(paths: Sequence[Path]) -> "InternalState":
    """Read, recognise and rename the weights of one checkpoint."""
    stored = read_weights(paths)
    state = to_internal(stored, detect_layout(stored.keys()))
    return replace(state, pages=MappedPages.of(stored.values()))


@dataclass(frozen=True)
class InternalState:
    """Tensors of a checkpoint under our names.

    Attributes:
        tensors: views of the file, in its dtype; the sinusoid buffer is not among them.
        unknown: public names that the layout does not have.
        repairs: sentences on what was put right.
        pages: of the file, as far as it is mapped.
        exact: names whose dtype is kept where none is asked for: sums with an adapter.
    """

    layout: Layout
    tensors: dict[str, Tensor]
    unknown: tuple[str, ...]
    repairs: tuple[str, ...]
    pages: MappedPages = field(default_factory=MappedPages)
    exact: frozenset[str] = frozenset()

    @property
    def stored_dtype(self) -> torch.dtype:
        """That of the word embedding in the file, or of another weight if an adapter is in it."""
        names = (name for name in (SHARED, *self.tensors) if name not in self.exact)
        return self.tensors[next(names, SHARED)].dtype

    @property
    def num_parameters(self) -> int:
        """Trained values, a tied word embedding counted once."""
        return sum(tensor.numel() for tensor in self.tensors.values())


def to_internal(stored: Mapping[str, Tensor], layout: Layout) -> InternalState:
    """Rename a checkpoint, check its copies and constants, and leave them out."""
    _check_floating(stored, layout)
    tensors: dict[str, Tensor] = {}
    unknown = []
    for name, tensor in stored.items():
        internal = layout.internal_name(name)
        if name in layout.embeddings:
            continue
        if name.endswith(LOGITS_BIAS):
            _check_no_bias(name, tensor)
        elif internal is None:
            unknown.append(name)
        else:
            turned = name in layout.transposed and tensor.ndim == 2
            tensors[internal] = tensor.t().contiguous() if turned else tensor
    if (embedding := _one_embedding(stored, layout)) is not None:
        tensors[SHARED] = embedding
        head = stored.get(layout.embeddings[-1], embedding)
        if not same_values(head, embedding):
            tensors[HEAD] = head
    repairs = _sinusoid_repairs(tensors.pop(SINUSOID, None))
    return InternalState(layout, tensors, tuple(unknown), repairs)


def _check_floating(stored: Mapping[str, Tensor], layout: Layout) -> None:
    known = (name for name in stored if layout.knows(name))
    if odd := [name for name in known if not stored[name].is_floating_point()]:
        raise WeightsError(
            f"{len(odd):,} weights are whole numbers ({first_few(odd)}), as in quantised"
            " checkpoints; use a float16, bfloat16 or float32 checkpoint"
        )


def _one_embedding(stored: Mapping[str, Tensor], layout: Layout) -> Tensor | None:
    """The word embedding, after all its copies but the output head were found equal."""
    present = [name for name in layout.embeddings if name in stored]
    for copy in present[1:]:
        if copy == layout.embeddings[-1]:
            continue
        if not same_values(stored[present[0]], stored[copy]):
            raise WeightsError(
                f"weights {present[0]!r} and {copy!r} differ, but Florence-2 uses one matrix for"
                " both; the checkpoint was saved with the tie broken: delete the untrained one of"
                " the two, or save it again from the training script"
            )
    return stored[present[0]] if present else None


def same_values(one: Tensor, other: Tensor) -> bool:
    """Whether two weights are one; the values of shared memory need not be read."""
    if one.data_ptr() == other.data_ptr() and one.shape == other.shape:
        return True
    return one.dtype == other.dtype and torch.equal(one, other)


def _check_no_bias(name: str, bias: Tensor) -> None:
    """Every published file holds zeros, and the native layout has no place for another value."""
    if torch.count_nonzero(bias):
        raise WeightsError(
            f"weight {name!r} is not zero (largest value {bias.abs().max().item():.3g}), which no"
            " published Florence-2 has and this model cannot add; use a checkpoint without it"
        )


def _sinusoid_repairs(stored: Tensor | None) -> tuple[str, ...]:
    """Compare a stored table with the formula; the model always holds the formula's."""
    if stored is None or stored.ndim != 2:
        return ()
    expected = sinusoid_table(*stored.shape).to(stored.dtype)
    # The argument of the sine reaches 99 radians, where libraries differ by 1e-5 in float32.
    tolerance = max(1e-4, 4 * torch.finfo(stored.dtype).eps)
    if torch.allclose(stored.double(), expected.double(), rtol=0, atol=tolerance):
        return ()
    return ("the stored temporal sinusoid table is damaged; it was computed anew",)


def fit_config(
    config: Florence2Config, state: InternalState
) -> tuple[Florence2Config, tuple[str, ...]]:
    """Follow the file where its vocabulary or its positions differ from the configuration.

    Fine-tuning scripts resize the embedding, and the large weights of December 2024 brought
    longer position tables, while copies of `config.json` stayed behind.
    """
    repairs = []
    shared = state.tensors.get(SHARED)
    if shared is not None and shared.ndim == 2 and len(shared) != config.text.vocab_size:
        repairs.append(
            f"config.json says vocab_size {config.text.vocab_size:,} but the word embedding has"
            f" {len(shared):,} rows; the weights were followed"
        )
        config = replace(config, text=replace(config.text, vocab_size=len(shared)))
    rows = {len(state.tensors[name]) for name in _POSITION_TABLES if name in state.tensors}
    positions = max(rows, default=0) - POSITION_OFFSET
    if len(rows) == 1 and 0 < positions != config.text.max_position_embeddings:
        repairs.append(
            f"config.json says {config.text.max_position_embeddings:,} text positions but the"
            f" tables hold {positions:,}; the weights were followed"
        )
        config = replace(config, text=replace(config.text, max_position_embeddings=positions))
    untied = HEAD in state.tensors
    if untied == config.text.tie_word_embeddings:
        repairs.append(
            "config.json says that the output head is the word embedding, but the weights hold"
            " another one; the weights were followed"
            if untied
            else "config.json says tie_word_embeddings false but the weights hold no output head"
            " of other values; the word embedding is the head"
        )
    return follow_head(config, state), tuple(repairs)


def follow_head(config: Florence2Config, state: InternalState) -> Florence2Config:
    """The configuration with a head of its own where the weights have one."""
    text = replace(config.text, tie_word_embeddings=HEAD not in state.tensors)
    return replace(config, text=text)


# ---- into a model


class _WithoutMemory(TorchFunctionMode):
    """Parameters get shapes but no memory and no random values; buffers are computed.

    `torch.device("meta")` alone would do, but random numbers and functions such as `arange`
    import torch's compiler there, which takes seconds.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.empty:
            kwargs["device"] = "meta"
        elif func in (init.normal_, init.uniform_, init.kaiming_uniform_):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def empty_model(config: Florence2Config) -> Florence2Model:
    """The modules, with no memory for their weights."""
    with _WithoutMemory():
        return Florence2Model(config)


def check_fit(model: Florence2Model, state: InternalState) -> None:
    """Raise one error that lists missing, unknown and wrongly shaped weights."""
    layout = state.layout
    expected = {str(layout.public_name(name)): p.shape for name, p in model.named_parameters()}
    given: dict[str, Sequence[int]] = dict.fromkeys(state.unknown, ())
    given |= {str(layout.public_name(name)): each.shape for name, each in state.tensors.items()}
    if faults := describe_differences(expected, given):
        raise WeightsError(
            f"the weights ({layout.name} layout) do not fit config.json: {faults}; use"
            " the config.json that was saved with them, or fetch both again"
        )


def describe_differences(
    expected: Mapping[str, Sequence[int]], given: Mapping[str, Sequence[int]]
) -> str:
    """Which weights are missing, unknown or misshapen, by the shapes of all; empty if none is.

    >>> describe_differences({"a": (2, 3), "b": (4,)}, {"a": (3, 2), "c": (4,)})
    '1 of 2 is missing (b); 1 unknown (c); 1 of another shape than expected (a is 3 x 2, not 2 x 3)'
    """
    missing = [name for name in expected if name not in given]
    misshapen = [
        f"{name} is {_shape(given[name])}, not {_shape(shape)}"
        for name, shape in expected.items()
        if name in given and tuple(given[name]) != tuple(shape)
    ]
    found = {
        f"of {len(expected):,} {'is' if len(missing) == 1 else 'are'} missing": missing,
        "unknown": [name for name in given if name not in expected],
        "of another shape than expected": misshapen,
    }
    return list_faults(found)


def shapes(tensors: Mapping[str, Tensor]) -> dict[str, Sequence[int]]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def list_faults(found: Mapping[str, Sequence[str]]) -> str:
    """What is wrong with how many names, and the first of them."""
    return "; ".join(f"{len(n):,} {what} ({first_few(n)})" for what, n in found.items() if n)


def build_model(
    config: Florence2Config,
    state: InternalState,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
) -> Florence2Model:
    """A model in evaluation mode that holds the tensors of a checkpoint.

    Takes the tensors out of `state` one by one, so that at most one copy in the target dtype
    and one tensor of the file are in memory.

    Args:
        dtype: dtype of all weights; None keeps that of most of them, and float32 where an adapter
            was added.
    """
    model, tensors = empty_model(config), state.tensors
    check_fit(model, state)
    stored = state.stored_dtype
    placed = {}
    for name, _ in model.named_parameters():
        tensor = tensors.pop(name)
        kept = tensor.dtype if name in state.exact else stored
        placed[name] = tensor.to(device=device, dtype=dtype or kept)
    placed |= {
        name: buffer.to(device=device, dtype=dtype or stored)
        for name, buffer in model.named_buffers()
    }
    model.load_state_dict(placed, assign=True)
    return model.eval()


# ---- writing


def to_public(
    model: Florence2Model,
    layout: Layout,
    *,
    vocab_size: int | None = None,
    dtype: torch.dtype | None = None,
) -> dict[str, Tensor]:
    """The weights of a model under public names, on the CPU, contiguous.

    The original layout gets the zero bias and the copies of the word embedding that the
    published files hold; they share one memory.

    Args:
        vocab_size: rows of the word embedding and of an output head to write, see
            `resized_embedding`; None keeps.
        dtype: dtype to write, None keeps.
    """
    state = model.state_dict()
    plain = empty_model(model.config).state_dict().keys()
    if foreign := [name for name in state if name not in plain]:
        raise WeightsError(
            f"the model holds {len(foreign):,} weights beside its own: {first_few(foreign)};"
            " merge or remove adapters before saving"
        )
    public = {}
    for name, tensor in state.items():
        if name == SINUSOID:
            tensor = sinusoid_table(*tensor.shape)  # exact in whatever dtype is written
        if name in (SHARED, HEAD) and vocab_size is not None:
            tensor = resized_embedding(tensor, vocab_size)
        stored_name = str(layout.public_name(name))
        tensor = tensor.t() if stored_name in layout.transposed else tensor
        public[stored_name] = tensor.to("cpu", dtype or state[name].dtype).contiguous()
    if layout is ORIGINAL:
        shared = public[layout.embeddings[0]]
        public = dict.fromkeys(layout.embeddings, shared) | public
        public[f"language_model.{LOGITS_BIAS}"] = shared.new_zeros(1, len(shared))
    return public


def resized_embedding(embedding: Tensor, rows: int) -> Tensor:
    """Cut or lengthen the word embedding; new rows are the mean of the old ones.

    The logit of a mean row is the mean of the logits, so that it never wins an argmax.
    """
    if rows <= len(embedding):
        return embedding[:rows]
    mean = embedding.float().mean(dim=0, keepdim=True).to(embedding.dtype)
    return torch.cat((embedding, mean.expand(rows - len(embedding), -1)))


# ---- wording


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "a single number"


def weights_fingerprint(model: Florence2Model) -> str:
    """A few letters that other weights do not share, whatever the dtype and the folder."""
    digest = hashlib.sha256()
    for name, weights in sorted(model.state_dict().items()):
        start = weights.flatten()[:64].to("cpu", torch.bfloat16).view(torch.int16)
        digest.update(f"{name} {tuple(weights.shape[1:])}".encode() + start.numpy().tobytes())
    return digest.hexdigest()[:16]
