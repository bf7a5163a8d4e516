"""DaViT, the vision tower: windows see space, channel groups see channels (arXiv:2204.03645).

Shapes: `B` batch, `C` channels, `H W` map, `P` positions of a window, `N` heads or channel
groups, `K` channels of one, `Q` all positions of a map.

    pixels -> [convolution -> (spatial block -> channel block) x depth] x stages -> map

Maps travel as `B C H W` tensors; on entry they are put in the channels-last memory format,
in which the `B H W C` view that norms and linears need costs no copy.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from florence2.model.config import VisionConfig


def attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Softmax attention over the last two axes as plain matrix products.

    Windows and channel groups are many and small. On such shapes the backward pass of PyTorch's
    fused CPU kernel is slow (28 % of a training step in an early experiment).
    """
    weights = torch.softmax(torch.matmul(query * scale, key.transpose(-1, -2)), dim=-1)
    return torch.matmul(weights, value)


class ConvEmbed(nn.Module):
    """Overlapping patch embedding: norm before the convolution, except in the first stage."""

    def __init__(self, config: VisionConfig, stage: int):
        super().__init__()
        in_channels = 3 if stage == 0 else config.embed_dim[stage - 1]
        channels = config.embed_dim[stage]
        self.prenorm = config.patch_prenorm[stage]
        self.conv = nn.Conv2d(
            in_channels,
            channels,
            config.patch_size[stage],
            stride=config.patch_stride[stage],
            padding=config.patch_padding[stage],
        )
        self.norm = nn.LayerNorm(in_channels if self.prenorm else channels)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        if self.prenorm:
            return self.conv(self._normed(x_BCHW))
        return self._normed(self.conv(x_BCHW))

    def _normed(self, x_BCHW: Tensor) -> Tensor:
        return self.norm(x_BCHW.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class WindowAttention(nn.Module):
    """Self-attention inside square windows, without shift, mask or position bias.

    A map that does not divide is padded with zeros on the right and bottom after the norm;
    the padded positions take part in the softmax and are cropped afterwards, as in training.
    """

    def __init__(self, channels: int, num_heads: int, window: int, qkv_bias: bool):
        super().__init__()
        self.num_heads = num_heads
        self.window = window
        self.qkv = nn.Linear(channels, 3 * channels, bias=qkv_bias)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x_BHWC: Tensor) -> Tensor:
        height, width = x_BHWC.shape[1:3]
        side = self.window
        pad_right, pad_bottom = -width % side, -height % side
        if pad_right or pad_bottom:
            x_BHWC = F.pad(x_BHWC, (0, 0, 0, pad_right, 0, pad_bottom))
        batch, padded_height, padded_width, channels = x_BHWC.shape
        rows, columns = padded_height // side, padded_width // side
        windows = x_BHWC.view(batch, rows, side, columns, side, channels).transpose(2, 3)
        qkv = self.qkv(windows.reshape(-1, side * side, channels))
        qkv = qkv.view(-1, side * side, 3, self.num_heads, channels // self.num_heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = attend(query, key, value, (channels // self.num_heads) ** -0.5)
        out = self.proj(mixed.transpose(1, 2).reshape(-1, side * side, channels))
        out = out.view(batch, rows, columns, side, side, channels).transpose(2, 3)
        out = out.reshape(batch, padded_height, padded_width, channels)
        return out[:, :height, :width]


class ChannelAttention(nn.Module):
    """Attention between the channels of a group, over all positions of the map.

    The scale is one over the square root of the number of positions: it depends on the
    resolution, unlike in the original DaViT for ImageNet.
    """

    def __init__(self, channels: int, num_groups: int, qkv_bias: bool):
        super().__init__()
        self.num_groups = num_groups
        self.qkv = nn.Linear(channels, 3 * channels, bias=qkv_bias)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x_BHWC: Tensor) -> Tensor:
        batch, height, width, channels = x_BHWC.shape
        positions = height * width
        qkv = self.qkv(x_BHWC).view(
            batch, positions, 3, self.num_groups, channels // self.num_groups
        )
        query, key, value = qkv.permute(2, 0, 3, 4, 1).unbind(0)  # each B N K Q
        mixed = attend(query, key, value, positions**-0.5)
        return self.proj(mixed.permute(0, 3, 1, 2).reshape(batch, height, width, channels))


