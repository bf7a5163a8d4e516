"""Weights as users bring them: not finite, wrapped, packed, in FP8, of other programs.

Each loads with the numbers of the plain checkpoint, or is refused in one sentence that says what it
is; `doctor` says the same.
"""

import copy
import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from florence2 import Florence2
from florence2.checkpoints import inspect_checkpoint, load_checkpoint, save_checkpoint
from florence2.cli.main import main
from florence2.errors import ConfigError, WeightsError
from tiny_checkpoints import (
    add_side_files,
    inputs,
    original_folder,
    our_logits,
    tiny_oracle,
    tiny_tokenizer,
    write_json,
)

FC1 = "model.language_model.encoder.layers.0.fc1.weight"
Q_PROJ = "model.language_model.encoder.layers.0.self_attn.q_proj"


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


@pytest.fixture(scope="module")
def oracle(tokenizer):
    return tiny_oracle(tokenizer.vocab_size + -tokenizer.vocab_size % 64)


@pytest.fixture(scope="module")
def plain(tmp_path_factory, oracle, tokenizer):
    folder = tmp_path_factory.mktemp("plain")
    oracle.save_pretrained(folder)
    return add_side_files(folder, tokenizer)


@pytest.fixture(scope="module")
def logits(plain):
    return our_logits(load_checkpoint(plain).model, *inputs())


@pytest.fixture
def folder(tmp_path, plain):
    target = tmp_path / "checkpoint"
    shutil.copytree(plain, target)
    return target


@pytest.fixture
def state(folder):
    return load_file(folder / "model.safetensors")


def put(folder: Path, state: dict) -> Path:
    save_file(
        {name: tensor.clone() for name, tensor in state.items()}, folder / "model.safetensors"
    )
    return folder


def pickle(folder: Path, content: object) -> Path:
    (folder / "model.safetensors").unlink(missing_ok=True)
    torch.save(content, folder / "pytorch_model.bin")
    return folder


def refusal(source: Path) -> str:
    """The sentence of the loader, which the doctor repeats."""
    with pytest.raises(WeightsError) as caught:
        load_checkpoint(source)
    sentence = str(caught.value)
    assert sentence in inspect_checkpoint(source).problems
    assert "\n" not in sentence
    return sentence


def assert_loads(folder: Path, logits, repair: str | None) -> None:
    loaded = load_checkpoint(folder)
    torch.testing.assert_close(our_logits(loaded.model, *inputs()), logits, rtol=0, atol=0)
    repairs = inspect_checkpoint(folder).repairs
    assert loaded.repairs == repairs
    assert [repair in each for each in repairs] == ([] if repair is None else [True])


# ---- values that are no finite numbers


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_one_value_that_is_no_number_is_found_in_any_weight(folder, state, dtype, value):
    names = [n for n in state if "visual_temporal_embed" not in n and "lm_head" not in n]
    name = names[(7 * len(str(value)) + dtype.itemsize) % len(names)]
    state[name] = state[name].to(dtype).clone()
    state[name].view(-1)[-1] = value
    sentence = refusal(put(folder, state))
    kind = "1 NaN" if math.isnan(value) else "1 infinite"
    assert f"({name}: {kind} of {state[name].numel():,})" in sentence


def test_every_weight_is_looked_at(folder, state):
    """All at once; the computed table alone is not trusted with anything."""
    odd = {name: torch.full_like(tensor, math.nan) for name, tensor in state.items()}
    looked_at = len(state) - sum("visual_temporal_embed" in name for name in state)
    assert refusal(put(folder, odd)).startswith(f"{looked_at} of {looked_at} weights hold values")


@pytest.mark.parametrize(("value", "dtype"), [(1e4, torch.float16), (1e37, torch.float32)])
def test_large_finite_values_load(folder, state, value, dtype):
    """Their sums overflow, which is no sign of infinity."""
    state = {name: tensor.to(dtype) for name, tensor in state.items()}
    state[FC1] = torch.full_like(state[FC1], value)
    assert load_checkpoint(put(folder, state)).model.text_encoder.layers[0].fc1.weight.max() >= 1e4


def test_values_beyond_the_range_of_the_precision_are_refused(folder, state):
    state[FC1] = torch.full_like(state[FC1], 1e6)
    put(folder, state)
    with pytest.raises(WeightsError, match=rf"{FC1}' holds values beyond the range of float16"):
        load_checkpoint(folder, dtype=torch.float16)
    state[FC1] = torch.full_like(state[FC1], 1e300, dtype=torch.float64)
    assert FC1 in refusal(put(folder, state))


