"""The formats that documents are written in."""

import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from florence2.documents.structure import Page
from florence2.documents.writers.alto import write_alto
from florence2.documents.writers.docling import write_docling
from florence2.documents.writers.hocr import write_hocr
from florence2.documents.writers.json_document import write_json
from florence2.documents.writers.markdown import write_markdown
from florence2.documents.writers.options import WriterOptions
from florence2.documents.writers.text import write_text
from florence2.errors import ConfigError, did_you_mean, writing


@dataclass(frozen=True)
class Writer:
    """A format.

    Attributes:
        suffix: of its files, with its dot.
        summary: what it is, in a line.
        write: writes pages, taken one by one, to a file of text in UTF-8 whose lines end in `\\n`.
        spans_suffix: of a side file of places; nothing if there is none.
    """

    name: str
    suffix: str
    summary: str
    write: Callable[[Iterable[Page], TextIO, WriterOptions], None]
    spans_suffix: str = ""


WRITERS = {
    writer.name: writer
    for writer in (
        Writer(
            "markdown",
            ".md",
            "CommonMark with tables, and a side file of places",
            write_markdown,
            ".spans.jsonl",
        ),
        Writer("json", ".json", "blocks, lines, words with places, scores, sources", write_json),
        Writer("text", ".txt", "paragraphs, a form feed between pages", write_text),
        Writer("hocr", ".hocr", "words on pictures as Tesseract writes them", write_hocr),
        Writer("alto", ".xml", "words on pictures as libraries keep them", write_alto),
        Writer("docling", ".docling.json", "DoclingDocument for docling-core", write_docling),
    )
}


def writer_named(name: str) -> Writer:
    """The writer of a format.

    Raises:
        ConfigError: there is none.
    """
    if name not in WRITERS:
        raise ConfigError(
            f"format {name!r} is not written; choose one of {', '.join(WRITERS)}"
            f"{did_you_mean(name, WRITERS)}"
        )
    return WRITERS[name]


def write_document(
    pages: Iterable[Page], path: str | os.PathLike[str], name: str, options: WriterOptions
) -> list[Path]:
    """Write pages to a file in a format, and its side file beside it.

    A file that is there already is replaced when all pages are written, and not before.

    Returns:
        The files written: the document, then `NAME.spans.jsonl` for Markdown.

    Raises:
        ConfigError: the format is unknown.
        OSError: a file cannot be written.
    """
    writer = writer_named(name)
    paths = [Path(path)]
    if writer.spans_suffix:
        paths.append(paths[0].with_suffix(writer.spans_suffix))
    parts = [each.with_name(each.name + ".part") for each in paths]
    try:
        with writing(paths[0]), ExitStack() as stack:
            files = [
                stack.enter_context(part.open("w", encoding="utf-8", newline="\n"))
                for part in parts
            ]
            spans = files[1] if len(files) > 1 else None
            writer.write(pages, files[0], replace(options, spans=spans))
        for part, target in zip(parts, paths, strict=True):
            part.replace(target)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
    return paths
