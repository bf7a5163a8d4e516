"""Tables with known cells on pages that Chromium lays out, and how many cells are found.

Half of the tables have rules (grids, rows, head and foot only, frames, columns, dotted, double),
half have none (blanks or shaded rows part their cells). They stand among headings, paragraphs,
lists and captions. Words come from the page itself, exact or worsened as those that a model reads;
rules are found on the picture. `python -m florence2_lab.suites.tables` prints the shares.
"""

import argparse
import html
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image

from florence2.documents.pdf import PdfFile
from florence2.documents.structure import Cell, Table
from florence2.documents.tables import find_tables
from florence2.geometry import Array, Box, box_iou, box_to_quad
from florence2.pipelines.reading.lines import Line, Word
from florence2.pipelines.reading.rules import find_rules
from florence2_lab.worlds.building.chromium import Chromium

SIDE = 1100  # of the window, pixels of CSS
SCALE = 1.5
PIXELS_PER_POINT = SCALE * 96 / 72
MIN_IOU = 0.3  # of a found table with the true one
NOISE_ANGLE = 1.0  # degrees
MAX_JITTER = 0.08  # of a word's box, in its height
DROPPED = 0.01  # share of words

TEXT = (
    "river copper annual delta harbour method filter engine result margin yellow garden velocity "
    "north table signal depth window output lemon carbon stone total paper winter market second "
    "region a of the in and for with by on to is light valve theory number common station bridge"
)
WORDS = TEXT.split()
UNITS = ("kg", "mm", "%", "s", "kWh", "m²")
RULED = {
    "grid": "border-collapse:collapse|border:1px solid #000",
    "pale grid": "border-collapse:collapse|border:1px solid #ccc",
    "thick grid": "border-collapse:collapse;border:3px solid #333|border:1px solid #666",
    "blue grid": "border-collapse:collapse|border:1px solid #36c",
    "parted grid": "border-spacing:2px|border:1px solid #888",
    "dotted grid": "border-collapse:collapse|border:1px dotted #333",
    "dashed rows": "border-collapse:collapse|border-bottom:1px dashed #333",
    "rows": "border-collapse:collapse|border-bottom:1px solid #bbb",
    "booktabs": "border-collapse:collapse;border-top:2px solid #000;border-bottom:2px solid #000|",
    "double head": "border-collapse:collapse;border-bottom:1px solid #000|",
    "columns": "border-collapse:collapse;border:1px solid #000|border-left:1px solid #000",
    "frame": "border-collapse:collapse;border:1px solid #000|",
}
HEADS = {
    "booktabs": "border-bottom:1px solid #000",
    "double head": "border-bottom:3px double #000;border-top:1px solid #000",
    "columns": "border-bottom:1px solid #000",
    "frame": "border-bottom:1px solid #000",
}
UNRULED = {
    "blank": "border-collapse:collapse|",
    "airy": "border-spacing:12px 4px|",
    "zebra": "border-collapse:collapse|",
    "dark head": "border-collapse:collapse|",
}


@dataclass(frozen=True)
class TruePage:
    """A page whose tables are known.

    Attributes:
        lines: of the page in its pixels.
        picture: uint8 `(H, W)`.
        tables: the true cells of each, without those that hold nothing.
        boxes: of the tables.
        styles: the name of each table's style.
        printed: the page as a PDF, its pixels 1/`PIXELS_PER_POINT` of a point.
    """

    lines: tuple[Line, ...]
    picture: np.ndarray[Any, np.dtype[np.uint8]]
    tables: tuple[tuple[Cell, ...], ...]
    boxes: tuple[Box, ...]
    styles: tuple[str, ...]
    printed: bytes = b""


@dataclass(frozen=True)
class TableShares:
    """How many cells of true tables were found.

    Attributes:
        ruled, unruled: share of cells whose words stand in the right row and column, in [0, 1].
        by_style: the same for each style.
        num_cells: that were looked for.
        num_false: tables found where there is none.
    """

    ruled: float
    unruled: float
    by_style: dict[str, float]
    num_cells: int
    num_false: int


Source = Literal["exact", "worsened", "printed"]
"""Where lines and rules come from: words of the page and its picture, the same worsened as those
that a model reads, or the page printed as a PDF, as `florence2 read` opens it."""


