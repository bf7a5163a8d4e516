"""From a path, bytes or an array to an encoded picture, equal pictures only once."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from florence2.engine.requests import EncodedImage, StageTimer
from florence2.errors import TaskError
from florence2.generation.runtime import ImageTokens, Runtime
from florence2.geometry import Size
from florence2.processing.images import ImageSource, open_image
from florence2.processing.processor import Processor

NUM_CACHED = 16  # encodings that are kept: 1.8 MB each at the published size
NO_SIZE = (1, 1)  # of a blank picture, of which nobody asks where something is


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """A picture that is ready to be encoded; equal ones have equal digests."""

    image_size: Size
    pixels_CHW: NDArray[np.float32]
    digest: bytes
    timings_ms: dict[str, float]


class ImageCache:
    """Prepares pictures in any thread, encodes them in one, and keeps the last encodings (LRU).

    Only the thread that computes calls `encode`; the lock guards the table against `evict`, which
    any thread may call.
    """

    def __init__(self, runtime: Runtime, processor: Processor, name: str) -> None:
        self._runtime, self._processor, self.name = runtime, processor, name
        self._cached: OrderedDict[bytes, ImageTokens] = OrderedDict()
        self._lock = threading.Lock()

    def prepare(self, image: ImageSource | EncodedImage | None) -> PreparedImage | EncodedImage:
        """Read and resize a picture; one that is encoded stays as it is.

        Args:
            image: None for a blank picture, of the mean colour.

        Raises:
            ImageError: the picture cannot be read or is beyond the limits.
            TaskError: another model has encoded it.
        """
        if isinstance(image, EncodedImage):
            if image.model_name != self.name:
                raise TaskError(
                    f"this encoded image was made by model {image.model_name!r}, not by"
                    f" {self.name!r}; encode the picture again with this model"
                )
            return image
        timer = StageTimer()
        if image is None:
            side, size = self._processor.image_side, NO_SIZE
            pixels_CHW = np.zeros((3, side, side), np.float32)
        else:
            picture = open_image(image)
            timer.lap("read")
            size, pixels_CHW = picture.size, self._processor.pixels([picture])[0]
        digest = hashlib.blake2b(pixels_CHW.data, digest_size=16).digest()
        timer.lap("resize")
        return PreparedImage(size, pixels_CHW, digest, timer.milliseconds)

    def encode(self, images: Sequence[PreparedImage | EncodedImage]) -> list[EncodedImage]:
        """Encode together those that have not been encoded lately."""
        timer = StageTimer()
        prepared = {each.digest: each for each in images if isinstance(each, PreparedImage)}
        with self._lock:
            tokens = {key: self._cached[key] for key in prepared if key in self._cached}
        missing = {key: each.pixels_CHW for key, each in prepared.items() if key not in tokens}
        if missing:
            encoded = self._runtime.encode_images(np.stack(list(missing.values())))
            tokens |= zip(missing, encoded, strict=True)
        with self._lock:
            self._cached |= tokens
        self.evict(keep=NUM_CACHED)
        timer.lap("vision", shared_by=max(1, len(images)))
        return [
            each
            if isinstance(each, EncodedImage)
            else EncodedImage(
                each.image_size,
                tokens[each.digest],
                self.name,
                each.timings_ms | timer.milliseconds,
            )
            for each in images
        ]

    def evict(self, keep: int = 0) -> None:
        """Give up the encodings of all pictures but the last so many."""
        with self._lock:
            while len(self._cached) > keep:
                self._cached.popitem(last=False)

    def close(self) -> None:
        """Let go of the model and of all encodings."""
        self.evict()
        del self._runtime
