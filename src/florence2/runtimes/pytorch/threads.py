"""How many threads PyTorch computes with."""

import torch

from florence2.runtimes.cpus import usable_cpus


def set_threads(count: int | None = None) -> int:
    """Set the threads that an operation may use; returns their number.

    Args:
        count: None for PyTorch's own number (OMP_NUM_THREADS, or the machine's cores), but never
            more than the CPUs that this process may use.
    """
    chosen = min(torch.get_num_threads(), usable_cpus()) if count is None else count
    if chosen != torch.get_num_threads():
        torch.set_num_threads(chosen)
    return chosen
