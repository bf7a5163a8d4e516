"""Whatever fails while an engine computes ends in an error for those it concerns, and no others."""

import random
import time
from collections.abc import Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faulty_runtime import FaultyRuntime

from florence2.engine import Answer, Engine, EngineLimits, Request
from florence2.errors import EngineError, Florence2Error, TaskError
from florence2.generation.options import GenerationOptions
from florence2.model.config import nano
from florence2.processing.processor import Processor
from florence2.processing.tokenizer import Tokenizer
from florence2.tasks import Task
from toy_runtime import random_logits

FOLDER = Path(__file__).parents[2] / "src" / "florence2" / "checkpoints" / "nano"
GREEDY = GenerationOptions(num_beams=1, max_new_tokens=12, grammar=False)
BEAMS = GenerationOptions(num_beams=2, max_new_tokens=8, grammar="repair")
PATIENCE_S = 30.0
TASKS = (Task.OD, Task.CAPTION, Task.OCR, Task.REGION_PROPOSAL)
ERRORS = (ValueError, KeyError, MemoryError, AssertionError, KeyboardInterrupt, SystemExit)


@pytest.fixture(scope="module")
def processor() -> Processor:
    tokenizer = Tokenizer.load(FOLDER)
    return Processor(tokenizer, nano(tokenizer.vocab_size))


@pytest.fixture
def runtime() -> FaultyRuntime:
    config = nano(Tokenizer.load(FOLDER).vocab_size)
    return FaultyRuntime(config, random_logits(config.text.vocab_size, config.text.eos_id))


def questions(count: int) -> list[Request]:
    pictures = [np.full((20, 30, 3), 40 * at, np.uint8) for at in range(4)]
    return [
        Request(pictures[at % 3], TASKS[at % len(TASKS)], generation=GREEDY if at % 3 else BEAMS)
        for at in range(count)
    ]


def engine(runtime: FaultyRuntime, processor: Processor, **limits: int) -> Engine:
    return Engine(runtime, processor, "toy", limits=EngineLimits(**limits))


def ended(futures: Sequence["Future[Answer]"]) -> list[Answer | BaseException]:
    _, waiting = wait(futures, PATIENCE_S)
    assert not waiting, f"{len(waiting)} of {len(futures)} requests were never answered"
    return [future.exception() or future.result() for future in futures]


def is_idle(asked: Engine) -> bool:
    """Whether nothing is computed any more, after a moment."""
    until = time.monotonic() + PATIENCE_S
    while asked._is_computing and time.monotonic() < until:
        time.sleep(0.005)
    return not asked._is_computing


def token_ids(answers: Sequence[Any]) -> list[tuple[int, ...]]:
    return [answer.result.token_ids for answer in answers]


@pytest.mark.parametrize("seed", range(12))
def test_every_future_ends_when_any_call_may_raise(
    runtime: FaultyRuntime, processor: Processor, seed: int
) -> None:
    requests = questions(12)
    with engine(runtime, processor) as asked:
        expected = token_ids(asked.answer(requests))
        chance, rng = random.Random(seed), random.Random(seed + 1)
        share = chance.choice((0.02, 0.2, 1.0))

        def fault(call: str, _: Sequence[Any]) -> None:
            if chance.random() < share:
                raise rng.choice(ERRORS)(f"injected into {call}")

        asked.images.evict()
        runtime.fault = fault
        futures = [asked.submit(request) for request in requests]
        for outcome, right in zip(ended(futures), expected, strict=True):
            if isinstance(outcome, Answer):
                assert outcome.result.token_ids == right
            else:
                assert isinstance(outcome, EngineError) and "injected into" in str(outcome)
        assert is_idle(asked)
        del runtime.fault
        assert token_ids(asked.answer(requests)) == expected


@pytest.mark.parametrize("call", ["encode_images", "prefill"])
def test_failing_admission_leaves_those_alone_that_run(
    runtime: FaultyRuntime, processor: Processor, call: str
) -> None:
    """The running answer was never given, and a thread span at full load."""
    long = GenerationOptions(num_beams=1, max_new_tokens=60, min_new_tokens=60, grammar=False)
    calls: list[str] = []

    def fault(name: str, _: Sequence[Any]) -> None:
        calls.append(name)
        if name == call and calls.count("step") > 2:
            raise ValueError("injected")

    with engine(runtime, processor) as asked:
        runtime.fault = fault
        running = asked.submit(Request(np.zeros((9, 9, 3), np.uint8), "od", generation=long))
        while calls.count("step") < 3:
            time.sleep(0.001)
        late = asked.submit(Request(np.ones((9, 9, 3), np.uint8), "caption", generation=GREEDY))
        first, second = ended([running, late])
        assert isinstance(first, Answer) and len(first.result.token_ids) == 60
        assert isinstance(second, EngineError)
        assert calls.count("add") == 1, "the running answer was begun again"
        assert is_idle(asked)


@pytest.mark.parametrize("call", ["prefill", "add", "step", "reorder", "loglikelihood"])
def test_one_poisoned_request_is_found_among_its_neighbours(
    runtime: FaultyRuntime, processor: Processor, call: str
) -> None:
    requests = questions(12)
    poison = tuple(processor.prompt_ids(Task.OCR, "", None, (30, 20)))

    def fault(name: str, prompts: Sequence[Any]) -> None:
        if name == call and poison in map(tuple, prompts):
            raise ValueError("poisoned")

    with engine(runtime, processor, max_prefill=12) as asked:
        expected = token_ids(asked.answer(requests))
        runtime.fault = fault
        futures = [asked.submit(request) for request in requests]
        for request, outcome, right in zip(requests, ended(futures), expected, strict=True):
            if request.task is Task.OCR:
                assert isinstance(outcome, EngineError) and "poisoned" in str(outcome)
            else:
                assert isinstance(outcome, Answer) and outcome.result.token_ids == right


