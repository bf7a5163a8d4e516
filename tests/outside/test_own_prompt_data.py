"""Prompts of one's own in data: read, trained, measured and printed to the letter."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from florence2 import Florence2, Text
from florence2.answers import format_answer, parse_answer
from florence2.checkpoints import save_checkpoint
from florence2.cli.main import main
from florence2.cli.train import question_flags
from florence2.data import Problem, open_dataset
from florence2.data.formats.jsonl import write_jsonl
from florence2.data.formats.parquet import write_parquet
from florence2.data.formats.prefix_suffix import write_prefix_suffix
from florence2.data.records import Record
from florence2.errors import DataError, Florence2Error
from florence2.evaluation.text_metrics import measure_written
from florence2.model.config import with_vocab_size
from florence2.model.florence2 import IGNORE_INDEX, Florence2Model
from florence2.processing.tokenizer import Tokenizer
from florence2.results import Boxes
from florence2.tasks import Task, without_placeholder
from florence2.training import trainer
from florence2.training.finetune import prepare
from florence2.training.options import FinetuneOptions, WeightedPath
from florence2.training.targets import pad_ids
from tiny_models import CONFIG

SIZE = (32, 32)
# What is asked, and how it is answered: the kinds of rows that were lost.
CLICK = ("What to do? click accept", "click<loc_500><loc_300>")
REPORT = ("<REPORT>", "The crack is at <loc_100><loc_200><loc_300><loc_400> and long.")
NEGATIVE = ("Is there a zebra?", "")
NUMBER = ("<COUNT>", 7)
VQA = ("<DocVQA>What is the total?", "12.50 EUR")
ROWS = (CLICK, REPORT, NEGATIVE, NUMBER, VQA)


def write_rows(path: Path, *rows: tuple[str, object]) -> Path:
    """A file of rows about one picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", SIZE, (118, 118, 118)).save(path.parent / "0.png")
    lines = [
        json.dumps({"image": "0.png", "prefix": prefix, "suffix": suffix})
        for prefix, suffix in rows
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def read(path: Path, **options: object):
    dataset = open_dataset(path, **options)
    return list(dataset), dataset.report


# ---- reading


@pytest.mark.parametrize(
    ("prefix", "suffix"),
    [
        *ROWS,
        ("click", "<loc_1><loc_2><loc_3><loc_4> is behind<loc_5><loc_6>"),
        ("answer ", " yes\n"),
        ("<MARK>", "<poly><loc_1><sep><loc_2></poly><od>"),
        ("<NUMBER>", -3),
        ("caption en", "ein Bär – 熊"),
    ],
)
def test_rows_are_kept_to_the_letter(tmp_path: Path, prefix: str, suffix: object) -> None:
    (record,), report = read(write_rows(tmp_path / "a.jsonl", (prefix, suffix)), strict=True)
    assert (record.prompt, record.task) == (prefix, None)
    assert format_answer(record.result, None) == str(suffix)
    assert report.counts[Problem.OWN_PROMPT] == 1
    assert report.counts[Problem.NUMBER] == (not isinstance(suffix, str))
    (tmp_path / "again").mkdir()
    writers = (
        (write_jsonl, "a.jsonl"),
        (write_prefix_suffix, "b.jsonl"),
        (write_parquet, "c.parquet"),
    )
    for write, name in writers:
        write([record], tmp_path / "again" / name)
        (again,), _ = read(tmp_path / "again" / name, strict=True)
        assert (again.prompt, again.task, again.result) == (prefix, None, record.result)


@pytest.mark.parametrize(
    ("prefix", "asked"),
    [
        ("<image>What is it?", "What is it?"),
        ("<image>\nWhat is it?", "What is it?"),
        ("What is it?\n<image>", "What is it?"),
        ("Look at <image> now", "Look at now"),
        ("What is it? ", "What is it? "),
    ],
)
def test_the_placeholder_is_left_out_and_told(tmp_path: Path, prefix: str, asked: str) -> None:
    (record,), report = read(write_rows(tmp_path / "a.jsonl", (prefix, "a cat")))
    assert record.prompt == asked == without_placeholder(prefix)
    assert report.counts[Problem.PLACEHOLDER] == (prefix != asked)


@pytest.mark.parametrize("prefix", ["<image><OD>", "<image>\n<OD>", "<OD><image>"])
def test_a_task_behind_the_placeholder_is_that_task(tmp_path: Path, prefix: str) -> None:
    """All rows of such a file were lost: the task "takes no text input"."""
    row = (prefix, "cat<loc_1><loc_2><loc_3><loc_4>")
    (record,), report = read(write_rows(tmp_path / "a.jsonl", row))
    assert (record.task, record.prompt) == (Task.OD, None)
    assert dict(report.counts) == {Problem.PLACEHOLDER: 1}


FOREIGN = ["<loc0100>", "<loc1023>", "<seg012>", "<loc_1000>", "<loc_007>", "<loc_-1>", "<LOC_5>",
           "<loc_5.5>", "<loc 5>"]  # fmt: skip


@pytest.mark.parametrize("token", FOREIGN)
@pytest.mark.parametrize("prefix", ["detect cat", "<OD>", "<CAPTION>"])
def test_locations_of_no_vocabulary_are_refused_not_spelled(
    tmp_path: Path, prefix: str, token: str
) -> None:
    """PaliGemma's `<loc0100>` was trained as eight letters, without a word."""
    rows = [(prefix, f"{token}<loc_1><loc_2><loc_3> cat"), (f"where is {token}?", "here")]
    back, report = read(write_rows(tmp_path / "a.jsonl", *rows))
    assert back == []
    assert (report.counts[Problem.ANSWER], report.counts[Problem.PROMPT]) == (1, 1)
    (case,) = report.cases[Problem.ANSWER]
    assert token in case and ("PaliGemma" in case) == (token in FOREIGN[:3])
    said = Record(tmp_path / "0.png", Task.CAPTION, "", None, Text("a", image_size=SIZE), "s")
    records = [
        replace(said, result=Text(f"a {token}", image_size=SIZE)),
        replace(said, task=None, prompt="what?", result=parse_answer(f"a {token}", None, SIZE)),
        replace(said, prompt=f"what is {token}?"),
    ]
    write_jsonl(records, tmp_path / "records.jsonl")
    back, report = read(tmp_path / "records.jsonl")
    assert back == []
    assert (report.counts[Problem.ANSWER], report.counts[Problem.PROMPT]) == (2, 1)


def test_words_in_angle_brackets_are_words(tmp_path: Path) -> None:
    words = "a <location> sign, <local> news, <loc>"
    (record,), _ = read(write_rows(tmp_path / "a.jsonl", ("<CAPTION>", words)), strict=True)
    assert format_answer(record.result, record.task) == words


@pytest.mark.parametrize("suffix", [7.5, True, None, ["a"], {"a": 1}, "a</s>", "<s>a"])
def test_what_is_no_answer_is_counted(tmp_path: Path, suffix: object) -> None:
    back, report = read(write_rows(tmp_path / "a.jsonl", ("<COUNT>", suffix)))
    assert back == []
    assert report.counts[Problem.ROW] + report.counts[Problem.ANSWER] == 1


def test_a_record_asks_something() -> None:
    nothing = parse_answer("", None, SIZE)
    for prompt in (None, "", "<image>"):
        with pytest.raises(DataError, match=r"asks nothing|empty prompt"):
            Record(np.zeros((32, 32, 3), np.uint8), None, "", None, nothing, "s", prompt)
    boxes = Boxes([], [], image_size=SIZE)
    with pytest.raises(Florence2Error, match="a prompt without a task cannot express a Boxes"):
        Record(np.zeros((32, 32, 3), np.uint8), None, "", None, boxes, "s", "what?")


# ---- measuring


def measured(*pairs: tuple[str, str]) -> dict[str, float]:
    answered = [
        (
            parse_answer(found, None, SIZE),
            Record(
                np.full((32, 32, 3), number, np.uint8),
                None,
                "",
                None,
                parse_answer(truth, None, SIZE),
                "s",
                "what?",
            ),
        )
        for number, (found, truth) in enumerate(pairs)
    ]
    return {name: each.value for name, each in measure_written(answered).numbers.items()}


def test_free_answers_are_measured_to_the_letter_and_by_their_places() -> None:
    assert measured(("", "")) == {"exact": None, "empty_silent": 1.0}
    assert measured(("7", "7"), ("8", "7")) == {"exact": 0.5, "anls": 0.5}
    far = measured(("a<loc_0><loc_0>", "a<loc_999><loc_999>"))
    assert (far["exact"], far["anls"]) == (0.0, 1.0)
    assert far["point_distance"] == pytest.approx(0.999)
    assert measured(("a", "a<loc_9><loc_9>"))["point_distance"] == 1.0
    box = "crack at <loc_1><loc_1><loc_99><loc_99>"
    assert measured((box + " ok", box))["f1"] == 1.0


# ---- training, evaluating, asking, printing


@pytest.fixture(scope="module")
def answering(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint that was taught the answers of all rows."""
    asked, written = zip(*((prompt, str(answer)) for prompt, answer in ROWS), strict=True)
    tokenizer = Tokenizer.train([*asked, *written] * 3, vocab_size=300)
    torch.manual_seed(0)
    model = Florence2Model(with_vocab_size(CONFIG, tokenizer.vocab_size)).train()
    prompt_ids = pad_ids(list(map(tokenizer.encode, asked)), tokenizer.pad_id)
    labels = pad_ids(list(map(tokenizer.encode, written)), IGNORE_INDEX)
    pixels, real = torch.zeros(len(ROWS), 3, *SIZE), labels != IGNORE_INDEX
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(400):
        logits = model(pixels, prompt_ids, labels, prompt_ids != tokenizer.pad_id)[real]
        loss = torch.nn.functional.cross_entropy(logits, labels[real])
        if loss < 0.02:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return save_checkpoint(model.eval(), tmp_path_factory.mktemp("answering"), tokenizer=tokenizer)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("own") / "own.jsonl", *ROWS)


def test_what_is_trained_is_what_was_written(answering: Path, data: Path, tmp_path: Path) -> None:
    options = FinetuneOptions(
        *((WeightedPath(str(data)),), tmp_path / "run", str(answering)),
        **{"steps": 1, "batch_size": len(ROWS), "held_out": 0, "device": "cpu"},
    )
    ready = prepare(options)
    (batch,) = ready.first_batches()
    ids = [row[row != IGNORE_INDEX].tolist() for row in batch.labels]
    prompts = [
        row[mask.bool()].tolist()
        for row, mask in zip(batch.prompt_ids, batch.prompt_mask, strict=True)
    ]
    tokenizer = ready.loaded.tokenizer
    pairs = zip(prompts, ids, strict=True)
    found = {tuple(tokenizer.decode(each[1:-1]) for each in pair) for pair in pairs}
    assert found == {(prompt, str(answer)) for prompt, answer in ROWS}
    assert "own prompt 5" in ready.preflight()


@pytest.mark.parametrize("row", ROWS, ids=["click", "report", "negative", "number", "vqa"])
def test_what_was_trained_is_printed_to_the_letter(
    answering: Path, data: Path, capsys, row
) -> None:
    prompt, written = row[0], str(row[1])
    picture = str(data.parent / "0.png")
    asked = ["run", picture, "--prompt", prompt, "--model", str(answering), "--beams", "1"]
    capsys.readouterr()
    assert main([*asked, "--end-loops", "--draw", str(data.parent / "drawn")]) == 0
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (line["answer"], line["result"]["text"]) == (written, written)
    assert (line["prompt"], line["repaired"], line["first_answer"]) == (prompt, False, None)
    assert "task" not in line
    assert "".join(piece["text"] for piece in line["result"]["pieces"]) == written


def test_the_hint_repeats_what_was_trained(
    answering: Path, data: Path, capsys, tmp_path: Path
) -> None:
    """It said `--task od` whatever had been trained."""
    run = tmp_path / "run"
    given = ["train", data, "--model", answering, "--output", run, "--steps", 1, "--workers", 0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "draw_curves", lambda log, picture: None)
        assert main([*map(str, given), "--device", "cpu", "--held-out", "0"]) == 0
    told = capsys.readouterr().err.splitlines()
    hint = next(line for line in told if line.startswith("try"))
    assert hint.endswith(f"run PICTURE --prompt 'What to do? click accept' --model {run / 'model'}")
    picture = np.zeros((32, 32, 3), np.uint8)
    boxes, text = Boxes([], [], image_size=SIZE), Text("a", image_size=SIZE)
    for record, flags in (
        (Record(picture, Task.OD, "", None, boxes, "s"), ["--task", "od"]),
        (
            Record(picture, Task.CAPTION_TO_PHRASE_GROUNDING, "a cat", None, boxes, "s"),
            ["--task", "caption_to_phrase_grounding", "--text", "a cat"],
        ),
        (
            Record(picture, Task.REGION_TO_OCR, "", (1, 2.5, 30, 31), text, "s"),
            ["--task", "region_to_ocr", "--region", "1,2.5,30,31"],
        ),
        (
            Record(picture, Task.OD, "", None, boxes, "s", "find all"),
            ["--task", "od", "--prompt", "find all"],
        ),
    ):
        assert question_flags([record]) == flags


def test_what_was_trained_is_measured_to_the_letter(
    answering: Path, data: Path, capsys, tmp_path: Path
) -> None:
    sheet = tmp_path / "sheet.png"
    asked = ["eval", "--data", str(data), "--model", str(answering), "--sheet", str(sheet)]
    capsys.readouterr()
    assert main(asked) == 0
    report = json.loads(capsys.readouterr().out)
    (row,) = report["rows"]
    assert (row["group"], row["count"], row["questions"]) == ("prompt", 1, len(ROWS))
    numbers = {name: number["value"] for name, number in row["numbers"].items()}
    assert (numbers["exact"], numbers["f1"], report["malformed"]) == (1.0, 1.0, {})
    assert sheet.exists()


def test_answers_that_no_tokens_spell_are_told(answering: Path, tmp_path: Path, capsys) -> None:
    rows = [("<A>", "\ud800 lone"), ("<A>", "a <mask>"), CLICK, VQA]
    data = write_rows(tmp_path / "a.jsonl", *rows)
    run = ["train", data, "--model", answering, "--output", tmp_path / "run", "--held-out", "0"]
    assert main([*map(str, run), "--dry-run", "--device", "cpu"]) == 0
    captured = capsys.readouterr()
    assert "2 skipped, as the tokenizer of the model cannot write" in captured.err
    assert json.loads(captured.out)["records"] == 2


def test_a_file_of_paligemma_is_refused_with_the_reason(
    answering: Path, tmp_path: Path, capsys
) -> None:
    data = write_rows(
        tmp_path / "a.jsonl", ("detect cat", "<loc0100><loc0200><loc0300><loc0400> cat")
    )
    run = ["train", data, "--model", answering, "--output", tmp_path / "run", "--dry-run"]
    assert main([*map(str, run), "--device", "cpu"]) == 2
    assert "<loc0100>, a token of PaliGemma" in capsys.readouterr().err


def test_a_loaded_model_answers_without_a_task(answering: Path, data: Path) -> None:
    with Florence2.load(str(answering), device="cpu") as model:
        result = model.run(data.parent / "0.png", prompt=CLICK[0])
    assert isinstance(result, Text) and result.points.labels == ("click",)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        pytest.param([], "there is no question", id="nothing"),
        pytest.param(["--prompt", " "], "is empty", id="empty"),
        pytest.param(["--prompt", "a", "--text", "b"], "takes no --text", id="text"),
        pytest.param(["--prompt", "a", "--region", "1,2,3,4"], "takes no --region", id="region"),
        pytest.param(["--prompt", "a", "--tiles", "2x2"], "takes no --tiles", id="tiles"),
        pytest.param(["--prompt", "a", "--min-presence", "0.5"], "--min-presence", id="presence"),
        pytest.param(["--prompt", "a", "--cascade", "layout"], "takes no --prompt", id="cascade"),
        pytest.param(["--prompt", "a", "--grammar", "repair"], "needs a task", id="grammar"),
    ],
)
def test_flags_that_do_not_go_with_a_prompt_are_refused(
    answering: Path, data: Path, capsys, flags, words
) -> None:
    picture = str(data.parent / "0.png")
    assert main(["run", picture, "--model", str(answering), *flags]) == 2
    assert words in capsys.readouterr().err
