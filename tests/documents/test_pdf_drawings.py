"""Rules and pictures of PDF pages, and what they say about its text."""

import numpy as np
import pytest
from raw_pdfs import RawPage, mapped_font, raw_pdf, stream, text, to_unicode

from florence2.documents.pdf import PdfFile
from florence2.documents.text_layer import Verdict, text_fault, text_layer_verdict
from florence2.geometry import Array, Box

FORM = "/Type/XObject/Subtype/Form/BBox[0 0 600 400]/Resources<</XObject<</I 5 0 R/N 10 0 R>>>>"


def rules(page: RawPage | str, *more: bytes) -> Array:
    with PdfFile(raw_pdf(page, more=more)) as file, file.page(0) as opened:
        return opened.rules()


def pictures(page: RawPage | str, *more: str | bytes) -> tuple[Box, ...]:
    with PdfFile(raw_pdf(page, more=more)) as file, file.page(0) as opened:
        return opened.pictures()


FRAME = [(100, 99, 300, 101), (99, 100, 101, 200), (100, 199, 300, 201), (299, 100, 301, 200)]


@pytest.mark.parametrize(
    ("drawing", "boxes"),
    [
        pytest.param("2 w 100 300 m 300 300 l S", [(100, 99, 300, 101)], id="level"),
        pytest.param("2 w 100 300 m 100 200 l S", [(99, 100, 101, 200)], id="upright"),
        pytest.param("100 300 200 1 re f", [(100, 99, 300, 100)], id="thin rectangle"),
        pytest.param("2 w 100 200 200 100 re S", FRAME, id="frame"),
        pytest.param("2 w 100 200 200 100 re B", FRAME, id="filled frame"),
        pytest.param("2 w 100 200 m 300 200 l 300 300 l 100 300 l s", FRAME, id="closed path"),
        pytest.param("100 200 200 100 re f", [], id="filled only"),
        pytest.param("100 200 200 100 re n", [], id="not drawn"),
        pytest.param("100 200 m 300 300 l S", [], id="slanting"),
        pytest.param("100 200 m 150 300 250 300 300 200 c S", [], id="curve"),
        pytest.param("40 w 100 300 m 140 300 l S", [], id="bar"),
        pytest.param("100 300 m 103 300 l S", [], id="dot"),
        pytest.param(
            "q 0.5 0 0 0.5 50 100 cm 4 w 100 400 m 500 400 l S Q",
            [(100, 99, 300, 101)],
            id="scaled",
        ),
        pytest.param(
            "q 0 1 -1 0 0 0 cm 2 w 100 -300 m 200 -300 l S Q", [(299, 200, 301, 300)], id="turned"
        ),
        pytest.param(
            "q 100 0 100 400 re W n 2 w 50 300 m 300 300 l S Q", [(100, 99, 200, 101)], id="clipped"
        ),
        pytest.param("2 w 500 300 m 900 300 l S", [(500, 99, 600, 101)], id="beyond the page"),
        pytest.param(
            "2 w 100 300 m 300 300 l 100 250 m 300 250 l S",
            [(100, 99, 300, 101), (100, 149, 300, 151)],
            id="two in one path",
        ),
        pytest.param(
            "2 w 100 300 m 300 300 l S 100 300 m 300 300 l S", [(100, 99, 300, 101)], id="twice"
        ),
    ],
)
def test_rules(drawing: str, boxes: list[Box]) -> None:
    found = rules(drawing)
    assert found.shape == (len(boxes), 4)
    assert np.array(sorted(found.tolist())).reshape(-1, 4) == pytest.approx(
        np.array(sorted(boxes)).reshape(-1, 4)
    )


