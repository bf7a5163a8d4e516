"""Records, and the datasets they are read from and written to."""

from florence2.data.opening import FORMATS, Dataset, detect_format, open_dataset
from florence2.data.report import Problem, ReadReport, Severity

__all__ = [
    "FORMATS",
    "Dataset",
    "Problem",
    "ReadReport",
    "Severity",
    "detect_format",
    "open_dataset",
]
