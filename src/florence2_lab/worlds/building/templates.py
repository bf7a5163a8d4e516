"""Our own web pages: HTML filled with the kit's words, in its fonts, colours and pictures.

A template returns the inside of `<body>`. Texts stand in the document as they are shown: nothing
is added or changed by the style (no `::before`, no `text-transform`, no numbered lists), so that
what the document says is what a reader sees.
"""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import TypeVar

import numpy as np

from florence2.errors import DataError
from florence2.geometry import Colour
from florence2_lab.worlds.colours import contrasting_colour, luminance, random_colour
from florence2_lab.worlds.kit import Kit, Split
from florence2_lab.worlds.layouts import LABELS, THANKS, TOTALS
from florence2_lab.worlds.screens import BUTTONS, MENUS, OPTIONS
from florence2_lab.worlds.writing import WRITERS, random_word

MONO = ("mono", "code")  # in the names of families whose letters are equally wide
TRIES = 20  # to write a text that the fonts can print
MUTED = 0.68  # share of the ink in the colour of small print
DARK = 0.2  # chance of a dark page
TINTED = 0.25  # chance of coloured paper

_T = TypeVar("_T")


class Copywriter:
    """Draws texts, fonts, colours and pictures for one page."""

    def __init__(self, rng: np.random.Generator, kit: Kit, split: Split) -> None:
        fonts = kit.fonts_of(split)
        if not fonts:
            raise DataError(f"kit {str(kit.path)!r} has no fonts for split {split!r}")
        self.rng, self.kit, self.split = rng, kit, split
        mono = [font for font in fonts if any(name in font.family for name in MONO)]
        self.body = self.any_of(fonts)
        self.title = self.any_of(fonts) if self.chance(0.5) else self.body
        self.mono = self.any_of(mono or fonts)
        used = (self.body, self.title, self.mono)
        self.missing = frozenset("".join(font.missing for font in used))
        self.capitals = any(font.capitals_only for font in used)

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def some(self, low: int, high: int) -> range:
        """A range of so many, both ends possible."""
        return range(int(self.rng.integers(low, high + 1)))

    def any_of(self, items: Sequence[_T]) -> _T:
        return items[int(self.rng.integers(len(items)))]

    def shown(self, text: str) -> str:
        """A text as the fonts show it, as HTML; signs that they lack are left out."""
        text = text.upper() if self.capitals else text
        return escape(" ".join("".join(sign for sign in text if sign not in self.missing).split()))

    def write(self, kind: str) -> str:
        """A text of a kind of `WRITERS`, as HTML."""
        for _ in range(TRIES):
            text = self.shown(WRITERS[kind](self.rng, self.kit))
            if text:
                return text
        raise DataError(f"the fonts of kit {str(self.kit.path)!r} can print no {kind}")

    def words(self, low: int, high: int) -> str:
        """A few words, the first with a capital."""
        text = " ".join(random_word(self.rng, self.kit) for _ in self.some(low, high))
        return self.shown(text[:1].upper() + text[1:])

    def sentence(self) -> str:
        text = self.any_of(self.kit.phrases)
        if self.chance(0.15):
            text += " " + WRITERS[self.any_of(("number", "price", "date"))](self.rng, self.kit)
        text = self.shown(f"{text[:1].upper()}{text[1:]}{self.any_of('.....!?:')}")
        if self.chance(0.12):
            first, _, rest = text.partition(" ")
            text = f"<{(tag := self.any_of(('b', 'i', 'a')))}>{first}</{tag}> {rest}"
        return text

    def sentences(self, low: int, high: int) -> str:
        return " ".join(self.sentence() for _ in self.some(low, high))

    def money(self, cents: int) -> str:
        return self.shown(f"{self.sign}{cents / 100:,.2f}")

    @property
    def sign(self) -> str:
        return "$" if "$" not in self.missing else ""

    def picture(self, style: str) -> str:
        """A sprite of any category, with a style of its own."""
        category = self.any_of(self.kit.categories_of(self.split))
        sprite = self.any_of(self.any_of(self.kit.sprites_of(category, self.split)))
        return f'<img style="{style}" src="{data_url(self.kit.read(sprite.path), "image/webp")}">'

    def icon(self) -> str:
        """An icon of user interfaces, as tall as the letters."""
        icons = self.kit.icons_of(self.split)
        if not icons:
            return ""
        mask = data_url(self.kit.read(self.any_of(icons).path), "image/png")
        return f"<i class=icon style=\"mask-image:url('{mask}')\"></i>"


