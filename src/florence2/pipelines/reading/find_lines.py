"""Lines of print on a page, found by their ink alone.

The page is looked at in several sizes, each half of the one before: in each, letters of 4 to 28
pixels are found, so that a headline is found where it is small, and so that letters of separate
dots or broken strokes are found where those run together.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from florence2.geometry import Array, box_area, box_to_quad
from florence2.pipelines.reading.ink import (
    Bools,
    Components,
    Gray,
    Ints,
    Surroundings,
    components_of,
    enclosing_boxes,
    joined,
    runs_of,
    surroundings_of,
    without_level_rules,
    without_upright_rules,
)

MAX_PIXELS = 9_000_000  # of the largest size that is looked at
MIN_LETTER, MAX_LETTER = 4, 28  # pixels that letters are high in a size
MAX_WORD = 20.0  # heights that connected ink is wide
MIN_SURE = 0.1  # share of the ink of a letter that is surely ink
MAX_LETTER_GAP = 0.7  # between letters that are surely of one line, in letter heights
MAX_WORD_GAP = 1.2  # between words of one line, likewise
MAX_MARK = 0.6  # letter heights: lower ink beside letters is a point, an accent, a hyphen
MAX_CLUTTER = 0.2  # ink that is no line around a line, in the ink of the line
MAX_VARIATION = 0.34  # of the heights and of the contrast of the letters of a line, in their mean
MAX_STROKE_VARIATION = 0.5  # of the widths of their strokes, likewise
MIN_ON_BASE = 0.4  # share of the letters of a line that stand on one base line
SHORT, MAX_SHORT_VARIATION, MIN_SHORT_ON_BASE = 5, 0.28, 0.5  # for lines of so few letters
FEW_LETTERS = 2  # a line of so few tells little of itself
MAX_ROUNDS = 4  # of choosing anew without what turned out to be none
RING = 0.2, 0.75  # letter heights around a short line: what must be paper
MIN_RING = 10  # pixels of it that tell
NEAR = 0.3  # of the contrast of a line: grey levels that are still paper, or ink
PAPER = 0.85, 0.3  # least share of paper around, most in the line that is neither paper nor ink
LONE_PAPER = 0.93, 0.22  # likewise for one letter without company
AMID_PRINT = 0.7, 0.3  # likewise near longer lines of letters as high; rules of a table stand there
TESTED, MORE_LETTERS = 12, (0.65, 0.36)  # longest lines that are looked at so; likewise for them
MAX_PRINT_WITHIN = 0.15  # share of a short line that others cover: paper between them
COMPANY = 10.0, 4.0, 1.35  # letter heights aside, above or below, ratio of letter heights
IN_ROW = 60.0, 0.3  # letter heights aside, above or below: company too
MAX_LONE_WIDTH = 1.4  # letter heights: a wider single component is no letter
MIN_ALONE = 6  # pixels that such letters are high
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
    num_letters: Ints
    worth: Array  # more is better

    def select(self, rows: Bools | Ints) -> "_Candidates":
        """Those candidates that are marked or numbered."""
        return _Candidates(
            self.boxes[rows],
            self.letter_heights[rows],
            self.is_light[rows],
            self.num_letters[rows],
            self.worth[rows],
        )


_NOTHING = _Candidates(
    np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.bool_), np.zeros(0, np.intp), np.zeros(0)
)


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
    found = _best(list(_in_all_sizes(level)), np.asarray(level))
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
    size = picture.height, picture.width
    found = [_NOTHING]
    while min(picture.size) >= MIN_LETTER:
        surroundings = surroundings_of(np.asarray(picture))
        # Print that is too small to be seen here is nothing to larger letters beside it.
        is_small = np.zeros(size, np.bool_)
        for each in found:
            few = (each.num_letters <= SHORT) | (each.letter_heights >= MIN_LETTER * scale)
            _paint(is_small, each.boxes[~few])
        is_small = is_small[::scale, ::scale]
        for is_light in (False, True):
            found.append(_candidates(surroundings, is_small, is_light, scale))
            yield found[-1]
        if max(picture.size) <= 2 * MAX_LETTER:
            return
        picture, scale = picture.reduce(2), scale * 2


def _paint(mask: Bools, boxes: Array) -> None:
    """Mark what is within boxes."""
    for x_min, y_min, x_max, y_max in np.maximum(np.rint(boxes), 0).astype(np.intp):
        mask[y_min:y_max, x_min:x_max] = True


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
    components: Components, group: Ints, heights: Array, max_gap: float, max_ratio: float
) -> Ints:
    """Join groups of components that stand side by side.

    Args:
        group: of each component, -1 for none.
        heights: of the letters of each group.
        max_gap: between neighbours, in heights of the higher.
        max_ratio: of the heights of neighbours.
    """
    runs = components.runs
    of_run = group[components.label]
    used = of_run >= 0
    label, row, start, end = of_run[used], runs.row[used], runs.start[used], runs.end[used]
    near = (row[1:] == row[:-1]) & (label[1:] != label[:-1])
    one, other = label[:-1][near], label[1:][near]
    gap = start[1:][near] - end[:-1][near]
    low, high = np.minimum(heights[one], heights[other]), np.maximum(heights[one], heights[other])
    tops, bottoms = _boxes(components, group, len(heights))[:, 1::2].T
    common = np.minimum(bottoms[one], bottoms[other]) - np.maximum(tops[one], tops[other])
    lower = np.minimum((bottoms - tops)[one], (bottoms - tops)[other])
    fit = (gap <= max_gap * high) & (high <= max_ratio * low) & (common >= 0.5 * lower)
    joined_groups, _ = joined(len(heights), one[fit], other[fit])
    return np.where(group >= 0, joined_groups[group], -1)


def _boxes(components: Components, group: Ints, count: int) -> Ints:
    """Boxes `(count, 4)` around the components of each group."""
    used = group >= 0
    return enclosing_boxes(components.boxes[used], group[used], count)


def _letter_heights(components: Components, group: Ints, is_letter: Bools) -> Array:
    """Of each group the height that three quarters of its letters do not exceed."""
    heights, group = _sides(components.boxes[is_letter])[1], group[is_letter]
    order = np.lexsort((heights, group))
    sizes = np.bincount(group)
    place = np.cumsum(sizes) - sizes + np.rint(0.75 * (sizes - 1)).astype(np.intp)
    found: Array = heights[order[place]].astype(np.float64)
    return found


def _words(components: Components, is_letter: Bools) -> tuple[Ints, Array]:
    """Letters that stand close to each other: the word of each component, and letter heights."""
    alone = np.where(is_letter, np.cumsum(is_letter) - 1, -1)
    heights = _sides(components.boxes[is_letter])[1].astype(np.float64)
    words = _linked(components, alone, heights, MAX_LETTER_GAP, 3.0)
    return words, _letter_heights(components, words, is_letter)


FAR = ((0.3, 1.4),)  # likewise for dashes, underscores, signs like "=", bullets
MARK, DASH = (0.0, 1.5), (0.3, 2.4)  # letter heights that marks are wide, and such signs
RINGS = ((0.6, 0.6), (0.3, 0.6), (0.0, 0.6), (0.0, 0.0))  # letter heights up and down, aside


def _owners(
    boxes: Ints,
    letter_heights: Array,
    shape: tuple[int, ...],
    rings: tuple[tuple[float, float], ...] = RINGS,
) -> NDArray[np.int32]:
    """Of each pixel the word or line that a point or an accent there would belong to, -1 for none.

    What is nearer owns it, and of two that are as near the one with the higher letters.
    """
    owner = np.full(shape, -1, np.int32)
    order = np.argsort(letter_heights, kind="stable")
    for up, aside in rings:
        grown = boxes + np.rint(np.outer(letter_heights, (-aside, -up, aside, up))).astype(np.intp)
        np.maximum(grown, 0, out=grown)
        for number in order:
            x_min, y_min, x_max, y_max = grown[number]
            owner[y_min:y_max, x_min:x_max] = number
    return owner


def _candidates(
    surroundings: Surroundings, is_small: Bools, is_light: bool, scale: int
) -> _Candidates:
    """Lines of letters of 4 to 28 pixels.

    Args:
        is_small: where print is whose letters are lower than that.
    """
    components, is_letter = _letters(surroundings, is_light)
    if not is_letter.any():
        return _NOTHING
    words, letter_heights = _words(components, is_letter)
    # Ink that hangs together over two lines must not join them.
    heights = _sides(components.boxes)[1]
    is_letter &= heights <= MAX_TALL * letter_heights[words]
    words, letter_heights = _words(components, is_letter)
    is_letter = is_letter & ~_are_marks(components, words, letter_heights, surroundings.gray.shape)
    words, letter_heights = _words(components, is_letter)
    words = _with_marks(components, words, letter_heights, is_small)
    lines = _linked(components, words, letter_heights, MAX_WORD_GAP, 1.7)
    letter_heights = _letter_heights(components, lines, is_letter)
    candidates = _judged(components, lines, letter_heights, is_letter, surroundings, is_small)
    return replace(
        candidates,
        boxes=candidates.boxes * scale,
        letter_heights=candidates.letter_heights * scale,
        is_light=np.full(len(candidates.boxes), is_light),
    )


def _are_marks(
    components: Components, words: Ints, letter_heights: Array, shape: tuple[int, ...]
) -> Bools:
    """Tell which components are no letters but points, hyphens, quotes of letters near them."""
    boxes = _boxes(components, words, len(letter_heights))
    owner = _owners(boxes, letter_heights, shape, ((0.25, 0.6),))  # the higher letters own all
    x, y = (boxes[:, 0] + boxes[:, 2]) // 2, (boxes[:, 1] + boxes[:, 3]) // 2
    near = owner[y, x]
    few = np.bincount(words[words >= 0], minlength=len(boxes)) <= 3
    is_mark = few & (letter_heights <= MAX_MARK * letter_heights[near])
    of_mark: Bools = (words >= 0) & is_mark[words]
    return of_mark


def _with_marks(
    components: Components, words: Ints, letter_heights: Array, is_small: Bools
) -> Ints:
    """Give points, accents, hyphens to the words that they stand at."""
    boxes, (widths, heights) = components.boxes, _sides(components.boxes)
    middle = (boxes[:, 1] + boxes[:, 3]) // 2, (boxes[:, 0] + boxes[:, 2]) // 2
    free = ~is_small[middle]

    def given(
        words: Ints, rings: tuple[tuple[float, float], ...], wide: tuple[float, float]
    ) -> Ints:
        """Give marks whose widths are in a range of letter heights to words near them."""
        of_words = _boxes(components, words, len(letter_heights))
        owner = _owners(of_words, letter_heights, is_small.shape, rings)
        near = owner[middle]
        for edge in (boxes[:, 0], boxes[:, 2] - 1) if rings is FAR else ():
            near = np.where(near < 0, owner[middle[0], edge], near)
        size = letter_heights[near]
        is_mark = free & (words < 0) & (near >= 0) & (heights <= MAX_MARK * size)
        is_mark &= (widths >= wide[0] * size) & (widths <= wide[1] * size)
        is_mark &= components.area >= np.maximum(2, 0.006 * size * size)
        return np.where(is_mark, near, words)

    with_near = given(words, RINGS, MARK)
    with_far = given(with_near, FAR, DASH)
    # A comma may follow a dash.
    return given(with_far, RINGS, MARK) if (with_far != with_near).any() else with_far


def _judged(
    components: Components,
    lines: Ints,
    letter_heights: Array,
    is_letter: Bools,
    surroundings: Surroundings,
    is_small: Bools,
) -> _Candidates:
    """Keep what looks like print, and tell how much it does."""
    count = len(letter_heights)
    boxes = _boxes(components, lines, count)
    owner = _owners(boxes, letter_heights, surroundings.gray.shape)
    runs = components.runs
    strange = (lines[components.label] < 0) & ~is_small[runs.row, (runs.start + runs.end) // 2]
    near = owner[runs.row[strange], (runs.start[strange] + runs.end[strange]) // 2]
    clutter = np.bincount(near + 1, (runs.end - runs.start)[strange], count + 1)[1:]
    of_letter = lines[is_letter]
    ink = np.bincount(of_letter, components.area[is_letter], count)
    widths, heights = (side[is_letter] for side in _sides(components.boxes))
    num_letters = np.bincount(of_letter, minlength=count)
    letter_widths = np.bincount(of_letter, widths, count)
    contrast = surroundings.contrast(runs.row, (runs.start + runs.end) // 2)
    contrast = np.bincount(components.label, contrast) / components.num_runs
    strokes = (components.area / components.num_runs)[is_letter]
    fine = (letter_heights <= MAX_LETTER) & (clutter <= MAX_CLUTTER * ink)
    is_few = num_letters <= FEW_LETTERS
    fine &= ~is_few | (letter_heights >= MIN_ALONE) & (letter_widths >= 0.2 * letter_heights)
    is_short = num_letters <= SHORT
    limit = np.where(is_short, MAX_SHORT_VARIATION, MAX_VARIATION)
    fine &= _variation(heights, of_letter, count) <= limit
    fine &= _variation(strokes, of_letter, count) <= MAX_STROKE_VARIATION
    fine &= _variation(contrast[is_letter], of_letter, count) <= MAX_VARIATION
    bottoms = components.boxes[is_letter, 3]
    fine &= _share_on_base(bottoms, of_letter, letter_heights) >= np.where(
        is_short & ~is_few, MIN_SHORT_ON_BASE, MIN_ON_BASE
    )
    letter_like = np.minimum(widths, 1.5 * heights)
    worth = np.bincount(of_letter, letter_like, count) / letter_heights * (1 - 0.5 * clutter / ink)
    grown = boxes + np.array([-0.7, -0.7, 0.7, 0.7])
    return _Candidates(
        grown[fine],
        letter_heights[fine],
        np.zeros(int(fine.sum()), np.bool_),
        num_letters[fine],
        worth[fine],
    )


def _variation(values: Ints | Array, group: Ints, count: int) -> Array:
    """Of each group the standard deviation of its values, in their mean."""
    sizes = np.maximum(np.bincount(group, minlength=count), 1)
    mean = np.bincount(group, values, count) / sizes
    squares = np.bincount(group, values.astype(np.float64) ** 2, count) / sizes
    deviation: Array = np.sqrt(np.maximum(squares - mean * mean, 0.0)) / np.maximum(mean, 1e-9)
    return deviation


def _share_on_base(bottoms: Ints, group: Ints, letter_heights: Array) -> Array:
    """Of each line the share of its letters that end where the middle one of them does."""
    order = np.lexsort((bottoms, group))
    sizes = np.bincount(group, minlength=len(letter_heights))
    base = bottoms[order[np.cumsum(sizes) - sizes + (sizes - 1) // 2]]
    on_base = np.abs(bottoms - base[group]) <= np.maximum(1.0, 0.15 * letter_heights[group])
    share: Array = np.bincount(group, on_base, len(letter_heights)) / sizes
    return share


def _best(candidates: list[_Candidates], gray: Gray) -> _Candidates:
    """Of candidates that lie on each other the best that looks like print."""
    candidates = [_NOTHING, *candidates]
    found = _Candidates(
        np.concatenate([each.boxes for each in candidates]),
        np.concatenate([each.letter_heights for each in candidates]),
        np.concatenate([each.is_light for each in candidates]),
        np.concatenate([each.num_letters for each in candidates]),
        np.concatenate([each.worth for each in candidates]),
    )
    for _ in range(MAX_ROUNDS):
        chosen = _chosen(found)
        is_print = _are_on_quiet_paper(found.select(chosen), gray)
        if is_print.all():
            break
        # What was hidden by it takes its place.
        is_left = np.ones(len(found.boxes), np.bool_)
        is_left[chosen[~is_print]] = False
        found, chosen = found.select(is_left), (np.cumsum(is_left) - 1)[chosen[is_print]]
    return found.select(chosen)


def _chosen(found: _Candidates) -> Ints:
    """Of what lies on each other the best, numbered."""
    boxes, areas = found.boxes, box_area(found.boxes)
    kept: list[int] = []
    for number in np.argsort(-found.worth, kind="stable"):
        others = boxes[kept]
        low = np.maximum(boxes[number, :2], others[:, :2])
        high = np.minimum(boxes[number, 2:], others[:, 2:])
        common = box_area(np.concatenate([low, high], axis=1))
        if common.sum() <= 0.3 * areas[number] and (common <= 0.3 * areas[kept]).all():
            kept.append(int(number))
    return np.array(kept, np.intp)


def _are_on_quiet_paper(found: _Candidates, gray: Gray) -> Bools:
    """Tell which are no short lines in texture, or textured themselves: leaves, grain, pictures.

    Around print is paper, even or faintly grained, and letters are one colour: what has neither
    is a part of a picture. One letter that no print is near must be clear of all doubt.
    """
    is_long = found.num_letters > TESTED
    has_print = np.bincount(found.is_light[found.num_letters > SHORT], minlength=2) > 0
    is_print = np.zeros(gray.shape, np.bool_)
    _paint(is_print, found.boxes[found.num_letters > FEW_LETTERS + 1])
    boxes = np.maximum(np.rint(found.boxes), 0).astype(np.intp)
    keep = np.ones(len(is_long), np.bool_)
    for number in np.flatnonzero(~is_long):
        height = found.letter_heights[number]
        paper, between = _quietness(gray, is_print, boxes[number], height, found.is_light[number])
        has_company = _has_company(found, int(number))
        is_lone = found.num_letters[number] == 1 and not has_company
        limits = LONE_PAPER if is_lone else AMID_PRINT if has_company else PAPER
        limits = MORE_LETTERS if found.num_letters[number] > SHORT else limits
        keep[number] = paper >= limits[0] and between <= limits[1]
        if found.num_letters[number] <= FEW_LETTERS + 1:
            x_min, y_min, x_max, y_max = boxes[number]
            keep[number] &= is_print[y_min:y_max, x_min:x_max].mean() <= MAX_PRINT_WITHIN
        keep[number] &= not is_lone or found.worth[number] < MAX_LONE_WIDTH
        if is_lone and has_print.any():  # specks in the black parts of a scan
            keep[number] &= has_print[int(found.is_light[number])]
    return keep


def _quietness(
    gray: Gray, is_print: Bools, box: Ints, letter_height: float, is_light: bool
) -> tuple[float, float]:
    """Of what is around a line the share that is paper, of the line the share that is neither
    paper nor ink."""
    step = max(1, int(letter_height / 16))

    def grown(share: float) -> tuple[slice, slice]:
        x_min, y_min, x_max, y_max = box
        by = round(share * letter_height)
        return (
            slice(max(0, y_min - by), y_max + by, step),
            slice(max(0, x_min - by), x_max + by, step),
        )

    rows, columns = grown(RING[1])
    is_ring = ~is_print[rows, columns]
    inner = grown(RING[0])
    is_ring[
        (inner[0].start - rows.start) // step : ceil((inner[0].stop - rows.start) / step),
        (inner[1].start - columns.start) // step : ceil((inner[1].stop - columns.start) / step),
    ] = False
    ring = gray[rows, columns][is_ring].astype(np.float64)
    inside = gray[grown(0.0)].astype(np.float64)
    if ring.size < MIN_RING or not inside.size:
        return 1.0, 0.0
    paper = float(np.median(ring))
    ink = float(np.percentile(inside, 85 if is_light else 15))
    near = NEAR * abs(ink - paper)
    is_between = (np.abs(inside - paper) > near) & (np.abs(inside - ink) > near)
    return float((np.abs(ring - paper) <= near).mean()), float(is_between.mean())


def _has_company(found: _Candidates, number: int) -> bool:
    """Tell whether longer lines of letters as high and of the same colour are near."""
    height, box = found.letter_heights[number], found.boxes[number]
    ratio = found.letter_heights / height
    away = np.maximum(found.boxes[:, :2] - box[2:], box[:2] - found.boxes[:, 2:]) / height
    is_near = (away <= COMPANY[:2]).all(axis=1) | (away <= IN_ROW).all(axis=1)
    is_alike = found.is_light == found.is_light[number]
    is_alike &= (ratio > 1 / COMPANY[2]) & (ratio < COMPANY[2])
    return bool((is_near & is_alike & (found.num_letters > FEW_LETTERS)).any())
