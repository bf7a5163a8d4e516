"""Lines cut into words."""

import numpy as np
import pytest

from florence2.evaluation.words import as_high_as_line, words_of
from florence2.geometry import box_to_quad
from florence2.results import Quads


def lines(*rows: tuple[str, tuple[float, ...]]) -> Quads:
    quads = np.array([box_to_quad(box) for _, box in rows]).reshape(-1, 4, 2)
    return Quads(quads, tuple(text for text, _ in rows), image_size=(200, 100))


@pytest.mark.parametrize(
    ("text", "words", "edges"),
    [
        pytest.param("", [], [], id="nothing"),
        pytest.param("  ", [], [], id="blank"),
        pytest.param("word", ["word"], [(0, 100)], id="one"),
        pytest.param("ab cde fgh", ["ab", "cde", "fgh"], [(0, 20), (30, 60), (70, 100)], id="3"),
        pytest.param("ab\ncdefg", ["ab", "cdefg"], [(0, 25), (37.5, 100)], id="line break"),
        pytest.param(" ab  cd ", ["ab", "cd"], [(0, 40), (60, 100)], id="more blanks"),
        pytest.param("“\ufb01x”", ['"fix"'], [(0, 100)], id="ligature"),
    ],
)  # fmt: skip
def test_a_line_is_cut_in_proportion_to_its_characters(
    text: str, words: list[str], edges: list[tuple[float, float]]
) -> None:
    found = words_of(lines((text, (0, 10, 100, 30))))
    assert list(found.labels) == words
    wanted = [[left, 10, right, 30] for left, right in edges]
    np.testing.assert_allclose(found.xyxy, np.array(wanted).reshape(-1, 4))


def test_a_slanting_line_gives_slanting_words() -> None:
    quad = np.array([[0.0, 0], [100, 10], [100, 30], [0, 20]])
    found = words_of(Quads(quad[None], ("ab cd",), image_size=(200, 100)))
    np.testing.assert_allclose(found.xyxy, [[0, 0, 40, 24], [60, 6, 100, 30]])


def test_a_word_gets_the_height_of_its_line() -> None:
    line, word = box_to_quad([0.0, 0, 100, 20]), box_to_quad([10.0, 8, 30, 14])
    np.testing.assert_allclose(as_high_as_line(word, line), box_to_quad([10.0, 0, 30, 20]))
