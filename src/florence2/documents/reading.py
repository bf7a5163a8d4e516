"""From files to pages: the text layer of a PDF where it is good, else the pixels, by a model.

file -- pages --> text layer? -- lines, rules, pictures ----------------+-- tables, blocks --> Page
                  pixels?     -- rendered -- two-stage reading -- rules -+
"""

import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

from florence2.api import Florence2
from florence2.data.sources import Pages
from florence2.documents.blocks import blocks_of
from florence2.documents.figures import FigureFolder
from florence2.documents.furniture import mark_furniture
from florence2.documents.opening import PageFile
from florence2.documents.pdf import PdfFile
from florence2.documents.structure import Page
from florence2.documents.tables import find_tables
from florence2.documents.text_layer import text_layer_verdict
from florence2.errors import ConfigError, Florence2Error
from florence2.geometry import Array, Box
from florence2.pipelines.reading.lines import Line, Word
from florence2.pipelines.reading.rules import find_rules
from florence2.pipelines.reading.run import read_lines

Ocr = Literal["auto", "always", "never"]

SCAN_COVER = 0.85  # of a page: a picture that large is the page itself, no figure on it
MIN_DPI, MAX_DPI = 50.0, 600.0
AHEAD = 4  # pages for each process that are read before they are asked for
MIN_PAGES_OF_POOL = 12  # starting processes takes as long as reading some pages


@dataclass(frozen=True)
class ReadOptions:
    """How documents are read.

    Attributes:
        ocr: "auto": the text layer of a page where it is good, else pixels; "always": pixels;
            "never": the text layer, whatever it is.
        dpi: of the pictures that pages of PDFs are made into to be read.
        min_score: lines that the model scores lower are doubtful; None for the checkpoint's own.
        password: of encrypted PDFs.
        pages: which, from 1; None for all.
        jobs: processes that read text layers side by side; None for as many as there are CPUs.
        figures: where figures that are cut out go; None to leave them in.
    """

    ocr: Ocr = "auto"
    dpi: float = 200.0
    min_score: float | None = None
    password: str | None = None
    pages: Pages | None = None
    jobs: int | None = None
    figures: FigureFolder | None = None

    def __post_init__(self) -> None:
        if self.ocr not in ("auto", "always", "never"):
            raise ConfigError(f"ocr {self.ocr!r} is unknown; give auto, always or never")
        if not MIN_DPI <= self.dpi <= MAX_DPI:
            raise ConfigError(f"dpi must be {MIN_DPI:g} to {MAX_DPI:g}; got {self.dpi!r}")
        if self.min_score is not None and not 0.0 <= self.min_score <= 1.0:
            raise ConfigError(f"min_score must be a number from 0 to 1; got {self.min_score!r}")
        if self.jobs is not None and self.jobs < 1:
            raise ConfigError(f"jobs must be 1 or more; got {self.jobs!r}")


def read_document(
    file: PageFile,
    model: Florence2 | Callable[[], Florence2],
    options: ReadOptions = ReadOptions(),
    *,
    done: Callable[[int], Page | None] = lambda number: None,
    on_read: Callable[[Page], None] = lambda page: None,
) -> Iterator[Page]:
    """Read a PDF, a picture or a multi-page TIFF, page by page and in order.

        with open_pages("manual.pdf") as file:
            pages = list(read_document(file, model))

    Memory does not grow with the number of pages. A page that cannot be read says why, and the
    others are read all the same.

    Args:
        file: of `open_pages`; it must stay open meanwhile.
        model: reads pixels; a function that loads one is called when the first page needs it.
        done: gives a page that was read before, by its number.
        on_read: hears of each page that is read anew, before headers and footers are marked.

    Raises:
        ConfigError: the file has none of the pages that are asked for.
    """
    numbers = [
        number
        for number in range(1, file.num_pages + 1)
        if options.pages is None or number in options.pages
    ]
    if not numbers:
        raise ConfigError(
            f"{file.name} has {file.num_pages:,} page{'s' * (file.num_pages != 1)}, none of those"
            " asked for"
        )
    yield from mark_furniture(_read(file, numbers, _Reader(model, options), done, on_read))


