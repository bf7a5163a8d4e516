"""Characters of a PDF page, and the words and lines that they make.

PDFium gives characters in the order of the file, with blanks and line ends of its own making. Its
blanks are taken where text runs as the file's own x axis does, which it is made for; line ends
come from where the letters stand. Characters that run otherwise it sorts by x, whatever they are:
those are put into the order of their lines here.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from florence2.documents.pdf_objects import Frame
from florence2.documents.pdfium import each, each_of, function, numbers
from florence2.geometry import Array, box_to_quad
from florence2.pipelines.reading.lines import Line, Source, Word

UNREADABLE = "\N{REPLACEMENT CHARACTER}"
WORD_GAP = 0.35
"""Blank without a character for it, in letter sizes, that parts words."""
LINE_GAP, SURE_LINE_GAP = 1.25, 2.0
"""Blank that parts lines where it is twice the others of its line; that parts them always."""
JOIN_GAP = 0.6
"""Blank over which pieces are joined that the file does not give one after the other."""
ROW_SHIFT = 0.3
"""Between the feet of pieces of one line, in letter sizes."""
MAX_SHIFT = 0.5
"""Of the foot of a letter against that of the one before it, as in x², in letter sizes."""
SAME_DIRECTION = float(np.cos(np.radians(3.0)))
LEVEL = float(np.sin(np.radians(5.0)))
NOTE_AFTER = 4
"""Letters of a word, from which on a raised number behind it is a footnote's and no power."""
CAPITAL_HEIGHT = 0.7
MAX_STACK_STEP = 1.35
"""From one lone letter to the next below it, in letter sizes."""
_FILLED_AND_DRAWN, _INVISIBLE = 2, 3
_TALL = frozenset("ABCDEFGHIJKLMNOPRSTUVWXYZ0123456789bdfhkl")
_BOLD_NAME = re.compile(r"bold|black|heavy|demi(?!light)|cmb|cmssbx|sfb|ecbx|lmbx", re.IGNORECASE)
_FORCE_BOLD = 1 << 18
# Of the fonts Symbol and Wingdings, and of TeX's companion fonts, which say no better.
_BULLETS = {0x88: "•", 0xF0B7: "•", 0xF0A7: "▪", 0xF0D8: "➢", 0xF0FC: "✓", 0xF06F: "○", 0xF0A8: "□"}


@dataclass(frozen=True, eq=False)
class Letters:
    """Characters with ink, in the order of the file.

    Attributes:
        texts: one or more characters each.
        indices: int64 `(N,)`, PDFium's numbers of them.
        objects: int64 `(N,)`, addresses of the text objects that they are from.
        tight, loose: float64 `(N, 4)` boxes of their ink, and of their places in the font, on the
            page that is shown.
        feet: float64 `(N, 2)` where they stand on their line.
        after_blank: bool `(N,)`, whether the file has a blank before them.
        after_made_blank: the same of blanks that PDFium made up.
        ends_line: bool `(N,)`, of hyphens at a line's end.
    """

    texts: list[str]
    indices: NDArray[np.int64]
    objects: NDArray[np.int64]
    tight: Array
    loose: Array
    feet: Array
    after_blank: NDArray[np.bool_]
    after_made_blank: NDArray[np.bool_]
    ends_line: NDArray[np.bool_]

    def __getitem__(self, chosen: NDArray[np.intp]) -> "Letters":
        """Some letters, in another order."""
        return Letters(
            [self.texts[number] for number in chosen],
            *(getattr(self, name)[chosen] for name in list(self.__dataclass_fields__)[1:]),
        )


