"""PDF files: text with its places, rules and pictures of a page, and the page as a picture.

    with PdfFile("manual.pdf") as file:
        for number in range(file.num_pages):
            with file.page(number) as page:
                page.lines(), page.rules(), page.pictures(), page.render(dpi=150)

All places are those of the page that is shown: upright, cropped, in units of 1/72 inch, from its
upper left corner. PDFium is not made for threads; use one process for each part of a file.
"""

import io
import mmap
import os
import re
import zlib
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image

from florence2.documents.pdf_letters import Letters, cut_at_rules, lines_of, read_letters, read_pens
from florence2.documents.pdf_objects import (
    MIN_PICTURE_SIDE,
    TEXT,
    Frame,
    Placed,
    joined_pictures,
    may_be_off,
    picture_boxes,
    placed_objects,
    rule_boxes,
    shade_boxes,
    shown_part,
)
from florence2.documents.pdfium import address_of, bindings, function, raw
from florence2.errors import ImageError
from florence2.geometry import Array, Box
from florence2.pipelines.reading.lines import Line
from florence2.processing.images import checked_path

MAX_RENDERED_PIXELS = 50_000_000
"""Of a page; 150 MB, an A4 page at 700 dpi."""
PAGES_BEFORE_ANEW = 200
"""PDFium keeps what it has read of a file; it is opened anew after as many pages."""
MIN_UNIT, MAX_UNIT = 1e-3, 1e5  # of UserUnit; others are taken as 1
_HEAD_BYTES = 1024  # a PDF says so within these
_MAX_DICTIONARY = 4096  # bytes
_PASSWORD, _SECURITY = 4, 5  # PDFium's numbers of errors
_FREE_TEXT, _WIDGET = 3, 20  # kinds of annotations that are read
_OBJECT_STREAM = re.compile(rb"/Type\s*/ObjStm\b")
_STREAM = re.compile(rb"stream\r?\n")
_USER_UNIT = re.compile(rb"/UserUnit\s+([0-9.]+)")
_USER_UNIT_ELSEWHERE = re.compile(rb"/UserUnit\s+([0-9]+) [0-9]+ R")


