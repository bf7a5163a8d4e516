"""Who answers records: a model in batches, or anything else with the same door."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch

from florence2.data.records import Record
from florence2.generation.decoding import Runtime, generate
from florence2.generation.options import GenerationOptions, SpecialIds
from florence2.processor import Processor
from florence2.results import Result
from florence2.tasks import AnswerKind, Task
from florence2.tokenizer import Tokenizer

BATCH = 32
GREEDY = GenerationOptions(num_beams=1, max_new_tokens=512, no_repeat_ngram_size=0)
# One babbler holds up its whole batch; no true answer of the worlds needs more tokens than this.
LONGEST: Mapping[AnswerKind, int] = {
    AnswerKind.TEXT: 200,
    AnswerKind.CLASS_BOXES: 150,
    AnswerKind.PHRASE_BOXES: 250,
    AnswerKind.BOXES: 100,
    AnswerKind.QUADS: 250,
    AnswerKind.POLYGONS: 450,
    AnswerKind.BOXES_OR_POLYGONS: 150,
}

Answered = tuple[Result, Record]


class Answerer(Protocol):
    """Whatever can answer records: a model, or another reader of text."""

    def answer(self, records: Sequence[Record]) -> list[Result]:
        """Answer records in their order."""


@dataclass(frozen=True)
class Asker:
    """A model with all it needs to answer records in batches.

    Attributes:
        image_side: to which pictures are resized; None for the model's own.
        longest: most tokens of an answer; None where only the options and the model limit it.
    """

    model: Runtime
    tokenizer: Tokenizer
    options: GenerationOptions = GREEDY
    image_side: int | None = None
    longest: Mapping[AnswerKind, int] | None = field(default_factory=lambda: LONGEST)

    @torch.inference_mode()
    def answer(self, records: Sequence[Record]) -> list[Result]:
        """Answer records of any tasks; those of a task are answered side by side."""
        answers: dict[int, Result] = {}
        tasks = dict.fromkeys(record.task for record in records)
        for task in tasks:
            rows = [row for row, record in enumerate(records) if record.task is task]
            for start in range(0, len(rows), BATCH):
                batch = rows[start : start + BATCH]
                written = self._answer_batch(task, [records[row] for row in batch])
                answers |= zip(batch, written, strict=True)
        return [answers[row] for row in range(len(records))]

    def _answer_batch(self, task: Task, records: Sequence[Record]) -> list[Result]:
        config = self.model.config
        special = SpecialIds(config.text.decoder_start_id, config.text.bos_id, config.text.eos_id)
        processor = Processor(
            self.tokenizer, replace(config, image_side=self.image_side or config.image_side)
        )
        pictures = [record.picture() for record in records]
        prompt_ids, prompt_mask = processor.pad_prompts(
            [
                processor.prompt_ids(task, each.text_input, each.region, picture.size, each.prompt)
                for each, picture in zip(records, pictures, strict=True)
            ]
        )
        device = self.model.device
        pixels = processor.pixels(pictures).to(device, self.model.dtype)
        written = generate(
            self.model,
            self.model.encode_image(pixels),
            prompt_ids.to(device),
            prompt_mask.to(device),
            self._options(task),
            special,
        )
        return [
            processor.result(each, task, picture.size)
            for each, picture in zip(written, pictures, strict=True)
        ]

    def _options(self, task: Task) -> GenerationOptions:
        if self.longest is None:
            return self.options
        longest = min(self.options.max_new_tokens, self.longest[task.answer_kind])
        return replace(self.options, max_new_tokens=longest)
