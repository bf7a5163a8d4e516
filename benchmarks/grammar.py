"""What does the grammar cost? Whole answers within it beside the same answers without.

    python benchmarks/grammar.py [--model nano] [--rounds 9]

Pictures of `examples/` that hold several things, on the CPU with one thread. A picture is encoded
before; what counts is the rest of an answer: reading the prompt and writing tokens, in CPU time of
the thread, so that other work on the machine counts little. Answers within the grammar and without
take turns; of each kind of question the medians of all pictures are added up. Only pictures count
whose answer is the same token for token, as that of a well-formed answer is unless it names what
was not asked. Prints a table, and JSON as the last line.
"""

import argparse
import json
import statistics
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from florence2 import Florence2, Task
from florence2.generation.batch import generate
from florence2.generation.options import Generated
from florence2.generation.runtime import ImageTokens

PICTURES = [Path(__file__).parents[1] / "examples" / f"scene-{number}.png" for number in (2, 5, 6)]
CLASSES = "guitar<and>strawberry<and>helicopter"
QUESTIONS = {
    Task.OD: "",
    Task.MORE_DETAILED_CAPTION: "",
    Task.REGION_PROPOSAL: "",
    Task.OPEN_VOCABULARY_DETECTION: CLASSES,
    Task.REFERRING_EXPRESSION_SEGMENTATION: "the guitar",
}
BEAMS = {"greedy": 1, "3 beams": 3}
MAX_TOKENS = 150


class Asked:
    """One question about some pictures, to be answered within the grammar or without."""

    def __init__(self, model: Florence2, task: Task, beams: int) -> None:
        words = QUESTIONS[task]
        processor = model.processor
        options = replace(model.generation, num_beams=beams, max_new_tokens=MAX_TOKENS)
        self._generate = partial(
            generate,
            model.runtime,
            prompts=[processor.tokenizer.encode(task.prompt(words))],
            options=options,
            special=processor.special_ids,
        )
        self._grammar = partial(processor.grammar, task, words, only_asked=True)

    def answer(self, image_tokens: ImageTokens, within: bool) -> tuple[Generated, float]:
        """An answer, and its milliseconds of this thread."""
        started = time.thread_time()
        (written,) = self._generate(
            images=[image_tokens], grammars=[self._grammar() if within else None]
        )
        return written, (time.thread_time() - started) * 1e3


def measure(asked: Asked, pictures: list[ImageTokens], rounds: int) -> dict[str, float]:
    """Milliseconds of all answers without and within, over the pictures where they are equal."""
    numbers = {"pictures": 0.0, "tokens": 0.0, "without": 0.0, "within": 0.0}
    for picture in pictures:
        answers = [asked.answer(picture, within)[0].token_ids for within in (False, True)]
        if answers[0] != answers[1]:
            continue
        spent: dict[bool, list[float]] = {False: [], True: []}
        for turn in range(2 * rounds):
            within = turn % 4 in (1, 2)  # who goes first takes turns too
            spent[within].append(asked.answer(picture, within)[1])
        numbers["pictures"] += 1
        numbers["tokens"] += len(answers[0])
        numbers["without"] += statistics.median(spent[False])
        numbers["within"] += statistics.median(spent[True])
    if numbers["pictures"]:
        numbers["ratio"] = numbers["within"] / numbers["without"]
    return numbers


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="nano")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = Florence2.load(arguments.model, device="cpu", calibration=None)
    pictures = [model.encode_image(path).image_tokens for path in PICTURES]
    told = {}
    for task in QUESTIONS:
        for name, beams in BEAMS.items():
            numbers = measure(Asked(model, task, beams), pictures, arguments.rounds)
            key = f"{task.token} {name}"
            told[key] = {what: round(number, 3) for what, number in numbers.items()}
            print(key, *(f"{what} {number:g}" for what, number in told[key].items()), flush=True)
    without, within = (sum(each[what] for each in told.values()) for what in ("without", "within"))
    print(f"all: without {without:.0f} within {within:.0f} ratio {within / without:.3f}")
    print(json.dumps({"model": arguments.model, "milliseconds": told}))


if __name__ == "__main__":
    main()
