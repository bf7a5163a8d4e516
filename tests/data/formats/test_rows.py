"""Rows of columns, whichever file they stand in: what each column teaches, and what is told."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_datasets import SIZE, counts, found, read, write_lines, write_picture, write_text

from florence2.answers import format_answer
from florence2.data import Problem
from florence2.data.row_files import read_table
from florence2.errors import DataError
from florence2.tasks import Task

QUIET = {Problem.COLUMN, Problem.OWN_PROMPT, Problem.PLACEHOLDER}


def rows(folder: Path, *given: dict[str, Any], name: str = "a.jsonl", **options: Any):
    write_picture(folder / "1.png")
    return read(write_lines(folder / name, *given), **options)


def told(report) -> dict[Problem, int]:
    return {problem: number for problem, number in report.counts.items() if problem not in QUIET}


def said(records) -> list[tuple[str, str]]:
    """What is asked and what is answered, in the model's words."""
    return [
        (record.prompt or record.task.token, format_answer(record.result, record.task))
        for record in records
    ]


DOC = "<DocVQA>What?"
BOXES = {"bbox": [[8, 4, 16, 10]], "category": ["cat"]}


@pytest.mark.parametrize(
    ("row", "answers"),
    [
        pytest.param({"image": "1.png", "text": "a cat"}, [("<CAPTION>", "a cat")], id="text"),
        pytest.param(
            {"filename": "1.png", "captions": ["a cat", "the cat", "a cat"]},
            [("<CAPTION>", "a cat"), ("<CAPTION>", "the cat")],
            id="several captions",
        ),
        pytest.param(
            {"image": "1.png", "detailed_caption": "a cat sits"},
            [("<DETAILED_CAPTION>", "a cat sits")],
            id="a column called like a task",
        ),
        pytest.param({"image": "1.png", "title": "a cat"}, [("<CAPTION>", "a cat")], id="title"),
        pytest.param(
            {"image": "1.png", "title": "a cat", "label": "cat"},
            [("<REGION_TO_CATEGORY>", "cat")],
            id="a title is the last resort",
        ),
        pytest.param({"image": "1.png", "Transcription": "A1"}, [("<OCR>", "A1")], id="words"),
        pytest.param(
            {"image": "1.png", "label": "cat"}, [("<REGION_TO_CATEGORY>", "cat")], id="class"
        ),
        pytest.param(
            {"image": "1.png", "question": "What?", "answer": "a cat"},
            [(DOC, "a cat")],
            id="answer",
        ),
        pytest.param(
            {"image_id": "1", "question": "What? ", "answers": ["12", "12", "13"]},
            [(DOC, "12"), (DOC, "13")],
            id="each different answer is one",
        ),
        pytest.param(
            {"image": 1, "question": "What?", "answers": [{"answer": "a"}, {"answer": "a"}]},
            [(DOC, "a")],
            id="answers of VQA",
        ),
        pytest.param(
            {"imgname": "1.png", "query": "What?", "label": "7"}, [(DOC, "7")], id="ChartQA"
        ),
        pytest.param(
            {"image": "1.png", "question": "<VQA>What?", "answer": "7"},
            [("<VQA>What?", "7")],
            id="a question with a token of its own",
        ),
        pytest.param(
            {"image": "1.png", "qas": [{"question": "What?", "answer": a} for a in "ab"]},
            [(DOC, "a"), (DOC, "b")],
            id="questions inside",
        ),
        pytest.param(
            {"image_id": "1", "caption_str": "a cat"}, [("<CAPTION>", "a cat")], id="TextCaps"
        ),
        pytest.param(
            {"image": "1.png", "prefix": "<CAPTION>", "suffix": "a cat"},
            [("<CAPTION>", "a cat")],
            id="prefix",
        ),
        pytest.param(
            {"image": "1.png", "instruction": "Read", "input": "line 2", "output": "A"},
            [("Read\nline 2", "A")],
            id="Alpaca",
        ),
        pytest.param(
            {"image": "1.png", "objects": BOXES, "text": "a cat"},
            [("<OD>", "cat<loc_200><loc_200><loc_600><loc_700>")],
            id="objects before texts",
        ),
        pytest.param(
            {"image": "1.png", "objects": [{"bbox": [8, 4, 16, 10], "label": "cat"}]},
            [("<OD>", "cat<loc_200><loc_200><loc_600><loc_700>")],
            id="an object each",
        ),
        pytest.param(
            {"image": "1.png", "bboxes": [[8, 4, 16, 10]], "labels": ["cat"]},
            [("<OD>", "cat<loc_200><loc_200><loc_600><loc_700>")],
            id="boxes beside the picture",
        ),
        pytest.param(
            {"image": "1.png", "objects": {"bbox": [[0.2, 0.2, 0.4, 0.5]], "category": ["cat"]}},
            [("<OD>", "cat<loc_200><loc_200><loc_600><loc_700>")],
            id="shares",
        ),
        pytest.param(
            {"image": "1.png", "objects": {"bbox": [], "category": []}}, [("<OD>", "")], id="none"
        ),
    ],
)
def test_a_row_teaches_what_its_columns_say(tmp_path: Path, row, answers) -> None:
    records, report = rows(tmp_path, row, format="rows")
    assert said(records) == answers
    assert told(report).keys() <= {Problem.SHARES, Problem.EMPTY}


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        pytest.param({"image": "1.png", "text": None}, Problem.NO_TEXT, id="no caption"),
        pytest.param({"image": "1.png", "text": " "}, Problem.NO_TEXT, id="empty caption"),
        pytest.param({"image": "1.png", "text": 1.5}, Problem.NO_TEXT, id="a fraction"),
        pytest.param({"image": "1.png", "text": []}, Problem.NO_TEXT, id="no captions"),
        pytest.param({"image": "1.png", "words": "###"}, Problem.NO_TEXT, id="unreadable"),
        pytest.param({"image": "1.png", "label": 3}, Problem.NO_TEXT, id="a class without a name"),
        pytest.param(
            {"image": "1.png", "question": "What?", "answers": []}, Problem.NO_TEXT, id="no answer"
        ),
        pytest.param(
            {"image": "1.png", "question": None, "answer": "a"}, Problem.NO_TEXT, id="no question"
        ),
        pytest.param(
            {"image": "1.png", "question": "What?", "answer": True}, Problem.ANSWER, id="a bool"
        ),
        pytest.param(
            {"image": "1.png", "question": "What?", "answer": "<loc_1000>"},
            Problem.ANSWER,
            id="a location of no vocabulary",
        ),
        pytest.param({"image": "1.png", "objects": None}, Problem.ROW, id="not looked at"),
        pytest.param(
            {"image": "1.png", "objects": {"bbox": [[1, 2, 3]], "category": ["cat"]}},
            Problem.ROW,
            id="half a box",
        ),
        pytest.param(
            {"image": "1.png", "objects": {"bbox": [[1, 2, 3, 4]], "category": ["cat", "dog"]}},
            Problem.ROW,
            id="a name too many",
        ),
        pytest.param(
            {"image": "1.png", "objects": {"bbox": [[1, 2, 3, 4]], "category": [0]}},
            Problem.LABEL,
            id="an object of a number",
        ),
        pytest.param(
            {"image": "1.png", "objects": {"bbox": [[1, 2, 3, 4]], "id": ["a1"]}},
            Problem.LABEL,
            id="an id is no class",
        ),
        pytest.param(
            {"image": "1.png", "objects": {"bbox": [[1, 2, 3, None]], "category": ["cat"]}},
            Problem.ROW,
            id="a side that is none",
        ),
        pytest.param(
            {"image": "1.png", "objects": {"bbox": [[1, 2, 3, "x"]], "category": ["cat"]}},
            Problem.ROW,
            id="a side that is a word",
        ),
        pytest.param(
            {"image": "1.png", "width": 20, "height": 40, "objects": BOXES},
            Problem.SIZE,
            id="boxes for a picture that was turned",
        ),
        pytest.param(
            {"image": "1.png", "bbox": [1, 2, 3, 4], "label": "cat"},
            Problem.ROW,
            id="a row for each object is no class of the whole",
        ),
        pytest.param({"image": "1.png", "vector": [1]}, Problem.ROW, id="nothing is said"),
        pytest.param({"image": "none.png", "text": "a"}, Problem.PICTURE, id="no such picture"),
        pytest.param({"images": ["1.png", "2.png"], "text": "a"}, Problem.ROW, id="two pictures"),
        pytest.param({"text": "a"}, Problem.ROW, id="no picture"),
    ],
)
def test_what_a_row_cannot_teach_is_lost_with_its_picture(tmp_path: Path, row, problem) -> None:
    records, report = rows(tmp_path, row, format="rows")
    assert records == []
    if "1.png" in str(row) and problem is not Problem.LABEL:
        assert "1.png" in report.cases[problem][0]
    wanted = {problem} | ({Problem.INCOMPLETE} if problem is Problem.LABEL else set())
    assert told(report).keys() - {Problem.UNNAMED} == wanted


