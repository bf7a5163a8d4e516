"""Words and lines of PDFs, against files whose objects say what is right."""

import numpy as np
import pytest
from raw_pdfs import RawPage, mapped_font, raw_pdf, stream, text, to_unicode

from florence2.documents.pdf import PdfFile
from florence2.documents.pdf_letters import Letters, _has_place
from florence2.documents.pdf_objects import Frame
from florence2.pipelines.reading.lines import Line


def lines(data: bytes, index: int = 0) -> tuple[Line, ...]:
    with PdfFile(data) as file, file.page(index) as page:
        return page.lines()


def texts(data: bytes) -> list[str]:
    return [line.text for line in lines(data)]


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("cropped", [False, True])
@pytest.mark.parametrize("origin", [(0, 0), (-100, -50), (33, 44)])
@pytest.mark.parametrize("unit", [1, 2.5])
def test_ink_lies_in_its_box(
    turn: int, cropped: bool, origin: tuple[int, int], unit: float
) -> None:
    """Four turns, a crop beyond the page, an origin elsewhere, and units of another size."""
    left, bottom = origin
    x, y = left + 150, bottom + 220
    crop = f"/CropBox[{left + 40} {bottom + 30} {left + 900} {bottom + 350}]" if cropped else ""
    page = RawPage(
        text(x, y, "H", size=40),
        f"/MediaBox[{left} {bottom} {left + 600} {bottom + 400}]{crop}/Rotate {turn}"
        f"/UserUnit {unit}",
    )
    with PdfFile(raw_pdf(page)) as file, file.page(0) as opened:
        sides = (560, 320) if cropped else (600, 400)
        assert (opened.width, opened.height) == tuple(
            unit * side for side in (sides if turn in (0, 180) else sides[::-1])
        )
        ((word,),) = (line.words for line in opened.lines())
        picture = opened.render(dpi=144)
        assert picture.size == (2 * opened.width, 2 * opened.height)
        assert opened.lines()[0].angle == pytest.approx(turn if turn < 270 else -90)
        assert opened.lines()[0].font_size == pytest.approx(40 * unit)
        assert opened.lines()[0].letter_height == pytest.approx(28.7 * unit, rel=0.02)
    rows, columns = np.nonzero(np.asarray(picture.convert("L")) < 128)
    ink = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / 2
    assert np.abs(ink - word.box).max() <= 1.0


def test_a_turn_that_is_no_right_angle_is_none() -> None:
    with PdfFile(raw_pdf(RawPage("", "/MediaBox[0 0 600 400]/Rotate 45"))) as file:
        assert file.page(0).width == 600


CODES = {65: "ﬁ", 66: "fi", 67: "\U0001d54f", 68: "\0", 69: "x", 70: "\ufb06", 71: "\ufffe"}


@pytest.mark.parametrize(
    ("codes", "read"),
    [
        ("EAE", "xfix"),
        ("EBE", "xfix"),
        ("EFE", "xstx"),
        ("EEE C", "xxx \U0001d54f"),  # two halves of a character, and all after it in its place
        ("CE EC", "\U0001d54fx x\U0001d54f"),
        ("EDE", "x\N{REPLACEMENT CHARACTER}x"),
        ("EGE", "x\N{REPLACEMENT CHARACTER}x"),
    ],
)
def test_codes_come_out_as_text(codes: str, read: str) -> None:
    page = RawPage(text(50, 300, codes, font="X") + text(50, 200, "after"), fonts="/X 11 0 R")
    assert texts(raw_pdf(page, more=[to_unicode(CODES), mapped_font(10)])) == [read, "after"]


def test_a_ligature_is_one_place() -> None:
    page = RawPage(text(50, 300, "EAE", font="X"), fonts="/X 11 0 R")
    (line,) = lines(raw_pdf(page, more=[to_unicode(CODES), mapped_font(10)]))
    plain = lines(raw_pdf(text(50, 300, "EAE")))[0]
    assert line.box == pytest.approx(plain.box)


