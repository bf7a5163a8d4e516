"""Pages of print made with Pillow, whose words and places are known."""

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from florence2.geometry import Array, Box, box_to_quad

Gray = NDArray[np.uint8]
WORDS = re.split(
    r"\s",
    "a an and as at be by The quick brown fox jumps over lazy dogs while reading pages of "
    "printed type Quarterly report Jaguar 1,250.00 (see below) 17.04.2019 No. 42 Équipe für "
    "naïve typography hyphen-ated gap; system: why? judge",
)


@dataclass
class Page:
    """A canvas that remembers where each word is: of each line the boxes of its words."""

    width: int = 900
    height: int = 700
    paper: int = 255
    lines: list[list[tuple[str, Box]]] = field(default_factory=list)
    quads: list[Array] | None = None  # of all words, if the page was warped

    def __post_init__(self) -> None:
        self.image = Image.new("L", (self.width, self.height), self.paper)

    @property
    def draw(self) -> ImageDraw.ImageDraw:
        return ImageDraw.Draw(self.image)

    @property
    def gray(self) -> Gray:
        return np.array(self.image)

    def write(
        self,
        text: str | Sequence[str],
        x: float,
        y: float,
        size: int = 22,
        face: str = "Serif",
        fill: int = 0,
    ) -> float:
        """Write a line whose letters' upper edge is near y; return where it ends."""
        font = ImageFont.truetype(f"DejaVu{face}.ttf", size)
        line = []
        for word in text.split() if isinstance(text, str) else text:
            box = font.getbbox(word)
            line.append((word, (x + box[0], y + box[1], x + box[2], y + box[3])))
            self.draw.text((x, y), word, font=font, fill=fill)
            x += font.getlength(word) + font.getlength(" ")
        self.lines.append(line)
        return x

    def fill(
        self,
        rng: np.random.Generator,
        box: Box,
        size: int = 22,
        pitch: float = 1.4,
        **style: object,
    ) -> "Page":
        """Fill a column with lines of words."""
        font = ImageFont.truetype(f"DejaVu{style.get('face', 'Serif')}.ttf", size)
        y = box[1]
        while y + 1.3 * size <= box[3]:
            words: list[str] = []
            while True:
                words.append(str(rng.choice(WORDS)))
                if font.getlength(" ".join(words)) > box[2] - box[0]:
                    break
            self.write(words[:-1], box[0], y, size, **style)  # type: ignore[arg-type]
            y += pitch * size
        return self

    def changed(self, change: Callable[[Gray], Gray]) -> "Page":
        self.image = Image.fromarray(change(self.gray))
        return self

    def turned(self, degrees: float) -> "Page":
        """Turn the page clockwise about its middle."""
        self.image = self.image.rotate(
            -degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=self.paper
        )
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        old, new = np.array([self.width, self.height]) / 2, np.array(self.image.size) / 2
        self.quads = [
            (quad - old) @ np.array([[cos, sin], [-sin, cos]]) + new for quad in self.word_quads
        ]
        return self

    @property
    def word_quads(self) -> list[Array]:
        if self.quads is not None:
            return self.quads
        return [box_to_quad(box) for line in self.lines for _, box in line]

    @property
    def line_numbers(self) -> list[int]:
        return [number for number, line in enumerate(self.lines) for _ in line]


def shares_in(quads: Array, quad: Array) -> Array:
    """Of each quad `(N, 4, 2)` the share that another one covers, by points within it."""
    across, down = (
        grid.ravel()[:, None]
        for grid in np.meshgrid((np.arange(24) + 0.5) / 24, (np.arange(12) + 0.5) / 12)
    )
    corner, along, below = (quads[:, None, each] for each in (0, 1, 3))
    points = corner + across * (along - corner) + down * (below - corner)
    sides = np.stack([quad[1] - quad[0], quad[3] - quad[0]])
    places = (points - quad[0]) @ np.linalg.pinv(sides)
    shares: Array = ((places >= -1e-6) & (places <= 1 + 1e-6)).all(axis=2).mean(axis=1)
    return shares


def _grain(sigma: float) -> Callable[[Gray], Gray]:
    def change(gray: Gray) -> Gray:
        noise = np.random.default_rng(1).normal(0, sigma, gray.shape)
        return np.clip(gray + noise, 0, 255).astype(np.uint8)

    return change


