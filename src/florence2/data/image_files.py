"""Pictures that annotation files name: finding them, their size, and saving them."""

import os
import shutil
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from hashlib import sha256
from os.path import relpath
from pathlib import Path, PureWindowsPath
from urllib.parse import unquote

from PIL import ExifTags, Image

from florence2.data.parts import part_named
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.errors import Florence2Error, ImageError, writing
from florence2.geometry import Size
from florence2.processing.images import MAX_ASPECT_RATIO, MAX_PIXELS, MIN_SIDE, readable_formats

UNREAD_SUFFIXES = (
    *(".heic", ".heif", ".hif", ".jxl", ".jxr", ".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw"),
    *(".orf", ".rw2", ".raf", ".psd", ".psb", ".tga", ".dcm", ".exr", ".hdr", ".dds", ".pcx"),
    *(".xcf", ".svs", ".mpo", ".sgi", ".fits"),
)
"""Suffixes of pictures that are not read, but for those of HEIF where its plug-in is installed."""
_HEIF_SUFFIXES = (".heic", ".heif", ".hif")

MAX_PLACES = 6
"""So many folders that were looked in are told."""


@cache
def picture_suffixes() -> frozenset[str]:
    """Return the suffixes that Pillow knows for the formats we read."""
    formats = readable_formats()
    known = Image.registered_extensions().items()
    return frozenset(suffix for suffix, name in known if name in formats)


def is_picture(path: Path) -> bool:
    """Tell by its name whether a file is a picture; hidden files are not."""
    return path.suffix.lower() in picture_suffixes() and not path.name.startswith(".")


def not_read(path: Path) -> str:
    """Say what to do with a picture of a kind that is not read."""
    advice = ", or pip install 'florence2[heif]'" if path.suffix.lower() in _HEIF_SUFFIXES else ""
    return f"{path.suffix[1:].upper()} is not read; save it as JPEG or PNG{advice}"


def is_hidden(path: Path, root: Path) -> bool:
    """Tell whether a file below a folder is one that systems and tools keep for themselves."""
    parts = path.relative_to(root).parts
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def files_in(folder: Path) -> list[Path]:
    """Return all files in a folder and in folders inside, sorted; hidden ones are left out."""
    return sorted(
        path for path in folder.rglob("*") if not is_hidden(path, folder) and path.is_file()
    )


def pictures_in(folder: Path, *, deep: bool = False) -> list[Path]:
    """Return the picture files in a folder, sorted; with `deep` also those in folders inside."""
    found = folder.rglob("*") if deep else folder.glob("*")
    return sorted(
        path
        for path in found
        if is_picture(path) and not is_hidden(path, folder) and path.is_file()
    )


def find_picture(name: str, folders: Iterable[Path]) -> Path | None:
    """Return the picture that an annotation file names.

    Tried are, in this order, and each in all folders: the name as written; with the separators of
    Windows; with its percent signs decoded; what is left of these as folders are taken off the
    front, as annotations often name folders of the machine they were made on; and the last part
    in another case or another form of Unicode, if just one file has it.
    """
    folders = tuple(folders)
    for folder in folders if name else ():
        if os.path.isfile(os.path.join(folder, name)):  # as `_is_file`, without making a path
            return folder / name
    folders = tuple(dict.fromkeys(folders))
    written = [name, PureWindowsPath(name).as_posix()]
    written += [unquote(each) for each in written if "%" in each]
    whole = dict.fromkeys(each for each in written if each)
    ends = dict.fromkeys(end for each in whole for end in path_ends(each))
    for tried in (*whole, *ends):
        for folder in folders:
            if _is_file(folder / tried):
                return folder / tried
    for tried in dict.fromkeys(PureWindowsPath(each).name for each in whole):
        for folder in folders:
            alike = _files_alike(folder).get(plain_name(tried), ())
            if len(alike) == 1:
                return folder / alike[0]
    return None


def twin_folders(folder: Path, root: Path) -> tuple[Path, ...]:
    """Return the folders that may hold the pictures of annotations in a folder.

    These are the folders beside it, and beside each folder up to `root`, with the same folders
    inside: `images/a` and `JPEGImages/a` for `Annotations/a`. Folders of other parts are none.
    """
    above = [each for each in folder.parents if root == each or root in each.parents]
    twins = _twins(folder, tuple((each, each.stat().st_mtime_ns) for each in above))
    return tuple(place for place in twins if place.is_dir())


