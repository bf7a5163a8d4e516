"""An adapter starts as nothing, alone it trains, merged it says the same, un-merged it is gone."""

import math
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from florence2.checkpoints import save_checkpoint
from florence2.errors import ConfigError, WeightsError
from florence2.model.config import with_vocab_size
from florence2.model.florence2 import Florence2Model
from florence2.processing.tokenizer import Tokenizer
from florence2.training.lora import Lora, LoraConfig, LoraLinear, target_linears
from tiny_models import CONFIG, tiny_batch, tiny_model

MERGED_TOLERANCE = 1e-4  # measured: 2.7e-6 in float32, with logits up to 4.1
EVERYTHING = ("vision_tower", "projector", "text_encoder", "text_decoder")


def logits_of(model: Florence2Model) -> Tensor:
    pixels, prompt_ids, labels = tiny_batch()
    with torch.inference_mode():
        logits: Tensor = model(pixels, prompt_ids, labels)
    return logits


def adapted(targets: tuple[str, ...] = EVERYTHING, **options: object) -> Lora:
    """An adapter that has learnt something at random."""
    torch.manual_seed(1)
    lora = Lora(tiny_model(), LoraConfig(rank=3, targets=targets, **options))  # type: ignore[arg-type]
    with torch.no_grad():
        for layer in lora.layers.values():
            layer.lora_B.weight.normal_(0.0, 0.05)
    return lora


@pytest.mark.parametrize(
    ("targets", "count"),
    [
        # 2 encoder layers of 6 linears, 1 decoder layer of 10, 4 blocks of 4, 1 projection.
        pytest.param(("q_proj",), 4, id="all queries"),
        pytest.param(("encoder_attn.q_proj",), 1, id="longer ending"),
        pytest.param(("text_decoder.q_proj",), 2, id="in one part"),
        pytest.param(("fc1",), 7, id="all fc1"),
        pytest.param(("proj",), 4, id="whole words only"),
        pytest.param(("qkv", "proj", "vision_tower.fc1", "vision_tower.fc2"), 16, id="tower"),
        pytest.param(("vision_tower",), 16, id="part"),
        pytest.param(("projector",), 1, id="projector"),
        pytest.param(("text_encoder.layers.1.fc2",), 1, id="one"),
        pytest.param(("q_proj", "text_encoder", "q_proj"), 14, id="counted once"),
        pytest.param(EVERYTHING, 39, id="everything"),
    ],
)
def test_targets_name_linears_by_part_and_ending(targets: tuple[str, ...], count: int) -> None:
    assert len(target_linears(tiny_model(), targets)) == count


@pytest.mark.parametrize(
    ("target", "message"),
    [
        pytest.param("o_proj", "did you mean 'out_proj'", id="as other kits"),
        pytest.param("text_decoder.o_proj", "did you mean 'out_proj'", id="in a part"),
        pytest.param("lm_head", "choose from fc1, fc2, image_projection, k_proj", id="no linear"),
        pytest.param("Conv2d", "matches no linear", id="class name"),
        pytest.param("vision_tower.q_proj", "matches no linear", id="wrong part"),
        pytest.param("embedding", "matches no linear", id="embedding"),
        pytest.param("_proj", "matches no linear", id="half a word"),
    ],
)
def test_a_target_without_a_linear_is_refused(target: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Lora(tiny_model(), LoraConfig(targets=("q_proj", target)))


@pytest.mark.parametrize(
    "options",
    [
        {"rank": 0},
        {"rank": 2.5},
        {"alpha": 0.0},
        {"alpha": math.nan},
        {"dropout": 1.0},
        {"dropout": -0.1},
        {"targets": ()},
        {"targets": "q_proj"},
    ],
    ids=str,
)
def test_settings_that_cannot_be_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="LoRA"):
        LoraConfig(**options)  # type: ignore[arg-type]


def test_a_new_adapter_changes_nothing() -> None:
    model = tiny_model()
    before = logits_of(model)
    Lora(model, LoraConfig(targets=EVERYTHING))
    assert torch.equal(logits_of(model), before)


