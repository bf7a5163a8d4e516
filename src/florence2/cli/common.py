"""Flags that several commands share."""

import argparse
from typing import Any

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
    "--beams": {"type": int, "metavar": "N", "help": "beams of the search (published default 3)"},
}


def add_flag(parser: argparse.ArgumentParser, flag: str, **changed: Any) -> None:
    """Add a shared flag, with what is other for one command."""
    parser.add_argument(flag, **(FLAGS[flag] | changed))
