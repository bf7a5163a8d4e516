"""Reading a whole checkpoint: weights, configuration, tokenizer and settings."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from florence2.answers.defaults import AnswerDefaults
from florence2.checkpoints.config_files import read_settings
from florence2.checkpoints.sources import (
    CONFIG,
    SHORT_NAMES,
    TOKENIZER,
    TOKENIZER_PIECES,
    CheckpointFiles,
    find_checkpoint,
    read_json,
)
from florence2.errors import WeightsError
from florence2.generation.options import GenerationOptions
from florence2.model.config import Florence2Config, large
from florence2.processing.tokenizer import Tokenizer

if TYPE_CHECKING:
    import torch

    from florence2.checkpoints.weight_files import MappedPages
    from florence2.model.florence2 import Florence2Model

# Of the published word embedding: as published, with `<image>`, and rounded up to a multiple of 64.
PUBLISHED_ROWS = (51289, 51290, 51328)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """A model ready to answer, and what its folder says beside the weights.

    Attributes:
        name: what the user asked for.
        answers: what it leaves out where nobody says, for the weights of the fingerprint in it.
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
    answers: AnswerDefaults
    adapter: Path | None = None


def load_checkpoint(
    source: str | Path,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    adapter: str | Path | None = None,
    tokenizer: str | Path | None = None,
) -> Checkpoint:
    """Load a checkpoint strictly; every weight has its place and every place its weight.

    Args:
        source: see `find_checkpoint`.
        dtype: dtype of all weights; None keeps the stored one, and float32 for what an adapter
            changed.
        adapter: is merged into the weights; see `find_checkpoint`.
        tokenizer: see `read_tokenizer`.
    """
    from florence2.checkpoints.layouts import build_model, fit_config, follow_head, read_state

    files = find_checkpoint(source, adapter)
    words = read_tokenizer(files, tokenizer)
    settings = read_settings(files, words)
    state = read_state(files.weights)
    config, resized = fit_config(settings.config, state)
    check_vocabulary(words, config)
    if files.adapter is not None:
        from florence2.checkpoints.adapters import merge_adapter

        state = merge_adapter(state, files.adapter)
        config = follow_head(config, state)
    repairs = (*settings.repairs, *resized, *state.repairs)
    for repair in (*repairs, *settings.unused):
        logger.warning("checkpoint %s: %s", files.name, repair)
    return Checkpoint(
        model=build_model(config, state, dtype=dtype, device=device),
        tokenizer=words,
        generation=settings.generation,
        name=files.name,
        layout=state.layout.name,
        repairs=repairs,
        pages=state.pages,
        answers=settings.answers,
        adapter=files.adapter,
    )


def read_tokenizer(files: CheckpointFiles, tokenizer: str | Path | None = None) -> Tokenizer:
    """Read the tokenizer of a checkpoint.

    Args:
        tokenizer: a `tokenizer.json`, or a folder that holds one or `vocab.json` with `merges.txt`;
            None for the folder of the checkpoint.
    """
    if tokenizer is not None:
        path = Path(tokenizer).expanduser()
        return Tokenizer.from_file(path) if path.is_file() else Tokenizer.load(path)
    pieces = TOKENIZER_PIECES[:2]
    missing = [name for name in pieces if not files.path(name)]
    if files.path(TOKENIZER) is None and missing:
        raise WeightsError(
            f"checkpoint {files.name!r} has no tokenizer: its folder has no {TOKENIZER} and lacks"
            f" {' and '.join(missing)}; copy {TOKENIZER} from {_origin(files)} into"
            f" {str(files.folder)!r}, or name one (--tokenizer PATH; tokenizer= in Python)"
        )
    return Tokenizer.load(files.folder)


def _origin(files: CheckpointFiles) -> str:
    """Where the tokenizer of a checkpoint can be had."""
    path = files.path(CONFIG)
    text = read_json(path).get("text_config") if path else None
    text = text if isinstance(text, dict) else {}
    if text.get("vocab_size") in PUBLISHED_ROWS:
        size = "large" if text.get("d_model") == large().text.d_model else "base"
        return f"the hub repository {SHORT_NAMES[size]}"
    return "the model that it was trained from"


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
