"""Pictures that annotation files name: finding them, their size, and saving them."""

import shutil
from collections.abc import Iterable, Sequence
from hashlib import sha256
from os.path import relpath
from pathlib import Path, PureWindowsPath

from PIL import ExifTags, Image

from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.errors import Florence2Error, ImageError, writing
from florence2.geometry import Size
from florence2.processing.images import MAX_ASPECT_RATIO, MAX_PIXELS, MIN_SIDE, readable_formats

PICTURE_SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp"),
    *(".ppm", ".pgm", ".tif", ".tiff", ".avif", ".jp2"),
)


def is_picture(path: Path) -> bool:
    """Tell by its name whether a file is a picture; hidden files are not."""
    return path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")


def pictures_in(folder: Path, *, deep: bool = False) -> list[Path]:
    """Return the picture files in a folder, sorted; with `deep` also those in folders inside."""
    found = folder.rglob("*") if deep else folder.glob("*")
    return sorted(path for path in found if is_picture(path) and path.is_file())


def find_picture(name: str, folders: Iterable[Path]) -> Path | None:
    """Return the picture that an annotation file names.

    The name is tried as written, with the separators of Windows, and, as annotations often name
    folders of the machine they were made on, by its last part alone.
    """
    windows = PureWindowsPath(name)
    tries = dict.fromkeys(name for name in (name, windows.as_posix(), windows.name) if name)
    folders = tuple(folders)
    for tried in tries:
        for folder in folders:
            if _is_file(folder / tried):
                return folder / tried
    return None


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
    try:
        with Image.open(path, formats=readable_formats()) as image:
            width, height = image.size
            # Pillow turns TIFF files itself, and decodes a whole PNG to look for EXIF at its end.
            lazy = image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info)
            turned = not lazy and image.getexif().get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
    except Exception as error:  # Pillow's readers raise almost anything on damaged bytes
        raise ImageError(
            f"image {str(path)!r} is missing, damaged or no picture ({error}); check the file"
        ) from error
    short, long = sorted((width, height))
    if short < MIN_SIDE or long > MAX_ASPECT_RATIO * short or width * height > MAX_PIXELS:
        raise ImageError(
            f"image {str(path)!r} is {width} x {height} pixels; sides start at {MIN_SIDE}, one is "
            f"at most {MAX_ASPECT_RATIO} times the other, and {MAX_PIXELS:,} pixels are the most"
        )
    return (height, width) if turned else (width, height)


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
    path = find_picture(name, folders)
    if path is None:
        looked = ", ".join(repr(str(folder)) for folder in folders)
        report.add(Problem.PICTURE, where, f"image {name!r} is not there; looked in {looked}")
        return None
    size = checked_size(path, report, where, annotated)
    return None if size is None else (path, size)


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
