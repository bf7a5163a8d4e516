"""The little English that template captions need: plurals, articles, numbers, lists."""

from collections.abc import Sequence

NUMBER_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
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
    number = NUMBER_WORDS[count] if count < len(NUMBER_WORDS) else str(count)
    return f"{number} {plural(counted)}{rest}"


def join_phrases(phrases: Sequence[str]) -> str:
    """Join phrases as an English list.

    >>> join_phrases(["a cat"]), join_phrases(["a cat", "a dog", "two keys"])
    ('a cat', 'a cat, a dog and two keys')
    """
    if len(phrases) < 2:
        return "".join(phrases)
    return f"{', '.join(phrases[:-1])} and {phrases[-1]}"
