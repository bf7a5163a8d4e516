"""Tables of boxes (CSV, TSV): which column holds what, and the rows."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from florence2.data.files import read_text
from florence2.data.image_files import is_picture

DIVIDERS = ",\t;|"
_NAMES = (
    *("filename", "filepath", "file", "fname", "imagename", "imagefile", "imagefilename"),
    *("imagepath", "imageid", "image", "imgname", "imgpath", "img", "path", "picture"),
)
_LABELS = ("classname", "labelname", "categoryname", "class", "label", "category", "objectclass")
_LABEL_NUMBERS = ("classid", "labelid", "categoryid", "classindex")
_PARTS = ("split", "subset", "set", "partition")
# Ways to tell a box in four columns, the clearest first: opposite corners, or x, y and the sides.
_SIDES = (
    ("corners", ("xmin", "ymin", "xmax", "ymax")),
    ("corners", ("x1", "y1", "x2", "y2")),
    ("corners", ("left", "top", "right", "bottom")),
    ("corners", ("bboxxmin", "bboxymin", "bboxxmax", "bboxymax")),
    ("sides", ("x", "y", "w", "h")),
    ("sides", ("xmin", "ymin", "w", "h")),
    ("sides", ("bboxx", "bboxy", "bboxwidth", "bboxheight")),
    ("sides", ("left", "top", "width", "height")),
    ("sides", ("x", "y", "width", "height")),
    ("sides", ("xmin", "ymin", "width", "height")),
    ("centre", ("xcenter", "ycenter", "width", "height")),
    ("centre", ("xcenter", "ycenter", "w", "h")),
)
_ONE_CELL = ("bbox", "boundingbox", "box")


@dataclass(frozen=True)
class BoxColumns:
    """Which columns of a table hold what.

    Attributes:
        kind: of the box: "corners" (x_min, y_min, x_max, y_max), "sides" (x, y, width, height),
            "centre" (its x, y, then width, height) or "cell" (four numbers in one).
        sides: the columns of the box, four or the one.
        label: that of the class; `None` if all boxes are of one.
        size: those of the picture's width and height.
        part: that of the part of the dataset.
        has_head: the first row names the columns.
    """

    name: int
    label: int | None
    kind: str
    sides: tuple[int, ...]
    size: tuple[int, int] | None = None
    part: int | None = None
    has_head: bool = True


RETINANET = BoxColumns(name=0, label=5, kind="corners", sides=(1, 2, 3, 4), has_head=False)
"""`path,x1,y1,x2,y2,class` without a head."""
AUTOML = BoxColumns(1, 2, "corners", (3, 4, 7, 8), part=0, has_head=False)
"""`TRAIN,gs://bucket/a.png,class,x_min,y_min,,,x_max,y_max,,` of Google's AutoML, in shares."""
_AUTOML_SETS = ("TRAIN", "VALIDATE", "VALIDATION", "TEST", "UNASSIGNED")


def box_columns(first: Sequence[str]) -> BoxColumns | None:
    """Return the columns of a table of boxes by its first row, `None` where they are not clear.

    >>> box_columns("filename width height class xmin ymin xmax ymax".split()).sides
    (4, 5, 6, 7)
    >>> box_columns(["a.png", "8", "4", "24", "14", "cat"]) is RETINANET
    True
    """
    cells = [cell.strip() for cell in first]
    if len(cells) == 6 and is_picture(Path(cells[0])):
        boxed = all(re.fullmatch(r"-?\d+(\.\d+)?", cell) for cell in cells[1:5])
        return RETINANET if boxed or not any(cells[1:]) else None
    if len(cells) >= 9 and cells[0].upper() in _AUTOML_SETS and is_picture(Path(cells[1])):
        return AUTOML
    at = {re.sub(r"[\W_]", "", cell.lower()): place for place, cell in enumerate(cells)}
    name = next((at[word] for word in _NAMES if word in at), None)
    label = next((at[word] for word in _LABELS if word in at), None)
    if name is None or (label is None and any(word in at for word in _LABEL_NUMBERS)):
        return None
    found = ((kind, words) for kind, words in _SIDES if all(word in at for word in words))
    kind, words = next(found, ("cell", tuple(word for word in _ONE_CELL if word in at)[:1]))
    if not words:
        return None
    sizes = next(
        ((at[a], at[b]) for a, b in (("imagewidth", "imageheight"), ("width", "height"))
         if a in at and b in at and a not in words), None
    )  # fmt: skip
    part = next((at[word] for word in _PARTS if word in at), None)
    return BoxColumns(name, label, kind, tuple(at[word] for word in words), sizes, part)


def first_row(text: str) -> list[str]:
    """Return the cells of the first line that is not blank."""
    line = next((line for line in text.lstrip("\ufeff").splitlines() if line.strip()), "")
    return next(csv.reader([line], delimiter=divider_of(line)), [])


def divider_of(line: str) -> str:
    """Return what divides the cells of a line."""
    return max(DIVIDERS, key=line.count)


def table_rows(file: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield `("boxes.csv, line 2", cells)`; blank lines mean nothing.

    Raises:
        DataError: it cannot be read as text.
        csv.Error: it is no table from there on.
    """
    text = read_text(file)
    line = next((line for line in text.splitlines() if line.strip()), "")
    reader = csv.reader(io.StringIO(text), delimiter=divider_of(line))
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield f"{file.name}, line {reader.line_num}", [cell.strip() for cell in cells]
