"""Pieces of documents for language models, each with its pages and boxes."""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TextIO

import orjson

from florence2.documents.structure import Block, Page, Table
from florence2.documents.writers.content import one_line, rows_of, text_of
from florence2.documents.writers.markdown import (
    Piece,
    block_markdown,
    item_text,
    markdown_pieces,
)
from florence2.documents.writers.options import WriterOptions
from florence2.documents.writers.rows import box_row, score_row
from florence2.documents.writers.spans import Span, span_of
from florence2.errors import ConfigError
from florence2.geometry import enclosing_box

CountTokens = Callable[[str], int]

# Signs of Chinese, Japanese and Korean, which are a token each or more.
_IDEOGRAPHS = re.compile("[\u2e80-\ud7ff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’»)\]]*\s+|(?<=[。！？])")
_CELLS = " — "  # between cells of a row that is too long for a table


def estimate_tokens(text: str) -> int:
    """Tokens of a text, roughly: four characters each, one for each ideograph.

    It needs no vocabulary; for English it is within a fifth or so of what language models count.

    >>> estimate_tokens("four words stand here"), estimate_tokens("漢字")
    (6, 2)
    """
    ideographs = len(_IDEOGRAPHS.findall(text))
    return math.ceil((len(text) - ideographs) / 4) + ideographs


@dataclass(frozen=True)
class Chunk:
    """A piece of a document.

    Attributes:
        text: Markdown.
        num_tokens: of the text, as counted.
        headings: above it, the highest first; one that it begins with is among them.
        spans: of its blocks in its text, and on pages.
    """

    text: str
    num_tokens: int
    headings: tuple[str, ...]
    spans: tuple[Span, ...]

    @property
    def pages(self) -> tuple[int, ...]:
        """Numbers of its pages, in order."""
        return tuple(sorted({span.page for span in self.spans}))

    @property
    def score(self) -> float | None:
        """The mean of its blocks' scores, by their length; None where nobody scored."""
        scored = [(span.score, span.end - span.start) for span in self.spans]
        known = [(score, length) for score, length in scored if score is not None]
        total = sum(length for _, length in known)
        return sum(score * length for score, length in known) / total if total else None

    def to_row(self) -> dict[str, Any]:
        """As JSON holds it: boxes of blocks by page, and of lines in spans."""
        pages = []
        for number in self.pages:
            spans = [span for span in self.spans if span.page == number]
            width, height = spans[0].page_size
            pages.append(
                {
                    "page": number,
                    "page_size": [round(width, 2), round(height, 2)],
                    "dpi": round(spans[0].dpi, 2),
                    "boxes": [box_row(tuple(enclosing_box(span.boxes))) for span in spans],
                }
            )
        return {
            "text": self.text,
            "num_tokens": self.num_tokens,
            "headings": list(self.headings),
            "pages": pages,
            "score": score_row(self.score),
            "spans": [span.to_row() for span in self.spans],
        }


def write_chunks(
    pages: Iterable[Page],
    file: TextIO,
    options: WriterOptions,
    max_tokens: int,
    count: CountTokens = estimate_tokens,
) -> None:
    """Write chunks as JSON lines, each as soon as it is known."""
    for chunk in chunks_of(pages, max_tokens, count, options):
        file.write(orjson.dumps(chunk.to_row()).decode() + "\n")


def chunks_of(
    pages: Iterable[Page],
    max_tokens: int,
    count: CountTokens = estimate_tokens,
    options: WriterOptions | None = None,
) -> Iterator[Chunk]:
    """Cut documents into chunks of at most so many tokens.

    A heading begins a chunk, and so does a page, but in the middle of a paragraph and behind a
    heading at its foot. A paragraph that is too long is cut at ends of sentences, and between words
    where a sentence is too long itself; a table between rows, its head repeated. A single word
    that is too long stays whole.

    Args:
        pages: taken one by one.
        max_tokens: of a chunk's Markdown, 1 or more.
        count: the tokens of a text, such as `lambda text: len(tokenizer.encode(text))`.
        options: as for Markdown; comments on pages are left out.

    Raises:
        ConfigError: `max_tokens` is below 1.
    """
    if max_tokens < 1:
        raise ConfigError(f"chunks of {max_tokens} tokens hold nothing; give 1 or more")
    maker = _Maker(max_tokens, count)
    for piece in markdown_pieces(pages, options or WriterOptions()):
        if piece.block is not None:
            yield from maker.add(piece, piece.block)
    yield from maker.finish()


