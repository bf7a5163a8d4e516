"""Read text against true text."""

from collections.abc import Iterable

from rapidfuzz.distance import Levenshtein


def character_error_rate(pairs: Iterable[tuple[str, str]]) -> float:
    """Edits needed over all `(read, truth)` pairs, as a share of the true characters."""
    edits = characters = 0
    for read, truth in pairs:
        edits += Levenshtein.distance(read, truth)
        characters += len(truth)
    return edits / characters if characters else 0.0
