"""Flags that several commands share."""

import argparse
import os
from importlib.util import find_spec
from typing import Any

from florence2.errors import ConfigError

MAX_THREADS = 1024
# Address space, which `ulimit -v` limits. With nano, two threads and 0.55 to 1.05 GiB, some runs
# and trainings ended in a segmentation fault of PyTorch's libraries; from 1.2 GiB on, none did.
MIN_ADDRESS_BYTES = 3 << 29


FLAGS: dict[str, dict[str, Any]] = {
    "--model": {
        "default": "nano",
        "metavar": "MODEL",
        "help": "nano (in the package), base, large, base-ft, large-ft, a folder, a file or a hub"
        " id (default nano)",
    },
    "--adapter": {
        "metavar": "DIR",
        "help": "adapter of train --mode lora or of PEFT on top of the model: a folder or hub id",
    },
    "--tokenizer": {
        "metavar": "PATH",
        "help": "tokenizer.json or a folder that holds one (default: the model's)",
    },
    "--device": {"help": "cpu, cuda, cuda:1, ... (default: CUDA where there is one)"},
    "--precision": {
        "help": "float32, bfloat16 or int8: less is faster and less exact (default: float32 on the"
        " CPU, bfloat16 on CUDA)"
    },
    "--side": {
        "type": int,
        "metavar": "PIXELS",
        "help": "to which pictures are resized, for weights trained so (default: the model's)",
    },
    "--threads": {
        "type": int,
        "metavar": "N",
        "help": "threads to compute with on the CPU (default: the CPUs that this process may use)",
    },
    "--voc-origin": {
        "type": int,
        "choices": (0, 1),
        "help": "the first pixel in VOC files (default: found by their boxes, and told)",
    },
    "--beams": {"type": int, "metavar": "N", "help": "beams of the search (published default 3)"},
}

# Which model, and how it computes and answers.
MODEL_FLAGS = tuple(flag for flag in FLAGS if flag != "--voc-origin")


def add_flag(parser: argparse.ArgumentParser, flag: str, **changed: Any) -> None:
    """Add a shared flag, with what is other for one command."""
    parser.add_argument(flag, **(FLAGS[flag] | changed))


def check_memory() -> None:
    """Refuse a limit of memory under which PyTorch and its libraries crash, not raise."""
    if find_spec("resource") is None or find_spec("torch") is None:
        return  # Windows has no such limit
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < MIN_ADDRESS_BYTES:
        raise ConfigError(
            f"this process may use {limit // 1024:,} KiB of memory (ulimit -v), and computing needs"
            f" {MIN_ADDRESS_BYTES // 1024:,} at least; raise or drop that limit"
        )


def check_shared(arguments: argparse.Namespace) -> None:
    """Refuse what no command can mean, before anything is read."""
    check_memory()
    try:
        os.getcwd()
    except OSError as error:  # PyTorch's libraries would end the process
        raise ConfigError(
            f"the folder that this was started in is gone ({error.strerror}); cd to another one"
        ) from None
    threads = getattr(arguments, "threads", None)
    if threads is not None and not 1 <= threads <= MAX_THREADS:
        raise ConfigError(f"--threads must be from 1 to {MAX_THREADS:,}; got {threads!r}")
