from pathlib import Path

import pytest
from tiny_kit import write_tiny_kit

from florence2.worlds.kit import Kit


@pytest.fixture(scope="session")
def kit_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kit") / "kit.zip"
    write_tiny_kit(path)
    return path


@pytest.fixture(scope="session")
def kit(kit_path: Path) -> Kit:
    return Kit(kit_path)
