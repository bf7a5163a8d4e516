"""Outlines compared pixel by pixel."""

import numpy as np
import pytest

from florence2.evaluation.masks import mask_overlap
from florence2.geometry import box_to_quad
from florence2.results import Polygons


def squares(*instances: list[tuple[float, ...]]) -> Polygons:
    parts = tuple(tuple(box_to_quad(box) for box in instance) for instance in instances)
    return Polygons(parts, ("",) * len(parts), image_size=(100, 80))


@pytest.mark.parametrize(
    ("found", "truth", "common", "either"),
    [
        pytest.param(squares(), squares(), 0, 0, id="nothing"),
        pytest.param(squares(), squares([(0, 0, 10, 10)]), 0, 100, id="missed"),
        pytest.param(squares([(0, 0, 10, 10)]), squares([(5, 0, 15, 10)]), 50, 150, id="third"),
        pytest.param(
            squares([(0, 0, 10, 10), (20, 0, 30, 10)]),
            squares([(0, 0, 10, 10)], [(20, 0, 30, 10)]),
            200, 200, id="parts or instances",
        ),
        pytest.param(
            squares([(0, 0, 10, 10)], [(0, 0, 10, 10)]), squares([(0, 0, 10, 10)]),
            100, 100, id="said twice",
        ),
    ],
)  # fmt: skip
def test_pixels_are_counted_once(
    found: Polygons, truth: Polygons, common: int, either: int
) -> None:
    assert mask_overlap(found, truth) == (common, either)


def test_a_part_of_two_points_has_no_pixels() -> None:
    line = Polygons(((np.array([[0.0, 0], [9, 9]]),),), ("",), image_size=(100, 80))
    assert mask_overlap(line, squares()) == (0, 0)
