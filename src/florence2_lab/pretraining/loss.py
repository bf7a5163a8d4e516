"""What nano learns before and beside answers: dense targets, and damaged answers to restore."""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from florence2.errors import ConfigError
from florence2.model.florence2 import Florence2Model
from florence2.training.batches import Batch
from florence2.training.losses import (
    AnswerLoss,
    Computed,
    Sums,
    answer_logits,
    memory_spread,
    weighted,
)
from florence2.training.stage import Stage
from florence2_lab.pretraining.dense_heads import DenseHeads, accuracy, weight_of

Part = Literal["all", "tower", "text"]


@dataclass(frozen=True)
class PretrainingStage(Stage):
    """A stage that may train a part of the model.

    Attributes:
        dense_weight: of the dense heads as a side task of a joint stage.
        trains: "tower" trains the tower alone, with the dense heads; "text" the text encoder and
            decoder alone, on examples without pictures, as `denoising` makes them.
    """

    dense_weight: float = 0.0
    trains: Part = "all"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.trains not in get_args(Part):
            raise ConfigError(
                f"stage {self.name!r} trains {self.trains!r}; choose among"
                f" {', '.join(get_args(Part))}"
            )

    @property
    def joint(self) -> bool:
        """Whether the whole model learns to answer."""
        return self.trains == "all"

    @property
    def evaluated(self) -> bool:
        return self.joint

    @property
    def dense(self) -> bool:
        """Whether the dense heads take part."""
        return self.trains == "tower" or (self.joint and self.dense_weight > 0)


class PretrainingLoss(AnswerLoss):
    """Losses of answers and of dense heads, which are thrown away afterwards.

    Args:
        num_classes, num_letters: what the heads tell apart.
    """

    def __init__(self, model: Florence2Model, loc_begin: int, num_classes: int, num_letters: int):
        super().__init__(loc_begin)
        widths = model.config.vision.width, model.config.text.d_model
        self.heads = DenseHeads(*widths, num_classes, num_letters)

    def weights(self, batch: Batch) -> dict[str, float]:
        dense = {f"dense_{name}": weight_of(name, each) for name, each in batch.extras.items()}
        return super().weights(batch) | dense

    def trains_all(self, stage: Stage) -> bool:
        stage = _checked(stage)
        return stage.joint and stage.dense

    def forward(
        self, model: Florence2Model, batch: Batch, stage: Stage, *, measure: bool
    ) -> Computed:
        stage = _checked(stage)
        if stage.trains == "text":
            return self.of_answers(_restored(model, batch, stage), batch, stage)
        map_BCHW = model.vision_tower(batch.pixels)
        if stage.trains == "tower":
            numbers = self._accuracies(map_BCHW, batch) if measure else {}
            return Computed(self._dense(map_BCHW, batch), numbers=numbers)
        memory_BSD, logits_BTV = answer_logits(model, map_BCHW, batch)
        answers = self.of_answers(logits_BTV, batch, stage)
        dense = self._dense(map_BCHW, batch, memory_BSD) if stage.dense else {}
        return Computed(
            answers.losses | dense,
            dict.fromkeys(dense, stage.dense_weight),
            answers.numbers | memory_spread(memory_BSD),
        )

    def _dense(
        self, map_BCHW: Tensor, batch: Batch, memory_BSD: Tensor | None = None
    ) -> dict[str, Tensor]:
        found = self.heads.loss(map_BCHW, batch.extras)
        if memory_BSD is not None:
            positions = map_BCHW.shape[2] * map_BCHW.shape[3]
            memory_BQD = memory_BSD[:, 1 : 1 + positions]  # token 0 is the global mean
            found |= self.heads.referent_loss(memory_BQD, batch.extras)
        # A kind without targets in this piece still has a gradient, of zero: processes that
        # train together must agree on which parameters have one.
        zero = 0.0 * torch.stack([each.sum() for each in self.heads.parameters()]).sum()
        return {**{f"dense_{name}": each for name, each in found.items()}, "zero": zero}

    def _accuracies(self, map_BCHW: Tensor, batch: Batch) -> Sums:
        with torch.autocast(map_BCHW.device.type, enabled=False):
            found = accuracy(self.heads, map_BCHW.detach().float(), batch.extras)
        return {name: weighted(map_BCHW.new_tensor(share)) for name, share in found.items()}


def _restored(model: Florence2Model, batch: Batch, stage: Stage) -> Tensor:
    """Logits of answers without pictures; the text keeps its positions behind one."""
    mask_BL = batch.prompt_mask.bool()
    first = model.config.num_image_tokens(stage.image_side)
    memory_BLD = model.text_encoder(model.shared(batch.prompt_ids), mask_BL, first)
    return model.decode(model.decoder_inputs(batch.labels), memory_BLD, mask_BL)


def _checked(stage: Stage) -> PretrainingStage:
    if not isinstance(stage, PretrainingStage):
        raise ConfigError(
            f"stage {stage.name!r} does not say what it trains; make it a PretrainingStage"
        )
    return stage
