"""Two that answer without looking: one that knows every answer, and one that says nothing."""

from collections.abc import Iterator, Sequence

from florence2.answers import parse_answer
from florence2.data.records import Record
from florence2.engine import Answer
from florence2.results import Result


class _Answerer:
    """Predicts what it answers, as a `Predictor` does."""

    def answer(self, records: Sequence[Record]) -> list[Result]:
        raise NotImplementedError

    def predict(self, records: Sequence[Record]) -> list[Answer]:
        return list(self.try_predict(records))

    def try_predict(self, records: Sequence[Record]) -> Iterator[Answer]:
        return (Answer(result, {}) for result in self.answer(records))


class Oracle(_Answerer):
    def answer(self, records: Sequence[Record]) -> list[Result]:
        return [record.result for record in records]


class Silent(_Answerer):
    def answer(self, records: Sequence[Record]) -> list[Result]:
        return [parse_answer("", record.task, record.result.image_size) for record in records]