def data_url(data: bytes, form: str) -> str:
    """A file inside a document."""
    return f"data:{form};base64,{base64.b64encode(data).decode()}"


def _article(copy: Copywriter) -> str:
    columns = copy.any_of((1, 1, 2, 3))
    justified = "text-align:justify" if copy.chance(0.3) else ""
    parts = []
    for number in range(12):
        if number and copy.chance(0.25):
            parts.append(f"<h3>{copy.words(1, 3 if columns > 2 else 5)}</h3>")
        if copy.chance(0.15):
            caption = f"<p class=small>{copy.words(2, 5)}</p>" if copy.chance(0.7) else ""
            parts.append(f"<figure>{copy.picture('width:60%')}{caption}</figure>")
        parts.append(f"<p>{copy.sentences(2, 6)}</p>")
    by = f"<p class=small>{copy.words(2, 3)}, {copy.write('date')}</p>" if copy.chance(0.6) else ""
    return (
        f"<h1>{copy.words(2, 6)}</h1>{by}"
        f'<div class=columns style="column-count:{columns};{justified}">{"".join(parts)}</div>'
    )


def _products(copy: Copywriter) -> str:
    columns = copy.any_of((2, 3, 3, 4))
    cards = []
    for _ in range(columns * 4):
        tag = f"<span class=tag>{copy.words(1, 1)}</span>" if copy.chance(0.3) else ""
        button = f"<button>{copy.shown('Add')}</button>" if copy.chance(0.5) else ""
        price = copy.money(int(10 ** copy.rng.uniform(2, 5)))
        cards.append(
            f"<div class=card>{copy.picture('height:5em')}{tag}<h3>{copy.words(1, 3)}</h3>"
            f"<p class=small>{copy.words(3, 8)}</p><p><b>{price}</b></p>{button}</div>"
        )
    grid = f"<div class=grid style='grid-template-columns:repeat({columns},1fr)'>{''.join(cards)}"
    return f"{_header(copy)}<h2>{copy.words(1, 3)}</h2>{grid}</div>"


def _header(copy: Copywriter) -> str:
    """A bar with a name and menus."""
    start = int(copy.rng.integers(len(MENUS) - 4))
    links = "".join(f"<span>{copy.shown(name)}</span>" for name in MENUS[start : start + 4])
    return f"<div class=bar>{copy.icon()}<b>{copy.words(1, 2)}</b>{links}{copy.icon()}</div>"


def _table(copy: Copywriter) -> str:
    kinds = [copy.any_of(("number", "price", "date", "code", "word", "time")) for _ in range(4)]
    kinds = ["word", *kinds[: copy.any_of((2, 3, 4))]]
    head = "".join(f"<th>{copy.words(1, 1)}</th>" for _ in kinds)
    tables = []
    for _ in range(3):
        rows = "".join(
            f"<tr>{''.join(f'<td class={kind}>{copy.write(kind)}</td>' for kind in kinds)}</tr>"
            for _ in copy.some(4, 12)
        )
        style = copy.any_of(("lines", "frames", "stripes"))
        tables.append(
            f"<h2>{copy.words(1, 4)}</h2><p>{copy.sentence()}</p>"
            f"<table class={style}><tr>{head}</tr>{rows}</table>"
        )
    return "".join(tables)


