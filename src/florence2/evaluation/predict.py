"""Predictions for records: by a model through its engine, or by anything else that answers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from florence2.data.records import Record
from florence2.engine import Answer, Engine, Request
from florence2.errors import Florence2Error
from florence2.generation.options import GenerationOptions
from florence2.results import Result
from florence2.tasks import AnswerKind

BATCH = 32  # requests on their way at once
GREEDY = GenerationOptions(num_beams=1, max_new_tokens=512, no_repeat_ngram_size=0)
# One babbler holds up others; no true answer of the worlds needs more tokens than this.
MAX_ANSWER_TOKENS: Mapping[AnswerKind, int] = {
    AnswerKind.TEXT: 200,
    AnswerKind.CLASS_BOXES: 150,
    AnswerKind.PHRASE_BOXES: 250,
    AnswerKind.BOXES: 100,
    AnswerKind.QUADS: 250,
    AnswerKind.POLYGONS: 450,
    AnswerKind.BOXES_OR_POLYGONS: 150,
}

Prediction = tuple[Result, Record]


class Answerer(Protocol):
    """Whatever can answer records: a model, or another reader of text."""

    def answer(self, records: Sequence[Record]) -> list[Result]:
        """Answer records in their order."""


class Predictor:
    """A model that answers records through its engine, as `florence2 run` answers questions.

    Args:
        options: how answers are searched for.
        max_answer_tokens: for each kind of answer; None where only the options and the model limit
            it.
    """

    def __init__(
        self,
        engine: Engine,
        options: GenerationOptions = GREEDY,
        max_answer_tokens: Mapping[AnswerKind, int] | None = MAX_ANSWER_TOKENS,
    ) -> None:
        self.engine = engine
        self._options, self._max_answer_tokens = options, max_answer_tokens

    def answer(self, records: Sequence[Record]) -> list[Result]:
        """Answer records in their order; the first that cannot be answered raises."""
        return [answer.result for answer in self.predict(records)]

    def predict(self, records: Sequence[Record]) -> list[Answer]:
        """Answers with what came with them; the first that cannot be answered raises."""
        answers = []
        for answer in self.try_predict(records):
            if isinstance(answer, Florence2Error):
                raise answer
            answers.append(answer)
        return answers

    def try_predict(self, records: Sequence[Record]) -> Iterator[Answer | Florence2Error]:
        """An answer or an error for each record, in order."""
        return self.engine.answer_many(map(self._request, records), BATCH)

    def _request(self, record: Record) -> Request:
        options = self._options
        if self._max_answer_tokens is not None and record.task is not None:
            longest = min(options.max_new_tokens, self._max_answer_tokens[record.task.answer_kind])
            options = replace(options, max_new_tokens=longest)
        return Request(
            record.image,
            record.task,
            record.text_input,
            record.region,
            0.0,  # all that was found is measured
            prompt=record.prompt,
            generation=options,
        )
