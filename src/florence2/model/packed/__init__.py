"""The model on packed weights, for CPUs."""

from florence2.model.packed.linears import can_pack, can_quantize
from florence2.model.packed.model import PackedModel, Precision

__all__ = ["PackedModel", "Precision", "can_pack", "can_quantize"]
