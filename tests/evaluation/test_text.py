"""Reading measured in characters."""

import sys

import pytest

from florence2.errors import ConfigError
from florence2.evaluation.text import character_error_rate, common_words, normalized


@pytest.mark.parametrize(
    ("pairs", "rate"),
    [
        pytest.param([], None, id="nothing"),
        pytest.param([("abc", "")], None, id="nothing to read"),
        pytest.param([("cafe\u0301", "caf\u00e9")], 0.0, id="accents"),
        pytest.param([("abc", "abc")], 0.0, id="right"),
        pytest.param([("", "abcd")], 1.0, id="unread"),
        pytest.param([("abd", "abc"), ("x", "x")], 0.25, id="weighted by length"),
        pytest.param([("abcdef", "abc")], 1.0, id="babble counts"),
    ],
)
def test_character_error_rate(pairs: list[tuple[str, str]], rate: float | None) -> None:
    assert character_error_rate(pairs) == rate


def test_without_rapidfuzz_reading_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidfuzz.distance", None)
    with pytest.raises(ConfigError, match=r"needs rapidfuzz; pip install 'florence2\[eval\]'"):
        character_error_rate([("a", "b")])


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        pytest.param("", "", id="nothing"),
        pytest.param(" a \n b\u00a0c ", "a b c", id="white space"),
        pytest.param("\u201eo\ufb03ce\u201d", '"office"', id="quotes and ligature"),
        pytest.param("1\u20132 \u2212 x\u00ady", "1-2 - xy", id="hyphens"),
        pytest.param("cafe\u0301", "caf\u00e9", id="accents"),
        pytest.param("Straße €5", "Straße €5", id="others stay"),
    ],
)
def test_look_alikes_are_spelt_in_one_way(text: str, spelt: str) -> None:
    assert normalized(text) == spelt


def test_common_words_are_counted_as_often_as_both_have_them() -> None:
    assert common_words("The cat, the cat!", "the cat") == (2, 4, 2)
    assert common_words("", "") == (0, 0, 0)
