"""Measure this machine: time by stage, shares of what it can do, memory, agreement with float32.

    florence2 bench
    florence2 bench --model random-base --precision float32,bfloat16,int8 --tokens 64
    florence2 bench --side 128,96,160

Prints a table; the last line of stdout is one JSON object. `random-base` and `random-large` are
the published sizes with random weights: as fast as the published ones, but their answers mean
nothing.
"""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from florence2.cli.common import add_flag
from florence2.cli.edge import json_line
from florence2.errors import ConfigError
from florence2.tasks import Task

if TYPE_CHECKING:
    from florence2.evaluation.speed import Row

PRECISIONS = ("float32", "bfloat16", "int8")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", nargs="*", type=Path, help="pictures (default: made up)")
    add_flag(parser, "--model")
    add_flag(parser, "--adapter")
    add_flag(parser, "--tokenizer")
    parser.add_argument("--task", default="od", help="the question (default: od)")
    parser.add_argument(
        "--precision",
        help=f"one of {', '.join(PRECISIONS)}, or several with commas (default: all possible)",
    )
    parser.add_argument(
        "--side", help="of pictures in pixels, several with commas (default: the model's)"
    )
    parser.add_argument("--beams", default="1,3", help="beams, several with commas (1,3)")
    parser.add_argument("--tokens", type=int, help="length of all answers (default: as they end)")
    parser.add_argument("--repeat", type=int, default=5, help="times to ask (default: 5)")
    add_flag(parser, "--device")
    add_flag(parser, "--threads")


def main(arguments: argparse.Namespace) -> int:
    from florence2.evaluation.speed import Job, measure

    job = Job(
        model=arguments.model,
        adapter=arguments.adapter,
        task=Task.parse(arguments.task),
        precisions=precisions(arguments.precision, arguments.device),  # type: ignore[arg-type]
        beams=tuple(numbers("--beams", arguments.beams)),
        sides=tuple(numbers("--side", arguments.side)) if arguments.side else (None,),
        pictures=tuple(arguments.images),
        tokens=at_least("--tokens", arguments.tokens, 3),
        repeats=at_least("--repeat", arguments.repeat, 1) or 1,
        device=arguments.device,
        tokenizer=arguments.tokenizer,
        threads=arguments.threads,
    )
    rows = measure(job, tell=lambda text: print(f"florence2: {text}", file=sys.stderr))
    print(table(rows))
    measured = [asdict(row) for row in rows]
    print(json_line({"model": job.model, "task": job.task.token, "rows": measured}))
    return 0


def precisions(given: str | None, device: str | None) -> tuple[str, ...]:
    from florence2.runtimes.select import check_precision, choose_device

    chosen = choose_device(device)
    if given is not None:
        return tuple(check_precision(each, chosen) for each in given.split(","))  # type: ignore[arg-type]
    possible = []
    for each in PRECISIONS:
        try:
            possible.append(check_precision(each, chosen))  # type: ignore[arg-type]
        except ConfigError as error:
            print(f"florence2: left out: {error}", file=sys.stderr)
    return tuple(possible)


def numbers(flag: str, given: str) -> list[int]:
    try:
        found = [int(each) for each in given.split(",")]
    except ValueError:
        found = []
    if not found or min(found) < 1:
        raise ConfigError(f"{flag} {given!r} is not numbers from 1 up with commas, such as 1,3")
    return found


def at_least(flag: str, given: int | None, least: int) -> int | None:
    if given is not None and given < least:
        raise ConfigError(f"{flag} must be {least} or more; got {given!r}")
    return given


def table(rows: "list[Row]") -> str:
    """Rows of measurements as a Markdown table."""
    stages = [stage for stage in rows[0].stages_ms if stage != "tokens"]
    head = [
        *("precision", "side", "beams", "whole ms"),
        *(f"{stage.replace('_', ' ')} ms" for stage in stages),
        *("each token ms", "stages / whole", "vision / peak", "token / peak", "MiB", "agreement"),
    ]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        lines.append(
            [
                *(row.precision, str(row.side), str(row.beams), f"{row.wall_ms:.0f}"),
                *(f"{row.stages_ms.get(stage, 0.0):.1f}" for stage in stages),
                f"{row.token_ms:.2f}",
                *(
                    f"{share:.0%}"
                    for share in (
                        sum(row.stages_ms.values()) / row.wall_ms,
                        row.vision_share,
                        row.step_share,
                    )
                ),
                *(f"{row.peak_mib:.0f}", "?" if row.agreement is None else f"{row.agreement:.3f}"),
            ]
        )
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
