"""A trie of the only labels that an answer may hold: the classes or phrases that were asked for.

Labels are compared as bytes, so that every way to cut a phrase into pieces is allowed: models do
not always write the pieces that the tokenizer would.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

UNREACHABLE = 1_000_000  # tokens; more than any answer has


class PhraseTrie:
    """A set of phrases, and the pieces that they can be spelled with.

    Args:
        phrases: for each text the lengths in bytes at which a phrase may end.
        ids: ids of the pieces of the vocabulary, by their bytes.
    """

    def __init__(
        self, phrases: Iterable[tuple[bytes, Sequence[int]]], ids: Mapping[bytes, Sequence[int]]
    ) -> None:
        self._ids = ids
        self._longest_piece = max(map(len, ids), default=0)
        self._spelling: dict[bytes, int] = {b"": 0}
        self._following: dict[bytes, dict[int, int]] = {}
        self._texts = tuple((text, tuple(sorted(ends))) for text, ends in phrases if ends and text)

    def accepts(self, text: bytes) -> bool:
        """Whether a text is one of the phrases."""
        return any(len(text) in ends and whole.startswith(text) for whole, ends in self._texts)

    def min_tokens_left(self, text: bytes) -> int:
        """The least number of pieces that make a text one of the phrases."""
        return 0 if self.accepts(text) else self.min_tokens_after_next(text)

    def min_tokens_after_next(self, text: bytes) -> int:
        """The least number of pieces, one or more, that make a text a phrase."""
        return 1 + min(self._next(text).values(), default=UNREACHABLE)

    def next_tokens(self, text: bytes, most: int) -> tuple[int, ...]:
        """Ids of the pieces after which at most so many others are needed."""
        return tuple(token for token, cost in self._next(text).items() if cost <= most)

    @cached_property
    def longest(self) -> int:
        """Pieces that the longest phrase may need: one for each byte."""
        return max((ends[-1] for _, ends in self._texts), default=0)

    def _next(self, text: bytes) -> dict[int, int]:
        """The pieces that may follow a text, with the pieces that are needed after each."""
        if text not in self._following:
            found: dict[int, int] = {}
            for whole, ends in self._texts:
                if not whole.startswith(text):
                    continue
                limit = min(len(whole), len(text) + self._longest_piece)
                for stop in range(len(text) + 1, limit + 1):
                    end = next((end for end in ends if end >= stop), None)
                    if end is None:
                        break
                    cost = self._spelled(whole[stop:end])
                    for token in self._ids.get(whole[len(text) : stop], ()):
                        found[token] = min(cost, found.get(token, UNREACHABLE))
            self._following[text] = {
                token: cost for token, cost in found.items() if cost < UNREACHABLE
            }
        return self._following[text]

    def _spelled(self, text: bytes) -> int:
        """The least number of pieces that spell a text."""
        if text not in self._spelling:
            costs = [0] + [UNREACHABLE] * len(text)
            for start in range(len(text)):
                for stop in range(start + 1, min(len(text), start + self._longest_piece) + 1):
                    if text[start:stop] in self._ids:
                        costs[stop] = min(costs[stop], costs[start] + 1)
            self._spelling[text] = min(costs[-1], UNREACHABLE)
        return self._spelling[text]
