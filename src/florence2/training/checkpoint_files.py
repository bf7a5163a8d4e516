"""The files of a run: a checkpoint that survives a crash at any moment, and a log that fits it.

checkpoint.pt              all state of the run
checkpoint.json            instead of it: the names and hashes of the parts of a cut checkpoint
checkpoint-HASH.part01     such a part
log.csv                    stage, step, seconds, name, value, pictures
"""

import csv
import hashlib
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from florence2.errors import ConfigError, WeightsError, writing

CHECKPOINT, MANIFEST, LOG = "checkpoint.pt", "checkpoint.json", "log.csv"
PARTS = "checkpoint-*.part*"
LOG_COLUMNS = ("stage", "step", "seconds", "name", "value", "pictures")


def write_checkpoint(state: Mapping[str, Any], folder: Path, part_bytes: int | None = None) -> None:
    """Write the state of a run, in one file or in parts; a crash leaves the former state."""
    if part_bytes is None:
        _write_synced(folder / CHECKPOINT, state)
        stale = [folder / MANIFEST, *folder.glob(PARTS)]
    else:
        stale = [
            folder / CHECKPOINT,
            *(set(folder.glob(PARTS)) - set(_write_parts(state, folder, part_bytes))),
        ]
    for path in stale:
        path.unlink(missing_ok=True)


def _write_parts(state: Mapping[str, Any], folder: Path, part_bytes: int) -> list[Path]:
    """Parts under new names, then the list that makes them the checkpoint."""
    if part_bytes < 1:
        raise ConfigError(f"parts of {part_bytes!r} bytes cannot be; give 1 or more, or None")
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    data = buffer.getbuffer()
    name = hashlib.sha256(data).hexdigest()[:8]
    paths, entries = [], []
    for number, start in enumerate(range(0, len(data), part_bytes), start=1):
        part = data[start : start + part_bytes]
        path = folder / f"checkpoint-{name}.part{number:02d}"
        _write_synced(path, part)
        paths.append(path)
        digest = hashlib.sha256(part).hexdigest()
        entries.append({"name": path.name, "bytes": len(part), "sha256": digest})
    text = json.dumps({"parts": entries}, indent=2) + "\n"
    _write_synced(folder / MANIFEST, text.encode())
    return paths


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Write a small file of the run; a crash leaves the former one, or none."""
    _write_synced(path, (json.dumps(content, indent=2) + "\n").encode())


def read_json(path: Path) -> Any:
    """What `write_json` wrote."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise ConfigError(
            f"file {str(path)!r} of the run is damaged; start in another folder"
        ) from None


def _write_synced(path: Path, data: bytes | memoryview | Mapping[str, Any]) -> None:
    """Write bytes or a state, force them to the disk, and only then give the file its name."""
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        with writing(path), temporary.open("wb") as file:
            if isinstance(data, Mapping):
                torch.save(dict(data), file)
            else:
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)  # on a full disk, half of it would keep the disk full
        raise
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_checkpoint(place: Path) -> dict[str, Any] | None:
    """The state of a run from its folder or its checkpoint file; None if there is none yet."""
    if place.is_dir():
        found = [path for name in (CHECKPOINT, MANIFEST) if (path := place / name).exists()]
        if not found:
            return None
        place = max(found, key=lambda path: path.stat().st_mtime_ns)
    data = io.BytesIO(_join_parts(place)) if place.suffix == ".json" else place
    try:
        state = torch.load(data, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files raise nearly anything
        raise WeightsError(
            f"checkpoint {str(place)!r} is truncated, damaged or not one of a training run"
            f" ({type(error).__name__}); copy it again, or start in another folder"
        ) from error
    if not isinstance(state, dict) or "model" not in state:
        raise WeightsError(
            f"file {str(place)!r} holds no state of a training run; give the folder of a run or its"
            f" {CHECKPOINT!r}"
        )
    return state


def _join_parts(manifest: Path) -> bytes:
    whole = bytearray()
    for entry in json.loads(manifest.read_text(encoding="utf-8"))["parts"]:
        path = manifest.parent / entry["name"]
        if not path.exists():
            raise WeightsError(f"part {str(path)!r} of the checkpoint is missing; copy it here too")
        part = path.read_bytes()
        if hashlib.sha256(part).hexdigest() != entry["sha256"]:
            raise WeightsError(
                f"part {str(path)!r} of the checkpoint has {len(part):,} bytes that are not those"
                f" once written ({entry['bytes']:,} bytes); copy it again"
            )
        whole += part
    return bytes(whole)


def trained_weights(place: str | Path) -> dict[str, Tensor]:
    """State dict of the model that a run has made so far: the running average if it keeps one.

    Args:
        place: folder of a run, or its checkpoint file.
    """
    state = read_checkpoint(Path(place))
    if state is None:
        raise WeightsError(
            f"folder {str(place)!r} holds neither {CHECKPOINT!r} nor {MANIFEST!r}; give the folder"
            " of a training run"
        )
    return {**state["model"], **state.get("average", {})}


class RunLog:
    """Numbers of a run, one a row, in a file that grows."""

    def __init__(self, path: Path):
        self.path = path

    def write(
        self, stage: str, step: int, seconds: float, pictures: int, numbers: Mapping[str, float]
    ) -> None:
        """Add a row for each number."""
        is_new = not self.path.exists() or self.path.stat().st_size == 0
        with writing(self.path), self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if is_new:
                writer.writerow(LOG_COLUMNS)
            for name, value in numbers.items():
                writer.writerow([stage, step, round(seconds, 1), name, f"{value:.6g}", pictures])

    def sync(self) -> int:
        """Force the rows to the disk; returns the size of the file."""
        if not self.path.exists():
            return 0
        with self.path.open("ab") as file:
            os.fsync(file.fileno())
            return file.tell()

    def truncate(self, size: int) -> None:
        """Drop the rows that came after the log had this size; they will be written again."""
        if self.path.exists() and self.path.stat().st_size > size:
            os.truncate(self.path, size)
