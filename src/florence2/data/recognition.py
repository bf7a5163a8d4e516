"""Formats that show themselves by what lies there, so that none is taken for another.

A row of these tables names a format, and says which reader takes it, or what to do where none does.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from florence2.data.files import encoding_of
from florence2.data.image_files import is_picture
from florence2.data.label_texts import KINDS, LabelTexts
from florence2.data.parts import part_named

HEAD = 65_536  # bytes of a file that are looked at
CONVERT = "convert it to COCO or YOLO"
LINES = 'write lines of {"image", "prefix", "suffix"} (docs/data.md)'

# Columns that name a picture, and those that say something of it, in rows of JSON.
_NAMING = "|".join(
    (
        *("image", "images", "file_name", "image_path", "image_name", "image_id", "filename"),
        *("img", "img_path", "imgname", "file_path", "filepath"),
    )
)
_SAYING = "|".join(
    (
        *(
            "text",
            "caption",
            "captions",
            "caption_str",
            "description",
            "sentence",
            "transcription",
            "words",
        ),
        *("label", "class", "category", "objects"),
    )
)
_METADATA = "metadata"  # what the files of a Hugging Face image folder are called


@dataclass(frozen=True)
class Recognized:
    """What files are by their looks.

    Attributes:
        name: of the format, in words.
        advice: what to do where no reader takes it.
        format: the key of the reader in `FORMATS`, if one takes it.
        place: the file that shows it.
    """

    name: str
    advice: str = ""
    format: str | None = None
    place: str = ""

    def __str__(self) -> str:
        place = f" ({self.place})" if self.place else ""
        return f"{self.name}; {self.advice}{place}"


# What stands in the head of a file of JSON, the surest first.
_JSON: Sequence[tuple[str, Recognized]] = (
    (
        r'"_via_(img_metadata|settings)"|"shape_attributes"',
        Recognized("a file of the VGG Image Annotator (VIA)", CONVERT),
    ),
    (r'"shapes"\s*:', Recognized("files of LabelMe", CONVERT)),
    (
        r'"(from_name|to_name|original_width)"',
        Recognized("an export of Label Studio", "export it as COCO"),
    ),
    (r'"(Labeled Data|data_row)"', Recognized("an export of Labelbox", CONVERT)),
    (r'"box2d"', Recognized("a file of BDD100K or Scalabel", CONVERT)),
    (r'"classTitle"', Recognized("files of Supervisely", CONVERT)),
    (r'"form"\s*:\s*\[', Recognized("forms of FUNSD", format="funsd")),
    (r'"valid_line"\s*:', Recognized("receipts of CORD", LINES)),
    (r'"document"\s*:\s*\[', Recognized("forms of XFUND", LINES)),
    (r'"label_id"\s*:', Recognized("a file of Datumaro", "export it as COCO")),
    (r'"grounding"\s*:|"detection"\s*:\s*\{', Recognized("an ODVG file", LINES)),
    (r'"sent(ences|_ids)"|"ref_id"', Recognized("a file of RefCOCO", LINES)),
    (r'"conversations?"\s*:', Recognized("conversations of LLaVA", format="rows")),
    (r'"messages"\s*:', Recognized("chat messages (ms-swift, OpenAI)", format="rows")),
    (
        r'"query"\s*:[\s\S]*"response"\s*:|"response"\s*:[\s\S]*"query"\s*:',
        Recognized("queries and responses of ms-swift", format="rows"),
    ),
    (
        r'"prefix"\s*:[\s\S]*"suffix"\s*:|"suffix"\s*:[\s\S]*"prefix"\s*:',
        Recognized("prefixes and suffixes", format="prefix_suffix"),
    ),
    (
        r'"questions"\s*:\s*\[(?![\s\S]*"answers?"\s*:)',
        Recognized("questions of VQA, apart from their answers", format="vqa"),
    ),
    (r'"question"\s*:', Recognized("questions and answers", format="rows")),
    (r'"coordinates"\s*:', Recognized("a file of CreateML", CONVERT)),
    (
        r'^\s*\{\s*"[^"]*"\s*:\s*\{\s*"(caption|tags|train_resolution|latents_npz)"\s*:',
        Recognized("captions or tags of kohya", format="kohya"),
    ),
    (
        rf'"({_NAMING})"\s*:\s*(\[?\s*\{{[^{{}}]*\}})?[^{{}}]*"({_SAYING})"\s*:'
        rf'|"({_SAYING})"\s*:\s*(\[?\s*\{{[^{{}}]*\}})?[^{{}}]*"({_NAMING})"\s*:',
        Recognized("rows of pictures and texts", format="rows"),
    ),
)
_COCO = re.compile(r'"(images|annotations|categories)"\s*:\s*\[')
_NO_COCO = re.compile(
    r'"(_via_settings|shapes|from_name|box2d|classTitle|questions?|question_id)"\s*:'
)
# a01-000u-00-00 ok 154 408 768 27 51 AT A
IAM_LINE = re.compile(r"([a-z]\d\d-\d{3}\w?-\d\d(?:-\d\d)?) (ok|err)(?: \S+){6} (.+)")
_IMAGE_FOLDER = Recognized("the metadata of a Hugging Face image folder", format="image_folder")
_TABLE_COLUMNS = frozenset(
    (
        *(
            "caption",
            "captions",
            "title",
            "comment",
            "text",
            "sentence",
            "description",
            "words",
            "word",
        ),
        *("identity", "transcription", "ocr", "label", "labels", "class", "category", "answer"),
        *("answers", "class_name", "category_name", "response", "suffix", "breed", "target"),
    )
)
_MASK_COLUMNS = ("encodedpixels", "encoded_pixels", "rle", "rle_mask")
_PART = re.compile(
    r"(^|[._])(x_?min|min_?x|x_?[01]|left|x_?cent(er|re)|c_?x|bb?ox(es)?(_x|_y)?|polygons?|points"
    r"|segmentations?|predictionstring)$|^encoded_?pixels$"
)
# By the root of a file of XML.
_XML: Mapping[str, Recognized] = {
    "annotations": Recognized("CVAT XML", "export it as COCO"),
    "PcGts": Recognized("PAGE XML", LINES),
    "alto": Recognized("ALTO XML", LINES),
    "dataset": Recognized("dlib XML", CONVERT),
    "GEDI": Recognized("GEDI XML", CONVERT),
}
# Kinds of texts beside pictures that a reader takes.
_FORMAT_OF_KIND: Mapping[str, str] = {}
_BINARY = {
    **dict.fromkeys((".tfrecord", ".record", ".tfrecords"), "TFRecord files"),
    **dict.fromkeys((".mat", ".npz", ".npy", ".h5", ".hdf5", ".pkl", ".pickle"), "arrays"),
    **dict.fromkeys((".tar", ".zip", ".tgz", ".gz", ".7z", ".rar"), "archives"),
    **dict.fromkeys((".mdb", ".lmdb"), "an LMDB database"),
    ".arrow": "Arrow files of the datasets library",
}
_BINARY_ADVICE = {
    "archives": "unpack them",
    "Arrow files of the datasets library": "write them with to_parquet, or as pictures and records",
}
MASK_FOLDERS = frozenset(
    (
        *("mask", "masks", "segmentation", "segmentations", "gt", "gtfine", "ground_truth"),
        *("segmentationclass", "segmentationobject", "groundtruth", "targets"),
        *("label", "labels", "annotation", "annotations"),
    )
)
_MASK_STEM = re.compile(r"[_-](mask|masks|seg|segmentation|gt|labelids)(_\d+)?$", re.IGNORECASE)
_MASKS = Recognized("masks as pictures", "convert them to COCO, an object for each region")
NO_CLASSES = MASK_FOLDERS | {
    *("image", "images", "img", "imgs", "jpegimages", "leftimg8bit", "pictures"),
    *("data", "dataset", "vocdevkit", "traina", "trainb", "testa", "testb"),
}
_QUIET = (".md", ".rst", ".py", ".ini", ".db", ".pdf", ".html", ".ipynb", ".log", ".cache", ".sh")


def head_of(file: Path) -> str:
    """Return the beginning of a file as text, empty where it cannot be read."""
    try:
        with file.open("rb") as opened:
            start = opened.read(HEAD)
    except OSError:
        return ""
    return start.decode(encoding_of(start), errors="replace").removeprefix("\ufeff")


def is_coco(file: Path) -> bool:
    """Tell by its head whether a JSON file is of COCO's kind."""
    head = head_of(file)
    return head.lstrip().startswith("{") and bool(_COCO.search(head)) and not _NO_COCO.search(head)


