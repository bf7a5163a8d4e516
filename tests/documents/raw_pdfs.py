"""PDFs written by hand, object by object, so that a test says all that is in them."""

from collections.abc import Sequence
from dataclasses import dataclass

HELVETICA = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>"
BOLD = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica-Bold/Encoding/WinAnsiEncoding>>"
PIXEL = "<</Type/XObject/Subtype/Image/Width 2/Height 2/BitsPerComponent 8/ColorSpace/DeviceGray"


@dataclass(frozen=True)
class RawPage:
    """A page: what it draws, its own entries, and resources beside fonts /F (plain) and /B (bold).

    Attributes:
        fonts, xobjects, properties: more entries, such as `"/X 9 0 R"`; numbers count from 1 and
            `more` objects of `raw_pdf` begin at 10.
    """

    content: str | bytes = ""
    entries: str = "/MediaBox[0 0 600 400]"
    fonts: str = ""
    xobjects: str = ""
    properties: str = ""


def raw_pdf(
    *pages: RawPage | str,
    more: Sequence[str | bytes] = (),
    catalog: str = "",
    trailer: str = "",
) -> bytes:
    """A file of pages; a page may be given as what it draws. Objects of `more` begin at number 10."""
    specs = [RawPage(page) if isinstance(page, str) else page for page in pages]
    first = 10 + len(more)
    kids = " ".join(f"{first + 2 * number} 0 R" for number in range(len(specs)))
    objects: list[str | bytes] = [
        f"<</Type/Catalog/Pages 2 0 R{catalog}>>",
        f"<</Type/Pages/Kids[{kids}]/Count {len(specs)}>>",
        HELVETICA,
        BOLD,
        stream(bytes([0, 90, 160, 250]), PIXEL[2:]),
        *["null"] * 4,
        *more,
    ]
    for number, page in enumerate(specs):
        objects.append(
            f"<</Type/Page/Parent 2 0 R/Contents {first + 2 * number + 1} 0 R{page.entries}"
            f"/Resources<</Font<</F 3 0 R/B 4 0 R{page.fonts}>>/XObject<</I 5 0 R{page.xobjects}>>"
            f"/Properties<<{page.properties}>>>>>>"
        )
        objects.append(stream(page.content))
    return file_of(objects, trailer)


def file_of(objects: Sequence[str | bytes], trailer: str = "") -> bytes:
    """Objects, numbered from 1, the first of them the catalog."""
    data, offsets = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%b\nendobj\n" % (number, _bytes(body))
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    count = len(objects) + 1
    end = (
        f"xref\n0 {count}\n0000000000 65535 f \n{table}trailer<</Size {count}/Root 1 0 R{trailer}>>"
    )
    return data + f"{end}\nstartxref\n{len(data)}\n%%EOF".encode()


def stream(content: str | bytes, entries: str = "") -> bytes:
    """A stream with entries of its dictionary beside the length."""
    body = _bytes(content)
    return b"<<%b/Length %d>>stream\n%b\nendstream" % (entries.encode(), len(body), body)


def text(
    x: float, y: float, words: str, *, size: float = 20, font: str = "F", more: str = ""
) -> str:
    """Draw words from a point of the line that they stand on; `more` goes before them."""
    escaped = words.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return f"BT /{font} {size} Tf {x} {y} Td {more} ({escaped}) Tj ET\n"


def to_unicode(codes: dict[int, str]) -> bytes:
    """A map from codes of one byte to text."""
    lines = "".join(
        f"<{code:02x}> <{each.encode('utf-16-be').hex()}>\n" for code, each in codes.items()
    )
    return stream(
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapType 2 def\n"
        "1 begincodespacerange <00> <ff> endcodespacerange\n"
        f"{len(codes)} beginbfchar\n{lines}endbfchar endcmap end end"
    )


def mapped_font(number: int) -> str:
    """Helvetica whose codes mean what the map of that object number says."""
    return f"{HELVETICA[:-2]}/ToUnicode {number} 0 R>>"


def _bytes(each: str | bytes) -> bytes:
    return each if isinstance(each, bytes) else each.encode("latin-1")
