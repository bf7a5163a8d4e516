"""Which stored tensors a model can answer with: floating-point numbers, and all of them finite.

One NaN is enough for empty answers and for training that never learns.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from florence2.errors import WeightsError, first_few

_PAIRS_OF_FOUR_BITS = getattr(torch, "float4_e2m1fn_x2", None)
_READ_BYTES = 1 << 26  # between two calls of `on_read`


def is_eight_bit(dtype: torch.dtype) -> bool:
    """Whether this is one of the FP8 dtypes, with which torch does not compute."""
    return dtype.is_floating_point and dtype.itemsize == 1


def check_dtypes(stored: Mapping[str, Tensor]) -> None:
    """Raise for tensors that are no dense arrays of floating-point numbers."""
    kinds: dict[str, list[str]] = {}
    for name, tensor in stored.items():
        if kind := _odd_kind(tensor):
            kinds.setdefault(kind, []).append(name)
    if kinds:
        found = "; ".join(
            f"{len(n):,} weights are {kind} ({first_few(n)})" for kind, n in kinds.items()
        )
        raise WeightsError(
            f"{found}, as in quantised checkpoints; use a float16, bfloat16 or float32 checkpoint"
        )


def _odd_kind(tensor: Tensor) -> str | None:
    dtype = tensor.dtype
    if tensor.is_meta:
        return "names without values (meta tensors)"
    if tensor.is_quantized or tensor.layout != torch.strided:
        return "sparse or quantised tensors"
    if dtype == torch.bool:
        return "truth values"
    if dtype.is_complex:
        return "complex numbers"
    if dtype == _PAIRS_OF_FOUR_BITS:
        return "packed pairs of 4-bit numbers"
    return None if dtype.is_floating_point else "whole numbers"


def check_finite(stored: Mapping[str, Tensor], on_read: Callable[[], None]) -> None:
    """Raise if a value is NaN, infinite, or beyond the range of float32.

    Args:
        on_read: called whenever many bytes were read.
    """
    places: dict[int, Tensor] = {}  # copies of the word embedding often share one memory
    odd, unreported = [], 0
    for name, tensor in stored.items():
        twin = places.setdefault(tensor.data_ptr(), tensor)
        if twin is not tensor and (twin.shape, twin.dtype) == (tensor.shape, tensor.dtype):
            continue
        if not _is_finite(tensor):
            odd.append(f"{name}: {_odd_values(tensor)}")
        unreported += tensor.nbytes
        if unreported > _READ_BYTES:
            on_read()
            unreported = 0
    on_read()
    if odd:
        raise WeightsError(
            f"{len(odd):,} of {len(stored):,} weights hold values that are no finite numbers"
            f" ({first_few(odd)}), and no answer would mean anything; fetch the checkpoint again,"
            " or use one from before its training diverged"
        )


def _is_finite(tensor: Tensor) -> bool:
    if is_eight_bit(tensor.dtype):
        every = torch.arange(256, dtype=torch.uint8)
        odd = every[~every.view(tensor.dtype).float().isfinite()].tolist()
        values = tensor.view(torch.uint8)
        return not any((values == each).any() for each in odd)
    if tensor.dtype == torch.float64:
        tensor = tensor.float()
    # Sums of rows are finite where all values are, and take a twentieth of the time of `isfinite`.
    rows = tensor.flatten(1) if tensor.ndim > 1 else tensor.flatten()
    return bool(rows.sum(-1).isfinite().all()) or bool(tensor.isfinite().all())


def _odd_values(tensor: Tensor) -> str:
    values = tensor.float()
    counts = {"NaN": values.isnan(), "infinite": values.isinf()}
    found = [f"{int(mask.sum()):,} {kind}" for kind, mask in counts.items() if mask.any()]
    return f"{' and '.join(found)} of {tensor.numel():,}"


def check_in_range(name: str, stored: torch.dtype, converted: Tensor) -> None:
    """Raise if a weight was finite as it was stored and is not in a dtype of less range."""
    wide, narrow = (torch.finfo(dtype).max for dtype in (stored, converted.dtype))
    if wide > narrow and not _is_finite(converted):
        raise WeightsError(
            f"weight {name!r} holds values beyond the range of"
            f" {str(converted.dtype).removeprefix('torch.')}; use precision 'float32' or 'bfloat16'"
        )
