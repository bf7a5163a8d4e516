"""Writing a checkpoint in either public layout, so that other tools load it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tokenizers

from florence2.answers.tokens import BOS, EOS, PAD
from florence2.checkpoints.config_files import (
    native_config,
    original_config,
    preprocessor_config,
    processor_config,
)
from florence2.checkpoints.generation_settings import generation_config
from florence2.checkpoints.loading import check_vocabulary, trained_vocab_size
from florence2.checkpoints.sources import (
    CONFIG,
    GENERATION,
    INDEX,
    PREPROCESSOR,
    PROCESSOR,
    TOKENIZER,
    WEIGHTS,
)
from florence2.checkpoints.staging import staged
from florence2.errors import ConfigError
from florence2.generation.options import GenerationOptions
from florence2.model.config import Florence2Config, with_vocab_size
from florence2.processing.tokenizer import IMAGE, MASK, UNK, Tokenizer

if TYPE_CHECKING:
    import torch

    from florence2.model.florence2 import Florence2Model

ROW_MULTIPLE = 64  # transformers rounds the rows of its word embedding up to this
TOKENIZER_CONFIG = "tokenizer_config.json"
_WEIGHTS_OF_LAYOUT = {"native": "model.safetensors", "original": "pytorch_model.bin"}


def save_checkpoint(
    model: Florence2Model,
    folder: str | Path,
    *,
    tokenizer: Tokenizer,
    layout: str = "native",
    dtype: torch.dtype | None = None,
    generation: GenerationOptions | None = None,
    max_part_bytes: int | None = None,
) -> Path:
    """Write a checkpoint folder; returns it.

    `native` is what transformers and its processor read: the tokenizer gets the placeholder
    `<image>` behind its last token, and the word embedding is lengthened to a multiple of 64
    rows. New rows are the mean of the others, so that they never win an argmax.
    `original` is what Microsoft's remote code and the tools around it read: rows behind the
    trained vocabulary, `<image>` among them, are left out.

    All files are written in full before the first is moved to its place.

    Args:
        dtype: dtype to store; None keeps the model's.
        generation: settings for generation_config.json; None for the published ones.
        max_part_bytes: write the weights in parts of at most so many bytes, with the index that
            every reader of safetensors understands; None for one file. Native layout only.
    """
    from florence2.checkpoints.layouts import LAYOUTS, to_public
    from florence2.checkpoints.weight_files import write_weights, write_weights_in_parts

    if layout not in _WEIGHTS_OF_LAYOUT:
        raise ConfigError(f"layout {layout!r} is unknown; choose 'native' or 'original'")
    if max_part_bytes is not None and layout != "native":
        raise ConfigError(
            f"layout {layout!r} is written in one file; leave max_part_bytes {max_part_bytes!r}"
            " out, or choose 'native'"
        )
    if dtype is not None and (not dtype.is_floating_point or dtype.itemsize == 1):
        raise ConfigError(
            f"weights cannot be saved in {dtype}, which cannot be computed with; choose"
            " torch.float16, torch.bfloat16 or torch.float32"
        )
    check_vocabulary(tokenizer, model.config)
    folder, weights = Path(folder), _WEIGHTS_OF_LAYOUT[layout]
    _refuse_other_weights(folder, weights if max_part_bytes is None else weights + INDEX)
    rows = _rows(tokenizer, model.config, layout)
    public = to_public(model, LAYOUTS[layout], vocab_size=rows, dtype=dtype)
    stored = str(dtype or model.shared.weight.dtype).removeprefix("torch.")
    config = with_vocab_size(model.config, rows)
    options = generation or GenerationOptions()
    contents = _json_files(config, tokenizer, layout, stored, options)
    contents[GENERATION] = generation_config(config.text, options)

    with staged(folder) as staging:
        if max_part_bytes is None:
            write_weights(public, staging / weights)
        else:
            write_weights_in_parts(public, staging / weights, max_part_bytes)
        for name, values in contents.items():
            text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
            (staging / name).write_text(text, encoding="utf-8")
        _write_tokenizer(tokenizer, layout, staging / TOKENIZER)
    _remove_other_parts(folder, weights)
    return folder


def _rows(tokenizer: Tokenizer, config: Florence2Config, layout: str) -> int:
    """Rows of the word embedding to store."""
    if layout == "original":
        return trained_vocab_size(tokenizer)
    rows = max(config.text.vocab_size, _image_id(tokenizer) + 1)
    return rows + -rows % ROW_MULTIPLE


def _image_id(tokenizer: Tokenizer) -> int:
    """Id of `<image>`, which is added behind the last token where there is none."""
    return tokenizer.vocab_size if tokenizer.image_id is None else tokenizer.image_id


def _json_files(
    config: Florence2Config,
    tokenizer: Tokenizer,
    layout: str,
    dtype: str,
    generation: GenerationOptions,
) -> dict[str, dict[str, Any]]:
    tokenizer_config: dict[str, Any] = {"model_max_length": config.text.max_position_embeddings}
    if layout == "original":
        config_values = original_config(config, dtype, generation)
    else:
        config_values = native_config(config, _image_id(tokenizer), dtype)
        tokenizer_config |= {
            **{"bos_token": BOS, "eos_token": EOS, "pad_token": PAD, "unk_token": UNK},
            **{"cls_token": BOS, "sep_token": EOS, "mask_token": MASK},
            # Takes tokenizer.json as it is, in transformers 4 and 5.
            "tokenizer_class": "PreTrainedTokenizerFast",
            "processor_class": "Florence2Processor",
            "extra_special_tokens": {"image_token": IMAGE},
        }
    files = {
        CONFIG: config_values,
        PREPROCESSOR: preprocessor_config(config),
        TOKENIZER_CONFIG: tokenizer_config,
    }
    if layout == "native":  # the processor published with the weights raises a TypeError at it
        files[PROCESSOR] = processor_config()
    return files


def _write_tokenizer(tokenizer: Tokenizer, layout: str, path: Path) -> None:
    """Write tokenizer.json, with `<image>` for the native layout, without for the original one."""
    tokenizer.save(path)
    if layout == "native" and tokenizer.image_id is None:
        backend = tokenizers.Tokenizer.from_file(str(path))
        backend.add_special_tokens([tokenizers.AddedToken(IMAGE, normalized=False)])
        backend.save(str(path))
    if layout == "original" and trained_vocab_size(tokenizer) < tokenizer.vocab_size:
        values = json.loads(path.read_text(encoding="utf-8"))
        added = values["added_tokens"]
        values["added_tokens"] = [token for token in added if token["content"] != IMAGE]
        path.write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")


def _remove_other_parts(folder: Path, weights: str) -> None:
    """Delete parts of an earlier checkpoint that was cut otherwise."""
    index = folder / f"{weights}{INDEX}"
    if index.exists():
        kept = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        stem, suffix = weights.rsplit(".", 1)
        for path in folder.glob(f"{stem}-*-of-*.{suffix}"):
            if path.name not in kept:
                path.unlink()


def _refuse_other_weights(folder: Path, weights: str) -> None:
    """Two formats side by side would leave the reader to guess which is the newer."""
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{str(folder)!r} is a file; give a folder to save the checkpoint in")
    others = [name for name in WEIGHTS if name != weights and (folder / name).exists()]
    if others:
        raise ConfigError(
            f"folder {str(folder)!r} already holds {others[0]!r}, and {weights!r} beside it would"
            " make it ambiguous; save to another folder, or delete that file first"
        )