def test_tasks_choose_the_columns(tmp_path: Path) -> None:
    row = {"image": "1.png", "objects": BOXES, "text": "a cat", "label": "cat"}
    asked = ["od", "caption", "region_to_category"]
    records, _ = rows(tmp_path, row, tasks=asked)
    assert [record.task for record in records] == [Task.OD, Task.CAPTION, Task.REGION_TO_CATEGORY]
    records, _ = rows(tmp_path, {"image": "1.png", "text": "A1"}, tasks=["ocr"])
    assert said(records) == [("<OCR>", "A1")]
    records, report = rows(tmp_path, {"image": "1.png", "text": "A1"}, tasks=["od"])
    assert (records, report.counts[Problem.OTHER_TASK]) == ([], 1)


def test_boxes_that_must_be_corners_are_read_so_and_told(tmp_path: Path) -> None:
    """Fashionpedia and others write corners where the documents say a corner and a size."""
    write_picture(tmp_path / "2.png")
    boxes = {"1": [[8, 4, 24, 14]], "2": [[30, 10, 38, 19], [1, 1, 3, 4]]}
    given = [
        {"image": f"{name}.png", "objects": {"bbox": box, "category": ["cat"] * len(box)}}
        for name, box in boxes.items()
    ]
    records, report = rows(tmp_path, *given)
    assert found(records[0]) == [("cat", [8, 4, 24, 14])]
    assert counts(report) == {Problem.CORNERS: 1}
    # One box that can be no corners settles it for all.
    write_picture(tmp_path / "3.png")
    given.append({"image": "3.png", "objects": {"bbox": [[20, 4, 16, 10]], "category": ["cat"]}})
    records, report = rows(tmp_path, *given)
    assert found(records[0]) == [("cat", [8, 4, 32, 18])]
    assert counts(report) == {Problem.CLIPPED: 1}


