"""Blocks of made pages whose truth is known, as a file says them and as a model reads them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from florence2.documents.blocks import blocks_of
from florence2.documents.joining import join_lines, joined
from florence2.documents.layout.markers import markers_of, numbered_level
from florence2.documents.structure import Block, Cell, Table
from florence2.geometry import Box, box_to_quad
from florence2.pipelines.reading.lines import Line, Word

WIDTH, HEIGHT = 600.0, 800.0
LETTER = 5.0  # width of a letter of size 10
LEADING = 1.3
# fmt: off
PROSE = [
    "the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "while", "many",
    "other", "animals", "look", "on", "and", "wonder", "what", "all", "of", "this", "is", "about",
    "since", "nobody", "told", "them", "that", "a", "sentence", "with", "each", "letter", "was",
    "wanted", "here", "for", "a", "page", "that", "means", "nothing", "to", "anybody", "today",
]
# fmt: on


def line(text: str, x: float, y: float, *, size: float = 10.0, bold: bool = False) -> Line:
    """A line of text with words, as a text layer gives it; y is its top."""
    step = LETTER * size / 10
    words = []
    at = x
    for word in text.split():
        words.append(Word(word, box_to_quad((at, y, at + step * len(word), y + size))))
        at += step * (len(word) + 1)
    box = (x, y, at - step, y + size)
    return Line(text, box_to_quad(box), tuple(words), None, "text layer", 0.7 * size, size, bold)


def set_text(
    text: str | Sequence[str],
    x: float,
    y: float,
    *,
    width: float = 500.0,
    indent: float = 0.0,
    hanging: float = 0.0,
    size: float = 10.0,
) -> list[Line]:
    """Lines of a paragraph, broken where the next word does not fit."""
    step = LETTER * size / 10
    lines: list[Line] = []
    row: list[str] = []
    for word in [*(text.split() if isinstance(text, str) else text), None]:
        start = indent if not lines else hanging
        if word is None or (row and start + step * (len(" ".join(row)) + 1 + len(word)) > width):
            top = y + LEADING * size * len(lines)
            lines.append(line(" ".join(row), x + start, top, size=size))
            row = []
        if word is not None:
            row.append(word)
    return lines


def prose(count: int, first: str = "Once") -> str:
    """So many words, the first with a capital, the last with a full stop."""
    words = [PROSE[place % len(PROSE)] for place in range(count - 1)]
    return " ".join([first, *words]) + "."


FILLED = [line("Lines of " + "foxes " * 14 + "end", 50, 60 + 13 * row) for row in range(3)]


def below(lines: Sequence[Line], gap: float = 0.0) -> float:
    """Where the next line begins under these."""
    return max(one.box[3] for one in lines) + (LEADING - 1) * 10 + gap


def as_read(lines: Sequence[Line], *, degrees: float = 1.5, seed: int = 0) -> list[Line]:
    """The same lines as a model gives them: moved by a tenth of their height, on a skew page."""
    rng = np.random.default_rng(seed)
    turn = np.radians(degrees)
    back = np.array([(np.cos(turn), np.sin(turn)), (-np.sin(turn), np.cos(turn))])
    read = []
    for one in lines:
        height = one.box[3] - one.box[1]
        box = np.array(one.box) + rng.uniform(-0.1, 0.1, 4) * height
        quad = (box_to_quad(tuple(box.tolist())) - 300) @ back + 300
        high = one.letter_height * (1 + rng.uniform(-0.1, 0.1))
        read.append(Line(one.text, quad, (), 0.9, "model", high))
    return read


def blocks(lines: Sequence[Line], **more: object) -> tuple[Block, ...]:
    return blocks_of(lines, width=WIDTH, height=HEIGHT, **more)  # type: ignore[arg-type]


def told(found: Sequence[Block]) -> list[tuple[str, int, str]]:
    return [(block.kind, block.level, block.text) for block in found]


Pages = tuple[list[Line], list[tuple[str, int, str]]]


def article() -> Pages:
    """One column: a title, numbered headings, paragraphs with gaps between them."""
    lines = [line("A Small Book of Foxes", 150, 40, size=20)]
    lines += set_text(prose(60), 50, 90)
    lines += [line("1 Introduction", 50, below(lines, 15), size=14)]
    lines += set_text(prose(50, "Twice"), 50, below(lines, 8))
    lines += set_text(prose(70, "Later"), 50, below(lines, 8))
    lines += [line("1.1 Results of the hunt", 50, below(lines, 15), size=14)]
    lines += set_text(prose(40, "Then"), 50, below(lines, 8))
    return lines, [
        ("heading", 1, "A Small Book of Foxes"),
        ("paragraph", 0, prose(60)),
        ("heading", 1, "1 Introduction"),
        ("paragraph", 0, prose(50, "Twice")),
        ("paragraph", 0, prose(70, "Later")),
        ("heading", 2, "1.1 Results of the hunt"),
        ("paragraph", 0, prose(40, "Then")),
    ]


def indented() -> Pages:
    """Paragraphs without gaps: only their first lines are set in."""
    lines: list[Line] = []
    texts = [prose(count, first) for count, first in ((45, "One"), (83, "Two"), (60, "Three"))]
    for text in texts:
        lines += set_text(text, 50, below(lines) if lines else 60, indent=20)
    return lines, [("paragraph", 0, text) for text in texts]


def columns(number: int) -> Callable[[], Pages]:
    def page() -> Pages:
        """A title across, columns of text under it, a footnote under the first."""
        width = (540 - 20 * (number - 1)) / number
        lines = [line("All of it in columns", 180, 40, size=18)]
        truth = [("heading", 1, "All of it in columns")]
        for column in range(number):
            x = 30 + column * (width + 20)
            text = prose(100 - 9 * column, f"Column{column}")
            # Lines of different columns do not stand as high as each other.
            lines += set_text(text, x, 90 + 3 * column, width=width)
            truth.append(("paragraph", 0, text))
        return lines, truth

    return page


def across() -> Pages:
    """Two columns, a heading across both, and two columns again."""
    lines: list[Line] = []
    truth = []
    for place, y in enumerate((60, 350)):
        for column, x in enumerate((30, 310)):
            text = prose(80 - 7 * column, f"Part{place}{column}")
            lines += set_text(text, x, y, width=260)
            truth.append(("paragraph", 0, text))
    title = "A heading that stands across both of the columns"
    lines.append(line(title, 120, 310, size=15))
    truth.insert(2, ("heading", 2, title))
    return lines, truth


def sidebar() -> Pages:
    """Small print in a narrow column beside the text."""
    small, text = prose(60, "Aside"), prose(140)
    lines = set_text(small, 30, 60, width=110, size=8) + set_text(text, 170, 60, width=400)
    return lines, [("paragraph", 0, small), ("paragraph", 0, text)]


def receipt() -> Pages:
    """Names at the left, prices at the right: rows, whose lines stay lines."""
    goods = [("Milk", "1.20"), ("Rye bread", "2.30"), ("Apples 2 kg", "4.50"), ("Sum", "8.00")]
    lines = []
    for row, (name, price) in enumerate(goods):
        lines += [line(name, 100, 60 + 13 * row), line(price, 380, 60 + 13 * row)]
    return lines, [("paragraph", 0, "\n".join(f"{name} {price}" for name, price in goods))]


def items() -> Pages:
    """A list within a list, items over several lines, and a numbered one."""
    lines = set_text(prose(45), 50, 60)
    truth = [("paragraph", 0, prose(45))]
    for marker, x, count in (("•", 60, 30), ("–", 85, 22), ("–", 85, 9), ("•", 60, 8)):
        text = prose(count, "Item")
        lines += set_text(f"{marker} {text}", x, below(lines, 3), width=460, hanging=10)
        truth.append(("list item", 1 if x == 60 else 2, text))
    text = prose(40, "Now")
    lines += set_text(text, 50, below(lines, 8))
    truth.append(("paragraph", 0, text))
    for number in (9, 10, 11):
        text = prose(20, "Count")
        lines += set_text(f"{number}. {text}", 60, below(lines, 3), width=460, hanging=20)
        truth.append(("list item", 1, text))
    return lines, truth


def contents() -> Pages:
    """A table of contents is filled by dots, but no text flows in it."""
    rows = [f"{number} Chapter about foxes {'. ' * 30}{number * 7}" for number in range(1, 8)]
    lines = [line(row, 50, 60 + 13 * place) for place, row in enumerate(rows)]
    return lines, [("paragraph", 0, "\n".join(rows))]


def address_and_code() -> Pages:
    """Short lines and indented ones stay lines."""
    address = ["Reynard the Fox", "12 Long Street", "London N1 9GU"]
    code = ["def run(fox):", "if fox:", "return run(fox.child)", "return None"]
    lines = [line(text, 50, 60 + 13 * row) for row, text in enumerate(address)]
    lines += set_text(prose(40), 50, below(lines, 12))
    top = below(lines, 12)
    lines += [line(text, 50 + 20 * min(row, 2), top + 13 * row) for row, text in enumerate(code)]
    lines += set_text(prose(30, "End"), 50, below(lines, 12))
    return lines, [
        ("paragraph", 0, "\n".join(address)),
        ("paragraph", 0, prose(40)),
        ("paragraph", 0, "\n".join(code)),
        ("paragraph", 0, prose(30, "End")),
    ]


def reference() -> Pages:
    """Two columns of rows, each a meaning and a command."""
    lines: list[Line] = []
    truth = []
    for x in (30, 320):
        rows = [(f"{PROSE[n]} the {PROSE[n + 9]} of it all", f"cmd_{n}(x)") for n in range(12)]
        for n, (meaning, command) in enumerate(rows):
            top = 60 + (13.0 + x / 400) * n
            lines += [line(meaning, x, top), line(command, x + 170, top)]
        truth.append(("paragraph", 0, "\n".join(" ".join(row) for row in rows)))
    return lines, truth


def aligned_code() -> Pages:
    """Blanks that stand one under the other in code are no gutter."""
    rows = [
        ("set line style number {{type", "| lt} <type of the line> or none}"),
        ("    and then the colour {{rgb", "| lc} <name of a colour>}"),
        ("    and then the width {{wide", "| lw} <so many points>}"),
        ("    and then the points {{dot", "| pt} <kind of point> or none}"),
    ]
    lines = set_text(prose(60), 50, 60)
    top = below(lines, 12)
    for row, (left, right) in enumerate(rows):
        x = 50 + LETTER * (len(left) - len(left.lstrip()))
        lines += [line(left.strip(), x, top + 13 * row), line(right, 200, top + 13 * row)]
    text = "\n".join(f"{left.strip()} {right}" for left, right in rows)
    return lines, [("paragraph", 0, prose(60)), ("paragraph", 0, text)]


PAGES: dict[str, Callable[[], Pages]] = {
    "article": article,
    "indented first lines": indented,
    "two columns": columns(2),
    "three columns": columns(3),
    "heading across": across,
    "sidebar": sidebar,
    "receipt": receipt,
    "lists": items,
    "contents": contents,
    "address and code": address_and_code,
    "reference card": reference,
    "code with blanks": aligned_code,
}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_a_made_page_is_parted_as_it_was_made(page: Callable[[], Pages]) -> None:
    lines, truth = page()
    assert told(blocks(lines)) == truth


@pytest.mark.parametrize("degrees", [-1.5, 0.0, 1.5, 90.0, 180.0], ids=str)
@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_the_same_page_as_a_model_reads_it(page: Callable[[], Pages], degrees: float) -> None:
    lines, truth = page()
    mixed = as_read(lines, degrees=degrees)
    np.random.default_rng(1).shuffle(mixed)
    found = told(blocks(mixed))
    # Letters that are measured say roughly how large a heading is: not every level.
    assert [(kind, text) for kind, _, text in found] == [(kind, text) for kind, _, text in truth]


def test_markers_of_items_are_kept_as_printed() -> None:
    found = [block.marker for block in blocks(items()[0]) if block.kind == "list item"]
    assert found == ["•", "–", "–", "•", "9.", "10.", "11."]


def test_a_bullet_given_as_a_line_of_its_own_belongs_to_its_item() -> None:
    lines = [line("•", 50, 60), *set_text(prose(25), 70, 60)]
    (item,) = blocks(lines)
    assert (item.kind, item.marker, item.text) == ("list item", "•", prose(25))


@pytest.mark.parametrize(
    ("begin", "is_item"),
    [
        ("2. That is the end of a sentence and no item", False),
        ("- and a dash in a sentence that goes on", False),
        ("A. Smith who wrote of foxes", False),
        ("• A bullet is one wherever it stands", True),
    ],
)
def test_what_goes_on_with_a_filled_line_is_no_item(begin: str, is_item: bool) -> None:
    lines = [*FILLED, line(begin, 50, below(FILLED))]
    assert ("list item" in {block.kind for block in blocks(lines)}) is is_item


@pytest.mark.parametrize(
    ("title", "bold", "level"),
    [
        ("Bold and by itself", True, 4),
        ("Not bold and by itself", False, 0),
        ("2.3 Results", False, 2),
        ("3 Results", False, 1),
        ("2.3.4.5 Deep down", True, 4),
        ("A bold sentence is not one.", True, 0),
    ],
)
def test_headings_of_the_size_of_the_text(title: str, bold: bool, level: int) -> None:
    lines = set_text(prose(60), 50, 60)
    lines.append(line(title, 50, below(lines, 8), bold=bold))
    lines += set_text(prose(60), 50, below(lines, 8))
    found = blocks(lines)[1]
    assert (found.text, found.level) == (title, level)
    assert (found.kind == "heading") is (level > 0)


@pytest.mark.parametrize(("size", "level"), [(20.0, 1), (15.0, 2), (12.5, 3), (10.5, 0)])
def test_the_level_of_a_heading_follows_its_size(size: float, level: int) -> None:
    lines = [line("Foxes and their kin", 50, 40, size=size), *set_text(prose(200), 50, 80)]
    assert blocks(lines)[0].level == level


def test_a_heading_of_two_lines_is_one() -> None:
    lines = [line("A title that is so", 50, 40, size=18), line("long", 50, 62, size=18)]
    lines += set_text(prose(80), 50, 110)
    assert told(blocks(lines))[0] == ("heading", 1, "A title that is so long")


def test_a_page_of_code_in_small_print_does_not_make_headings_of_its_text() -> None:
    code = [f"call(function_{row}, with_argument={row})" for row in range(40)]
    lines = [line("This is said of the code", 50, 30)]
    lines += [line(text, 50, 60 + 11 * row, size=8) for row, text in enumerate(code)]
    lines += set_text(prose(90), 50, 520)
    assert "heading" not in {block.kind for block in blocks(lines)}


def test_a_paragraph_that_goes_on_in_the_next_column_says_so() -> None:
    text = prose(150)
    whole = set_text(text, 30, 60, width=260)
    cut = len(whole) // 2
    left = whole[:cut]
    right = [line(one.text, 310, 60 + 13 * row) for row, one in enumerate(whole[cut:])]
    note = "1 A footnote in small print, of no use to anybody."
    foot = set_text(note, 30, below(left, 8), width=260, size=8)
    last = prose(60, "Another")
    right += set_text(last, 310, below(right, 8), width=260)
    found = blocks([*left, *foot, *right])
    assert [block.continues for block in found] == [False, False, True, False]
    assert [block.text for block in (found[1], found[3])] == [note, last]
    assert joined(found[0].text, found[2].text) == text


def test_a_new_paragraph_in_the_next_column_does_not_continue() -> None:
    assert not any(block.continues for block in blocks(columns(3)()[0]))


@pytest.mark.parametrize(
    ("first", "second", "whole"),
    [
        ("docu-", "ment", "document"),
        ("docu\u00ad", "ment", "document"),
        ("Jean\u00ad", "Paul", "JeanPaul"),
        ("Jean-", "Paul", "Jean-Paul"),
        ("since 1990-", "2000", "since 1990-2000"),
        ("self-", "contained", "self-contained"),
        ("well\u2010", "known", "well\u2010known"),
        ("state-of-the-", "art", "state-of-the-art"),
        ("client-", "server-side", "client-server-side"),
        ("pre-", "and post-war", "pre- and post-war"),
        ("a dash -", "like this", "a dash - like this"),
        ("use --no-", "color", "use --no-color"),
        ("a word\u2014", "or two", "a word\u2014or two"),
        ("no hyphen", "here", "no hyphen here"),
        ("", "here", "here"),
        ("there", "", "there"),
    ],
)
def test_lines_are_joined_over_hyphens(first: str, second: str, whole: str) -> None:
    assert joined(first, second) == whole
    assert join_lines([first, second]) == whole


def test_joining_many_lines_takes_linear_time() -> None:
    start = time.process_time()
    assert len(join_lines(["word"] * 100_000)) == 499_999
    assert time.process_time() - start < 2.0


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("• one", ["•"]),
        ("o one", ["o"]),
        ("1) one", ["1)"]),
        ("(12) one", ["(1)"]),
        ("iv. one", ["i."]),
        ("c. one", ["a."]),
        ("i. one", ["a.", "i."]),
        ("3.14 is pi", []),
        ("2019. The year", []),
        ("-v says more", []),
        ("(1)", []),
        ("often", []),
    ],
)
def test_markers(text: str, kinds: list[str]) -> None:
    assert [marker.kind for marker in markers_of(text)] == kinds


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("2.3 Results", 2),
        ("A.1.2 Proofs", 3),
        ("Chapter 7", 1),
        ("Appendix B. More", 1),
        ("1.2.3.4.5.6.7.8 Deep", 6),
        ("Results", 0),
        ("12 345 things", 0),
    ],
)
def test_numbers_of_headings(text: str, level: int) -> None:
    assert numbered_level(text)[0] == level


PICTURE: Box = (100, 200, 400, 400)


def test_text_in_a_picture_belongs_to_the_figure_and_its_caption_does_not() -> None:
    lines = set_text(prose(60), 50, 60)
    lines += [line("axis of time", 200, 380), line("Figure 3: Foxes by the year", 100, 410)]
    lines += set_text(prose(60), 50, 440)
    found = blocks(lines, pictures=[PICTURE])
    assert [block.kind for block in found] == ["paragraph", "figure", "caption", "paragraph"]
    assert [one.text for one in found[1].lines] == ["axis of time"]
    assert found[1].box == PICTURE


def test_a_picture_of_the_whole_page_is_a_scan_and_no_figure() -> None:
    lines, truth = article()
    assert told(blocks(lines, pictures=[(0, 0, WIDTH, HEIGHT)])) == truth


def test_strips_of_one_drawing_are_one_figure() -> None:
    strips: list[Box] = [(100, 200 + 20 * row, 400, 220 + 20 * row) for row in range(8)]
    assert [block.box for block in blocks([], pictures=strips)] == [(100, 200, 400, 360)]


def test_a_figure_across_two_columns_parts_them() -> None:
    lines = across()[0]
    kept = [one for one in lines if one.font_size == 10]
    found = blocks(kept, pictures=[(30, 290, 570, 340)])
    assert [block.text.split(" ")[0] for block in found] == [
        *("Part00", "Part01", ""),
        *("Part10", "Part11"),
    ]


def table_at(x: float, y: float) -> tuple[Table, Box, list[Line]]:
    lines = [line(text, x + 100 * (n % 2), y + 15 * (n // 2)) for n, text in enumerate("abcd")]
    cells = tuple(Cell(n // 2, n % 2, one.box, (one,)) for n, one in enumerate(lines))
    return Table(2, 2, cells, is_ruled=False), (x - 5, y - 5, x + 150, y + 40), lines


def test_a_table_stands_between_its_neighbours_and_is_told_once() -> None:
    before, after = set_text(prose(40), 50, 60), set_text(prose(40, "After"), 50, 300)
    table, box, inside = table_at(60, 200)
    astray = line("beyond the cells", 120, 222)
    caption = line("Table 1. Letters", 60, 170)
    found = blocks([*after, *inside, caption, *before], tables=[(table, box)])
    assert [block.kind for block in found] == ["paragraph", "caption", "table", "paragraph"]
    assert found[2].text == "a\tb\nc\td"
    assert found[2].table is table
    lines = [id(one) for block in found for one in block.lines]
    assert len(lines) == len(set(lines)) == len(before + after + inside) + 1
    again = blocks([*inside, astray], tables=[(table, box)])
    assert [one.text for one in again[0].lines] == ["a", "b", "c", "d", "beyond the cells"]


def test_a_rule_parts_a_footnote_from_the_text() -> None:
    foot = line("9 see the other book about foxes", 50, below(FILLED))
    rule = np.array([(50, below(FILLED) - 2, 250, below(FILLED) - 1)])
    assert len(blocks([*FILLED, foot])) == 1
    assert [block.text for block in blocks([*FILLED, foot], rules=rule)][1:] == [foot.text]


def test_the_score_of_a_block_is_the_mean_over_letters() -> None:
    lines = [
        replace(one, score=score) for one, score in zip(receipt()[0], [0.5, 1.0] * 4, strict=True)
    ]
    (block,) = blocks(lines)
    letters = [(len(one.text), one.score or 0.0) for one in lines]
    whole = sum(count * score for count, score in letters) / sum(count for count, _ in letters)
    assert block.score == pytest.approx(whole, abs=0.02)
    assert blocks(receipt()[0])[0].score is None


def test_pieces_of_a_row_are_one_line_with_all_words() -> None:
    (block,) = blocks(receipt()[0])
    assert [one.text for one in block.lines][:2] == ["Milk 1.20", "Rye bread 2.30"]
    assert [word.text for word in block.lines[1].words] == ["Rye", "bread", "2.30"]
    assert block.box == (100, 60, 400, 109)


def test_a_line_given_across_two_columns_is_cut_at_the_gutter() -> None:
    left, right = set_text(prose(90, "Left"), 30, 60, width=260), None
    right = set_text(prose(90, "Right"), 310, 60, width=260)
    given = [
        replace(
            a,
            text=f"{a.text} {b.text}",
            words=a.words + b.words,
            quad=np.stack([a.quad[0], b.quad[1], b.quad[2], a.quad[3]]),
        )
        for a, b in zip(left, right, strict=True)
    ]
    assert [block.text for block in blocks(given)] == [prose(90, "Left"), prose(90, "Right")]


def test_a_line_spaced_out_to_the_width_stays_in_its_paragraph() -> None:
    lines = set_text(prose(90), 50, 60, width=200)
    low = lines[3].box
    words = lines[3].text.split()
    step = (200 - LETTER * sum(map(len, words))) / (len(words) - 1)
    at, spaced = 50.0, []
    for word in words:
        end = at + LETTER * len(word)
        spaced.append(line(word, at, low[1]))
        at = end + step
    assert [block.text for block in blocks([*lines[:3], *spaced, *lines[4:]])] == [prose(90)]


def test_lines_that_run_another_way_come_last() -> None:
    stamp = replace(
        line("arXiv:1234.5678", 0, 0),
        quad=np.array([(10, 600), (10, 400), (20, 400), (20, 600)], float),
        words=(),
    )
    found = blocks([stamp, *set_text(prose(60), 50, 60)])
    assert [block.text for block in found] == [prose(60), "arXiv:1234.5678"]


def test_a_page_with_nothing_on_it_has_no_blocks() -> None:
    assert blocks([]) == ()
    assert blocks([replace(line("x", 10, 10), text="  ")]) == ()


def test_a_page_of_one_word() -> None:
    assert told(blocks([line("Hello", 100, 100)])) == [("paragraph", 0, "Hello")]


def many(count: int) -> dict[str, list[Line]]:
    rng = np.random.default_rng(0)
    return {
        "one column": [line("some words here", 10, 12 * row) for row in range(count)],
        "40 columns": [line("words", 10 + 60 * (n % 40), 12 * (n // 40)) for n in range(count)],
        "one row": [line("word", 10 + 30 * n, 10) for n in range(count)],
        "stairs": [line("word", 10 + 20 * n, 12 * n) for n in range(count)],
        "all the same": [line("some words here", 10, 10)] * count,
        "anyhow": [line("some words", x, y) for x, y in rng.uniform(0, 800, (count, 2)).tolist()],
    }


@pytest.mark.parametrize("kind", many(1))
def test_2000_lines_are_read_in_time_and_none_is_lost(kind: str) -> None:
    lines = many(2000)[kind]
    start = time.process_time()
    found = blocks(lines)
    assert time.process_time() - start < 5.0
    words = sum(len(one.text.split()) for one in lines)
    assert sum(len(one.text.split()) for block in found for one in block.lines) == words


@pytest.mark.parametrize(
    "box", [(10, 10, 10, 10), (0, 0, 0, 0), (-50, -50, -10, -20), (0, 0, 1e7, 1e7)], ids=str
)
def test_a_line_with_an_odd_box_is_told(box: Box) -> None:
    odd = replace(line("odd", 0, 0), quad=box_to_quad(box), words=())
    found = blocks([odd, *set_text(prose(40), 50, 60)], pictures=[(5, 5, 5, 5)])
    assert sorted("\n".join(block.text for block in found).split()) == sorted(
        f"odd {prose(40)}".split()
    )
