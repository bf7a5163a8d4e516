"""Pages whose words are known, for benchmarks/reading.py: made in HTML, cut from manuals, scanned.

Texts, layouts and wear are this file's own, and its fonts are families that training never draws:
what is measured here was not seen in training. Chromium lays HTML out and says where words stand.
"""

import base64
import html
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from florence2.errors import ConfigError, DataError
from florence2.geometry import Array, box_to_quad
from florence2_lab.worlds.building.chromium import Chromium
from florence2_lab.worlds.kit import Kit
from florence2_lab.worlds.manuals import manual_pages, page_count
from florence2_lab.worlds.pixels import Pixels, as_pixels
from florence2_lab.worlds.wear import blur, compress

TRIES = 40  # to find a page of a manual that is full
MIN_WORDS = 150  # of such a page
PHOTO_DPI = 200.0
REAL_SCAN = "8071_093.3B"  # of Tesseract's test images, the one with a text and its zones

# Words that stand in a document, in the order in which it holds them, with their boxes.
WORDS = """document.fonts.ready.then(() => {
  const words = [], nodes = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (nodes.nextNode()) for (const found of nodes.currentNode.data.matchAll(/\\S+/g)) {
    const range = document.createRange();
    range.setStart(nodes.currentNode, found.index);
    range.setEnd(nodes.currentNode, found.index + found[0].length);
    const boxes = range.getClientRects();
    if (boxes.length > 1) throw new Error("a word stands on two lines: " + found[0]);
    if (boxes.length) words.push(
      [found[0], boxes[0].left, boxes[0].top, boxes[0].right, boxes[0].bottom]);
  }
  return {words, height: Math.ceil(document.documentElement.getBoundingClientRect().height)};
})"""


@dataclass(frozen=True, eq=False)
class KnownPage:
    """A picture of a page and its words.

    Attributes:
        picture: `(H, W, 3)` RGB.
        words: in the order of reading.
        quads: `(N, 4, 2)` corners of the words, pixels; None where nobody knows them.
        source: what it was made from.
    """

    picture: Pixels
    words: tuple[str, ...]
    quads: Array | None
    source: str


@dataclass(frozen=True)
class Material:
    """What pages are made from."""

    kit: Path
    manuals: Path | None = None
    real: Path | None = None


# -- texts


GOODS = (
    *("Rye bread 750g", "Cherry jam", "Goat cheese", "Sparkling water 6x1.5L", "Oat flakes"),
    *("Basil pesto", "Smoked trout", "Red lentils 500g", "AA battery 4pk", "Dish brush"),
    *("Olive oil 0.75L", "Leek", "Beetroot loose", "Vanilla yoghurt", "Paper towels 8R"),
    *("Plum tomatoes", "Dark choc. 85%", "Espresso beans 1kg", "Sunflower seeds", "Garden twine"),
    *("Hand cream 50ml", "Pork shoulder", "Wholegrain pasta", "Lemon curd", "Almond drink 1L"),
    *(
        'Bicycle tube 28"',
        "Light bulb E27 8W",
        "Screws 4x40 (100)",
        "Wall plugs S6",
        "Masking tape",
    ),
)
SHOPS = (
    *("Kornblum & Tochter", "Harbourside Grocers", "Quincaillerie Duval", "Mercado do Largo"),
    *("Oakhurst Farm Shop", "The Paper Lantern", "Bäckerei Löwe", "Fjordgata Jernvare"),
)
STREETS = (
    *("14 Gooseberry Lane", "Rua das Flores 221", "7 bis, quai du Port", "Münzgasse 3"),
    *("88 Old Mill Yard", "Storgata 45 B", "1902 W. Juniper Ave.", "Flat 6, 31 Crane Street"),
)
TOWNS = (
    *("Wexcombe WX4 2RT", "4050-262 Porto", "29200 Brest", "72070 Tübingen", "Eugene, OR 97402"),
    *("0155 Oslo", "Ballymore Co. Kerry", "Leeuwarden 8911 KL"),
)
NAMES = (
    *(
        "Ingrid Vasquez",
        "Tobias Achterberg",
        "Niamh Okonkwo",
        "Renée Lachapelle",
        "Piotr Zielinski",
    ),
    *(
        "Aoife Brannigan",
        "Matteo Quagliarella",
        "Sunniva Eriksen",
        "Desmond Yarwood",
        "Jūratė Kazlauskas",
    ),
)
SUBJECTS = (
    *("The committee", "Our night ferry", "A careful gardener", "This little engine"),
    *("The northern archive", "Every apprentice", "The weather balloon", "A second survey"),
    *(
        "Her grandmother's atlas",
        "The bridge keeper",
        "An honest translation",
        "The glass workshop",
    ),
)
VERBS = (
    *("explains", "rarely mentions", "has postponed", "will replace", "borrowed", "still measures"),
    *("carries", "had forgotten", "never questioned", "describes", "quietly repaired", "outlived"),
)
OBJECTS = (
    *("the missing pages of the ledger", "three kinds of moss", "what the tide leaves behind"),
    *("seventeen barrels of cider", "a map without any villages", "the price of copper in 1893"),
    *("most of the northern timetable", "an unusually quiet afternoon", "the recipe for black ink"),
    *("signals from the outer islands", "a drawer full of brass keys", "nobody's umbrella"),
)
TAILS = (
    *("before the first frost", "although it rained", "for about 40 minutes", "as agreed in May"),
    *("between two lighthouses", "with only a pencil", "at half the usual cost", "once a year"),
    *("because the clock had stopped", "in spite of Section 12", "under a paper moon", "by hand"),
)


