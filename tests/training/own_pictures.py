"""A dataset as a user has it, a checkpoint that can learn it, and how to start on both."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from florence2.checkpoints import save_checkpoint
from florence2.data.formats.coco import write_coco
from florence2.data.records import Record
from florence2.model.config import with_vocab_size
from florence2.model.florence2 import Florence2Model
from florence2.processing.tokenizer import Tokenizer
from florence2.results import Boxes
from florence2.tasks import Task
from florence2.training.options import FinetuneOptions, WeightedPath
from tiny_models import CONFIG

SIDE = 32
COLOURS = {
    **{"red": (240, 50, 50), "blue": (50, 50, 240)},
    **{"green": (50, 240, 50), "white": (240, 240, 240)},
}


def write_own_pictures(folder: Path, count: int = 6) -> Path:
    """A COCO file of pictures with one square each, of all colours in turn, beside them."""
    rng = np.random.default_rng(0)
    records = []
    for number in range(count):
        label = list(COLOURS)[number % len(COLOURS)]
        left, top = (int(value) for value in rng.integers(0, 16, 2))
        picture = Image.new("RGB", (SIDE, SIDE), (20, 20, 20))
        picture.paste(COLOURS[label], (left, top, left + 16, top + 16))
        folder.mkdir(parents=True, exist_ok=True)
        picture.save(folder / f"{number}.png")
        boxes = Boxes([[left, top, left + 16, top + 16]], [label], image_size=(SIDE, SIDE))
        records.append(Record(folder / f"{number}.png", Task.OD, "", None, boxes, str(number)))
    write_coco(records, folder / "annotations.json")
    return folder / "annotations.json"


def write_told_pictures(folder: Path) -> Path:
    """Caption files beside four pictures, each of another colour."""
    write_own_pictures(folder, count=4)
    (folder / "annotations.json").unlink()
    for number, words in enumerate(("one", "two boxes", "a red car", "blue sky")):
        (folder / f"{number}.txt").write_text(words)
    return folder


def write_learner(folder: Path, dtype: torch.dtype = torch.float32) -> Path:
    """A tiny checkpoint of random weights, which learns quickly."""
    tokenizer = Tokenizer.train([task.template for task in Task] * 3, vocab_size=300)
    torch.manual_seed(2)
    model = Florence2Model(with_vocab_size(CONFIG, tokenizer.vocab_size))
    torch.nn.init.normal_(model.shared.weight)  # wide enough for adapters to tell words apart
    with torch.no_grad():
        for parameter in model.vision_tower.parameters():
            if parameter.ndim > 1:
                parameter.mul_(2.0)  # or random features are much the same for all pictures
    return save_checkpoint(model, folder, tokenizer=tokenizer, dtype=dtype)


def options_for(data: Path, model: Path, output: Path, **others: Any) -> FinetuneOptions:
    settings: dict[str, Any] = {
        **{"steps": 4, "batch_size": 4, "learning_rate": 1e-2, "workers": 0, "device": "cpu"},
        **others,
    }
    return FinetuneOptions((WeightedPath(str(data)),), output, str(model), **settings)
