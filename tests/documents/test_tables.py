"""Tables with known cells, laid out by hand: words of equal letters on a grid of characters."""

import re
import time
from itertools import pairwise

import numpy as np
import pytest

from florence2.documents.structure import Table
from florence2.documents.tables import find_tables, lines_outside
from florence2.geometry import Box, box_to_quad
from florence2.pipelines.reading.lines import Line, Word

CHARACTER, LETTER, LEADING = 7.0, 12.0, 20.0


def line(text: str, x: float, y: float, *, is_bold: bool = False) -> Line:
    """A line whose letters are equally wide; blanks between words are half as wide."""
    words = []
    at = x
    for part in text.split():
        end = at + CHARACTER * len(part)
        words.append(Word(part, box_to_quad((at, y, end, y + LETTER))))
        at = end + CHARACTER / 2
    return Line(
        text, box_to_quad((x, y, at - CHARACTER / 2, y + LETTER)), tuple(words), is_bold=is_bold
    )


def spread(
    rows: list[list[str]], columns: list[float], *, top: float = 100.0, bold: int = 0
) -> list[Line]:
    """Lines of cells, each at the start of its column."""
    return [
        line(text, columns[column], top + LEADING * number, is_bold=number < bold)
        for number, row in enumerate(rows)
        for column, text in enumerate(row)
        if text
    ]


def grid(xs: list[float], ys: list[float]) -> list[Box]:
    level = [(xs[0], y - 0.5, xs[-1], y + 0.5) for y in ys]
    return level + [(x - 0.5, ys[0], x + 0.5, ys[-1]) for x in xs]


def found(lines: list[Line], rules: list[Box] | None = None) -> list[Table]:
    boxes = np.array(rules or [], np.float64).reshape(-1, 4)
    return [table for table, _ in find_tables(lines, boxes, width=612.0, height=792.0)]


def texts(table: Table) -> list[list[str]]:
    rows = [["" for _ in range(table.num_columns)] for _ in range(table.num_rows)]
    for cell in table.cells:
        rows[cell.row][cell.column] = cell.text
    return rows


HEAD = ["Name", "Colour", "Weight"]
BODY = [["apple", "red", "12.50"], ["plum", "dark blue", "7.10"], ["lemon", "yellow", "9.00"]]
FRUIT = [HEAD, *BODY]
COLUMNS = [60.0, 180.0, 300.0]
XS = [50.0, 170.0, 290.0, 400.0]
YS = [96.0, 116.0, 136.0, 156.0, 176.0]

RULES = {
    "full grid": (grid(XS, YS), True),
    "head, top and foot": ([(50, y, 400, y + 1) for y in (96.0, 116.0, 176.0)], True),
    "rule below each row": ([(50, y, 400, y + 1) for y in YS[1:]], True),
    "columns and head": (grid(XS, [96.0, 116.0, 176.0]), True),
    "frame and head": (grid([50.0, 400.0], [96.0, 116.0, 176.0]), True),
    "double rules": (grid(XS, YS) + grid([x + 3 for x in XS], [y + 3 for y in YS]), True),
    "cells as areas": (
        [(a, c, b, d) for a, b in pairwise(XS) for c, d in pairwise(YS)],
        True,
    ),
    "none": ([], False),
}


@pytest.mark.parametrize("name", RULES)
def test_cells_of_a_table_stand_in_their_rows_and_columns(name: str) -> None:
    rules, is_ruled = RULES[name]
    (table,) = found(spread(FRUIT, COLUMNS), rules)
    assert texts(table) == FRUIT
    assert table.is_ruled == is_ruled
    assert {cell.row for cell in table.cells if cell.is_header} == {0}


def test_a_missing_rule_joins_cells() -> None:
    rules = grid(XS, YS)
    rules[6] = (169.5, 116.0, 170.5, 176.0)  # the first inner upright, but for the head
    lines = spread([["Fruit", "", "Weight"], *BODY], [100.0, *COLUMNS[1:]])
    (table,) = found(lines, rules)
    head = [cell for cell in table.cells if cell.row == 0]
    assert [(cell.column, cell.column_span, cell.text) for cell in head] == [
        (0, 2, "Fruit"),
        (2, 1, "Weight"),
    ]


def test_a_line_over_columns_is_cut_between_its_words() -> None:
    whole = Line(
        "apple red 12.50",
        box_to_quad((60.0, 120.0, 335.0, 132.0)),
        tuple(word for each in spread([BODY[0]], COLUMNS, top=120.0) for word in each.words),
        score=0.5,
    )
    other = [each for each in spread(FRUIT, COLUMNS) if each.box[1] != 120.0]
    (table,) = found([*other, whole], grid(XS, YS))
    assert texts(table)[1] == BODY[0]
    cell = next(cell for cell in table.cells if cell.text == "red")
    assert cell.lines[0].words[0] is whole.words[1]
    assert cell.lines[0].score == 0.5


