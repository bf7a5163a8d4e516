"""An engine that keeps what it is asked."""

from dataclasses import replace

from PIL import Image

from florence2 import EngineLimits, Florence2, GenerationOptions, Request
from florence2.engine import Engine, ImageRequest
from florence2.tasks import Task

# What runs beside a request changes its last digits, and random weights have near ties.
ALONE = EngineLimits(max_running=1, max_prefill=1)


class WatchedEngine(Engine):
    """Keeps the requests of every batch, and counts how often a picture is encoded for reuse.

    Its captions can be given: random weights hardly ever write words.
    """

    def __init__(self, other: Florence2, generation: GenerationOptions) -> None:
        super().__init__(
            other.runtime, other.processor, "watched", generation=generation, limits=ALONE
        )
        self.batches: list[list[Request]] = []
        self.num_encoded = 0
        self.caption_text: str | None = None

    def submit(self, request, on_tokens=None):  # type: ignore[no-untyped-def]
        if isinstance(request, ImageRequest):
            self.num_encoded += isinstance(request.image, Image.Image)
        return super().submit(request, on_tokens)

    def answer_many(self, requests, batch_size=32):  # type: ignore[no-untyped-def]
        asked = list(requests)
        self.batches.append(asked)
        for request, answer in zip(asked, super().answer_many(asked, batch_size), strict=True):
            if request.task is Task.CAPTION and self.caption_text is not None:
                answer = replace(answer, result=replace(answer.result, text=self.caption_text))
            yield answer
