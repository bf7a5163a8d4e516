"""Text as Markdown that a CommonMark parser gives back as that text, escaped only where it must be.

The rules are those of CommonMark 0.31 and of GitHub's tables, struck out text and task lists.
"""

import re
import string
import unicodedata
from itertools import pairwise

_PUNCTUATION = frozenset(string.punctuation)
_SPACE = frozenset(" \t\n")

# Marks within a line. A backslash before a letter, a lonely bracket, a `<` or `&` that begins
# nothing are text already.
_ALWAYS = re.compile(
    r"""`                                           # code
    |\](?=\()                                       # the middle of a link
    |<(?=[A-Za-z/!?]|[^\s<>]*@)                     # HTML, an address
    |&(?=[#][0-9]{1,7};|[#][xX][0-9A-Fa-f]{1,6};|[A-Za-z][A-Za-z0-9]*;)
    |\\(?![^\W_]|[^\x00-\x7f])""",
    re.VERBOSE,
)
_RUNS = re.compile(r"\*+|_+|~+")
# What a line must not begin with; the mark is at the group or at the start.
_STARTS = re.compile(
    r"""[#]{1,6}(?=[ \t]|$)
    |>
    |[-+*](?=[ \t]|$)
    |(?P<rule>[-*_])(?:[ \t]*(?P=rule)){2,}[ \t]*$
    |[0-9]{1,9}(?P<mark>[.)])(?=[ \t]|$)
    |~~~""",
    re.VERBOSE,
)
# And one below another line of its paragraph: what makes that a heading or the head of a table.
_BELOW = re.compile(r"=+[ \t]*$|[-:|][-:| \t]*$")
_TASK = re.compile(r"\[[ xX]\](?=\s|$)")


def escape_text(
    text: str, *, line_break: str = "\\\n", is_item: bool = False, goes_on: bool = False
) -> str:
    r"""Escape a text that begins a paragraph, or an item of a list.

    Args:
        text: printable; its lines are parted by `\n`.
        line_break: stands for a line end.
        is_item: whether it is the text of an item of a list.
        goes_on: whether it comes behind other text of its paragraph, which is not known here.

    >>> print(escape_text("1. is *no* list, 2 * 3 = 6"))
    1\. is \*no\* list, 2 * 3 = 6
    """
    marks = _within(text, goes_on)
    start = 0
    for number, line in enumerate(text.split("\n")):
        if (at := _line_start(line, number > 0)) is not None:
            marks.add(start + at)
        start += len(line) + 1
    # A definition of a link, of which nothing would be seen, or a box to tick.
    if (text.startswith("[") and "]:" in text) or (is_item and _TASK.match(text)):
        marks.add(0)
    return _assembled(text, marks, line_break)


def escape_cell(text: str) -> str:
    """Escape a text of a cell of a table in one line; `<br>` stands for line ends."""
    marks = _within(text, False) | {at for at, letter in enumerate(text) if letter == "|"}
    return _assembled(text, marks, "<br>")


def escape_heading(text: str) -> str:
    """Escape a text behind `# `; line ends become character references."""
    marks = _within(text, False)
    if closing := re.search(r"(?:^|(?<=[ \t\n]))#+\s*$", text):
        marks.add(closing.start())
    return _assembled(text, marks, "&#10;")


def escape_alternative(text: str) -> str:
    """Escape the text of a picture."""
    marks = _within(text, False) | {at for at, letter in enumerate(text) if letter in "[]"}
    return _assembled(text, marks, "&#10;")


def comment(text: str) -> str:
    """A comment, which no reader of the page sees."""
    return f"<!-- {text.replace('--', '- -').replace('--', '- -').rstrip('-')} -->"


def _within(text: str, goes_on: bool) -> set[int]:
    """Places of marks that work anywhere in a line."""
    marks = {found.start() for found in _ALWAYS.finditer(text)}
    for sign in "*_~":
        runs = [found for found in _RUNS.finditer(text) if found[0][0] == sign]
        roles = [_roles(text, found.start(), found.end()) for found in runs]
        opened = goes_on
        pairs = False
        for opens, closes in roles:
            pairs |= closes and opened
            opened |= opens
        if pairs:
            for found, role in zip(runs, roles, strict=True):
                if any(role):
                    marks |= set(range(found.start(), found.end()))
    return marks


def _roles(text: str, start: int, end: int) -> tuple[bool, bool]:
    """Whether a run of `*`, `_` or `~` may open, or close, emphasis.

    Versions of CommonMark differ in whether symbols such as the euro are punctuation: what one of
    them takes for a mark is one.
    """
    roles = [
        _roles_if(text[start], before, after, kinds)
        for before in _seen(text, start - 1)
        for after in _seen(text, end)
        for kinds in ("P", "PS")
    ]
    return any(opens for opens, _ in roles), any(closes for _, closes in roles)


def _seen(text: str, at: int) -> str:
    """What may stand at a place once it is written: white space at ends of lines, or a mark."""
    if not 0 <= at < len(text):
        return "\n&"
    line = text.rfind("\n", 0, at) + 1, text.find("\n", at)
    within = text[line[0] : at], text[at : line[1] if line[1] >= 0 else None]
    is_at_end = text[at].isspace() and not all(part.strip() for part in within)
    return "\n&" if is_at_end else text[at]


def _roles_if(sign: str, before: str, after: str, kinds: str) -> tuple[bool, bool]:
    def is_punctuation(letter: str) -> bool:
        return letter in _PUNCTUATION or unicodedata.category(letter)[0] in kinds

    space_before, space_after = before.isspace(), after.isspace()
    mark_before, mark_after = is_punctuation(before), is_punctuation(after)
    left = not space_after and (not mark_after or space_before or mark_before)
    right = not space_before and (not mark_before or space_after or mark_after)
    if sign != "_":
        return left, right
    return left and (not right or mark_before), right and (not left or mark_after)


def _line_start(line: str, is_below: bool) -> int | None:
    """Where a line needs a mark for what it begins with."""
    if found := _STARTS.match(line):
        return max(found.start("mark"), 0)
    return 0 if is_below and _BELOW.match(line) else None


def _assembled(text: str, marks: set[int], line_break: str) -> str:
    """Put backslashes before marks, and references for blanks that parsers take away."""
    lines = []
    start = 0
    for line in text.split("\n"):
        bare = line.strip()
        first = len(line) - len(line.lstrip()) if bare else 0
        pieces = [_reference(letter) for letter in line[:first]]
        last = first + len(bare)
        for at in range(first, last):
            pieces.append(f"\\{line[at]}" if start + at in marks else line[at])
        pieces += [_reference(letter) for letter in line[last:]]
        lines.append("".join(pieces))
        start += len(line) + 1
    joined = lines[0]
    for above, line in pairwise(lines):
        # No line may be empty: that ends the paragraph.
        joined += (line_break if above and line else "&#10;") + line
    return joined


def _reference(letter: str) -> str:
    return f"&#{ord(letter)};"
