"""Results on pictures, to look at: shapes with tags on them, texts in a panel below.

Everything scales with the picture, and small pictures are enlarged first, so tags can be read at
100 and at 8,000 pixels. A tag goes where it covers no other tag; where there is no such place, the
shape gets a number, which the panel explains. A label has the same colour in every picture,
unless two labels of one picture would share it.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from zlib import crc32

import numpy as np
from PIL import Image, ImageDraw

from florence2.drawing.fonts import ELLIPSIS, TextRenderer, one_line
from florence2.drawing.label_layout import area, bounds, clipped, grown, place_labels
from florence2.errors import ImageError
from florence2.geometry import Array, Colour, PixelBox, Size, bounding_box, box_to_quad
from florence2.locations import decode_boxes
from florence2.processing.images import ImageSource, open_image
from florence2.results import (
    Boxes,
    Mixed,
    Objects,
    Piece,
    Points,
    Quads,
    Result,
    Text,
    filled_columns,
)

NOTHING_FOUND = "nothing found"

# Vivid on photographs; neighbours in the list are far apart in hue.
_PALETTE: tuple[Colour, ...] = (
    *((255, 59, 48), (0, 122, 255), (52, 199, 89), (255, 149, 0), (175, 82, 222)),
    *((0, 199, 190), (255, 204, 0), (255, 45, 120), (88, 86, 214), (140, 200, 40)),
    *((50, 173, 230), (230, 103, 69), (196, 120, 255), (30, 150, 110), (240, 150, 190)),
    *((162, 132, 94), (110, 225, 150), (200, 60, 140), (255, 215, 130), (90, 130, 160)),
)
_DARK, _LIGHT, _DIM = (23, 25, 30), (246, 247, 249), (150, 155, 165)

# Geometric mean of the sides, in pixels, below which a picture is enlarged, and to which.
_SMALL, _ENLARGED = 500, 700

_FAR = 1e5  # pixels; what lies further outside is drawn as if it were there


@dataclass(frozen=True)
class _Style:
    """Sizes in pixels of the canvas."""

    font_size: int
    line: int  # width of outlines
    smooth: int  # shapes are drawn this many times larger and shrunk, against jagged edges

    @classmethod
    def of(cls, size: Size, num_marks: int) -> "_Style":
        """Sizes for a canvas, finer where many marks share it."""
        mean = math.sqrt(size[0] * size[1])
        crowd = 1.0 if num_marks <= 10 else max(0.7, (10 / num_marks) ** 0.25)
        return cls(
            font_size=max(12, round(min(mean / 42 * crowd, min(size) / 4))),
            line=max(2, round(mean / 260 * crowd)),
            smooth=4 if mean < 1500 else 2 if mean < 3000 else 1,
        )

    @property
    def tag_height(self) -> int:
        return round(self.font_size * 1.46)

    @property
    def padding(self) -> int:
        """Space left and right of the text in a tag."""
        return round(self.font_size * 0.42)

    @property
    def row(self) -> int:
        """Height of a row of the legend."""
        return round(self.font_size * 1.8)


class _Kind(Enum):
    """Kinds of shapes; the value is the opacity of the inside."""

    BOX = 0.0
    QUAD = 0.16
    MASK = 0.42
    POINT = 1.0


@dataclass(frozen=True)
class _Mark:
    """One object to draw: its shape on the canvas, what its tag says, its colour."""

    kind: _Kind
    parts: tuple[Array, ...]  # each (P, 2)
    text: str
    colour: Colour

    @property
    def bounds(self) -> PixelBox:
        return bounds(np.concatenate(self.parts))

    @property
    def anchor(self) -> PixelBox:
        """What the tag goes next to: of a mask its top, as its bounds may be far from it."""
        if self.kind is not _Kind.MASK:
            return self.bounds
        largest = max(self.parts, key=lambda part: area(bounds(part)))
        heights = largest[:, 1]
        return bounds(largest[heights <= heights.min() + np.ptp(heights) / 20])


def draw(image: ImageSource, result: Result) -> Image.Image:
    """Draw a result on its picture.

    Args:
        image: the picture, as anything that `open_image` takes; it is not changed. Another
            resolution of the picture that was asked about will do.
        result: what was found on it.

    Returns:
        A new RGB picture. It is a whole number of times larger where the given one is small, and
        has a panel below or on the right where there is text to show.
    """
    picture = open_image(image)
    scale = _scale(picture.size, result.image_size)
    canvas = _enlarged(picture)
    marks = _marks(result, scale * (canvas.width / picture.width))
    style = _Style.of(canvas.size, len(marks))
    # Large ones first, so that small ones stay on top.
    for mark in sorted(marks, key=lambda mark: -area(mark.bounds)):
        _paint_mark(canvas, mark, style)
    numbered = _paint_tags(canvas, marks, style, keep_clear=isinstance(result, Quads))
    if isinstance(result, Text) and result.text:
        return _joined(canvas, _paragraph(result.text, result.score, canvas.size, style))
    if not marks:
        return _joined(canvas, _paragraph(NOTHING_FOUND, None, canvas.size, style))
    if numbered:
        return _joined(canvas, _legend(numbered, canvas.size, style))
    return canvas


def label_colours(labels: Iterable[str]) -> dict[str, Colour]:
    """Colours for the labels of one picture: by the label, moved on where two would be the same."""
    colours: dict[str, Colour] = {}
    for label in sorted(set(labels)):
        place = crc32(label.encode("utf-8", "replace")) % len(_PALETTE)
        free = [step for step in range(len(_PALETTE)) if _at(place + step) not in colours.values()]
        colours[label] = _at(place + (free[0] if free else 0))
    return colours


def text_colour(background: Colour) -> Colour:
    """Dark or light, whichever can be read better on a background."""
    # On strong colours light is the better choice from well before the two contrasts are equal.
    return _LIGHT if _contrast(_LIGHT, background) >= 3 else _DARK


def _at(place: int) -> Colour:
    return _PALETTE[place % len(_PALETTE)]


def _contrast(one: Colour, other: Colour) -> float:
    """Contrast ratio of the Web Content Accessibility Guidelines, 1 to 21."""
    levels = np.array([one, other]) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    dark, light = sorted((linear @ (0.2126, 0.7152, 0.0722) + 0.05).tolist())
    return float(light / dark)


# From results to marks.


def _scale(size: Size, result_size: Size) -> Array:
    """Pixels of this picture for one pixel of the image frame, on both axes."""
    # Shrinking a picture rounds each side by less than a pixel.
    if abs(size[0] * result_size[1] - size[1] * result_size[0]) > max(*size, *result_size):
        raise ImageError(
            f"picture is {size[0]} x {size[1]} pixels but the result is of one of "
            f"{result_size[0]} x {result_size[1]}; give the picture that was asked about"
        )
    return np.array(size, dtype=np.float64) / result_size


def _marks(result: Result, scale: Array) -> list[_Mark]:
    """Marks of a result of any type, in canvas pixels."""
    if isinstance(result, Text):
        if len(result.location_bins) != 4:
            return _marks_of_pieces(result.pieces, scale)
        region = _corners(decode_boxes(result.location_bins, result.image_size))
        return [_Mark(_Kind.BOX, (region * scale,), "", _at(1))]
    if isinstance(result, Mixed):
        groups: tuple[Objects, ...] = (result.polygons, result.boxes)
    else:
        groups = (result,)
    colours = label_colours(label for group in groups for label in group.labels)
    return [mark for group in groups for mark in _marks_of(group, scale, colours)]


def _marks_of_pieces(pieces: Sequence[Piece], scale: Array) -> list[_Mark]:
    """The places of a text, each called by the words before it."""
    places = [piece for piece in pieces if piece.points]
    colours = label_colours(piece.label for piece in places)
    marks = []
    for place, piece in enumerate(places):
        points = np.array(piece.points)
        kind = _KINDS_OF_PIECES[piece.kind]
        shape = _corners(points) if kind is _Kind.BOX else points
        colour = colours[piece.label] if piece.label else _at(place)
        marks.append(_Mark(kind, (_within(shape * scale),), one_line(piece.label), colour))
    return marks


_KINDS_OF_PIECES = {"point": _Kind.POINT, "box": _Kind.BOX, "points": _Kind.QUAD}


def _within(points: Array) -> Array:
    return np.clip(points, -_FAR, _FAR)


def _marks_of(result: Objects, scale: Array, colours: dict[str, Colour]) -> Iterable[_Mark]:
    shapes: Iterable[tuple[Array, ...]]
    if isinstance(result, Boxes):
        kind, shapes = _Kind.BOX, [(_corners(box),) for box in result.xyxy]
    elif isinstance(result, Points):
        kind, shapes = _Kind.POINT, [(point[None],) for point in result.xy]
    elif isinstance(result, Quads):
        kind, shapes = _Kind.QUAD, [(quad,) for quad in result.quads]
    else:
        kind, shapes = _Kind.MASK, result.polygons
    scores = filled_columns(result)["scores"]
    for place, (shape, label, score) in enumerate(zip(shapes, result.labels, scores, strict=True)):
        yield _Mark(
            kind=kind,
            parts=tuple(_within(part * scale) for part in shape),
            text=one_line(label if score is None else f"{label}  {score:.2f}"),
            colour=colours[label] if label else _at(place),  # unlabelled ones by their order
        )


def _corners(box: Array) -> Array:
    """Four corners of a box, however its two corners are ordered."""
    return box_to_quad(bounding_box(box.reshape(2, 2)))


# Shapes.


def _enlarged(picture: Image.Image) -> Image.Image:
    """A copy, a whole number of times larger if the picture is small."""
    mean = math.sqrt(picture.width * picture.height)
    if mean >= _SMALL:
        return picture.copy()
    factor = math.ceil(_ENLARGED / mean)
    size = (picture.width * factor, picture.height * factor)
    return picture.resize(size, Image.Resampling.BICUBIC)


def _paint_mark(canvas: Image.Image, mark: _Mark, style: _Style) -> None:
    """Fill and outline a mark; a thin dark rim sets the outline off from any background."""
    # Thinner around texts, which often touch their quads.
    line = max(2, round(style.line * 0.6)) if mark.kind is _Kind.QUAD else style.line
    wide = line + 2 * max(1, line // 4)
    if mark.kind is _Kind.POINT:
        disc = replace(mark, kind=_Kind.MASK, parts=(_disc(mark.parts[0][0], 2.0 * line),))
        _paint_mask(canvas, disc, style, wide, (0, 0, 0), 0.4)
        _paint_mask(canvas, disc, style, 0, mark.colour, mark.kind.value)
    elif mark.kind is _Kind.BOX:
        _paint_frame(canvas, mark.bounds, wide, (0, 0, 0), 0.4)
        _paint_frame(canvas, mark.bounds, line, mark.colour, 1.0)
    else:
        _paint_mask(canvas, mark, style, 0, mark.colour, mark.kind.value)
        _paint_mask(canvas, mark, style, wide, (0, 0, 0), 0.4)
        _paint_mask(canvas, mark, style, line, mark.colour, 1.0)


def _disc(centre: Array, radius: float) -> Array:
    """A circle as a polygon."""
    angles = np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False)
    return centre + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _paint_frame(
    canvas: Image.Image, box: PixelBox, width: int, colour: Colour, opacity: float
) -> None:
    """Paint the four edges of a box, centred on it, without a mask of the size of the box."""
    left, top, right, bottom = grown(box, width // 2)
    right, bottom = max(right, left + width), max(bottom, top + width)
    sides = (top + width, bottom - width)
    for edge in (
        (left, top, right, top + width),
        (left, max(bottom - width, top + width), right, bottom),
        (left, sides[0], left + width, sides[1]),
        (max(right - width, left + width), sides[0], right, sides[1]),
    ):
        inside = clipped(edge, canvas.size)
        if area(inside):
            size = (inside[2] - inside[0], inside[3] - inside[1])
            canvas.paste(colour, inside, Image.new("L", size, round(255 * opacity)))


def _paint_mask(
    canvas: Image.Image, mark: _Mark, style: _Style, line: int, colour: Colour, opacity: float
) -> None:
    """Paint the outline of a mark, or its inside if `line` is 0, with smooth edges."""
    inside = clipped(grown(mark.bounds, line + 2), canvas.size)
    if not area(inside):
        return
    size = ((inside[2] - inside[0]) * style.smooth, (inside[3] - inside[1]) * style.smooth)
    mask = Image.new("L", size)
    pen = ImageDraw.Draw(mask)
    for part in mark.parts:
        points = [(x, y) for x, y in ((part - inside[:2]) * style.smooth).tolist()]
        if line:
            closed = [*points, *points[:2]]
            pen.line(closed, fill=255, width=line * style.smooth, joint="curve")
        elif len(points) > 2:
            pen.polygon(points, fill=255)
    if style.smooth > 1:
        mask = mask.reduce(style.smooth)
    canvas.paste(colour, inside, mask.point([round(level * opacity) for level in range(256)]))


# Tags.


def _paint_tags(
    canvas: Image.Image, marks: Sequence[_Mark], style: _Style, *, keep_clear: bool
) -> list[_Mark]:
    """Paint the tags, or numbers where they do not fit; return the numbered marks in order.

    Args:
        keep_clear: the marks are texts that one wants to read, so no tag may cover any.
    """
    tagged = [mark for mark in marks if mark.text]
    renderer = TextRenderer((mark.text for mark in tagged), style.font_size)
    texts = []
    for mark in tagged:
        share = canvas.width // 3 if len(tagged) > 1 else canvas.width
        room = min(max(share, mark.bounds[2] - mark.bounds[0]), canvas.width)
        texts.append(renderer.ellipsized(mark.text, room - 2 * style.padding))
    anchors = [grown(mark.anchor, style.line // 2 + 1) for mark in tagged]
    readable = anchors if keep_clear else []
    sizes = [_tag_size(renderer, text, style) for text in texts]
    places = place_labels(anchors, sizes, canvas.size, keep_clear=readable)
    if places.count(None) > (0 if keep_clear else len(tagged) // 5):
        places = [None] * len(tagged)  # half words, half numbers would be hard to follow
    for mark, text, place in zip(tagged, texts, places, strict=True):
        if place:
            _paint_tag(canvas, renderer, text, place, mark.colour, style)
    numbered = [mark for mark, place in zip(tagged, places, strict=True) if not place]
    _paint_numbers(canvas, numbered, [place for place in places if place], readable, style)
    return numbered


def _paint_numbers(
    canvas: Image.Image,
    numbered: Sequence[_Mark],
    occupied: Sequence[PixelBox],
    keep_clear: Sequence[PixelBox],
    style: _Style,
) -> None:
    """Paint the numbers of marks; one that finds no place covers the corner of its mark."""
    renderer = TextRenderer("0123456789", style.font_size)
    texts = [str(number) for number in range(1, len(numbered) + 1)]
    anchors = [grown(mark.anchor, style.line // 2 + 1) for mark in numbered]
    sizes = [_tag_size(renderer, text, style) for text in texts]
    places = place_labels(
        anchors,
        sizes,
        canvas.size,
        occupied=occupied,
        keep_clear=keep_clear,
        beside=bool(keep_clear),
    )
    for mark, text, place, anchor, (width, height) in zip(
        numbered, texts, places, anchors, sizes, strict=True
    ):
        x = max(0, min(anchor[0], canvas.width - width))
        y = max(0, min(anchor[1], canvas.height - height))
        corner = (x, y, x + width, y + height)
        _paint_tag(canvas, renderer, text, place or corner, mark.colour, style)


def _tag_size(renderer: TextRenderer, text: str, style: _Style) -> Size:
    width = renderer.width(text) + 2 * style.padding
    return max(width, style.tag_height), style.tag_height


def _paint_tag(
    canvas: Image.Image,
    renderer: TextRenderer,
    text: str,
    place: PixelBox,
    colour: Colour,
    style: _Style,
) -> None:
    """Paint a text on a coloured ground with round corners."""
    width, height = place[2] - place[0], place[3] - place[1]
    mask = Image.new("L", (width * 4, height * 4))
    ImageDraw.Draw(mask).rounded_rectangle(
        (0, 0, width * 4 - 1, height * 4 - 1), radius=style.font_size, fill=255
    )
    canvas.paste(colour, place, mask.reduce(4))
    start = (place[0] + (width - renderer.width(text)) // 2, place[1] + height // 2)
    renderer.paint(canvas, text, start, text_colour(colour))


# The panel.


def _joined(canvas: Image.Image, panel: Image.Image) -> Image.Image:
    """The canvas with a panel of the same width below it, or else on its right."""
    below = panel.width == canvas.width
    corner = (0, canvas.height) if below else (canvas.width, 0)
    size = (corner[0] + panel.width, corner[1] + panel.height)
    whole = Image.new("RGB", size)
    whole.paste(canvas, (0, 0))
    whole.paste(panel, corner)
    return whole


def _paragraph(text: str, score: float | None, size: Size, style: _Style) -> Image.Image:
    """A text on a dark ground, to stand below a picture and be at most as high."""
    renderer = TextRenderer([text, ELLIPSIS], style.font_size)
    margin, row = style.font_size, round(style.font_size * 1.5)
    lines = renderer.wrapped(text, size[0] - 2 * margin)
    most = max(2, size[1] // row)
    if len(lines) > most:
        lines[most - 1 :] = [lines[most - 1] + " " + ELLIPSIS]
    rows = [(line, _DIM if text == NOTHING_FOUND else _LIGHT) for line in lines]
    if score is not None:
        rows.append((f"score {score:.2f}", _DIM))
    panel = Image.new("RGB", (size[0], row * len(rows) + margin), _DARK)
    for number, (line, colour) in enumerate(rows):
        renderer.paint(panel, line, (margin, margin // 2 + row * number + row // 2), colour)
    return panel


def _legend(numbered: Sequence[_Mark], size: Size, style: _Style) -> Image.Image:
    """What the numbers say, in columns; on the right of portrait pictures, below others."""
    renderer = TextRenderer(
        [*(mark.text for mark in numbered), "and 0123456789 more"], style.font_size
    )
    margin = style.font_size
    number_width = _tag_size(renderer, str(len(numbered)), style)[0]
    widest = number_width + style.padding + max(renderer.width(mark.text) for mark in numbered)
    rows, columns = _grid(len(numbered), widest + margin, size, style)
    beside = size[1] > size[0]
    column = min(widest + margin, size[0]) if beside else (size[0] - margin) // columns
    width = column * columns + margin if beside else size[0]
    panel = Image.new("RGB", (width, size[1] if beside else style.row * rows + margin), _DARK)
    shown = len(numbered) if len(numbered) <= rows * columns else rows * columns - 1
    for index in range(min(len(numbered), rows * columns)):
        x = margin + index // rows * column
        start = x + number_width + style.padding
        middle = margin // 2 + index % rows * style.row + style.row // 2
        if index == shown:
            renderer.paint(panel, f"and {len(numbered) - shown} more", (start, middle), _DIM)
            break
        mark, text = numbered[index], str(index + 1)
        tag = _tag_size(renderer, text, style)
        left, top = x + number_width - tag[0], middle - tag[1] // 2
        place = (left, top, left + tag[0], top + tag[1])
        _paint_tag(panel, renderer, text, place, mark.colour, style)
        label = renderer.ellipsized(mark.text, x + column - margin - start)
        renderer.paint(panel, label, (start, middle), _LIGHT)
    return panel


def _grid(count: int, wanted_width: int, size: Size, style: _Style) -> tuple[int, int]:
    """Rows and columns of the legend, which is at most as high as the picture."""
    most_rows = max(2, (size[1] - style.font_size) // style.row)
    columns = math.ceil(count / most_rows)
    if size[1] <= size[0]:
        fitting = (size[0] - style.font_size) // wanted_width
        columns = max(1, columns, min(fitting, count))
    columns = min(columns, 4)
    return min(math.ceil(count / columns), most_rows), columns