class PdfFile:
    """A PDF that is open; a context manager.

    Args:
        source: path, or the bytes of a file.
        password: where it is encrypted and does not open without.

    Raises:
        ImageError: no PDF, an encrypted one and no password that opens it, a damaged one, one
            without pages.
        DataError: pypdfium2 is not installed.
    """

    def __init__(self, source: str | Path | bytes, password: str | None = None) -> None:
        self.source, self._password = source, password
        self.name = (
            f"document of {len(source):,} bytes"
            if isinstance(source, bytes)
            else checked_path(str(source), "document", "PDF")
        )
        self._document = self._opened()
        self.num_pages = len(self._document)
        self._num_loaded, self._num_open = 0, 0

    def _opened(self) -> Any:
        head = _head(self.source, self.name)
        if b"%PDF" not in head:
            raise ImageError(f"{self.name} is no PDF; give a PDF, or a picture of a page")
        source = self.source if isinstance(self.source, bytes) else Path(self.source).absolute()
        # A file without pages leaves the error of the file before, such as no password: set one.
        raw().FPDF_LoadMemDocument64(b"-", 1, None)
        try:
            document = bindings().PdfDocument(source, password=self._password)
            document.init_forms()  # or filled fields are not drawn
            return document
        except bindings().PdfiumError as error:
            if error.err_code == _PASSWORD:
                raise ImageError(
                    f"{self.name} is encrypted"
                    + (
                        ", and the password does not open it; give the right --password"
                        if self._password
                        else "; give its --password"
                    )
                ) from error
            if error.err_code == _SECURITY:
                raise ImageError(
                    f"{self.name} is encrypted in a way that is not known; save it without"
                ) from error
            raise ImageError(
                f"{self.name} is damaged, or has no pages; save it anew with the program that"
                " wrote it"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and its pages."""
        self._document.close()

    def __len__(self) -> int:
        return self.num_pages

    def page(self, index: int) -> "PdfPage":
        """A page by its number, from 0.

        Raises:
            ImageError: there is none, or it is damaged.
        """
        if not 0 <= index < self.num_pages:
            raise ImageError(
                f"{self.name} has {self.num_pages:,} page{'s' * (self.num_pages != 1)}; there is"
                f" no page {index + 1:,}"
            )
        return PdfPage(self, index)

    def load(self, index: int) -> Any:
        """A page as PDFium has it; what fields and notes say is part of its text then."""
        if self._num_loaded >= PAGES_BEFORE_ANEW and not self._num_open:
            self._document.close()
            self._document = self._opened()
            self._num_loaded = 0
        try:
            page = self._document.get_page(index)
            if _has_fields(page):
                raw().FPDFPage_Flatten(page, raw().FLAT_NORMALDISPLAY)
                page.close()
                page = self._document.get_page(index)
        except bindings().PdfiumError as error:
            raise ImageError(
                f"page {index + 1:,} of {self.name} is damaged and left out"
            ) from error
        self._num_loaded += 1
        self._num_open += 1
        return page

    def unload(self, page: Any) -> None:
        """Close a page that was loaded."""
        page.close()
        self._num_open -= 1

    @cached_property
    def has_layers(self) -> bool:
        """Whether the file may have layers that can be off."""
        return b"/OCProperties" in self._words

    @cached_property
    def _words(self) -> frozenset[bytes]:
        """Which of the few names that PDFium tells nothing about are in the file."""
        finder = _Finder((b"/UserUnit", b"/OCProperties"))
        with _bytes_of(self.source) as data:
            packed = list(_OBJECT_STREAM.finditer(data))
            if packed and data.find(b"/Encrypt") >= 0:  # only PDFium can unpack what is in there
                with self._opened() as copy:  # whose objects do not stay in memory
                    copy.save(finder)
                return finder.found
            finder.look(data)
            for stream in packed:
                begin = _STREAM.search(data, stream.end(), stream.end() + _MAX_DICTIONARY)
                if begin:
                    end = data.find(b"endstream", begin.end())
                    finder.look(_unpacked(data[begin.end() : end]))
        return finder.found

    def unit(self, index: int) -> float:
        """Units of 1/72 inch in one unit of a page (UserUnit), which PDFium does not tell."""
        if b"/UserUnit" not in self._words:
            return 1.0
        copy = bindings().PdfDocument.new()
        try:
            copy.import_pages(self._document, [index])
            file = io.BytesIO()
            copy.save(file)
        except bindings().PdfiumError:
            return 1.0
        finally:
            copy.close()
        data = file.getvalue()
        found = _USER_UNIT.search(data)
        if elsewhere := _USER_UNIT_ELSEWHERE.search(data):
            found = re.search(rb"\b%b 0 obj\s+([0-9.]+)" % elsewhere[1], data)
        try:
            unit = float(found[1]) if found else 1.0
        except ValueError:
            return 1.0
        return unit if MIN_UNIT <= unit <= MAX_UNIT else 1.0


class PdfPage:
    """A page of a PDF; a context manager. It is read when it is asked, each part once.

    Attributes:
        index: from 0.
        width, height: in units of 1/72 inch, of what is shown.
        dpi: units an inch.
    """

    def __init__(self, file: PdfFile, index: int) -> None:
        self._file = file
        self._page = file.load(index)
        self.index = index
        box, turn = self._page.get_bbox(), self._page.get_rotation()
        self.frame = Frame.of(box, turn, file.unit(index))
        self.width, self.height = self.frame.width, self.frame.height
        self.dpi = 72.0
        if self.width <= 0 or self.height <= 0:
            self.close()
            raise ImageError(f"page {index + 1:,} of {file.name} has no size; it is left out")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the page; what was read of it stays."""
        if self._page is not None:
            self._file.unload(self._page)
            self._page = None

    def lines(self) -> tuple[Line, ...]:
        """Lines of text that can be seen, or that stand hidden behind a picture, in file order.

        Their `source` tells which. What is outside of the page, cut away by a box or on a layer
        that is off is left out.
        """
        return self._lines

    def rules(self) -> Array:
        """Level and upright rules, boxes `(N, 4)`: thin rectangles, lines, sides of frames."""
        return self._rules

    def shades(self) -> Array:
        """Boxes `(N, 4)` of shaded rectangles, as behind cells and rows of tables."""
        return shade_boxes(self._objects, self.frame)

    def pictures(self) -> tuple[Box, ...]:
        """Boxes of pictures on the page, those cut into strips put together, in file order."""
        boxes = joined_pictures(self._picture_boxes)
        sides = boxes[:, 2:] - boxes[:, :2]
        boxes = boxes[(sides >= MIN_PICTURE_SIDE).all(axis=1)]
        return tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in boxes)

    def picture_cover(self) -> float:
        """The share of the page that pictures cover, in [0, 1]."""
        side = 100
        covered = np.zeros((side, side), np.bool_)
        cells = self._picture_boxes / np.array([self.width, self.height] * 2) * side
        for x_min, y_min, x_max, y_max in cells.round().astype(int).tolist():
            covered[y_min:y_max, x_min:x_max] = True
        return float(covered.mean())

    def has_drawings(self) -> bool:
        """Whether anything but text and pictures is drawn."""
        return any(placed.kind != TEXT for placed in self._objects)

    def render(self, dpi: float = 200.0, max_pixels: int = MAX_RENDERED_PIXELS) -> Image.Image:
        """The page as an RGB picture, with fields, notes and whatever else is shown.

        A pixel is `width / picture.width` units wide: `dpi / 72` pixels a unit, the sides rounded
        up, and fewer where the picture would have more than `max_pixels`.
        """
        scale = dpi / 72
        scale = min(scale, float(np.sqrt(max_pixels / (self.width * self.height))))
        if scale * max(self.width, self.height) > _MAX_SIDE:
            scale = _MAX_SIDE / max(self.width, self.height)
        return self._rendered(scale * self.frame.unit)

    def _rendered(self, scale: float) -> Image.Image:
        try:
            bitmap = self._page.render(scale=scale, rev_byteorder=True, limit_image_cache=True)
        except (bindings().PdfiumError, RuntimeError, ValueError) as error:
            raise ImageError(
                f"page {self.index + 1:,} of {self._file.name} cannot be drawn ({error})"
            ) from error
        try:
            picture: Image.Image = bitmap.to_pil().convert("RGB").copy()
        finally:
            bitmap.close()
        return picture

    @cached_property
    def _objects(self) -> list[Placed]:
        return placed_objects(address_of(self._page.raw))

    @cached_property
    def _rules(self) -> Array:
        return rule_boxes(self._objects, self.frame)

    @cached_property
    def _picture_boxes(self) -> Array:
        return picture_boxes(self._objects, self.frame)

    @cached_property
    def _lines(self) -> tuple[Line, ...]:
        try:
            text_page = self._page.get_textpage()
        except bindings().PdfiumError as error:
            raise ImageError(
                f"the text of page {self.index + 1:,} of {self._file.name} is damaged"
            ) from error
        try:
            handle = address_of(text_page.raw)
            letters = read_letters(handle, self.frame)
            if not letters.texts:
                return ()
            letters = letters[np.flatnonzero(self._are_shown(letters))]
            pens = read_pens(handle, letters, self.frame)
            drawn = None
            if not pens.are_plain.all():
                drawn = {placed.handle: number for number, placed in enumerate(self._objects)}
            return cut_at_rules(lines_of(letters, pens, drawn), self._rules)
        finally:
            text_page.close()

    def _are_shown(self, letters: Letters) -> Any:
        """Whether letters are inside what clips leave, and on layers that are on; bool `(N,)`."""
        shown = np.ones(len(letters.texts), np.bool_)
        centres = (letters.tight[:, :2] + letters.tight[:, 2:]) / 2
        texts = [placed for placed in self._objects if placed.kind == TEXT]
        clips = {placed.handle: shown_part(placed, self.frame) for placed in texts}
        handles, which = np.unique(letters.objects, return_inverse=True)
        everything = np.array([-np.inf, -np.inf, np.inf, np.inf])
        limits = np.array(
            [
                box if (box := clips.get(each)) is not None else everything
                for each in handles.tolist()
            ]
        )[which]
        shown &= ((centres >= limits[:, :2]) & (centres <= limits[:, 2:])).all(axis=1)
        if self._file.has_layers:
            doubtful = {placed.handle for placed in texts if may_be_off(placed)}
            are_doubtful = np.array([each in doubtful for each in handles.tolist()], np.bool_)[
                which
            ]
            chosen = np.flatnonzero(are_doubtful & shown)
            if len(chosen):
                shown[chosen] = self._leave_ink(letters.tight[chosen], sorted(doubtful))
        return shown

    def _leave_ink(self, boxes: Array, handles: list[int]) -> Any:
        """Whether the page looks different inside of boxes where text objects are not drawn."""
        scale = min(2.0, float(np.sqrt(4e6 / (self.width * self.height)))) * self.frame.unit
        with_text = np.asarray(self._rendered(scale))
        switch = function("FPDFPageObj_SetIsActive")
        for handle in handles:
            switch(handle, 0)
        try:
            without = np.asarray(self._rendered(scale))
        finally:
            for handle in handles:
                switch(handle, 1)
        differs = (with_text != without).any(axis=2)
        height, width = differs.shape
        pixels = boxes * np.array([width / self.width, height / self.height] * 2)
        low, high = np.floor(pixels[:, :2]).astype(int), np.ceil(pixels[:, 2:]).astype(int) + 1
        return [
            bool(differs[max(0, y_min) : y_max, max(0, x_min) : x_max].any())
            for (x_min, y_min), (x_max, y_max) in zip(low.tolist(), high.tolist(), strict=True)
        ]


