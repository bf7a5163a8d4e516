"""What computes here, in words."""

from importlib.util import find_spec


def computes_with() -> str:
    """Tell PyTorch's version, the processor's instructions, threads, precisions, and GPUs.

    Imports torch, which takes a second or two.
    """
    if find_spec("torch") is None:
        return "torch is not installed: pip install torch"
    import torch

    from florence2.runtimes.pytorch.packed.linears import can_pack_bfloat16, can_quantize
    from florence2.runtimes.pytorch.threads import set_threads

    precisions = ["float32"]
    precisions += ["bfloat16"] if can_pack_bfloat16() else []
    precisions += ["int8"] if can_quantize() else []
    instructions = torch.backends.cpu.get_cpu_capability()
    threads = set_threads()
    used = "1 thread" if threads == 1 else f"{threads} threads"
    lines = [
        f"torch {torch.__version__}",
        f"CPU: {instructions}, {used}, fast in {', '.join(precisions)}",
    ]
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    names = [torch.cuda.get_device_name(number) for number in range(gpus)]
    lines += [f"CUDA: {', '.join(names)}"] if names else ["no CUDA GPU"]
    return "\n".join(lines)