def _form(copy: Copywriter) -> str:
    beside = copy.chance(0.5)
    fields = []
    for number in copy.rng.permutation(len(LABELS))[:12]:
        kind = copy.any_of(("word", "phrase", "number", "date", "code"))
        value = copy.write(kind) if copy.chance(0.8) else "&nbsp;"
        label = f"<div>{copy.shown(LABELS[number])}</div>"
        fields.append(f"<div class={'pair' if beside else 'stack'}>{label}<div class=field>{value}")
        fields.append("</div></div>")
    main, other = copy.any_of(BUTTONS), copy.any_of(BUTTONS)
    return (
        f"<h2>{copy.words(2, 4)}</h2><p class=small>{copy.sentence()}</p>{''.join(fields)}"
        f"<p>{_tick(copy)}</p><button>{copy.shown(main)}</button> "
        f"<button class=quiet>{copy.shown(other)}</button>"
    )


def _tick(copy: Copywriter) -> str:
    chosen = " on" if copy.chance(0.5) else ""
    return f"<i class='box{chosen}'></i> <span>{copy.shown(copy.any_of(OPTIONS))}</span>"


def _invoice(copy: Copywriter) -> str:
    total = 0
    rows = []
    for _ in copy.some(3, 12):
        count, cents = int(copy.rng.integers(1, 10)), int(10 ** copy.rng.uniform(2, 4.5))
        total += count * cents
        sums = (
            f"<td class=price>{copy.money(cents)}</td><td class=price>{copy.money(count * cents)}"
        )
        name = copy.words(1, 3)
        rows.append(f"<tr><td>{name}</td><td class=number>{count}</td>{sums}</td></tr>")
    width = copy.any_of((65, 80, 100))
    facts = "".join(
        f"<div class=pair><div>{copy.shown(name)}</div><div>{copy.write(kind)}</div></div>"
        for name, kind in (("Invoice no.", "code"), ("Date", "date"), ("Customer", "word"))
    )
    return (
        f'<div class=card style="width:{width}%;margin:auto"><h1>{copy.words(1, 3)}</h1>'
        f"<p class=small>{copy.words(2, 4)}</p>{facts}"
        f"<table class={copy.any_of(('lines', 'stripes'))}>{''.join(rows)}</table>"
        f"<div class=pair><b>{copy.shown(copy.any_of(TOTALS))}</b><b>{copy.money(total)}</b></div>"
        f"<p>{copy.shown(copy.any_of(THANKS))}</p></div>"
    )


def _mail(copy: Copywriter) -> str:
    folders = "".join(
        f"<p>{copy.icon()} {copy.words(1, 1)}</p>" for _ in range(int(copy.rng.integers(4, 9)))
    )
    rows = "".join(
        f"<div class=row><b>{copy.words(2, 2)}</b><span>{copy.words(3, 6)}</span>"
        f"<span class=small>{copy.write(copy.any_of(('time', 'date')))}</span></div>"
        for _ in copy.some(3, 9)
    )
    letter = "".join(f"<p>{copy.sentences(1, 4)}</p>" for _ in copy.some(1, 4))
    return (
        f"{_header(copy)}<div class=split><div class=side>{folders}</div><div>{rows}"
        f"<h2>{copy.words(2, 6)}</h2><p class=small>{copy.words(2, 2)}, {copy.write('date')}</p>"
        f"{letter}<button>{copy.shown('Send')}</button></div></div>"
    )


def _settings(copy: Copywriter) -> str:
    groups = []
    for _ in range(4):
        rows = []
        for _ in copy.some(2, 5):
            state = (
                "<i class=switch></i>" if copy.chance(0.5) else f"<span>{copy.words(1, 2)}</span>"
            )
            about = f"<p class=small>{copy.sentence()}</p>" if copy.chance(0.5) else ""
            rows.append(
                f"<div class=pair><div><p>{copy.icon()} {copy.words(1, 4)}</p>{about}</div>"
                f"<div>{state}</div></div>"
            )
        groups.append(f"<h3>{copy.words(1, 2)}</h3><div class=card>{''.join(rows)}</div>")
    return f"<h1>{copy.shown('Settings')}</h1>{''.join(groups)}"


