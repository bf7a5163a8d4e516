"""Pages of a document that is being read, kept beside the output until all are read.

JSON lines: first what is read and how, then a page each. A run that was stopped goes on behind the
last whole line; a file of another document, of other options or of another version begins anew.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Self

import orjson

from florence2.cli.edge import json_line
from florence2.documents.structure import Page
from florence2.documents.writers.json_document import page_of, page_row
from florence2.errors import writing


class PagesFile:
    """The pages that were read; a context manager. Only their places are kept in memory.

    Attributes:
        num_kept: pages that an earlier run had read.
    """

    def __init__(self, path: Path, asked: Mapping[str, Any]) -> None:
        """Read what is there.

        Args:
            asked: what is read and how; of JSON types.
        """
        self.path = path
        self._asked = json.loads(json_line(asked))  # file names may be no UTF-8
        self._places: dict[int, int] = {}
        with writing(path):
            self._file: BinaryIO = path.open("a+b")
        if not self._is_mine():
            self._file.truncate(0)
            self._append(self._asked)
        self.num_kept = self._num_pages = len(self._places)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with writing(self.path):  # what a full disk did not take is tried once more
            self._file.close()
        if not self._num_pages:  # stopped before the first of them
            self.path.unlink(missing_ok=True)

    def _is_mine(self) -> bool:
        """Note the pages that stand there; False if they are those of something else."""
        self._file.seek(0)
        end = 0
        for number, line in enumerate(self._file):
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError:
                break
            if not line.endswith(b"\n"):
                break
            if number == 0:
                if row != self._asked:
                    return False
            elif isinstance(row, dict) and isinstance(row.get("number"), int):
                self._places[row["number"]] = end
            else:
                break
            end += len(line)
        self._file.truncate(end)
        return end > 0

    def page(self, number: int) -> Page | None:
        """A page that was read before, by its number."""
        place = self._places.get(number)
        if place is None:
            return None
        self._file.seek(place)
        return page_of(orjson.loads(self._file.readline()))

    def add(self, page: Page) -> None:
        """Keep a page; one that could not be read is tried again."""
        if not page.error:
            self._append(page_row(page))
            self._num_pages += 1

    def _append(self, row: Mapping[str, Any]) -> None:
        with writing(self.path):
            self._file.write(orjson.dumps(row) + b"\n")
            self._file.flush()

    def remove(self) -> None:
        """All is read: the file is no longer needed."""
        self._file.close()
        self.path.unlink(missing_ok=True)
