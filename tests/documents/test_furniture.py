"""Headers, footers and page numbers on documents whose furniture is known."""

import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from florence2.documents.furniture import NEIGHBOURS, mark_furniture
from florence2.documents.structure import Block, BlockKind, Page
from florence2.geometry import Box, box_to_quad
from florence2.pipelines.reading.lines import Line

WIDTH, HEIGHT = 600.0, 800.0


def block(
    text: str, y: float, *, kind: BlockKind = "paragraph", size: float = 10.0, x: float = 50.0
) -> Block:
    """A block whose lines are those of the text, y its top."""
    lines = []
    for row, each in enumerate(text.split("\n")):
        top = y + 13 * row
        box = (x, top, x + size / 2 * len(each), top + size)
        lines.append(Line(each, box_to_quad(box), (), None, "text layer", 0.7 * size, size))
    right, bottom = max(one.box[2] for one in lines), lines[-1].box[3]
    return Block(kind, (x, y, right, bottom), tuple(lines), text, int(kind == "heading"))


def body(number: int) -> Block:
    return block(f"Text of page {number} that says something\n" * 20 + "and ends.", 120)


def page(number: int, *blocks: Block) -> Page:
    return Page(number=number, width=WIDTH, height=HEIGHT, blocks=blocks, source="text layer")


def marked(pages: Sequence[Page]) -> list[list[str]]:
    """The furniture of each page, as `header: text`."""
    out = list(mark_furniture(pages))
    assert [one.number for one in out] == [one.number for one in pages]
    for before, after in zip(pages, out, strict=True):
        assert [each.lines for each in before.blocks] == [each.lines for each in after.blocks]
    return [
        [f"{each.kind}: {each.text}" for each in one.blocks if each.kind in ("header", "footer")]
        for one in out
    ]


def middle(text: str, y: float) -> Block:
    return block(text, y, x=300 - 2.5 * len(text))


def chapters(number: int) -> Page:
    """Even pages tell the book, odd ones the chapter, with numbers; a chapter begins without."""
    name = f"Chapter {number // 8 + 1}: {['Foxes', 'Hens', 'Geese', 'Dogs'][number // 8]}"
    if number % 8 == 1:
        return page(
            number,
            block(str(number), 30, x=540),
            block(name, 100, kind="heading", size=20),
            body(number),
        )
    text = f"{number} A Book of Beasts" if number % 2 == 0 else f"{name} {number}"
    return page(number, block(text, 30), body(number))


def test_left_and_right_pages_and_chapters_have_their_own_header() -> None:
    pages = [chapters(number) for number in range(1, 30)]
    wanted = [[f"header: {one.blocks[0].text}"] for one in pages]
    assert marked(pages) == wanted


def test_footers_and_numbers_in_words() -> None:
    pages = [
        page(n, block("Made Things Ltd.", 30), body(n), block(f"Page {n} of 3", 760))
        for n in (1, 2, 3)
    ]
    assert marked(pages) == [
        ["header: Made Things Ltd.", f"footer: Page {n} of 3"] for n in (1, 2, 3)
    ]


@pytest.mark.parametrize(
    "numbers",
    [["4", "5", "6"], ["iii", "iv", "v"], ["- 9 -", "- 10 -", "- 11 -"], ["IX", "X", "XI"]],
    ids=str,
)
def test_numbers_alone_that_grow_with_the_pages(numbers: list[str]) -> None:
    pages = [page(n + 1, body(n), block(text, 760, x=530)) for n, text in enumerate(numbers)]
    assert marked(pages) == [[f"footer: {text}"] for text in numbers]


def test_a_header_is_known_though_a_model_misread_some_letters() -> None:
    texts = ["The History of Foxes", "The Hist0ry of Foxes", "The History of Foxcs"]
    pages = [page(n + 1, block(text, 30 + n), body(n)) for n, text in enumerate(texts)]
    assert marked(pages) == [[f"header: {text}"] for text in texts]


