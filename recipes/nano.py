"""nano: the small model inside the package, trained from scratch on pictures made on the fly.

    florence2-lab worlds build KIT.zip
    python recipes/nano.py KIT.zip runs/nano

On several GPUs: torchrun --nproc-per-node 4 recipes/nano.py KIT.zip runs/nano
`--weights RUN` goes on from the weights of another run, whose tokenizer.json must be in the folder.
Start it again to go on where it was stopped. What it takes and what it reaches stands in
docs/LOG.md; the shipped weights came from these stages, in other portions.
"""

import argparse
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import torch
from torch.utils.data import Dataset

from florence2.evaluation.predict import Predictor
from florence2.model.config import nano
from florence2.model.florence2 import Florence2Model
from florence2.processing.processor import Processor
from florence2.processing.tokenizer import Tokenizer
from florence2.tasks import Task
from florence2.training.batches import Example
from florence2.training.distributed import ProcessGroup, join
from florence2.training.held_out import model_engine
from florence2.training.recipe import Recipe
from florence2.training.trainer import Trainer
from florence2_lab.pretraining.denoising import Denoising
from florence2_lab.pretraining.examples import (
    NUM_LETTERS,
    Alternating,
    WorldExamples,
    WorldMixture,
)
from florence2_lab.pretraining.loss import PretrainingLoss, PretrainingStage
from florence2_lab.suites.watch import evaluate_worlds
from florence2_lab.worlds.captions import brief_caption
from florence2_lab.worlds.kit import Kit
from florence2_lab.worlds.lines import LineOptions
from florence2_lab.worlds.scenes import SceneOptions, scene
from florence2_lab.worlds.webpages import BakedPages

VOCABULARY = 1_000  # BPE entries; the 1,024 tokens of Florence-2 come on top
SEED = 1
# The tower's features have a standard deviation of 6.5 after its warm-up, and no norm before the
# positions are added: positions of 0.5 were drowned, and boxes did not come.
POSITION_STD = 4.0
CHUNK = 32  # examples of one mixture in a row: small batches are of one, and padded to its answers

SCENES = SceneOptions(min_objects=1, max_objects=6, min_size=0.18, max_size=0.75)
LINES = LineOptions(
    max_chars=14,
    kinds=(
        *(("word", 0.5), ("phrase", 0.2), ("number", 0.1), ("price", 0.08), ("date", 0.07)),
        *(("time", 0.02), ("code", 0.03)),
    ),
)
# The tower alone: classes of cells, letters of lines and pages.
DENSE = WorldMixture(0.15, {Task.OD: 1.0}, SCENES, LINES, page_share=0.3, recolour=0.3)
SHORT = replace(
    DENSE,
    line_share=0.2,
    scene_tasks={
        Task.OD: 0.38,
        Task.CAPTION_TO_PHRASE_GROUNDING: 0.26,
        Task.OPEN_VOCABULARY_DETECTION: 0.12,
        Task.CAPTION: 0.07,
        Task.REGION_PROPOSAL: 0.07,
        Task.DENSE_REGION_CAPTION: 0.06,
        Task.REGION_TO_CATEGORY: 0.06,
    },
    page_share=0.12,
    page_tasks={Task.REGION_TO_OCR: 0.6, Task.OCR: 0.4},
)
PAGES = replace(DENSE, line_share=0.05, page_share=0.8)
OUTLINES = replace(
    DENSE,
    line_share=0.0,
    page_share=0.0,
    scene_tasks={
        Task.REFERRING_EXPRESSION_SEGMENTATION: 0.85,
        Task.REGION_TO_SEGMENTATION: 0.15,
    },
    outline_points=16,
)
SCANS = WorldMixture(0.0, {Task.OD: 1.0}, SCENES, LINES, scan_share=1.0)
CAPTIONS = WorldMixture(
    line_share=0.0,
    scene_tasks={
        Task.DETAILED_CAPTION: 0.4,
        Task.MORE_DETAILED_CAPTION: 0.33,
        Task.REGION_TO_DESCRIPTION: 0.27,
    },
    scenes=SCENES,
    lines=LINES,
)
SCREENS = replace(
    SCANS,
    scan_share=0.0,
    screen_share=1.0,
    screen_tasks={
        Task.OD: 0.5,
        Task.OPEN_VOCABULARY_DETECTION: 0.25,
        Task.REGION_TO_CATEGORY: 0.25,
    },
)
ICONS = replace(SCANS, scan_share=0.0, icon_share=1.0)
MIXTURES = (SCREENS, ICONS, DENSE, SHORT, PAGES, OUTLINES, CAPTIONS, SCANS)
# Outlines learn slowest and names bound detection.
CYCLE = (
    *(SHORT, SCANS, OUTLINES, SCANS, SHORT, SCREENS, SCANS, ICONS, SCANS, SHORT),
    *(SCANS, CAPTIONS, OUTLINES, SCANS, SHORT, PAGES, SCANS, OUTLINES, SCANS, SHORT),
)

STAGES = (
    PretrainingStage(
        "dense", 7000, 32, 128, 1.2e-3, warmup_steps=200, final_share=0.3, trains="tower"
    ),
    PretrainingStage("joint", 8000, 32, 128, 6e-4, warmup_steps=400, dense_weight=0.3),
)


