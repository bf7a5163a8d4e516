"""Pages of what people have: a PDF, a picture, a TIFF of several pages.

with open_pages("scan.tif") as file:
    for number in range(file.num_pages):
        with file.page(number) as page:
            ...  # a PdfPage, or a PicturePage
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Self

from PIL import Image

from florence2.data.image_files import picture_suffixes
from florence2.documents.pdf import PdfFile
from florence2.errors import ImageError
from florence2.geometry import Box
from florence2.processing.images import checked_path, count_pages, read_pages

UNKNOWN_DPI = 72.0
MIN_DPI, MAX_DPI = 20.0, 10_000.0
"""Others that a file tells are taken as unknown."""
_HEAD_BYTES = 1024


@dataclass(frozen=True, eq=False)
class PicturePage:
    """A page that is a picture; a context manager, as a page of a PDF is.

    Attributes:
        index: from 0.
        image: RGB and upright.
        dpi: pixels an inch, `UNKNOWN_DPI` where the file tells none.
    """

    index: int
    image: Image.Image
    dpi: float

    @property
    def width(self) -> float:
        """Pixels."""
        return float(self.image.width)

    @property
    def height(self) -> float:
        """Pixels."""
        return float(self.image.height)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.image.close()

    def render(self, dpi: float = UNKNOWN_DPI) -> Image.Image:
        """The picture itself, whatever the dpi."""
        return self.image

    def pictures(self) -> tuple[Box, ...]:
        """None is known on a picture."""
        return ()


class PictureFile:
    """A picture or several pages of them, each decoded when it is asked for.

    Raises:
        ImageError: it is no picture, or damaged.
    """

    def __init__(self, source: str | Path | bytes) -> None:
        self.source = source
        self.name = "picture" if isinstance(source, bytes) else repr(str(source))
        self.num_pages = count_pages(source)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return self.num_pages

    def close(self) -> None:
        """Nothing is open between pages."""

    def page(self, index: int) -> PicturePage:
        """A page by its number, from 0.

        Raises:
            ImageError: there is none, or it is damaged.
        """
        ((_, _, image),) = read_pages(self.source, lambda number: number == index + 1)
        return PicturePage(index, image, _dpi(image))


PageFile = PdfFile | PictureFile


def open_pages(source: str | Path | bytes, password: str | None = None) -> PageFile:
    """Open a file of pages by what is in it, whatever its name is.

    Args:
        source: path, or the bytes of a file.
        password: of a PDF.

    Raises:
        ImageError: it is neither a PDF nor a picture, or cannot be opened.
    """
    if _is_pdf(source):
        try:
            (password or "").encode()
        except UnicodeEncodeError as error:
            raise ImageError(
                "the password is not UTF-8, which no PDF is opened with; type it in a terminal that"
                " uses UTF-8"
            ) from error
        return PdfFile(source, password)
    return PictureFile(source)


def _is_pdf(source: str | Path | bytes) -> bool:
    if isinstance(source, bytes):
        return b"%PDF-" in source[:_HEAD_BYTES]
    path = str(source)
    is_called_pdf = path.lower().endswith(".pdf")
    checked_path(path, *(("document", "PDF") if is_called_pdf else ("image", "picture")))
    try:
        with open(source, "rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise ImageError(f"{path!r} cannot be read ({error.strerror}); check the path") from error
    return b"%PDF-" in head or is_called_pdf


def _dpi(image: Image.Image) -> float:
    """Pixels an inch of a picture, the same each way."""
    told: Any = image.info.get("dpi")
    try:
        dpi = float(told[0] if isinstance(told, tuple) else told)
    except (TypeError, ValueError, ZeroDivisionError, IndexError):
        return UNKNOWN_DPI
    return dpi if isfinite(dpi) and MIN_DPI <= dpi <= MAX_DPI else UNKNOWN_DPI


def document_files(given: Iterable[str]) -> Iterator[str]:
    """Documents by name: files as they are, the PDFs and pictures below a folder, in order.

    Raises:
        ImageError: a folder holds none.
    """
    for name in given:
        if name == "-" or not os.path.isdir(name):
            yield name
            continue
        suffixes = (".pdf", *picture_suffixes())
        found = [
            os.path.join(folder, file)
            for folder, _, files in os.walk(name)
            for file in files
            if file.lower().endswith(suffixes) and not file.startswith(".")
        ]
        if not found:
            raise ImageError(f"folder {name!r} holds no PDF and no picture; give another one")
        yield from sorted(found)
