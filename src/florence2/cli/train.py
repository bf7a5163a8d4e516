"""Fine-tune a model on your own pictures, or run a recipe.

Prints one JSON object on stdout: where the checkpoint is, and how good the model was on held-out
pictures before and after; everything for people goes to stderr. Start it again to go on where it
was stopped.

  florence2 train annotations.json --output runs/mine
  florence2 train photos.json made/records.jsonl:0.5 --output runs/mixed --mode lora --merge
  florence2 train annotations.json --output runs/mine --dry-run    # checks, preview.png, no step
  florence2 train recipes/nano.py KIT.zip runs/nano                # like `python recipes/nano.py`
  torchrun --nproc-per-node 4 -m florence2 train annotations.json --output runs/mine
"""

import argparse
import logging
import runpy
import shlex
import sys
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from florence2.cli.common import add_flag
from florence2.cli.edge import EXIT_OURS, EXTRAS, explain, json_line
from florence2.errors import ConfigError, Florence2Error
from florence2.tasks import Task
from florence2.training.options import MODES, FinetuneOptions, WeightedPath

if TYPE_CHECKING:
    from florence2.data.records import Record
    from florence2.training.finetune import Finetuning, Outcome

RECIPE_SUFFIX = ".py"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that are not given stay away, so that the defaults stand in one place."""

    def add(flag: str, words: str, **settings: Any) -> None:
        parser.add_argument(flag, help=words, default=argparse.SUPPRESS, **settings)

    names = ", ".join(task.name.lower() for task in Task)
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="DATA",
        help="datasets (COCO, YOLO, VOC, JSON lines, ...), PATH or PATH:WEIGHT; or one recipe and"
        " its arguments, with -- in front of those that begin with a dash",
    )
    add("--output", "folder of the run; needed with datasets", metavar="DIR", type=Path)
    for flag in ("--model", "--adapter", "--tokenizer", "--side", "--device", "--threads"):
        add_flag(parser, flag, default=argparse.SUPPRESS)
    add("--mode", f"what trains: {', '.join(MODES)} (default full)", metavar="MODE")
    add(
        "--task",
        f"what to ask about each picture, several with commas (default: what the data is made"
        f" for): {names}",
        metavar="TASKS",
    )
    add("--split", "the part to train on, where data is divided (default: train, else trainval)")
    add_flag(parser, "--voc-origin", default=argparse.SUPPRESS)
    add("--steps", "length in steps (default: by the size of model and data)", type=int)
    add("--epochs", "length in passes over the data instead", type=float)
    add("--batch-size", "pictures of a step (default 8)", type=int)
    add("--learning-rate", "peak learning rate (default: by model and mode)", type=float)
    add("--held-out", "share of pictures to measure on (default 0.2)", type=float)
    add("--no-augment", "show pictures as they are", action="store_true")
    add("--no-mirror", "mirror no picture", action="store_true")
    add("--no-mirror-names", "names that a mirror makes wrong, with commas, beside those it knows")
    add("--rank", "of the adapter in mode lora (default 16)", type=int)
    add("--alpha", "strength of the adapter (default 32)", type=float)
    add("--targets", "linears to adapt, with commas (default: text parts and projector)")
    add("--merge", "in mode lora, write a whole checkpoint too", action="store_true")
    add("--workers", "processes that read pictures (default 1)", type=int)
    add("--seed", "of order, changes and held-out pictures (default 0)", type=int)
    add("--dry-run", "look at data and model, write preview.png, stop", action="store_true")


def main(arguments: argparse.Namespace) -> int:
    given = vars(arguments).copy()
    sources = given.pop("sources")
    for name in ("command", "main"):
        given.pop(name, None)
    threads = given.pop("threads", None)
    if Path(sources[0]).suffix.lower() == RECIPE_SUFFIX:
        return run_recipe(sources, given, threads)
    dry = given.pop("dry_run", False)
    options = finetune_options(sources, given)
    try:
        from florence2.runtimes.pytorch.threads import set_threads
        from florence2.training.distributed import join
        from florence2.training.finetune import prepare
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        raise ConfigError(
            f"training needs {error.name!r}, which is not installed; pip install 'florence2[train]'"
        ) from None
    set_threads(threads)
    with join(device=options.device) as world:
        if world.is_main:
            logging.getLogger("florence2").setLevel(logging.INFO)
        with world.raise_together():
            ready = prepare(options, world)
            words = ready.preflight()
        if world.is_main:
            print(words, file=sys.stderr)
        line = planned(ready) if dry else trained(ready)
        if world.is_main:
            print(json_line(line), flush=True)
    return 0


def run_recipe(sources: Sequence[str], given: dict[str, Any], threads: int | None = None) -> int:
    """Run a Python file as `python FILE ARGUMENTS` would."""
    recipe, arguments = sources[0], list(sources[1:])
    if given:
        flag = "--" + next(iter(given)).replace("_", "-")
        raise ConfigError(
            f"{flag} is for datasets, and {recipe!r} is a recipe, which has options of its own;"
            f" write them behind --, as in: florence2 train {recipe} -- {flag} ..."
        )
    if not Path(recipe).is_file():
        raise ConfigError(f"recipe {recipe!r} does not exist; check the path")
    from florence2.runtimes.pytorch.threads import set_threads

    set_threads(threads)
    argv, path = sys.argv, sys.path
    sys.argv, sys.path = [recipe, *arguments], [str(Path(recipe).resolve().parent), *path]
    try:
        runpy.run_path(recipe, run_name="__main__")
    except Exception as error:
        if explain(error) is not None:
            raise
        traceback.print_exc()  # of the recipe's author, who needs it
        return EXIT_OURS
    finally:
        sys.argv, sys.path = argv, path
    return 0


def finetune_options(sources: Sequence[str], given: dict[str, Any]) -> FinetuneOptions:
    """What was given on the command line as options."""
    values = dict(given)
    if "output" not in values:
        raise ConfigError("say where the run belongs, such as --output runs/mine")
    if "task" in values:
        values["tasks"] = tuple(Task.parse(name) for name in values.pop("task").split(","))
    if "targets" in values:
        values["targets"] = tuple(name.strip() for name in values["targets"].split(","))
    if values.pop("no_augment", False):
        values["augment"] = False
    if values.pop("no_mirror", False):
        values["mirror"] = False
    if "no_mirror_names" in values:
        values["no_mirror_names"] = tuple(map(str.strip, values["no_mirror_names"].split(",")))
    return FinetuneOptions(data=tuple(map(WeightedPath.parse, sources)), **values)


def planned(ready: "Finetuning") -> dict[str, Any]:
    """What is printed of a run that was only looked at."""
    from florence2.training.finetune import PREVIEW
    from florence2.training.freezing import trainable_report

    report = trainable_report(ready.model)
    return {
        "output": str(ready.options.output),
        "preview": str(ready.options.output / PREVIEW),
        "records": len(ready.data.stored),
        "held_out": len(ready.data.held_out),
        "steps": ready.stage.steps,
        "parameters": report.parameters["total"],
        "trainable": report.trainable["total"],
    }


def trained(ready: "Finetuning") -> dict[str, Any]:
    """Train; what is printed of it."""
    line = planned(ready)
    try:
        outcome = ready.run()
    except Exception as error:
        if isinstance(error, Florence2Error) or (words := explain(error)) is None:
            raise
        raise ConfigError(f"{words}; {how_to_go_on(ready.options.output)}") from error
    if ready.world.is_main:
        tell(outcome, ready.data.stored)
    for name, path in (("checkpoint", outcome.checkpoint), ("adapter", outcome.adapter)):
        line[name] = None if path is None else str(path)
    for name, numbers in (("before", outcome.before), ("after", outcome.after)):
        line[name] = {measure: round(value, 4) for measure, value in numbers.items()}
    return line


def how_to_go_on(folder: Path) -> str:
    """What is left of a run that was stopped from outside."""
    from florence2.training.checkpoint_files import CHECKPOINT, MANIFEST

    kept = [path for name in (CHECKPOINT, MANIFEST) if (path := folder / name).exists()]
    if not kept:
        return "then start the same command again; no step was saved yet"
    return f"then start the same command again to go on from {str(kept[0])!r}"


def tell(outcome: "Outcome", trained_on: "Sequence[Record]") -> None:
    """What a run made, for people."""
    for name, value in outcome.after.items():
        was = outcome.before.get(name, float("nan"))
        print(f"held out  {name:<28}{was:>8.3f}  ->{value:>8.3f}", file=sys.stderr)
    made = outcome.checkpoint or outcome.adapter
    print(f"written   {made}", file=sys.stderr)
    asked = shlex.join(["PICTURE", *question_flags(trained_on), "--model", str(made)])
    print(f"try       florence2 run {asked}", file=sys.stderr)


def question_flags(records: "Sequence[Record]") -> list[str]:
    """How `florence2 run` asks what most of these records ask: the first of them."""
    kinds = Counter((record.task, record.prompt is not None) for record in records)
    ((kind, _),) = kinds.most_common(1)
    record = next(each for each in records if (each.task, each.prompt is not None) == kind)
    flags = [] if record.task is None else ["--task", record.task.name.lower()]
    if record.prompt is not None:
        return [*flags, "--prompt", record.prompt]
    if record.text_input:
        flags += ["--text", record.text_input]
    if record.region is not None:
        flags += ["--region", ",".join(f"{side:g}" for side in record.region)]
    return flags
