"""Layers on weights that are packed once, with what follows in the same pass.

PyTorch's own linear packs its weights again at each call and writes its output several times: for
the bias, the activation, the sum with the residual. oneDNN, which PyTorch brings along, does all
that in one pass over packed weights; `torch.compile` uses the same operators.

Shapes: `M` rows, `K` inputs, `N` outputs; leading axes are free.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_dnn, _quantized = torch.ops.mkldnn, torch.ops.onednn
NONE: list[None] = []


def can_pack() -> bool:
    """Whether this build of PyTorch has the operators; those for ARM and others may not."""
    return bool(torch.backends.mkldnn.is_available()) and hasattr(_dnn, "_linear_pointwise")


@cache
def can_pack_bfloat16() -> bool:
    """Whether oneDNN computes bfloat16 on this processor, and as it is held to by its settings.

    Asked by packing: what it needs (AVX-512, or AVX-NE-CONVERT) differs from release to release.
    """
    if not can_pack():
        return False
    try:
        # Without values: to draw some would change what a training draws next.
        convolution = nn.utils.skip_init(nn.Conv2d, 16, 16, 3, padding=1)
        Convolution(convolution, 4, torch.bfloat16)(torch.zeros(1, 4, 4, 16, dtype=torch.bfloat16))
        Linear(torch.zeros(16, 16), None, torch.bfloat16)(torch.zeros(1, 16, dtype=torch.bfloat16))
        return True
    except RuntimeError:
        return False


@cache
def can_quantize() -> bool:
    """Whether products of 8-bit integers are fast here, and right.

    Without VNNI they are emulated, and sums of two products saturate at 16 bits. A setting may hold
    oneDNN to less than the processor can, so a large product is computed and looked at.
    """
    if not (can_pack_bfloat16() and torch.cpu._is_vnni_supported()):
        return False
    weight_NK = torch.full((16, 32), 127.0)
    x_MK = torch.arange(96.0, 128.0)[None]  # the scale is 1: nothing is rounded
    try:
        return torch.allclose(QuantizedLinear(weight_NK, None).rows(x_MK), x_MK @ weight_NK.T)
    except RuntimeError:
        return False


if can_pack():
    # By their full names: a call that leaves the choice among them to PyTorch first tries the
    # wrong one, and words an error with all numbers of the bias in it, which takes longer than
    # the product.
    _linear, _linear_add = _dnn._linear_pointwise.default, _dnn._linear_pointwise.binary
    _convolution = _dnn._convolution_pointwise.default
    _convolution_add = _dnn._convolution_pointwise.binary
    _quantized_linear = _quantized.qlinear_pointwise.default


class PackedLinear(Protocol):
    """`x W^T + b`."""

    def __call__(self, x: Tensor) -> Tensor: ...

    def gelu(self, x: Tensor) -> Tensor:
        """The exact GELU of it."""
        ...

    def add(self, x: Tensor, other: Tensor) -> Tensor:
        """The sum of it and `other`."""
        ...


class Linear:
    """A linear in float32 or bfloat16."""

    def __init__(self, weight_NK: Tensor, bias_N: Tensor | None, dtype: torch.dtype) -> None:
        # The number of rows is a hint that made no difference from 1 to 2,304 rows.
        weight_NK = weight_NK.detach().to(dtype).contiguous()
        self._weight = _dnn._reorder_linear_weight(weight_NK, 64)
        self._bias = None if bias_N is None else bias_N.detach().to(dtype, copy=True)

    def __call__(self, x: Tensor) -> Tensor:
        packed: Tensor = _linear(x, self._weight, self._bias, "none", NONE, "")
        return packed

    def gelu(self, x: Tensor) -> Tensor:
        packed: Tensor = _linear(x, self._weight, self._bias, "gelu", NONE, "none")
        return packed

    def add(self, x: Tensor, other: Tensor) -> Tensor:
        packed: Tensor = _linear_add(x, other, self._weight, self._bias, "add")
        return packed


class QuantizedLinear:
    """A linear whose weights are 8-bit integers, with a scale for each output.

    Inputs are quantized at each call with one scale, so `x` must belong to one request: the answer
    of another must not change it.
    """

    def __init__(self, weight_NK: Tensor, bias_N: Tensor | None) -> None:
        self._scales = torch.empty(len(weight_NK))
        self._zeros = torch.zeros(len(weight_NK), dtype=torch.long)
        integers = torch.empty(weight_NK.shape, dtype=torch.int8)
        # So many rows stay in the processor's cache, which makes this five times faster.
        parts = (each.split(CACHED_ROWS) for each in (weight_NK.detach(), self._scales, integers))
        for weight_PK, scales_P, integers_PK in zip(*parts, strict=True):
            weight_PK = weight_PK.to(torch.float32, copy=True)
            scales_P.copy_(weight_PK.abs().amax(1).clamp_(min=1e-12) / 127)
            integers_PK.copy_(weight_PK.div_(scales_P[:, None]).round_())
        self._weight = _quantized.qlinear_prepack(integers, [64, weight_NK.shape[1]])
        self._bias = None if bias_N is None else bias_N.detach().float()

    def __call__(self, x: Tensor) -> Tensor:
        return self._product(x, "none", "")

    def gelu(self, x: Tensor) -> Tensor:
        return self._product(x, "gelu", "none")

    def add(self, x: Tensor, other: Tensor) -> Tensor:
        return self._product(x, "none", "").add_(other)

    def rows(self, x_BTK: Tensor) -> Tensor:
        """The products in float32, each row of the inputs with a scale of its own."""
        x_BTK = x_BTK.float()
        scales_BT1 = x_BTK.abs().amax(-1, keepdim=True).clamp_(min=1e-12) / 127
        integers = unsigned(x_BTK / scales_BT1)
        return self._scaled(integers, 1.0, torch.float32, "none", "").mul_(scales_BT1)

    def _product(self, x: Tensor, activation: str, kind: str) -> Tensor:
        integers, scale = quantized(x)
        return self._scaled(integers, scale, torch.bfloat16, activation, kind)

    def _scaled(
        self, integers: Tensor, scale: float, dtype: torch.dtype, activation: str, kind: str
    ) -> Tensor:
        product: Tensor = _quantized_linear(
            *(integers, scale, ZERO_POINT, self._weight, self._scales, self._zeros, self._bias),
            *(1.0, 0, dtype, activation, NONE, kind),
        )
        return product


CACHED_ROWS = 128
ZERO_POINT = 128  # of unsigned integers; signed ones are emulated on processors with VNNI alone


def quantized(x: Tensor) -> tuple[Tensor, float]:
    """`x` as unsigned 8-bit integers around `ZERO_POINT`, and the step between two of them."""
    low, high = torch.aminmax(x)
    scale = max(-low.item(), high.item(), 1e-12) / 127
    return unsigned(x * (1 / scale)), scale


def unsigned(x: Tensor) -> Tensor:
    """Numbers from -127 to 127, rounded, as unsigned bytes around `ZERO_POINT`; `x` is used up."""
    # Adding 128 to a signed byte flips its first bit; converting to unsigned bytes is 8 times
    # slower than to signed ones.
    return x.round_().to(torch.int8).view(torch.uint8).bitwise_xor_(ZERO_POINT)


class Convolution:
    """A convolution of square maps `B H W C` of one side."""

    def __init__(self, conv: nn.Conv2d, side: int, dtype: torch.dtype) -> None:
        (padding, _), (stride, _) = conv.padding, conv.stride
        self._how = [padding] * 2, [stride] * 2, [1, 1], conv.groups
        self.side_after = (side + 2 * int(padding) - conv.kernel_size[0]) // stride + 1
        self._weight = _dnn._reorder_convolution_weight(
            conv.weight.detach().to(dtype), *self._how, [1, conv.in_channels, side, side]
        )
        self._bias = None if conv.bias is None else conv.bias.detach().to(dtype)

    def __call__(self, x_BHWC: Tensor) -> Tensor:
        x_BCHW = x_BHWC.permute(0, 3, 1, 2)
        weights = self._weight, self._bias
        y_BCHW: Tensor = _convolution(x_BCHW, *weights, *self._how, "none", NONE, "")
        return y_BCHW.permute(0, 2, 3, 1)

    def add_to(self, x_BHWC: Tensor) -> Tensor:
        """The sum of a map and its convolution."""
        x_BCHW = x_BHWC.permute(0, 3, 1, 2)
        y_BCHW: Tensor = _convolution_add(
            *(x_BCHW, x_BCHW, self._weight, self._bias, *self._how),
            *("add", 1.0, None, NONE, None),
        )
        return y_BCHW.permute(0, 2, 3, 1)


class Norm:
    """A layer norm."""

    def __init__(self, norm: nn.LayerNorm, dtype: torch.dtype) -> None:
        self._shape, self._eps = norm.normalized_shape, norm.eps
        self._weight, self._bias = norm.weight.detach().to(dtype), norm.bias.detach().to(dtype)

    def __call__(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self._shape, self._weight, self._bias, self._eps)


@dataclass(frozen=True)
class Packer:
    """Makes layers from the weights of the plain model, whatever dtype these are stored in.

    Attributes:
        dtype: to compute in.
        quantizes: whether linears are `QuantizedLinear`.
        on_layer_packed: called after each layer, whose stored weights are not read again.
    """

    dtype: torch.dtype
    quantizes: bool = False
    on_layer_packed: Callable[[], None] = lambda: None

    def linear(self, weight_NK: Tensor, bias_N: Tensor | None) -> PackedLinear:
        layer: PackedLinear
        if self.quantizes:
            layer = QuantizedLinear(weight_NK, bias_N)
        else:
            layer = Linear(weight_NK, bias_N, self.dtype)
        self.on_layer_packed()
        return layer

    def convolution(self, conv: nn.Conv2d, side: int) -> Convolution:
        return Convolution(conv, side, self.dtype)

    def norm(self, norm: nn.LayerNorm) -> Norm:
        return Norm(norm, self.dtype)
