"""Two-stage reading as the answer to a task: when it is the better way, and what it says."""

import numpy as np
from PIL import Image

from florence2.engine import Engine
from florence2.pipelines.reading.find_lines import find_lines
from florence2.pipelines.reading.lines import Line, ReadLines
from florence2.pipelines.reading.run import read_lines
from florence2.pipelines.tiling.text_lines import weighted_mean
from florence2.results import DoubtfulText, Quads, Text
from florence2.tasks import Task

MIN_LETTER = 10.0  # pixels; smaller letters are too small in a tile, which shows them as they are
MAX_LETTER = 1 / 8  # of the side of a tile; larger ones do not fit in words


def suits_pieces(engine: Engine, picture: Image.Image) -> bool:
    """Whether print is better read line by line than in tiles of the model's own side.

    A model that was trained on pieces of lines reads them always. Tiles show letters at the size
    that they have, so any other model reads tiles where the capitals of most lines are 10 pixels
    high or higher and at most an eighth of its side, and lines elsewhere: each is then shown at
    the size that suits. This rule was not measured on published weights.
    """
    if engine.defaults.reading.rows:
        return True
    heights = [line.letter_height for line in find_lines(np.asarray(picture.convert("L")))]
    if not heights:
        return False
    middle = float(np.median(heights))
    return not MIN_LETTER <= middle <= MAX_LETTER * engine.processor.image_side


def answer_read(
    engine: Engine, picture: Image.Image, task: Task, min_score: float | None = None
) -> Text | Quads:
    """Answer `ocr` or `ocr_with_region` by two-stage reading.

    Args:
        min_score: lines that score lower are told as doubtful; None for the checkpoint's own.
    """
    read = read_lines(engine, picture, min_score=min_score)
    doubtful = tuple(
        DoubtfulText(line.text, line.score, tuple(map(tuple, line.quad.tolist())))
        for line in read.doubtful
    )
    scores = tuple(line.score for line in read.lines)
    labels = tuple(line.text for line in read.lines)
    if task is Task.OCR:
        score = weighted_mean(scores, labels)
        return Text(page_text(read), score=score, image_size=read.image_size, doubtful=doubtful)
    quads = np.array([line.quad for line in read.lines]).reshape(-1, 4, 2)
    return Quads(quads, labels, scores, image_size=read.image_size, doubtful=doubtful)


def page_text(read: ReadLines) -> str:
    """What a page says: what stands in a row on one line, a blank line between blocks."""
    parts = []
    for number, line in enumerate(read.lines):
        if number:
            before = read.lines[number - 1]
            gap = " " if _in_one_row(before, line) else "\n"
            parts.append(gap if read.blocks[number - 1] == read.blocks[number] else "\n\n")
        parts.append(line.text)
    return "".join(parts)


def _in_one_row(line: Line, following: Line) -> bool:
    """Whether a line goes on to the right in the one that is read after it."""
    (x_min, y_min, _, y_max), (next_x, next_y_min, _, next_y_max) = line.box, following.box
    common = min(y_max, next_y_max) - max(y_min, next_y_min)
    return next_x > x_min and common > 0.5 * min(y_max - y_min, next_y_max - next_y_min)