def is_voc(file: Path) -> bool:
    """Tell by its head whether an XML file is a VOC annotation."""
    return _root_tag(head_of(file)).lower() == "annotation"


def recognize_json(file: Path) -> Recognized | None:
    """Name the format of a file of JSON or JSON lines that is not of COCO's kind."""
    head = head_of(file)
    is_lines = file.suffix.lower() == ".jsonl"
    if is_lines and file.stem == _METADATA and 'file_name"' in head:
        return _IMAGE_FOLDER
    found = (row for pattern, row in _JSON if re.search(pattern, head))
    return None if is_coco(file) and not is_lines else next(found, None)


def recognize_table(file: Path) -> Recognized | None:
    """Name the format of a file of values with commas or tabs."""
    first = next(iter(head_of(file).splitlines()), "")
    columns = {word.strip().strip('"').lower() for word in re.split("[,\t;|]", first)}
    if {"xmin", "ymin", "class"} <= columns:
        return Recognized("a TensorFlow CSV of boxes", CONVERT)
    cells = [word.strip() for word in re.split("[,\t;]", first)]
    if is_picture(Path(cells[0])) and sum(cell.lstrip("-").isdigit() for cell in cells) >= 4:
        return Recognized("a CSV of boxes", CONVERT)
    if {"imageid", "labelname"} <= columns:
        return Recognized("an Open Images CSV", CONVERT)
    named = [re.sub(r"[\s-]+", "_", each) for each in columns]
    if any(each in _MASK_COLUMNS for each in named):
        return Recognized("a CSV of masks as run lengths", CONVERT)
    if part_column(named):
        return Recognized("a CSV of boxes", CONVERT)
    if file.stem == _METADATA and any(each.endswith("file_name") for each in columns):
        return _IMAGE_FOLDER
    if _TABLE_COLUMNS.intersection(named) and len(columns) > 1:
        return Recognized("a table of pictures and texts or classes", format="rows")
    if found := recognize_text(file):
        return found
    return Recognized("a table of values", LINES) if len(columns) > 1 else None