def measure_tables(num_pages: int, *, seed: int = 0, source: Source = "exact") -> TableShares:
    """Find the tables of pages laid out by Chromium, and count the cells in their places.

    A cell counts if a cell of the table found there holds the same words and stands in its row and
    column, or in one that it spans.

    Raises:
        DataError: if no Chromium is installed.
    """
    return shares_of(true_pages(num_pages, seed=seed), seed=seed, source=source)


def shares_of(pages: Iterable[TruePage], *, seed: int = 0, source: Source = "exact") -> TableShares:
    """How many cells of known pages are found; the seed is that of worsening."""
    right: dict[str, list[int]] = {}
    num_false = 0
    for page in pages:
        is_worsened = source == "worsened"
        seen = worsened(page, np.random.default_rng((seed, 7))) if is_worsened else page
        height, width = seen.picture.shape
        if source == "printed":
            found = _found_in_pdf(page.printed)
        else:
            rules = find_rules(seen.picture)
            found = list(find_tables(seen.lines, rules, width=width, height=height))
        overlap = box_iou(list(seen.boxes), [box for _, box in found])
        num_false += int((overlap.max(axis=0, initial=0.0) < MIN_IOU / 3).sum())
        for number, cells in enumerate(seen.tables):
            best = overlap[number].argmax() if found else 0
            is_found = bool(found) and overlap[number, best] >= MIN_IOU
            hits = right_cells(cells, found[best][0]) if is_found else 0
            right.setdefault(seen.styles[number], []).extend((hits, len(cells)))
    by_style = {style: sum(counts[::2]) / sum(counts[1::2]) for style, counts in right.items()}
    return TableShares(
        ruled=_share(right, RULED),
        unruled=_share(right, UNRULED),
        by_style=by_style,
        num_cells=sum(sum(counts[1::2]) for counts in right.values()),
        num_false=num_false,
    )


def _found_in_pdf(printed: bytes) -> list[tuple[Table, Box]]:
    """Tables on the first page of a PDF, their boxes in the pixels of the picture."""
    with PdfFile(printed) as file, file.page(0) as page:
        rules = np.concatenate([page.rules(), page.shades()])
        found = find_tables(page.lines(), rules, width=page.width, height=page.height)
    scaled = [np.array(box) * PIXELS_PER_POINT for _, box in found]
    return [
        (table, (float(box[0]), float(box[1]), float(box[2]), float(box[3])))
        for (table, _), box in zip(found, scaled, strict=True)
    ]


def _share(right: dict[str, list[int]], styles: dict[str, str]) -> float:
    counts = [right[style] for style in styles if style in right]
    return sum(sum(each[::2]) for each in counts) / max(sum(sum(each[1::2]) for each in counts), 1)


def right_cells(cells: Sequence[Cell], table: Table) -> int:
    """Count the true cells that stand at their place, but for a row or column before the first."""
    places: dict[str, list[tuple[int, int]]] = {}
    for cell in table.cells:
        places.setdefault("".join(cell.text.split()), []).append((cell.row, cell.column))
    counts = []
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            counts.append(
                sum(
                    any(
                        0 <= row + down - cell.row < cell.row_span
                        and 0 <= column + right - cell.column < cell.column_span
                        for row, column in places.get("".join(cell.text.split()), ())
                    )
                    for cell in cells
                )
            )
    return max(counts)


def true_pages(num_pages: int, *, seed: int = 0) -> Iterator[TruePage]:
    """Yield pages with one to three tables each, the same for a seed and a Chromium."""
    rng = np.random.default_rng(seed)
    with Chromium(SIDE, SCALE) as chromium:
        made = 0
        while made < num_pages:
            page = _laid_out(chromium, rng)
            if page.tables:
                made += 1
                yield page