def read_letters(text_page: int, frame: Frame) -> Letters:
    """All characters of a page that have a place on what is shown of it."""
    count = max(0, function("FPDFText_CountChars")(text_page))
    indices = range(count)
    codes = np.array(each("FPDFText_GetUnicode", text_page, indices), np.int64)
    handles = each("FPDFText_GetTextObject", text_page, indices)
    objects = np.array([handle or 0 for handle in handles], np.int64)
    texts = list(map(_text_of, codes.tolist()))
    _pair_surrogates(codes, texts)
    is_hyphen = np.zeros(count, np.bool_)
    for index in np.flatnonzero((codes == 2) | (codes == 0xFFFE) | (codes == 0xAD)):
        if codes[index] == 0xAD or function("FPDFText_IsHyphen")(text_page, int(index)):
            is_hyphen[index], texts[index] = codes[index] != 0xAD, "-"
    is_blank = np.array([each == " " for each in texts], np.bool_)
    kept = np.array([bool(each) for each in texts], np.bool_) & ~is_blank & (objects != 0)
    chosen = np.flatnonzero(kept)
    pages, numbers_ = [text_page] * len(chosen), chosen.tolist()
    left, right, low, high = numbers(
        "FPDFText_GetCharBox", pages, numbers_, count=4, kind=np.float64, pointers=4
    ).T
    tight = np.stack([left, low, right, high], axis=1)
    loose = numbers("FPDFText_GetLooseCharBox", pages, numbers_, count=4, kind=np.float32)
    feet = numbers("FPDFText_GetCharOrigin", pages, numbers_, count=2, kind=np.float64, pointers=2)
    letters = Letters(
        texts=[texts[number] for number in numbers_],
        indices=chosen.astype(np.int64),
        objects=objects[chosen],
        tight=frame.boxes(tight),
        loose=frame.boxes(loose.astype(np.float64)),
        feet=frame.points(feet),
        after_blank=_any_between(is_blank & (objects != 0), chosen),
        after_made_blank=_any_between(is_blank & (objects == 0), chosen),
        ends_line=is_hyphen[chosen],
    )
    return letters[np.flatnonzero(_has_place(letters, frame))]


