"""Whatever PEFT can make for this model gives PEFT's logits, or one clear sentence."""

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import Florence2ForConditionalGeneration as Oracle

from florence2 import Florence2
from florence2.checkpoints import inspect_checkpoint, load_checkpoint, save_checkpoint
from florence2.checkpoints.adapters import merge_adapter
from florence2.checkpoints.layouts import (
    NATIVE,
    ORIGINAL,
    build_model,
    follow_head,
    to_internal,
    to_public,
)
from florence2.checkpoints.sources import wanted_files
from florence2.cli.main import main
from florence2.errors import ConfigError, TaskError, WeightsError
from florence2.evaluation.speed import open_model
from florence2.model.florence2 import Florence2Model
from florence2.training.lora import Lora, LoraConfig
from florence2.training.peft_files import load_lora, save_lora
from oracles import TOLERANCE, oracle_logits, oracle_of, our_logits
from tiny_checkpoints import original_name
from tiny_models import CONFIG, tiny_model

# PEFT and transformers warn about each other, and PEFT of tied weights.
pytestmark = pytest.mark.filterwarnings("ignore")


def randomised(model: nn.Module, seed: int = 1) -> nn.Module:
    """As if it had been trained."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:
                continue
            noise = torch.randn(parameter.shape, generator=generator)
            if "magnitude" in name:
                parameter.mul_(1 + 0.2 * noise.abs())
            elif "lora_" in name:
                parameter.copy_(0.1 * noise)
            else:
                parameter.add_(0.1 * noise)
    return model.eval()


def trained(folder: Path, config: peft.PeftConfig) -> Tensor | None:
    """Make an adapter of the tiny model; the logits of PEFT that reads it, None if it cannot."""
    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(0)
    try:
        model = randomised(peft.get_peft_model(oracle_of(tiny_model()), config))
        model.save_pretrained(folder)
        again = peft.PeftModel.from_pretrained(oracle_of(tiny_model()), folder)
        return oracle_logits(again.eval())
    except (ValueError, TypeError, RuntimeError, IndexError, KeyError, NotImplementedError):
        return None


def merged(folder: Path) -> Florence2Model:
    """The tiny model with an adapter in it."""
    model = tiny_model()
    state = merge_adapter(to_internal(to_public(model, NATIVE), NATIVE), folder)
    return build_model(follow_head(model.config, state), state)


def lora(**options: Any) -> peft.LoraConfig:
    return peft.LoraConfig(**{"r": 4, "lora_alpha": 6, **options})


# ---- kinds that are computed

COMPUTED = {
    "list": lora(target_modules=["q_proj", "v_proj", "qkv"]),
    "regex": lora(target_modules=r".*decoder.*\.(fc1|fc2)"),
    "all linears": lora(target_modules="all-linear"),
    "the published list": lora(
        target_modules=[
            "q_proj",
            "o_proj",
            "k_proj",
            "v_proj",
            "linear",
            "Conv2d",
            "lm_head",
            "fc2",
        ],
        use_rslora=True,
        lora_dropout=0.05,
        init_lora_weights="gaussian",
        task_type="CAUSAL_LM",
    ),
    "head and DoRA": lora(target_modules=["lm_head", "qkv", "out_proj"], use_dora=True),
    "convolutions": lora(target_modules=["conv"]),
    "convolutions and DoRA": lora(target_modules=["conv", "fc1"], use_dora=True),
    "image positions": lora(target_modules=["row_embeddings", "column_embeddings"], use_dora=True),
    "ranks": lora(
        target_modules=["q_proj", "fc1", "qkv"],
        rank_pattern={"fc1": 2, r".*decoder.*q_proj": 3},
        alpha_pattern={"qkv": 9, "encoder.layers.0.self_attn.q_proj": 1},
        use_rslora=True,
    ),
    "all biases": lora(target_modules=["q_proj"], bias="all"),
    "its biases": lora(target_modules=["q_proj", "conv"], bias="lora_only"),
    "biases of products": lora(target_modules=["q_proj", "conv"], lora_bias=True),
    "projector": lora(target_modules=["q_proj"], modules_to_save=["multi_modal_projector"]),
    "whole head": lora(target_modules=["q_proj"], modules_to_save=["lm_head"]),
    "norms and positions": lora(
        target_modules=["q_proj"], modules_to_save=["layernorm_embedding", "embed_positions"]
    ),
    "whole linears": lora(target_modules=["q_proj"], modules_to_save=["fc1"]),
    "whole modules and all biases": lora(
        target_modules=["conv"], modules_to_save=["encoder_attn", "norm1"], bias="all"
    ),
    "whole modules by the end of their name": lora(
        target_modules=["fc1"], modules_to_save=["_proj"]
    ),
    "some words": lora(target_modules=["q_proj"], trainable_token_indices=[200, 201, 100]),
    "some words by name": lora(
        target_modules=["q_proj"], trainable_token_indices={"shared": [5, 100]}
    ),
    "all texts": lora(target_modules=["qkv"], modules_to_save=["language_model"]),
    "some layers": lora(
        target_modules=["q_proj"], layers_to_transform=[1], layers_pattern="layers"
    ),
    "all but": lora(target_modules=["q_proj", "fc1"], exclude_modules=r".*vision.*"),
    "orthogonal": lora(target_modules=["q_proj"], init_lora_weights="orthogonal"),
    "words that are never read": lora(target_modules=r".*encoder.embed_tokens|.*fc1"),
}


@pytest.mark.parametrize("kind", COMPUTED)
def test_it_gives_the_logits_of_peft(tmp_path: Path, kind: str) -> None:
    expected = trained(tmp_path, COMPUTED[kind])
    assert expected is not None
    found = our_logits(merged(tmp_path))
    assert (expected - found).abs().max() <= TOLERANCE
    assert (found - our_logits(tiny_model())).abs().max() > 1e-3, "the adapter does something"


# ---- kinds that are refused in a sentence

REFUSED = {
    "grouped convolutions": (lora(target_modules=["conv1"], r=32), "adapts 4 grouped convolutions"),
    "words of the prompt": (
        lora(target_modules=["shared"]),
        "shared alone, .* has one matrix",
    ),
    "words of the answer": (lora(target_modules=["embed_tokens"]), "decoder.embed_tokens alone"),
    "whole words": (
        lora(target_modules=["q_proj"], modules_to_save=["embed_tokens", "lm_head"]),
        "the words of the prompt and those of the answer apart",
    ),
    "bias of the head": (lora(target_modules=["lm_head"], lora_bias=True), "which has none"),
    "PiSSA": (
        lora(target_modules=["q_proj"], init_lora_weights="pissa"),
        "init_lora_weights='pissa', .* path_initial_model_for_weight_conversion",
    ),
    "MiCA": (lora(target_modules=["q_proj"], init_lora_weights="mica"), "merge it in PEFT"),
    "tokens of the answer": (
        lora(target_modules=["q_proj"], trainable_token_indices={"decoder.embed_tokens": [5, 6]}),
        "changes words of .*decoder.embed_tokens apart",
    ),
    "tokens and the head": (
        lora(target_modules=["lm_head"], trainable_token_indices=[5, 6]),
        "changes words of .*shared apart",
    ),
    "parameters": (
        lora(target_modules=["q_proj"], target_parameters=["lm_head.weight"]),
        "target_parameters",
    ),
    "QALoRA": (
        lora(target_modules=["q_proj"], use_qalora=True, qalora_group_size=16),
        "use_qalora=True",
    ),
    "QALoRA of the head": (
        lora(target_modules=["lm_head"], use_qalora=True, qalora_group_size=16),
        "use_qalora=True, .* do not merge it there",
    ),
    "IA3": (peft.IA3Config(target_modules=["q_proj"], feedforward_modules=[]), "type 'IA3'"),
    "LoHa": (peft.LoHaConfig(target_modules=["q_proj"]), "type 'LOHA', and only 'LORA'"),
    "LoKr": (peft.LoKrConfig(target_modules=["q_proj"]), "type 'LOKR'"),
    "OFT": (peft.OFTConfig(target_modules=["q_proj"]), "type 'OFT'"),
    "VeRA": (peft.VeraConfig(target_modules=["q_proj"]), "type 'VERA'"),
    "AdaLoRA": (peft.AdaLoraConfig(target_modules=["q_proj"], total_step=9), "type 'ADALORA'"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_no_weights_can_hold_is_refused_in_a_sentence(tmp_path: Path, kind: str) -> None:
    config, words = REFUSED[kind]
    assert trained(tmp_path, config) is not None
    with pytest.raises(WeightsError, match=words) as error:
        merged(tmp_path)
    assert "\n" not in str(error.value)


# ---- all of PEFT's options at once

names = st.sampled_from(
    "q_proj k_proj v_proj out_proj fc1 fc2 qkv proj lm_head conv image_projection"  # noqa: SIM905
    " row_embeddings conv1 shared embed_tokens".split()
)
saved = st.sampled_from(["image_proj_norm", "layernorm_embedding", "lm_head", "proj", "fc2"])
numbers = st.integers(1, 6)
options = st.fixed_dictionaries(
    {"target_modules": st.lists(names, min_size=1, max_size=5, unique=True), "r": numbers},
    optional={
        "lora_alpha": numbers,
        "use_rslora": st.booleans(),
        "use_dora": st.booleans(),
        "lora_bias": st.booleans(),
        "bias": st.sampled_from(["none", "all", "lora_only"]),
        "modules_to_save": st.lists(saved, max_size=2, unique=True),
        "rank_pattern": st.dictionaries(names, numbers, max_size=2),
        "alpha_pattern": st.dictionaries(names, numbers, max_size=2),
        "layers_to_transform": st.just([0]),
        "exclude_modules": st.just(r".*vision_tower.*"),
        "fan_in_fan_out": st.booleans(),
        "trainable_token_indices": st.just([7, 9]),
        "init_lora_weights": st.sampled_from([True, False, "gaussian", "orthogonal", "olora"]),
        "task_type": st.sampled_from(["SEQ_2_SEQ_LM", "CAUSAL_LM"]),
    },
)


def test_any_options_give_the_logits_of_peft_or_a_sentence(tmp_path: Path) -> None:
    outcomes = []

    @settings(max_examples=30, derandomize=True)
    @given(options)
    def check(chosen: dict[str, Any]) -> None:
        try:
            config = peft.LoraConfig(**chosen)
        except ValueError:  # options that PEFT does not take together
            return
        expected = trained(tmp_path / "adapter", config)
        if expected is None:
            return
        try:
            found = our_logits(merged(tmp_path / "adapter"))
        except WeightsError as error:
            assert "\n" not in str(error)
            outcomes.append(str(error))
            return
        assert (expected - found).abs().max() <= TOLERANCE * max(1, expected.abs().max() / 4)
        outcomes.append("equal")

    check()
    assert outcomes.count("equal") >= 10, outcomes


# ---- names and wrappings


def test_an_adapter_of_a_model_without_its_head_is_read(tmp_path: Path) -> None:
    """As of `AutoModel`, whose names lack the first part."""
    inner = oracle_of(tiny_model()).model
    config = lora(target_modules=["q_proj", "qkv"])
    randomised(peft.get_peft_model(inner, config)).save_pretrained(tmp_path / "inner")
    trained(tmp_path / "whole", config)
    found, expected = (our_logits(merged(tmp_path / name)) for name in ("inner", "whole"))
    assert torch.equal(found, expected)


@pytest.mark.parametrize("kind", ["the published list", "convolutions", "all biases"])
def test_an_adapter_of_the_original_layout_is_read(tmp_path: Path, kind: str) -> None:
    """Microsoft's own code is not at hand; its names are."""
    expected = trained(tmp_path, COMPUTED[kind])
    path, prefix = tmp_path / "adapter_model.safetensors", "base_model.model."
    tensors = {}
    for name, tensor in load_file(path).items():
        tensors[prefix + original_name(name.removeprefix(prefix))] = tensor
    assert tensors.keys().isdisjoint(load_file(path).keys())
    save_file(tensors, path, metadata={"format": "pt"})
    assert (expected - our_logits(merged(tmp_path))).abs().max() <= TOLERANCE