def test_crowds_are_to_be_ignored(tmp_path: Path) -> None:
    both = {"bbox": [[8, 4, 16, 10]] * 2, "category": ["cat"] * 2, "iscrowd": [0, 1]}
    (record,), report = rows(tmp_path, {"image": "1.png", "objects": both})
    assert (len(record.result.labels), record.ignored.crowds) == (1, (True,))
    assert counts(report) == {Problem.IGNORED: 1}


def test_a_picture_whose_objects_stand_in_several_rows_is_lost(tmp_path: Path) -> None:
    """Each row alone would teach that the objects of the others are not there."""
    write_picture(tmp_path / "2.png")
    given = [{"image": name, "objects": BOXES} for name in ("1.png", "2.png", "./1.png")]
    records, report = rows(tmp_path, *given)
    assert [record.image.name for record in records] == ["2.png"]
    assert counts(report) == {Problem.DUPLICATE: 2}


@pytest.mark.parametrize(
    ("name", "around"),
    [
        ("a.jsonl", "lines"),
        ("a.json", "lines"),
        ("a.json", "{}"),
        ("a.json", '{{"version": 1, "data": {}}}'),
    ],
)
def test_a_list_an_object_around_it_and_lines_are_one(tmp_path: Path, name, around) -> None:
    write_picture(tmp_path / "1.png")
    given = [{"image": "1.png", "prefix": "<CAPTION>", "suffix": text} for text in "ab"]
    text = "\n".join(map(json.dumps, given))
    write_text(tmp_path / name, text if around == "lines" else around.format(json.dumps(given)))
    for path in (tmp_path, tmp_path / name):
        records, report = read(path)
        assert said(records) == [("<CAPTION>", "a"), ("<CAPTION>", "b")]
        assert not told(report)


