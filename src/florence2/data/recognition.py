"""Formats that show themselves by what lies there, so that none is taken for another.

A row of these tables names a format, and says which reader takes it, or what to do where none does.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from florence2.data.files import encoding_of
from florence2.data.image_files import is_picture
from florence2.data.label_texts import KINDS, LabelTexts
from florence2.data.mask_files import MASK_FOLDERS, name_file, pair_masks
from florence2.data.parts import part_named
from florence2.data.tables import box_columns, first_row

HEAD = 65_536  # bytes of a file that are looked at
MAX_HEADS = 2_000  # files of a kind that are looked at, evenly among all
CONVERT = "convert it to COCO or YOLO"
HEAD_LINE = "begin it with the line filename,class,xmin,ymin,xmax,ymax and order its columns so"
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
        Recognized("a file of the VGG Image Annotator (VIA)", format="via"),
    ),
    (r'"shapes"\s*:|"imageData"\s*:', Recognized("files of LabelMe", format="labelme")),
    (
        r'"(from_name|to_name|original_width|was_cancelled|(rectangle|polygon|brush|ellipse)labels)"',
        Recognized("an export of Label Studio", format="label_studio"),
    ),
    (
        r'\A\s*\[\s*\{(?=[^{}]*"image_id"\s*:)(?=[^{}]*"score"\s*:)[^{}]*"category_id"\s*:',
        Recognized("COCO results", "they name no pictures; give the file of the annotations"),
    ),
    (
        r'\A\s*\[\s*\{(?=[\s\S]*"annotations"\s*:\s*\[)(?=[\s\S]*"data"\s*:\s*\{)',
        Recognized("an export of Label Studio", format="label_studio"),
    ),
    (r'"(Labeled Data|data_row)"', Recognized("an export of Labelbox", CONVERT)),
    (r'"(vottVersion|assets)"\s*:', Recognized("a project of VoTT", "export it as CSV")),
    (r'"openlabel"\s*:', Recognized("a file of OpenLABEL", CONVERT)),
    (r'"slots"\s*:', Recognized("files of V7 Darwin", CONVERT)),
    (r'"objects_to_annotate"|"attachment_type"', Recognized("tasks of Scale AI", CONVERT)),
    (r'"imgHeight"\s*:', Recognized("outlines of Cityscapes", CONVERT)),
    (r'"items"\s*:\s*\[', Recognized("a file of Datumaro", "export it as COCO")),
    (r'"(captures|annotationDefinitions)"\s*:', Recognized("frames of Unity Perception", CONVERT)),
    (r'"type"\s*:\s*"localization"', Recognized("a file of IBM Cloud Annotations", CONVERT)),
    (r'"box2d"', Recognized("a file of BDD100K or Scalabel", CONVERT)),
    (
        r'"segments_info"\s*:',
        Recognized("COCO panoptic", "convert it with panopticapi's panoptic2detection_coco_format"),
    ),
    (r'"classTitle"', Recognized("files of Supervisely", CONVERT)),
    (r'"form"\s*:\s*\[', Recognized("forms of FUNSD", format="funsd")),
    (r'"valid_line"\s*:', Recognized("receipts of CORD", LINES)),
    (r'"document"\s*:\s*\[', Recognized("forms of XFUND", LINES)),
    (r'"label_id"\s*:', Recognized("a file of Datumaro", "export it as COCO")),
    (r'"grounding"\s*:|"detection"\s*:\s*\{', Recognized("an ODVG file", format="odvg")),
    (r'"(sentences|sent_ids|ref_id)"\s*:', Recognized("a file of RefCOCO", format="refcoco")),
    (
        r'"tokens_(positive|negative|positive_eval)"\s*:',
        Recognized("captions with spans (MDETR)", format="mdetr"),
    ),
    (
        r'"(company|total)"\s*:[^\[\]]*"(date|address|total)"\s*:',
        Recognized("the key information of SROIE", f"which is no OCR; {LINES}"),
    ),
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
    (r'"coordinates"\s*:\s*\{', Recognized("a file of CreateML", format="createml")),
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
    r'"(_via_settings|shapes|from_name|box2d|classTitle|questions?|question_id|items'
    r'|segments_info|tokens_positive|tokens_negative|tokens_positive_eval)"\s*:'
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
    "annotations": Recognized("CVAT XML", format="cvat"),
    "PcGts": Recognized("PAGE XML", LINES),
    "alto": Recognized("ALTO XML", LINES),
    "dataset": Recognized("dlib XML", CONVERT),
    "GEDI": Recognized("GEDI XML", CONVERT),
}
# Kinds of texts beside pictures that a reader takes.
_FORMAT_OF_KIND: Mapping[str, str] = {
    **{each: each for each in ("kitti", "visdrone", "dota")},
    "yolo_names": "yolo",
}
_BINARY = {
    **dict.fromkeys((".tfrecord", ".record", ".tfrecords"), "TFRecord files"),
    **dict.fromkeys((".mat", ".npz", ".npy", ".h5", ".hdf5", ".pkl", ".pickle"), "arrays"),
    **dict.fromkeys((".tar", ".zip", ".tgz", ".gz", ".7z", ".rar"), "archives"),
    **dict.fromkeys((".mdb", ".lmdb"), "an LMDB database"),
    ".manifest": "manifests of SageMaker",
    ".ndjson": "exports of Labelbox",
    ".labels": "labels of Edge Impulse",
    ".arrow": "Arrow files of the datasets library",
}
_BINARY_ADVICE = {
    "archives": "unpack them",
    **dict.fromkeys(
        ("manifests of SageMaker", "exports of Labelbox", "labels of Edge Impulse"), CONVERT
    ),
    "Arrow files of the datasets library": "write them with to_parquet, or as pictures and records",
}
MASKS = Recognized(
    "masks as pictures",
    "write the names of their values into classes.txt, one a line from 0 on, 'background' first;"
    " or the one name of what is white (docs/data.md)",
)
NO_CLASSES = MASK_FOLDERS | {
    *("image", "images", "img", "imgs", "jpegimages", "leftimg8bit", "pictures"),
    *("data", "dataset", "vocdevkit", "traina", "trainb", "testa", "testb"),
    *("before", "after", "rgb", "depth", "photos", "originals", "thumbnails", "thumbs"),
    *("frames", "inputs", "outputs", "hr", "lr"),
}
REFS_PICKLE = re.compile(r"g?refs?\b.*\.(p|pkl|pickle)", re.IGNORECASE)
_UNPICKLE = (
    "import json, pickle; from pathlib import Path;"
    " Path('{}.json').write_text(json.dumps(pickle.loads(Path('{}').read_bytes())))"
)
_NO_CLASS = re.compile(r"voc\d{4}|(image|label)_\d|\d{4}-\d\d-\d\d")  # VOCdevkit, KITTI, a day
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
    head = head_of(file)
    return _root_tag(head).lower() == "annotation" and not _is_old_labelme(head)


def _is_old_labelme(head: str) -> bool:
    """Tell the XML of the old LabelMe, whose polygons are lists of `<pt>`, from VOC."""
    return "<pt>" in head and "<bndbox>" not in head


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
    head = head_of(file)
    cells = [cell.strip() for cell in first_row(head)]
    columns = {cell.lower() for cell in cells}
    if re.search(r'""(rectangle|polygon|brush|ellipse|keypoint)labels""', head):
        return Recognized("a CSV of Label Studio", "export it as JSON")
    if "region_shape_attributes" in columns:
        return Recognized("a CSV of the VGG Image Annotator (VIA)", "save its project as JSON")
    if {"imageid", "labelname", "xmin"} <= columns:
        return Recognized("an Open Images CSV", format="open_images")
    named = [re.sub(r"[\s-]+", "_", each) for each in columns]
    if any(each in _MASK_COLUMNS for each in named):
        return Recognized("a CSV of masks as run lengths", CONVERT)
    if box_columns(cells) is not None:
        return Recognized("a CSV of boxes", format="box_csv")
    if is_picture(Path(cells[0] if cells else "")) and sum(map(_is_number, cells)) >= 4:
        return Recognized("a CSV of boxes", HEAD_LINE)
    if part_column(named):
        return Recognized("a CSV of boxes", HEAD_LINE)
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


def _is_number(cell: str) -> bool:
    return cell.lstrip("-").isdigit()


def recognize_text(file: Path) -> Recognized | None:
    """Name the format of a text that holds lines about several pictures."""
    head = head_of(file)
    if is_iam(head):
        return Recognized("a list of the IAM database", format="rows")
    whole = head.splitlines()[: -1 if len(head) >= HEAD // 4 else None]  # the last may be cut off
    lines = [line for line in whole if line.strip()]
    if not lines:
        return None
    if box_columns(first_row(head)) is not None:
        return Recognized("a CSV of boxes", format="box_csv")
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


def shows(file: Path, format: str) -> bool:
    """Tell by its name and head whether a file is of a format that a reader takes."""
    look = _LOOKS.get(file.suffix.lower())
    found = look(file) if look else None
    return found is not None and found.format == format


def recognize_file(file: Path) -> Recognized | None:
    """Name the format of one file by its suffix and head."""
    return _LOOKS.get(file.suffix.lower(), recognize_table)(file)


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
    masks = recognize_masks(files, pictures, root)
    looks = (
        (recognize_json, by_suffix.get(".json", []) + by_suffix.get(".jsonl", [])),
        (_recognize_xml, by_suffix.get(".xml", [])),
        # Other tables may name the colours of masks.
        (lambda _: masks, pictures[:1] if masks and masks.format else []),
        (recognize_table, by_suffix.get(".csv", []) + by_suffix.get(".tsv", [])),
        (recognize_text, texts),
    )
    for recognize, candidates in looks:
        stride = 1 + len(candidates) // MAX_HEADS
        seen = [(found, file) for file in candidates[::stride] if (found := recognize(file))]
        counts = Counter(found.name for found, _ in seen)
        # Many tables may lie beside the one of the boxes; of other files, most are of the dataset.
        by_number = recognize is not recognize_table
        sure = max(
            seen,
            key=lambda each: (by_number and counts[each[0].name], each[0].format is not None),
            default=None,
        )
        if sure is not None:
            return replace(sure[0], place=sure[0].place or _place(sure[1], root))
    if found := recognize_labels(LabelTexts.of(texts), root):
        return found
    for suffix, name in _BINARY.items():
        if there := by_suffix.get(suffix):
            advice = _BINARY_ADVICE.get(name, "write them as pictures and records (docs/data.md)")
            return Recognized(name, advice, place=_place(there[0], root))
    return masks


def recognize_pickle(file: Path) -> Recognized | None:
    """Name a pickle of RefCOCO, by its name: what is in it can run programs."""
    if not REFS_PICKLE.fullmatch(file.name):
        return None
    line = _UNPICKLE.format(file.stem, file.name)
    return Recognized(
        "RefCOCO as a pickle",
        "a pickle can run programs and is never loaded; where you trust it, write it as JSON:"
        f' python -c "{line}"',
        place=file.name,
    )


def recognize_labels(texts: LabelTexts, root: Path) -> Recognized | None:
    """Name the kind of labels that most text files hold, if most hold labels."""
    if 2 * len(texts.labels) <= len(texts.captions):
        return None
    if not texts.kinds:
        return None
    # More files of numbers may lie beside labels that show what they are: KITTI's calibration.
    weights = {kind: count * (4 if kind != "numbers" else 1) for kind, count in texts.kinds.items()}
    kind = max(weights, key=lambda each: weights[each])
    file = next(file for file, its_kind in texts.labels.items() if its_kind == kind)
    name, _, advice = KINDS[kind].partition("; ")
    return Recognized(name, advice, _FORMAT_OF_KIND.get(kind), _place(file, root))


def _place(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix()


def _root_tag(head: str) -> str:
    found = re.search(r"<\s*([A-Za-z_][\w.:-]*)", re.sub(r"<[?!][^>]*>", "", head))
    return found[1].rpartition(":")[2] if found else ""


def _recognize_xml(file: Path) -> Recognized | None:
    head = head_of(file)
    tag = _root_tag(head)
    if tag.lower() == "annotation" and _is_old_labelme(head):
        return Recognized("XML of the old LabelMe", CONVERT)
    if tag.lower() == "annotation" or not tag:
        return None
    return _XML.get(tag, Recognized(f"XML with the root {tag!r}", CONVERT))


_LOOKS: Mapping[str, Callable[[Path], Recognized | None]] = {
    **dict.fromkeys((".json", ".jsonl"), recognize_json),
    **dict.fromkeys((".csv", ".tsv", ".txt"), recognize_table),
    ".xml": _recognize_xml,
}


def recognize_masks(
    files: Sequence[Path], pictures: Sequence[Path], root: Path
) -> Recognized | None:
    """Tell masks of pictures, and folders that are called like those of masks."""
    found = pair_masks(pictures, root)
    if masks := sorted(found.all_masks):
        is_named = bool(found.groups) or name_file(files, root) is not None
        return replace(MASKS, format="masks" if is_named else None, place=_place(masks[0], root))
    holders = {part for file in pictures for part in file.relative_to(root).parts[:-1]}
    masks_there = sorted(name for name in holders if name.lower() in MASK_FOLDERS)
    if masks_there and len(masks_there) < len(holders):
        return replace(MASKS, place=f"folder {masks_there[0]!r}")
    return None


def classes_refused(
    files: Sequence[Path], pictures: Sequence[Path], folders: Sequence[Path], root: Path
) -> str | None:
    """Return why the folders of pictures in a folder are no classes, or `None`."""
    for folder in folders:
        if folder.name.lower() in NO_CLASSES or _NO_CLASS.fullmatch(folder.name.lower()):
            return (
                f"the folder {folder.name!r} is no class by its name; if it is one, give the format"
                " classes"
            )
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
