"""Measuring, shortening and wrapping lines, and choosing a font that has the characters."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFont

from florence2.drawing import fonts
from florence2.drawing.fonts import ELLIPSIS, TextRenderer, one_line

words = st.text(st.sampled_from("abcWi文é "), max_size=60)


@given(words, st.integers(30, 300))
def test_shortened_texts_fit_and_keep_the_beginning(text: str, width: int) -> None:
    line = TextRenderer([text], 14)
    shown = line.ellipsized(text, width)
    assert line.width(shown) <= width
    assert shown == text or text.startswith(shown.removesuffix(ELLIPSIS))


@given(words, st.integers(30, 300))
def test_wrapped_lines_fit_and_lose_no_word(text: str, width: int) -> None:
    line = TextRenderer([text], 14)
    lines = line.wrapped(text, width)
    assert all(line.width(shown) <= width for shown in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_line_breaks_are_kept_and_empty_lines_are_not() -> None:
    assert TextRenderer(["abc"], 14).wrapped("a b\n\nc", 500) == ["a b", "c"]


def test_even_a_character_that_is_too_wide_is_shown() -> None:
    line = TextRenderer(["WWW"], 14)
    assert line.wrapped("WW", 1) == ["W", "W"]
    assert line.ellipsized("WWW", 1) == "W" + ELLIPSIS


def test_controls_are_spaces() -> None:
    assert one_line(" a\nb\tc\x00\ud800 ") == "a b c"


def test_plain_texts_are_set_in_the_font_that_comes_with_pillow() -> None:
    assert fonts._family_for("A plain label 0.95") == ""


def test_characters_that_no_font_has_are_drawn_anyway() -> None:
    text = "\U0001f9a3\ue000"
    canvas = Image.new("RGB", (200, 40))
    TextRenderer([text], 20).paint(canvas, text, (5, 20), (255, 255, 255))
    assert canvas.getbbox() is not None


@pytest.fixture
def a_system_font(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose only font, "Other", has the letters of the Greek alphabet alone."""
    own = ImageFont.load_default

    def truetype(family: str, size: int) -> Any:
        if family != "Other":
            raise OSError("cannot open resource")
        return own(size)

    def has(family: str, char: str) -> bool:
        return char.isascii() if family == "" else family == "Other" and "α" <= char <= "ω"

    monkeypatch.setattr(fonts, "SYSTEM_FONTS", ("Missing", "Other"))
    monkeypatch.setattr(fonts.ImageFont, "truetype", truetype)
    monkeypatch.setattr(fonts, "_has", has)


@pytest.mark.usefixtures("a_system_font")
def test_the_first_font_with_all_characters_is_chosen_else_the_one_with_most() -> None:
    assert fonts._family_for("abc") == ""
    assert fonts._family_for("αβγ") == "Other"
    assert fonts._family_for("abcα") == ""
    assert fonts._family_for("aαβγ") == "Other"


def test_a_font_that_is_not_there_has_no_characters() -> None:
    assert not fonts._has("no such font anywhere", "a")
