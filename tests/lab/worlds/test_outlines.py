"""An outline covers its mask, in few points, in the order that Florence-2 writes them."""

import cv2
import numpy as np
import pytest

from florence2.geometry import polygon_area, rasterize
from florence2_lab.worlds.kit import Kit
from florence2_lab.worlds.outlines import MAX_POINTS, MIN_IOU, Polygon, outline
from florence2_lab.worlds.scenes import SceneOptions, scene

CROWDED = SceneOptions(min_objects=3, max_objects=6, min_size=0.25, max_size=0.8)


def covered(parts: tuple[Polygon, ...], shape: tuple[int, int]) -> np.ndarray:
    """The pixels whose centres lie in a part, asked of OpenCV one by one."""
    return np.array(
        [
            [
                any(
                    cv2.pointPolygonTest(part.astype(np.float32), (x + 0.5, y + 0.5), False) >= 0
                    for part in parts
                )
                for x in range(shape[1])
            ]
            for y in range(shape[0])
        ]
    )


def iou(first: np.ndarray, second: np.ndarray) -> float:
    return np.count_nonzero(first & second) / np.count_nonzero(first | second)


def disc(side: int, radius: float) -> np.ndarray:
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return np.hypot(x, y) <= radius


RING = disc(60, 28) & ~disc(60, 14)
TWO = np.zeros((60, 60), bool)
TWO[5:20, 5:50] = TWO[35:55, 20:30] = True
NET = np.kron(np.ones((3, 3), bool), np.pad(np.zeros((10, 10), bool), 5, constant_values=True))


@pytest.mark.parametrize(
    ("mask", "parts"),
    [
        pytest.param(disc(60, 28), 1, id="disc"),
        pytest.param(RING, 2, id="ring"),
        pytest.param(TWO, 2, id="split"),
        pytest.param(NET, None, id="net"),
        pytest.param(disc(3, 0.1), 1, id="one pixel"),
        pytest.param(np.eye(9, dtype=bool), 9, id="pixels that touch at corners"),
        pytest.param(np.ones((4, 7), bool), 1, id="all"),
        pytest.param(np.ones((1, 30), bool), 1, id="thin"),
    ],
)
def test_the_parts_together_cover_the_mask(mask: np.ndarray, parts: int | None) -> None:
    found = outline(mask)
    assert parts is None or len(found) == parts
    assert iou(covered(found, mask.shape), mask) >= MIN_IOU  # type: ignore[arg-type]


def test_the_outline_of_a_rectangle_is_its_corners() -> None:
    assert [part.tolist() for part in outline(TWO)] == [
        [[5, 5], [50, 5], [50, 20], [5, 20]],
        [[20, 35], [30, 35], [30, 55], [20, 55]],
    ]


def test_specks_are_left_out() -> None:
    mask = disc(60, 20)
    mask[0, 0] = True
    assert len(outline(mask)) == 1


def test_outlines_of_scenes_cover_what_is_seen(kit: Kit) -> None:
    for index in range(20):
        made = scene(kit, 3, index, side=128, options=CROWDED)
        for number in range(len(made.objects)):
            mask = made.mask(number)
            parts = outline(mask)
            assert iou(rasterize(parts, (128, 128)), mask) >= MIN_IOU
            assert all(3 <= len(part) <= MAX_POINTS for part in parts)
            assert all(len(np.unique(part, axis=0)) == len(part) for part in parts)


def test_parts_run_clockwise_from_the_topmost_leftmost_point_large_ones_first(kit: Kit) -> None:
    for index in range(10):
        made = scene(kit, 4, index, side=128, options=CROWDED)
        for number in range(len(made.objects)):
            parts = outline(made.mask(number))
            areas = [float(polygon_area(part)) for part in parts]
            assert areas == sorted(areas, reverse=True)
            for part in parts:
                x, y = part.T
                assert np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) > 0
                assert tuple(part[0][::-1]) == min(zip(y, x, strict=True))