def examples_of(
    stage: PretrainingStage,
    cycle: Sequence[WorldMixture],
    kit: Kit,
    tokenizer: Tokenizer,
    *,
    seed: int = SEED,
    web: BakedPages | None = None,
) -> Dataset[Example]:
    """What a stage trains on: batches of each mixture of the cycle in turn."""
    config = replace(nano(tokenizer.vocab_size), image_side=stage.image_side)
    kinds = {
        id(mixture): WorldExamples(
            kit,
            Processor(tokenizer, config),
            mixture,
            map_side=config.vision.map_side(stage.image_side),
            seed=seed + 10 * number,
            web=web,
        )
        for number, mixture in enumerate(MIXTURES)
    }
    made = Alternating([kinds[id(mixture)] for mixture in cycle], min(stage.batch_size, CHUNK))
    return Denoising(made, tokenizer, seed=seed) if stage.trains == "text" else made


def tokenizer_of(kit: Kit, folder: Path) -> Tokenizer:
    """The vocabulary in the folder of a run, learnt first on prompts, labels and captions."""
    saved = folder / "tokenizer.json"
    if saved.exists():
        return Tokenizer.from_file(saved)
    prompts = [task.template.replace("{input}", "") for task in Task]
    captions = [brief_caption(scene(kit, SEED, index, side=64)) for index in range(4000)]
    learnt = Tokenizer.train([*prompts * 100, *kit.categories * 20, *captions], VOCABULARY)
    folder.mkdir(parents=True, exist_ok=True)
    learnt.save(saved)
    return learnt


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


def smooth_rows(rows: int, width: int, generator: torch.Generator) -> torch.Tensor:
    """Initial embeddings `(rows, width)` in which neighbouring rows are similar, of std 1.

    Random mixtures of sines and cosines of 1 to 32 half-waves over the axis.
    """
    position = torch.linspace(0, 1, rows)[:, None]
    frequencies = torch.arange(1, 33)[None, :]
    waves = torch.cat(
        (
            torch.sin(torch.pi * position * frequencies),
            torch.cos(torch.pi * position * frequencies),
        ),
        dim=1,
    )
    decay = (1.0 / frequencies.float().sqrt()).repeat(1, 2)
    table = (waves * decay) @ torch.randn(waves.shape[1], width, generator=generator)
    return table / table.std()


def _position_tables(model: Florence2Model) -> list[torch.nn.Embedding]:
    return [model.text_encoder.embed_positions, model.text_decoder.embed_positions]


def watch(
    model: Florence2Model, image_side: int, tokenizer: Tokenizer, kit: Kit
) -> dict[str, float]:
    """A few numbers on pictures that no training has drawn."""
    processor = Processor(tokenizer, replace(model.config, image_side=image_side))
    with model_engine(model, processor) as engine:
        return evaluate_worlds(Predictor(engine), kit, count=64)


def one_thread(worker: int) -> None:
    """Leave the cores to the training process."""
    cv2.setNumThreads(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kit", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", help="start from these, with the joint stage")
    parser.add_argument("--web", metavar="PAGES.zip", help="web pages, for half of the pages")
    parser.add_argument("--seed", type=int, default=SEED, help="of the pictures (default 1)")
    parser.add_argument("--workers", type=int, default=1, help="processes that make pictures")
    parser.add_argument("--batch", type=int, default=32, help="pictures of a step (default 32)")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies all step counts")
    parser.add_argument("--no-watch", action="store_true", help="measure nothing meanwhile")
    parser.add_argument("--seconds", type=float, help="end the joint stage after so long")
    parser.add_argument("--log-every", type=int, default=50, help="steps (default 50)")
    parser.add_argument("--rate", type=float, help="peak learning rate of the joint stage")
    parser.add_argument("--warmup", type=int, help="steps of its warm-up")
    parser.add_argument("--dense", type=float, help="weight of its dense heads; 0 leaves them out")
    arguments = parser.parse_args()
    with join() as world:
        train(arguments, world)


def train(arguments: argparse.Namespace, world: ProcessGroup) -> None:
    level = logging.INFO if world.is_main else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(message)s")
    kit = Kit(arguments.kit)
    web = BakedPages(arguments.web) if arguments.web else None
    if world.is_main:
        tokenizer_of(kit, arguments.folder)
    world.gather(None)  # the others wait for it
    tokenizer = tokenizer_of(kit, arguments.folder)
    given = {
        "learning_rate": arguments.rate,
        "warmup_steps": arguments.warmup,
        "dense_weight": arguments.dense,
        "seconds": arguments.seconds,
    }
    chosen = {field: value for field, value in given.items() if value is not None}
    recipe = Recipe(
        stages=tuple(
            replace(
                each,
                steps=max(1, round(each.steps * arguments.scale)),
                batch_size=arguments.batch,
                **(chosen if each.joint else {}),
            )
            for each in STAGES
            if each.joint or not arguments.weights
        ),
        examples=lambda stage: examples_of(
            stage,
            CYCLE if stage.joint else (DENSE,),
            kit,
            tokenizer,
            seed=arguments.seed,
            web=web,
        ),
        loss=lambda model: PretrainingLoss(
            model, tokenizer.loc_begin, len(kit.categories), NUM_LETTERS
        ),
        ema_decay=0.998,
        log_every=arguments.log_every,
        workers=arguments.workers,
        worker_init=one_thread,
        evaluate=None
        if arguments.no_watch
        else lambda model, side: watch(model, side, tokenizer, kit),
    )
    model = new_model(tokenizer)
    Trainer(model, recipe, arguments.folder, weights=arguments.weights, world=world).run()


if __name__ == "__main__":
    main()
