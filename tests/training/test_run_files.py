"""Checkpoints survive damage and cutting; the log forgets what will be written again."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from florence2.errors import ConfigError, WeightsError
from florence2.model.florence2 import Florence2Model
from florence2.training.checkpoint_files import (
    RunLog,
    read_checkpoint,
    trained_weights,
    write_checkpoint,
)
from florence2.training.warm_start import load_initial_weights
from tiny_runs import new_model


def state(value: float) -> dict[str, Any]:
    return {"model": {"weight": torch.full((5000,), value)}, "step": int(value)}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_new_folder_has_no_checkpoint(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path) is None
    with pytest.raises(WeightsError, match=r"neither 'checkpoint\.pt' nor"):
        trained_weights(tmp_path)


def test_parts_are_small_and_join_to_the_same(tmp_path: Path) -> None:
    for value in (1.0, 2.0):
        write_checkpoint(state(value), tmp_path, part_bytes=8192)
    parts = list(tmp_path.glob("*.part*"))
    assert len(parts) == 3 and max(path.stat().st_size for path in parts) == 8192
    assert names(tmp_path) == {"checkpoint.json", *(path.name for path in parts)}
    for place in (tmp_path, tmp_path / "checkpoint.json"):
        read = read_checkpoint(place)
        assert read is not None and read["step"] == 2
        assert torch.equal(read["model"]["weight"], state(2.0)["model"]["weight"])


def test_one_kind_of_checkpoint_replaces_the_other(tmp_path: Path) -> None:
    write_checkpoint(state(1.0), tmp_path)
    write_checkpoint(state(2.0), tmp_path, part_bytes=8192)
    assert "checkpoint.pt" not in names(tmp_path)
    write_checkpoint(state(3.0), tmp_path)
    assert names(tmp_path) == {"checkpoint.pt"}


@pytest.mark.parametrize(
    ("part_bytes", "crash_at"), [pytest.param(None, 1, id="whole"), pytest.param(8192, 4, id="cut")]
)
def test_a_crash_while_writing_leaves_the_former_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part_bytes: int | None, crash_at: int
) -> None:
    write_checkpoint(state(1.0), tmp_path, part_bytes)
    calls: list[int] = []

    def crash(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == crash_at:
            raise OSError("the machine went off")

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(OSError, match="went off"):
        write_checkpoint(state(2.0), tmp_path, part_bytes)
    read = read_checkpoint(tmp_path)
    assert read is not None and read["step"] == 1


@pytest.mark.parametrize("fault", ["missing", "changed"])
def test_a_damaged_part_is_named(tmp_path: Path, fault: str) -> None:
    write_checkpoint(state(1.0), tmp_path, part_bytes=8192)
    part = sorted(tmp_path.glob("*.part*"))[1]
    if fault == "missing":
        part.unlink()
    else:
        data = part.read_bytes()
        part.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(WeightsError, match=f"{part.name}.*copy it"):
        read_checkpoint(tmp_path)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"no checkpoint")
    with pytest.raises(WeightsError, match="truncated, damaged"):
        read_checkpoint(tmp_path)
    torch.save({"step": 3}, path)
    with pytest.raises(WeightsError, match="holds no state of a training run"):
        read_checkpoint(path)


def test_parts_without_a_size_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="parts of 0 bytes"):
        write_checkpoint(state(1.0), tmp_path, part_bytes=0)


def test_the_log_is_cut_back_to_its_checkpoint(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "log.csv")
    assert log.sync() == 0
    log.write("joint", 5, 1.23, 40, {"loss": 0.5, "lr": 1e-3})
    size = log.sync()
    log.write("joint", 10, 2.0, 80, {"loss": 0.25})
    log.truncate(size)
    log.truncate(size + 1000)  # as after a copy of the checkpoint alone
    log.write("joint", 10, 3.0, 80, {"loss": 0.125})
    assert log.path.read_text().split() == [
        "stage,step,seconds,name,value,pictures",
        "joint,5,1.2,loss,0.5,40",
        "joint,5,1.2,lr,0.001,40",
        "joint,10,3.0,loss,0.125,80",
    ]


def faulty_weights(model: Florence2Model) -> dict[str, dict[str, torch.Tensor]]:
    own = model.state_dict()
    missing = {name: each for name, each in own.items() if name != "shared.weight"}
    return {
        "1 of .* is missing .shared.weight": missing,
        "1 unknown .head": {**own, "head": torch.zeros(1)},
        "1 of another shape than expected .shared.weight": {
            **own,
            "shared.weight": torch.zeros(2, 2),
        },
    }


def test_weights_of_another_model_do_not_start_a_run() -> None:
    model = new_model()
    for message, weights in faulty_weights(model).items():
        with pytest.raises(WeightsError, match=message):
            load_initial_weights(model, weights)
