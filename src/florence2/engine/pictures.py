"""From a path, bytes or an array to an encoded picture, equal pictures only once."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from florence2.engine.requests import Clock, EncodedImage
from florence2.errors import TaskError
from florence2.generation.decoding import Runtime
from florence2.images import ImageSource, open_image
from florence2.processor import Processor

NUM_REMEMBERED = 16  # encodings that are kept: 1.8 MB each at the published size


@dataclass(frozen=True, eq=False)
class ReadPicture:
    """A picture that is ready to be encoded; `digest` tells equal ones."""

    image_size: tuple[int, int]
    pixels_1CHW: Tensor
    digest: bytes
    timings_ms: dict[str, float]


class Pictures:
    """Reads pictures in any thread, and encodes them."""

    def __init__(self, runtime: Runtime, processor: Processor, name: str) -> None:
        self._runtime, self._processor, self._name = runtime, processor, name
        self._remembered: OrderedDict[bytes, Tensor] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, image: ImageSource | EncodedImage) -> ReadPicture | EncodedImage:
        """Read and resize a picture; one that is encoded stays as it is.

        Raises:
            ImageError: the picture cannot be read or is beyond the limits.
            TaskError: another model has encoded it.
        """
        if isinstance(image, EncodedImage):
            if image.model_name != self._name:
                raise TaskError(
                    f"this encoded image was made by model {image.model_name!r}, not by"
                    f" {self._name!r}; encode the picture again with this model"
                )
            return image
        clock = Clock()
        picture = open_image(image)
        clock.mark("read")
        pixels = self._processor.pixels([picture])
        digest = hashlib.blake2b(pixels.numpy().data, digest_size=16).digest()
        clock.mark("resize")
        return ReadPicture(picture.size, pixels, digest, clock.milliseconds)

    @torch.inference_mode()
    def encode(self, pictures: Sequence[ReadPicture | EncodedImage]) -> list[EncodedImage]:
        """Encode together those that have not been encoded lately."""
        clock = Clock()
        read = {each.digest: each for each in pictures if isinstance(each, ReadPicture)}
        with self._lock:
            tokens = {key: self._remembered[key] for key in read if key in self._remembered}
        fresh = {key: each.pixels_1CHW for key, each in read.items() if key not in tokens}
        if fresh:
            device, dtype = self._runtime.device, self._runtime.dtype
            pixels_BCHW = torch.cat(list(fresh.values())).to(device, dtype)
            tokens_B1ID = self._runtime.encode_image(pixels_BCHW).split(1)  # type: ignore[no-untyped-call]
            tokens |= zip(fresh, tokens_B1ID, strict=True)
        with self._lock:
            self._remembered |= tokens
        self.forget(but=NUM_REMEMBERED)
        clock.mark("vision", shared_by=max(1, len(pictures)))
        return [
            each
            if isinstance(each, EncodedImage)
            else EncodedImage(
                each.image_size,
                tokens[each.digest],
                self._name,
                each.timings_ms | clock.milliseconds,
            )
            for each in pictures
        ]

    def forget(self, but: int = 0) -> None:
        """Give up the encodings of all pictures but the last so many."""
        with self._lock:
            while len(self._remembered) > but:
                self._remembered.popitem(last=False)
