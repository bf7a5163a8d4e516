"""Open fonts, cut down to Latin-1 and typographic punctuation."""

import hashlib
import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from florence2_lab.worlds.building.packages import Package, fetch_npm

# Families of the npm scope @expo-google-fonts, each with the version that was looked at. All state
# "OFL-1.1" or "Apache-2.0" for the font files.
_FAMILY_ROWS = """
abril-fatface=0.4.1 afacad=0.4.1 albert-sans=0.4.2 alegreya=0.4.2 almarai=0.4.1 amatic-sc=0.4.2
anonymous-pro=0.4.1 anton=0.4.2 archivo=0.4.2 archivo-black=0.4.1 arimo=0.4.3 asap=0.4.3
atkinson-hyperlegible=0.4.1 audiowide=0.4.1 bangers=0.4.1 barlow=0.4.1 barlow-condensed=0.4.1
bebas-neue=0.4.1 bitter=0.4.2 bodoni-moda=0.4.2 bricolage-grotesque=0.4.1 bungee=0.4.1
cabin=0.4.2 cambo=0.4.1 cardo=0.4.1 carter-one=0.4.1 caveat=0.4.2 chakra-petch=0.4.1 chewy=0.4.0
cinzel=0.4.2 comfortaa=0.4.2 comic-neue=0.4.1 cormorant-garamond=0.4.1 courier-prime=0.4.1
crimson-text=0.4.0 dancing-script=0.4.2 darker-grotesque=0.4.2 dm-mono=0.4.2 dm-sans=0.4.2
dm-serif-display=0.4.2 domine=0.4.2 eb-garamond=0.4.3 epilogue=0.4.2 exo-2=0.4.2 figtree=0.4.1
fira-code=0.4.1 fira-sans=0.4.1 fraunces=0.4.1 fredoka=0.4.1 geist=0.4.2 gloria-hallelujah=0.4.1
gochi-hand=0.4.2 hind=0.4.1 ibm-plex-mono=0.4.1 ibm-plex-sans=0.4.1 ibm-plex-serif=0.4.1
inconsolata=0.4.2 indie-flower=0.4.1 instrument-serif=0.4.1 inter=0.4.2 italiana=0.4.1
jetbrains-mono=0.4.1 josefin-sans=0.4.2 jost=0.4.2 kalam=0.4.1 kanit=0.4.1 karla=0.4.2
lato=0.4.1 league-gothic=0.4.2 lexend=0.4.1 libre-baskerville=0.4.3 libre-franklin=0.4.2
lilita-one=0.4.1 lobster=0.4.1 lora=0.4.2 luckiest-guy=0.4.1 manrope=0.4.2 marck-script=0.4.1
martian-mono=0.4.2 maven-pro=0.4.1 merriweather=0.4.2 montserrat=0.4.2 mulish=0.4.2
newsreader=0.4.1 nunito=0.4.2 oleo-script=0.4.1 open-sans=0.4.2 orbitron=0.4.2 oswald=0.4.2
outfit=0.4.3 overpass=0.4.2 oxygen=0.4.1 pacifico=0.4.1 patrick-hand=0.4.1
permanent-marker=0.4.0 playfair-display=0.4.2 playpen-sans=0.4.1 poppins=0.4.1
press-start-2p=0.4.1 pt-sans=0.4.1 pt-serif=0.4.1 public-sans=0.4.2 quicksand=0.4.1
rajdhani=0.4.1 raleway=0.4.2 righteous=0.4.1 roboto=0.4.3 roboto-mono=0.4.2 roboto-slab=0.4.2
rubik=0.4.2 russo-one=0.4.1 saira=0.4.2 satisfy=0.4.1 schoolbell=0.4.0 shadows-into-light=0.4.1
share-tech-mono=0.4.1 source-code-pro=0.4.1 source-sans-3=0.4.1 source-serif-4=0.4.1
space-grotesk=0.4.1 space-mono=0.4.2 special-elite=0.4.1 spectral=0.4.1 syne=0.4.2 teko=0.4.1
tenor-sans=0.4.1 titillium-web=0.4.1 unbounded=0.4.1 urbanist=0.4.2 varela-round=0.4.1
vt323=0.4.1 work-sans=0.4.2 young-serif=0.4.0 zilla-slab=0.4.1
"""
FAMILIES = dict(row.split("=") for row in _FAMILY_ROWS.split())
WEIGHTS = ("400Regular", "700Bold")
ASCII = "".join(map(chr, range(33, 127)))
# Latin-1 without control characters, and what typographers and shops add to it.
WANTED = "".join(map(chr, [*range(0x20, 0x7F), *range(0xA0, 0x100)])) + "–—‘’“”•…€™"
HELD_OUT_PERCENT = 15
# Letters whose small form looks different from the capital in every ordinary typeface.
TELLING_LETTERS = "abdeghqr"


