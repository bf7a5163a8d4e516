"""An output head that is not the word embedding: loaded, computed, trained and saved as it is."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Florence2ForConditionalGeneration as Oracle

from florence2 import Florence2
from florence2.checkpoints import inspect_checkpoint, load_checkpoint, save_checkpoint
from florence2.checkpoints.layouts import LAYOUTS, weights_fingerprint
from florence2.model.cache import PromptCache
from florence2.model.florence2 import Florence2Model
from florence2.runtimes.pytorch.packed.linears import can_pack, can_quantize
from florence2.runtimes.pytorch.packed.model import PackedModel
from florence2.runtimes.select import Precision
from florence2.training.freezing import freeze
from florence2.training.lora import Lora, LoraConfig
from florence2.training.warm_start import load_initial_weights
from oracles import TOLERANCE, oracle_logits, our_logits
from tiny_models import tiny_batch

SHARED, HEAD = "model.language_model.shared.weight", "lm_head.weight"


def with_head(source: Path, folder: Path, head: torch.Tensor | None = None) -> Path:
    """The checkpoint with another matrix as its head, of which config.json knows nothing."""
    folder.mkdir()
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    tensors = load_file(source / "model.safetensors")
    generator = torch.Generator().manual_seed(8)
    if head is None:
        head = tensors[SHARED] + 0.1 * torch.randn(tensors[SHARED].shape, generator=generator)
    save_file(tensors | {HEAD: head}, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def untied(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_head(tiny_folder, tmp_path_factory.mktemp("untied") / "model")


def assert_equal_logits(folder: Path, model: Florence2Model) -> None:
    oracle = Oracle.from_pretrained(folder, dtype=torch.float32).eval()
    difference = (oracle_logits(oracle) - our_logits(model)).abs().max()
    assert difference <= TOLERANCE, difference


def test_it_is_loaded_and_gives_the_logits_of_transformers(tiny_folder: Path, untied: Path) -> None:
    loaded = load_checkpoint(untied)
    assert not loaded.model.config.text.tie_word_embeddings
    assert "the weights hold another one; the weights were followed" in loaded.repairs[0]
    assert_equal_logits(untied, loaded.model)
    tied = load_checkpoint(tiny_folder).model
    assert (our_logits(tied) - our_logits(loaded.model)).abs().max() > 0.1
    assert weights_fingerprint(tied) != weights_fingerprint(loaded.model)


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_it_survives_saving_in_both_layouts(untied: Path, tmp_path: Path, layout: str) -> None:
    loaded = load_checkpoint(untied)
    save_checkpoint(loaded.model, tmp_path, tokenizer=loaded.tokenizer, layout=layout)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["tie_word_embeddings"] is False
    again = load_checkpoint(tmp_path)
    assert again.repairs == ()
    rows = min(len(each.model.shared.weight) for each in (loaded, again))
    expected, found = (our_logits(each.model)[..., :rows] for each in (loaded, again))
    assert torch.equal(expected, found)
    if layout == "native":
        assert_equal_logits(tmp_path, again.model)
    assert "a matrix of its own" in inspect_checkpoint(tmp_path).describe()


def test_a_head_that_equals_the_embedding_stays_tied(tiny_folder: Path, tmp_path: Path) -> None:
    shared = load_file(tiny_folder / "model.safetensors")[SHARED]
    loaded = load_checkpoint(with_head(tiny_folder, tmp_path / "model", shared.clone()))
    assert loaded.model.lm_head is None and loaded.repairs == ()
    config = json.loads((tiny_folder / "config.json").read_text())
    assert config["tie_word_embeddings"] is True


def test_a_config_that_promises_a_head_which_is_not_there_is_repaired(
    tiny_folder: Path, tmp_path: Path
) -> None:
    shared = load_file(tiny_folder / "model.safetensors")[SHARED]
    folder = with_head(tiny_folder, tmp_path / "model", shared.clone())
    config = json.loads((folder / "config.json").read_text()) | {"tie_word_embeddings": False}
    (folder / "config.json").write_text(json.dumps(config))
    loaded = load_checkpoint(folder)
    assert loaded.model.lm_head is None
    assert "the word embedding is the head" in loaded.repairs[0]


PRECISIONS = [
    pytest.param("float32", 1e-4, marks=pytest.mark.skipif(not can_pack(), reason="no oneDNN")),
    pytest.param("bfloat16", 0.3, marks=pytest.mark.skipif(not can_pack(), reason="no oneDNN")),
    pytest.param("int8", 0.5, marks=pytest.mark.skipif(not can_quantize(), reason="no VNNI")),
]


@pytest.mark.parametrize(("precision", "tolerance"), PRECISIONS)
def test_packed_weights_hold_it(untied: Path, precision: Precision, tolerance: float) -> None:
    expected = our_logits(load_checkpoint(untied, dtype=torch.float32).model)
    packed = PackedModel(load_checkpoint(untied).model, precision)
    pixels, prompt_ids, token_ids = tiny_batch()
    with torch.inference_mode():
        memory = packed.encode(packed.encode_image(pixels), prompt_ids)
        found = packed.decode_with(token_ids, PromptCache(memory))
    assert (expected - found.float()).abs().mean() < tolerance * expected.std()


def test_it_answers(untied: Path, picture: Path) -> None:
    with Florence2.load(str(untied), device="cpu") as model:
        assert model.run(picture, "caption").finish_reason


def test_it_is_the_decoders_when_parts_are_frozen(untied: Path) -> None:
    model = load_checkpoint(untied).model
    freeze(model, ("text_encoder", "text_decoder", "embedding"))
    assert not any(each.requires_grad for each in (model.lm_head.weight, model.shared.weight))
    freeze(model, ("embedding",))
    assert model.lm_head.weight.requires_grad and not model.shared.weight.requires_grad
    logits = model(*tiny_batch())
    logits.sum().backward()
    assert model.lm_head.weight.grad.abs().sum() > 0


def test_an_adapter_takes_it_by_its_name_alone(untied: Path) -> None:
    model = load_checkpoint(untied).model
    assert "lm_head" not in Lora(model, LoraConfig(targets=("text_decoder",))).layers
    model = load_checkpoint(untied).model
    assert [*Lora(model, LoraConfig(targets=("lm_head",))).layers] == ["lm_head"]


def test_a_run_starts_from_it(untied: Path) -> None:
    model = load_checkpoint(untied).model
    fresh = Florence2Model(model.config).eval()
    load_initial_weights(fresh, untied)
    assert torch.equal(our_logits(fresh), our_logits(model))


def test_untying_changes_nothing_until_it_trains(tiny_folder: Path) -> None:
    model = load_checkpoint(tiny_folder).model
    before = our_logits(model)
    model.untie_head()
    assert torch.equal(our_logits(model), before)
    assert model.lm_head.weight.data_ptr() != model.shared.weight.data_ptr()
