"""The vision tower on packed weights; computes what `florence2.model.davit` computes.

Maps travel as contiguous `B H W C` tensors: what convolutions call channels-last.

Shapes: `P` = H * W positions, `X` windows, `Y` positions of one, `G` heads or groups, `Q` their
width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from florence2.model import davit
from florence2.runtimes.pytorch.packed.linears import PackedLinear, Packer

# From so many keys on, PyTorch's fused attention beats plain products in windows: 62 against 90 ms
# for the 1,024 windows of the first stage, 15 against 13 ms for the 256 of the third.
MANY_WINDOWS = 512

# The feed-forward part takes so many positions at a time: four times as wide as the map, they stay
# in the processor's cache. The first stage's takes 60 in place of 80 ms in bfloat16, 60 in place of
# 98 in 8-bit integers, which then also have a scale for each part.
FEW_ROWS = 2304


class PackedTower:
    """All stages.

    Args:
        tower: of the model.
        side: of the pictures.
        packer: makes the layers.
    """

    def __init__(self, tower: davit.VisionTower, side: int, packer: Packer) -> None:
        self._stages: list[tuple[_ConvEmbed, list[_Block]]] = []
        for conv, pairs in zip(tower.convs, tower.blocks, strict=True):
            embed = _ConvEmbed(conv, side, packer)
            side = embed.side
            blocks = [_Block(block, side, packer) for pair in pairs for block in pair.children()]
            self._stages.append((embed, blocks))

    def __call__(self, pixels_BCHW: Tensor) -> Tensor:
        """Pixels to the feature map `(B, C, H, W)` of the last stage."""
        x_BHWC = pixels_BCHW.permute(0, 2, 3, 1).contiguous()
        for embed, blocks in self._stages:
            x_BHWC = embed(x_BHWC)
            for block in blocks:
                x_BHWC = block(x_BHWC)
        return x_BHWC.permute(0, 3, 1, 2)


class _ConvEmbed:
    def __init__(self, embed: davit.ConvEmbed, side: int, packer: Packer) -> None:
        self._conv = packer.convolution(embed.conv, side)
        self._norm = packer.norm(embed.norm)
        self._prenorm = embed.prenorm
        self.side = self._conv.side_after

    def __call__(self, x_BHWC: Tensor) -> Tensor:
        if self._prenorm:
            return self._conv(self._norm(x_BHWC))
        return self._norm(self._conv(x_BHWC))


class _Block:
    def __init__(self, block: davit.Block, side: int, packer: Packer) -> None:
        attention = block.attention()
        if isinstance(attention, davit.WindowAttention):
            self._attention: _Windows | _Channels = _Windows(attention, packer)
        else:
            assert isinstance(attention, davit.ChannelAttention), "there are two kinds"
            self._attention = _Channels(attention, packer)
        self._conv1 = packer.convolution(block.conv1, side)
        self._conv2 = packer.convolution(block.conv2, side)
        self._norm1, self._norm2 = packer.norm(block.norm1), packer.norm(block.norm2)
        self._fc1 = packer.linear(block.ffn.fc1.weight, block.ffn.fc1.bias)
        self._fc2 = packer.linear(block.ffn.fc2.weight, block.ffn.fc2.bias)

    def __call__(self, x_BHWC: Tensor) -> Tensor:
        x_BHWC = self._conv1.add_to(x_BHWC)
        x_BHWC = self._attention(self._norm1(x_BHWC), x_BHWC)
        x_BHWC = self._conv2.add_to(x_BHWC)
        for part_PC in x_BHWC.view(-1, x_BHWC.shape[-1]).split(FEW_ROWS):
            hidden = self._fc1.gelu(self._norm2(part_PC))
            part_PC.copy_(self._fc2.add(hidden, part_PC))
        return x_BHWC


class _Windows:
    """Attention inside square windows; the scale is in the weights of the queries."""

    def __init__(self, attention: davit.WindowAttention, packer: Packer) -> None:
        self._heads, self._window = attention.num_heads, attention.window
        self._qkv = _scaled_queries(attention.qkv, attention.num_heads, packer)
        self._proj = packer.linear(attention.proj.weight, attention.proj.bias)

    def __call__(self, x_BHWC: Tensor, residual_BHWC: Tensor) -> Tensor:
        batch, height, width, channels = x_BHWC.shape
        side, heads = self._window, self._heads
        bottom, right = -height % side, -width % side
        if bottom or right:
            x_BHWC = F.pad(x_BHWC, (0, 0, 0, right, 0, bottom))
        rows, columns = (height + bottom) // side, (width + right) // side
        windows = x_BHWC.view(batch, rows, side, columns, side, channels).transpose(2, 3)
        windows_XYC = windows.reshape(-1, side * side, channels)
        qkv = self._qkv(windows_XYC).view(-1, side * side, 3, heads, channels // heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each X G Y Q
        if len(windows_XYC) * heads >= MANY_WINDOWS:
            mixed = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        else:
            weights = torch.matmul(query, key.transpose(-1, -2)).softmax(-1)
            mixed = torch.matmul(weights, value)
        mixed_XYC = mixed.transpose(1, 2).reshape(-1, side * side, channels)
        parts = mixed_XYC.view(batch, rows, columns, side, side, channels).transpose(2, 3)
        whole = parts.reshape(batch, height + bottom, width + right, channels)
        if bottom or right:
            whole = whole[:, :height, :width].contiguous()
        return self._proj.add(whole, residual_BHWC)


class _Channels:
    """Attention between the channels of a group, over all positions."""

    def __init__(self, attention: davit.ChannelAttention, packer: Packer) -> None:
        self._groups = attention.num_groups
        self._qkv = packer.linear(attention.qkv.weight, attention.qkv.bias)
        self._proj = packer.linear(attention.proj.weight, attention.proj.bias)

    def __call__(self, x_BHWC: Tensor, residual_BHWC: Tensor) -> Tensor:
        batch, height, width, channels = x_BHWC.shape
        positions, groups = height * width, self._groups
        qkv = self._qkv(x_BHWC).view(batch, positions, 3, groups, channels // groups)
        # One copy that puts the positions of a group side by side triples the products' speed.
        qkv = qkv.permute(2, 0, 3, 1, 4).reshape(3, batch * groups, positions, channels // groups)
        query, key, value = qkv
        weights = torch.bmm(query.transpose(1, 2), key).mul_(positions**-0.5).softmax(-1)
        mixed = torch.bmm(value, weights.transpose(1, 2))
        mixed = mixed.view(batch, groups, positions, channels // groups).transpose(1, 2)
        return self._proj.add(mixed.reshape(x_BHWC.shape), residual_BHWC)


def _scaled_queries(qkv: nn.Linear, num_heads: int, packer: Packer) -> PackedLinear:
    """Queries, keys and values as one linear, with the scale of the attention in it."""
    channels = qkv.in_features
    scale = (channels // num_heads) ** -0.5
    weight = qkv.weight.detach().to(torch.float32, copy=True)
    weight[:channels] *= scale
    bias = None
    if qkv.bias is not None:
        bias = qkv.bias.detach().to(torch.float32, copy=True)
        bias[:channels] *= scale
    return packer.linear(weight, bias)
