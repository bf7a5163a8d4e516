"""What an engine answers on the toy runtime; run as a script, in a process that has no torch.

Each function is a law, called by `test_without_torch.py` too.
"""

import sys
from concurrent.futures import CancelledError
from itertools import pairwise
from pathlib import Path
from threading import Event

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from florence2.engine import Engine, EngineLimits, ImageRequest, Request
from florence2.generation.options import GenerationOptions
from florence2.model.config import nano
from florence2.pipelines.presence import presence
from florence2.pipelines.regions import run_regions
from florence2.pipelines.tiling.grid import Tiles
from florence2.pipelines.tiling.run import run_tiled
from florence2.processing.processor import Processor
from florence2.processing.tokenizer import Tokenizer
from florence2.results import Boxes, Mixed, Text
from florence2.tasks import Task
from toy_runtime import ToyRuntime, random_logits

FOLDER = Path(__file__).parents[2] / "src" / "florence2" / "checkpoints" / "nano"
GREEDY = GenerationOptions(num_beams=1, max_new_tokens=24, no_repeat_ngram_size=0, grammar=False)
BEAMS = GenerationOptions(num_beams=3, max_new_tokens=12, grammar=False)
STRICT = GenerationOptions(num_beams=2, max_new_tokens=24, min_new_tokens=12, grammar=True)
PATIENCE_S = 20.0
REGION = (4.0, 4.0, 60.0, 40.0)


def picture(seed: int = 0, size: tuple[int, int] = (72, 48)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), np.uint8)


def engine(limits: EngineLimits | None = None) -> Engine:
    tokenizer = Tokenizer.load(FOLDER)
    config = nano(tokenizer.vocab_size)
    runtime = ToyRuntime(config, random_logits(config.text.vocab_size, config.text.eos_id))
    return Engine(runtime, Processor(tokenizer, config), "toy", generation=GREEDY, limits=limits)


def asked(task: Task, options: GenerationOptions, image: object = None) -> Request:
    words = "a cat<and>a red car" if task.needs_text else ""
    region = REGION if task.needs_region else None
    image = picture() if image is None else image
    return Request(image, task, words, region, generation=options)


def answers_do_not_depend_on_the_batch() -> None:
    """Greedy and with beams, of all tasks, side by side as alone."""
    requests = [asked(task, options) for task in Task for options in (GREEDY, BEAMS)]
    with engine(EngineLimits(max_running=5, max_prefill=3)) as several:
        together = several.answer(requests)
    with engine(EngineLimits(max_running=1, max_prefill=1)) as single:
        alone = single.answer(requests)
    assert len({answer.result.token_ids for answer in together}) > 20
    for one, other in zip(together, alone, strict=True):
        assert one.result.token_ids == other.result.token_ids
        assert one.result == other.result


def grammar_holds_and_broken_answers_are_repaired() -> None:
    repairing = GenerationOptions(num_beams=1, max_new_tokens=24, grammar="repair")
    with engine() as toy:
        for task in Task:
            (kept,) = toy.answer([asked(task, STRICT)])
            assert kept.result.malformed == 0, task
            (free,) = toy.answer([asked(task, GREEDY)])
            (repaired,) = toy.answer([asked(task, repairing)])
            assert repaired.result.malformed == 0, task
            assert repaired.is_repaired == (free.result.malformed > 0)


def objects_have_scores() -> None:
    with engine() as toy:
        result = toy.answer([asked(Task.OD, STRICT)])[0].result
        assert isinstance(result, Boxes) and result.labels
        assert all(0 < score <= 1 for score in result.scores or ())
        least = max(result.scores or [0.0])
        strict = Request(picture(), "od", min_score=least, generation=STRICT)
        kept = toy.answer([strict])[0].result
        assert isinstance(kept, Boxes) and 0 < len(kept.labels) < len(result.labels) + 1


def tiles_and_regions_are_merged() -> None:
    with engine() as toy:
        large = picture(size=(300, 200))
        found = run_tiled(toy, Request(large, Task.REGION_PROPOSAL, generation=STRICT), Tiles())
        assert isinstance(found, Boxes) and found.image_size == (300, 200)
        text = run_tiled(toy, Request(large, Task.OCR, generation=STRICT), Tiles())
        assert isinstance(text, Text)
        regions = [REGION, (0.0, 0.0, 20.0, 20.0)]
        told = run_regions(toy, Request(large, Task.REGION_TO_CATEGORY), regions)
        assert len(told) == 2