def _read(
    file: PageFile,
    numbers: Sequence[int],
    reader: "_Reader",
    done: Callable[[int], Page | None],
    on_read: Callable[[Page], None],
) -> Iterator[Page]:
    """The pages in order; text layers side by side in other processes where that pays."""
    options = reader.options
    jobs = min(options.jobs or num_cpus(), len(numbers) // MIN_PAGES_OF_POOL)
    ask: Callable[[int], Future[_Layer] | None] = lambda number: None  # noqa: E731
    with ExitStack() as stack:
        if jobs > 1 and isinstance(file, PdfFile) and options.ocr != "always":
            pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"))
            stack.callback(pool.shutdown, wait=True, cancel_futures=True)

            def ask(number: int) -> Future[_Layer] | None:
                return pool.submit(_layer_elsewhere, file.source, number, options)

        waiting: deque[tuple[int, Page | None, Future[_Layer] | None]] = deque()
        for number in chain(numbers, [None] * (AHEAD * max(jobs, 1))):
            if number is not None:
                known = done(number)
                waiting.append((number, known, None if known is not None else ask(number)))
                if len(waiting) < AHEAD * max(jobs, 1):
                    continue
            if waiting:
                number, page, layer = waiting.popleft()
                if page is None:
                    page = reader.page(file, number, None if layer is None else layer.result())
                    on_read(page)
                yield page


def num_cpus() -> int:
    """CPUs that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


class _Layer(NamedTuple):
    """The page of a text layer, or why its pixels are to be read."""

    page: Page | None
    reason: str


_opened: dict[
    tuple[str | Path | bytes, str | None], PdfFile
] = {}  # in a process of the pool, the last file


def _layer_elsewhere(source: str | Path | bytes, number: int, options: ReadOptions) -> _Layer:
    key = source, options.password
    if key not in _opened:
        for file in _opened.values():
            file.close()
        _opened.clear()
        _opened[key] = PdfFile(source, options.password)
    return _layer(_opened[key], number, options)


def _layer(file: PdfFile, number: int, options: ReadOptions) -> _Layer:
    """Read the text layer of a page of a PDF, if that is what is to be read."""
    start = time.perf_counter()
    try:
        with file.page(number - 1) as page:
            verdict = text_layer_verdict(page)
            if options.ocr == "auto" and not verdict.is_good:
                return _Layer(None, verdict.reason)
            lines = page.lines()
            size = page.width, page.height
            made = _page_of(
                number, size, 72.0, lines, page.rules(), page.pictures(), shades=page.shades()
            )
            if options.figures is not None:
                made = options.figures.cut_out(made, page.render)
            reason = verdict.reason if options.ocr == "auto" else "only text layers are read"
            source: Literal["text layer", "none"] = "text layer" if lines else "none"
            seconds = time.perf_counter() - start
            return _Layer(replace(made, source=source, reason=reason, seconds=seconds), "")
    except Florence2Error as error:
        return _Layer(_unread(number, error), "")


def _unread(number: int, error: Florence2Error) -> Page:
    return Page(number, 1.0, 1.0, error=str(error))


class _Reader:
    """Reads pages, and loads the model when the first one needs it."""

    def __init__(self, model: Florence2 | Callable[[], Florence2], options: ReadOptions) -> None:
        self._model, self.options = model, options

    @property
    def model(self) -> Florence2:
        if not isinstance(self._model, Florence2):
            self._model = self._model()
        return self._model

    def page(self, file: PageFile, number: int, layer: _Layer | None) -> Page:
        """Read a page.

        Args:
            layer: what another process found in its text layer.
        """
        options = self.options
        reason = "pixels were asked for" if isinstance(file, PdfFile) else "a picture"
        if isinstance(file, PdfFile) and options.ocr != "always":
            page, reason = layer or _layer(file, number, options)
            if page is not None:
                return self._described(page)
        start = time.perf_counter()
        try:
            page = self._from_pixels(file, number)
        except Florence2Error as error:
            return _unread(number, error)
        seconds = time.perf_counter() - start
        return self._described(replace(page, reason=reason, seconds=seconds))

    def _from_pixels(self, file: PageFile, number: int) -> Page:
        options = self.options
        with file.page(number - 1) as shown:
            if options.ocr == "never":
                return Page(number, shown.width, shown.height, shown.dpi)
            picture = shown.render(options.dpi)
            page = read_picture(
                self.model,
                picture,
                number,
                dpi=shown.dpi,
                size=(shown.width, shown.height),
                pictures=shown.pictures(),
                min_score=options.min_score,
            )
            return page if options.figures is None else options.figures.cut_out(page, picture)

    def _described(self, page: Page) -> Page:
        figures = self.options.figures
        return page if figures is None else figures.described(page, lambda: self.model)


def read_picture(
    model: Florence2,
    picture: Image.Image,
    number: int = 1,
    *,
    dpi: float = 72.0,
    size: tuple[float, float] | None = None,
    pictures: Sequence[Box] = (),
    min_score: float | None = None,
) -> Page:
    """Read the picture of a page.

    Args:
        number: of the page, from 1.
        dpi: units of the page an inch.
        size: `(width, height)` of the page in its units; None for pixels.
        pictures: boxes of figures in units of the page, as far as they are known.
        min_score: lines that score lower are doubtful; None for the checkpoint's own.
    """
    size = size or (float(picture.width), float(picture.height))
    scale = np.array([size[0] / picture.width, size[1] / picture.height])
    read = read_lines(model.engine, picture, min_score=min_score)
    rules = find_rules(np.asarray(picture.convert("L")))
    lines = tuple(scaled(line, scale) for line in read.lines)
    page = _page_of(number, size, dpi, lines, rules * np.tile(scale, 2), pictures)
    doubtful = tuple(scaled(line, scale) for line in read.doubtful)
    return replace(page, source="model" if lines else "none", doubtful=doubtful)


def scaled(line: Line, scale: Array) -> Line:
    """A line in other units: `(across, down)` for each of its own."""
    words = tuple(Word(word.text, word.quad * scale, word.score) for word in line.words)
    return replace(
        line,
        quad=line.quad * scale,
        words=words,
        letter_height=line.letter_height * float(scale[1]),
    )


def _page_of(
    number: int,
    size: tuple[float, float],
    dpi: float,
    lines: Sequence[Line],
    rules: Array,
    pictures: Sequence[Box],
    *,
    shades: Array | None = None,
) -> Page:
    width, height = size
    figures = [box for box in pictures if not _is_scan(box, size)]
    edges = rules if shades is None else np.concatenate([rules, shades])
    tables = find_tables(lines, edges, width=width, height=height)
    blocks = blocks_of(
        lines, width=width, height=height, tables=tables, pictures=figures, rules=rules
    )
    return Page(number, width, height, dpi, blocks)


def _is_scan(box: Box, size: tuple[float, float]) -> bool:
    """Whether a picture is the page itself."""
    return (box[2] - box[0]) * (box[3] - box[1]) >= SCAN_COVER * size[0] * size[1]