@pytest.mark.parametrize(
    ("there", "written"),
    [
        ("1.png", "/home/me/set/1.png"),
        ("1.png", "C:\\set\\1.png"),
        ("1.png", "https://x.org/a/1.png?size=3"),
        ("gr\u00f6\u00dfe 1.png", "gro\u0308\u00dfe%201.png"),
        ("deep/er/1.png", "1.png"),
        ("deep/er/a01-000u-00.png", "a01-000u-00"),
        ("images/train/COCO_train2014_000000000007.png", 7),
        ("train_images/0054c91397f2fe05.png", "0054c91397f2fe05"),
        ("1.png", {"path": "1.png", "bytes": None}),
        ("1.png", ["1.png"]),
        ("1.png", [{"image_url": {"url": "1.png"}}.popitem()[1]]),
    ],
)
def test_a_row_finds_its_picture(tmp_path: Path, there, written) -> None:
    write_picture(tmp_path / there)
    file = write_lines(tmp_path / "a.jsonl", {"image": written, "text": "a cat"})
    (record,), report = read(file.parent)
    assert record.image == tmp_path / there
    assert not told(report)


def test_bytes_in_a_row_are_its_picture(tmp_path: Path) -> None:
    data = write_picture(tmp_path / "x.png").read_bytes()
    (tmp_path / "x.png").unlink()
    url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    bad = ("data:image/png;base64,*", "data:image/png;base64,AAAA", "data:,")
    given = [{"image": each, "text": "a cat"} for each in (url, *bad)]
    (record,), report = read(write_lines(tmp_path / "a.jsonl", *given))
    assert isinstance(record.image, np.ndarray)
    assert told(report) == {Problem.PICTURE: 3}
    assert all(len(case) < 300 for case in report.cases[Problem.PICTURE])


@pytest.mark.parametrize(
    ("written", "is_found"),
    [
        ("1.png", True),
        ("/home/me/animals/1.png", True),
        ("x/dogs/1.png", True),
        ("cats/1.png", False),
        ("C:\\x\\cats\\1.png", False),
        ("cats/1", False),
        ("val/1.png", False),
    ],
)
def test_a_picture_in_another_folder_that_is_named_is_another(
    tmp_path: Path, written, is_found
) -> None:
    """The row of a picture that was deleted is no row of one that has its name."""
    write_picture(tmp_path / "train" / "dogs" / "1.png")
    write_picture(tmp_path / "train" / "cats" / "2.png")
    file = write_lines(tmp_path / "a.jsonl", {"image": written, "text": "a cat"})
    records, report = read(file)
    assert (len(records), report.counts[Problem.PICTURE]) == (is_found, not is_found)


def test_the_file_of_rows_is_the_one_that_lies_highest(tmp_path: Path) -> None:
    write_picture(tmp_path / "1.png")
    for place in ("data/set/old/b.json", "data/set/a.json", ".hidden/c.json"):
        write_text(tmp_path / place, json.dumps([{"image": "1.png", "text": place}]))
    (record,), _ = read(tmp_path)
    assert record.result.text == "data/set/a.json"
    write_text(tmp_path / "data/set/c.json", json.dumps([{"image": "1.png", "text": "c"}]))
    with pytest.raises(DataError, match=r"holds data/set/a.json, data/set/c.json; give the path"):
        read(tmp_path)
    with pytest.raises(DataError, match="holds no file of the format 'kohya'"):
        read(tmp_path, "kohya")


def test_pictures_of_another_part_are_not_found_for_this_one(tmp_path: Path) -> None:
    for part in ("train", "test"):
        write_picture(tmp_path / "pictures" / part / "1.png")
    row = {"image_id": 1, "text": "a cat"}
    file = write_lines(tmp_path / "train.jsonl", row)
    (record,), _ = read(file)
    assert record.image == tmp_path / "pictures" / "train" / "1.png"


