"""Many requests at once: reading pictures, encoding and decoding overlap, answers come as ready."""

from florence2.engine.engine import Engine
from florence2.engine.requests import (
    Answer,
    CompletionRequest,
    EncodedImage,
    ImageRequest,
    LoglikelihoodRequest,
    Request,
    StageTimer,
)
from florence2.engine.scheduler import EngineLimits, Scheduler

__all__ = [
    "Answer",
    "CompletionRequest",
    "EncodedImage",
    "Engine",
    "EngineLimits",
    "ImageRequest",
    "LoglikelihoodRequest",
    "Request",
    "Scheduler",
    "StageTimer",
]
