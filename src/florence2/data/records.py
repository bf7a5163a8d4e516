"""The record: one training item, in pixels, before any tokenizer has seen it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from florence2.errors import DataError
from florence2.images import open_image
from florence2.results import Result, check_fits
from florence2.tasks import Task

Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Record:
    """A question about a picture and its exact answer.

    Attributes:
        image: uint8 RGB `(H, W, 3)`, or the path of a picture.
        task: what is asked.
        text_input: the phrase or caption that the task asks about, else empty.
        region: `(x_min, y_min, x_max, y_max)` in pixels for region tasks, else `None`.
        result: the answer; its `image_size` is that of the picture.
        source: where the record comes from, for tracing a bad one.
    """

    image: NDArray[np.uint8] | Path
    task: Task
    text_input: str
    region: Box | None
    result: Result
    source: str

    def __post_init__(self) -> None:
        check_fits(self.result, self.task)
        if bool(self.text_input) != self.task.needs_text:
            verb = "needs" if self.task.needs_text else "takes no"
            raise DataError(
                f"a record of task {self.task.token!r} {verb} text input; got {self.text_input!r} "
                f"(record {self.source!r})"
            )
        if (self.region is not None) != self.task.needs_region:
            verb = "needs" if self.task.needs_region else "takes no"
            raise DataError(
                f"a record of task {self.task.token!r} {verb} region; got {self.region!r} "
                f"(record {self.source!r})"
            )

    def picture(self) -> Image.Image:
        """The image as a Pillow RGB picture, read if it is a path."""
        return open_image(self.image)
