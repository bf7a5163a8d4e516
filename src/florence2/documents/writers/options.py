"""What writers are told beside the pages."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TextIO

from florence2.documents.structure import Block, Page
from florence2.errors import ConfigError

Unit = Literal["point", "pixel"]
"""That of pages' coordinates: 1/72 inch for a PDF, pixels for pictures."""


def _not_cut_out(page: Page, block: Block) -> str | None:
    return None


@dataclass(frozen=True)
class WriterOptions:
    """A document as a whole, and choices; each writer says which it follows.

    Attributes:
        name: of the file that was read.
        unit: of all pages' coordinates.
        num_pages: that the file has; None leaves counting to the writer.
        keep_furniture: whether headers and footers of pages are written.
        page_breaks: whether Markdown says where a page begins, in comments.
        page_break: stands between pages of plain text.
        dpi: of the pixels in hOCR and ALTO, for pages in points; pictures keep their own.
        alto_version: 3 or 4.
        figure_path: of a figure that was cut out, relative to the file written, else None.
        spans: takes the side file of Markdown: where each block stands in it.
    """

    name: str = ""
    unit: Unit = "point"
    num_pages: int | None = None
    keep_furniture: bool = False
    page_breaks: bool = False
    page_break: str = "\f"
    dpi: float = 300.0
    alto_version: int = 4
    figure_path: Callable[[Page, Block], str | None] = _not_cut_out
    spans: TextIO | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.dpi <= 10_000:
            raise ConfigError(f"dpi is {self.dpi!r}; give a number from 1 to 10000")
        if self.alto_version not in (3, 4):
            raise ConfigError(f"version {self.alto_version!r} of ALTO is not written; give 3 or 4")

    def scale(self, page: Page) -> float:
        """Pixels in hOCR and ALTO for each unit of a page."""
        return self.dpi / page.dpi if self.unit == "point" else 1.0

    def pixel_dpi(self, page: Page) -> float:
        """Pixels an inch in hOCR and ALTO."""
        return self.scale(page) * page.dpi
