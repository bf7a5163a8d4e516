"""CUDA graphs: steps of the decoder captured once and replayed, which spares launching each kernel.

A graph knows addresses, not Python: all that changes from step to step must lie in tensors that
stay where they are. A `BatchCache` with a `replay` sees to that.
"""

from collections.abc import Callable, Hashable

import torch
from torch import Tensor

WARM_UPS = 2  # libraries choose their kernels and take their memory before the capture

Compute = Callable[[], Tensor]
Capture = Callable[[Compute], tuple[Tensor, Callable[[], None]]]
"""Captures a computation; returns the tensor that holds its outcome and what computes it anew."""


class CapturedStep:
    """Replays a step; captures it anew for each number of rows, and where buffers have moved."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._where: Hashable = None
        self._kept: dict[int, tuple[Tensor, Tensor, Callable[[], None]]] = {}  # by rows

    def __call__(
        self, compute: Callable[[Tensor], Tensor], token_ids_R: Tensor, where: Hashable
    ) -> Tensor:
        """Logits for token ids; the next call writes over them.

        Args:
            compute: the step, from token ids to logits. It may be repeated: what it writes
                depends on its inputs alone.
            where: tells whether the buffers that it uses are still the same.
        """
        if where != self._where:
            self._kept.clear()
            self._where = where
        rows = len(token_ids_R)
        if rows not in self._kept:
            ids_R = token_ids_R.clone()
            self._kept[rows] = ids_R, *self._capture(lambda: compute(ids_R))
        ids_R, logits_RV, replay = self._kept[rows]
        ids_R.copy_(token_ids_R)
        replay()
        return logits_RV


def capture_cuda_graph(compute: Compute) -> tuple[Tensor, Callable[[], None]]:
    """Capture a CUDA graph. Other threads may use the device meanwhile."""
    current, side = torch.cuda.current_stream(), torch.cuda.Stream()
    side.wait_stream(current)
    with torch.cuda.stream(side):
        for _ in range(WARM_UPS):
            compute()
    current.wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        outcome = compute()
    return outcome, graph.replay
