"""What goes into an engine and what comes out."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from florence2.errors import EngineError
from florence2.generation.options import GenerationOptions
from florence2.images import ImageSource
from florence2.results import Result
from florence2.tasks import Task


@dataclass(frozen=True, eq=False)
class EncodedImage:
    """What depends on a picture alone: pass it wherever a picture is accepted.

    Attributes:
        image_size: `(width, height)` of the picture in pixels.
        image_tokens: `(1, I, D)`, the output of vision tower and projector, on the device.
        model_name: the model that made it; other models refuse it.
        timings_ms: how long reading, resizing and the vision tower took.
    """

    image_size: tuple[int, int]
    image_tokens: Tensor
    model_name: str
    timings_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Question:
    """One question about one picture, and how its answer is searched for."""

    image: ImageSource | EncodedImage
    task: Task
    options: GenerationOptions
    text_input: str = ""
    region: Sequence[float] | None = None
    prompt: str | None = None  # words of a checkpoint's own, in place of the task's


@dataclass(frozen=True, eq=False)
class Outcome:
    """An answer, the picture it is about, and how long each stage took in milliseconds.

    Stages that requests share (vision, encode, first_token, tokens) count their share.
    """

    result: Result
    image: EncodedImage
    timings_ms: dict[str, float]


class Ticket:
    """The claim to one outcome."""

    def __init__(self, cancel: Callable[["Ticket"], None]) -> None:
        self._over = threading.Event()
        self._cancel = cancel
        self._outcome: Outcome | None = None
        self._error: Exception | None = None

    @property
    def is_over(self) -> bool:
        """Whether there is an outcome or an error."""
        return self._over.is_set()

    def outcome(self, timeout_s: float | None = None) -> Outcome:
        """Wait for the outcome; raises what went wrong instead, if something did."""
        if not self._over.wait(timeout_s):
            raise EngineError(
                f"no answer after {timeout_s:g} s; give more time, or cancel the request"
            )
        if self._error is not None:
            raise self._error
        assert self._outcome is not None, "over without an outcome"
        return self._outcome

    def cancel(self) -> None:
        """Give the claim up; the request's place is free before the next token is written."""
        self._cancel(self)

    def settle(self, outcome: Outcome | Exception) -> None:
        """Tell who waits; for the engine. The first word stands."""
        if not self._over.is_set():
            if isinstance(outcome, Exception):
                self._error = outcome
            else:
                self._outcome = outcome
            self._over.set()


class Clock:
    """Milliseconds between marks."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def mark(self, name: str, shared_by: int = 1) -> None:
        """Count the time since the last mark to a stage, or a share of it."""
        now = time.perf_counter()
        spent = (now - self._last) * 1000.0 / shared_by
        self.milliseconds[name] = self.milliseconds.get(name, 0.0) + spent
        self._last = now
