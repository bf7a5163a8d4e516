"""What a scene says about its pixels is what its pixels show."""

import cv2
import numpy as np
import pytest
from tiny_kit import CHANNELS

from florence2.errors import ConfigError
from florence2_lab.worlds.kit import Kit, Split
from florence2_lab.worlds.scenes import MIN_PIXELS, MIN_VISIBLE, Scene, SceneOptions, scene

CROWDED = SceneOptions(min_objects=4, max_objects=6, min_size=0.3, max_size=0.8)
CLEAN = SceneOptions(min_objects=3, max_objects=5, max_size=0.8, clutter=0.0, wear=0.0)


def scenes(kit: Kit, count: int, options: SceneOptions, split: Split = "train") -> list[Scene]:
    return [scene(kit, 7, index, side=96, split=split, options=options) for index in range(count)]


def same(first: Scene, second: Scene) -> bool:
    return first.objects == second.objects and np.array_equal(first.image, second.image)


@pytest.mark.parametrize(
    ("seed", "index", "split"),
    [
        pytest.param(1, 0, "train", id="seed"),
        pytest.param(0, 1, "train", id="index"),
        pytest.param(0, 0, "val", id="split"),
    ],
)
def test_seed_index_and_split_each_change_the_scene(
    kit: Kit, seed: int, index: int, split: Split
) -> None:
    assert not same(scene(kit, 0, 0), scene(kit, seed, index, split=split))


def test_the_picture_has_the_wanted_side(kit: Kit) -> None:
    made = scene(kit, 0, 0, side=100)
    assert made.image.shape == (100, 100, 3)
    assert made.image.dtype == np.uint8
    assert made.class_map.shape == made.instance_map.shape == (100, 100)


def test_a_box_covers_exactly_its_visible_pixels(kit: Kit) -> None:
    for made in scenes(kit, 40, CROWDED):
        for number, item in enumerate(made.objects):
            rows, columns = np.nonzero(made.mask(number))
            tight = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
            assert item.box_xyxy == tight


def test_the_class_map_is_the_class_of_the_instance_on_top(kit: Kit) -> None:
    for made in scenes(kit, 40, CROWDED):
        assert np.all((made.class_map == 0) == (made.instance_map == 0))
        for number, item in enumerate(made.objects):
            assert kit.class_index[item.label] == item.class_index
            assert np.all(made.class_map[made.mask(number)] == item.class_index)


def test_the_picture_shows_at_each_pixel_the_object_that_owns_it(kit: Kit) -> None:
    """Each category of the tiny kit has a channel of its own, so occlusion shows in colours."""
    crossings = 0
    for made in scenes(kit, 40, CLEAN):
        for number, item in enumerate(made.objects):
            # Edges are mixed with what lies below: look one pixel further in.
            inner = cv2.erode(made.mask(number).astype(np.uint8), np.ones((3, 3))).astype(bool)
            colours = made.image[inner].astype(int)
            channel = CHANNELS[item.label]
            others = np.delete(colours, channel, axis=1)
            assert np.all(colours[:, channel] > others.max(axis=1, initial=0) + 40)
            crossings += item.visible < 0.95
    assert crossings > 20  # the check means nothing unless objects hide each other


def test_no_object_is_hidden_beyond_the_limit(kit: Kit) -> None:
    visible = [item.visible for made in scenes(kit, 60, CROWDED) for item in made.objects]
    assert min(visible) >= MIN_VISIBLE
    assert max(visible) <= 1.0
    pixels = [
        np.count_nonzero(made.mask(number))
        for made in scenes(kit, 60, CROWDED)
        for number in range(len(made.objects))
    ]
    assert min(pixels) >= MIN_PIXELS


def test_number_and_size_of_objects_keep_to_the_options(kit: Kit) -> None:
    options = SceneOptions(
        min_objects=1, max_objects=2, min_size=0.4, max_size=0.5, max_rotation=0.0
    )
    for made in scenes(kit, 40, options):
        assert 1 <= len(made.objects) <= 2
        for item in made.objects:
            x_min, y_min, x_max, y_max = item.box_xyxy
            assert max(x_max - x_min, y_max - y_min) <= 0.5 * 96 + 2


def test_a_scene_may_be_empty(kit: Kit) -> None:
    made = scene(kit, 0, 0, options=SceneOptions(min_objects=0, max_objects=0))
    assert made.objects == ()
    assert not made.class_map.any()


def test_training_never_shows_a_held_out_style(kit: Kit) -> None:
    def styles(split: Split) -> set[str]:
        made = scenes(kit, 40, CROWDED, split)
        return {item.style for each in made for item in each.objects}

    assert styles("train") == {"bright", "middling"}
    assert styles("val") == {"dark"}


def test_a_colour_is_told_only_where_it_tells_sprites_apart(kit: Kit) -> None:
    told = {item.label: item.colour for made in scenes(kit, 20, CROWDED) for item in made.objects}
    assert told["blue disc"] is None
    assert told["red box"] is not None


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"min_objects": 3, "max_objects": 2}, id="count order"),
        pytest.param({"max_objects": 251}, id="too many for the instance map"),
        pytest.param({"min_size": 0.0}, id="no size"),
        pytest.param({"min_size": 0.5, "max_size": 0.4}, id="size order"),
        pytest.param({"max_size": 1.5}, id="larger than the picture"),
    ],
)
def test_impossible_options_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="got"):
        SceneOptions(**wrong)
