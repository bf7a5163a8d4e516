"""Merge an adapter into its base model, and write a checkpoint for everyone.

Reads adapters of `florence2 train --mode lora` and of PEFT, in either layout. The checkpoint holds
the sums in float32 unless another dtype is asked for; an adapter of the output head gives it a head
of its own. Prints one JSON object on stdout.

  florence2 merge --model base --adapter runs/mine/adapter --output runs/mine/merged
  florence2 merge --model runs/mine/adapter --output runs/mine/merged   # the base it names
"""

import argparse
import sys
from pathlib import Path

from florence2.cli.common import add_flag
from florence2.cli.edge import json_line
from florence2.errors import ConfigError

LAYOUTS = ("native", "original")
DTYPES = ("float32", "bfloat16", "float16")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    for flag in ("--model", "--adapter", "--threads"):
        add_flag(parser, flag)
    parser.add_argument("--output", type=Path, metavar="DIR", required=True, help="where to write")
    parser.add_argument("--layout", choices=LAYOUTS, default=LAYOUTS[0],
                        help="native, for transformers (default), or original")  # fmt: skip
    parser.add_argument("--dtype", choices=DTYPES, default=DTYPES[0],
                        help="of the stored weights (default float32: exact)")  # fmt: skip


def main(arguments: argparse.Namespace) -> int:
    import torch

    from florence2.checkpoints import load_checkpoint, save_checkpoint
    from florence2.runtimes.pytorch.threads import set_threads

    set_threads(arguments.threads)
    if Path(arguments.model).resolve() == arguments.output.resolve():
        raise ConfigError(
            f"--output {str(arguments.output)!r} is the model itself; name another folder"
        )
    loaded = load_checkpoint(arguments.model, adapter=arguments.adapter)
    if loaded.adapter is None:
        raise ConfigError(
            f"{arguments.model!r} is a checkpoint without an adapter, so there is nothing to merge;"
            " name one with --adapter"
        )
    folder = save_checkpoint(
        loaded.model,
        arguments.output,
        tokenizer=loaded.tokenizer,
        layout=arguments.layout,
        dtype=getattr(torch, arguments.dtype),
        generation=loaded.generation,
    )
    tied = loaded.model.config.text.tie_word_embeddings
    if not tied:
        print("florence2: the output head is a matrix of its own now", file=sys.stderr)
    told = {"checkpoint": str(folder), "adapter": str(loaded.adapter)}
    print(json_line(told | {"layout": arguments.layout, "own_head": not tied}))
    return 0