def test_the_original_layout_takes_the_same_adapter(tmp_path: Path) -> None:
    expected = trained(tmp_path, COMPUTED["the published list"])
    model = tiny_model()
    state = merge_adapter(to_internal(to_public(model, ORIGINAL), ORIGINAL), tmp_path)
    found = our_logits(build_model(follow_head(model.config, state), state))
    assert (expected - found).abs().max() <= TOLERANCE


def test_a_base_with_a_head_of_its_own_takes_adapters(tmp_path: Path) -> None:
    def untied() -> Florence2Model:
        model = tiny_model()
        model.untie_head()
        with torch.no_grad():
            model.lm_head.weight.mul_(1.5)
        return model

    config = lora(target_modules=["lm_head", "q_proj"], modules_to_save=["image_proj_norm"])
    adapted = randomised(peft.get_peft_model(oracle_of(untied()), config))
    adapted.save_pretrained(tmp_path)
    again = peft.PeftModel.from_pretrained(oracle_of(untied()), tmp_path).eval()
    state = merge_adapter(to_internal(to_public(untied(), NATIVE), NATIVE), tmp_path)
    ours = build_model(follow_head(CONFIG, state), state)
    assert (oracle_logits(again) - our_logits(ours)).abs().max() <= TOLERANCE
    with pytest.raises(WeightsError, match="differ from those here"):
        merged(tmp_path)  # the base's head is in the file, and it is not the tied one


