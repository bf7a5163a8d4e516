"""Many pictures from anywhere: files, folders, patterns, lists, archives, pages, web addresses.

`open_pictures` turns what people have into pictures with names, one by one and in order. Nothing is
kept of what was given on, and of a folder no more than the names that are sorted.

    photo.jpg                 a picture
    photos/                   all pictures below a folder, those in folders inside too
    "photos/**/*.png"         a pattern, for shells that leave it as it is
    names.txt, @names         a list of any of these, one a line
    -                         a picture on standard input
    scan.tif                  its pages, or the frames of an animation, where `pages` asks for them
    shard.tar, photos.zip     the pictures in an archive
    part-0.parquet            the pictures in a Parquet file
    https://...               a download, where it is allowed
"""

import glob
import os
import re
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from tarfile import ReadError, TruncatedHeaderError  # type: ignore[attr-defined]
from typing import Any, Self

from florence2.data.downloads import Downloads
from florence2.data.files import optional_library, text_lines
from florence2.data.image_files import UNREAD_SUFFIXES, is_picture, not_read, picture_suffixes
from florence2.errors import ConfigError, Florence2Error, ImageError
from florence2.processing.images import ImageSource, read_pages, shortened

SORTED_NAMES = 100_000
"""A folder of more names is read in the order that the disk has them."""
LIST_SUFFIXES = (".txt", ".lst", ".list")
TAR_SUFFIXES = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
PAGED_SUFFIXES = (".tif", ".tiff", ".gif", ".webp", ".png", ".apng", ".avif")
MAX_LIST_DEPTH = 4
MAX_FILE_BYTES = 1 << 30  # of standard input, and of a member of an archive
_MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True, eq=False)
class NamedPicture:
    """A picture from somewhere, or why there is none.

    Attributes:
        name: how it was given, or where it was found: a path, `scan.tif#2` for a page,
            `shard.tar/a.png` for a member, `part.parquet#7` for a row, from 0.
        image: a path, the bytes of a file, or a Pillow image; `None` where there is an error.
        error: why it cannot be had. What is wrong inside a file is found when it is opened.
    """

    name: str
    image: ImageSource | None
    error: Florence2Error | None = None


@dataclass(frozen=True)
class Pages:
    """Which pages of a file with several are asked about, counted from 1.

    Attributes:
        ranges: first and last page of each range, both included.
    """

    ranges: tuple[tuple[int, int], ...]

    def __contains__(self, page: int) -> bool:
        return any(first <= page <= last for first, last in self.ranges)

    @classmethod
    def parse(cls, text: str) -> "Pages":
        """Read "all", or numbers and ranges with commas.

        >>> Pages.parse("1,3-5").ranges
        ((1, 1), (3, 5))
        """
        if text == "all":
            return cls(((1, sys.maxsize),))
        ranges = []
        for part in text.split(","):
            found = re.fullmatch(r"\s*([1-9][0-9]*)\s*(?:(-)\s*([1-9][0-9]*)?)?\s*", part)
            first, last = (0, -1)
            if found:
                first = int(found[1])
                last = int(found[3]) if found[3] else sys.maxsize if found[2] else first
            if first > last:
                raise ConfigError(
                    f"pages {text!r} are not understood; give all, or numbers from 1 and ranges as"
                    " in 1,3-5"
                )
            ranges.append((first, last))
        return cls(tuple(ranges))


def open_pictures(
    given: Sequence[str],
    *,
    pages: Pages | None = None,
    downloads: Downloads | None = None,
    skip: Callable[[str], bool] = lambda name: False,
) -> Iterator[NamedPicture]:
    """Yield the pictures of everything that was given, in order; what is broken yields its error.

    Args:
        given: as the text of this module shows them.
        pages: which pages of files with several; such files are refused when they are opened if
            it is `None`.
        downloads: fetches web addresses; they are refused if it is `None`.
        skip: tells by its name whether to leave out a picture.
    """
    for name in _names(given):
        if isinstance(name, NamedPicture):
            yield name
        elif _has_parts(name, pages):
            yield from (each for each in _open(name, pages, downloads) if not skip(each.name))
        elif not skip(name):
            yield from _open(name, pages, downloads)


def count_pictures(given: Sequence[str], *, pages: Pages | None = None) -> int | None:
    """Return how many pictures there will be, `None` where that would take long to find out."""
    names = list(islice(_names(given), SORTED_NAMES + 1))
    if len(names) > SORTED_NAMES:
        return None
    for name in names:
        if isinstance(name, str) and _has_parts(name, pages):
            return None
    return len(names)


