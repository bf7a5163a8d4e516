"""Which runtime computes a model here: by device and precision. Imports torch when one is made."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from florence2.answers.defaults import AnswerDefaults
from florence2.checkpoints.loading import load_checkpoint
from florence2.checkpoints.sources import ANSWERS
from florence2.errors import ConfigError
from florence2.generation.options import GenerationOptions
from florence2.processing.tokenizer import Tokenizer

if TYPE_CHECKING:
    import torch

    from florence2.model.florence2 import Florence2Model
    from florence2.runtimes.pytorch.runtime import TorchRuntime

Precision = Literal["float32", "bfloat16", "int8"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedRuntime:
    """A checkpoint that is ready to answer.

    Attributes:
        answers: what it leaves out where nobody says.
        fingerprint: see `weights_fingerprint`.
        trained_image_side: of the checkpoint; pictures may be resized to another side.
    """

    runtime: TorchRuntime
    tokenizer: Tokenizer
    generation: GenerationOptions
    answers: AnswerDefaults
    fingerprint: str
    trained_image_side: int


def load_runtime(
    source: str,
    device: str | torch.device | None = None,
    precision: Precision | None = None,
    image_side: int | None = None,
    adapter: str | Path | None = None,
    tokenizer: str | Path | None = None,
) -> LoadedRuntime:
    """Load a checkpoint for the device at hand; the arguments are those of `Florence2.load`.

    Raises:
        WeightsError: the checkpoint cannot be found, is damaged, partial or foreign.
        ConfigError: this machine cannot compute in the precision, or the model does not take
            pictures of the side.
    """
    from florence2.checkpoints.layouts import weights_fingerprint
    from florence2.model.positions import set_image_side

    chosen = choose_device(device)
    precision = check_precision(precision, chosen)
    # Packed weights are made from the stored ones, layer by layer.
    dtype = None if uses_packed_weights(chosen) else eager_dtype(precision)
    loaded = load_checkpoint(
        source, device=chosen, dtype=dtype, adapter=adapter, tokenizer=tokenizer
    )
    fingerprint = weights_fingerprint(loaded.model)
    trained_side = loaded.model.config.image_side
    if image_side is not None:
        set_image_side(loaded.model, image_side)
    runtime = select_runtime(loaded.model, precision, loaded.pages.release)
    # Measured with these weights on pictures of this side, and true of no others.
    answers = loaded.answers
    if answers.fingerprint != fingerprint or image_side not in (None, trained_side):
        if answers.fingerprint != fingerprint and answers.fingerprint and loaded.adapter is None:
            logger.warning(
                "checkpoint %s: %s was made for other weights and is not used", loaded.name, ANSWERS
            )
        answers = AnswerDefaults()
    return LoadedRuntime(
        runtime, loaded.tokenizer, loaded.generation, answers, fingerprint, trained_side
    )


def select_runtime(
    model: Florence2Model,
    precision: Precision,
    on_layer_packed: Callable[[], None] = lambda: None,
) -> TorchRuntime:
    """The fastest way to compute a model where it is; the model itself is used up.

    Args:
        model: its weights in any dtype.
        on_layer_packed: see `PackedModel`.
    """
    if uses_packed_weights(model.device):
        from florence2.runtimes.pytorch.packed.model import packed_runtime

        return packed_runtime(model, precision, on_layer_packed)
    from florence2.runtimes.pytorch.eager import eager_runtime

    return eager_runtime(model.eval().to(eager_dtype(precision)))


def choose_device(device: str | torch.device | None) -> torch.device:
    """The named device if it can hold a number, or the best one at hand."""
    import torch

    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.zeros(1, device=chosen).cpu()  # "meta" holds shapes alone
        return torch.device(chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"device {str(chosen)!r} cannot be used ({reason}); give 'cpu', or 'cuda' on a"
            " machine with an NVIDIA GPU"
        ) from None


def check_precision(precision: Precision | None, device: torch.device) -> Precision:
    """The precision to compute in; raises where this device cannot."""
    from florence2.runtimes.pytorch.packed.linears import can_pack_bfloat16, can_quantize

    on_cpu = device.type == "cpu"
    if precision is None:
        return "float32" if on_cpu else "bfloat16"
    allowed = get_args(Precision) if on_cpu else ("float32", "bfloat16")
    if precision not in allowed:
        names = ", ".join(map(repr, allowed))
        raise ConfigError(
            f"precision {precision!r} is unknown on device {str(device)!r}; choose one of {names}"
        )
    held = os.environ.get("ONEDNN_MAX_CPU_ISA", "")
    held = f" while ONEDNN_MAX_CPU_ISA={held} holds it back" if held else ""
    if precision == "int8" and not can_quantize():
        raise ConfigError(
            "precision 'int8' needs a processor with AVX-512 VNNI (x86 servers from 2019 on) and a"
            f" PyTorch with oneDNN, which this machine has not{held}; choose 'float32'"
        )
    if precision == "bfloat16" and uses_packed_weights(device) and not can_pack_bfloat16():
        raise ConfigError(
            "precision 'bfloat16' needs a processor with AVX-512, which this machine has"
            f" not{held}; choose 'float32', which is faster here"
        )
    return precision


def uses_packed_weights(device: torch.device) -> bool:
    from florence2.runtimes.pytorch.packed.linears import can_pack

    return device.type == "cpu" and can_pack()


def eager_dtype(precision: Precision) -> torch.dtype:
    """What a model computes in that is not packed."""
    import torch

    return torch.float32 if precision == "float32" else torch.bfloat16
