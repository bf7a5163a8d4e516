"""Many requests of one pipeline: ask all, or fail with the first that cannot be answered."""

from collections.abc import Iterable

from PIL import Image

from florence2.engine import EncodedImage, Engine, Request
from florence2.errors import Florence2Error, TaskError
from florence2.processing.images import ImageSource, open_image
from florence2.results import Result

BATCH_SIZE = 8  # requests on their way at once


def results_of(
    engine: Engine, requests: Iterable[Request], batch_size: int = BATCH_SIZE
) -> list[Result]:
    """Answer all requests; the first that cannot be answered raises."""
    results = []
    for answer in engine.answer_many(requests, batch_size):
        if isinstance(answer, Florence2Error):
            raise answer
        results.append(answer.result)
    return results


def open_picture(image: ImageSource | EncodedImage) -> Image.Image:
    """The picture itself, opened once."""
    if isinstance(image, EncodedImage):
        raise TaskError(
            "tiles and windows are cut out of the picture itself, which an encoded image no longer"
            " holds; give the picture"
        )
    return open_image(image)