def test_base_weights_beside_the_products_are_compared(tmp_path: Path) -> None:
    trained(tmp_path, lora(target_modules=["lm_head"]))
    path = tmp_path / "adapter_model.safetensors"
    tensors = load_file(path)
    (base,) = (name for name in tensors if "base_layer" in name)
    shared = tiny_model().shared.weight
    assert torch.equal(tensors[base], shared)
    tensors[base] = shared.to(torch.bfloat16)  # a training in bfloat16
    save_file(tensors, path, metadata={"format": "pt"})
    assert merged(tmp_path).lm_head is not None
    tensors[base] = shared + 1
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match="1 are weights of its base model and differ from"):
        merged(tmp_path)


def test_modules_that_were_trained_whole_must_be_there(tmp_path: Path) -> None:
    config = lora(target_modules=["q_proj"], modules_to_save=["lm_head"])
    trained(tmp_path, config)
    path = tmp_path / "adapter_model.safetensors"
    tensors = {name: each for name, each in load_file(path).items() if "lm_head" not in name}
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match="trained with the whole of 'lm_head'"):
        merged(tmp_path)


@pytest.mark.parametrize("inner", [["encoder_attn", "q_proj"], ["model"]])
def test_whole_modules_inside_of_others_are_refused(tmp_path: Path, inner: list[str]) -> None:
    """PEFT writes them, with a wrong weight among them, and cannot read them again."""
    config = lora(target_modules=["lm_head"], modules_to_save=inner)
    assert trained(tmp_path, config) is None
    with pytest.raises(WeightsError, match="whole modules inside of others"):
        merged(tmp_path)


