"""A kit says what it holds and whose it is, decodes lazily, and refuses what it cannot read."""

import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from florence2.errors import DataError
from florence2_lab.worlds.archive import INDEX_FILE
from florence2_lab.worlds.kit import ATTRIBUTION_FILE, Kit


def test_categories_are_alphabetical_and_numbered_from_one(kit: Kit) -> None:
    assert kit.categories == ("blue disc", "green ring", "red box")
    assert kit.class_index == {"blue disc": 1, "green ring": 2, "red box": 3}


def test_every_file_has_one_row_of_attribution_with_a_licence(kit: Kit) -> None:
    header, *rows = (line.split("\t") for line in kit.read(ATTRIBUTION_FILE).decode().splitlines())
    assert sorted(row[0] for row in rows) == sorted(kit.names)
    assert all(len(row) == len(header) and row[header.index("licence")] for row in rows)


def test_stored_and_compressed_files_read_the_same_as_with_zipfile(kit: Kit) -> None:
    with zipfile.ZipFile(kit.path) as archive:
        assert {info.compress_type for info in archive.infolist()} == {0, 8}
        assert all(kit.read(name) == archive.read(name) for name in archive.namelist())


def test_sprites_of_splits_are_disjoint_and_grouped_by_style(kit: Kit) -> None:
    train, val = (kit.sprites_of("red box", split) for split in ("train", "val"))
    assert [[sprite.style for sprite in group] for group in train] == [["bright"], ["middling"]]
    assert [[sprite.style for sprite in group] for group in val] == [["dark"]]


def test_pixels_are_premultiplied_and_halve(kit: Kit) -> None:
    sprite = kit.sprites_of("green ring", "train")[0][0]
    full, half = kit.pixels(sprite), kit.pixels(sprite, 1)
    assert full.shape == (100, 100, 4)
    assert half.shape == (50, 50, 4)
    assert np.all(full[..., :3] <= full[..., 3:])
    assert full is kit.pixels(sprite)


def test_a_kit_pickles_as_its_path(kit: Kit) -> None:
    copy = pickle.loads(pickle.dumps(kit))
    assert copy.sprites == kit.sprites
    assert len(pickle.dumps(kit)) < 1_000


def test_only_categories_with_several_colours_are_colourful(kit: Kit) -> None:
    assert kit.colourful == {"red box"}


def test_common_words_are_drawn_more_often_but_less_than_they_occur(kit: Kit) -> None:
    words, chances = kit.words
    assert words[0] == "the"
    assert chances[-1] == pytest.approx(1.0)
    assert chances[0] == pytest.approx(10 / (10 + 3 + 2 + 1))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="missing"),
        pytest.param(b"", id="empty"),
        pytest.param(b"not a zip", id="not a zip"),
    ],
)
def test_what_is_no_kit_is_one_clear_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "kit.zip"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        Kit(path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param({}, "no file 'index.json'", id="no index"),
        pytest.param({INDEX_FILE: "{"}, "cannot be read", id="broken index"),
        pytest.param({INDEX_FILE: json.dumps({"format": 0})}, "format 0", id="old format"),
    ],
)
def test_a_foreign_zip_is_one_clear_error(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    path = tmp_path / "kit.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other.txt", "x")
        for name, text in files.items():
            archive.writestr(name, text)
    with pytest.raises(DataError, match=message):
        Kit(path)


def test_an_unknown_file_is_named(kit: Kit) -> None:
    with pytest.raises(DataError, match=r"no file 'x\.png'"):
        kit.read("x.png")
