"""The picture of a row: its bytes, a path of whatever machine, a name without suffix, a number."""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path, PureWindowsPath
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np

from florence2.data.image_files import (
    checked_size,
    find_picture,
    is_picture,
    path_ends,
    pictures_in,
    plain_name,
)
from florence2.data.parts import part_named, part_of_stem
from florence2.data.records import Picture
from florence2.data.report import Problem, ReadReport
from florence2.errors import DataError, Florence2Error
from florence2.geometry import Size
from florence2.processing.images import open_image

_CAPTION_NUMBER = re.compile(r"#\d+$")  # Flickr8k's 1000268201_693b08cb0e.jpg#0
_LAST_NUMBER = re.compile(r"(\d+)\D*$")
_MAX_DIGITS = 18


class PicturePlaces:
    """Where the pictures of a file of rows may be.

    Args:
        file: the file that names them.
        root: the folder below which all pictures are looked at for a name that only one has.
    """

    def __init__(self, file: Path, root: Path) -> None:
        here, above = file.parent, file.parent.parent
        self.root = root
        self.part = part_of_stem(file.stem)
        places = [here, here / "images", above / "images"]
        for folder in (here, here / "images", above, above / "images"):
            if self.part and folder.is_dir():
                places += [
                    each
                    for each in sorted(folder.iterdir())
                    if part_named(each.name) == self.part and each.is_dir()
                ]
        self.folders = tuple(dict.fromkeys(places))

    def path_of(self, name: str | int) -> Path | None:
        """Return the picture that a row names, or the only one of this name or number below."""
        if isinstance(name, int):
            return self._only("number", str(name)) or self._only("stem", str(name))
        name = name.strip()
        if name.startswith(("http://", "https://", "file://")):
            name = unquote(urlsplit(name).path)
        if found := find_picture(name, self.folders):
            return found
        bare = _CAPTION_NUMBER.sub("", name)
        if bare != name and (found := find_picture(bare, self.folders)):
            return found
        last = PureWindowsPath(bare).name
        tried = [("name", last)]
        if not is_picture(Path(last)):
            tried = [*(("path", end) for end in (bare, *path_ends(bare))), ("stem", last)]
            if last.isdecimal() and len(last) <= _MAX_DIGITS:
                tried.append(("number", str(int(last))))
        found = next((each for kind, word in tried if (each := self._only(kind, word))), None)
        return found if found and self._may_be(PureWindowsPath(bare).parts[:-1], found) else None

    def _only(self, kind: str, name: str) -> Path | None:
        found = self._below.get((kind, plain_name(name)), ())
        return found[0] if len(found) == 1 else None

    def _may_be(self, folders: Sequence[str], picture: Path) -> bool:
        """Whether the folders that a row names do not say that it is another picture.

        A row about `cats/1.png` is not about `dogs/1.png`, where there are cats; one about `val` is
        not about a picture of `train`. Folders that are not here are those of another machine.
        """
        inside = picture.relative_to(self.root).parts[:-1]
        named, there = set(map(plain_name, folders)), set(map(plain_name, inside))
        parts, its_parts = ({part_named(each) for each in row} - {None} for row in (named, there))
        return not (named & self._folders_below) - there and (
            not parts or not its_parts or bool(parts & its_parts)
        )

    @cached_property
    def _folders_below(self) -> set[str]:
        pictures = {path for paths in self._below.values() for path in paths}
        inside = (path.relative_to(self.root).parts[:-1] for path in pictures)
        return {plain_name(folder) for folders in inside for folder in folders}

    @cached_property
    def _below(self) -> dict[tuple[str, str], list[Path]]:
        """The pictures below the root but those of other parts, by what rows call them."""
        found: dict[tuple[str, str], list[Path]] = {}
        for picture in pictures_in(self.root, deep=True):
            inside = picture.relative_to(self.root)
            parts = {part_named(folder) for folder in inside.parts[:-1]} - {None}
            if self.part and parts and self.part not in parts:
                continue
            keys = {("name", picture.name), ("stem", picture.stem)}
            keys.add(("path", inside.with_suffix("").as_posix()))
            if (number := _LAST_NUMBER.search(picture.stem)) and len(number[1]) <= _MAX_DIGITS:
                keys.add(("number", str(int(number[1]))))
            for kind, name in keys:
                found.setdefault((kind, plain_name(name)), []).append(picture)
        return found