@pytest.mark.parametrize(
    ("first", "second"),
    [("ab-", "cd"), ("ab-", "12"), ("2019-", "2020"), ("ab\xad", "cd"), ("ab-", ""), ("-", "cd")],
)
def test_a_hyphen_at_the_end_of_a_line(first: str, second: str) -> None:
    found = texts(raw_pdf(text(50, 300, first) + text(50, 275, second)))
    assert found == [each for each in (first.replace("\xad", "-"), second) if each]
    assert not any(ord(letter) < 32 or letter == "\ufffe" for letter in "".join(found))


def test_hyphens_within_a_line_stay() -> None:
    assert texts(raw_pdf(text(50, 300, "well-known e-mail x-"))) == ["well-known e-mail x-"]


SOURCES = [
    pytest.param("0 Tr", "text layer", id="filled"),
    pytest.param("3 Tr", "hidden text layer", id="invisible"),
    pytest.param("1 Tr", "text layer", id="outlined"),
]


@pytest.mark.parametrize(("mode", "source"), SOURCES)
def test_text_that_is_not_drawn_is_told(mode: str, source: str) -> None:
    (line,) = lines(raw_pdf(text(50, 300, "words here", more=mode)))
    assert (line.text, line.source) == ("words here", source)


def test_hidden_and_shown_words_are_never_one_line() -> None:
    shown = "BT /F 20 Tf 50 300 Td (seen) Tj 3 Tr ( hid) Tj ET"
    assert [line.source for line in lines(raw_pdf(shown))] == ["text layer", "hidden text layer"]


LAYERS = "/OCProperties<</OCGs[10 0 R 11 0 R]/D<</OFF[10 0 R]>>>>"
GROUPS = ["<</Type/OCG/Name(off)>>", "<</Type/OCG/Name(on)>>"]
FORM = "/Type/XObject/Subtype/Form/BBox[0 0 300 200]/Resources<</Font<</F 3 0 R>>>>"
LAYERED = (
    text(50, 350, "plain")
    + "/OC /L BDC "
    + text(50, 300, "off")
    + "EMC /OC /M BDC "
    + text(50, 250, "on")
    + "EMC q 1 0 0 1 50 100 cm /A Do Q q 1 0 0 1 50 50 cm /B Do Q"
)


def test_text_of_layers_that_are_off_is_left_out() -> None:
    """Marked in the page, or a form that is on a layer as a whole."""
    page = RawPage(LAYERED, properties="/L 10 0 R/M 11 0 R", xobjects="/A 12 0 R/B 13 0 R")
    forms = [
        stream(text(0, 10, "form on"), f"{FORM}/OC 11 0 R"),
        stream(text(0, 10, "form off"), f"{FORM}/OC 10 0 R"),
    ]
    data = raw_pdf(page, more=[*GROUPS, *forms], catalog=LAYERS)
    assert texts(data) == ["plain", "on", "form on"]


@pytest.mark.parametrize(
    ("drawing", "read"),
    [
        ("q 0 0 100 100 re W n " + text(50, 300, "away") + "Q", []),
        ("q 0 250 500 100 re W n " + text(50, 300, "kept") + "Q", ["kept"]),
        ("q 0 0 92 400 re W n " + text(50, 300, "half here") + "Q", ["half"]),
        (text(650, 300, "beyond") + text(50, -30, "below"), []),
        ("q 0 0 100 100 re W n 0 200 500 200 re W n " + text(50, 300, "away") + "Q", []),
    ],
)
def test_text_that_is_cut_away_is_left_out(drawing: str, read: list[str]) -> None:
    assert texts(raw_pdf(drawing)) == read


def test_clips_of_forms_are_moved_with_them() -> None:
    form = stream("0 0 100 50 re W n " + text(10, 10, "in") + text(150, 10, "out"), FORM)
    page = RawPage("q 1 0 0 1 300 200 cm /A Do Q", xobjects="/A 10 0 R")
    assert texts(raw_pdf(page, more=[form])) == ["in"]


def turned(x: float, y: float, words: str, matrix: str) -> str:
    return f"BT /F 20 Tf {matrix} {x} {y} Tm ({words}) Tj ET\n"


