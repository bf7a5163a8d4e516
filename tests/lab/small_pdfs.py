"""The smallest PDFs with a text layer; their font is inside, so all machines draw them alike."""

import io
from collections.abc import Sequence
from pathlib import Path

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

WIDTH, ASCENT, DESCENT = 550, 800, -200  # of every letter, in thousandths of the font's size
FIRST, LAST = 32, 126  # printable ASCII
WIDTHS = " ".join([str(WIDTH)] * (LAST - FIRST + 1))
HEAD = (
    "<</Type/Catalog/Pages 2 0 R>>",
    f"<</Type/Font/Subtype/TrueType/BaseFont/Blocks/Encoding/WinAnsiEncoding/FirstChar {FIRST}"
    f"/LastChar {LAST}/Widths[{WIDTHS}]/FontDescriptor 4 0 R>>",
    f"<</Type/FontDescriptor/FontName/Blocks/Flags 32/FontBBox[0 {DESCENT} {WIDTH} {ASCENT}]"
    f"/Ascent {ASCENT}/Descent {DESCENT}/CapHeight {ASCENT}/ItalicAngle 0/StemV 80"
    "/FontFile2 5 0 R>>",
)


def write_pdf(
    path: Path, lines: Sequence[tuple[int, int, str]], *, size: int = 24, pages: int = 1
) -> Path:
    """Write pages that all show the same lines, each `x, y` of its left end and its text."""
    escaped = [(x, y, text.replace("(", r"\(").replace(")", r"\)")) for x, y, text in lines]
    drawing = "".join(f"BT /F {size} Tf {x} {y} Td ({text}) Tj ET\n" for x, y, text in escaped)
    kids = " ".join(f"{7 + number} 0 R" for number in range(pages))
    catalog, font, descriptor = HEAD
    page = (
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 6 0 R"
        "/Resources<</Font<</F 3 0 R>>>>>>"
    )
    objects = [
        catalog.encode(),
        f"<</Type/Pages/Kids[{kids}]/Count {pages}>>".encode(),
        font.encode(),
        descriptor.encode(),
        stream(blocks_font()),
        stream(drawing.encode()),
        *[page.encode()] * pages,
    ]
    data, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(data))
        data += b"%d 0 obj%bendobj\n" % (number, body)
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    count = len(objects) + 1
    end = f"xref\n0 {count}\n0000000000 65535 f \n{table}trailer<</Size {count}/Root 1 0 R>>\n"
    path.write_bytes(data + f"{end}startxref\n{len(data)}\n%%EOF".encode())
    return path


def stream(content: bytes) -> bytes:
    return b"<</Length %d>>stream\n%b\nendstream" % (len(content), content)


def blocks_font() -> bytes:
    """A TrueType font whose letters are all the same block; only the space is empty."""
    names = [".notdef", *(f"letter{code}" for code in range(FIRST, LAST + 1))]
    font = FontBuilder(1000, isTTF=True)
    font.setupGlyphOrder(names)
    font.setupCharacterMap(dict(zip(range(FIRST, LAST + 1), names[1:], strict=True)))
    space = names[1]
    font.setupGlyf({name: glyph(0 if name == space else WIDTH - 100) for name in names})
    font.setupHorizontalMetrics(dict.fromkeys(names, (WIDTH, 50)))
    font.setupHorizontalHeader(ascent=ASCENT, descent=DESCENT)
    font.setupNameTable({"familyName": "Blocks", "styleName": "Regular"})
    font.setupOS2()
    font.setupPost()
    file = io.BytesIO()
    font.save(file)
    return file.getvalue()


def glyph(width: int):
    """A block from below the line to the height of capitals."""
    pen = TTGlyphPen(None)
    if width:
        pen.moveTo((50, -150))
        for corner in ((50, 700), (50 + width, 700), (50 + width, -150)):
            pen.lineTo(corner)
        pen.closePath()
    return pen.glyph()
