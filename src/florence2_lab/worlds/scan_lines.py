"""Pieces of printed lines as scans, receipts and screens show them, cut as a reader of pages cuts.

Thermal and dot-matrix print, thick and thin ink, missing ink, neighbours cut off at the border,
rules, skew, shade, grain, blur, noise, JPEG; small letters of screens. Texts are what receipts,
forms, books and screens say: labels, amounts, codes, invented names, running text, addresses.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from florence2.errors import DataError
from florence2_lab.worlds.kit import Font, Kit, Split
from florence2_lab.worlds.lettering import EM, Typeface
from florence2_lab.worlds.pixels import Pixels, as_pixels
from florence2_lab.worlds.wear import compress
from florence2_lab.worlds.writing import WRITERS, random_word, write

T = TypeVar("T")

STREAM = {"train": 77, "val": 78}
MAX_CHARS = 20
TRIES = 9
# Families that books, offices, tills and screens use; they are drawn for half of the lines.
PRINT = frozenset(
    (
        "arimo",
        "courier-prime",
        "anonymous-pro",
        "inconsolata",
        "vt323",
        "share-tech-mono",
        "ibm-plex-mono",
        "roboto-mono",
        "source-code-pro",
        "fira-code",
        "dm-mono",
        "jetbrains-mono",
        "special-elite",
        "barlow-condensed",
        "oswald",
        "pt-sans",
        "eb-garamond",
        "pt-serif",
        "fira-sans",
        "source-sans-3",
        "source-serif-4",
        "inter",
        "karla",
        "lora",
        "merriweather",
        "public-sans",
        "work-sans",
        "titillium-web",
        "oxygen",
        "mulish",
        "montserrat",
        "nunito",
        "spectral",
        "cambo",
        "cardo",
        "crimson-text",
        "bitter",
        "zilla-slab",
        "roboto-slab",
        "atkinson-hyperlegible",
        "geist",
        "dm-sans",
        "ibm-plex-serif",
        "figtree",
        "space-mono",
        "lato",
        "open-sans",
        "roboto",
        "ibm-plex-sans",
        "libre-baskerville",
        "libre-franklin",
        "overpass",
        "hind",
        "newsreader",
        "cabin",
        "archivo",
        "barlow",
    )
)
PRINT_SHARE = 0.5
SCREEN_SHARE = 0.25  # of lines as screens show them
NOTHING_SHARE = 0.08  # of what a reader takes for a line and is none: its text is empty
LABELS = (
    *("INVOICE NO", "ORDER NO", "REF NO", "SERVICE CHARGE", "THANK YOU", "GOODS SOLD"),
    *[
        "TOTAL",
        "SUBTOTAL",
        "CASH",
        "CHANGE",
        "TAX",
        "VAT",
        "DATE",
        "TIME",
        "RECEIPT",
        "TABLE",
        "QTY",
        "PRICE",
        "AMOUNT",
        "ITEM",
        "DESCRIPTION",
        "DISCOUNT",
        "ROUNDING",
        "BALANCE",
        "PAID",
        "CARD",
        "TEL",
        "FAX",
        "EMAIL",
        "ACCOUNT",
        "CUSTOMER",
        "CASHIER",
        "NET",
        "GROSS",
        "UNIT",
        "CODE",
        "PAGE",
        "NO",
        "ID",
        "DELIVERY",
        "ADDRESS",
        "ROAD",
        "FLOOR",
        "SIGNATURE",
        "COPY",
        "DUE",
        "TERMS",
        "PAYMENT",
        "BANK",
        "WEIGHT",
        "SIZE",
        "FROM",
        "TO",
        "DEPT",
        "OPEN",
        "CLOSED",
        "INCLUSIVE",
        "SUMMARY",
        "RATE",
        "MEMBER",
        "POINTS",
        "LTD.",
        "INC.",
        "STORE",
        "MARKET",
        "CAFE",
        "HOTEL",
        "PHARMACY",
        "TRADING",
        "ENTERPRISE",
        "CENTRE",
        "BRANCH",
    ],
)
CURRENCIES = ("$", "€", "£", "RM", "EUR", "USD", "Rs", "kr", "")
MARKS = ("x", "X", "@", "&", "-", ":", "/", "*", "***", "#", "%", "=", "+", "--", ">>", "(1)", "1.")
UNITS = ("%", "KG", "G", "ML", "L", "PCS", "x", "MM", "CM", " pcs", " kg")
ENDS = (":", ",", ".", ")", " :", "!", "?")
SYLLABLES = [
    onset + vowel + coda
    for onset in ("", *"bdfghjklmnprstvwyz", "ch", "sh")
    for vowel in "aeiou"
    for coda in ("", *"nrslt", "ng")
]


@dataclass(frozen=True)
class ScanLine:
    """A picture of a piece of a line, and what it says."""

    image: Pixels  # (H, W, 3) RGB
    text: str  # nothing for what is no line
    source: str  # "scan/train/0/17"


def scan_line(kit: Kit, seed: int, index: int, *, split: Split = "train") -> ScanLine:
    """Make piece number `index` of the endless sequence `seed`.

    Args:
        split: "val" uses only font families that "train" never uses.
    """
    fonts = kit.fonts_of(split)
    if not fonts:
        raise DataError(f"kit {str(kit.path)!r} has no fonts for split {split!r}")
    plain = tuple(each for each in fonts if each.family in PRINT) or fonts
    for attempt in range(TRIES):
        rng = np.random.default_rng([seed, index, STREAM[split], attempt])
        if rng.random() < NOTHING_SHARE:
            return ScanLine(_nothing(rng, kit), "", f"scan/{split}/{seed}/{index}")
        font = _pick(rng, plain if rng.random() < PRINT_SHARE else fonts)
        text = printed_text(rng, kit, int(rng.integers(3, MAX_CHARS + 1)))
        text = text.upper() if font.capitals_only else text
        if not set(font.missing) & set(text) and _has_ink(kit.typeface(font), text):
            image = (_show if rng.random() < SCREEN_SHARE else _print)(rng, kit, font, text)
            return ScanLine(image, text, f"scan/{split}/{seed}/{index}")
    raise DataError(
        f"no font of kit {str(kit.path)!r} has all characters of {text!r}; build the kit again"
        " with fonts that have them"
    )


# ---- texts

ACCENTS = {
    "a": "àáâäãå",
    "e": "èéêë",
    "i": "ìíîï",
    "o": "òóôöõø",
    "u": "ùúûü",
    "c": "ç",
    "n": "ñ",
    "s": "ß",
}
DOMAINS = ("com", "org", "net", "de", "co.uk", "fr", "io", "edu")
STREETS = ("Street", "St.", "Road", "Rd", "Avenue", "Ave", "Lane", "Str.", "rue", "Platz")


def printed_text(rng: np.random.Generator, kit: Kit, max_chars: int) -> str:
    """Write a piece of a line: of a receipt or form, of running text, an address, a path."""
    draw = rng.random()
    if draw < 0.45:
        return receipt_text(rng, kit, max_chars)
    text = _prose(rng, kit, max_chars) if draw < 0.85 else _address(rng, kit)[:max_chars].strip()
    return text or "0"


def _prose(rng: np.random.Generator, kit: Kit, max_chars: int) -> str:
    """Words of a sentence, cut where a line is cut: between words, or in one that is too long."""
    text = ""
    while len(text) < max_chars:
        word = random_word(rng, kit)
        if rng.random() < 0.25:
            phrase = kit.phrases[int(rng.integers(len(kit.phrases)))].split()
            word = " ".join(phrase[int(rng.integers(len(phrase))) :][:3])
        if rng.random() < 0.07:
            word = _accented(rng, word)
        draw = rng.random()
        if draw < 0.18:
            word = word[:1].upper() + word[1:]
        elif draw < 0.22:
            word = str(rng.integers(10 ** int(rng.integers(1, 5))))
        elif draw < 0.25:
            word = word.upper()
        draw = rng.random()
        if draw < 0.04:
            word = _pick(rng, ("({})", '"{}"', "'{}'", "[{}]", "“{}”", "‘{}’", "<{}>")).format(word)
        elif draw < 0.22:
            word += _pick(rng, (",", ",", ".", ".", ".", ":", ";", "?", "!", "-", "'s", "’s"))
        longer = f"{text} {word}".strip()
        if len(longer) > max_chars:
            return text or longer[:max_chars]
        text = longer
        if rng.random() < 0.12:
            break
    return text


def _accented(rng: np.random.Generator, word: str) -> str:
    """The word with one or two letters that Western European languages have."""
    places = [place for place, letter in enumerate(word) if letter in ACCENTS]
    rng.shuffle(places)
    for place in places[: _upto(rng, 2)]:
        word = word[:place] + _pick(rng, list(ACCENTS[word[place]])) + word[place + 1 :]
    return word


def _address(rng: np.random.Generator, kit: Kit) -> str:
    """An e-mail, URL, path, name of code, or street."""
    one, two = (
        "".join(each for each in random_word(rng, kit).lower() if each.isascii() and each.isalnum())
        for _ in range(2)
    )
    domain = _pick(rng, DOMAINS)
    return _pick(
        rng,
        (
            f"{one}@{two}.{domain}",
            f"{one}.{two}@{domain}",
            f"www.{one}.{domain}",
            f"https://{one}.{domain}/{two}",
            f"http://{one}{two}",
            f"/{one}/{two}",
            f"{one}_{two}",
            f"{one}.{two}()",
            f"--{one}-{two}",
            f"{one}={rng.integers(100)}",
            f"{one.title()}{two.title()}",
            f"{rng.integers(1, 400)} {one.title()} {_pick(rng, STREETS)}",
            f"{one.title()} {_pick(rng, STREETS)} {rng.integers(1, 200)}",
            f"{_digits(rng, 5)} {one.title()}",
            f"+{_digits(rng, 2)} {_digits(rng, 3)} {_digits(rng, 4)}",
            f"({_digits(rng, 3)}) {_digits(rng, 3)}-{_digits(rng, 4)}",
        ),
    )


def receipt_text(rng: np.random.Generator, kit: Kit, max_chars: int) -> str:
    """Write one to three words as receipts and forms have them."""
    for _ in range(TRIES):
        if rng.random() < 0.25:
            kinds = (("word", 0.3), ("phrase", 0.5), ("number", 0.1), ("price", 0.1))
            text = write(rng, kit, kinds, max_chars)
        else:
            count = 1 + int(rng.random() > 0.55) + int(rng.random() > 0.85)
            text = " ".join(_token(rng, kit) for _ in range(count))
        text = " ".join(text.split())
        if text and len(text) <= max_chars:
            return text
    return text[:max_chars].strip() or "0"


def _token(rng: np.random.Generator, kit: Kit) -> str:
    makers = (
        (0.30, lambda: _cased(rng, random_word(rng, kit))),
        (0.12, lambda: _cased(rng, _pick(rng, LABELS))),
        (0.08, lambda: _cased(rng, "".join(_pick(rng, SYLLABLES) for _ in range(_upto(rng, 3))))),
        (0.13, partial(_money, rng)),
        (0.08, lambda: str(int(10 ** rng.uniform(0, 5)))),
        (0.09, lambda: _digits(rng, int(rng.integers(4, 13)))),
        (0.12, lambda: WRITERS[_pick(rng, ("date", "time", "code"))](rng, kit)),
        (0.03, lambda: f"{_digits(rng, _upto(rng, 4))}-{_digits(rng, _upto(rng, 7))}"),
        (0.03, lambda: _pick(rng, MARKS)),
        (0.02, lambda: f"{rng.integers(1, 100)}{_pick(rng, UNITS)}"),
    )
    bounds = np.cumsum([share for share, _ in makers])
    place = int(np.searchsorted(bounds, rng.random() * bounds[-1], side="right"))
    text = makers[place][1]()
    draw = rng.random()
    if draw < 0.05:
        return f"({text})"
    return text + _pick(rng, ENDS) if draw < 0.25 else text


def _money(rng: np.random.Generator) -> str:
    amount = f"{10 ** rng.uniform(0, 3.6):,.2f}"
    currency = _pick(rng, CURRENCIES) if rng.random() < 0.35 else ""
    gap = " " if currency.isalpha() and rng.random() < 0.4 else ""
    text = currency + gap + amount
    draw = rng.random()
    if draw < 0.06:
        return f"-{text}"
    return text + _pick(rng, (" A", " S", "*", "T", "-")) if draw < 0.14 else text


def _cased(rng: np.random.Generator, text: str) -> str:
    draw = rng.random()
    if draw < 0.45:
        return text.upper()
    return text.title() if draw < 0.65 else text.lower()


def _digits(rng: np.random.Generator, count: int) -> str:
    return "".join(map(str, rng.integers(0, 10, count)))


def _pick(rng: np.random.Generator, choices: Sequence[T]) -> T:
    return choices[int(rng.integers(len(choices)))]


def _upto(rng: np.random.Generator, most: int) -> int:
    return int(rng.integers(1, most + 1))


# ---- print

Coverage = NDArray[np.float32]  # of ink, (H, W), 0 to 1


def _show(rng: np.random.Generator, kit: Kit, font: Font, text: str) -> Pixels:
    """Show a line on a screen: small letters with soft edges, clean colours, nothing worn."""
    capital = float(np.exp(rng.uniform(np.log(6.5), np.log(16))))
    spacing = rng.uniform(-0.01, 0.06) * EM if rng.random() < 0.3 else 0.0
    letters = _set(rng, kit.typeface(font), text, capital, spacing, 1.0, "plain")
    if rng.random() < 0.4:  # as screens that sharpen or thicken do
        letters = letters ** rng.uniform(0.6, 1.3)
    height, width = letters.shape
    line_height = max(height, capital * rng.uniform(0.95, 1.25))
    left, right = rng.uniform(0.02, 0.4, 2) * line_height
    above, below = rng.uniform(0.02, 0.3, 2) * line_height + (line_height - height) / 2
    ink = np.zeros(
        (max(8, int(height + above + below)), max(8, int(width + left + right))), np.float32
    )
    ink[int(above) : int(above) + height, int(left) : int(left) + width] = letters
    dark, light = rng.uniform(0, 110, 3), rng.uniform(200, 255, 3)
    if rng.random() < 0.6:
        dark, light = np.full(3, dark[0]), np.full(3, light[0])
    on, of = (light, dark) if rng.random() < 0.75 else (dark, light)
    image = on + (of - on) * ink[..., None]
    pixels = as_pixels(np.clip(image, 0, 255).astype(np.uint8))
    if rng.random() < 0.15:
        pixels = compress(pixels, int(rng.integers(60, 95)))
    return _prepared(rng, pixels) if rng.random() < 0.8 else pixels


def _print(rng: np.random.Generator, kit: Kit, font: Font, text: str) -> Pixels:
    """Print a line on paper, with whatever stands beside it, and scan it."""
    face = kit.typeface(font)
    capital = float(np.exp(rng.uniform(np.log(9), np.log(34))))  # height in pixels
    spacing = rng.uniform(-0.02, 0.15) * EM if rng.random() < 0.4 else 0.0
    stretch = float(np.exp(rng.normal(0, 0.14))) if rng.random() < 0.6 else 1.0
    style = _pick(rng, ["plain"] * 68 + ["raster"] * 22 + ["dots"] * 10)
    letters = _set(rng, face, text, capital, spacing, stretch, style)
    height, width = letters.shape
    line_height = max(height, capital * rng.uniform(0.95, 1.25))
    left, right = rng.uniform(0.02, 0.5, 2) * line_height
    above, below = rng.uniform(0, 0.32, 2) * line_height + (line_height - height) / 2
    ink = np.zeros(
        (max(8, int(height + above + below)), max(8, int(width + left + right))), np.float32
    )
    y, x = int(min(above, ink.shape[0] - height)), int(min(left, ink.shape[1] - width))
    ink[y : y + height, x : x + width] = letters
    if rng.random() < 0.3:
        others = (
            _set(rng, face, receipt_text(rng, kit, MAX_CHARS), capital, spacing, stretch, "plain")
            for _ in range(2)
        )
        _add_neighbours(rng, ink, others, line_height)
    if rng.random() < 0.08:
        row = int(rng.integers(min(y + height, ink.shape[0] - 1), ink.shape[0]))
        ink[row : row + max(1, int(capital / 12))] = 1.0
    ink = _turned(rng, _worn_ink(rng, ink, capital))
    return _scanned(rng, ink, capital)


def _nothing(rng: np.random.Generator, kit: Kit) -> Pixels:
    """What ink may be beside letters: parts of pictures, strokes, dirt, halves of rules."""
    height = int(rng.integers(8, 44))
    width = max(8, int(height * np.exp(rng.uniform(np.log(0.4), np.log(4.0)))))
    ink = np.zeros((height, width), np.float32)
    kind = int(rng.integers(5))
    if kind == 0 and kit.textures:
        grey = kit.texture(kit.textures[int(rng.integers(len(kit.textures)))])
        y, x = (
            int(rng.integers(max(1, a - b))) for a, b in zip(grey.shape, ink.shape, strict=True)
        )
        ink = _share(cv2.resize(grey[y : y + height, x : x + width], (width, height)))
    elif kind == 1:  # leaves, hair, gravel
        ink = _field(ink.shape, height * rng.uniform(0.1, 0.6), rng.standard_normal)
        ink = np.clip(rng.uniform(0.5, 3) * ink + rng.uniform(-0.5, 0.5), 0, 1)
    elif kind == 2:  # strokes of a drawing
        for _ in range(int(rng.integers(1, 6))):
            points = (rng.random((int(rng.integers(2, 5)), 2)) * (width, height)).astype(np.int32)
            thick = int(rng.integers(1, max(2, height // 6)))
            cv2.polylines(ink, [points], False, float(rng.uniform(0.4, 1)), thick, cv2.LINE_AA)
    elif kind == 3:  # specks
        for _ in range(int(rng.integers(1, 12))):
            centre = int(rng.integers(width)), int(rng.integers(height))
            radius = int(rng.integers(1, max(2, height // 8)))
            cv2.circle(ink, centre, radius, float(rng.uniform(0.3, 1)), -1, cv2.LINE_AA)
    else:  # edges of frames and shades
        x, y = int(rng.integers(width)), int(rng.integers(height))
        ink[y:, x:] = rng.uniform(0.2, 1)
        ink[: max(1, height // 10)] += rng.uniform(0, 1) * (rng.random() < 0.5)
    return _scanned(rng, np.clip(np.asarray(ink, np.float32), 0, 1), float(height) / 1.6)


def _set(
    rng: np.random.Generator,
    face: Typeface,
    text: str,
    capital: float,
    spacing: float,
    stretch: float,
    style: str,
) -> Coverage:
    """The ink of a line whose capitals have this height, as a printer of a style lays it."""
    if not _has_ink(face, text):  # a neighbour that prints nothing
        return np.zeros((2, 2), np.float32)
    mask = face.set_line(text, spacing).mask
    capital_em = face.glyph("H").mask.shape[0] or EM

    def sized(scale: float) -> tuple[int, int]:
        return max(2, round(mask.shape[1] * scale * stretch)), max(2, round(mask.shape[0] * scale))

    size = sized(capital / capital_em)
    if style == "plain":
        return _share(cv2.resize(mask, size, interpolation=cv2.INTER_AREA))
    dots = int(rng.integers(7, 10) if style == "dots" else rng.integers(11, 20))
    small = cv2.resize(mask, sized(dots / capital_em), interpolation=cv2.INTER_AREA)
    small = (small > rng.uniform(70, 130)).astype(np.uint8) * 255
    if style == "dots":  # each a blob of ink
        small = _blobs(rng, small, max(2, round(capital / dots)))
    shrinks = size[0] < small.shape[1]
    return _share(
        cv2.resize(small, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    )


def _has_ink(face: Typeface, text: str) -> bool:
    return any(face.glyph(letter).mask.size for letter in text)


def _blobs(rng: np.random.Generator, small: Pixels, cell: int) -> Pixels:
    large = np.zeros((small.shape[0] * cell, small.shape[1] * cell), np.uint8)
    radius = max(1, round(rng.uniform(0.42, 0.75) * cell))
    for y, x in zip(*np.nonzero(small), strict=True):
        centre = int((x + 0.5) * cell), int((y + 0.5) * cell)
        cv2.circle(large, centre, radius, 255, -1, cv2.LINE_AA)
    return large


def _share(pixels: NDArray[Any]) -> Coverage:
    return np.asarray(pixels, np.float32) / 255.0


def _add_neighbours(
    rng: np.random.Generator, ink: Coverage, others: Iterator[Coverage], line_height: float
) -> None:
    """Show a little of the lines above and below, cut off at the border."""
    height, width = ink.shape
    for above in (True, False):
        if rng.random() >= 0.6:
            continue
        other = next(others)
        most = max(2, int(0.16 * line_height) + 1)
        shown = min(int(rng.integers(1, most)), other.shape[0], height)
        shift = int(rng.integers(-width // 2, max(1, width // 2)))
        start, end = max(0, shift), min(width, shift + other.shape[1])
        if end > start:
            part = (other[-shown:] if above else other[:shown])[:, start - shift : end - shift]
            rows = slice(0, shown) if above else slice(height - shown, height)
            np.maximum(ink[rows, start:end], part, out=ink[rows, start:end])


def _worn_ink(rng: np.random.Generator, ink: Coverage, capital: float) -> Coverage:
    """Make ink thicker or thinner, and let some of it be missing."""
    draw = rng.random()
    if draw < 0.22:
        soft = cv2.GaussianBlur(ink, (0, 0), max(0.3, capital * rng.uniform(0.01, 0.045)))
        ink = np.clip(soft * rng.uniform(1.3, 2.2), 0, 1)
    elif draw < 0.42:
        soft = cv2.GaussianBlur(ink, (0, 0), max(0.3, capital * rng.uniform(0.01, 0.03)))
        ink = np.clip((soft - rng.uniform(0.1, 0.4)) * 1.4, 0, 1)
    if rng.random() < 0.3:
        gaps = _field(ink.shape, max(1.5, capital * rng.uniform(0.05, 0.6)), rng.random)
        low = rng.uniform(0.0, 0.55)
        ink = ink * np.clip((gaps - low) / max(0.05, (1 - low) * rng.uniform(0.3, 1)), 0.12, 1)
    if rng.random() < 0.12:
        ink = ink * (rng.random(ink.shape, np.float32) > rng.uniform(0.02, 0.25))
    return np.asarray(ink, np.float32)


def _field(shape: tuple[int, ...], cell: float, draw: Callable[..., NDArray[Any]]) -> Coverage:
    """Smooth random numbers, one for each cell of so many pixels."""
    height, width = shape[:2]
    small = draw((max(2, int(height / cell)), max(2, int(width / cell)))).astype(np.float32)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def _turned(rng: np.random.Generator, ink: Coverage) -> Coverage:
    """Skew by about a degree, half of the time."""
    if rng.random() < 0.5:
        return ink
    height, width = ink.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.normal(0, 1.3), 1.0)
    turn[0, 1] += rng.normal(0, 0.04)
    return np.asarray(cv2.warpAffine(ink, turn, (width, height)), np.float32)


def _scanned(rng: np.random.Generator, ink: Coverage, capital: float) -> Pixels:
    """Ink on paper, in grey or colour, with what scanners, cameras and files add."""
    height, width = ink.shape
    grey = rng.random() < 0.7
    paper = rng.uniform(225, 255) if rng.random() < 0.6 else rng.uniform(110, 235)
    contrast = rng.uniform(0.55, 1) if rng.random() < 0.65 else rng.uniform(0.14, 0.55)
    tones = np.array([[paper], [paper * (1 - contrast)]]) + (
        0 if grey else rng.normal(0, 14, (2, 3))
    )
    on, of = np.broadcast_to(tones, (2, 3))[:: 1 if rng.random() > 0.07 else -1].astype(np.float32)
    image = on + (of - on) * ink[..., None]
    if rng.random() < 0.3:  # shade
        across, down = rng.normal(0, 18, 2)
        image = image + across * np.linspace(-0.5, 0.5, width)[None, :, None]
        image = image + down * np.linspace(-0.5, 0.5, height)[:, None, None]
    if rng.random() < 0.2:  # grain of paper
        grain = _field(ink.shape, 4.0, rng.standard_normal)
        image = image + grain[..., None] * rng.uniform(2, 14)
    if rng.random() < 0.5:
        sigma = max(0.25, capital * rng.uniform(0.01, 0.075))
        image = cv2.GaussianBlur(image, (0, 0), sigma)
    if rng.random() < 0.3:
        image = image + rng.normal(0, rng.uniform(2, 14), (height, width, 1 if grey else 3))
    pixels = as_pixels(np.clip(image, 0, 255).astype(np.uint8))
    if rng.random() < 0.4:
        pixels = compress(pixels, int(rng.integers(25, 95)))
    return _prepared(rng, pixels) if rng.random() < 0.65 else pixels


def _prepared(rng: np.random.Generator, pixels: Pixels) -> Pixels:
    """As a reader of pieces prepares them: grey, stretched in contrast, softened a little."""
    grey = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)
    low, high = np.percentile(grey, (1, 99))
    grey = np.clip((grey - low) * (255.0 / max(high - low, 1.0)), 0, 255).astype(np.uint8)
    if np.median(grey) < 128:  # light letters are shown dark
        grey = 255 - grey
    if rng.random() < 0.6:
        grey = cv2.GaussianBlur(grey, (0, 0), max(0.2, grey.shape[0] / 50))
    return as_pixels(np.repeat(grey[..., None], 3, axis=2))
