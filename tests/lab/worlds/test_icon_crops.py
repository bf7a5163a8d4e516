"""Single icons: the same every time, large enough to be seen, inside their pictures."""

import numpy as np
import pytest

from florence2.errors import DataError
from florence2_lab.worlds.icon_crops import MIN_CONTRAST, icon_crop
from florence2_lab.worlds.kit import Kit


def test_an_icon_is_a_function_of_kit_seed_and_number(kit: Kit) -> None:
    one, same, other = icon_crop(kit, 3, 5), icon_crop(kit, 3, 5), icon_crop(kit, 3, 6)
    assert (one.image == same.image).all() and one.shows == same.shows
    assert one.source == "icon/train/3/5"
    assert other.image.shape != one.image.shape or (other.image != one.image).any()


def test_icons_are_inside_their_pictures_and_seen(kit: Kit) -> None:
    names = {icon.name for icon in kit.icons_of("train")}
    for index in range(60):
        made = icon_crop(kit, 1, index)
        height, width = made.image.shape[:2]
        left, top, right, bottom = made.box_xyxy
        assert made.shows in names
        assert 0 < left < right < width and 0 < top < bottom < height
        assert np.ptp(made.image.mean(axis=2)) > MIN_CONTRAST / 3


def test_an_icon_of_a_set_that_is_not_there_is_refused(kit: Kit) -> None:
    if not kit.icons_of("val"):
        with pytest.raises(DataError, match="no icons for split 'val'"):
            icon_crop(kit, 1, 1, split="val")
    else:
        assert icon_crop(kit, 1, 1, split="val").source == "icon/val/1/1"
