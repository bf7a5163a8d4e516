"""Words that people ask by against words that a model read: how alike they are."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

LOOK_ALIKE = 0.4  # what it costs to read one of a group for another; 1 otherwise
_GROUPS = ["0oq", "1lijt", "5s", "2z", "8b", "6g", "rn", "mn", "vuy", "ce", "ft", "hb", "ao"]
_ALIKE = frozenset((one, other) for group in _GROUPS for one in group for other in group)
# What people call parts of a screen, by what the part is.
KINDS = {
    "button": "button", "btn": "button", "link": "link", "tab": "tab", "menu": "menu",
    "item": "menu", "option": "menu", "entry": "menu", "field": "field", "input": "field",
    "box": "field", "textbox": "field", "dropdown": "field", "select": "field",
    "checkbox": "label", "label": "label", "icon": "icon", "symbol": "icon", "logo": "icon",
}  # fmt: skip
_FIRST_HALVES = {("menu", "menu"), ("radio", "button"), ("check", "field"), ("drop", "field")} | {
    (word, "field") for word in ("text", "input", "select", "combo", "entry")
}
_ORDERS = re.compile(
    r"^(?:please\s+)?(?:(?:click|press|tap|select|choose|open|hit|find|locate)\s+)(?:on\s+)?", re.I
)


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    Attributes:
        text: all the words, folded.
        core: without those that give an order or only say what kind of part it is; empty if
            nothing is left.
        kind: "button", "link", "tab", "menu", "field", "label", "icon", or empty.
    """

    text: str
    core: str
    kind: str


def folded(text: str) -> str:
    """Small letters and digits only, without accents, one blank between words.

    >>> folded("Élan, Café-Bar!")
    'elan cafe bar'
    """
    plain = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(char for char in plain if not unicodedata.combining(char))
    return " ".join(re.findall(r"[^\W_]+", letters))


def parse_wanted(words: str) -> Wanted:
    """Tell what a question names from what it says about the kind of part.

    >>> parse_wanted("the 'Sign in' button")
    Wanted(text='the sign in button', core='sign in', kind='button')
    """
    named = re.sub(r"^(?:the|an?)\s+", "", _ORDERS.sub("", words.strip()), flags=re.I)
    core, kind = folded(named).split(), ""
    if core and core[-1] in KINDS:  # once: a "link icon" shows a link
        kind = KINDS[core.pop()]
        if core and (core[-1], kind) in _FIRST_HALVES:
            core.pop()
        if len(core) > 1 and kind == "button" and core[-1] == "icon":
            kind = KINDS[core.pop()]
    return Wanted(folded(words), " ".join(core), kind)


def similarity(read: str, wanted: str) -> float:
    """In [0, 1], 1 of equal texts; blanks do not count, as readers lose and invent them.

    Both texts are folded. Signs that readers take for each other count less.

    >>> similarity("sign in", "signin"), similarity("s1gn in", "sign in") > 0.9
    (1.0, True)
    """
    one, other = read.replace(" ", ""), wanted.replace(" ", "")
    if one == other:
        return 1.0 if one else 0.0
    longest = max(len(one), len(other))
    if not one or not other or abs(len(one) - len(other)) > 0.5 * longest:
        return 0.0
    return max(0.0, 1.0 - edit_cost(one, other) / longest)


def edit_cost(read: str, truth: str) -> float:
    """Characters to insert, delete or replace; look-alikes cost less to replace.

    >>> edit_cost("0k", "ok"), edit_cost("kitten", "sitting")
    (0.4, 3.0)
    """
    row = [float(number) for number in range(len(truth) + 1)]
    for place, sign in enumerate(read, start=1):
        above, row[0] = row[0], float(place)
        for number, wanted in enumerate(truth, start=1):
            cost = 0.0 if sign == wanted else LOOK_ALIKE if (sign, wanted) in _ALIKE else 1.0
            above, row[number] = (
                row[number],
                min(above + cost, row[number] + 1.0, row[number - 1] + 1.0),
            )
    return row[-1]


def best_span(words: Sequence[str], wanted: str) -> tuple[float, int, int]:
    """The words in a row that are most like what is wanted: likeness, first, end (excluded).

    Args:
        words: folded; one that is empty was punctuation alone.
    """
    count = len(wanted.split())
    best = 0.0, 0, 0
    for first in range(len(words)):
        for end in range(first + 1, min(len(words), first + count + 2) + 1):
            likeness = similarity(" ".join(words[first:end]), wanted)
            if likeness > best[0]:
                best = likeness, first, end
    return best
