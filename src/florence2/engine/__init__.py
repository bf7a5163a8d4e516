"""Many requests at once: reading pictures, encoding and decoding overlap, answers come as ready."""

from florence2.engine.engine import Engine
from florence2.engine.requests import Clock, EncodedImage, Outcome, Question, Ticket
from florence2.engine.scheduler import Limits, Scheduler

__all__ = [
    "Clock",
    "EncodedImage",
    "Engine",
    "Limits",
    "Outcome",
    "Question",
    "Scheduler",
    "Ticket",
]
