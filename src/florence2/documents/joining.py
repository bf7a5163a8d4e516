"""Text that goes on over the end of a line: hyphens, and where none belongs."""

from collections.abc import Iterable

SOFT_HYPHEN = "\u00ad"
_HYPHENS = "-\u2010"
_DASHES = "\u2013\u2014"
# First parts of English words that keep their hyphen; not those that begin plain words as often
# ("sub-" and "ject", "over-" and "flow", "ex-" and "pected").
COMPOUND_PREFIXES = frozenset(
    [
        *("all", "double", "full", "half", "high", "ill", "left", "long", "low", "non", "one"),
        *("right", "self", "three", "two", "well"),
    ]
)
_SUSPENDED = frozenset(("and", "or", "nor", "to", "und", "oder", "bis", "et", "ou", "y", "e"))


def joined(first: str, second: str) -> str:
    """Join the end of a line with the line that follows it.

    A soft hyphen (U+00AD) at the end goes, whatever follows. A hyphen at the end goes where a
    letter stands before it and a small letter behind it: "docu-" and "ment" make "document". It
    stays, and no blank comes in, where the second part begins with a capital, a digit or a mark
    ("Jean-" and "Paul"), where the first is a known first part of compounds ("self-" and
    "contained", "well-" and "known"), where the word has a hyphen already ("state-of-the-" and
    "art", "client-" and "server-side"), and in options, addresses and names with marks in them
    ("--no-" and "color"). Before "and", "or" and the like a blank comes in ("pre-" and
    "and post-war"), and a hyphen that stands by itself is a dash. Dashes that touch the word
    before them take no blank.

    >>> joined("a docu-", "ment"), joined("a well-", "known"), joined("pre-", "and post-war")
    ('a document', 'a well-known', 'pre- and post-war')
    """
    if not first or not second:
        return first + second
    if first.endswith(SOFT_HYPHEN):
        return first.rstrip(SOFT_HYPHEN) + second
    end = first[first.rfind(" ") + 1 :]
    if len(end) > 1 and first[-1] in _DASHES and end[-2] not in _DASHES:
        return first + second
    if len(end) < 2 or first[-1] not in _HYPHENS or not end[-2].isalnum():
        return f"{first} {second}"
    word = second.split(maxsplit=1)[0] if second.strip() else ""
    if word.rstrip(",.").casefold() in _SUSPENDED:
        return f"{first} {second}"
    return first[:-1] + second if _is_divided(end[:-1], word) else first + second


def _is_divided(start: str, rest: str) -> bool:
    """Whether a hyphen between two parts is there for the end of the line alone."""
    start = start.lstrip("\"'([{“‘«„")
    if not (rest[:1].islower() and start[-1:].isalpha()):
        return False
    if not start.isalpha() or any(hyphen in rest.rstrip(_HYPHENS) for hyphen in _HYPHENS):
        return False
    return start.casefold() not in COMPOUND_PREFIXES


def join_lines(texts: Iterable[str]) -> str:
    """Join lines to flowing text, two by two as `joined` does.

    >>> join_lines(["The quick brown", "fox jum-", "ped."])
    'The quick brown fox jumped.'
    """
    parts: list[str] = []
    for text in texts:
        if not parts:
            parts.append(text)
            continue
        # Only the last line is looked at: joining the whole again would be quadratic.
        end = joined(parts[-1], text)
        cut = len(end) - len(text)
        parts[-1:] = [end[:cut], end[cut:]]
    return "".join(parts)
