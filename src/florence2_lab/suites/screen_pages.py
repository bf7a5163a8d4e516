"""Pages of the web as people meet them, for measuring only: CSS frameworks and sets of icons that
no training has drawn, laid out by a browser that tells where every word and part came to stand.

What is fetched from npm stays in a cache folder; a page is a function of the kit (its phrases and
held-out fonts), a seed and a number.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from florence2.geometry import Box, Size
from florence2_lab.worlds.building.chromium import Chromium
from florence2_lab.worlds.building.packages import fetch_npm
from florence2_lab.worlds.building.templates import data_url
from florence2_lab.worlds.kit import Kit
from florence2_lab.worlds.pixels import Pixels

ICONS_TABLE = Path(__file__).with_name("screen_icons.tsv")
VIEWPORTS: tuple[Size, ...] = ((1280, 800), (1600, 1000))
LETTERS = 12, 16  # pixels of CSS that running text is set in
STREAM = 14  # keeps these draws apart from those of the makers


@dataclass(frozen=True)
class Framework:
    """A package of styles and how its parts are marked."""

    package: str
    version: str
    css: str
    root: float = 1.0  # letters of the root to those of running text
    classes: Mapping[str, str] = field(default_factory=dict)


FRAMEWORKS = (
    Framework(
        *("bootstrap", "5.3.9", "dist/css/bootstrap.min.css"),
        classes={
            "button": "btn btn-outline-secondary", "main": "btn btn-primary",
            "input": "form-control", "select": "form-select", "label": "form-label",
            "check": "form-check-input", "table": "table table-striped", "card": "card card-body",
            "tabs": "nav nav-tabs", "tab": "nav-link", "menu": "list-group",
            "item": "list-group-item list-group-item-action", "bar": "bg-dark text-white",
        },
    ),
    Framework(
        *("bulma", "1.0.4", "css/bulma.min.css"),
        classes={
            "button": "button", "main": "button is-primary", "input": "input", "label": "label",
            "table": "table is-fullwidth is-striped", "card": "box", "tabs": "tabs-plain",
            "tab": "button is-ghost", "menu": "menu-list", "bar": "has-background-link-light",
            "title": "title is-4",
        },
    ),
    Framework(
        *("@picocss/pico", "2.1.1", "css/pico.min.css"),
        classes={"button": "secondary outline", "card": "card", "select": "plain"},
    ),
    Framework(
        *("spectre.css", "0.5.9", "dist/spectre.min.css", 1.25),
        classes={
            "button": "btn", "main": "btn btn-primary", "input": "form-input",
            "select": "form-select", "label": "form-label", "table": "table table-striped",
            "card": "card card-body", "tabs": "tab", "tab": "tab-item", "menu": "menu",
            "item": "menu-item", "bar": "bg-secondary",
        },
    ),
    Framework(
        *("foundation-sites", "6.9.0", "dist/css/foundation.min.css"),
        classes={
            "button": "button hollow secondary", "main": "button", "table": "hover",
            "card": "card card-section", "tabs": "tabs", "tab": "tabs-title",
            "menu": "menu vertical", "bar": "top-bar",
        },
    ),
    Framework(
        *("milligram", "1.4.1", "dist/milligram.min.css", 0.625),
        classes={"button": "button button-outline", "main": "button"},
    ),
)  # fmt: skip
ICON_SETS = (
    ("bootstrap-icons", "1.13.2", "icons"),
    ("heroicons", "2.2.0", "24/outline"),
    ("remixicon", "4.9.1", "icons"),
    ("ionicons", "8.1.0", "dist/svg"),
)
# fmt: off
LINKS = ("Products", "Pricing", "Company", "Blog", "Careers", "Support", "Documentation",
         "Contact", "Partners", "Community", "Events", "Downloads", "Security", "Terms of use",
         "Privacy", "Features", "Customers", "Learn more", "Release notes", "Changelog",
         "Forgot password?", "Create an account", "View all", "Read the guide", "Status page",
         "Cookie settings")
BUTTONS = ("Sign in", "Save changes", "Cancel", "Add to basket", "Checkout", "Export",
           "New project", "Invite members", "Subscribe", "Upload a file", "Start free trial",
           "Duplicate", "Archive", "Publish", "Preview", "Discard", "Apply filters", "Reset",
           "Try again", "Show more", "Get started", "Book a table", "Run report", "Compare",
           "Approve", "Reject", "OK", "Next")
TABS = ("Overview", "Activity", "Members", "Billing", "Integrations", "Reviews", "Shipping",
        "Specifications", "History", "Permissions", "Insights", "Branches", "Logs")
MENU = ("Dashboard", "Inbox", "Orders", "Invoices", "Reports", "Team", "Calendar view",
        "Templates", "Drafts", "Trash bin", "Appearance", "Notifications", "API keys",
        "Sign out", "Backups", "Favourites", "Recent files", "Shared with me", "Analytics",
        "Customers list", "Tasks")
FIELDS = ("Full name", "Email address", "Password", "Company name", "Street", "Postal code",
          "City", "Phone number", "Subject", "Website", "Job title", "Country", "Card number",
          "Coupon code", "Date of birth", "Quantity", "Username", "Delivery note")
CHECKS = ("Remember me", "Send me updates", "I accept the terms", "Dark theme", "Gift wrapping",
          "Two-factor login", "Public profile", "Weekly digest", "Express delivery")
COLUMNS = ("Customer", "Order", "Amount", "Status", "Date", "Owner", "Priority", "Region",
           "Stock")
PEOPLE = ("Ada Kowalski", "Lena Fischer", "Marco Rossi", "Joan Whitfield", "Ivo Novak",
          "Mei Tanaka", "Olga Petrova", "Sam Okafor", "Nils Bergström", "Clara Dubois",
          "Peter Maddox", "Rosa Vega", "Tariq Aziz", "Emily Stone", "Hugo Lind", "Anna Keller")
STATES = ("Paid", "Pending", "Shipped", "Refunded", "Cancelled", "On hold", "Delivered",
          "Failed")
HEADINGS = ("Account settings", "Latest orders", "Your workspace", "Welcome back",
            "Project details", "Payment method", "Search results", "Team members",
            "Getting started", "What is new")
# fmt: on
_STRUCTURE = """
body { margin: 0; padding: 0; font-size: %gpx; %s }
.x-bar { display: flex; align-items: center; gap: 1.2em; padding: .6em 1.2em; flex-wrap: nowrap }
.x-bar > .x-gap { flex: 1 }
.x-row { display: flex; gap: .6em; align-items: center; flex-wrap: wrap }
.x-cols { display: flex; gap: 1.6em; padding: 1em 1.2em; align-items: flex-start }
.x-side { width: 15em; flex: none } .x-main { flex: 1; min-width: 0 }
.x-form { display: grid; grid-template-columns: 1fr 1fr; gap: .4em 1.4em; max-width: 46em }
.x-icon svg { width: %gpx; height: %gpx; vertical-align: middle }
.x-icon { line-height: 1 } .x-only { padding: .45em .6em !important; height: auto !important;
  line-height: 1 !important; display: inline-flex !important; width: auto !important }