# ---- dtypes

FLOAT8 = [
    dtype
    for name in ("e4m3fn", "e5m2", "e4m3fnuz", "e5m2fnuz", "e8m0fnu")
    if (dtype := getattr(torch, f"float8_{name}", None))
]


@pytest.mark.parametrize("dtype", FLOAT8, ids=str)
@pytest.mark.parametrize("asked", [None, torch.float32])
def test_fp8_is_converted_exactly(folder, state, tokenizer, tmp_path, dtype, asked):
    small = {name: tensor.abs().to(dtype) for name, tensor in state.items() if tensor.ndim == 2}
    kept = {name: tensor for name, tensor in state.items() if name not in small}
    put(folder, kept | small)
    loaded = load_checkpoint(folder, dtype=asked)
    ours = loaded.model.text_encoder.layers[0].fc1.weight
    assert ours.dtype == torch.float32  # as wide as the others, not to lose any of them
    assert torch.equal(ours, small[FC1].float())
    assert any("stored in FP8" in repair for repair in loaded.repairs)
    saved = save_checkpoint(loaded.model, tmp_path / "saved", tokenizer=tokenizer)
    assert all(tensor.itemsize > 1 for tensor in load_file(saved / "model.safetensors").values())


@pytest.mark.parametrize("dtype", FLOAT8, ids=str)
def test_not_a_number_is_found_in_fp8(folder, state, dtype):
    state[FC1] = torch.full_like(state[FC1], math.nan).to(dtype)
    assert f"{FC1}: {state[FC1].numel():,} NaN" in refusal(put(folder, state))


def test_a_checkpoint_of_fp8_alone_is_computed_in_bfloat16(folder, state):
    put(folder, {name: tensor.to(torch.float8_e4m3fn) for name, tensor in state.items()})
    assert load_checkpoint(folder).model.shared.weight.dtype == torch.bfloat16


def test_fp8_is_never_saved(plain, tokenizer, tmp_path):
    model = load_checkpoint(plain).model
    with pytest.raises(ConfigError, match=r"cannot be saved in torch.float8_e4m3fn"):
        save_checkpoint(model, tmp_path / "a", tokenizer=tokenizer, dtype=torch.float8_e4m3fn)


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        (torch.int8, "whole numbers"),
        (torch.uint16, "whole numbers"),
        (torch.int64, "whole numbers"),
        (torch.bool, "truth values"),
        (torch.complex64, "complex numbers"),
    ],
    ids=str,
)
def test_other_dtypes_are_named(folder, state, dtype, kind):
    state[FC1] = state[FC1].to(dtype)
    assert f"1 weights are {kind} ({FC1}), as in quantised" in refusal(put(folder, state))


def test_sparse_and_empty_tensors_are_named(folder, state):
    sparse = pickle(folder, state | {FC1: state[FC1].to_sparse()})
    assert "sparse or quantised tensors" in refusal(sparse)
    assert "names without values" in refusal(pickle(folder, state | {FC1: state[FC1].to("meta")}))


def test_numbers_that_torch_does_not_have_are_named(folder):
    header = json.dumps({"a": {"dtype": "F6_E2M3", "shape": [8], "data_offsets": [0, 6]}}).encode()
    content = len(header).to_bytes(8, "little") + header + bytes(6)
    (folder / "model.safetensors").write_bytes(content)
    assert "holds numbers of the kind F6_E2M3" in refusal(folder)


# ---- wrapped names

PREFIXES = [
    "module.",
    "_orig_mod.",
    "module._orig_mod.",
    "model.",
    "net.student.",
    "base_model.model.",
    "_fsdp_wrapped_module.",
]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("layout", ["native", "original"])
def test_common_prefixes_are_a_repair(tmp_path, folder, oracle, tokenizer, logits, prefix, layout):
    if layout == "original":
        folder = original_folder(tmp_path / "original", oracle, tokenizer, "pytorch_model.bin")
        plain = torch.load(folder / "pytorch_model.bin")
    else:
        plain = load_file(folder / "model.safetensors")
    pickle(folder, {prefix + name: tensor for name, tensor in plain.items()})
    assert_loads(folder, logits, f"begin with {prefix!r}, which was left out")


