"""Whether the text of a PDF page can be taken, or its pixels have to be read."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import log

from florence2.documents.pdf import PdfPage
from florence2.pipelines.reading.lines import Line

MAX_UNREADABLE = 0.05
"""Share of characters that say nothing, from which on the text is not taken."""
MIN_LIKELY = 0.5
"""Share of longer words that could be words, below which the letters are taken as wrong ones."""
MIN_JUDGED = 12
"""Longer words that it takes to judge by them."""
MAX_UNPARTED = 0.5
"""Share of letters in words of more than `LONGEST_WORD`, from which on blanks are missing."""
LONGEST_WORD = 40
SCAN_COVER, SCAN_ROWS = 0.5, 0.15
"""A page is a scan with a stamp where pictures cover as much and text less of its height."""
MIN_MEAN_LIKELIHOOD, MIN_LETTERS = -3.35, 100
"""Mean logarithm of how often letters are in European languages; it takes as many to judge.

Texts and code have -2.7 to -3.2, Polish -3.3, letters that are all wrong -3.5 to -4.
"""
# Letters among a thousand, over a dozen languages.
_COUNTS = (
    "a95 b15 c28 d40 e125 f13 g20 h25 i80 j8 k25 l45 m30 n75 o65 p25 q3 r65 s62 t65 u40 v16 w10"
    " x3 y15 z15"
)
_OFTEN = {each[0]: int(each[1:]) for each in _COUNTS.split()}
_LIKELIHOOD = {letter: log(often / sum(_OFTEN.values())) for letter, often in _OFTEN.items()}
_LATIN_WORD = re.compile(r"[^\W\d_]{3,}")
_VOWELS = frozenset("aeiouyàáâãäåæèéêëìíîïòóôõöøœùúûüýÿ")
_MAX_CONSONANTS = re.compile(r"[b-df-hj-np-tv-xzßñç]{6,}")


@dataclass(frozen=True)
class Verdict:
    """What to make of the text of a page.

    Attributes:
        is_good: whether it can be taken; also where there is nothing on the page to be read.
        reason: a few words with numbers, for people.
    """

    is_good: bool
    reason: str


def text_layer_verdict(page: PdfPage) -> Verdict:
    """Tell whether the text of a page is all that is to be read on it, and readable."""
    lines = page.lines()
    cover = page.picture_cover()
    covers = f"pictures cover {_percent(cover)} of the page"
    if not lines:
        if cover > 0:
            return Verdict(False, f"{covers} and there is no text")
        if page.has_drawings():
            return Verdict(False, "there are drawings and no text")
        return Verdict(True, "there is nothing on the page")
    texts = [word.text for line in lines for word in line.words]
    fault = text_fault(texts)
    hidden = sum(len(line.words) for line in lines if line.source == "hidden text layer")
    layer = f"text layer of {len(texts):,} word{'s' * (len(texts) != 1)}"
    if 2 * hidden > len(texts):
        layer = f"{layer}, by another program's OCR"
    if fault:
        return Verdict(False, f"{layer}, {fault}")
    rows = _rows_share(lines, page.height)
    if cover >= SCAN_COVER and rows < SCAN_ROWS and 2 * hidden <= len(texts):
        return Verdict(False, f"{covers} and the {layer} {_percent(rows)} of its height")
    unreadable = unreadable_share(texts)
    return Verdict(True, f"{layer}, {_percent(unreadable)} unreadable")


def text_fault(words: Iterable[str]) -> str:
    """What is wrong with the words of a page, in a few words; nothing where they can be taken.

    >>> text_fault(["the", "text", "of", "a", "page"])
    ''
    >>> text_fault(["\N{REPLACEMENT CHARACTER}7KLV", "LV"])
    '14 % unreadable'
    >>> text_fault(["Contents" + 90 * "." + "3"] * 9)
    ''
    """
    words = list(words)
    unreadable = unreadable_share(words)
    if unreadable > MAX_UNREADABLE:
        return f"{_percent(unreadable)} unreadable"
    # Dots that lead to a page number are no letters, however many stand in a row.
    lengths = [sum(map(str.isalnum, word)) for word in words if _is_latin(word)]
    num_letters = sum(map(len, words))
    long = sum(length for length in lengths if length > LONGEST_WORD)
    if long > MAX_UNPARTED * num_letters and num_letters > 4 * LONGEST_WORD:
        return "with no blanks between words"
    judged = [found for word in words for found in _LATIN_WORD.findall(word) if _is_latin(found)]
    if _are_unlikely(judged):
        return "whose letters make no words"
    likely = sum(map(_could_be_word, judged))
    if len(judged) >= MIN_JUDGED and likely < MIN_LIKELY * len(judged):
        return f"of which {_percent(1 - likely / len(judged))} are no words"
    return ""


def unreadable_share(words: Iterable[str]) -> float:
    """The share of characters that stand for nothing: replaced, private, mistaken bytes.

    >>> unreadable_share(["a\\ue001", "bc"])
    0.25
    """
    letters = "".join(words)
    if not letters:
        return 0.0
    return sum(unicodedata.category(each) in _NOTHING for each in letters) / len(letters) + (
        letters.count("\N{REPLACEMENT CHARACTER}") / len(letters)
    )


_NOTHING = frozenset({"Co", "Cn", "Cc", "Cs"})


def _is_latin(word: str) -> bool:
    return all(ord(letter) < 0x250 for letter in word)


def _are_unlikely(words: Iterable[str]) -> bool:
    """Whether the letters of words are rare ones, as where every letter stands for another."""
    plain = unicodedata.normalize("NFD", "".join(words).lower())
    found = [_LIKELIHOOD[letter] for letter in plain if letter in _LIKELIHOOD]
    return len(found) >= MIN_LETTERS and sum(found) < MIN_MEAN_LIKELIHOOD * len(found)


def _could_be_word(word: str) -> bool:
    """Whether letters are like those of a word of a European language, by vowels and capitals."""
    small = word.lower()
    vowels = sum(letter in _VOWELS for letter in small)
    if not 0.15 * len(word) <= vowels <= 0.8 * len(word) or _MAX_CONSONANTS.search(small):
        return False
    tail = word[1:]
    turns = sum(a.isupper() != b.isupper() for a, b in pairwise(tail))
    return turns <= 2


def _rows_share(lines: Iterable[Line], height: float) -> float:
    """The share of a page's height that lines of text take."""
    taken, end = 0.0, 0.0
    for top, bottom in sorted((line.box[1], line.box[3]) for line in lines):
        taken += max(0.0, bottom - max(top, end))
        end = max(end, bottom)
    return taken / height


def _percent(share: float) -> str:
    """A share for people.

    >>> _percent(0.0023), _percent(0.97), _percent(0)
    ('0.2 %', '97 %', '0 %')
    """
    return f"{100 * share:.1f} %" if 0 < share < 0.0995 else f"{100 * share:.0f} %"
