"""PDFs written by hand, object by object, so that a test says all that is in them."""

import hashlib
import zlib
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
    """A file of pages; a page may be given as what it draws. `more` begins at object 10."""
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


def packed_file(objects: Sequence[str], streams: Sequence[bytes]) -> bytes:
    """A file whose objects stand packed in one stream, as new programs write them.

    Args:
        objects: numbered from 1, the first of them the catalog.
        streams: objects that follow them and cannot be packed.
    """
    heads, body = [], ""
    for number, each in enumerate(objects, start=1):
        heads.append(f"{number} {len(body)}")
        body += each + " "
    head = " ".join(heads) + " "
    data, places = b"%PDF-1.7\n", {}
    pack = zlib.compress((head + body).encode())
    entries = f"/Type/ObjStm/N {len(objects)}/First {len(head)}/Filter/FlateDecode"
    rest = [*streams, stream(pack, entries)]
    for number, each in enumerate(rest, start=len(objects) + 1):
        places[number] = len(data)
        data += b"%d 0 obj\n%b\nendobj\n" % (number, each)
    holder = len(objects) + len(rest)
    table = bytes([0, 0, 0, 0, 0])
    table += b"".join(b"\2" + holder.to_bytes(3) + bytes([at]) for at in range(len(objects)))
    table += b"".join(b"\1" + places[number].to_bytes(3) + b"\0" for number in sorted(places))
    start, number = len(data), holder + 1
    table += b"\1" + start.to_bytes(3) + b"\0"
    xref = stream(table, f"/Type/XRef/Size {number + 1}/W[1 3 1]/Root 1 0 R")
    return data + b"%d 0 obj\n%b\nendobj\nstartxref\n%d\n%%%%EOF" % (number, xref, start)


_PADDING = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")


def encrypted_pdf(content: str, password: str) -> bytes:
    """A page that opens with a password, in the oldest way there is (RC4 of 40 bits)."""
    padded = (password.encode() + _PADDING)[:32]
    owner = _rc4(hashlib.md5(padded).digest()[:5], padded)
    rights = (-4 & 0xFFFFFFFF).to_bytes(4, "little")
    key = hashlib.md5(padded + owner + rights + b"id").digest()[:5]
    drawn = hashlib.md5(key + bytes([4, 0, 0, 0, 0])).digest()[:10]  # of object 4
    objects: list[str | bytes] = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 400]/Contents 4 0 R"
        "/Resources<</Font<</F 5 0 R>>>>>>",
        stream(_rc4(drawn, content.encode())),
        HELVETICA,
        f"<</Filter/Standard/V 1/R 2/P -4/O<{owner.hex()}>/U<{_rc4(key, _PADDING).hex()}>>>",
    ]
    return file_of(objects, "/Encrypt 6 0 R/ID[<6964><6964>]")


def _rc4(key: bytes, data: bytes) -> bytes:
    state, at = list(range(256)), 0
    for number in range(256):
        at = (at + state[number] + key[number % len(key)]) % 256
        state[number], state[at] = state[at], state[number]
    out, first, second = bytearray(), 0, 0
    for each in data:
        first = (first + 1) % 256
        second = (second + state[first]) % 256
        state[first], state[second] = state[second], state[first]
        out.append(each ^ state[(state[first] + state[second]) % 256])
    return bytes(out)
