"""Is it there at all? Evidence for and against a phrase, from a model that may always answer.

    "Locate zebra in the image."    --> does it write the phrase, or end at once?  --> where?
    "What is the region <box>?"     --> would it say so, more than of a blank picture?

Published models were taught to answer every phrase with a box, often one over the whole picture.
So the box is not believed: its region is asked back, and what counts is whether this picture makes
the phrase likelier there. `docs/absence.md` tells how well that works.

The questions go to an engine in rounds: `evidence_rounds` yields requests and is sent answers.
"""

import re
from collections.abc import Generator, Iterator, Sequence
from itertools import takewhile
from math import exp, fsum
from typing import Any, NamedTuple

from florence2.engine.requests import (
    CompletionRequest,
    EncodedImage,
    ImageRequest,
    Loglikelihood,
    LoglikelihoodRequest,
)
from florence2.errors import TaskError
from florence2.generation.grammar import BOX, IN_BOX
from florence2.generation.options import GenerationOptions
from florence2.generation.runtime import ScoredToken
from florence2.processing.processor import Processor, split_text_input
from florence2.results import Absent, Boxes, Mixed, Result
from florence2.tasks import Task

MAX_BOS = 4  # `<s>` in front of an answer; the published large model writes three
NO_REGION = (1, 1)  # size of a picture that the prompt says nothing about
_ARTICLE = re.compile(r"(?:an?|the)\s+", re.IGNORECASE)  # categories are written without

Ids = list[int]
Round = Sequence[ImageRequest | CompletionRequest | LoglikelihoodRequest]
Rounds = Generator[Round, Sequence[Any], "list[PresenceEvidence]"]


class PresenceEvidence(NamedTuple):
    """Mean log-likelihood ratios per token, for and against a phrase.

    Attributes:
        text_log_odds: of writing the phrase to ending the answer at once.
        region_log_odds: of calling the region by the phrase in this picture to doing so in a
            blank one.
    """

    text_log_odds: float
    region_log_odds: float

    @property
    def score(self) -> float:
        """In [0, 1]; 0.5 where nothing speaks for or against the phrase.

        Ending at once speaks against it. Writing it does not speak for it: many models always do.
        """
        odds = (min(self.text_log_odds, 0.0) + self.region_log_odds) / 2
        return 1 / (1 + exp(-max(odds, -700.0)))  # exp overflows beyond


class PhraseQuery(NamedTuple):
    """A phrase that may be in a picture; the task says how to ask for it."""

    image: EncodedImage
    task: Task
    phrase: str


def evidence_rounds(queries: Sequence[PhraseQuery], processor: Processor) -> Rounds:
    """Ask for evidence for each query; yields rounds of requests, is sent their answers.

    Raises:
        TaskError: a phrase is empty, not one phrase, or longer than the encoder allows.
    """
    for query in queries:
        check_presence_task(query.task)
        if split_text_input(query.phrase) != [query.phrase]:
            raise TaskError(
                f"phrase {query.phrase!r} is not one phrase in plain words; give each of them"
                " on its own, without tokens such as <and>"
            )
    asking = _Asking(processor, queries)
    prefixes = yield from asking.prefixes()
    text, regions = yield from asking.text_log_odds(prefixes)
    region = yield from asking.region_log_odds(prefixes, regions)
    return [PresenceEvidence(*pair) for pair in zip(text, region, strict=True)]


