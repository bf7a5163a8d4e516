"""Lines of text on pictures, in any script for which the machine has a font.

Pillow's own font looks the same everywhere but has little beyond ASCII; texts that need more are
set in the first known font of the system that has all their characters. A character that no font
has is drawn as an empty box.
"""

import math
from collections.abc import Iterable
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from florence2.geometry import Colour

# Tried in this order after Pillow's own font: first those of many alphabets, then those of
# Chinese, Japanese and Korean, then those of single scripts.
SYSTEM_FONTS = (
    *("DejaVuSans", "NotoSans-Regular", "LiberationSans-Regular", "Arial", "segoeui", "Helvetica"),
    *("NotoSansCJK-Regular", "NotoSansCJKsc-Regular", "wqy-microhei", "wqy-zenhei"),
    *("DroidSansFallbackFull", "PingFang", "msyh", "msgothic", "malgun", "AppleGothic"),
    *("Arial Unicode", "NotoSansDevanagari-Regular", "Nirmala", "NotoSansThai-Regular"),
    *("NotoSansArabic-Regular", "unifont"),
)
ELLIPSIS = "..."  # three full stops: the one character is missing in Pillow's own font

# Height of capitals as a share of the font size, near enough for all of these fonts.
_CAPITALS = 0.72


class TextRenderer:
    """One font size and one font for some texts, or the best for each where no font has them all.

    Args:
        texts: all that will be measured and painted.
        size: font size in pixels.
    """

    def __init__(self, texts: Iterable[str], size: int) -> None:
        self._size = size
        self._family = _family_for("".join(texts))

    def width(self, text: str) -> int:
        """Width in pixels of one line."""
        return math.ceil(self._font(text).getlength(text))

    def paint(self, canvas: Image.Image, text: str, place: tuple[int, int], colour: Colour) -> None:
        """Paint one line that begins at `place`, `(x, y)` with the middle of its capitals at y."""
        baseline = place[1] + round(_CAPITALS * self._size / 2)
        pen = ImageDraw.Draw(canvas)
        pen.text((place[0], baseline), text, colour, self._font(text), anchor="ls")

    def ellipsized(self, text: str, max_width: int) -> str:
        """The text if it fits a width, else as much of it as does, one character at least."""
        if self.width(text) <= max_width:
            return text
        return text[: self._fitting(text, max_width, ELLIPSIS)].rstrip() + ELLIPSIS

    def wrapped(self, text: str, max_width: int) -> list[str]:
        """Lines of a text; words longer than a line, and scripts without spaces, are cut."""
        lines: list[str] = []
        for paragraph in text.splitlines():
            line = ""
            for word in one_line(paragraph).split():
                if line and self.width(f"{line} {word}") <= max_width:
                    line = f"{line} {word}"
                    continue
                if line:
                    lines.append(line)
                while self.width(word) > max_width and len(word) > 1:
                    count = self._fitting(word, max_width)
                    lines.append(word[:count])
                    word = word[count:]
                line = word
            if line:
                lines.append(line)
        return lines

    def _font(self, text: str) -> ImageFont.FreeTypeFont:
        has_all = all(_has(self._family, char) for char in text)
        font = _font(self._family if has_all else _family_for(text), self._size)
        assert font, "only fonts that exist are chosen"
        return font

    def _fitting(self, text: str, max_width: int, ending: str = "") -> int:
        """How many first characters fit a width with an ending, 1 at least and never all."""
        low, high = 1, max(1, len(text) - 1)
        while low < high:
            count = (low + high + 1) // 2
            if self.width(text[:count].rstrip() + ending) <= max_width:
                low = count
            else:
                high = count - 1
        return low


def one_line(text: str) -> str:
    """Text with spaces for line breaks and for characters that are not to be shown."""
    return "".join(char if char.isprintable() else " " for char in text).strip()


@lru_cache(maxsize=256)
def _font(family: str, size: int) -> ImageFont.FreeTypeFont | None:
    """A font of the system, or Pillow's own if the name is empty; `None` if there is none."""
    try:
        font = ImageFont.truetype(family, size) if family else ImageFont.load_default(size)
    except OSError:
        return None
    return font if isinstance(font, ImageFont.FreeTypeFont) else None


@lru_cache(maxsize=10_000)
def _has(family: str, char: str) -> bool:
    """Whether a font has a character: whether it looks other than one that no font has."""
    font = _font(family, 16)
    if font is None:
        return False
    glyph, absent = font.getmask(char), font.getmask("\U0010ffff")
    return (glyph.size, bytes(glyph)) != (absent.size, bytes(absent))


def _family_for(text: str) -> str:
    """The first font that has all characters of a text, else the first that has most of them."""
    chars = {char for char in text if char.isprintable()}  # fonts choke on line breaks
    best, most = "", -1
    for family in ("", *SYSTEM_FONTS):
        count = sum(_has(family, char) for char in chars)
        if count > most:
            best, most = family, count
        if most == len(chars):
            break
    return best
