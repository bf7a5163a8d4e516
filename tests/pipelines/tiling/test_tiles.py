"""How pictures are cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from florence2.errors import ConfigError
from florence2.pipelines.tiling.grid import Tiles, cut


@given(
    st.tuples(st.integers(8, 3000), st.integers(8, 3000)),
    st.integers(32, 800),
    st.sampled_from([0.05, 0.25, 0.5]),
    st.integers(1, 60),
)
def test_tiles_cover_the_picture_and_overlap(
    image_size: tuple[int, int], side: int, overlap: float, max_tiles: int
) -> None:
    tiles = cut(image_size, side, Tiles(overlap=overlap, max_tiles=max_tiles))
    assert len(tiles) <= max_tiles
    for axis in range(2):
        spans = sorted({(tile.box[axis], tile.box[axis + 2]) for tile in tiles})
        assert spans[0][0] == 0 and spans[-1][1] == image_size[axis]
        lengths = {end - start for start, end in spans}
        assert len(lengths) == 1  # one length, so that all are shrunk alike
        length = lengths.pop()
        for (_, end), (start, _) in pairwise(spans):
            assert end - start >= overlap * length - 2  # rounded to pixels


def test_tiles_have_the_native_side_unless_that_would_be_too_many() -> None:
    photo = (8000, 6000)
    tiles = cut(photo, 768, Tiles())
    assert {(t.box[2] - t.box[0], t.box[3] - t.box[1]) for t in tiles} == {(768, 768)}
    assert len(tiles) == 14 * 11
    few = cut(photo, 768, Tiles(max_tiles=20))
    assert 12 <= len(few) <= 20


def test_a_grid_is_kept() -> None:
    tiles = cut((1000, 300), 128, Tiles(grid=(4, 2)))
    assert [(tile.column, tile.row) for tile in tiles] == [
        (c, r) for r in range(2) for c in range(4)
    ]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(
            lambda: Tiles.parse("4by3"), "give auto, off, or columns and rows", id="words"
        ),
        pytest.param(lambda: Tiles.parse("0x3"), "each 1 or more", id="no columns"),
        pytest.param(lambda: Tiles(overlap=0.0), "0.05 to 0.5", id="no overlap"),
        pytest.param(lambda: Tiles(max_tiles=0), "max_tiles", id="no tiles"),
        pytest.param(lambda: cut((30, 300), 128, Tiles(grid=(31, 1))), "do not fit", id="too many"),
    ],
)
def test_what_cannot_be_cut_is_refused(make: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()  # type: ignore[operator]


def test_words_of_the_command_line() -> None:
    assert Tiles.parse("off") is None
    assert Tiles.parse("auto") == Tiles()
    assert Tiles.parse("4x3") == Tiles(grid=(4, 3))
