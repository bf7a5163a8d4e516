"""Icons by name: every compact shape of a screen is shown to the model, closely, and scored by how
likely it would call it so.

The model was trained on such crops (`florence2_lab.worlds.icon_crops`): one icon with a little of
what is around it, and its region.
"""

from collections.abc import Sequence
from math import exp, fsum
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from florence2.engine import EncodedImage, Engine, ImageRequest, LoglikelihoodRequest
from florence2.geometry import Array, Box
from florence2.pipelines.pointing.icon_names import ICON_NAMES, icon_names_for
from florence2.tasks import Task

T = TypeVar("T")

MARGIN = 0.4  # of the longer side of an icon, shown around it
BATCH_SIZE = 64  # crops on their way at once


class SeenIcons:
    """Crops of what may be icons, encoded once for any number of names.

    Args:
        boxes: `(N, 4)` in pixels of the picture.
    """

    def __init__(self, engine: Engine, picture: Image.Image, boxes: Array) -> None:
        self.engine, self.boxes = engine, boxes
        self._crops = [_crop(picture, box) for box in boxes.tolist()]
        self._encoded: list[EncodedImage] = []
        self._prompts: list[list[int]] = []
        self._memories: list[Any] = []
        self._known: dict[tuple[int, str], float] = {}

    def scores(self, words: str) -> Array:
        """How likely each would be called an icon of this name, `(N,)` in [0, 1]."""
        names = icon_names_for(words)
        found = self._likelihoods(range(len(self.boxes)), names)
        return np.asarray(np.minimum(found.sum(axis=1), 1.0))

    def shares(self, words: str, rows: Sequence[int]) -> Array:
        """The share of a name among all names that nano knows, for some of the shapes, in [0, 1].

        What is like no icon gets all names alike; one of another name gets that one.
        """
        names = icon_names_for(words)
        every = tuple(dict.fromkeys((*names, *ICON_NAMES)))
        likelihoods = self._likelihoods(rows, every)
        total = likelihoods.sum(axis=1)
        told = likelihoods[:, : len(names)].sum(axis=1)
        return np.asarray(told / np.maximum(total, np.finfo(float).tiny))

    def _encode(self) -> None:
        if self._encoded or not self._crops:
            return
        processor = self.engine.processor
        for batch in _batches(self._crops):
            asked = [self.engine.submit(ImageRequest(crop)) for crop, _ in batch]
            self._encoded += [each.result() for each in asked]
        self._prompts = [
            processor.prompt_ids(Task.REGION_TO_CATEGORY, "", region, crop.size)
            for crop, region in self._crops
        ]
        self._memories = [None] * len(self._crops)

    def _likelihoods(self, rows: Sequence[int], names: Sequence[str]) -> Array:
        """Of shapes `(N,)` and names `(M,)`: `(N, M)`; each pair is asked once."""
        self._encode()
        tokenizer = self.engine.processor.tokenizer
        pairs = [(row, name) for name in names for row in rows if (row, name) not in self._known]
        for batch in _batches(pairs):
            asked = [
                self.engine.submit(
                    LoglikelihoodRequest(
                        self._encoded[row],
                        self._prompts[row],
                        tokenizer.encode(f"{name} icon"),
                        self._memories[row],
                    )
                )
                for row, name in batch
            ]
            for (row, name), each in zip(batch, asked, strict=True):
                scored = each.result()
                self._memories[row] = scored.memory
                # `<s>` is no choice of the model.
                self._known[row, name] = exp(fsum(token.logprob for token in scored.tokens[1:]))
        found = [[self._known[row, name] for name in names] for row in rows]
        return np.array(found, np.float64).reshape(len(rows), len(names))


def _crop(picture: Image.Image, box: Box) -> tuple[Image.Image, Box]:
    """A box with a little around it, and where in there it is."""
    x_min, y_min, x_max, y_max = box
    margin = max(2.0, MARGIN * max(x_max - x_min, y_max - y_min))
    left, top = max(0, round(x_min - margin)), max(0, round(y_min - margin))
    right = min(picture.width, round(x_max + margin))
    bottom = min(picture.height, round(y_max + margin))
    region = x_min - left, y_min - top, x_max - left, y_max - top
    return picture.crop((left, top, right, bottom)), region


def _batches(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[start : start + BATCH_SIZE] for start in range(0, len(items), BATCH_SIZE)]
