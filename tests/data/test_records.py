"""A record that exists can be asked and answered."""

import numpy as np
import pytest

from florence2.data.records import Record
from florence2.errors import AnswerError, DataError
from florence2.results import Boxes, Text
from florence2.tasks import Task

IMAGE = np.zeros((4, 4, 3), np.uint8)
TEXT = Text(image_size=(4, 4), text="cat")
BOXES = Boxes(image_size=(4, 4), xyxy=np.zeros((0, 4)), labels=())
BOX = (0.0, 0.0, 2.0, 2.0)


@pytest.mark.parametrize(
    ("task", "text_input", "region", "result"),
    [
        pytest.param(Task.CAPTION, "", None, TEXT, id="no input"),
        pytest.param(Task.CAPTION_TO_PHRASE_GROUNDING, "a cat", None, BOXES, id="text"),
        pytest.param(Task.REGION_TO_CATEGORY, "", BOX, TEXT, id="region"),
    ],
)
def test_what_fits_its_task_is_kept(task, text_input, region, result) -> None:
    record = Record(IMAGE, task, text_input, region, result, "test")
    assert (record.task, record.result) == (task, result)


@pytest.mark.parametrize(
    ("task", "text_input", "region", "message"),
    [
        pytest.param(Task.CAPTION, "a cat", None, "takes no text", id="surplus text"),
        pytest.param(Task.CAPTION, "", BOX, "takes no region", id="surplus region"),
        pytest.param(Task.REGION_TO_CATEGORY, "", None, "needs region", id="missing region"),
    ],
)
def test_missing_and_surplus_input_is_refused(task, text_input, region, message) -> None:
    with pytest.raises(DataError, match=message):
        Record(IMAGE, task, text_input, region, TEXT, "test")


def test_a_prompt_of_its_own_asks_without_the_input_of_the_task() -> None:
    record = Record(IMAGE, Task.REGION_TO_CATEGORY, "", None, TEXT, "test", "<WHAT>is this?")
    assert record.prompt == "<WHAT>is this?"
    with pytest.raises(DataError, match="own prompt takes no region"):
        Record(IMAGE, Task.REGION_TO_CATEGORY, "", BOX, TEXT, "test", "<WHAT>is this?")
    with pytest.raises(DataError, match="empty prompt"):
        Record(IMAGE, Task.CAPTION, "", None, TEXT, "test", " ")


def test_missing_text_is_refused() -> None:
    with pytest.raises(DataError, match="needs text"):
        Record(IMAGE, Task.CAPTION_TO_PHRASE_GROUNDING, "", None, BOXES, "test")


def test_a_result_of_another_kind_is_refused() -> None:
    with pytest.raises(AnswerError, match="<OD>"):
        Record(IMAGE, Task.OD, "", None, TEXT, "test")
