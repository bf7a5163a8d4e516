"""Answers to be restored from damaged ones, for the text side alone (BART, arXiv:1910.13461).

The makers know what is answered without any picture: names, sentences, orders of locations. Who
restores them learns the grammar of each task, to copy words of the question, and to attend to the
memory, before the first picture is looked at.
"""

from collections.abc import Sequence

import numpy as np
from torch.utils.data import Dataset

from florence2.processing.tokenizer import MASK, Tokenizer
from florence2.training.batches import Example

HIDDEN_SHARE = 0.3  # of the tokens of an answer
SPAN = 3.0  # tokens hidden behind one <mask>, on average
VERSIONS = (
    4  # of each answer: a picture has to be made to know it, which takes longer than to learn
)
STREAM = 13  # keeps the draws of this module apart from those of others
NO_PICTURE = np.zeros((3, 0, 0), np.float32)


class Denoising(Dataset[Example]):
    """Examples without their pictures; the question goes on with the answer, damaged.

    Example `i` is a function of the clean examples, the seed and `i` alone.
    """

    def __init__(self, clean: Dataset[Example], tokenizer: Tokenizer, *, seed: int):
        self.clean, self.seed = clean, seed
        self.mask_ids = tokenizer.encode(MASK)[1:-1]
        self._last: tuple[int, Example] | None = None

    def __getitem__(self, index: int) -> Example:
        number = index // VERSIONS
        if self._last is None or self._last[0] != number:
            self._last = number, self.clean[number]
        example = self._last[1]
        rng = np.random.default_rng([self.seed, index, STREAM])
        left = damaged(rng, example.label_ids[1:-1], self.mask_ids)
        prompt_ids = [*example.prompt_ids[:-1], *left, example.prompt_ids[-1]]
        return Example(NO_PICTURE, example.task, prompt_ids, example.label_ids)


def damaged(
    rng: np.random.Generator, token_ids: Sequence[int], mask_ids: Sequence[int]
) -> list[int]:
    """Hide spans of tokens, each behind one mask."""
    hidden = np.zeros(len(token_ids), bool)
    wanted = rng.binomial(len(token_ids), HIDDEN_SHARE)
    while (missing := wanted - int(hidden.sum())) > 0:
        start = int(rng.integers(len(token_ids)))
        hidden[start : start + min(missing, 1 + rng.poisson(SPAN - 1))] = True
    left: list[int] = []
    for place, token_id in enumerate(token_ids):
        if not hidden[place]:
            left.append(token_id)
        elif place == 0 or not hidden[place - 1]:
            left += mask_ids
    return left
