"""Threads, batches and caches change no answer; places are freed; nobody waits for ever."""

import gc
import subprocess
import sys
import threading
from concurrent.futures import CancelledError, Future
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from florence2 import EngineError, EngineLimits, Florence2, GenerationOptions, Request, TaskError
from florence2.checkpoints.loading import load_checkpoint
from florence2.engine import Answer, Engine
from florence2.engine.jobs import Job
from florence2.generation.batch import generate
from florence2.model.florence2 import Florence2Model
from florence2.processing.processor import Processor
from florence2.runtimes.pytorch.eager import eager_runtime
from florence2.runtimes.pytorch.packed.model import PackedModel
from florence2.runtimes.select import uses_packed_weights
from florence2.tasks import Task

BEAMS = GenerationOptions(num_beams=3, max_new_tokens=24, grammar=False)
GREEDY = GenerationOptions(num_beams=1, max_new_tokens=16, grammar=False)
LONG = GenerationOptions(num_beams=2, max_new_tokens=900, min_new_tokens=900, grammar=False)
PATIENCE_S = 60.0
EXAMPLES = Path(__file__).parents[2] / "examples"


def pictures(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (40 + n, 60, 3), dtype=np.uint8) for n in range(count)]


def submit(
    engine: Engine, image: object, task: Task, options: GenerationOptions
) -> "Future[Answer]":
    return engine.submit(Request(image, task, generation=options))  # type: ignore[arg-type]


def test_answers_leave_no_circles_that_wait_for_the_garbage_collector(model: Florence2) -> None:
    """What was computed for a picture would stay with each, for thousands of pictures."""

    def ask() -> None:
        requests = [Request(each, Task.CAPTION, generation=GREEDY) for each in pictures(6)]
        phrase = Request(pictures(1)[0], Task.OPEN_VOCABULARY_DETECTION, "a cat", min_presence=0.5)
        for answer in model.run_many([*requests, phrase]):
            assert not isinstance(answer, Exception)

    ask()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        ask()
        gc.collect()
        circles = {type(each).__name__ for each in gc.garbage} & {"Job", "Future", "EncodedImage"}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not circles


def test_presence_is_asked_once_beside_other_answers(model: Florence2, monkeypatch) -> None:
    """A batch keeps an answer for a step after its end: it was handed over a second time."""
    verified = []
    verify = Engine._verify

    def counted(engine: Engine, job: Job, *rest: object) -> None:
        verified.append(job.number)
        verify(engine, job, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Engine, "_verify", counted)
    others = [Request(each, Task.CAPTION, generation=GREEDY) for each in pictures(6)]
    asked = Request(pictures(1)[0], Task.OPEN_VOCABULARY_DETECTION, "a cat", min_presence=0.5)
    answers = list(model.run_many([*others, asked]))
    assert not any(isinstance(each, Exception) for each in answers)
    assert len(verified) == 1


class Counting(Florence2Model):
    """A model that counts the pictures it encodes."""

    encoded = 0

    def encode_image(self, pixels_BCHW: Tensor) -> Tensor:
        self.encoded += len(pixels_BCHW)
        return super().encode_image(pixels_BCHW)


@pytest.fixture
def model(tiny_folder: Path) -> Florence2:
    loaded = load_checkpoint(tiny_folder, dtype=torch.float32)
    counting = Counting(loaded.model.config).eval()
    counting.load_state_dict(loaded.model.state_dict())
    processor = Processor(loaded.tokenizer, counting.config)
    return Florence2(
        eager_runtime(counting),
        processor,
        name="tiny",
        limits=EngineLimits(max_running=4, max_prefill=2),
    )


