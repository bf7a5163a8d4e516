"""The training loop: evaluate, save, step, log; all of its state is in the checkpoint.

Stages run one after another. A dense stage trains the tower with throw-away heads; a joint stage
trains the whole model on answers and keeps the dense heads as a side task of falling weight.
Batch `n` of a run is a function of the recipe and `n` alone, so a run that was killed goes on
where it stood.
"""

import csv
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from florence2.errors import DataError
from florence2.model.florence2 import Florence2Model
from florence2.training.batches import Batch, Example, collate
from florence2.training.dense import DenseHeads, accuracy
from florence2.training.targets import answer_loss

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stage:
    """A stretch of training with one picture side and one schedule.

    The learning rate warms up linearly, then falls as a cosine to `final_share` of its peak.
    """

    name: str
    steps: int
    batch_size: int
    image_side: int
    learning_rate: float
    warmup_steps: int = 200
    final_share: float = 0.0
    dense_weight: float = 0.0  # of the side task in a joint stage
    joint: bool = True  # False trains the tower alone

    def learning_rate_at(self, step: int) -> float:
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        progress = (step - self.warmup_steps) / max(self.steps - self.warmup_steps, 1)
        cosine = 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))
        return self.learning_rate * (self.final_share + (1.0 - self.final_share) * cosine)


@dataclass(frozen=True)
class Recipe:
    """What is trained, on what, for how long.

    Attributes:
        examples: function of a stage giving a dataset whose item `i` is a pure function
            of `i`; it must hold at least as many items as the stages consume.
        evaluate: called with the model (in eval mode) at the end of each stage and every
            `evaluate_every` steps of joint stages; returns names and numbers for the log.
    """

    stages: tuple[Stage, ...]
    examples: Callable[[Stage], Dataset[Example]]
    num_classes: int
    num_letters: int
    loc_begin: int
    evaluate: Callable[[Florence2Model, int], dict[str, float]] | None = None
    evaluate_every: int = 1000
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    workers: int = 1
    worker_init: Callable[[int], None] | None = None
    log_every: int = 50
    save_every: int = 250
    seed: int = 0  # of the throw-away heads, and of dropout


class Batches(Dataset[Batch]):
    """Whole batches of a stage from step `start` on, made in worker processes."""

    def __init__(
        self, examples: Dataset[Example], stage: Stage, start: int, pad_id: int, map_side: int
    ):
        self.examples, self.stage, self.start = examples, stage, start
        self.pad_id, self.map_side = pad_id, map_side

    def __len__(self) -> int:
        return self.stage.steps - self.start

    def __getitem__(self, index: int) -> Batch:
        first = (self.start + index) * self.stage.batch_size
        rows = range(first, first + self.stage.batch_size)
        return collate([self.examples[row] for row in rows], self.pad_id, self.map_side)


def parameter_groups(modules: list[nn.Module], weight_decay: float) -> list[dict[str, object]]:
    """Weights of linears and convolutions decay; norms, biases and embeddings do not."""
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for module in modules:
        for name, parameter in module.named_parameters():
            plain = parameter.ndim < 2 or "embed" in name or name.startswith("shared")
            (free if plain else decayed).append(parameter)
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]


