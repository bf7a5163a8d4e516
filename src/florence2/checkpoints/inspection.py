"""What a checkpoint is, what had to be repaired, what is missing or damaged: for `doctor`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from florence2.checkpoints.config_files import read_settings
from florence2.checkpoints.loading import check_vocabulary
from florence2.checkpoints.sources import (
    CONFIG,
    GENERATION,
    INDEX,
    PREPROCESSOR,
    PROCESSOR,
    TOKENIZER,
    TOKENIZER_PIECES,
    WEIGHTS,
    CheckpointFiles,
    files_at,
    locate,
)
from florence2.errors import Florence2Error, error_or
from florence2.model.config import Florence2Config, base, large, nano
from florence2.processing.tokenizer import Tokenizer

if TYPE_CHECKING:
    from torch import Tensor


_PRESETS = {"base": base(), "large": large(), "nano": nano(vocab_size=0)}
_PAPER_POSITIONS = 1024
_NO_TORCH = (
    "PyTorch is not installed, so the weights were not looked at and nothing can be asked; pip"
    " install torch"
)

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Inspection:
    """Findings about one checkpoint. Sizes are None where the files do not tell them.

    Attributes:
        source: what was asked about.
        folder: where its files lie.
        layout: `native`, `original` or None.
        size: `base`, `large`, `nano` or `custom`; fine-tunes have the size of their parent.
        parameters: trained values, the tied word embedding counted once.
        vocabulary_rows: rows of the word embedding.
        positions: longest text in tokens, image tokens included.
        image_side: side in pixels to which pictures are resized.
        dtype: of most stored values, such as `float16`.
        files: names and bytes.
        repairs: what loading puts right by itself.
        problems: what prevents loading.
        notes: what is good to know.
    """

    source: str
    folder: str
    layout: str | None = None
    size: str | None = None
    parameters: int | None = None
    vocabulary_rows: int | None = None
    positions: int | None = None
    image_side: int | None = None
    dtype: str | None = None
    files: tuple[tuple[str, int], ...] = ()
    repairs: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def loads(self) -> bool:
        """Whether loading will succeed."""
        return not self.problems

    def describe(self) -> str:
        """The findings in plain words, one to a line."""
        what = f"a Florence-2 of size {self.size}" if self.size else "no readable Florence-2"
        kind = [what, f"{self.layout} layout" if self.layout else "", self.dtype or ""]
        lines = [f"{self.source}: {', '.join(filter(None, kind))}", self._verdict(), ""]
        rows = {
            "folder": self.folder,
            "files": ", ".join(f"{name} ({_bytes(size)})" for name, size in self.files),
            "parameters": _number(self.parameters),
            "vocabulary rows": _number(self.vocabulary_rows),
            "text positions": _number(self.positions),
            "picture side": _number(self.image_side),
        }
        lines += [f"  {title:<16}{value}" for title, value in rows.items() if value]
        findings = {"problem": self.problems, "repaired": self.repairs, "note": self.notes}
        for title, sentences in findings.items():
            lines += [f"{title}: {sentence}" for sentence in sentences]
        return "\n".join(lines)

    def _verdict(self) -> str:
        if self.problems:
            return f"It does not load; {_count(len(self.problems), 'problem')} found."
        repaired = f", after {_count(len(self.repairs), 'repair')}" if self.repairs else ""
        return f"It loads{repaired}."


class _Problems(list[str]):
    """What went wrong so far, in words."""

    def attempt(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """The step's value, or None after noting down why there is none."""
        outcome = error_or(step, *args, **kwargs)
        if isinstance(outcome, Florence2Error):
            self.append(str(outcome))
            return None
        return outcome


def inspect_checkpoint(source: str | Path) -> Inspection:
    """Look at a checkpoint without building the model; damage is reported, not raised.

    Reads names, shapes and the few weights whose values are checked (copies of the word
    embedding and constants). Raises only if there is nothing at `source`, see `find_checkpoint`.
    """
    path = locate(source)
    problems = _Problems()
    attempt = problems.attempt
    folder = path if path.is_dir() else path.parent
    files = attempt(files_at, path, str(source)) or CheckpointFiles(str(source), folder, ())
    folder = files.folder  # an adapter's base may lie elsewhere
    found = Inspection(str(source), str(folder), files=_sizes(files))
    tokenizer = attempt(Tokenizer.load, folder)
    settings = attempt(read_settings, files, tokenizer)
    config, notes = None, _notes_on_files(files)
    if settings:
        config, notes = settings.config, [*settings.notes, *notes]
        found = replace(found, repairs=settings.repairs)
    has_torch = find_spec("torch") is not None
    if has_torch:
        found, config = _inspect_weights(found, files, config, problems)
    else:
        problems.append(_NO_TORCH)
    if config and tokenizer:
        attempt(check_vocabulary, tokenizer, config)
        notes += _notes_on_sizes(config, tokenizer)
    return replace(
        found,
        size=_size(config) if config and (found.layout or not has_torch) else None,
        positions=config.text.max_position_embeddings if config else None,
        image_side=config.image_side if config else None,
        problems=tuple(problems),
        notes=(*found.notes, *notes),
    )


