"""Two-stage reading: pieces in rows, answers back to pieces, lines in doubt, when it is used."""

from collections.abc import Iterator, Sequence
from math import log
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from florence2 import Florence2
from florence2.answers.defaults import AnswerDefaults, ReadingDefaults
from florence2.errors import ConfigError
from florence2.generation.options import Generated
from florence2.geometry import box_to_quad
from florence2.pipelines.reading import run
from florence2.pipelines.reading.answer import answer_read, page_text, suits_pieces
from florence2.pipelines.reading.lines import Line, ReadLines
from florence2.pipelines.reading.run import Reading, read_lines, rows_of
from florence2.pipelines.reading.stacks import drawn_in_rows, stacked
from florence2.results import Quads, Text, from_dict
from florence2.tasks import Task


def grey(value: int, height: int = 20, width: int = 60) -> Any:
    return np.full((height, width), value, np.uint8)


def picture_of(*lines: str, size: int = 28) -> Image.Image:
    step = round(2.2 * size)
    picture = Image.new("RGB", (40 + 12 * size, 80 + step * len(lines)), "white")
    font = ImageFont.truetype("DejaVuSans.ttf", size)
    for number, line in enumerate(lines):
        ImageDraw.Draw(picture).text((40, 40 + step * number), line, "black", font)
    return picture


def engine_with(reading: ReadingDefaults, side: int = 128) -> Any:
    return SimpleNamespace(
        defaults=AnswerDefaults(reading=reading), processor=SimpleNamespace(image_side=side)
    )


# ---- pieces in a picture


def test_pieces_are_rows_of_equal_height_as_wide_as_the_picture() -> None:
    pixels = np.asarray(stacked([grey(10), grey(200, 9, 300), grey(90)], 128))
    assert pixels.shape == (128, 128, 3)
    assert [int(pixels[row, column, 0]) for row in (20, 64, 110) for column in (0, 127)] == [
        *(10, 10),
        *(200, 200),
        *(90, 90),
    ]


def test_lines_keep_their_shape_for_models_that_were_not_trained_on_pieces() -> None:
    pixels = np.asarray(drawn_in_rows([grey(0, 20, 40), grey(0, 20, 2000)], 200))[..., 0]
    assert (pixels[50, :190] == 0).all() and (pixels[50, 210:] == 255).all()
    dark = np.flatnonzero((pixels[100:] < 128).any(axis=1))
    assert len(dark) == 2 and abs(dark.mean() - 49.5) <= 1  # shrunk, in the middle of its row


# ---- answers back to pieces


def test_rows_of_an_answer_have_scores_of_their_own() -> None:
    with Florence2.load() as model:
        ids = model.processor.tokenizer.encode("ab\ncd")
        logprobs = [0.0] * len(ids)
        logprobs[1] = log(0.25)  # behind <s>: a letter of the first row
        engine: Any = model.engine
        first, second = rows_of(engine, Generated(tuple(ids), "stop", tuple(logprobs), 0.0))
        (empty,) = rows_of(engine, Generated((0, 2), "stop", (0.0, log(0.5)), 0.0))
    assert (first.text, second.text) == ("ab", "cd")
    assert first.score == pytest.approx(0.25 ** (1 / 3)) and second.score == 1.0
    assert empty == ("", 0.5)


def test_a_picture_with_a_wrong_number_of_rows_is_read_piece_by_piece(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[int, ...]] = []

    def written(
        engine: object, pieces: object, stacks: Sequence[Sequence[int]], batch_size: int
    ) -> Iterator[list[Reading]]:
        for stack in stacks:
            asked.append(tuple(stack))
            if tuple(stack) == (2, 3):
                yield [Reading("one row", 0.9)]
            elif tuple(stack) == (3,):
                yield [Reading("two", 0.8), Reading("rows", 0.7)]
            else:
                yield [Reading(f"piece {number}", 0.9) for number in stack]

    monkeypatch.setattr(run, "_written", written)
    readings = run._read_stacks(None, [grey(0)] * 5, ReadingDefaults(rows=2), 8)  # type: ignore[arg-type]
    assert asked == [(0, 1), (2, 3), (4,), (2,), (3,)]
    assert [each.text for each in readings] == [
        *("piece 0", "piece 1", "piece 2"),
        "two rows",
        "piece 4",
    ]
    assert readings[3].score == 0.7  # the least sure of both


