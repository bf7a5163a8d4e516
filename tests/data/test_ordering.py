"""Objects are put into the order in which the model writes them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from florence2.data.ordering import canonical, clockwise
from florence2.errors import AnswerError
from florence2.geometry import polygon_area
from florence2.results import Boxes, Mixed, Polygons, Quads, Text
from florence2.tasks import Task

SIZE = (100, 100)
SMALL, MIDDLE, LARGE = (0, 0, 1, 1), (0, 0, 5, 5), (0, 0, 9, 9)


def boxes(*rows: tuple[str, tuple[int, int, int, int]], scores=None) -> Boxes:
    xyxy = np.array([box for _, box in rows], dtype=float).reshape(-1, 4)
    return Boxes(xyxy, tuple(label for label, _ in rows), scores, image_size=SIZE)


def square(x: float, side: float) -> np.ndarray:
    return np.array([[x, 0], [x + side, 0], [x + side, side], [x, side]], dtype=float)


@pytest.mark.parametrize(
    ("task", "given_rows", "wanted"),
    [
        pytest.param(Task.OD, [], [], id="nothing"),
        pytest.param(
            Task.OD,
            [("bus", SMALL), ("bus", LARGE), ("ant", SMALL), ("Cat", SMALL)],
            [("ant", SMALL), ("bus", LARGE), ("bus", SMALL), ("Cat", SMALL)],
            id="classes by alphabet",
        ),
        pytest.param(
            Task.REGION_PROPOSAL,
            [("", SMALL), ("", LARGE), ("", MIDDLE)],
            [("", LARGE), ("", MIDDLE), ("", SMALL)],
            id="proposals by area",
        ),
        pytest.param(
            Task.DENSE_REGION_CAPTION,
            [("a", MIDDLE), ("b", SMALL), ("b", LARGE)],
            [("b", LARGE), ("b", SMALL), ("a", MIDDLE)],
            id="dense captions by their largest box",
        ),
        pytest.param(
            Task.CAPTION_TO_PHRASE_GROUNDING,
            [("b", SMALL), ("a", LARGE), ("b", MIDDLE)],
            [("b", MIDDLE), ("b", SMALL), ("a", LARGE)],
            id="phrases as given",
        ),
    ],
)
def test_boxes_follow_the_task(task, given_rows, wanted) -> None:
    assert canonical(boxes(*given_rows), task) == boxes(*wanted)


def test_scores_go_with_their_boxes() -> None:
    ordered = canonical(boxes(("b", SMALL), ("a", SMALL), scores=(0.25, None)), Task.OD)
    assert ordered == boxes(("a", SMALL), ("b", SMALL), scores=(None, 0.25))


def test_objects_and_their_parts_go_from_large_to_small() -> None:
    small, parts = (square(0, 2),), (square(0, 1), square(5, 4))
    polygons = Polygons((small, parts), ("", ""), (0.5, 0.75), image_size=SIZE)
    ordered = canonical(polygons, Task.REGION_TO_SEGMENTATION)
    wanted = Polygons((parts[::-1], small), ("", ""), (0.75, 0.5), image_size=SIZE)
    assert ordered == wanted


def test_open_vocabulary_answers_are_ordered_on_both_sides() -> None:
    polygons = Polygons(((square(0, 1),), (square(0, 2),)), ("a", "a"), image_size=SIZE)
    mixed = Mixed(boxes(("a", SMALL), ("a", LARGE)), polygons, image_size=SIZE)
    ordered = canonical(mixed, Task.OPEN_VOCABULARY_DETECTION)
    assert isinstance(ordered, Mixed)
    assert ordered.boxes == boxes(("a", LARGE), ("a", SMALL))
    assert [len(parts) for parts in ordered.polygons.polygons] == [1, 1]
    assert ordered.polygons.polygons[0][0].max() == 2


@pytest.mark.parametrize(
    ("task", "result"),
    [
        pytest.param(Task.CAPTION, Text("b a", image_size=SIZE), id="text"),
        pytest.param(
            Task.OCR_WITH_REGION,
            Quads(np.array([square(5, 1), square(0, 9)]), ("b", "a"), image_size=SIZE),
            id="quads",
        ),
    ],
)
def test_texts_keep_their_order(task, result) -> None:
    assert canonical(result, task) is result


def test_a_result_of_another_task_is_refused() -> None:
    with pytest.raises(AnswerError, match="<CAPTION>"):
        canonical(boxes(), Task.CAPTION)


@given(st.integers(0, 3), st.booleans())
def test_a_polygon_starts_at_the_top_left_and_runs_clockwise(shift: int, turned: bool) -> None:
    wanted = np.array([[1.0, 1.0], [6.0, 0.0], [7.0, 8.0], [0.0, 9.0]])
    mixed = np.roll(wanted, shift, axis=0)
    assert clockwise(mixed[::-1] if turned else mixed).tolist() == wanted.tolist()


points = st.lists(
    st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=3, max_size=8, unique=True
)


@given(points)
def test_turning_a_polygon_twice_changes_nothing_and_keeps_its_area(corners) -> None:
    polygon = np.array(corners, dtype=float)
    turned = clockwise(polygon)
    assert clockwise(turned).tolist() == turned.tolist()
    assert polygon_area(turned) == pytest.approx(polygon_area(polygon))
    assert sorted(turned.tolist()) == sorted(polygon.tolist())
