"""Makers of tiny checkpoints for tests; the names of both layouts are spelt out here again."""

import json
from pathlib import Path

import torch
from torch import Tensor
from transformers import Florence2Config, Florence2ForConditionalGeneration

from florence2.processing.tokenizer import Tokenizer

IMAGE_SIDE = 64
NUM_IMAGE_TOKENS = 1 + 2 * 2
POSITIONS = 40

TEXTS = ["a small car on the road", "the red car and the blue car", "Locate the objects"]

VISION = {
    "embed_dim": [16, 32, 32, 48],
    "depths": [1, 1, 2, 1],
    "num_heads": [1, 2, 2, 3],
    "num_groups": [1, 2, 2, 3],
    "projection_dim": 32,
}
TEXT = {
    "model_type": "bart",
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": POSITIONS,
    "dropout": 0.1,
}


def tiny_tokenizer() -> Tokenizer:
    return Tokenizer.train(TEXTS, vocab_size=300)


def tiny_oracle(vocab_size: int, seed: int = 0) -> Florence2ForConditionalGeneration:
    """A random transformers model; every parameter differs from its start value."""
    config = Florence2Config(
        vision_config=VISION,
        text_config=TEXT | {"vocab_size": vocab_size},
        image_token_id=vocab_size - 1,
    )
    torch.manual_seed(seed)
    model = Florence2ForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.2 * torch.randn_like(parameter))
    return model


def oracle_logits(model, pixels: Tensor, prompt_ids: Tensor, token_ids: Tensor) -> Tensor:
    """Logits of the transformers model, which wants a placeholder for each image token."""
    image_ids = prompt_ids.new_full(
        (len(prompt_ids), NUM_IMAGE_TOKENS), model.config.image_token_id
    )
    with torch.inference_mode():
        return model(
            input_ids=torch.cat((image_ids, prompt_ids), dim=1),
            pixel_values=pixels,
            decoder_input_ids=token_ids,
        ).logits


def our_logits(model, pixels: Tensor, prompt_ids: Tensor, token_ids: Tensor) -> Tensor:
    with torch.inference_mode():
        memory = model.encode(model.encode_image(pixels), prompt_ids)
        return model.decode(token_ids, memory)


def inputs(seed: int = 1, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels, prompt ids and answer ids that every tiny vocabulary has."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randn(2, 3, IMAGE_SIDE, IMAGE_SIDE, generator=generator).to(dtype)
    prompt_ids = torch.randint(3, 250, (2, 7), generator=generator)
    token_ids = torch.randint(3, 250, (2, 5), generator=generator)
    return pixels, prompt_ids, token_ids


# Public names, native part and original part, in the order of replacement. Written from the
# published conversion, on purpose not derived from the table of the package.
_ORIGINAL_OF_NATIVE = (
    ("model.vision_tower.", "vision_tower."),
    (".spatial_block.norm1.", ".spatial_block.window_attn.norm."),
    (".channel_block.norm1.", ".channel_block.channel_attn.norm."),
    (".norm2.", ".ffn.norm."),
    (".conv1.", ".conv1.fn.dw."),
    (".conv2.", ".conv2.fn.dw."),
    ("_attn.qkv.", "_attn.fn.qkv."),
    ("_attn.proj.", "_attn.fn.proj."),
    (".ffn.fc", ".ffn.fn.net.fc"),
    (".conv.", ".proj."),
    ("model.multi_modal_projector.image_projection.weight", "image_projection"),
    ("model.multi_modal_projector.image_proj_norm.", "image_proj_norm."),
    ("model.multi_modal_projector.image_position_embed.", "image_pos_embed."),
    ("model.multi_modal_projector.visual_temporal_embed.", "visual_temporal_embed."),
    ("lm_head.", "language_model.lm_head."),
)


def original_name(native: str) -> str:
    """The published original name of a native one."""
    if native.startswith("model.language_model."):
        return native.replace("model.language_model.", "language_model.model.", 1)
    for theirs, ours in _ORIGINAL_OF_NATIVE:
        native = native.replace(theirs, ours)
    return native


def original_state(native_state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A native state dict under original names, with the zero bias of the original."""
    state = {original_name(name): tensor for name, tensor in native_state.items()}
    state["image_projection"] = state["image_projection"].t().contiguous()
    vocab_size = len(state["language_model.model.shared.weight"])
    state["language_model.final_logits_bias"] = torch.zeros(1, vocab_size)
    return state


def original_config(vocab_size: int, **text: object) -> dict:
    """config.json in the words of the original."""
    vision = {key: value for key, value in VISION.items() if key != "embed_dim"}
    return {
        "model_type": "florence2",
        "bos_token_id": 0,
        "eos_token_id": 2,
        "pad_token_id": 1,
        "projection_dim": 32,
        "vocab_size": vocab_size,
        "text_config": {
            **{key: value for key, value in TEXT.items() if key != "model_type"},
            **{"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1},
            **{"vocab_size": vocab_size, "decoder_start_token_id": 2, "num_beams": 3},
            **text,
        },
        "vision_config": {
            "model_type": "davit",
            **vision,
            "dim_embed": VISION["embed_dim"],
            "patch_size": [7, 3, 3, 3],
            "patch_stride": [4, 2, 2, 2],
            "patch_padding": [3, 1, 1, 1],
            "patch_prenorm": [False, True, True, True],
            "window_size": 12,
            "visual_temporal_embedding": {"type": "COSINE", "max_temporal_embeddings": 100},
            "image_pos_embed": {"type": "learned_abs_2d", "max_pos_embeddings": 50},
            "image_feature_source": ["spatial_avg_pool", "temporal_avg_pool"],
        },
    }


def write_json(path: Path, values: object) -> None:
    path.write_text(json.dumps(values), encoding="utf-8")


def add_side_files(folder: Path, tokenizer: Tokenizer) -> Path:
    """What a folder needs beside weights and config.json."""
    tokenizer.save(folder / "tokenizer.json")
    side = {"height": IMAGE_SIDE, "width": IMAGE_SIDE}
    write_json(folder / "preprocessor_config.json", {"size": side})
    return folder


def original_folder(folder: Path, oracle, tokenizer: Tokenizer, name: str) -> Path:
    """A folder in the original layout; the suffix of the weights file decides on its format."""
    from safetensors.torch import save_file

    folder.mkdir(exist_ok=True)
    state = original_state(oracle.state_dict())
    if name.endswith(".bin"):
        torch.save(state, folder / name)
    else:
        save_file({key: tensor.clone() for key, tensor in state.items()}, folder / name)
    vocab_size = oracle.config.text_config.vocab_size
    write_json(folder / "config.json", original_config(vocab_size))
    return add_side_files(folder, tokenizer)