_MAX_SIDE = 30_000  # pixels


def _has_fields(page: Any) -> bool:
    """Whether a page has fields of a form or notes, which are drawn but are not in its text."""
    pdfium = raw()
    for number in range(pdfium.FPDFPage_GetAnnotCount(page)):
        annotation = pdfium.FPDFPage_GetAnnot(page, number)
        if annotation:
            kind = pdfium.FPDFAnnot_GetSubtype(annotation)
            pdfium.FPDFPage_CloseAnnot(annotation)
            if kind in (_FREE_TEXT, _WIDGET):
                return True
    return False


def _head(source: str | Path | bytes, name: str) -> bytes:
    if isinstance(source, bytes):
        if not source:
            raise ImageError(f"{name} is empty; give the bytes of a PDF")
        return source[:_HEAD_BYTES]
    try:
        with open(source, "rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ImageError(f"{name} cannot be read ({reason}); check the path") from error


class _Finder:
    """Looks for words in bytes that come in pieces; a file to write into."""

    def __init__(self, words: tuple[bytes, ...]) -> None:
        self._words, self._tail = words, b""
        self.found: frozenset[bytes] = frozenset()

    def look(self, data: Any) -> None:
        self.found |= {word for word in self._words if data.find(word) >= 0}

    def write(self, data: bytes) -> int:
        self.look(self._tail + bytes(data))
        self._tail = bytes(data)[-20:]
        return len(data)


class _bytes_of:
    """The bytes of a file, without reading those that are not looked at."""

    def __init__(self, source: str | Path | bytes) -> None:
        self.source, self._file = source, -1

    def __enter__(self) -> Any:
        if isinstance(self.source, bytes):
            return self.source
        self._file = os.open(self.source, os.O_RDONLY)
        self._map = mmap.mmap(self._file, 0, access=mmap.ACCESS_READ)
        return self._map

    def __exit__(self, *_: object) -> None:
        if self._file >= 0:
            self._map.close()
            os.close(self._file)


def _unpacked(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, 1 << 26)
    except zlib.error:
        return b""
