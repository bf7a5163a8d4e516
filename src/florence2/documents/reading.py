"""From files to pages: the text layer of a PDF where it is good, else the pixels, by a model.

file -- pages --> text layer? -- lines, rules, pictures ----------------+-- tables, blocks --> Page
                  pixels?     -- rendered -- two-stage reading -- rules -+
"""

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain
from multiprocessing.connection import wait
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
from florence2.errors import ConfigError, EngineError, Florence2Error, is_out_of_memory
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
        jobs: processes that read text layers side by side; `runtimes.cpus.usable_cpus()` gives one
            a CPU. Where there are several, each imports the script that asks for them, so what the
            script does must stand under `if __name__ == "__main__":`.
        figures: where figures that are cut out go; None to leave them in.
    """

    ocr: Ocr = "auto"
    dpi: float = 200.0
    min_score: float | None = None
    password: str | None = None
    pages: Pages | None = None
    jobs: int = 1
    figures: FigureFolder | None = None

    def __post_init__(self) -> None:
        if self.ocr not in ("auto", "always", "never"):
            raise ConfigError(f"ocr {self.ocr!r} is unknown; give auto, always or never")
        if not MIN_DPI <= self.dpi <= MAX_DPI:
            raise ConfigError(f"dpi must be {MIN_DPI:g} to {MAX_DPI:g}; got {self.dpi!r}")
        if self.min_score is not None and not 0.0 <= self.min_score <= 1.0:
            raise ConfigError(f"min_score must be a number from 0 to 1; got {self.min_score!r}")
        if self.jobs < 1:
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
        EngineError: other processes cannot be started.
        Florence2Error: the model cannot be loaded.
        OSError: a figure cannot be saved.
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
    jobs = min(options.jobs, len(numbers) // MIN_PAGES_OF_POOL)
    with ExitStack() as stack:
        others = None
        if jobs > 1 and isinstance(file, PdfFile) and options.ocr != "always":
            others = _Others(jobs, file, options)
            stack.callback(others.close)
        waiting: deque[tuple[int, Page | None]] = deque()
        for number in chain(numbers, [None] * (AHEAD * max(jobs, 1))):
            if number is not None:
                waiting.append((number, done(number)))
                if others is not None and waiting[-1][1] is None:
                    others.ask(number)
                if len(waiting) < AHEAD * max(jobs, 1):
                    continue
            if waiting:
                number, page = waiting.popleft()
                if page is None:
                    page = reader.page(file, number, None if others is None else others.get(number))
                    on_read(page)
                yield page


class _Layer(NamedTuple):
    """The page of a text layer, or why its pixels are to be read."""

    page: Page | None
    reason: str


class _Others:
    """Processes that read text layers of one file.

    Where one of them dies, as PDFium may over a damaged page, the others of its pool are lost too:
    the page that is waited for is then read by a process of its own, and only if that dies as well
    it cannot be read.
    """

    def __init__(self, jobs: int, file: PdfFile, options: ReadOptions) -> None:
        self._jobs, self._file, self._options = jobs, file, options
        self._pool = self._new_pool(jobs)
        self._asked: dict[int, Future[_Layer]] = {}  # in the order of pages
        self._num_read = 0

    def _new_pool(self, jobs: int) -> ProcessPoolExecutor:
        # The file goes to each process once: where it is bytes, not with every page.
        context = multiprocessing.get_context("spawn")
        given = self._file.source, self._options
        return ProcessPoolExecutor(jobs, context, initializer=_start_elsewhere, initargs=given)

    def ask(self, number: int) -> None:
        try:
            self._asked[number] = self._pool.submit(_layer_elsewhere, number)
        except BrokenExecutor:
            self._begin_anew()
            self._asked[number] = self._pool.submit(_layer_elsewhere, number)

    def get(self, number: int) -> _Layer:
        """What was found in the text layer of a page that was asked for."""
        try:
            layer = self._asked.pop(number).result()
        except BrokenExecutor as error:
            layer = self._alone(number, error)
            self._begin_anew()
        self._num_read += 1
        return layer

    def _alone(self, number: int, broken: BrokenExecutor) -> _Layer:
        with self._new_pool(1) as pool:
            try:
                return pool.submit(_layer_elsewhere, number).result()
            except BrokenExecutor:
                if not self._num_read:
                    raise EngineError(
                        "the processes that read text layers end before they read a page; put what"
                        ' your script does under if __name__ == "__main__":, or take one process'
                        " (jobs=1, --jobs 1)"
                    ) from broken
                return _Layer(
                    _unread(
                        number,
                        f"page {number:,} of {self._file.name} cannot be read (the process that"
                        " read it ended: it crashed, was killed, or lacked memory); save it anew"
                        " with the program that wrote it, or read its pixels with ocr always",
                    ),
                    "",
                )

    def _begin_anew(self) -> None:
        self._pool.shutdown()
        self._pool = self._new_pool(self._jobs)
        for number, layer in self._asked.items():
            if not layer.done() or layer.cancelled() or layer.exception() is not None:
                self._asked[number] = self._pool.submit(_layer_elsewhere, number)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


class _Elsewhere:
    """What another process reads: `(source, options)`, and the file, opened by the first page."""

    given: tuple[str | Path | bytes, ReadOptions]
    file: PdfFile | None = None


def _start_elsewhere(source: str | Path | bytes, options: ReadOptions) -> None:
    _Elsewhere.given = source, options
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asked is told, and ends us
    parent = multiprocessing.parent_process()
    if parent is not None:  # one that was killed cannot end us
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def _layer_elsewhere(number: int) -> _Layer:
    source, options = _Elsewhere.given
    try:
        if _Elsewhere.file is None:
            _Elsewhere.file = PdfFile(source, options.password)
    except Florence2Error as error:
        return _Layer(_unread(number, error), "")
    return _layer(_Elsewhere.file, number, options)


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
    except OSError:
        raise  # a figure that cannot be saved, not the page
    except Exception as error:
        return _Layer(_unread(number, _told(error, number, file)), "")


def _unread(number: int, error: Florence2Error | str) -> Page:
    return Page(number, 1.0, 1.0, error=str(error))


def _told(error: Exception, number: int, file: PageFile) -> str:
    """Why a page cannot be read, even where that is a mistake of ours: the others still can."""
    if isinstance(error, Florence2Error):
        return str(error)
    page = f"page {number:,} of {file.name} cannot be read"
    if is_out_of_memory(error):
        return f"{page}: memory is too small for it; take a lower dpi, or close other programs"
    what = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return f"{page} ({what}): a mistake of ours, please report it"


class _Reader:
    """Reads pages, and loads the model when the first one needs it."""

    def __init__(self, model: Florence2 | Callable[[], Florence2], options: ReadOptions) -> None:
        self._model, self.options = model, options
        self._load_error: Exception | None = None

    @property
    def model(self) -> Florence2:
        if not isinstance(self._model, Florence2):
            try:
                self._model = self._model()
            except Exception as error:
                self._load_error = error
                raise
        return self._model

    def page(self, file: PageFile, number: int, layer: _Layer | None) -> Page:
        """Read a page.

        Args:
            layer: what another process found in its text layer.
        """
        options = self.options
        reason = "pixels were asked for" if isinstance(file, PdfFile) else "a picture"
        try:
            if isinstance(file, PdfFile) and options.ocr != "always":
                page, reason = layer or _layer(file, number, options)
                if page is not None:
                    return self._described(page)
            start = time.perf_counter()
            page = self._from_pixels(file, number)
            seconds = time.perf_counter() - start
            return self._described(replace(page, reason=reason, seconds=seconds))
        except OSError:
            raise  # of a figure
        except Exception as error:
            if error is self._load_error:
                raise  # no page can be read then
            return _unread(number, _told(error, number, file))

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
