"""Headers, footers and page numbers: what stands at the edges of a page and comes back on others.

Pages are looked at in a window, so that a document of any length is marked in the same memory.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from functools import lru_cache

from florence2.documents.structure import Block, BlockKind, Page
from florence2.geometry import Box

EDGE = 0.13  # share of the height of a page in which furniture stands, at the top and at the bottom
NEIGHBOURS = 4  # pages before and behind a page that are looked at: both sides of a chapter's start
MAX_BLOCKS = 4  # looked at, at each edge
MAX_LINES = 3  # of a block
SAME_HEIGHT = 0.02  # by how much of the height of the page the place may differ
MIN_LETTERS, MAX_LETTERS = 8, 120  # of texts that may be alike without being the same
ALIKE = 0.8  # share of letters that agree in two readings of the same line
_NUMBER = r"(?:\d{1,4}|[ivxlcdm]{1,8}|[IVXLCDM]{1,8})"
_PAGE = r"(?:page|pages|p\.|pp\.|seite|s\.|página|pagina|pág\.|pag\.|sida|side|strona)"
_OF = r"(?:of|/|von|de|sur|di|van|af|av|z)"
_LONE = re.compile(
    rf"[\s\-–—|\[(]*(?P<word>{_PAGE}\s*)?(?P<number>{_NUMBER})(?P<of>\s*{_OF}\s*\d{{1,4}})?[\s\-–—|\])]*",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"\d+")
_NUMBERS = re.compile(r"\b\d{1,9}\b")
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100, "d": 500, "m": 1000}


@dataclass(frozen=True)
class _Candidate:
    """A block at an edge of a page.

    Attributes:
        place: of the block on its page.
        at_top: at which edge.
        height: of its middle, in the height of the page.
        key: its letters, every number the same.
        numbers: in its text, those that are whole words.
        lone: the number that is all of it.
        outer: the numbers that it begins or ends with.
        is_large: whether its letters are larger than those of the page, and it is no row with
            something at either end.
        is_figure: whether it is a picture.
    """

    place: int
    at_top: bool
    height: float
    box: Box
    key: str
    numbers: tuple[int, ...]
    lone: int | None
    outer: tuple[int, ...]
    is_large: bool
    is_figure: bool


def mark_furniture(pages: Iterable[Page]) -> Iterator[Page]:
    """Mark what is repeated at the edges of pages as headers and footers.

    A block near the top or the bottom is marked where it stands as high and reads alike on two
    others of the four pages before and the four behind it (chapters, and left and right pages, have
    their own), or on one where its number grows with the pages; other numbers are the same.
    Letters may differ a little, as a model reads them. A heading in large letters must be the same,
    numbers too. A number alone is a page's where it grows with the pages, where it says so ("Page
    3", "3 of 7"), or where it stands alone in the middle at the very bottom. Only blocks of at most
    three lines are marked, and never a part of one, so paragraphs that begin alike stay.

    Args:
        pages: in order.

    Yields:
        The pages in order, at most four behind the one that was taken last; the blocks stay where
        they stand and keep their text, of kind "header" or "footer" with level 0.
    """
    window: deque[tuple[Page, list[_Candidate]]] = deque()
    behind = 0  # pages of the window that are given out
    for page in pages:
        window.append((page, _candidates(page)))
        if len(window) - behind > NEIGHBOURS:
            yield _marked(window, behind)
            behind += 1
        if behind > NEIGHBOURS:
            window.popleft()
            behind -= 1
    while behind < len(window):
        yield _marked(window, behind)
        behind += 1
        if behind > NEIGHBOURS:
            window.popleft()
            behind -= 1


def _marked(window: Sequence[tuple[Page, list[_Candidate]]], number: int) -> Page:
    """A page of the window with its furniture marked."""
    page, candidates = window[number]
    others = [
        (place - number, each)
        for place, (_, each) in enumerate(window)
        if place != number and abs(place - number) <= NEIGHBOURS
    ]
    kinds: dict[int, BlockKind] = {}
    for candidate in candidates:
        if _is_furniture(candidate, others, page):
            kinds[candidate.place] = "header" if candidate.at_top else "footer"
    if not kinds:
        return page
    blocks = [
        replace(block, kind=kinds[place], level=0, marker="", text=_whole_text(block))
        if place in kinds
        else block
        for place, block in enumerate(page.blocks)
    ]
    return replace(page, blocks=tuple(blocks))


def _whole_text(block: Block) -> str:
    return f"{block.marker} {block.text}" if block.marker else block.text


def _candidates(page: Page) -> list[_Candidate]:
    """Blocks at the edges that may be furniture, with nothing between them and the edge."""
    if page.height <= 0:
        return []
    found: list[_Candidate] = []
    size = _letter_size(page.blocks)
    heights = [(block.box[1] + block.box[3]) / 2 / page.height for block in page.blocks]
    for at_top in (True, False):
        order = sorted(range(len(heights)), key=lambda place: heights[place], reverse=not at_top)
        for place in order[:MAX_BLOCKS]:
            block, height = page.blocks[place], heights[place]
            if (height if at_top else 1 - height) > EDGE:
                break
            if block.kind == "table" or len(block.lines) > MAX_LINES:
                break
            if any(candidate.place == place for candidate in found):
                continue
            text = _whole_text(block)
            if not text and block.kind != "figure":
                continue
            found.append(
                _Candidate(
                    place=place,
                    at_top=at_top,
                    height=height,
                    box=block.box,
                    key=_DIGITS.sub("#", "".join(text.casefold().split())),
                    numbers=tuple(int(digits) for digits in _NUMBERS.findall(text)),
                    lone=_lone_number(text),
                    outer=tuple(int(each) for each in _outer(text) if _NUMBERS.fullmatch(each)),
                    is_large=_letter_size([block]) > 1.15 * size and not _is_spread(block),
                    is_figure=block.kind == "figure",
                )
            )
    return found


def _is_spread(block: Block) -> bool:
    """Whether a text takes much more width than its letters need."""
    letters = max((len(line.text) for line in block.lines), default=0)
    return block.box[2] - block.box[0] > 0.8 * letters * _letter_size([block])


def _outer(text: str) -> set[str]:
    words = text.split()
    return {words[0], words[-1]} if words else set()


def _letter_size(blocks: Sequence[Block]) -> float:
    """The size of most letters of blocks."""
    letters: dict[float, int] = {}
    for block in blocks:
        for line in block.lines:
            size = line.font_size or line.letter_height
            letters[size] = letters.get(size, 0) + len(line.text)
    half, total = sum(letters.values()) / 2, 0
    for size in sorted(letters):
        total += letters[size]
        if total >= half:
            return size
    return 0.0


def _lone_number(text: str) -> int | None:
    """The page number that is all of a text."""
    match = _LONE.fullmatch(text)
    if match is None:
        return None
    digits = match["number"].casefold()
    if digits.isdigit():
        return int(digits)
    values = [_ROMAN[letter] for letter in digits]
    following = [*values[1:], 0]
    return sum(-a if a < b else a for a, b in zip(values, following, strict=True))


def _is_furniture(
    candidate: _Candidate, others: Sequence[tuple[int, list[_Candidate]]], page: Page
) -> bool:
    if candidate.lone is not None and _is_page_number(candidate, others, page):
        return True
    alike = [
        (step, other) for step, there in others for other in there if _is_alike(candidate, other)
    ]
    if any(_counts(candidate, other, step) for step, other in alike):
        return True
    # A page number in the text may be misread: then those of other pages count.
    is_numbered = any(
        _counts(one, other, there - here)
        for here, one in alike
        for there, other in alike
        if here < there
    )
    same = [step for step, other in alike if is_numbered or candidate.numbers == other.numbers]
    return len(set(same)) > 1 or (not candidate.is_large and _is_counted(candidate, others))


def _is_counted(candidate: _Candidate, others: Sequence[tuple[int, list[_Candidate]]]) -> bool:
    """Whether a number at either end of a text is the page's, as numbers on two others say.

    So the first page of a chapter is known, whose header is not that of the pages beside it.
    """
    return any(
        sum(
            any(
                number + step in other.outer
                and other.at_top == candidate.at_top
                and abs(other.height - candidate.height) <= SAME_HEIGHT
                for other in there
            )
            for step, there in others
        )
        > 1
        for number in candidate.outer
    )


def _is_page_number(
    candidate: _Candidate, others: Sequence[tuple[int, list[_Candidate]]], page: Page
) -> bool:
    for step, there in others:
        for other in there:
            if (
                other.at_top == candidate.at_top
                and other.lone is not None
                and candidate.lone is not None
                and other.lone - candidate.lone == step
                and abs(other.height - candidate.height) < 2 * SAME_HEIGHT
            ):
                return True
    match = _LONE.fullmatch(_whole_text(page.blocks[candidate.place]))
    if match and (match["word"] or match["of"]):
        return True
    x_min, _, x_max, _ = candidate.box
    is_middle = abs((x_min + x_max) / 2 - page.width / 2) < 0.05 * page.width
    return is_middle and candidate.height > 0.9 and len(page.blocks) > 1


def _is_alike(a: _Candidate, b: _Candidate) -> bool:
    """Whether two blocks of different pages are the same piece of furniture."""
    if a.at_top != b.at_top or abs(a.height - b.height) > SAME_HEIGHT:
        return False
    if a.is_figure or b.is_figure:
        width = max(a.box[2] - a.box[0], 1e-9)
        near = all(abs(x - y) < 0.05 * width for x, y in zip(a.box, b.box, strict=True))
        return a.is_figure and b.is_figure and near
    if a.is_large and a.numbers != b.numbers:
        return False
    if a.key == b.key:
        return any(letter.isalpha() for letter in a.key)
    if min(len(a.key), len(b.key)) < MIN_LETTERS or max(len(a.key), len(b.key)) > MAX_LETTERS:
        return False
    return _are_alike(a.key, b.key)


@lru_cache(maxsize=1024)
def _are_alike(a: str, b: str) -> bool:
    """Whether two texts may be two readings of the same one; the same ones come again and again."""
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    return matcher.real_quick_ratio() >= ALIKE and matcher.ratio() >= ALIKE


def _counts(a: _Candidate, b: _Candidate, step: int) -> bool:
    """Whether one of the numbers in a text grows as the pages do, the others staying."""
    if a.is_large or a.key != b.key or len(a.numbers) != len(b.numbers):
        return False
    steps = [there - here for here, there in zip(a.numbers, b.numbers, strict=True)]
    return sorted(map(abs, steps)) == [0] * (len(steps) - 1) + [abs(step)] and step in steps
