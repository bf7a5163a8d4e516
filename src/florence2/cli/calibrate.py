"""Make scores mean what they say: fit curves on a dataset with true answers.

Half of the pictures are for fitting, the other half tells how far scores are from the share that is
right, before and after (the expected calibration error of docs/scores.md). Writes a file for
`florence2 run --calibration FILE` and `Florence2.load(..., calibration=FILE)`; prints a table on
stderr and one JSON object on stdout.

  florence2 calibrate screws/annotations.json --model runs/screws --out calibration.json
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from florence2.cli.common import add_flag
from florence2.cli.edge import json_line
from florence2.errors import ConfigError, Florence2Error
from florence2.tasks import Task

if TYPE_CHECKING:
    from florence2.data.records import Record
    from florence2.evaluation.predict import Predictor
    from florence2.results import Result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="any format of docs/data.md")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the file to write")
    parser.add_argument("--task", help="what to ask, where the dataset leaves a choice")
    parser.add_argument("--split", help="train, val or test, where it is divided")
    add_flag(parser, "--voc-origin")
    parser.add_argument("--count", type=int, metavar="N", help="pictures at most (default: all)")
    for flag in ("--model", "--adapter", "--tokenizer", "--beams", "--device", "--threads"):
        add_flag(parser, flag)


def main(arguments: argparse.Namespace) -> int:
    if arguments.count is not None and arguments.count < 1:
        raise ConfigError(f"--count must be 1 or more; got {arguments.count!r}")
    if not arguments.out.resolve().parent.is_dir():
        raise ConfigError(f"the folder of --out {str(arguments.out)!r} does not exist; make it")
    records = choose_records(arguments)
    from florence2.api import Florence2
    from florence2.evaluation.calibration_fit import fit
    from florence2.evaluation.predict import Predictor
    from florence2.evaluation.questions import pictures_of
    from florence2.runtimes.pytorch.threads import set_threads

    set_threads(arguments.threads)
    model = Florence2.load(
        arguments.model,
        device=arguments.device,
        calibration=None,  # of scores that are calibrated already there is nothing to learn
        adapter=arguments.adapter,
        tokenizer=arguments.tokenizer,
    )
    beams = model.generation.num_beams if arguments.beams is None else arguments.beams
    options = replace(model.generation, num_beams=beams)
    answered = list(ask(Predictor(model.engine, options, None), records))
    pairs = [(found, record.result) for found, record in answered]
    pictures = pictures_of(record for _, record in answered)
    (task,) = {record.task for record in records if record.task}
    calibration = fit(pairs, model.name, model.fingerprint, task, pictures)
    calibration.save(arguments.out)
    print(table(calibration.measured["scores"]), file=sys.stderr)
    told = {"out": str(arguments.out), "model": model.name, "task": calibration.task.token}
    print(json_line(told | dict(calibration.measured)))
    return 0


def choose_records(arguments: argparse.Namespace) -> "list[Record]":
    """Read the records of one task, whose answers have objects with scores."""
    from florence2.data import Problem, open_dataset
    from florence2.evaluation.calibration_fit import KINDS
    from florence2.evaluation.suites import draw_pictures

    asked = [] if arguments.task is None else [Task.parse(arguments.task)]
    dataset = open_dataset(
        arguments.dataset, tasks=asked, split=arguments.split, voc_origin=arguments.voc_origin
    )
    tasks = {task for task in Task if task.answer_kind in KINDS}
    records = [record for record in dataset if record.task in tasks]
    if not dataset.report.counts[Problem.OTHER_TASK]:  # else it is the task that is wrong
        dataset.require_records()
    print(dataset.report, file=sys.stderr)
    counts = Counter(record.task for record in records if record.task)
    if len(counts) != 1:
        allowed = [task.name.lower() for task in counts or Task if task.answer_kind in KINDS]
        raise ConfigError(
            f"the dataset has records of {len(counts)} tasks that can be calibrated; choose one"
            f" with --task: {', '.join(allowed)}"
        )
    if arguments.count is None:
        return records
    drawn, total = draw_pictures(records, arguments.count)
    if total > arguments.count:
        print(f"florence2: {arguments.count:,} of {total:,} pictures, at random", file=sys.stderr)
    return drawn


def ask(predictor: "Predictor", records: "Sequence[Record]") -> "Iterator[tuple[Result, Record]]":
    """Yield what the model finds, and for what record; report pictures that cannot be read.

    What lies in a region to ignore is left out of what was found.
    """
    from florence2.evaluation.detection import drop_ignored
    from florence2.results import as_boxes

    for record, answer in zip(records, predictor.try_predict(records), strict=True):
        if isinstance(answer, Florence2Error):
            print(f"florence2: left out: {answer}", file=sys.stderr)
        else:
            found = answer.result
            if record.ignored is not None or record.federated is not None:
                truth = as_boxes(record.result)
                found = drop_ignored(as_boxes(found), truth, record.ignored, record.federated)
            yield found, record


def table(measured: dict[str, Any]) -> str:
    """The errors, and what was right of the objects held out, in bins of their scores."""
    lines = []
    for name, each in measured.items():
        before, after = each["error_before"], each["error_after"]
        lines.append(
            f"{name}: calibration error {before:.3f} before, {after:.3f} after"
            f" ({each['objects']['held_out']:,} objects held out)"
        )
        for when in ("before", "after"):
            bins = (
                f"{row['score']:.2f} {row['right']:.2f} ({row['objects']})" for row in each[when]
            )
            lines.append(f"  {when:6}  said, right (objects): " + ", ".join(bins))
    return "\n".join(lines)