class _Maker:
    """Fills one chunk after the other."""

    def __init__(self, max_tokens: int, count: CountTokens) -> None:
        self._max_tokens = max_tokens
        self._count = count
        self._path: list[tuple[int, str]] = []  # level and text of the headings above
        self._text = ""
        self._spans: list[Span] = []
        self._headings: tuple[str, ...] = ()
        self._margin = 0  # blanks that the first piece stood behind, in a list
        self._has_body = False  # beside headings

    def add(self, piece: Piece, block: Block) -> Iterator[Chunk]:
        """Add a block; yields the chunks that are full."""
        is_heading = block.kind == "heading"
        goes_on = "\n" not in piece.before and bool(piece.before or self._text)
        is_new_page = bool(self._spans) and self._spans[-1].page != piece.page.number
        if self._has_body and (is_heading or (is_new_page and not goes_on)):
            yield from self.finish()
        if is_heading:
            level = max(block.level, 1)
            self._path = [each for each in self._path if each[0] < level]
            self._path.append((level, one_line(text_of(block))))
        if not self._fits(self._between(piece.before) + piece.text):
            # Behind a heading alone a text is cut rather than the heading left alone, a table not.
            fits_alone = self._count(piece.text) <= self._max_tokens
            if self._has_body or (block.table is not None and fits_alone):
                yield from self.finish()
            if not self._fits(self._between(piece.before) + piece.text):
                yield from self._add_parts(piece, block)
                return
        self._append(piece, block, piece.text)

    def finish(self) -> Iterator[Chunk]:
        """Yield the chunk that is being filled, if anything is in it."""
        if self._spans:
            tokens = self._count(self._text)
            yield Chunk(self._text, tokens, self._headings, tuple(self._spans))
        self._text, self._spans, self._has_body, self._margin = "", [], False, 0

    def _fits(self, added: str) -> bool:
        return self._count(self._text + added) <= self._max_tokens

    def _between(self, before: str) -> str:
        """What parts a piece from the text so far; indents count from the first piece's."""
        if not self._text:
            return ""
        margin = len(before) - len(before.rstrip(" ")) if "\n" in before else self._margin
        if margin < self._margin:
            return "\n\n"
        return before.replace("\n" + " " * self._margin, "\n")

    def _append(
        self, piece: Piece, block: Block, text: str, share: tuple[float, float] = (0.0, 1.0)
    ) -> None:
        between = self._between(piece.before)
        if not self._text and "\n" in piece.before:
            self._margin = len(piece.before) - len(piece.before.rstrip(" "))
        if not self._has_body:
            self._headings = tuple(text for _, text in self._path)
        start = len(self._text) + len(between)
        self._text += between + text.replace("\n" + " " * self._margin, "\n")
        self._spans.append(span_of(piece.page, block, start, len(self._text), share))
        self._has_body |= block.kind != "heading"

    def _add_parts(self, piece: Piece, block: Block) -> Iterator[Chunk]:
        """Add a block in parts, each as long as there is room."""
        if block.table is not None and block.table.cells:
            yield from self._add_rows(piece, block, block.table)
        elif block.kind == "list item":
            yield from self._add_text(piece, block, *item_text(block))
        elif text := text_of(block):
            yield from self._add_text(piece, block, "", text)
        else:
            self._append(piece, block, piece.text)

    def _add_text(
        self,
        piece: Piece,
        block: Block,
        marker: str,
        text: str,
        whole: tuple[float, float] = (0, 1),
    ) -> Iterator[Chunk]:
        """Add a long text, cut at ends of sentences or between words."""

        def written(start: int, end: int) -> str:
            part = replace(block, text=text[start:end].strip(), marker="", table=None)
            markdown = block_markdown(replace(part, kind="paragraph"))
            return f"{marker} {markdown}" if marker and start == 0 else markdown

        ends = [found.end() for found in _SENTENCE_END.finditer(text)]
        words = [found.end() for found in re.finditer(r"\s+", text)]
        length = whole[1] - whole[0]
        start = 0
        while start < len(text):
            between = self._between(piece.before if start == 0 else "\n\n")

            def fits(end: int, start: int = start, between: str = between) -> bool:
                return self._fits(between + written(start, end))

            after = [end for end in ends if end > start] + [len(text)]
            end = _last(after, fits)
            if end is None and not self._has_body:
                after = [end for end in words if end > start] + [len(text)]
                end = _last(after, fits) or (after[0] if not self._text else None)
            if end is None:
                yield from self.finish()
                continue
            share = (
                whole[0] + length * start / len(text),
                whole[0] + length * end / len(text),
            )
            part = piece if start == 0 else replace(piece, before="\n\n")
            if written(start, end):
                self._append(part, block, written(start, end), share)
            start = end
            if start < len(text):
                yield from self.finish()

    def _add_rows(self, piece: Piece, block: Block, table: Table) -> Iterator[Chunk]:
        """Add a long table, cut between rows below its head."""
        num_rows = len(rows_of(table))
        head = 1 if num_rows > 1 else 0
        start = head
        while start < num_rows:

            def written(end: int, start: int = start) -> str:
                part = replace(block, table=_rows(table, head, start, end))
                return block_markdown(part)

            between = self._between(piece.before)
            ends = range(start + 1, num_rows + 1)
            end = _last(list(ends), lambda end: self._fits(between + written(end)))  # noqa: B023
            first = 0 if start == head else start
            if end is not None:
                self._append(piece, block, written(end), (first / num_rows, end / num_rows))
            elif self._text:
                yield from self.finish()
                continue
            else:
                end = start + 1
                cells = [cell for row in rows_of(table)[first:end] for cell in row if cell]
                text = _CELLS.join(one_line(cell.text) for cell in cells if cell.text.strip())
                share = (first / num_rows, end / num_rows)
                yield from self._add_text(piece, block, "", text, share)
            start = end
            if start < num_rows:
                yield from self.finish()


def _last(ends: list[int], fits: Callable[[int], bool]) -> int | None:
    """The last of rising ends that fits, if the first does."""
    low, high = 0, len(ends)  # the number that fit lies between
    while low < high:
        middle = (low + high + 1) // 2
        if fits(ends[middle - 1]):
            low = middle
        else:
            high = middle - 1
    return ends[low - 1] if low else None


def _rows(table: Table, head: int, start: int, end: int) -> Table:
    """The head of a table and rows of it; cells that reach into them are cut there."""
    cells = []
    for cell in table.cells:
        for first, last, place in ((0, head, 0), (start, end, head)):
            low, high = max(cell.row, first), min(cell.row + cell.row_span, last)
            if low < high:
                cells.append(replace(cell, row=low - first + place, row_span=high - low))
    return Table(head + end - start, table.num_columns, tuple(cells), table.is_ruled)
