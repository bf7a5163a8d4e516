"""What does a step within the grammar cost? Microseconds beside those of the decoder.

    python benchmarks/grammar.py [--model nano] [--rounds 15]

Answers about a picture of noise are replayed token by token, with the rules of the grammar and
without, on the CPU with one thread. Each step counts with its fastest round, so other work on the
machine moves the rules little, the decoder more. "Decoder" is one token with a warm cache; "ratio"
is decoder and rules with the grammar over the same without. Prints a table, and JSON as last line.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from florence2 import Florence2, Request, Task
from florence2.generation.options import GenerationOptions
from florence2.generation.rules import Masks, Rules
from florence2.grammars import Grammars

CLASSES = "cat<and>dog<and>a red car<and>traffic light"
QUESTIONS = {
    Task.OD: "",
    Task.MORE_DETAILED_CAPTION: "",
    Task.REGION_PROPOSAL: "",
    Task.OPEN_VOCABULARY_DETECTION: CLASSES,
}
ROWS = {"greedy": 1, "3 beams": 3}
MAX_TOKENS = 60

Steps = list[float]  # seconds of each


def replay(
    model: Florence2, task: Task, tokens: Sequence[int], rows: int, *, within: bool
) -> Steps:
    """Ask the rules of so many equal hypotheses at every step of an answer."""
    text = model.model.config.text
    special = model._special_ids()
    options = replace(model.generation, num_beams=rows)
    rules = Rules(options, special, len(tokens) + MAX_TOKENS)
    masks = Masks(text.vocab_size, torch.device("cpu"))
    grammars = Grammars(model.processor.tokenizer, text.vocab_size)
    grammar = grammars.grammar(task, QUESTIONS[task], only_asked=True) if within else None
    traces = [rules.trace(grammar) for _ in range(rows)]
    logits_RV = torch.randn(rows, text.vocab_size)
    if grammar is not None:
        grammar.choice(traces[0].state, MAX_TOKENS)  # what is built once, at the first answer
        masks.apply(logits_RV.clone(), [rules.ruling(each, 1) for each in traces], [grammar] * rows)
    steps = []
    for step in range(1, len(tokens)):
        scores_RV, so_far = logits_RV.clone(), list(tokens[: step + 1])
        started = time.perf_counter()
        rulings = [rules.ruling(trace, step) for trace in traces]
        masks.apply(scores_RV, rulings, [trace.grammar for trace in traces])
        for trace in traces:
            rules.note(trace, so_far)
        steps.append(time.perf_counter() - started)
    return steps


def decode(model: Florence2, tokens: Sequence[int], rows: int) -> Steps:
    """Feed an answer to the decoder, token by token."""
    network = model.model
    seen = model.encode_image(np.zeros((64, 64, 3), np.uint8))
    memory = network.encode(
        seen.image_tokens, torch.tensor([model.processor.tokenizer.encode("a")])
    )
    cache = network.new_cache()
    steps = []
    for token in tokens:
        started = time.perf_counter()
        network.decode(torch.full((rows, 1), token), memory, None, cache)
        steps.append(time.perf_counter() - started)
    return steps[1:]  # the first one computes the keys of the memory


def fastest(rounds: int, measure: Callable[[], Steps]) -> float:
    """Microseconds of a step, each step at its fastest."""
    return float(np.min([measure() for _ in range(rounds)], axis=0).mean() * 1e6)


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="nano")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = Florence2.load(arguments.model, device="cpu")
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    options = GenerationOptions(num_beams=1, max_new_tokens=MAX_TOKENS, grammar=True)
    told = {}
    for task, words in QUESTIONS.items():
        answer = model.answer([Request(noise, task, words)], options)[0].result
        tokens = answer.token_ids[:-1]
        for name, rows in ROWS.items():
            ask = partial(replay, model, task, tokens, rows)
            numbers = {
                "decoder": fastest(arguments.rounds, partial(decode, model, tokens, rows)),
                "without": fastest(arguments.rounds, partial(ask, within=False)),
                "within": fastest(arguments.rounds, partial(ask, within=True)),
            }
            base = numbers["decoder"] + numbers["without"]
            numbers["ratio"] = (numbers["decoder"] + numbers["within"]) / base
            told[f"{task.token} {name}"] = {key: round(each, 3) for key, each in numbers.items()}
            print(f"{task.token} {name}: {len(tokens)} tokens,", told[f"{task.token} {name}"])
    print(json.dumps({"model": arguments.model, "microseconds": told}))


if __name__ == "__main__":
    main()
