"""Talks about pictures: which turns are records, and what is told of the others."""

import json
from pathlib import Path
from typing import Any

import pytest
from small_datasets import read, write_lines, write_picture, write_text

from florence2.answers import format_answer
from florence2.data import Problem, Severity
from florence2.tasks import Task

BOX = "<loc_200><loc_200><loc_600><loc_700>"


def talk(folder: Path, row: dict[str, Any], **options: Any):
    for name in "12":
        write_picture(folder / f"{name}.png")
    records, report = read(write_lines(folder / "a.jsonl", row), **options)
    answers = [
        (record.prompt or record.task.token, format_answer(record.result, record.task))
        for record in records
    ]
    return answers, report


def turns(*texts: str, roles: tuple[str, str] = ("user", "assistant")) -> list[dict[str, Any]]:
    return [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)]


ONE = {"images": ["1.png"]}


@pytest.mark.parametrize(
    ("row", "answers"),
    [
        pytest.param(
            {"query": "<image>What?", "response": "a cat", **ONE},
            [("What?", "a cat")],
            id="query and response",
        ),
        pytest.param(
            {"query": "<OD>", "response": f"cat{BOX}", "image": "1.png"},
            [("<OD>", f"cat{BOX}")],
            id="a task",
        ),
        pytest.param(
            {"messages": turns("<image>What?", ""), **ONE}, [("What?", "")], id="an empty answer"
        ),
        pytest.param(
            {"messages": [{"role": "system", "content": "Be good."}, *turns("What?", "7")], **ONE},
            [("What?", "7")],
            id="a system",
        ),
        pytest.param(
            {"messages": json.dumps(turns("What?", "7")), **ONE}, [("What?", "7")], id="as JSON"
        ),
        pytest.param(
            {
                "image": "1.png",
                "conversations": [
                    {"from": "human", "value": "<image>\nWhat?"},
                    {"from": "gpt", "value": "a cat"},
                ],
            },
            [("What?", "a cat")],
            id="LLaVA",
        ),
        pytest.param(
            {"conversation": [{"human": "What?", "assistant": "a cat"}], "image": "1.png"},
            [("What?", "a cat")],
            id="ShareGPT",
        ),
        pytest.param(
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "image_url", "image_url": {"url": "file:///x/1.png"}},
                            {"type": "text", "text": "What?"},
                        ],
                    },
                    {"role": "assistant", "content": [{"type": "text", "text": "a cat"}]},
                ]
            },
            [("What?", "a cat")],
            id="OpenAI",
        ),
        pytest.param(
            {
                "id": "1",
                "images": ["1.png"],
                "conversations": [
                    {"from": "user", "value": "<img>1.png</img>What?"},
                    {"from": "assistant", "value": "a cat"},
                ],
            },
            [("What?", "a cat")],
            id="a picture named twice",
        ),
        pytest.param(
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image"}, {"type": "text", "text": "Hm?"}],
                    },
                    {"role": "assistant", "content": "a cat"},
                ],
                **ONE,
            },
            [("Hm?", "a cat")],
            id="a place for the picture",
        ),
        pytest.param(
            {
                "conversations": [
                    {"from": "user", "value": "Picture 1: <img>/x/1.png</img>\nWhat?"},
                    {"from": "assistant", "value": "a cat"},
                ]
            },
            [("What?", "a cat")],
            id="Qwen-VL",
        ),
        pytest.param(
            {
                "messages": turns("<OD>", "<ref-object><bbox>"),
                "objects": {"ref": ["cat"], "bbox": [[8, 4, 24, 14]]},
                **ONE,
            },
            [("<OD>", f"cat{BOX}")],
            id="objects of ms-swift 3",
        ),
        pytest.param(
            {
                "messages": turns("Find <ref-object>", "<bbox> and <bbox>"),
                "objects": {
                    "ref": ["the cat"],
                    "bbox": [[0.2, 0.2, 0.6, 0.7], [0.2, 0.2]],
                    "bbox_type": "norm1",
                },
                **ONE,
            },
            [("Find the cat", f"{BOX} and <loc_200><loc_200>")],
            id="shares and a point",
        ),
        pytest.param(
            {
                "query": "Is it in <bbox>?",
                "response": "yes",
                "objects": {"bbox": [[200, 200, 600, 700]], "bbox_type": "norm1000"},
                **ONE,
            },
            [(f"Is it in {BOX}?", "yes")],
            id="a box that is asked about",
        ),
        pytest.param(
            {
                "query": "Find <ref-object>",
                "response": "<bbox>",
                "objects": json.dumps(
                    [{"caption": "cat", "bbox": [[8, 4, 24, 14]] * 2, "bbox_type": "real"}]
                ),
                **ONE,
            },
            [("Find cat", BOX * 2)],
            id="objects of ms-swift 2",
        ),
    ],
)
def test_the_first_question_is_a_record(tmp_path: Path, row, answers) -> None:
    said, report = talk(tmp_path, row)
    assert said == answers
    assert report.count(Severity.LOSS) == 0


