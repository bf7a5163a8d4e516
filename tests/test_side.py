"""Pictures of another side: what is where stays where it is."""

from dataclasses import replace

import pytest
import torch

from florence2.errors import ConfigError
from florence2.model.bart import POSITION_OFFSET
from florence2.model.florence2 import Florence2Model
from florence2.model.positions import GRID, set_image_side
from tiny_models import SMALLEST

CONFIG = replace(SMALLEST, image_side=32, text=replace(SMALLEST.text, max_position_embeddings=128))


@pytest.fixture
def model() -> Florence2Model:
    """Positions of the map grow evenly from its left to its right, those of text are told apart."""
    model = Florence2Model(CONFIG).initialize(torch.Generator().manual_seed(0)).eval()
    side = CONFIG.vision.map_side(CONFIG.image_side)
    with torch.no_grad():
        columns = torch.linspace(0.5 / side, 1 - 0.5 / side, side)
        places = model.projector.image_position_embed
        places.column_embeddings.weight[:side] = columns[:, None]
        table = model.text_encoder.embed_positions.weight
        table[GRID : GRID + side**2] = columns.repeat(side)[:, None]
        table[GRID + side**2 :] = torch.arange(len(table) - GRID - side**2)[:, None] + 7.0
    return model


def test_positions_are_stretched_over_the_picture(model: Florence2Model) -> None:
    old = CONFIG.vision.map_side(CONFIG.image_side)
    set_image_side(model, 2 * CONFIG.image_side)
    new = 2 * old
    inner = torch.linspace(0.5 / new, 1 - 0.5 / new, new)[1:-1]  # nothing is known beyond the ends
    columns = model.projector.image_position_embed.column_embeddings.weight[1 : new - 1, 0]
    assert torch.allclose(columns, inner, atol=1e-6)
    table = model.text_encoder.embed_positions.weight
    grid = table[GRID : GRID + new**2].view(new, new, -1)
    assert torch.allclose(grid[0, 1:-1, 0], inner, atol=1e-6)
    assert torch.equal(grid[0], grid[-1])


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_text_keeps_its_positions_behind_the_picture(model: Florence2Model, factor: float) -> None:
    rows = len(model.text_encoder.embed_positions.weight)
    set_image_side(model, round(factor * CONFIG.image_side))
    first = POSITION_OFFSET + model.config.num_image_tokens(model.config.image_side)
    table = model.text_encoder.embed_positions.weight
    assert table[first : first + 5, 0].tolist() == [7.0, 8.0, 9.0, 10.0, 11.0]
    assert len(table) == rows


def test_the_same_side_changes_nothing(model: Florence2Model) -> None:
    before = {name: each.clone() for name, each in model.state_dict().items()}
    set_image_side(model, CONFIG.image_side)
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())


def test_a_side_that_does_not_fit_is_refused(model: Florence2Model) -> None:
    with pytest.raises(ConfigError, match=r"give a multiple of .*, such as its own"):
        set_image_side(model, CONFIG.image_side + 1)
    assert model.config == CONFIG