def test_shades_are_filled_rectangles_that_are_not_white() -> None:
    drawing = "0.9 g 100 200 200 100 re f 1 g 100 50 200 100 re f 0 g 100 40 200 1 re f"
    with PdfFile(raw_pdf(RawPage(drawing))) as file, file.page(0) as page:
        assert page.shades() == pytest.approx(np.array([(100, 100, 300, 200)]))


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_rules_are_in_the_frame_of_the_page(turn: int) -> None:
    entries = f"/MediaBox[-100 -50 500 350]/CropBox[-50 -50 500 350]/Rotate {turn}/UserUnit 2"
    (rule,) = rules(RawPage("3 w -20 100 m 180 100 l S", entries))
    expected = {
        0: (60, 497, 460, 503),
        90: (297, 60, 303, 460),
        180: (640, 297, 1040, 303),
        270: (497, 640, 503, 1040),
    }[turn]
    assert rule == pytest.approx(expected)


def place(x: float, y: float, width: float, height: float, name: str = "I") -> str:
    return f"q {width} 0 0 {height} {x} {y} cm /{name} Do Q\n"


INLINE = "q 100 0 0 50 50 300 cm BI /W 2 /H 2 /BPC 8 /CS /G /F /AHx ID 00ff00ff> EI Q"


@pytest.mark.parametrize(
    ("drawing", "boxes"),
    [
        pytest.param(place(50, 300, 100, 50), [(50, 50, 150, 100)], id="placed"),
        pytest.param(INLINE, [(50, 50, 150, 100)], id="inline"),
        pytest.param(place(50, 300, 100, -50), [(50, 100, 150, 150)], id="flipped"),
        pytest.param("q 0 100 -50 0 150 200 cm /I Do Q", [(100, 100, 150, 200)], id="turned"),
        pytest.param(place(50, 300, 11, 50), [], id="small"),
        pytest.param(place(-50, -50, 700, 500), [(0, 0, 600, 400)], id="beyond the page"),
        pytest.param(place(700, 0, 100, 100), [], id="outside"),
        pytest.param(
            "q 60 310 20 20 re W n " + place(50, 300, 100, 50) + "Q",
            [(60, 70, 80, 90)],
            id="clipped",
        ),
        pytest.param(
            "".join(place(50, 300 - 5 * row, 100, 5) for row in range(20)),
            [(50, 95, 150, 195)],
            id="strips",
        ),
        pytest.param(
            "".join(
                place(50 + 40 * at, 300 - 30 * row, 40, 30) for row in range(3) for at in range(4)
            ),
            [(50, 70, 210, 160)],
            id="tiles",
        ),
        pytest.param(
            place(50, 300, 100, 50) + place(300, 300, 100, 50),
            [(50, 50, 150, 100), (300, 50, 400, 100)],
            id="two",
        ),
    ],
)
def test_pictures(drawing: str, boxes: list[Box]) -> None:
    assert sorted(pictures(drawing)) == [pytest.approx(box) for box in boxes]


def test_pictures_in_forms_are_where_they_are_drawn() -> None:
    """A form in a form, each with a matrix of its own."""
    inner = stream(place(10, 10, 30, 20), f"{FORM}/Matrix[2 0 0 2 0 0]")
    outer = stream("q 1 0 0 1 100 50 cm /N Do Q", FORM)
    page = RawPage("q 1 0 0 1 50 60 cm /O Do Q", xobjects="/O 11 0 R")
    assert pictures(page, inner, outer) == (pytest.approx((170, 230, 230, 270)),)


SCAN = place(0, 0, 600, 400)
PROSE = "The quick brown fox jumps over the lazy dog while seven wizards bake plain bread"
BODY = "".join(text(50, 370 - 20 * row, PROSE, size=12) for row in range(17))
HIDDEN = BODY.replace(" Td ", " Td 3 Tr ")
SHIFTED = PROSE.translate({code: code + 2 for code in range(65, 123)})


