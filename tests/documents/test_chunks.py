"""Chunks hold all of a document, in order, within their budget, with their places."""

import io
import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from documents.made_documents import block, manual, table
from florence2.documents.chunks import chunks_of, estimate_tokens, write_chunks
from florence2.documents.structure import Block, Page
from florence2.documents.writers.content import text_of
from florence2.documents.writers.options import WriterOptions
from florence2.errors import ConfigError

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def words(text: str) -> int:
    return len(text.split())


def shown_words(markdown: str) -> list[str]:
    """Words that a reader of Markdown sees."""
    shown: list[str] = []
    for token in PARSER.parse(markdown):
        if token.type == "inline":
            parts = [child.content or " " for child in token.children or []]
            shown += "".join(parts).split()
    return shown


SENTENCES = st.from_regex(r"[a-z#*_]{1,4}( [a-z<1]{1,3}){0,6}[.!]?", fullmatch=True)
TEXTS = st.lists(SENTENCES, min_size=1, max_size=4).map(" ".join)
BLOCKS = st.lists(
    st.tuples(
        st.sampled_from(["heading", "paragraph", "paragraph", "list item", "caption"]),
        TEXTS,
        st.integers(1, 3),
        st.sampled_from(["•", "1.", "2.", "(a)"]),
        st.integers(0, 1),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(blocks=BLOCKS, max_tokens=st.integers(1, 25))
def test_nothing_is_lost_cut_or_too_long(
    blocks: list[tuple[str, str, int, str, int]], max_tokens: int
) -> None:
    pages = []
    number = 1
    made: list[Block] = []
    for kind, text, level, marker, turn in blocks:
        if turn:
            pages.append(Page(number, 612, 792, blocks=tuple(made)))
            number, made = number + 1, []
        marker = marker if kind == "list item" else ""
        made.append(block(kind, text, level=level, marker=marker))  # type: ignore[arg-type]
    pages.append(Page(number, 612, 792, blocks=tuple(made)))
    chunks = list(chunks_of(pages, max_tokens, words))
    expected = [
        word
        for page in pages
        for each in page.blocks
        for word in ((each.marker if each.marker == "(a)" else "") + " " + text_of(each)).split()
    ]
    assert [word for chunk in chunks for word in shown_words(chunk.text)] == expected
    for chunk in chunks:
        assert chunk.num_tokens == words(chunk.text)
        if chunk.num_tokens > max_tokens:  # a marker and the word behind it are not parted
            assert len(shown_words(chunk.text)) <= 2
        assert chunk.spans[0].start == 0 and chunk.spans[-1].end == len(chunk.text)
        for before, after in zip(chunk.spans, chunk.spans[1:], strict=False):
            assert before.end < after.start
        assert all(span.boxes for span in chunk.spans)


def paragraph(text: str, y: float = 100.0, **fields: object) -> Block:
    """A paragraph with a line for every four words."""
    parts = text.split()
    return block(
        "paragraph",
        *(" ".join(parts[at : at + 4]) for at in range(0, len(parts), 4)),
        y=y,
        **fields,
    )


def test_headings_pages_and_budget_cut() -> None:
    long = "One two three four. Five six seven eight. Nine ten eleven twelve."
    pages = [
        Page(
            1,
            612,
            792,
            blocks=(
                block("heading", "Book", level=1),
                block("heading", "Part", level=2),
                paragraph(long),
                paragraph("Short one."),
                block("heading", "Other", level=2),
                paragraph("Begun and"),
            ),
        ),
        Page(2, 612, 792, blocks=(paragraph("ended.", continues=True), paragraph("New page."))),
        Page(3, 612, 792, blocks=(paragraph("Last."),)),
    ]
    chunks = list(chunks_of(pages, 12, words))
    assert [(chunk.text, chunk.headings, chunk.pages) for chunk in chunks] == [
        ("# Book\n\n## Part\n\nOne two three four. Five six seven eight.", ("Book", "Part"), (1,)),
        ("Nine ten eleven twelve.\n\nShort one.", ("Book", "Part"), (1,)),
        ("## Other\n\nBegun and ended.\n\nNew page.", ("Book", "Other"), (1, 2)),
        ("Last.", ("Book", "Other"), (3,)),
    ]
    # Lines of four words, 14 units below each other: a part has the boxes of its own lines.
    assert [box[1] for box in chunks[0].spans[-1].boxes] == [100.0, 114.0]
    assert [box[1] for box in chunks[1].spans[0].boxes] == [128.0]


def test_a_table_is_cut_between_rows_below_its_head() -> None:
    rows = [["name", "price"], *([f"thing{number}", f"{number}.50"] for number in range(6))]
    page = Page(1, 612, 792, blocks=(table(rows),))
    chunks = list(chunks_of([page], 20, words))
    assert len(chunks) == 3
    assert all(chunk.text.startswith("| name | price |\n| --- | --- |\n") for chunk in chunks)
    assert [word for chunk in chunks for word in shown_words(chunk.text)[2:]] == [
        word for row in rows[1:] for word in row
    ]
    assert chunks[1].spans[0].boxes[0][1] > chunks[0].spans[0].boxes[0][1]
    tiny = list(chunks_of([page], 2, words))
    assert sorted(
        word for chunk in tiny for word in chunk.text.split() if word.startswith("thing")
    ) == [f"thing{number}" for number in range(6)]


def test_chunks_are_json_lines_with_pages_and_boxes() -> None:
    file = io.StringIO()
    write_chunks(manual(), file, WriterOptions(), 800)
    rows = [json.loads(line) for line in file.getvalue().splitlines()]
    assert [page["page"] for page in rows[0]["pages"]] == [1, 2]
    assert len(rows[0]["pages"][0]["boxes"]) == len(
        [span for span in rows[0]["spans"] if span["page"] == 1]
    )
    assert rows[0]["pages"][0]["page_size"] == [612.0, 792.0]
    assert rows[0]["headings"] == ["1. Things & others"]
    assert 0.9 < rows[0]["score"] < 1
    for row in rows:
        assert row["num_tokens"] == estimate_tokens(row["text"])
        for span in row["spans"]:
            assert row["text"][span["start"] : span["end"]].strip()


def test_chunks_come_before_all_pages_are_read() -> None:
    taken = []

    def pages() -> Iterator[Page]:
        for page in [*manual(), *manual()]:
            taken.append(page.number)
            yield page

    next(chunks_of(pages(), 30))
    assert taken == [1]


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="chunks of 0 tokens hold nothing"):
        next(chunks_of([], 0))
    assert list(chunks_of([], 1)) == []
