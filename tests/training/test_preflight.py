"""Batches that would teach something else are refused with the reason; good ones are drawn."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from florence2.answers import format_answer
from florence2.errors import DataError
from florence2.model.config import with_vocab_size
from florence2.processing.images import preprocess
from florence2.processing.tokenizer import Tokenizer
from florence2.results import Boxes, Polygons, Quads, Result, Text
from florence2.tasks import Task
from florence2.training.batches import Batch, Example, collate
from florence2.training.preflight import check_batches, picture_of, preview
from tiny_models import CONFIG

SIDE = CONFIG.image_side
FRAME = {"image_size": (SIDE, SIDE)}
ROWS = 8


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([task.template for task in Task], vocab_size=300)


def boxes(*labels: str, left: int = 3) -> Boxes:
    corners = np.array([[left, 4, 20, 30]] * len(labels)).reshape(-1, 4)
    return Boxes(xyxy=corners, labels=labels, **FRAME)


def example(tokenizer: Tokenizer, task: Task, result: Result) -> Example:
    return Example(
        pixels=np.zeros((3, SIDE, SIDE), np.float32),
        task=task,
        prompt_ids=tokenizer.encode(task.prompt()),
        label_ids=tokenizer.encode(format_answer(result, task)),
    )


def good(tokenizer: Tokenizer) -> list[Example]:
    """Detection, each answer another."""
    return [example(tokenizer, Task.OD, boxes("car", left=row)) for row in range(ROWS)]


def checked(tokenizer: Tokenizer, rows: Sequence[Example]) -> str:
    """Check some examples; the message of the refusal, empty if there is none."""
    return checked_batch(tokenizer, collate(rows, tokenizer.pad_id))


def checked_batch(tokenizer: Tokenizer, *batches: Batch) -> str:
    try:
        check_batches(batches, tokenizer, with_vocab_size(CONFIG, tokenizer.vocab_size))
    except DataError as error:
        assert "\n" not in str(error)
        return str(error)
    return ""


# ---- what is let through


def test_good_batches_are_let_through_and_counted(tokenizer: Tokenizer) -> None:
    rows = [*good(tokenizer), example(tokenizer, Task.OD, boxes())]
    rows += [example(tokenizer, Task.CAPTION, Text(text="A car.", **FRAME))]
    batches = [collate(rows[:4], tokenizer.pad_id), collate(rows[4:], tokenizer.pad_id)]
    config = with_vocab_size(CONFIG, tokenizer.vocab_size)
    report = check_batches(batches, tokenizer, config)
    assert report.rows_of_tasks == ((Task.OD, 9), (Task.CAPTION, 1))
    assert (report.rows, report.empty_rows) == (10, 1)
    assert report.longest_answer == max(len(each.label_ids) for each in rows)
    assert report.longest_prompt == max(len(each.prompt_ids) for each in rows)
    assert (report.max_answer, report.max_prompt) == (64, 64 - 17)
    assert "10 (<OD> 9, <CAPTION> 1)" in report.describe()


@pytest.mark.parametrize(
    ("task", "result"),
    [
        pytest.param(Task.CAPTION, Text(text="loc_1000 < 5, a car <3", **FRAME), id="signs"),
        pytest.param(Task.OCR, Text(text="one\ntwo", **FRAME), id="lines"),
        pytest.param(
            Task.OCR_WITH_REGION,
            Quads(quads=np.array([[[1, 1], [9, 1], [9, 5], [1, 5]]]), labels=("ab",), **FRAME),
            id="quads",
        ),
        pytest.param(Task.REGION_PROPOSAL, boxes("", ""), id="proposals"),
        pytest.param(Task.OD, boxes("car", "dog"), id="two classes"),
    ],
)
def test_answers_of_every_grammar_are_let_through(
    tokenizer: Tokenizer, task: Task, result: Result
) -> None:
    assert checked(tokenizer, [example(tokenizer, task, result), *good(tokenizer)[:1]]) == ""


# ---- what is refused


def change_ids(tokenizer: Tokenizer, change: Callable[[list[int]], list[int]]) -> list[Example]:
    """Good rows, the third one's labels changed."""
    rows = good(tokenizer)
    rows[2] = replace(rows[2], label_ids=change(list(rows[2].label_ids)))
    return rows


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(lambda ids: ids[:-1], "truncated, they end without </s> after", id="cut"),
        pytest.param(lambda ids: [], "no label, all are -100", id="none"),
        pytest.param(lambda ids: [*ids, 1, 1], "hold padding (<pad>, id 1)", id="padded"),
        pytest.param(lambda ids: [*ids[:3], -100, *ids[3:]], "-100 inside", id="hole"),
        pytest.param(lambda ids: [*ids[:3], 51288, *ids[3:]], "token id 51288", id="beyond"),
        pytest.param(lambda ids: [*ids[:3], -7, *ids[3:]], "token id -7", id="negative"),
        pytest.param(lambda ids: [2, *ids], "do not begin with <s>", id="shifted twice"),
        pytest.param(
            lambda ids: [ids[0], *ids[-5:-1], *ids[1:-5], 2], "grammar of <OD>", id="order"
        ),
        pytest.param(lambda ids: [*ids[:-2], 2], "grammar of <OD>", id="three coordinates"),
    ],
)
def test_labels_that_teach_something_else_are_refused(
    tokenizer: Tokenizer, change: Callable[[list[int]], list[int]], reason: str
) -> None:
    message = checked(tokenizer, change_ids(tokenizer, change))
    assert reason in message
    assert "1 of 8 rows cannot be trained on; the first is row 2 of batch 0 (<OD>" in message


