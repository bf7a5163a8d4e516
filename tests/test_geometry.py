"""Areas, overlaps and conversions of boxes, quads and polygons."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from florence2 import geometry
from florence2.geometry import (
    bounding_box,
    box_area,
    box_iou,
    box_to_quad,
    clip_boxes,
    clip_points,
    polygon_area,
    rasterize,
)

coordinates = st.integers(-50, 50).map(float)
boxes = st.lists(st.tuples(*[coordinates] * 4), max_size=4).map(
    lambda rows: np.array(rows, dtype=float).reshape(-1, 4)
)
ordered_boxes = boxes.map(
    lambda rows: np.concatenate(
        [np.minimum(rows[:, :2], rows[:, 2:]), np.maximum(rows[:, :2], rows[:, 2:])], axis=1
    )
)


def test_doctests():
    assert doctest.testmod(geometry).failed == 0


@pytest.mark.parametrize(
    "a, b, iou",
    [
        pytest.param([0, 0, 2, 2], [0, 0, 2, 2], 1.0, id="same"),
        pytest.param([0, 0, 2, 2], [2, 0, 4, 2], 0.0, id="touching"),
        pytest.param([0, 0, 2, 2], [5, 5, 6, 6], 0.0, id="apart"),
        pytest.param([0, 0, 4, 4], [1, 1, 3, 3], 0.25, id="inside"),
        pytest.param([0, 0, 2, 2], [1, 0, 3, 2], 1 / 3, id="half"),
        pytest.param([1, 1, 1, 1], [1, 1, 1, 1], 0.0, id="no area"),
        pytest.param([4, 4, 0, 0], [0, 0, 4, 4], 0.0, id="wrong order"),
    ],
)
def test_iou(a, b, iou):
    assert box_iou([a], [b]).item() == pytest.approx(iou)


@pytest.mark.parametrize("count_a, count_b", [(0, 0), (0, 3), (3, 0)])
def test_iou_of_no_boxes_keeps_its_shape(count_a, count_b):
    iou = box_iou(np.zeros((count_a, 4)), np.zeros((count_b, 4)))
    assert iou.shape == (count_a, count_b)


@given(boxes, boxes)
def test_iou_is_symmetric_and_between_0_and_1(a, b):
    iou = box_iou(a, b)
    assert np.array_equal(iou, box_iou(b, a).T)
    assert ((iou >= 0) & (iou <= 1)).all()


@given(ordered_boxes)
def test_a_box_and_its_quad_have_the_same_area_and_bounding_box(rows):
    quads = box_to_quad(rows)
    assert np.array_equal(polygon_area(quads), box_area(rows))
    assert np.array_equal(bounding_box(quads), rows)


@given(st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=8), coordinates)
def test_polygon_area_ignores_direction_start_and_place(points, shift):
    polygon = np.array(points)
    area = polygon_area(polygon)
    assert polygon_area(polygon[::-1]) == pytest.approx(area)
    assert polygon_area(np.roll(polygon, 1, axis=0)) == pytest.approx(area)
    assert polygon_area(polygon + shift) == pytest.approx(area)


@pytest.mark.parametrize("count", [1, 2])
def test_points_and_lines_have_no_area(count):
    assert polygon_area(np.ones((count, 2)) * [[1, 2]]) == 0


def test_the_area_of_a_quad_counts_its_closing_edge():
    """Both other implementations leave the last edge out and take 15,000 here."""
    assert polygon_area([[100, 100], [200, 100], [200, 200], [100, 200]]) == 10_000


@given(boxes)
def test_clipped_boxes_lie_in_the_image(rows):
    clipped = clip_boxes(rows, (30, 20))
    assert ((clipped >= 0) & (clipped <= [30, 20, 30, 20])).all()
    assert np.array_equal(clip_boxes(clipped, (30, 20)), clipped)


def test_points_inside_are_left_alone():
    points = np.array([[0.0, 0.0], [30.0, 20.0], [1.5, 2.5]])
    assert np.array_equal(clip_points(points, (30, 20)), points)


@given(st.lists(st.tuples(*[st.floats(-5, 35)] * 2), min_size=3, max_size=3))
def test_the_pixels_of_a_triangle_lie_on_one_side_of_all_its_edges(points: list) -> None:
    corners = np.array(points)
    y, x = np.mgrid[:30, :30] + 0.5
    sides = [
        (bx - ax) * (y - ay) - (by - ay) * (x - ax)
        for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True)
    ]
    inside = np.all(np.array(sides) > 1e-6, axis=0) | np.all(np.array(sides) < -1e-6, axis=0)
    unsure = np.any(np.abs(sides) <= 1e-6, axis=0)
    assert np.array_equal(rasterize([corners], (30, 30)) & ~unsure, inside & ~unsure)