def test_wrappers_within_the_names_are_a_repair(folder, state, logits):
    wrapped = {
        name.replace("vision_tower.", "vision_tower._orig_mod.").replace(
            "language_model.encoder.", "language_model.encoder._checkpoint_wrapped_module."
        ): tensor
        for name, tensor in state.items()
    }
    assert_loads(put(folder, wrapped), logits, "are wrapped; 'model.")


def test_the_inner_class_of_transformers_is_a_repair(folder, state, logits):
    inner = {n.removeprefix("model."): t for n, t in state.items() if n != "lm_head.weight"}
    assert_loads(put(folder, inner), logits, "lack 'model.' in front, which was added")


@pytest.mark.parametrize(
    ("content", "prefix"),
    [
        (lambda s: {"epoch": 3, "state_dict": {f"model.{n}": t for n, t in s.items()}},
         "state_dict.model."),
        (lambda s: {"epoch": 3, "model_state_dict": s, "loss": 1.0}, "model_state_dict."),
        (lambda s: {"model": s, "optimizer": {"state": {0: torch.zeros(3)}}}, "model."),
        (lambda s: {"ema": {"module": s}, "step": torch.tensor(3)}, "ema.module."),
        (lambda s: s | {"epoch": 7}, None),
    ],
)  # fmt: skip
def test_dictionaries_around_the_weights_are_a_repair(folder, state, logits, content, prefix):
    repair = None if prefix is None else f"begin with {prefix!r}"
    assert_loads(pickle(folder, content(state)), logits, repair)


def test_an_average_beside_the_weights_is_told(folder, state, logits):
    zeros = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    loaded = load_checkpoint(pickle(folder, {"ema": zeros, "model": state}))
    torch.testing.assert_close(our_logits(loaded.model, *inputs()), logits, rtol=0, atol=0)
    assert "further copies of the model under ema." in loaded.repairs[1]


def test_an_averaged_model_loads_without_its_counter(folder, state, logits):
    averaged = {f"module.{name}": tensor for name, tensor in state.items()}
    assert_loads(pickle(folder, averaged | {"n_averaged": torch.tensor(9)}), logits, "'module.'")


# ---- adapters and packed weights


def test_an_adapter_that_was_not_merged_is_named(folder, state):
    wrapped = {f"base_model.model.{name}": t for name, t in state.items() if Q_PROJ not in name}
    for leaf in ("weight", "bias"):
        wrapped[f"base_model.model.{Q_PROJ}.base_layer.{leaf}"] = state[f"{Q_PROJ}.{leaf}"]
    for half in ("A", "B"):
        wrapped[f"base_model.model.{Q_PROJ}.lora_{half}.default.weight"] = torch.zeros(4, 4)
    sentence = refusal(put(folder, wrapped))
    assert "a base model with an adapter of PEFT that is not merged" in sentence
    assert "merge_and_unload()" in sentence


@pytest.mark.parametrize(
    ("added", "tool"),
    [
        (("weight.absmax", "weight.quant_map", "weight.quant_state.bitsandbytes__nf4"), "4 bits"),
        (("SCB", "weight_format"), "bitsandbytes in 8 bits"),
        (("scales", "biases"), "MLX"),
        (("qweight", "qzeros", "scales"), "GPTQ or AWQ"),
        (("weight_packed", "weight_scale", "weight_shape"), "compressed-tensors"),
        (("weight_scale_inv",), "FP8 with factors"),
        (("weight._data", "weight._scale"), "optimum-quanto"),
    ],
)
def test_packed_weights_name_the_tool(folder, state, added, tool):
    """Beside a whole-number weight, under the names that each tool gives to its parts."""
    stem = FC1.removesuffix(".weight")
    state[FC1] = torch.zeros(4, 4, dtype=torch.uint8)
    state |= {f"{stem}.{name}": torch.zeros(4) for name in added}
    assert f"packed by {tool}" in refusal(put(folder, state)).replace("bitsandbytes in 4", "4")


# ---- folders of other programs


def emptied(folder: Path, *names: str) -> Path:
    for path in [*folder.iterdir()]:
        path.unlink()
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("decoder_model_merged.onnx", "ONNX"),
        ("onnx/vision_encoder.onnx", "ONNX"),
        ("florence.gguf", "GGUF"),
        ("tf_model.h5", "TensorFlow"),
        ("flax_model.msgpack", "Flax"),
        ("openvino_model.bin", "OpenVINO"),
    ],
)
def test_models_of_other_programs_are_named(folder, name, kind):
    assert f"it is a model in the format of {kind}" in refusal(emptied(folder, name))


