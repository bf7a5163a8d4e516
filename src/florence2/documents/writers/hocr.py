"""hOCR as Tesseract writes it: page, area, paragraph, line, word, in whole pixels.

Every line is an `ocr_line` of an `ocr_par`, as hocr-tools, archive-hocr-tools and OCRmyPDF demand.
"""

import math
from collections.abc import Iterable, Iterator
from html import escape
from typing import TextIO

from florence2 import __version__
from florence2.documents.structure import Page
from florence2.documents.writers.content import one_line
from florence2.documents.writers.options import WriterOptions
from florence2.documents.writers.pixels import PixelBlock, PixelLine, line_slope, pixel_page
from florence2.geometry import PixelBox

_HEAD = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"
    "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">
 <head>
  <title>{name}</title>
  <meta http-equiv="Content-Type" content="text/html;charset=utf-8"/>
  <meta name='ocr-system' content='florence2 {version}' />
  <meta name='ocr-capabilities' content='{classes}'/>
 </head>
 <body>
"""
_CLASSES = "ocr_page ocr_carea ocr_par ocr_line ocrx_word ocr_photo ocrp_wconf"


def write_hocr(pages: Iterable[Page], file: TextIO, options: WriterOptions) -> None:
    """Write pages as hOCR.

    `x_wconf` is the score in whole percents, cut and not rounded; 100 for words of a text layer.
    A line that is turned by 45 degrees or more has a `textangle`, counter-clockwise. Headers and
    footers are always written: hOCR tells what stands on the picture. Follows `dpi`, `unit` and
    `name`.
    """
    name = escape(one_line(options.name))
    file.write(_HEAD.format(name=name, version=__version__, classes=_CLASSES))
    for page in pages:
        for line in _page(page, options):
            file.write(f"{line}\n")
    file.write(" </body>\n</html>\n")


def _page(page: Page, options: WriterOptions) -> Iterator[str]:
    found = pixel_page(page, options)
    image = escape(one_line(options.name).replace('"', "'"))
    number = page.number
    yield (
        f"  <div class='ocr_page' id='page_{number}' title='image \"{image}\"; bbox 0 0 "
        f"{found.width} {found.height}; ppageno {number - 1}; scan_res {found.dpi} {found.dpi}'>"
    )
    ids = _Ids(number)
    for block in found.blocks:
        yield from _block(block, ids)
    yield "  </div>"


class _Ids:
    """Numbers things of a page, each kind from 1."""

    def __init__(self, page: int) -> None:
        self._page = page
        self._counts: dict[str, int] = {}

    def next(self, kind: str) -> str:
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return f"{kind}_{self._page}_{self._counts[kind]}"


def _block(block: PixelBlock, ids: _Ids) -> Iterator[str]:
    bbox = _bbox(block.box)
    if not block.lines:
        yield f"   <div class='ocr_photo' id='{ids.next('block')}' title=\"{bbox}\"></div>"
        return
    yield f"   <div class='ocr_carea' id='{ids.next('block')}' title=\"{bbox}\">"
    yield f"    <p class='ocr_par' id='{ids.next('par')}' title=\"{bbox}\">"
    for line in block.lines:
        title = f"{_bbox(line.box)}{_slope(line)}"
        yield f"     <span class='ocr_line' id='{ids.next('line')}' title=\"{title}\">"
        for word in line.words:
            title = f"{_bbox(word.box)}; x_wconf {math.floor(round(100 * word.score, 6))}"
            yield (
                f"      <span class='ocrx_word' id='{ids.next('word')}' title='{title}'>"
                f"{escape(word.text)}</span>"
            )
        yield "     </span>"
    yield "    </p>"
    yield "   </div>"


def _slope(line: PixelLine) -> str:
    """How a line is turned, as its title says it; nothing for a level one."""
    angle, baseline = line_slope(line)
    if baseline is not None:
        return f"; baseline {baseline[0]:.3f} {baseline[1]}"
    return f"; textangle {angle}" if angle else ""


def _bbox(box: PixelBox) -> str:
    return "bbox {} {} {} {}".format(*box)