TABLES = {
    "commas": "image,caption\n1.png,a cat\n2.png,the cat\n",
    "quotes": 'image,caption\n"1.png","a cat, ""big"""\n2.png,"two\nlines"\n',
    "tabs": "image\tcaption\n1.png\ta cat, big\n2.png\tthe cat\n",
    "semicolons": "image;caption\n1.png;a cat, big\n2.png;the cat\n",
    "bars": "image_name| comment_number| comment\n1.png| 0| a cat, big\n2.png| 1| the cat\n",
    "a mark": "\ufeffimage,caption\n1.png,a cat\n2.png,the cat\n",
    "Windows": "image,caption\r\n1.png,a cat\r\n2.png,the cat\r\n",
    "a comma in a text": "image,caption\n1.png,a cat, big\n2.png,the cat\n",
    "the text first": "caption,image\na cat, big,1.png\nthe cat,2.png\n",
    "a lone quotation mark": 'image\tcaption\n1.png\t"a cat\n2.png\tthe 5" cat\n',
    "no line of names": "1.png#0\ta cat on a mat\n1.png#1\tone cat lies there\n2.png#0\tno cat\n",
    "no line of names, spaces": "1.png a cat on a mat\n2.png one cat lies there\n",
    "blank lines": "image,caption\n\n1.png,a cat\n,\n2.png,the cat\n\n",
}
WANTED = {
    "quotes": ['a cat, "big"', "two\nlines"],
    "tabs": ["a cat, big", "the cat"],
    "semicolons": ["a cat, big", "the cat"],
    "bars": ["a cat, big", "the cat"],
    "a comma in a text": ["a cat, big", "the cat"],
    "the text first": ["a cat, big", "the cat"],
    "a lone quotation mark": ['"a cat', 'the 5" cat'],
    "no line of names": ["a cat on a mat", "one cat lies there", "no cat"],
    "no line of names, spaces": ["a cat on a mat", "one cat lies there"],
}


@pytest.mark.parametrize("suffix", ["csv", "tsv", "txt"])
@pytest.mark.parametrize("kind", TABLES)
def test_tables_of_all_kinds_are_read_alike(tmp_path: Path, kind: str, suffix: str) -> None:
    for name in "12":
        write_picture(tmp_path / "photos" / f"{name}.png")
    (tmp_path / f"captions.{suffix}").write_bytes(TABLES[kind].encode())
    records, report = read(tmp_path)
    assert [record.result.text for record in records] == WANTED.get(kind, ["a cat", "the cat"])
    assert {record.task for record in records} == {Task.CAPTION}
    assert not told(report)


def test_utf_16_and_bad_rows_of_a_table(tmp_path: Path) -> None:
    """A row of Flickr30k's results.csv lacks a bar; nobody can say which cell it is."""
    for name in "12":
        write_picture(tmp_path / f"{name}.png")
    text = "image_name| comment_number| comment\n1.png| 4   a dog runs\n2.png| 0| größe\n"
    (tmp_path / "results.csv").write_bytes(text.encode("utf-16"))
    records, report = read(tmp_path)
    assert [record.result.text for record in records] == ["größe"]
    assert told(report) == {Problem.ROW: 1, Problem.UNNAMED: 1}
    assert "results.csv, line 2: 2 cells for the 3 columns" in report.cases[Problem.ROW][0]


@pytest.mark.parametrize(
    ("name", "text", "task"),
    [
        ("train.csv", "id,label\n1,cat\n", Task.REGION_TO_CATEGORY),
        ("labels.csv", "Image Name,Class\n1.png,cat\n", Task.REGION_TO_CATEGORY),
        ("names.csv", "FILENAME,IDENTITY\n1.png,MAX\n", Task.OCR),
        ("words.csv", "filename,words\n1.png,Hello\n", Task.OCR),
        ("gt.txt", '1.png, "Genaxis"\n', Task.OCR),
        ("results.tsv", "image\tcomment\n1.png\ta cat\n", Task.CAPTION),
    ],
)
def test_the_name_of_a_column_tells_the_task_and_the_report_says_so(
    tmp_path: Path, name, text, task
) -> None:
    write_picture(tmp_path / "images" / "1.png")
    write_text(tmp_path / name, text)
    (record,), report = read(tmp_path)
    assert record.task is task
    assert f"is read as {task.token}" in str(report)
    if task is Task.OCR and name == "gt.txt":
        assert record.result.text == "Genaxis"


