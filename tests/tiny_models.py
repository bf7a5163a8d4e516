"""A tiny model in the shapes that matter for training: every kind of linear, two layers of text."""

import torch
from torch import Tensor

from florence2.model.config import Florence2Config, TextConfig, VisionConfig
from florence2.model.florence2 import Florence2Model

CONFIG = Florence2Config(
    vision=VisionConfig(
        embed_dim=(16, 32),
        depths=(1, 1),
        num_heads=(1, 2),
        num_groups=(1, 2),
        patch_size=(7, 3),
        patch_stride=(4, 2),
        patch_padding=(3, 1),
        patch_prenorm=(False, True),
        window_size=4,
        drop_path_rate=0.0,
    ),
    text=TextConfig(
        vocab_size=320,
        d_model=32,
        encoder_layers=2,
        decoder_layers=1,
        encoder_heads=2,
        decoder_heads=4,
        encoder_ffn_dim=64,
        decoder_ffn_dim=48,
        max_position_embeddings=64,
        dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
    ),
    image_side=32,
)

# One stage, for what needs a model but not its shapes.
SMALLEST = Florence2Config(
    vision=VisionConfig(
        embed_dim=(8,),
        depths=(1,),
        num_heads=(1,),
        num_groups=(1,),
        patch_size=(7,),
        patch_stride=(8,),
        patch_padding=(3,),
        patch_prenorm=(False,),
        window_size=4,
    ),
    text=TextConfig(
        vocab_size=60,
        d_model=16,
        encoder_layers=1,
        decoder_layers=2,
        encoder_heads=2,
        decoder_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_position_embeddings=48,
    ),
    image_side=16,
)


def tiny_model(config: Florence2Config = CONFIG) -> Florence2Model:
    """A random model in evaluation mode; every parameter differs from its start value."""
    generator = torch.Generator().manual_seed(3)
    model = Florence2Model(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0.0, 0.2, generator=generator)
            if "norm" in name and name.endswith("weight"):
                parameter.add_(1.0)
    return model


def tiny_batch() -> tuple[Tensor, Tensor, Tensor]:
    """Pixels, prompt ids and labels for `Florence2Model.forward`."""
    generator = torch.Generator().manual_seed(4)
    pixels = torch.randn(2, 3, 32, 32, generator=generator)
    prompt_ids = torch.randint(3, 250, (2, 5), generator=generator)
    labels = torch.randint(3, 250, (2, 6), generator=generator)
    return pixels, prompt_ids, labels