def _salt(gray: Gray) -> Gray:
    """Single black and white pixels, as old scans have them."""
    chance = np.random.default_rng(2).random(gray.shape)
    noisy = np.where(chance < 0.004, 0, gray)
    return np.where(chance > 0.98, 255, noisy).astype(np.uint8)


def _thermal(gray: Gray) -> Gray:
    """Pale print with rows of the head missing and specks of ink fallen off."""
    rng = np.random.default_rng(3)
    pale = 255 - (255 - gray.astype(float)) * 0.55
    pale[rng.random(len(gray)) < 0.12] = 245
    pale[rng.random(gray.shape) < 0.15] = 240
    blurred = Image.fromarray(pale.astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.6))
    return np.asarray(blurred)


def _shade(gray: Gray) -> Gray:
    """Light from a corner, as on a photographed page."""
    rows, columns = np.mgrid[0 : gray.shape[0], 0 : gray.shape[1]]
    light = 0.3 + 0.7 * (rows / gray.shape[0] + columns / gray.shape[1]) / 2
    return (gray * light).astype(np.uint8)


def _low_contrast(gray: Gray) -> Gray:
    return (170 + gray.astype(float) * 30 / 255).astype(np.uint8)


def _jpeg(gray: Gray) -> Gray:
    buffer = io.BytesIO()
    Image.fromarray(gray).save(buffer, "JPEG", quality=20)
    return np.asarray(Image.open(buffer))


def _inverted(gray: Gray) -> Gray:
    return 255 - gray


def _dots(gray: Gray) -> Gray:
    """Each pixel becomes a dot, apart from its neighbours: 9-pin print."""
    pitch = 4
    ink = np.kron(gray < 128, np.ones((pitch, pitch))) > 0
    rows, columns = np.mgrid[0 : ink.shape[0], 0 : ink.shape[1]]
    away = np.hypot(rows % pitch - 1.0, columns % pitch - 1.0)
    return np.where(ink & (away < 1.5), 30, 250).astype(np.uint8)


def _column(change: Callable[[Gray], Gray] | None = None, size: int = 22, **style: object) -> Page:
    """A column of at most 22 lines."""
    box = (50, 40, 850, min(660, 40 + 31 * size))
    page = Page().fill(np.random.default_rng(5), box, size, **style)  # type: ignore[arg-type]
    return page.changed(change) if change else page


def _dot_matrix() -> Page:
    small = Page(300, 120).fill(np.random.default_rng(6), (10, 6, 290, 116), 11, face="SansMono")
    page = Page(1200, 480)
    page.image = Image.fromarray(_dots(small.gray))
    page.lines = [
        [(word, tuple(4 * edge for edge in box)) for word, box in line]  # type: ignore[misc]
        for line in small.lines
    ]
    return page


def _sizes() -> Page:
    rng = np.random.default_rng(7)
    page = Page(1100, 1100)
    page.write("Headline of three", 60, 30, 72, "Sans-Bold")
    page.write("and a subtitle below it", 60, 130, 34)
    page.fill(rng, (60, 200, 1040, 700), 24)
    page.fill(rng, (60, 760, 1040, 900), 12)
    page.write("No. 42", 60, 920, 160, "Serif-Bold")
    return page


def _columns(count: int, gutter: int) -> Page:
    page = Page(1400, 800)
    width = (1300 - gutter * (count - 1)) // count
    page.write("A title over all columns of this page", 60, 20, 40, "Sans-Bold")
    for number in range(count):
        x = 50 + number * (width + gutter)
        page.fill(np.random.default_rng(number), (x, 100, x + width, 780), 20)
    return page


def _table(ruled: bool) -> Page:
    rng = np.random.default_rng(8)
    page = Page(900, 500)
    for row in range(10):
        for column in range(4):
            x, y = 40 + 210 * column, 40 + 42 * row
            page.write([str(each) for each in rng.choice(WORDS, 2)], x + 10, y + 8, 18, "Sans")
            if ruled:
                page.draw.rectangle((x, y, x + 210, y + 42), outline=0, width=2)
    return page


def _form() -> Page:
    page = Page(800, 420)
    for row, label in enumerate(("Name", "Street", "City", "Date of birth", "Signature")):
        y = 30 + 70 * row
        page.write(label, 30, y + 8, 20, "Sans")
        page.draw.rectangle((240, y, 700, y + 40), outline=60, width=1)
        page.write(WORDS[row : row + 3], 250, y + 8, 20, "SansMono")
    return page


