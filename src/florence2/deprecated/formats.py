"""`florence2.data` by its name in 0.4."""

import sys
import warnings

from florence2.data import (
    FORMATS,
    Dataset,
    Problem,
    ReadReport,
    Severity,
    detect_format,
    open_dataset,
)
from florence2.data.formats import coco, folders, jsonl, parquet, prefix_suffix, voc, yolo

__all__ = [
    "FORMATS",
    "Dataset",
    "Problem",
    "ReadReport",
    "Severity",
    "detect_format",
    "open_dataset",
]

for _module in (coco, folders, jsonl, parquet, prefix_suffix, voc, yolo):
    sys.modules[f"{__name__}.{_module.__name__.rpartition('.')[2]}"] = _module

warnings.warn(
    "florence2.formats is deprecated since florence2 0.5 and goes in 0.6; use florence2.data",
    DeprecationWarning,
    stacklevel=2,
)
