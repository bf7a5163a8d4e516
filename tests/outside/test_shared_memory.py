"""Containers often have 64 MB of shared memory, or less: training needs no option there."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from florence2.tasks import Task
from florence2.training import batches as module
from florence2.training.batches import Batch, Batches, Example, batch_loader
from florence2.training.stage import Stage

PATIENCE_S = 300.0


def can_mount() -> bool:
    mount = "mount -t tmpfs -o size=1m tmpfs /dev/shm"
    return not subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True).returncode


@pytest.mark.process
@pytest.mark.parametrize(("size", "batch_size"), [("1m", 300), ("64m", 800)])
def test_a_small_shared_memory_does_not_kill_training(
    tiny_folder: Path, tmp_path: Path, size: str, batch_size: int
) -> None:
    """Its workers died of a bus error."""
    if not sys.platform.startswith("linux") or not can_mount():
        pytest.skip("mounting a small /dev/shm needs Linux and the right to do so")
    rows = []
    for at in range(4):
        Image.new("RGB", (40, 40), (60 * at, 0, 0)).save(tmp_path / f"{at}.png")
        rows.append({"image": f"{at}.png", "prefix": "<CAPTION>", "suffix": f"number {at}"})
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [
        *(sys.executable, "-m", "florence2", "train", str(data), "--model", str(tiny_folder)),
        *("--output", str(tmp_path / "run"), "--steps", "4", "--batch-size", str(batch_size)),
        *("--workers", "2", "--device", "cpu", "--held-out", "0", "--no-augment"),
    ]
    script = f'mount -t tmpfs -o size={size} tmpfs /dev/shm && exec "$@"'
    ended = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", *command],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "run" / "model" / "model.safetensors").exists()


class Pictures(torch.utils.data.Dataset):  # type: ignore[type-arg]
    def __getitem__(self, row: int) -> Example:
        pixels = np.full((3, 8, 8), row, np.float32)
        return Example(pixels, Task.CAPTION, [0, row, 2], [0, 5, 2], {"place": np.array([row])})


@pytest.mark.process
@pytest.mark.parametrize("free", [10**6, 10**12])
def test_batches_are_the_same_by_either_way(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    made = Batches(Pictures(), Stage("few", 2, 3, 8, 1e-3), pad_id=1)
    for sent, here in zip(
        batch_loader(made, workers=1), batch_loader(made, workers=0), strict=True
    ):
        assert type(sent) is Batch and sent.pixels.is_shared() == (free > 10**9)
        assert sent.tasks == here.tasks
        for name in ("pixels", "prompt_ids", "prompt_mask", "labels"):
            assert torch.equal(getattr(sent, name), getattr(here, name))
        assert torch.equal(sent.extras["place"], here.extras["place"])