@lru_cache(maxsize=64)
def _twins(folder: Path, above_and_changed: tuple[tuple[Path, int], ...]) -> tuple[Path, ...]:
    found = []
    for above, _ in above_and_changed:
        rest = folder.relative_to(above).parts
        for beside in sorted(above.iterdir()):
            if beside.is_dir() and part_named(beside.name) is None and beside.name != rest[0]:
                found += [beside.joinpath(*rest[1:]), beside]
    return tuple(dict.fromkeys(found))


def path_ends(path: str) -> list[str]:
    """Return what is left of a path as folders are taken off its front, longest first.

    >>> path_ends("/content/train/images")
    ['content/train/images', 'train/images', 'images']
    >>> path_ends("train/1.jpg")
    ['1.jpg']
    """
    parts = PureWindowsPath(path).parts
    names = [part for part in parts if part != ".." and not part.endswith(("\\", "/"))]
    start = int(len(names) == len(parts))
    return ["/".join(names[at:]) for at in range(start, len(names))]


def picture_of_stem(stem: str, folders: Iterable[Path]) -> Path | None:
    """Return the picture that has a name without suffix, from the first folder with one."""
    for folder in folders:
        try:
            names = _by_stem(folder, folder.stat().st_mtime_ns).get(stem)
        except OSError:
            continue
        if names:
            return folder / names[0]
    return None


@lru_cache(maxsize=16)
def _by_stem(folder: Path, _changed: int) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for file in pictures_in(folder):
        names.setdefault(file.stem, []).append(file.name)
    return names


def plain_name(name: str) -> str:
    """A name without what file systems and tools change: its case, its form of Unicode."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _files_alike(folder: Path) -> dict[str, list[str]]:
    try:
        return _listed(folder, folder.stat().st_mtime_ns)
    except (OSError, ValueError):
        return {}


@lru_cache(maxsize=16)
def _listed(folder: Path, _changed: int) -> dict[str, list[str]]:
    """The names in a folder, by what is plain of them."""
    names: dict[str, list[str]] = {}
    for name in os.listdir(folder):
        names.setdefault(plain_name(name), []).append(name)
    return names


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long, a null byte
        return False


def picture_size(path: Path) -> Size:
    """Return `(width, height)` of the upright picture from its header, decoding nothing.

    Raises:
        ImageError: if it has no readable header or is beyond the limits of
            `florence2.processing.images`.
    """
    width, height = _plain_jpeg_size(path) or _size_by_pillow(path)
    short, long = sorted((width, height))
    if short < MIN_SIDE or long > MAX_ASPECT_RATIO * short or width * height > MAX_PIXELS:
        raise ImageError(
            f"image {str(path)!r} is {width} x {height} pixels; sides start at {MIN_SIDE}, one is "
            f"at most {MAX_ASPECT_RATIO} times the other, and {MAX_PIXELS:,} pixels are the most"
        )
    return width, height


def _size_by_pillow(path: Path) -> Size:
    try:
        with Image.open(path, formats=readable_formats()) as image:
            width, height = image.size
            # Pillow turns TIFF files itself, and decodes a whole PNG to look for EXIF at its end.
            lazy = image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info)
            turned = not lazy and image.getexif().get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
    except Exception as error:  # Pillow's readers raise almost anything on damaged bytes
        if path.suffix.lower() in UNREAD_SUFFIXES and path.is_file():
            raise ImageError(f"image {str(path)!r} is no use: {not_read(path)}") from error
        raise ImageError(
            f"image {str(path)!r} is missing, damaged or no picture ({error}); check the file"
        ) from error
    return (height, width) if turned else (width, height)


def _plain_jpeg_size(path: Path) -> Size | None:
    """The size that the head of a plain JPEG tells, as Pillow would, in a fifth of its time.

    `None` for all other files: what may hold EXIF (APP1) or several pictures (APP2), what Pillow
    may refuse, what is no JPEG.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            head = file.read(4096)
    except (OSError, ValueError):
        return None
    if not head.startswith(b"\xff\xd8\xff"):
        return None
    at, size = 2, None
    while at + 10 <= len(head) and head[at] == 0xFF:
        marker, length = head[at + 1], head[at + 2] << 8 | head[at + 3]
        if marker == 0xDA:  # start of scan
            return size if at + 2 + length <= len(head) else None
        if marker in (0xC0, 0xC2):  # frame, baseline or progressive
            height = head[at + 5] << 8 | head[at + 6]
            width = head[at + 7] << 8 | head[at + 8]
            if size or head[at + 4] != 8 or head[at + 9] not in (1, 3) or not width or not height:
                return None
            if length != 8 + 3 * head[at + 9]:
                return None
            size = width, height
        elif marker == 0xDB:  # quantization tables of 64 bytes
            tables = head[at + 4 : at + 2 + length : 65]
            if (length - 2) % 65 or any(table > 3 for table in tables):
                return None
        elif marker not in (0xC4, 0xDD, 0xE0, 0xFE) or length < 2:
            return None
        at += 2 + length
    return None


