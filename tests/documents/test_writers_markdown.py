"""Markdown comes back as the text that it was made of."""

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from documents.made_documents import block, line, manual, spanned_table, table
from florence2.documents.structure import Block, Page
from florence2.documents.writers.content import one_line, printable, text_of
from florence2.documents.writers.markdown import markdown_pieces, write_markdown
from florence2.documents.writers.markdown_text import escape_text
from florence2.documents.writers.options import WriterOptions

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])

# Everything that means something, often, beside all of Unicode.
SIGNS = st.sampled_from([*"#*_~`[]()<>&;|\\!:-+=.) \t\n1aAäé€@/", "](", "]: ", "  ", "\n\n", "- "])
TEXTS = st.lists(SIGNS | st.characters(), max_size=14).map("".join)
WORDS = st.from_regex(r"[!-~]{1,6}( [!-~]{1,6}){0,4}", fullmatch=True)


def inline_text(token: Token) -> str:
    """The text that a reader of a paragraph sees; anything but text and line breaks is a fault."""
    found = []
    for child in token.children or []:
        if child.type in ("hardbreak", "softbreak") or child.content == "<br>":
            found.append("\n")
        else:
            assert child.type == "text", (child.type, token.content)
            found.append(child.content)
    return "".join(found)


def written(*blocks: Block, **options: object) -> str:
    file = io.StringIO()
    pages = [Page(1, 612, 792, blocks=tuple(blocks))]
    write_markdown(pages, file, WriterOptions(**options))  # type: ignore[arg-type]
    return file.getvalue()


def parsed(markdown: str) -> list[tuple[str, str]]:
    """`(kind, text)` of everything in Markdown that holds text, in order."""
    tokens = PARSER.parse(markdown)
    return [
        (tokens[at - 1].type.removesuffix("_open"), inline_text(token))
        for at, token in enumerate(tokens)
        if token.type == "inline"
    ]


@pytest.mark.parametrize("kind", ["paragraph", "heading", "caption", "list item"])
@settings(max_examples=60)
@given(text=TEXTS | WORDS)
@example(text="- - -")
@example(text="a\n===")
@example(text="a|b\n-|-")
@example(text="[x]: y")
@example(text="[ ] task")
@example(text="    code ")
@example(text="*a* _b_ ~~c~~ `d` <b>e</b> &amp; \\* [f](g)")
@example(text="C #")
@example(text="*\n*")
def test_the_text_of_a_block_returns(kind: str, text: str) -> None:
    given_block = Block(kind, (0, 0, 9, 9), text=text, level=2, marker="-")  # type: ignore[arg-type]
    expected = text_of(given_block)
    found = parsed(written(given_block))
    name = "heading" if kind == "heading" else "paragraph"
    assert found == ([(name, expected)] if expected else [])


@settings(max_examples=60)
@given(
    rows=st.integers(1, 3).flatmap(
        lambda width: st.lists(
            st.lists(TEXTS | WORDS, min_size=width, max_size=width), min_size=1, max_size=3
        )
    )
)
def test_cells_of_a_table_return(rows: list[list[str]]) -> None:
    found = parsed(written(table(rows)))
    assert {kind for kind, _ in found} <= {"th", "td"}
    assert [text for _, text in found] == [printable(text) for row in rows for text in row]


@settings(max_examples=60)
@given(first=TEXTS | WORDS, second=TEXTS | WORDS)
@example(first="a *b", second="c*")
@example(first="a `b", second="c`")
def test_a_paragraph_that_goes_on_returns(first: str, second: str) -> None:
    blocks = [
        Block("paragraph", (0, 0, 9, 9), text=text, continues=goes_on)
        for text, goes_on in ((first, False), (second, True))
    ]
    texts = [printable(text) for text in (first, second)]
    found = [text for _, text in parsed(written(*blocks))]
    if all(texts):
        hyphen = texts[0][-2:-1].isalpha() and texts[0].endswith(("-", "\u2010"))
        assert found == [("" if hyphen else " ").join(texts)]
    else:
        assert found == [text for text in texts if text]


ITEMS = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.sampled_from(["•", "-", "1.", "2.", "3.", "4)", "5)", "10.", "0.", "(a)", "iv.", "01."]),
        WORDS | st.sampled_from(["", "a", "# a", "a\nb", "1. a", "- a", "    a"]),
    ),
    min_size=1,
    max_size=6,
)


def numbered(markdown: str) -> list[tuple[str, str]]:
    """`(number or "", text)` of items as a reader sees them."""
    found: list[tuple[str, str]] = []
    lists: list[int | None] = []
    for token in PARSER.parse(markdown):
        if token.type in ("bullet_list_open", "ordered_list_open"):
            start = int(token.attrGet("start") or (0 if token.attrGet("start") == 0 else 1))
            lists.append(start if token.tag == "ol" else None)
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            lists.pop()
        elif token.type == "list_item_open":
            assert token.level == 2 * len(lists) - 1
            number = lists[-1]
            mark = "" if number is None else f"{number}{token.markup}"
            lists[-1] = None if number is None else number + 1
            found.append((mark, ""))
        elif token.type == "inline":
            assert found[-1][1] == ""
            found[-1] = (found[-1][0], inline_text(token))
    return found


