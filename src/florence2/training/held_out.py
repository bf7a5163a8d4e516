"""A model on records that it was not trained on: the numbers to watch while it trains."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from florence2.data.records import Record
from florence2.engine import Engine
from florence2.evaluation.detection import count_all, drop_ignored
from florence2.evaluation.predict import Predictor
from florence2.evaluation.questions import Asked, text_questions
from florence2.evaluation.text import character_error_rate, composed, edit_distance
from florence2.evaluation.written import point_distances
from florence2.generation.options import GenerationOptions
from florence2.model.florence2 import Florence2Model
from florence2.processing.processor import Processor
from florence2.results import Boxes, Mixed, Result, Text, as_boxes
from florence2.runtimes.pytorch.eager import eager_runtime
from florence2.tasks import Task, task_name
from florence2.training.batches import collate
from florence2.training.mixtures import ExampleMaker
from florence2.training.targets import answer_loss, location_sigma

BATCH = 16
ROOM = 1.5  # how much longer than the longest true answer an answer may get


@dataclass(frozen=True)
class HeldOut:
    """Records to measure on; give it to a recipe as `evaluate`."""

    records: tuple[Record, ...]
    maker: ExampleMaker

    def __call__(self, model: Florence2Model, image_side: int) -> dict[str, float]:
        """Measure a model: the loss, how many answers break their grammar, and by task

        `f1` of boxes at IoU 0.5, `box_f1` the same without names (for outlines and quads their
        boxes), `cer` of texts that were read, `exact` the share of texts without a difference.
        Answers to prompts of a checkpoint's own are compared to the letter (`prompt_exact`), and
        the boxes and points that they name by their places. Answers are written greedily. Records
        that ask the same are one question with several references; where nothing is true (no true
        box, an empty text) there is no number.
        """
        if not self.records:
            return {}
        was_training = model.training
        model.eval()
        try:
            loss = self._loss(model, image_side)
            found = self._predict(model)
        finally:
            model.train(was_training)
        malformed = sum(result.malformed > 0 for result in found) / len(found)
        numbers = {"held_out_loss": loss, "malformed": malformed}
        for task in dict.fromkeys(record.task for record in self.records):
            answered = [
                (result, record)
                for result, record in zip(found, self.records, strict=True)
                if record.task is task
            ]
            for name, value in _measures(task, answered):
                numbers[f"{task_name(task)}_{name}"] = value
        return numbers

    def _predict(self, model: Florence2Model) -> list[Result]:
        """What the model answers to each record; the grammar repairs nothing, faults count."""
        with model_engine(model, self.maker.processor) as engine:
            return Predictor(engine, self._options(model), None).answer(self.records)

    @torch.inference_mode()
    def _loss(self, model: Florence2Model, image_side: int) -> float:
        """The mean loss of a record."""
        loc_begin = self.maker.processor.tokenizer.loc_begin
        sigma, weights = location_sigma(image_side), model.shared.weight
        losses: list[float] = []
        for start in range(0, len(self.records), BATCH):
            records = self.records[start : start + BATCH]
            examples = [self.maker.example(record, record.picture()) for record in records]
            batch = collate(examples, model.config.text.pad_id).to(weights.device)
            pixels = batch.pixels.to(weights.dtype)
            logits = model(pixels, batch.prompt_ids, batch.labels, batch.prompt_mask)
            _, rows = answer_loss(logits.float(), batch.labels, loc_begin, sigma)
            losses += rows.tolist()
        return float(np.mean(losses))

    def _options(self, model: Florence2Model) -> GenerationOptions:
        """Greedy, with room for more than the longest true answer."""
        labels = (self.maker.targets.label_ids(each.task, each.result) for each in self.records)
        limit = round(ROOM * max(map(len, labels)))
        positions = model.config.text.max_position_embeddings
        return GenerationOptions(
            num_beams=1,
            max_new_tokens=min(limit, positions),
            no_repeat_ngram_size=0,
            grammar=False,
        )


def model_engine(model: Florence2Model, processor: Processor) -> Engine:
    """An engine over a model that is being trained; close it before the next step."""
    return Engine(eager_runtime(model), processor, "model in training")


def _measures(
    task: Task | None, answered: Sequence[tuple[Result, Record]]
) -> Iterator[tuple[str, float]]:
    """Numbers by name, but for those of which nothing is true."""
    for name, value in _numbers(task, answered):
        if value is not None:
            yield name, value


def _numbers(
    task: Task | None, answered: Sequence[tuple[Result, Record]]
) -> Iterator[tuple[str, float | None]]:
    if isinstance(answered[0][1].result, Text):
        if task is not None and task.is_caption and not any(each.prompt for _, each in answered):
            return  # a caption may be right in other words: the loss has to tell
        asked = text_questions(answered)
        words = _letters if task is None else _words
        pairs = [(each.found, _nearest(each, words)) for each in asked]
        if task is not None and task.reads_text:
            yield (
                "cer",
                character_error_rate((_words(found), _words(true)) for found, true in pairs),
            )
        told = [pair for each, pair in zip(asked, pairs, strict=True) if not each.is_empty]
        right = [words(found) == words(truth) for found, truth in told]
        yield "exact", float(np.mean(right)) if right else None
        if task is None:
            yield from _place_measures(pairs)
        return
    if any(label for _, record in answered for label in _boxes(record.result).labels):
        yield "f1", count_all(_box_pairs(answered, use_labels=True)).f1
    nameless = _box_pairs(answered, use_labels=False)
    yield "box_f1", count_all(nameless, use_labels=False).f1


def _nearest(asked: Asked, words: Callable[[Text], str]) -> Text:
    """The reference that was answered, or from which the fewest letters differ."""
    read = words(asked.found)
    equal = [each for each in asked.references if words(each) == read]
    if equal or len(asked.references) == 1:
        return (equal or asked.references)[0]
    return min(asked.references, key=lambda each: edit_distance(read, words(each)))


def _box_pairs(
    answered: Sequence[tuple[Result, Record]], *, use_labels: bool
) -> list[tuple[Boxes, Boxes]]:
    """What was found but for what is to be ignored, and what is true."""
    pairs = ((_boxes(found), _boxes(record.result), record) for found, record in answered)
    return [
        (
            drop_ignored(found, truth, record.ignored, record.federated, use_labels=use_labels),
            truth,
        )
        for found, truth, record in pairs
    ]


def _place_measures(pairs: Sequence[tuple[Text, Text]]) -> Iterator[tuple[str, float | None]]:
    """Places in answers to prompts without a task."""
    if any(truth.boxes.labels for _, truth in pairs):
        yield "f1", count_all((found.boxes, truth.boxes) for found, truth in pairs).f1
    if distances := [each for pair in pairs for each in point_distances(*pair)]:
        yield "point_distance", float(np.mean(distances))


def _letters(result: Text) -> str:
    return composed(result.text)


def _words(result: Text) -> str:
    return composed(result.text.strip())


def _boxes(result: Result) -> Boxes:
    """The boxes of a result, or those around its outlines where a mixed one has no boxes."""
    if isinstance(result, Mixed) and not result.boxes.labels:
        return as_boxes(result.polygons)
    return as_boxes(result)