def test_lines_without_words_are_cut_at_their_blanks() -> None:
    bare = [Line(each.text, each.quad) for each in spread(FRUIT, COLUMNS)]
    (table,) = found(bare, grid(XS, YS))
    assert texts(table) == FRUIT


def test_wrapped_text_is_one_cell() -> None:
    rows = [
        ["Key", "Meaning of the key", "Size"],
        ["alpha", "the first letter of all", "1"],
        ["", "those that are known", ""],
        ["beta", "the second of them", "22"],
        ["gamma", "the third letter which", "3"],
        ["", "follows", ""],
    ]
    lines = [
        line(text, (60.0, 160.0, 420.0)[column], y)
        for row, y in zip(rows, (100, 124, 137, 161, 185, 198), strict=True)
        for column, text in enumerate(row)
        if text
    ]
    (table,) = found(lines)
    assert [row[0] for row in texts(table)] == ["Key", "alpha", "beta", "gamma"]
    assert texts(table)[1][1] == "the first letter of all those that are known"


@pytest.mark.parametrize("degrees", [-1.5, 1.0])
def test_turned_pages_are_set_level(degrees: float) -> None:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.array([[cos, sin], [-sin, cos]])
    lines = [
        Line(each.text, each.quad @ turn, tuple(Word(w.text, w.quad @ turn) for w in each.words))
        for each in [*spread(FRUIT, COLUMNS), line("a long line that tells the angle", 60, 60)]
    ]
    rules = []
    for box in grid(XS, YS):
        corners = box_to_quad(box) @ turn
        rules.append((*corners.min(axis=0), *corners.max(axis=0)))
    (table,) = found(lines, rules)
    assert texts(table) == FRUIT


def prose(x: float, width: int, count: int, top: float = 100.0) -> list[Line]:
    text = "when in the course of human events it becomes necessary for one people"
    words = text.split()
    lines = []
    for number in range(count):
        text = ""
        for at in range(40):
            word = words[(number * 5 + at * (1 + number % 3)) % len(words)]
            if len(text) + len(word) >= width:
                break
            text = f"{text} {word}".strip()
        lines.append(line(text, x, top + 14 * number))
    return lines


def typed(text: str, x: float, y: float) -> Line:
    """A line in typewriter letters: each as wide as a blank."""
    return evenly(text, x, y, 8.0, 8.0)


def evenly(text: str, x: float, y: float, blank: float, character: float = 0.0) -> Line:
    """A line with blanks of one width, between letters of one width, or else of several."""
    words = []
    for number, part in enumerate(text.split()):
        end = x + (character or 5.0 + number % 3) * len(part)
        words.append(Word(part, box_to_quad((x, y, end, y + LETTER))))
        x = end + blank
    return Line(text, box_to_quad((words[0].box[0], y, x - blank, y + LETTER)), tuple(words))


LEADERS = [
    [f"{number} Chapter", f"{'.' * 30} {page}"] for number, page in enumerate((1, 4, 9, 22), 1)
]
NO_TABLES: dict[str, tuple[list[Line], list[Box]]] = {
    "nothing": ([], []),
    "a paragraph": (prose(50, 60, 12), []),
    "two columns of text": (prose(50, 30, 20) + prose(320, 30, 20), []),
    "and a rule between": (
        prose(50, 30, 20) + prose(320, 30, 20),
        [(300.0, 95.0, 301.0, 380.0)],
    ),
    "a frame around a paragraph": (prose(60, 50, 6), grid([50.0, 500.0], [90.0, 190.0])),
    "a border around the page": (prose(60, 50, 30), grid([20.0, 590.0], [20.0, 770.0])),
    "rules at head and foot of a page": (
        prose(60, 50, 30),
        [(50, 60, 560, 61), (50, 740, 560, 741)],
    ),
    "a list": (spread([["1.", "first of all"], ["2.", "second"], ["3.", "third"]], [60, 90]), []),
    "a table of contents": (spread(LEADERS, [60.0, 200.0]), []),
    "page numbers without leaders": (
        spread([["Introduction", "1"], ["Use", "14"], ["Parts", "20"], ["End", "31"]], [60, 300]),
        [],
    ),
    "a receipt": (
        spread([["Milk", "1.20"], ["Fresh bread", "3.45"], ["Tea", "2.99"]], [60, 300]),
        [],
    ),
    "a form": (spread([["Name:", "Jane"], ["Town:", "Bern"], ["Age:", "44"]], [60, 200]), []),
    "boxes to fill in": (
        [line("Name", 60, 100), line("Town", 60, 200)],
        grid([50.0, 300.0], [95.0, 120.0]) + grid([50.0, 300.0], [195.0, 220.0]),
    ),
    "source code": (
        spread(
            [["int a;", "// first"], ["long b;", "// second"], ["char c;", "// third"]],
            [60, 200],
        ),
        [],
    ),
    "an index": (
        spread(
            [
                [f"{a}name, {7 * n}", f"{a}other, {9 * n}, {9 * n + 4}"]
                for n, a in enumerate("abcd")
            ],
            [60, 300],
        ),
        [],
    ),
    "a bibliography": (
        spread([[f"[Gol8{n}]", f"Goldblum, paper of year {n}"] for n in range(4)], [60, 120]),
        [],
    ),
    "signatures": (
        spread(
            [["void first (int a)", "[Function]"], ["void other ()", "[Function]"]] * 2, [60, 400]
        ),
        [],
    ),
    "lines of commands": (
        spread(
            [["set", "output in", "file"], ["set", "format", "x"], ["set", "title", "of it"]],
            COLUMNS,
        ),
        [],
    ),
    "a matrix": (spread([["1", "2", "3"], ["4", "5", "6"], ["7", "8", "9"]], COLUMNS), []),
    "listing in typewriter letters": (
        prose(50, 60, 6, top=300.0)
        + [
            typed(each, 60, 100 + 14 * number)
            for number, each in enumerate(("plot data title graph", "show data title words") * 2)
        ],
        [],
    ),
    "lines set wide": (
        [
            evenly("we hold these truths to be selfevident", 60, 100 + 14 * n, 11.0 + n)
            for n in range(4)
        ],
        [],
    ),
    "a plot": (
        [line("20", 20, 100), line("40", 20, 200)],
        grid([50.0 + 40 * n for n in range(8)], [90.0 + 30 * n for n in range(8)]),
    ),
}


