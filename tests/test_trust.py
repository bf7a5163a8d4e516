"""What is promised of every answer, kept by random weights, which write every kind of nonsense.

Through the whole of `Florence2`, so that tokenizer, search, grammar and reader have to agree.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from math import exp
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from florence2 import Boxes, Florence2, GenerationOptions, Mixed, Polygons, Quads, Request, Task
from florence2.generation.logit_rules import in_loop
from florence2.model.cache import PromptCache
from florence2.results import Result

WITHIN = GenerationOptions(num_beams=1, max_new_tokens=40, grammar=True)
BEAMS = replace(WITHIN, num_beams=3)
DRAWN = replace(WITHIN, temperature=2.0)
SEARCHES = pytest.mark.parametrize(
    "options", [WITHIN, BEAMS, DRAWN], ids=["greedy", "beams", "drawn"]
)
WORDS = "a red car<and>dog"
REGION = (5, 5, 40, 30)


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> Florence2:
    return Florence2.load(str(tiny_folder), device="cpu")


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    rng = np.random.default_rng(2)
    return [Image.fromarray(rng.integers(0, 256, (40, 60, 3), np.uint8)) for _ in range(4)]


def asked(image: Image.Image, task: Task) -> Request:
    words = WORDS if task.needs_text else ""
    return Request(image, task, words, REGION if task.needs_region else None)


def answers(
    model: Florence2, pictures: list[Image.Image], task: Task, options: GenerationOptions
) -> list[Result]:
    return [
        each.result
        for each in model.engine.answer(
            replace(asked(image, task), generation=options) for image in pictures
        )
    ]


@SEARCHES
@pytest.mark.parametrize("task", list(Task), ids=lambda task: task.name)
def test_nothing_is_malformed(
    model: Florence2, pictures: list[Image.Image], task: Task, options: GenerationOptions
) -> None:
    for result in answers(model, pictures, task, options):
        assert result.malformed == 0, result.answer
        parts = (result.boxes, result.polygons) if isinstance(result, Mixed) else (result,)
        for part in parts:
            if isinstance(part, Boxes):
                assert (part.xyxy[:, :2] < part.xyxy[:, 2:]).all()
            if isinstance(part, Polygons):
                assert all(len(each) >= 3 for instance in part.polygons for each in instance)
            if isinstance(part, Boxes | Quads) and task is not Task.REGION_PROPOSAL:
                assert all(label.strip() for label in part.labels)


def test_without_the_grammar_they_break_their_answers(
    model: Florence2, pictures: list[Image.Image]
) -> None:
    free = replace(WITHIN, grammar=False)
    broken = [result.malformed for task in Task for result in answers(model, pictures, task, free)]
    assert sum(broken) > 0


@SEARCHES
@pytest.mark.parametrize(
    ("task", "allowed"),
    [
        (Task.OPEN_VOCABULARY_DETECTION, {"a red car", "dog"}),
        (
            Task.CAPTION_TO_PHRASE_GROUNDING,
            {"a", "a red", "a red car", "red", "red car", "car", "dog"},
        ),
    ],
    ids=["classes", "phrases"],
)
def test_only_what_was_asked_is_named(
    model: Florence2,
    pictures: list[Image.Image],
    task: Task,
    allowed: set[str],
    options: GenerationOptions,
) -> None:
    named: set[str] = set()
    longer = replace(options, min_new_tokens=12)
    for result in answers(model, pictures, task, longer):
        parts = (result.boxes, result.polygons) if isinstance(result, Mixed) else (result,)
        named |= {label for part in parts for label in part.labels}
    assert named and named <= allowed


@torch.inference_mode()
def told_again(model: Florence2, image: Image.Image, task: Task, result: Result) -> list[float]:
    """The probability of each token of an answer, by feeding all of it to the decoder."""
    network, processor = model.runtime.model, model.processor
    ids = processor.prompt_ids(task, asked(image, task).text_input, None, image.size)
    tokens_1ID = model.encode_image(image).image_tokens.tokens_1ID
    memory = network.encode(tokens_1ID, torch.tensor([ids]))
    fed = [network.config.text.decoder_start_id, *result.token_ids[:-1]]
    logits = network.decode_with(torch.tensor([fed]), PromptCache(memory))
    logprobs = logits[0].log_softmax(-1)
    return [float(row[token]) for row, token in zip(logprobs, result.token_ids, strict=True)]


def objects(
    model: Florence2, result: Result, logprobs: list[float]
) -> Iterator[tuple[float, float]]:
    """How sure the model was of the place and the name of each box, read off the tokens."""
    tokenizer = model.processor.tokenizer
    locations = range(tokenizer.loc_begin, tokenizer.loc_begin + 1000)
    written = [
        (token in locations, logprob)
        for token, logprob in zip(result.token_ids, logprobs, strict=True)
        if token not in (tokenizer.bos_id, tokenizer.eos_id)
    ]
    label = 0.0
    for is_place, run in groupby(written, key=lambda each: each[0]):
        values = [logprob for _, logprob in run]
        if not is_place:
            label = exp(np.mean(values))
        else:
            for start in range(0, len(values), 4):
                yield exp(np.mean(values[start : start + 4])), label


@SEARCHES
def test_scores_are_those_of_the_tokens_of_each_object(
    model: Florence2, pictures: list[Image.Image], options: GenerationOptions
) -> None:
    count = 0
    for image in pictures:
        result = model.run(image, Task.OD, generation=options)
        assert isinstance(result, Boxes) and result.location_scores and result.label_scores
        expected = list(objects(model, result, told_again(model, image, Task.OD, result)))
        found = list(zip(result.location_scores, result.label_scores, strict=True))
        assert np.array(found) == pytest.approx(np.array(expected), rel=1e-3)
        count += len(found)
    assert count > len(pictures)


def test_loops_end_at_once_and_nothing_else_does(
    model: Florence2, pictures: list[Image.Image]
) -> None:
    tokenizer = model.processor.tokenizer
    locations = range(tokenizer.loc_begin, tokenizer.loc_begin + 1000)
    free = GenerationOptions(num_beams=1, max_new_tokens=60, grammar=False, no_repeat_ngram_size=0)
    looping = 0
    for task in (Task.OD, Task.REGION_PROPOSAL, Task.OCR_WITH_REGION, Task.CAPTION):
        ended = answers(model, pictures, task, replace(free, end_loops=True))
        for one in ended:
            before = [
                in_loop(one.token_ids[:length], locations)
                for length in range(1, len(one.token_ids))
            ]
            assert not any(before[:-1])
            assert before[-1] == (one.finish_reason == "loop")
            looping += before[-1]
    assert looping
