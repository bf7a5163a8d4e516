"""From the feature map of the tower to the image tokens that the text encoder reads.

Shapes: `B` batch, `C` channels of the map, `H W` map, `I` = 1 + H*W image tokens, `D` text width.
"""

import math

import torch
from torch import Tensor, nn

from florence2.model.config import VisionConfig


def sinusoid_table(positions: int, channels: int) -> Tensor:
    """Fixed table `(positions, channels)`: even channels sine, odd channels cosine."""
    half = channels // 2
    frequencies = torch.exp(torch.arange(half).float() * -(math.log(10000) / half))
    angles = torch.arange(positions).float()[:, None] * frequencies[None, :]
    return torch.stack((torch.sin(angles), torch.cos(angles)), dim=-1).flatten(1)


class PositionEmbedding2D(nn.Module):
    """Learned tables for columns and rows; the column half comes first on the channel axis."""

    def __init__(self, config: VisionConfig):
        super().__init__()
        half = config.width // 2
        self.row_embeddings = nn.Embedding(config.max_positions, half)
        self.column_embeddings = nn.Embedding(config.max_positions, config.width - half)

    def forward(self, height: int, width: int) -> Tensor:
        """`(H, W, C)` for a map of that size, from the top left corner of the tables."""
        rows = self.row_embeddings.weight[:height, None].expand(-1, width, -1)
        columns = self.column_embeddings.weight[None, :width].expand(height, -1, -1)
        return torch.cat((columns, rows), dim=-1)


class TemporalEmbedding(nn.Module):
    """Row 0 of a fixed sinusoid: a still picture adds the pattern 0, 1, 0, 1, ... It is no no-op.

    The table is a buffer because published checkpoints store it.
    """

    def __init__(self, config: VisionConfig):
        super().__init__()
        table = sinusoid_table(config.max_temporal_positions, config.width)
        self.register_buffer("pos_idx_to_embed", table)

    def forward(self) -> Tensor:
        return self.pos_idx_to_embed[0]


class Projector(nn.Module):
    """Add positions, put the global mean in front, project, normalise."""

    def __init__(self, config: VisionConfig, text_width: int):
        super().__init__()
        self.image_projection = nn.Linear(config.width, text_width, bias=False)
        self.image_proj_norm = nn.LayerNorm(text_width)
        self.image_position_embed = PositionEmbedding2D(config)
        self.visual_temporal_embed = TemporalEmbedding(config)

    def forward(self, map_BCHW: Tensor) -> Tensor:
        """Feature map `(B, C, H, W)` to image tokens `(B, I, D)`; token 0 is the global mean."""
        height, width = map_BCHW.shape[2:]
        x_BHWC = map_BCHW.permute(0, 2, 3, 1)
        x_BHWC = x_BHWC + self.image_position_embed(height, width) + self.visual_temporal_embed()
        x_BQC = x_BHWC.flatten(1, 2)
        x_BIC = torch.cat((x_BQC.mean(dim=1, keepdim=True), x_BQC), dim=1)
        return self.image_proj_norm(self.image_projection(x_BIC))
