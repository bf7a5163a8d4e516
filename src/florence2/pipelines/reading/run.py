"""Read print of any size: find its lines by their ink, cut them into pieces that fit the model,
read the pieces side by side, and put together what they say.

A model that was trained on such pieces (`ReadingDefaults.rows`) sees a few of them at once, one
below the other, and writes a line for each. Any other is shown whole lines in their own shape, and
asked where what it reads stands.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image

from florence2.answers.confidence import ScoredText, mean_probability
from florence2.answers.defaults import ReadingDefaults
from florence2.answers.tokens import PADDING
from florence2.engine import CompletionRequest, Engine, ImageRequest, Request
from florence2.generation.options import Generated
from florence2.geometry import Size
from florence2.pipelines.ask import results_of
from florence2.pipelines.reading.find_lines import FoundLine, find_lines
from florence2.pipelines.reading.lines import Line, ReadLines
from florence2.pipelines.reading.order import read_in_order
from florence2.pipelines.reading.pieces import Piece, cut_pieces, line_of
from florence2.pipelines.reading.stacks import Grey, drawn_in_rows, stacked
from florence2.results import Quads
from florence2.tasks import Task

T = TypeVar("T")

BATCH_SIZE = 64  # pictures of pieces that are on their way at once
TOKENS_OF_ROW = 48  # longest reading of a piece, in tokens
ROW_HEIGHT = 64  # pixels of a line in a picture for models that were not trained on pieces


class Reading(NamedTuple):
    """What a piece says, and how sure the model is of it."""

    text: str
    score: float | None


def read_lines(
    engine: Engine,
    picture: Image.Image,
    *,
    settings: ReadingDefaults | None = None,
    min_score: float | None = None,
    batch_size: int = BATCH_SIZE,
) -> ReadLines:
    """Read all print on a picture of any size.

    Args:
        settings: how to read; None for the checkpoint's own way.
        min_score: lines of a lower score are doubtful; None for the checkpoint's own threshold.
        batch_size: pictures of pieces that are asked side by side.
    """
    settings = settings or engine.defaults.reading
    grey = np.asarray(picture.convert("L"))
    found = find_lines(grey)
    if not found:
        return ReadLines((), (), picture.size)
    side = engine.processor.image_side
    aspect = settings.max_aspect if settings.rows else max(1.0, side / ROW_HEIGHT)
    pieces = [cut_pieces(grey, line, max_aspect=aspect) for line in found]
    shown = [piece.image for group in pieces for piece in group]
    reader = _read_stacks if settings.rows else _read_rows
    readings = iter(reader(engine, shown, settings, batch_size))
    lines = [line_read(line, group, readings) for line, group in zip(found, pieces, strict=True)]
    kept = [line for line in lines if line.text]
    threshold = settings.min_score if min_score is None else min_score
    sure = [line for line in kept if line.score is None or line.score >= threshold]
    doubtful = [line for line in kept if line.score is not None and line.score < threshold]
    in_order, blocks = order_of(sure, picture.size)
    return ReadLines(
        tuple(sure[row] for row in in_order),
        tuple(doubtful[row] for row in order_of(doubtful, picture.size)[0]),
        picture.size,
        blocks,
    )


def order_of(lines: Sequence[Line], image_size: Size) -> tuple[list[int], tuple[int, ...]]:
    """The numbers of lines in the order of reading, and the number of the block of each."""
    quads = np.array([line.quad for line in lines]).reshape(-1, 4, 2)
    numbered = Quads(quads, tuple(map(str, range(len(lines)))), image_size=image_size)
    in_order, blocks = read_in_order(numbered)
    return [int(label) for label in in_order.labels], blocks


def line_read(line: FoundLine, pieces: Sequence[Piece], readings: Iterator[Reading]) -> Line:
    """A line with the words that its pieces say, taking as many readings."""
    read = [next(readings) for _ in pieces]
    return line_of(line, pieces, [each.text for each in read], [each.score for each in read])


# -- models that were trained on pieces


def _read_stacks(
    engine: Engine, pieces: Sequence[Grey], settings: ReadingDefaults, batch_size: int
) -> list[Reading]:
    """Read pieces a few at once; those of a picture that was read as more or fewer, alone."""
    stacks = list(_groups(range(len(pieces)), settings.rows))
    readings: list[Reading | None] = [None] * len(pieces)
    for stack, rows in zip(stacks, _written(engine, pieces, stacks, batch_size), strict=True):
        if len(rows) == len(stack):
            for number, row in zip(stack, rows, strict=True):
                readings[number] = row
    alone = [(number,) for number, reading in enumerate(readings) if reading is None]
    for (number,), rows in zip(alone, _written(engine, pieces, alone, batch_size), strict=True):
        readings[number] = _joined(rows)
    return [reading or Reading("", None) for reading in readings]


def _written(
    engine: Engine, pieces: Sequence[Grey], stacks: Sequence[Sequence[int]], batch_size: int
) -> Iterator[list[Reading]]:
    """The lines that the model writes about each stack of pieces."""
    side, processor = engine.processor.image_side, engine.processor
    options = replace(engine.generation, num_beams=1, early_stopping=True)
    for batch in _groups(stacks, batch_size):
        pictures = [stacked([pieces[number] for number in stack], side) for stack in batch]
        encoded = [engine.submit(ImageRequest(picture)) for picture in pictures]
        asked = []
        for picture, stack in zip(encoded, batch, strict=True):
            image = picture.result()
            prompt = processor.prompt_ids(Task.OCR, "", None, image.image_size)
            limit = min(options.max_new_tokens, 2 + TOKENS_OF_ROW * len(stack))
            asked.append(
                engine.submit(
                    CompletionRequest(image, prompt, replace(options, max_new_tokens=limit))
                )
            )
        for answer in asked:
            yield rows_of(engine, answer.result().generated)


def rows_of(engine: Engine, generated: Generated) -> list[Reading]:
    """The lines of an answer, each with the geometric mean of the probabilities of its tokens."""
    pieces = engine.processor.scored_text(generated.token_ids, generated.token_logprobs)
    rows: list[list[ScoredText]] = [[]]
    for number, piece in enumerate(pieces):
        if piece.text not in (*PADDING, "\n"):
            rows[-1].append(piece)
        elif number:  # the beginning is always the same
            rows[-1].append(ScoredText("", piece.logprobs))
        if piece.text == "\n":
            rows.append([])
    return [_reading(row) for row in rows]


def _reading(pieces: Sequence[ScoredText]) -> Reading:
    logprobs = [value for piece in pieces for value in piece.logprobs]
    text = "".join(piece.text for piece in pieces)
    return Reading(" ".join(text.split()), mean_probability(logprobs))


def _joined(rows: Sequence[Reading]) -> Reading:
    """One piece that was read as several lines: their words, and the least of their scores."""
    scores = [row.score for row in rows if row.score is not None]
    return Reading(" ".join(row.text for row in rows if row.text), min(scores, default=None))


# -- models that were not


def _read_rows(
    engine: Engine, pieces: Sequence[Grey], settings: ReadingDefaults, batch_size: int
) -> list[Reading]:
    """Read pieces as the rows of pages, each in its own shape, by where the words stand."""
    side = engine.processor.image_side
    sheets = list(_groups(range(len(pieces)), max(1, side // ROW_HEIGHT)))
    drawn = [drawn_in_rows([pieces[number] for number in sheet], side) for sheet in sheets]
    requests = (Request(picture, Task.OCR_WITH_REGION) for picture in drawn)
    readings: list[Reading] = []
    for sheet, result in zip(sheets, results_of(engine, requests, batch_size), strict=True):
        assert isinstance(result, Quads), "reading with places answers with quads"
        readings += _by_row(result, len(sheet), side)
    return readings


def _by_row(result: Quads, num_rows: int, side: int) -> Iterator[Reading]:
    """What stands in each row of a picture, from left to right."""
    middles = result.quads.mean(axis=1)
    rows = (middles[:, 1] * num_rows / side).astype(int) if len(middles) else np.zeros(0, int)
    for number in range(num_rows):
        inside = np.flatnonzero(rows == number)
        inside = inside[np.argsort(middles[inside, 0], kind="stable")]
        scores = [result.scores[each] for each in inside] if result.scores else []
        known = [score for score in scores if score is not None]
        text = " ".join(result.labels[each] for each in inside)
        yield Reading(" ".join(text.split()), float(np.mean(known)) if known else None)


def _groups(items: Sequence[T], size: int) -> Iterable[Sequence[T]]:
    """As many as `size` at once."""
    return (items[start : start + size] for start in range(0, len(items), size))