def _has_parts(name: str, pages: Pages | None) -> bool:
    """Whether a file may hold several pictures, each with a name of its own."""
    if is_archive(name):
        return True
    paged = name == "-" or is_address(name) or name.lower().endswith(PAGED_SUFFIXES)
    return pages is not None and paged


def _names(given: Iterable[str], lists: tuple[str, ...] = ()) -> Iterator[str | NamedPicture]:
    """Yield single pictures and archives by name; folders, patterns and lists are taken apart.

    Args:
        lists: those that these names stand in, the outermost first.
    """
    pictures = _stems_of_pictures(given) if isinstance(given, Sequence) else frozenset()
    for name in given:
        if _is_text_of(name, pictures):
            continue
        if name == "-" or is_address(name):
            yield name
        elif name.startswith("@") and not os.path.lexists(name):
            yield from _listed(name, name[1:], lists)
        elif os.path.isdir(name):
            yield from _in_folder(name)
        elif name.lower().endswith(LIST_SUFFIXES) and os.path.isfile(name):
            yield from _listed(name, name, lists)
        elif _MAGIC.search(name) and not os.path.lexists(name):
            yield from _matching(name)
        else:
            yield name


def _stems_of_pictures(names: Sequence[str]) -> frozenset[str]:
    parts = map(os.path.splitext, names)
    return frozenset(stem for stem, suffix in parts if suffix.lower() in picture_suffixes())


def _is_text_of(name: str, pictures: frozenset[str]) -> bool:
    """Whether a file is `a.txt` where `a.png` is given too, as `photos/*` gives both."""
    stem, suffix = os.path.splitext(name)
    return suffix.lower() in LIST_SUFFIXES and stem in pictures


def is_address(name: str) -> bool:
    """Tell a web address from a path.

    >>> is_address("https://example.org/a.png"), is_address("C:/a.png")
    (True, False)
    """
    return name.lower().startswith(("http://", "https://"))


def _in_folder(folder: str) -> Iterator[str | NamedPicture]:
    found = False
    read = picture_suffixes()
    for path in _files_below(folder):
        suffix = "" if isinstance(path, NamedPicture) else os.path.splitext(path)[1].lower()
        if isinstance(path, NamedPicture) or suffix in read:
            yield path
        elif suffix in UNREAD_SUFFIXES:
            yield NamedPicture(path, None, ImageError(f"image {path!r}: {not_read(Path(path))}"))
        else:
            continue
        found = True
    if not found:
        yield NamedPicture(
            folder, None, ImageError(f"folder {folder!r} holds no picture; check the path")
        )


