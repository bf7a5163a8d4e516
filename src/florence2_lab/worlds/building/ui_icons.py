"""Icons of user interfaces: one colour, named by what they show, the same things in several sets.

`ui_icons.tsv` has a row for each thing and a column for each set.
"""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from florence2_lab.worlds.building.drawing import Source, draw_icon
from florence2_lab.worlds.building.packages import Package, fetch_npm

TABLE = Path(__file__).with_name("ui_icons.tsv")
ICON_SIDE = 48
HELD_OUT_SETS = ("phosphor",)
# fmt: off
UI_SOURCES = {
    "lucide": Source("@iconify-json/lucide", "1.2.137", "ISC",
        "Lucide Contributors", "https://github.com/lucide-icons/lucide"),
    "tabler": Source("@iconify-json/tabler", "1.2.41", "MIT",
        "Paweł Kuna", "https://github.com/tabler/tabler-icons"),
    "phosphor": Source("@iconify-json/ph", "1.2.2", "MIT",
        "Phosphor Icons", "https://github.com/phosphor-icons/core"),
    "mdi": Source("@iconify-json/mdi", "1.2.3", "Apache-2.0",
        "Pictogrammers", "https://github.com/Templarian/MaterialDesign"),
}
# fmt: on


@dataclass(frozen=True)
class BuiltIcon:
    """One icon ready for the kit."""

    name: str  # "shopping cart"
    style: str
    code: str  # its name in the set
    png: bytes  # coverage
    package: Package


def build_icons(cache: Path) -> Iterator[BuiltIcon]:
    """Yield the icons of all sets."""
    rows = list(csv.DictReader(io.StringIO(TABLE.read_text(encoding="utf-8")), delimiter="\t"))
    for style, source in UI_SOURCES.items():
        package = fetch_npm(source.package, source.version, cache)
        table = json.loads((package.folder / "icons.json").read_text(encoding="utf-8"))
        for row in rows:
            picture = draw_icon(table, table["icons"][row[style]], ICON_SIDE)
            yield BuiltIcon(row["name"], style, row[style], _coverage(picture), package)


def _coverage(picture: Image.Image) -> bytes:
    mask = picture.getchannel("A")
    file = io.BytesIO()
    mask.crop(mask.getbbox()).save(file, "PNG", optimize=True)
    return file.getvalue()
