"""Measure a model: on pictures that the worlds make from a kit, or on a dataset of your own.

Prints one JSON object on stdout and a Markdown table on stderr, every number with its 95 %
interval. What stands in docs/evaluation.md is made by the first of these:

  florence2 eval --kit KIT.zip --test-styles STYLES.zip --stamps STAMPS.zip --manuals PDFS/ --peers
  florence2 eval --kit KIT.zip --suites reading,detection --count 100 --model runs/mine
  florence2 eval --data screws/annotations.json --model runs/screws
"""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from florence2.errors import ConfigError

if TYPE_CHECKING:
    from florence2.evaluation.asking import Answerer, Asker
    from florence2.evaluation.running import Report, Row
    from florence2.evaluation.suites import Skipped, Suite

DEFAULT_COUNT = 500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    made = parser.add_argument_group("pictures of the worlds")
    made.add_argument("--kit", type=Path, metavar="ZIP", help="the kit of the training")
    made.add_argument("--test-styles", type=Path, metavar="ZIP", help="a kit of unseen styles")
    made.add_argument("--stamps", type=Path, metavar="ZIP", help="a kit of photographs")
    made.add_argument("--manuals", type=Path, nargs="+", default=[], metavar="PDF",
                      help="PDF files, or folders of them, to cut pieces out of")  # fmt: skip
    made.add_argument("--suites", metavar="A,B", help="only these (default: all)")
    own = parser.add_argument_group("a dataset of your own")
    own.add_argument("--data", type=Path, metavar="PATH", help="in any format of docs/data.md")
    own.add_argument("--split", help="train, val or test, where it is divided")
    parser.add_argument("--model", default="nano", help="as for florence2 run (default: nano)")
    parser.add_argument("--device", help="cpu, cuda, ... (default: CUDA where there is one)")
    parser.add_argument("--precision", help="float32, bfloat16 or int8; see `florence2 run`")
    parser.add_argument("--side", type=int, metavar="PIXELS",
                        help="to which pictures are resized (default: the model's)")  # fmt: skip
    parser.add_argument("--count", type=int, default=DEFAULT_COUNT, metavar="N",
                        help=f"pictures of each suite (default {DEFAULT_COUNT})")  # fmt: skip
    parser.add_argument("--beams", type=int, default=1, metavar="N", help="default 1: greedy")
    parser.add_argument("--peers", nargs="?", const="", metavar="FILE",
                        help="ask Tesseract and rapidocr too, where text is read; FILE keeps"
                        " their answers, so that they are asked once")  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the JSON here too")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the table here")
    parser.add_argument("--sheet", type=Path, metavar="PNG", help="draw good and bad answers")


def main(arguments: argparse.Namespace) -> int:
    check(arguments)
    from florence2.evaluation.running import run_suites
    from florence2.evaluation.table import markdown

    suites = list(choose_suites(arguments))  # mistakes in arguments come before the model
    readers = {} if arguments.peers is None else load_readers(arguments.peers)
    name, asker = load_asker(arguments)
    report = run_suites(suites, (name, asker), readers, arguments.count, tell)
    told = {"model": name, "count": arguments.count, "beams": arguments.beams, **report.to_dict()}
    line, table = json.dumps(told, ensure_ascii=False), markdown(report)
    print(line)
    print(table, end="", file=sys.stderr)
    write(arguments, report, line, table)
    return 0


def check(arguments: argparse.Namespace) -> None:
    """Refuse combinations before anything is loaded."""
    if (arguments.kit is None) == (arguments.data is None):
        raise ConfigError("eval needs --kit KIT.zip or --data PATH; give one of the two")
    if arguments.count < 1:
        raise ConfigError(f"--count must be 1 or more; got {arguments.count!r}")
    for flag in ("test_styles", "stamps", "manuals", "suites"):
        if arguments.kit is None and getattr(arguments, flag):
            raise ConfigError(f"--{flag.replace('_', '-')} goes with --kit; leave it out")
    if arguments.data is None and arguments.split:
        raise ConfigError("--split goes with --data; leave it out")
    for flag in ("output", "table", "sheet"):
        path = getattr(arguments, flag)
        if path is not None and not path.resolve().parent.is_dir():
            raise ConfigError(f"the folder of --{flag} {str(path)!r} does not exist; make it first")


def choose_suites(arguments: argparse.Namespace) -> "Iterable[Suite | Skipped]":
    from florence2.evaluation.suites import dataset_suites
    from florence2.formats import open_dataset
    from florence2_lab.suites.worlds_suites import GROUPS, Materials, build_suites
    from florence2_lab.worlds.kit import Kit

    if arguments.data is not None:
        dataset = open_dataset(arguments.data, split=arguments.split)
        suites = list(dataset_suites(dataset, arguments.count))
        print(dataset.report, file=sys.stderr)
        return suites
    materials = Materials(
        kit=Kit(arguments.kit),
        test_styles=arguments.test_styles and Kit(arguments.test_styles),
        stamps=arguments.stamps and Kit(arguments.stamps),
        manuals=tuple(arguments.manuals),
    )
    return build_suites(materials, arguments.suites.split(",") if arguments.suites else GROUPS)


def load_asker(arguments: argparse.Namespace) -> "tuple[str, Asker]":
    """Load the model with the settings of its checkpoint, but for the number of beams."""
    from florence2.api import Florence2
    from florence2.evaluation.asking import LONGEST, Asker

    model = Florence2.load(
        arguments.model, arguments.device, arguments.precision, image_side=arguments.side
    )
    options = replace(model.generation, num_beams=arguments.beams)
    # How long answers of the worlds are is known; those of other data are not.
    longest = LONGEST if arguments.data is None else None
    return model.name, Asker(model.model, model.processor.tokenizer, options, longest=longest)


def load_readers(kept: str) -> "Mapping[str, Answerer]":
    """Load the peers that are installed, with a file for their answers; say which are not."""
    from peers import RapidOcr, Remembering, Tesseract

    readers: dict[str, Answerer] = {}
    for reader in (Tesseract, RapidOcr):
        try:
            asked = reader()
            readers[reader.name] = Remembering(asked, Path(kept)) if kept else asked
        except ConfigError as error:
            print(f"florence2: left out: {error}", file=sys.stderr)
    return readers


def tell(row: "Row") -> None:
    numbers = ", ".join(f"{name} {each.value:.3f}" for name, each in row.numbers.items())
    print(
        f"{row.group}, {row.material}, {row.answerer}: {numbers} ({row.seconds:.0f} s)",
        file=sys.stderr,
    )


def write(arguments: argparse.Namespace, report: "Report", line: str, table: str) -> None:
    from florence2.evaluation.sheet import draw_sheet

    files: dict[str, Any] = {"output": line + "\n", "table": table}
    try:
        for flag, text in files.items():
            path = getattr(arguments, flag)
            if path is not None:
                path.write_text(text, encoding="utf-8")
        if arguments.sheet is not None:
            draw_sheet(report).save(arguments.sheet)
    except (OSError, ValueError) as error:
        raise ConfigError(f"results cannot be written ({error}); check the paths") from None
