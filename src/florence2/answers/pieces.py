"""The words and places of an answer in order, whatever its grammar."""

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from florence2.answers.confidence import mean_probability
from florence2.answers.tokens import Token
from florence2.geometry import Size
from florence2.locations import NUM_BINS, decode_points
from florence2.results import Piece, PieceKind

AROUND_LABELS = " \t\r\n,;:."


def pieces_of(tokens: Sequence[Token], image_size: Size) -> tuple[Piece, ...]:
    """Join what an answer was cut into: location tokens that follow each other are one place."""
    pieces: list[Piece] = []
    label = ""
    for kind, group in groupby(tokens, key=lambda token: token.kind):
        run = list(group)
        text, start = "".join(token.text for token in run), run[0].start
        if kind == "words":
            label = text.strip(AROUND_LABELS) or label
            pieces.append(Piece("words", text, start))
        elif kind == "bin" and len(run) % 2 == 0 and all(token.bin < NUM_BINS for token in run):
            bins = np.reshape([token.bin for token in run], (-1, 2))
            points = tuple((float(x), float(y)) for x, y in decode_points(bins, image_size))
            score = mean_probability([logprob for token in run for logprob in token.logprobs])
            pieces.append(Piece(_kind(points), text, start, points, label, score))
        else:
            pieces.append(Piece("tokens", text, start))
    return tuple(pieces)


def _kind(points: Sequence[tuple[float, float]]) -> PieceKind:
    if len(points) == 1:
        return "point"
    if len(points) == 2 and points[0][0] <= points[1][0] and points[0][1] <= points[1][1]:
        return "box"
    return "points"
