"""An engine needs no torch: every law of the toy runtime, here and in a process without torch."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from without_torch import LAWS

SCRIPT = Path(__file__).with_name("without_torch.py")
BLOCKED = """
import runpy, sys

class NoTorch:
    def find_spec(self, name, *_):
        if name.split(".")[0] == "torch":
            raise ImportError("torch is not to be imported")

sys.meta_path.insert(0, NoTorch())
runpy.run_path(sys.argv[1], run_name="__main__")
"""


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_on_the_toy_runtime(law: Callable[[], None]) -> None:
    law()


@pytest.mark.process
def test_where_torch_cannot_be_imported() -> None:
    command = [sys.executable, "-c", BLOCKED, str(SCRIPT)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert run.stdout == f"{len(LAWS)} laws hold, torch is False\n"
