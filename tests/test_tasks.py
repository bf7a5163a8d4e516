"""The task table, the names users write, and prompts."""

import contextlib
import copy
import doctest
import pickle
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from florence2 import tasks
from florence2.answers.compat import official_prompt
from florence2.errors import Florence2Error, TaskError
from florence2.tasks import AnswerKind, Task

REGION = "<loc_52><loc_332><loc_932><loc_774>"
with_text = [task for task in Task if task.needs_text]
with_region = [task for task in Task if task.needs_region]
without_input = [task for task in Task if not task.needs_input]


def named(values):
    return [pytest.param(task, id=task.name) for task in values]


def test_doctests():
    assert doctest.testmod(tasks).failed == 0


def test_there_are_15_tasks_of_three_kinds_of_input():
    assert len(Task) == len({task.token for task in Task}) == 15
    assert [len(with_text), len(with_region), len(without_input)] == [3, 4, 8]


@pytest.mark.parametrize("task", named(Task))
def test_a_row_agrees_with_itself(task):
    assert task.token == f"<{task.name}>"
    assert task.needs_input == ("{input}" in task.template) == (task.needs_text + task.needs_region)
    assert isinstance(task.answer_kind, AnswerKind)


def test_the_groups_of_tasks_answer_alike():
    captions = {task for task in Task if task.is_caption}
    assert {(task.answer_kind, task.needs_input) for task in captions} == {(AnswerKind.TEXT, False)}
    assert {task.answer_kind for task in Task if task.reads_text} == {
        AnswerKind.TEXT,
        AnswerKind.QUADS,
    }
    assert all(task.needs_text for task in Task if task.asks_phrases)
    assert all(task.is_caption + task.reads_text + task.asks_phrases <= 1 for task in Task)


@given(st.lists(st.text("abc é", min_size=1).map(str.strip), min_size=1))
def test_classes_survive_being_joined(names):
    assert tasks.split_classes(tasks.join_classes(names)) == names


@pytest.mark.parametrize("task", named(Task))
def test_a_task_is_found_by_itself_its_token_and_its_name(task):
    forms = [task, task.token, task.token.lower(), task.name, task.name.lower(), f" {task.name} "]
    forms += [task.name.lower().replace("_", "-"), task.name.title().replace("_", " ")]
    assert {Task.parse(form) for form in forms} == {task}


@pytest.mark.parametrize(
    "name, near",
    [
        ("<ODD>", "'od'"),
        ("caption to phrase", "'caption_to_phrase_grounding'"),
        ("ocr_regions", "'ocr_with_region'"),
        ("open_vocabulary", "'open_vocabulary_detection'"),
    ],
)
def test_an_unknown_task_is_told_with_all_names_and_the_nearest(name, near):
    with pytest.raises(TaskError) as caught:
        Task.parse(name)
    message = str(caught.value)
    assert repr(name) in message
    assert f"did you mean {near}?" in message
    assert all(task.name.lower() in message for task in Task)


@pytest.mark.parametrize("name", ["", "<>", "zzz", "name", "parse", 3, None], ids=repr)
def test_far_names_and_other_types_get_no_suggestion(name):
    with pytest.raises(TaskError) as caught:
        Task.parse(name)
    assert "did you mean" not in str(caught.value)


@given(st.text())
def test_names_are_found_or_refused(name):
    with contextlib.suppress(TaskError):
        assert isinstance(Task.parse(name), Task)


@pytest.mark.parametrize("task", named(Task))
def test_rows_are_frozen_and_single(task):
    with pytest.raises(FrozenInstanceError):
        task.token = "<X>"
    assert pickle.loads(pickle.dumps(task)) is task
    assert copy.deepcopy(task) is task
    assert repr(task) == f"Task.{task.name}"
    assert {task: 1}[Task.parse(task.name)] == 1


