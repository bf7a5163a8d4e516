"""From options to a fine-tuned checkpoint: load, look, refuse, train, measure, write.

options -- prepare --> Finetuning: model, data, recipe, reports, preview.png
Finetuning.run() ----> Outcome: checkpoint or adapter, and the numbers before and after
"""

import json
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from florence2.answers import format_answer
from florence2.checkpoints import save_checkpoint
from florence2.checkpoints.loading import Checkpoint, load_checkpoint
from florence2.checkpoints.sources import SHORT_NAMES, absolute
from florence2.data.image_files import PictureFolder
from florence2.errors import ConfigError, warn_moved
from florence2.model.davit import Block
from florence2.model.florence2 import Florence2Model
from florence2.processing.processor import Processor
from florence2.runtimes.select import choose_device
from florence2.tasks import Task, task_column
from florence2.training.augmentation import Augmentation, can_flip, names_in
from florence2.training.batches import Batch, Batches
from florence2.training.checkpoint_files import CHECKPOINT, MANIFEST, read_json, write_json
from florence2.training.datasets import Reader, TrainingData
from florence2.training.distributed import SINGLE_PROCESS, ProcessGroup
from florence2.training.freezing import check_frozen, freeze, trainable_report
from florence2.training.held_out import HeldOut
from florence2.training.lora import Lora, LoraConfig
from florence2.training.losses import AnswerLoss
from florence2.training.mixtures import ExampleMaker, MixedExamples
from florence2.training.one_sided import one_sided_names
from florence2.training.options import FinetuneOptions, first_difference
from florence2.training.peft_files import save_lora
from florence2.training.preflight import check_batches, preview
from florence2.training.recipe import Recipe
from florence2.training.stage import Stage
from florence2.training.targets import TargetEncoder, spelled_tasks
from florence2.training.trainer import Trainer

RUN, BEFORE, RESULTS = "run.json", "before.json", "results.json"
PREVIEW, MODEL, ADAPTER = "preview.png", "model", "adapter"

PREFLIGHT_ROWS = 64  # rows of the first batches that are checked
EVALUATIONS = 5  # in the course of a run

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Defaults:
    """What a size of model needs."""

    batch_size: int
    min_steps: int
    epochs: float
    learning_rates: dict[str, float]  # by mode


# Measured on nano; see docs/training.md. The published sizes follow what others found to work.
SMALL = Defaults(8, 300, 10, {"full": 4e-4, "frozen-vision": 4e-4, "lora": 3e-3})
PUBLISHED = Defaults(8, 100, 10, {"full": 1e-5, "frozen-vision": 1e-5, "lora": 1e-4})
SMALL_PARAMETERS = 50_000_000

WARMUP_SHARE = 0.05
LORA_TARGETS = ("text_encoder", "text_decoder", "projector")


@dataclass(frozen=True)
class Outcome:
    """What a run left.

    Attributes:
        checkpoint: a folder for `Florence2.load` and transformers; None for an adapter alone.
        adapter: a folder in PEFT's format, if an adapter was trained.
        before, after: the numbers of the held-out records.
    """

    checkpoint: Path | None
    adapter: Path | None
    before: dict[str, float]
    after: dict[str, float]


