"""Name tables of both layouts, strict reading, writing; the transformers model is the oracle."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from florence2.checkpoints.layouts import (
    LAYOUTS,
    NATIVE,
    ORIGINAL,
    SHARED,
    build_model,
    check_fit,
    detect_layout,
    empty_model,
    fit_config,
    read_state,
    resized_embedding,
    to_internal,
    to_public,
)
from florence2.checkpoints.weight_files import MappedPages, read_weights, write_weights
from florence2.errors import WeightsError
from florence2.model.config import Florence2Config, TextConfig, VisionConfig, base, large
from florence2.model.florence2 import Florence2Model
from tiny_checkpoints import (
    IMAGE_SIDE,
    POSITIONS,
    TEXT,
    VISION,
    inputs,
    oracle_logits,
    original_name,
    original_state,
    our_logits,
    tiny_oracle,
)

VOCAB = 320
LOGITS_TOLERANCE = 2e-5  # measured: 2.4e-7 in float32, with logits up to 1.2


def tiny_config(**text) -> Florence2Config:
    vision = {key: tuple(value) for key, value in VISION.items() if key != "projection_dim"}
    sizes = {
        "vocab_size": VOCAB,
        "d_model": TEXT["d_model"],
        "encoder_layers": TEXT["encoder_layers"],
        "decoder_layers": TEXT["decoder_layers"],
        "encoder_heads": TEXT["encoder_attention_heads"],
        "decoder_heads": TEXT["decoder_attention_heads"],
        "encoder_ffn_dim": TEXT["encoder_ffn_dim"],
        "decoder_ffn_dim": TEXT["decoder_ffn_dim"],
        "max_position_embeddings": POSITIONS,
    }
    return Florence2Config(VisionConfig(**vision), TextConfig(**sizes | text), IMAGE_SIDE)


@pytest.fixture(scope="module")
def oracle():
    return tiny_oracle(VOCAB)


@pytest.fixture
def native(oracle):
    return {name: tensor.clone() for name, tensor in oracle.state_dict().items()}


@pytest.fixture
def original(native):
    return original_state(native)


# ---- names


@pytest.mark.parametrize(
    ("ours", "native", "original"),
    [
        pytest.param(
            "vision_tower.convs.0.conv.weight",
            "model.vision_tower.convs.0.conv.weight",
            "vision_tower.convs.0.proj.weight",
            id="patch embedding",
        ),
        pytest.param(
            "vision_tower.convs.3.norm.bias",
            "model.vision_tower.convs.3.norm.bias",
            "vision_tower.convs.3.norm.bias",
            id="patch norm",
        ),
        pytest.param(
            "vision_tower.blocks.2.8.spatial_block.conv1.weight",
            "model.vision_tower.blocks.2.8.spatial_block.conv1.weight",
            "vision_tower.blocks.2.8.spatial_block.conv1.fn.dw.weight",
            id="depthwise convolution",
        ),
        pytest.param(
            "vision_tower.blocks.2.8.spatial_block.norm1.weight",
            "model.vision_tower.blocks.2.8.spatial_block.norm1.weight",
            "vision_tower.blocks.2.8.spatial_block.window_attn.norm.weight",
            id="window norm",
        ),
        pytest.param(
            "vision_tower.blocks.0.0.channel_block.norm1.bias",
            "model.vision_tower.blocks.0.0.channel_block.norm1.bias",
            "vision_tower.blocks.0.0.channel_block.channel_attn.norm.bias",
            id="channel norm",
        ),
        pytest.param(
            "vision_tower.blocks.0.0.channel_block.channel_attn.qkv.bias",
            "model.vision_tower.blocks.0.0.channel_block.channel_attn.qkv.bias",
            "vision_tower.blocks.0.0.channel_block.channel_attn.fn.qkv.bias",
            id="attention",
        ),
        pytest.param(
            "vision_tower.blocks.1.0.spatial_block.norm2.weight",
            "model.vision_tower.blocks.1.0.spatial_block.norm2.weight",
            "vision_tower.blocks.1.0.spatial_block.ffn.norm.weight",
            id="ffn norm",
        ),
        pytest.param(
            "vision_tower.blocks.1.0.spatial_block.ffn.fc2.weight",
            "model.vision_tower.blocks.1.0.spatial_block.ffn.fc2.weight",
            "vision_tower.blocks.1.0.spatial_block.ffn.fn.net.fc2.weight",
            id="ffn",
        ),
        pytest.param(
            "projector.image_projection.weight",
            "model.multi_modal_projector.image_projection.weight",
            "image_projection",
            id="projection",
        ),
        pytest.param(
            "projector.image_position_embed.column_embeddings.weight",
            "model.multi_modal_projector.image_position_embed.column_embeddings.weight",
            "image_pos_embed.column_embeddings.weight",
            id="positions",
        ),
        pytest.param(
            "projector.visual_temporal_embed.pos_idx_to_embed",
            "model.multi_modal_projector.visual_temporal_embed.pos_idx_to_embed",
            "visual_temporal_embed.pos_idx_to_embed",
            id="sinusoid",
        ),
        pytest.param(
            "shared.weight",
            "model.language_model.shared.weight",
            "language_model.model.shared.weight",
            id="word embedding",
        ),
        pytest.param(
            "text_decoder.layers.5.encoder_attn.out_proj.bias",
            "model.language_model.decoder.layers.5.encoder_attn.out_proj.bias",
            "language_model.model.decoder.layers.5.encoder_attn.out_proj.bias",
            id="text",
        ),
    ],
)
def test_published_names(ours, native, original):
    assert (NATIVE.public_name(ours), ORIGINAL.public_name(ours)) == (native, original)
    assert (NATIVE.internal_name(native), ORIGINAL.internal_name(original)) == (ours, ours)


@pytest.mark.parametrize(
    ("config", "num_parameters", "native_entries"),
    [
        pytest.param(base(), 231_414_016, 668, id="base"),
        pytest.param(large(), 770_173_952, 920, id="large"),
    ],
)
def test_counts_of_the_published_sizes(config, num_parameters, native_entries):
    model = empty_model(config)
    assert sum(parameter.numel() for parameter in model.parameters()) == num_parameters
    names = {str(NATIVE.public_name(name)) for name in model.state_dict()}
    assert len(names | set(NATIVE.embeddings)) == native_entries
    public = {str(ORIGINAL.public_name(name)) for name in model.state_dict()}
    with_copies_and_bias = public | set(ORIGINAL.embeddings) | {"language_model.final_logits_bias"}
    assert len(with_copies_and_bias) == native_entries + 1


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_names_survive_the_way_out_and_back(layout):
    for name in empty_model(base()).state_dict():
        assert layout.internal_name(layout.public_name(name)) == name


def test_all_names_of_transformers_have_a_place(native):
    assert set(native) == set(filter(NATIVE.knows, native))
    assert set(map(original_name, native)) == set(
        filter(ORIGINAL.knows, map(original_name, native))
    )


@pytest.mark.process
def test_an_empty_model_does_not_import_the_compiler():
    """Drawing start values for tensors without memory did, which took seconds at each load."""
    code = (
        "import sys; from florence2.checkpoints.layouts import empty_model;"
        "from florence2.model.config import base; empty_model(base());"
        "print('torch._dynamo' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


# ---- from a file to a model


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
@pytest.mark.parametrize("layout", [NATIVE, ORIGINAL], ids=["native", "original"])
def test_a_loaded_model_has_the_logits_of_transformers(
    tmp_path, oracle, native, original, layout, suffix
):
    path = tmp_path / f"weights{suffix}"
    stored = native if layout is NATIVE else original
    write_weights({name: tensor.clone() for name, tensor in stored.items()}, path)
    state = read_state([path])
    assert state.layout is layout
    assert state.num_parameters == sum(p.numel() for p in oracle.parameters())
    model = build_model(tiny_config(), state)
    batch = inputs()
    ours, theirs = our_logits(model, *batch), oracle_logits(oracle, *batch)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=LOGITS_TOLERANCE)


def test_shards_are_read_as_one(tmp_path, native):
    names = sorted(native)
    parts = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for half, part in enumerate(parts):
        save_file({name: native[name].clone() for name in names[half::2]}, part)
    assert sorted(read_weights(parts)) == names
    with pytest.raises(WeightsError, match=r"repeats weights of another part"):
        read_weights([parts[0], parts[0]])


def test_a_file_of_the_old_torch_format_is_read(tmp_path, native):
    """Files from before torch 1.6 cannot be memory-mapped."""
    path = tmp_path / "old.bin"
    torch.save(native, path, _use_new_zipfile_serialization=False)
    check_fit(empty_model(tiny_config()), read_state([path]))


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("wanted", [None, torch.float32, torch.float64])
def test_dtypes(tmp_path, native, stored, wanted):
    path = tmp_path / "model.safetensors"
    save_file({name: tensor.to(stored).clone() for name, tensor in native.items()}, path)
    model = build_model(tiny_config(), read_state([path]), dtype=wanted)
    tensors = list(model.state_dict().values())
    assert {tensor.dtype for tensor in tensors} == {wanted or stored}
    assert not any(tensor.is_meta for tensor in tensors)
    expected = native["model.language_model.shared.weight"].to(stored).to(wanted or stored)
    assert torch.equal(model.shared.weight, expected)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_kept_dtypes_stay_in_the_file(tmp_path, native):
    """Nothing is copied: all weights lie in the one mapping of the file."""
    path = tmp_path / "model.safetensors"
    save_file({name: tensor.clone() for name, tensor in native.items()}, path)
    model = build_model(tiny_config(), read_state([path]))
    addresses = [parameter.data_ptr() for parameter in model.parameters()]
    assert max(addresses) - min(addresses) < path.stat().st_size


@pytest.mark.parametrize("kept", range(4))
@pytest.mark.parametrize("layout", [NATIVE, ORIGINAL], ids=["native", "original"])
def test_any_one_name_of_the_word_embedding_suffices(native, original, layout, kept):
    stored = native if layout is NATIVE else original
    for name in set(layout.embeddings) - {layout.embeddings[kept]}:
        del stored[name]
    state = to_internal(stored, layout)
    check_fit(empty_model(tiny_config()), state)
    assert torch.equal(state.tensors[SHARED], stored[layout.embeddings[kept]])


def test_an_untied_copy_is_an_error(native):
    copy = "model.language_model.decoder.embed_tokens.weight"
    native[copy] = native[copy] + 1
    with pytest.raises(WeightsError, match=rf"'{copy}' differ, but Florence-2 uses one"):
        to_internal(native, NATIVE)


def test_a_model_in_half_precision_is_written_with_an_exact_sinusoid(native):
    model = build_model(tiny_config(), to_internal(native, NATIVE), dtype=torch.bfloat16)
    assert to_internal(to_public(model, NATIVE, dtype=torch.float32), NATIVE).repairs == ()


def test_a_logits_bias_must_be_zero(original):
    original["language_model.final_logits_bias"][0, 7] = 0.5
    with pytest.raises(WeightsError, match=r"final_logits_bias' is not zero \(largest value 0.5"):
        to_internal(original, ORIGINAL)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_the_sinusoid_is_accepted_in_every_dtype(native, dtype):
    stored = {name: tensor.to(dtype) for name, tensor in native.items()}
    assert to_internal(stored, NATIVE).repairs == ()


@pytest.mark.parametrize("absent", [True, False])
def test_a_lost_sinusoid_is_computed_anew(native, oracle, absent):
    name = "model.multi_modal_projector.visual_temporal_embed.pos_idx_to_embed"
    expected = native[name].clone()
    if absent:
        del native[name]
    else:
        native[name].zero_()
    state = to_internal(native, NATIVE)
    assert len(state.repairs) == (0 if absent else 1)
    model = build_model(tiny_config(), state)
    torch.testing.assert_close(model.projector.visual_temporal_embed.pos_idx_to_embed, expected)


def test_the_file_decides_on_vocabulary_and_positions(native):
    stale = tiny_config(vocab_size=VOCAB - 39, max_position_embeddings=POSITIONS // 4)
    config, repairs = fit_config(stale, to_internal(native, NATIVE))
    assert config == tiny_config()
    assert len(repairs) == 2 and "320 rows" in repairs[0] and "hold 40" in repairs[1]
    assert fit_config(config, to_internal(native, NATIVE)) == (config, ())


# ---- what does not fit


def test_missing_unknown_and_misshaped_weights_are_listed_at_once(original):
    del original["image_proj_norm.bias"]
    del original["vision_tower.convs.0.proj.weight"]
    original["vision_tower.head.weight"] = torch.zeros(2)
    original["image_proj_norm.weight"] = torch.zeros(31)
    with pytest.raises(WeightsError) as caught:
        check_fit(empty_model(tiny_config()), to_internal(original, ORIGINAL))
    message = str(caught.value)
    assert "(original layout)" in message
    names = "vision_tower.convs.0.proj.weight, image_proj_norm.bias"
    assert f"2 of 246 are missing ({names})" in message
    assert "1 unknown (vision_tower.head.weight)" in message
    assert "1 of another shape than expected (image_proj_norm.weight is 31, not 32)" in message


def test_long_lists_are_cut(native):
    stored = {name: t for name, t in native.items() if "vision_tower" not in name}
    with pytest.raises(WeightsError, match=r"are missing \([^,]+, [^,]+, [^,]+, \.\.\.\)"):
        check_fit(empty_model(tiny_config()), to_internal(stored, NATIVE))


def test_an_internal_name_in_a_public_file_is_unknown(original):
    """Ours and the original names overlap; a renamed weight must not slip through."""
    name = "vision_tower.convs.0.conv.weight"
    original[name] = original.pop("vision_tower.convs.0.proj.weight")
    with pytest.raises(WeightsError, match=r"1 of 246 is missing .* 1 unknown"):
        check_fit(empty_model(tiny_config()), to_internal(original, ORIGINAL))


def test_weights_of_another_model_are_refused():
    names = [f"bert.encoder.layer.{i}.output.dense.weight" for i in range(12)]
    with pytest.raises(WeightsError, match=r"only 0 of 12 weights have names of Florence-2.*bert"):
        detect_layout(names)


def test_quantised_weights_are_refused(native):
    name = "model.vision_tower.blocks.0.0.spatial_block.ffn.fc1.weight"
    native[name] = native[name].to(torch.int8)
    with pytest.raises(WeightsError, match=r"1 weights are whole numbers .* quantised"):
        to_internal(native, NATIVE)


class RunsCode:
    def __reduce__(self):
        return os.system, ("echo florence2 test: this must never run",)


def test_a_file_that_wants_to_run_code_is_refused(tmp_path, capfd):
    path = tmp_path / "pytorch_model.bin"
    torch.save({"weight": torch.zeros(2), "other": RunsCode()}, path)
    with pytest.raises(WeightsError, match=r"asks for \w+\.system, and reading that would"):
        read_weights([path])
    assert "must never run" not in capfd.readouterr().out


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
@pytest.mark.parametrize("kept", [3, 100, 0.5, 0.99])
def test_truncated_files_are_refused(tmp_path, native, suffix, kept):
    path = tmp_path / f"weights{suffix}"
    write_weights({name: tensor.clone() for name, tensor in native.items()}, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if kept < 1 else int(kept)])
    with pytest.raises(WeightsError, match=r"truncated, damaged or not .*; fetch it again"):
        read_weights([path])


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_files_of_another_kind_are_refused(tmp_path, suffix):
    path = tmp_path / f"weights{suffix}"
    path.write_text("<!DOCTYPE html><html>Sign in</html>" * 20)
    with pytest.raises(WeightsError, match=r"truncated, damaged or not"):
        read_weights([path])


@pytest.mark.parametrize("content", [[torch.zeros(2)], {"model": {"weight": torch.zeros(2)}}])
def test_a_pickle_of_something_else_is_refused(tmp_path, content):
    path = tmp_path / "weights.bin"
    torch.save(content, path)
    with pytest.raises(WeightsError, match=r"not a flat dictionary of tensors"):
        read_weights([path])


def test_damaged_pickles_never_raise_anything_else(tmp_path, native):
    """Flip bytes in the index and the pickle of a torch file: an answer or a WeightsError."""
    path = tmp_path / "weights.bin"
    torch.save({"weight": torch.zeros(3)}, path)
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x15]) + whole[position + 1 :])
        try:
            read_weights([path])
        except WeightsError:
            continue


# ---- writing


@pytest.mark.parametrize("layout", [NATIVE, ORIGINAL], ids=["native", "original"])
def test_writing_is_the_inverse_of_reading(native, original, layout):
    stored = native if layout is NATIVE else original
    model = build_model(tiny_config(), to_internal(stored, layout))
    public = to_public(model, layout)
    copies = set() if layout is ORIGINAL else set(NATIVE.embeddings[1:])
    assert set(public) == set(stored) - copies
    for name, tensor in public.items():
        torch.testing.assert_close(tensor, stored[name], rtol=0, atol=1e-5)


def test_the_copies_of_the_original_layout_share_one_memory(tmp_path, original):
    model = build_model(tiny_config(), to_internal(original, ORIGINAL))
    path = tmp_path / "pytorch_model.bin"
    write_weights(to_public(model, ORIGINAL), path)
    read = read_weights([path])
    assert len({read[name].data_ptr() for name in ORIGINAL.embeddings}) == 1


def test_a_view_of_a_mapped_file_does_not_drag_the_file_along(tmp_path, native):
    source, path = tmp_path / "model.safetensors", tmp_path / "one.bin"
    save_file({name: tensor.clone() for name, tensor in native.items()}, source)
    name = "model.multi_modal_projector.image_proj_norm.weight"
    write_weights({name: read_weights([source])[name]}, path)
    assert path.stat().st_size < source.stat().st_size / 20


def test_pages_that_are_released_are_read_again(tmp_path, native):
    """And what is not a view of a file stays as it is."""
    path = tmp_path / "model.safetensors"
    save_file({name: tensor.clone() for name, tensor in native.items()}, path)
    state = read_state([path])
    assert (len(state.pages.ranges) == 1) is Path("/proc/self/maps").exists()
    own = {name: tensor.clone() for name, tensor in state.tensors.items()}
    assert MappedPages.of(own.values()).ranges == ()
    state.pages.release()
    assert all(torch.equal(state.tensors[name], tensor) for name, tensor in own.items())


def test_new_rows_are_the_mean_and_never_win():
    generator = torch.Generator().manual_seed(0)
    embedding = torch.randn(50, 16, generator=generator)
    longer = resized_embedding(embedding, 64)
    assert torch.equal(longer[:50], embedding)
    hidden = torch.randn(200, 16, generator=generator)
    assert (hidden @ longer.T).argmax(dim=1).max() < 50
    assert torch.equal(resized_embedding(longer, 50), embedding)


def test_stored_dtype_and_rows_can_be_chosen(tmp_path, native):
    model = build_model(tiny_config(), to_internal(native, NATIVE))
    path = tmp_path / "model.safetensors"
    write_weights(to_public(model, NATIVE, vocab_size=VOCAB + 64, dtype=torch.bfloat16), path)
    stored = load_file(path)
    assert {tensor.dtype for tensor in stored.values()} == {torch.bfloat16}
    assert len(stored["model.language_model.shared.weight"]) == VOCAB + 64


# ---- full size


_MEASURE = """
import sys, resource, torch
from pathlib import Path
from florence2.model.config import base
from florence2.checkpoints.layouts import build_model, read_state
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
model = build_model(base(), read_state([Path(sys.argv[1])]), dtype=torch.float32)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) * 1024)
"""


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.parametrize("layout", [NATIVE, ORIGINAL], ids=["native", "original"])
def test_loading_base_takes_one_copy(tmp_path, layout):
    """Peak memory is the model and the pages of the file, without another copy of either."""
    model = Florence2Model(base()).half()
    path = tmp_path / ("model.safetensors" if layout is NATIVE else "pytorch_model.bin")
    write_weights(to_public(model, layout), path)
    del model
    run = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(path)], capture_output=True, text=True, check=True
    )
    model_bytes = 4 * 231_414_016
    assert int(run.stdout) < model_bytes + path.stat().st_size + 100e6
