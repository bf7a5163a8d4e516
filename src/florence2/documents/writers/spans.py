"""Where a block stands in a text and on its page."""

from dataclasses import dataclass
from typing import Any

from florence2.documents.structure import Block, Page
from florence2.documents.writers.content import lines_of, source_of
from florence2.documents.writers.rows import box_row, score_row
from florence2.geometry import Box


@dataclass(frozen=True)
class Span:
    """Where a block, or a part of one, stands.

    Attributes:
        start, end: in the text, in characters.
        kind: of the block.
        page: its number.
        page_size: width and height, in units of the page, of which `dpi` are an inch.
        boxes: `x_min, y_min, x_max, y_max` of the lines, of the block if it has none, in units of
            the page.
        score: in [0, 1]; None where nobody scored.
        source: where most of its lines come from.
    """

    start: int
    end: int
    kind: str
    page: int
    page_size: tuple[float, float]
    dpi: float
    boxes: tuple[Box, ...]
    score: float | None
    source: str

    def to_row(self) -> dict[str, Any]:
        """As JSON holds it; numbers have two decimals."""
        return {
            "start": self.start,
            "end": self.end,
            "kind": self.kind,
            "page": self.page,
            "page_size": [round(float(side), 2) for side in self.page_size],
            "dpi": round(float(self.dpi), 2),
            "boxes": [box_row(box) for box in self.boxes],
            "score": score_row(self.score),
            "source": self.source,
        }


def span_of(
    page: Page, block: Block, start: int, end: int, share: tuple[float, float] = (0.0, 1.0)
) -> Span:
    """The span of a block, or of the lines that are a share of its text.

    Args:
        share: from where to where of the block's text, in [0, 1].
    """
    lines = lines_of(block)
    lengths = [len(line.text) + 1 for line in lines]
    total = sum(lengths) - 1
    boxes: list[Box] = []
    for number, line in enumerate(lines):
        first = sum(lengths[:number])
        # Shares are rough where hyphens were taken out: a line that is only touched does not count.
        touch = min(2.0, lengths[number] / 4)
        last = first + lengths[number]
        if first + touch < share[1] * total and share[0] * total < last - touch:
            boxes.append(line.box)
    return Span(
        start,
        end,
        block.kind,
        page.number,
        (page.width, page.height),
        page.dpi,
        tuple(boxes) or (block.box,),
        block.score,
        source_of(block, page),
    )
