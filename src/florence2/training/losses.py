"""The losses of a batch, normalised so that it may be cut into pieces over processes and time.

Each loss is a mean with weights that depend on the targets alone. A piece knows its share of the
weights of the whole batch, so the sum over the pieces is the loss of the whole batch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from florence2.model.florence2 import Florence2Model
from florence2.tasks import Task, task_name
from florence2.training.batches import Batch
from florence2.training.stage import Stage
from florence2.training.targets import answer_loss, location_sigma, row_weights

ANSWER = "loss"
# Names and weighted sums for the log: a tensor `(2,)` of the sum and of its weights.
Sums = dict[str, Tensor]


def weighted(value: Tensor, weight: float = 1.0) -> Tensor:
    """A mean and its weight as a sum for the log."""
    value = value.detach().float()
    return torch.stack((value * weight, value.new_full((), weight)))


@dataclass(frozen=True)
class Computed:
    """How wrong a model is on a batch.

    Attributes:
        losses: means by name, to be added up and logged. One whose name has no weight (see
            `LossModule.weights`) is added as it stands and not logged.
        factors: by which losses count; 1 where none is given.
        numbers: for the log alone.
    """

    losses: dict[str, Tensor]
    factors: Mapping[str, float] = field(default_factory=dict)
    numbers: Sums = field(default_factory=dict)


class LossModule(nn.Module):
    """Named losses of a model on a batch; a recipe may give the loop one of its own.

    Its parameters, if it has any, train with the model and are saved with the run; the model does
    not get them.
    """

    def weights(self, batch: Batch) -> dict[str, float]:
        """What each loss of a batch divides by, the same names for all batches of a stage."""
        raise NotImplementedError

    def trains_all(self, stage: Stage) -> bool:
        """Whether each parameter that trains gets a gradient in every step of a stage."""
        return True

    def forward(
        self, model: Florence2Model, batch: Batch, stage: Stage, *, measure: bool
    ) -> Computed:
        """The losses of a batch.

        Args:
            measure: whether to find out numbers that cost time of their own.
        """
        raise NotImplementedError


class AnswerLoss(LossModule):
    """How unlikely the true answers are; see `targets.answer_loss`."""

    def __init__(self, loc_begin: int):
        super().__init__()
        self.loc_begin = loc_begin

    def weights(self, batch: Batch) -> dict[str, float]:
        return {ANSWER: row_weights(batch.labels).sum().item()}

    def forward(
        self, model: Florence2Model, batch: Batch, stage: Stage, *, measure: bool
    ) -> Computed:
        memory_BSD, logits_BTV = answer_logits(model, model.vision_tower(batch.pixels), batch)
        computed = self.of_answers(logits_BTV, batch, stage)
        computed.numbers.update(memory_spread(memory_BSD))
        return computed

    def of_answers(self, logits_BTV: Tensor, batch: Batch, stage: Stage) -> Computed:
        """The loss of answers, given their logits."""
        sigma = location_sigma(stage.image_side)
        loss, rows_B = answer_loss(logits_BTV.float(), batch.labels, self.loc_begin, sigma)
        return Computed({ANSWER: loss}, numbers=_by_task(rows_B, batch.tasks))


def answer_logits(model: Florence2Model, map_BCHW: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Memory and logits of the true answers, given the feature map of the pictures."""
    image_tokens_BID = model.projector(map_BCHW)
    memory_BSD = model.encode(image_tokens_BID, batch.prompt_ids, batch.prompt_mask)
    mask_BS = model.memory_mask(image_tokens_BID, batch.prompt_mask)
    return memory_BSD, model.decode(model.decoder_inputs(batch.labels), memory_BSD, mask_BS)


def memory_spread(memory_BSD: Tensor) -> Sums:
    """How much the memory differs between pictures, for the log.

    It falls to zero when the text side stops looking at pictures: watch it.
    """
    if len(memory_BSD) < 2:
        return {}
    spread = memory_BSD.detach().float().std(dim=0).mean()
    return {"memory_spread": weighted(spread, len(memory_BSD))}


def _by_task(rows_B: Tensor, tasks: Sequence[Task | None]) -> Sums:
    """Mean loss of the rows that ask each task."""
    asked = list(map(task_name, tasks))
    names = sorted(set(asked))
    places = torch.tensor([names.index(name) for name in asked])
    pairs_B2 = torch.stack((rows_B.detach(), torch.ones_like(rows_B)), dim=1)
    sums = pairs_B2.new_zeros(len(names), 2).index_add(0, places.to(rows_B.device), pairs_B2)
    return {f"loss_{name}": sums[index] for index, name in enumerate(names)}


class Objective(nn.Module):
    """The model and its loss as one module, from a batch to what is minimised."""

    def __init__(self, model: Florence2Model, loss: LossModule):
        super().__init__()
        self.model, self.loss = model, loss

    def forward(
        self,
        batch: Batch,
        stage: Stage,
        weights: Mapping[str, float],
        shares: Mapping[str, float],
        *,
        bf16: bool,
        measure: bool,
    ) -> tuple[Tensor, Sums]:
        """The loss of a piece and the numbers for the log.

        Args:
            weights: of the piece, see `LossModule.weights`.
            shares: by which each loss is multiplied.
            measure: see `LossModule.forward`.
        """
        with torch.autocast(batch.labels.device.type, torch.bfloat16, enabled=bf16):
            computed = self.loss(self.model, batch, stage, measure=measure)
        sums, terms = dict(computed.numbers), []
        for name, value in computed.losses.items():
            if name in weights:
                sums[name] = weighted(value, weights[name])
                value = computed.factors.get(name, 1.0) * shares[name] * value
            terms.append(value)
        return torch.stack(terms).sum(), sums
