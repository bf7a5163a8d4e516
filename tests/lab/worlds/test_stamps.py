"""The kit of photographs."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from florence2_lab.worlds.building.packages import Package
from florence2_lab.worlds.building.stamps import build_stamps_kit, category_of, find_stamps
from florence2_lab.worlds.kit import Kit
from florence2_lab.worlds.scenes import scene

CATEGORIES = ("apple", "pineapple", "red box", "scissors")


@pytest.mark.parametrize(
    ("sentence", "category"),
    [
        pytest.param("", None, id="nothing"),
        pytest.param("A “Fuji” apple.", "apple", id="kind of"),
        pytest.param("A pineapple.", "pineapple", id="longer word"),
        pytest.param("An apple core.", None, id="part of"),
        pytest.param("Two apples!", "apple", id="plural"),
        pytest.param("A red box. Open it!", "red box", id="first sentence"),
        pytest.param("A pair of open scissors.", "scissors", id="always plural"),
    ],
)
def test_a_sentence_ends_with_what_the_stamp_shows(sentence: str, category: str | None) -> None:
    assert category_of(sentence, CATEGORIES) == category


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two colourful stamps, one of them of an unknown thing, and a drawing in one colour."""
    colours = np.random.default_rng(0).integers(0, 255, (60, 80, 4), np.uint8)
    colours[..., 3] = 255
    flat = np.full_like(colours, 255)
    for name, pixels, sentence in (
        ("one", colours, "A red box."),
        ("two", colours, "A church."),
        ("three", flat, "A red box."),
    ):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.txt").write_text(sentence)
    return tmp_path


def test_photographs_of_known_things_become_a_kit(folder: Path, kit: Kit, tmp_path: Path) -> None:
    stamps = list(find_stamps(folder, kit.categories))
    assert [(each.path.name, each.category) for each in stamps] == [("one.png", "red box")]
    package = Package("debian", "stamps", "1", folder, "GPL-2")
    build_stamps_kit(tmp_path / "stamps.zip", stamps, package, kit)
    made = scene(Kit(tmp_path / "stamps.zip"), 0, 0, split="val")
    assert {item.label for item in made.objects} == {"red box"}
