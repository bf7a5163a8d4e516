"""The tables of a COCO file: images, classes, and which annotation belongs to which image."""

import gc
from collections import Counter
from collections.abc import Container, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from florence2.data.files import field_of, number, read_json
from florence2.data.formats.coco_rows import LONG, Row, key_of
from florence2.data.image_files import find_picture, named_picture
from florence2.data.parts import part_named
from florence2.data.records import Federated
from florence2.data.report import Problem, ReadReport
from florence2.errors import DataError, Florence2Error
from florence2.geometry import Size


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """A third of the time that JSON takes goes into looking for cycles, which it cannot have."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def load_coco(file: Path) -> Row:
    data = read_json(file)
    for key in ("images", "annotations"):
        if not isinstance(data, dict) or not isinstance(data.get(key), list):
            raise DataError(f"file {str(file)!r} has no list {key!r}; a COCO file has one")
    return dict(data)


def own_images(
    images: Sequence[Any], folders: Sequence[Path], report: ReadReport, file: str
) -> Iterator[Row]:
    """Yield the images that have an id of their own, with the id as `key_of` writes it."""
    same = same_pictures(images)
    keys = Counter(key_of(image.get("id")) for image in images if isinstance(image, dict))
    for index, image in enumerate(images):
        key = key_of(image.get("id")) if isinstance(image, dict) else None
        if key is None:
            report.add(Problem.ROW, f"{file}, images[{index}]", "this is no object with an id")
            name_picture(image, folders, report)
        elif keys[key] > 1:
            what = f"image id {key!r} is given {keys[key]} times: whose its annotations are is open"
            report.add(Problem.DUPLICATE, f"{file}, images[{index}]", what)
            name_picture(image, folders, report)
        elif key in same:
            what = f"image {image['file_name']!r} has the ids {same[key]!r} and {key!r}: joined"
            report.add(Problem.DUPLICATE, f"{file}, images[{index}]", what)
        else:
            yield {**image, "id": key}


def same_pictures(images: Sequence[Any]) -> dict[Any, Any]:
    """Ids of images to the first id of the same file, where it has several."""
    first: dict[str, Any] = {}
    same: dict[Any, Any] = {}
    for image in images:
        if not isinstance(image, dict) or not isinstance(name := image.get("file_name"), str):
            continue
        key = key_of(image.get("id"))
        if key is not None and first.setdefault(name, key) != key:
            same[key] = first[name]
    return same


def rows_by_image(
    data: Row, report: ReadReport, file: str
) -> tuple[list[Row | None], list[Hashable], dict[Hashable, list[int]], dict[Hashable, list[None]]]:
    """The annotations of pictures of the file, and what belongs to which.

    Returns:
        the annotations; of each the id of its image; by image the places of its annotations, and
        one `None` for each that was lost. An annotation of an image that the file does not list is
        of no picture here. One that names no image, or by another kind of id, may be of any, so all
        lose one; so they do where no annotation at all is of a picture of the file.
    """
    rows: list[Row | None] = []
    image_ids: list[Hashable] = []
    keys = (key_of(row.get("id")) for row in data["images"] if isinstance(row, dict))
    groups: dict[Hashable, list[int]] = {key: [] for key in keys if key is not None}
    same = same_pictures(data["images"])
    first: dict[Any, Row] = {}
    lost: dict[Hashable, list[None]] = {}
    if not same and (plain := _plain_image_ids(data["annotations"], groups)) is not None:
        for place, key in enumerate(plain):
            groups[key].append(place)
        return [*data["annotations"]], [*plain], groups, lost
    by_text = any(isinstance(key, str) for key in groups)
    unlisted = False
    for index, row in enumerate(data["annotations"]):
        image_id = key_of(row.get("image_id")) if isinstance(row, dict) else None
        if same:
            image_id = same.get(image_id, image_id)
        if image_id not in groups:
            where = f"{file}, annotations[{index}]"
            report.add(Problem.ROW, where, f"this belongs to no image; image_id is {image_id!r}")
            unlisted = True
            if image_id is None or (isinstance(image_id, str) and not by_text):
                for each in groups:
                    lost.setdefault(each, []).append(None)
            continue
        name = key_of(row.get("id"))
        # An equal id with other content is another object.
        if name is not None and first.setdefault(name, row) is not row and first[name] == row:
            where = f"{file}, annotations[{index}]"
            report.add(Problem.DUPLICATE, where, f"annotation {name!r} is given twice")
            continue
        groups[image_id].append(len(rows))
        image_ids.append(image_id)
        rows.append(row)
    if unlisted and not rows and not lost:  # the ids of all are others than those of the images
        lost = {each: [None] for each in groups}
    return rows, image_ids, groups, lost


def _plain_image_ids(rows: Sequence[Any], known: Container[Hashable]) -> list[int] | None:
    """The ids of images, where all ids are plain numbers, none is given twice, and all are known.

    So it is in nearly all files, and then nothing has to be looked at row by row.
    """
    try:
        ids, image_ids = [row["id"] for row in rows], [row["image_id"] for row in rows]
    except (TypeError, KeyError):
        return None
    if not rows or {type(each) for each in chain(ids, image_ids)} != {int}:
        return None
    if len(set(ids)) < len(ids) or not all(each in known for each in set(image_ids)):
        return None
    return image_ids if max(map(abs, chain(ids, image_ids))) < LONG else None


def class_names(data: Row, report: ReadReport, file: str) -> dict[Any, str]:
    rows = data.get("categories")
    if not isinstance(rows, list):
        raise DataError(f"file {file!r} has no list 'categories'; boxes need class names")
    names: dict[Any, str] = {}
    unclear: set[Any] = set()  # of two names: objects of these are lost
    for index, row in enumerate(rows):
        where = f"{file}, categories[{index}]"
        if not isinstance(row, dict) or not isinstance(row.get("name"), str):
            report.add(Problem.LABEL, where, f"{row!r} has no name")
        elif (key := key_of(row.get("id"))) is None:
            report.add(Problem.LABEL, where, f"{row['id']!r} is no id" if "id" in row else "no id")
        elif key in names:
            report.add(Problem.DUPLICATE, where, f"class id {key!r} is given twice")
            if names[key] != row["name"]:
                unclear.add(key)
        else:
            names[key] = row["name"]
    return {key: name for key, name in names.items() if key not in unclear}


def picture_folders(file: Path) -> tuple[Path, ...]:
    """Return where pictures of an annotation file may be."""
    here, root = file.parent, file.parent.parent
    part = file.stem.rpartition("_")[2]  # instances_train2017
    named = (
        here / "images",
        here / "data",
        here / part,
        root / part,
        root / "images" / part,
        root / "images",
    )
    beside = (folder for folder in sorted(here.iterdir()) if part_named(folder.name) is None)
    return (here, *named, root, *(folder for folder in beside if folder.is_dir()))


def picture_of(
    image: Row, folders: Sequence[Path], report: ReadReport, where: str
) -> tuple[Path, Size] | None:
    try:
        # LVIS tells only where a picture was on the web.
        url = image.get("coco_url")
        name = field_of(image, "file_name", url if isinstance(url, str) else None)
        annotated = _annotated_size(image)
    except Florence2Error as error:
        report.add(Problem.ROW, where, error)
        name_picture(image, folders, report)
        return None
    if isinstance(url, str) and find_picture(name, folders) is None:
        name = urlsplit(url).path.rpartition("/")[2] or name
    return named_picture(name, folders, report, where, annotated)


def _annotated_size(image: Row) -> Size | None:
    """The size that an image row tells.

    Raises:
        DataError: if it is none.
    """
    if not image.get("width") or not image.get("height"):
        return None
    return int(number(image["width"], "width")), int(number(image["height"], "height"))


def annotated_sizes(images: Sequence[Any]) -> dict[Hashable, Size]:
    sizes: dict[Hashable, Size] = {}
    for image in images:
        if isinstance(image, dict):
            with suppress(DataError):
                if size := _annotated_size(image):
                    sizes[key_of(image.get("id"))] = size
    return sizes


def name_picture(image: Any, folders: Sequence[Path], report: ReadReport) -> None:
    """Note the picture of a row that cannot be used."""
    name = image.get("file_name") if isinstance(image, dict) else None
    if isinstance(name, str):
        report.name_picture(find_picture(name, folders))


def is_federated(image: Any) -> bool:
    """Whether an image tells that not all classes were looked for in it, as those of LVIS do."""
    names = ("neg_category_ids", "not_exhaustive_category_ids")
    return isinstance(image, dict) and any(name in image for name in names)


def searched_in(images: Sequence[Any], names: dict[Any, str]) -> dict[Hashable, Federated]:
    """What was looked for in each image of a federated file; joined images say it together."""
    same = same_pictures(images)
    found: dict[Hashable, Federated] = {}
    for image in images:
        if isinstance(image, dict) and (key := key_of(image.get("id"))) is not None:
            partly, absent = (
                # Of all, where nobody can read of which.
                [name for each, name in names.items() if not isinstance(ids, list) or each in ids]
                for ids in (
                    _plain_ids(image.get("not_exhaustive_category_ids", [])),
                    _plain_ids(image.get("neg_category_ids", [])) or [],
                )
            )
            before = found.get(same.get(key, key), Federated())
            found[same.get(key, key)] = Federated(
                before.negatives | {name.strip() for name in absent if name.strip()},
                before.not_exhaustive | {name.strip() for name in partly},
            )
    return found


def _plain_ids(given: Any) -> list[Any] | None:
    return [key_of(each) for each in given] if isinstance(given, list) else None