@pytest.mark.parametrize(
    "columns",
    ["Roi.X1,Roi.Y1,Roi.X2,Roi.Y2", "left,top,w,h"],
)
def test_a_class_beside_a_box_is_no_class_of_the_picture(tmp_path: Path, columns) -> None:
    write_picture(tmp_path / "1.png")
    file = write_text(tmp_path / "a.csv", f"image,label,{columns}\n1.png,cat,1,2,9,9\n")
    with pytest.raises(DataError, match="looks like a CSV of boxes"):
        read(tmp_path)
    records, report = read(file, "rows")
    assert (records, told(report)) == ([], {Problem.ROW: 1})
    write_text(file, "ImageId,EncodedPixels\n1.png,1 3 10 5\n")
    with pytest.raises(DataError, match="masks as run lengths"):
        read(tmp_path)


def test_a_table_that_does_not_say_what_its_words_are_asks_for_the_task(tmp_path: Path) -> None:
    write_picture(tmp_path / "1.png")
    file = write_text(tmp_path / "a.csv", "1.png,cat\n")
    records, report = read(tmp_path)
    assert (records, told(report)) == ([], {Problem.ROW: 1})
    assert "choose the task: caption, ocr or region_to_category" in report.cases[Problem.ROW][0]
    for task in (Task.CAPTION, Task.OCR, Task.REGION_TO_CATEGORY):
        (record,), _ = read(file, tasks=[task])
        assert (record.task, record.result.text) == (task, "cat")


def test_words_of_iam_that_were_cut_wrong_are_lost(tmp_path: Path) -> None:
    for name in ("a01-000u-00-00", "a01-000u-00-01", "a01-000u-00"):
        write_picture(tmp_path / "a01" / f"{name}.png")
    text = (
        "#--- words.txt\na01-000u-00-00 ok 154 408 768 27 51 AT A\n"
        "a01-000u-00-01 err 154 507 766 213 48 NN MOVE\na01-000u-00 err 154 9 4 7 1 8 A|MOVE\nx\n"
    )
    write_text(tmp_path / "words.txt", text)
    records, report = read(tmp_path)
    assert [record.result.text for record in records] == ["A", "A MOVE"]
    assert told(report) == {Problem.NO_TEXT: 1, Problem.ROW: 1}


def test_digits_are_a_class_in_a_table(tmp_path: Path) -> None:
    write_picture(tmp_path / "1.png")
    (record,), _ = read(write_text(tmp_path / "a.csv", "image,label\n1.png,3\n"))
    assert record.result.text == "3"


def test_columns_of_ones_and_zeros_are_classes(tmp_path: Path) -> None:
    """`_classes.csv` of Roboflow, of one class a picture or several."""
    for name in "123":
        write_picture(tmp_path / "train" / f"{name}.png")
    text = "filename, cat, big dog\n1.png, 1, 0\n2.png, 1, 1\n3.png, 0, 0\n"
    write_text(tmp_path / "train" / "_classes.csv", text)
    records, report = read(tmp_path)
    assert [(record.image.stem, record.result.text) for record in records] == [
        ("1", "cat"),
        ("2", "cat"),
        ("2", "big dog"),
    ]
    assert told(report) == {Problem.NO_TEXT: 1}
    write_text(tmp_path / "train" / "_classes.csv", text.replace("0, 0", "0, 2"))
    assert read(tmp_path)[0] == []  # counts of something, and no classes


def test_the_divider_does_not_depend_on_the_first_rows(tmp_path: Path) -> None:
    text = "image,caption\n" + "1.png,a; b; c\n" * 3
    assert read_table(write_text(tmp_path / "a.csv", text)).columns == ("image", "caption")
    text = "image;caption, in English\n" + "1.png;a, b, c\n" * 3
    columns = read_table(write_text(tmp_path / "b.csv", text)).columns
    assert columns == ("image", "caption, in English")


