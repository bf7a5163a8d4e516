"""Adapters on disk: PEFT is the oracle in both layouts; what does not fit is refused in words."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from florence2.checkpoints.layouts import (
    LAYOUTS,
    ORIGINAL,
    build_model,
    to_internal,
    to_public,
)
from florence2.errors import ConfigError, WeightsError
from florence2.model.florence2 import Florence2Model
from florence2.training.lora import Lora, LoraConfig
from florence2.training.peft_files import load_lora, save_lora
from oracles import TOLERANCE, oracle_logits, oracle_of, our_logits
from tiny_models import CONFIG, tiny_model

MERGED_TOLERANCE = 1e-6  # of weights; measured: 0
TEXT = ("q_proj", "k_proj", "v_proj", "out_proj", "text_encoder.fc1", "text_decoder.fc2")
VISION = ("qkv", "proj", "vision_tower.fc1", "vision_tower.fc2")
NAME = "base_model.model.model.language_model.encoder.layers.0.self_attn.q_proj"


def randomised(lora: Lora, seed: int = 1) -> Lora:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in lora.layers.values():
            layer.lora_A.weight.normal_(0.0, 0.1, generator=generator)
            layer.lora_B.weight.normal_(0.0, 0.1, generator=generator)
    return lora


def adapted(targets: tuple[str, ...] = (*TEXT, *VISION), **options: Any) -> Lora:
    return randomised(Lora(tiny_model(), LoraConfig(rank=3, targets=targets, **options)))


def skeleton(model: Florence2Model) -> nn.Module:
    """Linears under the names of the original layout, whose own code is not at hand."""
    root = nn.Module()
    linears = {f"{n}.weight" for n, each in model.named_modules() if isinstance(each, nn.Linear)}
    public = to_public(model, ORIGINAL)
    for name in linears:
        path = str(ORIGINAL.public_name(name))
        if path in ORIGINAL.transposed:
            continue
        *parents, last = path.removesuffix(".weight").split(".")
        module = root
        for parent in parents:
            if not hasattr(module, parent):
                setattr(module, parent, nn.Module())
            module = getattr(module, parent)
        linear = nn.Linear(*reversed(public[path].shape))
        linear.weight, linear.bias = (
            nn.Parameter(public[path.replace(".weight", leaf)].clone())
            for leaf in (".weight", ".bias")
        )
        setattr(module, last, linear)
    return root


# ---- PEFT as the oracle

# PEFT asks transformers by an old name; no matter of ours.
of_peft = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")


@of_peft
@pytest.mark.parametrize("use_rslora", [False, True])
def test_peft_reads_what_we_write(tmp_path: Path, use_rslora: bool) -> None:
    lora = adapted((*TEXT, *VISION, "projector"), use_rslora=use_rslora, alpha=4.5)
    save_lora(lora, tmp_path, base="some/model")
    oracle = peft.PeftModel.from_pretrained(oracle_of(tiny_model()), tmp_path)
    ours = our_logits(lora.model)
    difference = (oracle_logits(oracle) - ours).abs().max()
    assert difference <= TOLERANCE, difference
    assert (ours - our_logits(tiny_model())).abs().max() > 0.1, "the adapter does something"


@of_peft
@pytest.mark.parametrize("use_rslora", [False, True])
def test_we_read_what_peft_writes(tmp_path: Path, use_rslora: bool) -> None:
    torch.manual_seed(0)
    config = peft.LoraConfig(
        r=4,
        lora_alpha=6,
        lora_dropout=0.1,
        use_rslora=use_rslora,
        target_modules=["q_proj", "out_proj", "fc2", "qkv"],
        init_lora_weights=False,  # random, so that the adapter does something
    )
    oracle = peft.get_peft_model(oracle_of(tiny_model()), config).eval()
    oracle.save_pretrained(tmp_path)
    lora = load_lora(tiny_model(), tmp_path)
    difference = (oracle_logits(oracle) - our_logits(lora.model)).abs().max()
    assert difference <= TOLERANCE, difference
    assert (lora.config.rank, lora.config.alpha, lora.config.dropout) == (4, 6, 0.1)


@pytest.mark.parametrize("targets", [TEXT, VISION, ("fc1",)], ids=["text", "vision", "both"])
def test_peft_reads_the_original_layout_that_we_write(
    tmp_path: Path, targets: tuple[str, ...]
) -> None:
    lora = adapted(targets)
    save_lora(lora, tmp_path, layout="original")
    theirs = peft.PeftModel.from_pretrained(skeleton(tiny_model()), tmp_path).merge_and_unload()
    lora.merge()
    ours = to_public(lora.model, ORIGINAL)
    for name, tensor in theirs.state_dict().items():
        torch.testing.assert_close(tensor, ours[name], rtol=0, atol=MERGED_TOLERANCE)


def test_we_read_the_original_layout_that_peft_writes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = peft.LoraConfig(
        r=2, target_modules=["v_proj", "fc1", "proj", "qkv"], init_lora_weights=False
    )
    adapted = peft.get_peft_model(skeleton(tiny_model()), config)
    adapted.save_pretrained(tmp_path)
    lora = load_lora(tiny_model(), tmp_path)
    lora.merge()
    ours = to_public(lora.model, ORIGINAL)
    theirs = adapted.merge_and_unload().state_dict()
    assert any(
        not torch.equal(theirs[name], each)
        for name, each in skeleton(tiny_model()).state_dict().items()
    )
    for name, tensor in theirs.items():
        torch.testing.assert_close(tensor, ours[name], rtol=0, atol=MERGED_TOLERANCE)


# ---- our own round trip


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_an_adapter_survives_the_disk(tmp_path: Path, layout: str) -> None:
    lora = adapted(alpha=5.5, dropout=0.2, use_rslora=True)
    save_lora(lora, tmp_path, layout=layout)
    read = load_lora(tiny_model(), tmp_path)
    assert torch.equal(our_logits(read.model), our_logits(lora.model))
    assert read.layers.keys() == lora.layers.keys()
    assert replace(read.config, targets=lora.config.targets) == lora.config


def test_an_adapter_can_be_saved_while_it_is_merged(tmp_path: Path) -> None:
    lora = adapted()
    save_lora(lora, tmp_path / "attached")
    lora.merge()
    save_lora(lora, tmp_path / "merged")
    one, other = (
        load_file(tmp_path / name / "adapter_model.safetensors") for name in ("attached", "merged")
    )
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_files_are_as_peft_names_them(tmp_path: Path) -> None:
    save_lora(adapted(("text_encoder.layers.0.self_attn.q_proj",)), tmp_path, base="owner/base")
    assert {path.name for path in tmp_path.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    assert load_file(tmp_path / "adapter_model.safetensors").keys() == {
        f"{NAME}.lora_A.weight",
        f"{NAME}.lora_B.weight",
    }
    settings = json.loads((tmp_path / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == "owner/base"
    assert settings["target_modules"] == [NAME.removeprefix("base_model.model.")]
    assert (settings["peft_type"], settings["r"], settings["lora_alpha"]) == ("LORA", 3, 16)


def test_what_peft_cannot_adapt_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="keeps 'image_projection' as a bare matrix"):
        save_lora(adapted(("projector",)), tmp_path, layout="original")
    with pytest.raises(ConfigError, match="choose 'native' or 'original'"):
        save_lora(adapted(TEXT), tmp_path, layout="onnx")
    assert not list(tmp_path.iterdir())


# ---- what is refused


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save_lora(adapted(("q_proj", "qkv")), tmp_path / "adapter", base="owner/base")


def with_settings(folder: Path, **values: object) -> None:
    path = folder / "adapter_config.json"
    settings = json.loads(path.read_text()) | values
    path.write_text(json.dumps({key: each for key, each in settings.items() if each != "absent"}))


def with_tensors(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def refused(folder: Path, model: Florence2Model | None = None) -> str:
    """The message; the model must be left as it was."""
    model = model or tiny_model()
    names = [name for name, _ in model.named_parameters()]
    with pytest.raises(WeightsError) as error:
        load_lora(model, folder)
    assert [name for name, _ in model.named_parameters()] == names
    message = str(error.value)
    assert "\n" not in message
    return message


def test_an_adapter_of_a_larger_model_is_refused(saved: Path) -> None:
    text = replace(CONFIG.text, d_model=16, encoder_layers=1)
    message = refused(saved, tiny_model(replace(CONFIG, text=text)))
    assert (
        "1 of its 8 modules are not in this model (model.language_model.encoder.layers.1" in message
    )
    assert "3 are of another size" in message
    assert "is for 32 x 32, not 16 x 16" in message
    assert "it was made for 'owner/base': load that model" in message


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param(
            "model.language_model.encoder.layers.0.gate_proj",
            "not in this model",
            id="no such linear",
        ),
        pytest.param("lm_head", "lm_head is for 32 x 32, not 320 x 32", id="head"),
        pytest.param("model.language_model.shared", "of another size", id="embedding"),
        pytest.param("model.vision_tower.convs.0.conv", "of another size", id="convolution"),
        pytest.param("text_encoder.layers.0.fc1", "not in this model", id="our own name"),
    ],
)
def test_modules_that_are_not_there_are_refused(saved: Path, name: str, expected: str) -> None:
    def add(tensors: dict[str, Tensor]) -> None:
        tensors[f"base_model.model.{name}.lora_A.weight"] = torch.zeros(3, 32)
        tensors[f"base_model.model.{name}.lora_B.weight"] = torch.zeros(32, 3)

    with_tensors(saved, add)
    assert expected in refused(saved)


def test_an_adapter_of_another_model_is_refused(saved: Path) -> None:
    def rename(tensors: dict[str, Tensor]) -> None:
        for name in list(tensors):
            module = name.replace("model.language_model", "bert").replace("vision_tower", "vit")
            tensors[module] = tensors.pop(name)

    with_tensors(saved, rename)
    assert "8 of its 8 modules are not in this model" in refused(saved)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param({"r": 4}, "of rank 3 x 3 .* but adapter_config.json says r=4", id="rank"),
        pytest.param({"r": "x"}, "bad value in adapter_config.json: LoRA rank 'x'", id="no rank"),
        pytest.param({"r": "absent"}, "has no 'r' in adapter_config.json", id="absent"),
        pytest.param({"lora_alpha": None}, "bad value", id="no alpha"),
        pytest.param({"peft_type": "LOHA"}, "is of type 'LOHA', and only 'LORA'", id="other kind"),
        pytest.param({"use_dora": True}, "should hold norms of DoRA", id="DoRA"),
        pytest.param({"bias": "all"}, "should hold the biases of the model", id="biases"),
        pytest.param({"rank_pattern": {"q_proj": 2}}, "says r=2", id="several ranks"),
        pytest.param(
            {"modules_to_save": ["layernorm_embedding"]},
            "the whole of 'layernorm_embedding'",
            id="more modules",
        ),
        pytest.param(
            {"init_lora_weights": "pissa"}, "init_lora_weights='pissa'", id="changed base"
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    saved: Path, settings: dict[str, object], expected: str
) -> None:
    with_settings(saved, **settings)
    assert re.search(expected, refused(saved))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(
            lambda t: t.pop(f"{NAME}.lora_B.weight"), "only one of lora_A and lora_B", id="half"
        ),
        pytest.param(lambda t: t.clear(), "holds no tensors", id="empty"),
        pytest.param(
            lambda t: t.update(extra=torch.zeros(1)), "1 tensors of other names (extra)", id="extra"
        ),
        pytest.param(
            lambda t: t[f"{NAME}.lora_A.weight"].fill_(torch.nan), "no numbers", id="not a number"
        ),
        pytest.param(
            lambda t: t.update({f"{NAME}.lora_B.weight": torch.zeros(32)}),
            "of another size",
            id="vector",
        ),
    ],
)
def test_damaged_tensors_are_refused(
    saved: Path, change: Callable[[dict[str, Tensor]], object], expected: str
) -> None:
    with_tensors(saved, change)
    assert expected in refused(saved)


@pytest.mark.parametrize("kept", [0, 100, 0.5, 0.99])
def test_truncated_files_are_refused(saved: Path, kept: float) -> None:
    path = saved / "adapter_model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if kept < 1 else int(kept)])
    assert "truncated, damaged or not safetensors" in refused(saved)


def test_missing_and_broken_files_are_named(saved: Path, tmp_path: Path) -> None:
    assert "cannot be read (No such file" in refused(tmp_path / "nowhere")
    (saved / "adapter_model.safetensors").unlink()
    assert "has adapter_config.json but no adapter_model.safetensors" in refused(saved)
    (saved / "adapter_config.json").write_text("[")
    assert "it is not JSON" in refused(saved)
    (saved / "adapter_config.json").write_text("[]")
    assert "no JSON object" in refused(saved)


def test_an_adapter_fits_a_model_of_either_layout(saved: Path) -> None:
    """Loaded from original files, the model takes the adapter of the native layout."""
    stored = to_public(tiny_model(), ORIGINAL)
    model = build_model(CONFIG, to_internal(stored, ORIGINAL))
    expected = load_lora(tiny_model(), saved)
    assert torch.equal(our_logits(load_lora(model, saved).model), our_logits(expected.model))
