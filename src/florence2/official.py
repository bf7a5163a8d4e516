"""What two other implementations return for an answer: their arithmetic, and what they drop.

`"native"` is the class inside transformers, `"remote"` the code published with the weights. The
results use these pieces in `to_official`; `docs/answers.md` lists the differences.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from florence2.locations import NUM_BINS, decode_points, encode_points

Dialect = Literal["native", "remote"]

# Phrases that both other implementations drop from grounding answers without a word.
_GENERIC = """
it, I, me, mine, you, your, yours, he, him, his, she, her, hers, they, them, their, theirs, one,
oneself, we, us, our, ours, its, myself, yourself, himself, herself, itself, ourselves, yourselves,
themselves, this, that, these, those, who, whom, whose, which, what, all, another, any, anybody,
anyone, anything, each, everybody, everyone, everything, few, many, nobody, none, several, some,
somebody, someone, something, each other, one another, the image, image, images, the, a, an,
a group, other objects, lots, a set
"""
GENERIC_PHRASES = frozenset(phrase.strip() for phrase in _GENERIC.split(","))


def official_pixels(
    points: NDArray[np.float64], image_size: tuple[int, int], dialect: Dialect
) -> list[Any]:
    """Return points `(N, 2)` as a flat list in the arithmetic of the other implementations.

    They decode in float32, which moves 1 whole pixel in 40,000 to the one before; the same is
    done here to every coordinate that is the centre of a bin. Edited coordinates stay.
    """
    bins = encode_points(points, image_size)
    pixels_per_bin = np.array([side / NUM_BINS for side in image_size], dtype=np.float32)
    centres = (bins.astype(np.float32) + np.float32(0.5)) * pixels_per_bin
    untouched = np.isclose(points, decode_points(bins, image_size), rtol=0, atol=1e-6)
    pixels = np.where(untouched, centres, points).ravel()
    told: list[Any] = (pixels.astype(np.int64) if dialect == "native" else pixels).tolist()
    return told


def official_phrase(label: str) -> str:
    """Return what the patterns of the other implementations see of a label, maybe nothing."""
    phrase = label.rpartition("<")[2].strip()
    return "" if "\n" in phrase else phrase


def ascii_only(phrase: str) -> str:
    """Delete every character beyond ASCII, as both other implementations do to box labels."""
    return phrase.encode("ascii", "ignore").decode("ascii")