def part_column(names: Sequence[str]) -> str | None:
    """Return the first column that says that rows are about parts of pictures, such as `x_min`.

    >>> part_column(["image", "label", "roi.x1"]), part_column(["image", "x", "label"])
    ('roi.x1', None)
    """
    if {"x", "y"} <= set(names):
        return "x"
    return next((name for name in names if _PART.search(name)), None)


def recognize_text(file: Path) -> Recognized | None:
    """Name the format of a text that holds lines about several pictures."""
    head = head_of(file)
    if is_iam(head):
        return Recognized("a list of the IAM database", format="rows")
    whole = head.splitlines()[: -1 if len(head) >= HEAD // 4 else None]  # the last may be cut off
    lines = [line for line in whole if line.strip()]
    if not lines:
        return None
    name = r"\S.*\.(jpe?g|png|bmp|gif|webp|tiff?)"
    row = re.compile(rf'"?{name}(#\d+)?"?\s*[\t,;| ].*|.*[\t,;|]\s*{name}\s*', re.IGNORECASE)
    pair = re.compile(rf"{name}\s*[\t,;| ]\s*{name}\s*", re.IGNORECASE)  # such as picture and mask

    def fits(line: str) -> bool:
        return row.fullmatch(line) is not None and pair.fullmatch(line) is None

    rows = lines if fits(lines[0]) else lines[1:]
    numbers = re.compile(rf"{name}[\t,;| ]+-?\d[-\d\s,.;:]*", re.IGNORECASE)
    boxes = sum(len(re.findall(r"\d+", line)) > 4 for line in rows if numbers.fullmatch(line))
    if 2 * boxes > len(rows):
        return Recognized("a list of pictures and boxes", CONVERT)
    if rows and 2 * sum(map(fits, rows)) > len(rows):
        return Recognized("a table of pictures and texts", format="rows")
    return None


def is_iam(text: str) -> bool:
    """Tell whether a text, or its head, is a list of lines or words of the IAM database."""
    rows = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return 2 * sum(IAM_LINE.fullmatch(line) is not None for line in rows) > len(rows)


def recognize_rows(files: Sequence[Path], pictures: Sequence[Path]) -> str | None:
    """Return the format of the first file of rows, where no other format shows itself before.

    A text beside a picture is about that picture alone.
    """
    stems = {picture.with_suffix("") for picture in pictures}
    for suffixes in ((".json", ".jsonl"), (".csv", ".tsv"), (".txt",)):
        for file in files:
            if file.suffix.lower() in suffixes and (
                file.suffix.lower() != ".txt" or file.with_suffix("") not in stems
            ):
                found = _look_at(file)
                if found is not None:
                    return found.format
    return None


def _look_at(file: Path) -> Recognized | None:
    looks = {".json": recognize_json, ".jsonl": recognize_json, ".txt": recognize_text}
    return looks.get(file.suffix.lower(), recognize_table)(file)


def format_of_rows(file: Path) -> str | None:
    """Return the format of a file of rows, by its head."""
    found = _look_at(file)
    return found.format if found else None


def recognize_folder(
    files: Sequence[Path], pictures: Sequence[Path], root: Path
) -> Recognized | None:
    """Name the format that files are of; `None` where nothing shows it.

    Args:
        files: all that lie below `root`.
        pictures: those of them that are pictures.
        root: the folder.
    """
    by_suffix: dict[str, list[Path]] = {}
    for file in files:
        by_suffix.setdefault(file.suffix.lower(), []).append(file)
    texts = by_suffix.get(".txt", [])
    looks = (
        (recognize_json, by_suffix.get(".json", []) + by_suffix.get(".jsonl", [])),
        (_recognize_xml, by_suffix.get(".xml", [])),
        (recognize_table, by_suffix.get(".csv", []) + by_suffix.get(".tsv", [])),
        (recognize_text, texts),
    )
    for recognize, candidates in looks:
        for file in candidates:
            if found := recognize(file):
                return replace(found, place=_place(file, root))
    if found := recognize_labels(LabelTexts.of(texts), root):
        return found
    for suffix, name in _BINARY.items():
        if there := by_suffix.get(suffix):
            advice = _BINARY_ADVICE.get(name, "write them as pictures and records (docs/data.md)")
            return Recognized(name, advice, place=_place(there[0], root))
    return _masks(pictures, root)


def recognize_labels(texts: LabelTexts, root: Path) -> Recognized | None:
    """Name the kind of labels that most text files hold, if most hold labels."""
    if 2 * len(texts.labels) <= len(texts.captions):
        return None
    kind = next((kind for kind, _ in texts.kinds.most_common(1)), None)
    if kind is None:
        return None
    file = next(file for file, its_kind in texts.labels.items() if its_kind == kind)
    name, _, advice = KINDS[kind].partition("; ")
    return Recognized(name, advice, _FORMAT_OF_KIND.get(kind), _place(file, root))


def _place(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix()


def _root_tag(head: str) -> str:
    found = re.search(r"<\s*([A-Za-z_][\w.:-]*)", re.sub(r"<[?!][^>]*>", "", head))
    return found[1].rpartition(":")[2] if found else ""


def _recognize_xml(file: Path) -> Recognized | None:
    tag = _root_tag(head_of(file))
    if tag.lower() == "annotation" or not tag:
        return None
    return _XML.get(tag, Recognized(f"XML with the root {tag!r}", CONVERT))


def _masks(pictures: Iterable[Path], root: Path) -> Recognized | None:
    """Tell masks: pictures in a folder called like it, beside a folder of other pictures."""
    holders = Counter(
        part.lower() for file in pictures for part in set(file.relative_to(root).parts[:-1])
    )
    stems = {file.with_suffix("") for file in pictures}
    for stem in sorted(stems):
        plain = _MASK_STEM.sub("", stem.name)
        if plain != stem.name and stem.with_name(plain) in stems:
            return replace(_MASKS, place=stem.name)
    masks = sorted(holders.keys() & MASK_FOLDERS)
    if masks and any(name not in MASK_FOLDERS for name in holders):
        return replace(_MASKS, place=f"folder {masks[0]!r}")
    return None


def classes_refused(
    files: Sequence[Path], pictures: Sequence[Path], folders: Sequence[Path], root: Path
) -> str | None:
    """Return why the folders of pictures in a folder are no classes, or `None`."""
    for folder in folders:
        if folder.name.lower() in NO_CLASSES or re.fullmatch(r"voc\d{4}", folder.name.lower()):
            return f"the folder {folder.name!r} is no class by its name"
    others = [
        file
        for file in files
        if file not in set(pictures)
        and file.suffix.lower() not in _QUIET
        and file.stem.lower() not in ("readme", "license", "licence", "classes", "labels", "thumbs")
    ]
    if others:
        return f"{_place(others[0], root)} lies beside them"
    parts = sorted(folder.name for folder in folders if part_named(folder.name))
    if len(parts) == len(folders):
        return f"{', '.join(parts)} are parts of a dataset, with no class inside"
    inside = set(folders)
    loose = [file for file in pictures if not inside & set(file.parents)]
    if 2 * len(loose) > len(pictures):
        return f"most pictures lie in no folder, such as {_place(loose[0], root)}"
    return None
