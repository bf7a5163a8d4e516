"""What stands before the text of a list item or of a heading: bullets and numbers."""

import re
from dataclasses import dataclass

STRONG_BULLETS = "•◦▪‣●○■□∙⁃◆◇➢➤✓✔\uf0b7\uf0a7"
"""Bullets that are nothing else; `-`, `–`, `—`, `*`, `+`, `·` and `o` may be text as well."""

_WEAK_BULLETS = "-–—*+·o−"
_MARKER = re.compile(
    rf"(?P<bullet>[{STRONG_BULLETS}](?=\s*\S)|[{re.escape(_WEAK_BULLETS)}](?=\s+\S))"
    r"|(?P<number>\(\d{1,3}\)|\[\d{1,3}\]|\d{1,3}[.)])(?=\s+\S)"
    r"|(?P<letter>\([a-zA-Z]\)|[a-zA-Z][.)])(?=\s+\S)"
    r"|(?P<roman>\([ivxl]{2,6}\)|[ivxl]{2,6}[.)])(?=\s+\S)",
)
_NUMBERED = re.compile(
    r"(?P<parts>(?:\d{1,3}|[A-Z](?=\.\d))(?:\.\d{1,3})*)(?P<dot>\.?)\s+(?=[^\W\d_])"
    r"|(?P<word>(?i:chapter|appendix|part|section|annex|kapitel|anhang|teil|chapitre|capítulo))"
    r"\s+(?P<of>\d+(?:\.\d+)*|[A-Z]|[IVXLC]+)\b(?=[.:]?(\s|$))"
)
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50}


@dataclass(frozen=True)
class Marker:
    """What an item begins with.

    Attributes:
        text: as printed.
        kind: of the same list have the same: the bullet, or what is round the number and its sort.
        value: the number, 0 of a bullet.
        is_sure: whether it can be nothing else.
    """

    text: str
    kind: str
    value: int = 0
    is_sure: bool = False


def markers_of(text: str) -> list[Marker]:
    """The markers that a line may begin with: two for "i.", a letter and a number, none for prose.

    >>> [marker.kind for marker in markers_of("(c) third")]
    ['(a)']
    >>> [marker.kind for marker in markers_of("i. first")]
    ['a.', 'i.']
    """
    match = _MARKER.match(text)
    if match is None:
        return []
    found = match.group()
    if match["bullet"]:
        return [Marker(found, found, is_sure=found in STRONG_BULLETS)]
    core = found.strip("()[].")
    before, after = found[: found.index(core)], found[found.index(core) + len(core) :]
    if match["number"]:
        return [Marker(found, f"{before}1{after}", int(core))]
    kinds = []
    if match["letter"]:
        case = "a" if core.islower() else "A"
        kinds.append(Marker(found, f"{before}{case}{after}", ord(core) - ord(case) + 1))
    if set(core) <= set(_ROMAN):
        kinds.append(Marker(found, f"{before}i{after}", _roman(core)))
    return kinds


def _roman(text: str) -> int:
    values = [_ROMAN[letter] for letter in text]
    return sum(
        -value if any(value < other for other in values[place + 1 :]) else value
        for place, value in enumerate(values)
    )


def numbered_level(text: str) -> tuple[int, bool]:
    """The depth of a numbered heading, 0 if it has no number, and whether it can be a list item.

    >>> numbered_level("2.3 Results"), numbered_level("Chapter 4"), numbered_level("1. Milk")
    ((2, False), (1, False), (1, True))
    """
    match = _NUMBERED.match(text)
    if match is None:
        return 0, False
    if match["word"]:
        return min(match["of"].count(".") + 1, 6), False
    depth = match["parts"].count(".") + 1
    return min(depth, 6), depth == 1 and bool(match["dot"])
