"""Grounds, clutter and wear change pixels and nothing else; contact sheets show them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from florence2.drawing.contact_sheet import contact_sheet
from florence2_lab.worlds.clutter import add_clutter, ink
from florence2_lab.worlds.colours import contrasting_colour, luminance, name_colour
from florence2_lab.worlds.contact_sheet import record_tile
from florence2_lab.worlds.describe import scene_records
from florence2_lab.worlds.grounds import MAKERS, random_ground
from florence2_lab.worlds.kit import Kit
from florence2_lab.worlds.scenes import scene
from florence2_lab.worlds.wear import add_noise, blur, compress, wear


@pytest.mark.parametrize("maker", [maker for maker, _ in MAKERS], ids=lambda each: each.__name__)
@pytest.mark.parametrize("size", [(64, 48), (1, 1), (300, 7)], ids=str)
def test_every_ground_has_the_wanted_size_and_a_phrase(maker, size, kit: Kit) -> None:
    ground = maker(np.random.default_rng(0), kit, size)
    assert ground.image.shape == (size[1], size[0], 3)
    assert ground.image.dtype == np.uint8
    assert ground.phrase.startswith("a ")


def test_a_kit_without_textures_still_has_grounds(kit: Kit) -> None:
    bare = Kit(kit.path)
    bare.textures = ()
    for seed in range(40):
        random_ground(np.random.default_rng(seed), bare, (8, 8))


def test_clutter_draws_shapes_and_text_in_place(kit: Kit) -> None:
    changed = 0
    for seed in range(30):
        image = np.full((64, 64, 3), 128, np.uint8)
        add_clutter(np.random.default_rng(seed), kit, image, "train")
        changed += bool(np.any(image != 128))
    assert changed > 25


def test_ink_covers_by_its_coverage() -> None:
    area = np.full((1, 3, 3), 100, np.uint8)
    ink(area, np.array([[0, 255, 51]], np.uint8), (200, 0, 100))
    assert area.tolist() == [[[100, 100, 100], [200, 0, 100], [120, 80, 100]]]


def test_noise_has_the_wanted_strength_and_no_drift() -> None:
    grey = np.full((200, 200, 3), 128, np.uint8)
    noisy = add_noise(np.random.default_rng(0), grey, 8.0).astype(float)
    assert noisy.std() == pytest.approx(8.0, rel=0.1)
    assert noisy.mean() == pytest.approx(128, abs=1)


@pytest.mark.parametrize(
    "change", [lambda image: blur(image, 1.0), lambda image: compress(image, 50)]
)
def test_wear_keeps_shape_and_brightness(change) -> None:
    image = np.random.default_rng(0).integers(0, 255, (32, 48, 3), np.uint8)
    worn = change(image)
    assert worn.shape == image.shape
    assert worn.mean() == pytest.approx(image.mean(), abs=3)
    assert np.any(worn != image)


def test_no_wear_changes_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    assert wear(np.random.default_rng(0), image, max_blur=1.0, chance=0.0) is image


@pytest.mark.parametrize(
    ("rgb", "wanted"),
    [
        ((220, 20, 20), "red"),
        ((255, 140, 0), "orange"),
        ((255, 220, 40), "yellow"),
        ((30, 160, 40), "green"),
        ((30, 90, 220), "blue"),
        ((140, 40, 200), "purple"),
        ((255, 150, 170), "pink"),
        ((120, 70, 20), "brown"),
        ((250, 250, 250), "white"),
        ((128, 128, 128), "grey"),
        ((10, 10, 10), "black"),
    ],
)
def test_colours_have_their_everyday_names(rgb: tuple[int, int, int], wanted: str) -> None:
    assert name_colour(np.array([rgb] * 3, np.uint8)) == wanted


def test_many_colours_or_none_have_no_name() -> None:
    assert name_colour(np.zeros((0, 3), np.uint8)) is None
    assert name_colour(np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255)], np.uint8)) is None


@pytest.mark.parametrize("level", [0, 60, 128, 190, 255])
def test_a_contrasting_colour_contrasts(level: int) -> None:
    for seed in range(30):
        colour = contrasting_colour(np.random.default_rng(seed), (level,) * 3, 90.0)
        assert abs(luminance(colour) - level) >= 90


def test_contact_sheets_show_every_tile(kit: Kit, tmp_path: Path) -> None:
    tiles = [record_tile(record) for record in scene_records(scene(kit, 0, 0, side=50))[:2]]
    page = contact_sheet([*tiles, *tiles], width=400)
    assert page.width == 400
    contact_sheet(tiles).save(tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width == 1600


def test_a_tile_of_every_kind_of_record_is_drawn(kit: Kit) -> None:
    for record in scene_records(scene(kit, 0, 0)):
        tile = record_tile(record, side=200)
        assert tile.height > 200
        assert np.ptp(np.asarray(tile)) > 100