def _files_below(folder: str) -> Iterator[str | NamedPicture]:
    """Yield the files of a folder and of those inside; links to folders are not followed."""
    folders = []
    try:
        with os.scandir(folder) as found:
            entries = (entry for entry in found if not entry.name.startswith("."))
            few = sorted(islice(entries, SORTED_NAMES), key=lambda entry: entry.name)
            for entry in chain(few, entries):
                if not _is_folder(entry):
                    yield entry.path
                elif not entry.is_symlink() and entry.name != "__MACOSX":
                    folders.append(entry.path)
    except OSError as error:
        yield NamedPicture(
            folder,
            None,
            ImageError(f"folder {folder!r} cannot be read ({error.strerror}); check the path"),
        )
        return
    for inside in folders:
        yield from _files_below(inside)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    """Whether it is a folder; a link that leads to itself is none; opening it tells why."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _matching(pattern: str) -> Iterator[str | NamedPicture]:
    names = _matches(pattern)
    few = list(islice(names, SORTED_NAMES))
    if not few:
        error = ImageError(f"pattern {shortened(pattern)!r} matches no file; check it")
        yield NamedPicture(pattern, None, error)
    pictures = _stems_of_pictures(few)
    for path in chain(sorted(set(few)), names):
        if os.path.isfile(path) and not _is_text_of(path, pictures):
            yield path


def _matches(pattern: str) -> Iterator[str]:
    """Yield what matches; unlike in `glob`, `**` follows no link to a folder."""
    parts = re.split(r"(?<![^/])\*\*(?:/|$)", pattern.replace(os.sep, "/"), maxsplit=1)
    if len(parts) == 1:
        yield from glob.iglob(pattern)
        return
    for top in glob.iglob(parts[0]) if parts[0] else [""]:
        for folder, inside, _ in os.walk(top or os.curdir):
            inside[:] = sorted(name for name in inside if not name.startswith("."))
            below = folder if top else os.path.relpath(folder)
            below = "" if below == os.curdir and not top else os.path.join(below, "")
            yield from _matches(glob.escape(below) + (parts[1] or "*"))


def _listed(name: str, file: str, lists: tuple[str, ...]) -> Iterator[str | NamedPicture]:
    """Yield what a list names; paths are those of the working folder, or else of the list's."""

    def failed(why: str) -> NamedPicture:
        return NamedPicture(name, None, ImageError(f"list {file!r} {why}"))

    try:
        itself = os.path.realpath(file)
        if itself in lists:
            yield failed("names itself, or lists in it do; take that line out")
            return
        if len(lists) >= MAX_LIST_DEPTH:
            yield failed(f"is named by a list that is {len(lists)} lists deep; put its lines there")
            return
        lines = (
            line.decode("utf-8-sig", "surrogateescape").strip() for line in text_lines(Path(file))
        )
        first = next(filter(None, lines), None)
        if first is None:
            yield failed("is empty; write the name of a picture into each line")
            return
        base = os.path.dirname(file)
        if not name.startswith("@") and _found(first, base) is None:
            yield failed(
                f"is no list of pictures: its first line {first[:80]!r} names none that is there;"
                f" write {'@' + file!r} if it is one"
            )
            return
        read = picture_suffixes()
        for line in chain([first], filter(None, lines)):
            there = _found(line, base) or line
            suffix = os.path.splitext(there)[1].lower()
            if suffix in read and not _MAGIC.search(there) and not os.path.isdir(there):
                yield there  # mostly so, and told soonest
            else:
                yield from _names([there], (*lists, itself))
    except (OSError, ValueError) as error:  # a null byte in the name is a ValueError
        reason = getattr(error, "strerror", None) or str(error)
        yield failed(f"cannot be read ({reason}); check the path")


def _found(line: str, base: str) -> str | None:
    """What a line of a list names: in the working folder, or else in the list's own."""
    if is_address(line):
        return line
    for each in (line, os.path.join(base, line)):
        if os.path.lexists(each):
            return each
    for each in (line, os.path.join(glob.escape(base), line)) if _MAGIC.search(line) else ():
        if next(_matches(each), None) is not None:
            return each
    return None


def _open(name: str, pages: Pages | None, downloads: Downloads | None) -> Iterator[NamedPicture]:
    try:
        if name == "-":
            yield from _with_pages(name, _standard_input(), pages)
        elif is_address(name):
            if downloads is None:
                raise ImageError(
                    f"image {name!r} is a web address, and nothing is downloaded unless you say so;"
                    " add --allow-download"
                )
            yield from _with_pages(name, downloads.fetch(name), pages)
        elif (archive := _reader_of(name)) is not None:
            yield from _members(name, archive, pages)
        elif pages is not None and name.lower().endswith(PAGED_SUFFIXES):
            yield from _with_pages(name, name, pages)
        elif pages is not None and 1 not in pages and os.path.isfile(name):
            raise ImageError(
                f"image {shortened(name)!r} has one page, and none of those asked for; pages count"
                " from 1"
            )
        else:
            yield NamedPicture(name, name)
    except Florence2Error as error:
        yield NamedPicture(name, None, error)


def _with_pages(name: str, image: str | bytes, pages: Pages | None) -> Iterator[NamedPicture]:
    if pages is None:
        yield NamedPicture(name, image)
        return
    for number, total, page in read_pages(image, pages.__contains__):
        yield NamedPicture(name if total == 1 else f"{name}#{number}", page)


def _standard_input() -> bytes:
    if sys.stdin is None or sys.stdin.buffer.isatty():
        where = "closed" if sys.stdin is None else "a terminal"
        raise ImageError(
            f"standard input is {where}; write a picture into it, as in: cat a.png | ..."
        )
    data = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
    if not data:
        raise ImageError("standard input is empty; write a picture into it, as in: cat a.png | ...")
    if len(data) > MAX_FILE_BYTES:
        raise ImageError(f"standard input has more than {MAX_FILE_BYTES:,} bytes; give a path")
    return data


# ---- archives

Member = tuple[str, ImageSource | Florence2Error]


def is_archive(name: str) -> bool:
    """Tell by its name a file that pictures are taken out of."""
    return _reader_of(name) is not None


