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
from florence2.pipelines.pointing.icon_names import icon_names_for
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

    def scores(self, words: str) -> Array:
        """How likely each would be called an icon of this name, `(N,)` in [0, 1]."""
        self._encode()
        total = np.zeros(len(self.boxes))
        for name in icon_names_for(words):
            total += self._likelihoods(f"{name} icon")
        return np.minimum(total, 1.0)

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

    def _likelihoods(self, answer: str) -> Array:
        answer_ids = self.engine.processor.tokenizer.encode(answer)
        found: list[float] = []
        memories = self._memories or [None] * len(self._encoded)
        self._memories = []
        for batch in _batches(list(zip(self._encoded, self._prompts, memories, strict=True))):
            asked = [
                self.engine.submit(LoglikelihoodRequest(image, prompt, answer_ids, memory))
                for image, prompt, memory in batch
            ]
            for each in asked:
                scored = each.result()
                tokens = scored.tokens[1:]  # `<s>` is no choice of the model
                found.append(exp(fsum(token.logprob for token in tokens)))
                self._memories.append(scored.memory)
        return np.array(found)


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
