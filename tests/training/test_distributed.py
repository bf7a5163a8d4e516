"""Two processes with half the batch each train as one process with the whole."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from test_loop import assert_alike, rows, run_until

from florence2.training.checkpoint_files import read_checkpoint, trained_weights
from florence2.training.distributed import SINGLE_PROCESS, join
from florence2.training.trainer import Trainer
from tiny_runs import new_model, resumable_recipe


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run of one process."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("alone")
    Trainer(new_model(), resumable_recipe(), folder).run()
    return folder


def run_two(folder: Path, *words: str) -> None:
    """The same run in two processes."""
    tests = Path(__file__).parents[1]
    path = os.pathsep.join(map(str, (tests, *sys.path)))
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    subprocess.run(
        [sys.executable, *launch, str(tests / "tiny_runs.py"), str(folder), "together", *words],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=600,
    )


def layout(folder: Path) -> dict[str, object]:
    """Names, shapes and dtypes of all tensors of a checkpoint."""
    state = read_checkpoint(folder)
    assert state is not None
    groups = {**{kind: state[kind] for kind in ("model", "loss", "average")}, **state["optimizer"]}
    return {
        f"{group} {name}": (each.shape, each.dtype)
        for group, tensors in groups.items()
        for name, each in tensors.items()
    }


@pytest.mark.process
@pytest.mark.parametrize("strategy", ["", "shard"])
def test_two_processes_equal_one(alone: Path, tmp_path: Path, strategy: str) -> None:
    """Also when one process began the run, with an evaluation and an average on the way.

    What they saved is whole: one process could go on again.
    """
    run_until(Trainer(new_model(), resumable_recipe(), tmp_path), 9)
    run_two(tmp_path, *filter(None, (strategy,)))
    assert layout(tmp_path) == layout(alone)
    assert_alike(trained_weights(alone), trained_weights(tmp_path))
    for one, other in zip(rows(alone), rows(tmp_path), strict=True):
        assert one[:3] == other[:3] and one[4] == other[4]
        if not one[2].endswith(("accuracy", "spread")):  # means over processes
            assert float(one[3]) == pytest.approx(float(other[3]), rel=1e-2), one


def test_a_process_that_torchrun_did_not_start_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    with join() as world:
        assert world is SINGLE_PROCESS and world.is_main
    assert join(device="cpu").device == torch.device("cpu")