def test_numbers_are_no_caption(tmp_path: Path) -> None:
    """Lists of keras-yolo3 and others: a picture, its boxes, and the class of each."""
    write_picture(tmp_path / "1.png")
    file = write_text(tmp_path / "all.txt", "1.png 8,4,24,14,0 1,1,9,9,3\n" * 3)
    with pytest.raises(DataError, match="a list of pictures and boxes"):
        read(tmp_path)
    records, report = read(file, "rows")
    assert (records, told(report)) == ([], {Problem.ROW: 3})


def test_a_list_of_pictures_and_masks_is_no_table(tmp_path: Path) -> None:
    from florence2.data.recognition import recognize_text

    text = "img/1.png mask/1.png\nimg/2.png mask/2.png\n"
    assert recognize_text(write_text(tmp_path / "train.txt", text)) is None


def parquet(path: Path, given: list[dict[str, Any]], features: Any = None) -> Path:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as files

    table = arrow.Table.from_pylist(given)
    if features is not None:
        info = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": info})
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_table(table, path)
    return path


CLASSES = {"names": ["cat", "dog"], "_type": "ClassLabel"}
NUMBERS = {"feature": {"dtype": "float32", "_type": "Value"}, "_type": "List"}


@pytest.mark.parametrize(
    "objects",
    [
        pytest.param(
            {
                "bbox": {"feature": NUMBERS, "_type": "List"},
                "category": {"feature": CLASSES, "_type": "List"},
            },
            id="datasets 5.2.0",
        ),
        pytest.param(
            {"feature": {"bbox": NUMBERS, "category": CLASSES}, "_type": "Sequence"},
            id="datasets 2",
        ),
    ],
)
def test_parquet_of_the_hub_holds_its_pictures(tmp_path: Path, objects) -> None:
    """The features are to the letter what `Dataset.to_parquet` writes."""
    image = {"bytes": write_picture(tmp_path / "x" / "1.png").read_bytes(), "path": "1.png"}
    for part in ("train", "test"):
        parquet(
            tmp_path / "data" / f"{part}-00000-of-00001.parquet",
            [{"image": image, "objects": {"bbox": [[8.0, 4.0, 16.0, 10.0]], "category": [1]}}],
            {"image": {"_type": "Image"}, "objects": objects},
        )
    records, report = read(tmp_path / "data", split="train")
    assert found(records[0]) == [("dog", [8, 4, 24, 14])]
    assert isinstance(records[0].image, np.ndarray)
    assert records[0].result.image_size == SIZE
    assert not report.counts


def test_parquet_whose_pictures_were_turned_is_lost(tmp_path: Path) -> None:
    data = write_picture(tmp_path / "x.png").read_bytes()
    cell = {"bbox": [[8.0, 4.0, 6.0, 10.0]], "category": [7]}
    row = {"image": {"bytes": data}, "width": 20, "height": 40, "objects": cell}
    features = {"objects": {"category": CLASSES}}
    file = parquet(
        tmp_path / "p" / "a.parquet", [row, {**row, "width": 40, "height": 20}], features
    )
    records, report = read(file)
    assert records == []
    assert counts(report) == {Problem.SIZE: 1, Problem.LABEL: 1, Problem.INCOMPLETE: 1}
    assert "none of the 2 that have a name" in report.cases[Problem.LABEL][0]


def test_shards_of_the_hub_are_parts_whatever_their_hashes(tmp_path: Path) -> None:
    for name in ("train-00000-of-00001-a09b74b3ef9c", "test-00000-of-00001-bc77e1"):
        write_picture(tmp_path / "1.png")
        parquet(tmp_path / "data" / f"{name}.parquet", [{"image": "1.png", "text": name}])
    (record,), _ = read(tmp_path, split="train")
    assert record.result.text.startswith("train")


