"""Lines of print on a page, found by their ink alone.

The page is looked at in several sizes, each half of the one before: in each, letters of 5 to 28
pixels are found, so that a headline is found where it is small, and so that letters of separate
dots or broken strokes are found where those run together.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from florence2.geometry import Array, box_area, box_to_quad
from florence2.pipelines.reading.ink import (
    Bools,
    Components,
    Gray,
    Ints,
    Runs,
    Surroundings,
    boxes_of,
    components_of,
    joined,
    runs_of,
    surroundings_of,
    without_level_rules,
    without_upright_rules,
)

MAX_PIXELS = 9_000_000  # of the largest size that is looked at
MIN_LETTER, MAX_LETTER = 5, 28  # pixels that letters are high in a size
MAX_WORD = 20.0  # heights that connected ink is wide
MIN_SURE = 0.1  # share of the ink of a letter that is surely ink
MAX_LETTER_GAP = 0.7  # between letters that are surely of one line, in letter heights
MAX_WORD_GAP = 1.0  # between words of one line, likewise
MAX_TALL = 1.75  # letter heights: taller ink hangs together over two lines
MAX_SKEW = 6.0  # degrees
MIN_SKEW = 0.2  # degrees; less is not worth turning a page for


@dataclass(frozen=True, eq=False)
class FoundLine:
    """A line of print, or a part of one that stands apart from the rest.

    Attributes:
        quad: corners `(4, 2)` of the ink in pixels, clockwise from the upper left of the text.
        letter_height: of capitals, roughly, in pixels.
        is_light: whether the letters are lighter than what they stand on.
    """

    quad: Array
    letter_height: float
    is_light: bool


@dataclass(frozen=True, eq=False)
class _Candidates:
    """What may be lines, found in one size of the page and of one colour of ink."""

    boxes: Array  # (N, 4), pixels of the level page
    letter_heights: Array
    is_light: Bools
    worth: Array  # more is better


def find_lines(gray: Gray) -> tuple[FoundLine, ...]:
    """Find lines of print on a page, in no order of reading.

    A page turned by up to 5 degrees is levelled first. A gap much wider than a letter is high
    parts lines. A page of more than 9 megapixels is looked at in half the size, a quarter ... that
    has less, so that time and memory are bounded.

    Args:
        gray: uint8 `(H, W)`.
    """
    picture = Image.fromarray(np.ascontiguousarray(gray))
    factor = 1
    while gray.shape[0] * gray.shape[1] / factor**2 > MAX_PIXELS:
        factor *= 2
    if factor > 1:
        picture = picture.reduce(factor)
    angle = page_skew(np.asarray(picture))
    level = _turned(picture, angle)
    found = _chosen(list(_in_all_sizes(level)))
    quads = box_to_quad(found.boxes)
    quads = _turned_back(quads, angle, level.size, picture.size) * factor
    return tuple(
        FoundLine(quad, float(height) * factor, bool(is_light))
        for quad, height, is_light in zip(quads, found.letter_heights, found.is_light, strict=True)
    )


def page_skew(gray: Gray) -> float:
    """Degrees by which the lines of a page are turned clockwise, in [-6, 6]; 0 if unknown."""
    small = Image.fromarray(gray)
    while small.width * small.height > 1_500_000:
        small = small.reduce(2)
    best = 0.0
    points: list[Array] = []
    surroundings = surroundings_of(np.asarray(small))
    for is_light in (False, True):
        components, is_letter = _letters(surroundings, is_light)
        boxes = components.boxes[is_letter].astype(np.float64)
        middle = (boxes[:, 0] + boxes[:, 2]) / 2
        points.append(np.stack([middle, boxes[:, 3], boxes[:, 3] - boxes[:, 1]], axis=1))
    most = max(points, key=len)
    if len(most) < 12:
        return 0.0
    x, y, heights = most.T
    bin_height = max(1.0, float(np.median(heights)) / 5)

    def sharpness(degrees: float) -> float:
        rows = np.rint((y - x * np.tan(np.radians(degrees))) / bin_height).astype(np.intp)
        return float((np.bincount(rows - rows.min()) ** 2.0).sum())

    level = sharpness(0.0)
    for step in (0.5, 0.1):
        reach = MAX_SKEW if step == 0.5 else 0.5
        around = best + np.arange(-reach, reach + step / 2, step)
        best = float(max(around, key=lambda degrees: (sharpness(degrees), -abs(degrees))))
    return best if abs(best) >= MIN_SKEW and sharpness(best) > 1.15 * level else 0.0


def _turned(picture: Image.Image, degrees: float) -> Image.Image:
    """Turn a picture counter-clockwise."""
    if not degrees:
        return picture
    paper = int(np.median(np.asarray(picture)[::8, ::8]))
    return picture.rotate(degrees, Image.Resampling.BILINEAR, expand=True, fillcolor=paper)


def _turned_back(
    quads: Array, degrees: float, size: tuple[int, int], given: tuple[int, int]
) -> Array:
    """Bring corners from the level picture into the given one."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    from_middle = quads - np.array(size) / 2
    turned: Array = from_middle @ np.array([[cos, sin], [-sin, cos]]) + np.array(given) / 2
    return turned


