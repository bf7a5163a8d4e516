"""Reading measured in characters."""

import pytest

from florence2.evaluation.text import character_error_rate


@pytest.mark.parametrize(
    ("pairs", "rate"),
    [
        pytest.param([], 0.0, id="nothing"),
        pytest.param([("abc", "abc")], 0.0, id="right"),
        pytest.param([("", "abcd")], 1.0, id="unread"),
        pytest.param([("abd", "abc"), ("x", "x")], 0.25, id="weighted by length"),
        pytest.param([("abcdef", "abc")], 1.0, id="babble counts"),
    ],
)
def test_character_error_rate(pairs: list[tuple[str, str]], rate: float) -> None:
    assert character_error_rate(pairs) == rate
