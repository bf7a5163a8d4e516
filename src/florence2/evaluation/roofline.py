"""Roofline: what bounds a stage, the machine's rates and the work of the model.

It counts FLOPs with PyTorch, so it is imported where it is used.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from florence2.model.config import Florence2Config
from florence2.model.florence2 import Florence2Model
from florence2.runtimes.pytorch.packed.linears import Packer, can_pack
from florence2.runtimes.pytorch.packed.model import PackedModel
from florence2.runtimes.pytorch.runtime import TorchRuntime
from florence2.runtimes.select import Precision, select_runtime

RATE_SHAPE = 2304, 2048, 2048  # rows, inputs, outputs: what the tower's linears are like
BANDWIDTH_FLOATS = 1 << 26  # 256 MiB, beyond any cache


@dataclass(frozen=True)
class Machine:
    """What the machine can do, measured in a precision: products of matrices and reading."""

    gflops: float
    gbytes_per_s: float


def measure_machine(precision: Precision, device: torch.device) -> Machine:
    """Measure what bounds the stages."""
    rows, inputs, outputs = RATE_SHAPE
    dtype = torch.float32 if precision == "float32" else torch.bfloat16
    weight = torch.randn(outputs, inputs, device=device, dtype=dtype)
    x = torch.randn(rows, inputs, device=device, dtype=dtype)
    linear: Callable[[torch.Tensor], torch.Tensor]
    if device.type == "cpu" and can_pack():
        linear = Packer(dtype, precision == "int8").linear(weight, None)
    else:
        linear = torch.nn.Linear(inputs, outputs, bias=False, device=device, dtype=dtype)
    floats = torch.ones(BANDWIDTH_FLOATS, device=device)
    with torch.inference_mode():
        product_s = _best(lambda: linear(x), device)
        read_s = _best(lambda: floats.sum(), device)
    return Machine(2 * rows * inputs * outputs / product_s / 1e9, floats.nbytes / read_s / 1e9)


def _best(work: Callable[[], object], device: torch.device, times: int = 12) -> float:
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def itemsizes_of(runtime: TorchRuntime, precision: Precision) -> tuple[int, int]:
    """Bytes of a weight, and of a weight of the word embedding where it makes logits."""
    itemsize = 4 if precision == "float32" else 2
    packed = runtime.model
    small_words = isinstance(packed, PackedModel) and packed.quantizes_words
    return itemsize, 1 if small_words else itemsize


def work_of(config: Florence2Config, itemsize: int, word_itemsize: int) -> tuple[float, float]:
    """Operations of the tower for a picture, and bytes of weights that a step reads."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        model = Florence2Model(config)
        pixels = torch.empty(1, 3, config.image_side, config.image_side)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.encode_image(pixels)
    once = sum(  # keys and values of the memory are made when a request begins
        parameter.numel()
        for name, parameter in model.text_decoder.layers.named_parameters()
        if "encoder_attn.k_proj" not in name and "encoder_attn.v_proj" not in name
    )
    words = model.shared.weight.numel()
    return counter.get_total_flops(), once * itemsize + words * word_itemsize


def random_runtime(config: Florence2Config, precision: Precision) -> TorchRuntime:
    """A model of this size with random weights, on the CPU."""
    model = Florence2Model(config).initialize(torch.Generator().manual_seed(0))
    return select_runtime(model, precision)
