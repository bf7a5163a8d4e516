"""Formats that no reader takes, named by what lies there, so that none is taken for another."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from florence2.data.image_files import is_picture
from florence2.data.label_texts import KINDS, LabelTexts
from florence2.data.parts import part_named

HEAD = 65_536  # bytes of a file that are looked at
CONVERT = "convert it to COCO or YOLO"
LINES = 'write lines of {"image", "prefix", "suffix"} (docs/data.md)'

# What stands in the head of a file of JSON, the surest first: pattern, name, what to do.
_JSON: Sequence[tuple[str, str, str]] = (
    (
        r'"_via_(img_metadata|settings)"|"shape_attributes"',
        "a file of the VGG Image Annotator (VIA)",
        CONVERT,
    ),
    (r'"shapes"\s*:', "files of LabelMe", CONVERT),
    (r'"(from_name|to_name|original_width)"', "an export of Label Studio", "export it as COCO"),
    (r'"(Labeled Data|data_row)"', "an export of Labelbox", CONVERT),
    (r'"box2d"', "a file of BDD100K or Scalabel", CONVERT),
    (r'"classTitle"', "files of Supervisely", CONVERT),
    (r'"form"\s*:\s*\[', "forms of FUNSD", LINES),
    (r'"grounding"\s*:|"detection"\s*:\s*\{', "an ODVG file", LINES),
    (r'"sent(ences|_ids)"|"ref_id"', "a file of RefCOCO", LINES),
    (r'"conversations"\s*:', "conversations of LLaVA", LINES),
    (r'"messages"\s*:', "chat messages (ms-swift, OpenAI)", LINES),
    (r'"query"\s*:[\s\S]*"response"\s*:', "queries and responses of ms-swift", LINES),
    (
        r'"prefix"\s*:[\s\S]*"suffix"\s*:',
        "a list of prefixes and suffixes",
        "write one object a line (.jsonl)",
    ),
    (r'"questions?"\s*:', "questions and answers", LINES),
    (r'"coordinates"\s*:', "a file of CreateML", CONVERT),
    (r'"file_name"\s*:', "the metadata of a Hugging Face image folder", LINES),
    (r'"(tags|caption)"\s*:', "captions or tags of kohya", "write a.txt beside each a.png"),
)
_COCO = re.compile(r'"(images|annotations|categories)"\s*:\s*\[')
_NO_COCO = re.compile(
    r'"(_via_settings|shapes|from_name|box2d|classTitle|questions?|question_id)"\s*:'
)
_XML = (
    ("annotations", "CVAT XML", "export it as COCO"),
    ("PcGts", "PAGE XML", LINES),
    ("alto", "ALTO XML", LINES),
    ("dataset", "dlib XML", CONVERT),
    ("GEDI", "GEDI XML", CONVERT),
)
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
_MASK_ADVICE = "convert them to COCO, an object for each region"
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
    wide = start.startswith((b"\xff\xfe", b"\xfe\xff"))
    return start.decode("utf-16" if wide else "utf-8-sig", errors="replace")


def is_coco(file: Path) -> bool:
    """Tell by its head whether a JSON file is of COCO's kind."""
    head = head_of(file)
    return head.lstrip().startswith("{") and bool(_COCO.search(head)) and not _NO_COCO.search(head)


def is_voc(file: Path) -> bool:
    """Tell by its head whether an XML file is a VOC annotation."""
    return _root_tag(head_of(file)).lower() == "annotation"


def foreign_json(file: Path) -> str | None:
    """Name the format of a file of JSON or JSON lines that is not of COCO's kind."""
    head = head_of(file)
    found = (f"{name}; {advice}" for pattern, name, advice in _JSON if re.search(pattern, head))
    is_lines = file.suffix.lower() == ".jsonl"
    return None if is_coco(file) and not is_lines else next(found, None)


def foreign_table(file: Path) -> str | None:
    """Name the format of a file of values with commas or tabs, and say what to do."""
    first = next(iter(head_of(file).splitlines()), "")
    columns = {word.strip().strip('"').lower() for word in re.split("[,\t;|]", first)}
    if {"xmin", "ymin", "class"} <= columns:
        return f"a TensorFlow CSV of boxes; {CONVERT}"
    cells = [word.strip() for word in re.split("[,\t;]", first)]
    if is_picture(Path(cells[0])) and sum(cell.lstrip("-").isdigit() for cell in cells) >= 4:
        return f"a CSV of boxes; {CONVERT}"
    if len(cells) == 2 and is_picture(Path(cells[0])):
        return "a table of pictures and texts or classes; write a.txt beside each a.png"
    if {"imageid", "labelname"} <= columns:
        return f"an Open Images CSV; {CONVERT}"
    if columns & {"file_name"}:
        return f"the metadata of a Hugging Face image folder; {LINES}"
    if columns & {"caption", "comment", "text", "words", "identity", "transcription"}:
        return "a table of pictures and texts; write a.txt beside each a.png"
    if columns & {"bbox", "x_min", "xmin", "x1", "left"}:
        return f"a CSV of boxes; {CONVERT}"
    if columns & {"label", "class", "category"}:
        return "a table of pictures and classes; put the pictures into one folder for each class"
    if len(columns) > 1:
        return f"a table of values; {LINES}"
    return None