def _any_between(flags: NDArray[np.bool_], chosen: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Whether a flag stands between each of those chosen and the one before."""
    before = np.concatenate([[0], np.cumsum(flags)])[chosen]
    any_between: NDArray[np.bool_] = np.diff(before, prepend=0) > 0
    return any_between


@cache
def _text_of(code: int) -> str:
    """What a code is written as: nothing for what has no ink, one blank for any white space."""
    letter = chr(code) if code <= 0x10FFFF else UNREADABLE
    if letter in "\r\n":
        return ""
    if code in (9, 32) or (letter.isspace() and code > 32):
        return " "
    if 0xFB00 <= code <= 0xFB06:
        return unicodedata.normalize("NFKC", letter)
    if code in _BULLETS:
        return _BULLETS[code]
    kind = unicodedata.category(letter)
    if kind == "Cf":
        return letter if code in (0x200C, 0x200D) else ""
    return UNREADABLE if kind in ("Cc", "Cs") or code & 0xFFFE == 0xFFFE else letter


def _pair_surrogates(codes: NDArray[np.int64], texts: list[str]) -> None:
    """Write the two halves of a character into the place of the first."""
    for first in np.flatnonzero((codes[:-1] & ~0x3FF) == 0xD800):
        if codes[first + 1] & ~0x3FF == 0xDC00:
            pair = 0x10000 + ((codes[first] & 0x3FF) << 10) + (codes[first + 1] & 0x3FF)
            texts[first], texts[first + 1] = _text_of(int(pair)), ""


def _has_place(letters: Letters, frame: Frame) -> NDArray[np.bool_]:
    """Whether letters stand on what is shown; mends boxes without a size from the loose ones."""
    empty = (letters.tight[:, 2:] - letters.tight[:, :2]).min(axis=1, initial=np.inf) <= 1e-3
    unreadable = np.array([each == UNREADABLE for each in letters.texts], np.bool_)
    letters.tight[empty] = letters.loose[empty]
    centres = (letters.tight[:, :2] + letters.tight[:, 2:]) / 2
    inside = ((centres >= 0) & (centres <= (frame.width, frame.height))).all(axis=1)
    has_place: NDArray[np.bool_] = inside & ~(unreadable & empty)  # or a blank of an unknown code
    return has_place


@dataclass(frozen=True, eq=False)
class Pens:
    """How letters are written; each array has a row for each letter.

    Attributes:
        directions: float64 `(N, 2)` of length 1 on the page that is shown, to the next letter.
        sizes: float64 `(N,)` of the font in units of the page.
        are_plain: bool `(N,)`, whether they run as the x axis of the page's own space does.
        are_stacked: bool `(N,)`, whether they stand upright below each other, as in Japanese books.
        are_hidden, are_bold: bool `(N,)`.
    """

    directions: Array
    sizes: Array
    are_plain: NDArray[np.bool_]
    are_stacked: NDArray[np.bool_]
    are_hidden: NDArray[np.bool_]
    are_bold: NDArray[np.bool_]


def read_pens(text_page: int, letters: Letters, frame: Frame) -> Pens:
    """How the letters of a page are written, asked once for each text object."""
    handles, firsts, which = np.unique(letters.objects, return_index=True, return_inverse=True)
    pages, indices = [text_page] * len(handles), letters.indices[firsts].tolist()
    matrices = numbers("FPDFText_GetMatrix", pages, indices, count=6, kind=np.float32)
    along, up = (
        frame.directions(matrices[:, first : first + 2].astype(np.float64)) for first in (0, 2)
    )
    lengths = np.hypot(*along.T)
    directions = np.where(lengths[:, None] > 0, along, (1.0, 0.0))
    directions /= np.hypot(*directions.T)[:, None]
    font_sizes = np.array(list(map(function("FPDFText_GetFontSize"), pages, indices)), np.float64)
    sizes = abs(font_sizes) * np.hypot(*up.T)
    heights = (letters.loose[:, 2:] - letters.loose[:, :2])[firsts].min(axis=1, initial=np.inf)
    sizes = np.where(sizes > 0.1, sizes, np.maximum(heights, 0.1))
    modes = np.array(each_of("FPDFTextObj_GetTextRenderMode", handles.tolist()), np.intp)
    fonts = [font or 0 for font in each_of("FPDFTextObj_GetFont", handles.tolist())]
    bold_fonts = {font: _is_bold(font) for font in set(fonts)}
    are_bold = np.array([bold_fonts[font] for font in fonts], np.bool_) | (
        modes == _FILLED_AND_DRAWN
    )
    are_plain = (matrices[:, 0] > 0) & (abs(matrices[:, 1]) <= LEVEL * matrices[:, 0])
    directions, sizes = directions[which], sizes[which]
    stacked = _are_stacked(letters, directions, sizes, which)
    return Pens(
        directions=np.where(stacked[:, None], _across(directions), directions),
        sizes=sizes,
        are_plain=are_plain[which] & ~stacked,
        are_stacked=stacked,
        are_hidden=(modes == _INVISIBLE)[which],
        are_bold=are_bold[which],
    )


def _across(directions: Array) -> Array:
    """Directions turned by a right angle clockwise: from a letter's top to its foot."""
    return np.stack([-directions[:, 1], directions[:, 0]], axis=1)


def _are_stacked(
    letters: Letters, directions: Array, sizes: Array, which: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Whether letters of one object, or lone wide letters, follow each other downwards."""
    if len(which) < 2:
        return np.zeros(len(which), np.bool_)
    centres = (letters.loose[:, :2] + letters.loose[:, 2:]) / 2
    steps = np.diff(centres, axis=0)
    along = abs((steps * directions[1:]).sum(axis=1)) / sizes[1:]
    down = (steps * _across(directions)[1:]).sum(axis=1) / sizes[1:]
    goes_down = (along < 0.3) & (down > 0.5)
    same = which[1:] == which[:-1]
    objects = np.bincount(which)
    pairs = np.bincount(which[1:][same], minlength=len(objects))
    downward = np.bincount(which[1:][same & goes_down], minlength=len(objects))
    stacked = ((downward * 2 > pairs) & (pairs > 0))[which]
    lone = objects[which] == 1
    if lone.any():
        wide = np.array([unicodedata.east_asian_width(text[0]) == "W" for text in letters.texts])
        alone = lone & wide
        column = np.flatnonzero(alone[1:] & alone[:-1] & goes_down & (down < MAX_STACK_STEP))
        stacked[column] = stacked[column + 1] = True
    return stacked


def _is_bold(font: int) -> bool:
    if not font:
        return False
    name = np.zeros(128, np.uint8)
    function("FPDFFont_GetBaseFontName")(font, name.ctypes.data, len(name))
    if _BOLD_NAME.search(name.tobytes().split(b"\0")[0].decode("latin-1")):
        return True
    flags = max(0, function("FPDFFont_GetFlags")(font))
    return bool(flags & _FORCE_BOLD) or function("FPDFFont_GetWeight")(font) >= 600


# ---- lines


@dataclass(frozen=True, eq=False)
class _Places:
    """Where letters are, in their own directions.

    Attributes:
        centres, halves: float64 `(N, 2)` of the places in the font; halves are along and across.
        ink_centres, ink_halves: the same of the ink.
        feet: float64 `(N, 2)` where they stand on their line.
    """

    centres: Array
    halves: Array
    ink_centres: Array
    ink_halves: Array
    feet: Array


def _places(letters: Letters, pens: Pens) -> _Places:
    along, across = pens.directions, _across(pens.directions)
    is_level = abs(along[:, 1]) <= LEVEL
    is_upright = abs(along[:, 0]) <= LEVEL
    found = []
    for boxes in (letters.loose, letters.tight):
        halves = (boxes[:, 2:] - boxes[:, :2]) / 2
        centres = boxes[:, :2] + halves
        found += [centres, np.where(is_upright[:, None], halves[:, ::-1], halves)]
    feet = np.where(pens.are_stacked[:, None], found[0], letters.feet)
    for number in np.flatnonzero(~is_level & ~is_upright):
        # A box around a slanting letter says little: letters reach to the next one.
        reach = pens.sizes[number] / 2
        if number + 1 < len(feet) and letters.objects[number + 1] == letters.objects[number]:
            step = float((feet[number + 1] - feet[number]) @ along[number])
            reach = step if 0 < step < 2 * pens.sizes[number] else reach
        middle = (
            feet[number] + along[number] * reach / 2 - across[number] * pens.sizes[number] * 0.25
        )
        for centres, halves in (found[:2], found[2:]):
            centres[number], halves[number] = middle, (reach / 2, pens.sizes[number] / 2)
    return _Places(found[0], found[1], found[2], found[3], feet)


@dataclass(frozen=True, eq=False)
class _Piece:
    """Letters of one line, or a part of it.

    Attributes:
        words: numbers of the letters of each word.
        direction: `(2,)` of length 1.
        start, end, foot: along and across the direction.
    """

    words: tuple[NDArray[np.intp], ...]
    direction: Array
    size: float
    start: float
    end: float
    foot: float
    is_hidden: bool
    is_stacked: bool
    is_from_right: bool


def lines_of(letters: Letters, pens: Pens, drawn: dict[int, int] | None = None) -> tuple[Line, ...]:
    """Lines in the order of the file; those that are turned in that of their reading.

    Args:
        drawn: of text objects, by address, the order in which they are drawn; asked for where
            some letters are not plain.
    """
    if not letters.texts:
        return ()
    order = np.arange(len(letters.texts))
    turned = np.flatnonzero(~pens.are_plain)
    if len(turned) and drawn is not None:
        ranks = np.array([drawn.get(handle, 0) for handle in letters.objects[turned].tolist()])
        order[turned] = turned[np.argsort(ranks, kind="stable")]
    places = _places(letters, pens)
    from_right = np.array([_runs_from_right(text) for text in letters.texts], np.intp)
    pieces = _joined(list(_pieces(letters, pens, places, order, from_right)))
    if (from_right > 0).any():
        pieces = [_in_logical_order(piece, letters.texts, from_right, places) for piece in pieces]
    return tuple(_as_lines(_in_reading_order(pieces), letters, pens, places))


def _pieces(
    letters: Letters,
    pens: Pens,
    places: _Places,
    order: NDArray[np.intp],
    from_right: NDArray[np.intp],
) -> Iterator[_Piece]:
    """Cut letters in an order where a line or a column ends."""
    now, before = order[1:], order[:-1]
    along = pens.directions[now]
    across = _across(along)
    sizes = np.maximum(pens.sizes[now], pens.sizes[before])
    step = places.centres[now] - places.centres[before]
    reach = places.halves[now, 0] + places.halves[before, 0]
    forward = (step * along).sum(axis=1)
    gaps = (forward - reach) / sizes
    if (from_right > 0).any():
        either = (from_right[now] > 0) | (from_right[before] > 0)
        either |= (from_right[now] == 0) & (from_right[before] == 0)
        gaps = np.where(either, (abs(forward) - reach) / sizes, gaps)
    rises = ((places.feet[before] - places.feet[now]) * across).sum(axis=1) / sizes
    shifts = abs(rises)
    same = (along * pens.directions[before]).sum(axis=1) >= SAME_DIRECTION
    same &= pens.are_stacked[now] == pens.are_stacked[before]
    same &= pens.are_hidden[now] == pens.are_hidden[before]
    new_line = ~same | (shifts > MAX_SHIFT) | (gaps > SURE_LINE_GAP) | (gaps < -1.0)
    new_line |= letters.ends_line[before]
    new_word = letters.after_blank[now] | (letters.after_made_blank & pens.are_plain)[now]
    new_word |= gaps > WORD_GAP
    new_word |= _begin_notes(letters, pens, rises, order)
    cuts = np.flatnonzero(new_line | new_word)
    lines = _cut_at_columns(cuts.tolist(), new_line[cuts].tolist(), gaps[cuts].tolist(), len(order))
    yield from _as_pieces(lines, order, pens, places, from_right)


def _begin_notes(
    letters: Letters, pens: Pens, rises: Array, order: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Whether letters are the number of a footnote behind a word: small, raised, not as in km²."""
    texts = [letters.texts[number] for number in order.tolist()]
    are_alpha = np.array([each.isalpha() for each in texts], np.bool_)
    after_word = are_alpha[:-1].copy()
    for back in range(1, NOTE_AFTER):
        after_word[back:] &= are_alpha[: -1 - back]
        after_word[:back] = False
    smaller = pens.sizes[order[1:]] < 0.85 * pens.sizes[order[:-1]]
    are_digits = np.array([each.isdigit() for each in texts[1:]], np.bool_)
    return smaller & are_digits & (rises > 0.2) & after_word


def _cut_at_columns(
    cuts: list[int], ends_line: list[bool], gaps: list[float], count: int
) -> list[list[int]]:
    """Cut lines into words, and where a blank is that of a column.

    Args:
        cuts: numbers of letters with a word's end behind them.
        ends_line, gaps: of each cut, whether it is that of a line, and its width in letter sizes.

    Returns:
        For each line the numbers at which its words begin, and the number behind its last letter.
    """
    lines: list[list[int]] = []
    words, blanks = [0], [0.0]
    for cut, ends, gap in zip([*cuts, count - 1], [*ends_line, True], [*gaps, 0.0], strict=True):
        words.append(cut + 1)
        if not ends:
            blanks.append(gap)
            continue
        small = sorted(gap for gap in blanks[1:] if gap <= LINE_GAP)
        widest = max(LINE_GAP, 2 * small[len(small) // 2] if small else 0.6)
        line = [words[0]]
        for begin, gap in zip(words[1:-1], blanks[1:], strict=True):
            line.append(begin)
            if gap > widest:
                lines.append(line)
                line = [begin]
        lines.append([*line, words[-1]])
        words, blanks = [cut + 1], [0.0]
    return lines


@cache
def _runs_from_right(text: str) -> int:
    """1 for letters of scripts that are written from the right, -1 for those from the left."""
    kind = unicodedata.bidirectional(text[0])
    return 1 if kind in ("R", "AL") else -1 if kind == "L" else 0


def _as_pieces(
    lines: list[list[int]],
    order: NDArray[np.intp],
    pens: Pens,
    places: _Places,
    from_right: NDArray[np.intp],
) -> Iterator[_Piece]:
    firsts = np.array([line[0] for line in lines], np.intp)
    leaders = order[firsts]
    directions = pens.directions[leaders]
    along = np.repeat(directions, np.diff([*firsts, len(order)]), axis=0)
    middles = (places.centres[order] * along).sum(axis=1)
    halves = places.halves[order, 0]
    starts = np.minimum.reduceat(middles - halves, firsts).tolist()
    ends = np.maximum.reduceat(middles + halves, firsts).tolist()
    sides = np.add.reduceat(from_right[order], firsts).tolist()
    feet = (places.feet[order] * _across(along)).sum(axis=1).tolist()
    sizes = pens.sizes[order].tolist()
    for number, line in enumerate(lines):
        yield _Piece(
            words=tuple(order[first:last] for first, last in pairwise(line)),
            direction=directions[number],
            size=_middle(sizes[line[0] : line[-1]]),
            start=starts[number],
            end=ends[number],
            foot=_middle(feet[line[0] : line[-1]]),
            is_hidden=bool(pens.are_hidden[leaders[number]]),
            is_stacked=bool(pens.are_stacked[leaders[number]]),
            is_from_right=sides[number] > 0,
        )


def _in_logical_order(
    piece: _Piece, texts: Sequence[str], from_right: NDArray[np.intp], places: _Places
) -> _Piece:
    """Words, and letters in them, as they are read, by where they stand.

    PDFium puts letters of scripts from the right into that order, but not their words, nor the
    full stop behind them.
    """
    numbers_ = np.concatenate(piece.words)
    sides = from_right[numbers_]
    if not (sides > 0).any():
        return piece
    along = dict(zip(numbers_.tolist(), places.centres[numbers_] @ piece.direction, strict=True))

    def side(part: Sequence[int]) -> int:
        """1 and -1 as `_runs_from_right`; numbers are written from the left."""
        kinds = [-1 if texts[each][0].isdigit() else int(from_right[each]) for each in part]
        return 1 if 1 in kinds else min(kinds)

    def ordered(parts: Sequence[Sequence[int]], is_from_right: bool) -> Iterator[Sequence[int]]:
        """Parts from where reading begins, with runs of the other side turned around."""
        first = -1 if is_from_right else 1
        seen = sorted(parts, key=lambda part: first * along[part[0]])
        kinds, at = list(map(side, seen)), 0
        while at < len(seen):
            end = at + 1
            if kinds[at] == first:
                stop = next((n for n in range(end, len(seen)) if kinds[n] == -first), len(seen))
                end = max(n for n in range(at, stop) if kinds[n] == first) + 1
            yield from reversed(seen[at:end])
            at = end

    words = []
    for word in ordered([word.tolist() for word in piece.words], sum(sides) > 0):
        if side(word) == 1:
            units: list[list[int]] = []  # letters with the marks on them
            for letter in word:
                if units and unicodedata.combining(texts[letter][0]):
                    units[-1].append(letter)
                else:
                    units.append([letter])
            word = [each for unit in ordered(units, True) for each in unit]
        words.append(np.array(word, np.intp))
    return replace(piece, words=tuple(words))


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def _rows(pieces: Sequence[_Piece]) -> Iterator[list[int]]:
    """Numbers of pieces that stand on one line, from first to last; lines from top to bottom."""
    row: list[int] = []
    for number in sorted(range(len(pieces)), key=lambda number: pieces[number].foot):
        if row and pieces[number].foot - pieces[row[0]].foot > ROW_SHIFT * pieces[row[0]].size:
            yield sorted(row, key=lambda number: pieces[number].start)
            row = []
        row.append(number)
    if row:
        yield sorted(row, key=lambda number: pieces[number].start)


def _by_direction(pieces: Sequence[_Piece]) -> list[list[int]]:
    """Numbers of pieces, those of one direction together."""
    found: dict[tuple[int, bool, bool], list[int]] = defaultdict(list)
    for number, piece in enumerate(pieces):
        angle = round(float(np.degrees(np.arctan2(*piece.direction[::-1])))) % 360
        found[angle, piece.is_stacked, piece.is_hidden].append(number)
    return list(found.values())


def _joined(pieces: list[_Piece]) -> list[_Piece]:
    """Join pieces that stand close on one line and that the file gives apart."""
    follows: dict[int, int] = {}  # the piece after a piece
    for numbers_ in _by_direction(pieces):
        group = [pieces[number] for number in numbers_]
        for row in _rows(group):
            for first, second in pairwise(row):
                size = min(group[first].size, group[second].size)
                gap = group[second].start - group[first].end
                if -0.25 * size <= gap <= JOIN_GAP * size:
                    follows[numbers_[first]] = numbers_[second]
    if not follows:
        return pieces
    chains: dict[int, list[int]] = {}
    for first in sorted(set(range(len(pieces))) - set(follows.values())):
        chain = [first]
        while chain[-1] in follows:
            chain.append(follows[chain[-1]])
        chains[min(chain)] = chain
    return [_join([pieces[number] for number in chains[first]]) for first in sorted(chains)]


def _join(parts: list[_Piece]) -> _Piece:
    """One piece of several that follow each other."""
    whole = parts[0]
    for part in parts[1:]:
        before, after = (part, whole) if whole.is_from_right else (whole, part)
        words = list(before.words)
        if part.start - whole.end < 0.1 * min(part.size, whole.size):
            words[-1:] = [np.concatenate([words[-1], after.words[0]])]
            words += after.words[1:]
        else:
            words += after.words
        whole = replace(
            whole,
            words=tuple(words),
            size=max(part, whole, key=lambda each: each.end - each.start).size,
            start=min(part.start, whole.start),
            end=max(part.end, whole.end),
        )
    return whole


def _in_reading_order(pieces: list[_Piece]) -> list[_Piece]:
    """Turned pieces line by line, each kind in the places that its pieces have among all."""
    ordered = list(pieces)
    for numbers_ in _by_direction(pieces):
        group = [pieces[number] for number in numbers_]
        if group[0].is_stacked or group[0].direction[0] < np.sqrt(1 - LEVEL**2):
            read = (group[number] for row in _rows(group) for number in row)
            for number, piece in zip(numbers_, read, strict=True):
                ordered[number] = piece
    return ordered


def _as_lines(
    pieces: list[_Piece], letters: Letters, pens: Pens, places: _Places
) -> Iterator[Line]:
    words = [word for piece in pieces for word in piece.words]
    firsts = np.cumsum([0, *map(len, words)])
    numbers_ = np.concatenate(words)
    ends = np.cumsum([0, *(len(piece.words) for piece in pieces)]).tolist()  # of lines, in words
    along = np.array([piece.direction for piece in pieces])
    along = np.repeat(along, np.diff(firsts[ends]), axis=0)
    word_quads = _quads(numbers_, along, pens, places, firsts[:-1])
    line_quads = _quads(numbers_, along, pens, places, firsts[ends[:-1]])
    texts = [letters.texts[number] for number in numbers_.tolist()]
    heights = (2 * places.ink_halves[numbers_, 1]).tolist()
    sizes = pens.sizes[numbers_].tolist()
    are_bold = pens.are_bold[numbers_].tolist()
    bounds = firsts.tolist()
    for number, piece in enumerate(pieces):
        found = tuple(
            Word("".join(texts[bounds[each] : bounds[each + 1]]), word_quads[each])
            for each in range(ends[number], ends[number + 1])
        )
        line = range(bounds[ends[number]], bounds[ends[number + 1]])
        # Boxes of hidden letters are not those of ink.
        tall = [heights[each] for each in line if texts[each] in _TALL and not piece.is_hidden]
        source: Source = "hidden text layer" if piece.is_hidden else "text layer"
        yield Line(
            text=" ".join(word.text for word in found),
            quad=line_quads[number],
            words=found,
            source=source,
            letter_height=_middle(tall) if tall else CAPITAL_HEIGHT * piece.size,
            font_size=_middle(sizes[line.start : line.stop]),
            is_bold=2 * sum(are_bold[line.start : line.stop]) > len(line),
        )


def _quads(
    numbers_: NDArray[np.intp],
    along: Array,
    pens: Pens,
    places: _Places,
    firsts: NDArray[np.intp],
) -> Array:
    """Corners `(W, 4, 2)` around the ink of runs of letters, from the top of each first one.

    Args:
        numbers_: of letters.
        along: `(N, 2)`, the directions of their lines.
        firsts: where each run begins.
    """
    across = _across(along)
    middles = places.ink_centres[numbers_]
    middles = np.stack([(middles * along).sum(axis=1), (middles * across).sum(axis=1)], axis=1)
    halves = places.ink_halves[numbers_]
    low = np.minimum.reduceat(middles - halves, firsts)
    high = np.maximum.reduceat(middles + halves, firsts)
    corners = box_to_quad(np.concatenate([low, high], axis=1))
    turned = corners[..., :1] * along[firsts, None] + corners[..., 1:] * across[firsts, None]
    stacked = pens.are_stacked[numbers_[firsts]]  # letters are not turned, only their order is
    turned[stacked] = np.roll(turned[stacked], 1, axis=1)
    quads: Array = turned
    return quads


def cut_at_rules(lines: tuple[Line, ...], rules: Array) -> tuple[Line, ...]:
    """Cut level lines between words where an upright rule, the side of a cell, parts them.

    Args:
        rules: boxes `(N, 4)`.
    """
    sides = rules[(rules[:, 3] - rules[:, 1]) > (rules[:, 2] - rules[:, 0])]
    if not len(sides):
        return lines
    return tuple(part for line in lines for part in _parts(line, sides))


def _parts(line: Line, sides: Array) -> Iterator[Line]:
    middle = (line.box[1] + line.box[3]) / 2
    near = sides[(sides[:, 1] <= middle) & (middle <= sides[:, 3])]
    places = (near[:, 0] + near[:, 2]) / 2
    if not len(places) or len(line.words) < 2 or abs(line.angle) > 1:
        yield line
        return
    begin = 0
    for number, (before, after) in enumerate(pairwise(line.words), start=1):
        low, high = sorted([before.box[0::2], after.box[0::2]])
        if ((places >= low[1] - 1) & (places <= high[0] + 1)).any():
            yield _part(line, begin, number)
            begin = number
    yield _part(line, begin, len(line.words))


def _part(line: Line, begin: int, end: int) -> Line:
    words = line.words[begin:end]
    if len(words) == len(line.words):
        return line
    corners = np.concatenate([word.quad for word in words])
    box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    return replace(
        line, text=" ".join(word.text for word in words), quad=box_to_quad(box), words=words
    )
