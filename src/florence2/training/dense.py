"""Warm-up of the vision tower: dense targets at every cell, heads thrown away afterwards.

A caption or a list of boxes teaches a few dozen tokens a picture; the makers know the class of
every pixel and the letter above every column for nothing. A tower that already tells classes
and letters apart is what the decoder then learns to look at (without it the text side becomes
a language model that ignores the picture).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from florence2.model.florence2 import IGNORE_INDEX

CELLS = 4  # class cells on each axis of one position of the feature map
COLUMNS = 2  # letter columns of one position


@dataclass(frozen=True)
class DenseTargets:
    """What the makers know about a batch; rows without a target hold IGNORE_INDEX.

    Attributes:
        cells: int64 `(B, 4H, 4W)`, class of each cell, 0 is background.
        columns: int64 `(B, 2W)`, letter above each column of a text line, 0 is a gap.
        boxes: float `(B, 4, H, W)`, for positions inside an object the distances to the left, top,
            right and bottom edge of its box as shares of the picture; NaN elsewhere.
    """

    cells: Tensor
    columns: Tensor
    boxes: Tensor


class DenseHeads(nn.Module):
    """Linear readings of the feature map: classes, letters, box edges."""

    def __init__(self, width: int, num_classes: int, num_letters: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.cells = nn.Linear(width, CELLS * CELLS * (num_classes + 1))
        self.columns = nn.Linear(width, COLUMNS * (num_letters + 1))
        self.boxes = nn.Linear(width, 4)

    def forward(self, map_BCHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Feature map to class logits `(B, K, 4H, 4W)`, letter logits `(B, A, 2W)`, box edges."""
        x_BHWC = self.norm(map_BCHW.permute(0, 2, 3, 1))
        cells = F.pixel_shuffle(self.cells(x_BHWC).permute(0, 3, 1, 2), CELLS)
        columns = self.columns(x_BHWC.mean(dim=1))  # B W (COLUMNS * A): a line fills the height
        batch, width, _ = columns.shape
        columns = columns.view(batch, width * COLUMNS, -1).transpose(1, 2)
        return cells, columns, self.boxes(x_BHWC).permute(0, 3, 1, 2)

    def loss(self, map_BCHW: Tensor, targets: DenseTargets) -> dict[str, Tensor]:
        """Mean losses by name; a kind without any target in the batch is left out."""
        cells, columns, boxes = self(map_BCHW)
        losses = {}
        if (targets.cells != IGNORE_INDEX).any():
            # Background fills most pictures: a fixed low weight keeps it from drowning classes.
            weight = cells.new_ones(cells.shape[1])
            weight[0] = 0.2
            losses["cells"] = F.cross_entropy(
                cells.float(), targets.cells, weight.float(), ignore_index=IGNORE_INDEX
            )
        if (targets.columns != IGNORE_INDEX).any():
            losses["columns"] = F.cross_entropy(
                columns.float(), targets.columns, ignore_index=IGNORE_INDEX
            )
        known = ~torch.isnan(targets.boxes)
        if known.any():
            losses["boxes"] = 4.0 * (boxes.float() - targets.boxes)[known].abs().mean()
        return losses


@torch.no_grad()
def accuracy(heads: DenseHeads, map_BCHW: Tensor, targets: DenseTargets) -> dict[str, float]:
    """Share of object cells and of inked columns named rightly."""
    cells, columns, _ = heads(map_BCHW)
    out = {}
    for name, logits, target in (
        ("cells", cells, targets.cells),
        ("columns", columns, targets.columns),
    ):
        inked = target > 0
        if inked.any():
            out[f"{name}_accuracy"] = (logits.argmax(1) == target)[inked].float().mean().item()
    return out
