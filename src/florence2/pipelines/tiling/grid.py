"""Where a picture is cut: tiles that overlap, and how many; windows around things."""

import re
from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from math import ceil

from florence2.errors import ConfigError, warn_moved
from florence2.geometry import PixelBox, Size

_GRID = re.compile(r"([0-9]{1,4})x([0-9]{1,4})")
CONTEXT = 2.0  # sides of a thing that a window around it shows, unless the native side is more
_GROWTH = 1.02  # by which tiles grow until there are few enough


@dataclass(frozen=True)
class Tiles:
    """How to cut pictures into tiles.

    Attributes:
        grid: columns and rows; None for tiles of the size that the model sees without shrinking.
        overlap: share of its side that a tile has in common with the next one.
        max_tiles: of one picture without a grid; tiles grow, and are shrunk, until that is enough.
        whole: look for objects on the whole picture too, for those larger than a tile.
        verify: detect every object again in a crop around it, keep what is found there, and drop
            what is not.
    """

    grid: tuple[int, int] | None = None
    overlap: float = 0.25
    max_tiles: int = 400
    whole: bool = True
    verify: bool = True
    look_twice: InitVar[bool | None] = None  # `verify` by its name in 0.4

    def __post_init__(self, look_twice: bool | None) -> None:
        if look_twice is not None:
            warn_moved("Tiles(look_twice=)", "Tiles(verify=)", calls_between=2)
            object.__setattr__(self, "verify", look_twice)
        if self.grid is not None and (len(self.grid) != 2 or min(self.grid) < 1):
            raise ConfigError(
                f"a grid of tiles is (columns, rows), each 1 or more; got {self.grid!r}"
            )
        if not 0.05 <= self.overlap <= 0.5:
            raise ConfigError(
                f"tiles overlap by 0.05 to 0.5 of their side, so that what a seam cuts can be"
                f" joined; got overlap={self.overlap!r}"
            )
        if self.max_tiles < 1:
            raise ConfigError(f"max_tiles must be 1 or more; got {self.max_tiles!r}")

    @classmethod
    def parse(cls, text: str) -> "Tiles | None":
        """Read `"auto"`, `"COLSxROWS"` or `"off"`, which is None.

        >>> Tiles.parse("4x3").grid
        (4, 3)
        """
        if text == "off":
            return None
        found = _GRID.fullmatch(text)
        if text != "auto" and not found:
            raise ConfigError(
                f"tiles {text!r} cannot be read; give auto, off, or columns and rows as 4x3"
            )
        return cls(grid=(int(found[1]), int(found[2])) if found else None)


@dataclass(frozen=True)
class Tile:
    """A part of a picture that is shown to the model; the whole picture may be one."""

    box: PixelBox
    column: int = 0
    row: int = 0


def cut(image_size: Size, native_side: int, tiles: Tiles) -> list[Tile]:
    """Lay tiles over a picture, row by row; none is larger than the picture.

    >>> [tile.box for tile in cut((200, 100), 128, Tiles())]
    [(0, 0, 128, 100), (72, 0, 200, 100)]
    """
    if tiles.grid is None:
        columns, rows = _native_spans(image_size, native_side, tiles)
    else:
        sides = _sides(image_size, tiles.grid, tiles.overlap)
        columns, rows = map(_spans, image_size, sides, tiles.grid)
    return [
        Tile((left, top, right, bottom), column, row)
        for row, (top, bottom) in enumerate(rows)
        for column, (left, right) in enumerate(columns)
    ]


def window(box: Sequence[float], image_size: Size, native_side: int) -> PixelBox:
    """Lay a window around a thing: square where the picture allows, as small as shows it in
    full detail, but with something around it.

    >>> window((500, 40, 520, 60), (1000, 1000), native_side=128)
    (446, 0, 574, 128)
    """
    longest = max(box[2] - box[0], box[3] - box[1])
    side = ceil(max(native_side, CONTEXT * longest))
    spans = []
    for axis in range(2):
        length = min(side, image_size[axis])
        middle = (box[axis] + box[axis + 2]) / 2
        start = min(max(0, round(middle - length / 2)), image_size[axis] - length)
        spans.append((start, start + length))
    (left, right), (top, bottom) = spans
    return left, top, right, bottom


Spans = list[tuple[int, int]]


def _native_spans(image_size: Size, side: float, tiles: Tiles) -> list[Spans]:
    """Columns and rows of tiles of one side, as small as `max_tiles` allows."""
    while True:
        counts = [_count(length, side, tiles.overlap) for length in image_size]
        if counts[0] * counts[1] <= tiles.max_tiles:
            pairs = zip(image_size, counts, strict=True)
            return [_spans(length, min(round(side), length), count) for length, count in pairs]
        side *= _GROWTH


def _count(length: int, side: float, overlap: float) -> int:
    return max(1, ceil((length / side - overlap) / (1 - overlap) - 1e-9))


def _sides(image_size: Size, grid: tuple[int, int], overlap: float) -> Size:
    """Sides of the tiles of a grid, refusing one whose tiles would be no pictures."""
    from florence2.processing.images import MAX_ASPECT_RATIO, MIN_SIDE  # Pillow: not for --help

    width, height = (_side(*each, overlap) for each in zip(image_size, grid, strict=True))
    given = (
        f"{grid[0]}x{grid[1]} tiles do not fit on a picture of {image_size[0]:,} x"
        f" {image_size[1]:,} pixels: each would have {width} x {height}"
    )
    if min(width, height) < MIN_SIDE:
        finest = (_most(length, MIN_SIDE, overlap) for length in image_size)
        raise ConfigError(
            f"{given}, and a side needs {MIN_SIDE}; the finest grid for this picture is"
            f" {'x'.join(map(str, finest))}"
        )
    if max(width, height) > MAX_ASPECT_RATIO * min(width, height):
        which, axis, least = (
            ("columns", 0, ceil(height / MAX_ASPECT_RATIO))
            if width < height
            else ("rows", 1, ceil(width / MAX_ASPECT_RATIO))
        )
        raise ConfigError(
            f"{given}, and one side may be at most {MAX_ASPECT_RATIO} times the other; give at"
            f" most {_most(image_size[axis], least, overlap)} {which}, or cut the other side too"
        )
    return width, height


def _side(length: int, count: int, overlap: float) -> int:
    """Pixels of so many tiles each, with the overlap asked for or, in rounding, a pixel more."""
    return ceil(length / (count - (count - 1) * overlap))


def _most(length: int, side: int, overlap: float) -> int:
    """The most tiles along a length that have at least so many pixels."""
    count = max(1, int((length / (side - 1) - overlap) / (1 - overlap)) + 1)
    while count > 1 and _side(length, count, overlap) < side:
        count -= 1
    return count


def _spans(length: int, tile: int, count: int) -> Spans:
    step = (length - tile) / max(count - 1, 1)
    starts = [round(number * step) for number in range(count)]
    return [(start, start + tile) for start in starts]