def worsened(page: TruePage, rng: np.random.Generator) -> TruePage:
    """The page turned by a degree, boxes shaken, some words lost, lines joined over columns."""
    angle = NOISE_ANGLE * rng.choice((-1, 1))
    height, width = page.picture.shape
    centre = np.array([width / 2, height / 2])
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    turn = np.array([[cos, sin], [-sin, cos]])

    def turned(quad: Array) -> Array:
        result: Array = (quad - centre) @ turn + centre
        return result

    def worse(word: Word) -> Word:
        tall = word.box[3] - word.box[1]
        shake = np.repeat(rng.uniform(-MAX_JITTER, MAX_JITTER, (1, 2)) * tall, 4, axis=0)
        return Word(word.text, turned(word.quad) + shake)

    # By name and not by place, as the cells hold the same words as the lines.
    known = {word: worse(word) for line in page.lines for word in line.words}
    kept = {word for word in known if rng.random() >= DROPPED}
    lines = tuple(
        _line([known[word] for word in line.words if word in kept])
        for line in _joined_over_columns(page.lines)
        if kept.intersection(line.words)
    )
    tables = []
    for cells in page.tables:
        left = [
            (cell, [word for line in cell.lines for word in line.words if word in kept])
            for cell in cells
        ]
        tables.append(
            tuple(
                replace(cell, lines=(_line([known[word] for word in words]),))
                for cell, words in left
                if words
            )
        )
    picture = Image.fromarray(page.picture).rotate(
        -angle, resample=Image.Resampling.BICUBIC, fillcolor=255
    )
    noisy = np.asarray(picture) + rng.normal(0, 4, page.picture.shape)
    return TruePage(
        lines, noisy.clip(0, 255).astype(np.uint8), tuple(tables), page.boxes, page.styles
    )


def _joined_over_columns(lines: Sequence[Line]) -> Iterator[Line]:
    """Lines of words that a reader without eyes for columns takes for one line."""
    waiting: list[Line] = []
    for line in sorted(lines, key=lambda line: (round(line.box[3] / 4), line.box[0])):
        last = waiting[-1].box if waiting else line.box
        tall = line.box[3] - line.box[1]
        if waiting and not (
            abs(last[3] - line.box[3]) < 4 and 0 <= line.box[0] - last[2] < 2 * tall
        ):
            yield _line([word for each in waiting for word in each.words])
            waiting = []
        waiting.append(line)
    if waiting:
        yield _line([word for each in waiting for word in each.words])


def _line(words: Sequence[Word], is_bold: bool = False) -> Line:
    corners = np.stack([words[0].quad[0], words[-1].quad[1], words[-1].quad[2], words[0].quad[3]])
    return Line(" ".join(word.text for word in words), corners, tuple(words), is_bold=is_bold)


_WORDS_OF_PAGE = """
(() => {
  const words = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; node = walker.nextNode();) {
    const block = node.parentElement.closest('p,h1,h2,li,caption,td,th');
    if (!block) continue;
    block.number ??= words.length;
    const bold = +getComputedStyle(node.parentElement).fontWeight >= 600;
    for (const part of node.data.matchAll(/\\S+/g)) {
      const range = document.createRange();
      range.setStart(node, part.index);
      range.setEnd(node, part.index + part[0].length);
      const r = range.getClientRects()[0];
      const box = [r.left, r.top, r.right, r.bottom];
      words.push({text: part[0], box, block: block.number, bold});
    }
  }
  const tables = [...document.querySelectorAll('table')].map(table => {
    const r = (table.tBodies[0] ?? table).getBoundingClientRect();
    const cells = [...table.querySelectorAll('td,th')].map(cell => ({
      row: +cell.dataset.r, column: +cell.dataset.c, row_span: cell.rowSpan,
      column_span: cell.colSpan, block: cell.number ?? -1}));
    return {style: table.title, box: [r.left, r.top, r.right, r.bottom], cells};
  });
  return {words, tables};
})()
"""


