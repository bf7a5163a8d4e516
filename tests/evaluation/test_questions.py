"""A question is asked once and drawn with its picture; without truth there is no number."""

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from answerers import Oracle, Silent
from florence2.answers import parse_answer
from florence2.cli.eval import tell
from florence2.cli.main import main
from florence2.data.records import Federated, Ignored, Record
from florence2.errors import DataError
from florence2.evaluation.box_metrics import measure_grounding
from florence2.evaluation.calibration_fit import fit, judge
from florence2.evaluation.predict import Prediction
from florence2.evaluation.questions import numbered, pictures_of, question_of, text_questions
from florence2.evaluation.report import draw_sheet, markdown, run_suites
from florence2.evaluation.suites import dataset_suites
from florence2.evaluation.task_metrics import MEASURES
from florence2.results import Boxes, Mixed, Polygons, Quads, Result, Text
from florence2.tasks import Task
from florence2.training.held_out import _measures

SIZE = (64, 48)
BOX = (0.0, 0.0, 30.0, 40.0)
COMPOSED, APART = "caf\u00e9", "cafe\u0301"  # the same to a reader; macOS writes the second


numbers = itertools.count()


def picture() -> np.ndarray:
    """A picture like no other."""
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels.reshape(-1)[:4] = np.array([next(numbers)], "<u4").view(np.uint8)
    return pixels


def text(words: str) -> Text:
    return Text(words, image_size=SIZE)


def boxes(*labels: str, scores: Sequence[float] | None = None) -> Boxes:
    return Boxes([BOX] * len(labels), labels, scores, image_size=SIZE)


def result(task: Task | None, label: str | None) -> Result:
    """A true answer of a task with one object or text, or with nothing."""
    labels = [] if label is None else [label]
    if task is None:
        return parse_answer(label or "", None, SIZE)
    quads = Quads([[[0, 0], [30, 0], [30, 40], [0, 40]]] * len(labels), labels, image_size=SIZE)
    outline = [[[[0, 0], [30, 0], [30, 40]]]] * len(labels)
    polygons = Polygons(outline, labels, image_size=SIZE)
    return {
        "TEXT": text(label or ""),
        "QUADS": quads,
        "POLYGONS": polygons,
        "BOXES_OR_POLYGONS": Mixed(
            boxes(*labels), Polygons([], [], image_size=SIZE), image_size=SIZE
        ),
    }.get(task.answer_kind.name, boxes(*labels))


def record(task: Task | None, truth: Result, image: object = None, words: str = "") -> Record:
    asked = words or ("cat" if task is not None and task.needs_text else "")
    region = BOX if task is not None and task.needs_region else None
    image = picture() if image is None else image
    return Record(image, task, asked, region, truth, "by hand", "what?" if task is None else None)


def values(task: Task | None, answered: Sequence[Prediction]) -> dict[str, float | None]:
    return {name: each.value for name, each in MEASURES[task](answered).numbers.items()}


# ---- one question, several references

CAPTIONS = [
    "a red box on a grey floor",
    "a box",
    "there is one red box",
    "the picture shows a red box",
    "red box, grey ground",
]


def test_captions_of_a_picture_are_one_question_with_five_references() -> None:
    """Five captions a picture, answered with the first of them, measured 0.2 of the best."""
    image, other = Path("a.png"), Path("b.png")
    rows = [(text(CAPTIONS[0]), record(Task.CAPTION, text(each), image)) for each in CAPTIONS]
    rows += [(text("a cat"), record(Task.CAPTION, text("a dog"), other))]
    measured = MEASURES[Task.CAPTION](rows)
    numbers = {name: each.value for name, each in measured.numbers.items()}
    assert (numbers["exact"], numbers["word_f1"]) == (0.5, (14 + 2) / (14 + 4))
    assert 0.5 < numbers["cider"] < 5
    assert measured.per_sample_quality == [1.0] * 5 + [0.5]
    (first, second) = text_questions(rows)
    assert [len(first.references), len(second.references)] == [5, 1]
    assert (first.picture, second.picture, first.rows) == (0, 1, (0, 1, 2, 3, 4))


