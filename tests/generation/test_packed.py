"""Packed weights compute what the plain model computes."""

from dataclasses import replace
from functools import partial
from typing import get_args

import pytest
import torch
from test_search import SEARCHES, same
from torch import Tensor

from florence2.generation.options import GenerationOptions
from florence2.model.cache import BatchCache, PromptCache
from florence2.model.config import Florence2Config, nano
from florence2.model.florence2 import Florence2Model
from florence2.runtimes.pytorch.packed import tower
from florence2.runtimes.pytorch.packed.linears import QuantizedLinear, can_pack, can_quantize
from florence2.runtimes.pytorch.packed.model import PackedModel
from florence2.runtimes.select import Precision
from lively_models import asked
from tiny_models import SMALLEST

pytestmark = pytest.mark.skipif(not can_pack(), reason="this PyTorch was built without oneDNN")
# Largest difference over the largest value; measured: 1.0e-6, 0.012, 0.027.
TOLERANCES = {"float32": 1e-5, "bfloat16": 0.04, "int8": 0.08}
needs_vnni = pytest.mark.skipif(not can_quantize(), reason="this processor has no VNNI")
PRECISIONS = [
    pytest.param(each, marks=needs_vnni) if each == "int8" else each for each in get_args(Precision)
]
# Windows of 4 do not divide the maps of side 9: padding takes part.
SMALL = replace(nano(1100), image_side=72)


def model(config: Florence2Config) -> Florence2Model:
    return Florence2Model(config).eval().initialize(torch.Generator().manual_seed(1))


def outputs(runtime: Florence2Model | PackedModel, pictures: int = 2) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(2)
    side = runtime.config.image_side
    pixels = torch.randn(pictures, 3, side, side, generator=generator)
    prompt = torch.randint(3, 1000, (pictures, 7), generator=generator)
    mask = torch.ones(pictures, 7)
    mask[-1, 5:] = 0
    with torch.inference_mode():
        image_tokens = runtime.encode_image(pixels)
        memory = runtime.encode(image_tokens, prompt, mask)
        begin = torch.tensor([[2, 0]]).repeat(pictures, 1)
        prompts = PromptCache(memory, runtime.memory_mask(image_tokens, mask), keep=True)
        logits = runtime.decode_with(begin, prompts)
        cache = BatchCache(2, transposed_keys=isinstance(runtime, PackedModel))
        cache.add(prompts, [2] * pictures)

        def decode(ids: Tensor) -> Tensor:
            return runtime.decode_with(ids[:, None], cache)[:, 0]

        steps = [cache.run(decode, torch.arange(2 * pictures) + 3 * n) for n in range(3)]
    return {
        "image tokens": image_tokens,
        "memory": memory[0],
        "first logits": logits,
        "step logits": torch.stack(steps),
    }


@pytest.mark.parametrize("precision", PRECISIONS)
def test_packed_weights_give_the_same_numbers(precision: Precision) -> None:
    plain = outputs(model(SMALL))
    packed = outputs(PackedModel(model(SMALL), precision))
    for name, values in plain.items():
        error = (packed[name].float() - values).abs().max() / values.abs().max()
        assert error < TOLERANCES[precision], name


@pytest.mark.parametrize("precision", PRECISIONS)
def test_weights_may_be_stored_in_another_dtype(precision: Precision) -> None:
    """Packed layer by layer from float16, or converted as a whole before: the same numbers."""
    layers = []
    stored = PackedModel(
        model(SMALL).half(), precision, on_layer_packed=lambda: layers.append(None)
    )
    converted = PackedModel(model(SMALL).half().float(), precision)
    found, expected = outputs(stored), outputs(converted)
    assert all(torch.equal(found[name], values) for name, values in expected.items())
    assert len(layers) > 60


def test_parts_of_a_large_map_are_fed_forward_one_after_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = outputs(PackedModel(model(SMALL), "float32"))
    monkeypatch.setattr(tower, "FEW_ROWS", 50)
    parts = outputs(PackedModel(model(SMALL), "float32"))
    for name, values in whole.items():
        torch.testing.assert_close(parts[name], values, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_picture_does_not_change_another(precision: Precision) -> None:
    runtime = PackedModel(model(SMALL), precision)
    pixels = torch.randn(3, 3, 72, 72, generator=torch.Generator().manual_seed(2))
    pixels[1] *= 100
    with torch.inference_mode():
        together = runtime.encode_image(pixels)
        alone = torch.cat([runtime.encode_image(picture[None]) for picture in pixels])
    assert torch.equal(together, alone)


@needs_vnni
def test_a_row_does_not_change_the_numbers_of_another() -> None:
    """Rows have a scale each: one of large numbers leaves the other's as they are."""
    linear = QuantizedLinear(torch.randn(40, 64), None)
    hidden = torch.randn(2, 3, 64).bfloat16()
    hidden[1] *= 1000
    assert torch.equal(linear.rows(hidden)[:1], linear.rows(hidden[:1]))


@needs_vnni
@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_likely_tokens_are_told_apart(precision: Precision) -> None:
    """In bfloat16 a third of the logits above 16 would be equal to another."""
    packed = PackedModel(model(SMALL), precision)
    hidden = 1000 * torch.randn(1, 1, SMALL.text.d_model).bfloat16()
    assert len(packed._scored(hidden).unique()) > 0.99 * SMALL.text.vocab_size


@pytest.mark.parametrize("options", SEARCHES)
@pytest.mark.parametrize("seed", [1, 2])
def test_packed_weights_write_the_same_answers(seed: int, options: GenerationOptions) -> None:
    requests = asked(seed)
    twin = Florence2Model(SMALLEST)
    twin.load_state_dict(requests.model.state_dict())
    packed = replace(
        requests,
        model=PackedModel(twin, "float32"),
        new_cache=partial(BatchCache, transposed_keys=True),
    )
    single = replace(requests, model=Florence2Model(SMALLEST).eval())
    single.model.load_state_dict(requests.model.state_dict())
    images = requests.image_tokens.float()
    answers = replace(packed, image_tokens=images).together(options)
    expected = replace(single, image_tokens=images).together(options)
    assert all(same(one, other) for one, other in zip(answers, expected, strict=True))
