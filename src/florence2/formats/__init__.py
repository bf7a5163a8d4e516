"""Datasets of others and our own, read as records and written again; one file for each format."""

from florence2.formats.opening import FORMATS, Dataset, detect_format, open_dataset
from florence2.formats.report import Problem, ReadReport, Severity

__all__ = [
    "FORMATS",
    "Dataset",
    "Problem",
    "ReadReport",
    "Severity",
    "detect_format",
    "open_dataset",
]
