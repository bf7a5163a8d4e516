"""The losses of a batch, normalised so that it may be cut into pieces over processes and time.

Each loss is a mean with weights that depend on the targets alone. A piece knows its share of the
weights of the whole batch, so the sum over the pieces is the loss of the whole batch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields

import torch
from torch import Tensor, nn

from florence2.model.florence2 import IGNORE_INDEX, Florence2Model
from florence2.tasks import Task
from florence2.training.batches import Batch
from florence2.training.dense import WEIGHTS_OF_NONE, DenseHeads, DenseTargets, accuracy
from florence2.training.recipe import Stage
from florence2.training.targets import answer_loss, location_sigma, row_weights

ANSWER = "answer"
# Names and weighted sums for the log: a tensor `(2,)` of the sum and of its weights.
Sums = dict[str, Tensor]


def batch_weights(batch: Batch) -> dict[str, float]:
    """What each loss of a batch divides by, by name of the loss."""
    weights = {ANSWER: row_weights(batch.labels).sum().item()}
    for field in fields(DenseTargets):
        weights[field.name] = _dense_weight(field.name, getattr(batch.dense, field.name))
    return weights


def _dense_weight(name: str, target: Tensor) -> float:
    if target.is_floating_point():
        return float((~torch.isnan(target)).sum())
    nothing = float((target == 0).sum())
    return float((target != IGNORE_INDEX).sum()) - (1.0 - WEIGHTS_OF_NONE[name]) * nothing


def weighted(value: Tensor, weight: float = 1.0) -> Tensor:
    """A mean and its weight as a sum for the log."""
    value = value.detach().float()
    return torch.stack((value * weight, value.new_full((), weight)))


class Losses(nn.Module):
    """The model and the dense heads as one module from batches to losses."""

    def __init__(self, model: Florence2Model, heads: DenseHeads | None, loc_begin: int):
        super().__init__()
        self.model, self.heads, self.loc_begin = model, heads, loc_begin

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
        """Loss of a piece and the numbers for the log.

        Args:
            weights: of the piece, see `batch_weights`.
            shares: by which each loss is multiplied.
            measure: whether to find out what the dense heads of the tower name rightly.
        """
        sums: Sums = {}
        losses: list[Tensor] = []
        dense: dict[str, Tensor] = {}
        with torch.autocast(batch.labels.device.type, torch.bfloat16, enabled=bf16):
            if stage.trains == "text":
                memory_BSD, logits_BTV = self._restored(batch, stage)
            else:
                map_BCHW = self.model.vision_tower(batch.pixels)
            if stage.joint:
                memory_BSD, logits_BTV = self._answers(map_BCHW, batch)
            if self.heads and stage.dense:
                dense |= self.heads.loss(map_BCHW, batch.dense)
            if self.heads and stage.dense and stage.joint:
                positions = map_BCHW.shape[2] * map_BCHW.shape[3]
                memory_BQD = memory_BSD[:, 1 : 1 + positions]  # token 0 is the global mean
                dense |= self.heads.referent_loss(memory_BQD, batch.dense)
        if stage.trains != "tower":
            sigma = location_sigma(stage.image_side)
            loss, rows_B = answer_loss(logits_BTV.float(), batch.labels, self.loc_begin, sigma)
            losses.append(shares[ANSWER] * loss)
            sums |= {"loss": weighted(loss, weights[ANSWER]), **_by_task(rows_B, batch.tasks)}
        if stage.joint and len(batch.labels) > 1:
            # Falls to zero when the text side stops looking at pictures: watch it.
            spread = memory_BSD.detach().float().std(dim=0).mean()
            sums["memory_spread"] = weighted(spread, len(batch.labels))
        for name, value in dense.items():
            factor = stage.dense_weight if stage.joint else 1.0
            losses.append(factor * shares[name] * value)
            sums[f"dense_{name}"] = weighted(value, weights[name])
        if self.heads and stage.dense:
            # A kind without targets in this piece still has a gradient, of zero: processes that
            # train together must agree on which parameters have one.
            losses.append(0.0 * torch.stack([each.sum() for each in self.heads.parameters()]).sum())
        if self.heads and measure:
            found = accuracy(self.heads, map_BCHW.detach().float(), batch.dense)
            sums |= {name: weighted(map_BCHW.new_tensor(share)) for name, share in found.items()}
        return torch.stack(losses).sum(), sums

    def _answers(self, map_BCHW: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Memory and logits."""
        model = self.model
        image_tokens_BID = model.projector(map_BCHW)
        memory_BSD = model.encode(image_tokens_BID, batch.prompt_ids, batch.prompt_mask)
        mask_BS = model.memory_mask(image_tokens_BID, batch.prompt_mask)
        logits_BTV = model.decode(model.decoder_inputs(batch.labels), memory_BSD, mask_BS)
        return memory_BSD, logits_BTV

    def _restored(self, batch: Batch, stage: Stage) -> tuple[Tensor, Tensor]:
        """The same without pictures; the text keeps its positions behind one."""
        model, mask_BL = self.model, batch.prompt_mask.bool()
        first = model.config.num_image_tokens(stage.image_side)
        memory_BLD = model.text_encoder(model.shared(batch.prompt_ids), mask_BL, first)
        logits_BTV = model.decode(model.decoder_inputs(batch.labels), memory_BLD, mask_BL)
        return memory_BLD, logits_BTV


def _by_task(rows_B: Tensor, tasks: Sequence[Task]) -> Sums:
    """Mean loss of the rows that ask each task."""
    names = sorted({task.name.lower() for task in tasks})
    places = torch.tensor([names.index(task.name.lower()) for task in tasks])
    pairs_B2 = torch.stack((rows_B.detach(), torch.ones_like(rows_B)), dim=1)
    sums = pairs_B2.new_zeros(len(names), 2).index_add(0, places.to(rows_B.device), pairs_B2)
    return {f"loss_{name}": sums[index] for index, name in enumerate(names)}
