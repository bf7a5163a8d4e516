"""JSON, plain text, hOCR, ALTO and the table of formats: what other programs find in them."""

import io
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from PIL import Image, ImageDraw, ImageFont

from documents.made_documents import block, line, manual
from florence2.documents.structure import Block, Page
from florence2.documents.writers.json_document import page_of, page_row, write_json
from florence2.documents.writers.options import WriterOptions
from florence2.documents.writers.registry import WRITERS, write_document, writer_named
from florence2.errors import ConfigError, Florence2Error
from florence2.geometry import box_to_quad
from florence2.pipelines.reading.lines import Line

SCHEMA = Path(__file__).parents[2] / "docs" / "read.schema.json"
XHTML = "{http://www.w3.org/1999/xhtml}"
AWKWARD = 'a\x00<b>&"\x02\ufffe\ud800\x0c'


def written(form: str, pages: list[Page], /, **options: object) -> str:
    file = io.StringIO()
    WRITERS[form].write(iter(pages), file, WriterOptions(**options))  # type: ignore[arg-type]
    file.getvalue().encode()  # nothing that UTF-8 cannot hold
    return file.getvalue()


def awkward_pages() -> list[Page]:
    """Texts and places that files do not take as they are."""
    outside = line(AWKWARD, (-20.0, -5.0, 700.0, 900.0), has_words=False)
    flat = line("flat", (50.0, 50.0, 50.0, 50.0), score=None, source="text layer")
    blocks = (
        Block("paragraph", outside.box, (outside,), AWKWARD, score=1.0),
        Block("paragraph", flat.box, (flat,), "flat"),
        Block("paragraph", (0, 0, 1, 1), (), "no lines"),
        Block("paragraph", (0, 0, 1, 1), (Line(" ", box_to_quad((0, 0, 1, 1))),), ""),
    )
    return [Page(7, 612.0, 792.0, blocks=blocks, source="model", error="\x00x"), Page(8, 0.2, 0.2)]


# JSON


@pytest.mark.parametrize(
    "pages", [[], manual(), awkward_pages()], ids=["none", "manual", "awkward"]
)
def test_json_follows_its_published_schema(pages: list[Page]) -> None:
    schema = json.loads(SCHEMA.read_text())
    Draft202012Validator.check_schema(schema)
    document = json.loads(written("json", pages, name=AWKWARD, num_pages=len(pages)))
    Draft202012Validator(schema).validate(document)
    assert len(document["pages"]) == document["num_pages"] == len(pages)


def test_the_schema_refuses_what_is_none_of_ours() -> None:
    document = json.loads(written("json", manual()))
    document["pages"][0]["blocks"][1]["confidence"] = 1
    assert not Draft202012Validator(json.loads(SCHEMA.read_text())).is_valid(document)


def test_a_page_comes_back_from_json() -> None:
    for page in manual():
        row = json.loads(json.dumps(page_row(page)))
        assert page_row(page_of(row)) == row
        back = page_of(row)
        assert (back.number, back.reason, back.error) == (page.number, page.reason, page.error)
        assert [each.kind for each in back.blocks] == [each.kind for each in page.blocks]
    first = page_of(page_row(manual()[0])).lines[0]
    np.testing.assert_allclose(first.quad, manual()[0].lines[0].quad, atol=0.005)


def test_pages_are_written_as_they_come() -> None:
    sizes = []
    file = io.StringIO()

    def pages() -> Iterator[Page]:
        for page in manual():
            sizes.append(file.tell())
            yield page

    write_json(pages(), file, WriterOptions())
    assert 0 < sizes[0] < sizes[1] < sizes[2] < file.tell()


# Plain text


def test_plain_text() -> None:
    text = written("text", manual())
    first, second, third = text.split("\f")
    assert first.startswith(
        "1. Things & others\n\nCosts are 3.5 mm (a-b) and 50 % of C++, see [1]."
    )
    assert (
        "• first of them\n  4. below it\n  5. next below\n(a) lettered\n\nname\tprice\na|b\t*5*\n"
        in first
    )
    assert second.startswith("other column of the page.\n\nyear\ta & b\n")
    assert third == ""
    assert written("text", manual(), page_break="\n---\n").count("\n---\n") == 2
    assert written("text", manual(), keep_furniture=True).startswith("Manual of things\n\n")


