"""What `florence2 run` writes for each picture: a drawing, or a text beside it."""

import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from florence2.errors import ConfigError, Florence2Error, writing

if TYPE_CHECKING:
    from PIL.Image import Image

    from florence2.data.sources import NamedPicture
    from florence2.pipelines.cascades import CascadeResult
    from florence2.results import Result


SHEET_TILES = 30


class Sheet:
    """The first drawn answers of a run on one page, saved when it ends."""

    def __init__(self, path: Path) -> None:
        if not path.resolve().parent.is_dir():
            raise ConfigError(f"the folder of --sheet {str(path)!r} does not exist; make it first")
        if path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
            raise ConfigError(f"--sheet {str(path)!r} is no picture's name; call it sheet.png")
        self.path = path
        self._tiles: list[Image] = []

    def add(self, drawn: "Image") -> None:
        from florence2.drawing.contact_sheet import sheet_tile

        if len(self._tiles) < SHEET_TILES:
            self._tiles.append(sheet_tile(drawn))

    def save(self) -> bool:
        """Write the page; tells whether there was anything to put on it."""
        from florence2.drawing.contact_sheet import contact_sheet

        if not self._tiles:
            return False
        with writing(self.path):
            contact_sheet(self._tiles).save(self.path)
        return True


class Drawings:
    """Annotated pictures in one folder, `NAME.QUESTION.png`; those of one name do not collide.

    Attributes:
        keep_old: whether pictures that lie there are those of an earlier part of this run.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.keep_old = False
        self.written: set[Path] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"folder {str(folder)!r} cannot be made ({error.strerror}); name another one"
            ) from None

    def write(self, name: str, asked: str, drawn: "Image") -> Path:
        """Save a drawn picture; returns where."""
        stem = f"{drawn_stem(name)}.{asked}"
        targets = (self.folder / f"{stem}{suffix}.png" for suffix in self._suffixes())
        target = next(each for each in targets if not self._is_taken(each))
        self.written.add(target)
        try:
            drawn.save(target)
        except OSError as error:
            raise ConfigError(
                f"picture {str(target)!r} cannot be written ({error.strerror or error}); name"
                " another folder with --draw"
            ) from None
        return target

    def _is_taken(self, target: Path) -> bool:
        return target in self.written or (self.keep_old and target.exists())

    @staticmethod
    def _suffixes() -> Iterator[str]:
        yield ""
        yield from (f"-{number}" for number in count(2))


def drawn_stem(name: str) -> str:
    """The name of a drawn picture, without suffix, whatever it was drawn on.

    >>> drawn_stem("scans/a.tif#2"), drawn_stem("-"), drawn_stem("https://x.org/a.png?w=2")
    ('a-2', 'standard-input', 'a')
    """
    from florence2.data.sources import is_address

    if name == "-":
        return "standard-input"
    if is_address(name):
        name = urlsplit(name).path.rstrip("/") or urlsplit(name).netloc
    page = re.fullmatch(r"(.*)#([0-9]+)", name)
    path = Path(page[1] if page else name)
    return f"{path.stem}-{page[2]}" if page else path.stem


class SavedTexts:
    """Texts beside pictures, `a.txt` for `a.png`: what was read or said, or a row an object."""

    def __init__(self) -> None:
        self._begun: set[Path] = set()

    @staticmethod
    def place(name: str) -> Path | None:
        """Where the text of a picture goes; `None` for one that is no file of its own."""
        from florence2.data.sources import is_archive

        path = Path(name)
        return path.with_suffix(".txt") if path.is_file() and not is_archive(name) else None

    def stands(self, name: str) -> bool:
        """Whether a picture has a text beside it already, that this run did not write."""
        place = self.place(name)
        return place is not None and place not in self._begun and place.exists()

    def write(
        self, picture: "NamedPicture", found: "Result | CascadeResult"
    ) -> Florence2Error | None:
        """Write the text; of several answers about a picture one behind the other."""
        place = self.place(picture.name)
        if place is None:
            return ConfigError(
                f"image {picture.name!r} is no file, so no text can stand beside it; leave"
                " --save-txt out for such, and take --output"
            )
        mode = "a" if place in self._begun else "x"
        self._begun.add(place)
        try:
            with place.open(mode, encoding="utf-8") as file:
                file.write(saved_text(found))
        except FileExistsError:
            return ConfigError(
                f"text {str(place)!r} of {picture.name!r} belongs to another picture of that name;"
                " give one of them another name"
            )
        return None


def saved_text(found: "Result | CascadeResult") -> str:
    """Texts as they are, one a line; objects as label and box in pixels, with tabs between."""
    from florence2.pipelines.cascades import CascadeResult
    from florence2.results import Quads, Text

    if isinstance(found, CascadeResult):
        found = found.text if found.text is not None and found.blocks else found.objects
    if isinstance(found, Text):
        return found.text + "\n" if found.text else ""
    if isinstance(found, Quads):
        return "".join(label + "\n" for label in found.labels)
    lines = []
    for row in found.to_rows():
        sides = [f"{row[side]:.1f}" for side in ("x_min", "y_min", "x_max", "y_max")]
        score = [] if row["score"] is None else [f"{row['score']:.4f}"]
        lines.append("\t".join([" ".join(row["label"].split()), *sides, *score]) + "\n")
    return "".join(lines)