DOWN, UP, OVER = "0 -1 1 0", "0 1 -1 0", "-1 0 0 -1"


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
@pytest.mark.parametrize(
    ("matrix", "places", "angle"),
    [
        (DOWN, [(500, 350), (470, 330), (440, 350)], 90),  # the second line has an indent
        (UP, [(100, 50), (130, 70), (160, 50)], -90),
        (OVER, [(500, 50), (480, 80), (500, 110)], 180),
    ],
)
def test_turned_lines_are_in_the_order_of_reading(
    order: tuple[int, ...], matrix: str, places: list[tuple[int, int]], angle: int
) -> None:
    parts = [
        turned(*place, words, matrix)
        for place, words in zip(places, ["first line", "second one", "third"], strict=True)
    ]
    found = lines(raw_pdf("".join(parts[number] for number in order)))
    assert [line.text for line in found] == ["first line", "second one", "third"]
    assert [line.angle for line in found] == pytest.approx([angle] * 3)
    words = found[0].words
    assert [word.text for word in words] == ["first", "line"]
    steps = words[1].quad[0] - words[0].quad[0]
    assert np.degrees(np.arctan2(steps[1], steps[0])) % 360 == pytest.approx(angle % 360, abs=5)


def test_a_clockwise_table_keeps_its_rows() -> None:
    """Of a page on its side, drawn column by column."""
    cells = [["Name", "Size"], ["ant", "3 mm"], ["bee", "14 mm"]]
    drawn = "".join(
        turned(500 - 30 * row, 350 - 150 * column, cells[row][column], DOWN)
        for column in (0, 1)
        for row in (0, 1, 2)
    )
    assert texts(raw_pdf(drawn)) == [cell for row in cells for cell in row]


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_upright_text_on_a_turned_page_is_like_any(turn: int) -> None:
    matrix = {90: UP, 180: OVER, 270: DOWN}[turn]
    places = {90: (100, 50, 30, 0), 180: (550, 100, 0, 30), 270: (500, 350, -30, 0)}[turn]
    x, y, right, up = places
    drawn = turned(x, y, "first line", matrix) + turned(x + right, y + up, "second", matrix)
    found = lines(raw_pdf(RawPage(drawn, f"/MediaBox[0 0 600 400]/Rotate {turn}")))
    assert [line.text for line in found] == ["first line", "second"]
    assert [line.angle for line in found] == pytest.approx([0, 0])
    assert found[0].box[1] < found[1].box[1]


MINCHO = (
    "<</Type/Font/Subtype/Type0/BaseFont/Mincho/Encoding/UniJIS-UTF16-V/DescendantFonts[<</Type"
    "/Font/Subtype/CIDFontType0/BaseFont/Mincho/CIDSystemInfo<</Registry(Adobe)/Ordering(Japan1)"
    "/Supplement 4>>/DW 1000>>]>>"
)
COLUMNS = ["日本語の", "縦書き", "文書"]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
@pytest.mark.parametrize("lone", [False, True])
def test_vertical_japanese_is_read_from_the_right(order: tuple[int, ...], lone: bool) -> None:
    drawn = ""
    for number in order:
        x = 500 - 30 * number
        shown = [each.encode("utf-16-be").hex() for each in COLUMNS[number]]
        parts = shown if lone else ["".join(shown)]
        drawn += "".join(
            f"BT /V 20 Tf {x} {350 - 20 * place} Td <{part}> Tj ET\n"
            for place, part in enumerate(parts)
        )
    found = lines(raw_pdf(RawPage(drawn, fonts="/V 10 0 R"), more=[MINCHO]))
    assert [line.text for line in found] == COLUMNS
    x_min, y_min, x_max, y_max = found[0].box
    assert 488 <= x_min < x_max <= 512 and y_min == pytest.approx(50, abs=6)
    assert y_max == pytest.approx(130, abs=6)
    assert found[0].quad[0] == pytest.approx((x_min, y_min))  # the top of an upright letter
    assert found[0].angle == 0


