"""Pictures of another side than the weights were trained at: positions are stretched over them."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from florence2.model.bart import POSITION_OFFSET
from florence2.model.config import with_image_side
from florence2.model.florence2 import Florence2Model

GRID = POSITION_OFFSET + 1  # row of the text encoder's positions where those of the map begin


@torch.no_grad()
def set_image_side(model: Florence2Model, image_side: int) -> None:
    """Make a model take pictures of another side.

    Positions tell where in the picture something is, so those of the map that the weights know are
    stretched to the new map, in the projector and in the text encoder, and text keeps the
    positions behind the picture that it was trained at. Read from their beginning, as the
    published code does, they would tell a larger picture's corner as the whole.

    Raises:
        ConfigError: the model does not take pictures of that side.
    """
    config = with_image_side(model.config, image_side)
    old, new = (each.vision.map_side(each.image_side) for each in (model.config, config))
    model.config = config
    if old == new:
        return
    places = model.projector.image_position_embed
    for table in (places.row_embeddings, places.column_embeddings):
        known = table.weight[:old, None].expand(-1, old, -1)
        _replace(table, torch.cat((_stretched(known, new)[:, 0], table.weight[new:])))
    positions = model.text_encoder.embed_positions
    grid, text = positions.weight[GRID:].split((old**2, len(positions.weight) - GRID - old**2))
    stretched = _stretched(grid.view(old, old, -1), new).flatten(0, 1)
    # No prompt is so long that it would need the last row twice.
    more = text[-1:].expand(max(0, old**2 - new**2), -1)
    rows = torch.cat((positions.weight[:GRID], stretched, text, more))
    _replace(positions, rows[: len(positions.weight)])


def _stretched(grid_HWC: Tensor, side: int) -> Tensor:
    """A square table for another number of cells."""
    grid_CHW = grid_HWC.float().permute(2, 0, 1)
    stretched = F.interpolate(grid_CHW[None], (side, side), mode="bilinear", antialias=True)[0]
    return stretched.permute(1, 2, 0).to(grid_HWC.dtype)


def _replace(table: nn.Embedding, weight: Tensor) -> None:
    table.weight = nn.Parameter(weight.contiguous(), requires_grad=table.weight.requires_grad)
