"""Captions are short, but they are English."""

import pytest

from florence2_lab.worlds.english import count_phrase, join_phrases, plural, with_article


@pytest.mark.parametrize(
    ("noun", "wanted"),
    [
        ("cat", "cats"),
        ("bus", "buses"),
        ("box", "boxes"),
        ("strawberry", "strawberries"),
        ("key", "keys"),
        ("fish", "fish"),
        ("red loaf", "red loaves"),
    ],
)
def test_plurals(noun: str, wanted: str) -> None:
    assert plural(noun) == wanted


@pytest.mark.parametrize(
    ("phrase", "wanted"),
    [("apple", "an apple"), ("red apple", "a red apple"), ("unicorn", "a unicorn")],
)
def test_articles(phrase: str, wanted: str) -> None:
    assert with_article(phrase) == wanted


@pytest.mark.parametrize(
    ("count", "noun", "adjective", "wanted"),
    [
        (1, "cat", None, "a cat"),
        (1, "apple", "orange", "an orange apple"),
        (3, "cat", "black", "three black cats"),
        (12, "key", None, "12 keys"),
        (1, "bread", None, "a loaf of bread"),
        (2, "grapes", "green", "two bunches of green grapes"),
        (1, "scissors", "red", "a pair of red scissors"),
    ],
)
def test_counting(count: int, noun: str, adjective: str | None, wanted: str) -> None:
    assert count_phrase(count, noun, adjective) == wanted


@pytest.mark.parametrize(
    ("phrases", "wanted"),
    [
        ([], ""),
        (["a cat"], "a cat"),
        (["a cat", "a dog"], "a cat and a dog"),
        (["a cat", "a dog", "a key"], "a cat, a dog and a key"),
    ],
)
def test_lists(phrases: list[str], wanted: str) -> None:
    assert join_phrases(phrases) == wanted