@pytest.mark.parametrize("text", ["<loc_1000>", "<loc_-3>", "<loc_12.5>"])
def test_locations_out_of_the_vocabulary_are_refused(tokenizer: Tokenizer, text: str) -> None:
    """As other kits write the right edge of a picture."""
    rows = good(tokenizer)
    ids = tokenizer.encode(f"car<loc_1><loc_2>{text}<loc_999>")
    rows[2] = replace(rows[2], label_ids=ids)
    assert f"{text!r} is spelled in letters" in checked(tokenizer, rows)


def test_locations_spelled_by_another_tokenizer_are_refused(tokenizer: Tokenizer) -> None:
    """Decoded it reads right, but no location token is in it."""
    rows = good(tokenizer)
    letters = [
        each
        for letter in "car<loc_1><loc_2><loc_3><loc_4>"
        for each in tokenizer.encode(letter)[1:-1]
    ]
    rows[2] = replace(rows[2], label_ids=[0, *letters, 2])
    assert "'<loc_1>' is spelled in letters" in checked(tokenizer, rows)


@pytest.mark.parametrize(
    ("prompt_ids", "reason"),
    [
        pytest.param([0, 2], "its prompt is empty", id="question dropped"),
        pytest.param([0, 9, 9], "is not <s> ... </s>", id="cut"),
        pytest.param([9, 9, 2], "is not <s> ... </s>", id="no start"),
        pytest.param([0, 9, 99999, 2], "token id 99999", id="beyond"),
        pytest.param([0, 9, 2, 1], "padding that prompt_mask does not hide", id="padded"),
        pytest.param([], "is not <s> ... </s>", id="none"),
    ],
)
def test_prompts_that_ask_nothing_are_refused(
    tokenizer: Tokenizer, prompt_ids: list[int], reason: str
) -> None:
    rows = good(tokenizer)
    rows[2] = replace(rows[2], prompt_ids=prompt_ids)
    assert reason in checked(tokenizer, rows)


def test_the_number_of_faulty_rows_is_told(tokenizer: Tokenizer) -> None:
    rows = [replace(each, label_ids=each.label_ids[:-1]) for each in good(tokenizer)[:3]]
    assert "3 of 8 rows" in checked(tokenizer, [*good(tokenizer)[:5], *rows])


def test_answers_beyond_the_positions_of_the_decoder_are_refused(tokenizer: Tokenizer) -> None:
    rows = [replace(good(tokenizer)[0], label_ids=[0, *[9] * count, 2]) for count in (62, 63)]
    assert checked(tokenizer, [replace(rows[0], task=Task.CAPTION), *good(tokenizer)]) == ""
    message = checked(tokenizer, [replace(rows[1], task=Task.CAPTION), *good(tokenizer)])
    assert "has 65 tokens but the decoder has 64 positions" in message


def test_prompts_beyond_the_positions_of_the_encoder_are_refused(tokenizer: Tokenizer) -> None:
    rows = good(tokenizer)
    rows[1] = replace(rows[1], prompt_ids=[0, *[9] * 45, 2])
    assert checked(tokenizer, rows) == ""
    rows[1] = replace(rows[1], prompt_ids=[0, *[9] * 46, 2])
    message = checked(tokenizer, rows)
    assert (
        "has 48 tokens; beside the 17 tokens of a picture the encoder has 47 positions" in message
    )


