"""Ask one question, or a chain of them, about each of the pictures.

Prints one JSON object for each picture, and each region of it, on stdout: image, task or cascade,
prompt and region where there are such, result, answer, finish_reason, malformed, repaired,
first_answer, model, timings_ms (a cascade has answer to first_answer inside its result); for what
cannot be answered what was asked and error.

  florence2 run street.jpg --task od --draw out/
  florence2 run *.png --task ocr > answers.jsonl
  florence2 run street.jpg --task caption_to_phrase_grounding --text "a red car"
  florence2 run form.png --prompt "<DocVQA>What is the total?" --model runs/mine/model
  florence2 run street.jpg --task od --min-score 0.3
  florence2 run street.jpg --task open_vocabulary_detection --text "car<and>bus" --min-presence 0.5
  florence2 run street.jpg --task region_to_category --region 10,20,200,180 --region 5,5,90,60
  florence2 run panorama.jpg --task od --tiles auto
  florence2 run page.png --cascade layout --tiles auto
  florence2 run street.jpg --cascade classes --text "car, bus, bicycle, dog, traffic light"
"""

import argparse
import gc
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from florence2.cli.common import FLAGS, add_flag
from florence2.cli.edge import json_line
from florence2.cli.questions import CASCADES, parse_question
from florence2.errors import ConfigError
from florence2.tasks import Task

if TYPE_CHECKING:
    from florence2.api import Florence2
    from florence2.generation.options import GenerationOptions
    from florence2.results import Result


# The word on the command line, and the value of `GenerationOptions.grammar`.
GRAMMARS: dict[str, bool | str] = {"repair": "repair", "always": True, "never": False}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    names = ", ".join(task.name.lower() for task in Task)
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="picture files")
    asked = parser.add_mutually_exclusive_group()
    asked.add_argument("--task", help=f"what to ask: {names}")
    chains = "; ".join(f"{name}: {what}" for name, what in CASCADES.items())
    asked.add_argument("--cascade", choices=CASCADES, help=f"several questions in one. {chains}")
    parser.add_argument(
        "--prompt",
        metavar="WORDS",
        help="a question in the checkpoint's own words; the answer is printed as it was written,"
        " or as --task would read it",
    )
    parser.add_argument("--text", default="", help="words, for tasks that need them")
    parser.add_argument(
        "--region",
        action="append",
        default=[],
        metavar="X1,Y1,X2,Y2",
        help="a box in pixels, likewise; may be given again and again",
    )
    parser.add_argument(
        "--regions", type=Path, metavar="FILE", help="boxes likewise, one in each line"
    )
    parser.add_argument(
        "--tiles",
        default="off",
        metavar="T",
        help="large pictures in full detail: auto, columns and rows as 4x3, or off (default)",
    )
    for flag in FLAGS:
        if flag != "--voc-origin":  # it reads no dataset
            add_flag(parser, flag)
    parser.add_argument("--draw", metavar="DIR", type=Path, help="write annotated pictures here")
    parser.add_argument("--max-new-tokens", type=int, metavar="N", help="longest answer in tokens")
    parser.add_argument(
        "--min-score", type=float, default=0.0, metavar="P", help="leave out objects below (0 to 1)"
    )
    parser.add_argument(
        "--min-presence",
        type=float,
        default=0.0,
        metavar="P",
        help="answer phrases that are less surely there (0 to 1; 0.5 is doubt) with nothing",
    )
    parser.add_argument(
        "--calibration", type=Path, metavar="FILE", help="of florence2 calibrate, for this task"
    )
    parser.add_argument(
        "--grammar",
        choices=sorted(GRAMMARS),
        help="keep to the task's grammar: where an answer broke it (repair; default), always, never"
        " (default with --prompt)",
    )
    parser.add_argument(
        "--end-loops",
        action="store_true",
        help="allow repetition and end loops, in place of the published ban of repeated 3-grams",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")


def main(arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    question = parse_question(arguments)
    drawings = None if arguments.draw is None else Drawings(arguments.draw)
    model = load(arguments)
    for calibration in model.engine.calibrations.values():
        question.check_calibration(calibration)
    options = generation_options(model.generation, arguments)
    failures, total = 0, question.count(arguments.images)
    hidden = True if total < 2 or arguments.quiet else None  # None: shown on terminals only
    with tqdm(total=total, unit=" questions", disable=hidden, leave=False) as bar:
        for line in question.lines(model, arguments.images, options):
            if line.error is not None:
                failures += 1
                bar.write(f"florence2: {line.error}", file=sys.stderr)
            elif drawings is not None and line.drawn is not None:
                drawings.write(line.image, question.name, line.drawn)
            with bar.external_write_mode(sys.stdout):
                print(json_line(line.content), flush=True)
            bar.update()
    if failures:
        answered = f"{total - failures} of {total} questions answered"
        print(f"florence2: {answered}, {failures} not: see above", file=sys.stderr)
    return 2 if failures else 0


def load(arguments: argparse.Namespace) -> "Florence2":
    """Import torch, only now that the arguments are good, and load the model."""
    gc.disable()  # there is no garbage yet, but looking for it takes a fifth of a second
    try:
        from florence2.api import Florence2
        from florence2.runtimes.pytorch.threads import set_threads

        set_threads(arguments.threads)
        calibrations = [] if arguments.calibration is None else [arguments.calibration]
        return Florence2.load(
            arguments.model,
            arguments.device,
            arguments.precision,
            calibration=calibrations,
            image_side=arguments.side,
            adapter=arguments.adapter,
            tokenizer=arguments.tokenizer,
        )
    finally:
        gc.enable()


def generation_options(
    defaults: "GenerationOptions", arguments: argparse.Namespace
) -> "GenerationOptions":
    """The model's own defaults with the flags that were given."""
    given = {
        "num_beams": arguments.beams,
        "max_new_tokens": arguments.max_new_tokens,
        "grammar": GRAMMARS.get(arguments.grammar),
        "end_loops": True if arguments.end_loops else None,
        "no_repeat_ngram_size": 0 if arguments.end_loops else None,
    }
    return replace(defaults, **{key: value for key, value in given.items() if value is not None})


class Drawings:
    """Annotated pictures in one folder, `NAME.QUESTION.png`; those of one name do not collide."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.written: set[Path] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"folder {str(folder)!r} cannot be made ({error.strerror}); name another one"
            ) from None

    def write(self, name: str, asked: str, result: "Result") -> None:
        """Draw the result on the picture file `name` and save it."""
        from florence2.drawing import draw
        from florence2.processing.images import open_image

        stem = f"{Path(name).stem}.{asked}"
        targets = (self.folder / f"{stem}{suffix}.png" for suffix in self._suffixes())
        target = next(each for each in targets if each not in self.written)
        self.written.add(target)
        try:
            draw(open_image(name), result).save(target)
        except OSError as error:
            raise ConfigError(
                f"picture {str(target)!r} cannot be written ({error.strerror or error}); name"
                " another folder with --draw"
            ) from None

    @staticmethod
    def _suffixes() -> Iterator[str]:
        yield ""
        yield from (f"-{number}" for number in count(2))
