"""The training loop: step, log, evaluate, save; all of its state is in the checkpoint.

Stages run one after another. What is minimised is the recipe's: fine-tuning takes the loss of
answers, pretraining has a module of its own. Batch `n` of a run and its random numbers are
functions of the recipe and `n` alone, so a run that was killed goes on where it stood.
"""

import logging
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from torch import Tensor
from tqdm import tqdm

from florence2.errors import ConfigError
from florence2.model.florence2 import Florence2Model
from florence2.training.batches import Batches, batch_loader
from florence2.training.checkpoint_files import LOG, RunLog, read_checkpoint, write_checkpoint
from florence2.training.curves import check_matplotlib, draw_curves
from florence2.training.distributed import SINGLE_PROCESS, ProcessGroup
from florence2.training.learner import Learner
from florence2.training.losses import ANSWER
from florence2.training.recipe import Recipe
from florence2.training.stage import Stage
from florence2.training.warm_start import load_initial_weights, loss_weights_of

__all__ = ["Recipe", "Stage", "Trainer"]

CURVES = "curves.png"

logger = logging.getLogger(__name__)


class Trainer:
    """One run in one folder: its checkpoint, `log.csv` and `curves.png`.

    What trains is what requires gradients when the trainer is made: freeze parts and attach
    adapters before.

    Args:
        weights: where a new run starts, see `load_initial_weights`; None for the model as it is.
            A run that goes on has its own.
        world: the processes that train together, from `distributed.join`.
    """

    def __init__(
        self,
        model: Florence2Model,
        recipe: Recipe,
        folder: Path,
        *,
        weights: str | Path | Mapping[str, Tensor] | None = None,
        world: ProcessGroup = SINGLE_PROCESS,
    ):
        self.model, self.recipe, self.folder, self.world = model, recipe, Path(folder), world
        self.stage_index = 0
        self.step = 0  # within the stage
        self.seconds = 0.0  # of training so far, over all sessions
        self.log = RunLog(self.folder / LOG)
        check_matplotlib()
        self.elapsed_s = 0.0  # of the stage, over all sessions, as its schedule counts
        self.folder.mkdir(parents=True, exist_ok=True)
        state = read_checkpoint(self.folder)
        if state is None and weights is not None:
            load_initial_weights(model, weights)
        before = loss_weights_of(weights) if state is None else {}
        self.learner = Learner(model, recipe, world, state, before)
        if state is not None:
            self._resume(state)
        if world.is_main:  # rows that came after the checkpoint will be written again
            self.log.truncate(state["log_bytes"] if state is not None else 0)

    def run(self) -> None:
        """Run all stages that are not done yet; the model then holds the running average, if any.

        Sharded weights stay as they are: `trained_weights` reads them from the checkpoint.
        """
        while self.stage_index < len(self.recipe.stages):
            self._run_stage(self.recipe.stages[self.stage_index])
            self.stage_index += 1
            self.step, self.elapsed_s = 0, 0.0
            self.save()
        self.learner.finish()

    def _run_stage(self, stage: Stage) -> None:
        recipe, learner = self.recipe, self.learner
        if self.step == 0:
            learner.reset_optimizer()  # those of another stage point elsewhere
        batches = Batches(
            recipe.examples(stage),
            stage,
            self.model.config.text.pad_id,
            self.step,
            recipe.gradient_accumulation,
            self.world.rank,
            self.world.size,
        )
        on_gpu = learner.device.type == "cuda"
        pieces = batch_loader(batches, recipe.workers, recipe.worker_init, pin_memory=on_gpu)
        learner.objective.train()
        learner.metrics.start_clock()
        with self._bar(stage) as bar:
            started: float | None = None
            before_s = self.elapsed_s
            last = stage.is_over(self.step, before_s)
            while not last:
                with learner.metrics.watch.lap("data", waits=True):
                    batch = [next(pieces) for _ in range(recipe.gradient_accumulation)]
                started = started or time.monotonic()  # the first batch waits for its makers
                self.elapsed_s = before_s + time.monotonic() - started
                learner.take_step(stage, (self.stage_index, self.step), batch, self.elapsed_s)
                self.step += 1
                last = stage.is_over(self.step, self.elapsed_s)
                if self.step % recipe.log_every == 0 or last:
                    bar.set_postfix(self._log_metrics(stage), refresh=False)
                if stage.evaluated and (self.step % recipe.evaluate_every == 0 or last):
                    self._evaluate(stage)
                if self.step % recipe.save_every == 0 and not last:
                    self.save()
                bar.update()

    def _bar(self, stage: Stage) -> "tqdm[NoReturn]":
        """Pictures seen and the time left, on a terminal only."""
        return tqdm(
            desc=stage.name,
            initial=self.step,
            total=stage.steps,
            unit=" pictures",
            unit_scale=stage.batch_size,
            disable=None if self.world.is_main else True,
            leave=False,
        )

    def _log_metrics(self, stage: Stage) -> dict[str, float]:
        """Log the means of the steps since the last line; returns that of the answers' loss."""
        metrics = self.learner.metrics
        self.seconds += metrics.lap_seconds()
        means = metrics.means(self.world)
        rate = stage.learning_rate_at(self.step - 1, self.elapsed_s)
        per_s = stage.batch_size / means["seconds_step"]
        self._log(stage, {"lr": rate, "images_per_s": per_s, **means})
        return {name: value for name, value in means.items() if name == ANSWER}

    def _evaluate(self, stage: Stage) -> None:
        if self.recipe.evaluate is None:
            return
        self.seconds += self.learner.metrics.lap_seconds()
        with self.learner.eval_model() as model:
            if self.world.is_main:
                self._log(stage, self.recipe.evaluate(model, stage.image_side))
        self.learner.metrics.start_clock()

    def _log(self, stage: Stage, numbers: Mapping[str, float]) -> None:
        if not self.world.is_main:
            return
        earlier = self.recipe.stages[: self.stage_index]
        pictures = sum(each.steps * each.batch_size for each in earlier)
        pictures += self.step * stage.batch_size
        self.log.write(stage.name, self.step, self.seconds, pictures, numbers)
        text = "  ".join(f"{name} {value:.4g}" for name, value in numbers.items())
        with tqdm.external_write_mode(sys.stderr):
            logger.info("%s %d/%d  %s", stage.name, self.step, stage.steps, text)

    def save(self) -> None:
        """Write the whole state; a crash in between leaves the old one."""
        self.learner.check_loss()
        self.seconds += self.learner.metrics.lap_seconds()
        state = self.learner.state()
        if self.world.is_main:
            state |= {
                "stage_index": self.stage_index,
                "stage": self._stage_name(),
                "step": self.step,
                "seconds": self.seconds,
                "stage_seconds": self.elapsed_s,
                "log_bytes": self.log.sync(),
            }
            write_checkpoint(state, self.folder, self.recipe.checkpoint_part_bytes)
            draw_curves(self.log.path, self.folder / CURVES)
        self.learner.metrics.start_clock()

    def _resume(self, state: Mapping[str, Any]) -> None:
        self.stage_index, self.step = state["stage_index"], state["step"]
        self.seconds = state["seconds"]
        self.elapsed_s = state.get("stage_seconds", 0.0)  # runs of before 0.5 did not tell
        if state["stage"] != self._stage_name():
            raise ConfigError(
                f"the run stands in stage {state['stage']!r}, but the recipe has"
                f" {self._stage_name()!r} in its place; go on with the stages of before, or start"
                " in another folder from the weights"
            )
        logger.info("resumed at stage %d, step %d", self.stage_index, self.step)

    def _stage_name(self) -> str:
        """Of the stage to run next; empty after the last."""
        stages = self.recipe.stages
        return stages[self.stage_index].name if self.stage_index < len(stages) else ""
