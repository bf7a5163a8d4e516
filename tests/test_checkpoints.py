"""Finding, reading, inspecting and saving checkpoint folders; a local server plays the hub."""

import hashlib
import json
import logging
import os
import subprocess
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoProcessor, Florence2ForConditionalGeneration, GenerationConfig

from florence2.checkpoints import (
    Inspection,
    find_checkpoint,
    inspect_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from florence2.checkpoints.config_files import read_settings
from florence2.checkpoints.loading import trained_vocab_size
from florence2.checkpoints.sources import CheckpointFiles, wanted_files
from florence2.errors import ConfigError, WeightsError
from florence2.generation.options import GenerationOptions
from florence2.model.config import large
from florence2.processing.tokenizer import Tokenizer
from tiny_checkpoints import (
    IMAGE_SIDE,
    NUM_IMAGE_TOKENS,
    POSITIONS,
    add_side_files,
    inputs,
    oracle_logits,
    original_folder,
    our_logits,
    tiny_oracle,
    tiny_tokenizer,
    write_json,
)

OFFICIAL = Path(__file__).parent / "published"
LOGITS_TOLERANCE = 2e-5  # measured: 2.4e-7 in float32, with logits up to 1.2


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


@pytest.fixture(scope="module")
def oracle(tokenizer):
    """Rows as transformers makes them: <image> behind the vocabulary, then a multiple of 64."""
    rows = tokenizer.vocab_size + 1
    model = tiny_oracle(rows + -rows % 64)
    model.config.image_token_id = tokenizer.vocab_size
    return model


@pytest.fixture(scope="module")
def expected(oracle):
    return oracle_logits(oracle, *inputs())


@pytest.fixture
def native(tmp_path, oracle, tokenizer):
    oracle.save_pretrained(tmp_path / "native")
    return add_side_files(tmp_path / "native", tokenizer)


@pytest.fixture
def original(tmp_path, oracle, tokenizer):
    return original_folder(tmp_path / "original", oracle, tokenizer, "pytorch_model.bin")


def edit_json(path: Path, **changes: object) -> None:
    write_json(path, json.loads(path.read_text()) | changes)


def assert_same_logits(model, expected, vocab_size=None):
    ours = our_logits(model, *inputs())
    torch.testing.assert_close(
        ours[..., :vocab_size], expected[..., :vocab_size], rtol=0, atol=LOGITS_TOLERANCE
    )


# ---- loading


def test_native_folders_load(native, expected):
    checkpoint = load_checkpoint(native)
    assert (checkpoint.layout, checkpoint.repairs) == ("native", ())
    assert checkpoint.model.config.image_side == IMAGE_SIDE
    assert checkpoint.model.config.text.max_position_embeddings == POSITIONS
    assert_same_logits(checkpoint.model, expected)


def test_sharded_folders_load(tmp_path, oracle, tokenizer, expected):
    oracle.save_pretrained(tmp_path, max_shard_size="200KB")
    assert len(find_checkpoint(add_side_files(tmp_path, tokenizer)).weights) > 3
    assert_same_logits(load_checkpoint(tmp_path).model, expected)


def test_sharded_torch_files_load(tmp_path, oracle, tokenizer, expected):
    oracle.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    names = sorted(oracle.state_dict())
    weight_map = {}
    state = oracle.state_dict()
    for part in range(2):
        file = f"pytorch_model-0000{part + 1}-of-00002.bin"
        torch.save({name: state[name].clone() for name in names[part::2]}, tmp_path / file)
        weight_map |= dict.fromkeys(names[part::2], file)
    write_json(tmp_path / "pytorch_model.bin.index.json", {"weight_map": weight_map})
    assert_same_logits(load_checkpoint(add_side_files(tmp_path, tokenizer)).model, expected)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors"])
def test_original_folders_load(tmp_path, oracle, tokenizer, expected, name):
    checkpoint = load_checkpoint(original_folder(tmp_path, oracle, tokenizer, name))
    assert (checkpoint.layout, checkpoint.repairs) == ("original", ())
    assert_same_logits(checkpoint.model, expected)


def test_one_weights_file_loads_beside_its_config(native, expected):
    odd = native / "step-500.safetensors"
    (native / "model.safetensors").rename(odd)
    for source in (odd, str(odd)):
        assert_same_logits(load_checkpoint(source).model, expected)


def test_the_dtype_can_be_chosen(native):
    model = load_checkpoint(native, dtype=torch.bfloat16).model
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert not model.training


# ---- config.json and its neighbours


def settings_of(folder: Path, tokenizer=None):
    return read_settings(CheckpointFiles(str(folder), folder, ()), tokenizer)


def test_the_official_config_is_the_large_one():
    settings = settings_of(OFFICIAL, Tokenizer.load(OFFICIAL))
    assert settings.config == large(positions=4096)
    # The 51-byte generation_config.json of large: beams and early stopping, nothing else.
    assert settings.generation == GenerationOptions(early_stopping=False)
    assert settings.repairs == ()


def test_both_dialects_of_config_say_the_same(native, original):
    assert settings_of(native).config == settings_of(original).config


def test_left_out_keys_take_the_defaults_of_transformers(tmp_path):
    """Older releases do not write values that equal the defaults of their classes."""
    from transformers import Florence2Config

    sparse = {
        "model_type": "florence2",
        "text_config": {"model_type": "bart", "vocab_size": 51328},
        "vision_config": {"model_type": "florence_vision", "projection_dim": 1024},
    }
    write_json(tmp_path / "config.json", sparse)
    assumed = settings_of(tmp_path).config
    Florence2Config(**sparse).save_pretrained(tmp_path)
    assert settings_of(tmp_path).config == assumed


def test_shifted_special_ids_are_repaired_with_a_warning(native, original, expected, caplog):
    """Fine-tunes made from the first weeks' config.json carry bos 2, eos 1, pad 0."""
    shifted = {"bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0}
    for folder in (native, original):
        edit_json(folder / "config.json", **shifted)
        write_json(folder / "generation_config.json", shifted)
        with caplog.at_level(logging.WARNING):
            checkpoint = load_checkpoint(folder)
        text = checkpoint.model.config.text
        assert (text.bos_id, text.pad_id, text.eos_id, text.decoder_start_id) == (0, 1, 2, 2)
        assert [repair.split(" says ")[0] for repair in checkpoint.repairs] == [
            "config.json",
            "generation_config.json",
        ]
        assert "bos_token_id 2, pad_token_id 0, eos_token_id 1" in checkpoint.repairs[0]
        assert checkpoint.repairs[0] in caplog.text
        assert_same_logits(checkpoint.model, expected)


@pytest.mark.parametrize(
    ("stated", "options"),
    [
        pytest.param(None, GenerationOptions(), id="no file"),
        pytest.param({}, GenerationOptions(), id="nothing stated"),
        pytest.param(
            {"num_beams": 1, "no_repeat_ngram_size": 0, "length_penalty": 2.0},
            GenerationOptions(num_beams=1, no_repeat_ngram_size=0, length_penalty=2.0),
            id="three",
        ),
        pytest.param(
            {"early_stopping": "never"}, GenerationOptions(early_stopping="never"), id="never"
        ),
        pytest.param({"num_beams": None}, GenerationOptions(), id="null"),
        # The start token counts there.
        pytest.param({"max_length": 20}, GenerationOptions(max_new_tokens=19), id="max-length"),
        pytest.param({"max_new_tokens": 99}, GenerationOptions(max_new_tokens=99), id="length"),
    ],
)
def test_generation_settings(native, stated, options):
    (native / "generation_config.json").unlink()
    if stated is not None:
        write_json(native / "generation_config.json", stated)
    assert load_checkpoint(native).generation == options


@pytest.mark.parametrize("size", [{"height": 96, "width": 96}, 96], ids=["object", "number"])
def test_the_picture_side_is_that_of_the_preprocessor(native, size):
    write_json(native / "preprocessor_config.json", {"size": size})
    assert load_checkpoint(native).model.config.image_side == 96


def test_the_picture_side_of_transformers_5(native):
    (native / "preprocessor_config.json").unlink()
    size = {"size": {"height": 96, "width": 96}}
    write_json(native / "processor_config.json", {"image_processor": size})
    assert load_checkpoint(native).model.config.image_side == 96


@pytest.mark.parametrize("content", [None, {}, {"image_processor": None}])
def test_without_a_stated_size_pictures_have_768_pixels(native, content):
    (native / "preprocessor_config.json").unlink()
    if content is not None:
        write_json(native / "processor_config.json", content)
    assert load_checkpoint(native).model.config.image_side == 768


@pytest.mark.parametrize(
    ("file", "changes", "words"),
    [
        pytest.param("config.json", {"model_type": "bert"}, "that of a 'bert' model", id="foreign"),
        pytest.param("config.json", {"text_config": None}, "no object 'text_config'", id="no text"),
        pytest.param(
            "config.json", {"vision_config": []}, "no object 'vision_config'", id="no vision"
        ),
        pytest.param(
            "preprocessor_config.json", {"size": {"height": 9}}, "one height", id="no width"
        ),
        pytest.param("preprocessor_config.json", {"size": "big"}, "size is 'big'", id="odd size"),
        pytest.param(
            "preprocessor_config.json", {"size": 9999}, "side of 9999 pixels", id="too big"
        ),
        pytest.param(
            "preprocessor_config.json", {"image_mean": [0.5] * 3}, "image_mean", id="mean"
        ),
        pytest.param("generation_config.json", {"num_beams": "three"}, "num_beams", id="beams"),
        pytest.param("generation_config.json", {"early_stopping": 1}, "early_stopping", id="early"),
    ],
)
def test_impossible_settings_get_one_sentence(native, file, changes, words):
    edit_json(native / file, **changes)
    with pytest.raises((ConfigError, WeightsError)) as caught:
        load_checkpoint(native)
    assert words in str(caught.value) and str(native) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("section", "changes", "words"),
    [
        pytest.param("text_config", {"d_model": "32"}, "d_model has the value '32'", id="string"),
        pytest.param("text_config", {"d_model": 0}, "from 1 to", id="zero"),
        pytest.param("text_config", {"d_model": 10**12}, "from 1 to 1,000,000", id="huge"),
        pytest.param("text_config", {"encoder_layers": 1.5}, "whole number", id="fraction"),
        pytest.param("text_config", {"encoder_layers": True}, "whole number", id="truth value"),
        pytest.param(
            "text_config", {"d_model": 48}, "projection_dim 32 must equal", id="projection"
        ),
        pytest.param("text_config", {"encoder_attention_heads": 5}, "must divide", id="heads"),
        pytest.param(
            "text_config", {"scale_embedding": True}, "scale_embedding is True", id="scale"
        ),
        pytest.param("text_config", {"activation_function": "relu"}, "has 'gelu'", id="activation"),
        pytest.param("vision_config", {"qkv_bias": 1}, "true or false", id="no truth value"),
        pytest.param("vision_config", {"embed_dim": 32}, "embed_dim must be a list", id="no list"),
        pytest.param("vision_config", {"depths": [1, 1]}, "depths has 2 values", id="stages"),
        pytest.param(
            "vision_config", {"window_size": None, "depths": ["1"] * 4}, "depths", id="items"
        ),
    ],
)
def test_impossible_configurations_get_one_sentence(native, section, changes, words):
    config = json.loads((native / "config.json").read_text())
    edit_json(native / "config.json", **{section: config[section] | changes})
    with pytest.raises(ConfigError) as caught:
        load_checkpoint(native)
    assert words in str(caught.value) and str(native) in str(caught.value)


def test_other_kinds_of_picture_features_are_refused(original):
    config = json.loads((original / "config.json").read_text())
    config["vision_config"]["image_feature_source"] = ["last_frame"]
    write_json(original / "config.json", config)
    with pytest.raises(ConfigError, match=r"image_feature_source is \['last_frame'\]"):
        load_checkpoint(original)


def test_a_config_behind_its_weights_is_repaired(native, oracle, expected):
    config = json.loads((native / "config.json").read_text())
    changes = {"vocab_size": 999, "max_position_embeddings": 9}
    edit_json(native / "config.json", text_config=config["text_config"] | changes)
    checkpoint = load_checkpoint(native)
    assert len(checkpoint.repairs) == 2
    assert checkpoint.model.config.text.vocab_size == oracle.config.text_config.vocab_size
    assert_same_logits(checkpoint.model, expected)


# ---- damage


def put(name: str, content: bytes | str):
    def damage(folder: Path) -> None:
        data = content.encode() if isinstance(content, str) else content
        (folder / name).write_bytes(data)

    return damage


def remove(*names: str):
    def damage(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return damage


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def drop_a_weight(folder: Path) -> None:
    path = folder / "model.safetensors"
    state = {name: tensor.clone() for name, tensor in load_file(path).items()}
    del state["model.multi_modal_projector.image_proj_norm.bias"]
    save_file(state, path)


def make_adapter(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    write_json(folder / "adapter_config.json", {"peft_type": "LORA"})


LFS_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 463221266\n"
INDEX = json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors"}})

DAMAGES = [
    pytest.param(empty, r"holds no weights: the folder is empty", id="empty folder"),
    pytest.param(
        remove("model.safetensors"), r"it has none of model.safetensors,", id="no weights"
    ),
    pytest.param(
        put("model.safetensors", LFS_POINTER), r"git-lfs pointer of 71 bytes", id="git-lfs"
    ),
    pytest.param(put("config.json", LFS_POINTER), r"git-lfs pointer", id="git-lfs config"),
    pytest.param(put("model.safetensors", ""), r"model.safetensors' is empty", id="empty file"),
    pytest.param(truncate, r"truncated, damaged or not safetensors", id="truncated"),
    pytest.param(remove("config.json"), r"has no config.json", id="no config"),
    pytest.param(
        put("config.json", '{"model_type": '), r"cannot be read as JSON", id="half config"
    ),
    pytest.param(
        put("config.json", b"\xff\xfe\x00"), r"cannot be read as JSON", id="binary config"
    ),
    pytest.param(put("config.json", "[1]"), r"holds a list, not a JSON object", id="list config"),
    pytest.param(remove("tokenizer.json"), r"lacks vocab.json and merges.txt", id="no tokenizer"),
    pytest.param(drop_a_weight, r"1 of 246 is missing", id="missing weight"),
    pytest.param(make_adapter, r"it is a LoRA adapter", id="adapter"),
]


@pytest.mark.parametrize(("damage", "words"), DAMAGES)
def test_damage_is_one_clear_sentence(native, damage, words):
    damage(native)
    with pytest.raises(WeightsError, match=words) as caught:
        load_checkpoint(native)
    assert "\n" not in str(caught.value) and "; " in str(caught.value)


@pytest.mark.parametrize(("damage", "words"), DAMAGES)
def test_the_doctor_reports_the_same_damage(native, damage, words):
    damage(native)
    inspection = inspect_checkpoint(native)
    assert not inspection.loads
    with pytest.raises(WeightsError, match=words):
        raise WeightsError(" | ".join(inspection.problems))


def test_missing_parts_of_sharded_weights_are_named(native):
    (native / "model.safetensors").unlink()
    (native / "model.safetensors.index.json").write_text(INDEX)
    with pytest.raises(WeightsError, match=r"lacks 1 of the 1 parts .*\(model-00001-of-00002"):
        find_checkpoint(native)
    write_json(native / "model.safetensors.index.json", {})
    with pytest.raises(WeightsError, match=r"has no 'weight_map'"):
        find_checkpoint(native)


def test_a_foreign_checkpoint_is_named(native):
    state = {f"bert.encoder.layer.{i}.output.dense.weight": torch.zeros(2) for i in range(4)}
    save_file(state, native / "model.safetensors")
    with pytest.raises(WeightsError, match=r"only 0 of 4 weights .*bert\.encoder"):
        load_checkpoint(native)


def test_a_tokenizer_larger_than_the_embedding_is_refused(native, tokenizer):
    larger = Tokenizer.train([chr(code) * 3 for code in range(400, 900)], vocab_size=900)
    larger.save(native / "tokenizer.json")
    with pytest.raises(WeightsError, match=r"tokenizer has 1,\d+ tokens but the word embedding"):
        load_checkpoint(native)


def test_an_unreadable_folder_is_one_sentence(native, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(WeightsError, match=r"cannot be read \(Permission denied\)"):
        find_checkpoint(native)


# ---- inspection


def test_a_sound_checkpoint_is_described(native, oracle):
    inspection = inspect_checkpoint(native)
    assert inspection.loads and inspection.repairs == ()
    assert (inspection.layout, inspection.size, inspection.dtype) == ("native", "custom", "float32")
    assert inspection.parameters == sum(parameter.numel() for parameter in oracle.parameters())
    assert inspection.vocabulary_rows == oracle.config.text_config.vocab_size
    assert (inspection.positions, inspection.image_side) == (POSITIONS, IMAGE_SIDE)
    assert dict(inspection.files)["model.safetensors"] > 10**6
    text = inspection.describe()
    assert "a Florence-2 of size custom, native layout, float32" in text
    assert "It loads.\n" in text and "254,752" in text


def test_repairs_are_described(original):
    edit_json(original / "config.json", bos_token_id=2, pad_token_id=0, eos_token_id=1)
    text = inspect_checkpoint(original).describe()
    assert "It loads, after 1 repair." in text
    assert "\nrepaired: config.json says bos_token_id 2" in text
    assert "\nnote: the weights are a pickle file" in text


def test_problems_are_described(native):
    (native / "config.json").unlink()
    inspection = inspect_checkpoint(native)
    text = inspection.describe()
    assert "no readable Florence-2, native layout, float32" in text
    assert "It does not load; 1 problem found." in text
    assert inspection.parameters == 254_752  # what can be told is told


def test_a_second_weights_file_is_noted(native, original):
    (original / "pytorch_model.bin").rename(native / "pytorch_model.bin")
    notes = inspect_checkpoint(native).notes
    assert "pytorch_model.bin lies there too and is not used" in notes


def test_the_sizes_of_the_published_models_are_told_from_their_config(native):
    """Only the config matters for the guess; the weights do not fit it, which is reported."""
    (native / "config.json").write_bytes((OFFICIAL / "config.json").read_bytes())
    (native / "preprocessor_config.json").unlink()
    inspection = inspect_checkpoint(native)
    assert inspection.size == "large"
    assert any("do not fit config.json" in problem for problem in inspection.problems)


def test_an_inspection_without_findings_can_be_described():
    assert Inspection("a", "b").describe().startswith("a: no readable Florence-2\nIt loads.")


# ---- saving


@pytest.mark.parametrize("layout", ["native", "original"])
def test_saved_checkpoints_load_again(tmp_path, native, expected, tokenizer, layout):
    loaded = load_checkpoint(native)
    options = GenerationOptions(num_beams=2, max_new_tokens=17, early_stopping=False)
    folder = save_checkpoint(
        loaded.model,
        tmp_path / "deep" / "new",
        tokenizer=loaded.tokenizer,
        layout=layout,
        generation=options,
    )
    again = load_checkpoint(folder)
    assert (again.layout, again.repairs, again.generation) == (layout, (), options)
    assert again.model.config.vision == loaded.model.config.vision
    assert again.model.config.image_side == IMAGE_SIDE
    rows = tokenizer.vocab_size if layout == "original" else loaded.model.config.text.vocab_size
    assert again.model.config.text == replace(loaded.model.config.text, vocab_size=rows)
    assert again.tokenizer.encode("a car<loc_7>") == tokenizer.encode("a car<loc_7>")
    assert again.tokenizer.image_id == (None if layout == "original" else tokenizer.vocab_size)
    assert_same_logits(again.model, expected, tokenizer.vocab_size)
    assert not list(folder.glob(".*")), "staging files are left behind"
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1


def test_transformers_reads_what_is_saved(tmp_path, original, expected, tokenizer):
    """Model, generation settings and processor; from the original layout, with another dtype."""
    loaded = load_checkpoint(original)
    save_checkpoint(loaded.model, tmp_path / "new", tokenizer=loaded.tokenizer)
    model, report = Florence2ForConditionalGeneration.from_pretrained(
        tmp_path / "new", output_loading_info=True
    )
    assert not any(report.values()), report
    model.eval()
    assert model.config.image_token_id == tokenizer.vocab_size
    assert model.config.text_config.vocab_size % 64 == 0
    size = tokenizer.vocab_size
    logits = oracle_logits(model, *inputs())
    torch.testing.assert_close(
        logits[..., :size], expected[..., :size], rtol=0, atol=LOGITS_TOLERANCE
    )
    generation = GenerationConfig.from_pretrained(tmp_path / "new")
    assert (generation.num_beams, generation.no_repeat_ngram_size) == (3, 3)
    assert generation.max_new_tokens == POSITIONS


def test_the_processor_of_transformers_reads_what_is_saved(tmp_path, native, tokenizer):
    import numpy as np
    from PIL import Image

    loaded = load_checkpoint(native)
    save_checkpoint(loaded.model, tmp_path / "new", tokenizer=loaded.tokenizer)
    processor = AutoProcessor.from_pretrained(tmp_path / "new")
    picture = Image.fromarray(np.zeros((30, 50, 3), np.uint8))
    batch = processor(images=picture, text="a small car", return_tensors="pt")
    assert batch["pixel_values"].shape == (1, 3, IMAGE_SIDE, IMAGE_SIDE)
    image_ids = [tokenizer.vocab_size] * NUM_IMAGE_TOKENS
    assert batch["input_ids"][0].tolist() == image_ids + tokenizer.encode("a small car")


def test_filler_rows_of_a_saved_model_never_win(tmp_path, original):
    loaded = load_checkpoint(original)
    folder = save_checkpoint(
        loaded.model, tmp_path / "a", tokenizer=loaded.tokenizer, layout="original"
    )
    trained = load_checkpoint(folder)
    save_checkpoint(trained.model, tmp_path / "b", tokenizer=trained.tokenizer)
    padded = load_checkpoint(tmp_path / "b").model
    logits = our_logits(padded, *inputs())
    assert logits.shape[-1] > trained_vocab_size(trained.tokenizer)
    assert logits.argmax(dim=-1).max() < trained_vocab_size(trained.tokenizer)


def test_the_original_layout_carries_no_placeholder(tmp_path, native, tokenizer, expected):
    """Remote code adds the tokens it knows to the file's; <image> is not among them."""
    loaded = load_checkpoint(native)
    folder = save_checkpoint(loaded.model, tmp_path / "a", tokenizer=loaded.tokenizer)
    loaded = load_checkpoint(folder)
    assert loaded.tokenizer.image_id == tokenizer.vocab_size
    folder = tmp_path / "b"
    save_checkpoint(loaded.model, folder, tokenizer=loaded.tokenizer, layout="original")
    again = load_checkpoint(folder)
    assert (again.tokenizer.image_id, again.tokenizer.vocab_size) == (None, tokenizer.vocab_size)
    assert again.model.config.text.vocab_size == tokenizer.vocab_size
    assert_same_logits(again.model, expected, tokenizer.vocab_size)


def test_a_stored_dtype_can_be_chosen(tmp_path, native):
    loaded = load_checkpoint(native)
    folder = save_checkpoint(
        loaded.model, tmp_path / "new", tokenizer=loaded.tokenizer, dtype=torch.bfloat16
    )
    assert inspect_checkpoint(folder).dtype == "bfloat16"
    assert json.loads((folder / "config.json").read_text())["dtype"] == "bfloat16"


def test_saving_over_oneself_is_safe(native, expected):
    """The tensors are views of the very file that is replaced."""
    loaded = load_checkpoint(native)
    save_checkpoint(loaded.model, native, tokenizer=loaded.tokenizer)
    assert_same_logits(loaded.model, expected)
    assert_same_logits(load_checkpoint(native).model, expected)


def test_a_failed_save_leaves_the_old_files(native, monkeypatch):
    import florence2.checkpoints.weight_files

    loaded = load_checkpoint(native)
    before = {path.name: path.read_bytes() for path in native.iterdir()}

    def fail(public, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(florence2.checkpoints.weight_files, "write_weights", fail)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(loaded.model, native, tokenizer=loaded.tokenizer)
    assert {path.name: path.read_bytes() for path in native.iterdir()} == before


def test_two_formats_never_lie_side_by_side(native):
    loaded = load_checkpoint(native)
    with pytest.raises(ConfigError, match=r"already holds 'model.safetensors'"):
        save_checkpoint(loaded.model, native, tokenizer=loaded.tokenizer, layout="original")


def test_a_file_is_no_folder_to_save_in(native):
    loaded = load_checkpoint(native)
    with pytest.raises(ConfigError, match=r"config.json' is a file; give a folder"):
        save_checkpoint(loaded.model, native / "config.json", tokenizer=loaded.tokenizer)


def test_unknown_layouts_are_refused(native, tmp_path):
    loaded = load_checkpoint(native)
    with pytest.raises(ConfigError, match=r"layout 'onnx' is unknown; choose 'native'"):
        save_checkpoint(loaded.model, tmp_path / "x", tokenizer=loaded.tokenizer, layout="onnx")


def test_the_original_layout_cannot_say_everything(native, tmp_path):
    loaded = load_checkpoint(native)
    vision = replace(loaded.model.config.vision, mlp_ratio=2.0)
    loaded.model.config = replace(loaded.model.config, vision=vision)
    with pytest.raises(ConfigError, match=r"cannot express mlp_ratio 2.0"):
        save_checkpoint(loaded.model, tmp_path, tokenizer=loaded.tokenizer, layout="original")


# ---- sources


@pytest.mark.parametrize(
    ("source", "words"),
    [
        pytest.param("", r"'' is no folder or file here", id="empty"),
        pytest.param("basse", r"did you mean 'base'\?", id="misspelt"),
        pytest.param("large_ft", r"did you mean 'large-ft'\?", id="misspelt fine-tune"),
        pytest.param("Florence-2-large", r"did you mean 'large'\?", id="published name"),
        pytest.param("Nano", r"did you mean 'nano'\?", id="capital"),
        pytest.param("no/such/folder", r"is no folder or file here", id="path"),
        pytest.param("./folder", r"is no folder or file here", id="dotted path"),
        pytest.param(Path("base"), r"'base' does not exist", id="Path is never a name"),
        pytest.param("a/" + "b" * 5000, r"hub id", id="long"),
        pytest.param("x/--y", r"is no valid hub id", id="invalid hub id"),
        pytest.param(__file__, r"test_checkpoints.py' is no weights file", id="other file"),
    ],
)
def test_unknown_sources_get_one_sentence(source, words, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsError, match=words) as caught:
        find_checkpoint(source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("listing", "wanted"),
    [
        pytest.param(
            [
                "pytorch_model.bin",
                "model.safetensors",
                "config.json",
                "README.md",
                "tokenizer.json",
            ],
            ["config.json", "model.safetensors", "tokenizer.json"],
            id="one format only",
        ),
        pytest.param(
            ["pytorch_model.bin", "vocab.json", "merges.txt", "modeling_florence2.py"],
            ["pytorch_model.bin", "vocab.json", "merges.txt"],
            id="old tokenizer, no code",
        ),
        pytest.param(
            [
                "model.safetensors.index.json",
                "model-00001-of-00002.safetensors",
                "model-00002-of-00002.safetensors",
                "model-extra.safetensors",
                "pytorch_model-00001-of-00001.bin",
            ],
            [
                "model.safetensors.index.json",
                "model-00001-of-00002.safetensors",
                "model-00002-of-00002.safetensors",
            ],
            id="shards",
        ),
    ],
)
def test_only_what_is_needed_is_fetched(listing, wanted):
    assert wanted_files(listing) == wanted


class Hub:
    """A server with the three routes of the hub that matter, on this machine."""

    COMMIT = "0123456789abcdef0123456789abcdef01234567"

    def __init__(self, repos: dict[str, Path]):
        self.requests: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                hub.answer(self, repos, with_body=False)

            def do_GET(self):
                hub.answer(self, repos, with_body=True)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler, repos: dict[str, Path], with_body: bool) -> None:
        path = handler.path.split("?")[0].strip("/")
        self.requests.append(f"{handler.command} {path}")
        parts = path.removeprefix("api/models/").split("/")
        repo, rest = "/".join(parts[:2]), parts[2:]
        headers, body, status = {}, b"{}", 200
        if repo == "someone/gated":
            status, headers = 403, {"X-Error-Code": "GatedRepo"}
        elif repo not in repos:
            status, headers = 401, {"X-Error-Code": "RepoNotFound"}
        elif rest and rest[1] not in ("main", self.COMMIT):
            status, headers = 404, {"X-Error-Code": "RevisionNotFound"}
        elif path.startswith("api/") and rest[:1] == ["tree"]:
            body = json.dumps(
                [
                    {
                        "type": "file",
                        "path": file.name,
                        "size": file.stat().st_size,
                        "oid": "0" * 40,
                    }
                    for file in repos[repo].iterdir()
                ]
            ).encode()
        elif path.startswith("api/"):
            names = [{"rfilename": file.name} for file in repos[repo].iterdir()]
            body = json.dumps({"id": repo, "sha": self.COMMIT, "siblings": names}).encode()
        else:
            body = (repos[repo] / rest[2]).read_bytes()
            etag = hashlib.sha256(body).hexdigest()
            headers = {"ETag": f'"{etag}"', "X-Repo-Commit": self.COMMIT}
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if with_body:
            handler.wfile.write(body)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


_FIND = """
import json, sys
from florence2.checkpoints import find_checkpoint
from florence2.errors import Florence2Error
answers = []
for source in sys.argv[1:]:
    try:
        files = find_checkpoint(source)
        answers.append([str(files.folder), [path.name for path in files.weights]])
    except Florence2Error as error:
        answers.append(str(error))
print(json.dumps(answers))
"""


@pytest.fixture
def hub(native, original):
    (original / "modeling_florence2.py").write_text("raise SystemExit")
    hub = Hub({"microsoft/Florence-2-base": original, "someone/tuned": native})
    yield hub
    hub.close()


@pytest.fixture
def find(hub, tmp_path):
    """Find sources in a fresh process, since the library reads its settings when imported."""

    def find(*sources: str, **environment: str):
        settings = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "cache"), **environment}
        dropped = ("HF_TOKEN", "HF_HUB_CACHE", "HF_HUB_OFFLINE")
        inherited = {key: value for key, value in os.environ.items() if key not in dropped}
        run = subprocess.run(
            [sys.executable, "-c", _FIND, *sources],
            env=inherited | settings,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)

    return find


@pytest.mark.process
def test_hub_checkpoints_are_fetched_once_and_then_taken_from_the_cache(hub, find, expected):
    [(folder, weights), (tuned, tuned_weights)] = find("base", "someone/tuned@main")
    assert (weights, tuned_weights) == (["pytorch_model.bin"], ["model.safetensors"])
    assert_same_logits(load_checkpoint(folder).model, expected)
    assert_same_logits(load_checkpoint(tuned).model, expected)
    assert not any("modeling_florence2.py" in request for request in hub.requests)

    hub.requests.clear()
    assert find("base") == [[folder, weights]]
    assert not any("pytorch_model.bin" in request for request in hub.requests), "fetched again"

    hub.requests.clear()
    pinned = f"base@{hub.COMMIT}"
    assert find(pinned, HF_HUB_OFFLINE="1") == [[folder, weights]]
    assert find("base", HF_HUB_OFFLINE="1") == [[folder, weights]]
    assert hub.requests == [], "offline mode asked the hub"

    hub.close()
    assert find("base", "someone/tuned") == [[folder, weights], [tuned, tuned_weights]]


@pytest.mark.process
def test_without_network_one_sentence_says_what_to_do(hub, find):
    hub.close()
    base, other = find("base", "someone/else@v2")
    assert base.startswith(f"checkpoint 'base' cannot be fetched: no answer from {hub.endpoint}")
    assert (
        "use 'nano', which needs no network" in base and "/cache/hub' holds no whole copy" in base
    )
    assert "is no folder here and cannot be fetched" in other and "at revision 'v2'" in other


@pytest.mark.process
def test_refusals_of_the_hub_are_told_apart(hub, find, native):
    unknown, revision, gated = find("someone/else", "base@v9", "someone/gated")
    assert "'someone/gated' is open to approved users only" in gated
    assert "'someone/else' does not exist" in unknown and "hf auth login" in unknown
    assert "has no revision 'v9'; give a branch, a tag or a full commit hash" in revision
    (native / "model.safetensors").unlink()
    [nothing] = find("someone/tuned")
    assert "hub repository 'someone/tuned' cannot be used: it holds no weights" in nothing


@pytest.mark.process
def test_half_a_download_is_no_copy(hub, find, native):
    [(folder, _)] = find("someone/tuned")
    Path(folder, "model.safetensors").unlink()
    [answer] = find("someone/tuned", HF_HUB_OFFLINE="1")
    assert "holds no whole copy" in answer


@pytest.mark.process
def test_importing_loads_no_torch():
    heavy = {"torch", "huggingface_hub"}
    code = f"import florence2.checkpoints, sys; print(sorted({heavy!r} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