@pytest.mark.parametrize("name", NO_TABLES)
def test_what_only_looks_like_a_table_remains_lines(name: str) -> None:
    assert found(*NO_TABLES[name]) == []


def test_the_running_head_above_a_table_is_no_row_of_it() -> None:
    head = [line("330", 60.0, 64.0), line("library", 300.0, 64.0)]
    (table,) = found([*head, *spread(BODY, COLUMNS)])
    assert texts(table) == BODY


def test_in_typewriter_letters_two_blanks_part_columns() -> None:
    rows = [
        "-c, --check   checks the syntax",
        "-o, --output  writes the file",
        "-h, --help    shows this text",
    ]
    lines = []
    for number, row in enumerate(rows):
        y = 100.0 + LEADING * number
        places = [(60.0 + 8 * m.start(), m.group()) for m in re.finditer(r"\S+", row)]
        words = [
            Word(each, box_to_quad((x, y, x + 8 * len(each), y + LETTER))) for x, each in places
        ]
        whole = box_to_quad((60.0, y, words[-1].box[2], y + LETTER))
        lines.append(Line(" ".join(row.split()), whole, tuple(words)))
    (table,) = found(lines)
    assert [row[0] for row in texts(table)] == ["-c, --check", "-o, --output", "-h, --help"]


def test_lines_outside_keep_what_no_cell_holds() -> None:
    text = prose(50, 60, 3, top=300.0)
    joined = Line(
        "apple red 12.50 note",
        box_to_quad((60.0, 120.0, 528.0, 132.0)),
        tuple(
            word
            for each in [*spread([BODY[0]], COLUMNS, top=120.0), line("note", 500.0, 120.0)]
            for word in each.words
        ),
    )
    others = [each for each in spread(FRUIT, COLUMNS) if each.box[1] != 120.0]
    lines = [*others, joined, *text]
    tables = find_tables(lines, np.array(grid(XS, YS)), width=612.0, height=792.0)
    assert [each.text for each in lines_outside(lines, tables)] == [
        "note",
        *[each.text for each in text],
    ]


def test_boxes_lie_within_the_page() -> None:
    ((table, box),) = find_tables(
        spread(FRUIT, COLUMNS), np.array(grid([-5.0, *XS[1:]], YS)), width=612.0, height=792.0
    )
    assert box == pytest.approx((0.0, 96.0, 400.0, 176.0))
    assert all(cell.box[0] >= 0.0 for cell in table.cells)


@pytest.mark.slow
def test_thousands_of_lines_and_rules_take_no_longer_than_their_number_asks_for() -> None:
    rng = np.random.default_rng(0)
    lines = [line("word other", *rng.uniform(0, 5000, 2)) for _ in range(2000)]
    starts = rng.uniform(0, 5000, (5000, 2))
    ends = starts + np.where(rng.random((5000, 1)) < 0.5, (300, 1), (1, 300))
    start = time.process_time()
    find_tables(lines, np.concatenate([starts, ends], axis=1), width=5000.0, height=5000.0)
    assert time.process_time() - start < 10
