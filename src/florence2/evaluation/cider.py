"""CIDEr of captions (arXiv:1411.5726), as pycocoevalcap computes it: CIDEr-D, times ten.

N-grams of one to four words are weighted by how few pictures have them in a reference (tf-idf);
a caption is compared with each reference by a clipped cosine and a Gauss curve of the difference
of their lengths, and the mean is taken over n and over the references. So:

- a caption equal to one of five references that say other things gets 2, not 10;
- one shorter than four words cannot get 10: n-grams that do not exist count as 0;
- the weights are those of the set that is measured; with one picture all are 0.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from florence2.evaluation.caption_tokens import caption_tokens
from florence2.geometry import Array

MAX_N = 4
SIGMA = 6.0  # of the Gauss curve, in bigrams
SCALE = 10.0

Gram = tuple[str, ...]


def cider(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> Array:
    """Return the CIDEr of each caption `(N,)`, in [0, 10]; that of a set is their mean.

    Args:
        candidates: one caption for each picture.
        references: of each picture, one or more.
    """
    tokens = [[caption_tokens(each) for each in texts] for texts in references]
    return cider_of_tokens(list(map(caption_tokens, candidates)), tokens)


def cider_of_tokens(
    candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> Array:
    """Return the CIDEr of captions that are divided into words.

    >>> two = [["a", "black", "dog", "runs"]], [["a", "red", "bus", "stops"]]
    >>> cider_of_tokens([two[0][0], ["a", "bus"]], two).round(3).tolist()
    [10.0, 1.365]
    """
    counted = [[_grams(words) for words in texts] for texts in references]
    documents: Counter[Gram] = Counter()
    for texts in counted:
        documents.update(set().union(*texts))
    rarity = {gram: math.log(len(counted)) - math.log(n) for gram, n in documents.items()}
    unknown = math.log(max(len(counted), 1))  # of grams that no reference has

    def weighed(grams: Mapping[Gram, int]) -> "_Weighed":
        return _Weighed.of(grams, rarity, unknown)

    scores = []
    for words, texts in zip(candidates, counted, strict=True):
        told = weighed(_grams(words))
        scores.append(SCALE * sum(told.likeness(weighed(each)) for each in texts) / len(texts))
    return np.array(scores, dtype=np.float64)


def _grams(words: Sequence[str]) -> Counter[Gram]:
    """How often each n-gram of one to four words occurs."""
    return Counter(
        tuple(words[at : at + n]) for n in range(1, MAX_N + 1) for at in range(len(words) - n + 1)
    )


@dataclass(frozen=True)
class _Weighed:
    """A caption as one vector of weighted n-grams for each n.

    Attributes:
        norms: of the vectors.
        length: in bigrams, which is what pycocoevalcap calls the length.
    """

    vectors: Mapping[int, Mapping[Gram, float]]
    norms: Mapping[int, float]
    length: int

    @classmethod
    def of(
        cls, grams: Mapping[Gram, int], rarity: Mapping[Gram, float], unknown: float
    ) -> "_Weighed":
        vectors: dict[int, dict[Gram, float]] = defaultdict(dict)
        for gram, count in grams.items():
            vectors[len(gram)][gram] = count * rarity.get(gram, unknown)
        norms = {
            n: math.sqrt(sum(each**2 for each in vector.values())) for n, vector in vectors.items()
        }
        length = sum(count for gram, count in grams.items() if len(gram) == 2)
        return cls(vectors, norms, length)

    def likeness(self, reference: "_Weighed") -> float:
        """The mean over n of the clipped cosines, times what the lengths say; in [0, 1]."""
        total = 0.0
        for n, vector in self.vectors.items():
            theirs = reference.vectors.get(n, {})
            common = sum(
                min(weight, theirs[gram]) * theirs[gram]
                for gram, weight in vector.items()
                if gram in theirs
            )
            norms = self.norms[n] * reference.norms.get(n, 0.0)
            total += common / norms if norms else 0.0
        return total / MAX_N * math.exp(-((self.length - reference.length) ** 2) / (2 * SIGMA**2))
