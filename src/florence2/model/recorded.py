"""Steps of the decoder that are recorded once and replayed, which spares launching each kernel.

A recording knows addresses, not Python: all that changes from step to step must lie in tensors that
stay where they are. `Slots` with a recorder see to that.
"""

from collections.abc import Callable, Hashable

import torch
from torch import Tensor

WARM_UPS = 2  # libraries choose their kernels and take their memory before the recording

Compute = Callable[[], Tensor]
Record = Callable[[Compute], tuple[Tensor, Callable[[], None]]]
"""Records a computation; returns the tensor that holds its outcome and what computes it anew."""


class RecordedStep:
    """Replays a step; records it anew for each number of rows, and where buffers have moved."""

    def __init__(self, record: Record) -> None:
        self._record = record
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
            self._kept[rows] = ids_R, *self._record(lambda: compute(ids_R))
        ids_R, logits_RV, replay = self._kept[rows]
        ids_R.copy_(token_ids_R)
        replay()
        return logits_RV


def record_on_cuda(compute: Compute) -> tuple[Tensor, Callable[[], None]]:
    """Record as a CUDA graph. Other threads may use the device meanwhile."""
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
