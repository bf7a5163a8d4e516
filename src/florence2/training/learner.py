"""What learns: the model and its loss, their optimizer, and a running average of weights."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from florence2.checkpoints.layouts import describe_differences, shapes
from florence2.errors import ConfigError, DataError, first_few
from florence2.model.florence2 import Florence2Model
from florence2.runtimes.select import choose_device
from florence2.training.batches import Batch
from florence2.training.distributed import ProcessGroup, accumulating, gather_full
from florence2.training.ema import EMA
from florence2.training.gradient_checkpointing import blocks, recompute_blocks
from florence2.training.losses import Objective, weighted
from florence2.training.optimizer import (
    moments,
    new_optimizer,
    restore_moments,
    trained_parameters,
)
from florence2.training.recipe import Recipe
from florence2.training.stage import Stage
from florence2.training.step_metrics import StepMetrics, Stopwatch

MEASURE_EVERY = 10  # steps between measurements of the loss module that cost time of their own


class Learner:
    """Takes steps, and gives and takes its state; knows no files.

    Args:
        state: of an unbroken run that goes on.
        loss_of_before: weights of the loss module of the run whose weights this one starts from;
            those that fit are used.

    Attributes:
        metrics: the numbers of the steps since they were read.
        unsharded: a copy of the model to evaluate, where the model itself is sharded: one process
            alone cannot run a model of which it holds a share.
    """

    def __init__(
        self,
        model: Florence2Model,
        recipe: Recipe,
        world: ProcessGroup,
        state: Mapping[str, Any] | None,
        loss_of_before: Mapping[str, Tensor],
    ):
        self.model, self.recipe, self.world = model, recipe, world
        self.device = world.device or choose_device(recipe.device)
        self.bf16 = recipe.bf16 and (self.device.type != "cuda" or torch.cuda.is_bf16_supported())
        self.metrics = StepMetrics(Stopwatch(self.device))
        self._last_loss, self._last_place = torch.zeros(()), ""
        torch.manual_seed(recipe.seed)
        loss = recipe.loss(model)
        own = loss.state_dict()
        fitting = {n: t for n, t in loss_of_before.items() if own.get(n, t[:0]).shape == t.shape}
        loss.load_state_dict(own | fitting)
        self.objective = Objective(model, loss).to(self.device)
        if state is not None:
            self._load(state)  # before the weights are sharded
        if recipe.gradient_checkpointing:
            recompute_blocks(model)
        evaluates = world.is_main and recipe.evaluate is not None
        self.unsharded = copy.deepcopy(model) if world.mesh is not None and evaluates else None
        some_idle = not all(map(loss.trains_all, recipe.stages))
        self.wrapped = world.wrap(self.objective, blocks(model), some_idle)
        self.parameters = trained_parameters(self.objective)
        self.optimizer = new_optimizer(self.parameters, recipe.weight_decay)
        self.average: EMA | None = None
        if recipe.ema_decay is not None:
            self.average = EMA(trained_parameters(model), recipe.ema_decay)
        if state is not None:
            self._restore(state)

    # ---- steps

    def take_step(
        self,
        stage: Stage,
        place: tuple[int, int],
        pieces: Sequence[Batch],
        elapsed_s: float = 0.0,
    ) -> None:
        """One step of the optimizer on one batch.

        Args:
            place: numbers of the stage and of the step within it.
            elapsed_s: since the first step of the stage.
            pieces: this process's share of the batch.
        """
        torch.manual_seed(self._step_seed(place))
        for group in self.optimizer.param_groups:
            group["lr"] = stage.learning_rate_at(place[1], elapsed_s)
        with self.metrics.watch.lap("forward_backward"):
            loss = self._backward(stage, pieces, measure=place[1] % MEASURE_EVERY == 0)
        with self.metrics.watch.lap("optimizer"):
            norm = nn.utils.clip_grad_norm_(self.parameters.values(), self.recipe.clip_norm)
            self.metrics.add({"grad_norm": weighted(gather_full(norm))})
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            if self.average:
                self.average.update()
        # By now a GPU knows the loss of the step before, so that looking at it costs no time.
        self.check_loss()
        self._last_loss, self._last_place = loss, f"step {place[1] + 1} of stage {stage.name!r}"
        self.metrics.count_step()

    def _backward(self, stage: Stage, pieces: Sequence[Batch], measure: bool) -> Tensor:
        """Gradients of the loss of the whole batch; returns this process's part of the loss."""
        weights = [self.objective.loss.weights(piece) for piece in pieces]
        names = list(weights[0])
        totals = self.world.total([sum(each[name] for each in weights) for name in names])
        losses = []
        for number, (piece, own) in enumerate(zip(pieces, weights, strict=True)):
            # Processes average their gradients: times their number, that is the sum.
            shares = {
                name: self.world.size * own[name] / total if total else 0.0
                for name, total in zip(names, totals, strict=True)
            }
            with accumulating(self.wrapped, last=number == len(pieces) - 1):
                loss, sums = self.wrapped(
                    piece.to(self.device),
                    stage,
                    own,
                    shares,
                    bf16=self.bf16,
                    measure=measure,
                )
                loss.backward()
            losses.append(loss.detach())
            self.metrics.add(sums)
        return torch.stack(losses).sum()

    def _step_seed(self, place: tuple[int, int]) -> int:
        """Of dropout in a step and process: no state of random numbers has to be saved."""
        numbers = (self.recipe.seed, *place, self.world.rank)
        return int(np.random.SeedSequence(numbers).generate_state(1)[0])

    def check_loss(self) -> None:
        """Refuse a loss that is no number: the weights after it must not be saved."""
        if not torch.isfinite(self._last_loss):
            raise DataError(
                f"the loss is {self._last_loss.item()!r} at {self._last_place}; lower its learning"
                " rate, or look at the answers of that batch"
            )

    def reset_optimizer(self) -> None:
        """Start the optimizer afresh."""
        self.optimizer.state.clear()

    # ---- weights to use

    @contextmanager
    def eval_model(self) -> Iterator[Florence2Model]:
        """The model with its running average, in evaluation mode, while the context lasts.

        All processes must enter; only the first may run the model.
        """
        if self.world.mesh is not None:
            weights = _full_state(self.model) | self._average_values()
            if self.unsharded is not None:
                self.unsharded.load_state_dict(weights)
                yield self.unsharded.eval()
            else:
                yield self.model
        elif self.average and self.world.is_main:
            with self.average.in_place():
                yield self.model.eval()
        else:
            yield self.model.eval()
        self.objective.train()

    def finish(self) -> None:
        """Leave the running average in the model, in evaluation mode, unless it is sharded."""
        if self.average and self.world.mesh is None:
            self.average.swap()
        self.model.eval()

    # ---- state

    def state(self) -> dict[str, Any]:
        """Everything that `Learner` takes to go on; all processes must ask together.

        Only the first of several gets the moments of the optimizer.
        """
        return {
            "model": _full_state(self.model),
            "loss": _full_state(self.objective.loss),
            "trained": list(self.parameters),
            "optimizer": moments(self.optimizer, self.parameters, keep=self.world.is_main),
            "average": self._average_values(),
            "updates": self.average.updates if self.average else 0,
            "window": self.metrics.totals(self.world),
        }

    def _average_values(self) -> dict[str, Tensor]:
        values = self.average.values if self.average else {}
        return {name: gather_full(each).cpu() for name, each in values.items()}

    def _load(self, state: Mapping[str, Any]) -> None:
        """Weights of the model and of its loss."""
        if "trained" not in state:
            raise ConfigError(
                "the checkpoint was written by an earlier version, which cannot go on; start in"
                " another folder from its weights"
            )
        _load_named("model", self.model, state["model"])
        # Runs of 0.4 that have no heads have no weights of a loss either.
        _load_named("loss", self.objective.loss, state.get("loss", {}))

    def _restore(self, state: Mapping[str, Any]) -> None:
        """What belongs to parameters that are in their places now."""
        saved = set(state["trained"])
        if other := sorted(saved ^ self.parameters.keys()):
            raise ConfigError(
                f"{len(other):,} weights trained before and are frozen now, or the other way round"
                f" ({first_few(other)}); freeze the same parts as before, or start in another"
                " folder from the weights"
            )
        restore_moments(self.optimizer, self.parameters, state["optimizer"])
        if self.average and state["average"]:
            self.average.restore(state["average"], state["updates"])
        if self.world.is_main:
            self.metrics.restore(state["window"], self.device)


def _full_state(module: nn.Module) -> dict[str, Tensor]:
    return {name: gather_full(tensor).cpu() for name, tensor in module.state_dict().items()}


def _load_named(what: str, module: nn.Module, saved: Mapping[str, Tensor]) -> None:
    if faults := describe_differences(shapes(module.state_dict()), shapes(saved)):
        raise ConfigError(
            f"the checkpoint is of another {what}, of its weights {faults}; go on with the model of"
            " that run, or start in another folder"
        )
    module.load_state_dict(dict(saved))
