"""The engine for OCRmyPDF: what it says of a page, and a PDF whose words can be searched."""

import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from documents.made_documents import block, line
from florence2.documents import ocrmypdf_plugin
from florence2.documents.ocrmypdf_plugin import Florence2Engine
from florence2.documents.structure import Block, Page
from florence2.pipelines.reading.lines import Line

OPTIONS = SimpleNamespace(florence2_model="nano")
HAS_OCRMYPDF = find_spec("ocrmypdf") is not None
needs_ocrmypdf = pytest.mark.skipif(not HAS_OCRMYPDF, reason="ocrmypdf is not installed")


def turned(page_line: Line, degrees: float) -> Line:
    """A line turned clockwise about its first corner."""
    turn = np.radians(degrees)
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    quad = (page_line.quad - page_line.quad[0]) @ matrix + page_line.quad[0]
    return Line(page_line.text, quad, (), page_line.score)


def read_as(monkeypatch: pytest.MonkeyPatch, *lines: Line) -> None:
    blocks = (Block("paragraph", (0, 0, 9, 9), lines, "text"),) if lines else ()
    page = Page(1, 612, 792, blocks=blocks)
    monkeypatch.setattr(ocrmypdf_plugin, "read_page_picture", lambda path, model: page)


@pytest.mark.parametrize("angle", [0.0, 5.0, -3.0, 0.4])
def test_deskew_is_the_clockwise_turn_of_most_lines(
    monkeypatch: pytest.MonkeyPatch, angle: float
) -> None:
    most = [turned(line("a long line of text"), angle) for _ in range(3)]
    read_as(monkeypatch, turned(line("side"), 90.0), *most, turned(line("odd"), 20.0))
    assert Florence2Engine.get_deskew(Path("x.png"), OPTIONS) == pytest.approx(angle)


def test_an_empty_page_is_not_straightened(monkeypatch: pytest.MonkeyPatch) -> None:
    read_as(monkeypatch)
    assert Florence2Engine.get_deskew(Path("x.png"), OPTIONS) == 0.0


def test_another_engine_is_left_to_others() -> None:
    assert ocrmypdf_plugin.get_ocr_engine(SimpleNamespace(ocr_engine="none")) is None
    assert ocrmypdf_plugin.get_ocr_engine(SimpleNamespace(ocr_engine="auto")) is not None
    assert ocrmypdf_plugin.get_ocr_engine(None) is not None


def test_hocr_and_text_of_a_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = Page(1, 800, 300, blocks=(block("header", "Head", y=10), block("paragraph", "a word")))
    asked = []

    def read(path: Path, model: str) -> Page:
        asked.append((path, model))
        return page

    monkeypatch.setattr(ocrmypdf_plugin, "read_page_picture", read)
    Florence2Engine.generate_hocr(Path("x.png"), tmp_path / "h", tmp_path / "t", OPTIONS)
    assert "bbox 0 0 800 300; ppageno 0" in (tmp_path / "h").read_text()
    assert (tmp_path / "t").read_text() == "Head\n\na word\n"
    assert asked == [(Path("x.png"), "nano")]


@needs_ocrmypdf
@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_orientation_is_the_clockwise_turn(monkeypatch: pytest.MonkeyPatch, turn: int) -> None:
    read_as(monkeypatch, *(turned(line("some words here"), turn + 2.0) for _ in range(3)))
    found = Florence2Engine.get_orientation(Path("x.png"), OPTIONS)
    assert (found.angle, found.confidence) == (turn, 15.0)
    read_as(monkeypatch)
    assert Florence2Engine.get_orientation(Path("x.png"), OPTIONS).confidence == 0.0


@needs_ocrmypdf
def test_every_question_of_ocrmypdf_has_an_answer() -> None:
    import ocrmypdf

    asked = {name for name in vars(ocrmypdf.OcrEngine) if not name.startswith("_")}
    assert asked <= set(dir(Florence2Engine))


