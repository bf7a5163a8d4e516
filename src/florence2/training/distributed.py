"""Several processes that train one model, started by `torchrun`.

Every process takes its part of each batch. Either each holds the whole model (DDP), or each
keeps a share of every weight and fetches the others block by block (FSDP2, for models that are
too large for one device).
"""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from florence2.errors import ConfigError, Florence2Error
from florence2.runtimes.select import choose_device

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

# Processes wait for the first one while it evaluates; ten minutes, torch's own limit, is short.
COLLECTIVE_TIMEOUT = timedelta(hours=2)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProcessGroup:
    """The processes of a run, seen from one of them; close it, or use it as a context.

    Attributes:
        rank: number of this process, 0 for the one that logs, saves and evaluates.
        size: number of processes.
        device: what this process was given; None leaves the choice to the recipe.
        mesh: over whose devices the weights are sharded; None when each holds all of them.
    """

    rank: int = 0
    size: int = 1
    device: torch.device | None = None
    mesh: "DeviceMesh | None" = None

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def wrap(self, module: nn.Module, blocks: Sequence[nn.Module], some_idle: bool) -> nn.Module:
        """The module as all processes train it together; call it instead of the module.

        Args:
            blocks: its submodules whose weights are fetched, block by block, when sharded.
            some_idle: whether some parameters that train get no gradient in some step.
        """
        if self.mesh is not None:
            from torch.distributed.fsdp import fully_shard

            for block in blocks:
                fully_shard(block, mesh=self.mesh)
            fully_shard(module, mesh=self.mesh)
            return module
        if self.size > 1:
            return DistributedDataParallel(module, find_unused_parameters=some_idle)
        return module

    def total(self, numbers: Sequence[float]) -> list[float]:
        """Sums over all processes."""
        if self.size == 1:
            return list(numbers)
        summed = torch.tensor(numbers, dtype=torch.float64)
        distributed.all_reduce(summed)
        return cast(list[float], summed.tolist())

    def gather(self, value: Any) -> list[Any]:
        """The values of all processes, in the order of their ranks."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        distributed.all_gather_object(values, value)
        return values

    @contextmanager
    def raise_together(self) -> Iterator[None]:
        """What all processes do, without each other; an error of any ends all, told by the first.

        All processes must enter, and wait for each other at the end.
        """
        own = None
        try:
            yield
        except Florence2Error as error:
            own = error
        errors = [error for error in self.gather(own) if error is not None]
        if errors and self.is_main:
            raise errors[0]
        if errors:
            raise SystemExit(0)  # torchrun waits for the first one, and names its failure alone

    def __enter__(self) -> "ProcessGroup":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the group that `join` entered."""
        if self.size > 1 and distributed.is_initialized():
            distributed.destroy_process_group()


SINGLE_PROCESS = ProcessGroup()


def join(*, shard: bool = False, device: str | None = None) -> ProcessGroup:
    """Enter the group of processes that `torchrun` started; alone if it did not start this one.

    This is the only place that reads the environment (RANK, LOCAL_RANK, WORLD_SIZE).

    Args:
        shard: keep a share of every weight in each process (FSDP2) instead of all of them (DDP).
        device: "cpu" to leave GPUs alone; None for one GPU each if there are any.
    """
    if "RANK" not in os.environ:
        if shard:
            logger.warning("one process alone has nobody to share weights with: not sharded")
        return ProcessGroup(device=choose_device(device)) if device else SINGLE_PROCESS
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    place = _place(device, int(os.environ.get("LOCAL_RANK", "0")))
    # Sums of a few numbers go over the CPU, so that they do not wait for the GPU.
    backend = "cpu:gloo,cuda:nccl" if place.type == "cuda" else "gloo"
    if size == 1:
        return ProcessGroup(device=place)
    if place.type == "cuda":
        torch.cuda.set_device(place)
    distributed.init_process_group(backend, timeout=COLLECTIVE_TIMEOUT)
    mesh = None
    if shard:
        from torch.distributed.device_mesh import init_device_mesh

        mesh = init_device_mesh(place.type, (size,))
    return ProcessGroup(rank, size, place, mesh)


def _place(device: str | None, local_rank: int) -> torch.device:
    kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if kind != "cuda":
        return choose_device(kind)
    if local_rank >= torch.cuda.device_count():
        raise ConfigError(
            f"process {local_rank!r} of this machine has no GPU of its own, as there are"
            f" {torch.cuda.device_count()!r}; start torchrun with that many processes a machine"
        )
    return torch.device("cuda", local_rank)


def accumulating(module: nn.Module, last: bool) -> AbstractContextManager[object]:
    """Backward passes within it; gradients of DDP are exchanged in the last piece only."""
    if isinstance(module, DistributedDataParallel) and not last:
        return module.no_sync()
    return nullcontext()


def gather_full(tensor: Tensor) -> Tensor:
    """The whole of a tensor; all processes must ask together if it is sharded."""
    if _is_sharded(tensor):
        tensor = cast(Any, tensor).full_tensor()
    return tensor.detach()


def placed_like(tensor: Tensor, model: Tensor) -> Tensor:
    """A whole tensor on the device of another one and, if that is sharded, sharded alike."""
    placed = tensor.to(device=model.device, dtype=model.dtype)
    if not _is_sharded(model):
        return placed.clone() if placed is tensor else placed
    from torch.distributed.tensor import DTensor, distribute_tensor

    sharded = cast(DTensor, model)
    return distribute_tensor(placed, sharded.device_mesh, sharded.placements)


def _is_sharded(tensor: Tensor) -> bool:
    return hasattr(tensor, "full_tensor")  # only DTensor has it, whose module is slow to import
