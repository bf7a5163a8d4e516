"""Grammars made for a real tokenizer, on random weights and for all tasks."""

from functools import cache

import pytest
import torch

from florence2.generation.batch import generate
from florence2.generation.grammar import State
from florence2.generation.options import GenerationOptions
from florence2.model.config import with_vocab_size
from florence2.model.florence2 import Florence2Model
from florence2.processing.processor import Processor
from florence2.processing.tokenizer import Tokenizer
from florence2.runtimes.pytorch.eager import eager_runtime
from florence2.runtimes.pytorch.runtime import TorchImageTokens
from florence2.tasks import Task
from tiny_models import CONFIG, tiny_model

OPTIONS = [
    pytest.param(GenerationOptions(num_beams=1, max_new_tokens=50), id="greedy"),
    pytest.param(GenerationOptions(num_beams=3, max_new_tokens=30), id="beams"),
    pytest.param(
        GenerationOptions(
            num_beams=1, temperature=1.5, max_new_tokens=60, no_repeat_ngram_size=0, end_loops=True
        ),
        id="drawn",
    ),
]


@cache
def model() -> tuple[Florence2Model, Tokenizer]:
    tokenizer = Tokenizer.train([task.template for task in Task] * 3, vocab_size=300)
    # Some rows more than the vocabulary has, as in published models.
    return tiny_model(with_vocab_size(CONFIG, tokenizer.vocab_size + 7)), tokenizer


@pytest.mark.parametrize("options", OPTIONS)
def test_no_answer_of_random_weights_is_malformed(options: GenerationOptions) -> None:
    """All 15 tasks in one batch, each within its own grammar."""
    network, tokenizer = model()
    processor = Processor(tokenizer, network.config)
    runtime, special = eager_runtime(network), processor.special_ids
    generator = torch.Generator().manual_seed(1)
    prompts = torch.randint(3, 250, (len(Task), 6), generator=generator).tolist()
    broken = 0
    for seed in range(2):
        images = torch.randn(len(Task), 5, CONFIG.text.d_model, generator=generator)
        tokens = list(map(TorchImageTokens, images.split(1)))
        free = generate(runtime, tokens, prompts, options, special)
        asked = ["cat<and>日本" if task.needs_text else "" for task in Task]
        rules = [
            processor.grammar(task, text, only_asked=seed == 1)
            for task, text in zip(Task, asked, strict=True)
        ]
        kept = generate(runtime, tokens, prompts, options, special, rules)
        for task, before, after in zip(Task, free, kept, strict=True):
            broken += processor.result(before, task, (640, 480)).malformed > 0
            assert processor.result(after, task, (640, 480)).malformed == 0, task
            assert len(after.token_ids) <= options.max_new_tokens
    assert broken > 10


@pytest.mark.parametrize(
    ("task", "text", "wanted", "refused"),
    [
        (
            Task.OPEN_VOCABULARY_DETECTION,
            "red car<and>日本",
            ["red car", "日本"],
            ["red", "car", "dog"],
        ),
        (
            Task.CAPTION_TO_PHRASE_GROUNDING,
            "a red car, parked",
            ["a", "red car", "car, parked"],
            ["re", "a car"],
        ),
        (Task.CAPTION_TO_PHRASE_GROUNDING, "a<loc_1>dog", ["a", "dog"], ["adog", "loc_1"]),
    ],
)
def test_what_is_asked_may_be_named(
    task: Task, text: str, wanted: list[str], refused: list[str]
) -> None:
    network, tokenizer = model()
    grammar = Processor(tokenizer, network.config).grammar(task, text, only_asked=True)
    for label in (*wanted, *refused):
        state, allowed = State(), True
        for token in [*tokenizer.encode(label)[1:-1], tokenizer.loc_begin]:
            allowed = allowed and grammar.allows(grammar.allowed(state, 99), token)
            state = grammar.advance(state, token)
        assert allowed == (label in wanted), label
