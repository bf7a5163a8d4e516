"""What `florence2 bench` measures adds up, and says what it is about."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from florence2.api import Florence2
from florence2.cli.main import main
from florence2.evaluation import speed
from florence2.evaluation.roofline import work_of
from florence2.evaluation.speed import Job, measure
from florence2.model.config import base
from florence2.tasks import Task
from tiny_models import SMALLEST


@pytest.mark.process
def test_stages_and_agreement_are_told_for_each_precision(
    tiny_folder: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = f"bench {picture} --model {tiny_folder} --precision float32,bfloat16 --side 32,16"
    flags = "--beams 2 --tokens 8 --repeat 2 --device cpu"
    assert main([*arguments.split(), *flags.split()]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("| precision | side | beams | whole ms | read ms")
    rows = json.loads(out[-1])["rows"]
    assert [(row["precision"], row["side"]) for row in rows] == [
        *(("float32", 32), ("float32", 16)),
        *(("bfloat16", 32), ("bfloat16", 16)),
    ]
    for row in rows:
        assert sum(row["stages_ms"].values()) <= 1.05 * row["wall_ms"]
        assert row["token_ms"] > 0
        assert row["peak_mib"] > 50
        assert row["machine"]["gflops"] > 0
    assert rows[0]["agreement"] == 1.0
    assert all(0.0 <= row["agreement"] <= 1.0 for row in rows[1:])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--precision fp8", "'fp8' is unknown"),
        ("--beams 0", "--beams '0'"),
        ("--beams x", "--beams 'x'"),
        ("--repeat 0", "--repeat must be 1 or more; got 0"),
        ("--task odd", "did you mean 'od'"),
    ],
)
def test_impossible_flags_are_refused(
    flags: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *flags.split(), "--device", "cpu"]) == 2
    assert message in capsys.readouterr().err


def test_the_work_is_that_of_the_published_base_size() -> None:
    """381 GFLOP a picture; 89 million weights a step, of which 39 million are words."""
    flops, step_bytes = work_of(base(), 2, 2)
    assert flops == pytest.approx(381e9, rel=0.01)
    assert step_bytes / 2 == pytest.approx(89e6, rel=0.02)
    assert work_of(base(), 2, 1)[1] == pytest.approx(step_bytes - base().text.vocab_size * 768)


@pytest.mark.process
def test_a_job_without_float32_has_no_agreement(tiny_folder: Path, picture: Path) -> None:
    job = Job(str(tiny_folder), Task.OD, ("bfloat16",), (1,), (picture,), 5, 1, "cpu")
    (row,) = measure(job)
    assert row.agreement is None


@pytest.mark.parametrize("asked, side", [(None, 16), (8, 8)])
def test_random_weights_have_their_own_side_or_another(
    monkeypatch: pytest.MonkeyPatch, asked: int | None, side: int
) -> None:
    words = Florence2.load("nano", device="cpu").processor.tokenizer.vocab_size
    tiny = replace(SMALLEST, text=replace(SMALLEST.text, vocab_size=words))
    monkeypatch.setitem(speed.RANDOM, "random-base", lambda: tiny)
    model = speed.open_model("random-base", "float32", "cpu", asked)
    assert model.processor.image_side == side
