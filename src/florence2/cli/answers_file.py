"""A file of answers that can be gone on with: what stands in it is not asked again.

JSON lines, one an answer. A run that was stopped leaves whole lines and perhaps a half one; the
half one and the lines of pictures that could not be answered are taken out when the file is opened
again, so that each picture stands in it once.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from typing import Any, Self, TextIO

from florence2.cli.edge import json_line
from florence2.errors import ConfigError, writing

ASKED = ("task", "cascade", "prompt", "text_input", "model")


class AnswersFile:
    """Appends answers to a file, and knows which it holds.

    Attributes:
        num_kept: answers that stood in it.
        num_again: answers that were not written, as one about a picture of that name was.
    """

    def __init__(self, path: Path, asked: Mapping[str, str]) -> None:
        """Read what is there.

        Args:
            asked: what every line must say of the question and the model.

        Raises:
            ConfigError: the file holds something else or answers to another question, or another
                run writes it.
        """
        self.path = path
        self._asked = dict(asked)
        self._known: set[bytes] = set()
        self._new: set[bytes] = set()
        self.num_kept = 0
        self.num_again = 0
        self._file = self._opened()
        try:
            self._read()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with writing(self.path):
            self._file.close()

    def holds(self, name: Mapping[str, str], regions: Sequence[Sequence[float]]) -> bool:
        """Tell whether all answers about a picture stand there, that of each region."""
        if not self._known:
            return False
        asked: Sequence[Sequence[float] | None] = regions or [None]
        return all(self._key(name, region) in self._known for region in asked)

    def write(self, content: Mapping[str, Any]) -> None:
        """Append an answer, at once."""
        key = self._key(content, content.get("region"))
        if key in self._known:
            return  # the first regions of a picture stood there already
        if key in self._new:
            self.num_again += 1
            return
        with writing(self.path):
            self._file.write(json_line(content) + "\n")
            self._file.flush()
        if "error" not in content:
            self._new.add(key)

    def _read(self) -> None:
        """Note the answers that stand there; leave errors and a half line out of the file."""
        dropped = False
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                content = self._content(line, number)
                dropped |= not line.endswith(b"\n")
                if content is None or "error" in content:
                    dropped = True
                    continue
                self._known.add(self._key(content, content.get("region")))
                self.num_kept += 1
        if dropped:
            self._rewrite()
            self._file.close()
            self._file = self._opened()

    def _opened(self) -> TextIO:
        """Open the file to append to it, and hold it, as two runs would answer everything twice."""
        with writing(self.path):
            file = self.path.open("a", encoding="utf-8")
        try:
            fcntl: Any = import_module("fcntl")
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise ConfigError(
                f"--output {str(self.path)!r} is being written by another run; wait for its end, or"
                " name another file"
            ) from None
        except (ImportError, OSError):
            pass  # Windows, and file systems that know no locks
        return file

    def _content(self, line: bytes, number: int) -> dict[str, Any] | None:
        """A line as it was written; `None` for one that was being written at the end."""
        try:
            content = json.loads(line)
        except ValueError:
            if not line.endswith(b"\n"):
                return None
            content = None
        if not isinstance(content, dict) or "image" not in content:
            raise ConfigError(
                f"--output {str(self.path)!r} is there and holds something else (line {number} is"
                " no answer of florence2 run); name another file"
            )
        if "error" in content:
            content = content | {"model": self._asked.get("model")}  # errors tell none
        for name in ASKED:
            if content.get(name) != self._asked.get(name):
                raise ConfigError(
                    f"--output {str(self.path)!r} holds answers to another question ({name}"
                    f" {content.get(name)!r}, not {self._asked.get(name)!r}); name another file"
                )
        return content

    def _rewrite(self) -> None:
        part = self.path.with_name(f".{self.path.name}.part")
        with writing(self.path):
            try:
                with self.path.open("rb") as lines, part.open("wb") as kept:
                    kept.writelines(_answers(lines))
                    kept.flush()
                    os.fsync(kept.fileno())
                os.replace(part, self.path)
            finally:
                part.unlink(missing_ok=True)

    @staticmethod
    def _key(name: Mapping[str, Any], region: Sequence[float] | None) -> bytes:
        """A digest of picture and region, so that ten million names fit into memory."""
        sides = None if region is None else [float(side) for side in region]
        words = json.dumps([name.get("image_bytes") or name["image"], sides])
        return blake2b(words.encode(), digest_size=12).digest()


def check_output(path: Path) -> None:
    """Refuse a file that cannot be written, before a model is loaded."""
    if path.is_dir():
        raise ConfigError(f"--output {str(path)!r} is a folder; name a file")
    if path.exists() and not path.is_file():
        raise ConfigError(
            f"--output {str(path)!r} is a device or pipe, which cannot be read again; name a"
            " file, or leave --output out and take standard output"
        )
    if not path.resolve().parent.is_dir():
        raise ConfigError(f"the folder of --output {str(path)!r} does not exist; make it first")


def _answers(lines: Iterable[bytes]) -> Iterable[bytes]:
    for line in lines:
        try:
            if "error" not in json.loads(line):
                yield line if line.endswith(b"\n") else line + b"\n"
        except ValueError:
            continue
