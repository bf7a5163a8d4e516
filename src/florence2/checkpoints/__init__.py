"""Checkpoints on disk and on the hub: find, load, inspect, save.

sources              what the user names -> files on this disk
config_files         the JSON files beside the weights
generation_settings  how answers are searched for, wherever the JSON files say it
weight_files         files of tensors, read and written
tensor_checks        which tensors a model can answer with
wrappings            what training and packing tools make of names
layouts              public names <-> ours
loading              files -> model, tokenizer and generation settings
saving               the inverse, in both public layouts
inspection           findings in plain words

Importing this package loads no torch; the functions that need it import it.
"""

from florence2.checkpoints.inspection import Inspection, inspect_checkpoint
from florence2.checkpoints.loading import Checkpoint, load_checkpoint
from florence2.checkpoints.saving import save_checkpoint
from florence2.checkpoints.sources import SHORT_NAMES, find_checkpoint

__all__ = [
    "SHORT_NAMES",
    "Checkpoint",
    "Inspection",
    "find_checkpoint",
    "inspect_checkpoint",
    "load_checkpoint",
    "save_checkpoint",
]
