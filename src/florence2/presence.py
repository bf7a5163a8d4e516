"""Is it there at all? Evidence for and against a phrase, from a model that may always answer.

    "Locate zebra in the image."    --> does it write the phrase, or end at once?  --> where?
    "What is the region <box>?"     --> would it say so, more than of a blank picture?

Published models were taught to answer every phrase with a box, often one over the whole picture.
So the box is not believed: its region is asked back, and what counts is whether this picture makes
the phrase likelier there. `docs/absence.md` tells how well that works.

Shapes: `P` phrases, `I` image tokens, `D` width, `T` tokens of an answer, `V` vocabulary.
"""

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from math import exp, fsum
from typing import NamedTuple

import torch
from torch import Tensor

from florence2.errors import TaskError
from florence2.generation.decoding import Runtime
from florence2.generation.grammar import BOX, State
from florence2.grammars import Grammars, stretches
from florence2.processor import Processor
from florence2.results import Boxes, Result
from florence2.tasks import Task

BATCH = 16  # phrases side by side
MOST_BOS = 4  # `<s>` in front of an answer; the published large model writes three
ROOM = 100  # tokens; enough for a box
NO_REGION = (1, 1)  # size of a picture that the prompt says nothing about
TASKS = (Task.OPEN_VOCABULARY_DETECTION, Task.CAPTION_TO_PHRASE_GROUNDING)
_ARTICLE = re.compile(r"(?:an?|the)\s+", re.IGNORECASE)  # categories are written without

Ids = list[int]
LogProbs = Callable[[Sequence[Ids]], list[Tensor]]  # of each answer, (T, V): what follows a token


class Evidence(NamedTuple):
    """What speaks for a phrase: logarithms of ratios of probabilities, means over its tokens.

    Attributes:
        written: of writing the phrase to ending the answer at once.
        seen: of calling the region by the phrase in this picture to doing so in a blank one.
    """

    written: float
    seen: float

    @property
    def score(self) -> float:
        """In [0, 1]; 0.5 where nothing speaks for or against the phrase.

        Ending at once speaks against it. Writing it does not speak for it: many models always do.
        """
        odds = (min(self.written, 0.0) + self.seen) / 2
        return 1 / (1 + exp(-max(odds, -700.0)))  # exp overflows beyond


class Claim(NamedTuple):
    """That a phrase is in a picture, of tokens `(1, I, D)`; the task says how to ask for it."""

    image_tokens_1ID: Tensor
    task: Task
    phrase: str