.x-cards { display: flex; gap: 1em } .x-cards > * { flex: 1 } .x-tab { margin: 0 .3em !important }
ul { list-style: none !important; margin: 0; padding: 0 } li { list-style: none !important }
h1, h2, h3 { margin: .5em 0 } table { width: 100%% } table td, table th { font-size: inherit }
.ionicon { fill: currentColor; stroke: currentColor } .ionicon-fill-none { fill: none }
.ionicon-stroke-width { stroke-width: 32px }
"""
# Words with their boxes; elements with the words or the icon they are asked by; parts by what they
# are. Nothing that the window cuts.
_MEASURE = r"""
(async () => {
  await Promise.all([...document.fonts].map(font => font.load()));
  const inside = ({left, top, right, bottom}) => right > left && bottom > top
    && left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight;
  const box = ({left, top, right, bottom}) => [left, top, right, bottom];
  const words = [], range = document.createRange();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode, style = getComputedStyle(text.parentElement);
    if (text.parentElement.closest("svg, script, style, select")) continue;
    for (const match of text.data.matchAll(/[^\s\u00a0]+/g)) {
      range.setStart(text, match.index);
      range.setEnd(text, match.index + match[0].length);
      const around = range.getBoundingClientRect();
      if (around.top >= innerHeight || around.left >= innerWidth) continue;
      const shown = style.textTransform == "uppercase" ? match[0].toUpperCase() : match[0];
      words.push([shown, box(around), parseFloat(style.fontSize), inside(around)]);
    }
  }
  const asked = [];
  for (const element of document.querySelectorAll("[data-words], [data-icon]")) {
    const around = element.getBoundingClientRect();
    if (!inside(around)) continue;
    const told = element.dataset;
    for (const key of ["words", "icon"])
      if (told[key]) asked.push([key, told[key], told.kind, box(around)]);
  }
  const parts = [];
  for (const element of document.querySelectorAll("[data-part]")) {
    const around = element.getBoundingClientRect();
    if (inside(around)) parts.push([element.dataset.part, box(around)]);
  }
  const fields = [...document.querySelectorAll("input, select")].map(
    element => box(element.getBoundingClientRect()));
  return {words, asked, parts, fields};
})()
"""


@dataclass(frozen=True)
class ShownWord:
    """A word on a page: as it is shown, its box, the size of its font, whether it is whole."""

    text: str
    box_xyxy: Box
    font_px: float
    is_whole: bool


@dataclass(frozen=True)
class Target:
    """Something to click: asked by its words or by the name of its icon."""

    by: str  # "words" or "icon"
    name: str
    kind: str  # "button", "link", "tab", "menu item", "cell", "label", "field" or "icon"
    box_xyxy: Box


@dataclass(frozen=True)
class ScreenPage:
    """A picture of a page, and what is on it; boxes in its pixels."""

    image: Pixels  # (H, W, 3) RGB
    words: tuple[ShownWord, ...]
    targets: tuple[Target, ...]
    parts: tuple[tuple[str, Box], ...]  # "button", "text field", ... as the worlds call them
    fields: tuple[Box, ...]  # what is written in them is no word of the document
    source: str


@dataclass(frozen=True)
class Materials:
    """What pages are made of: styles by framework, drawings of icons by set and name."""

    kit: Kit
    styles: Mapping[str, str]
    icons: Mapping[str, Mapping[str, str]]


def load_materials(kit: Kit, cache: Path) -> Materials:
    """Fetch what is not in the cache folder yet, with npm."""
    styles = {
        each.package: (fetch_npm(each.package, each.version, cache).folder / each.css).read_text(
            encoding="utf-8"
        )
        for each in FRAMEWORKS
    }
    rows = list(csv.DictReader(ICONS_TABLE.read_text("utf-8").splitlines(), delimiter="\t"))
    icons = {}
    for package, version, folder in ICON_SETS:
        files = {
            file.stem: file
            for file in (fetch_npm(package, version, cache).folder / folder).rglob("*.svg")
        }
        icons[package] = {
            row["name"]: re.sub(r"<title>.*?</title>", "", files[row[package]].read_text("utf-8"))
            for row in rows
            if row[package]
        }
    return Materials(kit, styles, icons)


def screen_pages(materials: Materials, count: int, seed: int) -> Iterator[ScreenPage]:
    """Lay out pages, one of each framework in turn."""
    with Chromium(side=800, scale=1.0) as chromium:
        for number in range(count):
            rng = np.random.default_rng([seed, number, STREAM])
            width, height = VIEWPORTS[int(rng.integers(len(VIEWPORTS)))]
            chromium.send(
                "Emulation.setDeviceMetricsOverride",
                width=width, height=height, deviceScaleFactor=1.0, mobile=False,
            )  # fmt: skip
            framework = FRAMEWORKS[number % len(FRAMEWORKS)]
            chromium.show(_Author(rng, materials, framework).page())
            source = f"{framework.package}/{seed}/{number}"
            yield _measured(chromium.run(_MEASURE), chromium.picture(), source)


def _measured(found: dict[str, Any], image: Pixels, source: str) -> ScreenPage:
    words = tuple(ShownWord(text, tuple(box), *rest) for text, box, *rest in found["words"])
    targets = tuple(
        Target(by, name, kind or "icon", tuple(box)) for by, name, kind, box in found["asked"]
    )
    parts = tuple((label, tuple(box)) for label, box in found["parts"])
    return ScreenPage(image, words, targets, parts, tuple(map(tuple, found["fields"])), source)


class _Author:
    """Writes one page; no text and no icon is asked for twice."""

    def __init__(self, rng: np.random.Generator, materials: Materials, framework: Framework):
        self.rng, self.kit, self.framework = rng, materials.kit, framework
        self.css = materials.styles[framework.package]
        sets = list(materials.icons)
        self.drawings = materials.icons[sets[int(rng.integers(len(sets)))]]
        self.names = list(rng.permutation(list(self.drawings)))
        self.used: set[str] = set()

    def page(self) -> str:
        letter = int(self.rng.integers(LETTERS[0], LETTERS[1] + 1))
        icon = int(self.rng.integers(15, 25))
        font, family = self._font()
        structure = _STRUCTURE % (letter, family, icon, icon)
        root = f"html {{ font-size: {letter * self.framework.root}px !important }}"
        sections = [self._heading(), self._paragraph()]
        makers = (self._form, self._table, self._cards, self._tabs, self._toolbar, self._paragraph)
        sections += [makers[number]() for number in self.rng.permutation(len(makers))]
        side = f"<div class=x-side>{self._menu()}</div>" if self._chance(0.7) else ""
        dark = self._chance(0.2) and self.framework.package in (
            "bootstrap",
            "bulma",
            "@picocss/pico",
        )
        mode = "data-bs-theme=dark data-theme=dark" if dark else "data-theme=light"
        return (
            f"<!doctype html><html {mode}><head><meta charset=utf-8><style>{self.css}</style>"
            f"<style>{font}{root}{structure}</style></head><body>{self._bar()}"
            f"<div class=x-cols>{side}<div class=x-main>{''.join(sections)}</div></div>"
            f"{self._footer()}</body></html>"
        )

    def _font(self) -> tuple[str, str]:
        """A held-out font of the kit, or the framework's own choice among the system's."""
        fonts = [each for each in self.kit.fonts_of("val") if not each.capitals_only]
        plain = [each for each in fonts if not each.missing] or fonts
        if not plain or self._chance(0.5):
            return "", ""
        data = data_url(self.kit.read(self._any(plain).path), "font/ttf")
        return f"@font-face{{font-family:held-out;src:url({data})}}", "font-family: held-out;"

    def _chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def _any(self, choice: Sequence[Any]) -> Any:
        return choice[int(self.rng.integers(len(choice)))]

    def _new(self, choice: Sequence[str], count: int) -> list[str]:
        """Texts that the page does not have yet."""
        left = [text for text in choice if text not in self.used]
        found = [left[number] for number in self.rng.permutation(len(left))[:count]]
        self.used.update(found)
        return found

    def _class(self, part: str) -> str:
        return f' class="{self.framework.classes.get(part, "")}"'

    def _icon(self, alone: bool = True) -> str:
        """The next drawing; asked for itself unless what it stands on is."""
        if not self.names:
            return ""
        self.name = str(self.names.pop())
        asked = f' data-icon="{self.name}"' if alone else ""
        return f"<span class=x-icon data-part=icon{asked}>{self.drawings[self.name]}</span>"

    def _icon_button(self) -> str:
        drawing = self._icon(alone=False)
        classes = self.framework.classes.get("button", "")
        return (
            f'<button type=button class="{classes} x-only" data-part=button'
            f' data-icon="{self.name}">{drawing}</button>'
            if drawing
            else ""
        )

    def _button(self, text: str, main: bool = False) -> str:
        drawing = self._icon(alone=False) + " " if self._chance(0.35) else ""
        asked = f' data-icon="{self.name}"' if drawing.strip() else ""
        return (
            f"<button type=button{self._class('main' if main else 'button')} data-part=button"
            f' data-kind=button data-words="{escape(text)}"{asked}>{drawing}{escape(text)}</button>'
        )

    def _link(self, text: str, kind: str = "link", classes: str = "") -> str:
        marks = f'data-kind="{kind}" data-words="{escape(text)}"'
        return f'<a href="#"{classes} {marks}>{escape(text)}</a>'

    def _bar(self) -> str:
        links = "".join(self._link(text) for text in self._new(LINKS, int(self.rng.integers(3, 6))))
        tools = "".join(
            self._icon_button() if self._chance(0.6) else self._icon()
            for _ in range(int(self.rng.integers(2, 5)))
        )
        button = self._button(self._new(BUTTONS, 1)[0], main=True) if self._chance(0.6) else ""
        brand = f"<b>{escape(self._any(self.kit.phrases).split()[0].title())}</b>"
        classes = self.framework.classes.get("bar", "") if self._chance(0.5) else ""
        return (
            f'<div class="x-bar {classes}">{brand}{links}<span class=x-gap></span>'
            f"<span class=x-row>{tools}</span>{button}</div>"
        )

    def _heading(self) -> str:
        return f"<h2{self._class('title')}>{self._new(HEADINGS, 1)[0]}</h2>"

    def _paragraph(self) -> str:
        phrases = [escape(self._any(self.kit.phrases)) for _ in range(int(self.rng.integers(2, 6)))]
        if self._chance(0.6):
            phrases.insert(1, self._link(*self._new(LINKS, 1)))
        return f"<p>{'. '.join(text[:1].upper() + text[1:] for text in phrases)}.</p>"

    def _form(self) -> str:
        rows = []
        for text in self._new(FIELDS, int(self.rng.integers(2, 7))):
            if self._chance(0.2):
                options = f"<option>{escape(self._any(self.kit.phrases))}</option>"
                part, inner = "drop-down", f"<select{self._class('select')} %s>{options}</select>"
            else:
                filled = escape(" ".join(self._any(self.kit.phrases).split()[:3]), quote=True)
                value = f'value="{filled}"' if self._chance(0.4) else ""
                part, inner = "text field", f"<input type=text{self._class('input')} {value} %s>"
            marks = f'data-part="{part}" data-kind=field data-words="{text}"'
            rows.append(f"<div><label{self._class('label')}>{text}</label>{inner % marks}</div>")
        checks = "".join(
            f'<label data-kind=label data-words="{text}"><input type=checkbox data-part=checkbox'
            f"{self._class('check')}{' checked' * self._chance(0.5)}> {text}</label>"
            for text in self._new(CHECKS, int(self.rng.integers(0, 3)))
        )
        buttons = "".join(
            self._button(text, not number)
            for number, text in enumerate(self._new(BUTTONS, int(self.rng.integers(1, 4))))
        )
        return (
            f"<form><div class=x-form>{''.join(rows)}</div><div class=x-row>{checks}</div>"
            f"<div class=x-row>{buttons}</div></form>"
        )

    def _table(self) -> str:
        columns = [COLUMNS[number] for number in self.rng.permutation(len(COLUMNS))[:3]]
        head = "".join(f"<th>{text}</th>" for text in ("Name", *columns))
        rows = []
        for person in self._new(PEOPLE, int(self.rng.integers(3, 7))):
            cells = (
                self._any(STATES),
                f"${self.rng.integers(10, 900)}.{self.rng.integers(10, 99)}",
                f"2026-{self.rng.integers(1, 13):02}-{self.rng.integers(1, 29):02}",
            )
            row = "".join(f"<td>{text}</td>" for text in cells)
            rows.append(f'<tr><td data-kind=cell data-words="{person}">{person}</td>{row}</tr>')
        head = f"<thead><tr>{head}</tr></thead>"
        return f"<table{self._class('table')}>{head}<tbody>{''.join(rows)}</tbody></table>"

    def _cards(self) -> str:
        cards = "".join(
            f"<article{self._class('card')}><p>{escape(self._any(self.kit.phrases))}</p>"
            f"<div>{self._button(text)}&nbsp; {self._icon() if self._chance(0.5) else ''}</div>"
            "</article>"
            for text in self._new(BUTTONS, 3)
        )
        return f"<div class=x-cards>{cards}</div>"

    def _tabs(self) -> str:
        tabs = "".join(
            f"<li class=x-tab>{self._link(text, 'tab', self._class('tab'))}</li>"
            for text in self._new(TABS, int(self.rng.integers(3, 6)))
        )
        tabs_class = self.framework.classes.get("tabs", "")
        return f'<ul class="{tabs_class} x-row">{tabs}</ul>'

    def _toolbar(self) -> str:
        icons = "".join(
            self._icon_button() if self._chance(0.5) else f"<span>&nbsp;{self._icon()}&nbsp;</span>"
            for _ in range(int(self.rng.integers(3, 8)))
        )
        return f"<div class=x-row>{icons}</div>"

    def _menu(self) -> str:
        rows = "".join(
            f'<li data-kind="menu item" data-words="{text}"><a href="#"{self._class("item")}>'
            f"{self._icon(alone=False) + ' ' if self._chance(0.5) else ''}{text}</a></li>"
            for text in self._new(MENU, int(self.rng.integers(4, 9)))
        )
        return f"<ul{self._class('menu')}>{rows}</ul>"

    def _footer(self) -> str:
        links = "".join(self._link(text) for text in self._new(LINKS, int(self.rng.integers(2, 6))))
        return f"<div class=x-bar>{links}</div>"