def test_a_file_of_another_program_is_named(folder):
    with pytest.raises(WeightsError, match=r"florence.gguf' is a GGUF \(llama.cpp\) file"):
        load_checkpoint(emptied(folder, "florence.gguf") / "florence.gguf")


def test_a_trainer_folder_points_to_its_newest_checkpoint(folder, plain):
    """By number: as text, 200 comes after 1000."""
    emptied(folder)
    for number in (200, 1000, 90):
        shutil.copytree(plain, folder / f"checkpoint-{number}")
    sentence = refusal(folder)
    assert f"3 checkpoints, the newest of which is '{folder / 'checkpoint-1000'}'" in sentence


def test_the_run_folder_of_an_adapter_points_to_it(folder):
    emptied(folder, "checkpoint.pt", "adapter/adapter_config.json")
    where = f"whose adapter is {str(folder / 'adapter')!r}; give that folder"
    assert where in refusal(folder)


def test_a_run_folder_points_to_its_model(folder, plain):
    shutil.copytree(plain, emptied(folder, "checkpoint.pt") / "model")
    where = f"whose checkpoint is {str(folder / 'model')!r}; give that folder"
    assert where in refusal(folder)
    assert where in refusal(folder / "checkpoint.pt")


def test_a_checkpoint_in_a_folder_inside_is_named(folder, plain):
    shutil.copytree(plain, emptied(folder) / "final")
    assert f"a checkpoint in the folder {folder / 'final'} inside" in refusal(folder)


# ---- a tokenizer that is missing


def test_a_missing_tokenizer_says_what_to_copy(folder):
    (folder / "tokenizer.json").unlink()
    assert "copy tokenizer.json from the model that it was trained from" in refusal(folder)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["vocab_size"] = 51289
    write_json(folder / "config.json", config)
    assert "from the hub repository microsoft/Florence-2-base" in refusal(folder)
    config["text_config"] |= {"d_model": 1024, "encoder_attention_heads": 16}
    write_json(folder / "config.json", config)
    assert "from the hub repository microsoft/Florence-2-large" in refusal(folder)


def test_a_tokenizer_can_be_named(folder, tmp_path, tokenizer):
    (folder / "tokenizer.json").rename(tmp_path / "tokenizer.json")
    for path in (tmp_path, tmp_path / "tokenizer.json", str(tmp_path)):
        loaded = load_checkpoint(folder, tokenizer=path)
        assert loaded.tokenizer.encode("a car") == tokenizer.encode("a car")
        assert inspect_checkpoint(folder, path).loads
    with pytest.raises(WeightsError, match="nowhere' is not a folder"):
        load_checkpoint(folder, tokenizer=tmp_path / "nowhere")


def test_commands_take_a_tokenizer(tiny_folder, tmp_path, capsys):
    """`doctor` and `run` without it say that it is missing; with it they go on."""
    folder = tmp_path / "tuned"
    shutil.copytree(tiny_folder, folder)
    (folder / "tokenizer.json").rename(tmp_path / "tokenizer.json")
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    asked = ["run", str(tmp_path / "a.png"), "--task", "caption", "--model", str(folder)]
    asked += ["--max-new-tokens", "5", "--device", "cpu"]
    named = ["--tokenizer", str(tmp_path / "tokenizer.json")]
    assert main(asked) == 2
    assert "has no tokenizer" in capsys.readouterr().err
    assert main([*asked, *named]) == 0
    assert main(["doctor", str(folder)]) == 2
    assert main(["doctor", str(folder), *named]) == 0


def test_a_copy_of_a_model_keeps_its_tokenizer(tiny_folder, tmp_path):
    folder = tmp_path / "tuned"
    shutil.copytree(tiny_folder, folder)
    (folder / "tokenizer.json").rename(tmp_path / "tokenizer.json")
    with Florence2.load(str(folder), device="cpu", tokenizer=tmp_path) as model:
        copied = copy.deepcopy(model)
        assert copied.processor.tokenizer.vocab_size == model.processor.tokenizer.vocab_size
        copied.close()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_table_that_was_once_stored_in_less_is_not_called_damaged(folder, state, dtype):
    """float16 weights, fine-tuned and saved in float32: every value was rounded once."""
    rounded = {name: tensor.to(dtype).float() for name, tensor in state.items()}
    assert load_checkpoint(put(folder, rounded)).repairs == ()
