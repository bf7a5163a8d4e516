"""Searchable PDFs: an engine for OCRmyPDF that reads with Florence-2.

    ocrmypdf --plugin florence2.documents.ocrmypdf_plugin scan.pdf searchable.pdf

OCRmyPDF renders pages, turns and straightens them, and lays the words read here behind their
pictures. Written against OCRmyPDF 17.13, which brings `pluggy`; nothing else imports this module.
"""

import shutil
from argparse import ArgumentParser
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pluggy

from florence2 import __version__
from florence2.data.files import optional_library
from florence2.documents.structure import Page
from florence2.documents.writers.hocr import write_hocr
from florence2.documents.writers.options import WriterOptions
from florence2.documents.writers.pixels import PixelBlock, PixelLine, line_slope, pixel_page
from florence2.documents.writers.text import page_text
from florence2.geometry import PixelBox
from florence2.processing.images import open_image

hookimpl = pluggy.HookimplMarker("ocrmypdf")

# OCRmyPDF turns pages whose confidence is at least 14 by default, on Tesseract's open scale.
SURE = 15.0

_TESSERACT = "ocrmypdf.builtin_plugins.tesseract_ocr"
_OPTIONS = WriterOptions(unit="pixel", keep_furniture=True)
_loading = Lock()


@hookimpl
def initialize(plugin_manager: pluggy.PluginManager) -> None:
    """Let OCRmyPDF work where Tesseract is not installed, which it would ask for all the same."""
    if not _has_tesseract():
        plugin_manager.set_blocked(_TESSERACT)


@hookimpl
def register_options() -> dict[str, Any]:
    """Tesseract's options where that is blocked: 17.13 looks at them with every engine."""
    if _has_tesseract():
        return {}
    return {"tesseract": optional_library(_TESSERACT, "ocrmypdf").TesseractOptions}


def _has_tesseract() -> bool:
    return shutil.which("tesseract") is not None


@hookimpl
def add_options(parser: ArgumentParser) -> None:
    """`--florence2-model`."""
    parser.add_argument_group("Florence-2").add_argument(
        "--florence2-model",
        default="nano",
        metavar="MODEL",
        help="which model reads: nano, base, large, a folder or a name on the hub",
    )


@hookimpl
def check_options(options: Any) -> None:
    """Refuse what this engine cannot do."""
    if options.pdf_renderer == "sandwich":
        raise optional_library("ocrmypdf", "ocrmypdf").BadArgsError(
            "florence2 makes no PDF pages; leave out '--pdf-renderer sandwich'"
        )


@hookimpl
def get_ocr_engine(options: Any) -> "Florence2Engine | None":
    """Our engine, unless another one was asked for by `--ocr-engine`."""
    if options is not None and getattr(options, "ocr_engine", "auto") != "auto":
        return None
    return Florence2Engine()


def read_page_picture(path: Path, model: str) -> Page:
    """Read a picture of a page; places are in its pixels."""
    from florence2.documents.reading import read_picture

    return read_picture(_loaded(model), open_image(path))


@lru_cache(maxsize=1)
def _load(model: str) -> Any:
    from florence2.api import Florence2

    return Florence2.load(model)


def _loaded(model: str) -> Any:
    with _loading:  # pages may be read by threads
        return _load(model)


class Florence2Engine:
    """What OCRmyPDF asks of an `OcrEngine`."""

    @staticmethod
    def version() -> str:
        return __version__

    @staticmethod
    def creator_tag(options: Any) -> str:
        return f"florence2 {__version__}"

    def __str__(self) -> str:
        return f"florence2 {__version__}"

    @staticmethod
    def languages(options: Any) -> set[str]:
        """None, so that OCRmyPDF lets any pass: the model takes no language."""
        return set()

    @staticmethod
    def get_orientation(input_file: Path, options: Any) -> Any:
        """By how many degrees the page is turned clockwise: 0, 90, 180 or 270."""
        angles, letters = _turns(_read(input_file, options))
        quarters = np.round(angles / 90).astype(int) % 4
        counts = np.bincount(quarters, weights=letters, minlength=4)
        quarter = int(counts.argmax())
        share = float(counts[quarter] / counts.sum()) if counts.sum() else 0.0
        ocrmypdf = optional_library("ocrmypdf", "ocrmypdf")
        return ocrmypdf.OrientationConfidence(angle=90 * quarter, confidence=SURE * share)

    @staticmethod
    def get_deskew(input_file: Path, options: Any) -> float:
        """By how many degrees the lines of an upright page fall to the right."""
        angles, letters = _turns(_read(input_file, options))
        level = np.abs(angles) < 45
        if not letters[level].sum():
            return 0.0
        order = np.argsort(angles[level])
        reached = np.cumsum(letters[level][order])
        return float(angles[level][order][np.searchsorted(reached, reached[-1] / 2)])

    @staticmethod
    def supports_generate_ocr() -> bool:
        return True

    @staticmethod
    def generate_ocr(input_file: Path, options: Any, page_number: int = 0) -> tuple[Any, str]:
        """A page of paragraphs of lines of words, in pixels of the picture, and its text."""
        page = _read(input_file, options)
        return _tree(page, page_number), page_text(page, _OPTIONS)

    @staticmethod
    def generate_hocr(input_file: Path, output_hocr: Path, output_text: Path, options: Any) -> None:
        """Write hOCR and text of a page."""
        page = _read(input_file, options)
        with output_hocr.open("w", encoding="utf-8") as file:
            write_hocr([page], file, _OPTIONS)
        output_text.write_text(page_text(page, _OPTIONS), encoding="utf-8")

    @staticmethod
    def generate_pdf(input_file: Path, output_pdf: Path, output_text: Path, options: Any) -> None:
        """Nothing: OCRmyPDF makes the PDF of what `generate_ocr` returns."""
        raise NotImplementedError("florence2 makes no PDF pages; use generate_ocr")


def _read(path: Path, options: Any) -> Page:
    return read_page_picture(path, getattr(options, "florence2_model", None) or "nano")


def _turns(page: Page) -> tuple[Any, Any]:
    """Of all lines the angle, in degrees clockwise, and the number of letters."""
    angles = np.array([line.angle for line in page.lines], np.float64)
    letters = np.array([len(line.text) for line in page.lines], np.float64)
    return angles, letters


def _tree(page: Page, number: int) -> Any:
    """OCRmyPDF leaves words out, and says nothing, that are not in a line of a paragraph."""
    ocrmypdf = optional_library("ocrmypdf", "ocrmypdf")
    found = pixel_page(page, _OPTIONS)

    def element(kind: str, box: PixelBox, **more: Any) -> Any:
        bbox = ocrmypdf.BoundingBox(*box)
        return ocrmypdf.OcrElement(ocr_class=kind, bbox=bbox, **more)

    def paragraph(block: PixelBlock) -> Any:
        return element("ocr_par", block.box, children=[text_line(line) for line in block.lines])

    def text_line(line: PixelLine) -> Any:
        words = [
            element("ocrx_word", word.box, text=word.text, confidence=word.score)
            for word in line.words
        ]
        angle, baseline = line_slope(line)
        return element(
            "ocr_line",
            line.box,
            children=words,
            textangle=float(angle) if angle else None,
            baseline=ocrmypdf.Baseline(*baseline) if baseline else None,
        )

    box = (0, 0, found.width, found.height)
    paragraphs = [paragraph(block) for block in found.blocks if block.lines]
    return element("ocr_page", box, children=paragraphs, dpi=page.dpi, page_number=number)
