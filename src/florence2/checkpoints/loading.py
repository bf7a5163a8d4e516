"""Reading a whole checkpoint: weights, configuration, tokenizer and settings."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from florence2.checkpoints.config_files import read_settings
from florence2.checkpoints.sources import find_checkpoint
from florence2.errors import WeightsError
from florence2.generation.options import GenerationOptions
from florence2.model.config import Florence2Config
from florence2.processing.tokenizer import Tokenizer

if TYPE_CHECKING:
    import torch

    from florence2.checkpoints.weight_files import MappedPages
    from florence2.model.florence2 import Florence2Model

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """A model ready to answer, and what its folder says beside the weights.

    Attributes:
        name: what the user asked for.
        adapter: folder of the adapter that was merged into the weights.
        layout: `native` or `original`, how the weights were stored.
        repairs: what was wrong in the files and put right; each was logged as a warning.
        pages: of the weights file, which the model's weights are views of where their dtype was
            kept.
    """

    model: Florence2Model
    tokenizer: Tokenizer
    generation: GenerationOptions
    name: str
    layout: str
    repairs: tuple[str, ...]
    pages: MappedPages
    adapter: Path | None = None


def load_checkpoint(
    source: str | Path,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    adapter: str | Path | None = None,
) -> Checkpoint:
    """Load a checkpoint strictly; every weight has its place and every place its weight.

    Args:
        source: see `find_checkpoint`.
        dtype: dtype of all weights; None keeps the stored one, and float32 for what an adapter
            changed.
        adapter: is merged into the weights; see `find_checkpoint`.
    """
    from florence2.checkpoints.layouts import build_model, fit_config, follow_head, read_state

    files = find_checkpoint(source, adapter)
    tokenizer = Tokenizer.load(files.folder)
    settings = read_settings(files, tokenizer)
    state = read_state(files.weights)
    config, resized = fit_config(settings.config, state)
    check_vocabulary(tokenizer, config)
    if files.adapter is not None:
        from florence2.checkpoints.adapters import merge_adapter

        state = merge_adapter(state, files.adapter)
        config = follow_head(config, state)
    repairs = (*settings.repairs, *resized, *state.repairs)
    for repair in repairs:
        logger.warning("checkpoint %s: %s", files.name, repair)
    return Checkpoint(
        model=build_model(config, state, dtype=dtype, device=device),
        tokenizer=tokenizer,
        generation=settings.generation,
        name=files.name,
        layout=state.layout.name,
        repairs=repairs,
        pages=state.pages,
        adapter=files.adapter,
    )


def check_vocabulary(tokenizer: Tokenizer, config: Florence2Config) -> None:
    """Raise if the tokenizer can write ids that have no row in the word embedding."""
    needed = trained_vocab_size(tokenizer)
    if needed > config.text.vocab_size:
        raise WeightsError(
            f"the tokenizer has {needed:,} tokens but the word embedding only"
            f" {config.text.vocab_size:,} rows; use the tokenizer saved with the weights"
        )


def trained_vocab_size(tokenizer: Tokenizer) -> int:
    """Tokens without a final `<image>`, which is a placeholder of later ports and never trained."""
    size = tokenizer.vocab_size
    return size - 1 if tokenizer.image_id == size - 1 else size
