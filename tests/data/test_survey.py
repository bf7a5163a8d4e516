"""Copies and damaged pictures of a dataset."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from florence2.data.records import Record
from florence2.data.survey import copy_groups, perceptual_hash, survey
from florence2.results import Text
from florence2.tasks import Task
from florence2.training.datasets import copies_told, hold_out


def drawn(seed: int, size: tuple[int, int] = (240, 160)) -> Image.Image:
    """A picture of coloured shapes, unlike those of other seeds."""
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", size, tuple(rng.integers(0, 256, 3).tolist()))
    draw = ImageDraw.Draw(picture)
    for _ in range(12):
        x, y = rng.integers(0, size[0] - 30), rng.integers(0, size[1] - 30)
        width, height = rng.integers(20, 110, 2)
        draw.ellipse((x, y, x + width, y + height), tuple(rng.integers(0, 256, 3).tolist()))
    return picture


def recompressed(picture: Image.Image) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=45)
    return Image.open(file).convert("RGB")


CHANGES = {
    "recompressed": recompressed,
    "half": lambda picture: picture.resize((120, 80)),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.15),
}


def groups_in(folder: Path) -> list[set[str]]:
    groups = copy_groups(survey(sorted(folder.iterdir())))
    return sorted(
        ({path.name for path in groups if groups[path] == first} for first in set(groups.values())),
        key=sorted,
    )


@pytest.mark.parametrize("change", CHANGES)
def test_near_copies_are_found_and_others_are_not(tmp_path: Path, change: str) -> None:
    for seed in range(12):
        drawn(seed).save(tmp_path / f"{seed:02}a.png")
        CHANGES[change](drawn(seed)).save(tmp_path / f"{seed:02}b.png")
    assert groups_in(tmp_path) == [{f"{seed:02}a.png", f"{seed:02}b.png"} for seed in range(12)]


def test_one_camera_sees_different_things(tmp_path: Path) -> None:
    """A thing at another place, or of another colour, is no copy."""
    for number, (x, colour) in enumerate([(20, "red"), (90, "red"), (160, "red"), (160, "lime")]):
        picture = drawn(0)
        ImageDraw.Draw(picture).rectangle((x, 60, x + 40, 100), colour)
        picture.save(tmp_path / f"{number}.png")
    assert [len(group) for group in groups_in(tmp_path)] == [1, 1, 1, 1]


def test_equal_pictures_are_copies_by_any_name_and_in_any_file(tmp_path: Path) -> None:
    drawn(0).save(tmp_path / "a.png")
    drawn(0).save(tmp_path / "b.bmp")
    drawn(1).save(tmp_path / "c.png")
    assert groups_in(tmp_path) == [{"a.png", "b.bmp"}, {"c.png"}]


def test_names_of_augmented_copies_tell(tmp_path: Path) -> None:
    for seed, name in enumerate(("x_png.rf.aa11.png", "x_png.rf.bb22.png", "y_png.rf.aa11.png")):
        drawn(seed).save(tmp_path / name)
    assert [len(group) for group in groups_in(tmp_path)] == [2, 1]


def test_plain_pictures_are_copies_only_where_they_are_equal(tmp_path: Path) -> None:
    for name, colour in (("a", 10), ("b", 10), ("c", 200), ("d", 201)):
        Image.new("RGB", (40, 40), (colour,) * 3).save(tmp_path / f"{name}.png")
    assert perceptual_hash(Image.new("RGB", (40, 40), "navy")) is None
    assert groups_in(tmp_path) == [{"a.png", "b.png"}, {"c.png"}, {"d.png"}]


def test_damaged_pictures_are_told_one_by_one(tmp_path: Path) -> None:
    drawn(0).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:900])
    (tmp_path / "c.png").write_text("no picture")
    facts = survey(sorted(tmp_path.iterdir()))
    assert [bool(each.error) for each in facts.values()] == [False, True, True]
    assert "b.png" in (facts[tmp_path / "b.png"].error or "")


def record(path: Path) -> Record:
    return Record(path, Task.CAPTION, "", None, Text("a", image_size=(1, 1)), path.name)


@pytest.mark.parametrize("seed", range(8))
def test_copies_stay_on_one_side(seed: int) -> None:
    paths = [Path(f"{number}{copy}.png") for number in range(6) for copy in "abc"]
    groups = {path: Path(f"{path.name[0]}a.png") for path in paths}
    train, val = hold_out([record(path) for path in paths], 0.2, seed, groups)
    sides = [{str(each.image)[0] for each in side} for side in (train, val)]
    assert sides[0] and sides[1] and not sides[0] & sides[1]
    assert len(val) in (3, 6)
    told = copies_told(train, val, groups, own_parts=False)
    assert told == ["12 of 18 pictures are copies of others, or nearly so; copies stay on one side"]


def test_copies_in_parts_of_the_user_are_told() -> None:
    paths = [Path(f"{number}.png") for number in range(4)]
    groups = {path: Path("0.png") if path.name < "2" else path for path in paths}
    records = [record(path) for path in paths]
    (told,) = copies_told(records[1:], records[:1], groups, own_parts=True)
    assert "1 held out are also trained on, since the parts of the dataset share them" in told
    assert copies_told(records[2:], records[:1], groups, own_parts=True) == []


def test_a_dataset_of_one_picture_many_times_is_still_divided() -> None:
    paths = [Path(f"{number}.png") for number in range(10)]
    groups = dict.fromkeys(paths, paths[0])
    train, val = hold_out([record(path) for path in paths], 0.2, 0, groups)
    assert (len(train), len(val)) == (8, 2)
    assert "all pictures are alike" in copies_told(train, val, groups, own_parts=False)[0]


def test_without_copies_the_draw_is_that_of_before() -> None:
    records = [record(Path(f"{number}.png")) for number in range(30)]
    alone = {Path(f"{number}.png"): Path(f"{number}.png") for number in range(30)}
    assert hold_out(records, 0.2, 3, alone) == hold_out(records, 0.2, 3)