# hOCR


def hocr_boxes(text: str) -> list[tuple[str, str, tuple[int, ...], str]]:
    """`(class, parent's class, bbox, title)` of all elements of a page, depth first."""
    root = ElementTree.fromstring(text.encode())
    found = []

    def walk(element: ElementTree.Element, parent: str) -> None:
        name = element.get("class", "")
        if name:
            title = element.get("title", "")
            numbers = re.search(r"bbox (\d+) (\d+) (\d+) (\d+)(?:;|$)", title)
            assert numbers is not None, title
            found.append((name, parent, tuple(map(int, numbers.groups())), title))
        for child in element:
            walk(child, name or parent)

    walk(root, "")
    return found


PARENTS = {
    "ocr_page": "",
    "ocr_carea": "ocr_page",
    "ocr_photo": "ocr_page",
    "ocr_par": "ocr_carea",
    "ocr_line": "ocr_par",
    "ocrx_word": "ocr_line",
}


@pytest.mark.parametrize("pages", [manual(), awkward_pages()], ids=["manual", "awkward"])
def test_hocr_holds_whole_boxes_inside_pages(pages: list[Page]) -> None:
    elements = hocr_boxes(written("hocr", pages, name=AWKWARD + "'"))
    size = (0, 0)
    for name, parent, (x_min, y_min, x_max, y_max), _ in elements:
        assert parent == PARENTS[name]
        size = (x_max, y_max) if name == "ocr_page" else size
        assert 0 <= x_min < x_max <= size[0] and 0 <= y_min < y_max <= size[1]
    assert [name for name, *_ in elements].count("ocr_page") == len(pages)


def test_hocr_says_pages_scores_and_turns() -> None:
    lines = (
        line("level", score=0.929),
        line("sure", score=0.29, source="text layer"),
        line("layer", score=None, source="text layer"),
        line("upwards", (10, 10, 22, 100), turned=3),
        line("cut up", (100.0, 10.0, 160.0, 20.0), has_words=False),
    )
    page = Page(3, 612.0, 792.0, blocks=(Block("heading", (0, 0, 9, 9), lines, level=1),))
    text = written("hocr", [page], name="a.pdf")
    assert "ppageno 2; scan_res 300 300" in text
    assert 'image "a.pdf"; bbox 0 0 2550 3300' in text
    titles = [title for name, _, _, title in hocr_boxes(text) if name in ("ocr_line", "ocrx_word")]
    assert [title.split("x_wconf ")[1] for title in titles if "x_wconf" in title] == (
        ["92", "29", "100", "92", "92", "92"]
    )
    assert [title.split("; ")[1] for title in titles if "textangle" in title] == ["textangle 90"]
    words = [box for name, _, box, _ in hocr_boxes(text) if name == "ocrx_word"]
    # 60 units for six characters, at 300 / 72 pixels a unit
    assert [box[0] for box in words[-2:]] == [416, 583]
    assert [box[2] for box in words[-2:]] == [542, 667]


def test_a_picture_keeps_its_pixels() -> None:
    page = Page(1, 640.0, 480.0, dpi=200.0, blocks=(block("paragraph", "word", y=100),))
    text = written("hocr", [page], unit="pixel")
    assert "bbox 0 0 640 480; ppageno 0; scan_res 200 200" in text
    assert hocr_boxes(text)[-1][2] == (72, 100, 300, 112)


# ALTO


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("pages", [manual(), awkward_pages()], ids=["manual", "awkward"])
def test_alto_holds_whole_boxes_and_scores(version: int, pages: list[Page]) -> None:
    text = written("alto", pages, alto_version=version, name=AWKWARD)
    root = ElementTree.fromstring(text.encode())
    space = f"{{http://www.loc.gov/standards/alto/ns-v{version}#}}"
    assert root.tag == f"{space}alto"
    assert root.findtext(f".//{space}MeasurementUnit") == "pixel"
    ids = [element.get("ID") for element in root.iter() if element.get("ID")]
    assert len(ids) == len(set(ids))
    assert [page.get("PHYSICAL_IMG_NR") for page in root.iter(f"{space}Page")] == [
        str(page.number - 1) for page in pages
    ]
    strings = list(root.iter(f"{space}String"))
    assert len(strings) > 1
    for string in strings:
        assert re.fullmatch(r"0\.[0-9]{2}|1\.00", string.get("WC", ""))
        assert min(int(string.get(side, "-1")) for side in ("HPOS", "VPOS")) >= 0
        assert min(int(string.get(side, "0")) for side in ("WIDTH", "HEIGHT")) >= 1
    for name in ("HYP", "Illustration"):  # readers stop at them, or misread them
        assert not list(root.iter(f"{space}{name}"))