class _Asking:
    """The rounds about some phrases, side by side."""

    def __init__(self, processor: Processor, queries: Sequence[PhraseQuery]) -> None:
        self._tokenizer, self._queries = processor.tokenizer, queries
        self._special = processor.special_ids
        self._boxes = processor.grammar(Task.REGION_PROPOSAL)
        self._prompts = [
            processor.prompt_ids(task, phrase, None, NO_REGION) for _, task, phrase in queries
        ]
        self._memories: list[Any] = [None] * len(queries)

    def prefixes(self) -> Generator[Round, Sequence[Any], list[Ids]]:
        """What stands before the first word: `<s>`, as often as the model wants."""
        bos = self._special.bos
        answers: Sequence[Loglikelihood] = yield [
            self._scored(at, [bos] * MAX_BOS) for at in range(len(self._queries))
        ]
        self._memories = [answer.memory for answer in answers]
        wanted = (
            takewhile(lambda each: each.likeliest == bos, answer.tokens[1:]) for answer in answers
        )
        return [[bos] * (1 + len(list(more))) for more in wanted]

    def text_log_odds(
        self, prefixes: Sequence[Ids]
    ) -> Generator[Round, Sequence[Any], tuple[list[float], list[Ids]]]:
        """How much rather the phrase is written than the end, and the bins of the likeliest box."""
        rows = range(len(self._queries))
        answers = [prefixes[at] + self._words(self._queries[at].phrase) for at in rows]
        ends = [[*prefix, self._special.eos] for prefix in prefixes]
        replies = yield [
            *(self._scored(at, answers[at]) for at in rows),
            *(self._scored(at, ends[at]) for at in rows),
            *(self._box(at, answers[at]) for at in rows),
        ]
        count = len(rows)
        written = _means(replies[:count], prefixes)
        ended = [reply.tokens[-1].logprob for reply in replies[count : 2 * count]]
        first = self._special.locations.start
        regions = [
            [token - first for token in reply.generated.token_ids[len(answer) :][:BOX]]
            for reply, answer in zip(replies[2 * count :], answers, strict=True)
        ]
        return [word - end for word, end in zip(written, ended, strict=True)], regions

    def region_log_odds(
        self, prefixes: Sequence[Ids], regions: Sequence[Ids]
    ) -> Generator[Round, Sequence[Any], list[float]]:
        """How much rather the regions are called by the phrases than in a blank picture."""
        (blank,) = yield [ImageRequest(None)]
        names = [
            prefix + self._words(_ARTICLE.sub("", query.phrase, count=1))
            for prefix, query in zip(prefixes, self._queries, strict=True)
        ]
        prompts = [
            self._tokenizer.encode(Task.REGION_TO_CATEGORY.prompt(region_bins=region))
            for region in regions
        ]
        images = [query.image for query in self._queries]
        asked = list(zip(prompts, names, strict=True))
        replies = yield [
            LoglikelihoodRequest(image, *pair)
            for row in (images, [blank] * len(images))
            for image, pair in zip(row, asked, strict=True)
        ]
        here, nowhere = (
            _means(part, prefixes) for part in (replies[: len(names)], replies[len(names) :])
        )
        return [seen - prior for seen, prior in zip(here, nowhere, strict=True)]

    def _words(self, phrase: str) -> Ids:
        return self._tokenizer.encode(phrase)[1:-1]

    def _scored(self, at: int, answer: Ids) -> LoglikelihoodRequest:
        image, prompt = self._queries[at].image, self._prompts[at]
        return LoglikelihoodRequest(image, prompt, answer, self._memories[at])

    def _box(self, at: int, prefix: Ids) -> CompletionRequest:
        """The likeliest box behind an answer, coordinate by coordinate."""
        image, prompt = self._queries[at].image, self._prompts[at]
        options = GenerationOptions(
            num_beams=1, max_new_tokens=len(prefix) + BOX + 1, no_repeat_ngram_size=0
        )
        memory = self._memories[at]
        return CompletionRequest(image, prompt, options, prefix, self._boxes, IN_BOX, memory)


def _means(replies: Sequence[Loglikelihood], prefixes: Sequence[Ids]) -> list[float]:
    """The mean log-probability of the words of each answer."""
    words: Iterator[Sequence[ScoredToken]] = (
        reply.tokens[len(prefix) :] for reply, prefix in zip(replies, prefixes, strict=True)
    )
    return [fsum(each.logprob for each in tokens) / len(tokens) for tokens in words]


def check_presence_task(task: Task) -> None:
    """Refuse a task that asks for no phrases."""
    if not task.asks_phrases:
        allowed = " or ".join(each.token for each in Task if each.asks_phrases)
        raise TaskError(
            f"task {task.token!r} asks for no phrases that could be absent; ask {allowed}, or"
            " leave the threshold of presence out"
        )


def phrases_to_verify(result: Result, text_input: str) -> list[str]:
    """The phrases that an answer is to be checked for.

    In open-vocabulary detection the classes that were asked for. In phrase grounding only the
    model tells what the phrases of a caption are, so those that it found, and captions of which
    it found none.
    """
    asked = list(dict.fromkeys(split_text_input(text_input)))
    if not isinstance(result, Boxes):
        return asked
    found = list(dict.fromkeys(label for label in result.labels if label))
    return found + [text for text in asked if not any(label in text for label in found)]


def drop_absent(
    result: Result,
    queries: Sequence[PhraseQuery],
    evidence: Sequence[PresenceEvidence],
    least: float,
) -> Result:
    """Take out of a result the phrases whose presence has a lower score than the least."""
    scores = zip(queries, evidence, strict=True)
    found = [Absent(query.phrase, each.score) for query, each in scores]
    absent = [each for each in found if each.score < least]
    return result.drop_absent(absent) if isinstance(result, Boxes | Mixed) else result
