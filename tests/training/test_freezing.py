"""What is said to be frozen stays as it is through an optimizer step; the rest moves."""

from collections.abc import Collection

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from florence2.checkpoints.layouts import empty_model
from florence2.errors import ConfigError
from florence2.model.config import base
from florence2.model.florence2 import Florence2Model
from florence2.training.freezing import (
    PARTS,
    check_frozen,
    freeze,
    part_of,
    trainable_report,
)
from florence2.training.lora import Lora, LoraConfig
from tiny_models import tiny_batch, tiny_model


def parts_that_move(model: Florence2Model) -> set[str]:
    """Parts that one optimizer step over all parameters changes."""
    before = {name: tensor.clone() for name, tensor in model.named_parameters()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    pixels, prompt_ids, labels = tiny_batch()
    logits: Tensor = model(pixels, prompt_ids, labels)
    F.cross_entropy(logits.flatten(0, 1), labels.flatten()).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return {
        part_of(n) for n, tensor in model.named_parameters() if not torch.equal(tensor, before[n])
    }


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param((), id="nothing"),
        pytest.param(("vision_tower",), id="tower"),
        pytest.param(("vision_tower", "projector"), id="pictures"),
        pytest.param(("embedding",), id="embedding"),
        pytest.param(("text_encoder", "embedding"), id="encoder"),
        pytest.param(("text_encoder", "text_decoder", "embedding"), id="text"),
        pytest.param("projector", id="one name"),
    ],
)
def test_frozen_parts_stay_and_all_others_move(parts: Collection[str]) -> None:
    model = tiny_model()
    freeze(model, parts)
    named = {parts} if isinstance(parts, str) else set(parts)
    assert parts_that_move(model) == set(PARTS) - named


def test_freezing_other_parts_lets_the_former_train_again() -> None:
    model = tiny_model()
    freeze(model, ("vision_tower",))
    freeze(model, ("projector",))
    assert parts_that_move(model) == set(PARTS) - {"projector"}


def test_a_gradient_from_before_is_not_applied() -> None:
    model = tiny_model()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    freeze(model, ("vision_tower",))
    assert "vision_tower" not in parts_that_move(model)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        pytest.param(("vision",), "unknown .did you mean 'vision_tower'", id="misspelt"),
        pytest.param(("lm_head",), "choose from vision_tower, projector", id="foreign"),
        pytest.param(PARTS, "nothing would train", id="all"),
        pytest.param(("text_decoder",), "tied, the output layer.*freeze 'embedding'", id="tied"),
        pytest.param(("text_encoder",), "'text_encoder' is to be frozen, but the word", id="input"),
    ],
)
def test_impossible_wishes_are_refused(parts: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        freeze(tiny_model(), parts)


def test_a_part_set_to_train_later_is_found() -> None:
    model = tiny_model()
    freeze(model, ("vision_tower",))
    check_frozen(model, ("vision_tower",))
    model.vision_tower.convs[0].requires_grad_(True)
    with pytest.raises(ConfigError, match=r"4 of its \d+ parameters require gradients .*convs.0"):
        check_frozen(model, ("vision_tower",))


def test_a_waiting_gradient_is_found() -> None:
    model = tiny_model()
    freeze(model, ("projector",))
    weight = model.projector.image_projection.weight
    weight.grad = torch.ones_like(weight)
    with pytest.raises(ConfigError, match=r"hold a gradient .*image_projection"):
        check_frozen(model, ("projector",))


def test_memory_shared_with_a_part_that_trains_is_found() -> None:
    model = tiny_model()
    freeze(model, ("embedding",))
    check_frozen(model, ("embedding",))
    model.text_decoder.head = nn.Linear(32, 320, bias=False)
    model.text_decoder.head.weight = nn.Parameter(model.shared.weight.detach())
    with pytest.raises(ConfigError, match=r"'shared.weight' shares its memory with 'text_decoder"):
        check_frozen(model, ("embedding",))


def test_an_attached_adapter_is_not_unfrozen() -> None:
    model = tiny_model()
    Lora(model, LoraConfig(rank=2))
    with pytest.raises(ConfigError, match="adapter is attached"):
        freeze(model, ("vision_tower",))


def test_the_report_counts_the_published_sizes() -> None:
    """The fact sheet's numbers for base."""
    model = empty_model(base())
    report = freeze(model, ("vision_tower", "projector"))
    assert [report.parameters[part] for part in PARTS] == [
        90_368_000,
        786_432 + 1_536 + 51_200,
        43_316_736,
        57_500_160,
        39_389_952,
    ]
    assert report.parameters["total"] == 231_414_016
    assert report.trainable["total"] == 43_316_736 + 57_500_160 + 39_389_952
    lines = report.describe().splitlines()
    assert lines[1].split() == ["vision_tower", "90,368,000", "0", "frozen"]
    assert lines[-1].split() == ["total", "231,414,016", "140,206,848", "60.6%"]


def test_the_report_counts_adapters_where_they_are() -> None:
    model = tiny_model()
    Lora(model, LoraConfig(rank=2, targets=("text_decoder.fc1", "projector")))
    trained = {"text_decoder": 2 * (32 + 48), "projector": 2 * (32 + 32)}
    total = {"total": sum(trained.values())}
    assert trainable_report(model).trainable == dict.fromkeys(PARTS, 0) | trained | total