@pytest.mark.parametrize("task", named(without_input))
def test_tasks_without_input(task):
    assert task.prompt() == task.prompt(" ") == task.template
    with pytest.raises(TaskError, match="takes no text input; got 'words'"):
        task.prompt("words")
    with pytest.raises(TaskError, match="takes no region"):
        task.prompt(region_bins=[1, 2, 3, 4])


@pytest.mark.parametrize("task", named(with_text))
def test_tasks_with_text(task):
    assert task.prompt(" a {red} car\n") == task.template.replace("{input}", "a {red} car")
    for blank in ("", " \n"):
        with pytest.raises(TaskError, match="needs text input"):
            task.prompt(blank)
    with pytest.raises(TaskError, match="takes no region"):
        task.prompt("a car", region_bins=[1, 2, 3, 4])


@pytest.mark.parametrize("task", named(with_region))
def test_tasks_with_a_region(task):
    wanted = task.template.replace("{input}", REGION)
    assert task.prompt(region_bins=(52, 332, 932, 774)) == wanted
    assert task.prompt(REGION) == task.prompt(f" {REGION.replace('><', '> <')} ") == wanted
    with pytest.raises(TaskError, match="one of the two"):
        task.prompt(REGION, region_bins=[1, 2, 3, 4])


@pytest.mark.parametrize(
    "text_input, region_bins",
    [
        pytest.param("a car", None, id="words"),
        pytest.param("<loc_1><loc_2><loc_3>", None, id="three tokens"),
        pytest.param("<loc_1><loc_2><loc_3><loc_4><loc_5>", None, id="five tokens"),
        pytest.param("<loc_1><loc_2><loc_3><loc_1000>", None, id="token beyond the last"),
        pytest.param("<loc_9><loc_2><loc_3><loc_4>", None, id="tokens in the wrong order"),
        pytest.param("", [], id="no bins"),
        pytest.param("", [1, 2, 3], id="three bins"),
        pytest.param("", [1, 2, 3, 1000], id="bin beyond the last"),
        pytest.param("", [-1, 2, 3, 4], id="bin below the first"),
        pytest.param("", [1, 9, 3, 4], id="bins in the wrong order"),
        pytest.param("", [0.5, 0.5, 1, 1], id="half bins"),
    ],
)
def test_what_is_no_region_is_refused(text_input, region_bins):
    with pytest.raises(TaskError, match=r"'<REGION_TO_OCR>' needs a region; got .*from 0 to 999"):
        Task.REGION_TO_OCR.prompt(text_input, region_bins)


def test_a_region_that_is_not_given_is_asked_for():
    with pytest.raises(TaskError, match=r"needs a region and got none; give its corners .* pixels"):
        Task.REGION_TO_OCR.prompt()


@pytest.mark.parametrize(
    "text, prompt",
    [
        pytest.param("", "", id="empty"),
        pytest.param("This is a simple text.", "This is a simple text.", id="plain"),
        pytest.param("<DocVQA>Total?", "<DocVQA>Total?", id="a token of somebody else"),
        pytest.param("<OCR>", "What is the text in the image?", id="no input"),
        pytest.param(
            "<OCR_WITH_REGION>", "What is the text in the image, with regions?", id="longer name"
        ),
        pytest.param(
            "<CAPTION_TO_PHRASE_GROUNDING> a red car",
            "Locate the phrases in the caption: a red car",
            id="words",
        ),
        pytest.param(
            f"<REGION_TO_SEGMENTATION>{REGION}",
            f"What is the polygon mask of region {REGION}",
            id="region",
        ),
    ],
)
def test_the_one_string_form(text, prompt):
    assert official_prompt(text) == prompt


@pytest.mark.parametrize("text", ["<OCR> extra text", "<OPEN_VOCABULARY_DETECTION>"])
def test_the_one_string_form_refuses_missing_and_surplus_input(text):
    with pytest.raises(TaskError) as caught:
        official_prompt(text)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, Florence2Error)