def _laid_out(chromium: Chromium, rng: np.random.Generator) -> TruePage:
    chromium.show(_document(rng))
    told = chromium.run(_WORDS_OF_PAGE)
    shown = [table for table in told["tables"] if max(table["box"]) < SIDE]
    hidden = {
        cell["block"]
        for table in told["tables"]
        if max(table["box"]) >= SIDE
        for cell in table["cells"]
    }
    if hidden:  # a table that the window cuts is no fair question
        return TruePage((), np.zeros((1, 1), np.uint8), (), (), ())
    lines: dict[int, list[Line]] = {}
    for word in told["words"]:
        if word["box"][3] < SIDE:
            box = tuple(float(value) * SCALE for value in word["box"])
            made = _line([Word(word["text"], box_to_quad(box))], word["bold"])
            own = lines.setdefault(word["block"], [])
            if own and own[-1].box[2] <= made.box[0] and abs(own[-1].box[3] - made.box[3]) < 4:
                own[-1] = _line([*own[-1].words, *made.words], word["bold"])
            else:
                own.append(made)
    tables, boxes = [], []
    for table in shown:
        cells = [
            Cell(
                row=cell["row"],
                column=cell["column"],
                box=(0.0, 0.0, 0.0, 0.0),
                lines=tuple(lines[cell["block"]]),
                row_span=cell["row_span"],
                column_span=cell["column_span"],
            )
            for cell in table["cells"]
            if cell["block"] in lines
        ]
        tables.append(tuple(cells))
        x_min, y_min, x_max, y_max = (float(value) * SCALE for value in table["box"])
        boxes.append((x_min, y_min, x_max, y_max))
    return TruePage(
        tuple(line for own in lines.values() for line in own),
        np.asarray(Image.fromarray(chromium.picture()).convert("L")),
        tuple(tables),
        tuple(boxes),
        tuple(table["style"] for table in shown),
        chromium.printed(SIDE),
    )


def _document(rng: np.random.Generator) -> str:
    font = rng.choice(
        ("DejaVu Sans", "DejaVu Serif", "DejaVu Sans Condensed", "serif", "sans-serif")
    )
    parts = [_prose(rng)]
    for _ in range(rng.integers(1, 4)):
        parts += [_table(rng), _prose(rng)]
    margin = rng.integers(20, 80)
    body = "\n".join(parts)
    return (
        f"<style>body{{margin:{margin}px;font:{rng.integers(11, 17)}px '{font}'}}"
        f"table{{margin:{rng.integers(8, 24)}px {rng.choice(('0', 'auto'))}}}</style>{body}"
    )


def _prose(rng: np.random.Generator) -> str:
    parts = []
    for _ in range(rng.integers(1, 3)):
        kind = rng.choice(("p", "h2", "list"), p=(0.6, 0.2, 0.2))
        if kind == "list":
            items = "".join(f"<li>{_words(rng, 3, 14)}</li>" for _ in range(rng.integers(2, 6)))
            parts.append(f"<ol>{items}</ol>" if rng.random() < 0.5 else f"<ul>{items}</ul>")
        else:
            parts.append(f"<{kind}>{_words(rng, *((15, 70) if kind == 'p' else (2, 6)))}</{kind}>")
    return "".join(parts)


def _words(rng: np.random.Generator, low: int, high: int) -> str:
    words = list(rng.choice(WORDS, rng.integers(low, high + 1)))
    return " ".join([str(words[0]).capitalize(), *words[1:]])


def _table(rng: np.random.Generator) -> str:
    styles = RULED if rng.random() < 0.5 else UNRULED
    style = str(rng.choice(list(styles)))
    whole, each = styles[style].split("|")
    num_columns = int(rng.integers(2, 13)) if rng.random() < 0.3 else int(rng.integers(2, 7))
    num_rows = int(rng.integers(12, 41)) if rng.random() < 0.1 else int(rng.integers(3, 10))
    size = int(rng.integers(9, 16)) if num_columns > 6 else int(rng.integers(10, 17))
    down, across = rng.integers(1, 8), rng.integers(4, 14)
    if rng.random() < 0.4:
        whole += f";width:{rng.integers(50, 100)}%"
    name = f"t{rng.integers(1 << 30)}"
    rules = [
        f"#{name}{{{whole};font-size:{size}px}}",
        f"#{name} :is(td,th){{{each};padding:{down}px {across}px;"
        f"vertical-align:{rng.choice(('top', 'middle'))}}}",
        f"#{name} th{{{HEADS.get(style, '')};text-align:{rng.choice(('left', 'center'))};"
        f"font-weight:{rng.choice(('bold', 'normal'))}}}",
    ]
    if style == "zebra":
        rules.append(f"#{name} tr:nth-child(even){{background:{rng.choice(('#eee', '#dde8f4'))}}}")
    if style == "dark head":
        rules.append(f"#{name} th{{background:#345;color:#fff}}")
    kinds = [
        str(rng.choice(("name", "number", "amount", "code", "text", "short")))
        for _ in range(num_columns)
    ]
    kinds[0] = str(rng.choice(("name", "code", "short")))
    if num_columns > 6:
        kinds = ["short" if kind in ("text", "name") else kind for kind in kinds]
    rows = [*_head(rng, kinds), *_body(rng, kinds, num_rows)]
    caption = f"<caption>Table {rng.integers(1, 20)}. {_words(rng, 3, 9)}</caption>"
    return (
        f"<style>{''.join(rules)}</style><table id={name} title='{style}'>"
        f"{caption if rng.random() < 0.4 else ''}<tbody>{_numbered(rows)}</tbody></table>"
    )


