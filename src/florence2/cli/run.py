"""Ask one question, or a chain of them, about each of the pictures.

Prints a table on a terminal. Piped, or with --json, one JSON object for each picture, and each
region of it: image, task or cascade, text_input, prompt and region where there are such, result,
answer, finish_reason, malformed, repaired, first_answer, model, timings_ms (a cascade has answer to
first_answer inside its result), drawn with --draw; for what cannot be answered what was asked and
error.

  florence2 run street.jpg --task od --draw out/
  florence2 run photos/ --task caption --output answers.jsonl   # again: goes on where it stopped
  florence2 run scan.tif --task ocr --pages all
  cat street.jpg | florence2 run - --task od
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
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from florence2.checkpoints.sources import NANO
from florence2.cli.answers_file import AnswersFile, check_output
from florence2.cli.common import MODEL_FLAGS, add_flag
from florence2.cli.edge import json_line, readable
from florence2.cli.picture_files import Drawings, SavedTexts, Sheet
from florence2.cli.questions import CASCADES, CascadeJob, TaskJob, parse_question, written_name
from florence2.cli.table import Table
from florence2.errors import ConfigError, Florence2Error
from florence2.tasks import Task

if TYPE_CHECKING:
    from florence2.api import Florence2
    from florence2.cli.questions import OutputLine
    from florence2.data.sources import NamedPicture, Pages
    from florence2.generation.options import GenerationOptions

ABOUT_NANO = (
    "answered by nano, the small model in the package, which is made for print, screens and"
    " drawings: of a photograph it knows next to nothing and leaves out what it doubts (--min-score"
    " 0 shows it); for photographs give --model base"
)
FEW = 3  # pictures that are asked about without a progress bar

# The word on the command line, and the value of `GenerationOptions.grammar`.
GRAMMARS: dict[str, bool | str] = {"repair": "repair", "always": True, "never": False}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    names = ", ".join(task.name.lower() for task in Task)
    parser.add_argument(
        "images",
        nargs="+",
        metavar="IMAGE",
        help="pictures, folders, patterns, lists (names.txt or @names), archives (.tar, .zip,"
        " .parquet), - for standard input, or https addresses with --allow-download",
    )
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
    for flag in MODEL_FLAGS:
        # The model is NANO by default, too; but who names it need not be told what it is.
        add_flag(parser, flag, **({"default": None} if flag == "--model" else {}))
    parser.add_argument(
        "--pages",
        metavar="P",
        help="of files with several pages or frames: all, or numbers from 1 as in 1,3-5",
    )
    parser.add_argument(
        "--allow-download",
        action="store_true",
        help="fetch https addresses, of public hosts, up to 64 MiB and 30 seconds each",
    )
    parser.add_argument("--draw", metavar="DIR", type=Path, help="write annotated pictures here")
    parser.add_argument(
        "--sheet", metavar="PNG", type=Path, help="put the first drawn answers on one page"
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        type=Path,
        help="write the JSON lines here; what a stopped run wrote there is not asked again",
    )
    parser.add_argument(
        "--save-txt",
        action="store_true",
        help="write a.txt beside a.png; pictures that have one are left out",
    )
    parser.add_argument("--json", action="store_true", help="print JSON lines on a terminal too")
    parser.add_argument("--max-new-tokens", type=int, metavar="N", help="longest answer in tokens")
    parser.add_argument(
        "--min-score",
        type=float,
        metavar="P",
        help="leave out objects below (0 to 1; default: nano's own thresholds, 0 for other models)",
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
    parser.add_argument(
        "--quiet", action="store_true", help="no progress on stderr, nor what nano is"
    )


def main(arguments: argparse.Namespace) -> int:
    from florence2.answers.calibration import Calibration
    from florence2.data.downloads import Downloads
    from florence2.data.sources import Pages, open_pictures

    question = parse_question(arguments)
    pages = None if arguments.pages is None else Pages.parse(arguments.pages)
    drawings = None if arguments.draw is None else Drawings(arguments.draw)
    sheet = None if arguments.sheet is None else Sheet(arguments.sheet)
    texts = SavedTexts(question.lines_each) if arguments.save_txt else None
    if arguments.images.count("-") > 1:
        raise ConfigError("standard input (-) can be read once; give - once")
    if arguments.output is not None:
        check_output(arguments.output)
    if arguments.calibration is not None:
        question.check_calibration(Calibration.load(arguments.calibration))
    model = load(arguments)
    if arguments.model is arguments.adapter is None and not (
        arguments.quiet or question.reads_text
    ):
        print(f"florence2: {ABOUT_NANO}", file=sys.stderr)
    options = generation_options(model.generation, arguments)
    with ExitStack() as stack:
        answers = None
        if arguments.output is not None:
            answers = AnswersFile(arguments.output, question.asked | {"model": model.name})
            stack.enter_context(answers)
            if drawings is not None:
                drawings.keep_old = answers.num_kept > 0
        table = None if arguments.json or not sys.stdout.isatty() else Table()
        prints = arguments.json or answers is None
        run = Run(
            question, answers, drawings, sheet, texts, table, prints, frozenset(arguments.images)
        )
        pictures = open_pictures(
            arguments.images,
            pages=pages,
            downloads=Downloads() if arguments.allow_download else None,
            skip=run.is_done,
        )
        return run.ask(model, pictures, options, count_names(arguments, pages))


def count_names(arguments: argparse.Namespace, pages: "Pages | None") -> int | None:
    """How many pictures there will be, for the progress; `None` where nobody will see it."""
    from florence2.data.sources import count_pictures

    if arguments.quiet or not sys.stderr.isatty():
        return None
    return count_pictures(arguments.images, pages=pages)


@dataclass
class Run:
    """Where the answers of a run go.

    Attributes:
        prints: whether JSON lines go to standard output.
        given: names on the command line, which are asked about whatever they are.
    """

    question: TaskJob | CascadeJob
    answers: AnswersFile | None
    drawings: Drawings | None
    sheet: Sheet | None
    texts: SavedTexts | None
    table: Table | None
    prints: bool
    given: frozenset[str] = frozenset()
    num_lines: int = 0
    num_failed: int = 0
    num_done_before: int = 0
    num_drawn: int = 0

    def is_drawn(self, name: str) -> bool:
        """Whether a picture is a drawing in the folder of --draw, or the page of --sheet."""
        if self.sheet is not None and Path(name).name == self.sheet.path.name:
            return Path(name).resolve() == self.sheet.path.resolve()
        return self.drawings is not None and self.drawings.holds(name)

    def is_done(self, name: str) -> bool:
        """Whether a picture was answered by an earlier run, or is what a run drew."""
        if name not in self.given and self.is_drawn(name):
            self.num_drawn += 1
            return True
        done = self.texts is not None and self.texts.stands(name)
        if self.answers is not None:
            done = done or self.answers.holds(written_name(name), self.question.regions)
        self.num_done_before += done
        return done

    def ask(
        self,
        model: "Florence2",
        pictures: "Iterator[NamedPicture]",
        options: "GenerationOptions",
        num_pictures: int | None,
    ) -> int:
        """Ask about all pictures; returns the exit code."""
        from tqdm import tqdm

        total = None if num_pictures is None else num_pictures * self.question.lines_each
        hidden = num_pictures is None or num_pictures <= FEW
        with tqdm(total=total, unit=" pictures", disable=hidden, leave=False, smoothing=0.1) as bar:
            for line in self.question.lines(model, pictures, options):
                self.num_lines += 1
                problem = line.error or self._keep(line, bar)
                if problem is not None:
                    self.num_failed += 1
                    bar.write(f"florence2: {named(line.picture, problem)}", file=sys.stderr)
                    if line.error is not None:
                        self._write(line, bar)
                left_out = self.num_done_before + self.num_drawn
                bar.n = self.num_lines + left_out * self.question.lines_each
                bar.update(0)
        return self._told()

    def _keep(self, line: "OutputLine", bar: Any) -> Florence2Error | None:
        """Write an answer wherever it goes; returns why a text beside its picture could not be."""
        drawn = None
        if (self.drawings or self.sheet) and line.drawn is not None:
            image = line.drawn.draw(line.picture.image)
            if self.sheet is not None:
                self.sheet.add(image)
            if self.drawings is not None:
                drawn = self.drawings.write(line.picture.name, self.question.name, image)
                line.content["drawn"] = str(drawn)
        self._write(line, bar)
        if self.table is not None and line.found is not None:
            seconds = sum(line.content["timings_ms"].values()) / 1000
            with bar.external_write_mode(sys.stdout):
                for words in self.table.lines(line.picture.name, line.found, seconds):
                    print(words)
                if drawn is not None:
                    print(self.table.note(f"drawn in {drawn}"))
                sys.stdout.flush()
        if self.texts is not None and line.found is not None:
            return self.texts.write(line.picture, line.found)
        return None

    def _write(self, line: "OutputLine", bar: Any) -> None:
        if self.answers is not None:
            self.answers.write(line.content)
        if self.prints and self.table is None:
            with bar.external_write_mode(sys.stdout):
                print(json_line(line.content), flush=True)

    def _told(self) -> int:
        if self.sheet is not None and self.sheet.save() and self.table is not None:
            print(f"the answers on one page: {readable(str(self.sheet.path))}")
        if self.num_done_before:
            where = "answered before" if self.answers is not None else "with a text beside them"
            number = counted(self.num_done_before, "picture")
            print(f"florence2: {number} {where} left out", file=sys.stderr)
        if self.num_drawn:
            print(
                f"florence2: {counted(self.num_drawn, 'drawing')} of ours left out", file=sys.stderr
            )
        if self.answers is not None and (again := self.answers.num_again):
            number = counted(again, "answer")
            print(
                f"florence2: {number} not written again: pictures given twice, or of one name",
                file=sys.stderr,
            )
        if not self.num_failed:
            return 0
        answered = f"{self.num_lines - self.num_failed} of {self.num_lines} questions answered"
        print(f"florence2: {answered}, {self.num_failed} not: see above", file=sys.stderr)
        return 2


def counted(number: int, what: str) -> str:
    """A number with its word.

    >>> counted(1, "picture"), counted(2000, "picture")
    ('1 picture', '2,000 pictures')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def named(picture: "NamedPicture", problem: Florence2Error) -> str:
    """What is wrong with a picture, behind its name where that is not told: bytes have none."""
    told = str(problem)
    return f"{picture.name!r}: {told}" if isinstance(picture.image, bytes) else told


def load(arguments: argparse.Namespace) -> "Florence2":
    """Import torch, only now that the arguments are good, and load the model."""
    gc.disable()  # there is no garbage yet, but looking for it takes a fifth of a second
    try:
        from florence2.api import Florence2
        from florence2.runtimes.pytorch.threads import set_threads

        set_threads(arguments.threads)
        calibrations = [] if arguments.calibration is None else [arguments.calibration]
        return Florence2.load(
            arguments.model or NANO,
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
