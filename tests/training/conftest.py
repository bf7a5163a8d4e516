"""What is fine-tuned in several test files."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from own_pictures import write_learner, write_own_pictures

from florence2.training import trainer


@pytest.fixture(scope="module", autouse=True)
def no_curves() -> Iterator[None]:
    """Drawing them takes as long as the steps of tiny runs; processes of their own do draw."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "draw_curves", lambda log, picture: None)
        yield


@pytest.fixture(scope="session")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_learner(tmp_path_factory.mktemp("learner"))


@pytest.fixture(scope="session")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_own_pictures(tmp_path_factory.mktemp("own"))