@dataclass(frozen=True)
class BuiltFont:
    """One subset font ready for the kit."""

    family: str
    weight: str
    capitals_only: bool  # small letters are drawn as capitals
    missing: str  # characters of the wanted set that the font lacks
    licence: str  # SPDX
    copyright: str
    package: Package
    data: bytes


def held_out_family(family: str) -> bool:
    """Tell whether training never sees this family, by a hash of the name."""
    digest = hashlib.sha256(family.encode()).digest()
    return int.from_bytes(digest[:4], "big") % 100 < HELD_OUT_PERCENT


@dataclass(frozen=True)
class _Subset:
    data: bytes
    missing: str
    copyright: str


def _subset(path: Path) -> _Subset | None:
    """Cut a font file down; return None if it does not cover ASCII."""
    from fontTools import subset  # type: ignore[import-untyped]
    from fontTools.ttLib import TTFont  # type: ignore[import-untyped]

    logging.getLogger("fontTools").setLevel(logging.ERROR)  # it tells what is cut away
    font = TTFont(path, recalcTimestamp=False)  # the same package gives the same bytes
    missing = "".join(char for char in WANTED if ord(char) not in font.getBestCmap())
    if set(missing) & set(ASCII):
        return None
    notice = font["name"].getDebugName(0) or ""
    options = subset.Options(
        hinting=False, layout_features=[], name_IDs=[0, 13, 14], notdef_outline=True
    )
    cutter = subset.Subsetter(options)
    cutter.populate(text=WANTED)
    cutter.subset(font)
    file = io.BytesIO()
    font.save(file)
    return _Subset(file.getvalue(), missing, " ".join(notice.split()))


def _shape(font: ImageFont.FreeTypeFont, letter: str) -> np.ndarray:
    """Draw a letter stretched to a fixed square, so that only its shape counts."""
    picture = Image.new("L", (200, 200))
    ImageDraw.Draw(picture).text((70, 140), letter, 255, font, anchor="ls")
    return np.asarray(picture.crop(picture.getbbox()).resize((32, 32))) > 127


def draws_capitals(family: str, data: bytes) -> bool:
    """Tell whether small letters are drawn as capitals: by their shapes, or as the name says, where
    the small ones were drawn anew by hand.
    """
    if family.endswith("-sc"):
        return True
    font = ImageFont.truetype(io.BytesIO(data), 64, layout_engine=ImageFont.Layout.BASIC)
    same = 0
    for letter in TELLING_LETTERS:
        small, capital = _shape(font, letter), _shape(font, letter.upper())
        same += (small & capital).sum() / (small | capital).sum() > 0.8
    return bool(same > len(TELLING_LETTERS) // 2)


def build_fonts(cache: Path) -> Iterator[BuiltFont]:
    """Yield the regular and the bold font of every family that has them."""
    for family, version in FAMILIES.items():
        package = fetch_npm(f"@expo-google-fonts/{family}", version, cache)
        licence = package.licence.removeprefix("MIT AND ")
        for weight in WEIGHTS:
            path = next(package.folder.rglob(f"*_{weight}.ttf"), None)
            cut = path and _subset(path)
            if cut:
                yield BuiltFont(
                    family=family,
                    weight=weight,
                    capitals_only=draws_capitals(family, cut.data),
                    missing=cut.missing,
                    licence=licence,
                    copyright=cut.copyright,
                    package=package,
                    data=cut.data,
                )