def _reader_of(name: str) -> Callable[[str], Iterator[Member]] | None:
    lower = name.lower()
    if lower.endswith(TAR_SUFFIXES):
        return _in_tar
    if lower.endswith(".zip"):
        return _in_zip
    return _in_parquet if lower.endswith(".parquet") else None


def _members(
    name: str, read: Callable[[str], Iterator[Member]], pages: Pages | None
) -> Iterator[NamedPicture]:
    found = False
    try:
        for member, image in read(name):
            found = True
            if isinstance(image, Florence2Error):
                yield NamedPicture(member, None, image)
            elif pages is not None and isinstance(image, bytes):
                try:
                    yield from _with_pages(member, image, pages)
                except Florence2Error as error:
                    yield NamedPicture(member, None, error)
            else:
                yield NamedPicture(member, image)
    except FileNotFoundError:
        raise ImageError(f"archive {shortened(name)!r} does not exist; check the path") from None
    except Florence2Error:
        raise
    # Readers of damaged archives raise almost anything, after any number of good members.
    except Exception as error:
        raise ImageError(
            f"archive {shortened(name)!r} is damaged or cut off ({error}); make it anew, or"
            " unpack what is left of it"
        ) from error
    if not found:
        raise ImageError(f"archive {shortened(name)!r} holds no picture")


class _Entry(tarfile.TarInfo):
    """A member whose head is cut off is an error, and not the end of the archive."""

    @classmethod
    def fromtarfile(cls, tarfile: Any) -> Self:
        try:
            return super().fromtarfile(tarfile)
        except TruncatedHeaderError as error:
            raise ReadError(str(error)) from error


def _in_tar(name: str) -> Iterator[Member]:
    with tarfile.open(name, "r|*", tarinfo=_Entry) as archive:
        for entry in archive:
            if entry.isfile() and is_picture(Path(entry.name)):
                yield _checked(f"{name}/{entry.name}", entry.size, archive.extractfile(entry))


def _in_zip(name: str) -> Iterator[Member]:
    with zipfile.ZipFile(name) as archive:
        for entry in archive.infolist():
            path = Path(entry.filename)
            if entry.is_dir() or not is_picture(path) or "__MACOSX" in path.parts:
                continue
            member = f"{name}/{entry.filename}"
            if entry.flag_bits & 1:
                yield member, ImageError(f"image {member!r} is encrypted; unpack it yourself")
                continue
            try:
                with archive.open(entry) as opened:
                    yield _checked(member, entry.file_size, opened)
            except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
                yield member, ImageError(f"image {member!r} cannot be unpacked ({error})")


def _checked(member: str, size: int, opened: Any) -> Member:
    """Read a member, unless it says or turns out to be larger than any picture."""
    data = opened.read(MAX_FILE_BYTES + 1) if size <= MAX_FILE_BYTES else b""
    if size > MAX_FILE_BYTES or len(data) > MAX_FILE_BYTES:
        return member, ImageError(
            f"image {member!r} has more than {MAX_FILE_BYTES:,} bytes; make it smaller"
        )
    return member, data


def _in_parquet(name: str) -> Iterator[Member]:
    parquet = optional_library("pyarrow.parquet", "parquet")
    with parquet.ParquetFile(name) as file:
        column = _image_column(file.schema_arrow, name)
        number = 0
        for batch in file.iter_batches(batch_size=64, columns=[column]):
            for value in batch.column(0).to_pylist():
                yield _cell(f"{name}#{number}", value, name)
                number += 1


def _image_column(schema: Any, name: str) -> str:
    """The column of pictures: their bytes, or a pair of bytes and path as on the hub."""
    columns = {}
    for field in schema:
        kind = str(field.type)
        if kind.startswith(("binary", "large_binary")) or "bytes: " in kind:
            columns[field.name] = kind
    wanted = [each for each in ("image", "img", "picture", "jpg", "png") if each in columns]
    if not wanted and len(columns) != 1:
        raise ImageError(
            f"file {name!r} has no column of pictures; its columns are {', '.join(schema.names)}:"
            " call the one with the bytes of pictures image"
        )
    return (wanted or list(columns))[0]


def _cell(member: str, value: Any, file: str) -> Member:
    if isinstance(value, dict):
        data, path = value.get("bytes"), value.get("path")
        if data is None and isinstance(path, str):
            beside = Path(file).parent / path
            return member, str(beside if beside.exists() else path)
        value = data
    if not isinstance(value, bytes) or not value:
        return member, ImageError(f"image {member!r} is empty")
    return member, value
