"""Weights in parts are small, complete, and read by our loader and by transformers."""

from pathlib import Path

import pytest
import torch

from florence2.checkpoints import load_checkpoint, save_checkpoint
from florence2.errors import ConfigError, WeightsError

LIMIT = 180_000  # bytes; the word embedding has 172,032


def resave(folder: Path, source: Path, max_part_bytes: int | None, layout: str = "native") -> Path:
    loaded = load_checkpoint(source)
    return save_checkpoint(
        loaded.model,
        folder,
        tokenizer=loaded.tokenizer,
        layout=layout,
        max_part_bytes=max_part_bytes,
    )


def test_parts_are_small_and_read_back_equal(tiny_folder: Path, tmp_path: Path) -> None:
    folder = resave(tmp_path, tiny_folder, LIMIT)
    parts = sorted(folder.glob("model-*.safetensors"))
    assert len(parts) > 1 and max(path.stat().st_size for path in parts) <= LIMIT
    assert not (folder / "model.safetensors").exists()
    one, other = load_checkpoint(tiny_folder).model, load_checkpoint(folder).model
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_parts_of_another_size_replace_the_former(tiny_folder: Path, tmp_path: Path) -> None:
    resave(tmp_path, tiny_folder, LIMIT)
    resave(tmp_path, tiny_folder, LIMIT + 60_000)
    names = {path.name.rpartition("-of-")[2] for path in tmp_path.glob("model-*")}
    assert len(names) == 1
    load_checkpoint(tmp_path)
    with pytest.raises(ConfigError, match=r"already holds 'model.safetensors.index.json'"):
        resave(tmp_path, tiny_folder, None)


def test_transformers_reads_parts(tiny_folder: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = resave(tmp_path, tiny_folder, LIMIT)
    theirs = transformers.Florence2ForConditionalGeneration.from_pretrained(folder)
    ours = load_checkpoint(folder).model
    found = theirs.get_input_embeddings().weight
    assert torch.equal(found, ours.shared.weight)


def test_a_weight_larger_than_a_part_is_named(tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"'\S+' has [\d,]+ bytes.*allow parts of [\d,]+ bytes"):
        resave(tmp_path / "new", tiny_folder, 2_000)
    assert not list((tmp_path / "new").glob("model*"))


def test_the_original_layout_has_no_parts(tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'original' is written in one file"):
        resave(tmp_path, tiny_folder, LIMIT, "original")