STUB = '''
"""Finds a bar with a thick left end, and says that a word stands there, turned as the bar is."""
import numpy as np
from PIL import Image
from florence2.documents import ocrmypdf_plugin
from florence2.documents.structure import Block, Page
from florence2.pipelines.reading.lines import Line, box_around

def read(path, model):
    assert model == "base", model
    with Image.open(path) as picture:
        dark = np.asarray(picture.convert("L")) < 128
    points = np.argwhere(dark)[:, ::-1] + 0.5
    middle = points.mean(axis=0)
    away = points - middle
    along = np.linalg.svd(away.T @ away)[0][:, 0]
    if ((away @ along) ** 3).sum() < 0:
        along = -along  # most ink lies behind the middle, where the word begins
    across = np.array([-along[1], along[0]])
    low, high = (away @ along).min(), (away @ along).max()
    left, right = (away @ across).min(), (away @ across).max()
    corners = [(low, left), (high, left), (high, right), (low, right)]
    quad = np.array([middle + a * along + b * across for a, b in corners])
    line = Line("Barword here", quad, score=0.9)
    with open({log!r}, "a") as log:
        print(line.angle, file=log)
    block = Block("paragraph", box_around(quad), (line,), line.text)
    return Page(1, dark.shape[1], dark.shape[0], blocks=(block,), source="model")

ocrmypdf_plugin.read_page_picture = read
'''


@pytest.mark.slow
@pytest.mark.process
@needs_ocrmypdf
@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="poppler-utils is not installed")
@pytest.mark.parametrize(
    ("turn", "rotate", "arguments"),
    [
        pytest.param(0, 0, [], id="upright"),
        pytest.param(0, 90, [], id="upright on a page with /Rotate"),
        pytest.param(90, 0, ["--rotate-pages"], id="turned clockwise"),
        pytest.param(270, 0, ["--rotate-pages"], id="turned counter-clockwise"),
        pytest.param(90, 0, [], id="turned, left so"),
        pytest.param(4, 0, ["--deskew"], id="skewed"),
    ],
)
def test_words_stand_behind_their_ink(
    tmp_path: Path, turn: int, rotate: int, arguments: list[str]
) -> None:
    """In the PDF, as Poppler reads and renders it."""
    image = Image.new("L", (850, 1100), 255)
    draw = ImageDraw.Draw(image)
    draw.rectangle((150, 200, 600, 215), fill=0)
    draw.rectangle((150, 190, 300, 225), fill=0)
    image = image.rotate(-turn, expand=turn % 90 == 0, fillcolor=255)
    # What /Rotate turns clockwise lies counter-clockwise in the file.
    image.rotate(rotate, expand=True).save(tmp_path / "scan.pdf", resolution=100)
    if rotate:
        import pikepdf

        with pikepdf.open(tmp_path / "scan.pdf", allow_overwriting_input=True) as pdf:
            pdf.pages[0].Rotate = rotate
            pdf.save(tmp_path / "scan.pdf")
    (tmp_path / "stub.py").write_text(STUB.replace("{log!r}", repr(str(tmp_path / "log"))))
    command = [
        *(sys.executable, "-m", "ocrmypdf", "--output-type", "pdf", "--jobs", "1"),
        *("--plugin", "florence2.documents.ocrmypdf_plugin", "--plugin", str(tmp_path / "stub.py")),
        *("--florence2-model", "base", *arguments, "--sidecar", str(tmp_path / "side.txt")),
        *(str(tmp_path / "scan.pdf"), str(tmp_path / "out.pdf")),
    ]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    angles = [float(angle) for angle in (tmp_path / "log").read_text().split()]
    assert angles[-1] == pytest.approx(0 if arguments or turn == 0 else turn, abs=0.5)
    assert (tmp_path / "side.txt").read_text().startswith("Barword here")
    rendered = ["pdftoppm", "-r", "72", "-gray", "-singlefile", "out.pdf", "out"]
    subprocess.run(rendered, cwd=tmp_path, check=True)
    ink = np.argwhere(np.asarray(Image.open(tmp_path / "out.pgm")) < 128)[:, ::-1]
    told = subprocess.run(
        ["pdftotext", "-bbox", "out.pdf", "-"], cwd=tmp_path, capture_output=True, text=True
    ).stdout
    pattern = r'xMin="([\d.]+)" yMin="([\d.]+)" xMax="([\d.]+)" yMax="([\d.]+)">(\w+)<'
    words = [(np.array(found[:4], float), found[4]) for found in re.findall(pattern, told)]
    assert [word for _, word in words] == ["Barword", "here"]
    boxes = np.array([box for box, _ in words])
    around = np.array([*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)])
    # Boxes are those of the font: higher than the ink.
    assert np.abs(around - [*ink.min(axis=0), *ink.max(axis=0)]).max() < 16
