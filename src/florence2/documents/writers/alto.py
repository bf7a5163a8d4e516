"""ALTO 4 or 3 as Tesseract writes it: composed block, text block, line, string, whole pixels."""

import math
from collections.abc import Iterable, Iterator
from typing import TextIO
from xml.sax.saxutils import escape, quoteattr

from florence2 import __version__
from florence2.documents.structure import Page
from florence2.documents.writers.content import one_line
from florence2.documents.writers.options import WriterOptions
from florence2.documents.writers.pixels import UPRIGHT, PixelBlock, PixelLine, pixel_page
from florence2.geometry import PixelBox

_SCHEMAS = {3: "v3/alto-3-1.xsd", 4: "v4/alto-4-4.xsd"}
_SOFTWARE = f"""<processingSoftware>
\t\t\t\t\t<softwareName>florence2</softwareName>
\t\t\t\t\t<softwareVersion>{__version__}</softwareVersion>
\t\t\t\t</processingSoftware>"""
_STEPS = {
    3: f"""\t\t<OCRProcessing ID="OCR_0">
\t\t\t<ocrProcessingStep>
\t\t\t\t{_SOFTWARE}
\t\t\t</ocrProcessingStep>
\t\t</OCRProcessing>
""",
    4: f"""\t\t<Processing ID="OCR_0">
\t\t\t\t{_SOFTWARE}
\t\t</Processing>
""",
}


def write_alto(pages: Iterable[Page], file: TextIO, options: WriterOptions) -> None:
    """Write pages as ALTO.

    Every word is a `String` with `WC`, its score cut to two decimals; 1.00 for words of a text
    layer. A word divided at a line's end stands in two strings as printed: readers differ in
    what they make of `HYP` and `SUBS_CONTENT`. Figures are left out: alto-xml reads no page that
    holds one. Turned blocks have a `ROTATION`, counter-clockwise.
    Headers and footers are always written. Follows `dpi`, `unit`, `name`, `alto_version`.
    """
    space = f"http://www.loc.gov/standards/alto/ns-v{options.alto_version}#"
    schema = f"http://www.loc.gov/standards/alto/{_SCHEMAS[options.alto_version]}"
    file.write(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<alto xmlns="{space}" xmlns:xlink="http://www.w3.org/1999/xlink" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:schemaLocation="{space} {schema}">\n'
        "\t<Description>\n\t\t<MeasurementUnit>pixel</MeasurementUnit>\n"
        "\t\t<sourceImageInformation>\n"
        f"\t\t\t<fileName>{escape(one_line(options.name))}</fileName>\n"
        f"\t\t</sourceImageInformation>\n{_STEPS[options.alto_version]}"
        "\t</Description>\n\t<Layout>\n"
    )
    ids = _Ids()
    for page in pages:
        for line in _page(page, options, ids):
            file.write(f"\t\t{line}\n")
    file.write("\t</Layout>\n</alto>\n")


class _Ids:
    """Numbers things of a file, each kind from 0."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def next(self, kind: str) -> str:
        number = self._counts.get(kind, 0)
        self._counts[kind] = number + 1
        return f'ID="{kind}_{number}"'


def _page(page: Page, options: WriterOptions, ids: _Ids) -> Iterator[str]:
    found = pixel_page(page, options)
    yield (
        f'<Page WIDTH="{found.width}" HEIGHT="{found.height}" '
        f'PHYSICAL_IMG_NR="{page.number - 1}" ID="page_{page.number - 1}">'
    )
    yield f"\t<PrintSpace {_place((0, 0, found.width, found.height))}>"
    for block in found.blocks:
        if block.lines:
            for line in _block(block, ids):
                yield f"\t\t{line}"
    yield "\t</PrintSpace>"
    yield "</Page>"


def _block(block: PixelBlock, ids: _Ids) -> Iterator[str]:
    place = _place(block.box)
    angles = {round(line.angle) for line in block.lines}
    angle = angles.pop() if len(angles) == 1 else 0
    rotation = f' ROTATION="{-angle % 360}"' if abs(angle) >= UPRIGHT else ""
    yield f"<ComposedBlock {ids.next('cblock')} {place}>"
    yield f"\t<TextBlock {ids.next('block')} {place}{rotation}>"
    for line in block.lines:
        yield f"\t\t<TextLine {ids.next('line')} {_place(line.box)}>"
        for string in _strings(line, ids):
            yield f"\t\t\t{string}"
        yield "\t\t</TextLine>"
    yield "\t</TextBlock>"
    yield "</ComposedBlock>"


def _strings(line: PixelLine, ids: _Ids) -> Iterator[str]:
    end: int | None = None
    for word in line.words:
        if end is not None:
            width = max(word.box[0] - end, 0)
            yield f'<SP WIDTH="{width}" VPOS="{word.box[1]}" HPOS="{min(end, word.box[0])}"/>'
        score = math.floor(round(100 * word.score, 6)) / 100
        yield (
            f'<String {ids.next("string")} {_place(word.box)} WC="{score:.2f}" '
            f"CONTENT={quoteattr(word.text)}/>"
        )
        end = word.box[2]


def _place(box: PixelBox) -> str:
    x_min, y_min, x_max, y_max = box
    return f'HPOS="{x_min}" VPOS="{y_min}" WIDTH="{x_max - x_min}" HEIGHT="{y_max - y_min}"'
