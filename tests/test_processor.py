"""Pictures, questions and ids on their way into the model and out of it."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from florence2.answers import parse_answer
from florence2.errors import TaskError
from florence2.locations import encode_boxes
from florence2.model.config import Florence2Config, TextConfig
from florence2.processing.images import preprocess
from florence2.processing.processor import Processor
from florence2.processing.tokenizer import Tokenizer
from florence2.results import Boxes, Text
from florence2.tasks import Task
from tiny_models import SMALLEST

SIZE = (640, 480)


@dataclass(frozen=True)
class Ids:
    """What a search returns, as far as the processor looks."""

    token_ids: tuple[int, ...]
    finish_reason: str = "stop"

    @property
    def token_logprobs(self) -> tuple[float, ...]:
        """One half for every token."""
        return (math.log(0.5),) * len(self.token_ids)


@cache
def processor(positions: int = 64) -> Processor:
    """For pictures of 32 pixels, hence 1 + 4 x 4 image tokens."""
    text = TextConfig(max_position_embeddings=positions)
    templates = [task.template for task in Task] * 2
    return Processor(
        Tokenizer.train(templates, vocab_size=400),
        Florence2Config(vision=SMALLEST.vision, text=text, image_side=32),
    )


def prompt_text(token_ids: list[int]) -> str:
    return processor().tokenizer.decode(token_ids)


def test_pictures_become_one_array_of_the_models_side() -> None:
    images = [Image.new("RGB", size, colour) for size, colour in (((9, 4), "red"), (SIZE, "teal"))]
    pixels = processor().pixels(images)
    assert pixels.shape == (2, 3, 32, 32)
    assert pixels.dtype == np.float32
    assert all(
        np.array_equal(row, preprocess(image, 32))
        for row, image in zip(pixels, images, strict=True)
    )


def test_a_question_becomes_its_prompt() -> None:
    ids = processor().prompt_ids(Task.OD, "", None, SIZE)
    assert prompt_text(ids) == "<s>Locate the objects with category name in the image.</s>"
    ids = processor().prompt_ids(Task.CAPTION_TO_PHRASE_GROUNDING, " a dog", None, SIZE)
    assert prompt_text(ids) == "<s>Locate the phrases in the caption: a dog</s>"


def test_a_region_in_pixels_becomes_bins_of_the_original_picture() -> None:
    ids = processor().prompt_ids(Task.REGION_TO_OCR, "", (64, 0, 320.5, 480), SIZE)
    expected = "<loc_100><loc_0><loc_500><loc_999>"
    assert prompt_text(ids) == f"<s>What text is in the region {expected}?</s>"


@given(st.lists(st.integers(0, 100), min_size=4, max_size=4, unique=True))
def test_any_box_inside_the_picture_is_taken(sides: list[int]) -> None:
    left, right, top, bottom = *sorted(sides[:2]), *sorted(sides[2:])
    box = np.array([left, top, right, bottom], dtype=np.float32)
    ids = processor().prompt_ids(Task.REGION_TO_CATEGORY, "", box, (100, 100))
    bins = [id_ - processor().tokenizer.loc_begin for id_ in ids]
    assert [bin_ for bin_ in bins if 0 <= bin_ < 1000] == encode_boxes(box, (100, 100)).tolist()


@pytest.mark.parametrize(
    "region",
    [
        pytest.param((0, 0, 641, 480), id="beyond-the-right"),
        pytest.param((0, 0, 640, 480.5), id="beyond-the-bottom"),
        pytest.param((-1, 0, 640, 480), id="beyond-the-left"),
        pytest.param((0, -0.1, 640, 480), id="beyond-the-top"),
        pytest.param((30, 0, 30, 480), id="no-width"),
        pytest.param((0, 90, 30, 80), id="upside-down"),
        pytest.param((0, 0, float("nan"), 480), id="nan"),
        pytest.param((0, 0, float("inf"), 480), id="infinite"),
    ],
)
def test_a_region_outside_of_the_picture_is_refused(region: tuple[float, ...]) -> None:
    with pytest.raises(TaskError) as caught:
        processor().prompt_ids(Task.REGION_TO_OCR, "", region, SIZE)
    assert str(caught.value) == (
        f"region {region!r} is not a box inside the picture of 640 x 480 pixels; give x_min, "
        "y_min, x_max, y_max in pixels with 0 <= x_min < x_max <= 640 and 0 <= y_min < y_max <= 480"
    )


@pytest.mark.parametrize("region", [(), (1, 2, 3), (1, 2, 3, 4, 5), "box", (1, 2, 3, None), 7])
def test_a_region_that_is_not_four_numbers_is_refused(region: Any) -> None:
    with pytest.raises(TaskError, match="is not four numbers; give x_min, y_min, x_max, y_max"):
        processor().prompt_ids(Task.REGION_TO_OCR, "", region, SIZE)


def test_missing_and_surplus_input_is_refused() -> None:
    with pytest.raises(TaskError, match="'<OD>' takes no region; got \\(1, 2, 3, 4\\)"):
        processor().prompt_ids(Task.OD, "", (1, 2, 3, 4), SIZE)
    with pytest.raises(TaskError, match="'<REGION_TO_OCR>' needs a region"):
        processor().prompt_ids(Task.REGION_TO_OCR, "", None, SIZE)
    with pytest.raises(TaskError, match="'<OPEN_VOCABULARY_DETECTION>' needs text"):
        processor().prompt_ids(Task.OPEN_VOCABULARY_DETECTION, "", None, SIZE)


def test_a_prompt_may_fill_the_encoder_and_no_more() -> None:
    """64 positions less 17 image tokens leave 47."""
    task = Task.OPEN_VOCABULARY_DETECTION
    used = len(processor().prompt_ids(task, "7", None, SIZE)) - 1
    assert processor().max_prompt_tokens == 47
    assert len(processor().prompt_ids(task, "7" * (47 - used), None, SIZE)) == 47
    with pytest.raises(TaskError) as caught:
        processor().prompt_ids(task, "7" * (48 - used), None, SIZE)
    assert str(caught.value) == (
        "the prompt of task '<OPEN_VOCABULARY_DETECTION>' has 48 tokens; beside the 17 tokens of a "
        "picture this model takes 47; shorten the text input"
    )


def test_ids_become_a_result_in_the_frame_of_the_picture() -> None:
    answer = "name<loc_0><loc_250><loc_500><loc_999>"
    ids = Ids(tuple(processor().tokenizer.encode(answer)), "length")
    result = processor().result(ids, Task.OD, SIZE)
    assert isinstance(result, Boxes)
    assert result.labels == ("name",)
    assert result.xyxy == pytest.approx(np.array([[0.32, 120.24, 320.32, 479.76]]))
    assert (result.answer, result.image_size) == (answer, SIZE)
    assert (result.token_ids, result.finish_reason) == (ids.token_ids, "length")


@given(st.lists(st.integers(0, 3000), max_size=30), st.sampled_from(list(Task)))
def test_any_ids_have_a_result(token_ids: list[int], task: Task) -> None:
    result = processor().result(Ids(tuple(token_ids)), task, SIZE)
    assert result.token_ids == tuple(token_ids)


def test_what_is_asked_comes_back() -> None:
    """A question's own prompt, read as an answer, is the prompt."""
    ids = processor().prompt_ids(Task.CAPTION, "", None, SIZE)
    result = processor().result(Ids(tuple(ids)), Task.CAPTION, SIZE)
    assert isinstance(result, Text)
    assert result.text == Task.CAPTION.prompt()


