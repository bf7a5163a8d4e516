"""Fixtures of the makers of pictures."""

from pathlib import Path

import pytest
from tiny_kit import write_tiny_kit

from florence2_lab.worlds.building.baking import bake
from florence2_lab.worlds.building.chromium import find_chromium
from florence2_lab.worlds.kit import Kit
from florence2_lab.worlds.webpages import BakedPages


@pytest.fixture(scope="session")
def kit_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kit of three drawn shapes."""
    path = tmp_path_factory.mktemp("kit") / "kit.zip"
    write_tiny_kit(path)
    return path


@pytest.fixture(scope="session")
def kit(kit_path: Path) -> Kit:
    return Kit(kit_path)


@pytest.fixture(scope="session")
def baked(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> BakedPages:
    """Five web pages, one of them held out."""
    if find_chromium() is None:
        pytest.skip("chromium is not installed")
    path = tmp_path_factory.mktemp("web") / "pages.zip"
    bake(kit, path, 5)
    return BakedPages(path)