@pytest.mark.parametrize("call", ["encode_images", "prefill", "add", "step"])
@pytest.mark.parametrize("error", [MemoryError, RuntimeError])
def test_too_little_memory_makes_the_batch_smaller(
    runtime: FaultyRuntime,
    processor: Processor,
    caplog: pytest.LogCaptureFixture,
    call: str,
    error: type[Exception],
) -> None:
    requests, most = questions(12), 3
    sizes: list[int] = []

    def fault(name: str, together: Sequence[Any]) -> None:
        if name == call:
            sizes.append(len(together))
            if len(together) > most:
                raise error("not enough memory: you tried to allocate 1 bytes")

    with engine(runtime, processor, max_prefill=12) as asked:
        expected = token_ids(asked.answer(requests))
        runtime.fault = fault
        for _ in range(20):  # on a busy machine requests may come one by one, and all fit
            asked.images.evict()
            outcomes = ended([asked.submit(request) for request in requests])
            assert token_ids(outcomes) == expected
            if call == "encode_images" or max(sizes) > most:
                break
        if call != "encode_images":  # three different pictures fit
            assert "do not fit into memory" in caplog.text
            sizes.clear()
            assert token_ids(asked.answer(requests)) == expected
            assert max(sizes) <= most, "it learnt nothing"


def test_no_memory_for_one_is_told(runtime: FaultyRuntime, processor: Processor) -> None:
    def fault(name: str, _: Sequence[Any]) -> None:
        raise MemoryError

    with engine(runtime, processor) as asked:
        runtime.fault = fault
        assert all(
            isinstance(each, EngineError) for each in ended([*map(asked.submit, questions(5))])
        )


def test_a_callback_that_raises_ends_its_own_request_only(
    runtime: FaultyRuntime, processor: Processor
) -> None:
    def on_tokens(_: tuple[int, ...]) -> None:
        raise LookupError("of the caller")

    with engine(runtime, processor) as asked:
        futures = [
            asked.submit(each, on_tokens if at == 2 else None)
            for at, each in enumerate(questions(6))
        ]
        outcomes = ended(futures)
    assert [isinstance(each, Answer) for each in outcomes] == [at != 2 for at in range(6)]
    assert isinstance(outcomes[2], LookupError)


def test_run_many_answers_the_others_whatever_one_raised(
    runtime: FaultyRuntime, processor: Processor
) -> None:
    """A request out of memory, or with None for words, ended the whole run."""

    class Hostile:
        @property
        def __array_interface__(self) -> Any:
            raise MemoryError("too large")

    good = questions(3)
    bad = [
        Request(Hostile(), "od"),  # type: ignore[arg-type]
        Request(good[0].image, "caption_to_phrase_grounding", None),  # type: ignore[arg-type]
        Request(good[0].image, None),  # type: ignore[arg-type]
        Request(good[0].image, "od", region="left"),  # type: ignore[arg-type]
        Request(good[0].image, "od", prompt=7),  # type: ignore[arg-type]
        Request(good[0].image, "od", generation="greedy"),  # type: ignore[arg-type]
        None,
    ]
    mixed = [good[0], *bad, good[1], good[2]]
    with engine(runtime, processor) as asked:
        outcomes = list(asked.answer_many(mixed))  # type: ignore[arg-type]
    assert [isinstance(each, Answer) for each in outcomes] == [True, *[False] * 7, True, True]
    assert all(isinstance(each, Florence2Error) for each in outcomes[1:8])
    assert isinstance(outcomes[2], TaskError)


def test_verifying_presence_fails_for_its_own_request_only(
    runtime: FaultyRuntime, processor: Processor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its questions follow from an answer; an error between them was told to nobody."""
    picture = np.zeros((20, 30, 3), np.uint8)
    task = Task.OPEN_VOCABULARY_DETECTION
    verified = Request(picture, task, "a cat", min_presence=0.9, generation=GREEDY)

    def broken(*_: object) -> None:
        raise ZeroDivisionError("between rounds")

    with engine(runtime, processor) as asked:
        for broken_name in ("drop_absent", "phrases_to_verify", "evidence_rounds"):
            with monkeypatch.context() as patch:
                patch.setattr(f"florence2.engine.engine.{broken_name}", broken)
                futures = [asked.submit(verified), *map(asked.submit, questions(3))]
                outcome, *others = ended(futures)
            assert isinstance(outcome, EngineError) and "between rounds" in str(outcome)
            assert all(isinstance(each, Answer) for each in others)
        (outcome,) = ended([asked.submit(verified)])
        assert isinstance(outcome, Answer)


def test_a_closed_engine_says_so(runtime: FaultyRuntime, processor: Processor) -> None:
    asked = engine(runtime, processor)
    asked.answer(questions(1))
    asked.close()
    asked.close()
    with pytest.raises(EngineError, match="'toy' is closed"):
        asked.submit(questions(1)[0])
    assert [str(each) for each in asked.answer_many(questions(2))] == [
        "model 'toy' is closed; load it again to ask"
    ] * 2


def test_closing_within_a_callback_does_not_wait_for_itself(
    runtime: FaultyRuntime, processor: Processor
) -> None:
    asked = engine(runtime, processor)
    future = asked.submit(questions(1)[0], lambda _: asked.close())
    assert wait([future], PATIENCE_S).done and future.cancelled()
