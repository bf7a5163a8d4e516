"""Measure a model on a dataset of your own.

Prints one JSON object on stdout and a Markdown table on stderr, every number with its 95 %
interval.

  florence2 eval --data screws/annotations.json --model runs/screws
  florence2 eval --data screws/annotations.json --split val --table table.md --sheet sheet.png
"""

import argparse
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from florence2.cli.common import add_flag
from florence2.cli.edge import json_line, readable
from florence2.errors import ConfigError
from florence2.tasks import AnswerKind, Task

if TYPE_CHECKING:
    from florence2.evaluation.predict import Answerer, Predictor
    from florence2.evaluation.report import Report, Row
    from florence2.evaluation.suites import Skipped, Suite

DEFAULT_COUNT = 500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, metavar="PATH", required=True,
                        help="a dataset in any format of docs/data.md")  # fmt: skip
    parser.add_argument("--split", help="train, val or test, where it is divided")
    parser.add_argument("--task", help="what is asked, with commas (default: what it is made for)")
    add_flag(parser, "--voc-origin")
    parser.add_argument("--protocol", choices=("coco", "lvis", "voc2007", "voc"),
                        help="whose AP of detection (default coco)")  # fmt: skip
    add_measuring_arguments(parser)


def add_measuring_arguments(parser: argparse.ArgumentParser) -> None:
    """Whatever the pictures are."""
    for flag in (
        "--model",
        "--adapter",
        "--tokenizer",
        "--device",
        "--precision",
        "--side",
        "--threads",
    ):
        add_flag(parser, flag)
    add_flag(parser, "--beams", default=1, help="beams of the search (default 1: greedy)")
    parser.add_argument("--count", type=int, default=DEFAULT_COUNT, metavar="N",
                        help=f"pictures of each suite (default {DEFAULT_COUNT})")  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the JSON here too")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the table here")
    parser.add_argument("--sheet", type=Path, metavar="PNG", help="draw good and bad answers")


def main(arguments: argparse.Namespace) -> int:
    check(arguments)
    from florence2.data import open_dataset
    from florence2.evaluation.suites import dataset_suites

    asked = [Task.parse(name) for name in (arguments.task or "").split(",") if name]
    dataset = open_dataset(
        arguments.data, tasks=asked, split=arguments.split, voc_origin=arguments.voc_origin
    )
    records = list(dataset)
    dataset.require_records()
    suites = list(dataset_suites(records, arguments.count, arguments.protocol))
    print(dataset.report, file=sys.stderr)
    return measure(arguments, suites)


def check(arguments: argparse.Namespace) -> None:
    """Refuse mistakes before anything is loaded."""
    if arguments.count < 1:
        raise ConfigError(f"--count must be 1 or more; got {arguments.count!r}")
    for flag in ("output", "table", "sheet"):
        path = getattr(arguments, flag)
        if path is not None and not path.resolve().parent.is_dir():
            raise ConfigError(f"the folder of --{flag} {str(path)!r} does not exist; make it first")


def measure(
    arguments: argparse.Namespace,
    suites: "Iterable[Skipped | Suite]",
    readers: "Mapping[str, Answerer] | None" = None,
    max_answer_tokens: Mapping[AnswerKind, int] | None = None,
) -> int:
    """Run suites, then print and write what came out.

    Args:
        readers: other readers of text, by name.
        max_answer_tokens: see `Predictor`.
    """
    from florence2.evaluation.report import markdown, run_suites

    name, predictor = load_predictor(arguments, max_answer_tokens)
    report = run_suites(suites, (name, predictor), readers or {}, arguments.count, tell)
    content = {
        "model": name,
        "count": arguments.count,
        "beams": arguments.beams,
        **report.to_dict(),
    }
    line, table = json_line(content), readable(markdown(report))
    print(line)
    print(table, end="", file=sys.stderr)
    for reason in report.left_out.values():
        print(f"florence2: left out: {reason}", file=sys.stderr)
    write(arguments, report, line, table)
    return 0


def load_predictor(
    arguments: argparse.Namespace, max_answer_tokens: Mapping[AnswerKind, int] | None
) -> "tuple[str, Predictor]":
    """Load the model with the settings of its checkpoint, but for the number of beams."""
    from florence2.api import Florence2
    from florence2.evaluation.predict import Predictor
    from florence2.runtimes.pytorch.threads import set_threads

    set_threads(arguments.threads)
    model = Florence2.load(
        arguments.model,
        arguments.device,
        arguments.precision,
        calibration=None,  # what the model found, all of it
        image_side=arguments.side,
        adapter=arguments.adapter,
        tokenizer=arguments.tokenizer,
    )
    options = replace(model.generation, num_beams=arguments.beams)
    return model.name, Predictor(model.engine, options, max_answer_tokens)


def tell(row: "Row") -> None:
    numbers = ", ".join(
        f"{name} {'-' if each.value is None else format(each.value, '.3f')}"
        for name, each in row.numbers.items()
    )
    print(
        f"{row.group}, {row.material}, {row.answerer}: {numbers} ({row.seconds:.0f} s)",
        file=sys.stderr,
    )


def write(arguments: argparse.Namespace, report: "Report", line: str, table: str) -> None:
    from florence2.evaluation.report import draw_sheet

    try:
        for path, text in ((arguments.output, line + "\n"), (arguments.table, table)):
            if path is not None:
                path.write_text(text, encoding="utf-8")
        if arguments.sheet is not None:
            draw_sheet(report).save(arguments.sheet)
    except (OSError, ValueError) as error:
        raise ConfigError(f"results cannot be written ({error}); check the paths") from None
