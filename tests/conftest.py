"""Fixtures that several test files share.

They import what they need when they are asked for, so that tests of modules without torch start
at once.
"""

import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from PIL import Image, ImageDraw

# Slow is not wrong on a busy machine.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


_unmarked: str | None = None  # the test that runs, where it is not marked `process`


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    global _unmarked
    _unmarked = None if item.get_closest_marker("process") else item.nodeid
    try:
        return (yield)
    finally:
        _unmarked = None


def _refuse_processes(event: str, _: tuple[object, ...]) -> None:
    """Those take seconds each, and `pytest -m "not process"` is for quick answers."""
    if _unmarked and event in ("subprocess.Popen", "os.fork", "os.posix_spawn"):
        raise AssertionError(f"{_unmarked} starts a process; mark it with pytest.mark.process")


sys.addaudithook(_refuse_processes)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Tiny matrices are slower on many threads than on one."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of random weights that answers nonsense, quickly."""
    import torch

    from florence2.checkpoints import save_checkpoint
    from florence2.model.config import with_vocab_size
    from florence2.model.florence2 import Florence2Model
    from florence2.processing.tokenizer import Tokenizer
    from florence2.tasks import Task
    from tiny_models import CONFIG

    tokenizer = Tokenizer.train([task.template for task in Task] * 3, vocab_size=300)
    config = with_vocab_size(CONFIG, tokenizer.vocab_size)
    generator = torch.Generator().manual_seed(5)
    model = Florence2Model(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.3, generator=generator)
    return save_checkpoint(model, tmp_path_factory.mktemp("tiny"), tokenizer=tokenizer)


@pytest.fixture(scope="session")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small picture file."""
    path = tmp_path_factory.mktemp("pictures") / "shapes.png"
    image = Image.new("RGB", (120, 80), "navy")
    ImageDraw.Draw(image).ellipse((20, 10, 80, 70), fill="orange")
    image.save(path)
    return path
