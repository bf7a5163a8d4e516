"""A model on pictures of the worlds that it never saw: unseen scenes, styles and fonts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch

from florence2.data.records import Record
from florence2.evaluation.detection import count_all
from florence2.evaluation.text import character_error_rate
from florence2.generation.options import GenerationOptions, SpecialIds
from florence2.generation.search import generate
from florence2.model.florence2 import Florence2Model
from florence2.processor import Processor
from florence2.results import Boxes, Result, Text
from florence2.tasks import Task
from florence2.tokenizer import Tokenizer
from florence2.worlds.describe import line_records, scene_records
from florence2.worlds.kit import Kit, Split
from florence2.worlds.lines import LineOptions, line
from florence2.worlds.scenes import SceneOptions, scene

SEED = 900_001  # no run trains on it
BATCH = 32
SCENE_SIDE = 256  # pixels; models resize pictures to their own side
GREEDY = GenerationOptions(num_beams=1, max_new_tokens=80, no_repeat_ngram_size=0)
SCENES = SceneOptions()
LINES = LineOptions(max_chars=12)


@dataclass(frozen=True)
class Asker:
    """A model with all it needs to answer records in batches.

    Attributes:
        image_side: to which pictures are resized; None for the model's own.
    """

    model: Florence2Model
    tokenizer: Tokenizer
    options: GenerationOptions = GREEDY
    image_side: int | None = None

    @torch.inference_mode()
    def ask(self, records: Sequence[Record]) -> list[tuple[Result, Record]]:
        """Answer records; each answer with its record."""
        config = self.model.config
        special = SpecialIds(config.text.decoder_start_id, config.text.bos_id, config.text.eos_id)
        side = self.image_side or config.image_side
        processor = Processor(self.tokenizer, replace(config, image_side=side))
        answered: list[tuple[Result, Record]] = []
        for start in range(0, len(records), BATCH):
            batch = records[start : start + BATCH]
            pictures = [record.picture() for record in batch]
            prompt_ids, prompt_mask = processor.pad_prompts(
                [
                    processor.prompt_ids(each.task, each.text_input, each.region, picture.size)
                    for each, picture in zip(batch, pictures, strict=True)
                ]
            )
            image_tokens = self.model.encode_image(processor.pixels(pictures))
            written = generate(
                self.model, image_tokens, prompt_ids, prompt_mask, self.options, special
            )
            answered += [
                (processor.result(each, record.task, picture.size), record)
                for each, record, picture in zip(written, batch, pictures, strict=True)
            ]
        return answered


def measure_detection(asker: Asker, kit: Kit, split: Split, count: int) -> dict[str, float]:
    """Object detection on scenes: precision, recall and F1 at IoU 0.5, with and without names."""
    records = [
        scene_records(
            scene(kit, SEED, index, side=SCENE_SIDE, split=split, options=SCENES), (Task.OD,)
        )[0]
        for index in range(count)
    ]
    answered = asker.ask(records)
    pairs = [(cast(Boxes, found), cast(Boxes, record.result)) for found, record in answered]
    counts = count_all(pairs)
    return {
        "precision": counts.precision,
        "recall": counts.recall,
        "f1": counts.f1,
        "box_f1": count_all(pairs, use_labels=False).f1,
        "malformed": sum(found.malformed > 0 for found, _ in answered) / count,
    }


def measure_reading(asker: Asker, kit: Kit, split: Split, count: int) -> dict[str, float]:
    """Reading of tight lines: character error rate, and the share read without an error."""
    records = [
        line_records(line(kit, SEED, index, split=split, options=LINES), (Task.OCR,))[0]
        for index in range(count)
    ]
    texts = [
        (cast(Text, found).text, cast(Text, record.result).text)
        for found, record in asker.ask(records)
    ]
    exact = sum(found == truth for found, truth in texts) / count
    return {"cer": character_error_rate(texts), "exact": exact}


def evaluate_worlds(asker: Asker, kit: Kit, count: int) -> dict[str, float]:
    """The numbers to watch while training, from `count` pictures of each set."""
    sets = {
        "seen_styles": measure_detection(asker, kit, "train", count),
        "unseen_styles": measure_detection(asker, kit, "val", count),
        "unseen_fonts": measure_reading(asker, kit, "val", count),
    }
    return {
        f"{name}_{key}": value for name, numbers in sets.items() for key, value in numbers.items()
    }
