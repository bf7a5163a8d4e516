"""Read documents: PDFs, scans, photographs of print, screens.

A page of a PDF is read from its text layer where that is good, else from its pixels. What is
written has paragraphs, headings, lists and tables in the order in which people read them; --to
says in which format, and JSON and the formats of other programs have a place for each word.

  florence2 read manual.pdf > manual.md
  florence2 read scan.png --to text
  florence2 read letters/ --output read/ --to json      # again: goes on where it stopped
  florence2 read book.pdf --chunks 800 > chunks.jsonl   # for language models
  florence2 read form.pdf --ocr always --draw out/
  florence2 read page.tif --to hocr > page.hocr
"""

import argparse
import errno
import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from florence2.cli.common import MODEL_FLAGS, add_flag
from florence2.cli.edge import STDOUT, explain
from florence2.errors import ConfigError, Florence2Error, writing

if TYPE_CHECKING:
    from florence2.api import Florence2
    from florence2.documents.opening import PageFile
    from florence2.documents.reading import ReadOptions
    from florence2.documents.structure import Block, Page
    from florence2.documents.writers.options import WriterOptions

FORMATS = ("markdown", "json", "text", "hocr", "alto", "docling")
CHUNKS_SUFFIX = ".chunks.jsonl"
MIN_CHUNK = 50  # tokens
DRAWN_DPI = 110.0  # of annotated pages of PDFs
SOURCES = {"text layer": "from the text layer", "model": "from pixels", "none": "empty"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="PDFs, pictures, TIFFs of several pages, folders of them",
    )
    parser.add_argument("--to", choices=FORMATS, help="format (default markdown)")
    parser.add_argument(
        "--output",
        metavar="PATH",
        type=Path,
        help="a file; or a folder, for a file each: those that stand there are left out",
    )
    parser.add_argument(
        "--chunks",
        type=int,
        metavar="TOKENS",
        help="write JSON lines of pieces of so many tokens at most, each with pages and boxes",
    )
    parser.add_argument(
        "--ocr",
        choices=("auto", "always", "never"),
        default="auto",
        help="read pixels: where the text layer is not good (auto, default), always, never",
    )
    parser.add_argument("--pages", metavar="P", help="all, or numbers from 1 as in 1,3-5")
    parser.add_argument("--password", metavar="WORD", help="of encrypted PDFs")
    parser.add_argument(
        "--dpi", type=float, default=200.0, metavar="N", help="at which pages are made into pixels"
    )
    parser.add_argument(
        "--min-score",
        type=float,
        metavar="P",
        help="leave out lines that the model is less sure of (0 to 1; default: the model's)",
    )
    parser.add_argument(
        "--figures", metavar="DIR", type=Path, help="cut figures out and save them here"
    )
    parser.add_argument(
        "--page-breaks", action="store_true", help="comments in Markdown where a page begins"
    )
    parser.add_argument(
        "--furniture", action="store_true", help="keep headers and footers of pages too"
    )
    parser.add_argument("--draw", metavar="DIR", type=Path, help="write annotated pages here")
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="processes for text layers (default: one a CPU)"
    )
    parser.add_argument("--quiet", action="store_true", help="nothing on stderr but what is wrong")
    for flag in MODEL_FLAGS:
        add_flag(parser, flag)


def main(arguments: argparse.Namespace) -> int:
    from florence2.documents.opening import document_files

    if arguments.chunks is not None and arguments.chunks < MIN_CHUNK:
        raise ConfigError(f"--chunks must be {MIN_CHUNK} tokens or more; got {arguments.chunks!r}")
    if arguments.chunks is not None and arguments.to not in (None, "markdown"):
        raise ConfigError(
            f"--chunks writes JSON lines of Markdown, --to {arguments.to} something else; give one"
            " of the two"
        )
    arguments.to = arguments.to or "markdown"
    files = list(document_files(arguments.files))
    jobs = [Document(file, arguments, len(files)) for file in files]
    if arguments.output is None and len(files) > 1:
        raise ConfigError(
            f"{len(files):,} documents are to be read into one stream; give --output with a folder"
        )
    targets: dict[Path, str] = {}
    sources = {Path(file).absolute(): file for file in files if file != "-"}
    for job in jobs:
        if job.target is not None and job.target.absolute() in sources:
            raise ConfigError(
                f"--output {str(job.target)!r} is a document that is to be read; name another file"
                " or a folder"
            )
        if job.target is not None and targets.setdefault(job.target, job.file) != job.file:
            raise ConfigError(
                f"{targets[job.target]!r} and {job.file!r} would both be written to"
                f" {str(job.target)!r}; read them into folders of their own"
            )
    for folder in (arguments.figures, arguments.draw):
        if folder is not None:  # before an hour of reading
            with writing(folder):
                folder.mkdir(parents=True, exist_ok=True)
                if not os.access(folder, os.W_OK):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    model = _Model(arguments)
    failed = [job.file for job in jobs if not job.read(model)]
    if len(files) > 1 and failed:
        print(
            f"florence2: {len(files) - len(failed):,} of {len(files):,} documents read whole,"
            f" {len(failed):,} not: see above",
            file=sys.stderr,
        )
    return 2 if failed else 0