def presence_is_scored_and_absent_phrases_dropped() -> None:
    with engine() as toy:
        phrases = ["a cat", "a red car", "dog"]
        scores = presence(toy, picture(), phrases)
        assert len({*scores}) == 3 and all(0 <= score <= 1 for score in scores)
        assert scores == tuple(presence(toy, picture(), phrase)[0] for phrase in phrases)
        request = Request(
            picture(), Task.OPEN_VOCABULARY_DETECTION, "a cat<and>dog", min_presence=1.0,
            generation=STRICT,
        )  # fmt: skip
        result = toy.answer([request])[0].result
        assert isinstance(result, Mixed) and result.boxes.labels == ()
        found = {each.phrase: each.score for each in result.boxes.absent}
        assert found == {"a cat": scores[0], "dog": scores[2]}


def equal_pictures_are_encoded_once() -> None:
    with engine() as toy:
        seen = toy.submit(ImageRequest(picture())).result(PATIENCE_S)
        toy.answer([asked(task, GREEDY, image) for task in Task for image in (seen, picture())])
        assert toy.runtime.num_encoded == 1  # type: ignore[attr-defined]


def tokens_are_streamed() -> None:
    for options in (GREEDY, BEAMS, STRICT):
        with engine() as toy:
            seen: list[tuple[int, ...]] = []
            answer = toy.submit(asked(Task.OD, options), seen.append).result(PATIENCE_S)
            assert seen[-1] == answer.result.token_ids
            for before, after in pairwise(seen):
                assert len(before) < len(after) and after[: len(before)] == before
            if options is GREEDY:
                assert len(seen) == len(answer.result.token_ids) - 1  # `<s>` comes with the first


def a_repaired_answer_is_streamed_from_its_beginning() -> None:
    repairing = GenerationOptions(num_beams=1, max_new_tokens=24, grammar="repair")
    with engine() as toy:
        seen: list[tuple[int, ...]] = []
        answer = toy.submit(asked(Task.OD, repairing), seen.append).result(PATIENCE_S)
        assert answer.is_repaired and seen[-1] == answer.result.token_ids
        restarts = [len(after) < len(before) for before, after in pairwise(seen)]
        assert restarts.count(True) == 1


def an_error_of_a_listener_ends_its_request_alone() -> None:
    def complain(_: tuple[int, ...]) -> None:
        raise ValueError("no, thanks")

    with engine() as toy:
        bad, good = toy.submit(asked(Task.OD, GREEDY), complain), toy.submit(asked(Task.OD, GREEDY))
        assert isinstance(bad.exception(PATIENCE_S), ValueError)
        assert good.result(PATIENCE_S).result.token_ids


def a_cancelled_request_frees_its_place() -> None:
    """One waits in its own first token, holding the only place, until it is given up."""
    entered, go_on = Event(), Event()

    def hold(_: tuple[int, ...]) -> None:
        entered.set()
        assert go_on.wait(PATIENCE_S)

    with engine(EngineLimits(max_running=1, max_prefill=1)) as toy:
        holder = toy.submit(asked(Task.OD, GREEDY), hold)
        assert entered.wait(PATIENCE_S)
        other = toy.submit(asked(Task.CAPTION, GREEDY))
        assert holder.cancel() and not other.done()
        go_on.set()
        assert other.result(PATIENCE_S).result.token_ids
        try:
            holder.result()
        except CancelledError:
            return
        raise AssertionError("it was cancelled")


def a_failing_runtime_fails_those_whom_it_concerns() -> None:
    """Also those whose answers were half written in the batch that broke."""
    with engine() as toy:
        runtime = toy.runtime
        works = runtime.next_logits  # type: ignore[attr-defined]

        def breaks(memory: object, fed: list[int]) -> np.ndarray:
            if len(fed) > 6:
                raise MemoryError("no more")
            return np.asarray(works(memory, fed))

        runtime.next_logits = breaks  # type: ignore[attr-defined]
        long = GenerationOptions(num_beams=1, min_new_tokens=20, max_new_tokens=24, grammar=False)
        futures = [toy.submit(asked(Task.OD, long, picture(seed))) for seed in range(5)]
        for future in futures:
            assert "MemoryError: no more" in str(future.exception(PATIENCE_S))
        runtime.next_logits = works  # type: ignore[attr-defined]
        assert toy.answer([asked(Task.OD, GREEDY)])[0].result.token_ids


LAWS = [
    answers_do_not_depend_on_the_batch,
    grammar_holds_and_broken_answers_are_repaired,
    objects_have_scores,
    tiles_and_regions_are_merged,
    presence_is_scored_and_absent_phrases_dropped,
    equal_pictures_are_encoded_once,
    tokens_are_streamed,
    a_repaired_answer_is_streamed_from_its_beginning,
    an_error_of_a_listener_ends_its_request_alone,
    a_cancelled_request_frees_its_place,
    a_failing_runtime_fails_those_whom_it_concerns,
]

if __name__ == "__main__":
    assert "torch" not in sys.modules
    for law in LAWS:
        law()
    print(f"{len(LAWS)} laws hold, torch is {'torch' in sys.modules and sys.modules['torch']}")