class Trainer:
    """One run in one folder: `checkpoint.pt`, `log.csv`."""

    def __init__(self, model: Florence2Model, recipe: Recipe, folder: Path):
        self.model, self.recipe, self.folder = model, recipe, folder
        torch.manual_seed(recipe.seed)
        self.heads = DenseHeads(model.config.vision.width, recipe.num_classes, recipe.num_letters)
        self.optimizer = torch.optim.AdamW(
            parameter_groups([model, self.heads], recipe.weight_decay),
            lr=0.0,
            betas=(0.9, 0.98),
            fused=True,
        )
        self.stage_index = 0
        self.step = 0  # within the stage
        self.seconds = 0.0  # of training so far, over all sessions
        folder.mkdir(parents=True, exist_ok=True)
        if self.checkpoint.exists():
            self._resume()

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    def run(self) -> None:
        """Run all stages that are not done yet."""
        while self.stage_index < len(self.recipe.stages):
            self._run_stage(self.recipe.stages[self.stage_index])
            self.stage_index += 1
            self.step = 0
            self.save()

    def _run_stage(self, stage: Stage) -> None:
        if self.step == 0 and stage.joint:
            self.optimizer.state.clear()  # moments of the dense stage point elsewhere
        window = Averages()
        started = time.monotonic()
        for batch in self._batches(stage):
            rate = stage.learning_rate_at(self.step)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            window.add(self._train_step(stage, batch))
            self.step += 1
            last = self.step == stage.steps
            if self.step % self.recipe.log_every == 0 or last:
                elapsed = time.monotonic() - started
                self.seconds += elapsed
                images = window.count * stage.batch_size
                self._log(stage, {"lr": rate, "images_per_s": images / elapsed, **window.means()})
                window, started = Averages(), time.monotonic()
            if self.step % self.recipe.save_every == 0:
                self.save()
            every = self.recipe.evaluate_every
            if self.recipe.evaluate and stage.joint and (self.step % every == 0 or last):
                self.model.eval()
                self._log(stage, self.recipe.evaluate(self.model, stage.image_side))
                started = time.monotonic()

    def _batches(self, stage: Stage) -> Iterator[Batch]:
        dataset = Batches(
            self.recipe.examples(stage),
            stage,
            self.step,
            self.model.config.text.pad_id,
            self.model.config.vision.map_side(stage.image_side),
        )
        workers = self.recipe.workers
        return iter(
            DataLoader(
                dataset,
                batch_size=None,
                num_workers=workers,
                prefetch_factor=4 if workers else None,
                # A forked worker hangs in the thread pools of its parent.
                multiprocessing_context="spawn" if workers else None,
                worker_init_fn=self.recipe.worker_init,
            )
        )

    def _train_step(self, stage: Stage, batch: Batch) -> dict[str, float]:
        self.model.train()
        model, device = self.model, batch.pixels.device.type
        report: dict[str, float] = {}
        losses: list[Tensor] = []
        with torch.autocast(device, torch.bfloat16):
            feature_map = model.vision_tower(batch.pixels)
            if stage.joint:
                image_tokens = model.projector(feature_map)
                memory = model.encode(image_tokens, batch.prompt_ids, batch.prompt_mask)
                mask = model.memory_mask(image_tokens, batch.prompt_mask)
                logits = model.decode(model.decoder_inputs(batch.labels), memory, mask)
            dense = {}
            if stage.dense_weight > 0 or not stage.joint:
                dense = self.heads.loss(feature_map, batch.dense)
        if stage.joint:
            loss, rows = answer_loss(logits.float(), batch.labels, self.recipe.loc_begin)
            losses.append(loss)
            report["loss"] = loss.item()
            for task in set(batch.tasks):
                mine = torch.tensor([each is task for each in batch.tasks])
                report[f"loss_{task.name.lower()}"] = rows[mine].mean().item()
            # Falls to zero when the text side stops looking at pictures: watch it.
            report["memory_spread"] = memory.detach().float().std(dim=0).mean().item()
        for name, value in dense.items():
            losses.append(value if not stage.joint else stage.dense_weight * value)
            report[f"dense_{name}"] = value.item()
        if not stage.joint and self.step % 10 == 0:
            report |= accuracy(self.heads, feature_map.detach().float(), batch.dense)
        total = torch.stack(losses).sum()
        if not torch.isfinite(total):
            raise DataError(f"the loss is {total.item()!r} at step {self.step}; lower the rate")
        total.backward()  # type: ignore[no-untyped-call]
        report["grad_norm"] = nn.utils.clip_grad_norm_(
            [*model.parameters(), *self.heads.parameters()], self.recipe.clip_norm
        ).item()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return report

    def _log(self, stage: Stage, numbers: dict[str, float]) -> None:
        with (self.folder / "log.csv").open("a", newline="") as file:
            writer = csv.writer(file)
            for name, value in numbers.items():
                writer.writerow(
                    [stage.name, self.step, round(self.seconds, 1), name, f"{value:.6g}"]
                )
        text = "  ".join(f"{name} {value:.4g}" for name, value in numbers.items())
        logger.info("%s %d/%d  %s", stage.name, self.step, stage.steps, text)

    def save(self) -> None:
        """Write the whole state; a crash in between leaves the old file."""
        temporary = self.checkpoint.with_suffix(".tmp")
        torch.save(
            {
                "model": self.model.state_dict(),
                "heads": self.heads.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "stage_index": self.stage_index,
                "step": self.step,
                "seconds": self.seconds,
                "random": torch.get_rng_state(),
            },
            temporary,
        )
        temporary.replace(self.checkpoint)

    def _resume(self) -> None:
        state = torch.load(self.checkpoint, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.heads.load_state_dict(state["heads"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.stage_index, self.step = state["stage_index"], state["step"]
        self.seconds = state["seconds"]
        torch.set_rng_state(state["random"])
        logger.info("resumed at stage %d, step %d", self.stage_index, self.step)


class Averages:
    """Running means of named numbers between two log lines."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}
        self.count = 0

    def add(self, numbers: dict[str, float]) -> None:
        self.count += 1
        for name, value in numbers.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def means(self) -> dict[str, float]:
        return {name: total / self.counts[name] for name, total in sorted(self.sums.items())}