class FeedForward(nn.Module):
    """Two linears around an exact GELU."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


def drop_path(x: Tensor, rate: float, training: bool) -> Tensor:
    """Zero whole samples of a residual branch at random while training."""
    if rate == 0.0 or not training:
        return x
    keep = torch.rand(x.shape[0], 1, 1, 1, device=x.device) >= rate
    return x * keep.to(x.dtype) / (1.0 - rate)


class Block(nn.Module):
    """Four residual steps: depthwise convolution, attention, depthwise convolution, MLP.

    The convolutions carry the position information; there is no other inside the tower.
    """

    def __init__(self, config: VisionConfig, stage: int, drop_rate: float):
        super().__init__()
        channels = config.embed_dim[stage]
        self.drop_rate = drop_rate
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm1 = nn.LayerNorm(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm2 = nn.LayerNorm(channels)
        self.ffn = FeedForward(channels, int(channels * config.mlp_ratio))

    def attention(self) -> nn.Module:
        raise NotImplementedError

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BCHW = x_BCHW + self.conv1(x_BCHW)
        x_BHWC = x_BCHW.permute(0, 2, 3, 1)
        mixed = self.attention()(self.norm1(x_BHWC))
        x_BHWC = x_BHWC + drop_path(mixed, self.drop_rate, self.training)
        x_BCHW = x_BHWC.permute(0, 3, 1, 2)
        x_BCHW = x_BCHW + self.conv2(x_BCHW)
        x_BHWC = x_BCHW.permute(0, 2, 3, 1)
        mixed = self.ffn(self.norm2(x_BHWC))
        x_BHWC = x_BHWC + drop_path(mixed, self.drop_rate, self.training)
        return x_BHWC.permute(0, 3, 1, 2)


class SpatialBlock(Block):
    """A block whose attention mixes positions within windows."""

    def __init__(self, config: VisionConfig, stage: int, drop_rate: float):
        super().__init__(config, stage, drop_rate)
        self.window_attn = WindowAttention(
            config.embed_dim[stage], config.num_heads[stage], config.window_size, config.qkv_bias
        )

    def attention(self) -> nn.Module:
        return self.window_attn


class ChannelBlock(Block):
    """A block whose attention mixes channels within groups."""

    def __init__(self, config: VisionConfig, stage: int, drop_rate: float):
        super().__init__(config, stage, drop_rate)
        self.channel_attn = ChannelAttention(
            config.embed_dim[stage], config.num_groups[stage], config.qkv_bias
        )

    def attention(self) -> nn.Module:
        return self.channel_attn


class BlockPair(nn.Module):
    """One unit of depth: a spatial block, then a channel block."""

    def __init__(self, config: VisionConfig, stage: int, drop_rates: tuple[float, float]):
        super().__init__()
        self.spatial_block = SpatialBlock(config, stage, drop_rates[0])
        self.channel_block = ChannelBlock(config, stage, drop_rates[1])

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.channel_block(self.spatial_block(x_BCHW))


class VisionTower(nn.Module):
    """All stages; no norm follows the last one."""

    def __init__(self, config: VisionConfig):
        super().__init__()
        stages = range(len(config.embed_dim))
        last_block = 2 * sum(config.depths) - 1
        ramp = [config.drop_path_rate * i / max(last_block, 1) for i in range(last_block + 1)]
        first_unit = [sum(config.depths[:stage]) for stage in stages]
        self.convs = nn.ModuleList(ConvEmbed(config, stage) for stage in stages)
        self.blocks = nn.ModuleList(
            nn.ModuleList(
                BlockPair(config, stage, (ramp[2 * unit], ramp[2 * unit + 1]))
                for unit in range(first_unit[stage], first_unit[stage] + config.depths[stage])
            )
            for stage in stages
        )

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        """Pixels `(B, 3, h, w)` to the feature map `(B, C, H, W)` of the last stage."""
        x_BCHW = pixels_BCHW.contiguous(memory_format=torch.channels_last)
        for conv, units in zip(self.convs, self.blocks, strict=True):
            x_BCHW = conv(x_BCHW)
            for unit in units:
                x_BCHW = unit(x_BCHW)
        return x_BCHW