@pytest.mark.parametrize(
    ("row", "answer"),
    [
        ({"question": "What?", "answers": ["a"]}, ("<DocVQA>What?", "a")),
        ({"texts": [{"user": "What?", "assistant": "a"}]}, ("What?", "a")),
        ({"label": 0}, ("<REGION_TO_CATEGORY>", "cat")),
        ({"caption": ["a cat"]}, ("<CAPTION>", "a cat")),
    ],
)
def test_parquet_rows_are_read_like_others(tmp_path: Path, row, answer) -> None:
    data = write_picture(tmp_path / "x.png").read_bytes()
    given = [{"images": [{"bytes": data, "path": None}], **row}]
    names = {"label": {"names": ["cat"], "_type": "ClassLabel"}}
    records, report = read(parquet(tmp_path / "p" / "a.parquet", given, names))
    assert said(records) == [answer]
    assert not told(report)


CRUMBS = (
    *(
        None,
        True,
        -1,
        3,
        10**30,
        1e400,
        0.5,
        "",
        "x",
        "[",
        "1.png",
        "<image>",
        "<OD>",
        "\0",
        "\ud800",
    ),
    *([], {}, [[]], [None], {"a": 1}, ["x", 1], [{}], [[1, 2, 3, 4]], ["1.png"], {"bytes": 1}),
)
SOUND: tuple[dict[str, Any], ...] = (
    {"image": "1.png", "objects": {"bbox": [[8, 4, 16, 10]], "category": ["cat"], "iscrowd": [0]}},
    {"file_name": "1.png", "objects": [{"bbox": [8, 4, 16, 10], "label": "cat"}], "width": 40},
    {"image": {"path": "1.png"}, "text": ["a cat"], "label": "cat", "words": "A"},
    {"image_id": 1, "question": "What?", "answers": [{"answer": "a"}]},
    {
        "images": ["1.png"],
        "messages": [
            {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "<OD>"}]},
            {"role": "assistant", "content": "<ref-object><bbox>"},
        ],
        "objects": {"ref": ["cat"], "bbox": [[8, 4, 24, 14]], "bbox_type": "real"},
    },
    {
        "images": ["1.png"],
        "query": "Find <ref-object>",
        "response": "<bbox>",
        "history": [["What?", "a cat"]],
        "objects": [{"caption": "cat", "bbox": [8, 4, 24, 14], "bbox_type": "real"}],
    },
    {"image": "1.png", "conversations": [{"from": "human", "value": "?"}, {"from": "gpt"}]},
    {"form": [{"box": [1, 2, 3, 4], "text": "A", "words": [{"box": [1, 2, 3, 4], "text": "A"}]}]},
    {"1": {"caption": "a cat", "tags": "cat"}},
    {"questions": [{"image_id": 1, "question": "What?", "question_id": 1}]},
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where in a row something can be put in place of something else."""
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    return [path, *(place for key in keys for place in places(value[key], (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], crumb: Any) -> Any:
    if not path:
        return crumb
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    new = {key: replaced(each, path[1:], crumb) if key == path[0] else each for key, each in pairs}
    return new if isinstance(value, dict) else list(new.values())


@pytest.mark.parametrize(
    "format", ["rows", "image_folder", "prefix_suffix", "kohya", "vqa", "funsd"]
)
def test_whatever_stands_in_a_row_is_read_or_told(tmp_path: Path, format: str) -> None:
    """Each value of each kind of row, and each thing that may stand there instead."""
    write_picture(tmp_path / "1.png")
    write_text(tmp_path / "a.json", json.dumps({"annotations": [{"answers": ["a"]}]}))
    broken = [
        replaced(row, place, crumb)
        for row in SOUND
        for place in places(row)[1:]
        for crumb in CRUMBS
    ]
    if format in ("rows", "prefix_suffix", "image_folder"):
        file = write_lines(tmp_path / "metadata.jsonl", *broken)
        records, report = read(file, format)
        tasks = ["od", "ocr", "caption", "region_to_category"]
        read(file, format, tasks=tasks)
        assert len(records) + sum(report.counts.values()) >= len(broken)
        return
    for row in broken[::3]:
        file = write_text(tmp_path / "1.json", json.dumps(row))
        try:
            read(file, format)
        except DataError as error:
            assert str(error)