# ---- attached, to go on training


def test_an_adapter_of_the_tied_head_is_attached_and_changes_the_output_alone(
    tmp_path: Path,
) -> None:
    expected = trained(tmp_path, COMPUTED["the published list"])
    model = tiny_model()
    attached = load_lora(model, tmp_path)
    assert (expected - our_logits(model)).abs().max() <= TOLERANCE
    assert torch.equal(model.shared.weight, tiny_model().shared.weight)
    attached.merge()
    assert (expected - our_logits(model)).abs().max() <= TOLERANCE


def test_ranks_of_their_own_survive_attaching_and_saving(tmp_path: Path) -> None:
    expected = trained(tmp_path / "theirs", COMPUTED["ranks"])
    attached = load_lora(tiny_model(), tmp_path / "theirs")
    assert (expected - our_logits(attached.model)).abs().max() <= TOLERANCE
    save_lora(attached, tmp_path / "ours")
    again = peft.PeftModel.from_pretrained(oracle_of(tiny_model()), tmp_path / "ours")
    assert (expected - oracle_logits(again)).abs().max() <= TOLERANCE


def test_the_former_sentence_of_the_docs_says_what_to_do(tiny_folder: Path, adapter: Path) -> None:
    """It ended in an AttributeError: the weights of a loaded model are packed."""
    with Florence2.load(str(tiny_folder), device="cpu") as model:
        for packed in (model, model.runtime, model.runtime.model):
            with pytest.raises(ConfigError, match=r"Florence2.load\(..., adapter="):
                load_lora(packed, adapter)


@pytest.mark.parametrize("kind", ["head and DoRA", "convolutions", "all biases", "some words"])
def test_what_is_more_than_products_cannot_be_attached(tmp_path: Path, kind: str) -> None:
    trained(tmp_path, COMPUTED[kind])
    model = tiny_model()
    with pytest.raises(WeightsError, match=r"use it with Florence2.load\(adapter=...\), or merge"):
        load_lora(model, tmp_path)
    assert model.lm_head is None


# ---- for use: load, run, merge