def _in_all_sizes(picture: Image.Image) -> Iterator[_Candidates]:
    scale = 1
    while min(picture.size) >= MIN_LETTER:
        surroundings = surroundings_of(np.asarray(picture))
        for is_light in (False, True):
            yield _candidates(surroundings, is_light, scale)
        if max(picture.size) <= 2 * MAX_LETTER:
            return
        picture, scale = picture.reduce(2), scale * 2


def _letters(surroundings: Surroundings, is_light: bool) -> tuple[Components, Bools]:
    """Connected ink, and which of it may be letters."""
    runs = without_level_rules(runs_of(without_upright_rules(surroundings.ink(is_light))))
    components = components_of(runs, surroundings.gray.shape[1])
    sure = surroundings.is_sure(runs.row, (runs.start + runs.end) // 2, is_light)
    num_sure = np.bincount(components.label, sure, len(components.area))
    widths, heights = _sides(components.boxes)
    is_letter = (
        (heights >= MIN_LETTER)
        & (heights <= MAX_TALL * MAX_LETTER)
        & (widths <= MAX_WORD * heights)
        & (widths >= heights / 12)
        & (num_sure >= MIN_SURE * components.num_runs)
    )
    return components, is_letter


def _sides(boxes: Ints) -> tuple[Ints, Ints]:
    return boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]


def _linked(
    runs: Runs, label: Ints, boxes: Ints, heights: Array, max_gap: float, max_ratio: float
) -> tuple[Ints, int]:
    """Join what stands side by side: things with boxes and letter heights, given by their runs."""
    same_row = runs.row[1:] == runs.row[:-1]
    one, other = label[:-1], label[1:]
    gap = runs.start[1:] - runs.end[:-1]
    near = same_row & (one != other)
    one, other, gap = one[near], other[near], gap[near]
    low, high = np.minimum(heights[one], heights[other]), np.maximum(heights[one], heights[other])
    tops, bottoms = boxes[:, 1], boxes[:, 3]
    common = np.minimum(bottoms[one], bottoms[other]) - np.maximum(tops[one], tops[other])
    lower = np.minimum((bottoms - tops)[one], (bottoms - tops)[other])
    ok = (gap <= max_gap * high) & (high <= max_ratio * low) & (common >= 0.5 * lower)
    return joined(len(boxes), one[ok], other[ok])


def _grouped_heights(group: Ints, heights: Array, count: int) -> Array:
    """The height of which three quarters of each group are not above."""
    order = np.lexsort((heights, group))
    sizes = np.bincount(group, minlength=count)
    ends = np.cumsum(sizes)
    place = ends - sizes + (0.75 * (sizes - 1)).round().astype(np.intp)
    found: Array = heights[order[np.minimum(place, len(order) - 1)]].astype(np.float64)
    return found


def _relabelled(components: Components, chosen: Bools) -> tuple[Runs, Ints, Ints]:
    """Runs of chosen components, their numbers among the chosen, and the boxes of those."""
    number = np.cumsum(chosen) - 1
    of_chosen = chosen[components.label]
    label = number[components.label[of_chosen]]
    return components.runs.select(of_chosen), label, components.boxes[chosen]


