"""The pinned transformers is the oracle: same weights, same pictures, the same numbers.

Tiny random models in many shapes, and base and large at their published size. Float32 on both
sides; the tolerance is the one the project promises, the measured maximum stands beside it.
"""

import os
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from transformers import Florence2Config as OracleConfig
from transformers import Florence2ForConditionalGeneration as Oracle

from florence2.checkpoints.config_files import native_config
from florence2.checkpoints.layouts import build_model, detect_layout, to_internal
from florence2.model.cache import BatchCache, PromptCache
from florence2.model.config import Florence2Config, TextConfig, VisionConfig, base, large
from florence2.model.florence2 import Florence2Model

TOLERANCE = 2e-4  # measured: 5.4e-6 (tiny), 6.8e-6 (base and large at 768 pixels)

TINY = Florence2Config(
    vision=VisionConfig(
        embed_dim=(16, 32, 48, 64),
        depths=(1, 1, 2, 1),
        num_heads=(2, 2, 3, 4),
        num_groups=(2, 4, 3, 2),
        window_size=5,
        max_positions=12,
    ),
    text=TextConfig(
        vocab_size=200,
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_heads=2,
        decoder_heads=4,
        encoder_ffn_dim=64,
        decoder_ffn_dim=48,
        max_position_embeddings=200,
    ),
    image_side=96,
)


def shaped(**vision: object) -> Florence2Config:
    return replace(TINY, vision=replace(TINY.vision, **vision))  # type: ignore[arg-type]


def make_pair(config: Florence2Config, scale: float) -> tuple[Oracle, Florence2Model]:
    """The same random weights in both implementations; ours shares the oracle's memory."""
    image_id = config.text.vocab_size - 1
    settings = native_config(config, image_id, "float32")
    torch.manual_seed(3)
    oracle = Oracle(OracleConfig(**settings)).eval()
    with torch.no_grad():
        for parameter in oracle.parameters():
            parameter.add_(torch.empty_like(parameter).normal_(0.0, scale))
    weights = oracle.state_dict()
    return oracle, build_model(config, to_internal(weights, detect_layout(weights)))


def differences(
    oracle: Oracle, ours: Florence2Model, side: int, batch: int = 2
) -> dict[str, float]:
    """Largest absolute differences of image tokens and logits on one padded batch."""
    generator = torch.Generator().manual_seed(side)
    words = ours.config.text.vocab_size - 10
    pixels = torch.randn(batch, 3, side, side, generator=generator)
    prompt = torch.randint(3, words, (batch, 7), generator=generator)
    mask = torch.ones(batch, 7, dtype=torch.long)
    mask[-1, 5:] = 0
    answer = torch.randint(3, words, (batch, 6), generator=generator)
    with torch.inference_mode():
        theirs = oracle_forward(oracle, pixels, prompt, mask, answer)
        image_tokens = ours.encode_image(pixels)
        memory = ours.encode(image_tokens, prompt, mask)
        memory_mask = ours.memory_mask(image_tokens, mask)
        logits = ours.decode(answer, memory, memory_mask)
        prompts = PromptCache(memory, memory_mask, keep=True)
        first, cache = ours.decode_with(answer[:, :2], prompts), BatchCache(1)
        cache.add(prompts, [2] * batch)

        def decode(ids: Tensor) -> Tensor:
            return ours.decode_with(ids[:, None], cache)

        rest = [cache.run(decode, tokens) for tokens in answer[:, 2:].unbind(1)]
        cached = torch.cat([first, *rest], 1)
    return {
        "image tokens": (image_tokens - theirs[0]).abs().max().item(),
        "logits": (logits - theirs[1]).abs().max().item(),
        "cached logits": (cached - theirs[1]).abs().max().item(),
    }


def oracle_forward(
    oracle: Oracle, pixels: Tensor, prompt: Tensor, mask: Tensor, answer: Tensor
) -> tuple[Tensor, Tensor]:
    image_tokens = oracle.model.get_image_features(pixels).pooler_output
    count = image_tokens.shape[1]
    places = torch.full((len(pixels), count), oracle.config.image_token_id)
    logits = oracle(
        input_ids=torch.cat((places, prompt), dim=1),
        attention_mask=torch.cat((torch.ones_like(places), mask), dim=1),
        pixel_values=pixels,
        decoder_input_ids=answer,
    ).logits
    return image_tokens, logits


def assert_equal(found: dict[str, float]) -> None:
    too_far = {name: value for name, value in found.items() if not value <= TOLERANCE}
    assert not too_far, f"differences {found}"


@pytest.mark.parametrize(
    ("config", "side"),
    [
        pytest.param(TINY, 96, id="map smaller than a window"),
        pytest.param(TINY, 160, id="map of one window"),
        pytest.param(TINY, 192, id="padded windows"),
        pytest.param(TINY, 224, id="odd map"),
        pytest.param(TINY, 384, id="whole position table"),
        pytest.param(shaped(window_size=12), 384, id="published window"),
        pytest.param(shaped(patch_stride=(4, 2, 2, 1)), 128, id="fine last stage"),
        pytest.param(shaped(depths=(2, 1, 1, 2)), 96, id="other depths"),
        pytest.param(shaped(mlp_ratio=2.0), 96, id="narrow feed-forward"),
        pytest.param(shaped(qkv_bias=False), 96, id="no attention bias"),
        pytest.param(shaped(patch_prenorm=(True, False, True, False)), 96, id="other norms"),
    ],
)
def test_tiny_models_equal_the_oracle(config: Florence2Config, side: int) -> None:
    oracle, ours = make_pair(config, scale=0.15)
    assert_equal(differences(oracle, ours, side))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "num_parameters"),
    [
        pytest.param(base(), 231_414_016, id="base"),
        pytest.param(large(), 770_173_952, id="large"),
        pytest.param(large(positions=4096), 770_173_952 + 2 * 3072 * 1024, id="large 4k"),
    ],
)
def test_published_sizes_equal_the_oracle(config: Florence2Config, num_parameters: int) -> None:
    torch.set_num_threads(os.cpu_count() or 1)
    side = 768 if config.text.max_position_embeddings == 1024 else 384
    oracle, ours = make_pair(config, scale=0.002)
    assert sum(each.numel() for each in ours.parameters()) == num_parameters
    assert_equal(differences(oracle, ours, side, batch=1))