def _screen() -> Page:
    """White letters on a dark band and on buttons of a light page, grey ones below."""
    page = Page(900, 400, paper=250)
    page.draw.rectangle((0, 0, 900, 60), fill=40)
    page.write("Products Prices About us", 30, 16, 20, "Sans", fill=255)
    for number, label in enumerate(("OK", "Cancel", "Save as", "Log in")):
        x = 40 + 200 * number
        page.draw.rounded_rectangle((x, 100, x + 150, 132), 6, fill=70)
        page.write(label, x + 20, 106, 15, "Sans", fill=255)
    page.fill(np.random.default_rng(9), (40, 170, 860, 260), 14, face="Sans", fill=110)
    page.draw.rectangle((0, 280, 900, 400), fill=30)
    return page.fill(np.random.default_rng(10), (40, 290, 860, 390), 15, face="Sans", fill=200)


def _contents() -> Page:
    page = Page(900, 560)
    for row in range(14):
        y = 30 + 36 * row
        end = page.write(WORDS[row * 3 : row * 3 + 3], 40, y, 20)
        x = end + 10
        while x < 800:
            page.draw.ellipse((x, y + 16, x + 2.5, y + 18.5), fill=0)
            x += 9
        page.write(str(7 * row + 1), 815, y, 20)
    return page


def _underlined() -> Page:
    page = _column()
    for line in page.lines[::2]:
        bottom = max(box[3] for _, box in line) - 3
        page.draw.rectangle((line[0][1][0], bottom, line[-1][1][2], bottom + 1), fill=0)
    return page


def _receipt() -> Page:
    page = Page(460, 640)
    page.write("CORNER SHOP", 110, 20, 32, "SansMono-Bold")
    for row in range(14):
        y = 90 + 30 * row
        page.write(WORDS[row : row + 2], 20, y, 19, "SansMono")
        page.write(f"{row * 3 + 1}.50", 360, y, 19, "SansMono")
    page.draw.line((20, 520, 440, 520), fill=0, width=1)
    page.write("TOTAL", 20, 540, 30, "SansMono-Bold")
    page.write("1,250.00", 280, 540, 30, "SansMono-Bold")
    return page.changed(_thermal)


def _blurred(gray: Gray) -> Gray:
    return np.asarray(Image.fromarray(gray).filter(ImageFilter.GaussianBlur(1.4)))


def _large() -> Page:
    page = Page(1500, 700)
    page.write("SALE now", 60, 20, 270, "Sans-Bold")
    page.write("with 30 % off", 60, 380, 200, "Serif")
    return page


PAGES: dict[str, Callable[[], Page]] = {
    "plain": _column,
    "sans": lambda: _column(face="Sans", size=18),
    "mono": lambda: _column(face="SansMono", size=20),
    "bold": lambda: _column(face="Sans-Bold", size=26),
    "tight lines": lambda: _column(pitch=1.12),
    "six pixels": lambda: _column(size=8, face="Sans"),
    "screen letters": lambda: _column(size=13, face="Sans"),
    "several sizes": _sizes,
    "two hundred pixels": _large,
    "two columns": lambda: _columns(2, 36),
    "three columns": lambda: _columns(3, 34),
    "ruled table": lambda: _table(ruled=True),
    "unruled table": lambda: _table(ruled=False),
    "form": _form,
    "table of contents": _contents,
    "underlined": _underlined,
    "receipt": _receipt,
    "dot matrix": _dot_matrix,
    "thermal": lambda: _column(_thermal, face="SansMono", size=20),
    "screen": _screen,
    "light on dark": lambda: _column(_inverted),
    "small light on dark": lambda: _column(_inverted, size=10, face="Sans"),
    "low contrast": lambda: _column(_low_contrast),
    "low contrast with grain": lambda: _column(_low_contrast).changed(_grain(4)),
    "grain": lambda: _column(_grain(22)),
    "uneven light": lambda: _column(_shade).changed(_grain(4)),
    "JPEG": lambda: _column(_jpeg, size=16),
    "salt": lambda: _column(_salt),
    "blurred": lambda: _column(_blurred),
    "turned by 1 degree": lambda: _column().turned(1),
    "turned by 3 degrees": lambda: _columns(2, 40).turned(3),
    "turned by -5 degrees": lambda: _column().turned(-5),
    "turned table": lambda: _table(ruled=True).turned(2),
}