def test_a_picture_that_comes_back_is_a_header() -> None:
    logo: Box = (450, 20, 560, 60)
    pages = [page(n, Block("figure", logo), body(n)) for n in (1, 2, 3)]
    assert marked(pages) == [["header: "]] * 3
    other = [page(n, Block("figure", (50 + 40 * n, 20, 560, 60)), body(n)) for n in (1, 2, 3)]
    assert marked(other) == [[]] * 3


def test_a_list_item_that_is_a_footer_keeps_its_marker_in_the_text() -> None:
    item = replace(block("Confidential papers", 760, kind="list item"), marker="•", level=1)
    out = list(mark_furniture([page(n, body(n), item) for n in (1, 2, 3)]))
    assert [(one.blocks[1].text, one.blocks[1].level) for one in out] == [
        ("• Confidential papers", 0)
    ] * 3


def alike(number: int) -> Block:
    """A paragraph that begins as those of the other pages do."""
    rest = f"but of number {number * 17} more was never heard\n" * 4
    return block(f"Note that the value of entry {number} is as follows,\n{rest}so it is.", 30)


NOTHING: dict[str, Callable[[int], Page]] = {
    "paragraphs that begin alike": lambda n: page(n, alike(n), body(n)),
    "steps as headings": lambda n: page(
        n, block(f"Step {n}", 40, kind="heading", size=20), body(n)
    ),
    "in the middle of the page": lambda n: page(n, body(n), block("Made Things Ltd.", 420)),
    "different headings": lambda n: page(
        n, block(["Foxes", "Hens", "Geese", "Dogs", "Cats"][n % 5], 40, kind="heading"), body(n)
    ),
    "amounts at the bottom": lambda n: page(n, body(n), block(f"{n * 37 % 11}", 760, x=530)),
    "another place on each": lambda n: page(
        n, block("Made Things Ltd.", 20 + 25 * (n % 4)), body(n)
    ),
    "numbers of another row": lambda n: page(n, block(f"{n * n + 3} 000 foxes", 40), body(n)),
}


@pytest.mark.parametrize("made", NOTHING.values(), ids=NOTHING)
def test_what_is_no_furniture_stays(made: Callable[[int], Page]) -> None:
    assert marked([made(number) for number in range(1, 4)]) == [[]] * 3


def test_a_heading_that_comes_back_once_is_no_header() -> None:
    heading = block("Examples", 40, kind="heading")
    others = [page(n, body(n)) for n in range(3, 9)]
    assert marked([page(1, heading, body(1)), page(2, heading, body(2)), *others]) == [[]] * 8


@pytest.mark.parametrize(
    ("blocks", "wanted"),
    [
        ([block("Made Things Ltd.", 30), body(1), middle("7", 770)], ["footer: 7"]),
        ([block("Made Things Ltd.", 30), body(1), block("Page 7", 770)], ["footer: Page 7"]),
        ([body(1), block("2019", 770, x=500)], []),
        ([middle("7", 770)], []),
        ([middle("7", 30), body(1)], []),
        ([], []),
    ],
    ids=["number", "in words", "at a side", "alone", "at the top", "empty"],
)
def test_of_a_single_page_only_what_is_sure(blocks: list[Block], wanted: list[str]) -> None:
    assert marked([page(1, *blocks)]) == [wanted]


def test_pages_without_size_and_pages_that_could_not_be_read() -> None:
    pages = [Page(1, 0.0, 0.0, error="damaged"), Page(2, WIDTH, HEIGHT), page(3, body(3))]
    assert list(mark_furniture(pages)) == pages
    assert list(mark_furniture([])) == []


def test_no_more_pages_are_taken_than_are_needed() -> None:
    taken = 0

    def pages() -> Iterator[Page]:
        nonlocal taken
        for number in range(1, 201):
            taken = number
            yield chapters(number % 28 + 1)

    for given, _ in enumerate(mark_furniture(pages()), 1):
        assert taken <= given + NEIGHBOURS
    assert given == 200


def test_pages_are_let_go_of() -> None:
    alive = weakref.WeakSet[Page]()

    def pages() -> Iterator[Page]:
        for number in range(100):
            made = chapters(number % 28 + 1)
            alive.add(made)
            yield made
            del made

    for _ in mark_furniture(pages()):
        assert len(alive) <= 2 * NEIGHBOURS + 2