@settings(max_examples=60)
@given(items=ITEMS)
def test_lists_keep_their_numbers_and_their_texts(items: list[tuple[int, str, str]]) -> None:
    blocks = [
        Block("list item", (0, 0, 9, 9), text=text, level=level, marker=marker)
        for level, marker, text in items
    ]
    expected = []
    for each in blocks:
        text = text_of(each)
        if each.marker in ("•", "-"):
            expected += [("", text)] if text else []
        elif each.marker[0].isdigit() and each.marker != "01.":
            expected.append((each.marker, text) if text else ("", each.marker))
        else:
            expected.append(("", " ".join(part for part in (each.marker, text) if part)))
    assert numbered(written(*blocks)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Costs are 3.5 mm (a-b) and 50 % of C++; see [1], AT&T, a < b > c, 2 * 3, #1.",
        "snake_case_name in C:\\Users\\me costs $5 | 6 and ~7 mm (1) {x}!",
        "mail me@example.org or see https://example.org/a_b?x=1&y=2#top today",
        "-5 degrees, +3, 1.5 and 2019.",
        "Name: ________ Date: ____",
        "*one footnote",
    ],
)
def test_ordinary_prose_is_not_escaped(text: str) -> None:
    assert escape_text(text) == text


def test_the_page_on_reading_shows_what_is_escaped() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reading.md").read_text(encoding="utf-8")
    table = page.split("| on the page | written |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| `(.+)` \| (?:`(.+)`|the same) \|$", table, re.MULTILINE)
    assert len(rows) == 5
    for text, shown in rows:
        assert escape_text(text) == (shown or text)


class Cells(HTMLParser):
    """Cells of HTML: name, attributes, text."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("td", "th"):
            self.found.append((tag, dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if data.strip():
            tag, attributes, text = self.found[-1]
            self.found[-1] = (tag, attributes, text + data)


def test_a_table_with_spans_is_html() -> None:
    cells = Cells()
    markdown = written(spanned_table())
    [token] = PARSER.parse(markdown)
    assert token.type == "html_block"
    cells.feed(markdown)
    assert cells.found == [
        ("th", {}, "year"),
        ("th", {"colspan": "2"}, "a & b"),
        ("td", {"rowspan": "2"}, "2019"),
        ("td", {}, "p<q"),
        ("td", {}, "42"),
        ("td", {}, ""),  # no cell was found here, and 7 stands in the last column
        ("td", {}, "7"),
    ]


WHOLE = """\
<!-- page 1 -->

# 1. Things & others

Costs are 3.5 mm (a-b) and 50 % of C++, see [1].

\\# looks like a heading

- first of them

  4. below it
  5. next below
- (a) lettered

| name | price |
| --- | --- |
| a\\|b | \\*5\\* |
|  | 7 |

Table 1: prices

![a cat \\[black\\]](figures/page%201.png)

A paragraph that goes on in an-

<!-- page 2 -->

other column of the page.
"""


def test_a_whole_document() -> None:
    file, spans = io.StringIO(), io.StringIO()
    options = WriterOptions(
        page_breaks=True,
        spans=spans,
        figure_path=lambda page, block: "figures/page 1.png" if block.text else None,
    )
    write_markdown(iter(manual()), file, options)
    markdown = file.getvalue()
    assert markdown.startswith(WHOLE)
    assert markdown.endswith(
        "</table>\n\n<!-- figure -->\n\n<!-- page 3 -->\n\n"
        "<!-- page 3 could not be read: page 3 is damaged; repair the file -->\n"
    )
    rows = [json.loads(row) for row in spans.getvalue().splitlines()]
    shown = [
        each for page in manual() for each in page.blocks if each.kind not in ("header", "footer")
    ]
    assert len(rows) == len(shown)
    for row, each in zip(rows, shown, strict=True):
        part = markdown[row["start"] : row["end"]]
        texts = [text for _, text in parsed(part)] if each.kind in ("paragraph", "heading") else []
        assert texts in ([], [text_of(each)])
        assert row["kind"] == each.kind
        assert len(row["boxes"]) == max(len(each.lines), 1)
        assert row["page_size"] == [612.0, 792.0]
    assert markdown[rows[3]["start"] : rows[3]["end"]] == "- first of them"
    assert rows[1]["boxes"][0] == [72.0, 100.0, 300.0, 112.0]
    assert (rows[1]["score"], rows[1]["source"], rows[1]["dpi"]) == (0.93, "model", 72.0)


def test_columns_are_joined_and_headers_kept_on_demand() -> None:
    file = io.StringIO()
    write_markdown(manual()[:2], file, WriterOptions())
    assert "goes on in an-other column of the page." in file.getvalue()
    assert "Manual of things" not in file.getvalue()
    file = io.StringIO()
    write_markdown(manual()[:1], file, WriterOptions(keep_furniture=True))
    assert file.getvalue().startswith("Manual of things\n\n# 1. Things")


def test_nothing_gives_nothing() -> None:
    assert written() == ""
    assert written(Block("paragraph", (0, 0, 1, 1), text="\x00")) == ""


def test_pages_are_taken_one_by_one() -> None:
    taken = []

    def pages() -> object:
        for page in manual():
            taken.append(page.number)
            yield page

    pieces = markdown_pieces(pages(), WriterOptions())  # type: ignore[arg-type]
    next(pieces)
    assert taken == [1]


@pytest.mark.parametrize("text", ["-->", "a -- b", "---", "x--->y"])
def test_a_comment_holds_any_text(text: str) -> None:
    markdown = written(Block("figure", (0, 0, 1, 1), text=text), block("paragraph", "after"))
    first, *_ = PARSER.parse(markdown)
    assert first.type == "html_block"
    assert parsed(markdown) == [("paragraph", "after")]
    assert one_line(line("a  b").text) == "a b"
