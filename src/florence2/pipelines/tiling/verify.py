"""Verify what tiles found: detect each object again, in a crop of its own around it.

On a tile of bare ground a model invents things, and of a thing that a seam cuts it sees a part.
Shown another crop of the picture it finds again what is there, and hardly ever the rest. So an
object stays only if its crop confirms it, and is then what the crop shows of it, uncut and with
something around it. `docs/tiling.md` has the numbers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from florence2.geometry import Array, PixelBox, box_iou
from florence2.pipelines.tiling.grid import Tile, window
from florence2.pipelines.tiling.matching import MIN_ALIKE
from florence2.pipelines.tiling.merge import boxes_of, merge, merged_metadata, with_absent
from florence2.results import Boxes, Mixed, Polygons, Result

Ask = Callable[[Sequence[PixelBox]], Sequence[Result]]  # about parts of the picture


def verify_objects(
    found: Result,
    known: Mapping[PixelBox, Result],
    ask: Ask,
    *,
    native_side: int,
    any_label: bool = False,
) -> Result:
    """Re-detect each object in a crop around it; drop objects that it does not confirm.

    Args:
        found: boxes or outlines, in pixels of the picture.
        known: answers about parts of the picture, which need not be asked again.
        native_side: of the model.
        any_label: see `merge`.
    """
    around: dict[PixelBox, list[Array]] = {}  # windows near a corner may be one
    for box in boxes_of(found):
        around.setdefault(window(box, found.image_size, native_side), []).append(box)
    if not around:
        return found
    new = [rect for rect in around if rect not in known]
    crops = {**known, **dict(zip(new, ask(new), strict=True))}
    confirmed = [_confirmed(crops[rect], rect, boxes) for rect, boxes in around.items()]
    merged = merge(confirmed, list(map(Tile, around)), found.image_size, any_label=any_label)
    if isinstance(found, Boxes | Mixed) and isinstance(merged, Boxes | Mixed):
        merged = with_absent(merged, [found, merged])
    return replace(merged, **merged_metadata([found, merged]))


def _confirmed(crop: Result, rect: PixelBox, boxes: Sequence[Array]) -> Result:
    """The objects of a crop that are those around which it was cut."""
    overlaps = box_iou(np.array(boxes) - np.tile(rect[:2], 2), boxes_of(crop))
    rows = {int(row.argmax()) for row in overlaps if row.max(initial=0.0) >= MIN_ALIKE}
    return _select(crop, sorted(rows))


def _select(result: Result, rows: Sequence[int]) -> Result:
    if isinstance(result, Mixed):
        count = len(result.boxes.labels)
        boxes = result.boxes.select([row for row in rows if row < count])
        outlines = result.polygons.select([row - count for row in rows if row >= count])
        return replace(result, boxes=boxes, polygons=outlines)
    assert isinstance(result, Boxes | Polygons), "only objects are verified"
    return result.select(rows)