def test_lines_below_the_threshold_are_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    def reader(engine: object, pieces: Sequence[Any], *_: object) -> list[Reading]:
        return [
            Reading("word" if number else "doubt", 0.9 if number else 0.4)
            for number in range(len(pieces))
        ]

    monkeypatch.setattr(run, "_read_stacks", reader)
    picture = picture_of("first", "second", "third")
    engine = engine_with(ReadingDefaults(rows=2, min_score=0.6, max_aspect=16))
    read = read_lines(engine, picture)
    assert [line.text for line in read.doubtful] == ["doubt"]
    assert [line.text for line in read.lines] == ["word", "word"]
    assert len(read.blocks) == 2 and read.image_size == picture.size
    assert not read_lines(engine, picture, min_score=0.3).doubtful
    told = answer_read(engine, picture, Task.OCR)
    assert isinstance(told, Text) and told.text.split() == ["word", "word"]
    (doubt,) = told.doubtful
    assert (doubt.text, doubt.score, len(doubt.quad)) == ("doubt", pytest.approx(0.4), 4)
    assert from_dict(told.to_dict()) == told and from_dict(told.to_dict()).doubtful == told.doubtful
    placed = answer_read(engine, picture, Task.OCR_WITH_REGION)
    assert isinstance(placed, Quads) and placed.labels == ("word", "word")
    assert placed.doubtful == told.doubtful and from_dict(placed.to_dict()) == placed


def test_a_blank_page_says_nothing_and_asks_nothing() -> None:
    engine = engine_with(ReadingDefaults(rows=2))
    told = answer_read(engine, Image.new("RGB", (300, 200), "white"), Task.OCR)
    assert isinstance(told, Text) and (told.text, told.score, told.doubtful) == ("", None, ())


def test_what_stands_in_a_row_is_told_on_one_line() -> None:
    def line(text: str, x: float, y: float) -> Line:
        return Line(text, box_to_quad((x, y, x + 60, y + 20)))

    lines = (
        line("Total", 10, 10),
        line("19.50", 300, 12),
        line("Cash", 10, 40),
        line("x", 10, 300),
    )
    read = ReadLines(lines, (), (400, 400), (0, 0, 0, 1))
    assert page_text(read) == "Total 19.50\nCash\n\nx"


# ---- when it is used


@pytest.mark.parametrize(
    ("rows", "size", "used"), [(2, 28, True), (0, 28, False), (0, 9, True), (0, 170, True)]
)
def test_letters_decide_for_models_that_were_not_trained_on_pieces(
    rows: int, size: int, used: bool
) -> None:
    engine = engine_with(ReadingDefaults(rows=rows), side=768)
    assert suits_pieces(engine, picture_of("some words", "more words", size=size)) is used


def test_reading_settings_are_checked() -> None:
    for wrong in ({"rows": 9}, {"rows": 1.5}, {"min_score": 2}, {"max_aspect": 0.2}):
        with pytest.raises(ConfigError):
            ReadingDefaults(**wrong)  # type: ignore[arg-type]


def test_a_picture_read_in_rows_of_a_page_is_put_back_by_place() -> None:
    quads = np.array(
        [box_to_quad((10, 5, 40, 45)), box_to_quad((60, 10, 90, 40)), box_to_quad((5, 60, 50, 90))]
    )
    result = Quads(quads, ("b", "a", "c d"), (0.5, 0.7, 0.9), image_size=(100, 100))
    first, second = run._by_row(result, 2, 100)
    assert first == ("b a", pytest.approx(0.6)) and second == ("c d", 0.9)