# ---- pieces


@given(st.lists(st.integers(-2, 1500) | st.integers(4, 260), max_size=20))
@example([130, -1, 98])  # an id of no token between two bytes of one character
def test_pieces_spell_the_answer_and_hold_every_token_once(token_ids: list[int]) -> None:
    logprobs = [-float(place) for place in range(len(token_ids))]
    pieces = processor().scored_text(token_ids, logprobs)
    assert "".join(piece.text for piece in pieces) == processor().tokenizer.decode(token_ids)
    assert all(piece.text for piece in pieces)
    told = [logprob for piece in pieces for logprob in piece.logprobs]
    known = range(processor().tokenizer.vocab_size)
    expected = [logprobs[at] for at, token_id in enumerate(token_ids) if token_id in known]
    # An id in `known` that no token has spells nothing, and belongs to what follows.
    assert told == expected[: len(told)]
    assert len(told) == len(expected) or not pieces or pieces[-1].logprobs[-1] == told[-1]


def test_a_character_in_several_tokens_is_one_piece() -> None:
    ids = processor().tokenizer.encode("a日b")[1:-1]
    assert len(ids) == 5
    pieces = processor().scored_text(ids, [-1.0, -2.0, -3.0, -4.0, -5.0])
    assert pieces == [("a", (-1.0,)), ("日", (-2.0, -3.0, -4.0)), ("b", (-5.0,))]


def test_half_a_character_lends_nothing_to_what_follows() -> None:
    half, place = processor().tokenizer.encode("日")[1], processor().tokenizer.loc_begin
    pieces = processor().scored_text([half, place], [-1.0, -2.0])
    assert pieces == [("\ufffd", (-1.0,)), ("<loc_0>", (-2.0,))]


@pytest.mark.parametrize("start", ["<s>", "<s><s><s>", ""])
def test_scores_belong_to_their_tokens_whatever_stands_before(start: str) -> None:
    """A run of `<s>` moves every token; the label's and the locations' scores stay theirs."""
    answer = f"{start}cat<loc_1><loc_2><loc_3><loc_4><loc_5><loc_6><loc_7><loc_8></s>"
    ids = processor().tokenizer.encode(answer)[1:-1]
    text = [processor().tokenizer.decode([token_id]) for token_id in ids]
    probability = [
        0.9 if each.startswith("<loc_") and int(each[5:-1]) <= 4
        else 0.4 if each.startswith("<loc_")
        else 0.01 if each.startswith("<") else 0.25
        for each in text
    ]  # fmt: skip
    pieces = processor().scored_text(ids, [math.log(each) for each in probability])
    boxes = parse_answer(pieces, Task.OD, SIZE)
    assert isinstance(boxes, Boxes)
    assert boxes.label_scores == pytest.approx((0.25, 0.25))
    assert boxes.location_scores == pytest.approx((0.9, 0.4))
    assert boxes.scores == pytest.approx((0.225**0.5, 0.1**0.5))
