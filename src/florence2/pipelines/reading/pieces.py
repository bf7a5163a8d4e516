"""Pieces of lines of print for a reader whose input is nearly square, and lines of what it read."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, inf

import numpy as np
from PIL import Image, ImageFilter

from florence2.geometry import Array
from florence2.pipelines.reading.find_lines import FoundLine
from florence2.pipelines.reading.ink import Bools, Gray, surroundings_of
from florence2.pipelines.reading.lines import Line, Word
from florence2.pipelines.tiling.text_lines import weighted_mean

MARGIN = 0.2  # around a piece, in heights of the line
SLACK = 0.05  # heights that the quad of a piece reaches into blanks: ink fades out there
BLUR = 1 / 50  # heights: letters as sharp as screens show them are read worse
CUT_OFF = (1, 99)  # percentiles that become black and white
PROFILE_HEIGHT = 24, 32  # pixels that a line is high where its blanks are looked for
CORE = (0.06, 1.0)  # share of the height that is looked at: lines of italics leave blanks there
BLANK_RANGE = (0.2, 0.65)  # letter heights: wider parts words, narrower does not
USUAL_BLANK = 0.28  # letter heights: parts words if the gaps of a line do not tell
MIN_RATIO = 1.8  # of the mean widths of blanks and of gaps between letters, else they do not tell
SMALL, TINY = 0.4, 0.8  # of the widest piece; what a piece of no width costs more: read alone,
# a hyphen or a single digit is taken for something else
CUT_IN_WORD, CUT_IN_LETTER = 2.0, 4.0  # what a cut there costs, in pieces


@dataclass(frozen=True, eq=False)
class Piece:
    """A part of a line, prepared for the reader.

    Attributes:
        image: uint8 `(h, w)`, level, dark letters on light paper, with a margin around.
        quad: corners `(4, 2)` in pixels of the picture, without the margin: as wide as the ink
            of the piece and as high as the line.
        after_blank: whether a blank stood before it; true at the start of a line.
        blanks: of the blanks inside that are wide enough to part words the starts and ends, from
            left to right, as shares of the width of the quad.
    """

    image: Gray
    quad: Array
    after_blank: bool
    blanks: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class _Gap:
    """Columns without ink `start <= x < end`, and whether they part words."""

    start: float
    end: float
    is_blank: bool


def cut_pieces(gray: Gray, line: FoundLine, max_aspect: float = 4.0) -> tuple[Piece, ...]:
    """Cut a line at blanks into pieces that suit the reader, and prepare each.

    A line is cut at its widest blanks; within a word only where the word itself is too long, then
    between letters if there is a gap. Pieces stand level, light letters are made dark, grey levels
    are stretched from the 1st to the 99th percentile and slightly blurred.

    Args:
        gray: uint8 `(H, W)`, the picture that the line was found on.
        max_aspect: heights of the line that a piece is wide at most, without its margin.
    """
    strip, margin = _level_strip(gray, line)
    height, width = strip.shape[0] - 2 * margin, strip.shape[1] - 2 * margin
    gaps = _gaps(strip[margin : margin + height], margin, line.letter_height)
    ends = _cuts(gaps, width, max_aspect * height)
    along, down = _sides(line.quad)
    pieces = []
    for (start, end), after_blank in ends:
        inside = [each for each in gaps if each.is_blank and start < each.start < each.end < end]
        before, behind = _between(start, end, gaps)
        low = max((before + start) / 2, start - SLACK * height - 1)
        high = min((end + behind) / 2, end + SLACK * height + 1)
        left, right = along * (max(0.0, low) / width), along * (min(width, high) / width)
        corner = line.quad[0]
        quad = np.array(
            [corner + left, corner + right, corner + right + down, corner + left + down]
        )
        blanks = tuple(
            ((each.start - start) / (end - start), (each.end - start) / (end - start))
            for each in inside
        )
        image = _prepared(_with_margins(strip, start, end, gaps, margin), height)
        pieces.append(Piece(image, quad, after_blank, blanks))
    return tuple(pieces)


def _sides(quad: Array) -> tuple[Array, Array]:
    """From the first corner along the line, and down."""
    return quad[1] - quad[0], quad[3] - quad[0]


def _level_strip(gray: Gray, line: FoundLine) -> tuple[Gray, int]:
    """A line with a margin around it, level, dark on light; and the margin, in pixels."""
    along, down = _sides(line.quad)
    width, height = (max(1, round(float(np.hypot(*side)))) for side in (along, down))
    margin = max(2, round(MARGIN * height))
    size = width + 2 * margin, height + 2 * margin
    across = along / max(float(np.hypot(*along)), 1e-9)
    upright = down / max(float(np.hypot(*down)), 1e-9)
    corner = line.quad[0] - margin * across - margin * upright
    corners = corner + np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) @ np.array(
        [across * size[0], upright * size[1]]
    )
    # Only what is needed is warped; where the line touches the border the border goes on.
    low = np.floor(corners.min(axis=0)).astype(int) - 1
    high = np.ceil(corners.max(axis=0)).astype(int) + 2
    rows = np.clip(np.arange(low[1], high[1]), 0, gray.shape[0] - 1)
    columns = np.clip(np.arange(low[0], high[0]), 0, gray.shape[1] - 1)
    around = Image.fromarray(gray[rows[:, None], columns])
    if abs(across[1]) < 1e-6:
        x, y = (int(each) for each in np.rint(corner - low))
        strip = around.crop((x, y, x + size[0], y + size[1]))
    else:
        x, y = corner - low
        affine = (across[0], upright[0], x, across[1], upright[1], y)
        strip = around.transform(
            size, Image.Transform.AFFINE, affine, resample=Image.Resampling.BICUBIC
        )
    level = np.asarray(strip)
    return (255 - level if line.is_light else level), margin


def _gaps(strip: Gray, margin: int, letter_height: float) -> list[_Gap]:
    """Columns without ink between letters, in pixels of the strip without its margin."""
    factor = len(strip) / min(max(len(strip), PROFILE_HEIGHT[0]), PROFILE_HEIGHT[1])
    small = strip
    if factor != 1:
        size = max(1, round(strip.shape[1] / factor)), max(1, round(len(strip) / factor))
        small = np.asarray(Image.fromarray(strip).resize(size, Image.Resampling.BILINEAR))
    ink = _without_underlines(surroundings_of(small).ink(is_light=False))
    rows = slice(int(CORE[0] * len(ink)), max(1, ceil(CORE[1] * len(ink))))
    is_empty = ~_without_specks(ink[rows]).any(axis=0)
    steps = np.diff(np.concatenate([[0], is_empty.view(np.int8), [0]]))
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    spans = [
        (float(start - margin / factor) * factor, float(end - margin / factor) * factor)
        for start, end in zip(starts, ends, strict=True)
        if start > margin / factor and end < small.shape[1] - margin / factor
    ]
    least = _least_blank(np.array([end - start for start, end in spans]), letter_height)
    return [_Gap(start, end, end - start >= least) for start, end in spans]


def _without_specks(ink: Bools) -> Bools:
    """Take away pixels without ink above, below and beside them."""
    around = np.zeros_like(ink)
    around[1:] = ink[:-1]
    around[:-1] |= ink[1:]
    around[:, 1:] |= ink[:, :-1]
    around[:, :-1] |= ink[:, 1:]
    return ink & around


def _without_underlines(ink: Bools) -> Bools:
    """Take away level strokes that are longer than the line is high."""
    length = ceil(1.2 * len(ink))
    if ink.shape[1] <= length:
        return ink
    counts = np.pad(np.cumsum(ink, axis=1, dtype=np.int32), ((0, 0), (1, 0)))
    starts = counts[:, length:] - counts[:, :-length] == length
    marks = np.zeros((len(ink), ink.shape[1] + 1), np.int32)
    marks[:, : starts.shape[1]] += starts
    marks[:, length : length + starts.shape[1]] -= starts
    kept: Bools = ink & (np.cumsum(marks, axis=1)[:, :-1] == 0)
    return kept


def _least_blank(widths: Array, letter_height: float) -> float:
    """The width from which a gap parts words: what tells the gaps of a line apart best (Otsu)."""
    low, high = (share * letter_height for share in BLANK_RANGE)
    widths = np.sort(np.minimum(widths, 1.5 * high))
    num_narrow = np.arange(1, len(widths))
    sums = np.cumsum(widths)
    narrow = sums[:-1] / num_narrow
    wide = (sums[-1:] - sums[:-1]) / num_narrow[::-1]
    apart = num_narrow * num_narrow[::-1] * (wide - narrow) ** 2
    apart[wide < MIN_RATIO * narrow] = 0
    if not apart.any():
        return USUAL_BLANK * letter_height
    best = int(apart.argmax())
    return min(max(float(widths[best] + widths[best + 1]) / 2, low), high)


def _cuts(
    gaps: Sequence[_Gap], width: float, limit: float
) -> list[tuple[tuple[float, float], bool]]:
    """Where pieces start and end, and whether a blank stands before each."""
    places = _places(gaps, width, limit)
    # The cheapest way to each place: as few pieces as possible, at wide blanks.
    costs = [0.0] + [inf] * (len(places) - 1)
    came_from = [0] * len(places)
    for number, (gap, cost) in enumerate(places[1:], 1):
        for before in range(number - 1, -1, -1):
            if gap.start - places[before][0].end > limit and before < number - 1:
                break
            width_of_piece = gap.start - places[before][0].end
            is_whole = before == 0 and number == len(places) - 1
            tiny = 0.0 if is_whole else max(0.0, 1 - width_of_piece / (SMALL * limit))
            total = costs[before] + 1 + cost + TINY * tiny
            if total < costs[number]:
                costs[number], came_from[number] = total, before
    ways = [len(places) - 1]
    while ways[-1]:
        ways.append(came_from[ways[-1]])
    chosen = [places[number][0] for number in reversed(ways)]
    return [((before.end, after.start), before.is_blank) for before, after in pairwise(chosen)]


def _places(gaps: Sequence[_Gap], width: float, limit: float) -> list[tuple[_Gap, float]]:
    """Where a line may be cut, and what it costs; first its start and last its end."""
    outer = _Gap(0.0, 0.0, True), _Gap(width, width, True)
    blanks = [outer[0], *(each for each in gaps if each.is_blank), outer[1]]
    places = [(outer[0], 0.0)]
    for before, after in pairwise(blanks):
        if after.start - before.end > limit:
            places += _within(gaps, before.end, after.start, limit)
        share = min(1.0, (after.end - after.start) / max(limit / 4, 1.0))
        places.append((after, 0.5 * (1 - share)))
    return places


def _within(
    gaps: Sequence[_Gap], start: float, end: float, limit: float
) -> list[tuple[_Gap, float]]:
    """Where a word that is too long may be cut."""

    def away(x: float) -> float:
        """How far from the middle of the word: halves are read better than a letter alone."""
        return abs(2 * x - start - end) / (end - start)

    between = [
        (each, CUT_IN_WORD + away(each.start))
        for each in gaps
        if start < each.start and each.end < end
    ]
    edges = [start, *(each.start for each, _ in between), end]
    for left, right in pairwise(edges):
        parts = ceil((right - left) / max(limit / 2, 1.0))
        for part in range(1, parts):
            x = left + (right - left) * part / parts
            between.append((_Gap(x, x, False), CUT_IN_LETTER + away(x)))
    return sorted(between, key=lambda each: each[0].start)


def _between(start: float, end: float, gaps: Sequence[_Gap]) -> tuple[float, float]:
    """Where the ink before a piece ends, and where that behind it starts."""
    before = [each.start for each in gaps if each.end == start]
    behind = [each.end for each in gaps if each.start == end]
    return min([start, *before]), max([end, *behind])


def _with_margins(strip: Gray, start: float, end: float, gaps: Sequence[_Gap], margin: int) -> Gray:
    """The columns of a piece with a margin, which ends where the neighbours' ink starts."""
    width = strip.shape[1] - 2 * margin
    before, behind = _between(start, end, gaps)
    low = start - margin if start <= 0 else max(before, start - margin)
    high = end + margin if end >= width else min(behind, end + margin)
    first, last = round(margin + low), max(round(margin + high), round(margin + low) + 1)
    left = max(0, round(low - (start - margin)))
    right = max(0, round(end + margin - high))
    part = strip[:, first:last]
    (paper,) = _levels(Image.fromarray(part), (75,))
    padded = np.full((len(part), left + part.shape[1] + right), paper, np.uint8)
    padded[:, left : left + part.shape[1]] = part
    return padded


