"""Folders whose files all change together, or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from florence2.errors import writing


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Give a folder to write to; its files move to `folder` at the end, and none after an error."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        writing(folder),
        tempfile.TemporaryDirectory(prefix=".saving-", dir=folder) as name,
    ):
        staging = Path(name)
        yield staging
        files = sorted(staging.iterdir())
        (plain := staging / ".plain").touch()
        mode = plain.stat().st_mode
        for path in files:
            path.chmod(mode)  # the safetensors writer makes files that only their owner can read
            os.replace(path, folder / path.name)