@pytest.mark.parametrize(
    ("drawing", "is_good", "reason"),
    [
        pytest.param("", True, "there is nothing on the page", id="blank"),
        pytest.param("50 50 m 300 200 l S", False, "there are drawings and no text", id="drawing"),
        pytest.param(
            SCAN, False, "pictures cover 100 % of the page and there is no text", id="scan"
        ),
        pytest.param(BODY, True, "text layer of 255 words, 0 % unreadable", id="text"),
        pytest.param(text(50, 300, "one"), True, "text layer of 1 word, 0 % unreadable", id="word"),
        pytest.param(
            SCAN + HIDDEN,
            True,
            "text layer of 255 words, by another program's OCR, 0 % unreadable",
            id="OCR",
        ),
        pytest.param(
            SCAN + text(50, 380, "Downloaded by a library", size=10),
            False,
            "pictures cover 100 % of the page and the text layer of 4 words 2.3 % of its height",
            id="header over a scan",
        ),
        pytest.param(
            SCAN + BODY, True, "text layer of 255 words, 0 % unreadable", id="on a ground"
        ),
        pytest.param(
            place(50, 50, 200, 200) + text(300, 380, "A title", size=30),
            True,
            "text layer of 2 words, 0 % unreadable",
            id="figure",
        ),
        pytest.param(
            BODY.replace(PROSE, SHIFTED),
            False,
            "text layer of 255 words, whose letters make no words",
            id="shifted codes",
        ),
        pytest.param(
            BODY.replace(PROSE, PROSE.replace(" ", "")),
            False,
            "with no blanks between words",
            id="no blanks",
        ),
    ],
)
def test_verdicts(drawing: str, is_good: bool, reason: str) -> None:
    with PdfFile(raw_pdf(drawing)) as file, file.page(0) as page:
        verdict = text_layer_verdict(page)
    assert verdict.is_good is is_good
    assert reason in verdict.reason


@pytest.mark.parametrize(
    ("meaning", "is_good"),
    [("\ue001", False), ("\0", False), ("\x1f", False), ("é", True), ("ж", True), ("日", True)],
)
def test_what_codes_mean_decides(meaning: str, is_good: bool) -> None:
    codes = {65: meaning, 66: "b"}
    page = RawPage(text(50, 300, "BABAB ABBA", font="X"), fonts="/X 11 0 R")
    data = raw_pdf(page, more=[to_unicode(codes), mapped_font(10)])
    with PdfFile(data) as file, file.page(0) as opened:
        verdict = text_layer_verdict(opened)
    expected = "" if is_good else ", 44 % unreadable"
    assert verdict == Verdict(is_good, f"text layer of 2 words{expected or ', 0 % unreadable'}")


@pytest.mark.parametrize(
    "words",
    [
        "Die Größe der Schlüssel wächst gemäß den Vorschriften für Straßenverkehr und Fußgänger",
        "Les élèves étudient attentivement leurs leçons pendant toute la journée à l'école",
        "def read_letters(page, frame): return np.array(list(map(float, texts)), np.float64)",
        "HEADINGS IN CAPITALS ONLY WITH SEVERAL LONGER WORDS BELOW THEM AND SOME BESIDE THEM",
        "camelCase getElementById XMLHttpRequest innerHTML querySelector addEventListener style",
        "SKU-12345 99.50 EUR 2020-01-01 +49 30 123456 a b c 1 2 3",
        "Słowo książka chrząszcz brzmi trzcinie Szczebrzeszyn źdźbło wszystkie przykłady tekstu",
    ],
)
def test_texts_of_many_kinds_are_no_fault(words: str) -> None:
    assert text_fault(words.split() * 3) == ""


ENGLISH = (
    "It was a bright cold day in April and the clocks were striking thirteen when a man went"
    " quickly through the glass doors of the building and closed them behind himself"
)


@pytest.mark.parametrize("shift", [-31, -29, -3, -2, -1, 1, 2, 3, 5, 6])
def test_shifted_letters_are_a_fault(shift: int) -> None:
    """As fonts that do not tell what their codes mean give them."""
    shifted = ENGLISH.translate({code: code + shift for code in range(65, 123)})
    assert text_fault(ENGLISH.split() * 2) == ""
    assert text_fault(shifted.split() * 2) == "whose letters make no words"
