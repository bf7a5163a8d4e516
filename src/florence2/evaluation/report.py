"""Run suites, and report what came out as JSON, as a Markdown table and as a sheet of answers."""

import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from PIL import Image, ImageDraw, ImageOps

from florence2.data.records import Record
from florence2.drawing import draw
from florence2.drawing.fonts import TextRenderer
from florence2.engine import Answer
from florence2.errors import ImageError
from florence2.evaluation.intervals import Interval, mean
from florence2.evaluation.measured import Metrics
from florence2.evaluation.predict import Answerer, Prediction, Predictor
from florence2.evaluation.questions import numbered, picture_of, question_of
from florence2.evaluation.suites import Skipped, Suite
from florence2.results import Text
from florence2.tasks import Task

# What numbers are called in the table; those not named here keep their names.
WORDS = {
    "cer": "character error rate",
    "exact": "without an error",
    "f1": "F1",
    "ap": "AP",
    "ap50": "AP50",
    "box_f1": "F1 without names",
    "box_ap": "AP without names",
    "box_ap50": "AP50 without names",
    "absent_silent": "absent ones answered with nothing",
    "empty_silent": "empty ones answered with nothing",
    "cider": "CIDEr",
    "mean_iou": "mean IoU",
    "all_iou": "IoU of all pixels",
    "word_f1": "F1 of words",
    "anls": "ANLS",
    "point_distance": "points, distance in diagonals",
    "names_precision": "names, precision",
    "names_recall": "names, recall",
}

COUNTS = {"absent_silent": "absent_asked", "empty_silent": "empty_asked"}  # their notes

# The sheet; sizes in pixels.
SHOWN = 6  # answers of a suite
TILE_WIDTH = 300  # two pictures or one with its texts
PICTURE_HEIGHT = 150
FONT_SIZE, LINE, GAP = 12, 16, 8
MAX_LINES = 6  # of one text
BLACK, GREY, RED = (0, 0, 0), (110, 110, 110), (190, 20, 30)


@dataclass(frozen=True)
class Row:
    """What one answerer did in one suite.

    Attributes:
        count: pictures.
        questions: about them; records that ask the same are one, with several references.
    """

    group: str
    material: str
    answerer: str
    count: int
    questions: int
    numbers: Mapping[str, Interval]
    notes: Mapping[str, str]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        numbers = {name: number.to_dict() for name, number in self.numbers.items()}
        return {**vars(self), "numbers": numbers, "seconds": round(self.seconds, 1)}


