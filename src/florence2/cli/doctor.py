"""Explain a checkpoint in plain words: what it is, what was repaired, what is missing or damaged.

The last line tells on how many CPUs of this machine it would be computed.

florence2 doctor path/to/folder
florence2 doctor base
"""

import argparse
import os

from florence2.cli.common import add_flag


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="PATH", help="folder, weights file, hub id or short name")
    add_flag(parser, "--tokenizer")


def main(arguments: argparse.Namespace) -> int:
    """Exit code 2 when the checkpoint cannot be loaded as it is."""
    from florence2.checkpoints.inspection import inspect_checkpoint

    inspection = inspect_checkpoint(arguments.source, arguments.tokenizer)
    print(inspection.describe())
    print(describe_cpus())
    return 2 if inspection.problems else 0


def describe_cpus() -> str:
    """What --threads is when it is not given, and why."""
    from florence2.runtimes.cpus import allowed_cpus, cpu_quota, usable_cpus

    quota = cpu_quota()
    limited = "no quota" if quota is None else f"a quota of {quota:g} CPUs"
    return (
        f"processor: {usable_cpus()} of {os.cpu_count()} CPUs may be used (allowed to run on"
        f" {allowed_cpus()}, {limited}); --threads computes with another number"
    )