def checked_size(
    path: Path, report: ReadReport, where: str, annotated: Size | None = None
) -> Size | None:
    """Return the size of a picture, or count what is wrong with it.

    Args:
        path: the picture.
        report: counts a problem.
        where: the row that names the picture.
        annotated: the size that the annotations were made for, if they tell one.
    """
    report.pictures.add(path)
    try:
        size = picture_size(path)
    except Florence2Error as error:
        report.add(Problem.PICTURE, where, error)
        return None
    if annotated is not None and annotated != size:
        turned = " (turned by EXIF: save it upright)" if annotated == size[::-1] else ""
        report.add(
            Problem.SIZE,
            where,
            f"image {str(path)!r} is {size[0]} x {size[1]} pixels{turned}, its annotations are "
            f"for {annotated[0]} x {annotated[1]}",
        )
        return None
    return size


def named_picture(
    name: str,
    folders: Sequence[Path],
    report: ReadReport,
    where: str,
    annotated: Size | None = None,
) -> tuple[Path, Size] | None:
    """Return path and size of a picture that an annotation names, or count what is wrong."""
    path = listed_picture(name, folders, report, where)
    size = None if path is None else checked_size(path, report, where, annotated)
    return None if path is None or size is None else (path, size)


def listed_picture(
    name: str, folders: Sequence[Path], report: ReadReport, where: str
) -> Path | None:
    """Return the picture that an annotation names, or count that it is not there."""
    path = find_picture(name, folders)
    if path is None:
        looked = ", ".join(repr(str(folder)) for folder in folders[:MAX_PLACES])
        more = len(folders) - MAX_PLACES
        looked += f" and {more} more folders" if more > 0 else ""
        report.add(Problem.PICTURE, where, f"image {name!r} is not there; looked in {looked}")
    return path


class PictureFolder:
    """Where a writer finds or puts the pictures of its records.

    Args:
        folder: for pictures that have no file yet, saved as PNG, the same pixels once.
        copy: copy pictures that have a file into the folder, too.
    """

    def __init__(self, folder: Path, *, copy: bool = False) -> None:
        self.folder = folder
        self.copy = copy
        self._made: dict[Path, Path] = {}

    @classmethod
    def beside(cls, file: Path) -> "PictureFolder":
        """The folder `<name of the file>_images` beside a file of annotations."""
        return cls(file.with_name(f"{file.stem}_images"))

    def name_of(self, record: Record) -> str:
        """Return how a file beside the folder names the picture of a record, with slashes."""
        path, here = self.path_of(record).resolve(), self.folder.parent.resolve()
        try:
            return Path(relpath(path, here)).as_posix()
        except ValueError:  # another drive of Windows
            return path.as_posix()

    def path_of(self, record: Record) -> Path:
        """Return the picture file of a record."""
        if isinstance(record.image, Path):
            return self._copied(record.image) if self.copy else record.image
        digest = sha256(str(record.image.shape).encode() + record.image.tobytes()).hexdigest()
        path = self.folder / f"{digest[:16]}.png"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            with writing(path):
                record.picture().save(path)
        return path

    def _copied(self, source: Path) -> Path:
        source = source.resolve()
        if source not in self._made:
            self.folder.mkdir(parents=True, exist_ok=True)
            taken = {path.stem for path in self._made.values()}
            stem, number = source.stem, 1
            while stem in taken:  # another picture of this name, from another folder
                number += 1
                stem = f"{source.stem}_{number}"
            self._made[source] = self.folder / f"{stem}{source.suffix}"
            if self._made[source] != source:
                with writing(self._made[source]):
                    shutil.copyfile(source, self._made[source])
        return self._made[source]
