"""Masks as pictures: which files are masks, of which pictures, and which file names their values.

A mask lies in a folder called like one (`masks`, `SegmentationClass`, `train_labels`), or has a
name that says so (`a_mask.png` beside `a.png`). Its picture is the one of the same name, without
what the two names add (`_mask`, `_gtFine_labelIds`; `_leftImg8bit`, `_sat`), in the same place of
its folder; or the one of that name, if there is one only. A number behind the name
(`a_mask_0.png`), or a folder of the picture's name, tells one object in each file.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from os.path import dirname
from pathlib import Path

from florence2.data.parts import part_named

MASK_FOLDERS = frozenset(
    (
        *("mask", "masks", "segmentation", "segmentations", "gt", "gtfine", "ground_truth"),
        *("segmentationclass", "segmentationobject", "groundtruth", "ground truth", "targets"),
        *("label", "labels", "annotation", "annotations"),
    )
)
PICTURE_FOLDERS = frozenset(
    ("image", "images", "img", "imgs", "jpegimages", "leftimg8bit", "pictures", "photos", "input")
)
OBJECT_FOLDER = "segmentationobject"  # as VOC calls it: values number objects
NAME_FILES = (
    *("labelmap.txt", "label_colors.txt", "class_dict.csv", "_classes.csv", "classes.txt"),
    *("class_names.txt", "labels.txt"),
)
"""Files that name the values or colours of masks, the surest first."""

_MASK_WORDS = frozenset(
    ("mask", "masks", "label", "labels", "annotation", "annotations", "seg", "segmentation", "gt")
)
_SUFFIX = re.compile(
    r"[_-](?:mask|masks|seg|segmentation|gt|(?:gt(?:fine|coarse)_)?labelids)(?:[_-]?(\d+))?$",
    re.IGNORECASE,
)
_SUFFIX_IN_FOLDER = re.compile(r"[_-](?:l|label|labels)?(?:[_-]?(\d+))?$", re.IGNORECASE)
_PICTURE_SUFFIX = re.compile(r"[_-](?:leftimg8bit|sat|image|img|rgb)$", re.IGNORECASE)
_PICTURE_PREFIX = re.compile(r"^(?:image|img|picture|photo)[_-]", re.IGNORECASE)
_MASK_PREFIX = re.compile(r"^(?:mask|seg|segmentation|label|gt)[_-]", re.IGNORECASE)
# The same labels in another form.
_OTHER_FORM = re.compile(
    r"[_-](?:colou?r|instanceids|(?:label|instance)trainids|overlay|vis)$", re.IGNORECASE
)
_NO_CLASS = frozenset(("all", "png", "pngs", "binary", "raw", "instances", "semantic"))


@dataclass(frozen=True)
class MaskFile:
    """A mask of a picture.

    Attributes:
        group: the folders that it lies in and its picture does not: a class, if any.
        number: of the one object it shows; `None` where it shows all.
    """

    path: Path
    group: str = ""
    number: int | None = None


@dataclass
class MaskFiles:
    """The pictures of a folder, divided.

    Attributes:
        pictures: those that are no masks.
        masks: of each picture that has any, in the order of their names.
        objects: of pictures the mask whose values number objects, in VOC's `SegmentationObject`.
        lone: masks that belong to no picture.
        others: other forms of the same labels, which are not read.
    """

    pictures: list[Path] = field(default_factory=list)
    masks: dict[Path, list[MaskFile]] = field(default_factory=dict)
    objects: dict[Path, Path] = field(default_factory=dict)
    lone: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)

    @property
    def all_masks(self) -> set[Path]:
        """All masks that belong to a picture."""
        files = {mask.path for masks in self.masks.values() for mask in masks}
        return files | set(self.objects.values())

    @property
    def groups(self) -> set[str]:
        """The folders of classes; none unless all masks lie in one."""
        groups = {mask.group for masks in self.masks.values() for mask in masks}
        plain = {name for name in groups if name.lower() in _NO_CLASS or part_named(name)}
        return set() if "" in groups or plain else groups


def pair_masks(files: Sequence[Path], root: Path) -> MaskFiles:
    """Divide the picture files below a folder into pictures and their masks."""
    found = MaskFiles()
    # Many files lie in few folders.
    folders = {place: Path(place).relative_to(root).parts for place in set(map(dirname, files))}
    names = {name for parts in folders.values() for name in parts}
    mask_names = {name for name in names if is_mask_folder(name, names)}
    of_masks = {folder for folder, parts in folders.items() if not mask_names.isdisjoint(parts)}
    in_folder = [dirname(file) in of_masks for file in files]
    plain_stems = [_SUFFIX.sub("", file.stem) for file in files]
    is_suffixed = [plain != file.stem for plain, file in zip(plain_stems, files, strict=True)]
    if not any(in_folder) and not any(is_suffixed):
        found.pictures += files
        return found
    rows = list(zip(files, in_folder, is_suffixed, plain_stems, strict=True))
    stems = {stem for file, inside, *_ in rows if not inside for stem in _stems(file)}
    candidates: list[tuple[Path, bool]] = []
    for file, inside, suffixed, plain in rows:
        if inside or (suffixed and plain in stems):
            candidates.append((file, inside))
        else:
            found.pictures.append(file)
    places = {folder: _place(parts) for folder, parts in folders.items()}
    index: dict[object, list[Path]] = {}
    for picture in found.pictures if candidates else ():
        for stem in _stems(picture):
            index.setdefault((places[dirname(picture)], stem), []).append(picture)
            index.setdefault(stem, []).append(picture)
    for file, inside in candidates:
        if _OTHER_FORM.search(file.stem):
            found.others.append(file)
        elif (pair := _picture_of(file, inside, places, index)) is None:
            found.lone.append(file)
        elif OBJECT_FOLDER in map(str.lower, folders[dirname(file)]):
            found.objects[pair[0]] = file
        else:
            found.masks.setdefault(pair[0], []).append(pair[1])
    return found


def name_file(files: Iterable[Path], root: Path) -> Path | None:
    """Return the file that names the values of masks, the surest and nearest to the root."""
    named: dict[str, list[Path]] = {}
    for file in files:
        named.setdefault(file.name.lower(), []).append(file)
    for name in NAME_FILES:
        if there := named.get(name):
            return min(there, key=lambda file: (len(file.parts), file))
    return None


def is_mask_folder(name: str, folders: Iterable[str] = ()) -> bool:
    """Tell by its name whether a folder holds masks, among others of a dataset.

    >>> is_mask_folder("masks"), is_mask_folder("gas mask", ["helmet"])
    (True, False)
    >>> is_mask_folder("train_masks", ["train"]), is_mask_folder("TR-Mask", ["TR-Image"])
    (True, True)
    """
    if name.lower() in MASK_FOLDERS:
        return True
    words = [word.lower() for word in re.findall(r"[^\W_]+", name)]
    is_like_one = len(words) > 1 and words[-1] in _MASK_WORDS
    return is_like_one and _plain(name) in {_plain(each) for each in folders if each != name}


def _stems(picture: Path) -> set[str]:
    """The name of a picture, and what it is without what says that it is one."""
    plain = _PICTURE_SUFFIX.sub("", picture.stem)
    return {picture.stem, plain, _PICTURE_PREFIX.sub("", picture.stem)}


def _place(folders: Iterable[str]) -> tuple[str, ...]:
    """The folders of a file, without those that say picture or mask alone."""
    return tuple(part for part in map(_plain, folders) if part)


def _plain(folder: str) -> str:
    if folder.lower() in MASK_FOLDERS | PICTURE_FOLDERS:
        return ""
    words = re.findall(r"[^\W_]+", folder)
    kept = [word for word in words if word.lower() not in _MASK_WORDS | PICTURE_FOLDERS]
    return folder if len(kept) == len(words) else "_".join(kept)


def _picture_of(
    file: Path,
    in_folder: bool,
    places: Mapping[str, tuple[str, ...]],
    index: Mapping[object, list[Path]],
) -> tuple[Path, MaskFile] | None:
    """The picture of a mask, and what its name tells."""
    place = places[dirname(file)]
    tried: list[tuple[str, int | None]] = []
    if in_folder:
        tried += [(file.stem, None), (_MASK_PREFIX.sub("", file.stem), None)]
    for pattern in (_SUFFIX, _SUFFIX_IN_FOLDER)[: 1 + in_folder]:
        if match := pattern.search(file.stem):
            number = None if match[1] is None else int(match[1])
            tried.append((file.stem[: match.start()], number))
    for stem, number in tried:
        for key in ((place, stem), stem):
            if len(pictures := index.get(key, [])) == 1:
                of_picture = places[dirname(pictures[0])]
                group = "/".join(part for part in place if part not in of_picture)
                return pictures[0], MaskFile(file, group, number)
    # A folder of the picture's name, with a file for each object.
    if in_folder and place and len(pictures := index.get(place[-1], [])) == 1:
        siblings = sorted(each.name for each in file.parent.iterdir())
        return pictures[0], MaskFile(file, "", siblings.index(file.name))
    return None
