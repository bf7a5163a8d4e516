"""Parts of a dataset, such as train and val: which files belong to which, and which one is read.

A part is a folder whose whole name says so (`train`, `val2017`, `test_images`), or one of several
files or folders whose names differ in that word alone. Folders are parts where they hold all files
together, and are two at least, or a `train` with nothing beside it. Otherwise a folder called
`train` holds pictures of trains, and everything is read.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from florence2.errors import DataError

SPLIT_NAMES = {
    "train": ("train", "training", "trn", "trainset"),
    "val": (
        *("val", "valid", "validation", "validate", "eval", "evaluation", "dev"),
        *("valset", "devset"),
    ),
    "test": ("test", "testing", "testset", "testdev"),
    "trainval": ("trainval",),
}
_SPLIT_OF = {name: split for split, names in SPLIT_NAMES.items() for name in names}
# Words that say nothing of what a folder holds.
_NEUTRAL = (
    *("set", "split", "part", "data", "dataset", "xml", "xmls", "jpegimages"),
    *("image", "images", "img", "imgs", "picture", "pictures"),
    *("label", "labels", "annotation", "annotations"),
)
T = TypeVar("T", bound=Path)


class PartsError(DataError):
    """A dataset is divided, and nobody said which part to read.

    Attributes:
        parts: those it has.
    """

    def __init__(self, words: str, parts: Sequence[str]) -> None:
        super().__init__(words)
        self.parts = tuple(parts)


def part_named(name: str) -> str | None:
    """Return the part that a folder name tells, and nothing else.

    >>> part_named("val2017"), part_named("Test"), part_named("train_images")
    ('val', 'test', 'train')
    >>> part_named("train station"), part_named("dev_board"), part_named("bullet-train")
    (None, None, None)
    """
    name = re.sub(r"test[\W_]?dev", "testdev", name.lower())
    words = [word for word in re.findall(r"[^\W\d_]+", name.lower()) if word not in _NEUTRAL]
    return _SPLIT_OF.get(words[0]) if len(words) == 1 else None


def divide(files: Iterable[T], root: Path) -> dict[str | None, list[T]]:
    """Return files by the part that their folder below `root` is.

    All are under `None` where the folders are no parts.
    """
    files = list(files)
    folders = [file.relative_to(root).parts[:-1] for file in files]
    for level in range(min(map(len, folders), default=0)):
        names = {parts[level] for parts in folders}
        part_of = _parts_of_folders(names)
        if None not in (parts := {*part_of.values()}):
            if len(parts) == 1 and parts != {"train"}:
                break
            found: dict[str | None, list[T]] = {}
            for file, its_folders in zip(files, folders, strict=True):
                found.setdefault(part_of[its_folders[level]], []).append(file)
            return found
        if len(names) > 1:
            break
    return {None: files}


def _parts_of_folders(names: Iterable[str]) -> dict[str, str | None]:
    """The part of each folder: its whole name tells it, or the one word in which all differ.

    In that word one has to be a train: a dev board and a test board are boards.

    >>> _parts_of_folders(["DET-train", "DET-val"])
    {'DET-train': 'train', 'DET-val': 'val'}
    >>> _parts_of_folders(["dev_board", "test_board"])
    {'dev_board': None, 'test_board': None}
    """
    whole = {name: part_named(name) for name in names}
    told = {name: _part_and_rest(name) for name in whole}
    parts = {part for part, _ in told.values()}
    alike = len({rest for _, rest in told.values()}) == 1
    divided = alike and len(parts) > 1 and "train" in parts
    return {name: part for name, (part, _) in told.items()} if divided else whole


def divide_named(files: Sequence[T], root: Path) -> dict[str | None, list[T]]:
    """Return files by the part that their folders or their own names tell.

    Names tell it where they differ in that word alone: `instances_train2017.json` and
    `instances_val2017.json`, but not `train_station.json` and `dev_board.json`.
    """
    found = divide(files, root)
    if set(found) != {None}:
        return found
    told = [_part_and_rest(file.stem) for file in files]
    if any(part is None for part, _ in told) or len({rest for _, rest in told}) > 1:
        return found
    found = {}
    for file, (part, _) in zip(files, told, strict=True):
        found.setdefault(part, []).append(file)
    return found


def part_of_stem(stem: str) -> str | None:
    """Return the part that one word of a file's name tells.

    >>> part_of_stem("train_labels"), part_of_stem("instances_val2017"), part_of_stem("train_test")
    ('train', 'val', None)
    """
    return _part_and_rest(stem)[0]


_SHARD = re.compile(r"-[0-9]{5}-of-[0-9]{5}(-[0-9a-f]+)?$")  # of Parquet files of the hub


def _part_and_rest(stem: str) -> tuple[str | None, tuple[str, ...]]:
    stem = _SHARD.sub("", stem)
    words = re.findall(r"[^\W\d_]+", stem.lower())
    parts = [word for word in words if word in _SPLIT_OF]
    if len(parts) != 1:
        return None, ()
    return _SPLIT_OF[parts[0]], tuple(word for word in words if word not in parts)


def choose_split(found: Iterable[str | None], split: str | None, where: Path) -> str | None:
    """Return the part of a dataset to read; a dataset in parts needs one to be named."""
    known = sorted(filter(None, set(found)))
    if split is None:
        if len(known) > 1:
            raise PartsError(
                f"dataset {str(where)!r} has the parts {', '.join(known)}; choose one of them as"
                " the split",
                known,
            )
        return known[0] if known else None
    wanted = split if split in known else _SPLIT_OF.get(split, split)
    if wanted not in known:
        there = f"has the parts {', '.join(known)}" if known else "is not divided into parts"
        raise DataError(f"split {split!r} is unknown: dataset {str(where)!r} {there}")
    return wanted
