"""Whatever lies in a folder: it is read or refused in words, never with a traceback."""

import random
from pathlib import Path

import pytest
from layouts import LAYOUTS, write_layout

from florence2.data import open_dataset
from florence2.errors import Florence2Error

CRUMBS = (b"\0", b'"', b"{", b"<", b"]", b"\xff\xfe", b"1e999", b"\n\n,", b"nan", b"")
OTHER_NAMES = (
    *("x.txt", "classes.txt", "data.yaml", "a.xml", "a.json", "train.jsonl", "a.csv"),
    *("Label.txt", "a.gt.txt", "é.png", "metadata.jsonl"),
)


def damage(file: Path, rng: random.Random) -> None:
    """Cut, overwrite or rename a file, or put a folder in its place."""
    data = bytearray(file.read_bytes())
    at, kind = rng.randrange(len(data) + 1), rng.randrange(5)
    if kind == 0:
        data[at : at + rng.randint(1, 9)] = rng.randbytes(rng.randint(0, 9))
    elif kind == 1:
        del data[at:]
    elif kind == 2:
        data[at:at] = rng.choice(CRUMBS)
    elif kind == 3 and not (other := file.with_name(rng.choice(OTHER_NAMES))).is_dir():
        file.rename(other)
        return
    elif kind == 4:
        file.unlink()
        file.mkdir()
        return
    file.write_bytes(data)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_a_damaged_layout_is_read_or_refused_in_words(tmp_path: Path, layout) -> None:
    rng = random.Random(layout.name)
    for number in range(4):
        folder = tmp_path / str(number)
        folder.mkdir()
        write_layout(layout, folder)
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        for file in rng.sample(files, min(len(files), rng.randint(1, 3))):
            if file.is_file():  # not renamed over
                damage(file, rng)
        for split in (None, "train"):
            try:
                dataset = open_dataset(folder, split=split)
                list(dataset)
                str(dataset.report)
            except Florence2Error as error:
                assert str(error)