def _head(rng: np.random.Generator, kinds: Sequence[str]) -> list[list[tuple[str, str]]]:
    """The header's rows; a cell is its attributes and its text."""
    names = [("h", _words(rng, 1, 2)) for _ in kinds]
    if len(kinds) < 4 or rng.random() < 0.75:
        return [names]
    wide = int(rng.integers(2, len(kinds) - 1))
    upper = [("h rowspan=2", names[0][1]), (f"h colspan={wide}", _words(rng, 1, 2))]
    upper += [("h rowspan=2", text) for _, text in names[1 + wide :]]
    return [upper, names[1 : 1 + wide]]


def _body(
    rng: np.random.Generator, kinds: Sequence[str], num_rows: int
) -> list[list[tuple[str, str]]]:
    empty = rng.choice((0.0, 0.0, 0.1))
    rows = []
    spanned = 0
    spans = rng.random() < 0.15
    for number in range(num_rows):
        row = [
            (f"d class={kind}", "" if column and rng.random() < empty else _value(rng, kind))
            for column, kind in enumerate(kinds)
        ]
        if spanned:
            row, spanned = row[1:], spanned - 1
        elif spans and number + 2 < num_rows:
            spanned = 1
            row[0] = ("d rowspan=2", row[0][1])
        rows.append(row)
    return rows


def _value(rng: np.random.Generator, kind: str) -> str:
    if kind == "number":
        return f"{rng.integers(0, 10 ** int(rng.integers(1, 6)))}"
    if kind == "amount":
        return f"{rng.uniform(0, 2000):,.2f}"
    if kind == "code":
        return f"{rng.choice(list('ABKX'))}{rng.integers(10, 9999)}"
    if kind == "text":
        return _words(rng, 2, 14)
    if kind == "short":
        return str(rng.choice(WORDS)) if rng.random() < 0.8 else str(rng.choice(UNITS))
    return _words(rng, 1, 3)


def _numbered(rows: Sequence[Sequence[tuple[str, str]]]) -> str:
    """Rows as HTML whose cells know their row and column."""
    taken: set[tuple[int, int]] = set()
    lines = []
    for number, row in enumerate(rows):
        cells = []
        column = 0
        for attributes, text in row:
            while (number, column) in taken:
                column += 1
            spans = dict(part.split("=") for part in attributes.split()[1:])
            for down in range(int(spans.get("rowspan", 1))):
                for right in range(int(spans.get("colspan", 1))):
                    taken.add((number + down, column + right))
            kind = spans.get("class", "")
            align = " style='text-align:right'" if kind in ("number", "amount") else ""
            cells.append(
                f"<t{attributes} data-r={number} data-c={column}{align}>{html.escape(text)}"
            )
        lines.append(f"<tr>{''.join(cells)}")
    return "".join(lines)


def main() -> None:
    """Print the shares of exact words, of worsened ones and of printed pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.pages < 1:
        parser.error(f"--pages must be 1 or more; got {options.pages}")
    pages = list(true_pages(options.pages, seed=options.seed))
    for source in get_args(Source):
        shares = shares_of(pages, seed=options.seed, source=source)
        print(source, f"cells {shares.num_cells}")
        print(f"  ruled {shares.ruled:.3f}  unruled {shares.unruled:.3f}  false {shares.num_false}")
        for style, share in sorted(shares.by_style.items()):
            print(f"    {style:12s} {share:.3f}")


if __name__ == "__main__":
    main()