class Sentences:
    """Draws texts; the same generator draws the same ones."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def one_of(self, items: Sequence[str]) -> str:
        return items[int(self.rng.integers(len(items)))]

    def sentence(self) -> str:
        parts = [self.one_of(each) for each in (SUBJECTS, VERBS, OBJECTS, TAILS)]
        if self.rng.random() < 0.3:
            parts[2] += ","
            parts[3] += f" and {self.one_of(SUBJECTS).lower()} {self.one_of(VERBS)} it"
        return " ".join(parts) + self.one_of((".", ".", ".", "!", "?"))

    def paragraph(self, low: int, high: int) -> str:
        return " ".join(self.sentence() for _ in range(self.whole(low, high)))

    def title(self) -> str:
        return f"{self.one_of(SUBJECTS)} and {self.one_of(OBJECTS)}"

    def whole(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return int(self.rng.integers(low, high + 1))

    def amount(self, high: float = 80.0) -> str:
        return f"{self.rng.uniform(0.2, high):.2f}"

    def date(self) -> str:
        day, month, year = self.whole(1, 28), self.whole(1, 12), self.whole(2009, 2026)
        return self.one_of(
            (
                f"{day:02}.{month:02}.{year}",
                f"{year}-{month:02}-{day:02}",
                f"{day:02}/{month:02}/{year}",
            )
        )

    def time(self) -> str:
        return f"{self.whole(7, 21):02}:{self.whole(0, 59):02}"

    def digits(self, count: int) -> str:
        return "".join(str(digit) for digit in self.rng.integers(10, size=count))

    def phone(self) -> str:
        return f"+{self.whole(30, 49)} {self.digits(3)} {self.digits(3)} {self.digits(4)}"

    def mail(self) -> str:
        first, last = self.one_of(NAMES).encode("ascii", "ignore").decode().lower().split()
        return f"{first}.{last}@{self.one_of(('quayside', 'millpond', 'larkfield'))}.example"


# -- HTML


def receipt(text: Sentences) -> tuple[str, str]:
    """A narrow till receipt: its style and its body."""
    font = text.one_of(("space-mono", "DejaVu Sans Mono", "ibm-plex-sans", "overpass", "barlow"))
    size = text.whole(12, 15)
    decimal = text.one_of((".", ","))
    style = f"""
      body {{ width: {text.whole(300, 400)}px; padding: 24px 20px; font: {size}px/1.3 '{font}';
        color: #222; background: #fff; }}
      .row {{ display: flex; justify-content: space-between; }} .middle {{ text-align: center; }}
      .big {{ font-size: {size * 1.6:.0f}px; font-weight: bold; }} .under {{ padding-left: 24px; }}
      hr {{ border: 0; border-top: 1px {text.one_of(("dashed", "solid", "dotted"))} #222; }}"""

    def row(*cells: str, kind: str = "row") -> str:
        return f'<div class="{kind}">{"".join(f"<span>{_e(cell)}</span> " for cell in cells)}</div>'

    shop = text.one_of(SHOPS)
    capitals = text.rng.random() < 0.6
    lines = [
        row(shop.upper() if capitals else shop, kind="middle big"),
        row(text.one_of(STREETS), kind="middle"),
        row(text.one_of(TOWNS), kind="middle"),
        row(f"Tel {text.phone()}", kind="middle"),
        row(f"VAT reg. {text.one_of(('GB', 'DE', 'FR', 'PT'))}{text.digits(9)}", kind="middle"),
        "<hr>",
        row(text.date(), text.time(), f"Till {text.whole(1, 9)}"),
        row(f"Bon {text.digits(6)}", f"Served by {text.one_of(NAMES).split()[0]}"),
        "<hr>",
    ]
    total = 0.0
    for _ in range(text.whole(4, 14)):
        name, price = text.one_of(GOODS), float(text.amount(40))
        count = text.whole(1, 5) if text.rng.random() < 0.35 else 1
        total += price * count
        lines.append(
            row(
                name.upper() if capitals else name,
                f"{price * count:.2f}".replace(".", decimal) + text.one_of((" A", " B", "", "")),
            )
        )
        if count > 1:
            lines.append(row(f"{count} x {price:.2f}".replace(".", decimal), kind="under"))
    paid = 10.0 * np.ceil(total / 10.0)
    lines += [
        "<hr>",
        row("Grand total EUR", f"{total:.2f}".replace(".", decimal), kind="row big"),
        row("Given in notes", f"{paid:.2f}".replace(".", decimal)),
        row("Back to you", f"{paid - total:.2f}".replace(".", decimal)),
        row(f"incl. {text.one_of(('7', '19', '20', '25'))}% VAT", text.amount(9)),
        "<hr>",
        row(f"Visa contactless **** {text.digits(4)}", kind="middle"),
        row(f"Auth {text.digits(6)} AID A{text.digits(13)}", kind="middle"),
        row("Come back soon - open Sundays 9 to 4", kind="middle"),
    ]
    return style, "".join(lines)


FIELDS: tuple[tuple[str, Callable[[Sentences], str]], ...] = (
    ("Family name and first name", lambda text: text.one_of(NAMES)),
    ("Street and house number", lambda text: text.one_of(STREETS)),
    ("Postcode, place", lambda text: text.one_of(TOWNS)),
    ("Date of birth", Sentences.date),
    ("Daytime telephone", Sentences.phone),
    ("Electronic mail", Sentences.mail),
    ("Policy number", lambda text: f"{text.digits(4)}-{text.digits(6)}/{text.digits(2)}"),
    ("IBAN", lambda text: f"DE{text.digits(2)} {text.digits(4)} {text.digits(4)} {text.digits(4)}"),
    ("Sum claimed (EUR)", lambda text: text.amount(5000)),
    ("Registration plate", lambda text: f"{text.one_of(('KXR', 'BPV', 'TUA'))} {text.digits(4)}"),
    ("Nature of the damage", lambda text: text.one_of(OBJECTS)),
    ("Witnessed by", lambda text: text.one_of(NAMES)),
)


def form(text: Sentences) -> tuple[str, str]:
    """A form that was filled in: its style and its body."""
    label = text.one_of(("hind", "open-sans", "libre-franklin", "cabin"))
    filled = text.one_of(("space-mono", "DejaVu Sans Mono", "newsreader"))
    boxes = text.rng.random() < 0.5
    line = "border: 1px solid #444" if boxes else "border-bottom: 1px solid #444"
    style = f"""
      body {{ width: 720px; padding: 44px 48px; font: 13px/1.4 '{label}'; color: #111;
        background: #fff; }}
      h1 {{ font-size: 24px; margin: 0 0 6px; }} h2 {{ font-size: 16px; background: #ddd;
        padding: 3px 6px; }} p {{ margin: 6px 0 12px; }}
      .grid {{ display: grid; grid-template-columns: 1fr 1fr; gap: 12px 20px; }}
      .label {{ font-size: 11px; color: #333; }}
      .value {{ {line}; padding: 3px 6px; font: 15px '{filled}'; min-height: 22px; }}
      table {{ border-collapse: collapse; width: 100%; }}
      td, th {{ border: 1px solid #444; padding: 4px 8px; text-align: left; }}
      td.number {{ text-align: right; font-family: '{filled}'; }}"""
    parts = [f"<h1>{_e(text.title())}</h1>", f"<p>{_e(text.paragraph(1, 2))}</p>"]
    order = text.rng.permutation(len(FIELDS))
    for number, fields in enumerate((order[:6], order[6 : 6 + text.whole(2, 6)]), start=1):
        parts.append(f"<h2>{number}. {_e(text.one_of(SUBJECTS))}</h2><div class=grid>")
        for field in fields:
            name, make = FIELDS[field]
            value = make(text) if text.rng.random() < 0.9 else ""
            parts.append(
                f"<div><div class=label>{_e(name)}</div> <div class=value>{_e(value)}</div></div> "
            )
        parts.append("</div>")
    parts.append(
        "<h2>3. Items</h2><table><tr><th>No.</th> <th>Item</th> <th>Bought</th> <th>Worth</th></tr>"
    )
    for row in range(1, text.whole(4, 8)):
        cells = f"<td>{row}</td> <td>{_e(text.one_of(GOODS))}</td> <td>{text.date()}</td>"
        parts.append(f"<tr>{cells} <td class=number>{text.amount(900)}</td></tr>")
    parts.append(f"</table><p>{_e(text.paragraph(2, 3))}</p>")
    parts.append(f"<p>{_e(text.one_of(TOWNS))}, {text.date()}</p>")
    return style, "".join(parts)


def web_page(text: Sentences) -> tuple[str, str]:
    """A web page with letters of 12 to 16 pixels: its style and its body."""
    font = text.one_of(("roboto", "open-sans", "lato", "ibm-plex-sans", "DejaVu Sans", "urbanist"))
    serif = text.one_of((font, "newsreader", "libre-baskerville"))
    size = text.whole(12, 16)
    ground, ink, bar, faint, link = (
        ("#fff", "#222", "#224a6b", "#777", "#0b57d0"),
        ("#fbf7ef", "#33291d", "#5b3b1c", "#8a7a66", "#8a3c00"),
        ("#15181d", "#d7dae0", "#2b3038", "#8d95a3", "#7fb3ff"),
    )[text.whole(0, 2)]
    style = f"""
      body {{ width: 1120px; font: {size}px/1.5 '{font}'; color: {ink}; background: {ground}; }}
      nav {{ background: {bar}; color: #fff; padding: 12px 24px; display: flex; gap: 28px; }}
      main {{ display: flex; gap: 32px; padding: 20px 24px; }} article {{ flex: 1; }}
      aside {{ width: 260px; font-size: {max(12, size - 1)}px; }}
      h1 {{ font: bold {size * 2}px/1.2 '{serif}'; }}
      h2 {{ font: bold {size + 4}px/1.3 '{serif}'; }}
      article p {{ font-family: '{serif}'; }} .faint {{ color: {faint}; font-size: 12px; }}
      a {{ color: {link}; text-decoration: underline; }}
      .card {{ border: 1px solid {faint}; border-radius: 8px; padding: 10px 14px;
        margin: 0 0 14px; }}
      .button {{ display: inline-block; background: {bar}; color: #fff; border-radius: 6px;
        padding: 6px 14px; }} table {{ border-collapse: collapse; }}
      td, th {{ padding: 4px 18px 4px 0; text-align: left; border-bottom: 1px solid {faint}; }}
      footer {{ padding: 14px 24px; color: {faint}; font-size: 12px; }}"""
    menu = "".join(
        f"<span>{word}</span> " for word in ("Journal", "Catalogue", "Visits", "Basket (3)")
    )
    parts = [f"<nav>{menu}</nav><main><article><h1>{_e(text.title())}</h1>"]
    parts.append(f"<p class=faint>{text.date()}, {text.time()} by {_e(text.one_of(NAMES))}</p>")
    for _ in range(text.whole(2, 3)):
        parts.append(f"<h2>{_e(text.one_of(SUBJECTS))}</h2><p>{_e(text.paragraph(2, 4))}</p>")
        if text.rng.random() < 0.5:
            items = "".join(f"<li>{_e(text.sentence())}</li>" for _ in range(text.whole(2, 4)))
            parts.append(f"<ul>{items}</ul>")
    parts.append("<table><tr><th>Article</th> <th>Stock</th> <th>Price</th></tr>")
    for _ in range(text.whole(3, 6)):
        parts.append(
            f"<tr><td>{_e(text.one_of(GOODS))}</td> <td>{text.whole(0, 240)}</td>"
            f" <td>{text.amount()}</td></tr>"
        )
    parts.append("</table></article> <aside>")
    for _ in range(text.whole(2, 4)):
        parts.append(
            f"<div class=card><b>{_e(text.one_of(NAMES))}</b> <p>{_e(text.sentence())}</p>"
            f" <a>Read on</a></div>"
        )
    parts.append("<div class=button>Reserve a place</div></aside></main>")
    parts.append(f"<footer>{_e(text.mail())} {text.phone()} All prices in EUR</footer>")
    return style, "".join(parts)


def _e(text: str) -> str:
    return html.escape(text)


class Typesetter:
    """Lays HTML out in the fonts of a kit that training never draws; use it as a context."""

    def __init__(self, kit: Path) -> None:
        archive = Kit(kit)
        self._faces = [
            (
                f"'{font.family}'",
                f"@font-face {{ font-family: '{font.family}'; font-weight: "
                f"{'bold' if '700' in font.path else 'normal'}; src: url(data:font/ttf;base64,"
                f"{base64.b64encode(archive.read(font.path)).decode()}); }}",
            )
            for font in archive.fonts_of("val")
        ]
        self._browser = Chromium(64, 1.0)

    def __enter__(self) -> "Typesetter":
        return self

    def __exit__(self, *error: object) -> None:
        self._browser.close()

    def page(self, style: str, body: str, width: int, scale: float, source: str) -> KnownPage:
        """Lay a page out: `width` in pixels of CSS, `scale` pixels of the picture for each."""
        reset = "html, body { margin: 0; } body { box-sizing: border-box; }"
        faces = "".join(face for family, face in self._faces if family in style)
        self._resize(width, 64, scale)
        self._browser.show(
            f"<!doctype html><meta charset=utf-8><style>{faces}{reset}{style}</style><body>{body}"
        )
        found = self._browser.run(WORDS)
        self._resize(width, found["height"], scale)
        found = self._browser.run(WORDS)
        quads = np.array([box_to_quad(tuple(box)) for _, *box in found["words"]]) * scale
        words = tuple(word for word, *_ in found["words"])
        return KnownPage(self._browser.picture(), words, quads, source)

    def _resize(self, width: int, height: int, scale: float) -> None:
        self._browser.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=False,
        )


# -- wear


def warped(page: KnownPage, matrix: Array, size: tuple[int, int], ground: int) -> KnownPage:
    """A page under a homography `(3, 3)`; what lies beside it becomes the grey `ground`."""
    picture = cv2.warpPerspective(
        page.picture, matrix, size, flags=cv2.INTER_AREA, borderValue=(ground,) * 3
    )
    quads = None
    if page.quads is not None:
        corners = page.quads.reshape(1, -1, 2)
        quads = cv2.perspectiveTransform(corners, matrix).reshape(-1, 4, 2)
    return KnownPage(as_pixels(picture), page.words, quads, page.source)


def grained(rng: np.random.Generator, picture: Pixels, strength: float) -> Pixels:
    """Noise of a grey sensor, `strength` levels of standard deviation."""
    noise = rng.normal(0.0, strength, picture.shape[:2])[..., None]
    return as_pixels(np.clip(picture + noise, 0, 255).astype(np.uint8))


def scanned(rng: np.random.Generator, page: KnownPage, max_degrees: float) -> KnownPage:
    """As a flatbed scanner shows a page: turned a little, grey paper, noise, JPEG."""
    height, width = page.picture.shape[:2]
    degrees = rng.uniform(-max_degrees, max_degrees)
    turn = np.vstack([cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0), (0, 0, 1)])
    page = warped(page, turn, (width, height), 255)
    paper = rng.uniform(225, 255)
    ink = rng.uniform(10, 120)  # faded print is as light as this
    tone = ink + (paper - ink) * (page.picture.mean(axis=2, keepdims=True) / 255.0)
    picture = as_pixels(np.repeat(tone, 3, axis=2).round().astype(np.uint8))
    picture = blur(picture, rng.uniform(0.3, 0.9))
    picture = grained(rng, picture, rng.uniform(1, 8))
    picture = compress(picture, int(rng.integers(45, 90)))
    return KnownPage(picture, page.words, page.quads, page.source)


def dotted(page: KnownPage, pitch: float) -> KnownPage:
    """As needles print a page: in dots, `pitch` pixels apart."""
    height, width = page.picture.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    away = np.hypot((y + pitch / 2) % pitch - pitch / 2, (x + pitch / 2) % pitch - pitch / 2)
    dot = np.clip(1.25 - away / (0.55 * pitch), 0.0, 1.0)[..., None]
    picture = 255.0 - (255.0 - page.picture) * dot
    return KnownPage(
        as_pixels(picture.round().astype(np.uint8)), page.words, page.quads, page.source
    )


def photographed(rng: np.random.Generator, page: KnownPage) -> KnownPage:
    """As a telephone shows a page on a table: from a few degrees aside, in shade, blurred, JPEG."""
    height, width = page.picture.shape[:2]
    margin = int(0.06 * width)
    size = width + 2 * margin, height + 2 * margin
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    moved = corners + margin + rng.uniform(-0.025, 0.025, (4, 2)) * width
    matrix = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    page = warped(page, matrix, size, int(rng.integers(40, 110)))
    across, down = rng.uniform(-1, 1, 2)
    y, x = np.mgrid[0 : 1 : complex(0, size[1]), 0 : 1 : complex(0, size[0])]
    slope = across * x + down * y
    light = 1.0 - rng.uniform(0.15, 0.5) * (slope - slope.min()) / max(1e-6, np.ptp(slope))
    tint = np.array([1.0, rng.uniform(0.94, 1.0), rng.uniform(0.82, 1.0)])
    picture = as_pixels((page.picture * light[..., None] * tint).round().astype(np.uint8))
    picture = blur(picture, rng.uniform(0.5, 1.1))
    picture = grained(rng, picture, rng.uniform(2, 7))
    picture = compress(picture, int(rng.integers(55, 85)))
    return KnownPage(picture, page.words, page.quads, page.source)


# -- kinds of pages


def _receipts(material: Material, rngs: Sequence[np.random.Generator]) -> Iterator[KnownPage]:
    with Typesetter(material.kit) as setter:
        for number, rng in enumerate(rngs):
            style, body = receipt(Sentences(rng))
            page = setter.page(style, body, 440, rng.uniform(1.4, 2.2), f"receipt {number}")
            if rng.random() < 0.2:
                page = dotted(page, rng.uniform(2.5, 3.2))
            yield scanned(rng, page, max_degrees=2.0)


def _forms(material: Material, rngs: Sequence[np.random.Generator]) -> Iterator[KnownPage]:
    with Typesetter(material.kit) as setter:
        for number, rng in enumerate(rngs):
            style, body = form(Sentences(rng))
            page = setter.page(style, body, 720, rng.uniform(1.5, 2.1), f"form {number}")
            yield scanned(rng, page, max_degrees=0.7)


def _web_pages(material: Material, rngs: Sequence[np.random.Generator]) -> Iterator[KnownPage]:
    with Typesetter(material.kit) as setter:
        for number, rng in enumerate(rngs):
            style, body = web_page(Sentences(rng))
            yield setter.page(style, body, 1120, 1.0, f"web page {number}")


def _manual(
    material: Material, rngs: Sequence[np.random.Generator], dpi: float
) -> Iterator[KnownPage]:
    """Full pages of the manuals, drawn by chance; the same ones at every resolution."""
    if material.manuals is None:
        raise DataError("--manuals is not given; python scripts/fetch_manuals.py MANUALS/")
    books = sorted(material.manuals.glob("*.pdf"))
    if not books:
        raise DataError(f"folder {str(material.manuals)!r} has no PDF files")
    counts = {book: page_count(book) for book in books}
    seen = set()
    for rng in rngs:
        for _ in range(TRIES):
            book = books[int(rng.integers(len(books)))]
            number = int(rng.integers(1, counts[book] + 1))
            if (book, number) in seen:
                continue
            for page in manual_pages(book, dpi, first=number, last=number):
                if len(page.words) >= MIN_WORDS:
                    break
            else:
                continue
            seen.add((book, number))
            quads = np.array([box_to_quad(word.box) for word in page.words])
            words = tuple(word.text for word in page.words)
            yield KnownPage(page.image, words, quads, f"{book.name}, page {number}")
            break
        else:
            raise DataError(f"no page of {TRIES} of the manuals has {MIN_WORDS} words")


def _manuals_at(dpi: float) -> "Maker":
    return lambda material, rngs: _manual(material, rngs, dpi)


def _photographs(material: Material, rngs: Sequence[np.random.Generator]) -> Iterator[KnownPage]:
    for page, rng in zip(_manual(material, rngs, PHOTO_DPI), rngs, strict=True):
        yield photographed(rng, page)


def _real_scan(material: Material, rngs: Sequence[np.random.Generator]) -> Iterator[KnownPage]:
    """The page of a magazine, what lies outside the zones of its text made white."""
    if material.real is None:
        raise DataError("--real is not given: the folder of Tesseract's test images")
    scan = np.asarray(Image.open(material.real / f"{REAL_SCAN}.tif").convert("RGB"))
    picture = np.full_like(scan, 255)
    for row in (material.real / f"{REAL_SCAN}.uzn").read_text().splitlines():
        left, top, width, height = map(int, row.split()[:4])
        zone = slice(top, top + height), slice(left, left + width)
        picture[zone] = scan[zone]
    words = (material.real / f"{REAL_SCAN}.txt").read_text(encoding="utf-8").split()
    yield KnownPage(as_pixels(picture), tuple(words), None, f"{REAL_SCAN}.tif")


Maker = Callable[[Material, Sequence[np.random.Generator]], Iterator[KnownPage]]
KINDS: dict[str, Maker] = {
    "receipts": _receipts,
    "forms": _forms,
    "web pages": _web_pages,
    "manuals, 100 dpi": _manuals_at(100.0),
    "manuals, 150 dpi": _manuals_at(150.0),
    "manuals, 200 dpi": _manuals_at(200.0),
    "photographs": _photographs,
    "real scan": _real_scan,
}
# Pages of the manuals are the same in every kind.
STREAM = {
    kind: 1 if kind.startswith(("manuals", "photo")) else n for n, kind in enumerate(KINDS, 2)
}


def known_pages(
    kind: str, material: Material, folder: Path, count: int, seed: int
) -> list[tuple[Path, KnownPage]]:
    """Pages of a kind, each with the PNG file that shows it; made once.

    Args:
        folder: keeps them, and is made if it is not there.
        count: of pages; of the real scan there is one.

    Raises:
        ConfigError: the kind is unknown.
        DataError: what they are made from is not there.
    """
    if kind not in KINDS:
        raise ConfigError(f"the kind {kind!r} of pages is unknown; known are {', '.join(KINDS)}")
    count = 1 if KINDS[kind] is _real_scan else count
    stem = f"{kind.replace(', ', '-').replace(' ', '-')}-{seed}"
    files = [folder / f"{stem}-{number}.png" for number in range(count)]
    if not all(file.with_suffix(".json").exists() for file in files):
        folder.mkdir(parents=True, exist_ok=True)
        rngs = [np.random.default_rng([seed, STREAM[kind], number]) for number in range(count)]
        for file, page in zip(files, KINDS[kind](material, rngs), strict=True):
            Image.fromarray(page.picture).save(file)
            quads = None if page.quads is None else page.quads.round(2).tolist()
            told = {"words": page.words, "quads": quads, "source": page.source}
            file.with_suffix(".json").write_text(json.dumps(told), encoding="utf-8")
    return [(file, _kept(file)) for file in files]


def _kept(file: Path) -> KnownPage:
    told = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    quads = None if told["quads"] is None else np.array(told["quads"], np.float64).reshape(-1, 4, 2)
    picture = as_pixels(np.asarray(Image.open(file).convert("RGB")))
    return KnownPage(picture, tuple(told["words"]), quads, told["source"])