def test_answers_equal_those_of_a_plain_batch() -> None:
    """Whatever joined when, in two batches, is what `generate` writes for each alone."""
    nano = Florence2.load("nano", device="cpu", limits=EngineLimits(max_running=5, max_prefill=2))
    requests = [
        (path, task, options)
        for path in sorted(EXAMPLES.glob("*.png"))[:4]
        for task in (Task.OD, Task.CAPTION, Task.OCR)
        for options in (BEAMS, GREEDY)
    ]
    futures = [submit(nano.engine, *request) for request in requests]
    found = [future.result(PATIENCE_S).result.token_ids for future in futures]
    assert len(set(found)) > 10
    for (path, task, options), token_ids in zip(requests, found, strict=True):
        seen = nano.encode_image(path)
        prompt = nano.processor.prompt_ids(task, "", None, seen.image_size)
        special = nano.processor.special_ids
        (alone,) = generate(nano.runtime, [seen.image_tokens], [prompt], options, special)
        assert token_ids == alone.token_ids


def test_equal_pictures_are_encoded_once(model: Florence2) -> None:
    one, other = pictures(2)
    requests = [Request(one, "od"), Request(other, "od"), Request(one.copy(), "caption")] * 3
    assert len(list(model.run_many(requests, GREEDY))) == 9
    assert model.runtime.model.encoded == 2  # type: ignore[attr-defined]


def test_a_cancelled_request_frees_its_place(model: Florence2) -> None:
    """Four long answers hold all places; the fifth gets its answer when one gives up."""
    picture = model.encode_image(pictures(1)[0])
    holders = [submit(model.engine, picture, Task.OD, LONG) for _ in range(4)]
    fifth = submit(model.engine, picture, Task.CAPTION, GREEDY)
    holders[2].cancel()
    assert fifth.result(PATIENCE_S).result.token_ids
    with pytest.raises(CancelledError):
        holders[2].result(PATIENCE_S)
    assert not holders[0].done()
    for holder in holders:
        holder.cancel()


def test_a_bad_request_harms_no_other(model: Florence2) -> None:
    picture = pictures(1)[0]
    tasks = (Task.OD, Task.CAPTION_TO_PHRASE_GROUNDING, Task.CAPTION)  # the second needs words
    futures = [submit(model.engine, picture, task, GREEDY) for task in tasks]
    assert futures[0].result(PATIENCE_S).result.token_ids
    with pytest.raises(TaskError, match="needs text"):
        futures[1].result(PATIENCE_S)
    assert futures[2].result(PATIENCE_S).result.token_ids


def test_a_failing_computation_is_told_and_the_engine_goes_on(
    model: Florence2, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = model.encode_image(pictures(1)[0])
    with monkeypatch.context() as patch:
        patch.setattr(Counting, "decode_with", lambda *_: 1 / 0)
        with pytest.raises(EngineError, match="ZeroDivisionError"):
            model.run(picture, "od", generation=GREEDY)
    assert model.run(picture, "od", generation=GREEDY).token_ids


def test_many_threads_may_ask(model: Florence2) -> None:
    picture = model.encode_image(pictures(1)[0])
    expected = model.run(picture, "od", generation=GREEDY)
    answers: list[tuple[int, ...]] = []

    def ask() -> None:
        answers.append(model.run(picture, "od", generation=GREEDY).token_ids)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert answers == [expected.token_ids] * 6


@pytest.mark.process
def test_a_process_that_asked_ends_well(tiny_folder: Path, picture: Path) -> None:
    """A thread torn down inside PyTorch aborted the process after its answer was printed."""
    script = (
        "import sys; from florence2 import Florence2; "
        "model = Florence2.load(sys.argv[1], device='cpu'); "
        "print(model.run(sys.argv[2], 'od').kind)"
    )
    command = [sys.executable, "-c", script, str(tiny_folder), str(picture)]
    for _ in range(3):
        ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "boxes\n", "")


def test_stages_add_up(model: Florence2) -> None:
    answer = submit(model.engine, pictures(1)[0], Task.OD, GREEDY).result(PATIENCE_S)
    stages = {"read", "resize", "vision", "encode", "first_token", "tokens", "parse"}
    assert set(answer.timings_ms) == stages
    assert all(spent >= 0 for spent in answer.timings_ms.values())


def test_the_cpu_gets_packed_weights(tiny_folder: Path) -> None:
    model = Florence2.load(str(tiny_folder), device="cpu")
    packed = load_checkpoint(tiny_folder, dtype=torch.float32).model
    expected = PackedModel if uses_packed_weights(packed.device) else Florence2Model
    assert type(model.runtime.model) is expected
