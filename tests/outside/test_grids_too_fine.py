"""Too fine a grid of tiles is the grid's fault, and the finest one is told."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from florence2 import ConfigError, Florence2, Request
from florence2.pipelines.tiling.grid import Tiles, cut
from florence2.processing.images import MAX_ASPECT_RATIO, MIN_SIDE


def test_the_finest_grid_for_the_picture_is_told() -> None:
    with pytest.raises(ConfigError, match="100x50 tiles do not fit on a picture of 400 x 300"):
        cut((400, 300), 128, Tiles(grid=(100, 50)))
    with pytest.raises(ConfigError, match=r"the finest grid for this picture is 75x56$"):
        cut((400, 300), 128, Tiles(grid=(100, 50)))


@given(
    width=st.integers(MIN_SIDE, 3000),
    height=st.integers(MIN_SIDE, 3000),
    overlap=st.floats(0.05, 0.5),
)
def test_the_finest_grid_can_be_cut_and_no_finer_one(
    width: int, height: int, overlap: float
) -> None:
    tiles = Tiles(grid=(9999, 9999), overlap=overlap)
    with pytest.raises(ConfigError) as caught:
        cut((width, height), 128, tiles)
    columns, rows = map(int, re.findall("([0-9]+)x([0-9]+)$", str(caught.value))[0])
    # A grid with tiles that are too long is refused for that; side by side, they are wide enough.
    for grid, axis in (((columns, 1), 0), ((1, rows), 1)):
        try:
            parts = cut((width, height), 128, Tiles(grid=grid, overlap=overlap))
        except ConfigError as error:
            assert "times the other" in str(error)
        else:
            assert min(part.box[axis + 2] - part.box[axis] for part in parts) >= MIN_SIDE
    for finer in ((columns + 1, rows), (columns, rows + 1)):
        with pytest.raises(ConfigError, match="the finest grid"):
            cut((width, height), 128, Tiles(grid=finer, overlap=overlap))


def test_tiles_that_are_too_long_are_told_by_columns_or_rows() -> None:
    with pytest.raises(ConfigError, match="give at most 299 columns") as caught:
        cut((20000, 9000), 128, Tiles(grid=(500, 1)))
    assert f"{MAX_ASPECT_RATIO} times the other" in str(caught.value)
    assert len(cut((20000, 9000), 128, Tiles(grid=(299, 1)))) == 299
    with pytest.raises(ConfigError, match="give at most 299 rows"):
        cut((9000, 20000), 128, Tiles(grid=(1, 500)))


def test_the_picture_is_not_blamed(tiny_folder: Path) -> None:
    noise = Image.effect_noise((400, 300), 60).convert("RGB")
    with Florence2.load(str(tiny_folder), device="cpu") as model:
        (error,) = model.run_many([Request(noise, "od")], tiles="100x50")
    assert isinstance(error, ConfigError) and "100x50 tiles" in str(error)
