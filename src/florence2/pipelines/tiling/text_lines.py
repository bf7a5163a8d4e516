"""Lines of text that seams cut: which pieces are one line, and what they read together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import exp
from typing import NamedTuple

import numpy as np

from florence2.geometry import Array
from florence2.pipelines.tiling.grid import Tile
from florence2.pipelines.tiling.matching import Group, TileObject
from florence2.results import SCORE_COLUMNS, Quads, filled_columns

MAX_STRAY = 3  # letters at the end of a piece that the seam may have spoilt
MIN_BLANK = 0.5  # letters that a gap between two pieces is wide, if it parts words


@dataclass(frozen=True, eq=False)
class Line:
    """A text with its corners `(4, 2)`, and its scores: of all, of the place, of the words."""

    text: str
    quad: Array
    scores: tuple[float | None, float | None, float | None]


def alike_lines(first: Array, second: Array) -> Array:
    """How much of the lower and of the shorter of two pieces of lines is common, `(N, M)`.

    Lines are so flat that IoU would tell apart what is shifted by a few pixels.
    """
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    sides = np.minimum(
        (first[:, 2:] - first[:, :2])[:, None], (second[:, 2:] - second[:, :2])[None]
    )
    common = np.clip(high - low, 0.0, None)
    shares = np.divide(common, sides, out=np.zeros_like(common), where=sides > 0)
    alike: Array = shares.min(axis=-1)
    return alike


def extended_to_seam(piece: TileObject, tile: Tile) -> TileObject:
    """Lengthen a piece of a line to the border of its tile if less than a letter is missing there.

    A tile does not read the letter that its border cuts, so the pieces of a line may not meet.
    """
    height = float((piece.box[2:] - piece.box[:2]).min())
    missing = np.abs(piece.box - tile.box)
    box = np.where(missing < height, tile.box, piece.box)
    axis = int((piece.box[2:] - piece.box[:2]).argmax())
    box[[1 - axis, 3 - axis]] = piece.box[[1 - axis, 3 - axis]]
    return replace(piece, box=box)


def joined_line(group: Group, results: Sequence[Quads], tiles: Sequence[Tile]) -> Line:
    """Read the pieces of one line together, along the direction in which it runs."""
    lines = {id(each): _line(results[each.tile], each.row) for each in group}
    along = _direction([lines[id(each)].quad for each in group])
    axis = int(np.abs(along).argmax())
    pieces = sorted(
        (lines[id(each)] for each in _chosen(group, axis, tiles)),
        key=lambda line: float(line.quad[0] @ along),
    )
    joined = pieces[0]
    for piece in pieces[1:]:
        joined = _two_joined(joined, piece, along)
    return joined


def _line(result: Quads, row: int) -> Line:
    columns = filled_columns(result)
    scores = tuple(columns[name][row] for name in SCORE_COLUMNS)
    return Line(result.labels[row], result.quads[row], scores)


def _direction(quads: Sequence[Array]) -> Array:
    """The unit vector along the upper edges of quads."""
    along = np.sum([quad[1] - quad[0] for quad in quads], axis=0)
    length = float(np.linalg.norm(along))
    return along / length if length else np.array([1.0, 0.0])


def _chosen(group: Group, axis: int, tiles: Sequence[Tile]) -> list[TileObject]:
    """Of the tiles at one place along the line, the one that saw its height, and most surely."""
    across = 1 - axis

    def worth(piece: TileObject) -> tuple[bool, float]:
        return not (piece.cut[across] or piece.cut[across + 2]), piece.score or 0.0

    best: dict[int, TileObject] = {}
    for each in group:
        tile = tiles[each.tile]
        place = tile.column if axis == 0 else tile.row
        if place not in best or worth(each) > worth(best[place]):
            best[place] = each
    return list(best.values())


def _two_joined(left: Line, right: Line, along: Array) -> Line:
    """Join a piece to what stands before it."""
    start, end = (float(corner @ along) for corner in (left.quad[0], left.quad[1]))
    next_start, next_end = (float(corner @ along) for corner in (right.quad[0], right.quad[1]))
    if next_end <= end:
        return left
    letters = (
        len(left.text) / max(end - start, 1e-9),
        len(right.text) / max(next_end - next_start, 1e-9),
    )
    common = end - next_start
    quad = np.array([left.quad[0], right.quad[1], right.quad[2], left.quad[3]])
    if common * letters[0] < -MIN_BLANK:
        text = f"{left.text} {right.text}"
    else:
        counts = [round(max(0.0, common) * each) for each in letters]
        text = join_texts(left.text, right.text, counts[0], counts[1])
    texts = left.text, right.text
    scores = tuple(
        weighted_mean(pair, texts) for pair in zip(left.scores, right.scores, strict=True)
    )
    return Line(text, quad, scores)  # type: ignore[arg-type]


def weighted_mean(scores: Sequence[float | None], texts: Sequence[str]) -> float | None:
    """The geometric mean, weighted by letters, as if all texts had been written at once.

    >>> round(weighted_mean([0.25, 1.0], ["ab", "cd"]), 6)
    0.5
    """
    known = [score for score in scores if score is not None]
    if not known or len(known) < len(scores):
        return None
    weights = [max(1, len(text)) for text in texts]
    return min(1.0, exp(float(np.average(np.log(np.maximum(known, 1e-12)), weights=weights))))


def join_texts(left: str, right: str, num_left: int, num_right: int) -> str:
    """Join two readings whose ends show the same part of a line.

    Args:
        num_left: about how many letters at the end of `left` stand in that part.
        num_right: likewise at the start of `right`.

    >>> join_texts("the quick brov", "ick brown fox", 9, 8)
    'the quick brown fox'
    >>> join_texts("the quick bro", "wn fox", 0, 0)
    'the quick brown fox'
    """
    best = max(_common_parts(left, right, num_left, num_right), default=None)
    if best is not None and best.worth > 0:
        return left[: best.left_end] + right[best.right_end :]
    left_end = _near_middle(left, len(left) - num_left, len(left))
    return left[:left_end] + right[_near_middle(right, 0, num_right) :]


def _near_middle(text: str, start: int, end: int) -> int:
    """Where to cut a part of a text: at the blank nearest to its middle, or in the middle."""
    middle = (start + end) // 2
    blanks = [place for place in range(max(0, start), min(end, len(text))) if text[place] == " "]
    return min(blanks, key=lambda place: abs(place - middle), default=middle)


class _Common(NamedTuple):
    """Letters that two readings have in common, better ones larger."""

    worth: float
    left_end: int
    right_end: int


def _common_parts(left: str, right: str, num_left: int, num_right: int) -> Iterator[_Common]:
    """Yield what the end of one reading and the start of the next have in common.

    Worth is how long it is, less the letters that joining there would lose, but for one that the
    seam may have spoilt, less half of what it is away from where the places of the pieces put it.
    A single letter is an accident unless both readings join there without loss.
    """
    for start in range(max(0, len(left) - num_left - MAX_STRAY), len(left)):
        for place in range(min(len(right), num_right + MAX_STRAY)):
            size = _num_alike(left[start:], right[place:])
            lost = max(len(left) - start - size, place)
            away = abs(len(left) - start + place - (num_left + num_right) / 2)
            if size > 1 or (size == 1 and lost == 0):
                worth = size - max(0, lost - 1) - away / 2
                yield _Common(worth, start + size, place + size)


def _num_alike(first: str, second: str) -> int:
    """How many letters two texts have in common from their start."""
    pairs = zip(first, second, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))