def _inspect_weights(
    found: Inspection,
    files: CheckpointFiles,
    config: Florence2Config | None,
    problems: _Problems,
) -> tuple[Inspection, Florence2Config | None]:
    """Add what needs torch, check that it fits the configuration, and put its sizes there."""
    from florence2.checkpoints.adapters import merge_adapter
    from florence2.checkpoints.layouts import (
        SHARED,
        check_fit,
        detect_layout,
        empty_model,
        fit_config,
        follow_head,
        to_internal,
    )
    from florence2.checkpoints.weight_files import read_weights

    stored = problems.attempt(read_weights, files.weights) or {}
    layout = problems.attempt(detect_layout, stored.keys()) if stored else None
    found = replace(
        found, dtype=_main_dtype(stored.values()), layout=layout.name if layout else None
    )
    state = problems.attempt(to_internal, stored, layout) if layout else None
    if state is None:
        return found, config
    repairs = state.repairs
    if config:
        config, resized = fit_config(config, state)
        repairs += resized
        problems.attempt(check_fit, empty_model(config), state)
    if files.adapter and (merged := problems.attempt(merge_adapter, state, files.adapter)):
        found = replace(found, notes=(_adapter_note(files.adapter),))
        config = config and follow_head(config, merged)
    shared = state.tensors.get(SHARED)
    found = replace(
        found,
        parameters=state.num_parameters,
        vocabulary_rows=None if shared is None else len(shared),
        repairs=found.repairs + repairs,
    )
    return found, config


def _adapter_note(folder: Path) -> str:
    from florence2.checkpoints.adapters import read_adapter

    adapter = read_adapter(folder)
    ranks = sorted({each.rank for each in adapter.products.values()})
    what = f"LoRA of rank {', '.join(map(str, ranks))} on {len(adapter.products):,} modules"
    whole = f" and {len(adapter.copies):,} whole weights" if adapter.copies else ""
    return f"this is its base model with the adapter in {str(folder)!r}: {what}{whole}"


def _size(config: Florence2Config) -> str:
    """Name of the preset that has the same parts, whatever its vocabulary and limits."""
    parts = ("d_model", "encoder_layers", "decoder_layers", "encoder_ffn_dim", "decoder_ffn_dim")
    for name, preset in _PRESETS.items():
        same_tower = (config.vision.embed_dim, config.vision.depths) == (
            preset.vision.embed_dim,
            preset.vision.depths,
        )
        if same_tower and all(getattr(config.text, p) == getattr(preset.text, p) for p in parts):
            return name
    return "custom"


def _main_dtype(tensors: Iterable[Tensor]) -> str | None:
    values: Counter[str] = Counter()
    for tensor in tensors:
        values[str(tensor.dtype).removeprefix("torch.")] += tensor.numel()
    return values.most_common(1)[0][0] if values else None


def _sizes(files: CheckpointFiles) -> tuple[tuple[str, int], ...]:
    names = (CONFIG, GENERATION, PREPROCESSOR, PROCESSOR, TOKENIZER, *TOKENIZER_PIECES)
    paths = [*files.weights, *filter(None, map(files.path, names))]
    return tuple((path.name, path.stat().st_size) for path in paths)


def _notes_on_files(files: CheckpointFiles) -> list[str]:
    notes = []
    if any(path.suffix != ".safetensors" for path in files.weights):
        notes.append("the weights are a pickle file; it is read without running code from it")
    used = {path.name for path in files.weights}
    others = [name for name in WEIGHTS if not name.endswith(INDEX) and name not in used]
    if files.weights and (unused := next(filter(files.path, others), None)):
        notes.append(f"{unused} lies there too and is not used")
    return notes


def _notes_on_sizes(config: Florence2Config, tokenizer: Tokenizer) -> list[str]:
    notes = []
    text = config.text
    if not text.tie_word_embeddings:
        notes.append("the output head is a matrix of its own, not the word embedding")
    if (filler := text.vocab_size - tokenizer.vocab_size) > 0:
        notes.append(
            f"the word embedding has {filler:,} rows more than the tokenizer has tokens; they are"
            " filler that no text uses"
        )
    if _size(config) == "large" and text.max_position_embeddings > _PAPER_POSITIONS:
        notes.append(
            "these are the large weights of December 2024 or a fine-tune of them, with longer"
            " texts than those of the paper"
        )
    return notes


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _bytes(size: int) -> str:
    for unit, divisor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= divisor:
            return f"{size / divisor:.3g} {unit}"
    return f"{size} bytes"