class Witness:
    """Tells what a model knows about claims."""

    def __init__(self, model: Runtime, processor: Processor, grammars: Grammars) -> None:
        self._model = model
        self._processor = processor
        self._boxes = grammars.grammar(Task.REGION_PROPOSAL)

    @torch.inference_mode()
    def evidence(self, claims: Sequence[Claim]) -> list[Evidence]:
        """Evidence for each claim.

        Raises:
            TaskError: a phrase is empty, not one phrase, or longer than the encoder allows.
        """
        for claim in claims:
            check_task(claim.task)
            if stretches(claim.phrase) != [claim.phrase]:
                raise TaskError(
                    f"phrase {claim.phrase!r} is not one phrase in plain words; give each of them"
                    " on its own, without tokens such as <and>"
                )
        batches = (claims[start : start + BATCH] for start in range(0, len(claims), BATCH))
        return [evidence for batch in batches for evidence in self._batch(batch)]

    @cached_property
    def _blank_tokens_1ID(self) -> Tensor:
        """Image tokens of a picture of the mean colour: one that shows nothing."""
        side = self._processor.image_side
        return self._model.encode_image(
            torch.zeros(1, 3, side, side, device=self._model.device, dtype=self._model.dtype)
        )

    def _batch(self, claims: Sequence[Claim]) -> list[Evidence]:
        processor = self._processor
        image_tokens_PID = torch.cat([claim.image_tokens_1ID for claim in claims])
        phrases = [claim.phrase for claim in claims]
        asked = [processor.prompt_ids(task, each, None, NO_REGION) for _, task, each in claims]
        logprobs = self._ask(image_tokens_PID, asked)
        openings = self._openings(logprobs, len(phrases))
        answers = [
            opening + self._words(phrase) for opening, phrase in zip(openings, phrases, strict=True)
        ]
        told = logprobs(answers)
        ends = [
            float(each_TV[len(opening) - 1, self._model.config.text.eos_id])
            for each_TV, opening in zip(told, openings, strict=True)
        ]
        regions = self._regions(logprobs, answers, told)
        names = [
            opening + self._words(_ARTICLE.sub("", phrase, count=1))
            for opening, phrase in zip(openings, phrases, strict=True)
        ]
        prompts = [
            processor.tokenizer.encode(Task.REGION_TO_CATEGORY.prompt(region_bins=region))
            for region in regions
        ]
        blank_PID = self._blank_tokens_1ID.to(image_tokens_PID).expand_as(image_tokens_PID)
        seen, habit = (
            _means(self._ask(tokens_PID, prompts)(names), names, openings)
            for tokens_PID in (image_tokens_PID, blank_PID)
        )
        rows = zip(_means(told, answers, openings), ends, seen, habit, strict=True)
        return [Evidence(word - end, here - nowhere) for word, end, here, nowhere in rows]

    def _words(self, phrase: str) -> Ids:
        return self._processor.tokenizer.encode(phrase)[1:-1]

    def _ask(self, image_tokens_PID: Tensor, prompts: Sequence[Ids]) -> LogProbs:
        """Put a question to each picture; what comes back judges given answers."""
        ids, mask = (
            each.to(image_tokens_PID.device) for each in self._processor.pad_prompts(prompts)
        )
        memory = self._model.encode(image_tokens_PID, ids, mask)
        memory_mask = self._model.memory_mask(image_tokens_PID, mask)

        def logprobs(answers: Sequence[Ids]) -> list[Tensor]:
            # Padding on the right changes nothing before it: the decoder looks back only.
            padded, _ = self._processor.pad_prompts(answers)
            logits_PTV = self._model.decode(padded.to(memory.device), memory, memory_mask)
            rows = zip(logits_PTV.float().log_softmax(-1).cpu(), answers, strict=True)
            return [row_TV[: len(answer)] for row_TV, answer in rows]

        return logprobs

    def _openings(self, logprobs: LogProbs, count: int) -> list[Ids]:
        """What stands before the first word: the start, and `<s>` as often as the model wants."""
        text = self._model.config.text
        openings = [[text.decoder_start_id, text.bos_id]] * count
        for _ in range(MOST_BOS - 1):
            wants = [int(each_TV[-1].argmax()) == text.bos_id for each_TV in logprobs(openings)]
            if not any(wants):
                break
            openings = [
                opening + [text.bos_id] * more
                for opening, more in zip(openings, wants, strict=True)
            ]
        return openings

    def _regions(
        self, logprobs: LogProbs, answers: Sequence[Ids], told: list[Tensor]
    ) -> list[list[int]]:
        """The bins of the likeliest box behind each answer, coordinate by coordinate."""
        first = self._boxes.vocabulary.locations.start
        written: list[Ids] = [[] for _ in answers]
        states = [State()] * len(answers)
        while len(written[0]) < BOX:
            if written[0]:
                told = logprobs(
                    [[*pair[0], *pair[1]] for pair in zip(answers, written, strict=True)]
                )
            for row, told_TV in enumerate(told):
                low, high = self._boxes.choice(states[row], ROOM).bins or (0, 0)
                best = first + low + int(told_TV[-1, first + low : first + high].argmax())
                states[row] = self._boxes.advance(states[row], best)
                written[row].append(best)
        return [[token - first for token in tokens] for tokens in written]


def _means(told: Sequence[Tensor], answers: Sequence[Ids], openings: Sequence[Ids]) -> list[float]:
    """The mean log-probability of the words of each answer."""
    means = []
    for told_TV, answer, opening in zip(told, answers, openings, strict=True):
        places = range(len(opening), len(answer))
        means.append(fsum(float(told_TV[at - 1, answer[at]]) for at in places) / len(places))
    return means


def check_task(task: Task) -> None:
    """Refuse a task that asks for no phrases."""
    if task not in TASKS:
        allowed = " or ".join(each.token for each in TASKS)
        raise TaskError(
            f"task {task.token!r} asks for no phrases that could be absent; ask {allowed}, or"
            " leave the threshold of presence out"
        )


def doubtful_phrases(result: Result, text_input: str) -> list[str]:
    """The phrases that an answer is to be checked for.

    In open-vocabulary detection the classes that were asked for. In phrase grounding only the
    model tells what the phrases of a caption are, so those that it found, and captions of which
    it found none.
    """
    asked = list(dict.fromkeys(stretches(text_input)))
    if not isinstance(result, Boxes):
        return asked
    found = list(dict.fromkeys(label for label in result.labels if label))
    return found + [text for text in asked if not any(label in text for label in found)]
