"""Files of many small files: zip files with an index, opened fast and read lazily."""

import json
import mmap
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from florence2.errors import DataError, writing

FORMAT_VERSION = 1
INDEX_FILE = "index.json"
ZIP_LOCAL_HEADER_BYTES = 30
COMPRESSED = (".webp", ".jpg", ".png")  # suffixes of what zip makes no smaller
EPOCH = (1980, 1, 1, 0, 0, 0)  # so that the same contents give the same bytes


class Archive:
    """An open archive; it is mapped into memory, so worker processes share it."""

    HOLDS: ClassVar[str]  # what such an archive is, in words
    REMEDY: ClassVar[str]  # how to get one

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            with zipfile.ZipFile(self.path) as archive:
                self._members = {info.filename: info for info in archive.infolist()}
            with self.path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self.index: dict[str, Any] = json.loads(self.read(INDEX_FILE))
        except (OSError, zipfile.BadZipFile, ValueError) as error:
            raise DataError(
                f"{self.HOLDS} {str(self.path)!r} cannot be read ({error}); {self.REMEDY}"
            ) from None
        holds = self.index.get("holds", "kit")  # kits of before there were others do not say
        if holds != self.HOLDS:
            raise DataError(f"file {str(self.path)!r} is a {holds}, not a {self.HOLDS}")
        if self.index.get("format") != FORMAT_VERSION:
            raise DataError(
                f"{self.HOLDS} {str(self.path)!r} has format {self.index.get('format')!r}; this "
                f"version reads format {FORMAT_VERSION}, {self.REMEDY}"
            )

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        return type(self), (self.path,)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all files inside."""
        return tuple(self._members)

    def read(self, name: str) -> bytes:
        """Return one file inside; safe in forked workers, which share the memory map."""
        info = self._members.get(name)
        if info is None:
            raise DataError(f"{self.HOLDS} {str(self.path)!r} has no file {name!r}; {self.REMEDY}")
        header = self._map[info.header_offset : info.header_offset + ZIP_LOCAL_HEADER_BYTES]
        name_and_extra = int.from_bytes(header[26:28], "little") + int.from_bytes(
            header[28:30], "little"
        )
        start = info.header_offset + ZIP_LOCAL_HEADER_BYTES + name_and_extra
        data = self._map[start : start + info.compress_size]
        return data if info.compress_type == zipfile.ZIP_STORED else zlib.decompress(data, -15)


def write_archive(path: Path, files: Mapping[str, bytes]) -> None:
    """Write files by their names; the same ones give the same bytes."""
    with writing(path), zipfile.ZipFile(path, "w") as archive:
        for name, data in sorted(files.items()):
            info = zipfile.ZipInfo(name, EPOCH)
            stored = name.endswith(COMPRESSED)
            info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, data, compresslevel=9)
