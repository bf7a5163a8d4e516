"""The JSON lines of other kits are read as the model means them, or refused."""

from pathlib import Path

import numpy as np
import pytest
from small_datasets import SIZE, counts, detected, found, read, write_lines, write_picture

from florence2.answers import format_answer
from florence2.data import Problem
from florence2.data.formats.prefix_suffix import write_prefix_suffix
from florence2.data.questions import split_prompt
from florence2.data.records import Record
from florence2.errors import DataError, TaskError
from florence2.locations import decode_boxes, encode_boxes
from florence2.results import Text
from florence2.tasks import Task

REGION = "<loc_52><loc_332><loc_932><loc_774>"


def one(folder: Path, prefix: str, suffix: str):
    write_picture(folder / "1.png")
    file = write_lines(
        folder / "annotations.jsonl", {"image": "1.png", "prefix": prefix, "suffix": suffix}
    )
    return read(file)


@pytest.mark.parametrize(
    ("prompt", "task", "words"),
    [
        pytest.param("<OD>", Task.OD, "", id="token"),
        pytest.param(
            "<CAPTION_TO_PHRASE_GROUNDING> a cat",
            Task.CAPTION_TO_PHRASE_GROUNDING,
            "a cat",
            id="with text",
        ),
        pytest.param("<REGION_TO_OCR>" + REGION, Task.REGION_TO_OCR, REGION, id="region"),
        *(
            pytest.param(task.prompt(), task, "", id=task.name)
            for task in Task
            if not task.needs_input
        ),
        *(
            pytest.param(task.prompt("a cat"), task, "a cat", id=task.name)
            for task in Task
            if task.needs_text
        ),
        *(
            pytest.param(task.prompt(REGION), task, REGION, id=task.name)
            for task in Task
            if task.needs_region
        ),
    ],
)
def test_a_prompt_is_a_task_and_its_words(prompt, task, words) -> None:
    assert split_prompt(prompt) == (task, words)


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        pytest.param(" ", "is empty", id="empty"),
        pytest.param("<OD>cat", "takes no text", id="surplus text"),
        pytest.param("<REGION_TO_OCR>here", "needs a region", id="no region"),
        pytest.param("<OPEN_VOCABULARY_DETECTION>", "needs text", id="no text"),
    ],
)
def test_other_prompts_are_counted_not_guessed(tmp_path: Path, prompt, words) -> None:
    with pytest.raises(TaskError, match=words):
        split_prompt(prompt)
    back, report = one(tmp_path, prompt, "x")
    assert (back, counts(report)) == ([], {Problem.PROMPT: 1})


@pytest.mark.parametrize(
    "suffix",
    [
        pytest.param("12.50 EUR", id="words"),
        pytest.param("total" + REGION + REGION, id="boxes"),
        pytest.param(REGION, id="bare boxes"),
        pytest.param("sum<loc_1><loc_1><loc_9><loc_1><loc_9><loc_5><loc_1><loc_5>", id="quads"),
        pytest.param("<loc_1><loc_9><loc_9><loc_1><loc_5><loc_5>", id="outline"),
        pytest.param("", id="nothing"),
        pytest.param("a<loc_1><loc_2>", id="a point"),
        pytest.param("<loc_1>b<loc_2>", id="words behind a location"),
    ],
)
def test_a_prompt_of_its_own_is_kept_with_its_answer_to_the_letter(tmp_path: Path, suffix) -> None:
    """`<DocVQA>` is what the most copied fine-tuning example trains."""
    prompt = "<DocVQA>What is the total?"
    (record,), report = one(tmp_path, prompt, suffix)
    assert (record.prompt, record.task, record.text_input) == (prompt, None, "")
    assert format_answer(record.result, record.task) == suffix
    assert counts(report) == {Problem.OWN_PROMPT: 1}
    write_prefix_suffix([record], tmp_path / "again.jsonl")
    (again,), _ = read(tmp_path / "again.jsonl")
    assert (again.prompt, again.result) == (record.prompt, record.result)


@pytest.mark.parametrize("suffix", ["a<loc_1000><loc_1><loc_2><loc_3>", "a</s>b"])
def test_answers_that_no_model_writes_are_lost(tmp_path: Path, suffix) -> None:
    back, report = one(tmp_path, "<DocVQA>What is the total?", suffix)
    assert (back, report.counts[Problem.ANSWER]) == ([], 1)