class _Model:
    """The model, loaded when the first page needs it."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._loaded: Florence2 | None = None

    def __call__(self) -> "Florence2":
        if self._loaded is None:
            from florence2.cli.run import load

            given = vars(self._arguments) | {"calibration": None}
            if given["threads"] is None and given["model"] == "nano":
                given["threads"] = 1  # its layers are so small that a second one costs more
            self._loaded = load(argparse.Namespace(**given))
        return self._loaded


@dataclass
class Document:
    """One document on its way from a file to another.

    Attributes:
        num_documents: that are read in all.
        target: the file that is written; None for standard output.
        digest: of what came on standard input.
    """

    file: str
    arguments: argparse.Namespace
    num_documents: int = 1
    target: Path | None = field(init=False)
    sources: dict[str, int] = field(default_factory=dict)
    num_failed: int = 0
    digest: str = ""

    def __post_init__(self) -> None:
        self.target = self._target()

    @property
    def stem(self) -> str:
        """What the names of its files begin with."""
        return "standard-input" if self.file == "-" else Path(self.file).stem

    @property
    def _kept_path(self) -> Path:
        """Where pages are kept until all of them are read."""
        assert self.target is not None, "nothing is kept for standard output"
        return self.target.with_name(self.target.name + ".pages.jsonl")

    def _target(self) -> Path | None:
        from florence2.documents.writers.registry import writer_named

        output: Path | None = self.arguments.output
        if output is None:
            return None
        is_file = output.exists() and not output.is_dir()
        if self.num_documents > 1 and is_file:
            raise ConfigError(
                f"--output {str(output)!r} is a file; name a folder for {self.num_documents:,}"
                " documents"
            )
        if is_file and not output.is_file():
            raise ConfigError(
                f"--output {str(output)!r} is a device or a pipe, and pages are written to files;"
                f" leave --output out, and write > {output}"
            )
        if is_file or (output.suffix and not output.is_dir() and self.num_documents == 1):
            return output
        suffix = writer_named(self.arguments.to).suffix
        return output / (self.stem + (CHUNKS_SUFFIX if self.arguments.chunks else suffix))

    def read(self, load: _Model) -> bool:
        """Read and write it; returns whether all of it could be read."""
        from florence2.documents.opening import open_pages

        if self.target is not None and self.target.exists() and not self._kept_path.exists():
            self._tell(f"{str(self.target)!r} is there and left out; remove it to read anew")
            return True
        try:
            with ExitStack() as stack:
                source: str | bytes = self.file
                if self.file == "-":
                    if sys.stdin is None:
                        raise ConfigError("standard input is closed; name a file instead of '-'")
                    source = sys.stdin.buffer.read()
                    self.digest = hashlib.sha256(source).hexdigest()
                opened = open_pages(source, self.arguments.password)
                if self.target is not None:
                    with writing(self.target.parent):
                        self.target.parent.mkdir(parents=True, exist_ok=True)
                stack.callback(opened.close)
                options = self._options()
                pages = self._pages(load, opened, options, stack)
                self._write(pages, self._writer_options(opened, options))
        except (Florence2Error, OSError) as error:
            if isinstance(error, OSError) and error.filename == STDOUT:
                raise
            self._tell(explain(error) or str(error), always=True)
            return False
        total = sum(self.sources.values())
        told = ", ".join(f"{count:,} {source}" for source, count in self.sources.items())
        where = "" if self.target is None else f" -> {self.target}"
        self._tell(f"{self.file}{where}: {total:,} page{'s' * (total != 1)} ({told})")
        return self.num_failed == 0

    def _tell(self, words: str, *, always: bool = False) -> None:
        if always or not self.arguments.quiet:
            print(f"florence2: {words}", file=sys.stderr)

    def _options(self) -> "ReadOptions":
        from florence2.data.sources import Pages
        from florence2.documents.figures import FigureFolder
        from florence2.documents.reading import ReadOptions
        from florence2.runtimes.cpus import usable_cpus

        given = self.arguments
        figures = None
        if given.figures is not None:
            figures = FigureFolder(given.figures, self.stem, given.model != "nano")
        return ReadOptions(
            ocr=given.ocr,
            dpi=given.dpi,
            min_score=given.min_score,
            password=given.password,
            pages=None if given.pages is None else Pages.parse(given.pages),
            jobs=usable_cpus() if given.jobs is None else given.jobs,
            figures=figures,
        )

    def _pages(
        self, load: _Model, opened: "PageFile", options: "ReadOptions", stack: ExitStack
    ) -> Iterator["Page"]:
        from tqdm import tqdm

        from florence2.documents.reading import read_document

        kept = None
        if self.target is not None:
            kept = self._kept(options, stack)
        drawings = None
        if self.arguments.draw is not None:
            drawings = PageDrawings(self.arguments.draw, self.stem, opened)
        hidden = self.arguments.quiet or not sys.stderr.isatty()
        pages = read_document(
            opened,
            load,
            options,
            done=(lambda number: None) if kept is None else kept.page,
            on_read=(lambda page: None) if kept is None else kept.add,
        )
        for page in tqdm(pages, self.file, unit=" pages", disable=hidden, leave=False):
            source_name = "not read" if page.error else SOURCES[page.source]
            self.sources[source_name] = self.sources.get(source_name, 0) + 1
            if page.error:
                self.num_failed += 1
                self._tell(page.error, always=True)
            if drawings is not None:
                drawings.draw(page)
            yield page
        if kept is not None and not self.num_failed:  # those that failed are tried again
            stack.callback(kept.remove)

    def _kept(self, options: "ReadOptions", stack: ExitStack) -> Any:
        from florence2 import __version__
        from florence2.cli.pages_file import PagesFile

        path = Path(self.file)
        state = path.stat() if path.exists() else None
        asked = {
            "file": str(path.absolute()),
            "bytes": state and state.st_size,
            "modified": state and state.st_mtime_ns,
            "digest": self.digest,
            "software": __version__,
            "options": [options.ocr, options.dpi, options.min_score],
            "model": [self.arguments.model, self.arguments.adapter, self.arguments.side],
            "figures": None if options.figures is None else str(options.figures.folder.absolute()),
        }
        kept = PagesFile(self._kept_path, asked)
        if kept.num_kept:
            self._tell(f"{self.file}: pages that were read before: {kept.num_kept:,}")
        return stack.enter_context(kept)

    def _write(self, pages: Iterable["Page"], options: "WriterOptions") -> None:
        from florence2.documents.writers.registry import write_document, writer_named

        if self.arguments.chunks is not None:
            self._write_chunks(pages, options)
        elif self.target is None:
            writer_named(self.arguments.to).write(pages, sys.stdout, options)
        else:
            write_document(pages, self.target, self.arguments.to, options)

    def _write_chunks(self, pages: Iterable["Page"], options: "WriterOptions") -> None:
        from florence2.documents.chunks import write_chunks

        most = self.arguments.chunks
        if self.target is None:
            write_chunks(pages, sys.stdout, options, most)
            return
        part = self.target.with_name(self.target.name + ".part")
        try:
            with writing(self.target), part.open("w", encoding="utf-8", newline="\n") as file:
                write_chunks(pages, file, options, most)
            part.replace(self.target)
        finally:
            part.unlink(missing_ok=True)

    def _writer_options(self, opened: "PageFile", options: "ReadOptions") -> "WriterOptions":
        from florence2.documents.pdf import PdfFile
        from florence2.documents.writers.options import WriterOptions

        def figure_path(page: "Page", block: "Block") -> str | None:
            path = None if options.figures is None else options.figures.path(page, block)
            if path is None:
                return None
            beside = Path.cwd() if self.target is None else self.target.parent.absolute()
            return Path(os.path.relpath(path.absolute(), beside)).as_posix()

        return WriterOptions(
            name=self.file,
            unit="point" if isinstance(opened, PdfFile) else "pixel",
            num_pages=opened.num_pages,
            keep_furniture=self.arguments.furniture,
            page_breaks=self.arguments.page_breaks,
            figure_path=figure_path,
        )


class PageDrawings:
    """Pages with what was read drawn on them: `STEM-p3.png` in a folder."""

    def __init__(self, folder: Path, stem: str, opened: "PageFile") -> None:
        self._folder, self._stem, self._opened = folder, stem, opened
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)

    def draw(self, page: "Page") -> None:
        from florence2.documents.drawing import drawn_page

        if page.error:
            return
        path = self._folder / f"{self._stem}-p{page.number}.png"
        with writing(path), self._opened.page(page.number - 1) as shown:
            drawn_page(page, shown.render(DRAWN_DPI)).save(path)
