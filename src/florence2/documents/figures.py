"""Figures of pages as files of their own, and what they show."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from florence2.api import Florence2
from florence2.documents.structure import Block, Page
from florence2.errors import ImageError, writing

DPI = 150.0  # of figures of PDFs


@dataclass(frozen=True)
class FigureFolder:
    """A folder of the figures of one document.

    Attributes:
        folder: made when the first figure is cut out.
        stem: their names begin with it: `STEM-p3-1.png` is the first of page 3.
        describe: whether the model says what each shows.
    """

    folder: Path
    stem: str
    describe: bool = False

    def path(self, page: Page, block: Block) -> Path | None:
        """Where a figure of a page is, or will be; None for another block."""
        for number, figure in enumerate(_figures(page), start=1):
            if figure is block:
                return self.folder / f"{self.stem}-p{page.number}-{number}.png"
        return None

    def cut_out(self, page: Page, picture: Image.Image | Callable[[float], Image.Image]) -> Page:
        """Save the figures of a page.

        Args:
            picture: of the page; or a function that makes it at so many dots an inch.
        """
        for block in _figures(page):
            if not isinstance(picture, Image.Image):
                picture = picture(DPI)
            scale = picture.width / page.width, picture.height / page.height
            left, top, right, bottom = (
                round(side * scale[axis % 2]) for axis, side in enumerate(block.box)
            )
            part = picture.crop((left, top, max(right, left + 1), max(bottom, top + 1)))
            path = self.path(page, block)
            assert path is not None, "it is a figure"
            with writing(path):
                self.folder.mkdir(parents=True, exist_ok=True)
                part.save(path)
        return page

    def described(self, page: Page, model: Callable[[], Florence2]) -> Page:
        """The page, with what the model says of each of its figures."""
        if not self.describe or not any(_figures(page)):
            return page
        blocks = []
        for block in page.blocks:
            path = self.path(page, block)
            if path is not None and not block.text:
                with suppress(ImageError):  # too small or too long for a model: no description
                    block = replace(block, text=model().caption(path, "detailed").text)
            blocks.append(block)
        return replace(page, blocks=tuple(blocks))


def _figures(page: Page) -> Iterator[Block]:
    return (block for block in page.blocks if block.kind == "figure")
