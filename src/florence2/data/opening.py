"""One door to all formats: `open_dataset` finds out which one a path holds."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from florence2.data.files import text_lines
from florence2.data.formats.box_csv import read_box_csv
from florence2.data.formats.coco import PLACES as COCO_PLACES
from florence2.data.formats.coco import read_coco
from florence2.data.formats.createml import read_createml
from florence2.data.formats.cvat import read_cvat
from florence2.data.formats.flickr30k import is_sentences, read_flickr30k
from florence2.data.formats.folders import caption_file, class_folders, read_captions, read_classes
from florence2.data.formats.funsd import read_funsd
from florence2.data.formats.image_folder import read_image_folder
from florence2.data.formats.jsonl import read_jsonl
from florence2.data.formats.kohya import read_kohya
from florence2.data.formats.label_studio import read_label_studio
from florence2.data.formats.labelme import read_labelme
from florence2.data.formats.mask_pictures import read_mask_pictures
from florence2.data.formats.mdetr import is_mdetr, read_mdetr
from florence2.data.formats.ocr import (
    LINE_SUFFIX,
    is_recognition_list,
    paddle_files,
    read_ocr_lines,
    read_ocr_list,
    read_ocr_regions,
    region_file,
)
from florence2.data.formats.odvg import read_odvg
from florence2.data.formats.open_images import read_open_images
from florence2.data.formats.parquet import read_parquet
from florence2.data.formats.pixel_texts import read_dota, read_kitti, read_visdrone
from florence2.data.formats.prefix_suffix import read_prefix_suffix
from florence2.data.formats.refcoco import is_refs, read_refcoco
from florence2.data.formats.row_files import read_row_file
from florence2.data.formats.via import read_via
from florence2.data.formats.voc import ORIGINS, read_voc
from florence2.data.formats.vqa import read_vqa
from florence2.data.formats.yolo import NAME_FILES, find_yaml, read_yolo
from florence2.data.image_files import UNREAD_SUFFIXES, files_in, is_picture, not_read
from florence2.data.label_texts import OCR_KINDS, LabelTexts
from florence2.data.mask_files import name_file
from florence2.data.parts import PartsError
from florence2.data.recognition import (
    Recognized,
    classes_refused,
    is_coco,
    is_voc,
    recognize_file,
    recognize_folder,
    recognize_labels,
    recognize_masks,
    recognize_pickle,
    recognize_rows,
)
from florence2.data.records import Record
from florence2.data.report import Problem, ReadReport
from florence2.errors import DataError
from florence2.tasks import Task


class Reader(Protocol):
    """What every format has: a pass over a dataset."""

    def __call__(
        self, path: Path, report: ReadReport, *, tasks: Sequence[Task], split: str | None
    ) -> Iterator[Record]: ...


FORMATS: Mapping[str, Reader] = {
    "jsonl": read_jsonl,
    "prefix_suffix": read_prefix_suffix,
    "parquet": read_parquet,
    "yolo": read_yolo,
    "coco": read_coco,
    "voc": read_voc,
    "masks": read_mask_pictures,
    "odvg": read_odvg,
    "refcoco": read_refcoco,
    "mdetr": read_mdetr,
    "flickr30k": read_flickr30k,
    "labelme": read_labelme,
    "label_studio": read_label_studio,
    "createml": read_createml,
    "via": read_via,
    "box_csv": read_box_csv,
    "open_images": read_open_images,
    "cvat": read_cvat,
    "kitti": read_kitti,
    "visdrone": read_visdrone,
    "dota": read_dota,
    "ocr_lines": read_ocr_lines,
    "ocr_list": read_ocr_list,
    "ocr_regions": read_ocr_regions,
    "image_folder": read_image_folder,
    "rows": read_row_file,
    "vqa": read_vqa,
    "kohya": read_kohya,
    "funsd": read_funsd,
    "captions": read_captions,
    "classes": read_classes,
}

_FORMAT_OF_SUFFIX = {".json": "coco", ".parquet": "parquet", ".yaml": "yolo", ".yml": "yolo"}


_BESIDE_COCO = ("yolo", "voc", "captions", "classes")


def coco_files_in(folder: Path) -> list[Path]:
    """The COCO files where one is looked for in a folder."""
    found = {file for place in COCO_PLACES for file in folder.glob(place.format("*.json"))}
    return [file for file in sorted(found) if file.is_file() and is_coco(file)]


class Dataset:
    """Records on disk, read anew on every pass.

    Attributes:
        path: where it is.
        format: a key of `FORMATS`.
        report: of the last pass begun; complete when the pass is.
    """

    def __init__(
        self,
        path: Path,
        format: str,
        tasks: Sequence[Task] = (),
        split: str | None = None,
        strict: bool = False,
        voc_origin: int | None = None,
    ) -> None:
        self.path, self.format = path, format
        self.tasks, self.split, self.strict = tuple(tasks), split, strict
        self.voc_origin = voc_origin
        self.report = ReadReport(strict)

    def __iter__(self) -> Iterator[Record]:
        self.report = report = ReadReport(self.strict)
        read: Reader = FORMATS[self.format]
        if self.format == "voc":
            read = partial(read_voc, origin=self.voc_origin)
        yield from read(self.path, report, tasks=self.tasks, split=self.split)
        tell_of_the_rest(self.path, report)
        if self.format in _BESIDE_COCO and self.path.is_dir():
            for file in coco_files_in(self.path):
                what = f"a COCO file; the dataset is read as {self.format}"
                report.add(Problem.OTHER_FORMAT, file.relative_to(self.path).as_posix(), what)

    def require_records(self) -> None:
        """Refuse a dataset of which the last pass made no record.

        Raises:
            DataError: with what was told, and what lies there.
        """
        if not self.report.num_records.total():
            raise DataError(
                f"dataset {str(self.path)!r}, read as {self.format}, gives no record (there:"
                f" {what_lies_in(self.path)}):\n{self.report}"
            )

    def parts(self) -> tuple[str, ...]:
        """Return the parts of which one has to be chosen; none if the dataset is not divided."""
        try:
            next(iter(Dataset(self.path, self.format, self.tasks)), None)
        except PartsError as error:
            return error.parts
        return ()


def open_dataset(
    path: str | Path,
    format: str | None = None,
    *,
    tasks: Sequence[Task | str] = (),
    split: str | None = None,
    strict: bool = False,
    voc_origin: int | None = None,
) -> Dataset:
    """Open a dataset; nothing but its format is read before the first pass.

    Args:
        path: a file or folder.
        format: a key of `FORMATS`; found out by looking at the files if it is not given.
        tasks: what to ask about each picture, or which records to take; what the format is made
            for if none is given.
        split: "train", "val" or "test", for a dataset that is divided into parts.
        strict: raise `DataError` where a row or object would be lost, rather than count it.
        voc_origin: the number of the first pixel in VOC files, 0 or 1; found out by their boxes,
            and told, if it is not given.

    Raises:
        DataError: if the path holds no dataset of a known format.
    """
    path = Path(path)
    if voc_origin not in (None, *ORIGINS):
        raise DataError(f"voc_origin must be 0 or 1; got {voc_origin!r}")
    if format is None:
        format = detect_format(path)
    elif format not in FORMATS:
        raise DataError(f"format {format!r} is unknown; choose one of {', '.join(FORMATS)}")
    elif not path.exists():
        raise DataError(f"dataset {str(path)!r} does not exist; check the path")
    return Dataset(path, format, [Task.parse(task) for task in tasks], split, strict, voc_origin)


def tell_of_the_rest(path: Path, report: ReadReport) -> None:
    """Count the pictures that lie there and were not looked at.

    Of a folder, these are all below it; of a file, those in the folders of pictures it names.
    """
    folders = {path} if path.is_dir() else {picture.parent for picture in report.pictures}
    seen = {os.path.abspath(picture) for picture in report.pictures | report.masks}
    problem = Problem.UNNAMED if report.part is None else Problem.OTHER_PART
    what = "no row or label names it"
    if report.part is not None:
        what = f"it is not in the part {report.part!r}"
    for folder in sorted(folders):
        start = os.path.abspath(folder)
        # By name, which is quicker than by path where almost all were seen.
        for name in _names_below(folder) if path.is_dir() else sorted(os.listdir(folder)):
            if name.startswith(".") or os.path.join(start, name) in seen:
                continue
            file = folder / name
            if is_picture(file):
                report.add(problem, name, what)
            elif file.suffix.lower() in UNREAD_SUFFIXES:
                report.add(Problem.KIND, name, not_read(file))


def _names_below(folder: Path) -> list[str]:
    return [file.relative_to(folder).as_posix() for file in files_in(folder)]


def what_lies_in(path: Path) -> str:
    """Return the files below a folder by suffix, in words.

    >>> what_lies_in(Path("none"))
    'no file'
    """
    if path.is_file():
        return f"the file {path.name}"
    suffixes = Counter(file.suffix.lower() or "without suffix" for file in files_in(path))
    return ", ".join(f"{count:,} {name}" for name, count in suffixes.most_common(6)) or "no file"


def detect_format(path: Path) -> str:
    """Return the format of a dataset, from the files that lie there and how they begin."""
    if not path.exists():
        raise DataError(f"dataset {str(path)!r} does not exist; check the path")
    return _format_of_file(path) if path.is_file() else _format_of_folder(path)


def _unknown(path: Path, why: str = "") -> DataError:
    there = f"{what_lies_in(path)}" + (f"; {why}" if why else "")
    return DataError(
        f"dataset {str(path)!r} is of no known format (there: {there}); formats are"
        f" {', '.join(FORMATS)} (docs/data.md shows each); check the path"
    )


def _reader(found: Recognized, path: Path) -> str:
    """Return the format of what was recognized, if a reader takes it."""
    if found.format is None:
        raise DataError(f"dataset {str(path)!r} looks like {found}")
    return found.format


def _format_of_file(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix == ".zip":
        raise DataError(
            f"file {str(path)!r} is an archive, which holds no dataset as it stands; unpack it,"
            " or if it is a kit, write pictures and records with"
            f" 'florence2-lab worlds export {path} FOLDER' and give FOLDER"
        )
    if pickle := recognize_pickle(path):
        return _reader(pickle, path)
    if is_recognition_list(path):
        return "ocr_list"
    found = _format_of_lines(path) if suffix == ".jsonl" else _FORMAT_OF_SUFFIX.get(suffix)
    unclear = found is None or (found == "coco" and not is_coco(path))
    if unclear and (seen := recognize_file(path)):
        return _reader(seen, path)
    if found is None:
        raise _unknown(path)
    return found


def _format_of_lines(path: Path) -> str | None:
    """Tell the two formats of JSON lines apart by the first line that is an object."""
    for line in text_lines(path):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            if {"prefix", "suffix"} <= row.keys():
                return "prefix_suffix"
            return "jsonl" if {"task", "result"} <= row.keys() else None
    return None


def _format_of_folder(path: Path) -> str:
    """Look for the formats that show themselves; then, at all files, for captions and classes."""
    files = files_in(path)
    pictures = [file for file in files if is_picture(file)]
    if find_yaml(path) or _names_classes_of_yolo(path, files, pictures):
        return "yolo"
    if any(file.suffix.lower() == ".parquet" for file in files):
        return "parquet"
    for lines in (*sorted(path.glob("*.jsonl")), *sorted(path.glob("*/*.jsonl"))):
        if not lines.is_file():
            continue
        if found := _format_of_lines(lines):
            return found
    jsons = [file for place in COCO_PLACES for file in sorted(path.glob(place.format("*.json")))]
    if found := _format_of_phrases(path, files, jsons):
        return found
    trees = [file for file in files if file.suffix.lower() == ".xml"]
    if any(map(is_voc, trees)):
        return "voc"
    if any(map(is_coco, jsons)):
        return "coco"
    if found := _format_of_texts(path, files, pictures):
        return found
    masks = recognize_masks(files, pictures, path)
    names = name_file(files, path) if masks and masks.format else None
    # Of these none is of pictures: they name the values of masks.
    tables = [file for file in files if names is None or file.name.lower() != names.name.lower()]
    if found := recognize_rows(tables, pictures):
        return found
    captioned = [file for picture in pictures if (file := caption_file(picture))]
    texts = LabelTexts.of(captioned)
    if captioned:
        labels = recognize_labels(texts, path)
        return _reader(labels, path) if labels else "captions"
    if seen := recognize_folder(files, pictures, path):
        return _reader(seen, path)
    folders = sorted(set(class_folders(path).values()))
    if (trees or jsons) and len(folders) < 2:  # their readers say what is wrong with them
        return "voc" if trees else "coco"
    why = classes_refused(files, pictures, folders, path) if folders else ""
    if not folders or why:
        raise _unknown(path, why or "")
    return "classes"


def _format_of_phrases(path: Path, files: Sequence[Path], jsons: Sequence[Path]) -> str | None:
    """Tell formats of phrases, whose other files look like those of objects."""
    if any(map(is_sentences, files)):
        return "flickr30k"
    if any(map(is_refs, jsons)):
        return "refcoco"
    if any(map(is_mdetr, jsons)):
        return "mdetr"
    for file in files:
        if pickle := recognize_pickle(file):
            return _reader(pickle, path)
    return None


def _format_of_texts(path: Path, files: Sequence[Path], pictures: Sequence[Path]) -> str | None:
    """Tell the formats of texts in pictures, by the files of all pictures."""
    if any(picture.with_suffix(LINE_SUFFIX).is_file() for picture in pictures):
        return "ocr_lines"
    if paddle_files(path):
        return "ocr_regions"
    if any(map(is_recognition_list, files)):
        return "ocr_list"
    files = [file for picture in pictures if (file := region_file(picture, path))]
    texts = LabelTexts.of(files)
    regions = sum(texts.kinds[kind] for kind in OCR_KINDS)
    others = len(texts.labels) + len(texts.captions) - regions
    return "ocr_regions" if regions > others else None


def _names_classes_of_yolo(path: Path, files: Sequence[Path], pictures: Sequence[Path]) -> bool:
    """Tell whether there are class names for YOLO, and labels or no pictures yet."""
    if not any((path / name).is_file() for name in NAME_FILES):
        return False
    if not pictures:
        return True
    stems = {picture.stem for picture in pictures}
    texts = LabelTexts.of(
        file for file in files if file.suffix.lower() == ".txt" and file.stem in stems
    )
    is_yolo = texts.kinds["yolo"] + texts.kinds["numbers"] + texts.kinds["yolo_names"]
    return bool(is_yolo) or bool(texts.empty and not texts.labels and not texts.captions)
