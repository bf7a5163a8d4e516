"""Read text against true text."""

import unicodedata
from collections import Counter
from collections.abc import Iterable

from florence2.errors import ConfigError

# Printers and text layers write one of these where readers write the other: no error of reading.
# fmt: off
LOOK_ALIKES = str.maketrans({
    "\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl",
    "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u02bc": "'", "`": "'", "\u00b4": "'",
    "\u201c": '"', "\u201d": '"', "\u201e": '"',
    "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-", "\u2212": "-",
    "\u00ad": "", "\u2026": "...", "\u00a0": " ", "\u2022": "\u00b7",
})
# fmt: on


def composed(text: str) -> str:
    """A text or name in the form in which it is compared: Unicode's composed one (NFC).

    >>> composed("e\u0301") == "\u00e9"
    True
    """
    return unicodedata.normalize("NFC", text)


def normalized(text: str) -> str:
    """Spell ligatures, quotes, hyphens, white space and accents (Unicode's NFC) in one way.

    >>> normalized("\u201cthe \ufb01rst\u201d\\nof  two")
    '"the first" of two'
    """
    return " ".join(composed(text).translate(LOOK_ALIKES).split())


def edit_distance(read: str, truth: str) -> int:
    """Count the characters to insert, delete or replace.

    >>> edit_distance("kitten", "sitting")
    3
    """
    try:
        from rapidfuzz.distance import Levenshtein
    except ImportError:
        raise ConfigError(
            "to count errors of reading needs rapidfuzz; pip install 'florence2[eval]'"
        ) from None
    return Levenshtein.distance(read, truth)


def character_error_rate(pairs: Iterable[tuple[str, str]]) -> float | None:
    """Edits needed over all `(read, truth)` pairs, as a share of the true characters.

    None where nothing is to be read. Texts are compared in Unicode's composed form.
    """
    edits = characters = 0
    for pair in pairs:
        read, truth = map(composed, pair)
        edits += edit_distance(read, truth)
        characters += len(truth)
    return edits / characters if characters else None


def common_words(told: str, truth: str) -> tuple[int, int, int]:
    """Count words in common, told and true, whatever their order and case.

    >>> common_words("A cat, a dog", "a dog")
    (2, 4, 2)
    """
    first, second = (Counter(_words(text)) for text in (told, truth))
    return (first & second).total(), first.total(), second.total()


def _words(text: str) -> list[str]:
    stripped = (word.strip(".,;:!?\"'()") for word in normalized(text).lower().split())
    return [word for word in stripped if word]
