"""What is fine-tuned in several test files."""

from pathlib import Path

import pytest
from own_pictures import write_learner, write_own_pictures


@pytest.fixture(scope="session")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_learner(tmp_path_factory.mktemp("learner"))


@pytest.fixture(scope="session")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_own_pictures(tmp_path_factory.mktemp("own"))
