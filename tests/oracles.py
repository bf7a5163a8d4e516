"""Logits of the tiny models by transformers and by us."""

import torch
from torch import Tensor, nn
from transformers import Florence2Config as OracleConfig
from transformers import Florence2ForConditionalGeneration as Oracle

from florence2.checkpoints.config_files import native_config
from florence2.checkpoints.layouts import NATIVE, to_public
from florence2.model.florence2 import Florence2Model
from tiny_models import CONFIG, tiny_batch

TOLERANCE = 2e-4  # the project's; measured: 1.9e-6, with logits up to 4.3


def oracle_of(model: Florence2Model) -> Oracle:
    """The transformers model with the same weights."""
    settings = native_config(model.config, model.config.text.vocab_size - 1, "float32")
    oracle = Oracle(OracleConfig(**settings)).eval()
    missing, unexpected = oracle.load_state_dict(to_public(model, NATIVE), strict=False)
    assert not unexpected and all(
        "pos_idx" in name or "embed_tokens" in name or "lm_head" in name for name in missing
    )
    return oracle


def oracle_logits(oracle: nn.Module) -> Tensor:
    """By transformers, or PEFT around it."""
    pixels, prompt_ids, token_ids = tiny_batch()
    count, image_id = CONFIG.num_image_tokens(32), oracle.config.image_token_id
    places = torch.full((len(pixels), count), image_id)
    with torch.inference_mode():
        logits: Tensor = oracle(
            input_ids=torch.cat((places, prompt_ids), dim=1),
            pixel_values=pixels,
            decoder_input_ids=token_ids,
        ).logits
    return logits


def our_logits(model: Florence2Model) -> Tensor:
    pixels, prompt_ids, token_ids = tiny_batch()
    with torch.inference_mode():
        memory = model.encode(model.encode_image(pixels), prompt_ids)
        return model.decode(token_ids, memory)