def _candidates(surroundings: Surroundings, is_light: bool, scale: int) -> _Candidates:
    """Lines of letters of 5 to 28 pixels."""
    components, is_letter = _letters(surroundings, is_light)
    nothing = _Candidates(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.bool_), np.zeros(0))
    if not is_letter.any():
        return nothing
    # Ink that hangs together over two lines must not join them.
    runs, label, boxes = _relabelled(components, is_letter)
    heights = _sides(boxes)[1].astype(np.float64)
    group, count = _linked(runs, label, boxes, heights, MAX_LETTER_GAP, 3.0)
    typical = _grouped_heights(group, heights, count)[group]
    tall = heights > MAX_TALL * typical
    is_letter[np.flatnonzero(is_letter)[tall]] = False
    if not is_letter.any():
        return nothing
    runs, label, boxes = _relabelled(components, is_letter)
    heights = _sides(boxes)[1].astype(np.float64)
    group, count = _linked(runs, label, boxes, heights, MAX_LETTER_GAP, 3.0)
    typical = _grouped_heights(group, heights, count)
    words = boxes_of(runs, group[label], count)
    line, num_lines = _linked(runs, group[label], words, typical, MAX_WORD_GAP, 1.7)
    of_letter = line[group]
    letter_heights = _grouped_heights(of_letter, heights, num_lines)
    lines = boxes_of(runs, of_letter[label], num_lines)
    shape = surroundings.gray.shape
    return _judged(components, is_letter, of_letter, lines, letter_heights, is_light, scale, shape)


def _judged(
    components: Components,
    is_letter: Bools,
    of_letter: Ints,
    lines: Ints,
    letter_heights: Array,
    is_light: bool,
    scale: int,
    shape: tuple[int, ...],
) -> _Candidates:
    """Lengthen lines by points and accents, and tell how much each looks like print."""
    count = len(lines)
    owner = np.zeros(shape, np.int32)
    for up, aside in ((0.6, 0.6), (0.3, 0.6), (0.0, 0.6), (0.0, 0.0)):
        for number, (box, height) in enumerate(zip(lines, letter_heights, strict=True), 1):
            x, y = int(aside * height), int(up * height)
            owner[max(0, box[1] - y) : box[3] + y, max(0, box[0] - x) : box[2] + x] = number
    runs, label = components.runs, components.label
    strange = ~is_letter[label]
    near = owner[runs.row[strange], (runs.start[strange] + runs.end[strange]) // 2]
    lengths = (runs.end - runs.start)[strange]
    clutter = np.bincount(near, lengths, count + 1)[1:]
    ink = np.bincount(of_letter, components.area[is_letter], count)
    # Points and accents.
    widths, heights = _sides(components.boxes)
    centre = (components.boxes[:, :2] + components.boxes[:, 2:]) // 2
    at = owner[centre[:, 1], centre[:, 0]] - 1
    fitting = ~is_letter & (at >= 0)
    size = letter_heights[np.maximum(at, 0)]
    fitting &= (heights <= 0.6 * size) & (widths <= 1.5 * size)
    fitting &= components.area >= np.maximum(2, 0.006 * size * size)
    lines = lines.copy()
    for side, pick in ((0, np.minimum), (1, np.minimum), (2, np.maximum), (3, np.maximum)):
        pick.at(lines[:, side], at[fitting], components.boxes[fitting, side])
    num_letters = np.bincount(of_letter, minlength=count)
    letter_widths = np.bincount(of_letter, widths[is_letter], count)
    fine = (letter_heights <= MAX_LETTER * 1.2) & (clutter <= 0.6 * ink)
    fine &= (num_letters > 1) | (letter_widths >= 0.2 * letter_heights)
    letter_like = np.minimum(widths[is_letter], 1.5 * heights[is_letter])
    worth = np.bincount(of_letter, letter_like, count) / letter_heights * (1 - 0.5 * clutter / ink)
    return _Candidates(
        lines[fine].astype(np.float64) * scale,
        letter_heights[fine] * scale,
        np.full(int(fine.sum()), is_light),
        worth[fine],
    )


def _chosen(candidates: list[_Candidates]) -> _Candidates:
    """Of what lies on each other the best."""
    boxes = np.concatenate([np.zeros((0, 4)), *(each.boxes for each in candidates)])
    heights = np.concatenate([np.zeros(0), *(each.letter_heights for each in candidates)])
    light = np.concatenate([np.zeros(0, np.bool_), *(each.is_light for each in candidates)])
    worth = np.concatenate([np.zeros(0), *(each.worth for each in candidates)])
    areas = box_area(boxes)
    kept: list[int] = []
    for number in np.argsort(-worth, kind="stable"):
        others = boxes[kept]
        low = np.maximum(boxes[number, :2], others[:, :2])
        high = np.minimum(boxes[number, 2:], others[:, 2:])
        common = box_area(np.concatenate([low, high], axis=1))
        if common.sum() <= 0.3 * areas[number] and (common <= 0.3 * areas[kept]).all():
            kept.append(int(number))
    return _Candidates(boxes[kept], heights[kept], light[kept], worth[kept])
