"""What `florence2 run` writes for each picture: a drawing, or a text beside it."""

import os
import re
from collections.abc import Iterator
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from florence2.cli.questions import CASCADES
from florence2.errors import ConfigError, Florence2Error, writing
from florence2.tasks import Task

if TYPE_CHECKING:
    from PIL.Image import Image

    from florence2.data.sources import NamedPicture
    from florence2.pipelines.cascades import CascadeResult
    from florence2.results import Result


SHEET_TILES = 30
MAX_STEM_BYTES = 180  # of a drawing's name; most systems take 255 bytes, the rest of it included


# As `Drawings.write` names them: by a task, a prompt or a cascade.
_DRAWN = re.compile(
    rf"\.({'|'.join([*(task.name.lower() for task in Task), 'prompt', *CASCADES])})(-[0-9]+)?\.png$"
)


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

    def holds(self, name: str) -> bool:
        """Whether a picture lies in the folder and is called as drawings are."""
        path = Path(name)
        return _DRAWN.search(path.name) is not None and (
            path.parent == self.folder or path.parent.resolve() == self.folder.resolve()
        )

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
    stem = f"{path.stem}-{page[2]}" if page else path.stem
    while len(os.fsencode(stem)) > MAX_STEM_BYTES:
        stem = stem[:-1]
    return stem


class SavedTexts:
    """Texts beside pictures, `a.txt` for `a.png`: what was read or said, or a row an object.

    A text appears whole, with the last answer about its picture: a text that stands there is never
    half of one, and its picture is left out by the next run.
    """

    def __init__(self, answers_each: int = 1) -> None:
        """Begin.

        Args:
            answers_each: about each picture.
        """
        self._answers_each = answers_each
        self._of: tuple[str, list[str]] = ("", [])  # the picture whose answers are coming
        self._written: dict[
            bytes, bytes
        ] = {}  # digests of the texts of this run, of their pictures

    @staticmethod
    def place(name: str) -> Path | None:
        """Where the text of a picture goes; `None` for one that is no file of its own."""
        from florence2.data.sources import is_archive

        path = Path(name)
        return path.with_suffix(".txt") if path.is_file() and not is_archive(name) else None

    def stands(self, name: str) -> bool:
        """Whether a picture has a text beside it already, that this run did not write."""
        place = self.place(name)
        return place is not None and place.exists() and _digest(place) not in self._written

    def write(
        self, picture: "NamedPicture", found: "Result | CascadeResult"
    ) -> Florence2Error | None:
        """Take an answer; of several about a picture, the last one writes them all."""
        place = self.place(picture.name)
        if place is None:
            return ConfigError(
                f"image {picture.name!r} is no file, so no text can stand beside it; leave"
                " --save-txt out for such, and take --output"
            )
        if self._of[0] != picture.name or len(self._of[1]) == self._answers_each:
            self._of = (picture.name, [])
        self._of[1].append(saved_text(found))
        if len(self._of[1]) < self._answers_each:
            return None
        by = _digest(Path(picture.name))
        if self._written.get(_digest(place)) == by:
            return None  # the same picture was given twice
        if place.exists():
            return ConfigError(
                f"text {str(place)!r} of {picture.name!r} belongs to another picture of that name;"
                " give one of them another name"
            )
        part = place.with_name(f".florence2-{os.getpid()}.part")
        try:
            part.write_text("".join(self._of[1]), encoding="utf-8")
            os.replace(part, place)
        except OSError as error:  # told of the text, whose part nobody knows
            raise OSError(error.errno, error.strerror, str(place)) from error
        finally:
            part.unlink(missing_ok=True)
        self._written[_digest(place)] = by
        return None


def _digest(path: Path) -> bytes:
    return blake2b(os.fsencode(path), digest_size=12).digest()


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