def test_boxes_are_read_at_the_middle_of_their_bins_and_ordered(tmp_path: Path) -> None:
    suffix = "dog<loc_0><loc_0><loc_99><loc_99>cat<loc_0><loc_0><loc_999><loc_999>"
    (record,), report = one(tmp_path, "<OD>", suffix)
    assert found(record) == [
        ("cat", [0.02, 0.01, 39.98, 19.99]),
        ("dog", [0.02, 0.01, 3.98, 1.99]),
    ]
    assert not report.counts


def test_a_picture_without_objects_may_be_one(tmp_path: Path) -> None:
    (record,), _ = one(tmp_path, "<OD>", "")
    assert found(record) == []


def test_a_region_keeps_its_bins(tmp_path: Path) -> None:
    (record,), _ = one(tmp_path, "<REGION_TO_CATEGORY>" + REGION, "cat")
    assert encode_boxes(record.region, SIZE).tolist() == [52, 332, 932, 774]


@pytest.mark.parametrize(
    ("prefix", "suffix", "words"),
    [
        pytest.param("<OD>", "cat<loc_1><loc_2><loc_3><loc_1000>", "floors", id="loc_1000"),
        pytest.param("<OD>", "cat<loc_1><loc_2><loc_3>", "breaks the grammar", id="cut off"),
        pytest.param("<OD>", "<loc_1><loc_2><loc_3><loc_4>cat", "grammar", id="label behind"),
        pytest.param("<CAPTION>", " ", "no words", id="no caption"),
        pytest.param("<OCR>", "a<sep>b", "grammar", id="token in a text"),
    ],
)
def test_an_answer_that_the_model_must_not_learn_is_counted(
    tmp_path: Path, prefix, suffix, words
) -> None:
    back, report = one(tmp_path, prefix, suffix)
    assert (back, counts(report)) == ([], {Problem.ANSWER: 1})
    (case,) = report.cases[Problem.ANSWER]
    assert case.startswith("annotations.jsonl, line 1: ") and words in case


def test_missing_fields_are_counted(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "a.jsonl", {"image": "1.png", "prefix": "<OD>"})
    back, report = read(file, "prefix_suffix")
    assert (back, counts(report)) == ([], {Problem.ROW: 1})


def test_pictures_may_lie_in_images_and_be_named_on_windows(tmp_path: Path) -> None:
    write_picture(tmp_path / "images" / "sub" / "1.png")
    row = {"prefix": "<CAPTION>", "suffix": "a cat"}
    write_lines(
        tmp_path / "train" / "a.jsonl",
        {"image": "sub\\1.png", **row},
        {"image": "sub/1.png", **row},
        {"image": "nowhere.png", **row},
    )
    back, report = read(tmp_path, split="train")
    assert [record.image for record in back] == [tmp_path / "images" / "sub" / "1.png"] * 2
    assert counts(report) == {Problem.PICTURE: 1}


def test_only_the_tasks_asked_for_are_read(tmp_path: Path) -> None:
    one(tmp_path, "<CAPTION>", "a cat")
    back, report = read(tmp_path, tasks=[Task.OD])
    assert (back, counts(report)) == ([], {Problem.OTHER_TASK: 1})


def test_written_lines_are_read_as_the_quantised_records(tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "1.png")
    box = decode_boxes([52, 332, 932, 774], SIZE).tolist()
    records = [
        detected(picture, ("cat", (1.0, 2.0, 30.0, 20.0))),
        Record(picture, Task.REGION_TO_CATEGORY, "", tuple(box), Text("猫", image_size=SIZE), "s"),
        detected(np.zeros((20, 40, 3), np.uint8)),
    ]
    write_prefix_suffix(records, tmp_path / "a.jsonl")
    back, report = read(tmp_path / "a.jsonl", strict=True)
    assert [record.task for record in back] == [record.task for record in records]
    bins = [encode_boxes(record.result.xyxy, SIZE).tolist() for record in (back[0], records[0])]
    assert bins[0] == bins[1]
    assert (back[1].region, back[1].result.text) == (pytest.approx(box), "猫")
    assert found(back[2]) == []
    assert not report.counts


def test_a_file_must_be_meant(tmp_path: Path) -> None:
    one(tmp_path, "<OD>", "")
    write_lines(tmp_path / "b.jsonl", {"image": "1.png", "prefix": "<OD>", "suffix": ""})
    with pytest.raises(DataError, match=r"annotations\.jsonl, b\.jsonl; give the path of one"):
        read(tmp_path)
