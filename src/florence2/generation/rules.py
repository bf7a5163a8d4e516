"""What an answer may not or must say next, whatever the model thinks.

First token forced to `bos`, last possible one forced to `eos`, no n-gram twice, no `eos` before
the minimum length. Rules look at token ids only; `ban` writes them into scores.

Shapes: `R` rows decoded, `V` vocabulary.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from florence2.generation.options import GenerationOptions, SpecialIds


class NgramBan:
    """The tokens that would repeat an n-gram of one sequence.

    Remembers which tokens have followed each run of n - 1 tokens, so that a step costs one
    look-up however long the sequence is.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._recent: tuple[int, ...] = ()  # the last n - 1 tokens
        self._followers: dict[tuple[int, ...], tuple[int, ...]] = {}

    def append(self, token: int) -> None:
        """Take note of the next token of the sequence."""
        if not self._size:
            return
        run = (*self._recent, token)
        if len(run) == self._size:
            self._followers[run[:-1]] = (*self._followers.get(run[:-1], ()), token)
            run = run[1:]
        self._recent = run

    def banned(self) -> tuple[int, ...]:
        """Tokens that may not come next."""
        return self._followers.get(self._recent, ())

    def fork(self) -> "NgramBan":
        """An equal ban that grows on its own."""
        twin = NgramBan(self._size)
        twin._recent = self._recent
        twin._followers = self._followers.copy()
        return twin


class Rules:
    """The rules of one call; `step` counts the tokens that an answer has already."""

    def __init__(self, options: GenerationOptions, special: SpecialIds, limit: int) -> None:
        self.limit = limit  # tokens an answer may have at most
        self._special = special
        self._min_new_tokens = options.min_new_tokens

    def forced(self, step: int) -> int | None:
        """The only token allowed next, if there is but one; the end outranks the beginning."""
        if step == self.limit - 1:
            return self._special.eos
        return self._special.bos if step == 0 else None

    def banned(self, ngrams: NgramBan, step: int) -> tuple[int, ...]:
        """Tokens that may not come next, where none is forced."""
        too_early = (self._special.eos,) if step < self._min_new_tokens else ()
        return ngrams.banned() + too_early


def ban(scores_RV: Tensor, banned: Sequence[Sequence[int]]) -> None:
    """Set the scores of the banned tokens of each row to minus infinity, in place."""
    rows = [row for row, tokens in enumerate(banned) for _ in tokens]
    if rows:
        tokens = [token for tokens in banned for token in tokens]
        index_2X = torch.tensor((rows, tokens), device=scores_RV.device)
        scores_RV[index_2X[0], index_2X[1]] = -torch.inf
