"""Which rows begin the items of lists, and how deep those are nested."""

from collections.abc import Sequence

from florence2.documents.layout.markers import Marker, markers_of
from florence2.documents.layout.rows import Row
from florence2.documents.layout.style import INDENT, Style, fits


def item_starts(
    rows: Sequence[Row], headings: Sequence[int], edge: float, style: Style
) -> list[Marker | None]:
    """The marker of each row that begins a list item."""
    candidates = [
        [] if level else markers_of(row.text) for row, level in zip(rows, headings, strict=True)
    ]
    places: dict[tuple[str, int], list[float]] = {}
    for row, markers in zip(rows, candidates, strict=True):
        for marker in markers:
            places.setdefault((marker.kind, marker.value), []).append(row.left)

    def has_neighbour(row: Row, marker: Marker) -> bool:
        values = (marker.value - 1, marker.value + 1) if marker.value else (0,)
        near = [
            abs(left - row.left) < row.size
            for value in values
            for left in places.get((marker.kind, value), ())
        ]
        return sum(near) > (0 if marker.value else 1)

    found: list[Marker | None] = []
    last: tuple[Marker, Row] | None = None
    for number, (row, markers) in enumerate(zip(rows, candidates, strict=True)):
        above = rows[number - 1] if number else None
        chosen = None
        for marker in markers:
            if marker.is_sure:
                chosen = marker
                break
            needs_neighbour = marker.kind == "o" or marker.kind in (
                "a.",
                "A.",
                "i.",
                "a)",
                "A)",
                "i)",
            )
            if needs_neighbour and not has_neighbour(row, marker):
                continue
            if _may_start(
                row, above, marker, last, bool(number and headings[number - 1]), edge, style
            ):
                chosen = marker
                break
        found.append(chosen)
        if chosen:
            last = chosen, row
    return found


def _may_start(
    row: Row,
    above: Row | None,
    marker: Marker,
    last: tuple[Marker, Row] | None,
    is_below_heading: bool,
    edge: float,
    style: Style,
) -> bool:
    """Whether a row that looks like a list item does not go on with the line above."""
    if above is None or is_below_heading:
        return True
    indent = INDENT * row.size
    if last and last[0].kind == marker.kind and abs(last[1].left - row.left) < indent:
        return True
    return (
        style.has_gap(above, row)
        or not style.is_same_size(above, row)
        or fits(above, row, edge, style)
        or abs(above.left - row.left) > indent
    )


def parted_item(rows: Sequence[Row], style: Style) -> tuple[Sequence[Row], Sequence[Row]]:
    """Part rows of an item from text that goes back further than its marker."""
    first = rows[0]
    for number, row in enumerate(rows[1:], 1):
        if row.left < first.left - INDENT * row.size:
            return rows[:number], rows[number:]
    return rows, ()


def depth_of(levels: list[float], left: float, tolerance: float) -> int:
    """How deep an item that begins there is nested; keeps where the open lists begin."""
    while levels and left < levels[-1] - tolerance:
        levels.pop()
    if not levels or left > levels[-1] + tolerance:
        levels.append(left)
    return len(levels)