def _manual(copy: Copywriter) -> str:
    links = "".join(f"<p><a>{copy.words(1, 2)}</a></p>" for _ in copy.some(5, 12))
    parts = []
    for _ in range(4):
        parts.append(f"<h2>{copy.words(1, 4)}</h2><p>{copy.sentences(1, 4)}</p>")
        if copy.chance(0.7):
            parts.append(f"<pre>{''.join(_code_lines(copy))}</pre>")
        if copy.chance(0.5):
            items = "".join(f"<li>{copy.sentence()}</li>" for _ in copy.some(2, 4))
            parts.append(f"<ul>{items}</ul>")
    text = f"<div><h1>{copy.words(1, 4)}</h1>{''.join(parts)}</div>"
    return f"<div class=split><div class=side>{links}</div>{text}</div>"


def _code_lines(copy: Copywriter) -> Iterator[str]:
    """Lines of a made-up program."""
    depth = 0
    for _ in copy.some(3, 8):
        name, other = (random_word(copy.rng, copy.kit).lower() for _ in range(2))
        number = int(copy.rng.integers(100))
        line = copy.any_of(
            (
                f"{name} = {number}",
                f"def {name}({other}):",
                f"return {name}[{number}]",
                f'print("{name}", {other})',
                f"if {name} > {number}:",
                f"# {name} {other}",
            )
        )
        yield f"{'    ' * depth}{copy.shown(line)}\n"
        depth = min(depth + 1, 2) if line.endswith(":") else depth * int(copy.chance(0.6))


TEMPLATES: Mapping[str, Callable[[Copywriter], str]] = {
    "article": _article,
    "products": _products,
    "table": _table,
    "form": _form,
    "invoice": _invoice,
    "mail": _mail,
    "settings": _settings,
    "manual": _manual,
}


def web_page(rng: np.random.Generator, kit: Kit, split: Split) -> tuple[str, str]:
    """Return the name of a template and a whole document made by it."""
    copy = Copywriter(rng, kit, split)
    name = copy.any_of(list(TEMPLATES))
    body = TEMPLATES[name](copy)
    return name, f"<!doctype html><style>{_style(copy)}</style><body>{body}</body>"


def _style(copy: Copywriter) -> str:
    """Fonts, colours, sizes and spaces of a page."""
    rng = copy.rng
    shade = int(rng.integers(15, 45)) if copy.chance(DARK) else int(rng.integers(242, 256))
    paper = (shade, shade, shade)
    if shade > 127 and copy.chance(TINTED):
        paper = _mixed(random_colour(rng), (255, 255, 255), 0.15)
    ink = (25, 25, 30) if luminance(paper) > 127 else (235, 235, 235)
    accent = contrasting_colour(rng, paper, 100.0)
    on_accent = (255, 255, 255) if luminance(accent) < 140 else (0, 0, 0)
    colours = {
        "paper": paper,
        "panel": _mixed(ink, paper, rng.uniform(0.0, 0.08)),
        "ink": ink,
        "muted": _mixed(ink, paper, MUTED),
        "edge": _mixed(ink, paper, rng.uniform(0.15, 0.4)),
        "accent": accent,
        "on": on_accent,
    }
    size = rng.uniform(13, 22)
    names = "".join(f"--{name}:rgb{tuple(colour)};" for name, colour in colours.items())
    numbers = (
        f"--radius:{rng.uniform(0, 0.7):.2f}em;--gap:{rng.uniform(0.4, 1.2):.2f}em;"
        f"--size:{size:.1f}px;--leading:{rng.uniform(1.3, 1.7):.2f};"
        f"--margin:{rng.uniform(0, 3):.2f}em;--heading:{rng.uniform(1.1, 1.9):.2f};"
        f"--weight:{copy.any_of((400, 700))};--align:{copy.any_of(('left', 'left', 'center'))}"
    )
    fonts = {"body": copy.body, "title": copy.title, "mono": copy.mono}
    faces = "".join(_face(name, copy.kit.read(font.path)) for name, font in fonts.items())
    return f"{faces}:root{{{names}{numbers}}}{_RULES}"


