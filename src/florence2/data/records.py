"""The record: one training item, in pixels, before any tokenizer has seen it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from florence2.errors import DataError
from florence2.geometry import Box
from florence2.processing.images import open_image
from florence2.results import Boxes, Result, check_fits
from florence2.tasks import Task, without_placeholder

Picture = Path | NDArray[np.uint8]
"""A file, or uint8 RGB `(H, W, 3)`."""


@dataclass(frozen=True)
class Ignored:
    """Regions that are neither right nor wrong to find: crowds, difficult and group-of objects.

    Attributes:
        boxes: where they are, and what is there; with the label "", of any class.
        crowds: of each, whether it stands for any number of objects.
    """

    boxes: Boxes
    crowds: tuple[bool, ...]

    def concerns(self, label: str) -> bool:
        """Tell whether one of the regions may be of a class."""
        return bool({label, ""} & set(self.boxes.labels))


@dataclass(frozen=True)
class Federated:
    """For what a picture was searched, where that is not every name of its dataset (LVIS).

    A found object of a name that is neither in the answer nor among the negatives is neither right
    nor wrong.

    Attributes:
        negatives: names that are known not to be in the picture (`neg_category_ids`).
        not_exhaustive: names of which not every object is in the answer; a found one that meets
            none of these is neither right nor wrong (`not_exhaustive_category_ids`).
    """

    negatives: frozenset[str] = frozenset()
    not_exhaustive: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class Record:
    """A question about a picture and its exact answer.

    Attributes:
        image: uint8 RGB `(H, W, 3)`, or the path of a picture.
        task: what is asked; `None` for a prompt of a checkpoint's own, answered to the letter.
        text_input: the phrase or caption that the task asks about, else empty.
        region: `(x_min, y_min, x_max, y_max)` in pixels for region tasks, else `None`.
        result: the answer; its `image_size` is that of the picture.
        source: where the record comes from, for tracing a bad one.
        prompt: a question in a checkpoint's own words, sent as it is in place of the task's
            sentence; a task then tells only how the answer is written. `None` for the task's.
        ignored: where more is than the answer says, if so. Such a record measures and teaches not.
        federated: for what the picture was searched, where that is not every name. Likewise.
    """

    image: Picture
    task: Task | None
    text_input: str
    region: Box | None
    result: Result
    source: str
    prompt: str | None = None
    ignored: "Ignored | None" = None
    federated: "Federated | None" = None

    def __post_init__(self) -> None:
        check_fits(self.result, self.task)
        if self.prompt is not None:
            if not without_placeholder(self.prompt).strip():
                raise DataError(
                    f"a record has the empty prompt {self.prompt!r}; write a question, or leave it"
                    f" out for the sentence of a task (record {self.source!r})"
                )
            self._check_input("a record with its own prompt", needs_text=False, needs_region=False)
        elif self.task is not None:
            self._check_input(
                f"a record of task {self.task.token!r}",
                needs_text=self.task.needs_text,
                needs_region=self.task.needs_region,
            )
        else:
            raise DataError(
                f"a record asks nothing; give it a task, or a prompt (record {self.source!r})"
            )

    def _check_input(self, what: str, *, needs_text: bool, needs_region: bool) -> None:
        if bool(self.text_input) != needs_text:
            verb = "needs" if needs_text else "takes no"
            raise DataError(
                f"{what} {verb} text input; got {self.text_input!r} (record {self.source!r})"
            )
        if (self.region is not None) != needs_region:
            verb = "needs" if needs_region else "takes no"
            raise DataError(f"{what} {verb} region; got {self.region!r} (record {self.source!r})")

    def picture(self) -> Image.Image:
        """The image as a Pillow RGB picture, read if it is a path."""
        return open_image(self.image)