def test_only_the_adapter_trains_and_it_learns() -> None:
    model = tiny_model().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    Lora(model, LoraConfig(rank=4, targets=EVERYTHING))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    pixels, prompt_ids, labels = tiny_batch()
    losses = []
    for _ in range(30):
        loss = F.cross_entropy(model(pixels, prompt_ids, labels).flatten(0, 1), labels.flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
    after = model.state_dict()
    assert set(after) > set(before), "the base keeps its names"
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_the_scaling_is_as_published() -> None:
    assert LoraConfig(rank=16, alpha=8).scaling == 0.5
    assert LoraConfig(rank=16, alpha=8, use_rslora=True).scaling == 2.0


@pytest.mark.parametrize("use_rslora", [False, True])
def test_merged_equals_attached(use_rslora: bool) -> None:
    lora = adapted(use_rslora=use_rslora)
    attached = logits_of(lora.model)
    lora.merge()
    difference = (logits_of(lora.model) - attached).abs().max()
    assert difference <= MERGED_TOLERANCE, difference
    assert (attached - logits_of(tiny_model())).abs().max() > 1e-2, "the adapter did something"


def test_merging_leaves_a_plain_model_that_a_checkpoint_can_hold() -> None:
    lora = adapted()
    lora.merge()
    plain = tiny_model()
    assert set(lora.model.state_dict()) == set(plain.state_dict())
    plain.load_state_dict(lora.model.state_dict())
    assert torch.equal(logits_of(plain), logits_of(lora.model))
    assert not any(parameter.requires_grad for parameter in lora.model.parameters())


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_unmerging_restores_every_bit_however_often(dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    model = tiny_model().to(dtype)
    base = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    lora = Lora(model, LoraConfig(rank=3, targets=EVERYTHING))
    with torch.no_grad():
        for layer in lora.layers.values():
            layer.lora_B.weight.normal_(0.0, 0.05)
    attached = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for _ in range(3):
        lora.merge()
        assert not same(model.state_dict(), base)
        lora.unmerge()
        assert same(model.state_dict(), attached)
    lora.remove()
    assert same(model.state_dict(), base)


def test_unmerging_goes_on_training_the_adapter_alone() -> None:
    lora = adapted(("q_proj",))
    lora.merge()
    lora.unmerge()
    names = {name for name, each in lora.model.named_parameters() if each.requires_grad}
    assert names and all(".q_proj.lora_" in name for name in names)


def test_removing_lets_train_what_trained_before() -> None:
    model = tiny_model()
    model.vision_tower.requires_grad_(False)
    before = {name for name, each in model.named_parameters() if each.requires_grad}
    Lora(model, LoraConfig()).remove()
    assert {name for name, each in model.named_parameters() if each.requires_grad} == before


def test_weights_loaded_under_an_adapter_stay_when_it_is_removed() -> None:
    """As a resumed run does: the state dict of the whole model is loaded into the adapted one."""
    model, other = tiny_model(), tiny_model()
    lora = Lora(model, LoraConfig())
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1.0)
    model.load_state_dict(other.state_dict(), strict=False, assign=True)
    lora.remove()
    for name, tensor in other.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name


def test_the_mode_is_followed_while_the_adapter_is_away() -> None:
    lora = adapted(("q_proj",), dropout=0.5)
    lora.model.train()
    lora.merge()
    lora.model.eval()
    lora.unmerge()
    assert not any(layer.training for layer in lora.layers.values())
    assert torch.equal(logits_of(lora.model), logits_of(lora.model))


def test_dropout_acts_in_training_alone() -> None:
    layer = LoraLinear(nn.Linear(64, 8), LoraConfig(rank=8, dropout=0.5))
    nn.init.ones_(layer.lora_B.weight)
    x = torch.ones(4, 64)
    assert not torch.equal(layer.train()(x), layer(x))
    assert torch.equal(layer.eval()(x), layer(x))


def test_an_adapter_of_a_half_precision_model_is_kept_in_float32() -> None:
    model = tiny_model().to(torch.bfloat16)
    lora = Lora(model, LoraConfig(rank=2, targets=("q_proj",)))
    dtypes = {each.dtype for each in model.parameters() if each.requires_grad}
    assert dtypes == {torch.float32}
    layer = next(iter(lora.layers.values()))
    assert layer(torch.ones(1, 32, dtype=torch.bfloat16)).dtype == torch.bfloat16
    assert layer.merged_weight().dtype == torch.bfloat16


def test_a_second_adapter_waits_for_the_first() -> None:
    first = adapted(("q_proj",))
    with pytest.raises(ConfigError, match="attached already"):
        Lora(first.model, LoraConfig())
    first.merge()
    second = Lora(first.model, LoraConfig(targets=("q_proj",)))
    with pytest.raises(ConfigError, match="was replaced since"):
        first.unmerge()
    second.remove()
    first.unmerge()


def test_a_model_with_an_adapter_attached_is_not_saved(tmp_path: Path) -> None:
    """The extra weights once went into the file in silence, and nothing could load it."""
    tokenizer = Tokenizer.train(["a car"], vocab_size=270)
    model = Florence2Model(with_vocab_size(CONFIG, tokenizer.vocab_size))
    Lora(model, LoraConfig(rank=2))
    with pytest.raises(WeightsError, match="merge or remove adapters"):
        save_checkpoint(model, tmp_path, tokenizer=tokenizer)