def test_answers_that_are_all_the_same_are_refused(tokenizer: Tokenizer) -> None:
    rows = [example(tokenizer, Task.OD, boxes("car"))] * ROWS
    assert "all 8 answers of all tasks are the same, '<s>car<loc_" in checked(tokenizer, rows)
    assert checked(tokenizer, [*rows[1:], *good(tokenizer)[:1]]) == ""


def test_one_constant_task_is_found_among_others(tokenizer: Tokenizer) -> None:
    caption = example(tokenizer, Task.CAPTION, Text(text="A car.", **FRAME))
    message = checked(tokenizer, [*good(tokenizer), *[caption] * ROWS])
    assert "all 8 answers of task '<CAPTION>' are the same" in message
    assert checked(tokenizer, [*good(tokenizer), *[caption] * (ROWS - 1)]) == ""


def test_answers_that_are_all_empty_are_refused(tokenizer: Tokenizer) -> None:
    empty = example(tokenizer, Task.OD, boxes())
    assert "all 1 answers of all tasks are empty" in checked(tokenizer, [empty])
    assert checked(tokenizer, [*[empty] * 7, *good(tokenizer)[:1]]) == ""


def test_several_batches_are_judged_together(tokenizer: Tokenizer) -> None:
    batches = [collate([each], tokenizer.pad_id) for each in good(tokenizer)]
    assert checked_batch(tokenizer, *batches) == ""
    assert checked_batch(tokenizer, *[batches[0]] * ROWS).startswith("all 8 answers")
    assert "no row to look at" in checked_batch(tokenizer)


# ---- preview


def test_pictures_come_back_from_the_pixels_exactly() -> None:
    levels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    pixels = torch.from_numpy(preprocess(Image.fromarray(levels), SIDE))
    assert np.array_equal(np.asarray(picture_of(pixels)), levels)


def sheet(tokenizer: Tokenizer, path: Path, rows: Sequence[Example]) -> np.ndarray:
    preview(collate(rows, tokenizer.pad_id), tokenizer, path)
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def test_the_preview_shows_what_the_labels_say(tokenizer: Tokenizer, tmp_path: Path) -> None:
    first = sheet(tokenizer, tmp_path / "new" / "a.png", good(tokenizer)[:1])
    moved = sheet(tokenizer, tmp_path / "b.png", good(tokenizer)[5:6])
    again = sheet(tokenizer, tmp_path / "c.png", good(tokenizer)[:1])
    assert np.array_equal(first, again)
    height = min(len(first), len(moved))
    assert not np.array_equal(first[:height], moved[:height])


def test_the_preview_shows_every_kind_of_answer(tokenizer: Tokenizer, tmp_path: Path) -> None:
    part = np.array([[3, 3], [20, 4], [12, 25]])
    rows = [
        *good(tokenizer)[:1],
        example(tokenizer, Task.OD, boxes()),
        example(tokenizer, Task.CAPTION, Text(text="A long caption. " * 60, **FRAME)),
        example(
            tokenizer,
            Task.OCR_WITH_REGION,
            Quads(quads=np.array([[[1, 1], [9, 1], [9, 5], [1, 5]]]), labels=("ab",), **FRAME),
        ),
        Example(
            pixels=np.zeros((3, SIDE, SIDE), np.float32),
            task=Task.REFERRING_EXPRESSION_SEGMENTATION,
            prompt_ids=tokenizer.encode(Task.REFERRING_EXPRESSION_SEGMENTATION.prompt("a car")),
            label_ids=tokenizer.encode(
                format_answer(
                    Polygons(polygons=((part,),), labels=("",), **FRAME),
                    Task.REFERRING_EXPRESSION_SEGMENTATION,
                )
            ),
        ),
        replace(good(tokenizer)[0], label_ids=[0, 9, 9]),  # faulty ones are drawn as far as can be
    ]
    page = sheet(tokenizer, tmp_path / "a.png", rows)
    inked = (page < 255).any(axis=(0, 2))
    tiles = np.flatnonzero(np.diff(inked.astype(int)) == 1)
    assert len(tiles) == 4, "four stand side by side, two below them"
    assert len(np.unique(page[::9, ::9].reshape(-1, 3), axis=0)) > 20, "they are drawn on"


def test_the_preview_stops_after_sixteen_rows(tokenizer: Tokenizer, tmp_path: Path) -> None:
    many = sheet(tokenizer, tmp_path / "a.png", good(tokenizer)[:1] * 40)
    most = sheet(tokenizer, tmp_path / "b.png", good(tokenizer)[:1] * 16)
    assert many.shape == most.shape