def _face(name: str, font: bytes) -> str:
    return f"@font-face{{font-family:{name};src:url({data_url(font, 'font/ttf')})}}"


def _mixed(colour: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (
        round(share * one + (1 - share) * two) for one, two in zip(colour, other, strict=True)
    )
    return red, green, blue


_RULES = """
* { box-sizing: border-box; margin: 0; padding: 0; font-style: normal; font-weight: inherit }
html { background: var(--paper) }
body { width: 100vw; height: 100vh; overflow: hidden; padding: var(--margin);
  font: var(--size)/var(--leading) body; color: var(--ink) }
h1, h2, h3 { font-family: title; font-weight: var(--weight); line-height: 1.35;
  margin: var(--gap) 0; text-align: var(--align) }
h1 { font-size: calc(1.25em * var(--heading)) } h2 { font-size: calc(1em * var(--heading)) }
p, figure, pre, ul, table { margin-bottom: var(--gap) }
b { font-weight: 700 } i { font-style: italic } .small { font-size: .85em; color: var(--muted) }
a { color: var(--accent); text-decoration: underline }
.columns { column-gap: 2em } .columns p { break-inside: avoid } figure { text-align: center }
.grid { display: grid; gap: var(--gap) } img { max-width: 100%; object-fit: contain }
.card { background: var(--panel); border: 1px solid var(--edge); border-radius: var(--radius);
  padding: var(--gap); margin-bottom: var(--gap) }
.tag { display: inline-block; background: var(--accent); color: var(--on); padding: 0 .5em;
  margin-left: .5em; border-radius: var(--radius); font-size: .85em }
.bar { display: flex; gap: 1.5em; align-items: center; background: var(--accent);
  color: var(--on); padding: .5em 1em; margin-bottom: var(--gap) }
.icon { display: inline-block; width: 1.1em; height: 1.1em; background: currentColor;
  mask: luminance center/contain no-repeat; mask-mode: luminance; vertical-align: -.15em }
table { border-collapse: collapse; width: 100% } th { font-weight: 700; text-align: left }
td, th { padding: .25em .8em } td.number, td.price { text-align: right }
.lines tr { border-bottom: 1px solid var(--edge) }
.frames td, .frames th { border: 1px solid var(--edge) }
.stripes tr:nth-child(even) { background: var(--panel) }
.pair { display: flex; gap: 2em; justify-content: space-between; margin-bottom: var(--gap) }
.pair > .field { flex: 0 0 60% } .stack { margin-bottom: var(--gap) }
.field { border: 1px solid var(--edge); border-radius: var(--radius); padding: .2em .6em;
  background: var(--panel) }
button { font: inherit; border: 1px solid var(--accent); border-radius: var(--radius);
  padding: .3em 1em; background: var(--accent); color: var(--on) }
button.quiet { background: none; color: var(--ink); border-color: var(--edge) }
.box { display: inline-block; width: 1em; height: 1em; border: 2px solid var(--edge) }
.box.on { background: var(--accent) }
.switch { display: inline-block; width: 2em; height: 1em; border-radius: .5em;
  background: var(--accent) }
.split { display: grid; grid-template-columns: 25% 1fr; gap: 2em } .side { overflow: hidden }
.row { display: grid; grid-template-columns: 9em 1fr auto; gap: 1em; padding: .3em 0;
  border-bottom: 1px solid var(--edge) }
pre { font-family: mono; font-size: .9em; background: var(--panel); padding: .6em;
  border: 1px solid var(--edge); border-radius: var(--radius) }
ul { padding-left: 1.5em }
"""