@pytest.mark.parametrize(
    ("task", "name", "wanted"),
    [
        pytest.param(Task.OCR, "cer", 1 / 3, id="reading"),
        pytest.param(Task.REGION_TO_CATEGORY, "accuracy", 0.0, id="names"),
        pytest.param(Task.REGION_TO_OCR, "exact", 0.0, id="regions"),
        pytest.param(None, "anls", pytest.approx(2 / 3), id="prompts"),
    ],
)
def test_the_best_reference_counts(task: Task | None, name: str, wanted: float) -> None:
    image = picture()
    rows = [
        (result(task, "cat"), record(task, result(task, true), image)) for true in ("dogs", "car")
    ]
    assert values(task, rows)[name] == wanted
    equal = [*rows, (result(task, "cat"), record(task, result(task, "cat"), image))]
    assert values(task, equal)[name] == (0.0 if name == "cer" else 1.0)


class Counting(Oracle):
    """Counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[Record] = []

    def answer(self, records: Sequence[Record]) -> list[Result]:
        self.asked += records
        return super().answer(records)


def test_a_question_is_asked_once_and_pictures_are_counted() -> None:
    images = [picture() for _ in range(3)]
    records = [record(Task.CAPTION, text(each), image) for image in images for each in CAPTIONS]
    records += [record(Task.OCR, text(word), images[0]) for word in ("a", "a")]
    model, reader = Counting(), Counting()
    report = run_suites(dataset_suites(records, 9), ("m", model), {"other": reader}, 9)
    assert [(row.group, row.count, row.questions) for row in report.rows] == [
        ("caption", 3, 3),
        ("ocr", 1, 1),
        ("ocr", 1, 1),
    ]
    assert (len(model.asked), len(reader.asked)) == (4, 1)
    assert [len(shown) for shown in report.shown.values()] == [3, 1]
    assert report.rows[0].numbers["exact"].value == 1.0


def test_the_same_words_in_two_forms_are_one_question() -> None:
    image, task = picture(), Task.CAPTION_TO_PHRASE_GROUNDING
    first, second = (record(task, boxes("a"), image, words) for words in (COMPOSED, APART))
    assert question_of(first) == question_of(second)
    assert question_of(first) == question_of(record(task, boxes("a"), image.copy(), COMPOSED))
    assert question_of(first) != question_of(record(task, boxes("a"), None, COMPOSED))
    assert numbered("abca") == [0, 1, 2, 0] and pictures_of([first, second]) == [0, 0]


# ---- intervals over pictures


@pytest.mark.parametrize(
    "task", [each for each in [*Task, None] if each not in (Task.CAPTION, Task.OCR)], ids=str
)
def test_intervals_are_those_of_pictures_not_of_records(task: Task | None) -> None:
    """Ten regions, phrases or captions of a picture, all right or all wrong, told too much."""

    def rows(of_picture: Callable[[int], object]) -> list[Prediction]:
        made = []
        for at in range(200):
            number = of_picture(at)
            truth = result(task, "cat" if number % 2 else "dog")
            its = record(task, truth, Path(f"{number}.png"), f"cat {at}" if task is Task.
                         CAPTION_TO_PHRASE_GROUNDING else "")  # fmt: skip
            made.append((result(task, "cat"), its))
        return made

    measured = MEASURES[task](rows(lambda at: at // 10)).numbers
    apart = MEASURES[task](rows(lambda at: at)).numbers
    width = {name: (each.high or 0) - (each.low or 0) for name, each in measured.items()}
    for name, each in apart.items():
        if each.value is not None and 0 < each.value < 1 and name != "absent_silent":
            assert width[name] > 2.0 * ((each.high or 0) - (each.low or 0)), name


# ---- no number without truth


@pytest.mark.parametrize("answer", [None, "cat"], ids=["silent", "invents"])
@pytest.mark.parametrize("task", [*Task, None], ids=str)
def test_where_nothing_is_true_there_is_no_number(task: Task | None, answer: str | None) -> None:
    """It was 0.0 or 1.0: an error rate of 0 where nothing is to be read."""
    measured = MEASURES[task]([(result(task, answer), record(task, result(task, None)))])
    silent = {"empty_silent", "absent_silent"} & {*measured.numbers}
    assert silent
    for name, number in measured.numbers.items():
        assert number.value == (float(answer is None) if name in silent else None), name
    assert {measured.notes.get(key) for key in ("empty_asked", "absent_asked")} - {None} == {"1"}


@pytest.mark.parametrize("task", [*Task, None], ids=str)
def test_pictures_with_nothing_are_counted_apart(task: Task | None) -> None:
    """A silent answer to nothing adds nothing to the other numbers, an invented box does."""
    right = [(result(task, "cat"), record(task, result(task, "cat"))) for _ in range(3)]
    nothing = [(result(task, None), record(task, result(task, None))) for _ in range(2)]
    alone, both = values(task, right), values(task, [*right, *nothing])
    assert {name: each for name, each in both.items() if "_silent" not in name} == {
        name: each for name, each in alone.items() if "_silent" not in name
    }
    assert [each for name, each in both.items() if "_silent" in name] == [1.0]
    if task is Task.OD:
        invented = [*right, (result(task, "cat"), record(task, result(task, None)))]
        assert values(task, invented)["precision"] == 0.75
        assert values(task, invented)["empty_silent"] == 0.0


def test_a_picture_with_crowds_alone_is_not_empty() -> None:
    crowd = Ignored(boxes("cat"), (True,))
    its = Record(picture(), Task.OD, "", None, boxes(), "by hand", ignored=crowd)
    assert "empty_silent" not in values(Task.OD, [(boxes("cat"), its)])


def test_the_report_has_null_and_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    records = [record(task, result(task, None)) for task in (Task.OD, Task.OCR, Task.CAPTION)]
    report = run_suites(dataset_suites(records, 9), ("m", Silent()), {}, 9, tell)
    assert "f1 -, ap -" in capsys.readouterr().err
    row = json.loads(json.dumps(report.to_dict(), allow_nan=False))["rows"][0]
    assert row["numbers"]["ap"] == {"value": None, "low": None, "high": None}
    assert row["notes"]["empty_asked"] == "1"
    table = markdown(report)
    assert "F1 -; AP -;" in table and "character error rate -;" in table
    assert "empty ones answered with nothing **1.000** (1.000-1.000) of 1" in table
    assert table.count("A dash is no number") == 1
    assert draw_sheet(report).width > 100


# ---- names and texts in one form of Unicode


@pytest.mark.parametrize("task", [*Task, None], ids=str)
def test_texts_and_names_are_equal_in_any_form(task: Task | None) -> None:
    words = f"{APART}" if task is not None and task.needs_text else ""
    its = record(task, result(task, COMPOSED), words=words)
    for name, value in values(task, [(result(task, APART), its)]).items():
        assert value in (None, 0.0 if name == "cer" else pytest.approx(1.0)), name


def test_absent_names_and_phrases_are_known_in_any_form() -> None:
    task = Task.OPEN_VOCABULARY_DETECTION
    its = record(task, result(task, "cat"), words=f"cat<and>{COMPOSED}")
    found = Mixed(boxes("cat", APART), Polygons([], [], image_size=SIZE), image_size=SIZE)
    assert values(task, [(found, its)])["absent_silent"] == 0.0
    there = record(task, result(task, APART), words=COMPOSED)
    assert "absent_silent" not in values(task, [(result(task, APART), there)])
    phrase = record(Task.CAPTION_TO_PHRASE_GROUNDING, boxes(APART), words=f"{COMPOSED}, tea")
    parted = measure_grounding([(boxes("tea"), phrase)], lambda caption: caption.split(", "))
    assert parted.numbers["absent_silent"].value == 0.0
    assert parted.notes["absent_asked"] == "1"


# ---- what is said about AP


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        pytest.param((0.5, 0.25), "scores of the model.", id="scores"),
        pytest.param((0.5, 0.5), "all scores are equal, and AP hangs on it", id="equal"),
        pytest.param(None, "not all have scores, and AP hangs on it", id="none"),
    ],
)
def test_the_table_says_where_ap_hangs_on_the_order(
    scores: Sequence[float] | None, words: str
) -> None:
    class Scored(Oracle):
        def answer(self, records: Sequence[Record]) -> list[Result]:
            return [boxes("cat", "dog", scores=scores) for _ in records]

    suites = dataset_suites([record(Task.OD, boxes("cat"))], 9)
    table = markdown(run_suites(suites, ("m", Scored()), {}, 9))
    assert words in table


@pytest.mark.parametrize(
    ("protocol", "told", "has_ap"),
    [(None, "AP of COCO;", True), ("voc2007", "AP of VOC 2007;", False),
     ("lvis", "no picture says for which names", True)],
)  # fmt: skip
def test_a_protocol_is_chosen_and_told(protocol: str | None, told: str, has_ap: bool) -> None:
    suites = dataset_suites([record(Task.OD, boxes("cat"))], 9, protocol)
    report = run_suites(suites, ("m", Oracle()), {}, 9)
    assert told in markdown(report)
    assert ("ap" in report.rows[0].numbers) is has_ap
    assert report.rows[0].numbers["box_ap50"].value == pytest.approx(1.0)


# ---- training and calibrating


def test_numbers_to_watch_follow_the_same_rules() -> None:
    """Best of references, one form of Unicode, no number without truth."""
    image = picture()

    def watched(task: Task | None, *rows: Prediction) -> dict[str, float]:
        return dict(_measures(task, rows))

    references = [record(Task.OCR, text(each), image) for each in ("tea", COMPOSED)]
    rows = [(text(APART), each) for each in references]
    assert watched(Task.OCR, *rows) == {"cer": 0.0, "exact": 1.0}
    nothing = text("abc"), record(Task.OCR, text(""))
    assert watched(Task.OCR, nothing) == {}
    assert watched(Task.OCR, *rows, nothing) == {"cer": 3 / 4, "exact": 1.0}  # it was invented
    written = [(result(None, "7 "), record(None, result(None, each), image)) for each in "78"]
    assert watched(None, *written) == {"exact": 0.0}  # to the letter, blanks included
    assert watched(Task.OD, (boxes("cat"), record(Task.OD, boxes()))) == {}
    found = boxes(APART, "dog")
    its = Record(picture(), Task.OD, "", None, boxes(COMPOSED), "s", None, None, Federated())
    assert watched(Task.OD, (found, its)) == {"f1": 1.0, "box_f1": 1.0}


def test_a_calibration_divides_pictures_and_not_their_records() -> None:
    """Half of the records of each picture told how well the other half was fitted."""
    rng = np.random.default_rng(0)
    right = [(boxes("cat", scores=[0.5]), boxes(COMPOSED)) for _ in range(2)]
    assert judge(boxes(APART), boxes(COMPOSED))["label_scores"] == [True]
    pairs, pictures = [], []
    for number in range(10):
        for _ in range(20):
            score = float(rng.random())
            pairs.append((boxes("cat", scores=[score]), boxes("cat" if number < 5 else "dog")))
            pictures.append(number)
    told = fit(pairs, "m", "f", Task.OD, pictures).measured
    assert told["pictures"] == {"fitted": 5, "held_out": 5}
    assert told["scores"]["scores"]["objects"] == {"fitted": 100, "held_out": 100}
    with pytest.raises(DataError, match="in one half of 1 pictures"):
        fit(right, "m", "f", Task.OD, [0, 0])


def test_eval_measures_pictures_of_a_file(
    tmp_path: Path, tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two captions each, and boxes in one of two pictures, by way of the command."""
    images = [{"id": n, "file_name": f"{n}.png", "width": 64, "height": 48} for n in range(2)]
    for each in images:
        Image.fromarray(picture()).save(tmp_path / str(each["file_name"]))
    captions = [{"id": n, "image_id": n // 2, "caption": f"a box {n}"} for n in range(4)]
    box = {"id": 0, "image_id": 0, "category_id": 0, "bbox": [1, 1, 9, 9], "iscrowd": 0}
    names = [{"id": 0, "name": APART}]
    files = {
        "captions": {"images": images, "annotations": captions},
        "objects": {"images": images, "annotations": [box], "categories": names},
    }
    rows = {}
    for name, content in files.items():
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(content))
        asked = ["eval", "--data", str(path), "--model", str(tiny_folder), "--device", "cpu"]
        assert main(asked + ["--protocol", "voc2007"] * (name == "objects")) == 0
        captured = capsys.readouterr()
        (rows[name],) = json.loads(captured.out)["rows"]
    assert (rows["captions"]["count"], rows["captions"]["questions"]) == (2, 2)
    assert {"word_f1", "exact", "cider"} == {*rows["captions"]["numbers"]}
    assert rows["objects"]["notes"]["empty_asked"] == "1"
    assert {"ap50", "box_ap50", "empty_silent"} <= {*rows["objects"]["numbers"]}
    assert "AP of VOC 2007;" in captured.err
