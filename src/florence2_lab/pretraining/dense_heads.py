"""Dense targets at every cell, for heads that are thrown away afterwards.

A caption or a list of boxes teaches a few dozen tokens a picture; the makers know the class of
every pixel and the letter above every column for nothing. A tower that already tells classes
and letters apart is what the decoder then learns to look at (without it the text side becomes
a language model that ignores the picture). In joint training, the text encoder's picture
positions learn in the same way what the question means.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from florence2.model.florence2 import IGNORE_INDEX

CELLS = 4  # class cells on each axis of one position of the feature map
COLUMNS = 2  # letter columns of one position
GLYPHS = 2, 4  # rows and columns of letter cells in one position
# Of what is nothing in the loss: background fills most pictures and would drown the rest.
WEIGHTS_OF_NONE = {"cells": 0.2, "columns": 1.0, "glyphs": 0.1}


DenseTargets = Mapping[str, Tensor]  # of a batch, as `dense_targets` makes them


def dense_targets(map_side: int, **known: NDArray[Any] | None) -> dict[str, NDArray[Any]]:
    """What the makers know about a picture, filled up with "no target".

    Args:
        map_side: of the feature map, H = W below.
        known: by name
            cells: int64 `(4H, 4W)`, class of each cell, 0 is background;
            columns: int64 `(2W,)`, letter above each column of a text line, 0 is a gap;
            glyphs: int64 `(2H, 4W)`, letter at each cell of a page, 0 is none;
            boxes: float32 `(4, H, W)`, for positions inside an object the distances to the left,
            top, right and bottom edge of its box as shares of the picture, NaN elsewhere;
            referents: float32 `(4H, 4W)`, 1.0 where the answer lies, 0.0 elsewhere; None where
            the question asks for no place.
    """
    square = CELLS * map_side, CELLS * map_side
    targets: dict[str, NDArray[Any]] = {
        "cells": np.full(square, IGNORE_INDEX),
        "columns": np.full(COLUMNS * map_side, IGNORE_INDEX),
        "glyphs": np.full((GLYPHS[0] * map_side, GLYPHS[1] * map_side), IGNORE_INDEX),
        "boxes": np.full((4, map_side, map_side), np.nan, np.float32),
        "referents": np.full(square, np.nan, np.float32),
    }
    return targets | {name: each for name, each in known.items() if each is not None}


class DenseHeads(nn.Module):
    """Linear readings of the feature map (classes, letters of a line and of a page, box edges)
    and of the text encoder's picture positions (what the question means).

    Args:
        width, text_width: channels of the feature map and of the text encoder.
    """

    def __init__(self, width: int, text_width: int, num_classes: int, num_letters: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.cells = nn.Linear(width, CELLS * CELLS * (num_classes + 1))
        self.columns = nn.Linear(width, COLUMNS * (num_letters + 1))
        self.glyphs = nn.Linear(width, GLYPHS[0] * GLYPHS[1] * (num_letters + 1))
        self.boxes = nn.Linear(width, 4)
        self.referents = nn.Linear(text_width, CELLS * CELLS)

    def forward(self, map_BCHW: Tensor) -> dict[str, Tensor]:
        """Feature map to logits of cells `(B, K, 4H, 4W)`, of columns `(B, A, 2W)`, of glyphs
        `(B, A, 2H, 4W)`, and edges of boxes `(B, 4, H, W)`.
        """
        x_BHWC = self.norm(map_BCHW.permute(0, 2, 3, 1))
        cells = F.pixel_shuffle(self.cells(x_BHWC).permute(0, 3, 1, 2), CELLS)
        columns = self.columns(x_BHWC.mean(dim=1))  # B W (COLUMNS * A): a line fills the height
        batch, width, _ = columns.shape
        columns = columns.view(batch, width * COLUMNS, -1).transpose(1, 2)
        rows, across = GLYPHS
        height = x_BHWC.shape[1]
        glyphs = self.glyphs(x_BHWC).view(batch, height, width, rows, across, -1)
        glyphs = glyphs.permute(0, 5, 1, 3, 2, 4).reshape(batch, -1, height * rows, width * across)
        boxes = self.boxes(x_BHWC).permute(0, 3, 1, 2)
        return {"cells": cells, "columns": columns, "glyphs": glyphs, "boxes": boxes}

    def loss(self, map_BCHW: Tensor, targets: DenseTargets) -> dict[str, Tensor]:
        """Mean losses by name; a kind without any target in the batch is left out."""
        read = self(map_BCHW)
        losses = {}
        for name, weight_of_none in WEIGHTS_OF_NONE.items():
            wanted = targets[name]
            if (wanted != IGNORE_INDEX).any():
                logits = read[name].float()
                weight = logits.new_ones(logits.shape[1])
                weight[0] = weight_of_none
                losses[name] = F.cross_entropy(logits, wanted, weight, ignore_index=IGNORE_INDEX)
        known = ~torch.isnan(targets["boxes"])
        if known.any():
            losses["boxes"] = 4.0 * (read["boxes"].float() - targets["boxes"])[known].abs().mean()
        return losses

    def referent_loss(self, memory_BQD: Tensor, targets: DenseTargets) -> dict[str, Tensor]:
        """The same for memory at the positions of the map, row by row: what is meant, and where."""
        known = ~torch.isnan(targets["referents"])
        if not known.any():
            return {}
        batch, side = len(memory_BQD), targets["referents"].shape[1] // CELLS
        cells = self.referents(memory_BQD).view(batch, side, -1, CELLS * CELLS)
        logits = F.pixel_shuffle(cells.permute(0, 3, 1, 2), CELLS).squeeze(1).float()
        wanted = targets["referents"]
        return {"referents": F.binary_cross_entropy_with_logits(logits[known], wanted[known])}


def weight_of(name: str, target: Tensor) -> float:
    """What the mean loss of a kind divides by."""
    if target.is_floating_point():
        return float((~torch.isnan(target)).sum())
    nothing = float((target == 0).sum())
    return float((target != IGNORE_INDEX).sum()) - (1.0 - WEIGHTS_OF_NONE[name]) * nothing


@torch.no_grad()
def accuracy(heads: DenseHeads, map_BCHW: Tensor, targets: DenseTargets) -> dict[str, float]:
    """Share of object cells, inked columns and inked glyph cells named rightly."""
    read = heads(map_BCHW)
    out = {}
    for name in WEIGHTS_OF_NONE:
        target = targets[name]
        inked = target > 0
        if inked.any():
            right = (read[name].argmax(1) == target)[inked]
            out[f"{name}_accuracy"] = right.float().mean().item()
    return out