def foreign_text(file: Path) -> str | None:
    """Name the format of a text that holds lines about several pictures."""
    head = head_of(file)
    lines = [line for line in head.splitlines() if line.strip()]
    if not lines:
        return None
    name = r"\S.*\.(jpe?g|png|bmp|gif|webp|tiff?)"
    row = re.compile(name + r"(#\d)?[\t,;| ].*", re.IGNORECASE)
    if len(lines) > 1 and all(row.fullmatch(line) for line in lines[1:4]):
        return "a table of pictures and texts; write a.txt beside each a.png"
    return None


def foreign_format(files: Sequence[Path], pictures: Sequence[Path], root: Path) -> str | None:
    """Name the format that files are of, and say what to do; `None` where nothing shows it.

    Args:
        files: all that lie below `root`.
        pictures: those of them that are pictures.
        root: the folder.
    """
    by_suffix: dict[str, list[Path]] = {}
    for file in files:
        by_suffix.setdefault(file.suffix.lower(), []).append(file)
    for file in by_suffix.get(".json", []) + by_suffix.get(".jsonl", []):
        if named := foreign_json(file):
            return f"{named} ({_place(file, root)})"
    for file in by_suffix.get(".xml", []):
        if named := _foreign_xml(file):
            return f"{named} ({_place(file, root)})"
    for suffix in (".csv", ".tsv"):
        for file in by_suffix.get(suffix, []):
            if named := foreign_table(file):
                return f"{named} ({_place(file, root)})"
    texts = by_suffix.get(".txt", [])
    for file in texts:
        if named := foreign_text(file):
            return f"{named} ({_place(file, root)})"
    if named := foreign_labels(LabelTexts.of(texts), root):
        return named
    for suffix, name in _BINARY.items():
        if found := by_suffix.get(suffix):
            advice = _BINARY_ADVICE.get(name, "write them as pictures and records (docs/data.md)")
            return f"{name}; {advice} ({_place(found[0], root)})"
    return _masks(pictures, root)


def foreign_labels(texts: LabelTexts, root: Path) -> str | None:
    """Name the kind of labels that most text files hold, if most hold labels."""
    if 2 * len(texts.labels) <= len(texts.captions):
        return None
    kind = next((kind for kind, _ in texts.kinds.most_common(1)), None)
    if kind is None:
        return None
    file = next(file for file, its_kind in texts.labels.items() if its_kind == kind)
    return f"{KINDS[kind]} ({_place(file, root)})"


def _place(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix()


def _root_tag(head: str) -> str:
    found = re.search(r"<\s*([A-Za-z_][\w.:-]*)", re.sub(r"<[?!][^>]*>", "", head))
    return found[1].rpartition(":")[2] if found else ""


def _foreign_xml(file: Path) -> str | None:
    tag = _root_tag(head_of(file))
    if tag.lower() == "annotation" or not tag:
        return None
    known = (f"{name}; {advice}" for its_tag, name, advice in _XML if its_tag == tag)
    return next(known, f"XML with the root {tag!r}; {CONVERT}")


def _masks(pictures: Iterable[Path], root: Path) -> str | None:
    """Tell masks: pictures in a folder called like it, beside a folder of other pictures."""
    holders = Counter(
        part.lower() for file in pictures for part in set(file.relative_to(root).parts[:-1])
    )
    stems = {file.with_suffix("") for file in pictures}
    for stem in sorted(stems):
        plain = _MASK_STEM.sub("", stem.name)
        if plain != stem.name and stem.with_name(plain) in stems:
            return f"masks as pictures ({stem.name}); {_MASK_ADVICE}"
    masks = sorted(holders.keys() & MASK_FOLDERS)
    if masks and any(name not in MASK_FOLDERS for name in holders):
        return f"masks as pictures (folder {masks[0]!r}); {_MASK_ADVICE}"
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
