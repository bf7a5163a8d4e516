"""VQA's two files, kohya's metadata, FUNSD's forms."""

import json
from pathlib import Path
from typing import Any

import pytest
from small_datasets import counts, read, write_picture, write_text

from florence2.data import Problem
from florence2.errors import DataError
from florence2.tasks import Task

QUESTIONS = "v2_OpenEnded_mscoco_{}2014_questions.json"
ANSWERS = "v2_mscoco_{}2014_annotations.json"


def vqa(folder: Path, part: str, number: int) -> None:
    write_picture(folder / f"{part}2014" / f"COCO_{part}2014_{number:012}.png")
    question = {"image_id": number, "question": "How many?", "question_id": number * 1000}
    answers = [{"answer": answer, "answer_id": 1} for answer in ("2", "2", "3")]
    annotation = {"image_id": number, "question_id": number * 1000, "answers": answers}
    head = {"info": {"version": "2.0"}, "task_type": "Open-Ended"}
    text = json.dumps({**head, "questions": [question]})
    write_text(folder / QUESTIONS.format(part), text)
    text = json.dumps({**head, "annotations": [{"question_type": "how many", **annotation}]})
    write_text(folder / ANSWERS.format(part), text)


def test_questions_of_vqa_find_their_answers_and_pictures(tmp_path: Path) -> None:
    vqa(tmp_path, "train", 7)
    vqa(tmp_path, "val", 9)
    records, report = read(tmp_path, split="train")
    assert [(record.prompt, record.result.text) for record in records] == [
        ("<DocVQA>How many?", "2"),
        ("<DocVQA>How many?", "3"),
    ]
    assert records[0].image.stem == "COCO_train2014_000000000007"
    assert counts(report) == {Problem.OWN_PROMPT: 2, Problem.OTHER_PART: 1}
    records, _ = read(tmp_path / QUESTIONS.format("val"))
    assert len(records) == 2


def test_questions_without_answers_are_refused_or_lost(tmp_path: Path) -> None:
    vqa(tmp_path, "train", 7)
    answers = tmp_path / ANSWERS.format("train")
    write_text(answers, answers.read_text().replace("7000", "8000"))
    records, report = read(tmp_path)
    assert (records, counts(report)) == ([], {Problem.NO_TEXT: 1})
    answers.unlink()
    with pytest.raises(DataError, match="put the one file of their answers"):
        read(tmp_path)


def kohya(folder: Path, rows: Any):
    for name in ("a", "b"):
        write_picture(folder / "img" / f"{name}.png")
    write_text(folder / "meta_cap.json", json.dumps(rows))
    return read(folder)


@pytest.mark.parametrize("name", ["img/a", "/content/x/img/a.png", "C:\\x\\img\\a", "a", "A.PNG"])
def test_kohya_names_pictures_with_and_without_suffix(tmp_path: Path, name: str) -> None:
    (record,), report = kohya(tmp_path, {name: {"caption": "a cat", "tags": "cat"}})
    assert (record.image, record.result.text) == (tmp_path / "img" / "a.png", "a cat")
    assert counts(report) == {Problem.COLUMN: 2, Problem.UNNAMED: 1}
    assert "'tags' are left out" in report.cases[Problem.COLUMN][0]


def test_tags_alone_are_a_caption_and_nothing_is_none(tmp_path: Path) -> None:
    rows = {"a": {"tags": "cat, mat"}, "b": {"train_resolution": [64, 64]}}
    (record,), report = kohya(tmp_path, rows)
    assert (record.result.text, report.counts[Problem.NO_TEXT]) == ("cat, mat", 1)
    _, report = kohya(tmp_path, {"a": {"tags": "x"}, "c": {"tags": "x"}, "b": 3})
    assert (report.counts[Problem.PICTURE], report.counts[Problem.ROW]) == (1, 1)


def word(x: int, y: int, text: str) -> dict[str, Any]:
    return {"box": [x, y, x + 8, y + 6], "text": text}


def funsd(folder: Path, form: Any):
    write_picture(folder / "images" / "1.png")
    write_text(folder / "annotations" / "1.json", json.dumps({"form": form}))
    return read(folder)


def test_forms_are_read_line_by_line(tmp_path: Path) -> None:
    words = [word(2, 2, "Date"), word(12, 3, "of"), word(2, 12, "birth:"), word(12, 12, "")]
    entity = {"box": [2, 2, 20, 18], "text": "Date of birth:", "words": words, "linking": [[0, 1]]}
    whole = {"box": [22, 2, 60, 8], "text": "1970", "label": "answer"}
    (record,), report = funsd(tmp_path, [entity, whole, {"box": [1, 1, 2, 2], "text": ""}])
    assert record.task is Task.OCR_WITH_REGION
    assert record.result.labels == ("Date of", "birth:", "1970")
    assert record.result.quads[0].tolist() == [[2, 2], [20, 2], [20, 9], [2, 9]]
    assert record.result.quads[2].tolist() == [[22, 2], [40, 2], [40, 8], [22, 8]]  # cut
    assert counts(report) == {Problem.NO_WORDS: 2, Problem.CLIPPED: 1}


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        pytest.param([], Problem.EMPTY, id="an empty page"),
        pytest.param({}, Problem.ROW, id="no list"),
        pytest.param([3], Problem.ROW, id="no entity"),
        pytest.param([{"text": "A"}], Problem.ROW, id="no box"),
        pytest.param([{"box": [1, 2, 3], "text": "A"}], Problem.ROW, id="half a box"),
        pytest.param([word(90, 2, "A")], Problem.ROW, id="outside"),
    ],
)
def test_a_page_of_which_a_text_was_lost_gives_no_record(tmp_path: Path, form, problem) -> None:
    if not form:
        write_picture(tmp_path / "images" / "2.png")
        write_text(tmp_path / "annotations" / "2.json", json.dumps({"form": [word(1, 1, "A")]}))
    write_picture(tmp_path / "images" / "1.png")
    write_text(tmp_path / "annotations" / "1.json", json.dumps({"form": form}))
    records, report = read(tmp_path, "funsd")
    pages = {record.image.stem for record in records}
    assert ("1" in pages) is (problem is Problem.EMPTY)
    if form != {}:
        assert counts(report) == {problem: 1}
