"""The quantiser: floor to the bin, centre back."""

import doctest
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from florence2 import locations
from florence2.errors import DataError
from florence2.locations import (
    NUM_BINS,
    check_image_size,
    decode_boxes,
    decode_points,
    encode_boxes,
    encode_points,
    location_tokens,
)

sizes = st.tuples(st.integers(1, 100_000), st.integers(1, 100_000))
bins = st.integers(0, NUM_BINS - 1)
ALL_BINS = np.stack([np.arange(NUM_BINS)] * 2, axis=-1)


def test_doctests():
    assert doctest.testmod(locations).failed == 0


@given(sizes)
def test_encode_of_decode_is_the_bin_for_every_bin_of_any_size(image_size):
    assert np.array_equal(encode_points(decode_points(ALL_BINS, image_size), image_size), ALL_BINS)


def test_encode_of_decode_is_the_bin_for_every_bin_and_width_to_4000():
    for width in range(1, 4001):
        size = (width, 4001 - width)
        assert np.array_equal(encode_points(decode_points(ALL_BINS, size), size), ALL_BINS)


@given(sizes, st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=8))
def test_a_decoded_point_is_within_half_a_bin(image_size, fractions):
    points = np.array(fractions).reshape(-1, 2) * image_size
    error = np.abs(decode_points(encode_points(points, image_size), image_size) - points)
    assert (error <= np.array(image_size) / NUM_BINS * 0.5000001).all()


@given(st.integers(1, 10_000), st.integers(0, 10_000))
def test_whole_pixels_are_encoded_exactly(width, x):
    """Dividing by width / 1000 gives bin 499 for pixel 17 of 34, the middle."""
    wanted = min(x * NUM_BINS // width, NUM_BINS - 1)
    assert encode_points([x, 0], (width, 1))[0] == wanted


@given(sizes, st.lists(st.tuples(*[st.floats(-1e6, 1e6)] * 4), max_size=4))
def test_boxes_are_two_points(image_size, rows):
    boxes = np.array(rows).reshape(-1, 4)
    encoded = encode_boxes(boxes, image_size)
    points = encode_points(boxes.reshape(-1, 2), image_size)
    assert np.array_equal(encoded.reshape(-1, 2), points)
    decoded = decode_boxes(encoded, image_size)
    assert np.array_equal(decoded.reshape(-1, 2), decode_points(points, image_size))


@pytest.mark.parametrize(
    "point, wanted",
    [
        pytest.param([-5, -0.001], [0, 0], id="left and above"),
        pytest.param([0, 0], [0, 0], id="first corner"),
        pytest.param([10, 10], [15, 20], id="inside"),
        pytest.param([640, 480], [999, 999], id="last corner"),
        pytest.param([1e9, 480.1], [999, 999], id="right and below"),
    ],
)
def test_points_outside_are_clamped(point, wanted):
    assert encode_points(point, (640, 480)).tolist() == wanted


def test_the_published_example():
    encoded = encode_boxes([0, 0, 640, 480], (640, 480))
    assert encoded.tolist() == [0, 0, 999, 999]
    assert decode_boxes(encoded, (640, 480)).tolist() == pytest.approx([0.32, 0.24, 639.68, 479.76])


def test_types_and_shapes():
    points = encode_points(np.zeros((0, 3, 2)), (5, 5))
    assert (points.dtype, points.shape) == (np.int64, (0, 3, 2))
    boxes = decode_boxes(np.zeros((2, 4), dtype=int), (5, 5))
    assert (boxes.dtype, boxes.shape) == (np.float64, (2, 4))


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda: encode_boxes([[1, 2, 3]], (800, 1200)), id="three numbers"),
        pytest.param(lambda: encode_points([1, 2, 3], (800, 1200)), id="point of three"),
        pytest.param(lambda: decode_points(5, (800, 1200)), id="a number"),
        pytest.param(lambda: decode_boxes(5, (800, 1200)), id="a number for a box"),
        pytest.param(lambda: encode_points([float("nan"), 1], (8, 8)), id="not a number"),
        pytest.param(lambda: encode_boxes([0, 0, float("inf"), 1], (8, 8)), id="infinite"),
        pytest.param(lambda: location_tokens([1000]), id="bin 1000"),
        pytest.param(lambda: location_tokens([-1]), id="bin -1"),
        pytest.param(lambda: location_tokens([1.5]), id="half a bin"),
    ],
)
def test_what_cannot_be_quantised_is_refused(call):
    with pytest.raises(DataError):
        call()


@pytest.mark.parametrize(
    "image_size",
    [(0, 5), (5, -1), (5,), (5, 5, 5), 5, "55", None, (5.0, 5.0), (float("nan"), 5)],
    ids=repr,
)
def test_image_sizes_are_two_positive_integers(image_size):
    with pytest.raises(DataError, match=re.escape(repr(image_size))):
        check_image_size(image_size)


def test_image_sizes_may_be_numpy_integers():
    width, height = check_image_size(np.array([640, 480]))
    assert (type(width), width, height) == (int, 640, 480)


@given(st.lists(bins))
def test_tokens_name_the_bins(values):
    assert [int(value) for value in re.findall(r"<loc_(\d+)>", location_tokens(values))] == values