def test_a_turned_block_says_so_in_alto() -> None:
    turned = line("upwards", (10, 10, 22, 100), turned=3)
    page = Page(1, 612.0, 792.0, blocks=(Block("paragraph", turned.box, (turned,), "upwards"),))
    assert ' ROTATION="90">' in written("alto", [page])


@pytest.mark.process
@pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not installed")
def test_structure_is_that_of_tesseract(tmp_path: Path) -> None:
    """Elements, their parents and attributes; ours may leave out, but add nothing but software."""
    image = Image.new("RGB", (800, 120), "white")
    font = ImageFont.load_default(40)
    ImageDraw.Draw(image).text((50, 30), "Hello world", fill=0, font=font)
    image.save(tmp_path / "x.png")
    command = ["tesseract", "x.png", "out", "hocr", "alto"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    lines = (line("Hello world", (54.0, 39.0, 253.0, 70.0)),)
    page = Page(1, 800.0, 120.0, 70.0, (Block("paragraph", lines[0].box, lines, "Hello world"),))

    def parts(text: bytes) -> list[tuple[str, ...]]:
        found = []
        for element in ElementTree.fromstring(text).iter():
            name = element.tag.split("}")[1]
            found.append((name, element.get("class", ""), *sorted(set(element.keys()) - {"lang"})))
        return [each for each in found if each[0] != "softwareVersion"]

    for suffix, name in (("hocr", "hocr"), ("xml", "alto")):
        theirs = (tmp_path / f"out.{suffix}").read_bytes()
        ours = written(name, [page], unit="pixel", name="x.png", alto_version=3)
        assert parts(ours.encode()) == parts(theirs)


# All of them


@settings(max_examples=30, deadline=None)
@given(texts=st.lists(st.text(st.characters(exclude_categories=()), max_size=12), max_size=4))
def test_any_text_can_be_written_in_every_format(texts: list[str]) -> None:
    lines = tuple(line(text, has_words=number % 2 == 0) for number, text in enumerate(texts))
    pages = [Page(1, 612, 792, blocks=(Block("paragraph", (0, 0, 9, 9), lines, " ".join(texts)),))]
    for name in set(WRITERS) - {"docling"}:
        text = written(name, pages)
        if name in ("hocr", "alto"):
            ElementTree.fromstring(text.encode())


def test_a_document_and_its_side_file_are_replaced_when_whole(tmp_path: Path) -> None:
    path = tmp_path / "manual.md"
    path.write_text("old")

    def broken() -> Iterator[Page]:
        yield manual()[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_document(broken(), path, "markdown", WriterOptions())
    assert [each.name for each in tmp_path.iterdir()] == ["manual.md"]
    assert path.read_text() == "old"
    assert write_document(manual(), path, "markdown", WriterOptions()) == [
        path,
        tmp_path / "manual.spans.jsonl",
    ]
    markdown = path.read_text()
    rows = [json.loads(row) for row in (tmp_path / "manual.spans.jsonl").read_text().splitlines()]
    assert markdown[rows[0]["start"] : rows[0]["end"]] == "# 1. Things & others"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: writer_named("markdwon"), "did you mean 'markdown'"),
        (lambda: WriterOptions(dpi=0), "dpi is 0; give a number from 1 to 10000"),
        (lambda: replace(WriterOptions(), alto_version=2), "version 2 of ALTO is not written"),
    ],
)
def test_what_cannot_be_is_said(make: object, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        make()  # type: ignore[operator]


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "docling_core.types.doc", None)
    with pytest.raises(Florence2Error, match=r"install 'florence2\[docling\]'"):
        written("docling", [])
