"""A request on its way through an engine."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from florence2.engine.image_cache import PreparedImage
from florence2.engine.requests import AnyRequest, EncodedImage, OnTokens
from florence2.generation.options import GenerationOptions
from florence2.generation.runtime import PromptMemory
from florence2.generation.search import Search

NO_DECODING = 0  # batch key of requests that write nothing; the others' is their number of beams


@dataclass(eq=False)
class Job:
    """What an engine knows of a request, from its submission to its answer."""

    number: int
    request: AnyRequest
    future: "Future[Any]"
    batch_key: int = NO_DECODING
    options: GenerationOptions | None = None  # how its answer is searched for, if it writes one
    on_tokens: OnTokens | None = None
    timings: dict[str, float] = field(default_factory=dict)
    image: PreparedImage | EncodedImage | None = None
    prompt_ids: Sequence[int] = ()
    memory: PromptMemory | None = None
    search: Search | None = None
    is_repair: bool = False
    first_answer: str | None = None  # what is repaired
    is_written: bool = False  # the answer; what follows from it may still be asked
    num_settled: int = 0  # tokens that `on_tokens` knows
    parts: "Sequence[Future[Any]]" = ()  # what it waits for, once its answer is written

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to compute for it: what it waits for has jobs of its own."""
        return self.is_written or self.future.done()

    @property
    def encoded(self) -> EncodedImage:
        assert isinstance(self.image, EncodedImage), "the picture is not encoded yet"
        return self.image

    @property
    def known_memory(self) -> PromptMemory:
        assert self.memory is not None, "the prompt is not encoded yet"
        return self.memory

    def spend(self, stages: Mapping[str, float]) -> None:
        for stage, milliseconds in stages.items():
            self.timings[stage] = self.timings.get(stage, 0.0) + milliseconds

    def restart(self) -> None:
        """Back to where its picture was prepared: what it has written is lost."""
        self.memory = getattr(self.request, "memory", None)
        self.search, self.num_settled = None, 0
