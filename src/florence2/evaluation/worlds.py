"""A model on pictures of the worlds that it never saw: unseen scenes, styles and fonts."""

from collections.abc import Sequence
from dataclasses import replace
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
GREEDY = GenerationOptions(num_beams=1, max_new_tokens=80, no_repeat_ngram_size=0)
SCENES = SceneOptions()
LINES = LineOptions(max_chars=12)


def evaluate_worlds(
    model: Florence2Model,
    tokenizer: Tokenizer,
    kit: Kit,
    image_side: int,
    *,
    count: int,
    options: GenerationOptions = GREEDY,
) -> dict[str, float]:
    """Measure detection on unseen scenes (training and held-out styles) and reading (unseen fonts).

    Args:
        count: pictures of each of the three sets.
    """
    numbers: dict[str, float] = {}
    splits: tuple[tuple[str, Split], ...] = (("seen_styles", "train"), ("unseen_styles", "val"))
    for name, split in splits:
        records = [
            scene_records(
                scene(kit, SEED, index, side=image_side, split=split, options=SCENES), (Task.OD,)
            )[0]
            for index in range(count)
        ]
        pairs = [
            (cast(Boxes, found), cast(Boxes, record.result))
            for found, record in ask(model, tokenizer, records, image_side, options)
        ]
        counts = count_all(pairs)
        numbers[f"{name}_f1"] = counts.f1
        numbers[f"{name}_recall"] = counts.recall
        numbers[f"{name}_box_recall"] = count_all(pairs, use_labels=False).recall
    records = [
        line_records(line(kit, SEED, index, split="val", options=LINES), (Task.OCR,))[0]
        for index in range(count)
    ]
    texts = [
        (cast(Text, found).text, cast(Text, record.result).text)
        for found, record in ask(model, tokenizer, records, image_side, options)
    ]
    numbers["line_cer"] = character_error_rate(texts)
    numbers["line_exact"] = sum(found == truth for found, truth in texts) / len(texts)
    return numbers


@torch.inference_mode()
def ask(
    model: Florence2Model,
    tokenizer: Tokenizer,
    records: Sequence[Record],
    image_side: int,
    options: GenerationOptions,
) -> list[tuple[Result, Record]]:
    """Answer records in batches, at any picture side; each answer with its record."""
    text = model.config.text
    special = SpecialIds(text.decoder_start_id, text.bos_id, text.eos_id)
    processor = Processor(tokenizer, replace(model.config, image_side=image_side))
    answered: list[tuple[Result, Record]] = []
    for start in range(0, len(records), BATCH):
        batch = records[start : start + BATCH]
        pictures = [record.picture() for record in batch]
        prompt_ids, prompt_mask = processor.pad_prompts(
            [
                processor.prompt_ids(record.task, record.text_input, record.region, picture.size)
                for record, picture in zip(batch, pictures, strict=True)
            ]
        )
        image_tokens = model.encode_image(processor.pixels(pictures))
        written = generate(model, image_tokens, prompt_ids, prompt_mask, options, special)
        answered += [
            (processor.result(each, record.task, picture.size), record)
            for each, record, picture in zip(written, batch, pictures, strict=True)
        ]
    return answered