def test_later_questions_are_records_where_they_need_nothing_said_before(tmp_path: Path) -> None:
    asked = turns("<image>What?", "a cat", "And how old is it?", "3", "<CAPTION>", "a cat")
    said, report = talk(tmp_path, {"messages": asked, **ONE})
    assert said == [("What?", "a cat"), ("<CAPTION>", "a cat")]
    assert report.cases[Problem.TURN] == ["a.jsonl, line 1: 'And how old is it?' (1.png)"]
    history = {"history": [["What?", "a cat"]], "query": "How old?", "response": "3", **ONE}
    said, report = talk(tmp_path, history)
    assert (said, report.counts[Problem.TURN]) == ([("What?", "a cat")], 1)


def test_a_task_takes_only_its_own(tmp_path: Path) -> None:
    asked = turns("<CAPTION>", "a cat", "<OD>", f"cat{BOX}")
    said, report = talk(tmp_path, {"messages": asked, **ONE}, tasks=[Task.OD])
    assert said == [("<OD>", f"cat{BOX}")]
    assert report.counts == {Problem.OTHER_TASK: 1, Problem.UNNAMED: 1}


@pytest.mark.parametrize(
    ("row", "problem", "words"),
    [
        pytest.param(
            {"messages": turns("a", "b"), "images": ["1.png", "2.png"]},
            Problem.ROW,
            "one at a time",
            id="two pictures",
        ),
        pytest.param(
            {"messages": turns("<img>2.png</img>a", "b"), "images": ["1.png", "1.png"]},
            Problem.ROW,
            "it has 3 pictures",
            id="pictures in both places",
        ),
        pytest.param(
            {"id": "1", "messages": turns("a", "b")}, Problem.ROW, "no picture", id="no picture"
        ),
        pytest.param(
            {"history": [1], "query": "a", "response": "b", **ONE},
            Problem.ROW,
            "history is [1]",
            id="no history",
        ),
        pytest.param({"messages": turns("a"), **ONE}, Problem.ROW, "goes user", id="no answer"),
        pytest.param({"messages": [], **ONE}, Problem.ROW, "the talk is", id="nothing"),
        pytest.param({"messages": ["a"], **ONE}, Problem.ROW, "a message is", id="no message"),
        pytest.param(
            {"messages": [*turns("a"), {"role": "tool", "content": "b"}], **ONE},
            Problem.ROW,
            "'tool' says something",
            id="a tool",
        ),
        pytest.param(
            {"messages": [{"role": "user", "content": [{"type": "video"}]}], **ONE},
            Problem.ROW,
            "give texts and images",
            id="a video",
        ),
        pytest.param(
            {"messages": turns("a", "<|box_start|>(1,2),(3,4)<|box_end|>"), **ONE},
            Problem.ANSWER,
            "of another model",
            id="boxes of another model",
        ),
        pytest.param(
            {"query": "<OD>", "response": "cat<loc_1>", **ONE},
            Problem.ANSWER,
            "grammar",
            id="half a box",
        ),
        pytest.param(
            {"query": "<OD>cat", "response": "", **ONE}, Problem.PROMPT, "takes no", id="surplus"
        ),
        pytest.param(
            {"query": None, "response": "", **ONE}, Problem.ROW, "give a text", id="no text"
        ),
        *(
            pytest.param(
                {"messages": turns("<OD>", "<ref-object><bbox>"), "objects": objects, **ONE},
                Problem.ROW,
                words,
                id=words,
            )
            for objects, words in [
                (None, "1 <ref-object> in the texts, 0 in objects"),
                ({"ref": ["cat"], "bbox": []}, "1 <bbox> in the texts, 0 in objects"),
                ({"ref": ["cat"], "bbox": [[1, 2, 3, 4]] * 2}, "1 <bbox> in the texts, 2"),
                ({"ref": ["cat"], "bbox": [[1, 2, 400, 4]]}, "outside of the picture"),
                ({"ref": ["cat"], "bbox": [[9, 2, 3, 4]]}, "has no area"),
                ({"ref": ["cat"], "bbox": [[1, 2, 3]]}, "give x, y or"),
                ({"ref": ["cat"], "bbox": [[1, 2, 3, 4]], "bbox_type": "mm"}, "bbox_type is 'mm'"),
                ({"ref": ["cat"], "bbox": [[1, 2, 3, 4]], "image_id": [1]}, "several pictures"),
                ("[", "no JSON"),
                ([1], "give caption and bbox"),
            ]
        ),
    ],
)
def test_what_cannot_be_learnt_of_a_talk_is_lost(tmp_path: Path, row, problem, words) -> None:
    said, report = talk(tmp_path, row, format="rows")
    assert said == []
    assert report.counts[problem] == report.count(Severity.LOSS) == 1
    assert words in report.cases[problem][0]


def test_a_folder_of_talks_in_parts(tmp_path: Path) -> None:
    for part in ("train", "val"):
        write_picture(tmp_path / "images" / f"{part}.png")
        row = {"image": f"{part}.png", "conversations": turns("What?", part)}
        write_text(tmp_path / f"{part}.json", json.dumps([row]))
    (record,), report = read(tmp_path, split="val")
    assert (record.result.text, report.counts[Problem.OTHER_PART]) == ("val", 1)
