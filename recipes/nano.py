"""nano: the small model inside the package, trained from scratch on pictures made on the fly.

    python -m florence2.worlds.building KIT.zip
    python recipes/nano.py KIT.zip runs/nano

Start it again to go on where it was stopped. What it takes and what it reaches stands in
docs/LOG.md.
"""

import argparse
import logging
from dataclasses import replace
from pathlib import Path

import cv2
import torch

from florence2.evaluation.worlds import Asker, evaluate_worlds
from florence2.model.config import nano
from florence2.model.florence2 import Florence2Model
from florence2.processor import Processor
from florence2.tasks import Task
from florence2.tokenizer import Tokenizer
from florence2.training.loop import Recipe, Stage, Trainer
from florence2.training.targets import smooth_rows
from florence2.training.world_examples import NUM_LETTERS, Mixture, WorldExamples
from florence2.worlds.describe import brief_caption
from florence2.worlds.kit import Kit
from florence2.worlds.lines import LineOptions
from florence2.worlds.scenes import SceneOptions, scene

VOCABULARY = 1_000  # BPE entries; the 1,024 tokens of Florence-2 come on top
SEED = 1
# The tower's features have a standard deviation of 6.5 after its warm-up, and no norm before the
# positions are added: positions of 0.5 were drowned, and boxes did not come.
POSITION_STD = 4.0

EASY_SCENES = SceneOptions(min_objects=1, max_objects=3, min_size=0.3, max_size=0.75)
SCENES = SceneOptions(min_objects=1, max_objects=5, min_size=0.2, max_size=0.7)
SHORT_LINES = LineOptions(
    max_chars=8, kinds=(("word", 0.7), ("number", 0.15), ("price", 0.1), ("time", 0.05))
)
LINES = LineOptions(
    max_chars=12,
    kinds=(("word", 0.55), ("phrase", 0.15), ("number", 0.1), ("price", 0.1), ("date", 0.1)),
)
SCENE_TASKS = {
    Task.OD: 0.6,
    Task.CAPTION: 0.12,
    Task.CAPTION_TO_PHRASE_GROUNDING: 0.08,
    Task.OPEN_VOCABULARY_DETECTION: 0.1,
    Task.REGION_TO_CATEGORY: 0.1,
}
EASY = Mixture(0.5, SCENE_TASKS, EASY_SCENES, SHORT_LINES)
FULL = Mixture(0.25, SCENE_TASKS, SCENES, LINES)

STAGES = (
    Stage("dense", 2000, 32, 128, 1.5e-3, warmup_steps=200, final_share=0.1, joint=False),
    Stage("joint", 3700, 32, 128, 6e-4, warmup_steps=400, dense_weight=0.3),
    Stage("polish", 950, 32, 128, 4e-4, warmup_steps=50, dense_weight=0.3),
)
MIXTURES = {"dense": EASY, "joint": FULL, "polish": FULL}


def train_tokenizer(kit: Kit) -> Tokenizer:
    """Learn a vocabulary on prompts, labels, captions and a little English."""
    prompts = [task.template.replace("{input}", "") for task in Task]
    captions = [brief_caption(scene(kit, SEED, index, side=64)) for index in range(4000)]
    return Tokenizer.train([*prompts * 100, *kit.categories * 20, *captions], VOCABULARY)


def new_model(tokenizer: Tokenizer) -> Florence2Model:
    """PyTorch's own initialisation for linears, which at these widths is two to five times the
    published 0.02; smooth tables for locations and for the positions of the picture."""
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    model = Florence2Model(nano(tokenizer.vocab_size))
    std = model.config.text.init_std
    places = model.projector.image_position_embed
    with torch.no_grad():
        for tables in (model.shared, *_position_tables(model)):
            tables.weight.normal_(0.0, std, generator=generator)
        rows = slice(tokenizer.loc_begin, tokenizer.loc_begin + 1000)
        model.shared.weight[rows] = std * smooth_rows(1000, model.shared.embedding_dim, generator)
        for table in (places.row_embeddings, places.column_embeddings):
            table.weight.copy_(POSITION_STD * smooth_rows(*table.weight.shape, generator))
    return model


def _position_tables(model: Florence2Model) -> list[torch.nn.Embedding]:
    return [model.text_encoder.embed_positions, model.text_decoder.embed_positions]


def one_thread(worker: int) -> None:
    """Leave the cores to the training process."""
    cv2.setNumThreads(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kit", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies all step counts")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    kit = Kit(arguments.kit)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    saved = arguments.folder / "tokenizer.json"
    tokenizer = Tokenizer.from_file(saved) if saved.exists() else train_tokenizer(kit)
    tokenizer.save(saved)
    model = new_model(tokenizer)

    def examples(stage: Stage) -> WorldExamples:
        return WorldExamples(
            kit,
            Processor(tokenizer, replace(model.config, image_side=stage.image_side)),
            MIXTURES[stage.name],
            map_side=model.config.vision.map_side(stage.image_side),
            seed=SEED + [each.name for each in STAGES].index(stage.name),
        )

    recipe = Recipe(
        stages=tuple(
            replace(each, steps=max(1, round(each.steps * arguments.scale))) for each in STAGES
        ),
        examples=examples,
        num_classes=len(kit.categories),
        num_letters=NUM_LETTERS,
        loc_begin=tokenizer.loc_begin,
        worker_init=one_thread,
        evaluate=lambda model, side: evaluate_worlds(
            Asker(model, tokenizer, image_side=side), kit, count=64
        ),
    )
    Trainer(model, recipe, arguments.folder).run()


if __name__ == "__main__":
    main()
