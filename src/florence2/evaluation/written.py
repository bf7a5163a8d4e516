"""Answers to prompts of a checkpoint's own against true ones: letters, words, places."""

from collections.abc import Sequence

import numpy as np

from florence2.evaluation.text import composed, edit_distance
from florence2.results import Text

ANLS_THRESHOLD = 0.5


def words_of_written(result: Text) -> str:
    """The words of an answer without its location tokens, in one case, single spaces between."""
    words = "".join(piece.text if piece.kind == "words" else " " for piece in result.pieces)
    return " ".join(composed(words).lower().split())


def anls(found: Text, truth: Text) -> float:
    """The normalised Levenshtein similarity of DocVQA: 1 is equal, below one half counts as 0.

    >>> size = {"image_size": (9, 9)}
    >>> def said(words): return Text(words, pieces=(Piece("words", words, 0),), **size)
    >>> anls(said("12.50 eur"), said("12.50 EUR")), anls(said("no"), said("yes"))
    (1.0, 0.0)
    """
    read, true = words_of_written(found), words_of_written(truth)
    similarity = 1 - edit_distance(read, true) / max(len(read), len(true), 1)
    return similarity if similarity >= ANLS_THRESHOLD else 0.0


def point_distances(found: Text, truth: Text) -> Sequence[float]:
    """How far each true point is from the answered one of the same rank.

    In shares of the diagonal of the picture; 1 where there is no such point.
    """
    diagonal = float(np.hypot(*truth.image_size))
    answered, true = found.points.xy, truth.points.xy
    common = min(len(answered), len(true))
    near = np.linalg.norm(answered[:common] - true[:common], axis=1) / diagonal
    return [*near.tolist(), *[1.0] * (len(true) - common)]