class Finetuning:
    """A fine-tuning that is ready to start; made by `prepare`."""

    def __init__(
        self,
        options: FinetuneOptions,
        loaded: Checkpoint,
        data: TrainingData,
        maker: ExampleMaker,
        lora: Lora | None,
        world: ProcessGroup,
    ):
        self.world = world
        self.options, self.data, self.maker, self.lora = options, data, maker, lora
        self.loaded, self.model = loaded, loaded.model
        self.dtype = loaded.model.shared.weight.dtype
        self.model.float()  # small steps are lost in half precision
        self.held_out = HeldOut(data.held_out, maker)
        self.stage = self._stage()

    # ---- what the run is

    @property
    def side(self) -> int:
        return self.maker.processor.image_side

    def _stage(self) -> Stage:
        options, sizes = self.options, defaults_of(self.model)
        batch_size = options.batch_size or sizes.batch_size
        epoch = max(len(self.data.stored), 1) / batch_size
        if options.steps is not None:
            steps = options.steps
        elif options.epochs is not None:
            steps = max(round(options.epochs * epoch), 1)
        else:
            steps = max(round(sizes.epochs * epoch), sizes.min_steps)
        return Stage(
            "finetune",
            steps,
            batch_size,
            self.side,
            options.learning_rate or sizes.learning_rates[options.mode],
            warmup_steps=round(WARMUP_SHARE * steps),
        )

    def recipe(self) -> Recipe:
        """The recipe for `Trainer`."""
        return Recipe(
            stages=(self.stage,),
            examples=lambda stage: self.examples(),
            loss=lambda model: AnswerLoss(self.maker.processor.tokenizer.loc_begin),
            evaluate=self.held_out if self.data.held_out else None,
            evaluate_every=max(self.stage.steps // EVALUATIONS, 1),
            log_every=max(min(self.stage.steps // 20, 50), 1),
            device=None if self.options.device is None else str(self.options.device),
            workers=self.options.workers,
            seed=self.options.seed,
        )

    def examples(self) -> MixedExamples:
        """What is trained on."""
        return MixedExamples(self.data.mixture, self.maker, augment=self.augmentation)

    @property
    def augmentation(self) -> Augmentation | None:
        options = self.options
        return Augmentation(options.mirror, options.no_mirror_names) if options.augment else None

    def varied_tasks(self) -> set[Task | None]:
        """The tasks whose records have different answers: all of them, not the first batches."""
        first: dict[Task | None, str] = {}
        varied: set[Task | None] = set()
        for record in self.data.stored:
            if record.task not in varied:
                answer = format_answer(record.result, record.task)
                if first.setdefault(record.task, answer) != answer:
                    varied.add(record.task)
        return varied

    def mirroring(self) -> str:
        """How many records are mirrored, and which names are not, in words."""
        how, records = self.augmentation, self.data.stored
        if how is None or not how.mirror:
            return "no picture is mirrored"
        kept = [record for record in records if not can_flip(record, how)]
        names = Counter(
            name for record in kept for name in one_sided_names(names_in(record), how.fixed_names)
        )
        told = ", ".join(repr(name[:40]) for name, _ in names.most_common(8))
        more = f" and {len(names) - 8:,} more" if len(names) > 8 else ""
        why = f"; not those that name {told}{more}" if names else ""
        others = sum(not one_sided_names(names_in(record), how.fixed_names) for record in kept)
        why += f"; not {others:,} that read text or have a prompt of their own" if others else ""
        return f"{len(records) - len(kept):,} of {len(records):,} records are mirrored{why}"

    def settings(self) -> dict[str, Any]:
        """Everything that a run must have in common with the one that it goes on with."""
        records = sha256()
        for words in self._record_words():
            records.update(words.encode(errors="surrogatepass"))  # names of any bytes
        stage = asdict(self.stage)
        decided = {name: stage[name] for name in ("steps", "batch_size", "learning_rate")}
        return {
            **self.options.settings(),
            **decided,
            "side": self.side,
            "epochs": None,  # has become steps
            "records": len(self.data.stored),
            "contents": records.hexdigest()[:16],
        }

    def _record_words(self) -> Iterator[str]:
        for record in (*self.data.stored, *self.data.held_out):
            yield f"{Path(str(record.image)).name}|{task_column(record.task)}|{record.text_input}"
            yield f"{record.region}|{record.prompt}|{json.dumps(record.result.to_dict())}"

    # ---- looking before the first step

    def first_batches(self) -> list[Batch]:
        """This process's part of the batches that the run will begin with."""
        pad_id, world = self.model.config.text.pad_id, self.world
        batches = Batches(self.examples(), self.stage, pad_id, rank=world.rank, size=world.size)
        count = -(-PREFLIGHT_ROWS // self.stage.batch_size)
        return [batches[number] for number in range(min(count, self.stage.steps))]

    def preflight(self) -> str:
        """Check the first batches, draw the first one as `preview.png`; what was found, in words.

        Raises:
            DataError: the model would learn something else than meant.
            ConfigError: a part that is said to be frozen would still train.
        """
        if self.options.mode == "frozen-vision":
            check_frozen(self.model, {"vision_tower"})
        batches = self.first_batches()
        tokenizer = self.maker.processor.tokenizer
        report = check_batches(batches, tokenizer, self.model.config, self.varied_tasks())
        path = self.options.output / PREVIEW
        if self.world.is_main:
            preview(batches[0], tokenizer, path)
        stage = self.stage
        lines = (
            self.data.summary,
            self.mirroring(),
            trainable_report(self.model).describe(),
            report.describe(),
            f"preview  {path}: look whether the boxes and words are right",
            f"plan     {stage.steps:,} steps of {stage.batch_size} pictures of {stage.image_side}"
            f" pixels, learning rate {stage.learning_rate:g}",
        )
        return "\n".join(lines)

    def look(self) -> str:
        """`preflight` by its name of 0.4."""
        warn_moved("Finetuning.look()", "Finetuning.preflight()")
        return self.preflight()

    # ---- training

    def run(self) -> Outcome:
        """Train, or go on where the folder stands; then write and measure what came out.

        Of several processes the first one writes and measures, and all get its outcome.

        Raises:
            ConfigError: the folder holds a run with other settings.
        """
        folder, main = self.options.output, self.world.is_main
        with self.world.raise_together():
            if main:
                self._lock_run_folder(folder)
        before = self._baseline_metrics(folder / BEFORE) if main else {}
        trainer = Trainer(self.model, self.recipe(), folder, world=self.world)
        trainer.run()
        outcome: Outcome = self.world.gather(self._export(folder, before) if main else None)[0]
        return outcome

    def _lock_run_folder(self, folder: Path) -> None:
        """Write down the settings of the run, or check that they are those of the one begun."""
        settings = json.loads(json.dumps(self.settings()))
        path = folder / RUN
        if path.exists():
            begun = read_json(path)
            if difference := first_difference(begun, settings):
                raise ConfigError(
                    f"folder {str(folder)!r} holds a run with {difference}; start it with the same"
                    " settings and data to go on, or name another folder with --output"
                )
            return
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / CHECKPOINT).exists() or (folder / MANIFEST).exists():
            raise ConfigError(
                f"folder {str(folder)!r} holds a run that was not started by this command; name"
                " another folder with --output"
            )
        write_json(settings, path)

    def _baseline_metrics(self, path: Path) -> dict[str, float]:
        """The numbers of the model before its first step, measured once."""
        if path.exists():
            known: dict[str, float] = read_json(path)
            return known
        numbers = self.held_out(self.model, self.side)
        write_json(numbers, path)
        return numbers

    def _export(self, folder: Path, before: dict[str, float]) -> Outcome:
        adapter = checkpoint = None
        if self.lora is not None:
            base = SHORT_NAMES.get(self.options.model) or absolute(self.options.model)
            adapter = save_lora(self.lora, folder / ADAPTER, base=base)
        if self.lora is None or self.options.merge:
            if self.lora is not None:
                self.lora.merge()
            checkpoint = save_checkpoint(
                self.model,
                folder / MODEL,
                tokenizer=self.loaded.tokenizer,
                dtype=self.dtype,
                generation=self.loaded.generation,
            )
        after = self.held_out(self._reload(checkpoint), self.side)
        outcome = Outcome(checkpoint, adapter, before, after)
        write_json({"before": before, "after": after}, folder / RESULTS)
        return outcome

    def _reload(self, checkpoint: Path | None) -> Florence2Model:
        """The model as users will load it, so that the numbers are those of the file."""
        if checkpoint is None:
            return self.model
        device = self.model.shared.weight.device
        return load_checkpoint(checkpoint, dtype=torch.float32, device=device).model.eval()


def prepare(options: FinetuneOptions, world: ProcessGroup = SINGLE_PROCESS) -> Finetuning:
    """Load model and data, and choose what trains.

    Args:
        world: the processes that train together, from `distributed.join`.

    Raises:
        Florence2Error: the model, the data or the options cannot be used, in words.
    """
    device = world.device or choose_device(options.device)
    loaded = load_checkpoint(
        options.model, device=device, adapter=options.adapter, tokenizer=options.tokenizer
    )
    if loaded.adapter is not None and options.mode == "lora":
        raise ConfigError(
            f"mode 'lora' writes an adapter for the checkpoint it starts from, and none holds the"
            f" adapter {str(loaded.adapter)!r}; run florence2 merge, and start from what it writes"
        )
    model = loaded.model
    side = options.side or model.config.image_side
    model.config = replace(model.config, image_side=side)
    maker = ExampleMaker(
        Processor(loaded.tokenizer, model.config),
        TargetEncoder(loaded.tokenizer, spelled_tasks(loaded.tokenizer)),
    )
    data = Reader(
        maker,
        model.config.text.max_position_embeddings,
        options.tasks,
        options.held_out,
        options.seed,
        PictureFolder(options.output / "pictures"),
        options.split,
        options.voc_origin,
    ).read(options.data)
    return Finetuning(options, loaded, data, maker, choose_trained(model, options), world)


def choose_trained(model: Florence2Model, options: FinetuneOptions) -> Lora | None:
    """Freeze what is not to train, or attach a new adapter; returns the adapter."""
    torch.manual_seed(options.seed)
    lora = None
    match options.mode:
        case "full":
            freeze(model, ())
        case "frozen-vision":
            freeze(model, ("vision_tower",))
        case "lora":
            targets = options.targets or LORA_TARGETS
            lora = Lora(model, LoraConfig(options.rank, options.alpha, targets=targets))
    if not any(each.requires_grad for each in model.vision_tower.parameters()):
        for module in model.vision_tower.modules():
            if isinstance(module, Block):
                module.drop_rate = 0.0  # noise that a frozen tower cannot learn to bear
    return lora


def defaults_of(model: Florence2Model) -> Defaults:
    """What suits a model of this size."""
    parameters = sum(each.numel() for each in model.parameters())
    return SMALL if parameters < SMALL_PARAMETERS else PUBLISHED