@pytest.fixture(scope="module")
def adapter(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter with the head in its list, made by PEFT for the checkpoint on disk."""
    folder = tmp_path_factory.mktemp("adapter")
    base = Oracle.from_pretrained(tiny_folder, dtype=torch.float32).eval()
    model = peft.get_peft_model(base, lora(target_modules=["q_proj", "qkv", "fc2", "lm_head"]))
    randomised(model).save_pretrained(folder)
    return folder


def peft_logits(tiny_folder: Path, adapter: Path) -> Tensor:
    base = Oracle.from_pretrained(tiny_folder, dtype=torch.float32).eval()
    return oracle_logits(peft.PeftModel.from_pretrained(base, adapter).eval())


def test_a_checkpoint_is_loaded_with_an_adapter(tiny_folder: Path, adapter: Path) -> None:
    expected = peft_logits(tiny_folder, adapter)
    for loaded in (
        load_checkpoint(tiny_folder, adapter=adapter),
        load_checkpoint(adapter),  # which names its base
        load_checkpoint(adapter / "adapter_model.safetensors"),
    ):
        assert (expected - our_logits(loaded.model)).abs().max() <= TOLERANCE
        assert loaded.adapter == adapter


def test_sums_are_not_rounded_to_the_dtype_of_the_base(tmp_path: Path, tiny_folder: Path) -> None:
    loaded = load_checkpoint(tiny_folder)
    half = loaded.model.to(torch.bfloat16)
    base = save_checkpoint(half, tmp_path / "half", tokenizer=loaded.tokenizer)
    oracle = Oracle.from_pretrained(base, dtype=torch.float32).eval()
    model = peft.get_peft_model(oracle, lora(target_modules=["fc1"]))
    randomised(model).save_pretrained(tmp_path / "adapter")
    again = load_checkpoint(base, adapter=tmp_path / "adapter").model
    dtypes = {name: each.dtype for name, each in again.named_parameters()}
    assert dtypes["text_encoder.layers.0.fc1.weight"] == torch.float32
    assert dtypes["shared.weight"] == torch.bfloat16
    expected = peft_logits(base, tmp_path / "adapter")
    assert (expected - our_logits(again.float())).abs().max() <= TOLERANCE


def test_a_loaded_model_knows_its_adapter(
    tiny_folder: Path, adapter: Path, picture: Path, tmp_path: Path
) -> None:
    """In its name, in its fingerprint, and when it is loaded again."""
    plain = Florence2.load(str(tiny_folder), device="cpu")
    with Florence2.load(str(tiny_folder), device="cpu", adapter=adapter) as model:
        assert model.name == f"{tiny_folder} with {adapter}"
        assert model.fingerprint != plain.fingerprint
        again = pickle.loads(pickle.dumps(model))
        assert (again.name, again.fingerprint) == (model.name, model.fingerprint)
        answers = [each.run(picture, "caption").token_ids for each in (model, again, plain)]
        assert answers[0] == answers[1] != answers[2]
        with pytest.raises(TaskError, match=r"was made by model .* with "):
            plain.run(model.encode_image(picture), "caption")
    with pytest.raises(ConfigError, match="random weights take no adapter"):
        open_model("random-base", "float32", adapter=str(adapter))


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[dict], str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, [json.loads(line) for line in captured.out.splitlines()], captured.err


def test_merge_writes_a_checkpoint_for_everyone(
    tiny_folder: Path, adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = peft_logits(tiny_folder, adapter)
    for number, source in enumerate(
        (["--model", tiny_folder, "--adapter", adapter], ["--model", adapter])
    ):
        folder = tmp_path / str(number)
        code, (line,), _ = run(capsys, "merge", *source, "--output", folder)
        assert code == 0
        assert line == {
            "checkpoint": str(folder),
            "adapter": str(adapter),
            "layout": "native",
            "own_head": True,
        }
        ours = load_checkpoint(folder)
        assert ours.repairs == ()
        theirs, report = Oracle.from_pretrained(folder, output_loading_info=True)
        assert not any(report.values()), report
        assert (oracle_logits(theirs.eval()) - expected).abs().max() <= TOLERANCE
        assert (our_logits(ours.model) - expected).abs().max() <= TOLERANCE
    code, (line,), _ = run(
        *(capsys, "merge", *source, "--output", tmp_path / "b"),
        *("--layout", "original", "--dtype", "bfloat16"),
    )
    assert (code, load_checkpoint(tmp_path / "b").layout) == (0, "original")
    one, other = (
        Florence2.load(str(tmp_path / "0"), device="cpu"),
        Florence2.load(str(tiny_folder), device="cpu", adapter=adapter),
    )
    assert one.fingerprint == other.fingerprint, "a calibration fits both"


def test_commands_take_an_adapter(
    tiny_folder: Path, adapter: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["run", picture, "--task", "caption", "--device", "cpu"]
    outcomes = [
        run(capsys, *asked, *model)
        for model in (
            ["--model", tiny_folder, "--adapter", adapter],
            ["--model", adapter],
            ["--model", tiny_folder],
        )
    ]
    assert [code for code, _, _ in outcomes] == [0, 0, 0]
    answers = [lines[0]["answer"] for _, lines, _ in outcomes]
    assert answers[0] == answers[1] != answers[2]


def test_doctor_explains_an_adapter(tiny_folder: Path, adapter: Path, tmp_path: Path) -> None:
    found = inspect_checkpoint(adapter)
    assert found.loads
    told = found.describe()
    assert f"with the adapter in {str(adapter)!r}: LoRA of rank 4 on" in told
    broken = tmp_path / "adapter"
    shutil.copytree(adapter, broken)
    with_settings(broken, use_dora=True)
    (problem,) = inspect_checkpoint(broken).problems
    assert "should hold norms of DoRA" in problem


# ---- an adapter and its base


def with_settings(folder: Path, **values: object) -> Path:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return folder


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"base_model_name_or_path": None}, "does not name its base model"),
        ({"base_model_name_or_path": "not/here/at/all"}, "an adapter of 'not/here/at/all', which"),
    ],
)
def test_a_base_that_is_not_to_be_found_is_told(
    adapter: Path, tmp_path: Path, settings: dict[str, Any], words: str
) -> None:
    shutil.copytree(adapter, tmp_path / "adapter")
    with pytest.raises(WeightsError, match=f"{words}.*--adapter DIR in commands"):
        load_checkpoint(with_settings(tmp_path / "adapter", **settings))


def test_adapters_are_not_piled_up(adapter: Path, tmp_path: Path) -> None:
    shutil.copytree(adapter, tmp_path / "second")
    with_settings(tmp_path / "second", base_model_name_or_path=str(adapter))
    with pytest.raises(WeightsError, match="is an adapter too; merge it first"):
        load_checkpoint(tmp_path / "second")
    with pytest.raises(WeightsError, match=r"is an adapter itself, so .* cannot be added"):
        load_checkpoint(adapter, adapter=tmp_path / "second")


@pytest.mark.parametrize(
    ("name", "words"), [("nowhere", "does not exist"), ("tiny", "has no adapter_config.json")]
)
def test_what_is_no_adapter_is_told(
    tiny_folder: Path, tmp_path: Path, name: str, words: str
) -> None:
    path = tiny_folder if name == "tiny" else tmp_path / name
    with pytest.raises(WeightsError, match=f"{words}; give the folder that florence2 train"):
        Florence2.load(str(tiny_folder), device="cpu", adapter=str(path))


def test_merging_needs_an_adapter_and_another_folder(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, stderr = run(capsys, "merge", "--model", tiny_folder, "--output", tmp_path / "a")
    assert (code, "there is nothing to merge" in stderr) == (2, True)
    code, _, stderr = run(capsys, "merge", "--model", tiny_folder, "--output", tiny_folder)
    assert (code, "is the model itself; name another folder" in stderr) == (2, True)


def test_the_hub_gives_the_files_of_an_adapter() -> None:
    alone = ["README.md", "adapter_config.json", "adapter_model.safetensors", "tokenizer.json"]
    files = ["adapter_config.json", "adapter_model.safetensors"]
    assert wanted_files(alone) == files
    beside = [*alone, "config.json", "model.safetensors"]
    assert "model.safetensors" in wanted_files(beside)
    assert wanted_files(beside, adapter=True) == files


def test_our_own_adapter_is_used_as_it_is(tmp_path: Path, tiny_folder: Path) -> None:
    loaded = load_checkpoint(tiny_folder)
    ours = Lora(loaded.model, LoraConfig(rank=2, targets=("q_proj", "projector")))
    randomised(loaded.model)
    save_lora(ours, tmp_path, base=str(tiny_folder))
    found = our_logits(load_checkpoint(tmp_path).model)
    assert (our_logits(loaded.model) - found).abs().max() <= TOLERANCE
    assert (peft_logits(tiny_folder, tmp_path) - found).abs().max() <= TOLERANCE
