"""Real printed pages: PDF files with a text layer, drawn and read by poppler's tools.

The text layer says where every word stands, so a page is a picture with exact words. `pdftotext`
and `pdftoppm` do the work (Debian: poppler-utils); nothing is drawn before it is asked for.
"""

import html
import io
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from florence2.data.records import Record
from florence2.errors import DataError
from florence2.geometry import Box, PixelBox, box_to_quad
from florence2.results import Quads
from florence2.tasks import Task
from florence2_lab.worlds.pixels import Pixels, as_pixels, paint_over
from florence2_lab.worlds.press import around

POINTS_PER_INCH = 72.0
DEFAULT_DPI = 96.0
TIMEOUT_S = 300
_NUMBER = r'"([-0-9.]+)"'
_BOX = rf"xMin={_NUMBER} yMin={_NUMBER} xMax={_NUMBER} yMax={_NUMBER}"
_PAGE = re.compile(rf"<page width={_NUMBER} height={_NUMBER}>(.*?)</page>", re.S)
_LINE = re.compile(r"<line [^>]*>(.*?)</line>", re.S)
_WORD = re.compile(rf"<word {_BOX}>(.*?)</word>", re.S)
# Text layers hold ligatures and odd blanks; a reader would type plain letters.
_PLAIN = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "\u00a0": " ", "\u00ad": "-"}
)


@dataclass(frozen=True)
class ManualWord:
    """One word of the text layer."""

    text: str
    box: Box  # the room of its letters, from ascent to descent, pixels


@dataclass(frozen=True)
class ManualLine:
    """Words side by side, in the order of reading."""

    words: tuple[ManualWord, ...]

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    @property
    def box(self) -> Box:
        """Around all words, pixels."""
        return around([word.box for word in self.words])


@dataclass(frozen=True)
class ManualPage:
    """A page as a picture, with everything its text layer says."""

    image: Pixels  # (H, W, 3) RGB
    lines: tuple[ManualLine, ...]  # in the order of reading, maybe none
    number: int  # from 1
    source: str  # "manual/handbook.pdf/12"

    @cached_property
    def words(self) -> tuple[ManualWord, ...]:
        """All words, in the order of reading."""
        return tuple(word for line in self.lines for word in line.words)

    def crop(self, box: PixelBox) -> "ManualPage":
        """Cut a part of whole pixels out; words that the border would cut are painted over.

        Words in part of a picture cannot be read, and a reader that guesses them right must not
        be told that it is wrong.
        """
        left, top, right, bottom = box
        height, width = self.image.shape[:2]
        if not (0 <= left < right <= width and 0 <= top < bottom <= height):
            raise DataError(
                f"a crop must lie in the page of {width} x {height} pixels; got {box!r}"
            )
        image = self.image[top:bottom, left:right].copy()
        lines = []
        for line in self.lines:
            kept: list[ManualWord] = []
            for word in line.words:
                x_min, y_min, x_max, y_max = word.box
                moved = x_min - left, y_min - top, x_max - left, y_max - top
                if left <= x_min and x_max <= right and top <= y_min and y_max <= bottom:
                    kept.append(replace(word, box=moved))
                else:
                    paint_over(image, moved)
            if kept:
                lines.append(ManualLine(tuple(kept)))
        source = f"{self.source}/{left},{top},{right},{bottom}"
        return ManualPage(image, tuple(lines), self.number, source)


def _poppler(command: list[str]) -> bytes:
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=TIMEOUT_S)
    except FileNotFoundError:
        raise DataError(
            f"{command[0]!r} is needed to read PDF files and is not installed; install poppler "
            "(Debian: apt install poppler-utils; macOS: brew install poppler)"
        ) from None
    except subprocess.TimeoutExpired:
        raise DataError(
            f"{command[0]!r} took more than {TIMEOUT_S} s; give a smaller PDF"
        ) from None
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no reason"]
        raise DataError(f"{command[0]!r} failed: {reason[0]}; is the file a PDF?") from None
    return done.stdout


def page_count(pdf: Path) -> int:
    """Return the number of pages of a PDF file, with a text layer or without."""
    found = re.search(rb"^Pages:\s+(\d+)", _poppler(["pdfinfo", str(pdf)]), re.MULTILINE)
    return int(found[1]) if found else 0


def manual_pages(
    pdf: str | Path, dpi: float = DEFAULT_DPI, *, first: int = 1, last: int | None = None
) -> Iterator[ManualPage]:
    """Yield the pages of a PDF file that have a text layer.

    Args:
        dpi: pixels per inch of the pictures; at 96 an A4 page has 794 x 1123 pixels.
        first: number of the first page wanted, from 1.
        last: number of the last page wanted; left out, the last of the file.
    """
    path = Path(pdf)
    if not path.is_file():
        raise DataError(f"PDF {str(path)!r} does not exist; give the path of a PDF file")
    if not dpi > 0 or first < 1 or (last is not None and last < first):
        raise DataError(
            f"pages need dpi > 0 and 1 <= first <= last; got dpi={dpi!r}, first={first!r}, "
            f"last={last!r}"
        )
    bounds = ["-f", str(first), *(("-l", str(last)) if last else ())]
    layer = _poppler(["pdftotext", "-bbox-layout", "-enc", "UTF-8", *bounds, str(path), "-"])
    for number, found in enumerate(_PAGE.finditer(layer.decode("utf-8", "replace")), start=first):
        lines = _lines(found[3], dpi / POINTS_PER_INCH)
        if lines:
            image = _drawn(path, number, dpi)
            yield ManualPage(image, lines, number, f"manual/{path.name}/{number}")


def _lines(layer: str, scale: float) -> tuple[ManualLine, ...]:
    """Read the text layer of a page; coordinates become pixels."""
    lines = []
    for line in _LINE.findall(layer):
        words = []
        for *corners, text in _WORD.findall(line):
            x_min, y_min, x_max, y_max = (scale * float(corner) for corner in corners)
            plain = html.unescape(text).translate(_PLAIN).strip()
            if plain and x_max > x_min and y_max > y_min:
                words.append(ManualWord(plain, (x_min, y_min, x_max, y_max)))
        if words:
            lines.append(ManualLine(tuple(words)))
    return tuple(lines)


def _drawn(path: Path, number: int, dpi: float) -> Pixels:
    page = ["-f", str(number), "-l", str(number)]
    png = _poppler(["pdftoppm", "-png", "-r", f"{dpi:g}", *page, str(path)])
    return as_pixels(np.asarray(Image.open(io.BytesIO(png)).convert("RGB")))


def manual_record(page: ManualPage) -> Record:
    """Ask for all lines of a page, or of a part of one, with their places."""
    height, width = page.image.shape[:2]
    boxes = np.array([line.box for line in page.lines], dtype=np.float64).reshape(-1, 4)
    quads = box_to_quad(boxes.clip(0, (width, height, width, height)))
    texts = tuple(line.text for line in page.lines)
    result = Quads(quads, texts, image_size=(width, height))
    return Record(page.image, Task.OCR_WITH_REGION, "", None, result, page.source)