class RowPicture:
    """What a row says of its picture, looked for when it is needed.

    Args:
        given: a name or number; bytes; `{"bytes", "path"}` as Parquet files of the hub hold it;
            `{"url"}`; or a list with one of these.
        places: where to look for a name.
        where: the row, for the report.
        annotated: the size that the row's boxes were made for, if it tells one.
    """

    def __init__(
        self, given: Any, places: PicturePlaces, where: str, annotated: Size | None = None
    ) -> None:
        self.given, self.places = given, places
        self.where, self.annotated = where, annotated
        self._found: tuple[Picture, Size] | None = None

    @property
    def name(self) -> str:
        """What it is called, for the report."""
        path = self.path()
        return _words(self.given) if path is None else path.name

    @property
    def key(self) -> str:
        """What tells it from others by name, empty for bytes."""
        path = self.path()
        return "" if path is None else str(path)

    def tell(self, problem: Problem, what: object, report: ReadReport) -> None:
        """Count what is wrong with its row, and note that the picture was told of."""
        report.add(problem, self.where, f"{what} ({self.name})")
        self.note(report)

    def find(self, report: ReadReport) -> tuple[Picture, Size] | None:
        """Return the picture and its size, or count what is wrong with it."""
        if self._found is None:
            self._found = self._look(report)
        elif isinstance(self._found[0], Path):
            report.name_picture(self._found[0])
        return self._found

    def _look(self, report: ReadReport) -> tuple[Picture, Size] | None:
        try:
            one = self._one()
        except Florence2Error as error:
            report.add(Problem.ROW, self.where, error)
            self.note(report)
            return None
        try:
            data = one if isinstance(one, bytes) else _inline(one)
            if data is not None:
                image = open_image(data)
                if self.annotated not in (None, image.size):
                    what = f"the picture is {image.size!r}, its annotations for {self.annotated!r}"
                    report.add(Problem.SIZE, self.where, what)
                    return None
                return np.asarray(image), image.size
        except Florence2Error as error:
            report.add(Problem.PICTURE, self.where, error)
            return None
        assert not isinstance(one, bytes), "its bytes were opened"
        path = self.places.path_of(one)
        if path is None:
            looked = ", ".join(repr(str(each)) for each in self.places.folders if each.is_dir())
            what = f"image {one!r} is not there; looked in {looked}, and for it alone below"
            report.add(Problem.PICTURE, self.where, f"{what} {str(self.places.root)!r}")
            return None
        size = checked_size(path, report, self.where, self.annotated)
        return None if size is None else (path, size)

    def path(self) -> Path | None:
        """Return the file of the picture, if it is one and is there."""
        if self._found is not None:
            return self._found[0] if isinstance(self._found[0], Path) else None
        try:
            one = self._one()
        except Florence2Error:
            return None
        inside = isinstance(one, bytes) or (isinstance(one, str) and one.startswith("data:"))
        return None if inside else self.places.path_of(one)  # type: ignore[arg-type]

    def note(self, report: ReadReport) -> None:
        """Note the pictures of a row that gives no record for another reason."""
        for each in self.given if isinstance(self.given, list) else [self.given]:
            report.name_picture(RowPicture(each, self.places, self.where).path())

    def _one(self) -> str | int | bytes:
        given = self.given
        while isinstance(given, Sequence) and not isinstance(given, str | bytes):
            if len(given) != 1:
                names = ", ".join(map(_words, given))
                what = f"it has {len(given)} pictures ({names}), and this model sees one at a time"
                raise DataError(what if given else "it names no picture")
            given = given[0]
        if isinstance(given, Mapping):
            keys = ("bytes", "path", "url", "image", "file_name")
            given = next((given[key] for key in keys if given.get(key)), None)
            if isinstance(given, Mapping):
                given = given.get("url")
        if (
            isinstance(given, bool)
            or not isinstance(given, str | int | bytes)
            or given in ("", b"")
        ):
            raise DataError(f"it names no picture: {_words(given)}")
        return given


def _inline(given: str | int) -> bytes | None:
    """The bytes of a `data:` URL, `None` for a name."""
    if not isinstance(given, str) or not given.startswith("data:"):
        return None
    head, _, data = given.partition(",")
    try:
        return base64.b64decode(data, validate=True) if head.endswith(";base64") else data.encode()
    except (binascii.Error, ValueError) as error:
        raise DataError(f"the picture {_words(given)} is no base64 ({error})") from error


def _words(given: Any) -> str:
    if isinstance(given, Mapping):
        given = {key: each for key, each in given.items() if not isinstance(each, bytes)}
    if isinstance(given, bytes):
        return f"{len(given):,} bytes"
    text = repr(given)
    return text if len(text) <= 80 else f"{text[:77]}..."