@pytest.mark.parametrize("angle", [30, 45, -60])
def test_slanting_text_has_slanting_quads(angle: int) -> None:
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    drawn = turned(200, 200, "slanting words", f"{cos:.5f} {-sin:.5f} {sin:.5f} {cos:.5f}")
    (line,) = lines(raw_pdf(drawn))
    assert line.text == "slanting words"
    assert line.angle == pytest.approx(angle, abs=0.1)
    along, across = (np.hypot(*(line.quad[at] - line.quad[0])) for at in (1, 3))
    straight = lines(raw_pdf(text(200, 200, "slanting words")))[0].box
    assert along == pytest.approx(straight[2] - straight[0], rel=0.05)
    assert 14 <= across <= 24


def test_a_filled_field_and_a_note_are_in_the_picture_and_in_the_text() -> None:
    objects = [
        "<</FT/Tx/Subtype/Widget/Type/Annot/T(a)/V(Filled 42)/Rect[50 300 250 330]/F 4"
        "/DA(/F 18 Tf 0 g)>>",
        "<</Type/Annot/Subtype/FreeText/Rect[50 200 250 230]/Contents(A note)/F 4"
        "/DA(/F 18 Tf 0 g)>>",
    ]
    data = raw_pdf(
        RawPage(text(50, 350, "Name"), "/MediaBox[0 0 600 400]/Annots[10 0 R 11 0 R]"),
        more=objects,
        catalog="/AcroForm<</Fields[10 0 R]/DR<</Font<</F 3 0 R>>>>/DA(/F 18 Tf 0 g)>>",
    )
    with PdfFile(data) as file, file.page(0) as page:
        assert [line.text for line in page.lines()] == ["Name", "Filled 42", "A note"]
        ink = np.asarray(page.render(dpi=72).convert("L")) < 128
    assert ink[70:100, 50:250].sum() > 100 and ink[170:200, 50:250].sum() > 100


def ocr_word(name: str, font: str) -> tuple[RawPage, list[str | bytes]]:
    """A word as an OCR program writes it: letters of one width, with a blank behind."""
    page = RawPage(
        f"BT 3 Tr /{name} 10 Tf 50 300 Td (Hello ) Tj (you) Tj ET", fonts=f"/{name} 10 0 R"
    )
    return page, [font]


def test_a_blank_behind_a_word_is_not_in_its_box() -> None:
    font = (
        "<</Type/Font/Subtype/Type3/FontBBox[0 0 500 1000]/FontMatrix[.001 0 0 .001 0 0]"
        "/CharProcs<<>>/Encoding<</Differences[32/space 72/H 101/e 108/l 111/o 117/u 121/y]>>"
        f"/FirstChar 32/LastChar 126/Widths[{'500 ' * 95}]/Resources<<>>>>"
    )
    (line,) = lines(raw_pdf(*ocr_word("G", font)[:1], more=[font]))
    assert [word.text for word in line.words] == ["Hello", "you"]
    assert [round(word.box[0]) for word in line.words] == [50, 80]
    assert line.words[0].box[2] <= 76
    assert all(y_max > y_min for _, y_min, _, y_max in (word.box for word in line.words))


def test_columns_and_cells_are_lines_of_their_own() -> None:
    drawn = "".join(
        text(x, 300 - 25 * row, words, size=10)
        for row, cells in enumerate([["Name of it", "Size"], ["an ant", "3 mm"]])
        for x, words in zip((50, 200), cells, strict=True)
    )
    assert texts(raw_pdf(drawn)) == ["Name of it", "Size", "an ant", "3 mm"]


@pytest.mark.parametrize(
    ("rule", "read"),
    [
        ("", ["Name Size"]),
        ("82 350 m 82 250 l S", ["Name", "Size"]),
        ("82 290 m 82 250 l S", ["Name Size"]),
        ("50 295 m 150 295 l S", ["Name Size"]),
    ],
)
def test_sides_of_cells_part_lines(rule: str, read: list[str]) -> None:
    found = lines(raw_pdf(text(50, 300, "Name Size", size=10, more="4 Tw") + rule))
    assert [line.text for line in found] == read
    assert found[-1].box[2] == pytest.approx(found[-1].words[-1].box[2])