@dataclass
class Report:
    """Everything that came out of a run.

    Attributes:
        malformed: share of the model's answers that broke the grammar of their task, those included
            that were repaired by writing them once more within it.
        shown: for each suite of the model, answers from the best to the worst.
        left_out: pictures that cannot be read, with the reason; nothing about them is measured.
    """

    rows: list[Row] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    malformed: dict[Task, Interval] = field(default_factory=dict)
    shown: dict[str, list[Prediction]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON without the pictures."""
        return {
            "rows": [row.to_dict() for row in self.rows],
            "malformed": {task.token: share.to_dict() for task, share in self.malformed.items()},
            "skipped": [vars(each) for each in self.skipped],
            "left_out": self.left_out,
        }


# ---- running


def run_suites(
    suites: Iterable[Suite | Skipped],
    model: tuple[str, Predictor],
    readers: Mapping[str, Answerer],
    count: int,
    on_row: Callable[[Row], None] = lambda row: None,
) -> Report:
    """Run suites of `count` pictures each; all answerers of a suite get the same records.

    Args:
        model: its name, and what asks it.
        readers: others that answer the suites made for readers of text, by name.
        on_row: called with each row as soon as it is there.
    """
    report = Report()

    def add_row(suite: Suite, name: str, predictions: list[Prediction], started: float) -> Metrics:
        seconds = time.perf_counter() - started
        measured = suite.measure(predictions)
        asked = [record for _, record in predictions]
        pictures, questions = (len(set(map(key, asked))) for key in (picture_of, question_of))
        row = Row(suite.group, suite.material, name, pictures, questions, measured.numbers,
                  measured.notes, seconds)  # fmt: skip
        report.rows.append(row)
        on_row(row)
        return measured

    broken: dict[Task, list[tuple[float, Hashable]]] = {}
    model_name, predictor = model
    for suite in suites:
        if isinstance(suite, Skipped):
            report.skipped.append(suite)
            continue
        asked = suite.records(count)
        started = time.perf_counter()
        answers = _answered(predictor, asked, report.left_out)
        records = [record for record in asked if question_of(record) in answers]
        predictions = [(answers[question_of(record)].result, record) for record in records]
        measured = add_row(suite, model_name, predictions, started)
        title = f"{suite.group}, {suite.material}"
        report.shown[title] = _spread(predictions, measured.per_sample_quality)
        for record in _once(records):
            answer = answers[question_of(record)]
            is_broken = answer.is_repaired or answer.result.malformed > 0
            if record.task is not None:
                row = float(is_broken), picture_of(record)
                broken.setdefault(record.task, []).append(row)
        for name, reader in readers.items() if suite.for_readers else ():
            started = time.perf_counter()
            once = _once(records)
            results = dict(zip(map(question_of, once), reader.answer(once), strict=True))
            answered = [(results[question_of(record)], record) for record in records]
            add_row(suite, name, answered, started)
    for task in Task:
        if task in broken:
            shares, pictures = zip(*broken[task], strict=True)
            report.malformed[task] = mean(shares, pictures=numbered(pictures))
    return report


def _once(records: Sequence[Record]) -> list[Record]:
    """The first record of each question."""
    first: dict[Hashable, Record] = {}
    for record in records:
        first.setdefault(question_of(record), record)
    return list(first.values())


def _answered(
    predictor: Predictor, asked: Sequence[Record], left_out: dict[str, str]
) -> dict[Hashable, Answer]:
    """The answer to each question about a picture that can be read; and why others cannot."""
    answers: dict[Hashable, Answer] = {}
    once = _once(asked)
    for record, outcome in zip(once, predictor.try_predict(once), strict=True):
        if isinstance(outcome, Answer):
            answers[question_of(record)] = outcome
        elif isinstance(outcome, ImageError):
            left_out[str(record.image)] = str(outcome)
        else:
            raise outcome
    if asked and not answers:
        raise ImageError(f"no picture can be read; the first: {next(iter(left_out.values()))}")
    return answers


def _spread(predictions: list[Prediction], qualities: list[float]) -> list[Prediction]:
    """Choose answers at equal steps from the best to the worst, ends included, each once."""
    rows = {question_of(record): row for row, (_, record) in reversed([*enumerate(predictions)])}
    order = sorted(sorted(rows.values()), key=lambda row: -qualities[row])
    steps = min(SHOWN, len(order))
    places = [round(step * (len(order) - 1) / max(steps - 1, 1)) for step in range(steps)]
    return [predictions[order[place]] for place in places]


# ---- the table


def markdown(report: Report) -> str:
    """Write a report for people; every number with its 95 % interval."""
    lines = ["| what | pictures | answered by | measured (95 % interval) |", "|---|---|---|---|"]
    for row in report.rows:
        numbers = "; ".join(_told(name, each, row.notes) for name, each in row.numbers.items())
        group, pictures = row.group.replace("_", " "), f"{row.count} of {row.material}"
        lines.append(f"| {group} | {pictures} | {row.answerer} | {numbers} |")
    if report.malformed:
        lines += ["", "| task | answers that break its grammar |", "|---|---|"]
        for task, share in report.malformed.items():
            lines.append(f"| `{task.token}` | {_number(share)} |")
    notes = {
        f"- AP of {row.notes['protocol']}; boxes ranked by the {row.notes['ranked_by']}."
        for row in report.rows
        if "protocol" in row.notes
    }
    if any(each.value is None for row in report.rows for each in row.numbers.values()):
        notes.add("- A dash is no number: nothing is true there that could be found.")
    lines += ["", *sorted(notes)]
    for each in report.skipped:
        lines.append(f"- Left out: {each.group} on {each.material}: {each.reason}.")
    return "\n".join(lines) + "\n"


def _told(name: str, number: Interval, notes: Mapping[str, str]) -> str:
    """A number with what it is called, and of how many where that is not told elsewhere."""
    count = f" of {notes[COUNTS[name]]}" if name in COUNTS else ""
    return f"{WORDS.get(name, name)} {_number(number)}{count}"


def _number(interval: Interval) -> str:
    """The number in bold with its interval, or a dash."""
    value, *rest = str(interval).split(" ")
    return " ".join([f"**{value}**" if rest else value, *rest])


# ---- the sheet


def draw_sheet(report: Report) -> Image.Image:
    """Draw the chosen answers of all suites, a row each: truth on the left, answer on the right."""
    rows = [(title, [_tile(each) for each in shown]) for title, shown in report.shown.items()]
    columns = max((len(tiles) for _, tiles in rows), default=1)
    heights = [max(tile.height for tile in tiles) + 2 * LINE for _, tiles in rows]
    page = Image.new("RGB", (columns * (TILE_WIDTH + GAP) + GAP, sum(heights) + GAP), "white")
    top = 0
    for (title, tiles), height in zip(rows, heights, strict=True):
        words = f"{title}: from the best answer to the worst, in equal steps"
        TextRenderer([words], FONT_SIZE + 2).paint(page, words, (GAP, top + LINE), BLACK)
        for column, tile in enumerate(tiles):
            page.paste(tile, (GAP + column * (TILE_WIDTH + GAP), top + 2 * LINE))
        top += height
    return page


def _tile(prediction: Prediction) -> Image.Image:
    answer, record = prediction
    picture = record.picture()
    if record.region is not None:
        ImageDraw.Draw(picture).rectangle(record.region, outline=RED, width=2)
    asked = record.prompt or record.text_input
    notes = [(asked, GREY)] if asked else []
    if isinstance(record.result, Text) and isinstance(answer, Text):
        notes += [(f"truth: {record.result.text}", GREY), (f"answer: {answer.text}", BLACK)]
        if not any(piece.points for each in (record.result, answer) for piece in each.pieces):
            return _with_notes([picture], notes)
        places = [replace(each, text="") for each in (record.result, answer)]  # words stand below
        return _with_notes([draw(picture, each) for each in places], notes)
    return _with_notes([draw(picture, record.result), draw(picture, answer)], notes)


def _with_notes(
    pictures: Sequence[Image.Image], notes: Sequence[tuple[str, tuple[int, int, int]]]
) -> Image.Image:
    """Put pictures side by side, and texts below."""
    renderer = TextRenderer([note for note, _ in notes], FONT_SIZE)
    lines = [
        (line, colour)
        for note, colour in notes
        for line in renderer.wrapped(note, TILE_WIDTH)[:MAX_LINES]
    ]
    tile = Image.new("RGB", (TILE_WIDTH, PICTURE_HEIGHT + LINE * (len(lines) + 1)), "white")
    width = (TILE_WIDTH - GAP * (len(pictures) - 1)) // len(pictures)
    for column, picture in enumerate(pictures):
        small = ImageOps.contain(picture, (width, PICTURE_HEIGHT))
        tile.paste(small, (column * (width + GAP), 0))
    for row, (line, colour) in enumerate(lines):
        renderer.paint(tile, line, (0, PICTURE_HEIGHT + LINE * row + LINE // 2), colour)
    return tile
