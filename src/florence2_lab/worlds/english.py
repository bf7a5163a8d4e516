"""The little English that template captions need: plurals, articles, numbers, lists."""

from collections.abc import Sequence

NUMBER_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
# Nouns that are not counted by themselves, with the unit that is.
UNITS = {"bread": "loaf", "corn": "ear", "grapes": "bunch", "scissors": "pair"}
IRREGULAR_PLURALS = {"fish": "fish", "loaf": "loaves"}
VOWELS = "aeiou"
VOWELS_THAT_SOUND_LIKE_CONSONANTS = ("uni", "use", "eu", "one")


def plural(noun: str) -> str:
    """Return the plural of a lowercase noun phrase (its last word is inflected).

    >>> [plural(noun) for noun in ("cat", "bus", "strawberry", "fish", "teddy bear")]
    ['cats', 'buses', 'strawberries', 'fish', 'teddy bears']
    """
    *words, last = noun.split(" ")
    if last in IRREGULAR_PLURALS:
        last = IRREGULAR_PLURALS[last]
    elif last.endswith(("s", "x", "z", "ch", "sh")):
        last += "es"
    elif last.endswith("y") and last[-2:-1] not in VOWELS:
        last = last[:-1] + "ies"
    else:
        last += "s"
    return " ".join([*words, last])


def with_article(phrase: str) -> str:
    """Put the indefinite article before a noun phrase.

    >>> [with_article(phrase) for phrase in ("red apple", "apple", "unicorn")]
    ['a red apple', 'an apple', 'a unicorn']
    """
    starts_with_vowel = phrase[:1] in VOWELS
    if starts_with_vowel and not phrase.startswith(VOWELS_THAT_SOUND_LIKE_CONSONANTS):
        return f"an {phrase}"
    return f"a {phrase}"


def count_phrase(count: int, noun: str, adjective: str | None = None) -> str:
    """Say how many of something there are.

    >>> count_phrase(1, "apple", "red"), count_phrase(2, "bus"), count_phrase(2, "grapes", "green")
    ('a red apple', 'two buses', 'two bunches of green grapes')
    """
    unit = UNITS.get(noun)
    described = f"{adjective} {noun}" if adjective else noun
    counted, rest = (unit, f" of {described}") if unit else (described, "")
    if count == 1:
        return with_article(counted) + rest
    return f"{number_word(count)} {plural(counted)}{rest}"


def noun_phrase(noun: str, *, size: str = "", colour: str = "", count: int = 1) -> str:
    """Name something without an article, its size before its colour.

    >>> noun_phrase("apple", size="small", colour="red"), noun_phrase("grapes", size="large")
    ('small red apple', 'large bunch of grapes')
    """
    described = f"{colour} {noun}".strip()
    unit = UNITS.get(noun)
    counted = f"{size} {unit or described}".strip()
    if count != 1:
        counted = plural(counted)
    return f"{counted} of {described}" if unit else counted


def number_word(number: int) -> str:
    """Write a small number in words.

    >>> number_word(3), number_word(12)
    ('three', '12')
    """
    return NUMBER_WORDS[number] if number < len(NUMBER_WORDS) else str(number)


def sentence(words: str) -> str:
    """Start with a capital letter and end with a full stop.

    >>> sentence("a cat sits on the left")
    'A cat sits on the left.'
    """
    return f"{words[:1].upper()}{words[1:]}."


def join_phrases(phrases: Sequence[str]) -> str:
    """Join phrases as an English list.

    >>> join_phrases(["a cat"]), join_phrases(["a cat", "a dog", "two keys"])
    ('a cat', 'a cat, a dog and two keys')
    """
    if len(phrases) < 2:
        return "".join(phrases)
    return f"{', '.join(phrases[:-1])} and {phrases[-1]}"