def test_wide_blanks_of_a_line_set_to_its_width_part_words_only() -> None:
    drawn = text(50, 300, "set to the full width", size=10, more="8 Tw")
    assert texts(raw_pdf(drawn)) == ["set to the full width"]


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (2, 0, 1)])
def test_words_of_a_line_that_are_drawn_in_any_order(order: tuple[int, ...]) -> None:
    """As by programs that draw all of one font before the next."""
    parts = [text(50, 300, "one", size=10), text(70, 300, "two", size=10, font="B")]
    parts += [text(90.5, 300, "three", size=10)]
    between = text(50, 100, "elsewhere", size=10)
    drawn = between.join(parts[number] for number in order)
    assert "one two three" in texts(raw_pdf(drawn))


def test_superscripts_stay_in_their_line() -> None:
    drawn = text(50, 300, "x") + text(60, 307, "2", size=12) + text(75, 300, "of y")
    assert texts(raw_pdf(drawn)) == ["x2 of y"]


@pytest.mark.parametrize(("word", "read"), [("words", "words 12."), ("km", "km12."), ("w", "w12.")])
def test_the_number_of_a_footnote_is_no_part_of_the_word(word: str, read: str) -> None:
    drawn = f"BT /F 20 Tf 50 300 Td ({word}) Tj 7 Ts /F 12 Tf (12) Tj 0 Ts /F 20 Tf (.) Tj ET"
    assert texts(raw_pdf(drawn)) == [read]


@pytest.mark.parametrize(
    ("font", "more", "bold"), [("F", "", False), ("B", "", True), ("F", "2 Tr", True)]
)
def test_bold(font: str, more: str, bold: bool) -> None:
    (line,) = lines(raw_pdf(text(50, 300, "Heading", font=font, more=more)))
    assert line.is_bold is bold


def test_hebrew_is_in_the_order_of_reading() -> None:
    codes = {65 + number: letter for number, letter in enumerate("שלום עולם"[::-1])}
    page = RawPage(text(50, 300, "".join(map(chr, codes)), font="X"), fonts="/X 11 0 R")
    assert texts(raw_pdf(page, more=[to_unicode(codes), mapped_font(10)])) == ["שלום עולם"]


def test_text_of_nested_forms_is_where_it_is_drawn() -> None:
    inner = stream(text(10, 10, "deep"), f"{FORM}/Matrix[2 0 0 2 0 0]")
    outer = stream(
        "q 1 0 0 1 20 30 cm /A Do Q", FORM.replace("/Font", "/XObject<</A 10 0 R>>/Font")
    )
    page = RawPage("q 1 0 0 1 100 50 cm /O Do Q", xobjects="/O 11 0 R")
    (line,) = lines(raw_pdf(page, more=[inner, outer]))
    assert line.font_size == pytest.approx(40)
    assert line.box[0] == pytest.approx(100 + 20 + 20, abs=3)
    assert line.box[3] == pytest.approx(400 - (50 + 30 + 20), abs=12)


def test_words_from_the_right_that_are_drawn_apart() -> None:
    """Each by itself, from the left; a number among them, the full stop behind the last."""
    codes = {65 + number: letter for number, letter in enumerate("שלומעחיט")}
    drawn = [(".", 50), ("CBA", 56), ("42", 105), ("FED", 135), ("HG", 185)]
    page = RawPage(
        "".join(text(x, 300, word, font="F" if word in (".", "42") else "X") for word, x in drawn),
        fonts="/X 11 0 R",
    )
    data = raw_pdf(page, more=[to_unicode(codes), mapped_font(10)])
    assert [line.text for line in lines(data)] == ["יט מעח 42 שלו."]


def test_a_box_without_a_size_is_that_of_the_font() -> None:
    """As in the PDFs of hocr-tools."""
    flags = np.zeros(1, np.bool_)
    tight, loose = np.array([[50.0, 90, 60, 90]]), np.array([[50.0, 80, 60, 95]])
    one = np.ones(1, np.int64)
    letters = Letters(["H"], one, one, tight, loose, tight[:, :2], flags, flags, flags)
    assert _has_place(letters, Frame.of((0, 0, 600, 400), 0, 1)).all()
    assert letters.tight.tolist() == loose.tolist()
