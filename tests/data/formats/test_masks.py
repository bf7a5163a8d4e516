"""Masks become polygons that cover them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image, ImageDraw

from florence2.data.masks import decode_run_lengths, mask_outlines
from florence2.errors import DataError
from florence2.geometry import polygon_area, rasterize

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=8))


def run_lengths(mask: np.ndarray) -> list[int]:
    lengths, last = [0], False
    for value in mask.T.ravel().tolist():
        if value != last:
            lengths.append(0)
        lengths[-1] += 1
        last = value
    return lengths


def packed(lengths: list[int]) -> str:
    letters = []
    for index, value in enumerate(lengths):
        value -= lengths[index - 2] if index > 2 else 0
        while True:
            bits, value = value & 31, value >> 5
            done = value == (-1 if bits & 16 else 0)
            letters.append(chr(48 + bits + (0 if done else 32)))
            if done:
                break
    return "".join(letters)


@given(masks, st.booleans())
def test_run_lengths_are_read_packed_and_plain(mask: np.ndarray, pack: bool) -> None:
    lengths = run_lengths(mask)
    counts = packed(lengths) if pack else lengths
    decoded = decode_run_lengths({"size": list(mask.shape), "counts": counts})
    assert decoded.tolist() == mask.tolist()


def test_a_long_run_is_packed_into_several_characters() -> None:
    lengths = [100_000, 3, 2, 199_995]
    mask = decode_run_lengths({"size": [300, 1000], "counts": packed(lengths)})
    assert mask.sum() == 199_998


def test_the_format_of_the_common_tools_is_met() -> None:
    """The string is what pycocotools writes for a 2 x 2 block inside 4 x 4 pixels."""
    mask = decode_run_lengths({"size": [4, 4], "counts": "52203"})
    wanted = np.zeros((4, 4), bool)
    wanted[1:3, 1:3] = True
    assert mask.tolist() == wanted.tolist()


@pytest.mark.parametrize(
    "encoded",
    [
        pytest.param({}, id="empty"),
        pytest.param({"size": [2, 2], "counts": [1, 2]}, id="short"),
        pytest.param({"size": [2, 2], "counts": [5, -1]}, id="negative"),
        pytest.param({"size": [0, 2], "counts": []}, id="no pixels"),
        pytest.param({"size": [2, 2], "counts": "é"}, id="foreign character"),
        pytest.param({"size": [2, 2], "counts": "P"}, id="cut off"),
        pytest.param({"size": [2], "counts": "4"}, id="one side"),
        pytest.param({"size": [2, 2], "counts": 4}, id="a number"),
    ],
)
def test_damaged_run_lengths_are_refused(encoded) -> None:
    with pytest.raises(DataError, match="run lengths"):
        decode_run_lengths(encoded)


@settings(max_examples=60)
@given(masks)
def test_outlines_and_holes_account_for_every_pixel(mask: np.ndarray) -> None:
    """Seen at eight times the size, simplifying by one pixel moves an edge by an eighth."""
    big = np.kron(mask, np.ones((8, 8), bool))
    outlines, num_holes = mask_outlines(big)
    canvas = Image.new("1", big.shape[::-1])
    for outline in outlines:
        # A filled polygon includes its edge, so draw between pixel centres.
        ImageDraw.Draw(canvas).polygon([(x - 0.5, y - 0.5) for x, y in outline.tolist()], fill=1)
    missed = big & ~np.asarray(canvas)
    assert not missed[4::8, 4::8].any()  # the middle of every pixel
    if not num_holes:
        assert sum(map(float, map(polygon_area, outlines))) == pytest.approx(big.sum(), rel=0.1)


def test_pixels_that_touch_at_a_corner_are_two_parts() -> None:
    outlines, num_holes = mask_outlines(np.array([[True, False], [False, True]]))
    assert sorted(float(polygon_area(part)) for part in outlines) == [1.0, 1.0]
    assert num_holes == 0


def test_a_hole_is_counted_and_filled() -> None:
    mask = np.ones((5, 5), bool)
    mask[2, 2] = False
    outlines, num_holes = mask_outlines(mask)
    assert [part.tolist() for part in outlines] == [[[0, 0], [5, 0], [5, 5], [0, 5]]]
    assert num_holes == 1


def test_a_round_mask_needs_few_points() -> None:
    y, x = np.mgrid[:100, :100]
    disc = np.hypot(x - 50, y - 50) < 40
    (outline,), _ = mask_outlines(disc)
    assert len(outline) < 40
    assert polygon_area(outline) == pytest.approx(disc.sum(), rel=0.02)


def test_an_empty_mask_has_no_outline() -> None:
    assert mask_outlines(np.zeros((3, 4), bool)) == ([], 0)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5])
def test_thin_slanted_lines_keep_their_area(width: int) -> None:
    """A tolerance of a whole pixel took a quarter of a line of two pixels."""
    y, x = np.mgrid[:120, :120] - 59.6
    for degrees in range(0, 180, 15):
        across, along = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
        line = (abs(x * along + y * across) < 40) & (abs(y * along - x * across) < width / 2)
        outlines, _ = mask_outlines(line)
        back = rasterize(outlines, (120, 120))
        assert (line & back).sum() / (line | back).sum() > (0.95 if width < 4 else 0.85)
        assert sum(map(polygon_area, outlines)) == pytest.approx(line.sum(), rel=0.05)