def _levels(image: Image.Image, percentiles: Sequence[float]) -> list[int]:
    """Grey levels that so many pixels in a hundred do not exceed."""
    counts = np.cumsum(image.histogram())
    return [int(np.searchsorted(counts, each / 100 * counts[-1])) for each in percentiles]


def _prepared(part: Gray, height: float) -> Gray:
    """Stretch the grey levels of a piece, and blur it slightly."""
    image = Image.fromarray(part)
    low, high = _levels(image, CUT_OFF)
    stretched = np.clip((np.arange(256) - low) * (255 / max(high - low, 1)), 0, 255)
    image = image.point(stretched.astype(np.uint8).tolist())
    return np.asarray(image.filter(ImageFilter.GaussianBlur(BLUR * height)))


def line_of(
    found: FoundLine,
    pieces: Sequence[Piece],
    texts: Sequence[str],
    scores: Sequence[float | None],
) -> Line:
    """Join what was read of the pieces of a line, with blanks where they stood.

    A piece that nothing was read of is left out. A word's quad goes from blank to blank where the
    piece has as many as its text; else the piece is shared out by letters.

    Args:
        texts: of each piece.
        scores: of each piece, in [0, 1].
    """
    words: list[Word] = []
    read = [
        (piece, text.split(), score)
        for piece, text, score in zip(pieces, texts, scores, strict=True)
    ]
    is_apart = True
    for piece, parts, score in read:
        is_apart = is_apart or piece.after_blank
        if not parts:
            continue
        placed = [Word(*each, score) for each in zip(parts, _word_quads(piece, parts), strict=True)]
        if words and not is_apart:
            placed[0] = _one_word(words.pop(), placed[0])
        words += placed
        is_apart = False
    told = [(" ".join(parts), score) for _, parts, score in read if parts]
    mean = weighted_mean([score for _, score in told], [text for text, _ in told])
    return Line(
        text=" ".join(word.text for word in words),
        quad=found.quad,
        words=tuple(words),
        score=mean,
        letter_height=found.letter_height,
    )


def _word_quads(piece: Piece, words: Sequence[str]) -> list[Array]:
    """Where each word of a piece stands."""
    if len(piece.blanks) == len(words) - 1:
        edges = [0.0, *(edge for blank in piece.blanks for edge in blank), 1.0]
        spans = list(zip(edges[::2], edges[1::2], strict=True))
    else:
        lengths = np.array([len(word) for word in words])
        ends = np.cumsum(lengths + 1) - 1
        spans = [(float(a), float(b)) for a, b in np.stack([ends - lengths, ends], 1) / ends[-1]]
    along, _ = _sides(piece.quad)
    steps = [(along * start, along * end) for start, end in spans]
    return [
        piece.quad[[0, 0, 3, 3]] + np.array([left, right, right, left]) for left, right in steps
    ]


def _one_word(first: Word, second: Word) -> Word:
    """Join two parts of a word that was too long for a piece."""
    quad = np.array([first.quad[0], second.quad[1], second.quad[2], first.quad[3]])
    score = weighted_mean([first.score, second.score], [first.text, second.text])
    return Word(first.text + second.text, quad, score)
