"""Text files of labels: telling them from captions, and which tool's they are.

A text whose lines are mostly numbers is no caption. Formats that cannot be told from their lines
alone are called by what the lines hold.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from florence2.data.files import read_text
from florence2.errors import Florence2Error

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_DIVIDERS = re.compile(r"\s*[\s,;]\s*")
DOTA_HEAD = re.compile(r"(imagesource|gsd|acquisition dates)\s*:", re.IGNORECASE)
MAX_LINES = 50  # of a file; labels are alike from line to line
MAX_NAME = 3  # words of a class name
OCR_KINDS = ("icdar13", "icdar15", "totaltext")

KINDS = {
    "yolo": "YOLO labels without class names; put data.yaml or classes.txt there",
    "yolo_names": "YOLO labels with class names in place of numbers",
    "dota": "DOTA labels (four corners, a class and a difficulty)",
    "kitti": "KITTI labels (a class and 14 numbers)",
    "visdrone": "VisDrone labels (eight numbers with commas)",
    "mot": "MOT tracks (a frame, a track and a box in each line); convert them to COCO",
    "icdar15": "ICDAR or SROIE texts (four corners and a text, with commas); put a file for each"
    " picture beside it or into a folder beside its own",
    "icdar13": "ICDAR 2013 texts (a box and a text in quotation marks); put a file for each picture"
    " beside it or into a folder beside its own",
    "totaltext": "Total-Text outlines (x, y, ornt and transcriptions in each line); put a file for"
    " each picture beside it or into a folder beside its own",
    "keys": "JSON for each picture (the key information of SROIE or the like), which is neither a"
    ' caption nor OCR; write lines of {"image", "prefix", "suffix"} (docs/data.md)',
    "boxes_named": "boxes with a name or text behind each; convert them to COCO or YOLO",
    "numbers": "labels of numbers; convert them to COCO or YOLO",
}


@dataclass(frozen=True)
class LabelTexts:
    """What the text files of a folder hold.

    Attributes:
        kinds: how many files hold which kind of labels.
        labels: those that hold labels, and their kinds.
        captions: those that hold other text.
        empty: those that hold nothing, or cannot be read.
    """

    kinds: Counter[str]
    labels: dict[Path, str]
    captions: list[Path]
    empty: list[Path]

    @classmethod
    def of(cls, files: Iterable[Path]) -> "LabelTexts":
        """Look at all of the files."""
        labels: dict[Path, str] = {}
        captions: list[Path] = []
        empty: list[Path] = []
        for file in files:
            try:
                text = read_text(file)
            except Florence2Error:
                empty.append(file)
                continue
            if not text.strip():
                empty.append(file)
            elif kind := label_kind(text):
                labels[file] = kind
            else:
                captions.append(file)
        return cls(Counter(labels.values()), labels, captions, empty)


def label_kind(text: str) -> str | None:
    """Return which kind of labels the lines of a text are, a key of `KINDS`; `None` for a caption.

    >>> label_kind("0 0.5 0.5 0.2 0.2"), label_kind("9,11,37,11,37,35,9,35,TOTAL 2.50")
    ('yolo', 'icdar15')
    >>> label_kind("a cat with 3 kittens, 2 of them black") is None
    True
    """
    if text.lstrip("\ufeff \t\n").startswith("{") and text.rstrip().endswith("}") and '":' in text:
        return "keys"
    lines = [line.strip() for line in text.splitlines() if line.strip()][:MAX_LINES]
    rows = [line for line in lines if not DOTA_HEAD.match(line)]
    if not rows:
        return "dota" if lines else None
    kinds = Counter(_kind_of_line(line) for line in rows)
    kind, count = kinds.most_common(1)[0]
    if kind is None or 2 * count < len(rows):
        labelled = sum(number for each, number in kinds.items() if each)
        return "numbers" if 2 * labelled > len(rows) else None
    return "dota" if len(rows) < len(lines) else kind


def _kind_of_line(line: str) -> str | None:
    if line.startswith("x:") and "transcriptions:" in line:
        return "totaltext"
    words = [word for word in _DIVIDERS.split(line) if word]
    flags = [_NUMBER.fullmatch(word) is not None for word in words]
    numbers = sum(flags)
    leading = flags.index(False) if False in flags else len(flags)
    if numbers < 4 or (2 * numbers < len(words) and leading < 4):
        return None
    if leading == len(words):
        return _kind_of_numbers([float(word) for word in words], "," in line)
    if leading == 0:
        values = [float(word) for word, flag in zip(words, flags, strict=True) if flag]
        name = flags.index(True)
        if len(words) - numbers != name or name > MAX_NAME:
            return None  # no name with numbers behind it
        if all(0 <= value <= 1 for value in values):
            return "yolo_names"
        return "kitti" if numbers in (14, 15) else "numbers"
    if leading >= 8 and "," in line:
        return "icdar15"
    if leading == 8 and len(words) in (9, 10):
        return "dota"
    if leading == 4 and line.endswith('"'):
        return "icdar13"
    return "boxes_named" if leading >= 4 else "numbers"


def _kind_of_numbers(values: list[float], commas: bool) -> str:
    head, *shares = values
    # Key points behind a box are seen 0, 1 or 2 times.
    inside = all(-0.5 <= v <= 1.5 for v in shares[:4]) and all(-0.5 <= v <= 2 for v in shares[4:])
    if inside and head >= 0 and head.is_integer() and (len(shares) in (4, 5) or len(shares) >= 6):
        return "yolo"
    if commas and len(values) == 8 and all(value.is_integer() for value in values):
        return "visdrone"
    if commas and len(values) in (9, 10):
        # A text that is a number, as on a receipt, stands behind four corners; tracks end with a
        # confidence, a class and the share that is seen.
        is_track = len(values) == 10 or (values[6] in (0, 1) and 0 <= values[8] <= 1)
        return "mot" if is_track else "icdar15"
    return "numbers"
